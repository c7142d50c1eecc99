//! Lines and paths; the mounts are tried in an appliance.

use super::*;
use crate::blockdev::{Backing, FstabEntry};

fn filesystem(node: &str, fstype: &str, point: Option<&str>, options: &str) -> Filesystem {
    Filesystem {
        node: node.into(),
        backing: Backing::Disk(0),
        fstype: fstype.into(),
        label: node.into(),
        configured_label: None,
        uuid: None,
        options: Vec::new(),
        mount_point: point.map(Into::into),
        fstab: (!options.is_empty()).then(|| FstabEntry {
            options: options.into(),
            dump_freq: 0,
            fsck_passno: 1,
        }),
    }
}

#[test]
fn fstab_has_a_line_for_each_entry() {
    let layout = Layout {
        disks: Vec::new(),
        lvm: Default::default(),
        mount_points: Vec::new(),
        filesystems: vec![
            filesystem("root", "ext4", Some("/"), "defaults"),
            filesystem("boot", "xfs", Some("/boot"), ""),
            filesystem("swap", "swap", None, "sw"),
            filesystem("spare", "ext4", None, "x"),
        ],
    };
    assert_eq!(
        fstab(&layout),
        "LABEL=root / ext4 defaults 0 1\nLABEL=swap none swap sw 0 1\n"
    );
}

#[test]
fn mount_points_are_found_in_the_nearest_tree() {
    let trees = BTreeMap::from([
        (PathBuf::new(), PathBuf::from("/b")),
        (PathBuf::from("boot"), PathBuf::from("/f/boot")),
    ]);
    for (point, tree, rest) in [
        ("boot/efi", "/f/boot", "efi"),
        ("var/log", "/b", "var/log"),
        ("boots", "/b", "boots"),
    ] {
        let found = parent_tree(&trees, Path::new(point));
        assert_eq!(found, (PathBuf::from(tree), PathBuf::from(rest)));
    }
}

#[test]
fn a_directory_moves_with_its_attributes() {
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path().join("built/boot");
    let tree = temporary.path().join("filesystems/boot");
    fs::create_dir_all(&at).unwrap();
    fs::set_permissions(&at, PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(at.join("vmlinuz"), "").unwrap();
    take_out(&at, &tree, "/boot").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&tree), mode(&at)), (0o700, 0o755));
    assert!(tree.join("vmlinuz").exists() && !at.join("vmlinuz").exists());
    fs::write(temporary.path().join("built/file"), "").unwrap();
    let error = take_out(&temporary.path().join("built/file"), &tree, "/file").unwrap_err();
    assert_eq!(
        error.to_string(),
        "mount point /file is no directory in the target"
    );
}
