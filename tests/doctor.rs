//! `safedib doctor`: right on a host that has everything, and on hosts that each
//! lack something; quick and without a panic on hosts that lack nearly all.

mod common;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use common::{callers, Caller, Outcome, Run};
use serde_json::Value;

/// What the doctor may take, beside what other tests take at the same time.
const LIMIT: Duration = Duration::from_secs(6);

/// The doctor, with small elements of the names that it looks for.
fn doctor(caller: &Caller) -> Run {
    Run::new(caller, "safedib")
        .element_file("base", "element-deps", "")
        .element_file(
            "debian-minimal",
            "element-deps",
            "debootstrap\npackage-installs\n",
        )
        .element_file("debian-minimal", "element-provides", "operating-system\n")
        .element_file("debootstrap", "README.rst", "")
        .element_file("package-installs", "README.rst", "")
        .element_file("block-device-mbr", "README.rst", "")
        .element_file(
            "vm",
            "finalise.d/50-loader",
            "#!/bin/sh\necho $IMAGE_BLOCK_DEVICE\n",
        )
        .args(["doctor"])
}

fn mask(paths: &[&str]) -> String {
    let mounts: Vec<String> = paths
        .iter()
        .map(|path| format!("mount --bind /dev/null {path}"))
        .collect();
    mounts.join("; ")
}

/// Fails for a slow doctor and for one that panicked or left something.
#[track_caller]
fn calm(outcome: Outcome) -> Outcome {
    assert!(outcome.took < LIMIT, "{:?}: {outcome}", outcome.took);
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    outcome.leaves(&[])
}

/// The check of that name in that group.
#[track_caller]
fn check<'a>(findings: &'a Value, group: &str, name: &str) -> &'a Value {
    let groups = findings["groups"].as_array().unwrap();
    let group = groups.iter().find(|found| found["name"] == group).unwrap();
    let checks = group["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {group:#}"))
}

#[track_caller]
fn parse(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"))
}

/// A host that lacks something: who looks, what root does to the host, and what
/// the doctor must say then.
struct Lack<'a> {
    setup: &'a str,
    /// Exit status.
    status: i32,
    /// Group and name of a check, with its status.
    check: (&'a str, &'a str, &'a str),
    /// Part of what it says, and the command that mends it.
    detail: &'a str,
    mend: Option<&'a str>,
}

impl Lack<'_> {
    #[track_caller]
    fn is_found_by(&self, caller: &Caller) -> Option<Value> {
        let run = doctor(caller).args(["--json"]);
        let outcome = calm(run.run_prepared(self.setup, ":")?);
        let findings = parse(&outcome);
        let (group, name, status) = self.check;
        let check = check(&findings, group, name);
        assert_eq!(check["status"], status, "{check:#}");
        let detail = check["detail"].as_str().unwrap();
        assert!(detail.contains(self.detail), "{check:#}");
        assert_eq!(check["mend"].as_str(), self.mend, "{check:#}");
        assert_eq!(outcome.status, self.status, "{outcome}");
        assert_eq!(findings["works"], self.status == 0);
        Some(findings)
    }
}

/// The ordinary user, if there is one: root lacks less.
fn ordinary() -> impl Iterator<Item = Caller> {
    let root = nix::unistd::Uid::effective().is_root();
    callers()
        .into_iter()
        .filter(move |caller| !root || *caller != Caller::Current)
}

#[test]
fn a_host_with_everything_is_healthy() {
    for caller in callers() {
        let outcome = calm(doctor(&caller).run().success());
        for line in [
            "\nthe namespace appliance\n",
            "  ok     user namespaces           a sandbox was started\n",
            "  ok     debootstrap               debootstrap: root.d makes the base system with it\n",
            "\nwhich appliance a build gets\n  disk-image-create debian-minimal\n",
            "\n`disk-image-create debian-minimal` works here\n",
        ] {
            assert!(outcome.stdout.contains(line), "no {line:?} in {outcome}");
        }
        assert!(!outcome.stdout.contains('\x1b'), "{outcome}");
    }
}

#[test]
fn the_json_keeps_its_form() {
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    for caller in callers() {
        let outcome = calm(doctor(&caller).args(["--json"]).run().success());
        let findings = parse(&outcome);
        assert_eq!(findings["version"], 1);
        assert_eq!(
            keys(&findings),
            ["builds", "groups", "host", "safedib", "version", "works"]
        );
        assert_eq!(keys(&findings["host"]), ["kernel", "machine", "user"]);
        let groups = findings["groups"].as_array().unwrap();
        let names: Vec<&str> = groups.iter().map(|g| g["name"].as_str().unwrap()).collect();
        let expected = [
            "request",
            "namespace",
            "microvm",
            "tools",
            "other-tools",
            "room",
        ];
        assert_eq!(names, expected);
        for check in groups.iter().flat_map(|g| g["checks"].as_array().unwrap()) {
            assert_eq!(keys(check), ["detail", "mend", "name", "status"]);
            let status = check["status"].as_str().unwrap();
            assert!(["ok", "lacks", "note"].contains(&status), "{check:#}");
            assert!(status != "ok" || check["mend"].is_null(), "{check:#}");
        }
        let builds = findings["builds"].as_array().unwrap();
        assert_eq!(builds.len(), 2);
        for build in builds {
            assert_eq!(keys(build), ["command", "places", "reason", "works"]);
            for place in build["places"].as_array().unwrap() {
                assert_eq!(keys(place), ["appliance", "steps", "why"]);
            }
        }
        assert_eq!(builds[0]["places"][0]["appliance"], "namespace");
        assert_eq!(builds[0]["places"][0]["steps"][0], 1);
    }
}

#[test]
fn a_build_that_reads_a_block_device_gets_a_machine_for_that_part() {
    for caller in callers() {
        let findings = parse(&doctor(&caller).args(["--json"]).run().success());
        let places = findings["builds"][1]["places"].as_array().unwrap();
        let why: Vec<&str> = places
            .iter()
            .filter(|place| place["appliance"] == "microvm")
            .map(|place| place["why"].as_str().unwrap())
            .collect();
        assert_eq!(why.len(), 1, "{places:#?}");
        assert!(why[0].contains("50-loader of element 'vm'"), "{why:?}");
    }
}

#[test]
fn what_the_namespace_appliance_lacks_leaves_the_microvm() {
    let mapper = "apt-get install uidmap";
    for caller in ordinary() {
        for (setup, name, detail, mend) in [
            (
                mask(&["/etc/subuid", "/etc/subgid"]),
                "subordinate ids",
                "/etc/subuid gives user safedib-test 0 subordinate ids",
                "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 safedib-test",
            ),
            (
                mask(&["/usr/bin/newuidmap"]),
                "newuidmap",
                "cannot run newuidmap",
                mapper,
            ),
        ] {
            let lack = Lack {
                setup: &setup,
                status: 0,
                check: ("namespace", name, "lacks"),
                detail,
                mend: Some(mend),
            };
            let Some(findings) = lack.is_found_by(&caller) else {
                continue;
            };
            let place = &findings["builds"][0]["places"][0];
            assert_eq!(place["appliance"], "microvm", "{findings:#}");
            assert!(place["why"].as_str().unwrap().contains(detail), "{place}");
            let untried = check(&findings, "namespace", "user namespaces");
            assert_eq!(untried["status"], "note", "{untried:#}");
            // Without that one too, nothing is left.
            let setup = format!("{setup}; {}", mask(&["/usr/bin/qemu-system-x86_64"]));
            let lack = Lack {
                setup: &setup,
                status: 1,
                ..lack
            };
            lack.is_found_by(&caller);
        }
    }
}

#[test]
fn what_the_microvm_lacks_leaves_builds_without_a_block_device() {
    let kernels = "v=$(cd /boot && ls | grep '^vmlinuz-'); mount -t tmpfs none /boot; \
         for k in $v; do : > /boot/$k; chmod 600 /boot/$k; done";
    for caller in callers() {
        let mut cases = vec![
            (
                "qemu",
                mask(&["/usr/bin/qemu-system-x86_64"]),
                "qemu-system-x86",
            ),
            ("supermin", mask(&["/usr/bin/supermin"]), "supermin"),
            (
                "kernel",
                "mount -t tmpfs none /boot".into(),
                "linux-image-amd64",
            ),
        ];
        if caller != Caller::Current {
            cases.push(("kernel", kernels.into(), ""));
        }
        for (name, setup, package) in cases {
            let Some(findings) = (match package {
                "" => kernel_that_cannot_be_read(&caller, &setup),
                _ => Lack {
                    setup: &setup,
                    status: 0,
                    check: ("microvm", name, "lacks"),
                    detail: "microvm appliance",
                    mend: Some(&format!("apt-get install {package}")),
                }
                .is_found_by(&caller),
            }) else {
                continue;
            };
            let with_device = &findings["builds"][1];
            assert_eq!(with_device["works"], false, "{with_device:#}");
            let reason = with_device["reason"].as_str().unwrap();
            assert!(reason.starts_with("microvm appliance: "), "{reason}");
        }
    }
}

fn kernel_that_cannot_be_read(caller: &Caller, setup: &str) -> Option<Value> {
    let run = doctor(caller).args(["--json"]);
    let outcome = calm(run.run_prepared(setup, ":")?).success();
    let findings = parse(&outcome);
    let kernel = check(&findings, "microvm", "kernel");
    let mend = kernel["mend"].as_str().unwrap();
    let command = "dpkg-statoverride --update --add root root 0644 /boot/vmlinuz-";
    assert!(mend.starts_with(command), "{kernel:#}");
    Some(findings)
}

#[test]
fn no_way_out_is_no_default_build() {
    // pasta is a link to passt, which is masked with it.
    let setup = mask(&["/usr/bin/pasta", "/usr/bin/slirp4netns"]);
    for caller in callers() {
        for (group, detail) in [
            ("namespace", "neither pasta nor slirp4netns"),
            ("microvm", "no passt on this host"),
        ] {
            let lack = Lack {
                setup: &setup,
                status: 1,
                check: (group, "network", "lacks"),
                detail,
                mend: Some("apt-get install passt"),
            };
            let Some(findings) = lack.is_found_by(&caller) else {
                continue;
            };
            // They were measured all the same.
            let sandbox = check(&findings, "namespace", "user namespaces");
            assert_eq!(sandbox["status"], "ok", "{sandbox:#}");
        }
    }
}

#[test]
fn forbidden_user_namespaces_name_the_sysctl() {
    for caller in callers() {
        let run = doctor(&caller)
            .args(["--json"])
            .through(&["unshare", "--user", "--map-current-user", "--keep-caps"])
            .through_shell("echo 0 > /proc/sys/user/max_user_namespaces");
        let findings = parse(&calm(run.run()));
        let sandbox = check(&findings, "namespace", "user namespaces");
        assert_eq!(sandbox["status"], "lacks", "{sandbox:#}");
        let mend = sandbox["mend"].as_str().unwrap();
        assert_eq!(mend, "sysctl -w user.max_user_namespaces=15000");
        let ids = findings["groups"][2]["checks"].as_array().unwrap();
        let of_root = ids.iter().find(|check| check["name"] == "qemu's ids");
        // An ordinary user's machine needs no namespace of its own.
        assert_eq!(of_root.is_some(), caller == Caller::Current);
    }
}

#[test]
fn a_host_without_kvm_is_healthy() {
    let setup = "d=$(mktemp -d); mount -t tmpfs none $d; mkdir $d/net; \
         cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty $d; \
         cp -a /dev/net/tun $d/net; mount --move $d /dev; rmdir $d";
    for caller in callers() {
        Lack {
            setup,
            status: 0,
            check: ("microvm", "KVM", "note"),
            detail: "cannot open /dev/kvm: No such file",
            mend: None,
        }
        .is_found_by(&caller);
    }
}

#[test]
fn commands_that_the_default_build_needs_are_lacks() {
    let yaml = "mount -t tmpfs none /usr/lib/python3/dist-packages".to_owned();
    for caller in callers() {
        for (setup, name, package) in [
            (
                mask(&["/usr/sbin/debootstrap"]),
                "debootstrap",
                "debootstrap",
            ),
            (mask(&["/usr/bin/qemu-img"]), "qemu-img", "qemu-utils"),
            (yaml.clone(), "python3's module yaml", "python3-yaml"),
        ] {
            Lack {
                setup: &setup,
                status: 1,
                check: ("tools", name, "lacks"),
                detail: "",
                mend: Some(&format!("apt-get install {package}")),
            }
            .is_found_by(&caller);
        }
        Lack {
            setup: &mask(&["/usr/bin/mksquashfs"]),
            status: 0,
            check: ("other-tools", "mksquashfs", "note"),
            detail: "output format squashfs",
            mend: Some("apt-get install squashfs-tools"),
        }
        .is_found_by(&caller);
    }
}

/// Nothing but what the test itself starts.
const BARE: &str = "d=$(mktemp -d); cp /usr/bin/setpriv $d; chmod 755 $d; \
     for p in /usr/local/bin /usr/local/sbin /usr/sbin; do mount -t tmpfs none $p; done; \
     m=$(command -v mount); mount --bind $d /usr/bin";

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

#[test]
fn a_namespace_that_cannot_be_offers_the_microvm_where_that_can() {
    let subids = mask(&["/etc/subuid", "/etc/subgid"]);
    let neither = format!("{subids}; {}", mask(&["/usr/bin/supermin"]));
    for caller in ordinary() {
        for (setup, offered) in [(&subids, true), (&neither, false)] {
            let run = Run::new(&caller, "disk-image-create")
                .args(["--appliance", "namespace", "-n", "-t", "tar"])
                .args(["-o", "image", "safedib-fake-os"]);
            let Some(outcome) = run.run_prepared(setup, ":") else {
                continue;
            };
            let outcome = outcome.failure(1, &["usermod --add-subuids"]).leaves(&[]);
            let named = outcome.stderr.contains("; or use --appliance microvm");
            assert_eq!(named, offered, "{outcome}");
        }
    }
}
