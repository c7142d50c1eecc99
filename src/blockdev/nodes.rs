//! Entries to typed nodes, with the checks that upstream's plugins make.

use super::config::{nameless, string, wrong, Entry};
use super::graph::{DiskNode, FstabNode, MkfsNode, MountNode, Table};
use super::{size, Error, FstabEntry, Partition, PartitionSize, PartitionTable, TableLabel};
use crate::yaml::lookup;
use crate::yaml::Value;

/// Sectors that a loop device can have where pages have 4 KiB.
const SECTOR_SIZES: [u32; 4] = [512, 1024, 2048, 4096];

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

pub(super) fn missing(node: &str, message: &str) -> Error {
    Error::Missing {
        message: message.into(),
        node: node.into(),
    }
}

fn base_of(entry: &Entry, message: &str) -> Result<String, Error> {
    entry
        .text("base")?
        .ok_or_else(|| missing(&entry.name(), message))
}

fn size_of(node: &str) -> impl Fn(String) -> Error + '_ {
    move |reason| Error::Size {
        node: node.into(),
        reason,
    }
}

pub(super) fn disk(entry: &Entry) -> Result<DiskNode, Error> {
    let node = entry.name();
    let size = entry.text("size")?;
    let size = size
        .map(|text| size::parse_absolute(&text).map_err(size_of(&node)))
        .transpose()?;
    Ok(DiskNode {
        size,
        directory: entry.text("directory")?,
        block_size: match entry.get("block_size") {
            Some(value) => sector_size(&node, value)?,
            None => 512,
        },
    })
}

fn sector_size(node: &str, value: &Value) -> Result<u32, Error> {
    let found = value.to_string().parse::<u32>().ok();
    found
        .filter(|size| SECTOR_SIZES.contains(size))
        .ok_or_else(|| wrong(node, "block_size", "512, 1024, 2048 or 4096", value))
}

pub(super) fn table(entry: &Entry) -> Result<Table, Error> {
    let node = entry.name();
    let base = base_of(entry, "Partitioning config needs 'base'")?;
    let items = match entry.get("partitions") {
        Some(Value::List(items)) => items,
        Some(other) => return Err(wrong(&node, "partitions", "a list", other)),
        None => return Err(missing(&node, "Partitioning config needs 'partitions'")),
    };
    let label = match entry.get("label") {
        None => return Err(missing(&node, "Partitioning config needs 'label'")),
        Some(Value::Str(text)) if text == "mbr" => TableLabel::Mbr,
        Some(Value::Str(text)) if text == "gpt" => TableLabel::Gpt,
        Some(other) => {
            return Err(Error::TableLabel {
                node,
                label: other.to_string(),
            })
        }
    };
    let align = match entry.text("align")? {
        Some(text) => size::parse_absolute(&text).map_err(size_of(&node))?,
        None => 1 << 20,
    };
    if align < 512 || align % 512 != 0 {
        return Err(size_of(&node)(format!(
            "align [{align}] is not a positive multiple of 512"
        )));
    }
    let partitions = items
        .iter()
        .map(|item| partition(&node, item, label))
        .collect::<Result<Vec<_>, _>>()?;
    if partitions.is_empty() {
        return Err(missing(
            &node,
            "Partitioning config needs at least one of 'partitions'",
        ));
    }
    Ok(Table {
        name: node,
        base,
        table: PartitionTable {
            label,
            align,
            partitions,
        },
    })
}

fn partition(table: &str, item: &Value, label: TableLabel) -> Result<Partition, Error> {
    let Value::Map(pairs) = item else {
        return Err(wrong(table, "partitions", "a list of mappings", item));
    };
    let get = |name: &str| lookup(pairs, name);
    let name = string(table, "name", get("name").ok_or_else(|| nameless(table))?)?;
    let mut partition = Partition {
        size: PartitionSize::Absolute(0),
        kind: String::new(),
        bootable: false,
        primary: false,
        name,
    };
    flags(&mut partition, get("flags"), label)?;
    let size = get("size").ok_or_else(|| missing(&partition.name, "No size in partition"))?;
    let size = string(&partition.name, "size", size)?;
    partition.kind = partition_type(&partition.name, get("type"), label)?;
    partition.size = size::parse(&size).map_err(size_of(&partition.name))?;
    Ok(partition)
}

fn flags(partition: &mut Partition, flags: Option<&Value>, label: TableLabel) -> Result<(), Error> {
    let flags = match flags {
        None => return Ok(()),
        Some(Value::List(flags)) => flags,
        Some(other) => return Err(wrong(&partition.name, "flags", "a list", other)),
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
                .ok_or_else(|| wrong(node, "type", "a hexadecimal number up to 0xff", value))
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

pub(super) fn mkfs(entry: &Entry) -> Result<MkfsNode, Error> {
    let node = entry.name();
    let base = base_of(entry, "Mkfs config needs [base]")?;
    let fstype = entry
        .text("type")?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| missing(&node, "Mkfs config needs [type]"))?;
    let configured_label = entry.nullable("label")?;
    let mut label = configured_label.clone().unwrap_or_else(|| node.clone());
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
            node,
        });
    }
    // Upstream splits at single blanks and hands on empty words.
    let words = |text: String| text.split_whitespace().map(String::from).collect();
    Ok(MkfsNode {
        base,
        fstype,
        label,
        configured_label,
        uuid: entry.nullable("uuid")?,
        options: entry.nullable("opts")?.map(words),
    })
}

pub(super) fn mount(entry: &Entry) -> Result<MountNode, Error> {
    let node = entry.name();
    let base = base_of(entry, "MountPoint config needs [base]")?;
    let mount_point = entry
        .text("mount_point")?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| missing(&node, "MountPoint config needs [mount_point]"))?;
    if mount_point.split('/').any(|part| part == "..") || mount_point.contains(['\0', '\n']) {
        return Err(wrong(
            &node,
            "mount_point",
            "a path without '..' and line breaks",
            &Value::Str(mount_point),
        ));
    }
    Ok(MountNode { base, mount_point })
}

pub(super) fn fstab(entry: &Entry) -> Result<FstabNode, Error> {
    Ok(FstabNode {
        base: base_of(entry, "Fstab config needs 'base': KeyError: 'base'")?,
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
    let value = entry.get(key).unwrap_or(&Value::Null);
    number.ok_or_else(|| wrong(&entry.name(), key, "a number", value))
}
