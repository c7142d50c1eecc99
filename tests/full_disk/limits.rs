//! The caller's limit on the size of files (`ulimit -f`).

use crate::common::{callers, Run};
use crate::place::{noisy, plain, Place};

const HINT: &str = "raise the limit on the size of files before the build: ulimit -f unlimited";

/// The run with this limit, bytes.
fn limited(run: Run, bytes: u64) -> Place {
    Place::of(run.through(&["prlimit", &format!("--fsize={bytes}"), "--"]))
}

#[test]
fn a_disk_that_is_larger_is_refused_early() {
    for caller in callers() {
        for format in ["raw", "qcow2"] {
            let run = plain(&caller, format).args(["--image-size", "1"]);
            let Some(seen) = limited(run, 1 << 29).run() else {
                return;
            };
            seen.fails_early(&[
                "the image's raw disk has 1073741824 bytes",
                "no file may have more than 536870912 here (ulimit -f)",
                HINT,
            ]);
        }
        // Of a tar nothing is known.
        let run = plain(&caller, "tar").args(["--image-size", "1"]);
        let Some(seen) = limited(run, 1 << 29).run() else {
            return;
        };
        seen.succeeds();
    }
}

#[test]
fn whatever_grows_beyond_it_is_told_of_it() {
    for caller in callers() {
        // Each file of the tree has 2 MiB.
        for (format, bytes, tool) in [
            (
                "tar",
                1 << 20,
                "hook `60-noise` of element `hooked` failed in phase root",
            ),
            ("tar", 3 << 20, "tar failed"),
            ("squashfs", 3 << 20, "mksquashfs failed"),
            ("raw", 3 << 20, "File too large"),
        ] {
            let Some(seen) = limited(noisy(&caller, format), bytes).run() else {
                return;
            };
            let limit = format!("no file may have more than {bytes} bytes here (ulimit -f)");
            let outcome = seen.fails(&[tool, &limit, HINT]);
            assert!(!outcome.stderr.contains("died"), "{outcome}");
        }
    }
}

/// The sandbox itself copies files of some kilobytes.
#[test]
fn next_to_nothing_is_told_of_it_too() {
    for caller in callers() {
        for bytes in [0, 10] {
            let Some(seen) = limited(plain(&caller, "tar"), bytes).run() else {
                return;
            };
            seen.fails(&["File too large", HINT]);
        }
    }
}
