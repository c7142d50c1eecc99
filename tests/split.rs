//! Builds whose parts run in different appliances: what comes out is the same.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::machine::{machine, same_trees, TCG};
use common::{callers, tool, Caller, Run};

/// What a hand-over could lose, made by a hook outside the target.
const TREE: &str = r#"#!/bin/bash
set -eu
cd "$TMP_MOUNT_PATH"
mkdir -p odd/empty
echo text > odd/file
ln odd/file odd/hard
ln -s ../odd/file odd/soft
cp /bin/true odd/able
setcap cap_net_raw+ep odd/able
chown 12:34 odd/file
chmod 4711 odd/able
setfattr -n user.note -v kept odd/file
mkfifo odd/pipe
mknod odd/null c 1 3
truncate -s 1M odd/sparse
touch -d '2001-02-03 04:05:06.789' odd/old
echo "a name" > $'odd/a\nname'
"#;

const EARLY: &str = r#"#!/bin/bash
set -eu
echo build > "$TMP_BUILD_DIR/left"
echo image > "$TMP_IMAGE_DIR/left"
echo early > "$IMAGE_NAME.early"
mkdir built
echo cwd > built/left
[ "$(dib-block-device getval root-label)" = main ]
"#;

const DEVICE: &str = r#"#!/bin/bash
set -eu
read -r first _ < <(echo "$IMAGE_BLOCK_DEVICES")
[ -b "$IMAGE_BLOCK_DEVICE" ]
[ "$(dib-block-device getval image-block-device)" = "$IMAGE_BLOCK_DEVICE" ]
echo "device $IMAGE_BLOCK_DEVICE of $first size $DIB_IMAGE_SIZE"
"#;

const LATE: &str = r#"#!/bin/bash
set -eu
echo "left $(cat "$TMP_BUILD_DIR/left" "$TMP_IMAGE_DIR/left" built/left "$IMAGE_NAME.early" | tr '\n' ' ')"
echo "root $(findmnt -n -o FSTYPE "$TMP_MOUNT_PATH" || true)"
echo late > "$IMAGE_NAME.late"
# mkfs makes it in ext2, ext3 and ext4 only.
[ ! -d "$TMP_MOUNT_PATH/lost+found" ] || rmdir "$TMP_MOUNT_PATH/lost+found"
"#;

fn elements(caller: &Caller, words: &[&str]) -> Run {
    Run::new(caller, "disk-image-create")
        .element_file("keeper", "post-root.d/50-tree", TREE)
        .element_file("keeper", "extra-data.d/50-early", EARLY)
        .element_file("keeper", "cleanup.d/50-late", LATE)
        .element_file("reader", "pre-finalise.d/50-device", DEVICE)
        .env("DIB_BLOCK_DEVICE_CONFIG", GPT)
        .args(["-n", "-o", "image", "--image-size", "1"])
        .args(["safedib-fake-os", "keeper"])
        .args(words.iter().copied())
}

fn rename(run: &Run, from: &str, to: &str) {
    fs::rename(run.dir.join(from), run.dir.join(to)).unwrap();
}

fn partition_types(disk: &Path) -> String {
    let table = tool(Command::new("sfdisk").arg("--dump").arg(disk));
    let lines = table.lines().filter(|line| line.contains("start="));
    lines.map(|line| line.split_once(':').unwrap().1).collect()
}

const GPT: &str = "[{local_loop: {name: image0}}, {partitioning: {base: image0, label: gpt, \
    partitions: [{name: boot, type: EF02, size: 8MiB}, {name: root, type: '8300', size: 100%}]}}, \
    {mkfs: {name: mkfs_root, base: root, type: ext4, label: main, mount: {mount_point: /, \
    fstab: {options: defaults}}}}]";

#[test]
fn a_split_build_gives_what_one_appliance_gives() {
    let Some(_machine) = machine() else { return };
    for caller in callers() {
        let run = elements(&caller, &["-t", "tar,raw"]);
        run.run().success();
        rename(&run, "image.tar", "namespace.tar");
        rename(&run, "image.raw", "namespace.raw");
        let run = run.args(["reader"]);
        let split = run.run().success();
        for text in [
            "safedib: namespace appliance for steps 1 to ",
            "pre-finalise.d/50-device of element 'reader', line 3: it uses IMAGE_BLOCK_DEVICE",
            "device /dev/loop0 of [image0]=/dev/loop0 size ",
            "left build image cwd early",
            "root ext4",
        ] {
            assert!(split.stdout.contains(text), "no {text:?} in {split}");
        }
        for file in ["image.early", "image.late"] {
            let text = fs::read_to_string(run.dir.join(file)).unwrap();
            assert_eq!(text.trim(), file.trim_start_matches("image."));
        }
        same_trees(&run.dir, "namespace.tar", "image.tar");
        rename(&run, "image.tar", "split.tar");
        rename(&run, "image.raw", "split.raw");

        let run = run.args(TCG);
        run.run().success();
        same_trees(&run.dir, "split.tar", "image.tar");
        let uuid = |part: &str| !part.trim_start().starts_with("uuid=");
        let table = |file: &str| {
            let types = partition_types(&run.dir.join(file));
            let fields: Vec<&str> = types.split(',').filter(|part| uuid(part)).collect();
            fields.join(",")
        };
        assert_eq!(table("namespace.raw"), table("split.raw"));
        assert_eq!(table("split.raw"), table("image.raw"));
        let size = |file: &str| fs::metadata(run.dir.join(file)).unwrap().len();
        assert_eq!(size("namespace.raw"), size("split.raw"));
        assert_eq!(size("split.raw"), size("image.raw"));
    }
}

/// Root filesystems that are filled through a mount.
#[test]
fn filesystems_that_are_not_assembled_hold_the_same_tree() {
    let Some(_machine) = machine() else { return };
    let caller = callers().pop().unwrap();
    let plain = elements(&caller, &["-t", "tar"]).env(
        "DIB_BLOCK_DEVICE_CONFIG",
        "[{local_loop: {name: image0}}, {mkfs: {name: mkfs_root, base: image0, type: ext4, \
         label: main, mount: {mount_point: /}}}]",
    );
    plain.run().success();
    for (root, config) in [
        (
            "xfs",
            "[{local_loop: {name: image0}}, {mkfs: {name: mkfs_root, base: image0, type: xfs, \
             label: main, mount: {mount_point: /}}}]",
        ),
        (
            "ext4",
            "[{local_loop: {name: image0, block_size: 4096}}, {lvm: {name: lvm, \
             pvs: [{name: pv, base: image0}], vgs: [{name: vg, base: [pv]}], \
             lvs: [{name: lv, base: vg, extents: 100%VG}]}}, {mkfs: {name: mkfs_root, \
             base: lv, type: ext4, label: main, mount: {mount_point: /}}}]",
        ),
    ] {
        let run = elements(&caller, &["-t", "tar,raw"]).env("DIB_BLOCK_DEVICE_CONFIG", config);
        let outcome = run.run().success();
        assert!(
            outcome.stdout.contains(&format!("root {root}\n")),
            "{outcome}"
        );
        fs::copy(plain.dir.join("image.tar"), run.dir.join("plain.tar")).unwrap();
        same_trees(&run.dir, "plain.tar", "image.tar");
    }
}

/// A root.d hook that mounts an image, as those of cloud images do.
#[test]
fn what_mounts_an_image_runs_in_a_machine_and_the_rest_does_not() {
    let Some(_machine) = machine() else { return };
    let mounts = r#"#!/bin/bash
set -eu
truncate -s 8M "$TMP_BUILD_DIR/disk"
mkfs.ext4 -q "$TMP_BUILD_DIR/disk"
device=$(losetup --find --show "$TMP_BUILD_DIR/disk")
mkdir "$TMP_BUILD_DIR/at"
mount "$device" "$TMP_BUILD_DIR/at"
echo "kernel $(uname -r)" > "$TMP_BUILD_DIR/at/from"
cp "$TMP_BUILD_DIR/at/from" "$TARGET_ROOT/from"
umount "$TMP_BUILD_DIR/at"
losetup -d "$device"
"#;
    for caller in callers() {
        let run = elements(&caller, &["-t", "tar", "cloud"])
            .element_file("cloud", "root.d/15-cloud", mounts)
            .element_file(
                "cloud",
                "extra-data.d/60-kernel",
                "#!/bin/bash\necho \"first $(cat $TMP_MOUNT_PATH/from), then $(uname -r)\"\n\
                 rm $TMP_MOUNT_PATH/from\n",
            );
        let outcome = run.run().success();
        let line = outcome
            .stdout
            .lines()
            .find_map(|line| line.split_once("first kernel "))
            .expect("the hook's line")
            .1;
        let (first, then) = line.split_once(", then ").unwrap();
        assert_ne!(first, then, "{outcome}");
        rename(&run, "image.tar", "moved.tar");
        let plain = elements(&caller, &["-t", "tar"]);
        plain.run().success();
        fs::copy(plain.dir.join("image.tar"), run.dir.join("plain.tar")).unwrap();
        same_trees(&run.dir, "plain.tar", "moved.tar");
    }
}

/// Programs that upstream's extract-image runs in the image that it unpacks.
const PACKER: &str = r#"#!/bin/bash
set -eu
for program in /bin/tar /bin/gzip; do
    cp "$program" "$TMP_MOUNT_PATH/usr/bin/"
    ldd "$program" | grep -o '/[^ ]* (0x' | cut -d' ' -f1 | while read -r library; do
        mkdir -p "$TMP_MOUNT_PATH${library%/*}"
        cp -L "$library" "$TMP_MOUNT_PATH$library"
    done
done
"#;

/// What root.d hooks of cloud-image elements do with a local image.
const CLOUD: &str = r#"#!/bin/bash
set -eu
file=$(basename "$DIB_LOCAL_IMAGE")
"$TMP_HOOKS_PATH/bin/extract-image" "$file" "$file.tgz" "$DIB_LOCAL_IMAGE" "$DIB_LOCAL_IMAGE"
"#;

/// An image that a build made is the base of the next one, by upstream's own
/// extract-image; the second time from its cache.
#[test]
fn our_own_image_is_a_base_image() {
    let Some(_machine) = machine() else { return };
    let upstream = Path::new(env!("CARGO_MANIFEST_DIR")).join(
        "upstream-fixtures/cache/diskimage-builder-3.43.0/diskimage_builder/elements/\
         sysprep/bin/extract-image",
    );
    let extract = fs::read_to_string(&upstream).expect("scripts/fetch-fixtures was run");
    for caller in callers() {
        let base = elements(&caller, &["-t", "qcow2,tar", "packer"]).element_file(
            "packer",
            "post-root.d/60-packer",
            PACKER,
        );
        base.run().success();
        let cloud = |words: &[&str]| {
            let run = Run::new(&caller, "disk-image-create")
                .element_file("cloud", "element-provides", "operating-system\n")
                .element_file("cloud", "bin/extract-image", &extract)
                .element_file("cloud", "root.d/10-cloud", CLOUD)
                .element_file(
                    "cloud",
                    "cleanup.d/50-lost",
                    "#!/bin/bash\nrmdir $TMP_MOUNT_PATH/lost+found\n",
                )
                .env("DIB_LOCAL_IMAGE", base.dir.join("image.qcow2"))
                .env("DIB_IMAGE_CACHE", base.home().join("cache"))
                .env("DIB_BLOCK_DEVICE_CONFIG", GPT)
                .args(["-n", "-o", "image", "-t", "tar", "cloud"]);
            run.args(words.iter().copied())
        };
        let first = cloud(&[]);
        let outcome = first.run().success();
        assert!(
            outcome.stdout.contains("Repacking base image as tarball."),
            "{outcome}"
        );
        fs::copy(base.dir.join("image.tar"), first.dir.join("base.tar")).unwrap();
        same_trees(&first.dir, "base.tar", "image.tar");
        let again = cloud(&[]);
        let outcome = again.run().success();
        assert!(outcome.stdout.contains("Using cached tar"), "{outcome}");
        fs::copy(base.dir.join("image.tar"), again.dir.join("base.tar")).unwrap();
        same_trees(&again.dir, "base.tar", "image.tar");
    }
}
