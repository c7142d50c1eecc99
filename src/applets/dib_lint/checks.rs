//! The tests of single files.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::exclusions::Exclusions;
use super::files::File;
use super::python::{self, Linter};
use super::report::Report;
use super::shell;

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        // The pattern is a constant: a test compiles it.
        #[allow(clippy::unwrap_used)]
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).unwrap());
    };
}

pattern!(BASH, r"(?-u)^#!.*bash");
pattern!(SET_E, r"(?m-u)^set -[^ \n]*e");
pattern!(SET_U, r"(?m-u)^set -[^ \n]*u");
pattern!(SET_PIPEFAIL, r"(?m-u)^set -o pipefail");
pattern!(TRACE, r"(?-u)DIB_DEBUG_TRACE");
pattern!(ENVIRONMENT, r"(?s-u)environment.d");
pattern!(SET_X, r"(?-u)set -x");
pattern!(EXPORT, r"(?-u)export .*\$\(");
pattern!(TAB, r"(?m-u)^ *\t");
pattern!(
    OUTSIDE,
    r"(?s-u)root.d|extra-data.d|block-device.d|finalise.d|cleanup.d"
);
pattern!(
    SAFE_SUDO,
    concat!(
        r"(?s-u)dib-lint: safe_sudo|^#|install-packages|TARGET_ROOT|IMAGE_BLOCK_DEVICE",
        "|TMP_MOUNT_PATH|TMP_IMAGE_PATH"
    )
);
pattern!(SAFE_WHICH, r"(?s-u)dib-lint: which|^#");

/// Everything that upstream asks of files in elements; whether it was a Python
/// script.
pub(super) fn script(
    file: &File,
    content: &[u8],
    exclusions: &Exclusions,
    linter: &Linter,
    report: &mut Report,
) -> bool {
    let path = file.shown();
    if contains(file.name(), b"source-repository-") && !shell::ends_with_newline(content) {
        report.error(&[path, b" does not end with a newline"]);
    }
    let first = shell::first_line(content);
    let mut is_python = false;
    if first.starts_with(b"#!") {
        if !file.is_executable() && !exclusions.has("executable") {
            report.error(&[path, b" is not executable"]);
        }
        is_python = python::is_shebang(&first);
        if is_python {
            linter.check(file, content, report);
        } else if !exclusions.has("indent") {
            indents(path, content, report);
        }
    }
    if file.name() == b"element-deps" {
        sorted(path, content, report);
    }
    if BASH.is_match(&first) && first != b"#!/bin/bash" {
        report.error(&[path, b" : only use #!/bin/bash for scripts"]);
    }
    if contains(&first, b"#!/bin/bash") {
        settings(path, content, exclusions, report);
    }
    environment(file, content, report);
    if EXPORT.is_match(content) {
        report.error(&[b"Split export and assignments in ", path]);
    }
    commands(file, content, exclusions, report);
    is_python
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Lines that are indented by a number of spaces that four does not divide.
fn indents(path: &[u8], content: &[u8], report: &mut Report) {
    let odd = |line: &[u8]| {
        let spaces = line.iter().take_while(|byte| **byte == b' ').count();
        spaces % 4 != 0 && spaces < line.len()
    };
    let mut lines = shell::lines(content)
        .enumerate()
        .filter(|(_, line)| odd(line))
        .peekable();
    if lines.peek().is_none() {
        return;
    }
    report.error(&[path, b" should use 4 spaces indent"]);
    for (index, line) in lines {
        report.line(&[format!("{}:", index + 1).as_bytes(), line].concat());
    }
}

/// Names must be in byte order; upstream shows both orders side by side.
fn sorted(path: &[u8], content: &[u8], report: &mut Report) {
    let lines: Vec<&[u8]> = shell::lines(content)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .collect();
    let mut ordered = lines.clone();
    ordered.sort();
    if lines == ordered {
        return;
    }
    report.error(&[path, b" is not sorted alphabetically"]);
    match side_by_side(&lines, &ordered) {
        Ok(shown) => shell::lines(&shown).for_each(|line| report.line(line)),
        Err(error) => report.note(&format!("cannot run diff, which would show it: {error}")),
    }
}

fn side_by_side(left: &[&[u8]], right: &[&[u8]]) -> std::io::Result<Vec<u8>> {
    use std::io::Write;
    let mut files = [
        tempfile::NamedTempFile::new()?,
        tempfile::NamedTempFile::new()?,
    ];
    for (file, lines) in files.iter_mut().zip([left, right]) {
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

/// What every bash script must set.
fn settings(path: &[u8], content: &[u8], exclusions: &Exclusions, report: &mut Report) {
    let required: [(&str, &Regex, &[u8]); 4] = [
        ("sete", &SET_E, b" is not set -e"),
        ("setu", &SET_U, b" is not set -u"),
        ("setpipefail", &SET_PIPEFAIL, b" is not set -o pipefail"),
        ("dibdebugtrace", &TRACE, b" does not follow DIB_DEBUG_TRACE"),
    ];
    for (test, pattern, message) in required {
        if !exclusions.has(test) && !pattern.is_match(content) {
            report.error(&[path, message]);
        }
    }
}

fn environment(file: &File, content: &[u8], report: &mut Report) {
    let path = file.shown();
    if !ENVIRONMENT.is_match(path) {
        return;
    }
    if SET_X.is_match(content) {
        report.error(&[b"Environment file ", path, b" should not set tracing"]);
    }
    if file.is_executable() {
        report.error(&[
            b"Environment file ",
            path,
            b" should not be marked as executable",
        ]);
    }
}

/// sudo in phases outside of the target, and `which` everywhere.
fn commands(file: &File, content: &[u8], exclusions: &Exclusions, report: &mut Report) {
    let path = file.shown();
    let directory = file
        .path
        .parent()
        .map_or(&b""[..], |parent: &Path| parent.as_os_str().as_bytes());
    let lines = shell::read_lines(content);
    if !exclusions.has("safe_sudo") && OUTSIDE.is_match(directory) {
        for line in &lines {
            if contains(line, b"sudo ") && !SAFE_SUDO.is_match(line) {
                report.error(&[path, b" : potentially unsafe sudo\\n -- ", line]);
            }
        }
    }
    if !exclusions.has("which") {
        for line in &lines {
            if contains(line, b"which ") && !SAFE_WHICH.is_match(line) {
                report.error(&[path, b" : potential use of which\\n -- ", line]);
            }
        }
    }
}

/// Tabs before text, and the newline at the end.
pub(super) fn layout(file: &File, content: &[u8], exclusions: &Exclusions, report: &mut Report) {
    if !exclusions.has("tabindent") && TAB.is_match(content) {
        report.error(&[file.shown(), b" contains tab characters"]);
    }
    if !exclusions.has("newline") && !shell::ends_with_newline(content) {
        report.error(&[b"No newline at end of file: ", file.shown()]);
    }
}
