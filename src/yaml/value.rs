//! Values of a configuration: what YAML 1.1 and JSON have in common, shown as
//! Python shows them.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value with its type by the rules of YAML 1.1.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `yes`, `off`, `True`, ...
    Bool(bool),
    /// Decimal, octal (`0700`), hexadecimal, binary or sexagesimal.
    Int(i128),
    /// Needs a point: `1e10` is a string in YAML 1.1.
    Float(f64),
    /// A date, with or without a time of day, as it was written.
    Timestamp(String),
    /// Everything else, and every quoted scalar.
    Str(String),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping in the order of the document.
    Map(Vec<(Value, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.into())
    }
}

impl Value {
    /// A mapping with string keys.
    pub(crate) fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
        Value::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// The value of a string key, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Map(pairs) => lookup(pairs, name),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    fn repr(&self, out: &mut String) -> fmt::Result {
        match self {
            Value::Null => out.write_str("None"),
            Value::Bool(true) => out.write_str("True"),
            Value::Bool(false) => out.write_str("False"),
            Value::Int(number) => write!(out, "{number}"),
            Value::Float(number) => out.write_str(&float(*number)),
            Value::Timestamp(text) => out.write_str(text),
            Value::Str(text) => string_repr(text, out),
            Value::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    item.repr(out)?;
                }
                out.write_char(']')
            }
            Value::Map(pairs) => {
                out.push('{');
                for (index, (key, value)) in pairs.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    key.repr(out)?;
                    out.push_str(": ");
                    value.repr(out)?;
                }
                out.write_char('}')
            }
        }
    }
}

/// The value of a string key.
pub(crate) fn lookup<'v>(pairs: &'v [(Value, Value)], name: &str) -> Option<&'v Value> {
    pairs
        .iter()
        .find_map(|(key, value)| (key.as_str() == Some(name)).then_some(value))
}

/// Sets a string key, in its place if it is there.
pub(crate) fn set(pairs: &mut Vec<(Value, Value)>, name: &str, value: Value) {
    let found = pairs.iter_mut().find(|(key, _)| key.as_str() == Some(name));
    match found {
        Some(pair) => pair.1 = value,
        None => pairs.push((name.into(), value)),
    }
}

/// Python's `repr` of a float: shortest digits, an exponent from 1e16 on and
/// below 1e-4, of two digits at least.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let size = number.abs();
    if number == 0.0 || (1e-4..1e16).contains(&size) {
        return match number.to_string() {
            text if text.contains('.') => text,
            text => text + ".0",
        };
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn string_repr(text: &str, out: &mut String) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => write!(out, "\\{c}")?,
            c if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c))?,
            c => out.push(c),
        }
    }
    out.write_char(quote)
}

impl fmt::Display for Value {
    /// As Python's `str()` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Value::Str(text) = self {
            return f.write_str(text);
        }
        let mut out = String::new();
        self.repr(&mut out)?;
        f.write_str(&out)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            set(&mut pairs, &key, value);
        }
        Ok(Value::Map(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_python_prints_them() {
        let table = [
            (1.5, "1.5"),
            (100.0, "100.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e-5, "1.25e-05"),
            (1e-4, "0.0001"),
            (-2e100, "-2e+100"),
            (0.0, "0.0"),
            (f64::INFINITY, "inf"),
        ];
        for (number, text) in table {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn strings_as_python_prints_them() {
        let list = Value::List(vec!["it's".into(), "a'\"b".into(), "\\\n\u{1}é".into()]);
        assert_eq!(list.to_string(), "[\"it's\", 'a\\'\"b', '\\\\\\n\\x01é']");
    }
}
