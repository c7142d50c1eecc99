//! Signals after the last hook, when our own process makes the outputs.

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::common::{callers, Run};
use crate::place::{plain, OLD};
use crate::processes::{descendants, wait_until_gone};

const SIGNALS: [(Signal, i32); 3] = [
    (Signal::SIGINT, 130),
    (Signal::SIGTERM, 143),
    (Signal::SIGHUP, 129),
];

/// Starts the run; returns when no sandbox is left, and an output is made.
fn after_the_last_hook(run: &Run, output: &str) -> Child {
    fs::write(run.dir.join("image.tar"), OLD).unwrap();
    run.give(&run.dir.join("image.tar"));
    let mut command = run.command();
    let mut driver = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let made = || {
        let entries = fs::read_dir(&run.dir).unwrap().flatten();
        let mut staging = entries.filter(|e| e.file_name().to_string_lossy().contains(".safedib-"));
        staging.any(|entry| entry.path().join(output).exists())
    };
    let in_sandbox = |driver: &Child| {
        let all = descendants(driver.id() as i32);
        all.values()
            .any(|(_, line)| line.contains(" sandbox-init "))
    };
    while !made() || in_sandbox(&driver) {
        assert!(driver.try_wait().unwrap().is_none(), "it has ended early");
        assert!(Instant::now() < deadline, "no {output}");
        std::thread::sleep(Duration::from_millis(5));
    }
    driver
}

/// Sends the signal; it ends soon, and leaves the image of yesterday.
fn ends_by(run: &Run, driver: Child, signal: Signal, status: i32) {
    let processes = descendants(driver.id() as i32);
    let began = Instant::now();
    kill(Pid::from_raw(driver.id() as i32), signal).unwrap();
    let output = driver.wait_with_output().unwrap();
    let took = began.elapsed();
    wait_until_gone(&processes);
    let text = format!("interrupted by {signal}; everything of the build was removed");
    run.outcome(output, took)
        .failure(status, &[&text])
        .leaves(&["image.tar"]);
    assert_eq!(fs::read_to_string(run.dir.join("image.tar")).unwrap(), OLD);
    assert!(took < Duration::from_secs(120), "it took {took:?}");
}

#[test]
fn during_checksums_they_end_the_build() {
    for caller in callers() {
        for (signal, status) in SIGNALS {
            // 64 GiB of holes are hashed for longer than any machine is busy.
            let run = plain(&caller, "raw").args(["--image-size", "64", "--checksum"]);
            let driver = after_the_last_hook(&run, "image.raw");
            std::thread::sleep(Duration::from_millis(50));
            ends_by(&run, driver, signal, status);
        }
    }
}

/// Whoever holds the lock on the directory keeps the build from its renames.
#[test]
fn before_the_renames_they_end_the_build() {
    for caller in callers() {
        for (signal, status) in SIGNALS {
            let run = plain(&caller, "tar");
            let lock = File::open(&run.dir).unwrap();
            let lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
            let driver = after_the_last_hook(&run, "image.tar");
            ends_by(&run, driver, signal, status);
            drop(lock);
        }
    }
}
