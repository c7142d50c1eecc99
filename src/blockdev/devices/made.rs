//! What was made, by a state.

use crate::blockdev::state::State;
use crate::yaml::lookup;
use crate::yaml::Value;

/// A disk on a loop device.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MadeDisk {
    pub(super) name: String,
    pub(super) device: String,
    pub(super) image: String,
    pub(super) has_partitions: bool,
}

/// A volume group with its volumes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MadeGroup {
    pub(super) name: String,
    pub(super) volumes: Vec<String>,
}

/// A mounted filesystem.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MadeMount {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) fstype: String,
}

/// Everything, in the order in which it was made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) disks: Vec<MadeDisk>,
    /// Names of physical volumes.
    pub(super) physical_volumes: Vec<String>,
    pub(super) groups: Vec<MadeGroup>,
    pub(super) mounts: Vec<MadeMount>,
}

impl Made {
    pub(super) fn of(state: &State) -> Made {
        let devices = entries(state, "blockdev");
        let disk = |(name, value): &(Value, Value)| {
            let device = text(value, "device")?;
            let prefix = format!("/dev/mapper/{}p", device.strip_prefix("/dev/")?);
            let is_part = |(_, value): &(Value, Value)| {
                text(value, "device").is_some_and(|device| device.starts_with(&prefix))
            };
            Some(MadeDisk {
                name: name.to_string(),
                image: text(value, "image")?,
                has_partitions: devices.iter().any(is_part),
                device,
            })
        };
        let group = |(name, _): &(Value, Value)| {
            let name = name.to_string();
            let of_group =
                |(_, value): &&(Value, Value)| text(value, "vgs").as_ref() == Some(&name);
            let volumes = devices.iter().filter(of_group);
            MadeGroup {
                volumes: volumes.map(|(name, _)| name.to_string()).collect(),
                name,
            }
        };
        Made {
            disks: devices.iter().filter_map(disk).collect(),
            physical_volumes: entries(state, "pvs")
                .iter()
                .map(|(name, _)| name.to_string())
                .collect(),
            groups: entries(state, "vgs").iter().map(group).collect(),
            mounts: mounts(state),
        }
    }
}

/// Swap has an entry among the mounts, and is none.
fn mounts(state: &State) -> Vec<MadeMount> {
    let order = match state.get("mount_order") {
        Some(Value::List(order)) => order.as_slice(),
        _ => &[],
    };
    let mounts = entries(state, "mount");
    let mount = |point: &Value| {
        let mount = lookup(mounts, &point.to_string())?;
        let base = text(mount, "base")?;
        let filesystem = lookup(entries(state, "filesys"), &base)?;
        Some(MadeMount {
            name: text(mount, "name")?,
            path: text(mount, "path")?,
            fstype: text(filesystem, "fstype")?,
        })
    };
    let made = order.iter().filter_map(mount);
    made.filter(|mount| mount.fstype != "swap").collect()
}

fn entries<'s>(state: &'s State, key: &str) -> &'s [(Value, Value)] {
    match state.get(key) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}
