//! Archives of a tree with everything that is easy to lose.
use super::testing::{assert_same, bash, is_root, list, nasty_tree, Ignore, Mounted};
use super::*;
use crate::plan::Archive;

#[test]
fn tar_keeps_everything() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (tree, nodes) = nasty_tree(directory.path());
    let output = directory.path().join("a:b.tar");
    archive::pack(&Archive::Tar, &tree, &output, &nodes).unwrap();
    bash(
        directory.path(),
        "mkdir out; tar --force-local --xattrs --xattrs-include='*' -C out -xpf a:b.tar",
    );
    let mut want = list(&tree, &nodes, Ignore::default());
    want.remove(std::path::Path::new("proc"));
    want.remove(std::path::Path::new("sys"));
    let have = list(
        &directory.path().join("out"),
        &NodeRegistry::default(),
        Ignore::default(),
    );
    assert_same(&want, &have);
    assert!(
        want.values()
            .filter(|line| line.starts_with("20") || line.starts_with("60"))
            .count()
            == 4
    );
}

#[test]
fn aci_has_rootfs_and_manifest() {
    let directory = tempfile::tempdir().unwrap();
    bash(
        directory.path(),
        "mkdir -p tree/dev tree/sys; : > tree/dev/null; echo '{}' > '-m*'",
    );
    let registry = directory.path().join("registry");
    let null = directory.path().join("tree/dev/null");
    NodeRegistry::append(&registry, &null, nodes::NodeKind::Char, 1, 3).unwrap();
    let nodes = NodeRegistry::load(&registry).unwrap();
    let format = Archive::Aci {
        manifest: Some(directory.path().join("-m*")),
    };
    let output = directory.path().join("a.aci");
    archive::pack(&format, &directory.path().join("tree"), &output, &nodes).unwrap();
    let listing = bash(
        directory.path(),
        "tar -tvf a.aci | awk '{print substr($1,1,1), $NF}'",
    );
    assert_eq!(
        listing,
        "d rootfs/\nd rootfs/dev/\nc rootfs/dev/null\n- manifest\n"
    );
}

#[test]
fn squashfs_keeps_everything() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (tree, nodes) = nasty_tree(directory.path());
    std::fs::write(tree.join("proc/stray"), "x").unwrap();
    let output = directory.path().join("a.squash");
    archive::pack(&Archive::Squashfs, &tree, &output, &nodes).unwrap();
    // Device nodes are made anew, one per name; the format has whole seconds of
    // 32 bits without a sign.
    let ignore = Ignore {
        fractions: true,
        node_details: true,
        holes: false,
    };
    let mut want = list(&tree, &nodes, ignore);
    want.remove(std::path::Path::new("proc/stray"));
    want.remove(std::path::Path::new("owned"));
    let mounted = Mounted::new(&output, 0);
    let mut have = list(&mounted.path, &NodeRegistry::default(), ignore);
    have.remove(std::path::Path::new("owned"));
    assert_same(&want, &have);
}
