//! Hosts that lack nearly everything, and what the user got wrong.

use std::collections::BTreeSet;
use std::process::Command;

use super::common::{callers, Run};
use super::host::{calm, doctor, ordinary, parse};

/// Nothing but what the test itself starts.
const BARE: &str = "mount -t tmpfs -o mode=755 none /mnt; \
     cp /usr/bin/env /usr/bin/setpriv /mnt; \
     for p in /usr/local/bin /usr/local/sbin /usr/sbin; do mount -t tmpfs none $p; done; \
     mount --bind /mnt /usr/bin";

#[test]
fn a_bare_host_gets_commands_of_packages_that_exist() {
    let mut packages = BTreeSet::new();
    for caller in callers() {
        let run = doctor(&caller).args(["--json"]);
        let Some(outcome) = run.run_prepared(BARE, ":") else {
            return;
        };
        assert_eq!(outcome.status, 1, "{outcome}");
        let findings = parse(&calm(outcome));
        let groups = findings["groups"].as_array().unwrap();
        let checks = groups.iter().flat_map(|g| g["checks"].as_array().unwrap());
        let mends = checks.filter_map(|check| check["mend"].as_str());
        packages.extend(mends.filter_map(|mend| {
            let package = mend.strip_prefix("apt-get install ")?;
            package.split(' ').next().map(str::to_owned)
        }));
    }
    assert!(packages.contains("zypper") && packages.contains("qemu-system-x86"));
    for package in ["uidmap", "python3-diskimage-builder", "acl"] {
        packages.insert(package.to_owned());
    }
    let listed = listed_packages(packages.iter().map(String::as_str).chain(["bash"]));
    if !listed.contains("bash") {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "no package lists"
        );
        eprintln!("no package lists here (apt-get update): not compared");
        return;
    }
    let unknown: Vec<&String> = packages.difference(&listed).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Those of the packages that the distribution has.
fn listed_packages<'a>(packages: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let output = Command::new("apt-cache")
        .args(["show", "--no-all-versions"])
        .args(packages)
        .output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| line.strip_prefix("Package: "))
        .map(str::to_owned)
        .collect()
}

/// No file of `/etc` but those without which nobody is anybody.
const ETC: &str = "u=$(cat /etc/passwd); g=$(cat /etc/group); mount -t tmpfs none /etc; \
     echo \"$u\" > /etc/passwd; echo \"$g\" > /etc/group";

#[test]
fn a_broken_host_is_told_of_all_the_same() {
    for caller in callers() {
        let hosts = [
            (
                "mount -t tmpfs none /proc",
                "finding our own binary in /proc",
            ),
            (ETC, "elements"),
            (
                "mount -t tmpfs -o ro none /tmp; mount -t tmpfs none /boot",
                "no kernel",
            ),
        ];
        for (setup, text) in hosts {
            if let Some(outcome) = doctor(&caller).run_prepared(setup, ":") {
                let outcome = calm(outcome);
                assert!(outcome.status <= 1, "{outcome}");
                assert!(outcome.stdout.contains(text), "no {text:?} in {outcome}");
            }
        }
    }
}

#[test]
fn elements_and_variables_that_are_of_no_use_are_named() {
    for caller in callers() {
        let cases: [(Run, &str, &str); 6] = [
            (
                doctor(&caller).through(&["env", "-i"]),
                "variables",
                "no elements found",
            ),
            (
                doctor(&caller).through(&["env", "-u", "HOME"]),
                "variables",
                "HOME is not set",
            ),
            (
                doctor(&caller).env("DIB_APPLIANCE", "x"),
                "variables",
                "no such appliance: 'x'",
            ),
            (
                doctor(&caller).env("DIB_ELEMENTS_DIR", "/nonexistent"),
                "variables",
                "'/nonexistent' is not a directory",
            ),
            (
                doctor(&caller).env("DIB_ELEMENTS_DIR", "/etc/apt"),
                "elements",
                "Element 'base' not found",
            ),
            (
                doctor(&caller).through_shell("mkdir gone; cd gone; rmdir ../gone"),
                "variables",
                "current directory cannot be determined",
            ),
        ];
        for (run, name, text) in cases {
            let lack = format!("  lacks  {name:<24}  ");
            let outcome = calm(run.run());
            assert_eq!(outcome.status, 1, "{outcome}");
            for part in [
                text,
                lack.as_str(),
                "  note   stand-ins",
                "  ok     debootstrap",
            ] {
                assert!(outcome.stdout.contains(part), "no {part:?} in {outcome}");
            }
            let verdict = "`disk-image-create debian-minimal` does not work here\n";
            assert!(outcome.stdout.ends_with(verdict), "{outcome}");
        }
    }
}

#[test]
fn a_temporary_directory_of_somebody_else_is_named() {
    for caller in ordinary() {
        let run = doctor(&caller)
            .env("TMP_DIR", "/root")
            .env("DIB_NO_TMPFS", "1");
        let outcome = calm(run.run());
        assert_eq!(outcome.status, 1, "{outcome}");
        let text = "  lacks  TMP_DIR                   cannot write to /root: permission denied";
        assert!(outcome.stdout.contains(text), "{outcome}");
    }
}

#[test]
fn words_that_it_does_not_know_are_refused() {
    for caller in callers() {
        let run = doctor(&caller).args(["--jsno"]);
        run.run()
            .failure(2, &["doctor does not know '--jsno'", "\nhint: "]);
        let run = doctor(&caller).args(["--help"]);
        if let Some(outcome) = run.run_prepared(BARE, ":") {
            assert!(outcome
                .success()
                .stdout
                .starts_with("Usage: safedib doctor"));
        }
        let help = Run::new(&caller, "safedib")
            .args(["--help"])
            .run()
            .success();
        assert!(help.stdout.contains("\n   doctor  "), "{help}");
    }
}
