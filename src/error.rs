//! What every error of the program can tell: a message, a hint, an exit code.
//!
//! Modules define their own `thiserror` enums; [`Explain`] is what the one
//! place that prints errors needs to know about them.

use std::fmt;

mod near;
mod setting;

/// `eprintln!`, for a standard error that may be full, or whose reader may have
/// gone: the standard library's panics then.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub(crate) use tell;

pub use near::{near, LONGEST_NAME};
pub use setting::{Setting, Syntax};

/// An error that can be shown to a user.
///
/// `Display` gives one lowercase sentence without a full stop that names what
/// failed, on which path or element, and why.
pub trait Explain: std::error::Error + Send + Sync + 'static {
    /// The exact thing to change, if it is known.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The text is upstream's own and goes out exactly as it is, without the
    /// name of the command before it.
    fn is_verbatim(&self) -> bool {
        false
    }

    /// The exit status of the process; upstream's is 1 for all but failing hooks.
    fn exit_code(&self) -> u8 {
        1
    }
}

/// Any error of the program, ready to be rendered once.
#[derive(Debug)]
pub struct Error(Box<dyn Explain>);

impl Error {
    /// The hint of the wrapped error.
    pub fn hint(&self) -> Option<String> {
        self.0.hint()
    }

    /// The exit status that the wrapped error asks for.
    pub fn exit_code(&self) -> u8 {
        self.0.exit_code()
    }

    /// Whether the message goes out without a prefix.
    pub fn is_verbatim(&self) -> bool {
        self.0.is_verbatim()
    }

    /// Message and causes.
    pub fn reason(&self) -> String {
        reason(&*self.0)
    }

    /// Message, causes and hint as they go to the user, without a final newline.
    /// Names and last lines in them are whoever's: what a terminal would obey is
    /// spelled out.
    pub fn render(&self) -> String {
        let mut text = self.reason();
        if let Some(hint) = self.hint() {
            text.push_str("\nhint: ");
            text.push_str(&hint);
        }
        printable(&text)
    }
}

/// The text with control characters as `\x1b` or `\u{9b}`, but for tabs and ends of lines.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => out.push(character),
            '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(character))),
            '\u{80}'..='\u{9f}' => out.extend(character.escape_unicode()),
            _ => out.push(character),
        }
    }
    out
}

/// Message and causes of an error, each text once.
pub fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl<E: Explain> From<E> for Error {
    fn from(error: E) -> Self {
        Error(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn terminals_find_nothing_to_obey() {
        let text = "a\tb\nc \x1b]0;t\x07 \u{9b}2J \r\x7f \u{e9}";
        let expected = "a\tb\nc \\x1b]0;t\\x07 \\u{9b}2J \\x0d\\x7f \u{e9}";
        assert_eq!(printable(text), expected);
    }
}
