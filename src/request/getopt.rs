//! The command-line grammar of GNU getopt(1), which upstream uses.
//!
//! Behaviour and texts are those of glibc's `getopt_long` in the C locale as
//! util-linux `getopt -n NAME` shows them: permutation unless
//! `POSIXLY_CORRECT`, unique prefixes of long options, bundles, and every
//! complaint of a command line instead of the first one only.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A long option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Long {
    /// Name without dashes.
    pub name: &'static str,
    /// It takes a value.
    pub value: bool,
    /// It may also stand without one, which then only follows after `=`.
    pub optional: bool,
    /// It is an addition to upstream's list: its prefixes count only where no
    /// option of upstream's list has the same prefix, so that every
    /// abbreviation keeps the meaning that it has upstream.
    pub extra: bool,
}

/// What options there are. Order matters for the text of ambiguities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grammar {
    /// Short options and whether they take a value.
    pub short: Vec<(u8, bool)>,
    /// Long options.
    pub long: Vec<Long>,
}

/// An option as found on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// A short option.
    Short(u8),
    /// A long option, by its full name.
    Long(&'static str),
}

/// A command line taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Options in order, with their values.
    pub options: Vec<(Name, Option<OsString>)>,
    /// Everything else, in order.
    pub operands: Vec<OsString>,
}

/// Takes a command line apart.
///
/// `posixly_correct` is true if `POSIXLY_CORRECT` is in the environment, even
/// if empty: then the first operand ends the options.
///
/// # Errors
/// Every complaint, as `program: text`, in order.
pub fn parse(
    grammar: &Grammar,
    program: &str,
    arguments: &[OsString],
    posixly_correct: bool,
) -> Result<Words, Vec<String>> {
    let mut parser = Parser {
        grammar,
        program,
        rest: arguments,
        words: Words::default(),
        complaints: Vec::new(),
    };
    while let Some(argument) = parser.next() {
        match argument.as_bytes() {
            b"--" => break,
            [b'-', b'-', long @ ..] => parser.long(long),
            [b'-', bundle @ ..] if !bundle.is_empty() => parser.bundle(bundle),
            _ => {
                parser.words.operands.push(argument.clone());
                if posixly_correct {
                    break;
                }
            }
        }
    }
    parser.words.operands.extend_from_slice(parser.rest);
    if parser.complaints.is_empty() {
        Ok(parser.words)
    } else {
        Err(parser.complaints)
    }
}

struct Parser<'a> {
    grammar: &'a Grammar,
    program: &'a str,
    rest: &'a [OsString],
    words: Words,
    complaints: Vec<String>,
}

enum Match {
    None,
    One(Long),
    Many(Vec<&'static str>),
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a OsString> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn complain(&mut self, text: String) {
        self.complaints.push(format!("{}: {text}", self.program));
    }

    fn long(&mut self, word: &[u8]) {
        let shown = String::from_utf8_lossy(word).into_owned();
        let mut parts = word.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default();
        let attached = parts.next().map(OsStr::from_bytes);
        let option = match self.grammar.find(name) {
            Match::One(option) => option,
            Match::None => return self.complain(format!("unrecognized option '--{shown}'")),
            Match::Many(names) => {
                let list: String = names.iter().map(|name| format!(" '--{name}'")).collect();
                let text = format!("option '--{shown}' is ambiguous; possibilities:{list}");
                return self.complain(text);
            }
        };
        let full = option.name;
        let value = match (option.value, attached) {
            (false, None) => None,
            (false, Some(_)) => {
                return self.complain(format!("option '--{full}' doesn't allow an argument"))
            }
            (true, Some(value)) => Some(value.to_owned()),
            (true, None) if option.optional => None,
            (true, None) => match self.next() {
                Some(value) => Some(value.clone()),
                None => return self.complain(format!("option '--{full}' requires an argument")),
            },
        };
        self.words.options.push((Name::Long(full), value));
    }

    fn bundle(&mut self, bundle: &[u8]) {
        let mut rest = bundle;
        while let Some((letter, attached)) = rest.split_first() {
            rest = attached;
            let known = self.grammar.short.iter().find(|(name, _)| name == letter);
            let shown = String::from_utf8_lossy(&[*letter]).into_owned();
            let value = match known {
                None => {
                    self.complain(format!("invalid option -- '{shown}'"));
                    continue;
                }
                Some((_, false)) => None,
                Some((_, true)) => {
                    let value = if attached.is_empty() {
                        self.next().cloned()
                    } else {
                        Some(OsString::from_vec(attached.to_vec()))
                    };
                    match value {
                        Some(value) => {
                            let option = (Name::Short(*letter), Some(value));
                            self.words.options.push(option);
                        }
                        None => self.complain(format!("option requires an argument -- '{shown}'")),
                    }
                    return;
                }
            };
            self.words.options.push((Name::Short(*letter), value));
        }
    }
}

impl Grammar {
    fn find(&self, name: &[u8]) -> Match {
        if let Some(exact) = self.long.iter().find(|long| long.name.as_bytes() == name) {
            return Match::One(*exact);
        }
        for extra in [false, true] {
            let candidates: Vec<Long> = self
                .long
                .iter()
                .filter(|long| long.extra == extra && long.name.as_bytes().starts_with(name))
                .copied()
                .collect();
            match candidates.as_slice() {
                [] => {}
                [one] => return Match::One(*one),
                many => return Match::Many(many.iter().map(|long| long.name).collect()),
            }
        }
        Match::None
    }
}

#[cfg(test)]
#[path = "getopt_tests.rs"]
mod tests;
