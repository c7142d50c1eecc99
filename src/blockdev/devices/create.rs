//! The way there: node by node, with the way back from each.

use std::path::{Path, PathBuf};

use super::command::{self, Command};
use super::release::unmount_patiently;
use super::{Error, Hands, Order};
use crate::blockdev::graph::{DiskNode, Kind, LvmNode, MkfsNode, MountNode, Node};
use crate::blockdev::names::{image_path, mount_path, partition_device};
use crate::blockdev::state::{Created, State};
use crate::blockdev::{self, place, Graph};

/// How to take back what a node has made.
enum Undo {
    Image(PathBuf),
    Loop(String),
    Partitions(String),
    Group(String),
    Volume { group: String, name: String },
    Activation(String),
    Mount(String),
}

/// A creation under way.
struct Creation<'a> {
    order: &'a Order<'a>,
    hands: Hands<'a>,
    state: State,
    created: Created,
    /// With the name of its node.
    undo: Vec<(String, Undo)>,
}

/// Makes all nodes; the state as far as it came.
pub(super) fn run<'a>(order: &'a Order<'a>, hands: Hands<'a>) -> (State, Result<(), Error>) {
    let mut creation = Creation {
        order,
        hands,
        state: State::before_create(order.graph),
        created: Created {
            image_bytes: order.image_bytes,
            image_dir: order.image_dir.into(),
            mount_base: order.mount_base.into(),
            block_size: order.block_size,
            ..Created::default()
        },
        undo: Vec::new(),
    };
    let mut nodes = order.graph.in_order();
    let result = nodes.try_for_each(|node| creation.make(node));
    let result = result.map_err(|error| creation.roll_back(error));
    (creation.state, result)
}

impl Creation<'_> {
    fn make(&mut self, node: &Node) -> Result<(), Error> {
        let graph = self.order.graph;
        match &node.kind {
            Kind::Disk(disk) => self.disk(&node.name, disk)?,
            Kind::Partition { table, partition } if *partition == 0 => {
                self.partitions(graph, *table)?
            }
            Kind::Lvm(lvm) => self.volumes(graph, lvm)?,
            Kind::Mkfs(mkfs) => self.filesystem(&node.name, mkfs)?,
            Kind::Mount(mount) => self.mount(graph, &node.name, mount)?,
            Kind::Partition { .. }
            | Kind::PhysicalVolume { .. }
            | Kind::VolumeGroup { .. }
            | Kind::LogicalVolume(_)
            | Kind::Fstab(_) => {}
        }
        let added = self.state.add(graph, node, &self.created);
        added.map_err(Error::layout(&node.name))
    }

    fn will_undo(&mut self, node: &str, undo: Undo) {
        self.undo.push((node.into(), undo));
    }

    fn run(&mut self, node: &str, command: &Command) -> Result<String, Error> {
        self.hands.run(node, command)
    }

    fn device(&self, node: &str, base: &str) -> Result<String, Error> {
        let device = self.state.device(base);
        let device = device.map_err(Error::layout(node))?;
        Ok(device.to_string())
    }

    fn disk(&mut self, name: &str, disk: &DiskNode) -> Result<(), Error> {
        let bytes = disk.size.unwrap_or(self.order.image_bytes);
        let block_size = self.order.block_size.unwrap_or(disk.block_size);
        let directory = disk.directory.as_deref().unwrap_or(self.order.image_dir);
        let image = PathBuf::from(image_path(directory, name));
        let medium = self.order.image0_medium.filter(|_| name == "image0");
        let attach = match medium {
            Some(medium) => {
                self.check_medium(name, medium, bytes)?;
                command::attach(medium, block_size, Some(bytes))
            }
            None => {
                if !self.order.populated {
                    self.image(name, &image, bytes)?;
                }
                command::attach(&image, block_size, None)
            }
        };
        self.hands.say("loopdev attach");
        let device = self.run(name, &attach)?.trim().to_owned();
        self.hands.say(&format!("New block device [{device}]"));
        self.will_undo(name, Undo::Loop(device.clone()));
        self.created.loops.insert(name.into(), device);
        Ok(())
    }

    fn check_medium(&self, name: &str, medium: &Path, needs: u64) -> Result<(), Error> {
        let has = self.hands.system.size(medium);
        let has = has.map_err(Error::io(name, "find the size of", medium))?;
        if has >= needs {
            return Ok(());
        }
        Err(Error::SmallMedium {
            node: name.into(),
            path: medium.into(),
            has,
            needs,
        })
    }

    fn image(&mut self, name: &str, path: &Path, bytes: u64) -> Result<(), Error> {
        self.hands
            .say(&format!("Create image file [{}]", path.display()));
        self.will_undo(name, Undo::Image(path.into()));
        let made = self.hands.system.make_image(path, bytes);
        made.map_err(Error::io(name, "create", path))
    }

    fn partitions(&mut self, graph: &Graph, table: usize) -> Result<(), Error> {
        let Some(table) = graph.tables.get(table) else {
            return Ok(());
        };
        let node = table.name.as_str();
        let base = graph.node(&table.base).and_then(|base| graph.disk(base));
        let wrong = || blockdev::Error::WrongBase {
            node: node.into(),
            base: table.base.clone(),
            expected: "a disk",
        };
        let mut disk = base.ok_or_else(wrong).map_err(Error::layout(node))?;
        disk.block_size = self.order.block_size.unwrap_or(disk.block_size);
        let bytes = disk.size.unwrap_or(self.order.image_bytes);
        let extents = place(&disk, bytes).map_err(Error::layout(node))?;
        let device = self.device(node, &table.base)?;
        self.hands.say(&format!(
            "Creating partition on [{}] [{device}]",
            table.base
        ));
        if !self.order.populated {
            let written = self.hands.system.write_table(&disk, &device, bytes);
            written.map_err(Error::layout(node))?;
        }
        self.run(node, &command::load_device_mapper())?;
        self.will_undo(node, Undo::Partitions(device.clone()));
        let map = command::map_partitions(&device);
        self.run(node, &map)?;
        for extent in extents {
            let device = partition_device(&device, extent.number);
            if !self.hands.system.exists(&device) {
                return Err(Error::NoDevice {
                    node: node.into(),
                    command: map.to_string(),
                    device,
                });
            }
        }
        Ok(())
    }

    fn volumes(&mut self, graph: &Graph, lvm: &LvmNode) -> Result<(), Error> {
        let nodes = |names: &[String]| -> Vec<Node> {
            names
                .iter()
                .filter_map(|name| graph.node(name))
                .cloned()
                .collect()
        };
        let groups = nodes(&lvm.volume_groups);
        if let Some(first) = groups.first() {
            self.run(&first.name, &command::load_device_mapper())?;
        }
        if self.order.populated {
            for group in groups {
                self.will_undo(&group.name, Undo::Activation(group.name.clone()));
                self.run(&group.name, &command::activate_group(&group.name))?;
            }
            return Ok(());
        }
        for node in nodes(&lvm.physical_volumes) {
            if let Kind::PhysicalVolume { base, options } = &node.kind {
                let device = self.device(&node.name, base)?;
                self.run(&node.name, &command::make_physical_volume(&device, options))?;
            }
        }
        for node in groups {
            self.group(graph, &node)?;
        }
        for node in nodes(&lvm.logical_volumes) {
            if let Kind::LogicalVolume(volume) = &node.kind {
                self.run(&node.name, &command::make_volume(volume))?;
                let undo = Undo::Volume {
                    group: volume.group.clone(),
                    name: volume.name.clone(),
                };
                self.will_undo(&node.name, undo);
            }
        }
        Ok(())
    }

    fn group(&mut self, graph: &Graph, node: &Node) -> Result<(), Error> {
        let Kind::VolumeGroup {
            physical_volumes,
            options,
        } = &node.kind
        else {
            return Ok(());
        };
        let mut devices = Vec::new();
        for name in physical_volumes {
            if let Some(Kind::PhysicalVolume { base, .. }) = graph.node(name).map(|node| &node.kind)
            {
                devices.push(self.device(&node.name, base)?);
            }
        }
        self.run(
            &node.name,
            &command::make_group(&node.name, devices, options),
        )?;
        self.will_undo(&node.name, Undo::Group(node.name.clone()));
        Ok(())
    }

    fn filesystem(&mut self, name: &str, mkfs: &MkfsNode) -> Result<(), Error> {
        let device = self.device(name, &mkfs.base)?;
        if self.order.populated {
            if mkfs.uuid.is_none() {
                let uuid = self.run(name, &command::read_uuid(&device))?;
                self.created.uuids.insert(name.into(), uuid.trim().into());
            }
            return Ok(());
        }
        let uuid = match &mkfs.uuid {
            Some(uuid) => uuid.clone(),
            None => {
                let uuid = self.hands.system.uuid();
                uuid.map_err(Error::io(name, "make", "a UUID"))?
            }
        };
        if !command::writes_uuid(&mkfs.fstype) {
            let fstype = &mkfs.fstype;
            self.hands
                .say(&format!("UUID will not be written for fs type [{fstype}]"));
        }
        self.run(name, &command::make_filesystem(mkfs, &uuid, &device))?;
        self.created.uuids.insert(name.into(), uuid);
        Ok(())
    }

    /// Swap is not used while an image is made.
    fn mount(&mut self, graph: &Graph, name: &str, mount: &MountNode) -> Result<(), Error> {
        let mkfs = match graph.node(&mount.base).map(|node| &node.kind) {
            Some(Kind::Mkfs(mkfs)) if mkfs.fstype != "swap" => mkfs,
            _ => return Ok(()),
        };
        let path = mount_path(self.order.mount_base, &mount.mount_point);
        let device = self.device(name, &mkfs.base)?;
        let made = self
            .hands
            .system
            .make_mount_point(self.order.mount_base, &path);
        made.map_err(Error::io(name, "make the mount point", &path))?;
        self.hands.say(&format!("Mounting [{name}] to [{path}]"));
        self.run(name, &command::mount(&device, &path))?;
        self.will_undo(name, Undo::Mount(path));
        Ok(())
    }

    /// Takes back what was made, last things first, whatever fails on the way.
    fn roll_back(&mut self, first: Error) -> Error {
        self.hands.say("Create failed; rollback initiated");
        let mut rest = Vec::new();
        while let Some((node, undo)) = self.undo.pop() {
            if let Err(error) = self.take_back(&node, undo) {
                self.hands.say(&format!("Taking back failed: {error}"));
                rest.push(error.to_string());
            }
        }
        self.hands.say("Rollback complete, exiting");
        match rest.is_empty() {
            true => first,
            false => Error::Rollback {
                first: Box::new(first),
                rest: rest.join("; "),
            },
        }
    }

    fn take_back(&mut self, node: &str, undo: Undo) -> Result<(), Error> {
        let command = match undo {
            Undo::Image(path) => {
                let removed = self.hands.system.remove_image(&path);
                return removed.map_err(Error::io(node, "remove", &path));
            }
            Undo::Mount(path) => return unmount_patiently(node, &path, &mut self.hands),
            Undo::Loop(device) => command::detach(&device),
            Undo::Partitions(device) => command::unmap_partitions(&device),
            Undo::Activation(group) => command::deactivate_group(&group),
            Undo::Group(name) => command::remove_group(&name),
            Undo::Volume { group, name } => {
                self.run(node, &command::deactivate_volume(&group, &name))?;
                command::remove_volume(&group, &name)
            }
        };
        self.run(node, &command).map(drop)
    }
}
