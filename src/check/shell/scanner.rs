//! The scanner itself: characters to commands.

use super::command::expand_programs;
use super::documents::OpenDocument;
use super::names::{declares, note_names};
use super::word::name_at;
use super::{Command, Script};

/// Deeper nesting than this is no script that a person wrote.
const DEEPEST: usize = 60;

/// Words after which a command begins.
const BEFORE_COMMAND: [&str; 10] = [
    "if", "then", "else", "elif", "while", "until", "do", "!", "{", "time",
];

/// Scans a script.
pub fn scan(text: &str) -> Script {
    let mut scanner = Scanner {
        text: text.as_bytes(),
        source: text,
        at: 0,
        line: 1,
        depth: 0,
        script: Script::default(),
        open_documents: Vec::new(),
        in_backticks: false,
    };
    scanner.commands(Until::End);
    expand_programs(&mut scanner.script);
    scanner.script
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    End,
    /// The closing bracket of a substitution or an array.
    Bracket,
    Backtick,
}

pub(super) struct Scanner<'a> {
    pub(super) text: &'a [u8],
    pub(super) source: &'a str,
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) depth: usize,
    pub(super) script: Script,
    pub(super) open_documents: Vec<OpenDocument>,
    /// The next backtick closes.
    pub(super) in_backticks: bool,
}

/// Where in a `case` the scanner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Subject,
    Pattern,
    Body,
}

/// The command that is being read.
#[derive(Default)]
pub(super) struct Current {
    pub(super) command: Command,
    tested: bool,
    pub(super) in_test: bool,
    cases: Vec<Case>,
    brackets: usize,
    /// Index of the first document that belongs to it.
    documents: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn peek_at(&self, offset: usize) -> Option<u8> {
        self.text.get(self.at + offset).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
        }
        Some(byte)
    }

    pub(super) fn starts(&self, text: &str) -> bool {
        self.text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(text.as_bytes()))
    }

    pub(super) fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    pub(super) fn lose(&mut self) {
        let line = self.line;
        self.script.lost.get_or_insert(line);
    }

    /// Goes down one level; false, and the end of the text, if that is too deep.
    pub(super) fn enter(&mut self) -> bool {
        self.depth += 1;
        if self.depth > DEEPEST {
            self.lose();
            self.at = self.text.len();
            return false;
        }
        true
    }

    pub(super) fn commands(&mut self, until: Until) {
        if !self.enter() {
            return;
        }
        let outer = std::mem::replace(&mut self.in_backticks, until == Until::Backtick);
        let mut current = Current {
            documents: self.open_documents.len(),
            ..Current::default()
        };
        loop {
            let Some(byte) = self.peek() else {
                if until != Until::End {
                    self.lose();
                }
                break;
            };
            if until == Until::Backtick && byte == b'`' {
                break;
            }
            if until == Until::Bracket && byte == b')' && current.brackets == 0 {
                let pattern = current.cases.last() == Some(&Case::Pattern);
                if !pattern {
                    break;
                }
            }
            self.step(byte, &mut current);
        }
        self.finish(&mut current, false);
        self.in_backticks = outer;
        self.depth -= 1;
    }

    /// Reads one operator, blank, comment or word.
    fn step(&mut self, byte: u8, current: &mut Current) {
        match byte {
            b' ' | b'\t' | b'\r' => self.skip(1),
            b'\\' if self.peek_at(1) == Some(b'\n') => self.skip(2),
            b'\n' => {
                self.skip(1);
                if !current.in_test {
                    self.finish(current, false);
                }
                self.read_documents();
            }
            b'#' => {
                while self.peek().is_some_and(|byte| byte != b'\n') {
                    self.skip(1);
                }
            }
            b'(' | b')' | b';' | b'&' | b'|' => self.operator(byte, current),
            b'<' | b'>' => self.redirection(current),
            _ => self.item(current),
        }
    }

    fn operator(&mut self, byte: u8, current: &mut Current) {
        if current.in_test {
            self.skip(1);
            return;
        }
        match byte {
            b'(' if self.starts("((") && current.command.words.is_empty() => {
                self.skip(2);
                self.arithmetic();
            }
            b'(' => self.open_bracket(current),
            b')' => {
                self.skip(1);
                if current.cases.last() == Some(&Case::Pattern) {
                    current.command = Command::default();
                    set_case(current, Case::Body);
                } else {
                    current.brackets = current.brackets.saturating_sub(1);
                    self.finish(current, false);
                }
            }
            b';' => {
                let ends = [";;&", ";;", ";&"].into_iter().find(|end| self.starts(end));
                self.finish(current, false);
                self.skip(ends.map_or(1, str::len));
                if ends.is_some() {
                    set_case(current, Case::Pattern);
                }
            }
            _ if self.starts("&>") => self.redirection(current),
            _ if current.cases.last() == Some(&Case::Pattern) => self.skip(1),
            _ => {
                let double = self.starts("&&") || self.starts("||");
                let pipe = self.starts("|&");
                self.finish(current, double);
                self.skip(if double || pipe { 2 } else { 1 });
            }
        }
    }

    fn open_bracket(&mut self, current: &mut Current) {
        self.skip(1);
        if current.cases.last() == Some(&Case::Pattern) {
            return;
        }
        let mut ahead = 0;
        while matches!(self.peek_at(ahead), Some(b' ' | b'\t')) {
            ahead += 1;
        }
        if self.peek_at(ahead) == Some(b')') && !current.command.words.is_empty() {
            self.skip(ahead + 1);
            let words = std::mem::take(&mut current.command).words;
            self.script
                .functions
                .extend(words.into_iter().last().map(|word| word.text));
        } else {
            current.brackets += 1;
            self.finish(current, false);
        }
    }

    /// Ends the current command.
    fn finish(&mut self, current: &mut Current, tested: bool) {
        let mut command = std::mem::take(&mut current.command);
        current.in_test = false;
        let documents = self.script.commands.len();
        for document in self.open_documents.iter_mut().skip(current.documents) {
            document.command.get_or_insert(documents);
        }
        command.tested = tested || std::mem::take(&mut current.tested);
        let empty =
            command.words.is_empty() && command.assignments.is_empty() && command.writes.is_empty();
        if !empty {
            note_names(&command, &mut self.script);
            self.script.commands.push(command);
        }
        current.documents = self.open_documents.len();
    }

    /// Reads an assignment, a keyword or a word.
    fn item(&mut self, current: &mut Current) {
        let line = self.line;
        let fresh = current.command.words.is_empty();
        let pattern = current.cases.last() == Some(&Case::Pattern);
        if (fresh || declares(&current.command)) && !pattern {
            if let Some(length) = self.assignment_ahead() {
                let rest = self.source.get(self.at..).unwrap_or_default();
                let name = name_at(rest).to_owned();
                self.skip(length);
                let value = if self.peek() == Some(b'(') {
                    self.array()
                } else {
                    self.word()
                };
                if current.command.line == 0 {
                    current.command.line = line;
                }
                current.command.assignments.push((name, value));
                return;
            }
        }
        let word = self.word();
        if current.command.line == 0 {
            current.command.line = line;
        }
        if fresh && !word.quoted && self.keyword(&word.text, current) {
            return;
        }
        let digits = word.text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && !word.quoted && matches!(self.peek(), Some(b'<' | b'>')) {
            return;
        }
        if current.in_test && word.text == "]]" {
            current.in_test = false;
        }
        let is_in = word.text == "in" && current.cases.last() == Some(&Case::Subject);
        current.command.words.push(word);
        if is_in {
            current.command = Command::default();
            set_case(current, Case::Pattern);
        }
    }

    /// Whether a first word is a keyword, which is then done with.
    fn keyword(&mut self, text: &str, current: &mut Current) -> bool {
        if current.cases.last() == Some(&Case::Pattern) && text != "esac" {
            return false;
        }
        match text {
            "case" => current.cases.push(Case::Subject),
            "esac" => {
                current.cases.pop();
            }
            "[[" => {
                current.in_test = true;
                return false;
            }
            "if" | "elif" | "while" | "until" | "!" => current.tested = true,
            "fi" | "done" | "}" => {}
            _ if BEFORE_COMMAND.contains(&text) => {}
            _ => return false,
        }
        current.command.line = 0;
        true
    }

    /// The length of `NAME=`, `NAME+=` or `NAME[...]=` here, if there is one.
    fn assignment_ahead(&self) -> Option<usize> {
        let rest = self.source.get(self.at..)?;
        let name = name_at(rest);
        if name.is_empty() {
            return None;
        }
        let mut after = rest.strip_prefix(name)?;
        if let Some(subscript) = after.strip_prefix('[') {
            // Looked for no further than to the next blank: once for each word
            // of a long line it would be the whole line each time.
            let ends = |c: char| matches!(c, ']' | '\n' | ' ');
            after = subscript.get(subscript.find(ends)?..)?.strip_prefix(']')?;
        }
        let value = after.strip_prefix("+=").or(after.strip_prefix('='))?;
        rest.len().checked_sub(value.len())
    }
}

fn set_case(current: &mut Current, to: Case) {
    if let Some(case) = current.cases.last_mut() {
        *case = to;
    }
}
