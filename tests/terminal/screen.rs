//! A command under a pseudo-terminal, and the screen that somebody would see.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::libc;
use nix::pty::{openpty, Winsize};

/// How long anything may take: other tests keep the processors busy.
const PATIENCE: Duration = Duration::from_secs(120);

nix::ioctl_write_ptr_bad!(set_size, libc::TIOCSWINSZ, Winsize);

/// What has been written, as bytes and as a screen.
struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

/// A command that runs in a terminal of its own.
pub struct Terminal {
    master: File,
    child: Child,
    seen: Arc<Mutex<Seen>>,
    reader: JoinHandle<()>,
}

/// What is left when it has ended.
pub struct Ended {
    /// 128 and the number of the signal, if one has ended it.
    pub status: i32,
    pub rows: Vec<String>,
    /// Row and column.
    pub cursor: (u16, u16),
    pub text: String,
}

fn winsize(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Terminal {
    /// Starts the command as the leader of a session with this terminal.
    pub fn start(mut command: Command, rows: u16, columns: u16) -> Terminal {
        let pty = openpty(&winsize(rows, columns), None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: setsid and ioctl are async-signal-safe and touch no memory of ours.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            })
        };
        let child = command.spawn().unwrap();
        // The reader comes to the end when nobody has the other side any more.
        drop((command, pty.slave));
        let seen = Arc::new(Mutex::new(Seen {
            screen: vt100::Parser::new(rows, columns, 1000),
            bytes: Vec::new(),
        }));
        let master = File::from(pty.master);
        let (mut source, filled) = (master.try_clone().unwrap(), seen.clone());
        let reader = std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            // EIO stands for the end of file.
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                let mut seen = filled.lock().unwrap_or_else(PoisonError::into_inner);
                seen.bytes.extend_from_slice(&buffer[..count]);
                seen.screen.process(&buffer[..count]);
            }
        });
        Terminal {
            master,
            child,
            seen,
            reader,
        }
    }

    /// The rows, without blanks at their ends.
    pub fn rows(&self) -> Vec<String> {
        rows(&self.seen.lock().unwrap())
    }

    /// Waits until the rows are as asked for, and gives them.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, good: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = self.rows();
            if good(&rows) {
                return rows;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "no {what} ({ended:?}):\n{}",
                rows.join("\n")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until this text is in a row.
    #[track_caller]
    pub fn wait_for_text(&mut self, text: &str) -> Vec<String> {
        self.wait_for(text, |rows| has(rows, text))
    }

    /// Makes the terminal as large as that, between two frames: this screen, unlike
    /// others, wraps rows that it is told not to wrap.
    pub fn resize(&self, rows: u16, columns: u16) {
        let length = || self.seen.lock().unwrap().bytes.len();
        let mut before = length();
        loop {
            std::thread::sleep(Duration::from_millis(60));
            let now = length();
            if std::mem::replace(&mut before, now) == now {
                break;
            }
        }
        let mut seen = self.seen.lock().unwrap();
        seen.screen.screen_mut().set_size(rows, columns);
        // SAFETY: the kernel reads one winsize.
        unsafe { set_size(self.master.as_raw_fd(), &winsize(rows, columns)) }.unwrap();
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
            assert!(
                Instant::now() < deadline,
                "no end:\n{}",
                self.rows().join("\n")
            );
        };
        self.reader.join().unwrap();
        let seen = self.seen.lock().unwrap();
        let signal = || 128 + status.signal().unwrap_or(0);
        Ended {
            status: status.code().unwrap_or_else(signal),
            rows: rows(&seen),
            cursor: seen.screen.screen().cursor_position(),
            text: String::from_utf8_lossy(&seen.bytes).into_owned(),
        }
    }
}

impl Ended {
    /// Fails unless the screen is as a command without a view would leave it: no
    /// block, and the cursor at the beginning of a row with nothing behind it.
    #[track_caller]
    pub fn is_tidy(&self) {
        let whole = self.rows.join("\n");
        assert_eq!(self.cursor.1, 0, "{whole}");
        let after = self.rows.iter().skip(usize::from(self.cursor.0));
        assert!(after.clone().all(String::is_empty), "{whole}");
        for part in ["step 1 of", " | ", "in this step"] {
            assert!(!has(&self.rows, part), "{part:?} is left:\n{whole}");
        }
        // Modes that somebody else would find: the last word on wrapping is "on".
        let wraps = |code| self.text.rfind(code).unwrap_or(0);
        assert!(wraps("\x1b[?7h") >= wraps("\x1b[?7l"), "{whole}");
        assert!(!self.text.contains("\x1b[?25l"), "{whole}");
    }
}

/// Whether a row has the text.
pub fn has(rows: &[String], text: &str) -> bool {
    rows.iter().any(|row| row.contains(text))
}

fn rows(seen: &Seen) -> Vec<String> {
    let screen = seen.screen.screen();
    let rows = screen.rows(0, screen.size().1);
    rows.map(|row| row.trim_end().to_owned()).collect()
}
