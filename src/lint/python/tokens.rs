//! Python's tokens, as its own `tokenize` cuts them (3.11: an f-string is one).

/// Row from 1, column from 0 in characters.
pub(super) type Place = (usize, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Comment,
    /// End of a line that ends no statement.
    Nl,
    Newline,
    Indent,
    Dedent,
    Name,
    Number,
    Str,
    Op,
    /// A character that begins no token.
    Error,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) start: Place,
    pub(super) end: Place,
}

/// Why a text has no tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) place: Place,
    pub(super) reason: &'static str,
}

const OPERATORS: [&str; 25] = [
    "**=", "//=", ">>=", "<<=", "...", "!=", "->", ":=", "**", "//", ">>", "<<", "<=", ">=", "==",
    "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", "<>",
];
const SINGLE: &str = "+-*/%@&|^~<>()[]{},:;.=";

/// Tokens of a text, given as lines with their newlines.
pub(super) fn tokens(lines: &[Vec<char>]) -> Result<Vec<Token>, Broken> {
    let mut cutter = Cutter {
        lines,
        row: 0,
        at: 0,
        found: Vec::new(),
        indents: vec![0],
        open: Vec::new(),
        continued: false,
    };
    while cutter.row < lines.len() {
        cutter.line()?;
    }
    if let Some((_, place)) = cutter.open.last() {
        return Err(Broken {
            place: *place,
            reason: "bracket was never closed",
        });
    }
    Ok(cutter.found)
}

struct Cutter<'a> {
    lines: &'a [Vec<char>],
    /// Index of the line, and of the character.
    row: usize,
    at: usize,
    found: Vec<Token>,
    indents: Vec<usize>,
    open: Vec<(char, Place)>,
    continued: bool,
}

impl<'a> Cutter<'a> {
    fn text(&self) -> &'a [char] {
        self.lines.get(self.row).map_or(&[], Vec::as_slice)
    }

    fn char(&self, ahead: usize) -> char {
        self.text().get(self.at + ahead).copied().unwrap_or('\n')
    }

    fn place(&self) -> Place {
        (self.row + 1, self.at)
    }

    fn broken(&self, reason: &'static str) -> Broken {
        Broken {
            place: self.place(),
            reason,
        }
    }

    /// Adds a token of `length` characters on this line.
    fn push(&mut self, kind: Kind, length: usize) {
        let start = self.place();
        let rest = self.text().get(self.at..).unwrap_or_default();
        let text: String = rest.iter().take(length).collect();
        self.at = (self.at + length).min(self.text().len());
        let end = self.place();
        self.found.push(Token {
            kind,
            text,
            start,
            end,
        });
    }

    /// A line that begins no token of several lines.
    fn line(&mut self) -> Result<(), Broken> {
        self.at = 0;
        let fresh = self.open.is_empty() && !std::mem::take(&mut self.continued);
        if fresh && self.indentation()? {
            self.row += 1;
            return Ok(());
        }
        let row = self.row;
        while self.row < self.lines.len() && self.at < self.text().len() {
            self.token()?;
        }
        // The last line may come without a newline.
        let ended = self.text().last().is_some_and(|c| *c == '\n');
        if !ended && self.row + 1 >= self.lines.len() && self.open.is_empty() {
            self.push(Kind::Newline, 0);
        }
        self.row = self.row.max(row) + 1;
        Ok(())
    }

    /// Measures the indentation; true if nothing but a comment follows.
    fn indentation(&mut self) -> Result<bool, Broken> {
        let mut column = 0;
        loop {
            match self.text().get(self.at) {
                Some(' ') => column += 1,
                Some('\t') => column = (column / 8 + 1) * 8,
                Some('\x0c') => column = 0,
                _ => break,
            }
            self.at += 1;
        }
        if matches!(self.char(0), '#' | '\r' | '\n') {
            self.comment();
            let rest = self.text().len() - self.at;
            self.push(Kind::Nl, rest);
            return Ok(true);
        }
        if column > self.indents.last().copied().unwrap_or(0) {
            self.indents.push(column);
            let length = std::mem::take(&mut self.at);
            self.push(Kind::Indent, length);
        }
        while column < self.indents.last().copied().unwrap_or(0) {
            self.indents.pop();
            if column > self.indents.last().copied().unwrap_or(0) {
                return Err(self.broken("unindent does not match any outer indentation level"));
            }
            self.push(Kind::Dedent, 0);
        }
        Ok(false)
    }

    fn comment(&mut self) {
        if self.char(0) == '#' {
            let rest = self.text().get(self.at..).unwrap_or_default();
            let length = rest
                .iter()
                .take_while(|c| !matches!(c, '\r' | '\n'))
                .count();
            self.push(Kind::Comment, length);
        }
    }

    fn token(&mut self) -> Result<(), Broken> {
        let c = self.char(0);
        let rest = self.text().len() - self.at;
        match c {
            ' ' | '\t' | '\x0c' => self.at += 1,
            '#' => self.comment(),
            '\r' if self.char(1) != '\n' => self.push(Kind::Error, 1),
            '\r' | '\n' if self.open.is_empty() => self.push(Kind::Newline, rest),
            '\r' | '\n' => self.push(Kind::Nl, rest),
            '\\' if matches!(self.char(1), '\r' | '\n') => {
                self.continued = true;
                self.at += rest;
            }
            _ => match self.string_prefix() {
                Some(length) => return self.string(length),
                None if c.is_ascii_digit() || c == '.' && self.char(1).is_ascii_digit() => {
                    let length = self.number();
                    self.push(Kind::Number, length);
                }
                None if c.is_alphabetic() || c == '_' => {
                    let name = self.text().get(self.at..).unwrap_or_default();
                    let word = |c: &&char| c.is_alphanumeric() || **c == '_';
                    let length = name.iter().take_while(word).count();
                    self.push(Kind::Name, length);
                }
                None => return self.operator(),
            },
        }
        Ok(())
    }

    /// Letters, digits, points, and signs of exponents.
    fn number(&self) -> usize {
        let mut length = 0;
        let hex = self.char(0) == '0' && matches!(self.char(1), 'x' | 'X');
        loop {
            let c = self.char(length);
            let exponent = length > 0 && !hex && matches!(self.char(length - 1), 'e' | 'E');
            let digit = self.char(length + 1).is_ascii_digit();
            match c {
                '+' | '-' if exponent && digit => {}
                '.' => {}
                _ if c.is_ascii_alphanumeric() || c == '_' => {}
                _ => return length,
            }
            length += 1;
        }
    }

    fn operator(&mut self) -> Result<(), Broken> {
        let is_next = |operator: &&&str| {
            let mut characters = operator.chars().enumerate();
            characters.all(|(index, c)| self.char(index) == c)
        };
        let length = OPERATORS.iter().find(is_next).map(|found| found.len());
        if let Some(length) = length {
            self.push(Kind::Op, length);
            return Ok(());
        }
        let c = self.char(0);
        match c {
            '(' | '[' | '{' => self.open.push((c, self.place())),
            ')' | ']' | '}' => match (self.open.pop().map(|(open, _)| open), c) {
                (Some('('), ')') | (Some('['), ']') | (Some('{'), '}') => {}
                _ => return Err(self.broken("unmatched closing bracket")),
            },
            _ => {}
        }
        let known = SINGLE.contains(c);
        self.push(if known { Kind::Op } else { Kind::Error }, 1);
        Ok(())
    }

    /// Length of the letters before a string's quote, if one begins here.
    fn string_prefix(&self) -> Option<usize> {
        let letters = (0..3).take_while(|ahead| "rRbBuUfF".contains(self.char(*ahead)));
        let length = letters.count();
        (length < 3 && matches!(self.char(length), '"' | '\'')).then_some(length)
    }

    fn string(&mut self, prefix: usize) -> Result<(), Broken> {
        let start = self.place();
        let quote = self.char(prefix);
        let triple = self.char(prefix + 1) == quote && self.char(prefix + 2) == quote;
        let count = if triple { 3 } else { 1 };
        let begin = self.at + prefix + count;
        let mut text: String = self.text().iter().take(begin).skip(self.at).collect();
        self.at = begin;
        loop {
            if self.at >= self.text().len() {
                self.row += 1;
                self.at = 0;
                if self.row >= self.lines.len() {
                    break;
                }
            }
            let c = self.char(0);
            let closes = (0..count).all(|ahead| self.char(ahead) == quote);
            if closes {
                text.extend(std::iter::repeat_n(quote, count));
                self.at += count;
                let end = self.place();
                self.found.push(Token {
                    kind: Kind::Str,
                    text,
                    start,
                    end,
                });
                return Ok(());
            }
            if c == '\n' && !triple {
                break;
            }
            text.push(c);
            self.at += 1;
            if c == '\\' && self.at < self.text().len() {
                text.push(self.char(0));
                self.at += 1;
            }
        }
        Err(Broken {
            place: start,
            reason: "unterminated string literal",
        })
    }
}
