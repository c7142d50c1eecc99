//! However a build ends in the middle of a hook, nothing of it is left, and
//! the message says what ended it.

mod common;
#[path = "common/processes.rs"]
mod processes;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use common::{callers, Caller, Outcome, Run};
use processes::{descendants, wait_until_gone};

const OLD: &str = "an image of yesterday";

/// A build whose hook in `phase` says that it sleeps, and goes on to sleep
/// whatever polite signal it gets.
fn sleeper(caller: &Caller, phase: &str, no_tmpfs: &str) -> Run {
    let hook = "#!/bin/bash\ntrap '' INT TERM HUP\nsetsid sleep 1000 &\n\
        echo the hook is asleep\nsleep 1000\n";
    let run = Run::new(caller, "disk-image-create")
        .element_file("sleeper", &format!("{phase}/50-sleep"), hook)
        .env("DIB_NO_TMPFS", no_tmpfs)
        .args(["-n", "-t", "tar,qcow2", "-o", "image"])
        .args(["safedib-fake-os", "sleeper"]);
    fs::write(run.dir.join("image.tar"), OLD).unwrap();
    run.give(&run.dir.join("image.tar"));
    run
}

/// A build that has come to its sleeping hook.
struct Asleep {
    run: Run,
    driver: Child,
    output: BufReader<std::process::ChildStdout>,
    said: String,
    processes: BTreeMap<i32, (String, String)>,
    began: Instant,
}

fn fall_asleep(run: Run) -> Asleep {
    let mut command = run.command();
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut driver = command.spawn().unwrap();
    let mut output = BufReader::new(driver.stdout.take().unwrap());
    let mut said = String::new();
    while !said.ends_with("| the hook is asleep\n") {
        let count = output.read_line(&mut said).unwrap();
        assert_ne!(count, 0, "the build ended early: {said}");
    }
    Asleep {
        processes: descendants(driver.id() as i32),
        run,
        driver,
        output,
        said,
        began: Instant::now(),
    }
}

impl Asleep {
    /// The number of the process whose command line ends like this.
    fn find(&self, command: &str) -> Pid {
        let found = self
            .processes
            .iter()
            .find(|(_, (_, text))| text.trim_end().ends_with(command));
        Pid::from_raw(*found.unwrap_or_else(|| panic!("{:?}", self.processes)).0)
    }

    /// Waits for the end; nothing may be left, and the old image is as it was.
    fn end(mut self) -> Outcome {
        self.output.read_to_string(&mut self.said).unwrap();
        let output = self.driver.wait_with_output().unwrap();
        let took = self.began.elapsed();
        assert!(took < Duration::from_secs(60), "it took {took:?}");
        wait_until_gone(&self.processes);
        let mut outcome = self.run.outcome(output, took).leaves(&["image.tar"]);
        outcome.stdout = self.said;
        let old = fs::read_to_string(self.run.dir.join("image.tar")).unwrap();
        assert_eq!(old, OLD);
        outcome
    }
}

#[test]
fn a_signal_to_the_driver_ends_everything() {
    for caller in callers() {
        for (phase, no_tmpfs) in [("install.d", "0"), ("root.d", "1")] {
            for (signal, status) in [
                (Signal::SIGINT, 130),
                (Signal::SIGTERM, 143),
                (Signal::SIGHUP, 129),
                (Signal::SIGKILL, 137),
            ] {
                let asleep = fall_asleep(sleeper(&caller, phase, no_tmpfs));
                kill(Pid::from_raw(asleep.driver.id() as i32), signal).unwrap();
                let text = format!("interrupted by {signal}; everything of the build was removed");
                match signal {
                    Signal::SIGKILL => asleep.end().failure(status, &[]),
                    _ => asleep.end().failure(status, &[&text]),
                };
            }
        }
    }
}

/// What a terminal does at Ctrl-C, and when it goes away: everybody gets the signal.
#[test]
fn a_signal_to_the_process_group_ends_everything_in_good_order() {
    for caller in callers() {
        for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
            let asleep = fall_asleep(sleeper(&caller, "finalise.d", "1"));
            let group = Pid::from_raw(asleep.driver.id() as i32);
            nix::sys::signal::killpg(group, signal).unwrap();
            let text = format!("interrupted by {signal}; everything of the build was removed");
            asleep.end().failure(status, &[&text]);
        }
    }
}

#[test]
fn a_killed_agent_is_no_failed_hook() {
    for caller in callers() {
        for no_tmpfs in ["0", "1"] {
            let asleep = fall_asleep(sleeper(&caller, "install.d", no_tmpfs));
            kill(
                asleep.find("/run/safedib/bin/safedib agent"),
                Signal::SIGKILL,
            )
            .unwrap();
            let outcome = asleep.end().failure(
                1,
                &[
                    "the appliance died during 'run hooks of install.d'",
                    "killed by signal 9",
                    "not a failed hook",
                ],
            );
            assert!(!outcome.stderr.contains("50-sleep"), "{outcome}");
        }
    }
}

#[test]
fn a_killed_sandbox_is_no_failed_hook() {
    for caller in callers() {
        let asleep = fall_asleep(sleeper(&caller, "extra-data.d", "1"));
        let outer = asleep
            .processes
            .iter()
            .find(|(_, (_, command))| command.contains(" sandbox-init "))
            .map(|(pid, _)| Pid::from_raw(*pid));
        kill(outer.unwrap(), Signal::SIGKILL).unwrap();
        asleep.end().failure(
            1,
            &["the appliance died during 'run hooks of extra-data.d'"],
        );
    }
}
