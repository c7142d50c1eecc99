//! `safedib cache list|clear`: the layers that `--cache` keeps.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use thiserror::Error as ThisError;

use crate::driver::layers::store::{age, Listed, Store};
use crate::error::{Error, Explain};
use crate::manual::{Manual, Operands, Options};
use crate::report::now;
use crate::request::LAYERS_DIRECTORY;

use super::answered;

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "cache",
    summary: "list or remove the layers that --cache keeps",
    usage: &["list|clear [--cache=DIR]"],
    description: &[
        "A layer is the state of the target between two hooks, which `disk-image-create --cache` keeps, so that the \
         next build can begin with it.",
    ],
    operands: Operands::Words(&[
        ("list", "show the layers, those used last first"),
        ("clear", "remove them, but for those that a build uses"),
    ]),
    options: Options::Listed(&[
        (
            "--cache=DIR",
            "where layers are, if not in ~/.cache/safedib/layers",
        ),
        ("-h, --help", "show this text"),
    ]),
    files: &[("~/.cache/safedib/layers", "Layers.")],
    see_also: &["disk-image-create"],
    ..Manual::EMPTY
};

#[derive(Debug, ThisError)]
enum CacheError {
    #[error("cache needs to be told what to do")]
    Usage,
    #[error("cache does not know '{0}'")]
    Unknown(String),
    #[error("cannot tell where layers are: HOME is not set")]
    NoHome,
    #[error("cannot read or clear {}: {source}", directory.display())]
    Io {
        directory: PathBuf,
        source: std::io::Error,
    },
}

impl Explain for CacheError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            CacheError::NoHome => "give --cache=DIR".into(),
            CacheError::Io { .. } => "call it as whoever has built with --cache".into(),
            _ => "safedib cache list, or safedib cache clear".into(),
        })
    }
}

/// Lists or removes layers.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    answered(name, answer(words))
}

fn answer(words: &[OsString]) -> Result<String, Error> {
    let mut command = None;
    let mut directory = None;
    for word in words {
        let text = word.to_string_lossy();
        match text.strip_prefix("--cache=") {
            Some(path) if !path.is_empty() => directory = Some(PathBuf::from(path)),
            _ if text == "--help" || text == "-h" => return Ok(MANUAL.help()),
            _ if command.is_none() && matches!(&*text, "list" | "clear") => {
                command = Some(text.into_owned());
            }
            _ => return Err(CacheError::Unknown(text.into_owned()).into()),
        }
    }
    let command = command.ok_or(CacheError::Usage)?;
    let directory = match (directory, std::env::var_os("HOME")) {
        (Some(given), _) => given,
        (None, Some(home)) => Path::new(&home).join(LAYERS_DIRECTORY),
        (None, None) => return Err(CacheError::NoHome.into()),
    };
    let store = Store::at(&directory);
    let done = match command.as_str() {
        "list" => store.list().map(|listed| table(&directory, &listed)),
        _ => clear(&store),
    };
    Ok(done.map_err(|source| CacheError::Io { directory, source })?)
}

fn clear(store: &Store) -> std::io::Result<String> {
    let count = store.shrink(0)?;
    let left = store.list()?.len();
    Ok(match left {
        0 => format!("removed {count} layers\n"),
        left => format!("removed {count} layers; builds use {left} more\n"),
    })
}

fn table(directory: &Path, listed: &[Listed]) -> String {
    let sum: u64 = listed.iter().map(|listed| listed.meta.bytes).sum();
    let mut text = format!(
        "{}: {} layers, {} MiB\n",
        directory.display(),
        listed.len(),
        sum >> 20
    );
    for Listed { meta, unused, .. } in listed {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {:.12}  {:>6} MiB  kept {} ago, used {} ago  {}  after {}",
            meta.key,
            meta.bytes >> 20,
            age(seconds_since(meta.made)),
            age(*unused),
            meta.elements.join(" "),
            meta.place()
        );
    }
    text
}

fn seconds_since(then: u64) -> u64 {
    now().saturating_sub(then)
}
