//! Words of a command, with quotes taken off and variables left in.

/// A word. Variables stand in it as `$NAME`, substitutions as `$()`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Word {
    /// The text: `"$A"/x` is `$A/x`, and `${A:-b}` is `${A:-b}`.
    pub text: String,
    /// Some part of it was quoted.
    pub quoted: bool,
}

impl Word {
    /// The text, if nothing in it is expanded.
    pub fn literal(&self) -> Option<&str> {
        (!self.text.contains('$')).then_some(self.text.as_str())
    }

    /// The variable that the word begins with, and what follows it.
    pub fn leading_variable(&self) -> Option<(&str, &str)> {
        leading_variable(&self.text)
    }
}

/// Splits `$NAME/rest` and `${NAME:-x}/rest`; none if `text` begins otherwise.
pub fn leading_variable(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix('$')?;
    if let Some(inner) = rest.strip_prefix('{') {
        let end = closing(inner)?;
        let name = name_at(inner);
        return (!name.is_empty()).then_some((name, &inner[end + 1..]));
    }
    let name = name_at(rest);
    (!name.is_empty()).then_some((name, &rest[name.len()..]))
}

/// The name of a variable that `text` begins with; empty if there is none.
pub fn name_at(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let name = &text[..end];
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => "",
        false => name,
    }
}

/// Where the brace closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(index),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
