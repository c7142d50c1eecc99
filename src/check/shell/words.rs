//! Reading of words: quotes, variables, substitutions, arrays.

use super::scanner::{Scanner, Until};
use super::word::name_at;
use super::{Read, Word};

impl Scanner<'_> {
    pub(super) fn array(&mut self) -> Word {
        self.skip(1);
        let mut text = String::from("(");
        while let Some(byte) = self.peek() {
            match byte {
                b')' => {
                    self.skip(1);
                    text.push(')');
                    return Word {
                        text,
                        quoted: false,
                    };
                }
                b' ' | b'\t' | b'\n' | b'\r' => self.skip(1),
                b'\\' if self.peek_at(1) == Some(b'\n') => self.skip(2),
                b'#' => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.skip(1);
                    }
                }
                b'(' | b'<' | b'>' | b';' | b'&' | b'|' => self.skip(1),
                // No word begins here: the substitution that the array is in ends.
                b'`' if self.in_backticks => break,
                _ => {
                    let word = self.word();
                    text.push_str(&word.text);
                    text.push(' ');
                }
            }
        }
        self.lose();
        Word {
            text,
            quoted: false,
        }
    }

    pub(super) fn word(&mut self) -> Word {
        let mut word = Word::default();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b';' | b'&' | b'|' | b')' | b'<' | b'>' => break,
                b'(' if !word.text.is_empty() && word.text.ends_with(['@', '?', '*', '+', '!']) => {
                    // An extended pattern: its bars are no pipes.
                    while self
                        .peek()
                        .is_some_and(|byte| byte != b')' && byte != b'\n')
                    {
                        self.push(&mut word.text);
                    }
                    if self.peek() == Some(b')') {
                        self.push(&mut word.text);
                    }
                }
                b'(' => break,
                b'`' if self.in_backticks => break,
                b'\'' => {
                    word.quoted = true;
                    self.single_quotes(&mut word.text);
                }
                b'"' => {
                    word.quoted = true;
                    self.double_quotes(&mut word.text);
                }
                b'\\' => {
                    self.skip(1);
                    match self.peek() {
                        Some(b'\n') => self.skip(1),
                        Some(b'$') => {
                            self.skip(1);
                            word.quoted = true;
                        }
                        Some(_) => {
                            word.quoted = true;
                            self.push(&mut word.text);
                        }
                        None => {}
                    }
                }
                b'$' if self.peek_at(1) == Some(b'\'') => {
                    word.quoted = true;
                    self.skip(1);
                    self.escaped_quotes(&mut word.text);
                }
                b'$' => self.dollar(&mut word.text),
                b'`' => self.backtick(&mut word.text),
                _ => self.push(&mut word.text),
            }
        }
        word
    }

    /// Takes one whole character over.
    pub(super) fn push(&mut self, text: &mut String) {
        let Some(c) = self
            .source
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
        else {
            self.skip(1);
            return;
        };
        text.push(c);
        self.skip(c.len_utf8());
    }

    pub(super) fn single_quotes(&mut self, text: &mut String) {
        self.skip(1);
        loop {
            match self.peek() {
                None => return self.lose(),
                Some(b'\'') => return self.skip(1),
                // What is quoted is not expanded.
                Some(b'$') => {
                    self.skip(1);
                    text.push('\u{1}');
                }
                Some(_) => self.push(text),
            }
        }
    }

    pub(super) fn escaped_quotes(&mut self, text: &mut String) {
        self.skip(1);
        loop {
            match self.peek() {
                None => return self.lose(),
                Some(b'\'') => return self.skip(1),
                Some(b'\\') => {
                    self.skip(1);
                    self.push(text);
                }
                Some(_) => self.push(text),
            }
        }
    }

    pub(super) fn double_quotes(&mut self, text: &mut String) {
        self.skip(1);
        loop {
            match self.peek() {
                None => return self.lose(),
                Some(b'"') => return self.skip(1),
                Some(b'`') if self.in_backticks => return,
                Some(b'\\') => {
                    self.skip(1);
                    match self.peek() {
                        Some(b'\n') => self.skip(1),
                        Some(b'$') => {
                            self.skip(1);
                            text.push('\u{1}');
                        }
                        Some(_) => self.push(text),
                        None => return self.lose(),
                    }
                }
                Some(b'$') => self.dollar(text),
                Some(b'`') => self.backtick(text),
                Some(_) => self.push(text),
            }
        }
    }

    pub(super) fn backtick(&mut self, text: &mut String) {
        self.skip(1);
        self.commands(Until::Backtick);
        self.skip(1);
        text.push_str("$()");
    }

    /// `$NAME`, `${...}`, `$(...)`, `$((...))`, or a plain `$`.
    pub(super) fn dollar(&mut self, text: &mut String) {
        self.skip(1);
        match self.peek() {
            Some(b'(') if self.starts("((") => {
                self.skip(2);
                if self.enter() {
                    self.arithmetic();
                    self.depth -= 1;
                }
                text.push_str("$()");
            }
            Some(b'(') => {
                self.skip(1);
                self.commands(Until::Bracket);
                self.skip(1);
                text.push_str("$()");
            }
            Some(b'{') => {
                self.skip(1);
                if self.enter() {
                    self.braces(text);
                    self.depth -= 1;
                }
            }
            _ => {
                let name = name_at(self.source.get(self.at..).unwrap_or_default()).to_owned();
                text.push('$');
                if name.is_empty() {
                    if matches!(
                        self.peek(),
                        Some(b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'!' | b'$' | b'-')
                    ) {
                        self.push(text);
                    }
                } else {
                    text.push_str(&name);
                    self.skip(name.len());
                    self.read(name, false);
                }
            }
        }
    }

    pub(super) fn read(&mut self, name: String, guarded: bool) {
        let line = self.line;
        self.script.reads.push(Read {
            name,
            line,
            guarded,
        });
    }

    /// The inside of `${...}`; the text keeps name and operator.
    pub(super) fn braces(&mut self, text: &mut String) {
        text.push_str("${");
        let prefixed = matches!(self.peek(), Some(b'#' | b'!')) && self.peek_at(1) != Some(b'}');
        if prefixed {
            self.push(text);
        }
        let name = name_at(self.source.get(self.at..).unwrap_or_default()).to_owned();
        text.push_str(&name);
        self.skip(name.len());
        let operator = self.source.get(self.at..).unwrap_or_default();
        let guarded = [":-", "-", ":+", "+", ":=", "=", ":?", "?"]
            .iter()
            .any(|it| operator.starts_with(it));
        if operator.starts_with(":=") || operator.starts_with('=') {
            let line = self.line;
            self.script.sets.push((name.clone(), line));
        }
        // `${!PREFIX@}` lists names.
        let lists = prefixed && (operator.starts_with("@}") || operator.starts_with("*}"));
        if !name.is_empty() && !lists {
            self.read(name, guarded);
        }
        loop {
            match self.peek() {
                None => return self.lose(),
                Some(b'}') => {
                    self.skip(1);
                    return text.push('}');
                }
                Some(b'\\') => {
                    self.skip(1);
                    self.push(text);
                }
                Some(b'$') => self.dollar(text),
                Some(b'`') if self.in_backticks => return,
                Some(b'`') => self.backtick(text),
                Some(b'"') => self.double_quotes(text),
                Some(b'\'') if text.ends_with(['#', '%', '/']) => self.single_quotes(text),
                Some(_) => self.push(text),
            }
        }
    }

    /// The inside of `((...))`.
    pub(super) fn arithmetic(&mut self) {
        let mut depth = 0;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return self.lose(),
                Some(b')') if depth == 0 => {
                    self.skip(1);
                    if self.peek() == Some(b')') {
                        self.skip(1);
                    }
                    return;
                }
                Some(b'(') => {
                    depth += 1;
                    self.skip(1);
                }
                Some(b')') => {
                    depth -= 1;
                    self.skip(1);
                }
                Some(b'$') => self.dollar(&mut text),
                Some(b'`') if self.in_backticks => return,
                Some(b'`') => self.backtick(&mut text),
                Some(_) => self.skip(1),
            }
        }
    }
}
