//! `state.json`: what upstream remembers of the devices that it created, and
//! what `getval` and `writefstab` read from it. Pure: whoever creates devices
//! says which loop devices and UUIDs it got.
//!
//! `init` writes no state; the file appears with `create`.

use std::collections::BTreeMap;

use super::getval::required;
use super::graph::{FstabNode, Graph, Kind, LvmNode, MkfsNode, Node};
use super::names::mount_path;
use super::{json, place, Error, FstabEntry};
use crate::yaml::Value;
use crate::yaml::{lookup, set};

pub use super::names::{image_path, partition_device, volume_device};

/// What creation found out.
#[derive(Debug, Clone, Default)]
pub struct Created {
    /// Loop device by disk node: `/dev/loop0`.
    pub loops: BTreeMap<String, String>,
    /// UUID by mkfs node, of those without one in the configuration.
    pub uuids: BTreeMap<String, String>,
    /// `image-size`: bytes of disks without a size in the configuration.
    pub image_bytes: u64,
    /// `image-dir`: directory of image files without one in the configuration.
    pub image_dir: String,
    /// `mount-base`: where `/` is mounted.
    pub mount_base: String,
    /// `DIB_BLOCK_SIZE`: bytes of a sector, whatever is configured.
    pub block_size: Option<u32>,
}

/// The content of `state.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    keys: Vec<(Value, Value)>,
}

impl State {
    /// The state after all nodes of `graph` were created in order.
    ///
    /// # Errors
    /// Partitions that do not fit, a disk without a loop device in `created`, a
    /// base that is no device.
    pub fn after_create(graph: &Graph, created: &Created) -> Result<State, Error> {
        let mut state = State::before_create(graph);
        for node in graph.in_order() {
            state.add(graph, node, created)?;
        }
        Ok(state)
    }

    /// The state before any node of `graph` is created.
    pub fn before_create(graph: &Graph) -> State {
        let mut state = State { keys: Vec::new() };
        state.add_checks(graph);
        state
    }

    /// Adds what a node leaves that was just created.
    pub(super) fn add(
        &mut self,
        graph: &Graph,
        node: &Node,
        created: &Created,
    ) -> Result<(), Error> {
        match &node.kind {
            Kind::Disk(_) => self.add_disk(graph, node, created),
            Kind::Lvm(lvm) => self.add_volumes(graph, lvm),
            Kind::Mkfs(mkfs) => self.add_filesystem(&node.name, mkfs, created),
            Kind::Mount(mount) => {
                self.add_mount(&node.name, &mount.base, &mount.mount_point, created)
            }
            Kind::Fstab(fstab) => {
                self.add_fstab(&node.name, fstab);
                Ok(())
            }
            Kind::Partition { table, partition } if *partition == 0 => {
                self.add_partitions(graph, *table, created)
            }
            // Made with the first partition, or by their lvm node.
            Kind::Partition { .. }
            | Kind::PhysicalVolume { .. }
            | Kind::VolumeGroup { .. }
            | Kind::LogicalVolume(_) => Ok(()),
        }
    }

    /// What the checks of the configuration leave behind: labels and sorted
    /// mount points, in the order in which the first of each comes up.
    fn add_checks(&mut self, graph: &Graph) {
        for node in &graph.nodes {
            match &node.kind {
                Kind::Mkfs(mkfs) => match self.entry("fs_labels", Value::List(Vec::new())) {
                    Value::List(labels) => labels.push(mkfs.label.as_str().into()),
                    _ => continue,
                },
                Kind::Mount(_) => {
                    let pair =
                        |(point, name): (&str, &str)| Value::List(vec![point.into(), name.into()]);
                    let sorted = graph.sorted_mounts().into_iter().map(pair).collect();
                    *self.entry("sorted_mount_points", Value::Null) = Value::List(sorted);
                }
                _ => {}
            }
        }
    }

    /// The value of a key, which gets `default` if it is new.
    #[expect(
        clippy::indexing_slicing,
        reason = "the place was found, or is the one that was just added"
    )]
    fn entry(&mut self, key: &str, default: Value) -> &mut Value {
        let index = self
            .keys
            .iter()
            .position(|(have, _)| have.as_str() == Some(key))
            .unwrap_or_else(|| {
                self.keys.push((key.into(), default));
                self.keys.len() - 1
            });
        &mut self.keys[index].1
    }

    /// Sets `state[table][name]`.
    fn put(&mut self, table: &str, name: &str, value: Value) {
        if let Value::Map(entries) = self.entry(table, Value::Map(Vec::new())) {
            set(entries, name, value);
        }
    }

    fn add_disk(&mut self, graph: &Graph, node: &Node, created: &Created) -> Result<(), Error> {
        let directory = graph.disk(node).and_then(|disk| disk.directory);
        let directory = directory.as_deref().unwrap_or(&created.image_dir);
        let value = Value::map([
            ("device", loop_of(&node.name, created)?.into()),
            ("image", image_path(directory, &node.name).as_str().into()),
        ]);
        self.put("blockdev", &node.name, value);
        Ok(())
    }

    fn add_partitions(
        &mut self,
        graph: &Graph,
        table: usize,
        created: &Created,
    ) -> Result<(), Error> {
        let Some(table) = graph.tables.get(table) else {
            return Ok(());
        };
        let base = graph.node(&table.base).and_then(|node| graph.disk(node));
        let mut disk = base.ok_or_else(|| Error::WrongBase {
            node: table.name.clone(),
            base: table.base.clone(),
            expected: "a disk",
        })?;
        disk.block_size = created.block_size.unwrap_or(disk.block_size);
        let device = loop_of(&disk.name, created)?;
        for extent in place(&disk, disk.size.unwrap_or(created.image_bytes))? {
            if let Some(partition) = table.table.partitions.get(extent.partition) {
                let device = partition_device(device, extent.number);
                let value = Value::map([("device", device.as_str().into())]);
                self.put("blockdev", &partition.name, value);
            }
        }
        Ok(())
    }

    fn add_volumes(&mut self, graph: &Graph, lvm: &LvmNode) -> Result<(), Error> {
        let kinds = |names: &[String]| -> Vec<Node> {
            let found = names.iter().filter_map(|name| graph.node(name));
            found.cloned().collect()
        };
        let all = [
            kinds(&lvm.physical_volumes),
            kinds(&lvm.volume_groups),
            kinds(&lvm.logical_volumes),
        ];
        for node in all.into_iter().flatten() {
            match &node.kind {
                Kind::PhysicalVolume { base, options } => {
                    let device = self.device(base)?;
                    let value = Value::map([("opts", words(options)), ("device", device)]);
                    self.put("pvs", &node.name, value);
                }
                Kind::VolumeGroup {
                    physical_volumes,
                    options,
                } => {
                    let devices = words(&Some(physical_volumes.clone()));
                    let value = Value::map([("opts", words(options)), ("devices", devices)]);
                    self.put("vgs", &node.name, value);
                }
                Kind::LogicalVolume(volume) => {
                    let size = volume.size.as_ref().map(|size| size.configured.clone());
                    let device = volume_device(&volume.group, &volume.name);
                    let value = Value::map([
                        ("vgs", volume.group.as_str().into()),
                        ("size", text(&size)),
                        ("extents", text(&volume.extents)),
                        ("opts", words(&volume.options)),
                        ("device", device.as_str().into()),
                    ]);
                    self.put("blockdev", &node.name, value);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_filesystem(
        &mut self,
        name: &str,
        mkfs: &MkfsNode,
        created: &Created,
    ) -> Result<(), Error> {
        let uuid = mkfs.uuid.as_ref().or_else(|| created.uuids.get(name));
        let value = Value::map([
            ("uuid", text(&uuid.cloned())),
            ("label", mkfs.label.as_str().into()),
            ("fstype", mkfs.fstype.as_str().into()),
            ("opts", words(&mkfs.options)),
            ("device", self.device(&mkfs.base)?),
        ]);
        self.put("filesys", name, value);
        Ok(())
    }

    fn add_mount(
        &mut self,
        name: &str,
        base: &str,
        mount_point: &str,
        created: &Created,
    ) -> Result<(), Error> {
        let filesystem = required(self.table("filesys")?, "filesys", base)?;
        let swap = filesystem.get("fstype").and_then(Value::as_str) == Some("swap");
        let (key, path) = if swap {
            ("none", "none".into())
        } else {
            (mount_point, mount_path(&created.mount_base, mount_point))
        };
        let value = Value::map([
            ("name", name.into()),
            ("base", base.into()),
            ("path", path.as_str().into()),
        ]);
        self.put("mount", key, value);
        if let Value::List(order) = self.entry("mount_order", Value::List(Vec::new())) {
            order.push(key.into());
        }
        Ok(())
    }

    fn add_fstab(&mut self, name: &str, fstab: &FstabNode) {
        let mounts = lookup(&self.keys, "mount");
        let swap = mounts.and_then(|mounts| mounts.get("none")?.get("name")?.as_str());
        let entry = match swap == Some(&fstab.base) {
            true => FstabEntry::swap(),
            false => fstab.entry.clone(),
        };
        let value = Value::map([
            ("name", name.into()),
            ("base", fstab.base.as_str().into()),
            ("options", entry.options.as_str().into()),
            ("dump-freq", Value::Int(entry.dump_freq.into())),
            ("fsck-passno", Value::Int(entry.fsck_passno.into())),
        ]);
        self.put("fstab", &fstab.base, value);
    }

    /// Reads `state.json`.
    ///
    /// # Errors
    /// What is no JSON object.
    pub fn from_json(content: &str) -> Result<State, Error> {
        match json::load(content)? {
            Value::Map(keys) => Ok(State { keys }),
            other => Err(Error::NotAMap {
                plugin: "state.json".into(),
                value: other.to_string(),
            }),
        }
    }

    /// The text of `state.json`.
    pub fn to_json(&self) -> String {
        json::dump(&Value::Map(self.keys.clone()))
    }

    /// `getval image-path`.
    ///
    /// # Errors
    /// A state without `image0`.
    pub fn image_path(&self) -> Result<String, Error> {
        self.of_image0("image")
    }

    /// `getval image-block-device`.
    ///
    /// # Errors
    /// A state without `image0`.
    pub fn image_block_device(&self) -> Result<String, Error> {
        self.of_image0("device")
    }

    /// `getval image-block-devices`: ` [NAME]=DEVICE ` for each, for a bash array.
    ///
    /// # Errors
    /// A state without devices.
    pub fn image_block_devices(&self) -> Result<String, Error> {
        let mut all = String::new();
        for (name, values) in self.table("blockdev")? {
            all += &format!(" [{name}]={} ", part(values, &name.to_string(), "device")?);
        }
        Ok(all)
    }

    /// The text of `etc/fstab` (`writefstab`): mounts with an entry, in mount
    /// order. All swap is one mount, `none`, here.
    ///
    /// # Errors
    /// A state without mounts.
    pub fn fstab(&self) -> Result<String, Error> {
        let order = match required(&self.keys, "state", "mount_order")? {
            Value::List(order) => order.as_slice(),
            _ => &[],
        };
        let lines = lookup(&self.keys, "fstab");
        let mut content = String::new();
        for point in order {
            let point = point.to_string();
            let mount = required(self.table("mount")?, "mount", &point)?;
            let base = part(mount, "mount", "base")?.to_string();
            let filesystem = required(self.table("filesys")?, "filesys", &base)?;
            let id = match filesystem.get("label") {
                Some(label) => format!("LABEL={label}"),
                None => format!("UUID={}", part(filesystem, &base, "uuid")?),
            };
            let name = part(mount, "mount", "name")?.to_string();
            let Some(line) = lines.and_then(|lines| lines.get(&name)) else {
                continue;
            };
            let field = |key| part(line, &name, key);
            content += &format!(
                "{id} {point} {} {} {} {}\n",
                part(filesystem, &base, "fstype")?,
                field("options")?,
                field("dump-freq")?,
                field("fsck-passno")?,
            );
        }
        Ok(content)
    }

    fn table(&self, key: &str) -> Result<&[(Value, Value)], Error> {
        match required(&self.keys, "state", key)? {
            Value::Map(entries) => Ok(entries),
            _ => Ok(&[]),
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        lookup(&self.keys, key)
    }

    /// The device of a node that was created.
    pub(super) fn device(&self, node: &str) -> Result<Value, Error> {
        let devices = self.table("blockdev")?;
        part(required(devices, "blockdev", node)?, node, "device").cloned()
    }

    fn of_image0(&self, key: &str) -> Result<String, Error> {
        let image0 = required(self.table("blockdev")?, "blockdev", "image0")?;
        part(image0, "image0", key).map(Value::to_string)
    }
}

fn part<'v>(values: &'v Value, of: &str, key: &str) -> Result<&'v Value, Error> {
    match values {
        Value::Map(entries) => required(entries, of, key),
        _ => required(&[], of, key),
    }
}

fn loop_of<'c>(disk: &str, created: &'c Created) -> Result<&'c str, Error> {
    let found = created.loops.get(disk).map(String::as_str);
    found.ok_or_else(|| Error::NoKey {
        of: format!("disk '{disk}'"),
        key: "device".into(),
    })
}

fn text(value: &Option<String>) -> Value {
    value.as_deref().map_or(Value::Null, Value::from)
}

fn words(value: &Option<Vec<String>>) -> Value {
    match value {
        Some(words) => Value::List(words.iter().map(|word| word.as_str().into()).collect()),
        None => Value::Null,
    }
}
