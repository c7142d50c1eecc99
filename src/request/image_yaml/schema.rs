//! Whether a document is what it should be, and what it says.

use crate::yaml::{Data, Mark, Node, Value};

use super::error::Complaint;
use super::image::{Entry, Setting};
use super::property::{Kind, Property, PROPERTIES};

/// Adds the entries of a document, and what is wrong with it.
pub(super) fn definitions(
    file: &str,
    document: &Node,
    entries: &mut Vec<Entry>,
    complaints: &mut Vec<Complaint>,
) {
    let mut reader = Reader { file, complaints };
    let Data::List(items) = &document.data else {
        let hint = match document.data {
            Data::Map(_) => "write '- ' before its first key, and indent the others",
            _ => "begin each image with '- imagename: NAME'",
        };
        let text = format!("expected a list of images, not {}", shown(document));
        return reader.complain(document.at, text, Some(hint.into()));
    };
    for item in items {
        if let Some(entry) = reader.entry(item) {
            entries.push(entry);
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    complaints: &'a mut Vec<Complaint>,
}

impl Reader<'_> {
    fn complain(&mut self, at: Mark, text: String, hint: Option<String>) {
        self.complaints.push(Complaint {
            file: self.file.to_owned(),
            at: Some(at),
            text,
            hint,
        });
    }

    fn entry(&mut self, node: &Node) -> Option<Entry> {
        let Data::Map(pairs) = &node.data else {
            let text = format!("an image must be a map of keys, not {}", shown(node));
            self.complain(node.at, text, Some("imagename: NAME".into()));
            return None;
        };
        let mut entry = Entry::new();
        for (key, value) in pairs {
            let name = key.value().to_string();
            let is_string = matches!(key.data, Data::Scalar(Value::Str(_)));
            let known = PROPERTIES.iter().find(|property| property.key == name);
            match known.filter(|_| is_string) {
                Some(property) => {
                    if let Some(setting) = self.setting(property, value) {
                        entry.insert(property.key, setting);
                    }
                }
                None => self.complain(key.at, format!("unknown key '{name}'"), similar(&name)),
            }
        }
        Some(entry)
    }

    fn setting(&mut self, property: &Property, node: &Node) -> Option<Setting> {
        let found = match (property.kind, &node.data) {
            (Kind::Text, Data::Scalar(Value::Str(text))) => Some(Setting::Text(text.clone())),
            (Kind::Choice(words), Data::Scalar(Value::Str(text))) => words
                .contains(&text.as_str())
                .then(|| Setting::Text(text.clone())),
            (Kind::Switch | Kind::Ramdisk, Data::Scalar(Value::Bool(on))) => {
                Some(Setting::Switch(*on))
            }
            (Kind::Count(most), Data::Scalar(Value::Int(number))) => usize::try_from(*number)
                .ok()
                .filter(|number| *number <= most)
                .map(Setting::Count),
            (Kind::Number, Data::Scalar(value)) => number(value),
            (Kind::Words | Kind::Each | Kind::Operands, Data::List(items)) => {
                return self.words(property, items, |_| true)
            }
            (Kind::Choices(words), Data::List(items)) => {
                return self.words(property, items, |text| words.contains(&text))
            }
            (Kind::Pairs | Kind::Environment, Data::Map(pairs)) => {
                return self.pairs(property, pairs)
            }
            _ => None,
        };
        if found.is_none() {
            let expected = property.kind.expected();
            let text = format!("{} must be {expected}, not {}", property.key, shown(node));
            self.complain(node.at, text, advice(property, node));
        }
        found
    }

    fn words(
        &mut self,
        property: &Property,
        items: &[Node],
        allowed: impl Fn(&str) -> bool,
    ) -> Option<Setting> {
        let mut words = Vec::new();
        for item in items {
            match &item.data {
                Data::Scalar(Value::Str(text)) if allowed(text) => words.push(text.clone()),
                Data::Scalar(Value::Str(_)) => {
                    let expected = property.kind.expected();
                    let text = format!("{} must be {expected}, not {}", property.key, shown(item));
                    self.complain(item.at, text, None);
                }
                _ => {
                    let text = format!("{} must be strings, not {}", property.key, shown(item));
                    self.complain(item.at, text, quoted(item));
                }
            }
        }
        (words.len() == items.len()).then_some(Setting::Words(words))
    }

    fn pairs(&mut self, property: &Property, pairs: &[(Node, Node)]) -> Option<Setting> {
        let mut strings = Vec::new();
        for (key, value) in pairs {
            let name = key.value().to_string();
            if property.kind == Kind::Environment && !self.names_a_variable(key, &name) {
                continue;
            }
            match &value.data {
                Data::Scalar(Value::Str(text)) => strings.push((name, text.clone())),
                _ => {
                    let of = format!("{}: {name}", property.key);
                    let text = format!("{of} must be a string, not {}", shown(value));
                    self.complain(value.at, text, quoted(value));
                }
            }
        }
        (strings.len() == pairs.len()).then_some(Setting::Pairs(strings))
    }

    fn names_a_variable(&mut self, key: &Node, name: &str) -> bool {
        let wrong = match &key.data {
            Data::Scalar(Value::Str(_)) if name.is_empty() => "it is empty",
            Data::Scalar(Value::Str(_)) if name.contains(['=', '\0']) => "no '=' may be in it",
            Data::Scalar(Value::Str(_)) => return true,
            _ => "it is no string",
        };
        let text = format!(
            "environment: {} cannot be the name of a variable: {wrong}",
            shown(key)
        );
        self.complain(key.at, text, quoted(key));
        false
    }
}

/// An integer of at least 1 as Python prints it; JSON schemas take `2.0` for one.
fn number(value: &Value) -> Option<Setting> {
    let fits = match value {
        Value::Int(number) => *number >= 1,
        Value::Float(number) => number.fract() == 0.0 && *number >= 1.0,
        _ => false,
    };
    fits.then(|| Setting::Text(value.to_string()))
}

/// A value with its type, cut if it is long.
fn shown(node: &Node) -> String {
    let value = node.value();
    let kind = match &value {
        Value::Null => return "nothing".into(),
        Value::Bool(on) => return on.to_string(),
        Value::Int(_) | Value::Float(_) => "the number",
        Value::Timestamp(_) => "the date",
        Value::Str(_) => "the string",
        Value::List(_) => "the list",
        Value::Map(_) => "the map",
    };
    let text = match &value {
        Value::Str(text) => format!("'{}'", text.escape_debug()),
        value => value.to_string(),
    };
    let end = text.char_indices().nth(60);
    match end.and_then(|(end, _)| text.get(..end)) {
        Some(begin) => format!("{kind} {begin}..."),
        None => format!("{kind} {text}"),
    }
}

/// Advice for a value of the wrong type.
fn advice(property: &Property, node: &Node) -> Option<String> {
    let key = property.key;
    match (property.kind, &node.data) {
        (
            Kind::Words | Kind::Each | Kind::Operands | Kind::Choices(_),
            Data::Scalar(Value::Str(text)),
        ) => {
            let separator = |c: char| c == ',' || c.is_whitespace();
            let words: Vec<&str> = text.split(separator).filter(|w| !w.is_empty()).collect();
            Some(format!("{key}: [{}]", words.join(", ")))
        }
        (Kind::Text | Kind::Choice(_), _) => quoted(node),
        (Kind::Switch | Kind::Ramdisk, Data::Scalar(_)) => {
            Some("true, yes, on, false, no and off are what YAML knows, without quotes".into())
        }
        (Kind::Number | Kind::Count(_), Data::Scalar(Value::Str(text)))
            if text.parse::<u64>().is_ok() =>
        {
            Some(format!("{key}: {text}, without quotes"))
        }
        (Kind::Number, Data::Scalar(Value::Float(_))) if key == "image-size" => {
            Some("fractions can be had with environment: {DIB_IMAGE_SIZE: '1.5'}".into())
        }
        _ => None,
    }
}

/// How to make a string of a scalar.
fn quoted(node: &Node) -> Option<String> {
    match &node.data {
        Data::Scalar(Value::Null) => Some("'' is the empty string".into()),
        Data::Scalar(Value::Bool(_)) => {
            Some("YAML reads true, yes, on, false, no and off as truth values; quote it".into())
        }
        Data::Scalar(Value::Int(_) | Value::Float(_) | Value::Timestamp(_)) => {
            Some("quote it to make it a string".into())
        }
        _ => None,
    }
}

/// The key that was probably meant, else all of them.
fn similar(name: &str) -> Option<String> {
    let bare = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let close = PROPERTIES
        .iter()
        .map(|property| (distance(&bare(property.key), &bare(name)), property.key))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, key)| *distance <= key.len() / 3);
    Some(match close {
        Some((_, key)) => format!("did you mean '{key}'?"),
        None => {
            let keys: Vec<&str> = PROPERTIES.iter().map(|property| property.key).collect();
            format!("the keys are {}", keys.join(", "))
        }
    })
}

/// How many characters must change (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, c) in one.chars().enumerate() {
        let mut last = index + 1;
        let mut next = vec![last];
        let above = row.iter().zip(row.iter().skip(1));
        for (d, (left, up)) in other.iter().zip(above) {
            let change = left + usize::from(c != *d);
            last = change.min(last + 1).min(up + 1);
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
