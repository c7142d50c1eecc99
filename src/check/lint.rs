//! What upstream's `dib-lint` finds: L8xx. One finding for each file and kind.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::elements::Phase;
use crate::lint::{self, python, Exclusions, Fault, Setting};
use crate::yaml;

use super::file::own_files;
use super::report::Sink;
use super::rules::{self, Rule};
use super::world::Subject;

/// The settings of a repository: those that `dib-lint` finds where its tox.ini is.
#[derive(Debug)]
pub(super) struct Settings {
    exclusions: Exclusions,
    flake8: python::Config,
}

impl Settings {
    /// Those for a directory of elements: of the nearest `tox.ini` from there
    /// upwards, within the repository.
    pub(super) fn of(tree: &Path) -> Settings {
        let directory = directory_of_settings(tree);
        Settings {
            exclusions: Exclusions::of(&directory),
            flake8: python::Config::find(&directory).0,
        }
    }
}

fn directory_of_settings(tree: &Path) -> PathBuf {
    for directory in tree.ancestors() {
        if directory.join("tox.ini").is_file() {
            return directory.to_path_buf();
        }
        if directory.join(".git").exists() {
            break;
        }
    }
    tree.to_path_buf()
}

pub(super) fn look(settings: &Settings, subject: &Subject, sink: &mut Sink) {
    let element = &subject.element.path;
    if !element.join("README.rst").is_file() {
        sink.add(
            rules::NO_README,
            Path::new(""),
            0,
            "no README.rst".to_owned(),
        );
    }
    for path in own_files(element) {
        let below = path.strip_prefix(element).unwrap_or(&path).to_path_buf();
        look_at_file(settings, &path, &below, sink);
    }
}

fn look_at_file(settings: &Settings, path: &Path, below: &Path, sink: &mut Sink) {
    let Ok(content) = fs::read(path) else { return };
    let executable =
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
    let file = lint::File { path, executable };
    let is = |end: &str| path.as_os_str().as_bytes().ends_with(end.as_bytes());
    let exclusions = settings.exclusions.and_of(&content);
    let mut faults = Vec::new();
    if ![".rst", ".yaml", ".py"].into_iter().any(is) {
        let python = |path: &Path, content: &[u8]| match settings.flake8.excludes(path) {
            true => Vec::new(),
            false => python::findings(content, &settings.flake8)
                .into_iter()
                .collect(),
        };
        faults.extend(lint::script(&file, &content, &exclusions, &python));
    }
    if executable || is(".rst") {
        faults.extend(lint::layout(&content, &exclusions));
    }
    tell(&faults, below, sink);
    if is(".md") && !settings.exclusions.has("mddocs") {
        sink.add(rules::MARKDOWN, below, 0, "documentation".into());
    }
    if is(".yaml") && !super::configuration::is_read(below) {
        let text = String::from_utf8_lossy(&content);
        if let Err((at, error)) = yaml::load_nodes(&text) {
            sink.add(rules::BAD_YAML, below, at.line, error.to_string());
        }
    }
}

/// Adds the faults of a file, those of one kind as one.
fn tell(faults: &[Fault], below: &Path, sink: &mut Sink) {
    let mut told: Vec<(&'static Rule, usize, String, usize)> = Vec::new();
    for fault in faults {
        let Some((rule, what)) = described(fault, below) else {
            continue;
        };
        match told.iter_mut().find(|(known, ..)| *known == rule) {
            Some((.., more)) => *more += 1,
            None => told.push((rule, fault.line(), what, 0)),
        }
    }
    for (rule, line, what, more) in told {
        sink.add(rule, below, line, with_more(what, more));
    }
}

fn with_more(what: String, more: usize) -> String {
    match more {
        0 => what,
        more => format!("{what} (and {more} more)"),
    }
}

fn described(fault: &Fault, below: &Path) -> Option<(&'static Rule, String)> {
    let quoted = |line: &[u8]| shortened(&String::from_utf8_lossy(line));
    Some(match fault {
        // Told by the rules of source-repository files and of hooks.
        Fault::RepositoryNewline => return None,
        Fault::NotExecutable if in_phase(below) => return None,
        Fault::NotExecutable => (rules::LINT_MODE, "a #! line, and no x bit".into()),
        Fault::Python(found) => {
            let first = found.first()?;
            let what = format!("{} {}", first.code, first.text);
            (rules::LINT_PYTHON, with_more(what, found.len() - 1))
        }
        Fault::Indent(lines) => {
            let spaces = lines.first()?.1.iter().take_while(|byte| **byte == b' ');
            let what = format!("{} spaces", spaces.count());
            (rules::LINT_INDENT, with_more(what, lines.len() - 1))
        }
        Fault::Unsorted(lines, ordered) => {
            let out = lines.iter().zip(ordered).find(|(one, other)| one != other);
            let (found, expected) = out?;
            let what = format!(
                "{} stands where {} belongs",
                quoted(found),
                quoted(expected)
            );
            (rules::LINT_UNSORTED, what)
        }
        Fault::Interpreter => (rules::LINT_INTERPRETER, "another path of bash".into()),
        Fault::Lacks(Setting::Errors) => (rules::LINT_ERRORS, "no set -e".into()),
        Fault::Lacks(Setting::Unset) => (rules::LINT_UNSET, "no set -u".into()),
        Fault::Lacks(Setting::Pipefail) => (rules::LINT_PIPEFAIL, "no set -o pipefail".into()),
        Fault::Lacks(Setting::Trace) => (rules::LINT_TRACE, "no DIB_DEBUG_TRACE".into()),
        Fault::Traces(_) => (rules::LINT_TRACES, "set -x".into()),
        Fault::Executable => (rules::LINT_EXECUTABLE, "the x bit is set".into()),
        Fault::Export(_) => (rules::LINT_EXPORT, "export NAME=$(...)".into()),
        Fault::Sudo(_, line) => (rules::LINT_SUDO, quoted(line)),
        Fault::Which(_, line) => (rules::LINT_WHICH, quoted(line)),
        Fault::Tabs(_) => (rules::LINT_TABS, "a tab before text".into()),
        Fault::Newline => (rules::LINT_NEWLINE, "no newline at the end".into()),
    })
}

/// Whether the file lies in the directory of a phase, or in environment.d, whose
/// files must not be executable whatever their first line is.
fn in_phase(below: &Path) -> bool {
    let Some(directory) = below.iter().next().and_then(|name| name.to_str()) else {
        return false;
    };
    directory == "environment.d" || Phase::from_directory(directory).is_some()
}

fn shortened(line: &str) -> String {
    match line.chars().count() {
        0..=60 => line.to_owned(),
        _ => line.chars().take(57).collect::<String>() + "...",
    }
}
