//! What is printed: findings on standard output as upstream has them, troubles
//! of our own on standard error.

use std::io::{self, BufWriter, Stdout, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::shell;

/// Collects output and whether something was wrong.
pub(super) struct Report {
    program: String,
    stdout: BufWriter<Stdout>,
    failed: bool,
}

impl Report {
    pub(super) fn new(program: &str) -> Report {
        Report {
            program: program.to_owned(),
            stdout: BufWriter::new(io::stdout()),
            failed: false,
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// A line of standard output, which may have been closed: then the exit
    /// status still tells.
    pub(super) fn line(&mut self, bytes: &[u8]) {
        let _closed = self
            .stdout
            .write_all(bytes)
            .and_then(|()| self.stdout.write_all(b"\n"));
    }

    pub(super) fn labelled(&mut self, label: &[u8], path: &Path) {
        self.line(&[label, path.as_os_str().as_bytes()].concat());
    }

    /// A finding. Upstream prints it with `echo -e`, which shows in lines of
    /// scripts that are quoted in it.
    pub(super) fn error(&mut self, parts: &[&[u8]]) {
        let mut text = b"ERROR: ".to_vec();
        text.extend(parts.concat());
        let (text, complete) = shell::echo_e(&text);
        let end: &[u8] = if complete { b"\n" } else { b"" };
        let _closed = self
            .stdout
            .write_all(&text)
            .and_then(|()| self.stdout.write_all(end));
        self.failed = true;
    }

    /// Something to know that is no finding.
    pub(super) fn note(&mut self, text: &str) {
        eprintln!("{}: {text}", self.program);
    }

    /// Something that kept us from looking.
    pub(super) fn trouble(&mut self, text: &str) {
        self.note(text);
        self.failed = true;
    }
}
