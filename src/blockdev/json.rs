//! JSON exactly as Python's `json.dump` writes it, so that `config.json` and
//! `state.json` are upstream's to the byte.

use std::fmt::Write as _;

use crate::yaml::{float, Value};

/// The text of a value. Keys become strings; what is not ASCII is escaped.
pub fn dump(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// Reads a text that [`dump`] or Python wrote.
///
/// # Errors
/// What is not JSON.
pub fn load(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Str(text) => string(text, out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Map(pairs) => {
            out.push('{');
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                match key {
                    Value::Str(text) => string(text, out),
                    other => string(&scalar(other), out),
                }
                out.push_str(": ");
                write(value, out);
            }
            out.push('}');
        }
        other => out.push_str(&scalar(other)),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Float(number) if number.is_nan() => "NaN".into(),
        Value::Float(number) if number.is_infinite() && *number > 0.0 => "Infinity".into(),
        Value::Float(number) if number.is_infinite() => "-Infinity".into(),
        Value::Float(number) => float(*number),
        other => other.to_string(),
    }
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_python_dumps() {
        let value = Value::Map(vec![
            (
                Value::Int(1),
                Value::List(vec![Value::Null, Value::Bool(true)]),
            ),
            (Value::Bool(false), Value::Float(1e16)),
            ("é\u{1f600}\u{7f}\"".into(), "a\tb".into()),
        ]);
        let text = dump(&value);
        assert_eq!(
            text,
            "{\"1\": [null, true], \"false\": 1e+16, \"\\u00e9\\ud83d\\ude00\\u007f\\\"\": \"a\\tb\"}"
        );
        assert_eq!(dump(&load(&text).unwrap()), text);
    }
}
