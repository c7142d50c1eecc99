//! `safedib check`: what stands in the way of somebody's elements.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error as ThisError;

use crate::check::{self, Options, Report, Rule, RULES};
use crate::error::{tell, Error, Explain};
use crate::manual::{self, Manual, Operands};
use crate::request::{Environment, Generation, HostFacts};

use super::{fail, print};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "check",
    summary: "tell what stands in the way of building with somebody's elements",
    usage: &["[OPTION]... PATH...", "--explain CODE"],
    description: &[
        "Tells what stands in the way of building with somebody's elements, and what will be different here: unknown \
         dependencies, what hooks outside the target need, what worked only by harming the host, what engines had \
         once, lint. Scripts are read and never run. PATH is an element, a directory of elements, or a repository \
         with such directories.",
        "Dependencies are looked for in all PATHs and in upstream's own elements, found as disk-image-create finds \
         them. docs/migrating.md has the codes and the JSON's fields.",
    ],
    options: manual::Options::Listed(&[
        (
            "--format text|json",
            "the findings as text (the default) or as JSON",
        ),
        ("--summary", "a table: one line for each element"),
        (
            "--generation 0|1|2|3",
            "rules of this generation of diskimage-builder; without it that is told from the trees",
        ),
        (
            "--only CODE,...",
            "only findings with these codes; L is all that begin so",
        ),
        ("--ignore CODE,...", "no findings with these codes"),
        ("--explain CODE", "what a code means, and the way out"),
        ("-h, --help", "show this text"),
    ]),
    operands: Operands::Files,
    statuses: &[
        ("0", "no errors were found"),
        ("1", "errors were found"),
        ("2", "nothing could be checked"),
    ],
    examples: &[(
        "A line for each element of a repository:",
        "safedib check --summary tripleo-image-elements",
    )],
    see_also: &["dib-lint", "safedib-plan"],
    ..Manual::EMPTY
};

#[derive(Debug, ThisError)]
enum CheckError {
    #[error("check does not know '{0}'")]
    Unknown(String),
    #[error("check needs a PATH: an element, a directory of elements, or a repository")]
    NoPath,
    #[error("{0} needs a value")]
    NoValue(&'static str),
    #[error("there is no code '{0}'")]
    NoCode(String),
    #[error("--format is text or json, not '{0}'")]
    Format(String),
    #[error("--generation is 0, 1, 2 or 3, not '{0}'")]
    Generation(String),
    #[error("--summary is text: it cannot be had as JSON")]
    SummaryAsJson,
    #[error("cannot print the findings as JSON: {0}")]
    Json(serde_json::Error),
}

impl Explain for CheckError {
    fn hint(&self) -> Option<String> {
        match self {
            CheckError::NoCode(_) => {
                let codes: Vec<&str> = RULES.iter().map(|rule| rule.code).collect();
                Some(format!("the codes are {}", codes.join(" ")))
            }
            CheckError::SummaryAsJson => {
                Some("leave one of them out; counts are in the JSON".into())
            }
            CheckError::Json(_) => None,
            _ => Some("safedib check [--format json] [--summary] PATH...".into()),
        }
    }

    fn exit_code(&self) -> u8 {
        2
    }
}

#[derive(Default)]
struct Arguments {
    help: bool,
    json: bool,
    summary: bool,
    explain: Option<&'static Rule>,
    options: Options,
}

/// Prints the findings.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    match check(words) {
        Ok(status) => status,
        Err(error) => fail(name, &error),
    }
}

fn check(words: &[OsString]) -> Result<ExitCode, Error> {
    let mut arguments = arguments(words)?;
    if arguments.help {
        print(&MANUAL.help());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(rule) = arguments.explain {
        print(&check::explain(rule));
        return Ok(ExitCode::SUCCESS);
    }
    arguments.options.base = base_elements()?;
    let report = check::examine(&arguments.options)?;
    print(&rendered(&report, &arguments)?);
    Ok(match report.counts.errors {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn rendered(report: &Report, arguments: &Arguments) -> Result<String, CheckError> {
    if arguments.json {
        let json = serde_json::to_string_pretty(report).map_err(CheckError::Json)?;
        return Ok(json + "\n");
    }
    Ok(match arguments.summary {
        true => check::summary(report),
        false => check::findings(report),
    })
}

/// Upstream's own elements; a host without them has only what is in the paths.
fn base_elements() -> Result<Option<PathBuf>, Error> {
    let host = HostFacts::gather()?;
    let found = host.base_elements(&Environment::current())?;
    if found.is_err() {
        tell!(
            "check: upstream's own elements are not on this host: names of theirs will be unknown"
        );
    }
    Ok(found.ok().map(|base| base.path))
}

fn arguments(words: &[OsString]) -> Result<Arguments, CheckError> {
    let mut arguments = Arguments::default();
    let mut words = words.iter();
    let mut only_paths = false;
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let (option, joined) = match text.split_once('=') {
            Some((option, value)) if option.starts_with("--") => {
                (option.to_owned(), Some(value.to_owned()))
            }
            _ => (text.clone().into_owned(), None),
        };
        let mut value = |name: &'static str| {
            joined
                .clone()
                .or_else(|| Some(words.next()?.to_string_lossy().into_owned()))
                .ok_or(CheckError::NoValue(name))
        };
        if only_paths || !text.starts_with('-') {
            arguments.options.paths.push(PathBuf::from(word));
            continue;
        }
        match option.as_str() {
            "--" => only_paths = true,
            "-h" | "--help" => arguments.help = true,
            "--summary" if joined.is_none() => arguments.summary = true,
            "--format" => arguments.json = is_json(&value("--format")?)?,
            "--generation" => {
                let name = value("--generation")?;
                let generation = Generation::named(&name);
                arguments.options.generation =
                    Some(generation.ok_or(CheckError::Generation(name))?);
            }
            "--only" => arguments.options.only.extend(codes(&value("--only")?)?),
            "--ignore" => arguments.options.ignore.extend(codes(&value("--ignore")?)?),
            "--explain" => {
                let code = value("--explain")?;
                arguments.explain = Some(Rule::of(&code).ok_or(CheckError::NoCode(code))?);
            }
            _ => return Err(CheckError::Unknown(text.into_owned())),
        }
    }
    let asks = !arguments.help && arguments.explain.is_none();
    if asks && arguments.options.paths.is_empty() {
        return Err(CheckError::NoPath);
    }
    if arguments.json && arguments.summary {
        return Err(CheckError::SummaryAsJson);
    }
    Ok(arguments)
}

fn is_json(format: &str) -> Result<bool, CheckError> {
    match format {
        "json" => Ok(true),
        "text" => Ok(false),
        _ => Err(CheckError::Format(format.to_owned())),
    }
}

fn codes(list: &str) -> Result<Vec<String>, CheckError> {
    list.split(',')
        .map(str::trim)
        .filter(|code| !code.is_empty())
        .map(|code| match named(code) {
            found if found.is_empty() => Err(CheckError::NoCode(code.to_owned())),
            found => Ok(found),
        })
        .collect::<Result<Vec<_>, _>>()
        .map(|codes| codes.concat())
}

/// A code, or all that begin with a letter.
fn named(code: &str) -> Vec<String> {
    let codes = RULES.iter().map(|rule| rule.code);
    let found = codes.filter(|it| *it == code || code.len() == 1 && it.starts_with(code));
    found.map(str::to_owned).collect()
}
