//! What is printed: findings on standard output as upstream has them, troubles
//! of our own on standard error.

use std::io::{self, BufWriter, Stdout, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::tell;
use crate::lint::{lines as lines_of, Fault};

use super::echo::echo_e;
use super::files::File;

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
        let (text, complete) = echo_e(&text);
        let end: &[u8] = if complete { b"\n" } else { b"" };
        let _closed = self
            .stdout
            .write_all(&text)
            .and_then(|()| self.stdout.write_all(end));
        self.failed = true;
    }

    /// A finding in a file, with what upstream shows beside it.
    pub(super) fn fault(&mut self, file: &File, fault: &Fault) {
        if let Fault::Python(found) = fault {
            for finding in found {
                let text = format!(":{finding}");
                self.line(&[file.shown(), text.as_bytes()].concat());
            }
        }
        self.error(&[&fault.message(file.shown())]);
        match fault {
            Fault::Indent(lines) => {
                for (number, line) in lines {
                    self.line(&[format!("{number}:").as_bytes(), line].concat());
                }
            }
            Fault::Unsorted(lines, ordered) => match side_by_side([lines, ordered]) {
                Ok(shown) => lines_of(&shown).for_each(|line| self.line(line)),
                Err(error) => self.note(&format!("cannot run diff, which would show it: {error}")),
            },
            _ => {}
        }
    }

    /// Something to know that is no finding.
    pub(super) fn note(&mut self, text: &str) {
        tell!("{}: {text}", self.program);
    }

    /// Something that kept us from looking.
    pub(super) fn trouble(&mut self, text: &str) {
        self.note(text);
        self.failed = true;
    }
}

/// Both orders of a list, as upstream shows them.
fn side_by_side(lists: [&[Vec<u8>]; 2]) -> io::Result<Vec<u8>> {
    let mut files = [
        tempfile::NamedTempFile::new()?,
        tempfile::NamedTempFile::new()?,
    ];
    for (file, lines) in files.iter_mut().zip(lists) {
        for line in lines {
            file.write_all(line)?;
            file.write_all(b"\n")?;
        }
    }
    let output = Command::new("diff")
        .arg("-y")
        .args(files.iter().map(tempfile::NamedTempFile::path))
        .stdin(Stdio::null())
        .output()?;
    Ok(output.stdout)
}
