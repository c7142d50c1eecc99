//! `safedib manual`: the man pages of all commands.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use thiserror::Error;

use crate::error::Explain;
use crate::manual::{self, Manual, Operands, Options};

use super::{answered, manuals};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "manual",
    summary: "print a man page, or write all of them to a directory",
    usage: &["NAME", "--output DIR [--check]"],
    description: &[
        "Prints the man page NAME: that of a command, of `safedib` itself, or of `variables`, which explains the \
         variables of builds. Or writes all of them below a directory of man pages.",
    ],
    options: Options::Listed(&[
        (
            "--output DIR",
            "write all pages to man1 and man7 in DIR, which are made if they are not there",
        ),
        (
            "--check",
            "write nothing, and fail if a page in DIR is not the current one",
        ),
        ("-h, --help", "show this text"),
    ]),
    operands: Operands::Names(names),
    statuses: &[
        ("0", "it is done, or all pages are current"),
        ("1", "there is no such page, or pages are not current"),
    ],
    examples: &[
        (
            "Read the page of plan:",
            "safedib manual plan | man -l -",
        ),
        (
            "Have man find all pages, if ~/.local/bin is on PATH:",
            "safedib manual --output ~/.local/share/man",
        ),
    ],
    see_also: &["safedib", "safedib-completions"],
    ..Manual::EMPTY
};

#[derive(Debug, Error)]
enum ManualError {
    #[error("manual needs the name of a page, or --output DIR")]
    Usage,
    #[error("manual does not know '{0}'")]
    Unknown(String),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("not current: {}", .0.join(" "))]
    Stale(Vec<String>),
}

impl Explain for ManualError {
    fn hint(&self) -> Option<String> {
        match self {
            ManualError::Usage => Some("safedib manual --output ~/.local/share/man".into()),
            ManualError::Unknown(_) => Some(format!("the pages are {}", names().join(" "))),
            ManualError::Stale(_) => Some("write them again: the same without --check".into()),
            ManualError::Write { .. } => None,
        }
    }
}

/// Prints a page, or writes all.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    answered(name, answer(words).map_err(Into::into))
}

fn answer(words: &[OsString]) -> Result<String, ManualError> {
    let (mut name, mut output, mut check) = (None, None, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        match &*text {
            "-h" | "--help" => return Ok(MANUAL.help()),
            "--check" => check = true,
            "--output" => output = Some(PathBuf::from(words.next().ok_or(ManualError::Usage)?)),
            _ if name.is_none() && !text.starts_with('-') => name = Some(text.into_owned()),
            _ => return Err(ManualError::Unknown(text.into_owned())),
        }
    }
    match (name, output) {
        (Some(name), None) if !check => page(&name),
        (None, Some(directory)) if check => checked(&directory),
        (None, Some(directory)) => written(&directory),
        _ => Err(ManualError::Usage),
    }
}

/// A page, below a directory of pages.
struct Page {
    /// Its name, without `safedib-` before it.
    name: String,
    /// Where it belongs: `man1/safedib-plan.1`.
    path: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let manuals = manuals();
    let page = |name: &str, file: &str, section: u8, text| Page {
        name: name.to_owned(),
        path: format!("man{section}/{file}.{section}"),
        text,
    };
    let mut pages = vec![
        page("safedib", "safedib", 1, manual::front_page(&manuals)),
        page(
            "variables",
            "safedib-variables",
            7,
            manual::variables_page(),
        ),
    ];
    for manual in manuals {
        pages.push(page(manual.name, &manual.page_name(), 1, manual.page()));
    }
    pages
}

fn names() -> Vec<String> {
    pages().into_iter().map(|page| page.name).collect()
}

fn page(name: &str) -> Result<String, ManualError> {
    let short = name.strip_prefix("safedib-").unwrap_or(name);
    let found = pages().into_iter().find(|page| page.name == short);
    found
        .map(|page| page.text)
        .ok_or_else(|| ManualError::Unknown(name.to_owned()))
}

fn written(directory: &Path) -> Result<String, ManualError> {
    let pages = pages();
    for page in &pages {
        let path = directory.join(&page.path);
        let parent = path.parent().unwrap_or(directory);
        let done = fs::create_dir_all(parent).and_then(|()| fs::write(&path, &page.text));
        done.map_err(|source| ManualError::Write {
            path: path.clone(),
            source,
        })?;
    }
    Ok(format!(
        "{} pages in {}\n",
        pages.len(),
        directory.display()
    ))
}

fn checked(directory: &Path) -> Result<String, ManualError> {
    let pages = pages();
    let stale: Vec<String> = pages
        .iter()
        .filter(|page| fs::read(directory.join(&page.path)).ok() != Some(page.text.clone().into()))
        .map(|page| page.path.clone())
        .collect();
    match stale.is_empty() {
        true => Ok(format!("{} pages are current\n", pages.len())),
        false => Err(ManualError::Stale(stale)),
    }
}
