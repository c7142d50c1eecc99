//! What a build prints.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::common::{callers, Caller, Run};
use crate::place::{hooked, plain, Place};

/// A build with this log file in a directory of its own, and the directory.
fn logging(run: Run, options: &[&str]) -> (Run, PathBuf, String) {
    let directory = run.home().join("logs");
    let file = directory.join("log").display().to_string();
    let run = run
        .args(options.iter().copied())
        .args(["--logfile".to_owned(), file.clone()]);
    (run, directory, file)
}

/// A build whose hook prints 100 kB, and then takes its time.
fn talkative(caller: &Caller) -> Run {
    let text = "for i in $(seq 1000); do printf '%0100d\\n' $i; done\nsleep 100";
    hooked(plain(caller, "tar"), "root.d/60-talk", text)
}

#[test]
fn a_log_file_that_takes_nothing_is_refused_early() {
    for caller in callers() {
        let (run, directory, file) = logging(plain(&caller, "tar"), &[]);
        let place = Place::of(run).full(&directory);
        // The file is there, or it could not be made at all.
        let (uid, gid) = place.inner().owner();
        let place = place.and(&format!("touch {file}; chown {uid}:{gid} {file}"));
        let Some(seen) = place.run() else { return };
        let why = format!("cannot write to the log file {file}: No space left on device");
        seen.fails_early(&[&why, "free space", "--logfile"]);

        let (run, directory, file) = logging(plain(&caller, "tar"), &[]);
        let Some(seen) = Place::of(run).tmpfs(&directory, "ro,size=1m").run() else {
            return;
        };
        let why = format!("cannot open the log file {file}: Read-only file system");
        seen.fails_early(&[&why, "--logfile"]);
    }
}

#[test]
fn a_log_file_that_fills_up_ends_the_build_soon() {
    for caller in callers() {
        for options in [&[][..], &["-x"]] {
            let (run, directory, file) = logging(talkative(&caller), options);
            let Some(seen) = Place::of(run).tmpfs(&directory, "size=64k").run() else {
                return;
            };
            let took = seen.outcome.took;
            assert!(took < Duration::from_secs(60), "{took:?}");
            let why = format!("cannot write to the log file {file}: No space left on device");
            let outcome = seen.fails(&[&why, "free space"]);
            assert!(!outcome.stdout.contains("created..."), "{outcome}");
        }
    }
}

#[test]
fn standard_output_that_takes_nothing_is_refused_early() {
    for caller in callers() {
        let run = plain(&caller, "tar").through_shell("exec > /dev/full");
        let Some(seen) = Place::of(run).run() else {
            return;
        };
        let why = "cannot write to standard output: No space left on device";
        seen.fails_early(&[why, "free space"]);
    }
}

/// The status is that of the failure, wherever the message goes.
#[test]
fn standard_error_that_takes_nothing_changes_no_status() {
    for caller in callers() {
        let run = hooked(plain(&caller, "tar"), "root.d/60-fails", "exit 7");
        let run = run.through_shell("exec 2> /dev/full");
        let Some(seen) = Place::of(run).run() else {
            return;
        };
        assert_eq!(seen.outcome.status, 7, "{}", seen.outcome);
    }
}

/// A reader that went away is no reason to end.
#[test]
fn nobody_has_to_read_the_output() {
    let run = plain(&callers()[0], "tar").through(&[
        "bash",
        "-c",
        "set -o pipefail; \"$@\" | head -n 1",
        "bash",
    ]);
    let Some(seen) = Place::of(run).run() else {
        return;
    };
    assert!(seen.succeeds().names().contains(&"image.tar".to_owned()));
}

/// The log's last line is cut by the limit on the size of files: the outputs are
/// in place by then, and a failed build would have left the old ones.
#[test]
fn the_loss_of_the_last_words_is_told_and_the_build_is_done() {
    let caller = &callers()[0];
    let limited = |limit: u64| {
        let (run, directory, file) = logging(plain(caller, "tar"), &[]);
        let limit = format!("--fsize={limit}");
        (run.through(&["prlimit", &limit, "--"]), directory, file)
    };
    let (run, directory, file) = limited(1 << 20);
    fs::create_dir(&directory).unwrap();
    run.give(&directory);
    run.run().success();
    let whole = fs::metadata(&file).unwrap().len();

    let (run, directory, file) = limited(1 << 20);
    let (uid, gid) = run.owner();
    // Names of directories are as long as those of the run before.
    let before = (1 << 20) - whole + 20;
    let place = Place::of(run).and(&format!(
        "mkdir {0}; head -c {before} /dev/zero > {file}; chown -R {uid}:{gid} {0}",
        directory.display()
    ));
    let Some(seen) = place.run() else { return };
    let seen = seen.succeeds();
    let said = &seen.outcome.stderr;
    assert!(
        said.contains("all outputs are in place, but the log is not complete"),
        "{said}"
    );
    assert!(
        said.contains("File too large") && said.contains("ulimit -f"),
        "{said}"
    );
    assert_eq!(seen.names().len(), 3, "{:?}", seen.names());
}
