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
    archive::pack(&Archive::Tar, &tree, &output, &nodes, None).unwrap();
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
    archive::pack(
        &format,
        &directory.path().join("tree"),
        &output,
        &nodes,
        None,
    )
    .unwrap();
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
    archive::pack(&Archive::Squashfs, &tree, &output, &nodes, None).unwrap();
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

#[test]
fn a_node_after_a_sparse_file_of_many_pieces_is_found() {
    let directory = tempfile::tempdir().unwrap();
    bash(
        directory.path(),
        "mkdir tree; for n in $(seq 0 2 120); do \
         printf x | dd of=tree/a bs=1M seek=$n conv=notrunc status=none; done; : > tree/b; \
         tar --format=gnu --sort=name -C tree -cSf in.tar .",
    );
    let input = std::fs::read(directory.path().join("in.tar")).unwrap();
    assert!(input.len() < 2_000_000, "nothing is sparse here");
    let entry: nodes::NodeEntry =
        serde_json::from_str(r#"{"dev":1,"ino":2,"kind":"b","major":8,"minor":17}"#).unwrap();
    let mut output = Vec::new();
    let mut find = |name: &std::path::Path| name.ends_with("b").then(|| entry.clone());
    tar_nodes::filter(&*input, &mut output, &mut find).unwrap();
    std::fs::write(directory.path().join("out.tar"), &output).unwrap();
    let listing = bash(
        directory.path(),
        "tar -tvf out.tar | awk '{print substr($1,1,1), $3, $NF}'",
    );
    assert_eq!(listing, "d 0 ./\n- 125829121 ./a\nb 8,17 ./b\n");
}

#[test]
fn an_archive_on_its_way_gets_its_nodes() {
    let directory = tempfile::tempdir().unwrap();
    let long = "x".repeat(120);
    bash(
        directory.path(),
        &format!(
            "mkdir tree; cd tree; : > empty; echo full > full; : > node; ln node other; \
             : > {long}; tar --sort=name --owner=5 --group=65534 -cf ../in.tar ."
        ),
    );
    let input = std::fs::read(directory.path().join("in.tar")).unwrap();
    let entry: nodes::NodeEntry =
        serde_json::from_str(r#"{"dev":1,"ino":2,"kind":"c","major":5,"minor":1}"#).unwrap();
    let mut find = |name: &std::path::Path| {
        let known = [
            std::path::Path::new("./node"),
            &std::path::Path::new(".").join(&long),
        ];
        known.contains(&name).then(|| entry.clone())
    };
    let mut output = Vec::new();
    tar_nodes::filter(&*input, &mut output, &mut find).unwrap();
    assert_eq!(output.len(), input.len());
    std::fs::write(directory.path().join("out.tar"), &output).unwrap();
    let listing = bash(
        directory.path(),
        "tar --numeric-owner -tvf out.tar | awk '{print substr($1,1,1), $2, $3, substr($6,1,9)}'",
    );
    assert_eq!(
        listing,
        "d 5/65534 0 ./\n- 5/65534 0 ./empty\n- 5/65534 5 ./full\nc 5/65534 5,1 ./node\n\
         h 5/65534 0 ./other\nc 5/65534 5,1 ./xxxxxxx\n"
    );
    // what came out goes in again: devices of nobody become root's
    let mut again = Vec::new();
    tar_nodes::filter(&*output, &mut again, &mut |_| None).unwrap();
    std::fs::write(directory.path().join("again.tar"), &again).unwrap();
    let listing = bash(
        directory.path(),
        "tar --numeric-owner -tvf again.tar | awk '/^c/ {print $2}'",
    );
    assert_eq!(listing, "5/0\n5/0\n");
    for cut in [100, 700, 1500] {
        let mut sink = Vec::new();
        assert!(tar_nodes::filter(&input[..cut], &mut sink, &mut find).is_err());
    }
}

/// Trees of one content on two filesystems, made in different orders: one archive.
#[test]
fn reproducible_archives_follow_from_the_content_alone() {
    let make = |place: &str, names: &str| {
        let directory = tempfile::tempdir_in(place).unwrap();
        bash(
            directory.path(),
            &format!(
                "mkdir tree; cd tree; truncate -s 1M sparse; printf x | dd of=sparse conv=notrunc \
                 seek=500000 bs=1 status=none; touch attributes
                 for n in {names}; do echo $n > $n; setfattr -n user.$n -v $n attributes; done
                 touch -d @1400000000.5 1; touch -d @1500000000 2 3 sparse attributes ."
            ),
        );
        let output = directory.path().join("out");
        let pack = |format: Archive| {
            let tree = directory.path().join("tree");
            let nodes = NodeRegistry::default();
            archive::pack(&format, &tree, &output, &nodes, Some(1_500_000_000)).unwrap();
            std::fs::read(&output).unwrap()
        };
        let tar = pack(Archive::Tar);
        bash(
            directory.path(),
            "mkdir x; tar -C x --xattrs -xf out; diff -r tree x",
        );
        bash(
            directory.path(),
            "setfattr -x user.2 tree/attributes; setfattr -x user.3 tree/attributes",
        );
        [tar, pack(Archive::Squashfs)]
    };
    let one = make("/dev/shm", "1 2 3");
    // Times are written as whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let same = make("/var/tmp", "2 3 1");
    assert!(one[0] == same[0], "tar");
    assert!(one[1] == same[1], "squashfs");
}
