//! The image cache, and our own.

use std::path::PathBuf;

use crate::common::{callers, Caller, Run};
use crate::place::{hooked, plain, Place};

/// What says that there is no journal.
const NO_JOURNAL: &str = "WARNING safedib: cannot write to ";

/// A build whose hook downloads 3 MB into the image cache, and the cache.
fn downloading(caller: &Caller) -> (Run, PathBuf) {
    let text = "head -c 3M /dev/zero > $DIB_IMAGE_CACHE/download";
    let run = hooked(plain(caller, "tar"), "root.d/60-download", text);
    let cache = run.home().join("images");
    (run.env("DIB_IMAGE_CACHE", &cache), cache)
}

#[test]
fn a_full_image_cache_is_told_as_such() {
    for caller in callers() {
        let (run, cache) = downloading(&caller);
        let full = format!(
            "the filesystem of {} (DIB_IMAGE_CACHE) is full: 0 of 1 MiB are free",
            cache.display()
        );
        let Some(seen) = Place::of(run).tmpfs(&cache, "size=1m").run() else {
            return;
        };
        let outcome = seen.fails(&[
            "hook `60-download` of element `hooked` failed",
            &full,
            "free space there, or set DIB_IMAGE_CACHE to another directory",
        ]);
        assert!(!outcome.stderr.contains("TMP_DIR"), "{outcome}");
    }
}

/// A cache that is only read serves a build that finds all there.
#[test]
fn an_image_cache_that_cannot_be_written_is_told_before_the_hooks() {
    for caller in callers() {
        let warning = |cache: &PathBuf| {
            format!(
                "WARNING safedib: nothing can be written to {} (Read-only file system",
                cache.display()
            )
        };
        let (run, cache) = downloading(&caller);
        let Some(seen) = Place::of(run).tmpfs(&cache, "ro,size=1m").run() else {
            return;
        };
        let stdout = &seen.outcome.stdout;
        let (before, _) = stdout.split_once("Building in ").unwrap();
        assert!(before.contains(&warning(&cache)), "{}", seen.outcome);
        assert_eq!(seen.outcome.status, 1, "{}", seen.outcome);
        let said = &seen.outcome.stderr;
        assert!(said.contains("Read-only file system"), "{}", seen.outcome);

        let run = plain(&caller, "tar");
        let cache = run.home().join("images");
        let run = run.env("DIB_IMAGE_CACHE", &cache);
        let Some(seen) = Place::of(run).tmpfs(&cache, "ro,size=1m").run() else {
            return;
        };
        let seen = seen.succeeds();
        assert!(
            seen.outcome.stdout.contains(&warning(&cache)),
            "{}",
            seen.outcome
        );
    }
}

#[test]
fn an_image_cache_that_cannot_be_made_is_refused_early() {
    for caller in callers() {
        let run = plain(&caller, "tar");
        let above = run.home().join("of-others");
        let cache = above.join("images");
        let run = run.env("DIB_IMAGE_CACHE", &cache);
        let Some(seen) = Place::of(run).tmpfs(&above, "ro,size=1m").run() else {
            return;
        };
        let why = format!("cannot use {} as DIB_IMAGE_CACHE: ", cache.display());
        seen.fails_early(&[&why, "set DIB_IMAGE_CACHE to a directory you own"]);
    }
}

/// The journal only serves who comes after two kills.
#[test]
fn a_journal_that_cannot_be_written_is_told_and_no_more() {
    for caller in callers() {
        for options in ["ro,size=1m", "nr_inodes=2", "full"] {
            let run = plain(&caller, "tar");
            let journals = run.home().join("cache/safedib/builds");
            let place = Place::of(run);
            let place = match options {
                "full" => place.full(&journals),
                options => place
                    .tmpfs(&journals, options)
                    .and(&format!("mkdir {0}/filler || true", journals.display())),
            };
            let Some(seen) = place.run() else { return };
            let seen = seen.succeeds();
            let line = format!("{NO_JOURNAL}{}", journals.display());
            let said = seen.outcome.stdout.matches(&line).count();
            assert_eq!(said, 1, "{options}: {}", seen.outcome);
            assert!(seen.names().contains(&"image.tar".to_owned()));
        }
    }
}

/// It fills while the outputs are renamed: they all are.
#[test]
fn a_journal_that_fills_up_among_the_renames_stops_none() {
    let name = "n".repeat(60);
    let run =
        plain(&callers()[0], "tar,tgz,raw,qcow2,squashfs,vhd").args(["--checksum", "-o", &name]);
    let journals = run.home().join("cache/safedib/builds");
    let Some(seen) = Place::of(run).tmpfs(&journals, "size=4k").run() else {
        return;
    };
    let seen = seen.succeeds();
    let (before, after) = seen.outcome.stdout.split_once("Building in ").unwrap();
    assert!(!before.contains(NO_JOURNAL), "{}", seen.outcome);
    assert!(after.contains(NO_JOURNAL), "{}", seen.outcome);
    assert_eq!(seen.names().len(), 2 + 18, "{:?}", seen.names());
}
