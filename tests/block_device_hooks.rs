//! Disks of elements that divide them by hooks of block-device.d, as
//! diskimage-builder had it until 2.4: with `vm`'s own hook of 0.1.46 and 1.28.0.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::machine::{machine, TCG};
use common::{callers, tool, Caller, Run};

/// What a boot loader's hook relies on, in the target.
const FINALISE: &str = r#"#!/bin/bash
set -eu
[ -b "$IMAGE_BLOCK_DEVICE" ]
disk=$(echo "$IMAGE_BLOCK_DEVICE" | sed -e 's#p[12]##' -e 's#mapper/##')
[ -b "$disk" ]
echo "root $IMAGE_BLOCK_DEVICE of $disk"
echo in-finalise > /finalised
"#;

const CLEANUP: &str = r#"#!/bin/bash
set -eu
echo "mounted $(findmnt -n -o SOURCE,FSTYPE,LABEL,UUID "$TARGET_ROOT" | tr -s ' ')"
echo "expected $DIB_IMAGE_ROOT_FS_UUID"
echo "fstab: $(cat "$TARGET_ROOT/etc/fstab")"
"#;

/// Before the disk is divided: the image is a whole, under both its names.
const LOOK: &str = r#"#!/bin/bash
set -eu
[ -b "$IMAGE_BLOCK_DEVICE" ]
[ "$(readlink -f "$TMP_IMAGE_PATH")" = "$IMAGE_BLOCK_DEVICE" ]
[ ! -e "$TMP_MOUNT_PATH" ]
echo "disk $IMAGE_BLOCK_DEVICE of $(blockdev --getsize64 "$IMAGE_BLOCK_DEVICE") bytes"
"#;

fn hook_of(version: &str) -> String {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "upstream-fixtures/cache",
        &format!("diskimage-builder-{version}"),
        "elements/vm/block-device.d/10-partition",
    ]
    .iter()
    .collect();
    fs::read_to_string(path).expect("scripts/fetch-fixtures was run")
}

/// A build of a small system, `vm` with that hook, and these words.
fn old(caller: &Caller, generation: &str, hook: &str, words: &[&str]) -> Run {
    elements(
        Run::new(caller, "disk-image-create"),
        generation,
        hook,
        words,
    )
}

fn elements(run: Run, generation: &str, hook: &str, words: &[&str]) -> Run {
    run.element_file("vm", "block-device.d/10-partition", hook)
        .element_file("small", "block-device.d/05-look", LOOK)
        .element_file("small", "finalise.d/50-boot", FINALISE)
        .element_file("small", "cleanup.d/50-tell", CLEANUP)
        .element_file(
            "small",
            "extra-data.d/50-fstab",
            "#!/bin/bash\necho own > $TMP_MOUNT_PATH/etc/fstab\n",
        )
        .args(["-n", "-o", "image", "--generation", generation])
        .args(["safedib-fake-os", "vm", "small"])
        .args(words.iter().copied())
}

/// Start, boot flag and size of the only partition, in sectors.
fn partition(disk: &Path) -> (u64, bool, u64) {
    let table = tool(Command::new("sfdisk").arg("--json").arg(disk));
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    let partitions = table["partitiontable"]["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 1, "{table}");
    let number = |name: &str| partitions[0][name].as_u64().unwrap();
    let bootable = partitions[0]["bootable"].as_bool().unwrap_or(false);
    (number("start"), bootable, number("size"))
}

/// The text of a file of the ext filesystem in a partition.
fn file_in(run: &Run, start: u64, path: &str) -> String {
    let part = run.dir.join("part");
    tool(
        Command::new("dd")
            .args(["bs=512", "conv=sparse", "status=none"])
            .arg(format!("skip={start}"))
            .arg(format!("if={}", run.dir.join("image.raw").display()))
            .arg(format!("of={}", part.display())),
    );
    tool(Command::new("e2fsck").args(["-fn"]).arg(&part));
    tool(
        Command::new("debugfs")
            .args(["-R", &format!("cat {path}")])
            .arg(&part),
    )
}

#[test]
fn the_hook_of_vm_divides_the_disk() {
    let Some(_machine) = machine() else { return };
    // Each as another caller, where there are two.
    let callers = callers();
    for (caller, version, generation, start) in [
        (callers.first().unwrap(), "1.28.0", "1", 2048),
        (callers.last().unwrap(), "0.1.46", "0", 255 * 63),
    ] {
        let run = old(caller, generation, &hook_of(version), &["-t", "raw,tar"]);
        // Elements in the working directory are a share within another one.
        let own = run.dir.join("own-elements");
        fs::create_dir(&own).unwrap();
        let run = run.env("ELEMENTS_PATH", &own);
        let outcome = run.run().success();
        let outcome = outcome.leaves(&["image.raw", "image.tar", "own-elements"]);
        let bytes = fs::metadata(run.dir.join("image.raw")).unwrap().len();
        let device = outcome.stdout.split("IMAGE_BLOCK_DEVICE=").nth(1).unwrap();
        let device = device.lines().next().unwrap();
        assert!(
            ["/dev/loop0p1", "/dev/mapper/loop0p1"].contains(&device),
            "{outcome}"
        );
        let uuid = outcome.stdout.split("expected ").nth(1).unwrap();
        let uuid = uuid.lines().next().unwrap();
        assert_eq!(uuid.len(), 36, "{outcome}");
        for text in [
            &format!("disk /dev/loop0 of {bytes} bytes"),
            "block-device.d/05-look of element 'small': hooks of block-device.d make",
            &format!("root {device} of /dev/loop0"),
            &format!("mounted {device} ext4 cloudimg-rootfs {uuid}"),
            "fstab: own\n",
        ] {
            let text: &str = text;
            assert!(outcome.stdout.contains(text), "no {text:?} in {outcome}");
        }
        let (begins, bootable, size) = partition(&run.dir.join("image.raw"));
        assert!(bootable);
        assert_eq!(begins, start, "{version}");
        // parted ends at a whole MiB.
        assert!(
            (begins + size) * 512 + (1 << 20) > bytes,
            "{begins} {size} {bytes}"
        );
        assert_eq!(file_in(&run, begins, "/finalised"), "in-finalise\n");
    }
}

/// Divides by other tools, with names of the image that only a file has
/// upstream, and prints more than one line for the shell.
const MAPPER: &str = r#"#!/bin/bash
set -eu
sudo sfdisk -uS --force $IMAGE_BLOCK_DEVICE <<'END'
2048,8192,83
10240,,83,*
END
sudo udevadm settle
sudo kpartx -asv $TMP_IMAGE_PATH
sudo dmsetup ls
ls -l /dev/mapper
echo "export SECOND=yes IMAGE_BLOCK_DEVICE=/dev/nothing"
echo "  IMAGE_BLOCK_DEVICE=$(echo ${IMAGE_BLOCK_DEVICE/#\/dev/\/dev\/mapper})p2; unset TMP_IMAGE_PATH"
"#;

const SECOND: &str = r#"#!/bin/bash
set -eu
echo "second $SECOND, image ${TMP_IMAGE_PATH:-unset}"
"#;

/// All in one machine.
#[test]
fn what_hooks_print_is_shell_code() {
    let Some(_machine) = machine() else { return };
    let caller = callers().swap_remove(0);
    let words = ["-t", "qcow2", "--root-label", "other", "--image-size", "1"];
    let run = old(&caller, "1", MAPPER, &words)
        .element_file("small", "finalise.d/60-second", SECOND)
        .args(TCG);
    let outcome = run.run().success().leaves(&["image.qcow2"]);
    for text in [
        "disk /dev/loop0 of 1073741824 bytes",
        "root /dev/mapper/loop0p2",
        "second yes, image unset",
        "mounted /dev/mapper/loop0p2 ext4 other",
        "Calling [dmsetup --noudevsync remove loop0p2]",
    ] {
        assert!(outcome.stdout.contains(text), "no {text:?} in {outcome}");
    }
}

#[test]
fn a_failing_hook_ends_the_build_with_1() {
    let Some(_machine) = machine() else { return };
    let caller = callers().swap_remove(0);
    let hook = "#!/bin/bash\necho IMAGE_BLOCK_DEVICE=/dev/null\necho because\nexit 7\n";
    let run = old(&caller, "1", hook, &["-t", "raw"]);
    run.run().leaves(&[]).failure(
        1,
        &[
            "hook `10-partition` of element `vm` failed in phase block-device",
            "because",
        ],
    );
}

#[test]
fn the_plan_says_who_makes_the_disk() {
    let caller = callers().swap_remove(0);
    let hook = hook_of("1.28.0");
    let run = |generation, words: &[&str]| old(&caller, generation, &hook, words);
    let plan = Run::new(&caller, "safedib").args(["plan", "disk-image-create"]);
    let plan = elements(plan, "1", &hook, &[]).run().success().leaves(&[]);
    for text in [
        "run hooks of block-device.d, which name the device for the root filesystem",
        "make the ext4 filesystem cloudimg-rootfs there, mount it",
        "vm: block-device.d divides the disk with it",
    ] {
        assert!(plan.stdout.contains(text), "no {text:?} in {plan}");
    }
    run("1", &["--appliance", "namespace"]).run().failure(
        1,
        &[
            "05-look: hooks of block-device.d make the block device",
            "--appliance auto",
        ],
    );
    run("3", &[])
        .element_file("block-device-mbr", "README", "vm asks for it")
        .run()
        .failure(1, &["generation 3 (3.43.0)", "--generation 1"]);
    run("1", &[])
        .env(
            "DIB_BLOCK_DEVICE_CONFIG",
            "[{local_loop: {name: image0}}, \
             {mkfs: {name: mkfs_root, base: image0, mount: {mount_point: /}}}]",
        )
        .run()
        .failure(1, &["DIB_BLOCK_DEVICE_CONFIG"]);
}
