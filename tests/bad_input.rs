//! Bad input gets a clear error, as early as it can be known, and loses nothing.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{callers, Caller, Run};

const OLD: &str = "an image of yesterday";

/// A build of the small OS element to tar, beside an image of yesterday.
fn build(caller: &Caller) -> Run {
    let run = Run::build(caller, "tar");
    fs::write(run.dir.join("image.tar"), OLD).unwrap();
    run.give(&run.dir.join("image.tar"));
    run
}

/// Runs it; it must fail like this, before or after work started, and leave
/// the old image alone.
#[track_caller]
fn fails(run: &Run, status: i32, texts: &[&str]) -> common::Outcome {
    let outcome = run.run().failure(status, texts).leaves(&["image.tar"]);
    assert_eq!(fs::read_to_string(run.dir.join("image.tar")).unwrap(), OLD);
    outcome
}

/// As [`fails`], and no appliance was started.
#[track_caller]
fn fails_early(run: &Run, texts: &[&str]) {
    let outcome = fails(run, 1, texts);
    assert!(!outcome.stdout.contains("Building in "), "{outcome}");
}

#[test]
fn an_unknown_element_is_named_with_near_names_and_who_asked() {
    for caller in callers() {
        let run = build(&caller)
            .element_file("asker", "element-deps", "safedib-fake-oss\n")
            .args(["safedib-fake-os", "asker"]);
        fails_early(
            &run,
            &[
                "Element 'safedib-fake-oss' not found",
                "asker",
                "safedib-fake-os",
            ],
        );
    }
}

#[test]
fn an_empty_command_line_says_what_upstream_says() {
    for caller in callers() {
        fails_early(
            &build(&caller),
            &["At least one distribution root element must be specified"],
        );
    }
}

#[test]
fn elements_that_provide_each_other_are_refused() {
    for caller in callers() {
        let run = build(&caller)
            .element_file("one", "element-provides", "two\n")
            .element_file("two", "element-provides", "one\n")
            .args(["safedib-fake-os", "one", "two"]);
        fails_early(&run, &["already provided", "one", "two"]);
    }
}

#[test]
fn a_build_without_an_operating_system_is_refused() {
    for caller in callers() {
        let run = build(&caller)
            .element_file("lone", "install.d/50-x", "#!/bin/sh\n")
            .args(["lone"]);
        fails_early(&run, &["Please include an operating system element"]);
    }
}

#[test]
fn a_duplicate_hook_names_both_elements() {
    for caller in callers() {
        let run = build(&caller)
            .element_file("left", "install.d/50-same", "#!/bin/sh\n")
            .element_file("right", "install.d/50-same", "#!/bin/sh\n")
            .args(["safedib-fake-os", "left", "right"]);
        fails_early(
            &run,
            &[
                "There is a duplicated hook in your elements",
                "50-same",
                "left",
                "right",
            ],
        );
    }
}

#[test]
fn an_elements_path_entry_must_be_a_directory() {
    for caller in callers() {
        let run = build(&caller)
            .env("ELEMENTS_PATH", "/nonexistent/elements")
            .args(["safedib-fake-os"]);
        fails_early(
            &run,
            &["ELEMENTS_PATH entry '/nonexistent/elements' is not a directory"],
        );
    }
}

#[test]
fn an_unknown_format_is_refused() {
    for caller in callers() {
        let run = build(&caller).args(["-t", "qcow3", "safedib-fake-os"]);
        fails_early(&run, &["qcow3"]);
    }
}

#[test]
fn impossible_sizes_are_refused() {
    for caller in callers() {
        for size in ["0", "-3", "huge", "99999999999999"] {
            let run = build(&caller).args([&format!("--image-size={size}"), "safedib-fake-os"]);
            fails_early(&run, &[size]);
        }
    }
}

#[test]
fn a_disk_smaller_than_its_tree_is_refused() {
    for caller in callers() {
        let run = build(&caller)
            .element_file(
                "fat",
                "root.d/90-fat",
                "#!/bin/sh\nhead -c 40000000 /dev/urandom > $TARGET_ROOT/fat\n",
            )
            .args([
                "-t",
                "raw",
                "--image-size",
                "0.02",
                "safedib-fake-os",
                "fat",
            ]);
        fails(&run, 1, &["size"]);
    }
}

#[test]
fn an_output_in_a_missing_directory_is_refused() {
    for caller in callers() {
        let run = build(&caller).args(["-o", "no/such/dir/image", "safedib-fake-os"]);
        fails_early(&run, &["no/such/dir"]);
    }
}

#[test]
fn an_unwritable_output_directory_is_refused() {
    for caller in callers() {
        if caller == Caller::Current && nix::unistd::Uid::effective().is_root() {
            continue; // root can write anywhere that is not read-only
        }
        let run = build(&caller).args(["safedib-fake-os"]);
        fs::set_permissions(&run.dir, fs::Permissions::from_mode(0o555)).unwrap();
        fails_early(&run, &["cannot write the image into"]);
    }
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    for caller in callers() {
        let boot = build(&caller)
            .element_file(
                "booter",
                "finalise.d/50-boot",
                "#!/bin/bash\ngrub-install $IMAGE_BLOCK_DEVICE\n",
            )
            .args(["--appliance", "namespace", "safedib-fake-os", "booter"]);
        fails_early(&boot, &["booter", "50-boot", "block device"]);
        let old = build(&caller)
            .element_file("older", "block-device.d/10-x", "#!/bin/sh\n")
            .args(["safedib-fake-os", "older"]);
        fails_early(&old, &["older", "block device"]);
    }
}

/// What a configuration may say, and what takes a kernel with block devices.
#[test]
fn disks_beyond_plain_ones_are_refused_by_the_namespace_appliance() {
    let root = "- mkfs: {name: mkfs_root, base: BASE, mount: {mount_point: /}}\n";
    let disk = "- local_loop: {name: image0}\n";
    let lvm = "- lvm: {name: l, pvs: [{name: pv, base: image0}], vgs: [{name: vg, base: [pv]}], \
               lvs: [{name: lv, base: vg, extents: 100%VG}]}\n";
    let refused = |what: &str| format!("{what} takes block devices");
    let on_disk = root.replace("BASE", "image0");
    let table = [
        (
            format!("{disk}{lvm}{}", root.replace("BASE", "lv")),
            refused("'pv': lvm"),
        ),
        (
            format!("{disk}- local_loop: {{name: data}}\n{on_disk}"),
            refused("'data': more than one local_loop"),
        ),
        (
            format!("- local_loop: {{name: image0, block_size: 4096}}\n{on_disk}"),
            refused("'image0': block_size 4096"),
        ),
        (
            format!("- local_loop: {{name: image0, directory: /d}}\n{on_disk}"),
            "'image0': an image file in a directory of its own (/d) is not supported".into(),
        ),
    ];
    for caller in callers() {
        for (config, text) in &table {
            let run = build(&caller).env("DIB_BLOCK_DEVICE_CONFIG", config).args([
                "--appliance",
                "namespace",
                "-t",
                "raw",
                "safedib-fake-os",
            ]);
            fails_early(&run, &[text]);
        }
        for (size, text) in [
            ("4096", refused("'image0': block_size 4096")),
            ("banana", "DIB_BLOCK_SIZE is 'banana'".into()),
        ] {
            let run = build(&caller)
                .env("DIB_BLOCK_DEVICE_CONFIG", format!("{disk}{on_disk}"))
                .env("DIB_BLOCK_SIZE", size)
                .args(["--appliance", "namespace", "-t", "raw", "safedib-fake-os"]);
            fails_early(&run, &[&text]);
        }
    }
}

#[test]
fn a_failing_hook_gives_its_status_and_is_named_in_each_phase() {
    let phases = [
        "root",
        "extra-data",
        "pre-install",
        "install",
        "post-install",
        "post-root",
        "pre-finalise",
        "finalise",
        "cleanup",
    ];
    for caller in callers() {
        for phase in phases {
            let hook = format!("{phase}.d/55-breaks");
            let run = build(&caller)
                .element_file(
                    "breaker",
                    &hook,
                    "#!/bin/sh\necho the last words\nexit 44\n",
                )
                .args(["safedib-fake-os", "breaker"]);
            fails(
                &run,
                44,
                &["breaker", "55-breaks", phase, "44", "the last words"],
            );
        }
    }
}

#[test]
fn a_failing_environment_file_ends_the_build() {
    for caller in callers() {
        let run = build(&caller)
            .element_file("env", "environment.d/10-bad", "false\n")
            .args(["safedib-fake-os", "env"]);
        fails(&run, 1, &["environment", "root"]);
    }
}

#[test]
fn a_root_element_that_deploys_nothing_is_reported() {
    for caller in callers() {
        let run = build(&caller)
            .element_file("hollow", "element-provides", "operating-system\n")
            .element_file("hollow", "root.d/10-nothing", "#!/bin/sh\n")
            .args(["hollow"]);
        let outcome = fails(&run, 1, &["no root.d hook left anything"]);
        assert!(
            outcome
                .stdout
                .contains("Failed to deploy the root element."),
            "{outcome}"
        );
    }
}

#[test]
fn a_hook_that_cannot_run_is_said_before_the_build() {
    for caller in callers() {
        let run = build(&caller)
            .element_file("plain", "install.d/50-no-x", "#!/bin/sh\nexit 9\n")
            .args(["safedib-fake-os", "plain"]);
        let hook = run.elements().join("plain/install.d/50-no-x");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
        let outcome = run.run().success();
        assert!(outcome.stdout.contains("50-no-x"), "{outcome}");
    }
}

#[test]
fn a_missing_command_is_found_before_work_starts() {
    for caller in callers() {
        let run = build(&caller)
            .element_file("debootstrap", "element-provides", "operating-system\n")
            .element_file(
                "debootstrap",
                "root.d/08-debootstrap",
                "#!/bin/sh\ndebootstrap\n",
            )
            .args(["debootstrap"]);
        let Some(outcome) = run.run_prepared("mount --bind /dev/null /usr/sbin/debootstrap", ":")
        else {
            continue;
        };
        let outcome = outcome.failure(1, &["debootstrap", "apt-get install debootstrap"]);
        assert!(!outcome.stdout.contains("Building in "), "{outcome}");
    }
}

#[test]
fn a_full_disk_leaves_no_half_image() {
    for caller in callers() {
        let run = build(&caller)
            .element_file(
                "fat",
                "root.d/90-fat",
                "#!/bin/sh\nhead -c 4000000 /dev/urandom > $TARGET_ROOT/fat\n",
            )
            .args(["safedib-fake-os", "fat"]);
        let dir = run.dir.display();
        let (uid, gid) = run.owner();
        let setup = format!(
            "mount -t tmpfs -o size=1m,uid={uid},gid={gid} small {dir}; \
             echo of yesterday > {dir}/image.tar; chown {uid}:{gid} {dir}/image.tar"
        );
        let after = format!("cd /; ls -A {dir}; cat {dir}/image.tar; umount {dir}");
        let Some(outcome) = run.run_prepared(&setup, &after) else {
            continue;
        };
        assert!(
            outcome.stdout.ends_with("\nimage.tar\nof yesterday\n"),
            "{outcome}"
        );
        outcome.failure(1, &["space"]);
    }
}
