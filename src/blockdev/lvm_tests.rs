//! LVM, several disks and larger sectors: layouts, device names, the state.

use std::collections::BTreeMap;

use super::state::{partition_device, volume_device, Created, State};
use super::*;

const LVM: &str = "
- local_loop: {name: data, size: 20GiB, directory: /d, block_size: '4096'}
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: ESP, type: EF00, size: 550MiB, mkfs: {type: vfat, mount: {mount_point: /boot/efi}}}
      - {name: root, size: 100%}
- lvm:
    name: lvm
    pvs:
      - {name: pv1, base: root, options: [--force]}
      - {name: pv2, base: data}
    vgs:
      - {name: vg, base: [pv1, pv2]}
    lvs:
      - {name: pool, base: vg, type: thin-pool, size: 9001MB}
      - {name: thin, base: vg, type: thin, thin-pool: pool, size: 20GiB, options: [--yes]}
      - {name: rest, base: vg, extents: 100%FREE}
- mkfs: {name: mkfs_root, base: thin, mount: {mount_point: /, fstab: {}}}
- mkfs: {name: swap, base: rest, type: swap, mount: {mount_point: none, fstab: {}}}
";

fn graph(text: &str) -> Result<Graph, Error> {
    let mut config = Config::expand(text)?;
    let params = RootParams {
        fs_type: "ext4".into(),
        ..RootParams::default()
    };
    config.merge_root(&params.to_value());
    Graph::new(&config)
}

fn created() -> Created {
    let loops = [("image0", "/dev/loop3"), ("data", "/dev/loop9")];
    let own = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
    Created {
        loops: loops.map(own).into(),
        uuids: BTreeMap::new(),
        image_bytes: 8 << 30,
        image_dir: "/tmp/image".into(),
        mount_base: "/tmp/build/mnt".into(),
        block_size: None,
    }
}

#[test]
fn layout_of_volumes() {
    let made = graph(LVM).unwrap().layout().unwrap();
    let disks: Vec<_> = made.disks.iter().map(|disk| disk.name.as_str()).collect();
    assert_eq!(disks, ["image0", "data"], "the output comes first");
    let data = &made.disks[1];
    assert_eq!((data.size, data.block_size), (Some(20 << 30), 4096));
    assert_eq!(data.directory.as_deref(), Some("/d"));
    let on: Vec<_> = made
        .lvm
        .physical_volumes
        .iter()
        .map(|pv| &pv.backing)
        .collect();
    let root = Backing::Partition {
        disk: 0,
        partition: 1,
    };
    assert_eq!(on, [&root, &Backing::Disk(1)]);
    let backings: Vec<_> = made.filesystems.iter().map(|fs| &fs.backing).collect();
    let esp = Backing::Partition {
        disk: 0,
        partition: 0,
    };
    assert_eq!(backings, [&Backing::Volume(1), &esp, &Backing::Volume(2)]);
    let arguments: Vec<String> = made
        .lvm
        .logical_volumes
        .iter()
        .map(|volume| volume.arguments().join(" "))
        .collect();
    assert_eq!(
        arguments,
        [
            // 9001 MB, down to whole extents.
            "--name pool --type thin-pool -L 9000976384B vg",
            "--name thin --type thin --thin-pool pool -V 21474836480B --yes vg",
            "--name rest -l 100%FREE vg",
        ]
    );
    let (node, what) = made.beyond_offline().unwrap();
    assert_eq!((node, what.as_str()), ("data", "more than one local_loop"));
    let text = serde_json::to_string(&made).unwrap();
    assert_eq!(serde_json::from_str::<Layout>(&text).unwrap(), made);
}

#[test]
fn order_and_state() {
    let graph = graph(LVM).unwrap();
    let order: Vec<_> = graph.in_order().map(|node| node.name.as_str()).collect();
    assert_eq!(
        order,
        [
            "data",
            "image0",
            "ESP",
            "mkfs_ESP",
            "root",
            "lvm",
            "pv1",
            "pv2",
            "vg",
            "pool",
            "thin",
            "rest",
            "mkfs_root",
            "swap",
            "mount_mkfs_root",
            "mount_mkfs_ESP",
            "fstab_mount_mkfs_root",
            "mount_swap",
            "fstab_mount_swap",
        ]
    );
    let text = serde_json::to_string(&graph).unwrap();
    assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), graph);
    let state = State::after_create(&graph, &created()).unwrap();
    assert_eq!(state.image_path().unwrap(), "/tmp/image/image0.raw");
    assert_eq!(state.image_block_device().unwrap(), "/dev/loop3");
    assert_eq!(
        state.image_block_devices().unwrap(),
        " [data]=/dev/loop9  [image0]=/dev/loop3  [ESP]=/dev/mapper/loop3p1  \
         [root]=/dev/mapper/loop3p2  [pool]=/dev/mapper/vg-pool  [thin]=/dev/mapper/vg-thin  \
         [rest]=/dev/mapper/vg-rest "
    );
    assert_eq!(
        state.fstab().unwrap(),
        "LABEL=cloudimg-rootfs / ext4 defaults 0 2\nLABEL=swap none swap sw 0 0\n"
    );
    assert_eq!(State::from_json(&state.to_json()).unwrap(), state);
    let without = Created::default();
    let error = State::after_create(&graph, &without).unwrap_err();
    assert!(
        error.to_string().contains("disk 'data' has no device"),
        "{error}"
    );
}

#[test]
fn device_names() {
    assert_eq!(partition_device("/dev/loop12", 5), "/dev/mapper/loop12p5");
    assert_eq!(volume_device("vg", "lv_root"), "/dev/mapper/vg-lv_root");
    assert_eq!(volume_device("a-b", "c-d"), "/dev/mapper/a--b-c--d");
}

#[test]
fn sectors_of_4096() {
    let text = "
- local_loop: {name: image0, block_size: 4096}
- partitioning: {base: image0, label: LABEL, partitions: [{name: p, size: 8MiB}, {name: q, size: 100%}]}
";
    let made = graph(&text.replace("LABEL", "gpt"))
        .unwrap()
        .layout()
        .unwrap();
    let mib = 1 << 20;
    let extents = place(&made.disks[0], 64 * mib).unwrap();
    let found: Vec<_> = extents
        .iter()
        .map(|e| (e.start / mib, e.size / mib))
        .collect();
    assert_eq!(found, [(1, 8), (9, 54)]);
    assert!(matches!(
        place(&made.disks[0], 64 * mib + 512),
        Err(Error::OddDisk { sector: 4096, .. })
    ));
    let mbr = graph(&text.replace("LABEL", "mbr"))
        .unwrap()
        .layout()
        .unwrap();
    let error = place(&mbr.disks[0], 64 * mib).unwrap_err();
    assert!(matches!(error, Error::MbrSectors { sector: 4096, .. }));
    let (_, what) = made.beyond_offline().unwrap();
    assert_eq!(what, "block_size 4096");
}

#[test]
fn what_networkx_calls_unfeasible() {
    let circle = "- mkfs: {name: a, base: b, type: ext4}\n- mkfs: {name: b, base: a, type: ext4}";
    let error = graph(circle).unwrap_err().to_string();
    assert_eq!(error, "Graph contains a cycle: a, b");
}
