//! A map of strings as PyYAML's `safe_dump` writes it (`IMAGE_ELEMENT_YAML`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

/// Column after which PyYAML folds a scalar at its next blank.
const WIDTH: usize = 80;

/// Longest simple key, the five characters of `!!str` included.
const SIMPLE_KEY: usize = 128;

/// Plain scalars that YAML 1.1 would read as something else than a string
/// (PyYAML `resolver.py`: booleans, floats, integers, merge, null, timestamps, value).
static NOT_A_STRING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        "yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?",
        r"\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?",
        r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*",
        r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        r"[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+",
        r"[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+",
        "<<|~|null|Null|NULL|=|",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        concat!(
            r"[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)[0-9][0-9]?:[0-9][0-9]:[0-9][0-9]",
            r"(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9][0-9])?))?"
        ),
    ];
    Regex::new(&format!("^(?:{})$", forms.join("|"))).ok()
});

/// What `yaml.safe_dump(map)` returns, final newline included.
pub fn yaml_map(map: &BTreeMap<String, String>) -> String {
    if map.is_empty() {
        return "{}\n".to_owned();
    }
    let mut out = Writer::default();
    for (key, value) in map {
        let simple =
            !key.is_empty() && !has_break(key) && key.chars().count() + "!!str".len() < SIMPLE_KEY;
        if simple {
            out.scalar(key, true);
            out.push(":");
        } else {
            out.push("?");
            out.indented(|out| out.value(key));
            out.line();
            out.push(":");
        }
        out.indented(|out| out.value(value));
        out.line();
    }
    out.text
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn has_break(text: &str) -> bool {
    text.chars().any(is_break)
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
}

fn style(text: &str, key: bool) -> Style {
    let chars: Vec<char> = text.chars().collect();
    let special = chars
        .iter()
        .any(|c| *c != '\n' && !(' '..='\u{7e}').contains(c));
    let pair = |first: fn(char) -> bool, second: fn(char) -> bool| {
        let mut pairs = chars.iter().zip(chars.iter().skip(1));
        pairs.any(|(one, next)| first(*one) && second(*next))
    };
    let space = |c: char| c == ' ';
    let newline = |c: char| c == '\n';
    if special || pair(newline, space) || pair(space, newline) || (key && has_break(text)) {
        return Style::Double;
    }
    let edge = |c: Option<&char>| c.is_some_and(|c| matches!(c, ' ' | '\n'));
    let reads_as_string = NOT_A_STRING
        .as_ref()
        .is_some_and(|regex| !regex.is_match(text));
    let plain = reads_as_string
        && !has_break(text)
        && !edge(chars.first())
        && !edge(chars.last())
        && !has_indicator(text);
    if plain {
        Style::Plain
    } else {
        Style::Single
    }
}

/// Characters that may not stand in a plain scalar outside of flow collections.
fn has_indicator(text: &str) -> bool {
    let blank_or_end = |c: Option<char>| c.is_none_or(|c| c == ' ' || c == '\n');
    let mut rest = text.chars();
    let first = rest.next();
    text.starts_with("---")
        || text.starts_with("...")
        || first.is_some_and(|c| "#,[]{}&*!|>'\"%@`".contains(c))
        || first.is_some_and(|c| "?:-".contains(c)) && blank_or_end(rest.next())
        || text.contains(": ")
        || text.ends_with(':')
        || text.contains(" #")
}

#[derive(Default)]
struct Writer {
    text: String,
    column: usize,
    indent: usize,
}

impl Writer {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    fn line(&mut self) {
        self.text.push('\n');
        self.column = 0;
        self.push(&" ".repeat(self.indent));
    }

    fn indented(&mut self, write: impl FnOnce(&mut Self)) {
        self.indent += 2;
        write(self);
        self.indent -= 2;
    }

    fn value(&mut self, text: &str) {
        self.push(" ");
        self.scalar(text, false);
    }

    fn scalar(&mut self, text: &str, key: bool) {
        match style(text, key) {
            Style::Plain => self.folding(text, !key, "'"),
            Style::Single => {
                self.push("'");
                self.folding(text, !key, "''");
                self.push("'");
            }
            Style::Double => self.double(text, !key),
        }
    }

    /// Plain and single-quoted text: a single blank beyond the width becomes a
    /// line break, a line break is doubled, an apostrophe is written as `quote`.
    fn folding(&mut self, text: &str, split: bool, quote: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if c == '\n' || c == ' ' {
                let after = rest.trim_start_matches(c);
                let run = rest.len() - after.len();
                let inner = rest.len() < text.len() && !after.is_empty();
                if c == '\n' {
                    self.text.push_str(&"\n".repeat(run));
                    self.line();
                } else if run == 1 && split && inner && self.column > WIDTH {
                    self.line();
                } else {
                    self.push(&" ".repeat(run));
                }
                rest = after;
            } else {
                let (head, tail) = rest.split_at(c.len_utf8());
                self.push(if c == '\'' { quote } else { head });
                rest = tail;
            }
        }
    }

    /// Double-quoted text. PyYAML looks for a place to fold at every blank and
    /// wherever nothing is pending (after escapes), counting what is pending.
    fn double(&mut self, text: &str, split: bool) {
        self.push("\"");
        let chars: Vec<char> = text.chars().collect();
        let mut start = 0;
        for (end, c) in chars.iter().enumerate() {
            if let Some(escape) = escape(*c) {
                self.push_chars(&chars, start, end);
                self.push(&escape);
                start = end + 1;
            }
            let place = end > 0 && end + 1 < chars.len() && (*c == ' ' || start >= end);
            if place && split && self.column + end > WIDTH + start {
                self.push_chars(&chars, start, end);
                self.push("\\");
                start = start.max(end);
                self.line();
                if chars.get(start) == Some(&' ') {
                    self.push("\\");
                }
            }
        }
        self.push_chars(&chars, start, chars.len());
        self.push("\"");
    }

    fn push_chars(&mut self, chars: &[char], start: usize, end: usize) {
        let pending: String = chars.get(start..end).unwrap_or_default().iter().collect();
        self.push(&pending);
    }
}

fn escape(c: char) -> Option<String> {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        ' '..='~' => return None,
        _ => {
            return Some(match u32::from(c) {
                code @ ..=0xff => format!("\\x{code:02X}"),
                code @ ..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            })
        }
    };
    Some(format!("\\{short}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn python(maps: &[BTreeMap<String, String>]) -> Option<Vec<String>> {
        let script = "import json,sys,yaml\n\
                      print(json.dumps([yaml.safe_dump(m) for m in json.loads(sys.argv[1])]))";
        let output = Command::new("/usr/bin/python3")
            .args(["-c", script, &serde_json::to_string(maps).unwrap()])
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    fn nasty() -> Vec<String> {
        let mut texts: Vec<String> = [
            "",
            "a",
            "yes",
            "No",
            "1",
            "0x1f",
            "0o7",
            "012",
            "1.5",
            ".5",
            "1e3",
            "1.e+3",
            "1:30",
            "~",
            "null",
            "=",
            "<<",
            "2001-01-01",
            "2001-1-1 1:00:00",
            ".inf",
            "-",
            "- a",
            "-a",
            "?",
            ":",
            ":a",
            "a:",
            "a: b",
            "a #b",
            "a#b",
            "#a",
            "---",
            "--- x",
            "...",
            "{a",
            "a{",
            "[x]",
            "*a",
            "&a",
            "!a",
            "|",
            ">",
            "%",
            "@",
            "`",
            "it's",
            "\"q\"",
            "\\",
            " lead",
            "trail ",
            "a  b",
            "two\nlines",
            "\n",
            "a\n\nb",
            "a\n b",
            "a \nb",
            "tab\there",
            "ünï",
            "\u{1f600}",
            "\u{85}",
            "\u{7f}",
            "\u{1}",
            "/opt/x y/elements",
            "block-device-mbr",
            "/usr/lib/python3/dist-packages",
        ]
        .iter()
        .map(|text| (*text).to_owned())
        .collect();
        let words = "word ".repeat(40);
        texts.push(words.trim_end().to_owned());
        texts.push(format!("it's {words}end"));
        texts.push(format!(": {words} x"));
        texts.push(format!("ü {words}  ü"));
        texts.push("ü".repeat(60) + " b");
        texts.push("ü ".repeat(60));
        texts.push("/long".repeat(40));
        texts.push("k".repeat(122));
        texts.push("k".repeat(123));
        texts
    }

    #[test]
    fn agrees_with_pyyaml() {
        let texts = nasty();
        let mut maps: Vec<BTreeMap<String, String>> = vec![BTreeMap::new()];
        for text in &texts {
            maps.push([("key".to_owned(), text.clone())].into());
            maps.push([(text.clone(), "value".to_owned())].into());
        }
        let mut state = 42u64;
        let mut random = move |below: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        let alphabet: Vec<char> = "ab1 '\":#-?\n\\é\t.,  ".chars().collect();
        for _ in 0..2000 {
            let length = if random(4) == 0 { 150 } else { 8 };
            let text: String = (0..random(length))
                .map(|_| alphabet[random(alphabet.len())])
                .collect();
            maps.push([(text.clone(), text)].into());
        }
        maps.push(
            texts
                .iter()
                .map(|text| (text.clone(), text.clone()))
                .collect(),
        );
        let Some(expected) = python(&maps) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "python3-yaml is needed in CI"
            );
            eprintln!("skipped: /usr/bin/python3 has no yaml");
            return;
        };
        for (map, expected) in maps.iter().zip(expected) {
            assert_eq!(yaml_map(map), expected, "{map:?}");
        }
    }
}
