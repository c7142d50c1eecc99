//! However a build ends in the middle of a hook, nothing of it is left, and
//! the message says what ended it.

mod common;
#[path = "common/processes.rs"]
mod processes;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
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
                let staging = format!("{}/.image.safedib-", asleep.run.dir.display());
                let build = format!("{}/dib_build.", asleep.run.tmp().display());
                let text = format!("interrupted by {signal}; everything of the build was removed");
                let place = phase.trim_end_matches(".d");
                let hook = format!(
                    "it was running hook `50-sleep` of element `sleeper` in phase {place}\n\
                     ended: the namespace appliance with all that ran in it, and its network helper\n\
                     removed: {staging}"
                );
                let outputs =
                    "no output was touched: image.tar is as it was, there is no image.qcow2\n";
                let ended = match signal {
                    Signal::SIGKILL => asleep.end().failure(status, &[]),
                    _ => asleep.end().failure(status, &[&text, &hook, outputs]),
                };
                // Without a tmpfs the tree was on disk.
                let told = no_tmpfs == "1" && signal != Signal::SIGKILL;
                assert_eq!(ended.stderr.contains(&build), told, "{ended}");
            }
        }
    }
}

/// As with nohup: no signal of a terminal that has gone ends it.
#[test]
fn a_signal_that_the_caller_ignores_is_none() {
    for caller in callers() {
        let run = sleeper(&caller, "install.d", "0").through(&["env", "--ignore-signal=HUP"]);
        let mut asleep = fall_asleep(run);
        let driver = Pid::from_raw(asleep.driver.id() as i32);
        kill(driver, Signal::SIGHUP).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert!(asleep.driver.try_wait().unwrap().is_none());
        kill(driver, Signal::SIGTERM).unwrap();
        asleep.end().failure(143, &["interrupted by SIGTERM"]);
    }
}

/// Until the first session nobody looks for signals.
#[test]
fn a_signal_before_the_first_step_is_answered_too() {
    for caller in callers() {
        for (signal, status) in [
            (Signal::SIGINT, 130),
            (Signal::SIGTERM, 143),
            (Signal::SIGHUP, 129),
        ] {
            let run = sleeper(&caller, "root.d", "1");
            let (programs, waits) = (run.home().join("bin"), run.home().join("waits"));
            fs::create_dir(&programs).unwrap();
            let pasta = programs.join("pasta");
            let script = format!("#!/bin/sh\n: >{}\nexec sleep 1000\n", waits.display());
            fs::write(&pasta, script).unwrap();
            fs::set_permissions(&pasta, fs::Permissions::from_mode(0o755)).unwrap();
            let run = run.env(
                "PATH",
                format!("{}:/usr/bin:/bin:/usr/sbin", programs.display()),
            );
            let mut command = run.command();
            let driver = command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let began = Instant::now();
            while !waits.exists() {
                assert!(began.elapsed() < Duration::from_secs(60));
                std::thread::sleep(Duration::from_millis(10));
            }
            kill(Pid::from_raw(driver.id() as i32), signal).unwrap();
            let output = driver.wait_with_output().unwrap();
            let text = format!(
                "interrupted by {signal} before the first step: no hook has run and no output was touched"
            );
            run.outcome(output, began.elapsed())
                .failure(status, &[&text])
                .leaves(&["image.tar"]);
            let old = fs::read_to_string(run.dir.join("image.tar")).unwrap();
            assert_eq!(old, OLD);
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
