//! The types of scalars.

use std::sync::LazyLock;

use regex::Regex;
use saphyr_parser::ScalarStyle;

use super::{Value, YamlError};

/// The value of a scalar.
///
/// # Errors
/// [`YamlError::Tag`] for what `yaml.safe_load` does not construct; a plain `=`
/// and a plain `<<` that is no key have such a tag without showing it.
pub(super) fn construct(
    text: &str,
    style: ScalarStyle,
    tag: Option<&str>,
) -> Result<Value, YamlError> {
    match tag {
        None if style == ScalarStyle::Plain && matches!(text, "=" | "<<") => {
            Err(YamlError::Tag(format!("of a plain '{text}'")))
        }
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
pattern!(SIXTIES, r"^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*$");
pattern!(
    TIMESTAMP,
    concat!(
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$|",
        r"^[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?([Tt]|[ \t]+)[0-9][0-9]?:[0-9]{2}:[0-9]{2}",
        r"(\.[0-9]*)?([ \t]*(Z|[-+][0-9][0-9]?(:[0-9]{2})?))?$"
    )
);

/// The type of a plain scalar (PyYAML's implicit resolvers).
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
    if SIXTIES.is_match(text) {
        if let Some(number) = sexagesimal(text) {
            return Value::Float(number);
        }
    }
    if TIMESTAMP.is_match(text) {
        return Value::Timestamp(text.to_string());
    }
    Value::Str(text.to_string())
}

/// `1:30.5` is 90.5.
fn sexagesimal(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let sum = digits.split(':').try_fold(0.0, |sum, part| {
        Some(sum * 60.0 + part.parse::<f64>().ok()?)
    })?;
    Some(sign * sum)
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
    match negative {
        true => number.checked_neg(),
        false => Some(number),
    }
}
