//! Layout of Python scripts: the part of flake8 that needs no parser, with its
//! codes, texts and settings. What needs one (pyflakes; blanks around operators
//! and in continuation lines) is left to flake8 itself (`--flake8`).

mod compare;
mod config;
mod logical;
mod physical;
mod statement;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::Regex;

use super::files::File;
use super::report::Report;
use super::{shell, Failure};
use config::Config;
use tokens::{Kind, Place, Token};

/// Whether a first line names Python. Upstream asks file(1), which for all
/// elements of 0.1.46 to 3.43.0 comes to the same.
pub(super) fn is_shebang(first: &[u8]) -> bool {
    first.starts_with(b"#!") && first.windows(6).any(|word| word == b"python")
}

/// The same of a file; unreadable ones are none.
pub(super) fn is_script(path: &Path) -> bool {
    fs::read(path).is_ok_and(|content| is_shebang(&shell::first_line(&content)))
}

/// Who looks at Python scripts.
pub(super) enum Linter {
    /// The checks here.
    Own(Box<Config>),
    /// flake8 has looked at all: its lines for each file.
    Flake8(BTreeMap<PathBuf, Vec<Vec<u8>>>),
}

impl Linter {
    /// Our own checks with flake8's settings for the working directory.
    pub(super) fn own(report: &mut Report) -> Linter {
        let (config, unknown) = Config::find();
        for option in unknown {
            report.note(&format!(
                "the setting '{option}' of flake8 has no effect without --flake8"
            ));
        }
        Linter::Own(Box::new(config))
    }

    /// Runs flake8 once over all scripts.
    pub(super) fn flake8(scripts: Vec<&Path>) -> Result<Linter, Failure> {
        let mut found: BTreeMap<PathBuf, Vec<Vec<u8>>> = BTreeMap::new();
        if scripts.is_empty() {
            return Ok(Linter::Flake8(found));
        }
        let output = Command::new("flake8")
            .args(["--format=default", "--"])
            .args(&scripts)
            .stdin(Stdio::null())
            .output()
            .map_err(Failure::Flake8)?;
        for line in shell::lines(&output.stdout) {
            let owner = scripts.iter().find(|path| {
                let rest = line.strip_prefix(path.as_os_str().as_bytes());
                rest.is_some_and(|rest| rest.first() == Some(&b':'))
            });
            if let Some(path) = owner {
                found
                    .entry(path.to_path_buf())
                    .or_default()
                    .push(line.to_vec());
            }
        }
        if !output.status.success() && found.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned();
            let said = format!("{}: {said}", output.status);
            return Err(Failure::Flake8(std::io::Error::other(said)));
        }
        Ok(Linter::Flake8(found))
    }

    /// Prints what is wrong with a script.
    pub(super) fn check(&self, file: &File, content: &[u8], report: &mut Report) {
        let lines: Vec<Vec<u8>> = match self {
            Linter::Own(config) if config.excludes(&file.path) => Vec::new(),
            Linter::Own(config) => {
                let found = findings(content, config);
                found.iter().map(|finding| finding.line(file)).collect()
            }
            Linter::Flake8(found) => found.get(&file.path).cloned().unwrap_or_default(),
        };
        for line in &lines {
            report.line(line);
        }
        if !lines.is_empty() {
            report.error(&[file.shown(), b" failed flake8"]);
        }
    }
}

/// One thing that is wrong: code first, as flake8 sorts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    code: String,
    row: usize,
    column: usize,
    text: String,
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

    fn line(&self, file: &File) -> Vec<u8> {
        let Finding {
            code,
            row,
            column,
            text,
        } = self;
        let rest = format!(":{row}:{column}: {code} {text}");
        [file.shown(), rest.as_bytes()].concat()
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
fn findings(content: &[u8], config: &Config) -> BTreeSet<Finding> {
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
