//! The block-device configuration: tree or graph form in, graph form out
//! (`block_device/config.py`).

use serde::{Deserialize, Serialize};

use super::{json, Error, RootParams};
use crate::yaml::{self, Value};
use crate::yaml::{lookup, set};

/// Kinds of entries ("plugins").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plugin {
    /// A disk image file.
    LocalLoop,
    /// A partition table.
    Partitioning,
    /// A volume group and its volumes.
    Lvm,
    /// A filesystem.
    Mkfs,
    /// A mount point.
    Mount,
    /// A line in fstab.
    Fstab,
}

impl Plugin {
    /// The plugin of this name.
    pub fn from_name(name: &str) -> Option<Plugin> {
        Some(match name {
            "local_loop" => Plugin::LocalLoop,
            "partitioning" => Plugin::Partitioning,
            "lvm" => Plugin::Lvm,
            "mkfs" => Plugin::Mkfs,
            "mount" => Plugin::Mount,
            "fstab" => Plugin::Fstab,
            _ => return None,
        })
    }

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Plugin::LocalLoop => "local_loop",
            Plugin::Partitioning => "partitioning",
            Plugin::Lvm => "lvm",
            Plugin::Mkfs => "mkfs",
            Plugin::Mount => "mount",
            Plugin::Fstab => "fstab",
        }
    }
}

/// One entry of the graph form, as `config.json` has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its kind.
    pub plugin: Plugin,
    /// `base` if there is one, `name`, and all other values in the order of the
    /// configuration; `partitions` is a list of maps with `base`.
    pub values: Vec<(Value, Value)>,
}

impl Entry {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        lookup(&self.values, key)
    }

    /// How errors call it: its name, given or made from plugin and base.
    pub(super) fn name(&self) -> String {
        self.get("name").map(Value::to_string).unwrap_or_default()
    }

    /// The value of a key that must be a string if it is there.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Error> {
        self.get(key)
            .map(|value| string(&self.name(), key, value))
            .transpose()
    }

    /// As [`Entry::text`], for keys where upstream takes null for absent.
    pub(super) fn nullable(&self, key: &str) -> Result<Option<String>, Error> {
        match self.get(key) {
            Some(Value::Null) => Ok(None),
            _ => self.text(key),
        }
    }
}

/// A value that must be a string.
pub(super) fn string(node: &str, key: &str, value: &Value) -> Result<String, Error> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        other => Err(wrong(node, key, "a string", other)),
    }
}

pub(super) fn wrong(node: &str, key: &str, expected: &'static str, value: &Value) -> Error {
    Error::Value {
        node: node.into(),
        key: key.into(),
        expected,
        value: value.to_string(),
    }
}

/// The configuration that applies when no element brings one: a filesystem
/// directly on the disk (`lib/common-functions`, 6.004).
pub fn default_config() -> &'static str {
    "- local_loop: {name: image0}\n\
     - mkfs:\n    base: image0\n    name: mkfs_root\n    mount:\n      mount_point: /\n\
     \x20     fstab: {options: defaults, fsck-passno: 1}\n"
}

/// The same without a line in fstab: what engines until 2.4 made of a disk, with
/// the UUID that tune2fs gave it.
pub fn old_default_config(uuid: Option<&str>) -> String {
    let uuid = uuid.map_or_else(String::new, |uuid| format!("    uuid: {uuid}\n"));
    format!(
        "- local_loop: {{name: image0}}\n\
         - mkfs:\n    base: image0\n    name: mkfs_root\n{uuid}    mount: {{mount_point: /}}\n"
    )
}

/// A configuration in graph form: what `init` writes to `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// All entries; those inside another one come before it.
    pub entries: Vec<Entry>,
}

impl Config {
    /// Expands a configuration in tree, graph or mixed form.
    ///
    /// # Errors
    /// What is no configuration, in upstream's words.
    pub fn expand(text: &str) -> Result<Config, Error> {
        let document = yaml::load(text)?;
        if let Some(number) = not_finite(&document) {
            return Err(Error::NotFinite(number.to_string()));
        }
        let mut entries = Vec::new();
        for (plugin, values) in top_level(&document)? {
            flatten(plugin, values, None, &mut entries)?;
        }
        Ok(Config { entries })
    }

    /// Reads back what [`Config::to_json`] gave.
    ///
    /// # Errors
    /// What is no configuration in graph form.
    pub fn from_json(text: &str) -> Result<Config, Error> {
        let document = json::load(text)?;
        let entry = |(plugin, values): (Plugin, &Value)| match values {
            Value::Map(values) => Ok(Entry {
                plugin,
                values: values.clone(),
            }),
            other => Err(not_a_map(plugin, other)),
        };
        let entries = top_level(&document)?.into_iter().map(entry);
        Ok(Config {
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// The text of `config.json`.
    pub fn to_json(&self) -> String {
        let entry = |entry: &Entry| {
            let values = Value::Map(entry.values.clone());
            Value::map([(entry.plugin.name(), values)])
        };
        json::dump(&Value::List(self.entries.iter().map(entry).collect()))
    }

    /// Gives the entry named `mkfs_root` what the parameters say about the root
    /// filesystem, each only where the configuration is silent
    /// (`_merge_rootfs_params`).
    pub fn merge_root(&mut self, params: &Value) {
        let root = |entry: &&mut Entry| {
            entry.plugin == Plugin::Mkfs
                && entry.get("name").and_then(Value::as_str) == Some("mkfs_root")
        };
        for entry in self.entries.iter_mut().filter(root) {
            for (key, parameter) in [("type", "root-fs-type"), ("opts", "root-fs-opts")] {
                if let (None, Some(value)) = (entry.get(key), params.get(parameter)) {
                    set(&mut entry.values, key, value.clone());
                }
            }
            if let (None, Some(label)) = (entry.get("label"), params.get("root-label")) {
                let xfs = entry.get("type").and_then(Value::as_str) == Some("xfs");
                let label = match label {
                    Value::Null if xfs => "img-rootfs".into(),
                    Value::Null => "cloudimg-rootfs".into(),
                    label => label.clone(),
                };
                set(&mut entry.values, "label", label);
            }
        }
    }
}

impl RootParams {
    /// As the parameter file has them.
    pub(super) fn to_value(&self) -> Value {
        let label = match self.root_label.as_str() {
            "" => Value::Null,
            label => label.into(),
        };
        Value::map([
            ("root-fs-type", self.fs_type.as_str().into()),
            ("root-fs-opts", self.root_opts.join(" ").as_str().into()),
            ("root-label", label),
        ])
    }
}

/// The first `.inf` or `.nan`, keys included.
fn not_finite(value: &Value) -> Option<&Value> {
    match value {
        Value::Float(number) if !number.is_finite() => Some(value),
        Value::List(items) => items.iter().find_map(not_finite),
        Value::Map(pairs) => pairs
            .iter()
            .find_map(|(key, value)| not_finite(key).or_else(|| not_finite(value))),
        _ => None,
    }
}

fn top_level(document: &Value) -> Result<Vec<(Plugin, &Value)>, Error> {
    let Value::List(items) = document else {
        return Err(Error::NotAList(document.to_string()));
    };
    let mut entries = Vec::new();
    for item in items {
        let Value::Map(pairs) = item else {
            return Err(Error::EntryNotADict(item.to_string()));
        };
        let [(key, values)] = pairs.as_slice() else {
            return Err(Error::EntryNotSingle(item.to_string()));
        };
        let plugin = plugin_of(key).ok_or_else(|| Error::NotAPlugin(item.to_string()))?;
        entries.push((plugin, values));
    }
    Ok(entries)
}

fn plugin_of(key: &Value) -> Option<Plugin> {
    key.as_str().and_then(Plugin::from_name)
}

fn not_a_map(plugin: Plugin, value: &Value) -> Error {
    Error::NotAMap {
        plugin: plugin.name().into(),
        value: value.to_string(),
    }
}

fn flatten(
    plugin: Plugin,
    values: &Value,
    parent: Option<&Value>,
    entries: &mut Vec<Entry>,
) -> Result<(), Error> {
    let Value::Map(pairs) = values else {
        return Err(not_a_map(plugin, values));
    };
    let base = lookup(pairs, "base").or(parent);
    let name = match (lookup(pairs, "name"), base) {
        (Some(name), _) => name.clone(),
        (None, Some(base)) => format!("{}_{base}", plugin.name()).as_str().into(),
        (None, None) => return Err(no_base(plugin)),
    };
    let mut values: Vec<(Value, Value)> = Vec::new();
    if let Some(base) = base {
        set(&mut values, "base", base.clone());
    }
    set(&mut values, "name", name.clone());
    for (key, value) in pairs {
        match (plugin_of(key), key.as_str()) {
            (Some(inner), _) => flatten(inner, value, Some(&name), entries)?,
            (None, Some("partitions")) => {
                let partitions = partitions(&name, base, value, entries)?;
                set(&mut values, "partitions", partitions);
            }
            (None, Some(key)) => set(&mut values, key, value.clone()),
            (None, None) => values.push((key.clone(), value.clone())),
        }
    }
    entries.push(Entry { plugin, values });
    Ok(())
}

fn no_base(plugin: Plugin) -> Error {
    Error::NoBase {
        plugin: plugin.name().into(),
    }
}

/// Lifts the entries out of partitions, and gives each partition its base.
fn partitions(
    owner: &Value,
    base: Option<&Value>,
    value: &Value,
    entries: &mut Vec<Entry>,
) -> Result<Value, Error> {
    let owner = owner.to_string();
    let Value::List(items) = value else {
        return Err(wrong(&owner, "partitions", "a list", value));
    };
    let mut plain = Vec::new();
    for item in items {
        let Value::Map(pairs) = item else {
            return Err(wrong(&owner, "partitions", "a list of mappings", item));
        };
        let mut kept = Vec::new();
        for (key, value) in pairs {
            match plugin_of(key) {
                Some(inner) => {
                    let name = lookup(pairs, "name").ok_or_else(|| nameless(&owner))?;
                    flatten(inner, value, Some(name), entries)?;
                }
                None => kept.push((key.clone(), value.clone())),
            }
        }
        let base = base.ok_or_else(|| no_base(Plugin::Partitioning))?;
        set(&mut kept, "base", base.clone());
        plain.push(Value::Map(kept));
    }
    Ok(Value::List(plain))
}

/// A partition without the one key that it cannot do without.
pub(super) fn nameless(table: &str) -> Error {
    Error::Missing {
        message: "Partition without a name: KeyError: 'name'".into(),
        node: table.into(),
    }
}
