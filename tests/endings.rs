//! However a build ends in the middle of a hook, nothing of it is left, and
//! the message says what ended it.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use common::{callers, Caller, Outcome, Run};

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

/// Processes by number: parent, start time, command line.
fn processes() -> BTreeMap<i32, (i32, String, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let parent = fields[1].parse().ok()?;
            (fields[0] != "Z").then(|| (pid, (parent, fields[19].to_owned(), command)))
        })
        .collect()
}

/// Everything that was started below a process: number to start time and command.
fn descendants(root: i32) -> BTreeMap<i32, (String, String)> {
    let all = processes();
    let mut found = BTreeMap::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, (_, start, command)) in all.iter().filter(|(_, process)| process.0 == parent) {
            found.insert(*pid, (start.clone(), command.clone()));
            parents.push(*pid);
        }
    }
    found
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
        assert!(took < Duration::from_secs(10), "it took {took:?}");
        wait_until_gone(&self.processes);
        let mut outcome = self.run.outcome(output, took).leaves(&["image.tar"]);
        outcome.stdout = self.said;
        let old = fs::read_to_string(self.run.dir.join("image.tar")).unwrap();
        assert_eq!(old, OLD);
        outcome
    }
}

fn wait_until_gone(gone: &BTreeMap<i32, (String, String)>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let now = processes();
        let left: Vec<_> = gone
            .iter()
            .filter(|(pid, (start, _))| now.get(pid).is_some_and(|other| other.1 == *start))
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
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
