//! What a host can lack: each is found before a hook runs, named with its
//! remedy on one screen, and leaves nothing.

mod common;

use common::{callers, Caller, Outcome, Run};

/// A build of the small OS element to `format`, which may not go to the microvm
/// appliance instead.
fn build(caller: &Caller, format: &str) -> Run {
    Run::build(caller, format)
        .element_file(
            "safedib-tells",
            "root.d/05-tell",
            "#!/bin/sh\necho a hook ran\n",
        )
        .args(["--appliance", "namespace"])
        .args(["safedib-fake-os", "safedib-tells"])
}

/// The caller if it is an ordinary user: root needs no subordinate ids.
fn ordinary() -> impl Iterator<Item = Caller> {
    let root = nix::unistd::Uid::effective().is_root();
    callers()
        .into_iter()
        .filter(move |caller| !root || *caller != Caller::Current)
}

/// The outcome must be a lack: status 1, these texts, a hint, a few lines, no
/// hook, no file.
#[track_caller]
fn lack(outcome: Outcome, texts: &[&str]) {
    let outcome = outcome
        .failure(1, texts)
        .failure(1, &["\nhint: "])
        .leaves(&[]);
    assert!(!outcome.stdout.contains("a hook ran"), "{outcome}");
    assert!(outcome.stderr.lines().count() <= 4, "{outcome}");
}

/// As [`lack`], with the host prepared by `setup`.
#[track_caller]
fn lacks(run: &Run, setup: &str, texts: &[&str]) {
    if let Some(outcome) = run.run_prepared(setup, ":") {
        lack(outcome, texts);
    }
}

/// As [`lacks`], and not even a directory of the build was made.
#[track_caller]
fn lacks_early(run: &Run, setup: &str, texts: &[&str]) {
    if let Some(outcome) = run.run_prepared(setup, ":") {
        assert!(!outcome.stdout.contains("Building in "), "{outcome}");
        lack(outcome, texts);
    }
}

fn mask(paths: &[&str]) -> String {
    let mounts: Vec<String> = paths
        .iter()
        .map(|path| format!("mount --bind /dev/null {path}"))
        .collect();
    mounts.join("; ")
}

const NO_NETWORK_HELPER: [&str; 2] = ["/usr/bin/pasta", "/usr/bin/slirp4netns"];

#[test]
fn a_caller_without_subordinate_ids_gets_the_command() {
    for caller in ordinary() {
        let run = build(&caller, "tar");
        let top = run.dir.parent().unwrap().display().to_string();
        lacks_early(
            &run,
            &mask(&["/etc/subuid", "/etc/subgid"]),
            &[
                "/etc/subuid gives user safedib-test 0 subordinate ids",
                "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 safedib-test",
            ],
        );
        let few = format!(
            "echo safedib-test:100000:1000 > {top}/few; \
             mount --bind {top}/few /etc/subuid; mount --bind {top}/few /etc/subgid"
        );
        lacks_early(
            &run,
            &few,
            &[
                "1000 subordinate ids, 65534 are needed",
                "--add-subuids 101000-166535",
            ],
        );
        let no_groups = "mount --bind /dev/null /etc/subgid";
        lacks_early(&run, no_groups, &["/etc/subgid gives user safedib-test 0"]);
    }
}

#[test]
fn a_missing_newuidmap_is_named_with_its_package() {
    for caller in ordinary() {
        for tool in ["newuidmap", "newgidmap"] {
            let run = build(&caller, "tar");
            lacks_early(
                &run,
                &mask(&[&format!("/usr/bin/{tool}")]),
                &[tool, "package uidmap"],
            );
        }
    }
}

#[test]
fn a_newuidmap_without_its_privilege_is_named() {
    for caller in ordinary() {
        let run = build(&caller, "tar");
        let copy = run.dir.parent().unwrap().join("newuidmap");
        let copy = copy.display();
        lacks(
            &run,
            &format!(
                "cp /usr/bin/newuidmap {copy}; chmod 755 {copy}; \
                 mount --bind {copy} /usr/bin/newuidmap"
            ),
            &["newuidmap failed: ", "setuid root"],
        );
    }
}

#[test]
fn without_a_network_helper_only_builds_without_network_work() {
    for caller in callers() {
        let run = build(&caller, "tar");
        let masked = mask(&NO_NETWORK_HELPER);
        lacks_early(
            &run,
            &masked,
            &[
                "neither pasta nor slirp4netns",
                "package passt",
                "--no-network",
            ],
        );
        let run = run.args(["--no-network"]);
        if let Some(outcome) = run.run_prepared(&masked, ":") {
            let outcome = outcome.success().leaves(&["image.tar"]);
            // a mask is a mount below /usr, which the log has to tell of
            let told = "safedib: hooks cannot write to /usr: something is mounted below";
            assert_eq!(outcome.stdout.matches(told).count(), 1, "{outcome}");
        }
        let outcome = run.run().success();
        assert!(
            !outcome.stdout.contains("cannot write to /usr"),
            "{outcome}"
        );
    }
}

#[test]
fn slirp4netns_is_used_where_pasta_is_not_and_the_log_says_so() {
    for caller in callers() {
        let run = build(&caller, "tar").element_file(
            "safedib-tells",
            "root.d/06-network",
            "#!/bin/bash\nset -eu\nls /sys/class/net | tr '\\n' ' '; cat /etc/resolv.conf\n\
             grep -q '^tap0\\s00000000' /proc/net/route && echo a route leads out\n",
        );
        let Some(outcome) = run.run_prepared(&mask(&["/usr/bin/pasta"]), ":") else {
            continue;
        };
        let outcome = outcome.success().leaves(&["image.tar"]);
        for text in [
            "safedib: slirp4netns gives hooks their network: pasta is not installed",
            "lo tap0 nameserver 10.0.2.3",
            "a route leads out",
        ] {
            assert!(outcome.stdout.contains(text), "no {text:?} in {outcome}");
        }
    }
}

/// The limit is a user namespace's own, so one that is made for the test can
/// have it without the system's being touched.
#[test]
fn forbidden_user_namespaces_name_the_sysctl() {
    for caller in callers() {
        let run = build(&caller, "tar")
            .args(["--no-network"])
            .through(&["unshare", "--user", "--map-current-user", "--keep-caps"])
            .through_shell("echo 0 > /proc/sys/user/max_user_namespaces");
        lack(
            run.run(),
            &[
                "user namespaces are forbidden: user.max_user_namespaces=0",
                "sysctl -w user.max_user_namespaces=",
            ],
        );
    }
}

#[test]
fn masked_kernel_filesystems_are_refused_with_the_way_out() {
    for caller in callers() {
        for (fstype, path, text) in [
            ("proc", "/proc/sys", "/proc of this system is masked"),
            ("sysfs", "/sys/kernel", "/sys of this system is masked"),
        ] {
            // Any other mount that is whole satisfies the kernel, such as
            // those of an upstream build on the same machine.
            let setup = format!(
                "mount -t tmpfs none {path}; \
                 for mount in $(findmnt -rno TARGET -t {fstype}); do \
                 case $mount in /proc|/sys) ;; *) umount -l $mount ;; esac; done"
            );
            lacks(
                &build(&caller, "tar"),
                &setup,
                &[
                    text,
                    "podman: --security-opt unmask=ALL",
                    "procMount: Unmasked",
                ],
            );
        }
    }
}

#[test]
fn a_python_without_yaml_is_found_for_elements_that_need_it() {
    let setup = "mount -t tmpfs none /usr/lib/python3/dist-packages";
    for caller in callers() {
        let plain = build(&caller, "tar");
        if let Some(outcome) = plain.run_prepared(setup, ":") {
            outcome.success();
        }
        let run = build(&caller, "tar")
            .element_file("package-installs", "README.rst", "")
            .args(["package-installs"]);
        lacks_early(
            &run,
            setup,
            &[
                "element 'package-installs' needs python3's module yaml",
                "apt-get install python3-yaml",
            ],
        );
    }
}

#[test]
fn a_missing_tool_of_a_format_is_found_before_work() {
    for caller in callers() {
        for (format, path, text, package) in [
            (
                "qcow2",
                "/usr/bin/qemu-img",
                "qcow2 output format specified but qemu-img executable not found.",
                "qemu-utils",
            ),
            (
                "squashfs",
                "/usr/bin/mksquashfs",
                "squashfs output format specified but mksquashfs executable not found.",
                "squashfs-tools",
            ),
        ] {
            lacks_early(&build(&caller, format), &mask(&[path]), &[text, package]);
        }
    }
}

#[test]
fn a_missing_container_client_is_found_before_work() {
    for caller in callers() {
        let run = build(&caller, "tar,docker").args(["--docker-target", "x"]);
        let masked = "for p in /usr/bin /usr/local/bin /usr/sbin /usr/local/sbin; do \
             for c in docker podman; do \
             if test -e $p/$c; then mount --bind /dev/null $p/$c; fi; done; done";
        let outcome = match run.run_prepared(masked, ":") {
            Some(outcome) => outcome,
            None => continue,
        };
        assert!(!outcome.stdout.contains("Building in "), "{outcome}");
        lack(
            outcome,
            &["neither docker nor podman", "docker.io or podman"],
        );
    }
}
