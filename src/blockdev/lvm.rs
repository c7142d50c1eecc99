//! An `lvm` entry to its nodes (`level1/lvm.py`).

use super::config::{string, wrong, Entry};
use super::graph::{Kind, LvmNode, Node};
use super::nodes::missing;
use super::{size, Error, LogicalVolume, Segment, VolumeSize};
use crate::yaml::lookup;
use crate::yaml::Value;

/// An extent of a volume group; upstream rounds sizes down to whole ones.
const EXTENT: u64 = 4 << 20;

/// Physical volumes, groups, logical volumes, then the node that makes them all.
pub(super) fn nodes(entry: &Entry) -> Result<Vec<Node>, Error> {
    let node = entry.name();
    let list = |key: &str, message: &str| match entry.get(key) {
        None => Err(missing(&node, message)),
        Some(Value::List(items)) => Ok(items.as_slice()),
        Some(other) => Err(wrong(&node, key, "a list", other)),
    };
    let pvs = list("pvs", "Lvm config requires a 'pvs'")?;
    let vgs = list("vgs", "Lvm config needs 'vgs'")?;
    let lvs = list("lvs", "Lvm config needs 'lvs'")?;
    let pvs = pvs.iter().map(|item| physical(&node, item));
    let pvs = pvs.collect::<Result<Vec<_>, _>>()?;
    let vgs = vgs.iter().map(|item| group(&node, item, &pvs));
    let vgs = vgs.collect::<Result<Vec<_>, _>>()?;
    let lvs = lvs.iter().map(|item| logical(&node, item, &vgs));
    let lvs = lvs.collect::<Result<Vec<_>, _>>()?;
    let names = |nodes: &[Node]| nodes.iter().map(|node| node.name.clone()).collect();
    let driver = LvmNode {
        physical_volumes: names(&pvs),
        volume_groups: names(&vgs),
        logical_volumes: names(&lvs),
    };
    let mut nodes = pvs;
    nodes.extend(vgs);
    nodes.extend(lvs);
    nodes.push(Node {
        name: node,
        kind: Kind::Lvm(driver),
    });
    Ok(nodes)
}

/// An item of one of the three lists.
struct Item<'a> {
    name: String,
    values: &'a [(Value, Value)],
}

impl<'a> Item<'a> {
    fn of(owner: &str, key: &str, item: &'a Value) -> Result<Item<'a>, Error> {
        let Value::Map(values) = item else {
            return Err(wrong(owner, key, "a list of mappings", item));
        };
        let name = lookup(values, "name")
            .ok_or_else(|| missing(owner, &format!("Missing 'name' in {key} config")))?;
        Ok(Item {
            name: string(owner, "name", name)?,
            values,
        })
    }

    fn need(&self, key: &str, message: &str) -> Result<&'a Value, Error> {
        lookup(self.values, key).ok_or_else(|| missing(&self.name, message))
    }

    /// A string; null counts as absent, as it does upstream.
    fn text(&self, key: &str) -> Result<Option<String>, Error> {
        match lookup(self.values, key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => string(&self.name, key, value).map(Some),
        }
    }

    fn options(&self) -> Result<Option<Vec<String>>, Error> {
        let value = match lookup(self.values, "options") {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        strings(value)
            .ok_or_else(|| wrong(&self.name, "options", "a list of strings", value))
            .map(Some)
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::List(items) => items
            .iter()
            .map(|item| item.as_str().map(String::from))
            .collect(),
        _ => None,
    }
}

fn physical(owner: &str, item: &Value) -> Result<Node, Error> {
    let item = Item::of(owner, "pvs", item)?;
    let base = item.need("base", "Missing 'base' in pvs_config")?;
    Ok(Node {
        kind: Kind::PhysicalVolume {
            base: string(&item.name, "base", base)?,
            options: item.options()?,
        },
        name: item.name,
    })
}

fn group(owner: &str, item: &Value, pvs: &[Node]) -> Result<Node, Error> {
    let item = Item::of(owner, "vgs", item)?;
    let value = item.need("base", "Missing 'base' in vgs config")?;
    let base = match value {
        // Upstream takes a string for a list of its characters.
        Value::Str(text) => text.chars().map(String::from).collect(),
        list => strings(list)
            .ok_or_else(|| wrong(&item.name, "base", "a list of names in 'pvs'", value))?,
    };
    if let Some(unknown) = base.iter().find(|pv| !pvs.iter().any(|p| p.name == **pv)) {
        return Err(missing(
            &item.name,
            &format!("base:{unknown} in vgs does not match a valid pvs"),
        ));
    }
    Ok(Node {
        kind: Kind::VolumeGroup {
            physical_volumes: base,
            options: item.options()?,
        },
        name: item.name,
    })
}

fn logical(owner: &str, item: &Value, vgs: &[Node]) -> Result<Node, Error> {
    let item = Item::of(owner, "lvs", item)?;
    let group = item.need("base", "Missing 'base' in lvs config")?;
    let no_size = "Missing 'size' or 'extents' in lvs config";
    if lookup(item.values, "size").is_none() {
        item.need("extents", no_size)?;
    }
    if !vgs.iter().any(|vg| group.as_str() == Some(&vg.name)) {
        return Err(missing(
            &item.name,
            &format!("base:{group} in lvs does not match a valid vg"),
        ));
    }
    let segment = match lookup(item.values, "type") {
        None => None,
        Some(Value::Str(kind)) if kind == "thin" => Some(Segment::Thin),
        Some(Value::Str(kind)) if kind == "thin-pool" => Some(Segment::ThinPool),
        Some(other) => {
            return Err(missing(
                &item.name,
                &format!("Unsupported type:{other}, supported types: thin, thin-pool"),
            ))
        }
    };
    let full = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let (size, extents) = (item.text("size")?, item.text("extents")?);
    if !full(&size) && !full(&extents) {
        return Err(missing(&item.name, no_size));
    }
    let size = size
        .filter(|text| !text.is_empty())
        .map(|text| volume_size(&item.name, text))
        .transpose()?;
    Ok(Node {
        kind: Kind::LogicalVolume(LogicalVolume {
            name: item.name.clone(),
            group: group.to_string(),
            size,
            extents,
            segment,
            thin_pool: item.text("thin-pool")?,
            options: item.options()?,
        }),
        name: item.name,
    })
}

impl LogicalVolume {
    /// The arguments of `lvcreate`. Thin volumes take their size from a pool:
    /// they have a virtual one.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = vec!["--name".into(), self.name.clone()];
        if let Some(segment) = self.segment {
            let name = match segment {
                Segment::Thin => "thin",
                Segment::ThinPool => "thin-pool",
            };
            words.extend(["--type".into(), name.into()]);
        }
        if let Some(pool) = &self.thin_pool {
            words.extend(["--thin-pool".into(), pool.clone()]);
        }
        if let Some(size) = &self.size {
            let thin = self.segment == Some(Segment::Thin);
            let option = if thin { "-V" } else { "-L" };
            words.extend([option.into(), format!("{}B", size.bytes)]);
        } else if let Some(extents) = &self.extents {
            words.extend(["-l".into(), extents.clone()]);
        }
        words.extend(self.options.iter().flatten().cloned());
        words.push(self.group.clone());
        words
    }
}

fn volume_size(node: &str, configured: String) -> Result<VolumeSize, Error> {
    let bytes = size::parse_absolute(&configured).map_err(|reason| Error::Size {
        node: node.into(),
        reason,
    })?;
    Ok(VolumeSize {
        bytes: bytes - bytes % EXTENT,
        configured,
    })
}
