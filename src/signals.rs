//! Signals that end a command in good order.

use std::fs;

use nix::sys::signal::{SigSet, Signal};

/// All of them: Ctrl-C, what batch systems send, and a terminal that goes away.
pub const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Those that the caller has not set to be ignored, as nohup does with SIGHUP, and
/// shells with SIGINT for what they run in the background. Blocked, even an ignored
/// signal would be told by a signalfd.
pub fn wanted() -> SigSet {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    let is_ignored = |signal: &Signal| ignored >> (*signal as u32 - 1) & 1 == 1;
    let wanted = ENDING.into_iter().filter(|signal| !is_ignored(signal));
    wanted.collect()
}

/// The mask of ignored signals of proc_pid_status(5); none if it cannot be read.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_read_from_its_line() {
        let status = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001003\n";
        assert_eq!(ignored(status), 0x1003);
        assert_eq!(ignored("SigIgn:\tnothing\n"), 0);
        assert_eq!(ignored(""), 0);
    }
}
