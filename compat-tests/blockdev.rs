//! The block-device bar: for the configurations of upstream's elements and of
//! its own tests, and for broken and unusual ones, the expanded graph, the order
//! of creation, `state.json`, partition tables and what `getval` and
//! `writefstab` print equal upstream's; so do the kinds of errors.
//!
//! Upstream is 3.43.0 as `scripts/install-upstream` installs it, run by
//! `blockdev_upstream.py` in one process for all cases. `create` runs there with
//! the commands replaced; MBRs are read back from its image files, GPTs are what
//! it would have told sgdisk.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use safedib::blockdev::state::{Created, State};
use safedib::blockdev::{Config, Error, Graph};
use serde::{Deserialize, Serialize};

#[path = "blockdev/cases.rs"]
mod cases;
#[path = "blockdev/command_line.rs"]
mod command_line;
#[path = "blockdev/devices.rs"]
mod devices;
#[path = "blockdev/tables.rs"]
mod tables;

const IMAGE_BYTES: u64 = 64 << 30;
/// What the driver makes of `uuid4`.
const UUID: &str = "00000000-0000-4000-8000-000000000000";

/// Where we differ on purpose, by case, in [`cases::different`]: each must differ.
/// docs/deviations.md has them in words.
fn is_different(case: &Case) -> bool {
    cases::different()
        .iter()
        .any(|(name, _)| case.name.starts_with(&format!("{name} (")))
}

#[derive(Debug, Clone, Serialize)]
struct Case {
    #[serde(skip)]
    name: String,
    dir: PathBuf,
    config: String,
    params: String,
    env: BTreeMap<String, String>,
}

/// What a step ended with.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Attempt {
    Error {
        error: String,
        message: String,
    },
    Value {
        value: String,
        result: serde_json::Value,
    },
}

#[derive(Debug, Deserialize)]
struct Upstream {
    init: Attempt,
    config_json: Option<String>,
    after_init: Option<Vec<String>>,
    #[serde(default)]
    getval: BTreeMap<String, Attempt>,
    graph: Option<Attempt>,
    create: Option<Attempt>,
    #[serde(default)]
    commands: Vec<Vec<String>>,
    state_json: Option<String>,
    #[serde(default)]
    created: BTreeMap<String, Attempt>,
    writefstab: Option<Attempt>,
    fstab: Option<String>,
    umount: Option<Attempt>,
    #[serde(default)]
    umount_commands: Vec<Vec<String>>,
    cleanup: Option<Attempt>,
    #[serde(default)]
    cleanup_commands: Vec<Vec<String>>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python that has upstream installed; none where it cannot be had.
fn python() -> Option<PathBuf> {
    let output = Command::new(repository().join("scripts/install-upstream"))
        .stderr(Stdio::inherit())
        .output()
        .expect("scripts/install-upstream starts");
    if output.status.success() {
        let path = String::from_utf8(output.stdout).unwrap();
        return Some(Path::new(path.trim()).join("bin/python"));
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "upstream is not installed: run scripts/fetch-fixtures and scripts/install-upstream"
    );
    eprintln!("skipped: scripts/install-upstream failed");
    None
}

/// Runs the driver; `cases` and what it answers are JSON lists.
fn ask<T: for<'de> Deserialize<'de>>(python: &Path, cases: &impl Serialize) -> Vec<T> {
    let mut child = Command::new(python)
        .arg("-B")
        .arg(repository().join("compat-tests/blockdev_upstream.py"))
        .current_dir("/")
        .env_remove("PYTHONPATH")
        .env_remove("DIB_DEBUG_TRACE")
        .env_remove("DIB_PYTHON_LOGGING_CONFIG_FILE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(cases).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the driver ran");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The block-device configurations of a package's elements, and of its tests.
fn configurations(package: &str) -> Vec<(String, String)> {
    let root = repository().join("upstream-fixtures/cache").join(package);
    assert!(root.is_dir(), "no {package}: run scripts/fetch-fixtures");
    let mut found: Vec<(String, String)> = walkdir::WalkDir::new(&root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| {
            let path = entry.path().to_string_lossy();
            let name = entry.file_name().to_string_lossy();
            let element = path.contains("/elements/") && name.starts_with("block-device");
            name.ends_with(".yaml") && (element || path.contains("/block_device/tests/config/"))
        })
        .map(|entry| {
            let name = entry.path().strip_prefix(root.parent().unwrap()).unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (name.display().to_string(), text)
        })
        .collect();
    found.sort();
    found
}

/// Parameters as `disk-image-create` writes them.
fn params(dir: &Path, fs_type: &str, label: &str, more: &str) -> String {
    let dir = dir.display();
    format!(
        "config: {dir}/config.yaml\nimage-dir: {dir}\nroot-fs-type: {fs_type}\nroot-label: {label}\n\
         mount-base: {dir}/mnt\nbuild-dir: {dir}\nimage-size: 64GiB\n{more}"
    )
}

fn all_cases(base: &Path) -> Vec<Case> {
    let options = "root-fs-opts: '-i 4096 -J size=64'\n";
    let parameters = [
        ("ext4", "", ""),
        ("ext4", "", options),
        ("xfs", "", ""),
        ("xfs", "mine", options),
        ("btrfs", "a-label", ""),
        ("vfat", "MixedCase", ""),
        ("ext4", "much-too-long-for-it", ""),
        ("ext4", "1234", ""),
        ("ext4", "yes", ""),
    ];
    let mut list: Vec<(String, String, usize)> = Vec::new();
    let count = |package: &str| configurations(package).len();
    assert_eq!(
        count("diskimage-builder-0.1.46") + count("diskimage-builder-1.28.0"),
        0
    );
    for package in [
        "diskimage-builder-2.38.0",
        "diskimage-builder-3.43.0",
        "tripleo-image-elements-15.0.0",
    ] {
        let found = configurations(package);
        assert!(!found.is_empty(), "{package}");
        let all = parameters.len();
        list.extend(found.into_iter().map(|(name, text)| (name, text, all)));
    }
    let ours = cases::broken().into_iter().chain(cases::different());
    let ours = ours.chain(cases::upstreams_mbrs());
    let ours = ours.map(|(name, text)| (name, text, 1));
    let unusual = cases::unusual()
        .into_iter()
        .map(|(name, text)| (name, text, 4));
    list.extend(
        ours.chain(unusual)
            .map(|(name, text, n)| (name.into(), text, n)),
    );
    let mut all = Vec::new();
    for (name, config, rounds) in list {
        for (fs_type, label, more) in &parameters[..rounds] {
            let dir = base.join(all.len().to_string());
            std::fs::create_dir(&dir).unwrap();
            all.push(Case {
                name: format!("{name} ({fs_type} {label} {more})").replace('\n', ""),
                params: params(&dir, fs_type, label, more),
                config: config.clone(),
                dir,
                env: BTreeMap::new(),
            });
        }
    }
    let efi = all.iter().find(|case| {
        case.name
            .contains("3.43.0/diskimage_builder/elements/block-device-efi/")
    });
    let mut block_size = efi.unwrap().clone();
    block_size.dir = base.join("4096");
    std::fs::create_dir(&block_size.dir).unwrap();
    block_size.params = params(&block_size.dir, "ext4", "", "");
    block_size.name = "DIB_BLOCK_SIZE".into();
    block_size
        .env
        .insert("DIB_BLOCK_SIZE".into(), "4096".into());
    all.push(block_size);
    all
}

fn created(case: &Case, graph: &Graph) -> Created {
    Created {
        loops: graph
            .disks_in_order()
            .enumerate()
            .map(|(index, name)| (name.to_owned(), format!("/dev/loop{index}")))
            .collect(),
        uuids: graph
            .filesystems()
            .map(|(name, _)| (name.into(), UUID.into()))
            .collect(),
        image_bytes: IMAGE_BYTES,
        image_dir: case.dir.display().to_string(),
        mount_base: case.dir.join("mnt").display().to_string(),
        block_size: case
            .env
            .get("DIB_BLOCK_SIZE")
            .map(|size| size.parse().unwrap()),
    }
}

/// An error of upstream's own: ours has its text. An accident of Python: ours
/// says what led to it.
fn same_error(what: &str, ours: &str, class: &str, message: &str) -> bool {
    let any = |parts: &[&str]| parts.iter().any(|part| ours.contains(part));
    match class {
        "BlockDeviceSetupException" | "RuntimeError" => ours.contains(message),
        // `create` stumbles over what the state lacks.
        "KeyError" if what == "create" => any(&["its base"]),
        "KeyError" => ours.contains(&format!("KeyError: {message}")),
        "AssertionError" if what == "create" => any(&["smaller than the block device"]),
        "AssertionError" => any(&["no mount with", "no mkfs named"]),
        "TypeError" | "AttributeError" => any(&[
            " must be a ",
            " needs a mapping",
            "not a list of entries",
            "No size in partition",
        ]),
        "ValueError" | "error" => any(&["hexadecimal number up to 0xff", "not a percentage"]),
        "NetworkXUnfeasible" => any(&["Graph contains a cycle"]),
        "ParserError" => any(&["not valid YAML"]),
        _ => false,
    }
}

/// Whether both came to the same value, or both to the same error.
fn same(what: &str, ours: &Result<String, Error>, upstream: &Attempt) -> Result<bool, String> {
    match (ours, upstream) {
        (Ok(ours), Attempt::Value { value, .. })
            if value.strip_suffix('\n').unwrap_or_default() == ours =>
        {
            Ok(true)
        }
        (Err(ours), Attempt::Error { error, message })
            if same_error(what, &ours.to_string(), error, message) =>
        {
            Ok(false)
        }
        (ours, upstream) => Err(format!("{what}: ours {ours:?}, upstream {upstream:?}")),
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, upstream: T) -> Result<(), String> {
    if ours == upstream {
        return Ok(());
    }
    Err(format!(
        "{what}:\n    ours     {ours:?}\n    upstream {upstream:?}"
    ))
}

/// Compares step by step, as far as upstream came; says how far that was.
fn compare(case: &Case, upstream: &Upstream) -> Result<&'static str, String> {
    let config = Config::expand(&case.config).map(|mut config| {
        config.merge_root(&safedib::yaml::load(&case.params).unwrap());
        config
    });
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            same("init", &Err(error), &upstream.init)?;
            return Ok("refused by init");
        }
    };
    let text = config.to_json();
    equal("config.json", Some(&text), upstream.config_json.as_ref())?;
    let files = Some(vec!["config.json".to_owned()]);
    equal("files", files, upstream.after_init.clone())?;
    let again = Config::from_json(&text).unwrap();
    equal("config.json read back", &again.to_json(), &text)?;
    for (symbol, value) in [
        ("root-label", again.root_label()),
        ("root-fstype", again.root_fstype()),
        ("boot-label", again.boot_label()),
        ("mount-points", again.mount_points()),
    ] {
        same(symbol, &value, &upstream.getval[symbol])?;
    }
    created_alike(case, &again, upstream)
}

fn created_alike(
    case: &Case,
    config: &Config,
    upstream: &Upstream,
) -> Result<&'static str, String> {
    let result = upstream.graph.as_ref().unwrap();
    let (graph, create) = match (Graph::new(config), result, &upstream.create) {
        (Ok(graph), Attempt::Value { result, .. }, Some(create)) => {
            let order: Vec<&str> = graph.in_order().map(|node| node.name.as_str()).collect();
            equal("order", &serde_json::to_value(order).unwrap(), result)?;
            (graph, create)
        }
        // Sizes are read with the rest here, by upstream when it creates.
        (Err(error), Attempt::Value { .. }, Some(create)) => {
            same("create", &Err(error), create)?;
            return Ok("refused by create");
        }
        (graph, result, _) => {
            same("graph", &graph.map(|_| String::new()), result)?;
            return Ok("refused by graph");
        }
    };
    let created = created(case, &graph);
    let made = graph.layout().and_then(|mut layout| {
        if let Some(size) = created.block_size {
            layout.override_block_size(size);
        }
        Ok((layout, State::after_create(&graph, &created)?))
    });
    let (layout, state) = match made {
        Ok(made) => made,
        Err(error) => {
            same("create", &Err(error), create)?;
            return Ok("refused by create");
        }
    };
    same("create", &Ok(String::new()), create)?;
    state_alike(&state, upstream)?;
    let fstab = upstream.fstab.as_deref().unwrap_or_default();
    equal("fstab of the layout", layout.fstab().as_str(), fstab)?;
    tables::compare(&case.dir, &layout, &upstream.commands)?;
    devices::compare(&graph, &created, upstream)?;
    Ok("created")
}

fn state_alike(state: &State, upstream: &Upstream) -> Result<(), String> {
    let text = state.to_json();
    equal("state.json", Some(&text), upstream.state_json.as_ref())?;
    let state = State::from_json(&text).unwrap();
    for (symbol, value) in [
        ("image-path", state.image_path()),
        ("image-block-device", state.image_block_device()),
        ("image-block-devices", state.image_block_devices()),
    ] {
        same(symbol, &value, &upstream.created[symbol])?;
    }
    let fstab = state.fstab();
    let printed = fstab.as_ref().map(|_| String::new());
    let printed = printed.map_err(|error| Error::NotAList(error.to_string()));
    if same(
        "writefstab",
        &printed,
        upstream.writefstab.as_ref().unwrap(),
    )? {
        equal("fstab", fstab.ok(), upstream.fstab.clone())?;
    }
    Ok(())
}

#[test]
fn configurations_come_to_what_upstream_makes_of_them() {
    let Some(python) = python() else { return };
    let base = tempfile::tempdir_in("/var/tmp").unwrap();
    let cases = all_cases(base.path());
    let outcomes: Vec<Upstream> = ask(&python, &cases);
    assert_eq!(outcomes.len(), cases.len());
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (case, upstream) in cases.iter().zip(&outcomes) {
        let expected = is_different(case);
        match compare(case, upstream) {
            Ok(kind) if !expected => *kinds.entry(kind).or_default() += 1,
            Err(_) if expected => *kinds.entry("different").or_default() += 1,
            Ok(_) => wrong.push(format!("{}: no longer different", case.name)),
            Err(difference) => wrong.push(format!("{}: {difference}", case.name)),
        }
    }
    println!("{} cases: {kinds:?}", cases.len());
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
