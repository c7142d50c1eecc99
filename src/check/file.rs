//! The files of an element that are read, and what each of them is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::elements::{is_hook_name, Location, Phase};

use super::shell::{scan, Script};

/// Files above this size are no scripts.
const LARGEST: u64 = 1 << 20;

/// What runs a file, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A hook of a phase.
    Hook(Phase),
    /// A file of environment.d, sourced everywhere.
    Environment,
    /// A script that something else calls: where it runs is not known.
    Helper,
}

impl Role {
    /// Whether it surely runs outside the target.
    pub fn is_outside(self) -> bool {
        matches!(self, Role::Hook(phase) if phase.location() == Location::Outside)
    }

    /// Whether it surely runs in the target.
    pub fn is_inside(self) -> bool {
        matches!(self, Role::Hook(phase) if phase.location() == Location::InTarget)
    }
}

/// What a script is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// sh or bash.
    Shell,
    /// Any Python.
    Python,
    /// Something else.
    Other,
}

/// A script of an element.
#[derive(Debug)]
pub struct File {
    /// Path below the element.
    pub below: PathBuf,
    /// What runs it.
    pub role: Role,
    /// What it is written in.
    pub language: Language,
    /// Its first line without `#!`; empty without one.
    pub interpreter: String,
    /// Content.
    pub text: String,
    /// What the scanner saw; empty unless it is a shell script.
    pub script: Script,
}

/// Reads the scripts of an element. What cannot be read, is no text or is no
/// script is left out.
pub fn scripts(element: &Path) -> Vec<File> {
    files(element, true)
        .filter_map(|item| {
            let below = item.path().strip_prefix(element).ok()?.to_path_buf();
            read(item.path(), below)
        })
        .collect()
}

/// Paths of an element's files; links, and what is too large for a script, are none.
pub(super) fn own_files(element: &Path) -> Vec<PathBuf> {
    files(element, false)
        .filter(|item| item.metadata().is_ok_and(|it| it.len() <= LARGEST))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// Files by name, without tests.
fn files(element: &Path, follow_links: bool) -> impl Iterator<Item = walkdir::DirEntry> {
    WalkDir::new(element)
        .follow_links(follow_links)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|item| {
            let name = item.file_name().to_string_lossy();
            item.depth() != 1 || !matches!(name.as_ref(), "tests" | "__pycache__" | "test-elements")
        })
        .filter_map(Result::ok)
        .filter(|item| item.file_type().is_file())
}

fn read(path: &Path, below: PathBuf) -> Option<File> {
    let metadata = fs::metadata(path).ok()?;
    if metadata.len() > LARGEST {
        return None;
    }
    let executable = metadata.permissions().mode() & 0o111 != 0;
    let role = role(&below, executable);
    let bytes = fs::read(path).ok()?;
    let shebang = bytes.starts_with(b"#!");
    if !shebang && role == Role::Helper {
        return None;
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let interpreter = match shebang {
        true => text.lines().next().unwrap_or_default()[2..].to_owned(),
        false => String::new(),
    };
    let language = language(&interpreter);
    let script = match language {
        Language::Shell => scan(&text),
        _ => Script::default(),
    };
    Some(File {
        below,
        role,
        language,
        interpreter,
        text,
        script,
    })
}

fn role(below: &Path, executable: bool) -> Role {
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    let (directory, name, nested) = match parts.as_slice() {
        [directory, name] => (directory.as_ref(), name.as_ref(), false),
        // What install-types links into install.d.
        [directory, kind, name] if directory == "install.d" && kind.ends_with("-install") => {
            (directory.as_ref(), name.as_ref(), true)
        }
        _ => return Role::Helper,
    };
    if directory == "environment.d" && !nested {
        return Role::Environment;
    }
    match Phase::from_directory(directory) {
        Some(phase) if executable && is_hook_name(name) => Role::Hook(phase),
        _ => Role::Helper,
    }
}

/// No `#!` line means bash, which sources environment.d and starts the hooks.
fn language(interpreter: &str) -> Language {
    let mut words = interpreter.split_whitespace();
    let mut program = words.next().unwrap_or("bash");
    if program.ends_with("/env") {
        program = words
            .find(|word| !word.starts_with('-'))
            .unwrap_or_default();
    }
    let name = program.rsplit('/').next().unwrap_or_default();
    match name {
        "sh" | "bash" | "dash" | "ksh" => Language::Shell,
        "dib-python" => Language::Python,
        _ if name.starts_with("python") => Language::Python,
        _ => Language::Other,
    }
}
