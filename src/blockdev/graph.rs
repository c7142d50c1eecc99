//! The nodes of a configuration and the order in which they are created
//! (`config.py`, `create_graph`).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::config::{Config, Plugin};
use super::{lvm, nodes, Error, FstabEntry, LogicalVolume, PartitionTable};

/// What is to be created, in what order. Whoever creates devices walks
/// [`Graph::in_order`], and back again to unmount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// All nodes, as the configuration brings them.
    pub nodes: Vec<Node>,
    /// Partition tables; their partitions are nodes, they are none.
    pub tables: Vec<Table>,
    /// Indexes of [`Graph::nodes`] in the order of creation.
    pub order: Vec<usize>,
}

/// A node of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, unique in the graph.
    pub name: String,
    /// What it makes.
    pub kind: Kind,
}

/// What a node makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A disk image on a loop device.
    Disk(DiskNode),
    /// A partition.
    Partition {
        /// Index in [`Graph::tables`].
        table: usize,
        /// Index in [`PartitionTable::partitions`].
        partition: usize,
    },
    /// An LVM physical volume; made by its [`Kind::Lvm`] node.
    PhysicalVolume {
        /// Device node.
        base: String,
        /// Further arguments of `pvcreate`.
        options: Option<Vec<String>>,
    },
    /// An LVM volume group; made by its [`Kind::Lvm`] node.
    VolumeGroup {
        /// Names of physical volumes.
        physical_volumes: Vec<String>,
        /// Further arguments of `vgcreate`.
        options: Option<Vec<String>>,
    },
    /// An LVM logical volume; made by its [`Kind::Lvm`] node.
    LogicalVolume(LogicalVolume),
    /// Makes all volumes of one `lvm` entry.
    Lvm(LvmNode),
    /// A filesystem.
    Mkfs(MkfsNode),
    /// A mount.
    Mount(MountNode),
    /// A line in fstab.
    Fstab(FstabNode),
}

/// A `local_loop` node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiskNode {
    /// Bytes, when the configuration fixes the size.
    pub size: Option<u64>,
    /// Directory of the image file, when the configuration fixes it.
    pub directory: Option<String>,
    /// Bytes of a sector.
    pub block_size: u32,
}

/// A `partitioning` entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its name; no node.
    pub name: String,
    /// The disk.
    pub base: String,
    /// Its partitions.
    pub table: PartitionTable,
}

/// An `lvm` entry: names of what it makes, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LvmNode {
    /// Physical volumes, first.
    pub physical_volumes: Vec<String>,
    /// Volume groups, then.
    pub volume_groups: Vec<String>,
    /// Logical volumes, last.
    pub logical_volumes: Vec<String>,
}

/// A `mkfs` node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MkfsNode {
    /// Device node.
    pub base: String,
    /// Type.
    pub fstype: String,
    /// Label, already upper-cased for vfat.
    pub label: String,
    /// Label as the configuration has it after merging, if it has one.
    pub configured_label: Option<String>,
    /// Fixed UUID, if configured.
    pub uuid: Option<String>,
    /// Further mkfs arguments, if configured.
    pub options: Option<Vec<String>>,
}

/// A `mount` node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MountNode {
    /// mkfs node.
    pub base: String,
    /// Where.
    pub mount_point: String,
}

/// An `fstab` node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FstabNode {
    /// mount node.
    pub base: String,
    /// Fields of the line.
    pub entry: FstabEntry,
}

impl Graph {
    /// Makes the graph of an expanded configuration.
    ///
    /// # Errors
    /// What upstream's plugins refuse, in its words, and edges that lead
    /// nowhere or in a circle.
    pub fn new(config: &Config) -> Result<Graph, Error> {
        let mut graph = Graph {
            nodes: Vec::new(),
            tables: Vec::new(),
            order: Vec::new(),
        };
        for entry in &config.entries {
            let name = entry.text("name")?.unwrap_or_default();
            let kind = match entry.plugin {
                Plugin::LocalLoop => Kind::Disk(nodes::disk(entry)?),
                Plugin::Partitioning => {
                    graph.add_table(nodes::table(entry)?)?;
                    continue;
                }
                Plugin::Lvm => {
                    for node in lvm::nodes(entry)? {
                        graph.add(node)?;
                    }
                    continue;
                }
                Plugin::Mkfs => graph.checked_mkfs(&name, nodes::mkfs(entry)?)?,
                Plugin::Mount => graph.checked_mount(&name, nodes::mount(entry)?)?,
                Plugin::Fstab => Kind::Fstab(nodes::fstab(entry)?),
            };
            graph.add(Node { name, kind })?;
        }
        let children = graph.children()?;
        graph.order = sort(&children).map_err(|stuck| {
            let nodes = stuck.filter_map(|index| graph.nodes.get(index));
            Error::Cycle(nodes.map(|node| node.name.clone()).collect())
        })?;
        Ok(graph)
    }

    /// Nodes in the order of creation.
    pub fn in_order(&self) -> impl DoubleEndedIterator<Item = &Node> {
        self.order.iter().filter_map(|index| self.nodes.get(*index))
    }

    /// The node of a name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// All disks, in the order in which they get their loop devices.
    pub fn disks_in_order(&self) -> impl Iterator<Item = &str> {
        let disks = self.in_order();
        let disks = disks.filter(|node| matches!(node.kind, Kind::Disk(_)));
        disks.map(|node| node.name.as_str())
    }

    /// All mounts in the order of the configuration.
    pub fn mounts(&self) -> impl Iterator<Item = (&str, &MountNode)> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Mount(mount) => Some((node.name.as_str(), mount)),
            _ => None,
        })
    }

    /// All filesystems in the order of the configuration.
    pub fn filesystems(&self) -> impl Iterator<Item = (&str, &MkfsNode)> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Mkfs(mkfs) => Some((node.name.as_str(), mkfs)),
            _ => None,
        })
    }

    /// Mount points and mount nodes, parents before what is below them.
    pub fn sorted_mounts(&self) -> Vec<(&str, &str)> {
        let mut sorted: Vec<(&str, &str)> = self
            .mounts()
            .map(|(name, mount)| (mount.mount_point.as_str(), name))
            .collect();
        sorted.sort();
        sorted
    }

    fn add(&mut self, node: Node) -> Result<(), Error> {
        if self.node(&node.name).is_some() {
            return Err(Error::DuplicateNode(node.name));
        }
        self.nodes.push(node);
        Ok(())
    }

    fn add_table(&mut self, table: Table) -> Result<(), Error> {
        for (partition, part) in table.table.partitions.iter().enumerate() {
            self.add(Node {
                name: part.name.clone(),
                kind: Kind::Partition {
                    table: self.tables.len(),
                    partition,
                },
            })?;
        }
        self.tables.push(table);
        Ok(())
    }

    fn checked_mkfs(&self, name: &str, mkfs: MkfsNode) -> Result<Kind, Error> {
        if self
            .filesystems()
            .any(|(_, other)| other.label == mkfs.label)
        {
            return Err(Error::DuplicateLabel {
                label: mkfs.label,
                node: name.into(),
            });
        }
        Ok(Kind::Mkfs(mkfs))
    }

    fn checked_mount(&self, name: &str, mount: MountNode) -> Result<Kind, Error> {
        let taken = |(_, other): (_, &MountNode)| other.mount_point == mount.mount_point;
        if self.mounts().any(taken) {
            return Err(Error::DuplicateMount {
                mount_point: mount.mount_point,
                node: name.into(),
            });
        }
        Ok(Kind::Mount(mount))
    }

    /// Names of the nodes before a node, then of those after it.
    fn edges<'a>(
        &'a self,
        node: &'a Node,
        mounts: &[(&'a str, &'a str)],
    ) -> (Vec<&'a str>, &'a [String]) {
        let mut from = Vec::new();
        let mut to: &[String] = &[];
        match &node.kind {
            Kind::Disk(_) | Kind::PhysicalVolume { .. } => {}
            Kind::Partition { table, partition } => {
                if let Some(table) = self.tables.get(*table) {
                    from.push(table.base.as_str());
                    let before = partition.checked_sub(1);
                    let before = before.and_then(|index| table.table.partitions.get(index));
                    from.extend(before.map(|partition| partition.name.as_str()));
                }
            }
            Kind::VolumeGroup {
                physical_volumes, ..
            } => from.extend(physical_volumes.iter().map(String::as_str)),
            Kind::LogicalVolume(volume) => from.push(&volume.group),
            Kind::Lvm(lvm) => {
                let bases = lvm
                    .physical_volumes
                    .iter()
                    .filter_map(|name| self.node(name));
                from.extend(bases.filter_map(|node| match &node.kind {
                    Kind::PhysicalVolume { base, .. } => Some(base.as_str()),
                    _ => None,
                }));
                to = &lvm.physical_volumes;
            }
            Kind::Mkfs(mkfs) => from.push(&mkfs.base),
            Kind::Mount(mount) => {
                let own = mounts
                    .iter()
                    .position(|(point, _)| *point == mount.mount_point);
                let before = own.and_then(|index| index.checked_sub(1));
                from.extend(
                    before
                        .and_then(|index| mounts.get(index))
                        .map(|(_, name)| *name),
                );
                from.push(&mount.base);
            }
            Kind::Fstab(fstab) => from.push(&fstab.base),
        }
        (from, to)
    }

    /// Per node the nodes that need it, in the order in which the edges come up.
    fn children(&self) -> Result<Vec<Vec<usize>>, Error> {
        let index: HashMap<&str, usize> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (node.name.as_str(), index))
            .collect();
        let mounts = self.sorted_mounts();
        let mut children = vec![Vec::new(); self.nodes.len()];
        let mut add = |from: usize, to: usize| {
            if let Some(list) = children.get_mut(from) {
                if !list.contains(&to) {
                    list.push(to);
                }
            }
        };
        let undefined = |from: &str, to: &str| Error::UndefinedEdge {
            from: from.into(),
            to: to.into(),
        };
        for (own, node) in self.nodes.iter().enumerate() {
            let (from, to) = self.edges(node, &mounts);
            for name in from {
                add(
                    *index.get(name).ok_or_else(|| undefined(name, &node.name))?,
                    own,
                );
            }
            for name in to {
                let to = index.get(name.as_str());
                add(own, *to.ok_or_else(|| undefined(&node.name, name))?);
            }
        }
        Ok(children)
    }
}

/// Generation by generation as networkx does it: what nothing else must precede,
/// in the order of insertion, then what that set free, in the order of edges.
/// Fails with the nodes that wait for each other.
#[expect(
    clippy::indexing_slicing,
    reason = "every child is itself one of the places of `children`"
)]
fn sort(children: &[Vec<usize>]) -> Result<Vec<usize>, impl Iterator<Item = usize>> {
    let mut waiting_for = vec![0usize; children.len()];
    for child in children.iter().flatten() {
        waiting_for[*child] += 1;
    }
    let mut order: Vec<usize> = (0..children.len())
        .filter(|node| waiting_for[*node] == 0)
        .collect();
    let mut next = 0;
    while let Some(node) = order.get(next).copied() {
        next += 1;
        for child in &children[node] {
            waiting_for[*child] -= 1;
            if waiting_for[*child] == 0 {
                order.push(*child);
            }
        }
    }
    if order.len() == children.len() {
        return Ok(order);
    }
    Err((0..children.len()).filter(move |node| waiting_for[*node] > 0))
}
