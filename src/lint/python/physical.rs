//! Checks of single lines: tabs, blanks at the end, length, the end of the file.

use super::config::Config;
use super::tokens::{Kind, Token};
use super::Finding;

/// Looks at the lines that flake8 looks at: those that end at a token's end, and
/// those inside strings. Not, for example, at empty continuation lines.
pub(super) fn check(lines: &[Vec<char>], tokens: &[Token], config: &Config) -> Vec<Finding> {
    let indent_char = lines
        .iter()
        .filter_map(|line| line.first().copied())
        .find(|first| matches!(first, ' ' | '\t'));
    let checker = Checker {
        lines,
        indent_char,
        max: config.max_line_length,
    };
    let mut found = Vec::new();
    for token in tokens {
        if token.kind == Kind::Str && token.start.0 != token.end.0 {
            for row in token.start.0..token.end.0 {
                checker.line(row, true, &mut found);
            }
        }
        let rest: String = checker.after(token).iter().collect();
        if matches!(token.kind, Kind::Nl | Kind::Newline) || rest.trim_start() == "\\\n" {
            checker.line(token.end.0, false, &mut found);
        }
    }
    found
}

struct Checker<'a> {
    lines: &'a [Vec<char>],
    indent_char: Option<char>,
    max: usize,
}

impl Checker<'_> {
    fn row(&self, row: usize) -> &[char] {
        let line = row.checked_sub(1).and_then(|index| self.lines.get(index));
        line.map_or(&[], Vec::as_slice)
    }

    fn after(&self, token: &Token) -> &[char] {
        self.row(token.end.0).get(token.end.1..).unwrap_or_default()
    }

    fn line(&self, row: usize, in_string: bool, found: &mut Vec<Finding>) {
        let line = self.row(row);
        let indent = line.iter().take_while(|c| matches!(c, ' ' | '\t')).count();
        let indent = line.get(..indent).unwrap_or_default();
        let mut add = |column: usize, text: &str| found.push(Finding::new((row, column), text));
        if let Some(column) = indent.iter().position(|c| Some(*c) != self.indent_char) {
            add(column, "E101 indentation contains mixed spaces and tabs");
        }
        if let Some(column) = indent.iter().position(|c| *c == '\t') {
            add(column, "W191 indentation contains tabs");
        }
        let text: String = line.iter().collect();
        let whole = text.trim_end_matches(['\n', '\r', '\x0c']);
        let stripped = whole.trim_end_matches([' ', '\t', '\x0b']);
        if whole != stripped {
            match stripped.chars().count() {
                0 => add(0, "W293 blank line contains whitespace"),
                length => add(length, "W291 trailing whitespace"),
            }
        }
        if row == self.lines.len() {
            let ended = text.trim_end_matches(['\r', '\n']);
            if ended.is_empty() && !text.is_empty() {
                add(0, "W391 blank line at end of file");
            } else if ended == text {
                add(line.len(), "W292 no newline at end of file");
            }
        }
        if let Some(length) = self.too_long(row, text.trim_end(), in_string) {
            let text = format!("E501 line too long ({length} > {} characters)", self.max);
            add(self.max, &text);
        }
    }

    /// First lines that name an interpreter may be long, and so may addresses in
    /// comments and strings.
    fn too_long(&self, row: usize, line: &str, in_string: bool) -> Option<usize> {
        let length = line.chars().count();
        if length <= self.max || (row == 1 && line.starts_with("#!")) {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = match words.as_slice() {
            [word] if in_string => Some(word),
            ["#", word] => Some(word),
            _ => None,
        };
        let before = address.map(|word| length - word.chars().count());
        match before {
            Some(before) if before + 7 < self.max => None,
            _ => Some(length),
        }
    }
}
