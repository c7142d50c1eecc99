//! The same outputs from inside a user namespace, as an ordinary user: what
//! owners, capabilities and devices look like there must not reach the image.
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::testing::{assert_same, bash, is_root, list, nasty_tree, Ignore, Mounted};
use super::{archive, disk, NodeRegistry};
use crate::blockdev::{default_config, layout, RootParams};
use crate::plan::Archive;

const CHILD: &str = "SAFEDIB_TEST_USERNS_DIRECTORY";
const IGNORE: Ignore = Ignore {
    fractions: true,
    node_details: true,
    holes: false,
};

/// Runs inside the namespace, started by the other test.
#[test]
fn child_makes_outputs() {
    let Some(directory) = std::env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let (tree, nodes) = nasty_tree(&directory);
    let listing = list(&tree, &nodes, IGNORE);
    let layout = layout(
        default_config(),
        &RootParams {
            fs_type: "ext4".into(),
            ..Default::default()
        },
    );
    archive::pack(&Archive::Tar, &tree, &directory.join("a.tar"), &nodes, None).unwrap();
    archive::pack(
        &Archive::Squashfs,
        &tree,
        &directory.join("a.squash"),
        &nodes,
        None,
    )
    .unwrap();
    let trees = BTreeMap::from([("mkfs_root".to_string(), tree)]);
    disk::assemble(
        &layout.unwrap(),
        &trees,
        64 << 20,
        &directory.join("a.raw"),
        &nodes,
        None,
    )
    .unwrap();
    let text: Vec<_> = listing.iter().collect();
    std::fs::write(directory.join("listing"), format!("{text:#?}")).unwrap();
}

fn text_of(listing: &BTreeMap<PathBuf, String>) -> String {
    format!("{:#?}", listing.iter().collect::<Vec<_>>())
}

/// A user with subordinate ids.
fn user() -> Option<String> {
    let text = std::fs::read_to_string("/etc/subuid").ok()?;
    text.lines()
        .filter_map(|line| line.split(':').next())
        .find(|name| *name != "root")
        .map(String::from)
}

#[test]
fn outputs_of_a_user_namespace_are_those_of_root() {
    if std::env::var_os(CHILD).is_some() || !is_root() {
        return;
    }
    let Some(user) = user() else {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "no user in /etc/subuid"
        );
        eprintln!("skipped: no user in /etc/subuid");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    // The target directory of cargo may be out of reach for the user.
    let program = directory.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new("runuser")
        .args([
            "-u",
            &user,
            "--",
            "unshare",
            "--user",
            "--map-root-user",
            "--map-auto",
            "--ipc",
            "--",
        ])
        .arg(&program)
        .args([
            "--exact",
            "output::userns_tests::child_makes_outputs",
            "--nocapture",
        ])
        .env(CHILD, directory.path())
        .current_dir("/")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let want = std::fs::read_to_string(directory.path().join("listing")).unwrap();
    let mounted = Mounted::new(&directory.path().join("a.raw"), 0);
    let disk = list(&mounted.path, &NodeRegistry::default(), IGNORE);
    assert_eq!(text_of(&disk), want);
    bash(
        directory.path(),
        "mkdir out; tar --xattrs --xattrs-include='*' -C out -xpf a.tar; mkdir out/proc out/sys
         touch -r tree/proc out/proc; touch -r tree/sys out/sys; touch -d '2003-03-03 03:03:03.3' out",
    );
    let tar = list(
        &directory.path().join("out"),
        &NodeRegistry::default(),
        IGNORE,
    );
    assert_same(&disk, &tar);
    // squashfs cannot hold times before 1970.
    let squash = Mounted::new(&directory.path().join("a.squash"), 0);
    let mut have = list(&squash.path, &NodeRegistry::default(), IGNORE);
    let old = Path::new("owned");
    have.insert(old.into(), disk[old].clone());
    assert_same(&disk, &have);
}
