//! Disks made from a tree with everything that is easy to lose, then mounted.
use super::*;
use crate::blockdev::{layout, RootParams, SECTOR};
use crate::output::testing::{
    assert_same, bash, goes_on_as_root, is_root, list, nasty_tree, Ignore, Mounted,
};

const MIB: u64 = 1 << 20;

fn layout_of(yaml: &str, fs_type: &str, options: &[&str]) -> Layout {
    let params = RootParams {
        fs_type: fs_type.into(),
        root_label: String::new(),
        root_opts: options.iter().map(|word| word.to_string()).collect(),
    };
    layout(yaml, &params).unwrap()
}

fn plain(fs_type: &str, options: &[&str]) -> Layout {
    layout_of(crate::blockdev::default_config(), fs_type, options)
}

fn root_only(tree: &Path) -> BTreeMap<String, PathBuf> {
    BTreeMap::from([("mkfs_root".into(), tree.into())])
}

const VFAT_ROOT: &str = "
- local_loop: {name: image0}
- mkfs: {base: image0, type: vfat, label: x, name: mkfs_root, mount: {mount_point: /}}
";

const THREE: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: LABEL
    partitions:
      - {name: ESP, type: 'EF', size: 40MiB, FLAGS mkfs: {type: vfat, mount: {mount_point: /boot/efi, fstab: {}}}}
      - {name: sw, size: 8MiB, mkfs: {type: swap, label: sw0, mount: {mount_point: swap, fstab: {}}}}
      - {name: root, size: 100%, mkfs: {mount: {mount_point: /, fstab: {}}}}
";

#[test]
fn ext_filesystems_keep_everything() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (tree, nodes) = nasty_tree(directory.path());
    let raw = directory.path().join("image0.raw");
    for (fstype, options) in [
        ("ext4", &["-i", "4096", "-J", "size=4"][..]),
        ("ext3", &[]),
        ("ext2", &[]),
    ] {
        assemble(
            &plain(fstype, options),
            &root_only(&tree),
            64 * MIB,
            &raw,
            &nodes,
            None,
        )
        .unwrap();
        assert_eq!(raw.metadata().unwrap().len(), 64 * MIB);
        bash(directory.path(), "e2fsck -fn image0.raw 2>&1");
        let label = bash(directory.path(), "blkid -p -o value -s LABEL image0.raw");
        assert_eq!(label, "cloudimg-rootfs\n");
        let ignore = Ignore {
            node_details: true,
            ..Ignore::default()
        };
        let mounted = Mounted::new(&raw, 0);
        let have = list(&mounted.path, &NodeRegistry::default(), ignore);
        assert_same(&list(&tree, &nodes, ignore), &have);
    }
}

#[test]
fn partitions_carry_their_filesystems() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (tree, nodes) = nasty_tree(directory.path());
    bash(
        directory.path(),
        "mkdir -p esp/EFI/BOOT; echo x > esp/EFI/BOOT/BOOTX64.EFI; echo u > 'esp/ü long name.txt'
         touch -d '2020-02-02 02:02:02' esp/EFI/BOOT/BOOTX64.EFI",
    );
    let raw = directory.path().join("image0.raw");
    for label in ["mbr", "gpt"] {
        let (flags, kind) = if label == "mbr" {
            ("flags: [primary],", "EF")
        } else {
            ("", "EF00")
        };
        let yaml = THREE
            .replace("LABEL", label)
            .replace("FLAGS", flags)
            .replace("'EF'", kind);
        let layout = layout_of(&yaml, "ext4", &[]);
        let mut trees = root_only(&tree);
        trees.insert("mkfs_ESP".into(), directory.path().join("esp"));
        assemble(&layout, &trees, 128 * MIB, &raw, &nodes, None).unwrap();
        let extents = place(&layout.disks[0], 128 * MIB).unwrap();
        let ignore = Ignore {
            node_details: true,
            ..Ignore::default()
        };
        let mounted = Mounted::new(&raw, extents[2].start);
        let have = list(&mounted.path, &NodeRegistry::default(), ignore);
        assert_same(&list(&tree, &nodes, ignore), &have);
        drop(mounted);
        // Not every kernel has vfat: mtools read the filesystem back.
        let script = format!(
            "tail -c +{0} image0.raw | head -c {1} > esp.img; fsck.vfat -n esp.img > /dev/null; rm esp.img; mkdir back
             LC_ALL=C.UTF-8 TZ=UTC mcopy -s -m -i image0.raw@@{2} '::*' back
             cat back/EFI/BOOT/BOOTX64.EFI 'back/ü long name.txt'
             date -u -r back/EFI/BOOT/BOOTX64.EFI +%F_%T; rm -r back",
            extents[0].start + 1,
            extents[0].size,
            extents[0].start
        );
        assert_eq!(
            bash(directory.path(), &script),
            "x\nu\n2020-02-02_02:02:02\n"
        );
        let swap = format!(
            "blkid -p -O {} -o value -s LABEL -s TYPE image0.raw",
            extents[1].start
        );
        assert_eq!(bash(directory.path(), &swap), "sw0\nswap\n");
        let parts = bash(
            directory.path(),
            "sfdisk -J image0.raw | jq -c '[.partitiontable.partitions[].start]'",
        );
        let starts: Vec<u64> = serde_json::from_str(&parts).unwrap();
        let want: Vec<u64> = extents.iter().map(|extent| extent.start / SECTOR).collect();
        // The extended partition is listed too.
        assert!(
            want.iter().all(|start| starts.contains(start)),
            "{starts:?} {want:?}"
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4);
    }
}

#[test]
fn btrfs_keeps_all_but_holes_and_fractions() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (tree, nodes) = nasty_tree(directory.path());
    let raw = directory.path().join("image0.raw");
    let layout = plain("btrfs", &[]);
    let error = assemble(&layout, &root_only(&tree), 300 * MIB, &raw, &nodes, None).unwrap_err();
    assert!(
        error.to_string().contains("root directory whose mode"),
        "{error}"
    );
    bash(&tree, "chmod 755 .; chown 0:0 .");
    let error = assemble(&layout, &root_only(&tree), 300 * MIB, &raw, &nodes, None).unwrap_err();
    assert!(
        error.to_string().contains("cannot hold device nodes"),
        "{error}"
    );
    let nodes = NodeRegistry::default();
    assemble(&layout, &root_only(&tree), 300 * MIB, &raw, &nodes, None).unwrap();
    let ignore = Ignore {
        fractions: true,
        node_details: false,
        holes: true,
    };
    let mounted = Mounted::new(&raw, 0);
    let mut want = list(&tree, &nodes, ignore);
    let mut have = list(&mounted.path, &NodeRegistry::default(), ignore);
    // The time of the root directory is that of mkfs.
    want.remove(Path::new(""));
    have.remove(Path::new(""));
    assert_same(&want, &have);
}

#[test]
fn too_small_disks_are_named() {
    if !goes_on_as_root("output::disk::tests::too_small_disks_are_named") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    bash(
        directory.path(),
        "mkdir tree; head -c 20000000 /dev/urandom > tree/big",
    );
    let raw = directory.path().join("image0.raw");
    for layout in [
        plain("ext4", &[]),
        plain("btrfs", &[]),
        layout_of(VFAT_ROOT, "", &[]),
    ] {
        let nodes = NodeRegistry::default();
        let error = assemble(&layout, &root_only(&tree), 16 * MIB, &raw, &nodes, None).unwrap_err();
        let named = matches!(error, Error::TooSmall { size, tree, .. } if size == 16 * MIB && tree >= 20_000_000);
        assert!(named, "{error}");
        assert!(!raw.exists());
    }
}

#[test]
fn refuses_what_cannot_be_held() {
    if !goes_on_as_root("output::disk::tests::refuses_what_cannot_be_held") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let raw = directory.path().join("image0.raw");
    let nodes = NodeRegistry::default();
    for (script, what) in [
        ("ln -s x y", "symbolic links"),
        ("mkfifo f", "fifos"),
        ("echo > a; ln a b", "hard links"),
        ("echo > a; echo > A", "case"),
        ("echo > 'a:b'", "this name"),
        ("echo > $'\\xff'", "not UTF-8"),
    ] {
        bash(directory.path(), "rm -rf tree; mkdir tree");
        let tree = directory.path().join("tree");
        bash(&tree, script);
        let error = assemble(
            &layout_of(VFAT_ROOT, "", &[]),
            &root_only(&tree),
            64 * MIB,
            &raw,
            &nodes,
            None,
        )
        .unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    bash(directory.path(), "rm -rf tree; mkdir tree");
    let tree = directory.path().join("tree");
    let error = assemble(
        &plain("xfs", &[]),
        &root_only(&tree),
        64 * MIB,
        &raw,
        &nodes,
        None,
    )
    .unwrap_err();
    assert!(matches!(error, Error::CannotPopulate { .. }), "{error}");
    let error = assemble(
        &plain("ext4", &[]),
        &BTreeMap::new(),
        64 * MIB,
        &raw,
        &nodes,
        None,
    )
    .unwrap_err();
    assert!(matches!(error, Error::NoTree(_)), "{error}");
    assert!(!raw.exists());
}

/// Trees of one content on two filesystems, made in different orders: one disk.
#[test]
fn a_reproducible_disk_follows_from_the_content_alone() {
    if !goes_on_as_root("output::disk::tests::a_reproducible_disk_follows_from_the_content_alone") {
        return;
    }
    let wanted = |image: &str| crate::plan::Reproducible {
        epoch: 1_500_000_000,
        ids: Ids::Derived(image.into()),
    };
    let make = |place: &str, names: &str, label: &str, wanted: &crate::plan::Reproducible| {
        let directory = tempfile::tempdir_in(place).unwrap();
        bash(
            directory.path(),
            &format!(
                "mkdir -p tree/boot/efi esp/sub; chmod 755 tree; cd tree
                 for n in {names}; do echo $n > $n; echo $n > ../esp/$n; echo $n > ../esp/sub/$n; \
                 touch -d @1400000000.123 $n; setfattr -n user.$n -v $n 1 2>/dev/null || touch 1; done
                 for n in {names}; do setfattr -n user.$n -v $n 1; done
                 ln 1 one; ln -s 1 two; mkfifo pipe; echo > $'new\nline'; : > node
                 touch -d @1400000000 1 boot/efi; touch -hd @1500000000 two pipe node . boot new*
                 cd ../esp; touch -d @1500000000 * sub/*"
            ),
        );
        let root = directory.path().join("tree");
        let registry = directory.path().join("registry");
        let kind = crate::output::nodes::NodeKind::Char;
        NodeRegistry::append(&registry, &root.join("node"), kind, 1, 3).unwrap();
        let nodes = NodeRegistry::load(&registry).unwrap();
        let trees = BTreeMap::from([
            ("mkfs_root".to_owned(), root),
            ("mkfs_ESP".to_owned(), directory.path().join("esp")),
        ]);
        let raw = directory.path().join("raw");
        let (kind, flags) = match label {
            "mbr" => ("EF", "flags: [primary],"),
            _ => ("EF00", ""),
        };
        let text = THREE
            .replace("LABEL", label)
            .replace("'EF'", kind)
            .replace("FLAGS", flags);
        let layout = layout_of(&text, "ext4", &["-E", "stride=2"]);
        assemble(&layout, &trees, 80 * MIB, &raw, &nodes, Some(wanted)).unwrap();
        std::fs::read(raw).unwrap()
    };
    for label in ["gpt", "mbr"] {
        let one = make("/dev/shm", "1 2 3 4 5", label, &wanted("one"));
        // Times of inodes are whole seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let same = make("/var/tmp", "4 5 2 1 3", label, &wanted("one"));
        let differs = || one.iter().zip(&same).position(|(one, same)| one != same);
        assert!(one == same, "{label}: first at byte {:?}", differs());
        assert!(one != make("/var/tmp", "1 2 3 4 5", label, &wanted("two")));
    }
}
