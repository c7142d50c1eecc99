//! The checked layout of a disk, and the values that upstream's `getval` and
//! `writefstab` print of it.

use std::collections::HashMap;

use super::config::{self, Entry, Plugin};
use super::nodes::{self, Disk, Fstab, Mkfs, Mount, Table};
use super::{Backing, Error, Filesystem, FstabEntry, Layout, RootParams};

/// Turns a configuration into a layout. `yaml` is the text of the
/// configuration, `params` what the command line says about the root filesystem.
///
/// # Errors
/// Everything that upstream finds while it sets up and creates the device, with
/// the node concerned; what this version does not build is
/// [`Error::Unsupported`].
pub fn layout(yaml: &str, params: &RootParams) -> Result<Layout, Error> {
    let mut entries = config::parse(yaml)?;
    config::merge_root(&mut entries, params);
    let nodes = Nodes::collect(&entries)?;
    nodes.check_edges()?;
    nodes.into_layout()
}

#[derive(Default)]
struct Nodes {
    kinds: HashMap<String, Plugin>,
    disks: Vec<Disk>,
    tables: Vec<Table>,
    mkfs: Vec<Mkfs>,
    mounts: Vec<Mount>,
    fstabs: Vec<Fstab>,
}

impl Nodes {
    fn collect(entries: &[Entry]) -> Result<Nodes, Error> {
        let mut all = Nodes::default();
        for entry in entries {
            match entry.plugin {
                Plugin::LocalLoop => all.disks.push(nodes::disk(entry)?),
                Plugin::Partitioning => {
                    let table = nodes::table(entry)?;
                    for partition in &table.table.partitions {
                        all.register(&partition.name, Plugin::Partitioning)?;
                    }
                    all.tables.push(table);
                    // The table itself is no node: its partitions are.
                    continue;
                }
                Plugin::Lvm => {
                    return Err(Error::Unsupported {
                        node: entry.name.clone(),
                        what: "lvm".into(),
                    })
                }
                Plugin::Mkfs => all.add_mkfs(nodes::mkfs(entry)?)?,
                Plugin::Mount => all.add_mount(nodes::mount(entry)?)?,
                Plugin::Fstab => all.fstabs.push(nodes::fstab(entry)?),
            }
            all.register(&entry.name, entry.plugin)?;
        }
        Ok(all)
    }

    fn register(&mut self, name: &str, kind: Plugin) -> Result<(), Error> {
        match self.kinds.insert(name.into(), kind) {
            Some(_) => Err(Error::DuplicateNode(name.into())),
            None => Ok(()),
        }
    }

    fn add_mkfs(&mut self, mkfs: Mkfs) -> Result<(), Error> {
        if self.mkfs.iter().any(|other| other.label == mkfs.label) {
            return Err(Error::DuplicateLabel {
                label: mkfs.label,
                node: mkfs.name,
            });
        }
        self.mkfs.push(mkfs);
        Ok(())
    }

    fn add_mount(&mut self, mount: Mount) -> Result<(), Error> {
        let taken = |other: &Mount| other.mount_point == mount.mount_point;
        if self.mounts.iter().any(taken) {
            return Err(Error::DuplicateMount {
                mount_point: mount.mount_point,
                node: mount.name,
            });
        }
        self.mounts.push(mount);
        Ok(())
    }

    fn check_edges(&self) -> Result<(), Error> {
        let devices: &[Plugin] = &[Plugin::LocalLoop, Plugin::Partitioning];
        for table in &self.tables {
            for partition in &table.table.partitions {
                self.check(&partition.name, &table.base, &[Plugin::LocalLoop], "a disk")?;
            }
        }
        for mkfs in &self.mkfs {
            self.check(&mkfs.name, &mkfs.base, devices, "a disk or a partition")?;
        }
        for mount in &self.mounts {
            self.check(&mount.name, &mount.base, &[Plugin::Mkfs], "a mkfs")?;
        }
        for fstab in &self.fstabs {
            self.check(&fstab.name, &fstab.base, &[Plugin::Mount], "a mount")?;
        }
        let tables = self
            .tables
            .iter()
            .map(|t| (t.name.as_str(), t.base.as_str()));
        let mkfs = self.mkfs.iter().map(|m| (m.name.as_str(), m.base.as_str()));
        only_one_each(tables.chain(mkfs))?;
        only_one_each(
            self.mounts
                .iter()
                .map(|m| (m.name.as_str(), m.base.as_str())),
        )?;
        only_one_each(
            self.fstabs
                .iter()
                .map(|f| (f.name.as_str(), f.base.as_str())),
        )
    }

    fn check(
        &self,
        node: &str,
        base: &str,
        kinds: &[Plugin],
        expected: &'static str,
    ) -> Result<(), Error> {
        match self.kinds.get(base) {
            Some(kind) if kinds.contains(kind) => Ok(()),
            Some(_) => Err(Error::WrongBase {
                node: node.into(),
                base: base.into(),
                expected,
            }),
            None => Err(Error::UndefinedEdge {
                from: base.into(),
                to: node.into(),
            }),
        }
    }

    fn into_layout(mut self) -> Result<Layout, Error> {
        let disk = self.the_disk()?;
        let table = self.tables.pop().map(|table| table.table);
        let mount_points = self.mounts.iter().map(|m| m.mount_point.clone()).collect();
        let backings: HashMap<&str, Backing> = table
            .iter()
            .flat_map(|table| table.partitions.iter().enumerate())
            .map(|(index, partition)| (partition.name.as_str(), Backing::Partition(index)))
            .collect();
        self.mounts
            .sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
        let position = |mkfs: &Mkfs| {
            self.mounts
                .iter()
                .position(|mount| mount.base == mkfs.name)
                .unwrap_or(usize::MAX)
        };
        let mut mkfs: Vec<Mkfs> = self.mkfs;
        mkfs.sort_by_key(position);
        let filesystems = mkfs
            .into_iter()
            .map(|mkfs| {
                let backing = backings.get(mkfs.base.as_str()).cloned();
                let mount = self.mounts.iter().find(|mount| mount.base == mkfs.name);
                filesystem(mkfs, backing, mount, &self.fstabs)
            })
            .collect();
        drop(backings);
        Ok(Layout {
            disk: disk.name,
            disk_size: disk.size,
            table,
            filesystems,
            mount_points,
        })
    }

    fn the_disk(&mut self) -> Result<Disk, Error> {
        if let [_, second, ..] = self.disks.as_slice() {
            return Err(Error::Unsupported {
                node: second.name.clone(),
                what: "more than one local_loop".into(),
            });
        }
        match self.disks.pop() {
            Some(disk) if disk.name == "image0" => Ok(disk),
            Some(disk) => Err(Error::NoImage0(format!(", but one named {}", disk.name))),
            None => Err(Error::NoImage0(String::new())),
        }
    }
}

fn only_one_each<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Error> {
    let mut users: HashMap<&str, &str> = HashMap::new();
    for (node, base) in pairs {
        if let Some(other) = users.insert(base, node) {
            return Err(Error::BaseTaken {
                node: node.into(),
                base: base.into(),
                other: other.into(),
            });
        }
    }
    Ok(())
}

fn filesystem(
    mkfs: Mkfs,
    backing: Option<Backing>,
    mount: Option<&Mount>,
    fstabs: &[Fstab],
) -> Filesystem {
    let swap = mkfs.fstype == "swap";
    let fstab = mount
        .and_then(|mount| fstabs.iter().find(|fstab| fstab.base == mount.name))
        .map(|fstab| match swap {
            true => FstabEntry {
                options: "sw".into(),
                dump_freq: 0,
                fsck_passno: 0,
            },
            false => fstab.entry.clone(),
        });
    Filesystem {
        node: mkfs.name,
        // A base that is no partition is the disk: `check_edges` saw to it.
        backing: backing.unwrap_or(Backing::Disk),
        fstype: mkfs.fstype,
        label: mkfs.label,
        configured_label: mkfs.configured_label,
        uuid: mkfs.uuid,
        options: mkfs.options,
        mount_point: mount.filter(|_| !swap).map(|m| m.mount_point.clone()),
        fstab,
    }
}

impl Layout {
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
