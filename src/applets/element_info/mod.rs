//! `element-info [--env] ELEMENT...`: what elements come to with all that they
//! depend on (upstream `lib/element-info.py`).

mod arguments;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error;

use crate::elements::{self, Catalog, Element};
use crate::error::{tell, Explain};
use crate::manual::{Manual, Operands, Options};
use crate::request::yaml_map;

use super::answered;
use arguments::Request;

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "element-info",
    linked: true,
    summary: "print what elements depend on",
    usage: &["[-h] [--env] ELEMENT..."],
    description: &[
        "Prints the given elements and all that they depend on, as found on ELEMENTS_PATH. An operating system must \
         be among them.",
    ],
    options: Options::Listed(&[
        (
            "-e, --env",
            "print IMAGE_ELEMENT, IMAGE_ELEMENT_YAML and get_image_element_array for bash to eval",
        ),
        ("-h, --help", "show this text"),
    ]),
    operands: Operands::Elements,
    environment: &[
        (
            ELEMENTS_PATH,
            "directories with elements, upstream's own included; it must be set",
        ),
        (DEBUG_TRACE, "1: print messages for debugging, too"),
    ],
    statuses: &[
        ("0", "all are found"),
        ("1", "the elements cannot be had together"),
        ("2", "the command line is none"),
    ],
    see_also: &["disk-image-create", "safedib-plan"],
    ..Manual::EMPTY
};

/// Name of upstream's logger, which its lines show.
const LOGGER: &str = "diskimage_builder.element_dependencies";
const ELEMENTS_PATH: &str = "ELEMENTS_PATH";
const DEBUG_TRACE: &str = "DIB_DEBUG_TRACE";

#[derive(Debug, Error)]
enum Failure {
    #[error("{usage}{program}: error: {message}")]
    Usage {
        usage: String,
        program: String,
        message: String,
    },
    #[error("$ELEMENTS_PATH must be set.")]
    NoPath,
    #[error("DIB_DEBUG_TRACE must be a number, not: {0}")]
    Trace(String),
    #[error("the path of element '{0}' is not UTF-8")]
    NotText(String),
    #[error(transparent)]
    Elements(#[from] elements::Error),
}

impl Explain for Failure {
    fn hint(&self) -> Option<String> {
        match self {
            Failure::Usage { .. } => None,
            Failure::NoPath => Some(
                "ELEMENTS_PATH=DIRECTORY[:DIRECTORY]..., upstream's own elements included".into(),
            ),
            Failure::Trace(_) => Some("DIB_DEBUG_TRACE=0 or 1".into()),
            Failure::NotText(_) => Some("rename the directory".into()),
            Failure::Elements(error) => error.hint(),
        }
    }

    fn is_verbatim(&self) -> bool {
        matches!(self, Failure::Usage { .. })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage { .. } => 2,
            _ => 1,
        }
    }
}

/// Runs the applet.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    answered(name, answer(name, words).map_err(Into::into))
}

/// What goes to stdout.
fn answer(name: &str, words: &[OsString]) -> Result<String, Failure> {
    let (env, requested) = match arguments::parse(name, words)? {
        Request::Help => return Ok(MANUAL.help_below(&arguments::usage(name))),
        Request::Show { env, elements } => (env, elements),
    };
    let traced = traced()?;
    let value = std::env::var_os(ELEMENTS_PATH).filter(|value| !value.is_empty());
    let paths = split(&value.ok_or(Failure::NoPath)?);
    if traced {
        let reversed: Vec<_> = paths
            .iter()
            .rev()
            .map(|path| path.to_string_lossy())
            .collect();
        log(
            "DEBUG",
            &format!("ELEMENTS_PATH is: {}", reversed.join(":")),
        );
    }
    let catalog = Catalog::find(&paths)?;
    for (used, hidden) in &catalog.overrides {
        let (used, hidden) = (used.display(), hidden.display());
        log("WARNING", &format!("Element <{used}> overrides <{hidden}>"));
    }
    let set = elements::resolve(&requested, &catalog).inspect_err(|error| {
        if let elements::Error::RequestedButProvided { .. } = error {
            for line in error.to_string().lines() {
                log("ERROR", line);
            }
        }
    })?;
    if env {
        return variables(&set.elements);
    }
    Ok(set.names().join(" ") + "\n")
}

/// Upstream's rule for debug messages.
fn traced() -> Result<bool, Failure> {
    let Some(value) = std::env::var_os(DEBUG_TRACE) else {
        return Ok(false);
    };
    let text = value.to_string_lossy();
    let number: i64 = text
        .trim()
        .parse()
        .map_err(|_| Failure::Trace(text.to_string()))?;
    Ok(number > 0)
}

fn split(value: &OsStr) -> Vec<PathBuf> {
    let parts = value.as_bytes().split(|byte| *byte == b':');
    parts.map(|part| OsStr::from_bytes(part).into()).collect()
}

fn log(level: &str, message: &str) {
    tell!("{level} {LOGGER} [-] {message}");
}

/// Three definitions that bash can `eval`: names, names with paths as YAML, and
/// a function that prints the same as the words of an associative array.
///
/// Upstream puts names and paths in there as they are; what bash would take for
/// syntax is quoted here, all else is the same.
fn variables(elements: &[Element]) -> Result<String, Failure> {
    let mut names = Vec::new();
    let mut paths = BTreeMap::new();
    let mut array = String::new();
    for Element { name, path, .. } in elements {
        let path = path
            .to_str()
            .ok_or_else(|| Failure::NotText(name.clone()))?;
        names.push(name.as_str());
        paths.insert(name.clone(), path.to_owned());
        array.push_str(&format!("[{}]={} ", word(name), word(path)));
    }
    Ok(format!(
        "export IMAGE_ELEMENT='{}'\nexport IMAGE_ELEMENT_YAML='{}'\n\
         function get_image_element_array {{\n  echo \"{}\"\n}};\n\
         export -f get_image_element_array;\n",
        in_single_quotes(&names.join(" ")),
        in_single_quotes(&yaml_map(&paths)),
        in_double_quotes(&array),
    ))
}

/// A word of bash, bare if it can be.
fn word(text: &str) -> String {
    let bare = |c: char| c.is_alphanumeric() || "/._-+:,@%=".contains(c);
    if !text.is_empty() && text.chars().all(bare) {
        text.to_owned()
    } else {
        format!("'{}'", in_single_quotes(text))
    }
}

fn in_single_quotes(text: &str) -> String {
    text.replace('\'', "'\\''")
}

fn in_double_quotes(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '"' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}
