//! The command line, read as Python's argparse reads it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};

use crate::error::Explain;

/// Name of the command.
pub const PROGRAM: &str = "diskimage-builder";

/// What a build is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    /// The files, one at least.
    pub files: Vec<OsString>,
    /// `--dry-run`
    pub dry_run: bool,
    /// `--stop-on-failure`
    pub stop_on_failure: bool,
    /// `-j`: most images at the same time; 1 at least.
    pub jobs: usize,
    /// `--no-progress`
    pub no_progress: bool,
}

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// `-h`
    Help,
    /// Images.
    Run(Arguments),
}

/// A command line that is none, in argparse's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{usage}{PROGRAM}: error: {message}", usage = usage())]
pub struct UsageError {
    /// What is wrong.
    pub message: String,
}

impl Explain for UsageError {
    fn is_verbatim(&self) -> bool {
        true
    }

    fn exit_code(&self) -> u8 {
        2
    }
}

/// The usage lines.
pub fn usage() -> String {
    let indent = " ".repeat("usage: ".len() + PROGRAM.len() + 1);
    format!(
        "usage: {PROGRAM} [-h] [--dry-run] [--stop-on-failure] [-j N]\n\
         {indent}[--no-progress] <filename> [<filename> ...]\n"
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Help,
    DryRun,
    StopOnFailure,
    Jobs,
    NoProgress,
}

const OPTIONS: [(&str, Known); 7] = [
    ("-h", Known::Help),
    ("--help", Known::Help),
    ("--dry-run", Known::DryRun),
    ("--stop-on-failure", Known::StopOnFailure),
    ("-j", Known::Jobs),
    ("--jobs", Known::Jobs),
    ("--no-progress", Known::NoProgress),
];

impl Known {
    /// As messages name it.
    fn shown(self) -> String {
        let names = OPTIONS.iter().filter(|(_, known)| *known == self);
        let names: Vec<&str> = names.map(|(name, _)| *name).collect();
        names.join("/")
    }
}

/// A word, before it is known what becomes of it.
enum Word {
    /// An option of ours, and what is attached to it.
    Option(Known, Option<String>),
    /// An option of nobody.
    Unknown(OsString),
    /// Anything else.
    Plain(OsString),
    /// `--`
    Separator,
}

/// Reads the words after the program's name.
///
/// As argparse has it, all files stand together: those after an option that
/// follows files are refused.
///
/// # Errors
/// [`UsageError`]; exit status 2.
pub fn parse(words: &[OsString]) -> Result<Parsed, UsageError> {
    let mut words = classified(words)?;
    let mut arguments = Arguments {
        jobs: 1,
        ..Arguments::default()
    };
    let mut unknown: Vec<String> = Vec::new();
    while let Some(word) = words.pop_front() {
        match word {
            Word::Option(known, attached) => {
                if option(known, attached, &mut words, &mut arguments)? {
                    return Ok(Parsed::Help);
                }
            }
            Word::Unknown(word) => unknown.push(word.to_string_lossy().into_owned()),
            plain => {
                words.push_front(plain);
                operands(&mut words, &mut arguments, &mut unknown);
            }
        }
    }
    if arguments.files.is_empty() {
        return error("the following arguments are required: <filename>".into());
    }
    if !unknown.is_empty() {
        return error(format!("unrecognized arguments: {}", unknown.join(" ")));
    }
    Ok(Parsed::Run(arguments))
}

fn error<T>(message: String) -> Result<T, UsageError> {
    Err(UsageError { message })
}

/// Takes the words up to the next option: the first such words that are not
/// `--` alone are the files, others are too many.
fn operands(words: &mut VecDeque<Word>, arguments: &mut Arguments, unknown: &mut Vec<String>) {
    let end = words
        .iter()
        .position(|word| matches!(word, Word::Option(..) | Word::Unknown(_)))
        .unwrap_or(words.len());
    let run: Vec<Word> = words.drain(..end).collect();
    let takes = arguments.files.is_empty() && run.iter().any(|word| matches!(word, Word::Plain(_)));
    for word in run {
        match word {
            Word::Plain(word) if takes => arguments.files.push(word),
            Word::Plain(word) => unknown.push(word.to_string_lossy().into_owned()),
            _ if !takes => unknown.push("--".into()),
            _ => {}
        }
    }
}

/// Carries out an option; true for `-h`.
fn option(
    known: Known,
    attached: Option<String>,
    words: &mut VecDeque<Word>,
    arguments: &mut Arguments,
) -> Result<bool, UsageError> {
    match (known, attached) {
        (Known::Jobs, attached) => {
            let value = match (attached, words.front()) {
                (Some(value), _) => value,
                (None, Some(Word::Plain(value))) => {
                    let value = value.to_string_lossy().into_owned();
                    words.pop_front();
                    value
                }
                _ => return error(format!("argument {}: expected one argument", known.shown())),
            };
            arguments.jobs = jobs(&value)?;
        }
        (Known::Help, Some(rest)) if rest.starts_with('j') => {
            let value = rest.strip_prefix('j').map(str::to_owned);
            option(Known::Jobs, value, words, arguments)?;
            return Ok(true);
        }
        (_, Some(value)) => {
            // As Python's repr() has it, which lists use for what is in them.
            let list = crate::yaml::Value::List(vec![value.as_str().into()]).to_string();
            let value = list.trim_start_matches('[').trim_end_matches(']');
            let shown = known.shown();
            return error(format!(
                "argument {shown}: ignored explicit argument {value}"
            ));
        }
        (Known::Help, None) => return Ok(true),
        (Known::DryRun, None) => arguments.dry_run = true,
        (Known::StopOnFailure, None) => arguments.stop_on_failure = true,
        (Known::NoProgress, None) => arguments.no_progress = true,
    }
    Ok(false)
}

fn jobs(text: &str) -> Result<usize, UsageError> {
    let name = Known::Jobs.shown();
    match text.trim().parse() {
        Ok(0) => error(format!("argument {name}: must be at least 1: '{text}'")),
        Ok(number) => Ok(number),
        Err(_) => error(format!("argument {name}: invalid int value: '{text}'")),
    }
}

fn classified(words: &[OsString]) -> Result<VecDeque<Word>, UsageError> {
    let mut found = VecDeque::new();
    let mut words = words.iter();
    for word in words.by_ref() {
        if word == "--" {
            found.push_back(Word::Separator);
            break;
        }
        found.push_back(classify(word)?);
    }
    // Only the first `--` separates.
    found.extend(words.map(|word| Word::Plain(word.clone())));
    Ok(found)
}

fn classify(word: &OsStr) -> Result<Word, UsageError> {
    let plain = || Ok(Word::Plain(word.to_owned()));
    let text = word.to_string_lossy();
    if !text.starts_with('-') || text == "-" {
        return plain();
    }
    let exact = |name: &str| OPTIONS.iter().find(|(known, _)| *known == name);
    if let Some((_, known)) = exact(&text) {
        return Ok(Word::Option(*known, None));
    }
    let (name, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (&*text, None),
    };
    if let Some((_, known)) = exact(name) {
        return Ok(Word::Option(*known, attached));
    }
    if text.starts_with("--") {
        let matching = OPTIONS.iter().filter(|(known, _)| known.starts_with(name));
        let matching: Vec<&(&str, Known)> = matching.collect();
        match matching.as_slice() {
            [] => {}
            [(_, known)] => return Ok(Word::Option(*known, attached)),
            many => {
                let names: Vec<&str> = many.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                return error(format!("ambiguous option: {text} could match {names}"));
            }
        }
    } else if let Some((short, rest)) = text.split_at_checked(2) {
        if let Some((_, known)) = exact(short) {
            return Ok(Word::Option(*known, Some(rest.to_owned())));
        }
    }
    match is_negative_number(&text) || text.contains(' ') {
        true => plain(),
        false => Ok(Word::Unknown(word.to_owned())),
    }
}

/// What argparse takes for an operand where no option looks like it.
fn is_negative_number(text: &str) -> bool {
    let Some(number) = text.strip_prefix('-') else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    match number.split_once('.') {
        Some((whole, fraction)) => (whole.is_empty() || digits(whole)) && digits(fraction),
        None => digits(number),
    }
}
