//! A statement of several tokens and lines as one text.

use super::tokens::{Kind, Place, Token};

/// A statement as one line, strings blanked out, and where its parts come from.
#[derive(Default)]
pub(super) struct Logical {
    pub(super) text: String,
    /// Ends of tokens: offset in characters, and place.
    map: Vec<(usize, Place)>,
}

impl Logical {
    /// None without any token that counts.
    pub(super) fn new(tokens: &[Token], lines: &[Vec<char>]) -> Option<Logical> {
        let mut logical = Logical::default();
        let mut length = 0;
        let mut previous: Option<Place> = None;
        for token in tokens {
            if matches!(
                token.kind,
                Kind::Nl | Kind::Newline | Kind::Indent | Kind::Dedent
            ) {
                continue;
            }
            if logical.map.is_empty() {
                logical.map.push((0, token.start));
            }
            if token.kind == Kind::Comment {
                continue;
            }
            let text = match token.kind {
                Kind::Str => muted(&token.text),
                _ => token.text.clone(),
            };
            if let Some((row, column)) = previous {
                let line = lines.get(row - 1).map_or(&[][..], Vec::as_slice);
                if row != token.start.0 {
                    let last = column.checked_sub(1).and_then(|index| line.get(index));
                    let opens = last.is_some_and(|c| "{[(".contains(*c));
                    let closes = matches!(&*text, "}" | "]" | ")");
                    if last == Some(&',') || (!opens && !closes) {
                        logical.text.push(' ');
                        length += 1;
                    }
                } else if column != token.start.1 {
                    let between = line.get(column..token.start.1).unwrap_or_default();
                    logical.text.extend(between);
                    length += between.len();
                }
            }
            length += text.chars().count();
            logical.text.push_str(&text);
            logical.map.push((length, token.end));
            previous = Some(token.end);
        }
        (!logical.map.is_empty()).then_some(logical)
    }

    /// Where it begins.
    pub(super) fn start(&self) -> Place {
        self.map.first().map_or((1, 0), |(_, place)| *place)
    }

    /// Where a byte of the text comes from.
    pub(super) fn place(&self, byte: usize) -> Place {
        let offset = self.text.get(..byte).map_or(0, |text| text.chars().count());
        let token = self.map.iter().find(|(end, _)| offset <= *end);
        token.map_or((1, 0), |(end, (row, column))| {
            (*row, (column + offset).saturating_sub(*end))
        })
    }
}

/// A string with `x` for its content.
fn muted(text: &str) -> String {
    let Some(quote) = text.chars().last() else {
        return String::new();
    };
    let characters: Vec<char> = text.chars().collect();
    let triple = text.ends_with(&quote.to_string().repeat(3)) && characters.len() > 5;
    let count = if triple { 3 } else { 1 };
    let begin = characters.iter().position(|c| *c == quote).unwrap_or(0) + count;
    let end = characters.len().saturating_sub(count);
    let keep = |(index, c): (usize, &char)| {
        if index < begin || index >= end {
            *c
        } else {
            'x'
        }
    };
    characters.iter().enumerate().map(keep).collect()
}

/// Width of a line's indentation.
pub(super) fn indentation(line: &[char]) -> usize {
    let mut width = 0;
    for c in line {
        match c {
            ' ' => width += 1,
            '\t' => width = width / 8 * 8 + 8,
            _ => break,
        }
    }
    width
}
