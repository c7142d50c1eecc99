//! What a host lacks, and what is left then.

use serde_json::Value;

use super::common::{callers, Caller, Run};
use super::host::{calm, check, doctor, mask, ordinary, parse, Lack};

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
