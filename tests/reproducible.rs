//! With `SOURCE_DATE_EPOCH`, builds of the same inputs give the same bytes:
//! at another time, in another directory, on another filesystem.

mod common;

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use common::{callers, tool, Caller, Run};

const EPOCH: &str = "1700000000";

/// Everything that varies by itself: the order in which files are made, times,
/// owners; and what is easy to lose on the way. ATTRIBUTES are set in any order.
const VARIED: &str = r#"#!/bin/bash
set -eu
[ "$(id -u)" = 0 ] || exec sudo TMP_MOUNT_PATH="$TMP_MOUNT_PATH" "$0"
cd "$TMP_MOUNT_PATH"
mkdir -p boot/efi/EFI/sub opt/varied/dir
cd opt/varied
for n in $(seq 1 200 | shuf); do
    echo "$n" > "dir/file $n"
    echo "$n" > "../../boot/efi/EFI/sub/file$n"
    ln "dir/file $n" "link-$n"
    ln -s "dir/file $n" "symlink-$n"
done
long=$(printf 'n%.0s' {1..120})
mkdir -p "$long"
for n in $(seq 1 9 | shuf); do echo "$n" > "$long/$n"; done
echo x > $'new\nline'
echo old > old
touch -d @1400000000.123456789 old dir/*7
touch -hd @1400000000 symlink-1
truncate -s 3M sparse
printf x | dd of=sparse seek=1000000 bs=1 conv=notrunc status=none
mknod console c 5 1
mknod disk b 8 0
mkfifo pipe
chown 33:44 old dir
chmod 4711 old
echo x > attributes
for n in $(printf '%s\n' ATTRIBUTES | shuf); do setfattr -n "user.$n" -v "value of $n" attributes; done
cp attributes "copy"
cat /proc/uptime > /dev/null
"#;

/// In the target, after the disk has its size.
const LATE: &str = "#!/bin/bash\nset -eu\necho late > /opt/late\nln /opt/late /boot/late\n";

const PARTITIONS: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: LABEL
    partitions:
      - {name: ESP, type: TYPE, size: 40MiB, FLAGS mkfs: {type: vfat, mount: {mount_point: /boot/efi, fstab: {options: defaults, fsck-passno: 2}}}}
      - {name: sw, FLAGS size: 8MiB, mkfs: {type: swap, label: sw0, mount: {mount_point: swap, fstab: {options: sw}}}}
      - {name: root, FLAGS size: 100%, mkfs: {type: ext4, mount: {mount_point: /, fstab: {options: defaults}}}}
";

fn build(caller: &Caller, formats: &str, attributes: &str, no_tmpfs: &str) -> Run {
    let varied = VARIED.replace("ATTRIBUTES", attributes);
    Run::build(caller, formats)
        .element_file("varied", "post-root.d/50-varied", &varied)
        .element_file("varied", "finalise.d/50-late", LATE)
        .env("DIB_NO_TMPFS", no_tmpfs)
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .args(["safedib-fake-os", "varied"])
}

/// Fails unless two builds leave the same bytes under every name.
#[track_caller]
fn assert_same(one: &Run, other: &Run, names: &[&str]) {
    for name in names {
        let [one, other] = [one, other].map(|run| fs::read(run.dir.join(name)).unwrap());
        assert_eq!(one.len(), other.len(), "size of {name}");
        let differs = || one.iter().zip(&other).position(|(one, other)| one != other);
        assert!(one == other, "{name} differs at byte {:?}", differs());
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let names = [
        "image.aci",
        "image.qcow2",
        "image.raw",
        "image.squash",
        "image.tar",
        "image.tgz",
    ];
    for caller in callers() {
        let formats = "aci,tar,tgz,squashfs,raw,qcow2";
        let runs = ["0", "1"].map(|no_tmpfs| {
            let run = build(&caller, formats, "one", no_tmpfs);
            fs::write(run.dir.join("manifest"), "{}").unwrap();
            // Large enough for the tree to decide about the size.
            let run = run
                .env("ACI_MANIFEST", "manifest")
                .env("DIB_JOURNAL_SIZE", "16")
                .env("DIB_IMAGE_EXTRA_SIZE", "40");
            let outcome = run.run().success();
            assert!(!outcome.stdout.contains("will differ"), "{outcome}");
            // Times are written as whole seconds.
            sleep(Duration::from_millis(1100));
            run
        });
        assert_same(&runs[0], &runs[1], &names);
        let raw = runs[0].dir.join("image.raw");
        tool(std::process::Command::new("e2fsck").arg("-fn").arg(&raw));
        assert_no_later_times(&runs[0].dir);
    }
}

fn assert_no_later_times(directory: &Path) {
    let listing = tool(
        std::process::Command::new("tar")
            .args(["--utc", "--full-time", "-tvf", "image.tar"])
            .current_dir(directory),
    );
    let late = listing
        .lines()
        .find(|line| line.split_whitespace().nth(3) > Some("2023-11-14"));
    assert_eq!(late, None);
    assert!(listing.contains("2014-05-13 16:53:20.123456789 ./opt/varied/old"));
}

#[test]
fn partitions_are_the_same_on_other_filesystems_too() {
    for caller in callers() {
        for (label, kind, flags) in [("gpt", "'EF00'", ""), ("mbr", "'EF'", "flags: [primary], ")] {
            let config = PARTITIONS
                .replace("LABEL", label)
                .replace("TYPE", kind)
                .replace("FLAGS", flags);
            let runs = ["0", "1"].map(|no_tmpfs| {
                let run = build(&caller, "tar,raw", "one two three", no_tmpfs)
                    .env("DIB_BLOCK_DEVICE_CONFIG", config.clone())
                    .env("DIB_IMAGE_SIZE", "0.2");
                run.run().success();
                sleep(Duration::from_millis(1100));
                run
            });
            assert_same(&runs[0], &runs[1], &["image.raw", "image.tar"]);
        }
    }
}

#[test]
fn another_image_has_other_identifiers() {
    for caller in callers() {
        let uuid = |run: Run| {
            run.run().success();
            let name = match run.dir.join("other.raw").exists() {
                true => "other.raw",
                false => "image.raw",
            };
            tool(
                std::process::Command::new("blkid")
                    .args(["-p", "-o", "value", "-s", "UUID", name])
                    .current_dir(&run.dir),
            )
        };
        let plain = || Run::build(&caller, "raw").args(["safedib-fake-os"]);
        let dated = || plain().env("SOURCE_DATE_EPOCH", EPOCH);
        let one = uuid(dated());
        assert_eq!(one.as_bytes()[14], b'8', "version of {one}");
        assert_ne!(one, uuid(dated().args(["-o", "other"])));
        assert_ne!(one, uuid(plain().env("SOURCE_DATE_EPOCH", "1700000001")));
        assert_eq!(uuid(plain()).as_bytes()[14], b'4');
    }
}

#[test]
fn what_is_no_time_is_refused_before_work_starts() {
    for caller in callers() {
        for value in ["yesterday", "1700000000000", "-1", "1.5"] {
            Run::build(&caller, "tar")
                .env("SOURCE_DATE_EPOCH", value)
                .args(["safedib-fake-os"])
                .run()
                .failure(1, &["SOURCE_DATE_EPOCH", value, "git log -1 --pretty=%ct"])
                .leaves(&[]);
        }
    }
}
