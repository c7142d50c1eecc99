//! The block-device configuration: tree or graph form in, graph form out
//! (`block_device/config.py`).

use super::yaml::{self, Value};
use super::{Error, RootParams};

/// Kinds of entries ("plugins").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// One entry of the graph form.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its kind.
    pub plugin: Plugin,
    /// Its name, given or made from plugin and base.
    pub name: String,
    /// Its base, given or inherited.
    pub base: Option<String>,
    /// All other values, in order; `partitions` is a list of maps with `base`.
    pub values: Vec<(String, Value)>,
}

impl Entry {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values
            .iter()
            .find_map(|(have, value)| (have == key).then_some(value))
    }

    /// The value of a key that must be a string if it is there; null counts as absent.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Error> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => string(&self.name, key, value).map(Some),
        }
    }
}

/// A value that must be a string.
pub(super) fn string(node: &str, key: &str, value: &Value) -> Result<String, Error> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        other => Err(Error::Value {
            node: node.into(),
            key: key.into(),
            expected: "a string",
            value: other.to_string(),
        }),
    }
}

/// The configuration that applies when no element brings one: a filesystem
/// directly on the disk (`lib/common-functions`, 6.004).
pub fn default_config() -> &'static str {
    "- local_loop: {name: image0}\n\
     - mkfs:\n    base: image0\n    name: mkfs_root\n    mount:\n      mount_point: /\n\
     \x20     fstab: {options: defaults, fsck-passno: 1}\n"
}

/// Reads a configuration in tree, graph or mixed form into entries of the graph
/// form; the entries inside another one come before it.
///
/// # Errors
/// What is no configuration, in upstream's words.
pub fn parse(text: &str) -> Result<Vec<Entry>, Error> {
    let document = yaml::load(text)?;
    let Value::List(items) = document else {
        return Err(Error::NotAList(document.to_string()));
    };
    let mut entries = Vec::new();
    for item in &items {
        let Value::Map(pairs) = item else {
            return Err(Error::EntryNotADict(item.to_string()));
        };
        let [(key, values)] = pairs.as_slice() else {
            return Err(Error::EntryNotSingle(item.to_string()));
        };
        let plugin = plugin_of(key).ok_or_else(|| Error::NotAPlugin(item.to_string()))?;
        flatten(plugin, values, None, &mut entries)?;
    }
    Ok(entries)
}

fn plugin_of(key: &Value) -> Option<Plugin> {
    match key {
        Value::Str(name) => Plugin::from_name(name),
        _ => None,
    }
}

fn lookup<'v>(pairs: &'v [(Value, Value)], name: &str) -> Option<&'v Value> {
    pairs
        .iter()
        .find_map(|(key, value)| matches!(key, Value::Str(key) if key == name).then_some(value))
}

fn flatten(
    plugin: Plugin,
    values: &Value,
    parent: Option<&str>,
    entries: &mut Vec<Entry>,
) -> Result<(), Error> {
    let Value::Map(pairs) = values else {
        return Err(Error::NotAMap {
            plugin: plugin.name().into(),
            value: values.to_string(),
        });
    };
    let base = match lookup(pairs, "base") {
        Some(value) => Some(string(plugin.name(), "base", value)?),
        None => parent.map(String::from),
    };
    let name = match (lookup(pairs, "name"), &base) {
        (Some(value), _) => string(plugin.name(), "name", value)?,
        (None, Some(base)) => format!("{}_{base}", plugin.name()),
        (None, None) => {
            return Err(Error::NoBase {
                plugin: plugin.name().into(),
            })
        }
    };
    let mut entry = Entry {
        plugin,
        name,
        base,
        values: Vec::new(),
    };
    for (key, value) in pairs {
        let key_text = key.to_string();
        match plugin_of(key) {
            Some(inner) => flatten(inner, value, Some(&entry.name), entries)?,
            None if key_text == "base" || key_text == "name" => {}
            None if key_text == "partitions" => {
                let partitions = partitions(&entry, value, entries)?;
                entry.values.push((key_text, partitions));
            }
            None => entry.values.push((key_text, value.clone())),
        }
    }
    entries.push(entry);
    Ok(())
}

/// Lifts the entries out of partitions, and gives each partition its base.
fn partitions(owner: &Entry, value: &Value, entries: &mut Vec<Entry>) -> Result<Value, Error> {
    let wrong = |value: &Value, expected| Error::Value {
        node: owner.name.clone(),
        key: "partitions".into(),
        expected,
        value: value.to_string(),
    };
    let Value::List(items) = value else {
        return Err(wrong(value, "a list"));
    };
    let mut plain = Vec::new();
    for item in items {
        let Value::Map(pairs) = item else {
            return Err(wrong(item, "a list of mappings"));
        };
        let name = lookup(pairs, "name").ok_or_else(|| Error::Missing {
            message: "Partition without a name: KeyError: 'name'".into(),
            node: owner.name.clone(),
        })?;
        let name = string(&owner.name, "name", name)?;
        let mut kept = Vec::new();
        for (key, value) in pairs {
            match plugin_of(key) {
                Some(inner) => flatten(inner, value, Some(&name), entries)?,
                None if matches!(key, Value::Str(key) if key == "base") => {}
                None => kept.push((key.clone(), value.clone())),
            }
        }
        plain.push(Value::Map(kept));
    }
    Ok(Value::List(plain))
}

/// Gives the entry named `mkfs_root` what the command line says about the root
/// filesystem, each only where the configuration is silent
/// (`_merge_rootfs_params`).
pub fn merge_root(entries: &mut [Entry], params: &RootParams) {
    for entry in entries {
        if entry.plugin != Plugin::Mkfs || entry.name != "mkfs_root" {
            continue;
        }
        let mut add = |key: &str, text: String| {
            if entry.get(key).is_none() {
                entry.values.push((key.into(), Value::Str(text)));
            }
        };
        add("type", params.fs_type.clone());
        add("opts", params.root_opts.join(" "));
        let is_xfs = entry.get("type") == Some(&Value::Str("xfs".into()));
        let label = match params.root_label.as_str() {
            "" if is_xfs => "img-rootfs",
            "" => "cloudimg-rootfs",
            label => label,
        };
        if entry.get("label").is_none() {
            entry
                .values
                .push(("label".into(), Value::Str(label.into())));
        }
    }
}
