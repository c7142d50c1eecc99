//! Where the image is made.

use std::collections::BTreeSet;

use crate::common::callers;
use crate::place::{noisy, plain, Place};

/// The words for a full filesystem of the outputs of `place`.
fn full(place: &Place, why: &str) -> String {
    format!(
        "the filesystem of {} (where the image is made) {why}",
        place.inner().dir.display()
    )
}

#[test]
fn each_format_that_finds_no_room_says_where() {
    for (format, mib, tool) in [
        ("tar", 2, "tar failed"),
        ("aci", 2, "tar failed"),
        ("squashfs", 2, "mksquashfs failed"),
        ("raw", 2, "image.raw: No space left on device"),
        ("qcow2", 2, "qemu-img failed"),
        ("vhd", 2, "qemu-img failed"),
        ("vmdk", 2, "qemu-img failed"),
        // The tar has room, what is compressed has not.
        ("tgz", 6, "gz"),
    ] {
        let run = noisy(&callers()[0], format);
        let at = run.dir.clone();
        let place = Place::of(run).tmpfs(&at, &format!("size={mib}m"));
        let full = full(&place, "");
        let Some(seen) = place.run() else { return };
        let size = format!(" of {mib} MiB are free");
        let outcome = seen.fails(&[tool, &full, &size, "choose another place with -o"]);
        assert!(outcome.stdout.contains("noise is made"), "{outcome}");
    }
}

/// The room grows until all outputs have some: on the way each site of a write
/// is the one that fails.
#[test]
fn with_less_room_than_all_outputs_take_there_is_none() {
    let mut failed = BTreeSet::new();
    for mib in [1, 5, 11, 30] {
        let run = noisy(callers().last().unwrap(), "tar,qcow2,raw").args(["--checksum"]);
        let at = run.dir.clone();
        let place = Place::of(run).tmpfs(&at, &format!("size={mib}m"));
        let full = full(&place, "");
        let Some(seen) = place.run() else { return };
        if seen.outcome.status == 0 {
            assert_eq!(mib, 30, "{}", seen.outcome);
            let names = seen.names();
            assert_eq!(names.len(), 11, "{names:?}");
            continue;
        }
        let outcome = seen.fails(&[&full]);
        let words = ["tar failed", "qemu-img failed", "image.raw"];
        let site = words.iter().find(|words| outcome.stderr.contains(**words));
        failed.insert(*site.unwrap_or_else(|| panic!("{outcome}")));
    }
    assert_eq!(failed.len(), 3, "{failed:?}");
}

#[test]
fn a_checksum_that_cannot_be_written_leaves_the_old_images() {
    for caller in callers() {
        let run = plain(&caller, "tar").args(["--checksum"]);
        let at = run.dir.clone();
        // The directory, the images of yesterday, staging, the tar, one checksum.
        let place = Place::of(run).tmpfs(&at, "nr_inodes=6");
        let Some(seen) = place.run() else { return };
        seen.fails(&[
            "image.tar.sha256: No space left on device",
            "free space on the filesystem of ",
            "choose another place with -o",
        ]);
    }
}

#[test]
fn no_room_at_all_is_refused_early() {
    for caller in callers() {
        let run = plain(&caller, "tar");
        let (at, shown) = (run.dir.clone(), run.dir.display().to_string());
        let room = format!("free space on the filesystem of {shown}, or choose another place");
        let place = Place::of(run).tmpfs(&at, "nr_inodes=3");
        let Some(seen) = place.run() else { return };
        let why = format!("cannot write the image into {shown}: ");
        seen.fails_early(&[&why, &room, "-o"]);

        let run = plain(&caller, "tar");
        let (at, shown) = (run.dir.clone(), run.dir.display().to_string());
        let place = Place::of(run).tmpfs(&at, "size=64k");
        let why = format!("cannot write the image into {shown}: ");
        let fill = format!("cat /dev/zero > {shown}/filler 2>/dev/null || true");
        let Some(seen) = place.run_then(&fill) else {
            return;
        };
        seen.fails_early(&[&why, "free space"]);
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_early() {
    for caller in callers() {
        let run = plain(&caller, "tar");
        let shown = run.dir.display().to_string();
        let place = Place::of(run);
        // Bound to itself, so that the mount can be read-only below its files.
        let read_only = place.and(&format!("mount --bind {shown} {shown}"));
        let Some(seen) = read_only.run_then(&format!("mount -o remount,bind,ro {shown}")) else {
            return;
        };
        let why = format!("cannot write the image into {shown}: Read-only file system");
        let hint = format!(
            "mount the filesystem of {shown} so that it can be written, or choose another place with -o"
        );
        seen.fails_early(&[&why, &hint]);
    }
    let run = plain(&callers()[0], "tar");
    if run.owner().0.is_root() {
        return;
    }
    let shown = run.dir.display().to_string();
    let place = Place::of(run).and(&format!("chown 0:0 {shown}; chmod 755 {shown}"));
    let Some(seen) = place.run() else { return };
    let why = format!("cannot write the image into {shown}: Permission denied");
    seen.fails_early(&[&why, "let yourself write to"]);
}

#[test]
fn outputs_may_be_on_another_filesystem_than_the_build() {
    for caller in callers() {
        for no_tmpfs in ["0", "1"] {
            let run = noisy(&caller, "tar,raw,qcow2,squashfs")
                .args(["--checksum"])
                .env("DIB_NO_TMPFS", no_tmpfs);
            let at = run.dir.clone();
            let place = Place::of(run).tmpfs(&at, "size=60m");
            let Some(seen) = place.run() else { return };
            let names = seen.succeeds().names();
            for name in ["image.raw", "image.squash.sha256", "image.qcow2.md5"] {
                assert!(names.contains(&name.to_owned()), "{names:?}");
            }
            let old = names.iter().filter(|name| name.starts_with("image-"));
            assert_eq!(old.count(), 2, "{names:?}");
        }
    }
}
