//! YAML as upstream's PyYAML reads it: version 1.1 scalars, the last of two
//! equal keys wins. Every value knows where it stands.

#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

mod indent;
mod scalar;
mod value;

use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

use indent::Shifted;
pub use value::Value;
pub(crate) use value::{float, lookup, set};

/// Most values that a document may expand to through its anchors and aliases.
const MAX_VALUES: usize = 100_000;
/// A text that is copied counts as a value for each so many bytes.
const TEXT_VALUE: usize = 256;
/// Most keys of one mapping: each is compared with all that are there.
const MAX_KEYS: usize = 4096;
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
    /// `<<` with something that has no keys.
    #[error("'<<' in YAML needs a mapping or a list of mappings, not: {0}")]
    Merge(String),
    /// An alias inside of what it stands for.
    #[error("YAML alias to a value that contains it")]
    Recursive,
    /// Aliases expand beyond reason, or nesting is too deep.
    #[error("YAML document too large or nested too deeply")]
    TooLarge,
}

/// A place in a text; both numbers count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it begins; behind an alias, where its anchor stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it begins.
    pub at: Mark,
    /// What it is.
    pub data: Data,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub enum Data {
    /// No list and no mapping.
    Scalar(Value),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the document, with scalar keys.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The value without positions.
    pub fn value(&self) -> Value {
        match &self.data {
            Data::Scalar(value) => value.clone(),
            Data::List(items) => Value::List(items.iter().map(Node::value).collect()),
            Data::Map(pairs) => {
                let values = pairs
                    .iter()
                    .map(|(key, value)| (key.value(), value.value()));
                Value::Map(values.collect())
            }
        }
    }

    /// What a copy costs, as a number of values.
    fn size(&self) -> usize {
        let sum = |sizes: &mut dyn Iterator<Item = usize>| sizes.fold(1, usize::saturating_add);
        match &self.data {
            Data::Scalar(Value::Str(text) | Value::Timestamp(text)) => {
                (text.len() / TEXT_VALUE).saturating_add(1)
            }
            Data::Scalar(_) => 1,
            Data::List(items) => sum(&mut items.iter().map(Node::size)),
            Data::Map(pairs) => {
                let nodes = pairs.iter().flat_map(|(key, value)| [key, value]);
                sum(&mut nodes.map(Node::size))
            }
        }
    }

    fn same_key(&self, other: &Node) -> bool {
        match (&self.data, &other.data) {
            (Data::Scalar(one), Data::Scalar(other)) => one == other,
            _ => false,
        }
    }
}

/// Reads one document; an empty text is [`Value::Null`], and dates are strings.
///
/// # Errors
/// [`YamlError`] for what `yaml.safe_load` refuses.
pub fn load(text: &str) -> Result<Value, YamlError> {
    let node = load_nodes(text).map_err(|(_, error)| error)?;
    Ok(node.map_or(Value::Null, |node| dates_as_strings(node.value())))
}

fn dates_as_strings(value: Value) -> Value {
    match value {
        Value::Timestamp(text) => Value::Str(text),
        Value::List(items) => Value::List(items.into_iter().map(dates_as_strings).collect()),
        Value::Map(pairs) => {
            let pairs = pairs.into_iter();
            let strings =
                pairs.map(|(key, value)| (dates_as_strings(key), dates_as_strings(value)));
            Value::Map(strings.collect())
        }
        value => value,
    }
}

/// Reads one document with the positions of its values; `None` for an empty text.
///
/// # Errors
/// As [`load`], with the place.
pub fn load_nodes(text: &str) -> Result<Option<Node>, (Mark, YamlError)> {
    let mut text = Shifted::new(text);
    loop {
        let mut loader = Loader {
            parser: Parser::new_from_str(text.text()),
            anchors: HashMap::new(),
            values: 0,
            at: Mark { line: 1, column: 1 },
            text: &text,
        };
        match loader.document() {
            Ok(document) => return Ok(document),
            Err(YamlError::Syntax(error)) => {
                let at = text.mark(*error.marker());
                match text.shift(&error) {
                    Some(more) => text = more,
                    None => return Err((at, YamlError::Syntax(error))),
                }
            }
            Err(error) => return Err((loader.at, error)),
        }
    }
}

struct Loader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    values: usize,
    /// Where the last event began.
    at: Mark,
    text: &'a Shifted<'a>,
}

impl<'a> Loader<'a> {
    fn document(&mut self) -> Result<Option<Node>, YamlError> {
        let mut document = None;
        loop {
            match self.next()? {
                Event::StreamEnd => return Ok(document),
                Event::DocumentStart(_) if document.is_some() => {
                    return Err(YamlError::SeveralDocuments)
                }
                Event::DocumentStart(_) => {
                    let event = self.next()?;
                    document = Some(self.node(event, 0)?);
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        match self.parser.next_event() {
            Some(event) => {
                let (event, span) = event?;
                self.at = self.text.mark(span.start);
                Ok(event)
            }
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError::TooLarge);
        }
        self.count(1)?;
        let at = self.at;
        let (anchor, data) = match event {
            Event::Alias(anchor) => {
                let size = self.anchors.get(&anchor).map_or(0, Node::size);
                self.count(size)?;
                let node = self.anchors.get(&anchor).cloned();
                return node.ok_or(YamlError::Recursive);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| format!("{}{}", tag.handle, tag.suffix));
                let value = scalar::construct(&text, style, tag.as_deref())?;
                (anchor, Data::Scalar(value))
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            _ => (0, Data::Scalar(Value::Null)),
        };
        let node = Node { at, data };
        if anchor != 0 {
            // Anchors within anchors keep their content once each.
            self.count(node.size())?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Data, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd | Event::StreamEnd => return Ok(Data::List(items)),
                event => items.push(self.node(event, depth.saturating_add(1))?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Data, YamlError> {
        let inside = depth.saturating_add(1);
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        let mut merged: Vec<(Node, Node)> = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                break;
            }
            if pairs.len().max(merged.len()) > MAX_KEYS {
                return Err(YamlError::TooLarge);
            }
            if matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<") {
                let event = self.next()?;
                let value = self.node(event, inside)?;
                merge_into(&mut merged, value)?;
                continue;
            }
            let key = self.node(event, inside)?;
            if !matches!(key.data, Data::Scalar(_)) {
                return Err(YamlError::Key(key.value().to_string()));
            }
            let event = self.next()?;
            let value = self.node(event, inside)?;
            put(&mut pairs, key, value);
        }
        let mut all = merged;
        for (key, value) in pairs {
            put(&mut all, key, value);
        }
        Ok(Data::Map(all))
    }

    fn count(&mut self, more: usize) -> Result<(), YamlError> {
        self.values = self.values.saturating_add(more);
        match self.values > MAX_VALUES {
            true => Err(YamlError::TooLarge),
            false => Ok(()),
        }
    }
}

/// Adds what `<<` names. Of a list of mappings the first one wins, and the keys
/// of the last one stand first, as PyYAML builds it; a later `<<` wins.
fn merge_into(merged: &mut Vec<(Node, Node)>, value: Node) -> Result<(), YamlError> {
    let shown = |value: &Node| Err(YamlError::Merge(value.value().to_string()));
    match value.data {
        Data::Map(pairs) => {
            for (key, value) in pairs {
                put(merged, key, value);
            }
        }
        Data::List(maps) => {
            for map in maps.into_iter().rev() {
                if !matches!(map.data, Data::Map(_)) {
                    return shown(&map);
                }
                merge_into(merged, map)?;
            }
        }
        Data::Scalar(_) => return shown(&value),
    }
    Ok(())
}

/// Sets a key, in its place if it is there; the place in the text is the last one's.
fn put(pairs: &mut Vec<(Node, Node)>, key: Node, value: Node) {
    match pairs.iter_mut().find(|(have, _)| have.same_key(&key)) {
        Some(pair) => *pair = (key, value),
        None => pairs.push((key, value)),
    }
}

#[cfg(test)]
mod tests;
