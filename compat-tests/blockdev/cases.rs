//! Configurations that upstream's own tests and elements do not have: one thing
//! wrong or unusual each.

/// A disk, then `rest`.
fn disk(rest: &str) -> String {
    format!("- local_loop: {{name: image0}}\n{rest}")
}

/// A partition table of `label` with one root partition of these values.
fn partition(label: &str, values: &str) -> String {
    disk(&format!(
        "- partitioning: {{base: image0, label: {label}, partitions: [{{{values}}}]}}\n"
    ))
}

/// A filesystem on the bare disk with these values.
fn mkfs(values: &str) -> String {
    disk(&format!("- mkfs: {{base: image0, {values}}}\n"))
}

/// A volume group on the bare disk, with three lists.
fn lvm(pvs: &str, vgs: &str, lvs: &str) -> String {
    disk(&format!(
        "- lvm: {{name: l, pvs: [{pvs}], vgs: [{vgs}], lvs: [{lvs}]}}\n\
         - mkfs: {{base: lv, name: mkfs_root, mount: {{mount_point: /, fstab: {{}}}}}}\n"
    ))
}

const PV: &str = "{name: pv, base: image0}";
const VG: &str = "{name: vg, base: [pv]}";

/// What upstream refuses, or dies of.
pub fn broken() -> Vec<(&'static str, String)> {
    let mut cases = shapes();
    cases.extend(partitions());
    cases.extend(filesystems());
    cases.extend(volumes());
    cases
}

fn shapes() -> Vec<(&'static str, String)> {
    vec![
        ("empty", "".into()),
        ("not yaml", "- a: [".into()),
        ("a number", "3".into()),
        ("entry is text", "- foo".into()),
        ("entry is a list", "- [mkfs]".into()),
        ("two keys", "- {mkfs: {}, mount: {}}".into()),
        (
            "unknown plugin",
            "- {bar: {baz: [1, yes, ~, 1.5, \"it's\"]}}".into(),
        ),
        ("no base", "- mkfs: {type: ext4}".into()),
        ("values are a number", "- mkfs: 3".into()),
        ("values are nothing", "- mkfs:".into()),
        ("inner values are a list", mkfs("type: ext4, mount: []")),
        ("duplicate node", partition("mbr", "name: image0, size: 8M")),
        ("unknown base", disk("- mkfs: {base: nope, type: ext4}")),
        ("own base", disk("- mkfs: {name: a, base: a, type: ext4}")),
        (
            "circle",
            disk("- mkfs: {name: a, base: b, type: ext4}\n- mkfs: {name: b, base: a, type: ext4}"),
        ),
        (
            "size is a number",
            "- local_loop: {name: image0, size: 8}".into(),
        ),
        (
            "size is nothing",
            "- local_loop: {name: image0, size: }".into(),
        ),
        (
            "size without sense",
            "- local_loop: {name: image0, size: 8 q}".into(),
        ),
        (
            "size with a sign",
            "- local_loop: {name: image0, size: '-8'}".into(),
        ),
        (
            "directory is nothing",
            "- local_loop: {name: image0, directory: }".into(),
        ),
    ]
}

fn partitions() -> Vec<(&'static str, String)> {
    let table = |values: &str| disk(&format!("- partitioning: {{{values}}}"));
    vec![
        ("table without base", table("name: t, label: mbr, partitions: []")),
        ("table without partitions", table("base: image0, label: mbr")),
        ("table without label", table("base: image0, partitions: []")),
        ("partitions without base", table("name: t, label: mbr, partitions: [{name: p, size: 1M}]")),
        ("partitions are text", table("base: image0, label: mbr, partitions: p")),
        ("partition is text", table("base: image0, label: mbr, partitions: [p]")),
        ("label", partition("dos", "name: p, size: 100%")),
        ("flag", partition("mbr", "name: p, size: 100%, flags: [foo]")),
        ("gpt primary", partition("gpt", "name: p, size: 100%, flags: [primary]")),
        ("no size", partition("mbr", "name: p")),
        ("number as size", partition("mbr", "name: p, size: 8")),
        ("unit", partition("mbr", "name: p, size: 8q")),
        ("unit is case-sensitive", partition("gpt", "name: p, size: 10g")),
        ("percent of text", partition("gpt", "name: p, size: x%")),
        ("too large", partition("gpt", "name: p, size: 100GiB")),
        ("type is a number", partition("mbr", "name: p, size: 8M, type: 0x83")),
        ("type is no number", partition("mbr", "name: p, size: 8M, type: zz")),
        ("no name", partition("mbr", "size: 8M")),
        ("no name, with mkfs", partition("mbr", "size: 8M, mkfs: {type: ext4}")),
        (
            "logical before primary",
            disk("- partitioning: {base: image0, label: mbr, partitions: [{name: a, size: 8M}, {name: b, size: 8M, flags: [primary]}]}"),
        ),
        (
            "on a partition",
            partition("mbr", "name: p, size: 8M") + "- partitioning: {base: p, label: mbr, partitions: [{name: q, size: 1M}]}\n",
        ),
        ("on nothing", table("base: nope, label: mbr, partitions: [{name: q, size: 1M}]")),
    ]
}

fn filesystems() -> Vec<(&'static str, String)> {
    vec![
        ("no type", mkfs("name: a")),
        ("number as label", mkfs("type: ext4, label: 1234")),
        ("long label", mkfs("type: ext4, label: x2345678901234567")),
        ("long xfs label", mkfs("type: xfs, label: cloudimg-rootfs")),
        ("long name as label", mkfs("type: vfat, name: twelve-chars")),
        ("no mount point", mkfs("type: ext4, mount: {name: m}")),
        ("mount point is nothing", mkfs("type: ext4, mount: {mount_point: }")),
        (
            "same label",
            disk("- mkfs: {name: a, base: image0, type: ext4, label: x}\n- mkfs: {name: b, base: image0, type: vfat, label: x}\n- mkfs: {name: c, base: image0, type: xfs, label: X}\n"),
        ),
        (
            "same mount point",
            mkfs("type: ext4, mount: {mount_point: /}}\n- mount: {name: n, base: mkfs_image0, mount_point: /"),
        ),
        ("mount on a disk", disk("- mount: {base: image0, mount_point: /}")),
        ("mount on nothing", disk("- mount: {name: m, mount_point: /}")),
        ("fstab on nothing", disk("- fstab: {name: f}")),
        ("fstab on a disk", disk("- fstab: {name: f, base: image0}")),
        (
            "mkfs on mkfs",
            mkfs("name: a, type: ext4, mkfs: {type: ext4}"),
        ),
    ]
}

fn volumes() -> Vec<(&'static str, String)> {
    vec![
        ("lvm without pvs", disk("- lvm: {name: l}")),
        ("lvm without vgs", disk("- lvm: {name: l, pvs: []}")),
        (
            "lvm without lvs",
            disk("- lvm: {name: l, pvs: [], vgs: []}"),
        ),
        (
            "pvs are nothing",
            disk("- lvm: {name: l, pvs: , vgs: [], lvs: []}"),
        ),
        (
            "lvm without a name",
            disk("- lvm: {pvs: [], vgs: [], lvs: []}"),
        ),
        ("pv without name", lvm("{base: image0}", VG, "")),
        ("pv without base", lvm("{name: pv}", VG, "")),
        ("pv on nothing", lvm("{name: pv, base: nope}", VG, "")),
        ("pv on a filesystem", lvm("{name: pv, base: l}", VG, "")),
        ("vg without name", lvm(PV, "{base: [pv]}", "")),
        ("vg without base", lvm(PV, "{name: vg}", "")),
        (
            "vg on unknown pv",
            lvm(PV, "{name: vg, base: [pv, pv2]}", ""),
        ),
        ("vg with text as base", lvm(PV, "{name: vg, base: pv}", "")),
        ("lv without name", lvm(PV, VG, "{base: vg, size: 1G}")),
        ("lv without base", lvm(PV, VG, "{name: lv, size: 1G}")),
        ("lv without size", lvm(PV, VG, "{name: lv, base: vg}")),
        (
            "lv on unknown vg",
            lvm(PV, VG, "{name: lv, base: vg2, size: 1G}"),
        ),
        (
            "lv type",
            lvm(PV, VG, "{name: lv, base: vg, size: 1G, type: raid}"),
        ),
        ("lv size", lvm(PV, VG, "{name: lv, base: vg, size: 1g}")),
        (
            "lv size is a number",
            lvm(PV, VG, "{name: lv, base: vg, size: 10}"),
        ),
        (
            "lv extents is a number",
            lvm(PV, VG, "{name: lv, base: vg, extents: 10}"),
        ),
    ]
}

/// What upstream takes, some of it by chance.
pub fn unusual() -> Vec<(&'static str, String)> {
    let root = "mkfs: {name: mkfs_root, mount: {mount_point: /, fstab: {}}}";
    vec![
        ("a disk only", disk("")),
        ("fallback", safedib::blockdev::default_config().into()),
        ("root without label", mkfs("name: r, type: ext4, mount: {mount_point: /}")),
        ("boot by name", mkfs("name: b, type: vfat, mount: {mount_point: /boot}")),
        ("boot label is nothing", mkfs("name: b, type: ext4, label: , opts: , uuid: , mount: {mount_point: /boot}")),
        ("own uuid and options", mkfs("type: ext4, opts: '-O ^has_journal', uuid: 5bd8d61e-5d9a-4d5e-a1a5-ffffffffffff, mount: {mount_point: /, fstab: {dump-freq: 1, fsck-passno: 0, options: noatime}}")),
        ("yaml 1.1", disk("- mkfs: {name: r, base: image0, type: ext4, label: '8E00', x: 8E00, o: 0700, h: 0x83, b: on, s: 1:30, f: 1.5, e: 1e10, n: ~, 5: é, yes: \"\\U0001F600\"}")),
        ("names with base lists", disk("- lvm: {base: [a, 'b'], pvs: [], vgs: [], lvs: []}")),
        (
            "graph before its bases",
            "- mount: {name: m, base: mkfs_root, mount_point: /}\n- fstab: {name: f, base: m}\n- mkfs: {name: mkfs_root, base: p}\n".to_owned()
                + &partition("gpt", "name: p, size: 100%, type: 0x4100"),
        ),
        (
            "several disks",
            disk("- local_loop: {name: data, size: 3GiB}\n")
                + "- partitioning: {base: data, label: mbr, align: 4MiB, partitions: [{name: d1, size: 30%, flags: [primary]}, {name: d2, size: 1G}, {name: d3, size: 100%, mkfs: {type: xfs, label: d3, mount: {mount_point: /srv, fstab: {}}}}]}\n"
                + &partition("gpt", &format!("name: root, size: 100%, {root}")).replace("- local_loop: {name: image0}\n", ""),
        ),
        (
            "thirds with swap",
            disk(&format!("- partitioning: {{base: image0, label: mbr, partitions: [{{name: a, size: 33%, flags: [boot, primary], {root}}}, {{name: b, size: 50%, type: '82', flags: [primary], mkfs: {{type: swap, label: sw, mount: {{mount_point: swap, fstab: {{options: x}}}}}}}}, {{name: c, size: 100%, flags: [primary], mkfs: {{type: btrfs, mount: {{mount_point: /var/log}}}}}}]}}")),
        ),
        (
            "pool and thin volume",
            lvm(PV, VG, "{name: pool, base: vg, type: thin-pool, size: 9001MB}, {name: lv, base: vg, type: thin, thin-pool: pool, size: 20G, options: [--yes]}, {name: e, base: vg, extents: 10%FREE, options: }"),
        ),
        (
            "lvm on lvm",
            lvm(PV, VG, "{name: lv, base: vg, size: 9G}, {name: x, base: vg, size: 8G}")
                + "- lvm: {name: m, pvs: [{name: pv2, base: x}], vgs: [{name: vg2, base: [pv2]}], lvs: [{name: y, base: vg2, extents: 100%FREE}]}\n",
        ),
        ("sectors of 4096", "- local_loop: {name: image0, block_size: 4096, directory: .}\n- partitioning: {base: image0, label: gpt, partitions: [{name: p, size: 100%}]}\n".into()),
    ]
}

/// The tables of upstream's test_mbr.py, which calls its MBR class without a
/// configuration: primaries and logical ones of 10 MiB on a disk of 1 GiB (56 in
/// place of its 64: sfdisk, which reads the tables here, goes to number 60).
pub fn upstreams_mbrs() -> Vec<(&'static str, String)> {
    let table = |primary: usize, logical: usize, kind: &str| {
        let partitions: Vec<String> = (0..primary + logical)
            .map(|number| {
                let flags = if number < primary { "[primary]" } else { "[]" };
                format!("{{name: p{number}, size: 10MiB, type: {kind}, flags: {flags}}}")
            })
            .collect();
        format!(
            "- local_loop: {{name: image0, size: 1GiB}}\n\
             - partitioning: {{base: image0, label: mbr, align: 1MiB, partitions: [{}]}}\n",
            partitions.join(", ")
        )
    };
    vec![
        ("test_one_ext_partition", table(0, 1, "'83'")),
        ("test_many_ext_partitions", table(0, 56, "'83'")),
        ("test_one_pri_partition", table(1, 0, "'83'")),
        ("test_three_pri_partition", table(3, 0, "'83'")),
        ("test_many_pri_and_ext_partition", table(3, 7, "'83'")),
        ("test_pri_fat32_lba_partition", table(1, 0, "c")),
    ]
}

/// Where we differ on purpose: upstream goes on with what cannot work, or loses
/// something on the way.
pub fn different() -> Vec<(&'static str, String)> {
    let swap = |name: &str, more: &str| {
        format!("{{name: {name}, size: 1G, flags: [primary], mkfs: {{type: swap, label: {name}, mount: {{mount_point: {name}, fstab: {{}}}}}}{more}}}")
    };
    vec![
        // The same refusal, but of the whole document instead of its first key.
        ("a mapping", "a: b".into()),
        // Fails later, with a KeyError, when the image is asked for.
        ("nothing", "[]".into()),
        ("another disk only", "- local_loop: {name: data}".into()),
        // `devices` of the state becomes a text.
        (
            "text as list of one-letter volumes",
            disk("- lvm: {name: l, pvs: [{name: p, base: image0}], vgs: [{name: vg, base: p}], lvs: []}"),
        ),
        // Upstream formats /dev/mapper/a-b-c-d, which is a--b-c--d.
        (
            "hyphens in volumes",
            lvm(PV, "{name: a-b, base: [pv]}", "{name: lv, base: a-b, size: 1G}"),
        ),
        // All swap is called `none`: the last one is in fstab as often as there are some.
        (
            "two swaps",
            disk(&format!("- partitioning: {{base: image0, label: mbr, partitions: [{}, {}]}}", swap("s1", ""), swap("s2", ""))),
        ),
        // Upstream hands mkfs an empty word for each.
        ("blanks in options", mkfs("type: ext4, opts: '-F  -q'")),
        ("empty options", mkfs("type: ext4, opts: ''")),
        // A number in the state.
        ("quoted number", mkfs("type: ext4, mount: {mount_point: /, fstab: {fsck-passno: '1'}}")),
        // fstab would say None.
        ("no fstab options", mkfs("type: ext4, mount: {mount_point: /, fstab: {options: }}")),
        // mkfs fails on the second one at best.
        (
            "two filesystems on a disk",
            mkfs("type: ext4}\n- mkfs: {name: b, base: image0, type: ext4"),
        ),
        // A broken table.
        ("mbr beyond the disk", partition("mbr", "name: p, size: 100GiB, flags: [primary]")),
        ("empty partition", partition("gpt", "name: p, size: 1K")),
        (
            "mbr on sectors of 4096",
            "- local_loop: {name: image0, block_size: 4096}\n- partitioning: {base: image0, label: mbr, partitions: [{name: p, size: 1G}]}\n".into(),
        ),
        ("sectors of 520", "- local_loop: {name: image0, block_size: 520}".into()),
        // Out of the tree that is built.
        ("mount point above", mkfs("type: ext4, mount: {mount_point: /../x}")),
        ("two slashes", mkfs("type: ext4, mount: {mount_point: //x}")),
        // PyYAML makes a date of it, which json.dump refuses.
        ("a date", mkfs("type: ext4, label: 2001-01-01")),
        ("number as name", mkfs("type: ext4, label: x, name: 5")),
    ]
}
