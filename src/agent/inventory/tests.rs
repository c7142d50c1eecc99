//! Trees and databases as they are, and as nobody means them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::walk::{walk, Owners};
use super::{bounded, dpkg, rpm, system};
use crate::protocol::{Inventory, Package, Space};

fn write(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn child<'a>(space: &'a Space, path: &str) -> Option<&'a Space> {
    path.split('/').try_fold(space, |space, name| {
        space.children.iter().find(|child| child.name == name)
    })
}

#[test]
fn space_is_counted_once_and_folded() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let block = vec![b'x'; 1 << 20];
    write(root, "usr/bin/large", &block);
    fs::hard_link(root.join("usr/bin/large"), root.join("usr/bin/linked")).unwrap();
    write(root, "var/cache/other", &block);
    write(root, "etc/small", b"x");
    symlink("/", root.join("loop")).unwrap();
    let mut owners = Owners::default();
    owners.add(b"usr/bin/large", 0);
    owners.add(b"usr/bin/linked", 0);
    owners.add(b"usr/bin/linked", 1);
    let walked = walk(root, &owners, 2);
    assert_eq!((walked.files, walked.unreadable), (5, 0));
    let large = child(&walked.tree, "usr/bin").unwrap();
    assert!(large.bytes >= 1 << 20 && large.bytes < 3 << 19, "{large:?}");
    assert_eq!((large.apparent, large.files), (1 << 20, 2));
    assert_eq!(walked.packages[0].1, 2);
    assert_eq!(
        walked.packages[0].0,
        child(large, "large").map_or(0, |file| file.bytes)
            + child(large, "linked").map_or(0, |file| file.bytes)
    );
    assert_eq!(walked.packages[1], (0, 0));
    // A thousandth of 2 MiB is less than the block that the small file takes.
    assert!(child(&walked.unowned, "var/cache/other").is_some());
    assert!(child(&walked.unowned, "usr").is_none());
    let told: u64 = walked.tree.children.iter().map(|child| child.bytes).sum();
    assert!(told <= walked.tree.bytes);
}

#[test]
fn small_and_deep_things_are_not_told_by_themselves() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write(root, "large", &vec![b'x'; 64 << 20]);
    for number in 0..500 {
        write(root, &format!("many/{number}"), b"x");
    }
    let deep: String = (0..30).map(|_| "d/").collect();
    write(root, &format!("{deep}file"), &vec![b'x'; 8 << 20]);
    let tree = walk(root, &Owners::default(), 0).tree;
    assert_eq!(tree.children[0].name, "large");
    assert!(child(&tree, "many").unwrap().children.len() <= 200);
    let mut depth = 0;
    let mut space = child(&tree, "d").unwrap();
    while let Some(next) = space.children.first() {
        (space, depth) = (next, depth + 1);
    }
    assert!((5..=10).contains(&depth), "{depth}");
}

const STATUS: &str = "Package: one\nStatus: install ok installed\nArchitecture: amd64\n\
    Multi-Arch: same\nVersion: 1:2.3-4+b1\nSource: first (1:2.3-4)\nDescription: x\n Version: no\n\n\
    Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
    Package: half\nStatus: install ok half-configured\nArchitecture: all\nVersion: 9\n\n\
    Package: ../../etc/x\nStatus: install ok installed\nVersion: 1\n\n\
    nonsense\n\nPackage: no-version\nStatus: install ok installed\n";

#[test]
fn packages_of_dpkg_own_their_files() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write(root, "var/lib/dpkg/status", STATUS.as_bytes());
    write(root, "usr/bin/tool", b"tool");
    write(root, "usr/share/doc/x", b"text");
    symlink("usr/bin", root.join("bin")).unwrap();
    symlink("/etc", root.join("sbin")).unwrap();
    write(
        root,
        "var/lib/dpkg/info/one:amd64.list",
        b"/.\n/bin\n/bin/tool\n/sbin/absent\n",
    );
    write(root, "var/lib/dpkg/info/half.list", b"/usr/share/doc/x\n");
    let database = dpkg::read(root).unwrap().unwrap();
    let names: Vec<&str> = database.packages.iter().map(|p| &*p.name).collect();
    assert_eq!(names, ["one", "half", "../../etc/x"]);
    let one = &database.packages[0];
    assert_eq!((&*one.version, &*one.arch), ("1:2.3-4+b1", "amd64"));
    assert_eq!(one.source.as_deref(), Some("first (1:2.3-4)"));
    assert_eq!(one.state, None);
    assert_eq!(
        database.packages[1].state.as_deref(),
        Some("half-configured")
    );
    let walked = walk(root, &database.owners, 2);
    assert_eq!([walked.packages[0].1, walked.packages[1].1], [1, 1]);
}

#[test]
fn nothing_outside_is_read() {
    let top = tempfile::tempdir().unwrap();
    let (root, outside) = (top.path().join("root"), top.path().join("outside"));
    write(&outside, "lib/dpkg/status", STATUS.as_bytes());
    fs::create_dir_all(root.join("etc")).unwrap();
    symlink(&outside, root.join("var")).unwrap();
    symlink(outside.join("lib/dpkg/status"), root.join("etc/os-release")).unwrap();
    assert!(dpkg::read(&root).unwrap().is_none());
    assert_eq!(system::read(&root), Default::default());
    fs::remove_file(root.join("var")).unwrap();
    fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
    symlink(
        outside.join("lib/dpkg/status"),
        root.join("var/lib/dpkg/status"),
    )
    .unwrap();
    assert!(dpkg::read(&root).unwrap().is_none());
}

#[test]
fn the_system_is_told_by_its_own_words() {
    let system = system::parse(
        "NAME=x\nID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='Debian 12'\nVARIANT_ID=\n",
    );
    assert_eq!(system.id.as_deref(), Some("debian"));
    assert_eq!(system.version.as_deref(), Some("12"));
    assert_eq!(system.name.as_deref(), Some("Debian 12"));
}

#[test]
fn what_rpm_prints_is_read_line_by_line() {
    let printed = b"P\tbash\t\t5.1.8-6.el9\tx86_64\tbash-5.1.8-6.el9.src.rpm\tGPLv3+\n\
        F/usr/bin/bash\nF(none)\nP\tgpg-pubkey\t\t1-2\t(none)\t\tpubkey\nF/not/ours\n\
        garbage\nP\tepoch\t2\t1-1\tnoarch\t\t\nF/etc/epoch\nP\t\n\xff\xfe\n";
    let database = rpm::parse(printed);
    let expected = Package {
        name: "bash".into(),
        version: "5.1.8-6.el9".into(),
        arch: "x86_64".into(),
        source: Some("bash-5.1.8-6.el9.src.rpm".into()),
        licence: Some("GPLv3+".into()),
        ..Package::default()
    };
    assert_eq!(database.packages[0], expected);
    assert_eq!(database.packages[1].epoch.as_deref(), Some("2"));
    assert_eq!(database.packages.len(), 2);
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "usr/bin/bash", b"x");
    write(root.path(), "not/ours", b"x");
    let walked = walk(root.path(), &database.owners, 2);
    assert_eq!(
        walked.packages.iter().map(|p| p.1).collect::<Vec<_>>(),
        [1, 0]
    );
}

#[test]
fn what_no_frame_holds_is_cut() {
    let package = Package {
        name: "\u{1}".repeat(200),
        ..Package::default()
    };
    let inventory = Inventory {
        packages: vec![package; 10_000],
        ..Inventory::default()
    };
    let cut = bounded(inventory);
    assert!(cut.packages.is_empty());
    assert!(cut.note.unwrap().starts_with("10000 packages"));
}
