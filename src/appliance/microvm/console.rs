//! The end of what a machine wrote to its serial console and qemu to stderr.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::signal::SigSet;

use super::error::{Cause, Death};
use crate::appliance::Trouble;

/// Bytes that are kept: a panic with its trace takes some 4 KiB.
const KEPT: usize = 64 << 10;
/// Lines that an error shows.
const SHOWN: usize = 12;

/// A bounded record that a thread fills.
#[derive(Debug, Clone, Default)]
pub(super) struct Console(Arc<Mutex<Vec<u8>>>);

impl Console {
    /// Records everything that can be read until end of file.
    pub(super) fn follow(&self, mut source: impl Read + Send + 'static) -> thread::JoinHandle<()> {
        let record = self.clone();
        thread::spawn(move || {
            // A signal to the process goes to any thread that does not block it,
            // and would end the build there and then.
            let _ = SigSet::all().thread_block();
            let mut buffer = [0u8; 4096];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                record.add(&buffer[..count]);
            }
        })
    }

    fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }

    /// What is known of a machine of which `qemu` says how it ended.
    pub(super) fn death(&self, qemu: String) -> Death {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        let cause = cause(&lines);
        // A panic is told first and its registers and trace follow.
        let told = lines
            .iter()
            .rposition(|line| cause == Some(Cause::Panic) && line.contains(PANIC));
        let end = told.map_or(lines.len(), |at| at + 1);
        Death {
            qemu,
            cause,
            tail: lines[end.saturating_sub(SHOWN)..end]
                .iter()
                .map(|line| printable(line))
                .collect(),
        }
    }
}

impl Console {
    /// Whether the kernel waits for a processor that does nothing. On a host that
    /// is busy enough that passes.
    pub(super) fn stalled(&self) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.windows(STALL.len())
            .any(|text| text == STALL.as_bytes())
    }

    /// What a machine that had to be ended complained about.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        // A stall may have passed, and is then no reason of anything.
        let cause = cause(&lines).filter(|cause| *cause != Cause::Stalled)?;
        let said = lines
            .iter()
            .find(|line| signs(cause).iter().any(|sign| line.contains(sign)))?;
        Some(Trouble {
            what: format!("{cause} during the build: {}", printable(said)),
            hint: cause.hint()?.to_owned(),
        })
    }
}

const PANIC: &str = "Kernel panic - not syncing";
/// Told after 21 s in which a processor took part in nothing (of RCU's).
const STALL: &str = "detected stalls on CPUs/tasks";

/// In this order: a machine without memory may panic too, and a disk that fails
/// may be the reason of either.
const CAUSES: [Cause; 5] = [
    Cause::Memory,
    Cause::Panic,
    Cause::Disk,
    Cause::ImageDisk,
    Cause::Stalled,
];

/// What the kernel writes. Disks have the order in which qemu has them: the
/// root's and the scratch disk are in TMP_DIR, the image's beside its outputs.
fn signs(cause: Cause) -> &'static [&'static str] {
    match cause {
        Cause::Memory => &[
            "Out of memory: Killed process",
            "System is deadlocked on memory",
            "Initramfs unpacking failed: write error",
            "failed: Cannot allocate memory",
        ],
        Cause::Panic => &[PANIC],
        Cause::Disk => &["I/O error, dev vda", "I/O error, dev vdb"],
        Cause::ImageDisk => &["I/O error, dev vdc"],
        Cause::Stalled => &[STALL],
    }
}

fn cause(lines: &[&str]) -> Option<Cause> {
    let says = |text: &&str| lines.iter().any(|line| line.contains(text));
    CAUSES
        .into_iter()
        .find(|cause| signs(*cause).iter().any(says))
}

/// A guest must not be able to drive the caller's terminal.
fn printable(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() && c != '\t' { '?' } else { c })
        .take(300)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(text: &str) -> Death {
        let console = Console::default();
        console.add(text.as_bytes());
        console.death("ended".into())
    }

    #[test]
    fn an_assertion_of_qemu_is_its_own() {
        let line = "qemu-system-x86_64: system/physmem.c:2678: f: Assertion `a < b' failed.\n";
        assert!(death(line).is_of_qemus_own_making());
        assert!(
            !death("[1.0] Kernel panic - not syncing: Assertion `x'\n").is_of_qemus_own_making()
        );
    }

    #[test]
    fn ends_have_names() {
        let panic = death("a\n[1.0] Kernel panic - not syncing: x\n[1.0] Call Trace:\n");
        assert_eq!(panic.cause, Some(Cause::Panic));
        assert_eq!(
            panic.tail.last().unwrap(),
            "[1.0] Kernel panic - not syncing: x"
        );
        let memory = death("Out of memory: Killed process 7 (x)\nKernel panic - not syncing: y\n");
        assert_eq!(memory.cause, Some(Cause::Memory));
        assert_eq!(
            death("I/O error, dev vdb, sector 1\n").cause,
            Some(Cause::Disk)
        );
        let image = death("I/O error, dev vdc, sector 1\n");
        assert_eq!(image.cause, Some(Cause::ImageDisk));
        assert_eq!(death("hello\n").cause, None);
    }

    #[test]
    fn a_processor_that_stands_still_is_no_trouble_of_one_that_lives() {
        let text = "[22.7] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n";
        let stalled = death(text);
        assert!(stalled.is_of_qemus_own_making());
        assert_eq!(stalled.cause, Some(Cause::Stalled));
        let console = Console::default();
        assert!(!console.stalled());
        console.add(text.as_bytes());
        assert!(console.stalled());
        assert_eq!(console.trouble(), None);
    }

    #[test]
    fn a_machine_that_lives_can_have_had_trouble() {
        let console = Console::default();
        assert_eq!(console.trouble(), None);
        console.add(b"fine\r\n[9.1] Out of memory: Killed process 7 (x)\r\nfine\r\n");
        let trouble = console.trouble().unwrap();
        assert!(
            trouble.what.ends_with("Killed process 7 (x)"),
            "{trouble:?}"
        );
        assert!(trouble.hint.contains("--memsize"), "{trouble:?}");
    }

    #[test]
    fn memory_is_bounded_and_terminals_are_safe() {
        let console = Console::default();
        for _ in 0..100 {
            console.add(&[b'x'; 4096]);
        }
        assert_eq!(console.0.lock().unwrap().len(), KEPT);
        assert_eq!(death("\x1b[2J\n").tail, ["?[2J"]);
    }
}
