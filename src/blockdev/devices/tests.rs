//! Orders and what becomes of them where something fails.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::command::Command;
use super::rehearsal::Stage;
use super::system::{Failure, System};
use super::{create, release, Error, Hands, Order};
use crate::blockdev::state::State;
use crate::blockdev::{self, Config, Disk, Graph};
use crate::error::Explain;

const CONFIG: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: root, size: 500MiB, mkfs: {name: mkfs_root, type: xfs, mount: {mount_point: /, fstab: {}}}}
      - {name: swap, size: 100MiB, mkfs: {type: swap, label: swap, mount: {mount_point: swap}}}
      - {name: pv, size: 100%}
- lvm:
    name: lvm
    pvs: [{name: pv0, base: pv}]
    vgs: [{name: vg, base: [pv0]}]
    lvs: [{name: a, base: vg, extents: 50%VG}, {name: b, base: vg, size: 42MB}]
- mkfs: {name: fs_a, base: a, type: vfat, opts: '-s 8', mount: {mount_point: /boot/efi}}
- mkfs: {name: fs_b, base: b, type: btrfs, mount: {mount_point: /boot}}
";

fn graph() -> Graph {
    Graph::new(&Config::expand(CONFIG).unwrap()).unwrap()
}

fn order(graph: &Graph) -> Order<'_> {
    Order {
        graph,
        image0_medium: None,
        populated: false,
        image_bytes: 2 << 30,
        image_dir: "/images",
        mount_base: "/mnt",
        block_size: None,
    }
}

/// A system where commands fail and things are missing.
#[derive(Default)]
struct Faulty {
    stage: Stage,
    /// What the command lines that fail begin with, and how often they do.
    fails: Vec<(&'static str, usize)>,
    missing: &'static str,
    medium: u64,
    unmounted: bool,
    pauses: usize,
    removed: Vec<String>,
}

impl System for Faulty {
    fn run(&mut self, command: &Command) -> Result<String, Failure> {
        let answer = self.stage.run(command);
        let line = command.to_string();
        for (start, times) in &mut self.fails {
            if line.starts_with(*start) && *times > 0 {
                *times -= 1;
                return Err(Failure::Status {
                    status: "exit status 5".into(),
                    output: "because".into(),
                });
            }
        }
        answer
    }

    fn make_image(&mut self, _: &Path, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn remove_image(&mut self, path: &Path) -> io::Result<()> {
        self.removed.push(path.display().to_string());
        Ok(())
    }

    fn size(&self, _: &Path) -> io::Result<u64> {
        Ok(self.medium)
    }

    fn write_table(&mut self, disk: &Disk, on: &str, bytes: u64) -> Result<(), blockdev::Error> {
        self.stage.write_table(disk, on, bytes)
    }

    fn make_mount_point(&mut self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn exists(&self, path: &str) -> bool {
        path != self.missing
    }

    fn is_mounted(&self, _: &str) -> io::Result<bool> {
        Ok(!self.unmounted)
    }

    fn uuid(&mut self) -> io::Result<String> {
        Ok("u-u-i-d".into())
    }

    fn sync(&mut self) {}

    fn pause(&mut self, _: Duration) {
        self.pauses += 1;
    }
}

impl Faulty {
    fn lines(&mut self) -> Vec<String> {
        let commands = std::mem::take(&mut self.stage.commands);
        commands.iter().map(|words| words.join(" ")).collect()
    }

    fn create(&mut self, order: &Order) -> Result<State, Error> {
        let hands = Hands {
            system: self,
            log: &mut |_| {},
        };
        let (state, result) = create::run(order, hands);
        result.map(|()| state)
    }

    fn release<T>(&mut self, how: impl FnOnce(&mut Hands) -> T) -> T {
        how(&mut Hands {
            system: self,
            log: &mut |_| {},
        })
    }
}

#[test]
fn commands_of_a_creation() {
    let graph = graph();
    let mut system = Faulty::default();
    let state = system.create(&order(&graph)).unwrap();
    assert_eq!(
        system.lines(),
        [
            "losetup --sector-size 512 --show -f /images/image0.raw",
            "modprobe dm_mod",
            "kpartx -uvs /dev/loop0",
            "mkfs -t xfs -L mkfs_root -m uuid=u-u-i-d -q /dev/mapper/loop0p1",
            "mount /dev/mapper/loop0p1 /mnt/",
            "mkswap -L swap -U u-u-i-d /dev/mapper/loop0p2",
            "modprobe dm_mod",
            "pvcreate /dev/mapper/loop0p3",
            "vgcreate vg /dev/mapper/loop0p3",
            "lvcreate --name a -l 50%VG vg",
            "lvcreate --name b -L 41943040B vg",
            "mkfs -t vfat -s 8 -n FS_A /dev/mapper/vg-a",
            "mkfs -t btrfs -L fs_b /dev/mapper/vg-b",
            "mount /dev/mapper/vg-b /mnt/boot",
            "mount /dev/mapper/vg-a /mnt/boot/efi",
        ]
    );
    // What another process reads.
    let state = State::from_json(&state.to_json()).unwrap();
    system
        .release(|hands| release::umount(&state, hands))
        .unwrap();
    assert_eq!(
        system.lines(),
        [
            "umount /mnt/boot/efi",
            "fstrim --verbose /mnt/boot",
            "umount /mnt/boot",
            "fstrim --verbose /mnt/",
            "umount /mnt/",
            "lvchange -an /dev/vg/a",
            "lvchange -an /dev/vg/b",
            "vgchange -an vg",
            "kpartx -d /dev/loop0",
            "losetup -d /dev/loop0",
        ]
    );
    system.release(|hands| release::cleanup(&state, hands));
    assert_eq!(system.lines(), ["pvscan --cache"]);
    system.missing = "/sys/block/loop0/loop";
    system.unmounted = true;
    system
        .release(|hands| release::delete(&state, hands))
        .unwrap();
    assert_eq!(system.lines(), [""; 0]);
    assert_eq!(system.removed, ["/images/image0.raw"]);
}

#[test]
fn what_is_there_already_is_only_attached() {
    let graph = graph();
    let order = Order {
        populated: true,
        image0_medium: Some(Path::new("/dev/vdc")),
        block_size: Some(4096),
        ..order(&graph)
    };
    let mut system = Faulty {
        medium: 3 << 30,
        ..Faulty::default()
    };
    system.create(&order).unwrap();
    let lines = system.lines();
    let attach = "losetup --sector-size 4096 --sizelimit 2147483648 --show -f /dev/vdc";
    assert_eq!(lines[0], attach);
    assert!(lines.contains(&"vgchange -ay vg".to_owned()), "{lines:?}");
    let made = ["mkfs", "mkswap", "pvcreate", "vgcreate", "lvcreate"];
    let makes = |line: &String| made.iter().any(|tool| line.starts_with(tool));
    assert!(!lines.iter().any(makes), "{lines:?}");
    let mounts = lines.iter().filter(|line| line.starts_with("mount "));
    assert_eq!(mounts.count(), 3);
}

#[test]
fn a_failure_takes_back_what_was_made() {
    let graph = graph();
    let mut system = Faulty {
        fails: vec![("mkfs -t btrfs", 1)],
        ..Faulty::default()
    };
    let error = system.create(&order(&graph)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "block-device node 'fs_b': [mkfs -t btrfs -L fs_b /dev/mapper/vg-b] failed \
         (exit status 5): because"
    );
    assert!(error.hint().is_some());
    let lines = system.lines();
    let failed = lines.iter().position(|line| line.starts_with("mkfs -t b"));
    assert_eq!(
        lines[failed.unwrap() + 1..],
        [
            "lvchange -an /dev/vg/b",
            "lvremove --yes /dev/vg/b",
            "lvchange -an /dev/vg/a",
            "lvremove --yes /dev/vg/a",
            "vgremove --yes --force vg",
            "umount /mnt/",
            "kpartx -d /dev/loop0",
            "losetup -d /dev/loop0",
        ]
    );
    assert_eq!(system.removed, ["/images/image0.raw"]);
}

#[test]
fn what_cannot_be_taken_back_is_told_beside_the_reason() {
    let graph = graph();
    let mut system = Faulty {
        fails: vec![("mkfs -t xfs", 1), ("kpartx -d", 1)],
        ..Faulty::default()
    };
    let error = system.create(&order(&graph)).unwrap_err().to_string();
    assert!(error.contains("'mkfs_root': [mkfs -t xfs"), "{error}");
    assert!(error.contains("[kpartx -d /dev/loop0] failed"), "{error}");
    assert!(system.lines().contains(&"losetup -d /dev/loop0".to_owned()));
}

#[test]
fn devices_that_do_not_appear_and_small_disks_are_errors() {
    let graph = graph();
    let mut system = Faulty {
        missing: "/dev/mapper/loop0p2",
        ..Faulty::default()
    };
    let error = system.create(&order(&graph)).unwrap_err().to_string();
    assert!(error.contains("made no /dev/mapper/loop0p2"), "{error}");
    let order = Order {
        image0_medium: Some(Path::new("/dev/vdc")),
        ..order(&graph)
    };
    let error = system.create(&order).unwrap_err().to_string();
    assert!(error.contains("/dev/vdc has 0 bytes"), "{error}");
}

#[test]
fn a_busy_mount_is_tried_nine_times() {
    let graph = graph();
    let mut system = Faulty::default();
    let state = system.create(&order(&graph)).unwrap();
    system.fails = vec![("umount /mnt/boot/efi", 8)];
    system
        .release(|hands| release::umount(&state, hands))
        .unwrap();
    assert_eq!(system.pauses, 8);
    system.fails = vec![("umount /mnt/boot/efi", 9)];
    let result = system.release(|hands| release::umount(&state, hands));
    let error = result.unwrap_err();
    assert!(error.to_string().contains("'mount_fs_a'"), "{error}");
    assert!(error.hint().unwrap().contains("process"));
}
