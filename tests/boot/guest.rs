//! A machine that boots an image, and the talk with it over its serial console.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::common::{Caller, Run};

/// How long a system may take to its login prompt: two of them, emulated, on
/// two busy processors.
const BOOT: Duration = Duration::from_secs(420);
/// How long a command may take there.
const COMMAND: Duration = Duration::from_secs(120);
/// Bytes of the console that an error shows.
const TAIL: usize = 3000;

/// What a console says when no login prompt will come.
const DEAD_ENDS: [&str; 8] = [
    "Kernel panic - not syncing",
    "No bootable device",
    "UEFI Interactive Shell",
    "grub rescue>",
    "grub>",
    "(initramfs)",
    "emergency mode",
    "Login incorrect",
];

/// No text that is waited for is longer, in bytes.
const LONGEST: usize = 64;

/// Where OVMF is (Debian: ovmf).
const OVMF: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";

/// `safedib boot`, which connects standard input and output with the console.
pub fn boot(caller: &Caller, words: &[&str]) -> Run {
    Run::new(caller, "safedib")
        .args(["boot"])
        .args(words.iter().copied())
}

/// A machine at its serial console; it ends with the value.
pub struct Guest {
    process: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    /// All of the console so far.
    seen: Vec<u8>,
    /// How much of it has been dealt with.
    done: usize,
    commands: usize,
    errors: PathBuf,
    _directory: tempfile::TempDir,
}

impl Guest {
    /// Starts what is at the other end of the console: [`boot`].
    pub fn start(command: &mut Command) -> Guest {
        let directory = tempfile::tempdir_in("/var/tmp").expect("a directory for the machine");
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(directory.path(), everybody).expect("a directory for everybody");
        let errors = directory.path().join("stderr");
        let file = std::fs::File::create(&errors).expect("a file for messages");
        let mut process = command
            .env("TMPDIR", directory.path()) // where qemu puts snapshots
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
        let keys = process.stdin.take().expect("a pipe");
        let mut console = process.stdout.take().expect("a pipe");
        let (send, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(count @ 1..) = console.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Guest {
            process,
            keys,
            output,
            seen: Vec::new(),
            done: 0,
            commands: 0,
            errors,
            _directory: directory,
        }
    }

    /// Waits for the login prompt, and logs in.
    ///
    /// # Errors
    /// Why not, with the end of what the console shows.
    pub fn log_in(&mut self, user: &str, password: &str) -> Result<(), String> {
        self.wait_for(" login: ", BOOT)?;
        self.send(user)?;
        self.wait_for("assword: ", COMMAND)?;
        self.send(password)?;
        self.wait_for("$ ", COMMAND)?;
        // What is typed has the quotes, what is printed has not.
        self.send(
            "stty -echo; PS1=; PS2=; export TERM=dumb PAGER=cat; printf 'ready'-'%s\\n' now",
        )?;
        self.wait_for("ready-now", COMMAND)
    }

    /// Keeps kernel and systemd from writing between the lines of commands.
    ///
    /// # Errors
    /// As [`Guest::run`]; the user must be allowed to use sudo.
    pub fn hush(&mut self) -> Result<(), String> {
        // 55 is SIGRTMIN+21: no status messages on the console. The shell's own
        // kill: a minimal system has no other.
        self.run("sudo sh -c 'dmesg -n 1 && kill -55 1'").map(drop)
    }

    /// The output of a shell command that must succeed.
    ///
    /// # Errors
    /// Its output if it fails; the end of the console if it does not end.
    pub fn run(&mut self, command: &str) -> Result<String, String> {
        self.commands += 1;
        let number = self.commands;
        let (begin, end) = (format!("begin-{number}\r\n"), format!("end-{number}-"));
        self.send(&format!(
            "printf 'begin-%s\\n' {number}; {{ {command}\n}} 2>&1; printf 'end-%s-%s.\\n' {number} $?"
        ))?;
        self.wait_for(&begin, COMMAND)?;
        let from = self.done;
        self.wait_for(&end, COMMAND)?;
        let to = self.done - end.len();
        let status = self.done;
        self.wait_for(".", COMMAND)?;
        let text = |range: std::ops::Range<usize>| {
            let text = String::from_utf8_lossy(&self.seen[range]).replace('\r', "");
            text.trim().to_string()
        };
        let (output, status) = (text(from..to), text(status..self.done - 1));
        match status.as_str() {
            "0" => Ok(output),
            _ => Err(format!("'{command}' ends with {status}: {output}")),
        }
    }

    /// Types a line.
    ///
    /// # Errors
    /// The machine takes no more.
    pub fn send(&mut self, line: &str) -> Result<(), String> {
        let sent = writeln!(self.keys, "{line}").and_then(|()| self.keys.flush());
        sent.map_err(|error| self.stuck(&format!("cannot type '{line}': {error}")))
    }

    /// Reads up to the end of `text`.
    ///
    /// # Errors
    /// Why it does not come.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        // A serial port gives single bytes: nothing is searched twice, but for
        // the beginning of a text.
        let mut from = self.done;
        loop {
            let rest = &self.seen[from..];
            if let Some(at) = find(rest, text) {
                self.done = from + at + text.len();
                return Ok(());
            }
            // What a command prints may have any of these words.
            let mut ends = DEAD_ENDS.iter().filter(|_| self.commands == 0);
            if let Some(end) = ends.find(|end| find(rest, end).is_some()) {
                return Err(self.stuck(&format!("'{end}' instead of '{text}'")));
            }
            from = self.done.max(self.seen.len().saturating_sub(LONGEST));
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.stuck(&format!("no '{text}' within {} s", limit.as_secs())))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.stuck(&format!("the machine ended before '{text}'")))
                }
            }
        }
    }

    /// What the machine's own messages are so far: what `safedib boot` has chosen.
    pub fn messages(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// An error with the end of the console and with what qemu says.
    fn stuck(&self, why: &str) -> String {
        let from = self.seen.len().saturating_sub(TAIL);
        let tail: String = String::from_utf8_lossy(&self.seen[from..])
            .chars()
            .filter(|c| *c == '\n' || !c.is_control())
            .collect();
        let errors = self.messages();
        format!("{why}\n--- end of the console\n{tail}\n--- messages of the machine\n{errors}")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself; wait tells.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes())
}

/// The programs and files that are missing for [`boot`].
pub fn missing() -> Vec<&'static str> {
    let needed = [OVMF, "/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img"];
    let gone = |path: &&str| !Path::new(path).exists();
    needed.into_iter().filter(gone).collect()
}
