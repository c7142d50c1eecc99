//! Block-device configurations: upstream's own, and some that reach further.

use std::path::Path;

/// A configuration and what goes with it.
pub struct Layout {
    pub name: String,
    pub config: String,
    pub fs_type: &'static str,
    /// `image-size`.
    pub gib: u64,
    /// The last command: `cleanup` or `delete`.
    pub end: &'static str,
    /// What the log says if `create` must fail.
    pub fails: Option<&'static str>,
}

impl Layout {
    fn new(name: &str, config: &str) -> Layout {
        Layout {
            name: name.into(),
            config: config.into(),
            fs_type: "ext4",
            gib: 2,
            end: "cleanup",
            fails: None,
        }
    }
}

/// The layouts that upstream's elements bring, where its sources are.
fn of_upstream() -> Vec<Layout> {
    let elements = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("upstream-fixtures/cache/diskimage-builder-3.43.0/diskimage_builder/elements");
    if !elements.is_dir() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "no {}: run scripts/fetch-fixtures",
            elements.display()
        );
        eprintln!("upstream's layouts are not tested: run scripts/fetch-fixtures");
        return Vec::new();
    }
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(&elements).sort_by_file_name() {
        let entry = entry.unwrap();
        let file = entry.file_name().to_string_lossy().into_owned();
        if !file.starts_with("block-device-") || !file.ends_with(".yaml") {
            continue;
        }
        let element = entry.path().parent().unwrap().file_name().unwrap();
        let name = format!("{}-{file}", element.to_string_lossy());
        let text = std::fs::read_to_string(entry.path()).unwrap();
        // Its root volume has 40 GiB.
        let gib = if name.contains("lvm") { 44 } else { 2 };
        found.push(Layout {
            gib,
            ..Layout::new(name.trim_end_matches(".yaml"), &text)
        });
    }
    assert_eq!(found.len(), 7);
    found
}

pub fn all() -> Vec<Layout> {
    let mut all = of_upstream();
    all.extend([
        Layout {
            fs_type: "xfs",
            end: "delete",
            ..Layout::new(
                "fallback",
                "- local_loop: {name: image0, mkfs: {name: mkfs_root, mount: {mount_point: /, fstab: {}}}}",
            )
        },
        Layout::new("logical", LOGICAL),
        Layout::new("thin", THIN),
        Layout::new("two-disks", TWO_DISKS),
        Layout::new("volumes-on-volumes", VOLUMES_ON_VOLUMES),
        Layout {
            fails: Some("block-device node 'fs_b': [mkfs -t ext4 --no-such-option"),
            ..Layout::new("bad-mkfs", BAD_MKFS)
        },
        Layout {
            fails: Some("block-device node 'big': [lvcreate"),
            ..Layout::new("bad-volume", BAD_VOLUME)
        },
    ]);
    all
}

const LOGICAL: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - {name: boot, flags: [boot, primary], size: 200MiB, mkfs: {type: ext2, label: boot, mount: {mount_point: /boot}}}
      - {name: swap, type: '0x82', size: 100MiB, mkfs: {type: swap, label: swap, mount: {mount_point: swap, fstab: {}}}}
      - {name: root, size: 60%, mkfs: {name: mkfs_root, type: btrfs, mount: {mount_point: /, fstab: {}}}}
      - {name: esp, type: '0xef', size: 100%, mkfs: {type: vfat, opts: '-F 32', mount: {mount_point: /boot/efi}}}
";

const THIN: &str = "
- local_loop: {name: image0, block_size: 4096}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: root, size: 500MiB, mkfs: {name: mkfs_root, type: xfs, label: root, uuid: 9a6d2c1e-6e4f-4b5e-8b7b-b8d4d9a2c1aa, mount: {mount_point: /}}}
      - {name: pv, type: 8E00, size: 100%}
- lvm:
    name: lvm
    pvs: [{name: pv0, base: pv, options: ['--force']}]
    vgs: [{name: vg, base: [pv0], options: ['--force']}]
    lvs:
      - {name: pool, base: vg, type: thin-pool, extents: 80%VG}
      - {name: data, base: vg, type: thin, thin-pool: pool, size: 3000MiB}
      - {name: plain, base: vg, size: 100MiB}
- mkfs: {name: fs_data, base: data, type: ext4, mount: {mount_point: /srv/data}}
- mkfs: {name: fs_plain, base: plain, type: ext3, mount: {mount_point: /srv}}
";

const TWO_DISKS: &str = "
- local_loop: {name: image0, size: 1GiB}
- local_loop: {name: image1, size: 600MiB, directory: /var/tmp/blocks/two-disks/other}
- partitioning:
    base: image0
    label: gpt
    partitions: [{name: pv-a, size: 100%}]
- partitioning:
    base: image1
    label: mbr
    partitions:
      - {name: pv-b, type: '0x8e', flags: [primary], size: 400MiB}
      - {name: usr, flags: [primary], size: 100%, mkfs: {type: ext4, mount: {mount_point: /usr}}}
- lvm:
    name: lvm
    pvs: [{name: pv0, base: pv-a}, {name: pv1, base: pv-b}]
    vgs: [{name: vg, base: [pv0, pv1]}]
    lvs: [{name: all-of-it, base: vg, extents: 100%FREE}]
- mkfs: {name: mkfs_root, base: all-of-it, type: ext4, mount: {mount_point: /}}
";

const VOLUMES_ON_VOLUMES: &str = "
- local_loop: {name: image0}
- lvm:
    name: lower
    pvs: [{name: pv0, base: image0}]
    vgs: [{name: vg0, base: [pv0]}]
    lvs: [{name: one, base: vg0, extents: 100%FREE}]
- lvm:
    name: upper
    pvs: [{name: pv1, base: one}]
    vgs: [{name: vg1, base: [pv1]}]
    lvs: [{name: two, base: vg1, extents: 90%FREE}]
- mkfs: {name: mkfs_root, base: two, type: ext4, mount: {mount_point: /}}
";

const BAD_MKFS: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: root, size: 500MiB, mkfs: {name: mkfs_root, type: ext4, mount: {mount_point: /}}}
      - {name: pv, size: 100%}
- lvm:
    name: lvm
    pvs: [{name: pv0, base: pv}]
    vgs: [{name: vg, base: [pv0]}]
    lvs: [{name: a, base: vg, size: 100MiB}, {name: b, base: vg, size: 100MiB}]
- mkfs: {name: fs_a, base: a, type: ext4, mount: {mount_point: /a}}
- mkfs: {name: fs_b, base: b, type: ext4, opts: --no-such-option, mount: {mount_point: /b}}
";

const BAD_VOLUME: &str = "
- local_loop: {name: image0}
- lvm:
    name: lvm
    pvs: [{name: pv0, base: image0}]
    vgs: [{name: vg, base: [pv0]}]
    lvs: [{name: small, base: vg, size: 100MiB}, {name: big, base: vg, size: 100GiB}]
- mkfs: {name: mkfs_root, base: small, type: ext4, mount: {mount_point: /}}
";
