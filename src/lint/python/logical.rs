//! Checks of statements: blank lines between them, their indentation, comments,
//! imports, several on one line, and line breaks at operators.

use super::compare;
use super::statement::{indentation, Logical};
use super::tokens::{Kind, Place, Token};
use super::{pattern, Finding};

use regex::Regex;
use std::sync::LazyLock;

pattern!(TOP_LEVEL, r"^(?:async\s+def\s+|def\s+|class\s+|@)");
pattern!(DEF, r"^(?:async\s+def|def)\b");
pattern!(DOCSTRING, "^u?r?[\"']");
pattern!(DUNDER, r#"^__([^\s]+)__(?::\s*[a-zA-Z.0-9_\[\]"]+)? = "#);

/// Names that may stand among imports.
const AMONG_IMPORTS: [&str; 7] = ["try", "except", "else", "finally", "with", "if", "elif"];

/// Looks at all statements.
pub(super) fn check(lines: &[Vec<char>], tokens: &[Token]) -> Vec<Finding> {
    let mut checker = Checker {
        lines,
        indent_char: lines
            .iter()
            .filter_map(|line| line.first().copied())
            .find(|first| matches!(first, ' ' | '\t')),
        ..Checker::default()
    };
    let mut depth = 0usize;
    let mut start = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Op if matches!(&*token.text, "(" | "[" | "{") => depth += 1,
            Kind::Op if matches!(&*token.text, ")" | "]" | "}") => depth -= 1,
            Kind::Nl | Kind::Newline if depth == 0 => {
                let own = tokens.get(start..=index).unwrap_or_default();
                start = index + 1;
                if token.kind == Kind::Nl && own.len() == 1 {
                    checker.blank_lines += 1;
                    continue;
                }
                checker.statement(own, token.start.0);
                if token.kind == Kind::Newline {
                    checker.blank_before = 0;
                }
            }
            _ => {}
        }
    }
    checker.found
}

#[derive(Default)]
struct Checker<'a> {
    lines: &'a [Vec<char>],
    indent_char: Option<char>,
    blank_lines: usize,
    blank_before: usize,
    level: usize,
    previous: String,
    previous_level: usize,
    previous_unindented: String,
    seen_docstring: bool,
    seen_code: bool,
    found: Vec<Finding>,
}

impl Checker<'_> {
    fn add(&mut self, place: Place, text: &str) {
        self.found.push(Finding::new(place, text));
    }

    fn statement(&mut self, tokens: &[Token], last_row: usize) {
        let Some(logical) = Logical::new(tokens, self.lines) else {
            return;
        };
        let (row, column) = logical.start();
        let line = self.lines.get(row - 1).map_or(&[][..], Vec::as_slice);
        self.level = indentation(line.get(..column).unwrap_or_default());
        self.blank_before = self.blank_before.max(self.blank_lines);
        self.blanks(&logical, last_row);
        self.indents(&logical);
        self.comments(tokens);
        self.imports(&logical);
        self.found.extend(compare::check(&logical));
        self.breaks(tokens);
        self.escapes(tokens);
        if !logical.text.is_empty() {
            self.previous_level = self.level;
            if self.level == 0 {
                self.previous_unindented.clone_from(&logical.text);
            }
            self.previous = logical.text;
        }
        self.blank_lines = 0;
    }

    fn blanks(&mut self, logical: &Logical, last_row: usize) {
        let (blanks, before) = (self.blank_lines, self.blank_before);
        let place = logical.place(0);
        if self.previous.is_empty() && before < 2 {
            return;
        }
        if self.previous.starts_with('@') {
            if blanks > 0 {
                self.add(place, "E304 blank lines found after function decorator");
            }
        } else if blanks > 2 || (self.level > 0 && blanks == 2) {
            self.add(place, &format!("E303 too many blank lines ({blanks})"));
        } else if TOP_LEVEL.is_match(&logical.text) {
            if before == 0 && self.is_one_liner(last_row) {
                return;
            }
            if self.level > 0 {
                self.nested(place, last_row);
            } else if before != 2 {
                self.add(
                    place,
                    &format!("E302 expected 2 blank lines, found {before}"),
                );
            }
        } else if !logical.text.is_empty()
            && self.level == 0
            && before != 2
            && (self.previous_unindented.starts_with("def ")
                || self.previous_unindented.starts_with("class "))
        {
            let text = "E305 expected 2 blank lines after class or function definition";
            self.add(place, &format!("{text}, found {before}"));
        }
    }

    /// A definition inside another one or a class.
    fn nested(&mut self, place: Place, last_row: usize) {
        if self.blank_before == 1
            || self.previous_level < self.level
            || DOCSTRING.is_match(&self.previous)
        {
            return;
        }
        let mut ancestor = self.level;
        let mut in_function = false;
        for line in self.lines.iter().take(last_row.saturating_sub(1)).rev() {
            let text: String = line.iter().collect();
            if !text.trim().is_empty() && indentation(line) < ancestor {
                ancestor = indentation(line);
                in_function = DEF.is_match(text.trim_start());
                if in_function || ancestor == 0 {
                    break;
                }
            }
        }
        self.add(
            place,
            match in_function {
                true => "E306 expected 1 blank line before a nested definition, found 0",
                false => "E301 expected 1 blank line, found 0",
            },
        );
    }

    /// A definition whose body is on its own line.
    fn is_one_liner(&self, last_row: usize) -> bool {
        let mut index = last_row - 1;
        let before = index.checked_sub(1).and_then(|index| self.lines.get(index));
        if before.map_or(0, |line| indentation(line)) > self.level {
            return false;
        }
        let text = |index: usize| -> Option<String> {
            let line: String = self.lines.get(index)?.iter().collect();
            Some(line.trim().to_owned())
        };
        loop {
            match text(index) {
                None => return false,
                Some(line) if !line.starts_with('@') && TOP_LEVEL.is_match(&line) => break,
                Some(_) => index += 1,
            }
        }
        let mut rest = self.lines.iter().skip(index + 1);
        let next = rest.find(|line| !line.iter().all(|c| c.is_whitespace()));
        next.is_none_or(|line| indentation(line) <= self.level)
    }

    fn indents(&mut self, logical: &Logical) {
        let place = logical.place(0);
        let (add, comment) = match logical.text.is_empty() {
            false => (0, ""),
            true => (3, " (comment)"),
        };
        if self.level % 4 != 0 {
            let text = format!("E11{} indentation is not a multiple of 4{comment}", 1 + add);
            self.add(place, &text);
        }
        let deeper = self.previous.ends_with(':');
        if deeper && self.level <= self.previous_level {
            let text = format!("E11{} expected an indented block{comment}", 2 + add);
            self.add(place, &text);
        } else if !deeper && self.level > self.previous_level {
            let text = format!("E11{} unexpected indentation{comment}", 3 + add);
            self.add(place, &text);
        }
        let step = if self.indent_char == Some('\t') { 8 } else { 4 };
        if deeper && self.level > self.previous_level + step {
            self.add(place, &format!("E117 over-indented{comment}"));
        }
    }

    fn comments(&mut self, tokens: &[Token]) {
        let mut previous = (0, 0);
        for token in tokens {
            if token.kind != Kind::Comment {
                if token.kind != Kind::Nl {
                    previous = token.end;
                }
                continue;
            }
            let (row, column) = token.start;
            let line = self.lines.get(row - 1).map_or(&[][..], Vec::as_slice);
            let before = line.get(..column).unwrap_or_default();
            let inline = !before.iter().all(|c| c.is_whitespace());
            if inline && previous.0 == row && column < previous.1 + 2 {
                self.add(previous, "E261 at least two spaces before inline comment");
            }
            let (symbol, comment) = token.text.split_once(' ').unwrap_or((&token.text, ""));
            let bad = match symbol {
                "#" | "#:" => None,
                _ => Some(symbol.trim_start_matches('#').chars().next().unwrap_or('#')),
            };
            let blank = comment.starts_with([' ', '\t', '\u{a0}']);
            match bad {
                _ if inline && (bad.is_some() || blank) => {
                    self.add(token.start, "E262 inline comment should start with '# '");
                }
                Some('!') if row == 1 => {}
                Some('#') if inline || comment.is_empty() => {}
                Some('#') => {
                    self.add(token.start, "E266 too many leading '#' for block comment");
                }
                Some(_) => self.add(token.start, "E265 block comment should start with '# '"),
                None => {}
            }
        }
    }

    /// Imports on one line, and below other code.
    fn imports(&mut self, logical: &Logical) {
        let text = &logical.text;
        if let Some(rest) = text.strip_prefix("import ") {
            let comma = rest.find(',').map(|found| found + "import ".len());
            if let Some(found) =
                comma.filter(|found| !text.get(..*found).unwrap_or("").contains(';'))
            {
                self.add(logical.place(found), "E401 multiple imports on one line");
            }
        }
        if self.level > 0 || text.is_empty() {
            return;
        }
        if text.starts_with("import ") || text.starts_with("from ") {
            if self.seen_code {
                self.add(
                    logical.place(0),
                    "E402 module level import not at top of file",
                );
            }
        } else if !DUNDER.is_match(text) && !AMONG_IMPORTS.iter().any(|name| text.starts_with(name))
        {
            let literal = text.trim_start_matches(['u', 'U', 'b', 'B', 'r', 'R']);
            let is_string = text.len() - literal.len() < 2 && literal.starts_with(['"', '\'']);
            match is_string && !self.seen_docstring {
                true => self.seen_docstring = true,
                false => self.seen_code = true,
            }
        }
    }

    /// Line breaks before and after binary operators.
    fn breaks(&mut self, tokens: &[Token]) {
        let mut broken = false;
        let mut unary = true;
        let mut previous: Option<&Token> = None;
        for token in tokens.iter().filter(|token| token.kind != Kind::Comment) {
            if token.text.contains(['\n', '\r']) && token.kind != Kind::Str {
                broken = true;
                continue;
            }
            if let (true, false, Some(before)) = (broken, unary, previous) {
                match (is_binary(before), is_binary(token)) {
                    (false, true) => {
                        self.add(token.start, "W503 line break before binary operator");
                    }
                    (true, false) => {
                        self.add(before.start, "W504 line break after binary operator");
                    }
                    _ => {}
                }
            }
            unary = matches!(&*token.text, "" | "(" | "[" | "{" | "," | ";");
            broken = false;
            previous = Some(token);
        }
    }

    /// Backslashes that quote nothing.
    fn escapes(&mut self, tokens: &[Token]) {
        for token in tokens.iter().filter(|token| token.kind == Kind::Str) {
            let body = token
                .text
                .trim_start_matches(|c: char| c.is_ascii_alphabetic());
            let prefix = token
                .text
                .get(..token.text.len() - body.len())
                .unwrap_or("");
            if prefix.contains(['r', 'R']) {
                continue;
            }
            let (mut row, mut column) = token.start;
            let mut characters = token.text.chars();
            while let Some(c) = characters.next() {
                let place = (row, column);
                let quoted = if c == '\\' { characters.next() } else { None };
                if let Some(letter) = quoted {
                    if !"\n\\'\"abfnrtv01234567xNuU".contains(letter) {
                        let text = format!("W605 invalid escape sequence '\\{letter}'");
                        self.add(place, &text);
                    }
                }
                match c == '\n' || quoted == Some('\n') {
                    true => (row, column) = (row + 1, 0),
                    false => column += 1 + usize::from(quoted.is_some()),
                }
            }
        }
    }
}

fn is_binary(token: &Token) -> bool {
    let operator = token.kind == Kind::Op || matches!(&*token.text, "and" | "or");
    let symbol = |c: char| "()[]{},:.;@=%~".contains(c);
    let symbols = token.text == "..." || (token.text.len() == 1 && token.text.chars().all(symbol));
    operator && !symbols
}
