//! The checked layout of the disks, and the values that upstream's `getval` and
//! `writefstab` print of it.

use std::collections::HashMap;

use super::graph::{FstabNode, Kind, MkfsNode, MountNode, Node, Table};
use super::{
    Backing, Config, Disk, Error, Filesystem, FstabEntry, Graph, Layout, Lvm, PhysicalVolume,
    RootParams, VolumeGroup,
};

/// Turns a configuration into a layout. `yaml` is the text of the
/// configuration, `params` what the command line says about the root filesystem.
///
/// # Errors
/// Everything that upstream finds while it sets up and creates the device, with
/// the node concerned.
pub fn layout(yaml: &str, params: &RootParams) -> Result<Layout, Error> {
    Graph::new(&config(yaml, params)?)?.layout()
}

/// Expands a configuration; arguments as for [`layout()`].
///
/// # Errors
/// As [`layout()`], but for what only the nodes show.
pub fn config(yaml: &str, params: &RootParams) -> Result<Config, Error> {
    let mut config = Config::expand(yaml)?;
    config.merge_root(&params.to_value());
    Ok(config)
}

impl Graph {
    /// What the nodes come to.
    ///
    /// # Errors
    /// A base of the wrong kind or used twice, no disk named `image0`.
    pub fn layout(&self) -> Result<Layout, Error> {
        self.check_bases()?;
        let (disks, mut backings) = self.disks()?;
        let lvm = self.lvm(&mut backings);
        Ok(Layout {
            disks,
            lvm,
            filesystems: self.made_filesystems(&backings),
            mount_points: self
                .mounts()
                .map(|(_, mount)| mount.mount_point.clone())
                .collect(),
        })
    }

    fn check_bases(&self) -> Result<(), Error> {
        let mut users = HashMap::new();
        for table in &self.tables {
            for partition in &table.table.partitions {
                self.check(&partition.name, &table.base, is_disk, "a disk")?;
            }
            only_user(&mut users, &table.name, &table.base)?;
        }
        for node in &self.nodes {
            let (base, fits, expected): (_, fn(&Kind) -> bool, _) = match &node.kind {
                Kind::Mkfs(mkfs) => (&mkfs.base, is_device, "a disk, partition or logical volume"),
                Kind::PhysicalVolume { base, .. } => {
                    (base, is_device, "a disk, partition or logical volume")
                }
                Kind::Mount(mount) => (&mount.base, |k| matches!(k, Kind::Mkfs(_)), "a mkfs"),
                Kind::Fstab(fstab) => (&fstab.base, |k| matches!(k, Kind::Mount(_)), "a mount"),
                _ => continue,
            };
            self.check(&node.name, base, fits, expected)?;
            only_user(&mut users, &node.name, base)?;
        }
        Ok(())
    }

    fn check(
        &self,
        node: &str,
        base: &str,
        fits: impl Fn(&Kind) -> bool,
        expected: &'static str,
    ) -> Result<(), Error> {
        match self.node(base) {
            Some(found) if fits(&found.kind) => Ok(()),
            _ => Err(Error::WrongBase {
                node: node.into(),
                base: base.into(),
                expected,
            }),
        }
    }

    /// Disks with their tables, `image0` first, and where devices are by name.
    fn disks(&self) -> Result<(Vec<Disk>, HashMap<&str, Backing>), Error> {
        let mut disks: Vec<Disk> = self.nodes.iter().filter_map(|n| self.disk(n)).collect();
        if !disks.iter().any(|disk| disk.name == "image0") {
            let others: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
            return Err(Error::NoImage0(match others.as_slice() {
                [] => String::new(),
                others => format!(", but one named {}", others.join(", ")),
            }));
        }
        disks.sort_by_key(|disk| disk.name != "image0");
        let mut backings = HashMap::new();
        for node in &self.nodes {
            let index = |name: &str| disks.iter().position(|disk| disk.name == name);
            let backing = match &node.kind {
                Kind::Disk(_) => index(&node.name).map(Backing::Disk),
                Kind::Partition { table, partition } => self
                    .tables
                    .get(*table)
                    .and_then(|table| index(&table.base))
                    .map(|disk| Backing::Partition {
                        disk,
                        partition: *partition,
                    }),
                _ => None,
            };
            backings.extend(backing.map(|backing| (node.name.as_str(), backing)));
        }
        Ok((disks, backings))
    }

    /// The disk that a node makes.
    pub(super) fn disk(&self, node: &Node) -> Option<Disk> {
        let Kind::Disk(disk) = &node.kind else {
            return None;
        };
        let of_this = |table: &&Table| table.base == node.name;
        Some(Disk {
            name: node.name.clone(),
            size: disk.size,
            block_size: disk.block_size,
            directory: disk.directory.clone(),
            table: self
                .tables
                .iter()
                .find(of_this)
                .map(|table| table.table.clone()),
        })
    }

    /// All volumes in the order in which upstream makes them: `lvm` entry by
    /// `lvm` entry, each all of its physical volumes first.
    fn lvm<'a>(&'a self, backings: &mut HashMap<&'a str, Backing>) -> Lvm {
        let mut lvm = Lvm::default();
        let entries = self.in_order().filter_map(|node| match &node.kind {
            Kind::Lvm(entry) => Some(entry),
            _ => None,
        });
        let names = entries.flat_map(|entry| {
            let physical = entry.physical_volumes.iter();
            physical
                .chain(&entry.volume_groups)
                .chain(&entry.logical_volumes)
        });
        for node in names.filter_map(|name| self.node(name)) {
            match &node.kind {
                Kind::PhysicalVolume { base, options } => {
                    // The base was made before: the order of nodes sees to it.
                    if let Some(backing) = backings.get(base.as_str()) {
                        lvm.physical_volumes.push(PhysicalVolume {
                            name: node.name.clone(),
                            backing: backing.clone(),
                            options: options.clone(),
                        });
                    }
                }
                Kind::VolumeGroup {
                    physical_volumes,
                    options,
                } => lvm.volume_groups.push(VolumeGroup {
                    name: node.name.clone(),
                    physical_volumes: physical_volumes.clone(),
                    options: options.clone(),
                }),
                Kind::LogicalVolume(volume) => {
                    let index = lvm.logical_volumes.len();
                    backings.insert(&node.name, Backing::Volume(index));
                    lvm.logical_volumes.push(volume.clone());
                }
                _ => {}
            }
        }
        lvm
    }

    fn made_filesystems(&self, backings: &HashMap<&str, Backing>) -> Vec<Filesystem> {
        let sorted = self.sorted_mounts();
        let mount_of = |name: &str| self.mounts().find(|(_, mount)| mount.base == name);
        let mut all: Vec<(&str, &MkfsNode)> = self.filesystems().collect();
        all.sort_by_key(|(name, _)| {
            let mount = mount_of(name).map(|(mount, _)| mount);
            mount
                .and_then(|mount| sorted.iter().position(|(_, node)| *node == mount))
                .unwrap_or(usize::MAX)
        });
        all.into_iter()
            .filter_map(|(name, mkfs)| {
                // Always there: `check_bases` saw to it.
                let backing = backings.get(mkfs.base.as_str())?.clone();
                let mount = mount_of(name);
                let fstab = mount.and_then(|(mount, _)| self.fstab_of(mount));
                Some(filesystem(name, mkfs, backing, mount, fstab))
            })
            .collect()
    }

    fn fstab_of(&self, mount: &str) -> Option<&FstabNode> {
        self.nodes.iter().find_map(|node| match &node.kind {
            Kind::Fstab(fstab) if fstab.base == mount => Some(fstab),
            _ => None,
        })
    }
}

fn is_disk(kind: &Kind) -> bool {
    matches!(kind, Kind::Disk(_))
}

fn is_device(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Disk(_) | Kind::Partition { .. } | Kind::LogicalVolume(_)
    )
}

/// A base carries one table, filesystem, physical volume, mount or line.
fn only_user<'a>(
    users: &mut HashMap<&'a str, &'a str>,
    node: &'a str,
    base: &'a str,
) -> Result<(), Error> {
    match users.insert(base, node) {
        None => Ok(()),
        Some(other) => Err(Error::BaseTaken {
            node: node.into(),
            base: base.into(),
            other: other.into(),
        }),
    }
}

fn filesystem(
    name: &str,
    mkfs: &MkfsNode,
    backing: Backing,
    mount: Option<(&str, &MountNode)>,
    fstab: Option<&FstabNode>,
) -> Filesystem {
    let swap = mkfs.fstype == "swap";
    let line = |fstab: &FstabNode| match swap {
        true => FstabEntry::swap(),
        false => fstab.entry.clone(),
    };
    Filesystem {
        node: name.into(),
        backing,
        fstype: mkfs.fstype.clone(),
        label: mkfs.label.clone(),
        configured_label: mkfs.configured_label.clone(),
        uuid: mkfs.uuid.clone(),
        options: mkfs.options.clone().unwrap_or_default(),
        mount_point: mount
            .filter(|_| !swap)
            .map(|(_, mount)| mount.mount_point.clone()),
        fstab: fstab.map(line),
    }
}

impl FstabEntry {
    /// What swap gets, whatever is configured.
    pub(super) fn swap() -> FstabEntry {
        FstabEntry {
            options: "sw".into(),
            dump_freq: 0,
            fsck_passno: 0,
        }
    }
}

impl Layout {
    /// The disk that becomes the output.
    ///
    /// # Errors
    /// [`Error::NoImage0`] for a layout that [`layout`] did not make.
    pub fn image0(&self) -> Result<&Disk, Error> {
        self.disks
            .first()
            .ok_or_else(|| Error::NoImage0(String::new()))
    }

    /// The first node that no file alone can hold, and what about it: what is
    /// beyond one disk of 512-byte sectors with plain filesystems.
    pub fn beyond_offline(&self) -> Option<(&str, String)> {
        for (index, disk) in self.disks.iter().enumerate() {
            let what = match &disk.directory {
                _ if index > 0 => "more than one local_loop".into(),
                Some(directory) => format!("directory {directory}"),
                None if disk.block_size != 512 => format!("block_size {}", disk.block_size),
                None => continue,
            };
            return Some((&disk.name, what));
        }
        let lvm = self.lvm.physical_volumes.first();
        lvm.map(|volume| (volume.name.as_str(), "lvm".into()))
    }

    /// Gives all disks sectors of this size, as `DIB_BLOCK_SIZE` does.
    pub fn override_block_size(&mut self, bytes: u32) {
        for disk in &mut self.disks {
            disk.block_size = bytes;
        }
    }

    fn mounted_at(&self, path: &str) -> Option<&Filesystem> {
        self.filesystems
            .iter()
            .find(|filesystem| filesystem.mount_point.as_deref() == Some(path))
    }

    /// The filesystem mounted at `/`.
    ///
    /// # Errors
    /// [`Error::NoRoot`] if there is none.
    pub fn root(&self) -> Result<&Filesystem, Error> {
        self.mounted_at("/").ok_or(Error::NoRoot)
    }

    /// `getval root-label`: the label as configured, else the node's name
    /// (where upstream ends with a `KeyError`).
    ///
    /// # Errors
    /// [`Error::NoRoot`].
    pub fn root_label(&self) -> Result<String, Error> {
        self.root().map(Filesystem::label_before_upper_case)
    }

    /// `getval root-fstype`.
    ///
    /// # Errors
    /// [`Error::NoRoot`].
    pub fn root_fstype(&self) -> Result<String, Error> {
        self.root().map(|root| root.fstype.clone())
    }

    /// `getval boot-label`: empty without a filesystem at `/boot`; not the
    /// upper-cased form that vfat carries.
    pub fn boot_label(&self) -> String {
        self.mounted_at("/boot")
            .map(Filesystem::label_before_upper_case)
            .unwrap_or_default()
    }

    /// `getval mount-points`: configuration order, joined with `|`.
    pub fn mount_points(&self) -> String {
        self.mount_points.join("|")
    }

    /// The text of `etc/fstab` (`cmd_writefstab`): filesystems with a mount and
    /// an fstab entry, in mount order.
    pub fn fstab(&self) -> String {
        let mut text = String::new();
        for filesystem in &self.filesystems {
            if let Some(entry) = &filesystem.fstab {
                text += &format!(
                    "LABEL={} {} {} {} {} {}\n",
                    filesystem.label,
                    filesystem.mount_point.as_deref().unwrap_or("none"),
                    filesystem.fstype,
                    entry.options,
                    entry.dump_freq,
                    entry.fsck_passno,
                );
            }
        }
        text
    }
}

impl Filesystem {
    fn label_before_upper_case(&self) -> String {
        self.configured_label
            .clone()
            .unwrap_or_else(|| self.node.clone())
    }
}
