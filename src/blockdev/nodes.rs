//! Entries to typed nodes, with the checks that upstream's plugins make.

use super::config::{string, Entry};
use super::yaml::Value;
use super::{size, Error, FstabEntry, Partition, PartitionTable, TableLabel};

/// Longest labels in characters (`level2/mkfs.py`).
const LABEL_LENGTHS: [(&str, usize); 7] = [
    ("ext2", 16),
    ("ext3", 16),
    ("ext4", 16),
    ("xfs", 12),
    ("vfat", 11),
    ("fat", 11),
    ("swap", 16),
];

/// A `local_loop` node.
pub(super) struct Disk {
    pub name: String,
    pub size: Option<u64>,
}

/// A `partitioning` entry.
pub(super) struct Table {
    pub name: String,
    pub base: String,
    pub table: PartitionTable,
}

/// A `mkfs` node.
pub(super) struct Mkfs {
    pub name: String,
    pub base: String,
    pub fstype: String,
    pub label: String,
    pub configured_label: Option<String>,
    pub uuid: Option<String>,
    pub options: Vec<String>,
}

/// A `mount` node.
pub(super) struct Mount {
    pub name: String,
    pub base: String,
    pub mount_point: String,
}

/// An `fstab` node.
pub(super) struct Fstab {
    pub name: String,
    pub base: String,
    pub entry: FstabEntry,
}

fn unsupported(node: &str, what: impl Into<String>) -> Error {
    Error::Unsupported {
        node: node.into(),
        what: what.into(),
    }
}

fn missing(node: &str, message: &str) -> Error {
    Error::Missing {
        message: message.into(),
        node: node.into(),
    }
}

fn base_of(entry: &Entry, message: &str) -> Result<String, Error> {
    entry
        .base
        .clone()
        .ok_or_else(|| missing(&entry.name, message))
}

fn size_of(node: &str) -> impl Fn(String) -> Error + '_ {
    move |reason| Error::Size {
        node: node.into(),
        reason,
    }
}

pub(super) fn disk(entry: &Entry) -> Result<Disk, Error> {
    match entry.get("block_size") {
        None | Some(Value::Int(512)) => {}
        Some(Value::Str(text)) if text == "512" => {}
        Some(other) => return Err(unsupported(&entry.name, format!("block_size {other}"))),
    }
    if let Some(directory) = entry.get("directory") {
        return Err(unsupported(&entry.name, format!("directory {directory}")));
    }
    let size = match entry.text("size")? {
        Some(text) => Some(size::parse_absolute(&text).map_err(size_of(&entry.name))?),
        None => None,
    };
    Ok(Disk {
        name: entry.name.clone(),
        size,
    })
}

pub(super) fn table(entry: &Entry) -> Result<Table, Error> {
    let base = base_of(entry, "Partitioning config needs 'base'")?;
    let Some(Value::List(items)) = entry.get("partitions") else {
        return Err(missing(
            &entry.name,
            "Partitioning config needs 'partitions'",
        ));
    };
    let label = match entry.get("label") {
        None => return Err(missing(&entry.name, "Partitioning config needs 'label'")),
        Some(Value::Str(text)) if text == "mbr" => TableLabel::Mbr,
        Some(Value::Str(text)) if text == "gpt" => TableLabel::Gpt,
        Some(other) => {
            return Err(Error::TableLabel {
                node: entry.name.clone(),
                label: other.to_string(),
            })
        }
    };
    let align = match entry.text("align")? {
        Some(text) => size::parse_absolute(&text).map_err(size_of(&entry.name))?,
        None => 1 << 20,
    };
    if align < 512 || align % 512 != 0 {
        return Err(size_of(&entry.name)(format!(
            "align [{align}] is not a positive multiple of 512"
        )));
    }
    let partitions = items
        .iter()
        .map(|item| partition(item, label))
        .collect::<Result<Vec<_>, _>>()?;
    if partitions.is_empty() {
        return Err(missing(
            &entry.name,
            "Partitioning config needs at least one of 'partitions'",
        ));
    }
    Ok(Table {
        name: entry.name.clone(),
        base,
        table: PartitionTable {
            label,
            align,
            partitions,
        },
    })
}

fn partition(item: &Value, label: TableLabel) -> Result<Partition, Error> {
    let Value::Map(pairs) = item else {
        return Err(Error::NotAMap {
            plugin: "partitions".into(),
            value: item.to_string(),
        });
    };
    let get = |name: &str| {
        pairs
            .iter()
            .find_map(|(key, value)| (*key == Value::Str(name.into())).then_some(value))
    };
    // `config::partitions` refused partitions without a name.
    let name = get("name").map(Value::to_string).unwrap_or_default();
    let mut partition = Partition {
        size: super::PartitionSize::Absolute(0),
        kind: partition_type(&name, get("type"), label)?,
        bootable: false,
        primary: false,
        name,
    };
    flags(&mut partition, get("flags"), label)?;
    let size = get("size").ok_or_else(|| missing(&partition.name, "No size in partition"))?;
    let size = string(&partition.name, "size", size)?;
    partition.size = size::parse(&size).map_err(size_of(&partition.name))?;
    Ok(partition)
}

fn flags(partition: &mut Partition, flags: Option<&Value>, label: TableLabel) -> Result<(), Error> {
    let flags = match flags {
        None => return Ok(()),
        Some(Value::List(flags)) => flags,
        Some(other) => {
            return Err(Error::Value {
                node: partition.name.clone(),
                key: "flags".into(),
                expected: "a list",
                value: other.to_string(),
            })
        }
    };
    for flag in flags {
        match flag {
            Value::Str(flag) if flag == "boot" => partition.bootable = true,
            Value::Str(flag) if flag == "primary" => {
                if label == TableLabel::Gpt {
                    return Err(Error::GptPrimary(partition.name.clone()));
                }
                partition.primary = true;
            }
            other => {
                return Err(Error::UnknownFlag {
                    partition: partition.name.clone(),
                    flag: other.to_string(),
                })
            }
        }
    }
    Ok(())
}

/// MBR types must be strings in hexadecimal; GPT types are what `str()` gives.
fn partition_type(node: &str, value: Option<&Value>, label: TableLabel) -> Result<String, Error> {
    match (label, value) {
        (TableLabel::Mbr, None) => Ok("0x83".into()),
        (TableLabel::Gpt, None) => Ok("8300".into()),
        (TableLabel::Gpt, Some(value)) => Ok(value.to_string()),
        (TableLabel::Mbr, Some(value)) => {
            let text = string(node, "type", value)?;
            mbr_type(&text)
                .map(|_| text.clone())
                .ok_or_else(|| Error::Value {
                    node: node.into(),
                    key: "type".into(),
                    expected: "a hexadecimal number up to 0xff",
                    value: text,
                })
        }
    }
}

/// The number of an MBR type as Python's `int(text, 16)` reads it.
pub(super) fn mbr_type(text: &str) -> Option<u8> {
    let text = text.trim();
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    u8::from_str_radix(digits, 16).ok()
}

pub(super) fn mkfs(entry: &Entry) -> Result<Mkfs, Error> {
    let base = base_of(entry, "Mkfs config needs [base]")?;
    let fstype = entry
        .text("type")?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| missing(&entry.name, "Mkfs config needs [type]"))?;
    let configured_label = entry.text("label")?;
    let mut label = configured_label
        .clone()
        .unwrap_or_else(|| entry.name.clone());
    if matches!(fstype.as_str(), "vfat" | "fat") {
        label = label.to_uppercase();
    }
    let max = LABEL_LENGTHS
        .iter()
        .find_map(|(name, max)| (*name == fstype).then_some(*max));
    let length = label.chars().count();
    if let Some(max) = max.filter(|max| *max < length) {
        return Err(Error::LabelTooLong {
            label,
            fstype,
            length,
            max,
            node: entry.name.clone(),
        });
    }
    Ok(Mkfs {
        name: entry.name.clone(),
        base,
        fstype,
        label,
        configured_label,
        uuid: entry.text("uuid")?,
        options: entry
            .text("opts")?
            .unwrap_or_default()
            .split_whitespace()
            .map(String::from)
            .collect(),
    })
}

pub(super) fn mount(entry: &Entry) -> Result<Mount, Error> {
    let base = base_of(entry, "MountPoint config needs [base]")?;
    let mount_point = entry
        .text("mount_point")?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| missing(&entry.name, "MountPoint config needs [mount_point]"))?;
    if mount_point.split('/').any(|part| part == "..") || mount_point.contains(['\0', '\n']) {
        return Err(Error::Value {
            node: entry.name.clone(),
            key: "mount_point".into(),
            expected: "a path without '..' and line breaks",
            value: mount_point,
        });
    }
    Ok(Mount {
        name: entry.name.clone(),
        base,
        mount_point,
    })
}

pub(super) fn fstab(entry: &Entry) -> Result<Fstab, Error> {
    Ok(Fstab {
        name: entry.name.clone(),
        base: base_of(entry, "Fstab config needs [base]")?,
        entry: FstabEntry {
            options: entry.text("options")?.unwrap_or_else(|| "defaults".into()),
            dump_freq: number(entry, "dump-freq", 0)?,
            fsck_passno: number(entry, "fsck-passno", 2)?,
        },
    })
}

fn number(entry: &Entry, key: &str, default: u32) -> Result<u32, Error> {
    let number = match entry.get(key) {
        None => Some(default),
        Some(Value::Int(number)) => u32::try_from(*number).ok(),
        Some(Value::Str(text)) => text.parse().ok(),
        Some(_) => None,
    };
    number.ok_or_else(|| Error::Value {
        node: entry.name.clone(),
        key: key.into(),
        expected: "a number",
        value: entry.get(key).map(Value::to_string).unwrap_or_default(),
    })
}
