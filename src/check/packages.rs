//! `package-installs.yaml`, as upstream's `package-installs-squash` reads it.

use std::path::Path;

use crate::yaml::{Data, Node, Value};

use super::configuration::mapping;
use super::report::Sink;
use super::rules;
use super::variables::is_known;
use super::world::{Subject, World};

/// What an entry may say; anything else is not looked at.
const KEYS: [&str; 8] = [
    "phase",
    "uninstall",
    "build-only",
    "installtype",
    "arch",
    "not-arch",
    "dib_python_version",
    "when",
];

/// Phases in which packages are installed.
const PHASES: [&str; 3] = ["pre-install.d", "install.d", "post-install.d"];

/// Where findings go.
struct Place<'a, 'b> {
    world: &'a World,
    subject: &'a Subject,
    file: &'a Path,
    sink: &'b mut Sink,
}

pub(super) fn look(
    world: &World,
    subject: &Subject,
    file: &Path,
    document: Option<&Node>,
    sink: &mut Sink,
) {
    let mut place = Place {
        world,
        subject,
        file,
        sink,
    };
    match document.map(|node| (node, mapping(node))) {
        Some((_, Some(packages))) => {
            for (package, entries) in packages {
                place.package(&package.value().to_string(), entries);
            }
        }
        Some((node, None)) => place.bad(node, "no mapping of packages".into()),
        None => place
            .sink
            .add(rules::BAD_PACKAGES, file, 0, "nothing in it".into()),
    }
}

impl Place<'_, '_> {
    fn bad(&mut self, at: &Node, what: String) {
        self.sink
            .add(rules::BAD_PACKAGES, self.file, at.at.line, what);
    }

    fn no_effect(&mut self, at: &Node, what: String) {
        self.sink.add(rules::NO_EFFECT, self.file, at.at.line, what);
    }

    fn package(&mut self, name: &str, entries: &Node) {
        match &entries.data {
            Data::Map(entry) => self.entry(name, entry),
            Data::List(list) => {
                for entry in list {
                    match mapping(entry) {
                        Some(entry) => self.entry(name, entry),
                        None => self.bad(entry, format!("{name}: an entry that is no mapping")),
                    }
                }
            }
            // Whatever Python takes for false is an entry that says nothing.
            Data::Scalar(Value::Null | Value::Bool(false) | Value::Int(0)) => {}
            Data::Scalar(Value::Str(text)) if text.is_empty() => {}
            Data::Scalar(_) => self.bad(entries, format!("{name}: an entry that is no mapping")),
        }
    }

    fn entry(&mut self, name: &str, entry: &[(Node, Node)]) {
        for (key, value) in entry {
            let key_text = key.value().to_string();
            match key_text.as_str() {
                "phase" => self.phase(name, value),
                "arch" | "not-arch" => self.architectures(name, value),
                "when" => self.conditions(name, value),
                known if KEYS.contains(&known) => {}
                _ => self.no_effect(key, format!("{name}: '{key_text}' is no key")),
            }
        }
        let has = |wanted: &str| {
            let found = entry
                .iter()
                .find(|(key, _)| key.value().as_str() == Some(wanted));
            found.filter(|(_, value)| is_true(&value.value()))
        };
        if let (Some((key, _)), Some(_)) = (has("arch"), has("not-arch")) {
            self.bad(key, format!("{name}: both arch and not-arch"));
        }
    }

    fn phase(&mut self, name: &str, value: &Node) {
        match value.value() {
            Value::Str(phase) if PHASES.contains(&phase.as_str()) => {}
            Value::List(_) | Value::Map(_) => {
                self.bad(value, format!("{name}: a phase that is no string"));
            }
            other => self.no_effect(
                value,
                format!("{name}: no package is installed in phase '{other}'"),
            ),
        }
    }

    /// A list with commas, which is not trimmed.
    fn architectures(&mut self, name: &str, value: &Node) {
        match value.value() {
            Value::Str(list) => {
                if let Some(arch) = list.split(',').find(|arch| arch.trim() != *arch) {
                    let what = format!("{name}: '{arch}' has a blank, and is no architecture");
                    self.no_effect(value, what);
                }
            }
            other if is_true(&other) => {
                let what = format!("{name}: architectures that are no string with commas: {other}");
                self.bad(value, what);
            }
            _ => {}
        }
    }

    fn conditions(&mut self, name: &str, value: &Node) {
        match &value.data {
            Data::List(list) => list.iter().for_each(|one| self.condition(name, one)),
            Data::Scalar(Value::Null) => {}
            _ => self.condition(name, value),
        }
    }

    /// `VARIABLE = VALUE` or `VARIABLE != VALUE`; the variable must be set.
    fn condition(&mut self, name: &str, value: &Node) {
        let text = value.value().to_string();
        let variable: String = text
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let rest = text.get(variable.len()..).unwrap_or_default().trim_start();
        let compares = rest.starts_with('=') || rest.starts_with("!=");
        let is_text = matches!(&value.data, Data::Scalar(Value::Str(_)));
        if variable.is_empty() || !compares || !is_text {
            let what = format!("{name}: '{text}' is no condition such as 'VARIABLE = VALUE'");
            self.bad(value, what);
        } else if !is_known(self.world, self.subject, &variable) {
            let what = format!("${variable}");
            self.sink
                .add_once(rules::UNSET, self.file, value.at.line, what);
        }
    }
}

/// Whether Python takes a value for true.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) => false,
        Value::Float(number) => *number != 0.0,
        Value::Str(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(pairs) => !pairs.is_empty(),
        _ => true,
    }
}
