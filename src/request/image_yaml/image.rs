//! From entries to images: what belongs together, and its command line.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use super::super::credentials::says_credential;
use super::super::environment::Environment;
use super::super::variables;
use super::property::{Kind, PROPERTIES};

/// The name under which an image without one is built.
const DEFAULT_NAME: &str = "image";

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A string, or a number as Python prints it.
    Text(String),
    /// A truth value.
    Switch(bool),
    /// How often.
    Count(usize),
    /// A list.
    Words(Vec<String>),
    /// A map in the order of the document.
    Pairs(Vec<(String, String)>),
}

/// The keys of one item of a file.
pub type Entry = BTreeMap<&'static str, Setting>;

/// One image: a command line, and the variables that it gets beside the caller's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Its name in messages.
    pub name: String,
    /// `disk-image-create` or `ramdisk-image-create`.
    pub program: &'static str,
    /// The words after the program.
    pub words: Vec<OsString>,
    /// The variables, in the order of the files.
    pub environment: Vec<(String, String)>,
}

/// The images of some entries, in the order in which their names first occur.
///
/// An entry without a name belongs to the one before it; of entries with the same
/// name lists add up, maps are merged, and of everything else the last one counts.
pub fn images(entries: Vec<Entry>) -> Vec<Image> {
    let mut name = DEFAULT_NAME.to_owned();
    let mut merged: Vec<(String, Entry)> = Vec::new();
    for entry in entries {
        if let Some(Setting::Text(own)) = entry.get("imagename") {
            name.clone_from(own);
        }
        match merged.iter_mut().find(|(have, _)| *have == name) {
            Some((_, have)) => merge(have, entry),
            None => merged.push((name.clone(), entry)),
        }
    }
    let images = merged.into_iter();
    images.map(|(name, entry)| image(name, entry)).collect()
}

fn merge(into: &mut Entry, entry: Entry) {
    for (key, setting) in entry {
        match (into.get_mut(key), setting) {
            (Some(Setting::Words(have)), Setting::Words(more)) => have.extend(more),
            (Some(Setting::Pairs(have)), Setting::Pairs(more)) => {
                for (name, value) in more {
                    match have.iter_mut().find(|(known, _)| *known == name) {
                        Some(pair) => pair.1 = value,
                        None => have.push((name, value)),
                    }
                }
            }
            (_, setting) => {
                into.insert(key, setting);
            }
        }
    }
}

fn image(name: String, mut entry: Entry) -> Image {
    let mut image = Image {
        name: match name.is_empty() {
            true => DEFAULT_NAME.to_owned(),
            false => name,
        },
        program: "disk-image-create",
        ..Image::default()
    };
    let mut words: Vec<String> = Vec::new();
    for property in &PROPERTIES {
        let Some(setting) = entry.remove(property.key) else {
            continue;
        };
        let value = match (property.kind, setting) {
            (Kind::Ramdisk, Setting::Switch(true)) => {
                image.program = "ramdisk-image-create";
                continue;
            }
            (Kind::Environment, Setting::Pairs(pairs)) => {
                image.environment = pairs;
                continue;
            }
            (Kind::Each, Setting::Words(values)) => {
                let with_each = |value| [property.option.to_owned(), value];
                words.extend(values.into_iter().flat_map(with_each));
                continue;
            }
            (Kind::Operands, Setting::Words(elements)) => {
                words.extend(elements);
                continue;
            }
            (Kind::Switch, Setting::Switch(true)) => {
                words.push(property.option.to_owned());
                continue;
            }
            (_, Setting::Count(times)) => {
                words.extend(std::iter::repeat_n(property.option.to_owned(), times));
                continue;
            }
            (_, Setting::Switch(_)) => continue,
            (_, Setting::Text(text)) => text,
            (_, Setting::Words(list)) => list.join(","),
            (_, Setting::Pairs(pairs)) => {
                let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
                pairs.join(",")
            }
        };
        if !value.is_empty() {
            words.extend([property.option.to_owned(), value]);
        }
    }
    image.words = words.into_iter().map(OsString::from).collect();
    image
}

impl Image {
    /// What the image's build finds beside the caller's variables: those of the
    /// file, all of which are handed in, be they credentials or not.
    pub fn additions(&self, caller: &Environment) -> Vec<(String, OsString)> {
        let variables = self.environment.iter();
        let mut all: Vec<(String, OsString)> = variables
            .map(|(name, value)| (name.clone(), value.into()))
            .collect();
        let names = self.environment.iter().map(|(name, _)| name.as_str());
        let credentials: Vec<&str> = names.filter(|n| says_credential(OsStr::new(n))).collect();
        if !credentials.is_empty() {
            let name = variables::DIB_ENVVARS.name;
            let own = self.environment.iter().rev().find(|(own, _)| own == name);
            let before = own.map(|(_, value)| OsStr::new(value));
            let mut named = before
                .or_else(|| caller.get(name))
                .unwrap_or_default()
                .to_owned();
            named.push(format!(" {}", credentials.join(" ")));
            all.push((name.to_owned(), named));
        }
        all
    }

    /// The environment of the image's build.
    pub fn environment(&self, caller: &Environment) -> Environment {
        let mut environment = caller.clone();
        for (name, value) in self.additions(caller) {
            environment.set(&name, value);
        }
        environment
    }
}

impl fmt::Display for Image {
    /// Variables and command in the notation of a shell, as upstream prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={} ", quote(value))?;
        }
        f.write_str(self.program)?;
        for word in &self.words {
            write!(f, " {}", quote(&word.to_string_lossy()))?;
        }
        Ok(())
    }
}

/// As Python's `shlex.quote`.
fn quote(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    match !text.is_empty() && text.chars().all(safe) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\"'\"'")),
    }
}
