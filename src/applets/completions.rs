//! `safedib completions`: what shells need to complete our commands.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error as ThisError;

use crate::elements::Catalog;
use crate::error::{Error, Explain};
use crate::manual::{Manual, Operands, Options, SHELLS};
use crate::request::{variables, Environment, HostFacts};

use super::{answered, manuals};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "completions",
    summary: "print what completes command lines in a shell",
    usage: &["bash|zsh|fish", "--elements"],
    description: &[
        "Prints a script that makes a shell complete the command lines of safedib and of all commands that it replaces: \
         commands, options, their values, and the names of elements. For bash it is read by \
         `source <(safedib completions bash)`, for zsh likewise after compinit, for fish by \
         `safedib completions fish | source`.",
    ],
    options: Options::Listed(&[
        (
            "--elements",
            "print the names of all elements that are found, which the scripts ask for",
        ),
        ("-h, --help", "show this text"),
    ]),
    operands: Operands::Words(&[
        ("bash", "for bash 4.4 or later"),
        ("zsh", "for zsh"),
        ("fish", "for fish"),
    ]),
    environment: &[
        ("ELEMENTS_PATH", "directories of elements"),
        ("DIB_ELEMENTS_DIR", "upstream's own elements"),
    ],
    see_also: &["safedib", "safedib-manual"],
    ..Manual::EMPTY
};

#[derive(Debug, ThisError)]
enum CompletionsError {
    #[error("completions needs one shell")]
    Usage,
    #[error("completions does not know '{0}'")]
    Unknown(String),
}

impl Explain for CompletionsError {
    fn hint(&self) -> Option<String> {
        let shells = SHELLS.map(|(shell, _)| shell);
        Some(format!("the shells are {}", shells.join(", ")))
    }
}

/// Prints a script, or names.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    answered(name, answer(words))
}

fn answer(words: &[OsString]) -> Result<String, Error> {
    let [word] = words else {
        return Err(CompletionsError::Usage.into());
    };
    let word = word.to_string_lossy();
    match &*word {
        "-h" | "--help" => return Ok(MANUAL.help()),
        "--elements" => return elements(),
        _ => {}
    }
    match SHELLS.iter().find(|(shell, _)| *shell == word) {
        Some((_, completions)) => Ok(completions(&manuals())),
        None => Err(CompletionsError::Unknown(word.into_owned()).into()),
    }
}

/// The names of all elements on the path; directories that are not there have none.
fn elements() -> Result<String, Error> {
    let environment = Environment::current();
    let host = HostFacts::gather()?;
    let path = environment.filled(variables::ELEMENTS_PATH.name);
    let mut directories: Vec<PathBuf> = path
        .unwrap_or_default()
        .as_bytes()
        .split(|byte| *byte == b':')
        .filter(|entry| !entry.is_empty())
        .map(|entry| host.absolute(OsStr::from_bytes(entry)))
        .filter(|directory| host.is_dir(directory))
        .collect();
    let base = host.base_elements(&environment)?;
    directories.extend(base.ok().map(|base| base.path));
    let catalog = Catalog::find(&directories)?;
    let names = catalog.elements.keys();
    Ok(names.map(|name| format!("{name}\n")).collect())
}
