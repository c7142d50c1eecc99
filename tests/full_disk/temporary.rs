//! Below `TMP_DIR`, and in memory.

use std::collections::BTreeSet;

use crate::common::callers;
use crate::place::{hooked, noisy, plain, Place};

/// The words for a full `TMP_DIR` of `place`.
fn full(place: &Place, why: &str) -> String {
    format!(
        "the filesystem of {} (TMP_DIR) {why}",
        place.inner().tmp().display()
    )
}

/// The room grows: first the tree finds none, then the disk that is made of it.
#[test]
fn with_less_room_than_the_build_takes_the_step_is_named_and_the_place() {
    for caller in callers() {
        let mut failed = BTreeSet::new();
        for mib in [1, 3, 5, 7, 20] {
            let run = noisy(&caller, "raw,tar").env("DIB_NO_TMPFS", "1");
            let at = run.tmp();
            let place = Place::of(run).tmpfs(&at, &format!("size={mib}m"));
            let full = full(&place, "");
            let Some(seen) = place.run() else { return };
            if seen.outcome.status == 0 {
                assert_eq!(mib, 20, "{}", seen.outcome);
                continue;
            }
            let size = format!(" of {mib} MiB are free");
            let hint = "free space there, or set TMP_DIR to another directory";
            let outcome = seen.fails(&[&full, &size, hint, "No space left on device"]);
            let hook = "hook `60-noise` of element `hooked` failed in phase root";
            let words = [hook, "mkfs.ext4 failed"];
            let site = words.iter().find(|words| outcome.stderr.contains(**words));
            failed.insert(*site.unwrap_or_else(|| panic!("{outcome}")));
        }
        assert_eq!(failed.len(), 2, "{failed:?}");
    }
}

#[test]
fn inodes_are_counted_too() {
    let text = "for number in $(seq 200); do : > $TARGET_ROOT/$number; done";
    let run = hooked(plain(&callers()[0], "tar"), "root.d/60-many", text);
    let run = run.env("DIB_NO_TMPFS", "1");
    let at = run.tmp();
    let place = Place::of(run).tmpfs(&at, "nr_inodes=120");
    let full = full(&place, "is full: no inode is free");
    let Some(seen) = place.run() else { return };
    seen.fails(&["hook `60-many`", &full, "set TMP_DIR"]);
}

/// Not even the agent's own files.
#[test]
fn a_full_directory_is_refused_early() {
    for caller in callers() {
        let run = plain(&caller, "tar").env("DIB_NO_TMPFS", "1");
        let at = run.tmp();
        let why = format!("cannot use {} as TMP_DIR: ", at.display());
        let place = Place::of(run).full(&at);
        let Some(seen) = place.run() else { return };
        seen.fails_early(&[&why, "free space on the filesystem of", "set TMP_DIR"]);
    }
}

#[test]
fn a_read_only_directory_is_refused_early_and_matters_on_disk_only() {
    for caller in callers() {
        for no_tmpfs in ["1", "0"] {
            let run = plain(&caller, "tar,raw").env("DIB_NO_TMPFS", no_tmpfs);
            let at = run.tmp();
            let why = format!(
                "cannot use {} as TMP_DIR: Read-only file system",
                at.display()
            );
            let place = Place::of(run).tmpfs(&at, "ro,size=1m");
            let Some(seen) = place.run() else { return };
            match no_tmpfs {
                "1" => seen.fails_early(&[&why, "so that it can be written", "set TMP_DIR"]),
                _ => drop(seen.succeeds()),
            }
        }
    }
}

/// As upstream: less than twice `DIB_MIN_TMPFS` of memory, and it falls to disk.
#[test]
fn too_little_memory_for_a_tmpfs_is_told_and_the_disk_is_used() {
    for caller in callers() {
        let text = "stat -f -c 'the tree is on %T' $TARGET_ROOT";
        let run = |least: &str| {
            let run = hooked(plain(&caller, "tar"), "root.d/60-where", text);
            run.env("DIB_MIN_TMPFS", least)
        };
        let on_disk = run("1000000");
        let line = format!(
            "WARNING: Not enough RAM to use tmpfs for build. Using {}. (",
            on_disk.tmp().display()
        );
        let outcome = on_disk.run().success();
        assert!(outcome.stdout.contains(&line), "{outcome}");
        assert!(outcome.stdout.contains("< 2000000G)"), "{outcome}");
        assert!(!outcome.stdout.contains("on tmpfs"), "{outcome}");
        // Neither asks for more than this machine has.
        let outcome = run("1").run().success();
        assert!(!outcome.stdout.contains("Not enough RAM"), "{outcome}");
        assert!(outcome.stdout.contains("the tree is on tmpfs"), "{outcome}");
    }
}

/// No memory is used up: the kernel refuses what is more than the tmpfs may have.
#[test]
fn a_build_that_fills_its_memory_is_told_of_the_disk() {
    let text = "fallocate -l 1P $TMP_BUILD_DIR/much";
    let run = hooked(plain(&callers()[0], "tar"), "root.d/60-much", text);
    let below = format!("to build below TMP_DIR ({})", run.tmp().display());
    let place = Place::of(run);
    let Some(seen) = place.run() else { return };
    seen.fails(&[
        "hook `60-much`",
        "No space left on device",
        "temporary trees: in memory, of which they get at most half",
        "use --no-tmpfs (DIB_NO_TMPFS=1)",
        &below,
    ]);
}
