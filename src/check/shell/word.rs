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
        let rest = inner.get(closing(inner)?..)?.strip_prefix('}')?;
        let (name, _) = named(inner)?;
        return Some((name, rest));
    }
    named(rest)
}

/// The name of a variable that `text` begins with; empty if there is none.
pub fn name_at(text: &str) -> &str {
    named(text).map_or("", |(name, _)| name)
}

/// The same with what follows it.
pub fn named(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let none = name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit());
    (!none).then_some((name, rest))
}

/// Whether it is `NAME=`, and what may follow.
pub fn assigns(text: &str) -> bool {
    named(text).is_some_and(|(_, rest)| rest.starts_with('='))
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
