//! Configurations and the layouts, texts and errors that follow from them.
use super::*;

fn params() -> RootParams {
    RootParams {
        fs_type: "ext4".into(),
        root_label: String::new(),
        root_opts: vec!["-i".into(), "4096".into()],
    }
}

const EFI: &str = "
- local_loop: {name: image0, size: 4GiB}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - name: ESP
        type: EF00
        size: 550MiB
        mkfs: {type: vfat, mount: {mount_point: /boot/efi, fstab: {options: defaults}}}
      - {name: BSP, type: 'EF02', size: 8MiB}
      - name: root
        size: 100%
        flags: [boot]
        mkfs: {type: ext4, mount: {mount_point: /, fstab: {fsck-passno: 1}}}
";

#[test]
fn fallback_takes_the_root_parameters() {
    let made = layout(default_config(), &params()).unwrap();
    assert_eq!(made.disks[0].table, None);
    let root = made.root().unwrap();
    assert_eq!(
        (root.node.as_str(), root.label.as_str()),
        ("mkfs_root", "cloudimg-rootfs")
    );
    assert_eq!(root.options, ["-i", "4096"]);
    assert_eq!(made.fstab(), "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n");
    let xfs = RootParams {
        fs_type: "xfs".into(),
        ..params()
    };
    assert_eq!(
        layout(default_config(), &xfs)
            .unwrap()
            .root_label()
            .unwrap(),
        "img-rootfs"
    );
    let named = RootParams {
        root_label: "mine".into(),
        ..params()
    };
    assert_eq!(
        layout(default_config(), &named)
            .unwrap()
            .root_label()
            .unwrap(),
        "mine"
    );
}

#[test]
fn efi_layout() {
    let made = layout(EFI, &params()).unwrap();
    assert_eq!(made.disks[0].size, Some(4 << 30));
    assert_eq!(made.mount_points(), "/boot/efi|/");
    assert_eq!(made.root_fstype().unwrap(), "ext4");
    assert_eq!(made.boot_label(), "");
    assert_eq!(
        made.fstab(),
        "LABEL=cloudimg-rootfs / ext4 defaults 0 1\nLABEL=MKFS_ESP /boot/efi vfat defaults 0 2\n"
    );
    assert_eq!(
        made.filesystems[0].backing,
        Backing::Partition {
            disk: 0,
            partition: 2
        }
    );
    assert_eq!(
        made.filesystems[1].backing,
        Backing::Partition {
            disk: 0,
            partition: 0
        }
    );
}

#[test]
fn graph_form_equals_tree_form() {
    let graph = "
- mount: {name: m_root, base: mkfs_root, mount_point: /}
- fstab: {name: f_root, base: m_root, fsck-passno: '1'}
- local_loop: {name: image0}
- partitioning:
    name: table
    base: image0
    label: mbr
    partitions: [{name: root, flags: [boot, primary], size: 100%}]
- mkfs: {name: mkfs_root, base: root}
";
    let tree = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - name: root
        flags: [boot, primary]
        size: 100%
        mkfs: {mount: {mount_point: /, fstab: {fsck-passno: 1}}}
";
    let made = layout(graph, &params()).unwrap();
    assert_eq!(made, layout(tree, &params()).unwrap());
    let partition = &made.disks[0].table.as_ref().unwrap().partitions[0];
    assert!(partition.bootable && partition.primary);
    assert_eq!(partition.kind, "0x83");
}

#[test]
fn swap_is_in_fstab_but_not_mounted() {
    let text = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - {name: sw, size: 64MiB, flags: [primary], mkfs: {type: swap, label: sw0, mount: {mount_point: swap, fstab: {options: x}}}}
      - {name: root, size: 100%, flags: [primary], mkfs: {mount: {mount_point: /, fstab: {}}}}
";
    let made = layout(text, &params()).unwrap();
    assert_eq!(made.mount_points(), "swap|/");
    assert_eq!(
        made.fstab(),
        "LABEL=cloudimg-rootfs / ext4 defaults 0 2\nLABEL=sw0 none swap sw 0 0\n"
    );
    assert_eq!(made.filesystems[1].mount_point, None);
}

/// A configuration with one partition `p` (its values in flow style).
fn with_partition(label: &str, values: &str) -> String {
    format!(
        "- local_loop: {{name: image0}}\n- partitioning: {{base: image0, label: {label}, partitions: [{{{values}}}]}}\n"
    )
}

fn with_mkfs(values: &str) -> String {
    format!("- local_loop: {{name: image0}}\n- mkfs: {{base: image0, {values}}}\n")
}

#[test]
fn errors_in_upstream_words() {
    let table: Vec<(String, &str)> = vec![
        ("".into(), "not a list of entries but: None"),
        ("a: b".into(), "not a list"),
        ("- foo".into(), "Config entry not a dict: foo"),
        ("- {mkfs: {}, mount: {}}".into(), "Config entry top-level should be a single dict: {'mkfs': {}, 'mount': {}}"),
        ("- {bar: {baz: 1}}".into(), "Config entry is not a plugin value: {'bar': {'baz': 1}}"),
        ("- mkfs: {type: ext4}".into(), "KeyError: 'base'"),
        ("- mkfs: 3".into(), "'mkfs' needs a mapping, not: 3"),
        ("- partitioning: {name: t, label: mbr, partitions: []}".into(), "Partitioning config needs 'base'"),
        ("- partitioning: {base: image0, label: mbr}".into(), "Partitioning config needs 'partitions'"),
        ("- partitioning: {base: image0, partitions: []}".into(), "Partitioning config needs 'label'"),
        (with_partition("foo", "name: p, size: 100%"), "Label must be 'mbr' or 'gpt'"),
        (with_partition("mbr", "name: p, size: 100%, flags: [foo]"), "Unknown flag: foo"),
        (with_partition("gpt", "name: p, size: 100%, flags: [primary]"), "Primary flag not supported for GPT partitions"),
        (with_partition("mbr", "name: p"), "No size in partition"),
        (with_partition("mbr", "name: p, size: 8"), "size must be a string, not: 8"),
        (with_partition("mbr", "name: p, size: 8q"), "unit_str [q] not known"),
        (with_partition("mbr", "name: p, size: 8M, type: 0x83"), "type must be a string, not: 131"),
        (with_partition("mbr", "name: p, size: 8M, type: zz"), "hexadecimal"),
        (with_partition("mbr", "size: 8M"), "KeyError: 'name'"),
        (with_partition("mbr", "name: image0, size: 8M"), "Duplicate node name: image0"),
        ("- local_loop: {name: image0}\n- mkfs: {base: nope, type: ext4}".into(), "Edge not defined: nope->mkfs_nope"),
        (with_mkfs("name: a"), "Mkfs config needs [type]"),
        (with_mkfs("type: ext4, label: 12345678901234567"), "label must be a string"),
        (with_mkfs("type: ext4, label: 'x2345678901234567'"), "Label [x2345678901234567] too long for filesystem [ext4]: 17 > 16"),
        (with_mkfs("type: xfs, label: cloudimg-rootfs"), "Label [cloudimg-rootfs] too long for filesystem [xfs]: 15 > 12"),
        (with_mkfs("type: ext4, mount: {name: m}"), "MountPoint config needs [mount_point]"),
        (with_mkfs("type: ext4, mount: {mount_point: /a/../..}"), "without '..'"),
        (with_mkfs("type: ext4}\n- mkfs: {name: b, base: image0, type: ext4"), "'image0' is already used by"),
        (with_mkfs("type: ext4, label: a}\n- mkfs: {name: b, base: image0, type: ext4, label: a"), "File system label [a] used more than once"),
        (with_mkfs("type: ext4, mount: {mount_point: /}}\n- mount: {name: n, base: mkfs_image0, mount_point: /"), "Mount point [/] specified more than once"),
        ("- local_loop: {name: image1}".into(), "no local_loop node named image0"),
        ("- local_loop: {name: image0, block_size: 520}".into(), "'image0': block_size must be 512, 1024, 2048 or 4096, not: 520"),
        ("- lvm: {name: l}".into(), "Lvm config requires a 'pvs' (node 'l')"),
    ];
    for (text, expected) in table {
        let error = layout(&text, &params()).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
    let no_root = layout("- local_loop: {name: image0}", &params()).unwrap();
    assert!(matches!(no_root.root_label(), Err(Error::NoRoot)));
}

fn extents(
    label: &str,
    align: u64,
    disk: u64,
    sizes: &[(&str, bool)],
) -> Result<Vec<(u32, u64, u64)>, Error> {
    let partitions: Vec<String> = sizes
        .iter()
        .enumerate()
        .map(|(n, (size, primary))| {
            let flags = if *primary { "primary" } else { "" };
            format!("{{name: p{n}, size: {size}, flags: [{flags}]}}")
        })
        .collect();
    let text = format!(
        "- local_loop: {{name: image0}}\n- partitioning: {{base: image0, align: {align}B, label: {label}, partitions: [{}]}}\n",
        partitions.join(", ")
    );
    let placed = place(layout(&text, &params())?.image0()?, disk)?;
    Ok(placed
        .iter()
        .map(|e| (e.number, e.start / SECTOR, e.size / SECTOR))
        .collect())
}

#[test]
fn places_mbr_partitions() {
    let mib = 1 << 20;
    assert_eq!(
        extents("mbr", mib, 64 * mib, &[("100%", true)]).unwrap(),
        [(1, 2048, 126_976)]
    );
    let thirds = extents(
        "mbr",
        mib,
        1024 * mib,
        &[("33%", true), ("50%", true), ("100%", true)],
    )
    .unwrap();
    assert_eq!(thirds.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(
        extents(
            "mbr",
            mib,
            64 * mib,
            &[("8MiB", true), ("8MiB", false), ("100%", false)]
        )
        .unwrap(),
        [(1, 2048, 16384), (5, 20480, 16384), (6, 38912, 92160)]
    );
    assert!(matches!(
        extents("mbr", mib, 64 * mib, &[("8MiB", false), ("8MiB", true)]),
        Err(Error::PrimaryAfterLogical(_))
    ));
    assert!(matches!(
        extents("mbr", mib, 64 * mib, &[("80MiB", true)]),
        Err(Error::DoesNotFit { .. })
    ));
    assert!(matches!(
        extents("mbr", mib, 2 * mib, &[("100%", true)]),
        Err(Error::EmptyPartition { .. })
    ));
    assert!(matches!(
        extents("mbr", mib, 64 * mib, &[("1M", true); 5]),
        Err(Error::TooManyPrimaries(_))
    ));
    assert!(matches!(
        extents("mbr", mib, 64 * mib + 1, &[("1M", true)]),
        Err(Error::OddDisk { .. })
    ));
}

#[test]
fn places_gpt_partitions() {
    let mib = 1 << 20;
    assert_eq!(
        extents(
            "gpt",
            mib,
            1024 * mib + 512,
            &[("8MiB", false), ("100%", false)]
        )
        .unwrap(),
        [(1, 2048, 16384), (2, 18432, 1014 * 2048)]
    );
    assert_eq!(
        extents("gpt", mib, 64 * mib, &[("1.9MiB", false)]).unwrap(),
        [(1, 2048, 2048)]
    );
    assert!(matches!(
        extents("gpt", mib, 64 * mib, &[("63MiB", false)]),
        Err(Error::DoesNotFit { .. })
    ));
    assert!(matches!(
        extents("gpt", mib, 64 * mib, &[("1K", false)]),
        Err(Error::EmptyPartition { .. })
    ));
}

#[test]
fn numbers_that_json_lacks_are_refused() {
    for number in [".inf", "-.inf", ".nan", "[1, {a: .inf}]"] {
        let text = format!("- local_loop: {{name: image0, size: {number}}}");
        let error = Config::expand(&text).unwrap_err();
        assert!(matches!(error, Error::NotFinite(_)), "{number}: {error}");
    }
}
