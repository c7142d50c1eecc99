//! Every signal to every process of a build, in every phase, while it packs and
//! while it moves its outputs: nothing is left, old outputs are as they were.
//!
//! A sample: `SAFEDIB_KILLS=all` has every signal to every process in every phase,
//! `SAFEDIB_SEED` another row. What was killed, where and by what is in the
//! message of a failure.

mod common;
#[path = "common/processes.rs"]
mod processes;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use common::machine::{machine, TCG};
use common::{callers, Caller, Run};
use processes::{descendants, wait_until_gone};

const OLD: &str = "an image of yesterday";
const PHASES: [&str; 9] = [
    "root.d",
    "extra-data.d",
    "pre-install.d",
    "install.d",
    "post-install.d",
    "post-root.d",
    "pre-finalise.d",
    "finalise.d",
    "cleanup.d",
];
/// How long a build may take to end, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(60);
const SIGNALS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGKILL,
];

/// Which process of a build gets the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Driver,
    Supervisor,
    Pid1,
    Agent,
    Network,
    Janitor,
    Qemu,
}

impl Victim {
    const NAMESPACE: [Victim; 6] = [
        Victim::Driver,
        Victim::Supervisor,
        Victim::Pid1,
        Victim::Agent,
        Victim::Network,
        Victim::Janitor,
    ];
    const MICROVM: [Victim; 4] = [
        Victim::Driver,
        Victim::Qemu,
        Victim::Network,
        Victim::Janitor,
    ];

    /// Its number; `None` if it has ended meanwhile.
    fn find(self, build: &Build) -> Option<Pid> {
        let all = descendants(build.driver.id() as i32);
        let of = |text: &str| {
            let holds = |command: &str| command.contains(text);
            let found = all.iter().find(|(_, (_, command))| holds(command));
            found.map(|(pid, _)| *pid)
        };
        let found = match self {
            Victim::Driver => Some(build.driver.id() as i32),
            Victim::Supervisor => of(" sandbox-init "),
            Victim::Pid1 => of(" sandbox-init ").and_then(|outer| {
                let below = descendants(outer);
                let is_pid1 = |command: &str| command.contains(" sandbox-init ");
                below
                    .iter()
                    .find(|(_, (_, c))| is_pid1(c))
                    .map(|(pid, _)| *pid)
            }),
            Victim::Agent => of("/run/safedib/bin/safedib agent"),
            Victim::Network => of("pasta").or_else(|| of("passt")),
            Victim::Janitor => of(" sandbox-janitor "),
            Victim::Qemu => of("qemu-system"),
        };
        found.map(Pid::from_raw)
    }
}

/// A small generator: the same row in every run.
struct Random(u64);

impl Random {
    fn seeded() -> Random {
        let seed = std::env::var("SAFEDIB_SEED").ok();
        Random(seed.and_then(|seed| seed.parse().ok()).unwrap_or(1))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// A kill, for messages.
#[derive(Debug, Clone, Copy)]
struct Case {
    victim: Victim,
    signal: Signal,
    place: &'static str,
    /// After the mark in the log.
    delay: Duration,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case {
            victim,
            signal,
            place,
            delay,
        } = self;
        write!(
            f,
            "{signal} to {victim:?} {} ms after {place}",
            delay.as_millis()
        )
    }
}

/// A build that runs.
struct Build {
    run: Run,
    driver: Child,
    output: BufReader<std::process::ChildStdout>,
    said: String,
    processes: BTreeMap<i32, (String, String)>,
}

impl Build {
    /// Starts a build and reads its output as far as a line that ends with `mark`.
    fn until(run: Run, mark: &str) -> Build {
        let mut command = run.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut driver = command.spawn().unwrap();
        let mut output = BufReader::new(driver.stdout.take().unwrap());
        let mut said = String::new();
        while !said.trim_end().ends_with(mark) {
            let count = output.read_line(&mut said).unwrap();
            if count == 0 {
                let mut errors = String::new();
                let stderr = driver.stderr.as_mut().unwrap();
                stderr.read_to_string(&mut errors).unwrap();
                panic!("the build ended before {mark:?}: {said}\n{errors}");
            }
        }
        Build {
            processes: descendants(driver.id() as i32),
            run,
            driver,
            output,
            said,
        }
    }

    /// Whether the driver ends within this time.
    fn ends_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.driver.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Whether the build ends because its victim did. It goes on without a janitor,
    /// and if the victim ignores the signal.
    fn ends_of(&mut self, victim: Option<Pid>, case: &Case) -> bool {
        let Some(victim) = victim else { return false };
        if case.victim == Victim::Janitor {
            return self.ends_within(Duration::from_millis(100));
        }
        let lives = || {
            let stat = fs::read_to_string(format!("/proc/{victim}/stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| !rest.starts_with('Z'))
        };
        self.ends_within(Duration::from_millis(300)) || !lives()
    }

    /// Carries out the kill and sees to the end: the exit status and all that was
    /// printed. Who only shrugs at a polite signal is ended with the driver.
    fn kill(mut self, case: &Case) -> Ended {
        std::thread::sleep(case.delay);
        self.processes.extend(descendants(self.driver.id() as i32));
        let victim = case.victim.find(&self);
        if let Some(victim) = victim {
            // ESRCH: it has just ended.
            let _ = kill(victim, case.signal);
        }
        let mut by_driver = case.victim == Victim::Driver;
        if !by_driver && !self.ends_of(victim, case) {
            by_driver = true;
            let _ = kill(Pid::from_raw(self.driver.id() as i32), Signal::SIGTERM);
        }
        assert!(self.ends_within(LIMIT), "{case}: it does not end");
        self.output.read_to_string(&mut self.said).unwrap();
        let output = self.driver.wait_with_output().unwrap();
        self.said += &String::from_utf8_lossy(&output.stderr);
        wait_until_gone(&self.processes);
        Ended {
            run: self.run,
            by_driver,
            // setpriv has made itself the driver.
            status: output
                .status
                .code()
                .or(output.status.signal().map(|n| 128 + n)),
            said: self.said,
        }
    }
}

struct Ended {
    run: Run,
    by_driver: bool,
    status: Option<i32>,
    said: String,
}

impl Ended {
    /// Old outputs and nothing else; the status is that of a failure, and told.
    fn old_outputs(&self, case: &Case) {
        self.run.assert_nothing_left();
        assert!(loop_devices(&self.run).is_empty(), "{case}");
        let files = names(&self.run);
        assert_eq!(files, ["image.tar"], "{case}: {}", self.said);
        let old = fs::read_to_string(self.run.dir.join("image.tar")).unwrap();
        assert_eq!(old, OLD, "{case}");
        let expected = match (self.by_driver, case.victim, case.signal) {
            (true, Victim::Driver, Signal::SIGKILL) => return,
            (true, Victim::Driver, signal) => 128 + signal as i32,
            (true, _, _) => 128 + Signal::SIGTERM as i32,
            (false, _, _) => 1,
        };
        assert_eq!(self.status, Some(expected), "{case}: {}", self.said);
        let text = match self.by_driver {
            true => "everything of the build was removed",
            false => "the appliance died during",
        };
        assert!(self.said.contains(text), "{case}: {}", self.said);
    }
}

/// Whether all kills are wanted, not a sample.
fn all() -> bool {
    std::env::var("SAFEDIB_KILLS").as_deref() == Ok("all")
}

fn names(run: &Run) -> Vec<String> {
    let entries = fs::read_dir(&run.dir).unwrap().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A build with an old output and one hook more.
fn build(caller: &Caller, appliance: &[&str], hook: &str, text: &str) -> Run {
    let run = Run::new(caller, "disk-image-create")
        .element_file("hooked", hook, &format!("#!/bin/bash\n{text}\n"))
        .args(appliance)
        .args(["-n", "-o", "image", "safedib-fake-os", "hooked"]);
    fs::write(run.dir.join("image.tar"), OLD).unwrap();
    run.give(&run.dir.join("image.tar"));
    run
}

/// A build whose hook says that it sleeps, and goes on sleeping whatever polite
/// signal it gets.
fn sleeper(caller: &Caller, appliance: &[&str], phase: &str, on_disk: bool) -> Run {
    let text = "trap '' INT TERM HUP\nsetsid sleep 1000 &\necho the hook is asleep\nsleep 1000";
    build(caller, appliance, &format!("{phase}/50-sleep"), text)
        .args(["-t", "tar,qcow2"])
        .env("DIB_NO_TMPFS", if on_disk { "1" } else { "0" })
}

/// Loop devices over files of the run: other builds on this machine have theirs.
fn loop_devices(run: &Run) -> Vec<String> {
    let top = run.dir.parent().unwrap().to_string_lossy().into_owned();
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let of_run = devices.filter(|device| {
        let file = fs::read_to_string(device.path().join("loop/backing_file"));
        file.is_ok_and(|file| file.contains(&top))
    });
    of_run
        .map(|device| device.file_name().to_string_lossy().into_owned())
        .collect()
}

fn kill_asleep(caller: &Caller, appliance: &[&str], case: &Case, on_disk: bool) {
    let run = sleeper(caller, appliance, case.place, on_disk);
    Build::until(run, "| the hook is asleep")
        .kill(case)
        .old_outputs(case);
}

#[test]
fn in_every_phase() {
    let callers = callers();
    let mut random = Random::seeded();
    let mut kills = 0;
    for place in PHASES {
        for victim in Victim::NAMESPACE {
            let turn = random.below(SIGNALS.len());
            for (number, signal) in SIGNALS.into_iter().enumerate() {
                if !all() && number != turn {
                    continue;
                }
                let case = Case {
                    victim,
                    signal,
                    place,
                    delay: Duration::from_millis(random.below(30) as u64),
                };
                let caller = &callers[random.below(callers.len())];
                kill_asleep(
                    caller,
                    &["--appliance", "namespace"],
                    &case,
                    random.below(2) == 0,
                );
                kills += 1;
            }
        }
    }
    eprintln!("{kills} kills in phases of the namespace appliance");
}

#[test]
fn in_machines() {
    let Some(_machine) = machine() else { return };
    let caller = callers().pop().unwrap();
    let mut random = Random::seeded();
    let mut cases = Vec::new();
    for place in PHASES {
        for victim in Victim::MICROVM {
            for signal in SIGNALS {
                cases.push(Case {
                    victim,
                    signal,
                    place,
                    delay: Duration::from_millis(random.below(100) as u64),
                });
            }
        }
    }
    if !all() {
        // Each takes seconds: one of each victim.
        cases = (0..Victim::MICROVM.len())
            .map(|victim| {
                let of: Vec<Case> = cases
                    .iter()
                    .filter(|case| case.victim == Victim::MICROVM[victim])
                    .copied()
                    .collect();
                of[random.below(of.len())]
            })
            .collect();
    }
    for case in &cases {
        kill_asleep(&caller, &TCG, case, true);
    }
    eprintln!("{} kills in phases of the microvm appliance", cases.len());
}

/// The time from the last hook to the end is cut at random: all outputs are
/// there, or those of before.
#[test]
fn while_it_packs_checksums_and_renames() {
    const TYPES: &str = "tar,squashfs,raw,qcow2";
    let callers = callers();
    let mut random = Random::seeded();
    let filled = |caller: &Caller| {
        let text = "head -c 2000000 /dev/urandom > $TARGET_ROOT/noise\necho the last hook";
        build(
            caller,
            &["--appliance", "namespace"],
            "cleanup.d/99-last",
            text,
        )
        .args(["-t", TYPES, "--checksum"])
        .env("OVERWRITE_OLD_IMAGE", "1")
    };
    let whole = {
        let began = Instant::now();
        let build = Build::until(filled(&callers[0]), "| the last hook");
        let since = began.elapsed();
        let output = build.driver.wait_with_output().unwrap();
        assert!(output.status.success());
        (began.elapsed() - since, names(&build.run))
    };
    let (span, complete) = whole;
    let (mut done, mut undone) = (0, 0);
    let kills = if all() { 60 } else { 12 };
    for kill in 0..kills {
        let mut signal = SIGNALS[random.below(SIGNALS.len())];
        let mut victim = Victim::Driver;
        if kill % 4 == 3 {
            victim = Victim::NAMESPACE[1 + random.below(Victim::NAMESPACE.len() - 1)];
            signal = Signal::SIGKILL;
        }
        let case = Case {
            victim,
            signal,
            place: "the last hook",
            delay: span.mul_f64(random.below(1000) as f64 / 800.0),
        };
        let run = filled(&callers[random.below(callers.len())]);
        let ended = Build::until(run, "| the last hook").kill(&case);
        ended.run.assert_nothing_left();
        let files = names(&ended.run);
        let old = fs::read(ended.run.dir.join("image.tar")).unwrap() == OLD.as_bytes();
        match old {
            true => assert_eq!(files, ["image.tar"], "{case}: {}", ended.said),
            false => assert_eq!(files, complete, "{case}: {}", ended.said),
        }
        match old {
            true => undone += 1,
            false => done += 1,
        }
    }
    eprintln!(
        "{kills} kills after the last hook: {undone} left the old outputs, {done} the new ones"
    );
}

/// What even the janitor cannot clear, the next build does, whatever it is.
#[test]
fn of_the_build_together_with_its_janitor() {
    for caller in callers() {
        let run = sleeper(&caller, &["--appliance", "namespace"], "install.d", true);
        // Other tests' builds clear up, too, what lies in the cache that all share.
        let cache = run.home().join("cache");
        let run = run.env("XDG_CACHE_HOME", &cache);
        let mut build = Build::until(run, "| the hook is asleep");
        let janitor = Victim::Janitor.find(&build).unwrap();
        let driver = Pid::from_raw(build.driver.id() as i32);
        kill(janitor, Signal::SIGSTOP).unwrap();
        kill(driver, Signal::SIGKILL).unwrap();
        kill(janitor, Signal::SIGKILL).unwrap();
        build.driver.wait().unwrap();
        wait_until_gone(&build.processes);
        let left = names(&build.run);
        assert_eq!(
            left.len(),
            2,
            "{left:?}: a staging directory, and the old image"
        );
        let other = build.run.tmp().join("dib_build.of-somebody-else");
        fs::create_dir(&other).unwrap();

        let next = Run::build(&caller, "tar").args(["safedib-fake-os"]);
        let outcome = next.env("XDG_CACHE_HOME", &cache).run().success();
        assert!(
            outcome
                .stdout
                .contains("was killed together with its janitor: cleared "),
            "{outcome}"
        );
        assert_eq!(names(&build.run), ["image.tar"]);
        assert!(other.exists(), "nothing but the build's own is removed");
        fs::remove_dir(&other).unwrap();
        build.run.assert_nothing_left();
    }
}
