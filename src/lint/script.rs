//! The tests of single files.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::exclusions::Exclusions;
use super::fault::{Fault, Setting};
use super::python::{self, Finding};
use super::{text, File};

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

/// Everything that upstream asks of files in elements, in its order. `python`
/// looks at Python scripts.
pub fn script(
    file: &File,
    content: &[u8],
    exclusions: &Exclusions,
    python: &dyn Fn(&Path, &[u8]) -> Vec<Finding>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    if contains(file.name(), b"source-repository-") && !text::ends_with_newline(content) {
        faults.push(Fault::RepositoryNewline);
    }
    let first = text::first_line(content);
    if first.starts_with(b"#!") {
        if !file.executable && !exclusions.has("executable") {
            faults.push(Fault::NotExecutable);
        }
        if python::is_shebang(&first) {
            let found = python(file.path, content);
            faults.extend((!found.is_empty()).then_some(Fault::Python(found)));
        } else if !exclusions.has("indent") {
            faults.extend(indents(content));
        }
    }
    if file.name() == b"element-deps" {
        faults.extend(unsorted(content));
    }
    if BASH.is_match(&first) && first != b"#!/bin/bash" {
        faults.push(Fault::Interpreter);
    }
    if contains(&first, b"#!/bin/bash") {
        faults.extend(settings(content, exclusions));
    }
    faults.extend(environment(file, content));
    if let Some(found) = EXPORT.find(content) {
        faults.push(Fault::Export(line_of(content, found.start())));
    }
    faults.extend(commands(file, content, exclusions));
    faults
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn line_of(content: &[u8], offset: usize) -> usize {
    let before = content.get(..offset).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn indents(content: &[u8]) -> Option<Fault> {
    let odd = |line: &[u8]| {
        let spaces = line.iter().take_while(|byte| **byte == b' ').count();
        spaces % 4 != 0 && spaces < line.len()
    };
    let lines: Vec<(usize, Vec<u8>)> = text::lines(content)
        .enumerate()
        .filter(|(_, line)| odd(line))
        .map(|(index, line)| (index + 1, line.to_vec()))
        .collect();
    (!lines.is_empty()).then_some(Fault::Indent(lines))
}

/// Names must be in byte order.
fn unsorted(content: &[u8]) -> Option<Fault> {
    let lines: Vec<Vec<u8>> = text::lines(content)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .map(<[u8]>::to_vec)
        .collect();
    let mut ordered = lines.clone();
    ordered.sort();
    (lines != ordered).then_some(Fault::Unsorted(lines, ordered))
}

/// What every bash script must set.
fn settings<'a>(
    content: &'a [u8],
    exclusions: &'a Exclusions,
) -> impl Iterator<Item = Fault> + use<'a> {
    let required: [(&str, &Regex, Setting); 4] = [
        ("sete", &SET_E, Setting::Errors),
        ("setu", &SET_U, Setting::Unset),
        ("setpipefail", &SET_PIPEFAIL, Setting::Pipefail),
        ("dibdebugtrace", &TRACE, Setting::Trace),
    ];
    required
        .into_iter()
        .filter(|(test, pattern, _)| !exclusions.has(test) && !pattern.is_match(content))
        .map(|(_, _, setting)| Fault::Lacks(setting))
}

fn environment(file: &File, content: &[u8]) -> Vec<Fault> {
    if !ENVIRONMENT.is_match(file.bytes()) {
        return Vec::new();
    }
    let traces = SET_X
        .find(content)
        .map(|found| Fault::Traces(line_of(content, found.start())));
    let executable = file.executable.then_some(Fault::Executable);
    traces.into_iter().chain(executable).collect()
}

/// sudo in phases outside of the target, and `which` everywhere.
fn commands(file: &File, content: &[u8], exclusions: &Exclusions) -> Vec<Fault> {
    let directory = file
        .path
        .parent()
        .map_or(&b""[..], |parent| parent.as_os_str().as_bytes());
    let lines = text::read_lines(content);
    let with = |word: &[u8], safe: &Regex| -> Vec<(usize, Vec<u8>)> {
        let found = lines
            .iter()
            .filter(|(_, line)| contains(line, word) && !safe.is_match(line));
        found.cloned().collect()
    };
    let mut faults = Vec::new();
    if !exclusions.has("safe_sudo") && OUTSIDE.is_match(directory) {
        let found = with(b"sudo ", &SAFE_SUDO).into_iter();
        faults.extend(found.map(|(number, line)| Fault::Sudo(number, line)));
    }
    if !exclusions.has("which") {
        let found = with(b"which ", &SAFE_WHICH).into_iter();
        faults.extend(found.map(|(number, line)| Fault::Which(number, line)));
    }
    faults
}

/// Tabs before text, and the newline at the end.
pub fn layout(content: &[u8], exclusions: &Exclusions) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !exclusions.has("tabindent") {
        if let Some(found) = TAB.find(content) {
            faults.push(Fault::Tabs(line_of(content, found.start())));
        }
    }
    if !exclusions.has("newline") && !text::ends_with_newline(content) {
        faults.push(Fault::Newline);
    }
    faults
}
