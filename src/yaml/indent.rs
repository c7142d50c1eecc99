//! Lines inside of brackets and quotes that are indented less than what they
//! belong to: PyYAML takes them as they are, our parser (of YAML 1.2) does not.

use std::borrow::Cow;
use std::collections::BTreeSet;

use saphyr_parser::{Marker, ScanError};

use super::Mark;

/// Most lines of a text that are moved: each costs another reading.
const MOST: usize = 200;
/// Most bytes that are read again for that.
const MOST_READ: usize = 32 << 20;

/// Complaints of `saphyr_parser` about a line that begins within brackets:
/// outside of them such a line ends blocks.
const IN_BRACKETS: [&str; 2] = [
    "invalid indentation",
    "invalid indentation in flow construct",
];
/// Its complaint about one of the lines after the mark, where the quote begins.
const IN_QUOTES: &str = "invalid indentation in quoted scalar";

/// A text, some of whose lines are moved to the right, where they have the same meaning.
pub(super) struct Shifted<'a> {
    text: Cow<'a, str>,
    /// Lines, from 1 on.
    lines: BTreeSet<usize>,
    /// How far.
    by: usize,
}

impl<'a> Shifted<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let longest = text.lines().map(|line| line.chars().count()).max();
        Shifted {
            text: Cow::Borrowed(text),
            lines: BTreeSet::new(),
            // Nothing begins in a column further to the right.
            by: longest.unwrap_or_default(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The place in the text as it was.
    pub(super) fn mark(&self, marker: Marker) -> Mark {
        let line = marker.line().max(1);
        let column = match self.lines.contains(&line) {
            true => marker.col().saturating_sub(self.by),
            false => marker.col(),
        };
        Mark {
            line,
            column: column.saturating_add(1),
        }
    }

    /// The text with one more line moved, if that is what an error is about.
    pub(super) fn shift(&self, error: &ScanError) -> Option<Shifted<'a>> {
        let at = error.marker().line();
        let line = match error.info() {
            // All lines up to the one that is meant belong to the quote.
            IN_QUOTES => (at.checked_add(1)?..).find(|line| !self.lines.contains(line))?,
            text if IN_BRACKETS.contains(&text) => at,
            _ => return None,
        };
        let read = self.text.len().saturating_mul(self.lines.len());
        if self.lines.len() >= MOST || read >= MOST_READ || self.lines.contains(&line) {
            return None;
        }
        let mut text = String::with_capacity(self.text.len().saturating_add(self.by));
        for (number, content) in (1..).zip(self.text.split_inclusive('\n')) {
            if number == line {
                text.push_str(&" ".repeat(self.by));
            }
            text.push_str(content);
        }
        let mut lines = self.lines.clone();
        lines.insert(line);
        Some(Shifted {
            text: Cow::Owned(text),
            lines,
            by: self.by,
        })
    }
}
