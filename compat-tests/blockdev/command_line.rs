//! `dib-block-device` as a command: status, stdout, log lines and the words of
//! errors equal upstream's (1.077-1.081 of the inventory).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::{ask, params, python};

#[derive(Debug, Serialize)]
struct Case {
    runs: Vec<Vec<String>>,
    env: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Run {
    status: i32,
    stdout: String,
    stderr: String,
}

const CONFIG: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: ESP, type: EF00, size: 8MiB, mkfs: {type: vfat, mount: {mount_point: /boot/efi}}}
      - name: root
        size: 100%
        mkfs: {mount: {mount_point: /, fstab: {fsck-passno: 1}}}
";

/// As upstream's `create` leaves it, shortened.
const STATE: &str = r#"{"blockdev": {"image0": {"device": "/dev/loop7", "image": "/x/image0.raw"}, "ESP": {"device": "/dev/mapper/loop7p1"}}, "mount_order": ["/", "/boot/efi"], "mount": {"/": {"name": "m", "base": "r", "path": "p"}, "/boot/efi": {"name": "e", "base": "f", "path": "q"}}, "filesys": {"r": {"label": "root", "fstype": "ext4"}, "f": {"label": "F", "fstype": "vfat"}}, "fstab": {"m": {"options": "x", "dump-freq": 0, "fsck-passno": 1}}}"#;

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Without the environment variable.
fn with_options(file: &str) -> Vec<Vec<String>> {
    let equals = format!("--params={file}");
    vec![
        words(&[]),
        words(&["init"]),
        words(&["frob"]),
        words(&["getval"]),
        words(&["-x", "init"]),
        words(&["--params"]),
        words(&["--params", "--params"]),
        words(&["--params", "", "init"]),
        words(&["--params", file, "init", "more"]),
        words(&["--params", file, "getval", "root-label", "more"]),
        words(&["init", "--params", file]),
        words(&["--help"]),
        words(&["--params", file, "getval", "-h"]),
        words(&["--params", file]),
        words(&["--par", file, "umount"]),
        words(&[&equals, "umount"]),
        words(&["--params", "/nonexistent/params.yaml", "init"]),
        words(&["--params", "/nonexistent/params.yaml"]),
    ]
}

/// With it: nothing created, then a configuration.
fn in_order() -> Vec<Vec<String>> {
    vec![
        words(&["getval", "root-label"]),
        words(&["getval", "image-path"]),
        words(&["getval", "frob"]),
        words(&["writefstab"]),
        words(&["umount"]),
        words(&["cleanup"]),
        words(&["delete"]),
        words(&["init"]),
        words(&["getval", "root-label"]),
        words(&["getval", "root-fstype"]),
        words(&["getval", "boot-label"]),
        words(&["getval", "mount-points"]),
        words(&["getval", "image-block-devices"]),
        words(&["init"]),
    ]
}

/// With a state.
fn with_state() -> Vec<Vec<String>> {
    vec![
        words(&["getval", "image-path"]),
        words(&["getval", "image-block-device"]),
        words(&["getval", "image-block-devices"]),
        words(&["getval", "frob"]),
        words(&["writefstab"]),
        words(&["umount"]),
    ]
}

fn prepare(dir: &Path, state: Option<&str>) {
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir.join("states/block-device")).unwrap();
    std::fs::write(dir.join("config.yaml"), CONFIG).unwrap();
    std::fs::write(dir.join("params.yaml"), params(dir, "xfs", "", "")).unwrap();
    if let Some(state) = state {
        std::fs::write(dir.join("states/block-device/state.json"), state).unwrap();
    }
}

fn run_ours(link: &Path, run: &[String], env: &BTreeMap<String, String>) -> Run {
    let output = Command::new(link)
        .args(run)
        .env_remove("DIB_BLOCK_DEVICE_PARAMS_YAML")
        .envs(env)
        .output()
        .unwrap();
    Run {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn log_lines(stderr: &str) -> Vec<&str> {
    let level = |line: &&str| line.starts_with("INFO ") || line.starts_with("ERROR ");
    stderr.lines().filter(level).collect()
}

/// The last line; choices are written differently by every Python.
fn last_line(stderr: &str) -> &str {
    let line = stderr.lines().last().unwrap_or_default();
    line.split(" (choose").next().unwrap_or_default()
}

fn compare(run: &[String], ours: &Run, upstream: &Run) {
    let context = format!("{run:?}\nours {ours:?}\nupstream {upstream:?}");
    assert_eq!(ours.status, upstream.status, "{context}");
    if upstream.stdout.starts_with("usage: ") {
        // The help is in our own words, below the same first line.
        let line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        assert_eq!(line(&ours.stdout), line(&upstream.stdout), "{context}");
        return;
    }
    assert_eq!(ours.stdout, upstream.stdout, "{context}");
    assert_eq!(
        log_lines(&ours.stderr),
        log_lines(&upstream.stderr),
        "{context}"
    );
    if ours.status == 2 {
        assert_eq!(
            last_line(&ours.stderr),
            last_line(&upstream.stderr),
            "{context}"
        );
        let usage = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        assert_eq!(usage(&ours.stderr), usage(&upstream.stderr), "{context}");
    }
    if let Some((_, message)) =
        last_line(&upstream.stderr).split_once("BlockDeviceSetupException: ")
    {
        assert!(ours.stderr.contains(message), "{context}");
    }
}

#[test]
fn the_command_answers_as_upstream_does() {
    let Some(python) = python() else { return };
    let base = tempfile::tempdir_in("/var/tmp").unwrap();
    let link = base.path().join("dib-block-device");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_safedib"), &link).unwrap();
    let dir = base.path().join("build");
    let file = dir.join("params.yaml").display().to_string();
    let none = BTreeMap::new();
    let env = BTreeMap::from([("DIB_BLOCK_DEVICE_PARAMS_YAML".to_owned(), file.clone())]);
    for (runs, env, state) in [
        (with_options(&file), &none, None),
        (in_order(), &env, None),
        (with_state(), &env, Some(STATE)),
    ] {
        let env = env.clone();
        let case = Case { runs, env };
        prepare(&dir, state);
        let upstream: Vec<Vec<Run>> = ask(&python, &[&case]);
        let files = tree(&dir);
        prepare(&dir, state);
        for (run, upstream) in case.runs.iter().zip(&upstream[0]) {
            compare(run, &run_ours(&link, run, &case.env), upstream);
        }
        // Upstream's `cp` into the tree did not run.
        let mut ours = tree(&dir);
        ours.remove("built/etc/fstab");
        assert_eq!(ours, files);
    }
}

/// All files below a directory, with their content.
fn tree(dir: &Path) -> BTreeMap<String, String> {
    let entries = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    let content = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(dir).unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        (name.display().to_string(), text)
    };
    files.map(content).collect()
}

#[test]
fn what_needs_devices_is_refused_by_name() {
    let base = tempfile::tempdir_in("/var/tmp").unwrap();
    let link = base.path().join("dib-block-device");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_safedib"), &link).unwrap();
    let dir = base.path().join("build");
    prepare(&dir, None);
    let file = dir.join("params.yaml").display().to_string();
    let env = BTreeMap::from([("DIB_BLOCK_DEVICE_PARAMS_YAML".to_owned(), file)]);
    assert_eq!(run_ours(&link, &words(&["init"]), &env).status, 0);
    let states = dir.join("states/block-device");
    let refused = |command: &str, expected: &str| {
        let run = run_ours(&link, &words(&[command]), &env);
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.stderr.contains(expected), "{run:?}");
        assert_eq!(run.stdout, "");
    };
    refused("create", "'create' needs a kernel with block devices");
    std::fs::write(states.join("nodes.pickle"), "").unwrap();
    refused("umount", "nodes.pickle was written by diskimage-builder");
    std::fs::write(states.join("nodes.json"), "{}").unwrap();
    for command in ["umount", "cleanup", "delete"] {
        refused(
            command,
            &format!("'{command}' needs a kernel with block devices"),
        );
    }
    assert!(states.join("nodes.json").exists(), "nothing was removed");
    // A configuration that upstream refuses is refused in its words first.
    std::fs::write(
        dir.join("config.yaml"),
        "- mkfs: {name: a, base: b, type: ext4}",
    )
    .unwrap();
    assert_eq!(run_ours(&link, &words(&["init"]), &env).status, 0);
    refused("create", "Edge not defined: b->a");
}
