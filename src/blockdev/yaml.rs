//! YAML as upstream's PyYAML reads it: version 1.1 scalars, the last of two
//! equal keys wins.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

pub use super::value::Value;

/// Most values that a document may expand to through its aliases.
const MAX_VALUES: usize = 100_000;
/// Deepest nesting that is accepted.
const MAX_DEPTH: usize = 100;

/// Why a text is no YAML document that we can use.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// The text is not YAML.
    #[error("not valid YAML: {0}")]
    Syntax(#[from] ScanError),
    /// Only one document is expected, as by `yaml.safe_load`.
    #[error("expected a single YAML document, but found another one")]
    SeveralDocuments,
    /// A tag that `yaml.safe_load` does not construct, or that we do not know.
    #[error("could not determine a constructor for the YAML tag {0}")]
    Tag(String),
    /// A list or a mapping as a key.
    #[error("YAML mapping with an unhashable key: {0}")]
    Key(String),
    /// Aliases expand beyond reason, or nesting is too deep.
    #[error("YAML document too large or nested too deeply")]
    TooLarge,
}

/// Reads one document; an empty text is [`Value::Null`].
///
/// # Errors
/// [`YamlError`] for what `yaml.safe_load` refuses.
pub fn load(text: &str) -> Result<Value, YamlError> {
    let mut loader = Loader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        values: 0,
    };
    let mut document = None;
    loop {
        match loader.next()? {
            Event::StreamEnd => break,
            Event::DocumentStart(_) if document.is_some() => {
                return Err(YamlError::SeveralDocuments)
            }
            Event::DocumentStart(_) => {
                let event = loader.next()?;
                document = Some(loader.value(event, 0)?);
            }
            _ => {}
        }
    }
    Ok(document.unwrap_or(Value::Null))
}

struct Loader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Value>,
    values: usize,
}

impl<'a> Loader<'a> {
    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        match self.parser.next_event() {
            Some(event) => Ok(event?.0),
            None => Ok(Event::StreamEnd),
        }
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Value, YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError::TooLarge);
        }
        self.count(1)?;
        let (anchor, value) = match event {
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().unwrap_or(Value::Null);
                self.count(size(&value))?;
                return Ok(value);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| format!("{}{}", tag.handle, tag.suffix));
                (anchor, scalar(&text, style, tag.as_deref())?)
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            _ => (0, Value::Null),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd | Event::StreamEnd => return Ok(Value::List(items)),
                event => items.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        let mut merged: Vec<(Value, Value)> = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                break;
            }
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.value(event, depth + 1)?;
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            if is_merge {
                merge_into(&mut merged, value);
            } else if matches!(key, Value::List(_) | Value::Map(_)) {
                return Err(YamlError::Key(key.to_string()));
            } else {
                set(&mut pairs, key, value);
            }
        }
        let mut all = merged;
        for (key, value) in pairs {
            set(&mut all, key, value);
        }
        Ok(Value::Map(all))
    }

    fn count(&mut self, more: usize) -> Result<(), YamlError> {
        self.values += more;
        if self.values > MAX_VALUES {
            return Err(YamlError::TooLarge);
        }
        Ok(())
    }
}

/// Adds what `<<` names; of several maps the first one wins.
fn merge_into(merged: &mut Vec<(Value, Value)>, value: Value) {
    match value {
        Value::Map(pairs) => {
            for (key, value) in pairs {
                if !merged.iter().any(|(have, _)| *have == key) {
                    merged.push((key, value));
                }
            }
        }
        Value::List(maps) => maps.into_iter().for_each(|map| merge_into(merged, map)),
        _ => {}
    }
}

fn set(pairs: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match pairs.iter_mut().find(|(have, _)| *have == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(pairs) => 1 + pairs.iter().map(|(k, v)| size(k) + size(v)).sum::<usize>(),
        _ => 1,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Value, YamlError> {
    match tag {
        None if style == ScalarStyle::Plain => Ok(resolve(text)),
        None | Some("!") | Some("tag:yaml.org,2002:str") => Ok(Value::Str(text.to_string())),
        Some(tag) => match tag.strip_prefix("tag:yaml.org,2002:") {
            Some("int" | "float" | "bool" | "null") => Ok(resolve(text)),
            _ => Err(YamlError::Tag(tag.to_string())),
        },
    }
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        // The pattern is a constant: a test compiles it.
        #[allow(clippy::unwrap_used)]
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).unwrap());
    };
}

pattern!(
    INT,
    r"^[-+]?(0b[01_]+|0[0-7_]*|[1-9][0-9_]*(:[0-5]?[0-9])*|0x[0-9a-fA-F_]+)$"
);
pattern!(
    FLOAT,
    r"^[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?|\.(inf|Inf|INF))$"
);

/// The type of a plain scalar (PyYAML's implicit resolvers, timestamps aside).
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true)
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    if INT.is_match(text) {
        if let Some(number) = integer(text) {
            return Value::Int(number);
        }
    }
    if FLOAT.is_match(text) {
        let plain = text.replace('_', "").to_lowercase();
        let plain = plain.replace(".inf", "inf");
        if let Ok(number) = plain.parse() {
            return Value::Float(number);
        }
    }
    Value::Str(text.to_string())
}

fn integer(text: &str) -> Option<i128> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let number = if let Some(bits) = digits.strip_prefix("0b") {
        i128::from_str_radix(bits, 2).ok()?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        i128::from_str_radix(hex, 16).ok()?
    } else if digits.contains(':') {
        digits.split(':').try_fold(0i128, |sum, part| {
            sum.checked_mul(60)?.checked_add(part.parse().ok()?)
        })?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i128::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_yaml_1_1() {
        let table = [
            ("8E00", Value::Str("8E00".into())),
            ("1e10", Value::Str("1e10".into())),
            ("EF02", Value::Str("EF02".into())),
            ("0700", Value::Int(448)),
            ("0x83", Value::Int(131)),
            ("0", Value::Int(0)),
            ("08", Value::Str("08".into())),
            ("1_000", Value::Int(1000)),
            ("1:30", Value::Int(90)),
            ("yes", Value::Bool(true)),
            ("off", Value::Bool(false)),
            ("y", Value::Str("y".into())),
            ("1.5", Value::Float(1.5)),
            ("~", Value::Null),
            ("'0700'", Value::Str("0700".into())),
            ("\"yes\"", Value::Str("yes".into())),
            ("100%", Value::Str("100%".into())),
            ("!!str 12", Value::Str("12".into())),
        ];
        for (text, value) in table {
            assert_eq!(load(text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn structure_aliases_and_merges() {
        let text = "a: &x {k: 1, l: [yes, 'it''s']}\nb: *x\nc: {<<: *x, k: 2}\n";
        assert_eq!(
            load(text).unwrap().to_string(),
            "{'a': {'k': 1, 'l': [True, \"it's\"]}, 'b': {'k': 1, 'l': [True, \"it's\"]}, \
             'c': {'k': 2, 'l': [True, \"it's\"]}}"
        );
        assert_eq!(load("# only a comment\n").unwrap(), Value::Null);
    }

    #[test]
    fn refuses_what_safe_load_refuses() {
        for text in [
            "a: [",
            "--- 1\n--- 2\n",
            "!!python/name:os.system x",
            "[a]: 1\n",
        ] {
            assert!(load(text).is_err(), "{text:?}");
        }
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let p = n - 1;
            bomb +=
                &format!("a{n}: &a{n} [*a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}, *a{p}]\n");
        }
        assert!(matches!(load(&bomb), Err(YamlError::TooLarge)));
        assert!(load(&"[".repeat(5000)).is_err());
    }
}
