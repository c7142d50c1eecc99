//! A command at a terminal, and somebody who types there.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::libc;
use nix::pty::{openpty, Winsize};
use nix::sys::signal::{kill, Signal};
use nix::sys::termios::{tcgetattr, LocalFlags};
use nix::unistd::Pid;

nix::ioctl_write_ptr_bad!(set_size, libc::TIOCSWINSZ, Winsize);

/// Bytes of the screen that a failure shows.
const TAIL: usize = 4000;

/// A terminal with a process that has it.
pub struct AtTerminal {
    pub child: Child,
    keys: std::fs::File,
    terminal: OwnedFd,
    output: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    done: usize,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl AtTerminal {
    /// Starts a command at a terminal of 33 lines of 99 characters.
    pub fn start(mut command: Command) -> AtTerminal {
        let pair = openpty(&size(33, 99), None).expect("a terminal");
        let slave = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
        command
            .stdin(slave(&pair.slave))
            .stdout(slave(&pair.slave))
            .stderr(slave(&pair.slave));
        let master = pair.master.as_raw_fd();
        let own_slave = pair.slave.as_raw_fd();
        // SAFETY: only system calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::close(master);
                libc::close(own_slave);
                nix::unistd::setsid()?;
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    -1 => Err(std::io::Error::last_os_error()),
                    _ => Ok(()),
                }
            });
        }
        let child = command.spawn().expect("the command starts");
        drop(command);
        let keys = std::fs::File::from(pair.master);
        let mut screen = keys.try_clone().expect("a descriptor");
        let (send, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        AtTerminal {
            child,
            keys,
            terminal: pair.slave,
            output,
            seen: Vec::new(),
            done: 0,
        }
    }

    /// Waits for a text on the screen; what was shown before it.
    #[track_caller]
    pub fn expect(&mut self, text: &str, seconds: u64) -> String {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        // Each byte is looked at once: there may be a flood of them.
        let mut from = self.done;
        loop {
            let found = self.seen[from..]
                .windows(text.len())
                .position(|part| part == text.as_bytes());
            if let Some(at) = found {
                let shown = &self.seen[self.done..from + at];
                let before = String::from_utf8_lossy(shown).into_owned();
                self.done = from + at + text.len();
                return before;
            }
            from = (self.seen.len() + 1)
                .saturating_sub(text.len())
                .max(self.done);
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no '{text}' in {seconds} s\n{}",
                self.screen()
            );
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no '{text}' in {seconds} s\n{}", self.screen())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("no '{text}' before the end\n{}", self.screen())
                }
            }
        }
    }

    /// Types.
    #[track_caller]
    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it is typed");
    }

    /// Types a line.
    #[track_caller]
    pub fn line(&mut self, line: &str) {
        self.keys(&format!("{line}\r"));
    }

    /// Gives the terminal another size, as a window does.
    pub fn resize(&self, rows: u16, columns: u16) {
        // SAFETY: the structure is whole.
        unsafe { set_size(self.keys.as_raw_fd(), &size(rows, columns)) }.expect("a size");
    }

    /// Whether the terminal is as a login leaves it: it echoes, and takes lines.
    pub fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.terminal).expect("a mode").local_flags;
        flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
    }

    /// Waits until [`AtTerminal::is_cooked`] is this.
    #[track_caller]
    pub fn wait_cooked(&self, cooked: bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.is_cooked() != cooked {
            assert!(Instant::now() < deadline, "cooked: {}", !cooked);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal to the command itself.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("a signal");
    }

    /// Waits for the end; a shell's status.
    #[track_caller]
    pub fn status(&mut self, seconds: u64) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(Instant::now() < deadline, "no end\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        };
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(100)) {
            self.seen.extend(bytes);
        }
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    /// The end of what was shown.
    pub fn screen(&self) -> String {
        let from = self.seen.len().saturating_sub(TAIL);
        String::from_utf8_lossy(&self.seen[from..]).into_owned()
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        // It may have ended; wait tells.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
