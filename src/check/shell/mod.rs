//! A scanner for shell scripts: which commands stand where, with which words,
//! and which variables are read and set. No parser: nothing is nested, and
//! what a script would do is not followed. It knows as much of the language as
//! it needs to tell code from quotes, comments and here-documents.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod command;
mod documents;
mod names;
mod redirection;
mod scanner;
#[cfg(test)]
mod tests;
mod word;
mod words;

pub use command::{Call, Shell};
pub use scanner::scan;
pub use word::Word;

/// What a script holds.
#[derive(Debug, Default)]
pub struct Script {
    /// Simple commands in the order in which they end; those of a command
    /// substitution before the command that it stands in.
    pub commands: Vec<Command>,
    /// Every reading of a variable.
    pub reads: Vec<Read>,
    /// Names that get a value: assignments, `read`, `for` and others.
    pub sets: Vec<(String, usize)>,
    /// Names of functions.
    pub functions: Vec<String>,
    /// The line at which the scanner lost its way, if it did: an open quote,
    /// or nesting deeper than any person writes.
    pub lost: Option<usize>,
}

/// A simple command.
#[derive(Debug, Default, Clone)]
pub struct Command {
    /// Line of its first word, from 1.
    pub line: usize,
    /// Its words without assignments and redirections.
    pub words: Vec<Word>,
    /// `NAME=VALUE` before the words.
    pub assignments: Vec<(String, Word)>,
    /// Files that it is redirected to for writing.
    pub writes: Vec<Word>,
    /// What its here-documents hold, with the line of the first.
    pub documents: Vec<(usize, String)>,
    /// Stands after `if`, `while`, `!`, or before `||` or `&&`: may fail.
    pub tested: bool,
}

/// A variable that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Its name.
    pub name: String,
    /// Line, from 1.
    pub line: usize,
    /// `${X:-}`, `${X+}`, `${X:=}` and the like: it may be unset.
    pub guarded: bool,
}

impl Script {
    /// Whether a variable gets a value somewhere in the script.
    pub fn sets(&self, name: &str) -> bool {
        self.sets.iter().any(|(set, _)| set == name)
    }
}
