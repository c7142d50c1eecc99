//! The one way in which tools of the host are run.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::error::io_error;
use super::Error;

/// Most bytes of standard error that an error shows.
const TAIL: usize = 2048;

/// A command of the host, about to be run.
pub(super) struct Tool {
    name: String,
    command: Command,
    stdin: Option<Vec<u8>>,
}

/// Where PATH of an ordinary user does not look, but mkfs and its kin are.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Directories that are searched for tools: PATH, then the sbin directories.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .chain(SBIN.iter().map(PathBuf::from))
        .collect()
}

/// The executable that a command name stands for.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let executable = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(executable);
    }
    search_path()
        .into_iter()
        .map(|directory| directory.join(name))
        .find(executable)
}

impl Tool {
    /// Finds `name`; `package` is Debian's package for the error. Standard input
    /// and output are closed to it, the locale is C.
    pub fn new(name: &str, package: &'static str) -> Result<Tool, Error> {
        let program = find(name).ok_or_else(|| Error::MissingTool {
            tool: name.into(),
            package,
        })?;
        let mut command = Command::new(program);
        command
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Ok(path) = std::env::join_paths(search_path()) {
            command.env("PATH", path);
        }
        Ok(Tool {
            name: name.into(),
            command,
            stdin: None,
        })
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(mut self, arguments: I) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it bytes to read.
    pub fn input(mut self, bytes: Vec<u8>) -> Self {
        self.command.stdin(Stdio::piped());
        self.stdin = Some(bytes);
        self
    }

    /// Gives it a file to read and one to write.
    pub fn files(mut self, input: Option<File>, output: Option<File>) -> Self {
        if let Some(input) = input {
            self.command.stdin(input);
        }
        if let Some(output) = output {
            self.command.stdout(output);
        }
        self
    }

    /// Runs it to its end; returns its standard error.
    ///
    /// # Errors
    /// [`Error::Tool`] with the end of its standard error unless it exits 0.
    pub fn run(self) -> Result<String, Error> {
        let name = self.name.clone();
        let (status, text) = self.finish()?;
        if status.success() {
            return Ok(text);
        }
        Err(Error::Tool {
            tool: name,
            status: describe(status),
            tail: tail(&text),
        })
    }

    /// Runs it and returns all that it prints, however it ends.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn text(mut self) -> Result<String, Error> {
        let output = self
            .command
            .stdout(Stdio::piped())
            .output()
            .map_err(io_error("run", Path::new(&self.name)))?;
        let bytes = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn finish(mut self) -> Result<(ExitStatus, String), Error> {
        let name = PathBuf::from(&self.name);
        let mut child = self.command.spawn().map_err(io_error("run", &name))?;
        if let (Some(bytes), Some(mut pipe)) = (self.stdin.take(), child.stdin.take()) {
            // A tool that stops reading early says why on standard error.
            let _ = pipe.write_all(&bytes);
        }
        let mut text = Vec::new();
        if let Some(mut pipe) = child.stderr.take() {
            pipe.read_to_end(&mut text)
                .map_err(io_error("read the messages of", &name))?;
        }
        let status = child.wait().map_err(io_error("wait for", &name))?;
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "no exit status".into(),
    }
}

/// The end of a text, from the start of a line where possible.
pub(super) fn tail(text: &str) -> String {
    let text = text.trim_end();
    let mut from = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let end = &text[from..];
    match end.find('\n') {
        Some(newline) if from > 0 => end[newline + 1..].into(),
        _ => end.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_carry_status_and_last_lines() {
        let tool = Tool::new("sh", "dash").unwrap();
        let error = tool
            .args(["-c", "echo first >&2; echo why >&2; exit 3"])
            .run()
            .unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit status 3): first\nwhy");
        let error = Tool::new("no-such-tool", "nothing").err().unwrap();
        assert_eq!(
            error.to_string(),
            "no-such-tool is needed and not installed"
        );
    }

    #[test]
    fn long_messages_are_cut_at_a_line() {
        let text = format!("{}\nlast\n", "é".repeat(TAIL));
        assert_eq!(tail(&text), "last");
        assert_eq!(tail("one\ntwo"), "one\ntwo");
    }
}
