//! The merged hooks tree, the hooks that run and their order, and the order of
//! environment.d, against upstream's own `generate_hooks` and `dib-run-parts`
//! of 3.43.0 (`merge_upstream.sh`), over the elements of the four pinned versions.
//!
//! Where upstream overwrites a file of one element with another's, which one
//! stays depends on bash's hash order: contents of such files are not compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use safedib::elements::{
    merge, reads_block_device, resolve, Catalog, ElementSet, Error, MergedHooks,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn elements_of(package: &str) -> PathBuf {
    let package = root().join("upstream-fixtures/cache").join(package);
    ["diskimage_builder/elements", "elements", "dib"]
        .iter()
        .map(|folder| package.join(folder))
        .find(|path| path.is_dir())
        .unwrap_or_else(|| {
            panic!(
                "no elements in {}: run scripts/fetch-fixtures",
                package.display()
            )
        })
}

/// What upstream made of the elements, or what it said when it refused.
fn merge_upstream(set: &ElementSet, directory: &Path) -> Result<Vec<String>, String> {
    let package = elements_of("diskimage-builder-3.43.0");
    let output = Command::new("bash")
        .arg(root().join("compat-tests/merge_upstream.sh"))
        .arg(package.parent().unwrap())
        .arg(directory)
        .args(
            set.elements
                .iter()
                .map(|element| format!("{}={}", element.name, element.path.display())),
        )
        .output()
        .unwrap();
    if output.status.success() {
        let text = String::from_utf8(output.stdout).unwrap();
        Ok(text.lines().map(str::to_owned).collect())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The same lines as the script prints.
fn order(merged: &MergedHooks) -> Vec<String> {
    let hooks = merged.hooks.iter().flat_map(|(phase, hooks)| {
        hooks
            .iter()
            .map(move |hook| format!("{}/{}", phase.directory(), hook.name))
    });
    let files = merged.environment_files.iter();
    hooks
        .chain(files.map(|file| format!("environment.d/{}", file.name)))
        .collect()
}

/// Copies as an agent would.
fn make_tree(merged: &MergedHooks, hooks: &Path) {
    for directory in &merged.directories {
        fs::create_dir_all(hooks.join(directory)).unwrap();
    }
    let mut sources: BTreeMap<(&str, &str), Vec<&Path>> = BTreeMap::new();
    for copy in &merged.copies {
        let key = (copy.element.as_str(), copy.directory.as_str());
        sources.entry(key).or_default().push(&copy.source);
    }
    for ((_, directory), sources) in sources {
        let status = Command::new("cp")
            .args(["-a", "-t"])
            .arg(hooks.join(directory))
            .args(sources)
            .status()
            .unwrap();
        assert!(status.success(), "{directory}");
    }
}

/// Every path with its kind and content, or link target.
fn listing(tree: &Path) -> BTreeMap<PathBuf, (String, Vec<u8>)> {
    walkdir::WalkDir::new(tree)
        .min_depth(1)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path();
            let (kind, content) = if entry.file_type().is_symlink() {
                let target = fs::read_link(path).unwrap();
                ("link", target.to_string_lossy().into_owned().into_bytes())
            } else if entry.file_type().is_dir() {
                ("directory", Vec::new())
            } else {
                ("file", fs::read(path).unwrap())
            };
            let path = path.strip_prefix(tree).unwrap().to_path_buf();
            (path, (kind.to_owned(), content))
        })
        .collect()
}

/// Paths that more than one element has.
fn overwritten(set: &ElementSet) -> BTreeSet<PathBuf> {
    let mut once = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for element in &set.elements {
        for entry in walkdir::WalkDir::new(&element.path) {
            let entry = entry.unwrap();
            let path = entry
                .path()
                .strip_prefix(&element.path)
                .unwrap()
                .to_path_buf();
            if !once.insert(path.clone()) {
                twice.insert(path);
            }
        }
    }
    twice
}

/// Compares one set; tells whether it was merged (else both refused).
fn compare(set: &ElementSet) -> bool {
    let names: Vec<&str> = set
        .elements
        .iter()
        .map(|element| element.name.as_str())
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let upstream = merge_upstream(set, directory.path());
    let merged = match (merge(set), upstream) {
        (Err(Error::DuplicateHook { .. }), Err(_)) => return false,
        (Ok(merged), Ok(order_upstream)) => {
            assert_eq!(order(&merged), order_upstream, "order in {names:?}");
            merged
        }
        (ours, upstream) => panic!("{names:?}\n  ours: {ours:?}\n  upstream: {upstream:?}"),
    };
    let ours = directory.path().join("ours");
    make_tree(&merged, &ours);
    let ours = listing(&ours);
    let theirs = listing(&directory.path().join("hooks"));
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        theirs.keys().collect::<Vec<_>>(),
        "paths in {names:?}"
    );
    let overwritten = overwritten(set);
    for (path, entry) in &ours {
        if !overwritten.contains(path) {
            assert!(entry == &theirs[path], "{} in {names:?}", path.display());
        }
    }
    true
}

/// Resolves the operating system with as many other elements as can be added
/// without a conflict.
fn large_set(system: &str, catalog: &Catalog) -> ElementSet {
    let mut request = vec!["base".to_owned(), system.to_owned()];
    let mut set = resolve(&request, catalog).unwrap();
    for name in catalog.elements.keys() {
        request.push(name.clone());
        match resolve(&request, catalog) {
            Ok(larger) if merge(&larger).is_ok() => set = larger,
            _ => drop(request.pop()),
        }
    }
    set
}

fn catalog_of(version: &str) -> Catalog {
    Catalog::find(&[elements_of(&format!("diskimage-builder-{version}"))]).unwrap()
}

#[test]
fn the_demo_and_two_large_sets() {
    let request = ["base", "debian-minimal", "vm", "block-device-mbr"].map(str::to_owned);
    assert!(compare(&resolve(&request, &catalog_of("3.43.0")).unwrap()));
    for (version, system) in [("3.43.0", "ubuntu-minimal"), ("1.28.0", "gentoo")] {
        let set = large_set(system, &catalog_of(version));
        assert!(set.elements.len() > 40, "{version} gives a large set");
        assert!(compare(&set), "{version} merges");
    }
}

/// All elements of a package at once, but for some that have files of equal names.
#[test]
fn other_peoples_elements() {
    const SAHARA: &[&str] = &[
        "centos-mirror",
        "fedora-mirror",
        "hadoop-mapr",
        "oozie",
        "oracle-java",
    ];
    for (package, system, left_out) in [
        ("sahara-image-elements-19.0.0", "ubuntu-minimal", SAHARA),
        ("tripleo-image-elements-15.0.0", "centos-minimal", &[]),
        ("octavia-19.0.0", "debian-minimal", &[]),
        ("ironic-python-agent-builder-7.4.0", "debian-minimal", &[]),
    ] {
        let paths = [package, "diskimage-builder-3.43.0"].map(elements_of);
        let theirs = Catalog::find(&paths[..1]).unwrap();
        let mut request = vec!["base".to_owned(), system.to_owned()];
        request.extend(theirs.elements.into_keys());
        request.retain(|name| !left_out.contains(&name.as_str()));
        let set = resolve(&request, &Catalog::find(&paths).unwrap()).unwrap();
        assert!(compare(&set), "{package} merges");
    }
}

/// What `foreign.rs` plans on other systems, because of files that Debian's elements have.
#[test]
fn elements_that_debian_has_no_room_for() {
    let catalog = catalog_of("3.43.0");
    for name in [
        "modprobe-blacklist",
        "yum",
        "yum-minimal",
        "zypper",
        "zypper-minimal",
    ] {
        let request = ["base", "debian-minimal", name].map(str::to_owned);
        assert!(!compare(&resolve(&request, &catalog).unwrap()), "{name}");
    }
}

#[test]
#[ignore = "five minutes: cargo test --test merged_hooks -- --ignored"]
fn every_operating_system_with_most_other_elements() {
    for (version, least) in [
        ("3.43.0", 30),
        ("2.38.0", 24),
        ("1.28.0", 28),
        ("0.1.46", 20),
    ] {
        let catalog = catalog_of(version);
        let mut compared = 0;
        for element in catalog.elements.values() {
            let request = ["base".to_owned(), element.name.clone()];
            let Ok(small) = resolve(&request, &catalog) else {
                continue;
            };
            if element.provides.contains("operating-system") {
                compared += usize::from(compare(&small));
                compared += usize::from(compare(&large_set(&element.name, &catalog)));
            }
        }
        assert!(
            compared >= least,
            "{version}: only {compared} sets were merged"
        );
    }
}

/// The elements of 3.43.0 whose hooks need a block device, all of them by name.
#[test]
fn which_elements_need_a_block_device() {
    let catalog = catalog_of("3.43.0");
    let mut found = Vec::new();
    for element in catalog.elements.values() {
        let set = ElementSet {
            elements: vec![element.clone()],
            requested_by: BTreeMap::new(),
        };
        let hooks = merge(&set).unwrap().hooks;
        let mut uses = hooks.values().flatten();
        if uses.any(|hook| reads_block_device(hook).unwrap().is_some()) {
            found.push(element.name.as_str());
        }
    }
    let expected = [
        "bootloader",
        "centos",
        "fedora",
        "iso",
        "lvm",
        "opensuse",
        "rax-nova-agent",
        "rhel",
        "zipl",
    ];
    assert_eq!(found, expected);
}

#[test]
fn own_elements() {
    let catalog = Catalog::find(&[root().join("upstream-fixtures/elements")]).unwrap();
    let names = catalog
        .elements
        .keys()
        .filter(|name| !name.contains("duplicate"));
    let mut set = ElementSet::default();
    set.elements
        .extend(names.map(|name| catalog.elements[name].clone()));
    assert!(compare(&set));
    let notices: Vec<String> = merge(&set)
        .unwrap()
        .notices
        .into_iter()
        .map(|notice| notice.element)
        .collect();
    assert_eq!(
        notices,
        [
            "safedib-bad-name",
            "safedib-no-execute-bit",
            "safedib-no-shebang"
        ]
    );
    let duplicates = ["safedib-duplicate-a", "safedib-duplicate-b"];
    set.elements
        .extend(duplicates.map(|name| catalog.elements[name].clone()));
    assert!(!compare(&set));
}
