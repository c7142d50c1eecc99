//! `dib-lint`: common mistakes in elements, found as upstream's script finds
//! them, but without starting programs for each file.

mod echo;
mod files;
mod linter;
mod report;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use thiserror::Error;

use crate::error::Explain;
use crate::lint::{self, check_json, first_line, python, Exclusions};
use crate::manual::{Manual, Options};
use crate::yaml;

use super::{fail, print};
use files::{File, Ignored};
use linter::Linter;
use report::Report;

const ELEMENTS_DIR: (&str, &str) = ("ELEMENTS_DIR", "diskimage_builder/elements");
const LIB_DIR: (&str, &str) = ("LIB_DIR", "diskimage_builder/lib");

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "dib-lint",
    linked: true,
    summary: "find common mistakes in elements",
    usage: &["[--flake8]"],
    description: &[
        "Looks for common mistakes in elements, and prints an ERROR line for each.",
        "A line `# dib-lint: disable=TEST...` in a file switches tests off for it, an entry `ignore` in the section \
         [dib-lint] of ./tox.ini does for all: executable indent sete setu setpipefail dibdebugtrace safe_sudo which \
         tabindent newline mddocs. `# dib-lint: safe_sudo` and `# dib-lint: which` in a line excuse that line. Files \
         that git ignores are skipped.",
        "Python scripts are checked for layout, with the codes and the settings of flake8, but not for what needs a \
         parser.",
    ],
    options: Options::Listed(&[
        ("--flake8", "have the program flake8 check Python scripts"),
        ("-h, --help", "show this text"),
    ]),
    environment: &[
        (
            "ELEMENTS_DIR",
            "the elements, if not diskimage_builder/elements",
        ),
        ("LIB_DIR", "further files, if not diskimage_builder/lib"),
    ],
    statuses: &[
        ("0", "nothing was found"),
        ("1", "something was found"),
        ("2", "the command line is none"),
    ],
    see_also: &["safedib-check"],
    ..Manual::EMPTY
};

#[derive(Debug, Error)]
enum Failure {
    #[error("dib-lint takes no argument '{0}'")]
    Usage(String),
    #[error("no working directory: {0}")]
    Cwd(io::Error),
    #[error("cannot run flake8: {0}")]
    Flake8(io::Error),
}

impl Explain for Failure {
    fn hint(&self) -> Option<String> {
        match self {
            Failure::Usage(_) => {
                Some("what to look at is named by ELEMENTS_DIR and LIB_DIR".into())
            }
            Failure::Cwd(_) => Some("change to a directory that exists".into()),
            Failure::Flake8(_) => Some("pip install flake8, or leave --flake8 out".into()),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            _ => 1,
        }
    }
}

/// Runs the applet.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    let flake8 = match words {
        [] => false,
        [word] if word == "--flake8" => true,
        [word] if word == "--help" || word == "-h" => {
            print(&MANUAL.help());
            return ExitCode::SUCCESS;
        }
        [.., word] => {
            let word = word.to_string_lossy().into_owned();
            return fail(name, &Failure::Usage(word).into());
        }
    };
    match lint(name, flake8) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(name, &error.into()),
    }
}

/// Checks everything; whether all is well.
fn lint(name: &str, flake8: bool) -> Result<bool, Failure> {
    let mut report = Report::new(name);
    let mut here = b"Running dib-lint in ".to_vec();
    here.extend(working_directory()?.into_os_string().into_vec());
    report.line(&here);
    let tree = Tree::find(&mut report);
    let linter = match flake8 {
        true => Linter::flake8(tree.scripts())?,
        false => Linter::own(&mut report),
    };
    tree.readmes(&mut report);
    let mut pythons = 0;
    for file in tree.hooks() {
        if tree.ignored.skips(file, &mut report) {
            continue;
        }
        report.labelled(b"Checking ", &file.path);
        if let Some(content) = file.read(&mut report) {
            let exclusions = tree.global.and_of(&content);
            pythons += usize::from(python::is_shebang(&first_line(&content)));
            let python = |path: &Path, content: &[u8]| linter.check(path, content);
            for fault in lint::script(&file.linted(), &content, &exclusions, &python) {
                report.fault(file, &fault);
            }
        }
    }
    report.line(b"Checking indents...");
    tree.layout(&mut report);
    report.line(b"Checking YAML parsing...");
    tree.parsed("yaml", &mut report);
    report.line(b"Checking pkg-map files...");
    tree.parsed("json", &mut report);
    if pythons > 0 && !flake8 {
        report.note(&format!(
            "{pythons} Python files were checked for layout only; dib-lint --flake8 runs flake8 over them"
        ));
    }
    report.line(match report.failed() {
        false => b"PASS",
        true => b"*** FAIL: Some tests failed!",
    });
    Ok(!report.failed())
}

/// As a shell's `pwd`: with the links that led here.
fn working_directory() -> Result<PathBuf, Failure> {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
    let given = env::var_os("PWD").map(PathBuf::from);
    match given {
        Some(path) if path.is_absolute() && id(&path) == id(Path::new(".")) => Ok(path),
        _ => env::current_dir().map_err(Failure::Cwd),
    }
}

/// The directories that a variable names, separated by blanks.
fn roots((variable, default): (&str, &str)) -> Vec<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty());
    let value = value.unwrap_or_else(|| default.into());
    value
        .as_bytes()
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| OsStr::from_bytes(word).into())
        .collect()
}

/// Whether a file is a Python script; unreadable ones are none.
fn is_python(path: &Path) -> bool {
    fs::read(path).is_ok_and(|content| python::is_shebang(&first_line(&content)))
}

/// All that is looked at.
struct Tree {
    elements: Vec<File>,
    library: Vec<File>,
    ignored: Ignored,
    global: Exclusions,
}

impl Tree {
    fn find(report: &mut Report) -> Tree {
        let mut elements = Vec::new();
        let mut library = Vec::new();
        for root in roots(ELEMENTS_DIR) {
            if let Err(error) = files::walk(&root, &mut elements) {
                report.trouble(&format!("{}: {error}", root.display()));
            }
        }
        // Upstream, too, says so and goes on: other repositories have no such
        // directory.
        for root in roots(LIB_DIR) {
            if let Err(error) = files::walk(&root, &mut library) {
                report.note(&format!("{}: {error}", root.display()));
            }
        }
        let candidates = elements.iter().chain(&library).filter(|file| file.is_file);
        let ignored = Ignored::ask(candidates, report);
        Tree {
            elements,
            library,
            ignored,
            global: Exclusions::of(Path::new(".")),
        }
    }

    /// Files that are checked as scripts.
    fn hooks(&self) -> impl Iterator<Item = &File> {
        let other = [".rst", ".yaml", ".py"];
        self.elements
            .iter()
            .filter(move |file| file.is_file && !other.iter().any(|end| file.ends_with(end)))
    }

    /// Paths of the Python scripts among them that git does not ignore.
    fn scripts(&self) -> Vec<&Path> {
        self.hooks()
            .filter(|file| !self.ignored.contains(file) && is_python(&file.path))
            .map(|file| file.path.as_path())
            .collect()
    }

    fn readmes(&self, report: &mut Report) {
        for file in &self.elements {
            if file.depth == 1 && file.is_dir && !file.path.join("README.rst").is_file() {
                report.error(&[file.shown(), b" lacks a README.rst"]);
            }
        }
    }

    /// Tabs, the last newline, and documentation in the wrong format.
    fn layout(&self, report: &mut Report) {
        let documents = self
            .elements
            .iter()
            .filter(|file| file.is_file && (file.ends_with(".rst") || file.is_executable()));
        let library = self.library.iter().filter(|file| file.is_file);
        for file in documents.chain(library) {
            if self.ignored.skips(file, report) {
                continue;
            }
            if let Some(content) = file.read(report) {
                let exclusions = self.global.and_of(&content);
                for fault in lint::layout(&content, &exclusions) {
                    report.fault(file, &fault);
                }
            }
        }
        let markdown: Vec<&[u8]> = self
            .elements
            .iter()
            .filter(|file| file.ends_with(".md"))
            .map(File::shown)
            .collect();
        if !markdown.is_empty() && !self.global.has("mddocs") {
            report.error(&[b".md docs found: ", &markdown.join(&b'\n')]);
        }
    }

    /// Whether YAML files and pkg-maps can be read.
    fn parsed(&self, format: &str, report: &mut Report) {
        for file in self.elements.iter().filter(|file| file.is_file) {
            let (is_one, message): (_, &[u8]) = match format {
                "yaml" => (file.ends_with(".yaml"), b" is not a valid YAML file"),
                _ => (
                    file.name() == b"pkg-map" && !file.is_executable(),
                    b" is not a valid JSON file",
                ),
            };
            if !is_one {
                continue;
            }
            report.labelled(b"Parsing  ", &file.path);
            let Some(content) = file.read(report) else {
                continue;
            };
            let reason = match (std::str::from_utf8(&content), format) {
                (Err(error), _) => Some(error.to_string()),
                (Ok(text), "yaml") => yaml::load(text).err().map(|error| error.to_string()),
                (Ok(text), _) => check_json(text)
                    .err()
                    .map(|(line, reason)| format!("{reason} (line {line})")),
            };
            if let Some(reason) = reason {
                report.note(&format!("{}: {reason}", file.path.display()));
                report.error(&[file.shown(), message]);
            }
        }
    }
}
