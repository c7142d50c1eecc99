//! Layout of Python scripts: the part of flake8 that needs no parser, with its
//! codes, texts and settings. What needs one (pyflakes; blanks around operators
//! and in continuation lines) is left to flake8 itself (`--flake8`).

mod compare;
mod config;
mod logical;
mod physical;
mod statement;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

pub use config::Config;
use tokens::{Kind, Place, Token};

/// Whether a first line names Python. Upstream asks file(1), which for all
/// elements of 0.1.46 to 3.43.0 comes to the same.
pub fn is_shebang(first: &[u8]) -> bool {
    first.starts_with(b"#!") && first.windows(6).any(|word| word == b"python")
}

/// One thing that is wrong: code first, as flake8 sorts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// flake8's code.
    pub code: String,
    /// Line, from 1.
    pub row: usize,
    /// Column, from 1.
    pub column: usize,
    /// What flake8 says behind the code.
    pub text: String,
}

impl Finding {
    /// Of a text that begins with the code.
    fn new((row, column): Place, text: &str) -> Finding {
        let (code, text) = text.split_once(' ').unwrap_or((text, ""));
        Finding {
            code: code.to_owned(),
            row,
            column: column + 1,
            text: text.to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    /// As flake8 prints it behind the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            code,
            row,
            column,
            text,
        } = self;
        write!(f, "{row}:{column}: {code} {text}")
    }
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        // The pattern is a constant: a test compiles it.
        #[allow(clippy::unwrap_used)]
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).unwrap());
    };
}
use pattern;

pattern!(
    NOQA,
    r"(?i)# noqa(?::[\s]?(?P<codes>(?:[A-Z]+[0-9]+(?:[,\s]+)?)+))?"
);
pattern!(NOQA_FILE, r"(?i)^\s*# flake8[:=]\s*noqa");

/// All findings that settings and comments let through, sorted.
pub fn findings(content: &[u8], config: &Config) -> BTreeSet<Finding> {
    let text = String::from_utf8_lossy(content);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines: Vec<Vec<char>> = text
        .split_inclusive('\n')
        .map(|line| line.chars().collect())
        .collect();
    if text.lines().any(|line| NOQA_FILE.is_match(line)) {
        return BTreeSet::new();
    }
    let tokens = match tokens::tokens(&lines) {
        Ok(tokens) => tokens,
        Err(broken) => {
            let text = format!("E999 SyntaxError: {}", broken.reason);
            return wanted(Finding::new(broken.place, &text), config);
        }
    };
    if let Some(finding) = old_syntax(&tokens) {
        return wanted(finding, config);
    }
    let mut found = physical::check(&lines, &tokens, config);
    found.extend(logical::check(&lines, &tokens));
    let ranges = ranges(&tokens, lines.len());
    found
        .into_iter()
        .filter(|finding| config.wants(&finding.code) && !excused(finding, &lines, &ranges))
        .collect()
}

fn wanted(finding: Finding, config: &Config) -> BTreeSet<Finding> {
    let one = Some(finding).filter(|finding| config.wants(&finding.code));
    one.into_iter().collect()
}

/// Python 2's `print x`, `exec x` and `except X, e:` end every check.
fn old_syntax(tokens: &[Token]) -> Option<Finding> {
    let mut fresh = true;
    for (index, token) in tokens.iter().enumerate() {
        let rest = tokens.get(index + 1..).unwrap_or_default();
        let name = token.text.as_str();
        let found = match (fresh && token.kind == Kind::Name, name, rest) {
            (true, "print" | "exec", [next, ..]) if begins_value(next) => {
                let text =
                    format!("Missing parentheses in call to '{name}'. Did you mean {name}(...)?");
                Some((token.start, text))
            }
            (true, "except", [class, comma, _, colon, ..])
                if comma.text == "," && colon.text == ":" =>
            {
                let text = "multiple exception types must be parenthesized";
                Some((class.start, text.to_owned()))
            }
            _ => None,
        };
        if let Some(((row, column), text)) = found {
            let text = format!("E999 SyntaxError: {text}");
            // Columns of the compiler begin with 1, and flake8 adds another one.
            return Some(Finding::new((row, column + 1), &text));
        }
        fresh = match token.kind {
            Kind::Newline | Kind::Nl | Kind::Indent | Kind::Dedent => true,
            Kind::Op => token.text == ";" || token.text == ":",
            _ => false,
        };
    }
    None
}

fn begins_value(token: &Token) -> bool {
    let word = !matches!(&*token.text, "in" | "is" | "and" | "or" | "if" | "not");
    matches!(token.kind, Kind::Str | Kind::Number) || token.kind == Kind::Name && word
}

/// For each row the rows that a comment excuses with it: those of a string that
/// spans several.
fn ranges(tokens: &[Token], count: usize) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = (0..=count).map(|row| (row, row)).collect();
    let mut first = None;
    for token in tokens.iter().filter(|token| token.kind != Kind::Dedent) {
        let begin = *first.get_or_insert(token.start.0);
        if matches!(token.kind, Kind::Newline | Kind::Nl) {
            let range = (begin, token.end.0);
            if let Some(rows) = ranges.get_mut(begin..=token.end.0) {
                rows.fill(range);
            }
            first = None;
        }
    }
    ranges
}

/// Whether a `# noqa` covers a finding.
fn excused(finding: &Finding, lines: &[Vec<char>], ranges: &[(usize, usize)]) -> bool {
    let (first, last) = ranges.get(finding.row).copied().unwrap_or((1, 0));
    let text: String = lines
        .iter()
        .take(last)
        .skip(first.saturating_sub(1))
        .flatten()
        .collect();
    let Some(found) = NOQA.captures(&text) else {
        return false;
    };
    let Some(codes) = found.name("codes") else {
        return true;
    };
    let codes = codes.as_str().to_uppercase();
    codes
        .split([',', ' ', '\t', '\n'])
        .filter(|code| !code.is_empty())
        .any(|code| finding.code.starts_with(code))
}
