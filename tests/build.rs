//! Builds with the repository's small elements: what comes out, for whom, how fast.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use common::{callers, tool, Run};

fn tar_names(path: &Path) -> Vec<String> {
    let listing = tool(Command::new("tar").arg("-tf").arg(path));
    listing.lines().map(String::from).collect()
}

#[test]
fn one_file_to_tar_belongs_to_the_caller() {
    for caller in callers() {
        let run = Run::build(&caller, "tar").args(["safedib-one-file"]);
        let outcome = run.run().success().leaves(&["image.tar"]);
        assert!(
            outcome.stdout.ends_with("| Build completed successfully\n"),
            "{outcome}"
        );
        let metadata = fs::metadata(run.dir.join("image.tar")).unwrap();
        let (uid, gid) = run.owner();
        assert_eq!(
            (metadata.uid(), metadata.gid()),
            (uid.as_raw(), gid.as_raw())
        );
        assert_eq!(metadata.permissions().mode() & 0o777, 0o644);
    }
}

#[test]
fn every_listed_format_is_made_whatever_the_order() {
    for caller in callers() {
        let run = Run::build(&caller, "tar,tgz,qcow2,raw,squashfs,aci,vmdk")
            .args(["--checksum", "safedib-fake-os"]);
        let outcome = run.run().success();
        let mut expected = Vec::new();
        for format in ["aci", "qcow2", "raw", "squash", "tar", "tgz", "vmdk"] {
            expected.push(format!("image.{format}"));
            expected.push(format!("image.{format}.md5"));
            expected.push(format!("image.{format}.sha256"));
        }
        assert_eq!(outcome.files, expected, "{outcome}");
        for name in expected.iter().filter(|name| name.ends_with(".md5")) {
            tool(
                Command::new("md5sum")
                    .arg("-c")
                    .arg(name)
                    .current_dir(&run.dir),
            );
        }
        for name in expected.iter().filter(|name| name.ends_with(".sha256")) {
            tool(
                Command::new("sha256sum")
                    .arg("-c")
                    .arg(name)
                    .current_dir(&run.dir),
            );
        }
        tool(
            Command::new("/sbin/e2fsck")
                .arg("-fn")
                .arg(run.dir.join("image.raw")),
        );
        for name in ["image.qcow2", "image.vmdk"] {
            let path = run.dir.join(name);
            tool(Command::new("qemu-img").arg("check").arg(&path));
            tool(
                Command::new("qemu-img")
                    .arg("compare")
                    .arg(&path)
                    .arg(run.dir.join("image.raw")),
            );
        }
        assert_eq!(
            tar_names(&run.dir.join("image.tar")),
            tar_names(&run.dir.join("image.tgz"))
        );
        assert!(
            tar_names(&run.dir.join("image.aci")).contains(&"rootfs/bin/bash".to_string())
                || tar_names(&run.dir.join("image.aci"))
                    .contains(&"rootfs/usr/bin/bash".to_string())
        );
        tool(
            Command::new("unsquashfs")
                .arg("-l")
                .arg(run.dir.join("image.squash")),
        );
    }
}

#[test]
fn an_old_image_and_its_checksums_are_renamed() {
    for caller in callers() {
        let run = Run::build(&caller, "qcow2").args(["--checksum", "safedib-one-file"]);
        run.run().success();
        let outcome = run.run().success();
        assert!(
            outcome
                .stdout
                .contains("Old image found. Renaming it to image-"),
            "{outcome}"
        );
        assert_eq!(outcome.files.len(), 6, "{outcome}");
        let overwriting = run.env("OVERWRITE_OLD_IMAGE", "1");
        assert_eq!(overwriting.run().success().files.len(), 6);
    }
}

#[test]
fn files_of_hooks_leave_only_under_the_images_name() {
    for caller in callers() {
        let run = Run::build(&caller, "tar")
            .element_file(
                "writer",
                "cleanup.d/50-write",
                "#!/bin/bash\nset -eu\nmkdir -p $IMAGE_NAME.d/sub\necho kept > $IMAGE_NAME.d/sub/file\n\
                 sudo touch $IMAGE_NAME.kernel\necho lost > stray\n",
            )
            .args(["safedib-one-file", "writer"]);
        run.run()
            .success()
            .leaves(&["image.d", "image.kernel", "image.tar"]);
        let kept = fs::read_to_string(run.dir.join("image.d/sub/file")).unwrap();
        assert_eq!(kept, "kept\n");
        assert_eq!(
            fs::metadata(run.dir.join("image.kernel")).unwrap().uid(),
            run.owner().0.as_raw()
        );
    }
}

#[test]
fn paths_may_lead_through_parents() {
    for caller in callers() {
        let mut run = Run::new(&caller, "disk-image-create");
        for (name, place) in [
            ("ELEMENTS_PATH", "../elements"),
            ("DIB_IMAGE_CACHE", "../home/cache"),
            ("TMP_DIR", "../work/../tmp"),
        ] {
            run = run.env(name, place);
        }
        let line = ["-n", "-t", "tar", "-o", "../home/image", "safedib-fake-os"];
        let run = run.args(line);
        run.run().success().leaves(&[]);
        assert!(run.home().join("image.tar").is_file());
    }
}

#[test]
fn a_build_on_disk_leaves_nothing_and_equals_one_in_memory() {
    for caller in callers() {
        let build = |no_tmpfs: &str| {
            let run = Run::build(&caller, "tar")
                .env("DIB_NO_TMPFS", no_tmpfs)
                .args(["safedib-fake-os"]);
            run.run().success().leaves(&["image.tar"]);
            tar_names(&run.dir.join("image.tar"))
        };
        assert_eq!(build("0"), build("1"));
    }
}

#[test]
fn hooks_see_what_upstream_gives_them() {
    let outside = "#!/bin/bash\nset -eu\n\
        echo \"outside cwd=$PWD home=$HOME uid=$(id -u) target=${TARGET_ROOT-unset}\"\n\
        sudo env | sort > \"$TMP_MOUNT_PATH/sudo-env\"\n";
    let inside = "#!/bin/bash\nset -eu\n\
        echo \"inside cwd=$PWD home=$HOME path=$PATH tmpdir=${TMPDIR-unset} secret=${PYTHONPATH-unset} caller=$FROM_CALLER\"\n\
        echo \"sys $(grep -c ' /sys sysfs ro' /proc/mounts) pts $(test -c /dev/ptmx && echo yes)\"\n\
        touch /tmp/in_target.d/x 2>/dev/null && echo writable || echo read-only\n";
    for caller in callers() {
        let run = Run::build(&caller, "tar")
            .element_file("looks", "extra-data.d/50-out", outside)
            .element_file("looks", "install.d/50-in", inside)
            .env("FROM_CALLER", "yes")
            .env("TMPDIR", "/var/tmp")
            .env("PYTHONPATH", "/x")
            .args(["safedib-fake-os", "looks"]);
        let outcome = run.run().success();
        let cwd = run.dir.display();
        let home = run.home().display().to_string();
        for text in [
            format!("outside cwd={cwd} home={home} uid=0 target=unset"),
            "inside cwd=/ home=/root path=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin tmpdir=unset secret=unset caller=yes".into(),
            "sys 1 pts yes".into(),
            "| read-only".into(),
        ] {
            assert!(outcome.stdout.contains(&text), "no {text:?} in {outcome}");
        }
    }
}

#[test]
fn hooks_do_not_see_or_touch_the_host() {
    let hook = "#!/bin/bash\n\
        for path in /home/* /root/.bashrc /var/lib/dpkg/status /etc/shadow /run/systemd; do\n\
          test -s \"$path\" && [[ \"$path\" != */\\* ]] && echo \"sees $path\"\n\
        done\n\
        echo gone > /usr/share/safedib-was-here && echo gone > /etc/safedib-was-here\n\
        echo gone > /tmp/safedib-was-here\n\
        kill -0 1 && ps -e 2>/dev/null | wc -l\n\
        exit 0\n";
    for caller in callers() {
        let run = Run::build(&caller, "tar")
            .element_file("looks", "extra-data.d/50-out", hook)
            .args(["safedib-one-file", "looks"]);
        let outcome = run.run().success();
        assert!(!outcome.stdout.contains("| sees "), "{outcome}");
        for directory in ["/usr/share", "/etc", "/tmp"] {
            assert!(!Path::new(directory).join("safedib-was-here").exists());
        }
    }
}

#[test]
fn the_log_goes_where_it_is_wanted() {
    for caller in callers() {
        let run = Run::build(&caller, "tar").args(["--logfile", "build.log", "safedib-one-file"]);
        let outcome = run.run().success().leaves(&["build.log", "image.tar"]);
        assert_eq!(outcome.stdout, "Output logs going to: build.log\n");
        let log = fs::read_to_string(run.dir.join("build.log")).unwrap();
        assert!(log.contains(" | diskimage-builder version "), "{log}");
        assert!(
            log.contains("----------------------- PROFILING -----------------------"),
            "{log}"
        );
        let both = run.env("DIB_QUIET", "0").env("DIB_NO_TIMESTAMP", "1");
        let outcome = both.run().success();
        assert!(
            outcome.stdout.contains("\ndiskimage-builder version "),
            "{outcome}"
        );
    }
}

#[test]
fn breaks_run_their_command_and_the_status_stays_the_hooks() {
    for caller in callers() {
        let run = Run::build(&caller, "tar")
            .element_file(
                "breaker",
                "install.d/50-x",
                "#!/bin/bash\necho found > /tmp/mark\nexit 44\n",
            )
            .env("break", "after-error")
            .env("break_outside_target", "1")
            .env("break_cmd", "cat $TMP_MOUNT_PATH/tmp/mark || true")
            .args(["safedib-fake-os", "breaker"]);
        let outcome = run.run().failure(44, &["50-x"]);
        for text in [
            "Starting debug shell",
            "At stage after-error",
            "found",
            "Resuming",
        ] {
            assert!(outcome.stdout.contains(text), "no {text:?} in {outcome}");
        }
    }
}

/// A failed build leaves nothing but what `break_cmd`, which is the caller's own,
/// has put into the caller's directory; upstream's run_functests.sh looks there.
#[test]
fn what_break_cmd_leaves_comes_out_and_what_hooks_leave_does_not() {
    for caller in callers() {
        let build = Run::build(&caller, "tar");
        let there = build.home().with_file_name("work").join("there");
        std::fs::write(&there, "mine").unwrap();
        build.give(&there);
        let run = build
            .element_file(
                "breaker",
                "extra-data.d/50-x",
                "#!/bin/bash\necho hook > by-hook\necho hook > image.hook\n",
            )
            .element_file(
                "breaker",
                "install.d/50-x",
                "#!/bin/bash\necho found > /tmp/mark\nexit 44\n",
            )
            .env("break", "after-error")
            .env("break_outside_target", "1")
            .env(
                "break_cmd",
                "cp $TMP_MOUNT_PATH/tmp/mark by-break; cp by-break there; ls",
            )
            .args(["safedib-fake-os", "breaker"]);
        let outcome = run.run().failure(44, &["50-x"]);
        let text = |name: &str| std::fs::read_to_string(there.with_file_name(name)).unwrap();
        assert_eq!(text("by-break"), "found\n", "{outcome}");
        assert_eq!(text("there"), "mine", "{outcome}");
        let said = outcome.stdout.contains("Cannot bring out");
        assert!(said, "{outcome}");
        outcome.leaves(&["by-break", "there"]);
    }
}

#[test]
fn a_partitioned_disk_is_assembled_without_loop_devices() {
    for (layout, label) in [("mbr", "dos"), ("gpt", "gpt")] {
        let config = format!(
            "- local_loop:\n    name: image0\n- partitioning:\n    base: image0\n    label: {label}\n    partitions:\n\
             \x20     - name: root\n        flags: [ boot, primary ]\n        size: 100%\n        mkfs:\n          name: mkfs_root\n\
             \x20         mount:\n            mount_point: /\n            fstab:\n              options: defaults\n              fsck-passno: 1\n",
            label = layout
        );
        let config = if layout == "gpt" {
            config.replace("boot, primary", "")
        } else {
            config
        };
        for caller in callers() {
            let run = Run::build(&caller, "raw")
                .env("DIB_BLOCK_DEVICE_CONFIG", config.clone())
                .env("DIB_IMAGE_SIZE", "0.2")
                .args(["safedib-fake-os"]);
            run.run().success().leaves(&["image.raw"]);
            let disk = run.dir.join("image.raw");
            let table = tool(Command::new("/sbin/sfdisk").arg("--json").arg(&disk));
            let table: serde_json::Value = serde_json::from_str(&table).unwrap();
            assert_eq!(table["partitiontable"]["label"], label);
            let partition = &table["partitiontable"]["partitions"][0];
            let offset = partition["start"].as_u64().unwrap() * 512;
            assert_eq!(offset, 1 << 20);
            tool(
                Command::new("/sbin/e2fsck")
                    .arg("-fn")
                    .arg(format!("{}?offset={offset}", disk.display())),
            );
            let fstab = tool(
                Command::new("/sbin/debugfs")
                    .args(["-R", "cat /etc/fstab"])
                    .arg(format!("{}?offset={offset}", disk.display())),
            );
            assert_eq!(fstab, "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n");
        }
    }
}
