//! Builds at the same time in one account: one image cache, one directory of
//! locks, one `TMP_DIR`, one directory of outputs. Each comes to what it comes to
//! alone, and what they share is whole.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::machine::{machine, same_trees, TCG};
use common::{callers, tool, Caller, Run};

const NAMES: [&str; 4] = ["one", "two", "three", "four"];
const ROUNDS: usize = 2;

/// As upstream's `dpkg` element has it, with a wait until all builds are here.
const BINDS: &str = r#"#!/bin/bash
set -eu
touch "$DIB_IMAGE_CACHE/here-$OF"
for n in {1..6000}; do
    here=("$DIB_IMAGE_CACHE"/here-*)
    [ "${#here[@]}" -lt "$AT_ONCE" ] || break
    sleep 0.05
done
[ "${#here[@]}" = "$AT_ONCE" ]
mkdir -p "$DIB_IMAGE_CACHE/apt/fake" "$TARGET_ROOT/var/cache/apt/archives"
sudo mount --bind "$DIB_IMAGE_CACHE/apt/fake" "$TARGET_ROOT/var/cache/apt/archives"
"#;

/// As apt does it: a POSIX lock that is not waited for, held for the whole
/// installation; packages appear by rename.
const INSTALLS: &str = r#"#!/usr/bin/python3
import fcntl, os, time
archives = os.environ["TARGET_ROOT"] + "/var/cache/apt/archives/"
assert os.path.exists(archives + "before_1.deb")
lock = open(archives + "lock", "w")
fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
os.makedirs(archives + "partial", exist_ok=True)
name = os.environ["OF"]
for package in ["common_1.deb", name + "_1.deb"]:
    with open(archives + "partial/" + package, "w") as file:
        for part in range(20):
            file.write(package + "\n" * 1000)
            file.flush()
            time.sleep(0.02)
    os.rename(archives + "partial/" + package, archives + package)
# As `apt-get clean` does.
os.remove(archives + "before_1.deb")
"#;

/// As upstream's elements do it that fetch to the cache.
const COUNTS: &str = r#"#!/bin/bash
set -eu
(
    flock -w 300 9
    count=$(cat "$DIB_IMAGE_CACHE/count" || echo 0)
    sleep 0.1
    echo $((count + 1)) >"$DIB_IMAGE_CACHE/count"
) 9>"$DIB_LOCKFILES/count.lock"
"#;

const NAMES_ITSELF: &str = "#!/bin/bash\necho \"$OF\" >/name\n\
    mkdir -p /etc/sub && yes \"$OF\" | head -n 100000 >/etc/sub/many\n";

const ELEMENTS: [&str; 2] = ["safedib-fake-os", "shares"];

/// A directory for builds, with an image cache that holds one package.
fn place(caller: &Caller, program: &str) -> Run {
    let run = Run::new(caller, program)
        .element_file("shares", "root.d/50-shared-apt-cache", BINDS)
        .element_file("shares", "root.d/60-install", INSTALLS)
        .element_file("shares", "extra-data.d/50-count", COUNTS)
        .element_file("shares", "install.d/50-name", NAMES_ITSELF);
    fresh_cache(&run);
    run
}

fn cache(run: &Run) -> PathBuf {
    run.home().join("cache")
}

fn fresh_cache(run: &Run) {
    if cache(run).exists() {
        fs::remove_dir_all(cache(run)).unwrap();
    }
    let mut path = cache(run);
    fs::create_dir(&path).unwrap();
    run.give(&path);
    for name in ["apt", "fake"] {
        path.push(name);
        fs::create_dir(&path).unwrap();
        run.give(&path);
    }
    let package = path.join("before_1.deb");
    fs::write(&package, "before").unwrap();
    run.give(&package);
}

/// Whether the builds of these names have left the cache as they should.
fn check_cache(run: &Run, names: &[&str]) {
    let archives = cache(run).join("apt/fake");
    let read = |name: &str| fs::read_to_string(archives.join(name)).unwrap();
    assert_eq!(read("before_1.deb"), "before");
    for package in names.iter().copied().chain(["common"]) {
        let name = format!("{package}_1.deb");
        let whole = format!("{name}{}", "\n".repeat(1000)).repeat(20);
        assert_eq!(read(&name), whole, "{name}");
    }
    let mut expected: BTreeSet<String> = names.iter().map(|name| format!("here-{name}")).collect();
    expected.extend(["apt", "count"].map(String::from));
    assert_eq!(in_directory(&cache(run)), expected);
    assert_eq!(in_directory(&archives).len(), names.len() + 2);
    let count = fs::read_to_string(cache(run).join("count")).unwrap();
    assert_eq!(count, format!("{}\n", names.len()));
}

fn in_directory(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// What a run's command is for `builds` builds that share its directories.
fn command(run: &Run, builds: usize) -> Command {
    let mut command = run.command();
    command
        .env("DIB_IMAGE_CACHE", cache(run))
        .env("AT_ONCE", builds.to_string());
    command
}

/// Starts the build of an image that knows its `name`.
fn start(run: &Run, name: &str, output: &str, builds: usize) -> Child {
    let mut command = command(run, builds);
    command
        .args(["-n", "-u", "-t", "tar,qcow2", "--checksum"])
        .args(["-o", output])
        .args(ELEMENTS)
        .env("OF", name)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for builds that print little enough for their pipes to hold it.
fn finish(builds: impl IntoIterator<Item = Child>) {
    for build in builds {
        let output = build.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The images, built one after the other.
fn built_alone(caller: &Caller) -> Run {
    let run = place(caller, "disk-image-create");
    for name in NAMES {
        fresh_cache(&run);
        finish([start(&run, name, name, 1)]);
        check_cache(&run, &[name]);
    }
    run
}

/// Fails unless a run has left all images as they are in `alone`.
fn check_images(run: &Run, alone: &Run) {
    let mut expected = BTreeSet::new();
    for name in NAMES {
        for format in ["tar", "qcow2"] {
            for ending in ["", ".md5", ".sha256"] {
                expected.insert(format!("{name}.{format}{ending}"));
            }
            for kind in ["md5", "sha256"] {
                check_sum(run, &format!("{name}.{format}"), kind);
            }
        }
        let tar = format!("{name}.tar");
        let path = alone.dir.join(&tar).display().to_string();
        same_trees(&run.dir, &tar, &path);
        check_disk(run, &format!("{name}.qcow2"), name);
    }
    let mut found = in_directory(&run.dir);
    found.remove("images.yaml");
    assert_eq!(found, expected);
    run.assert_nothing_left();
}

fn check_sum(run: &Run, image: &str, kind: &str) {
    let mut sum = Command::new(format!("{kind}sum"));
    tool(
        sum.arg("-c")
            .arg(format!("{image}.{kind}"))
            .current_dir(&run.dir),
    );
}

/// The disk is whole, and the one of this name.
fn check_disk(run: &Run, image: &str, name: &str) {
    let raw = run.home().join("raw");
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-O", "raw", image]).arg(&raw);
    tool(convert.current_dir(&run.dir));
    tool(Command::new("/usr/sbin/e2fsck").arg("-fn").arg(&raw));
    let mut cat = Command::new("/usr/sbin/debugfs");
    assert_eq!(tool(cat.args(["-R", "cat /name"]).arg(&raw)).trim(), name);
    fs::remove_file(&raw).unwrap();
}

/// Builds all images at once, each with a process of its own.
fn four_processes(caller: &Caller) -> Run {
    let run = place(caller, "disk-image-create");
    finish(NAMES.map(|name| start(&run, name, name, NAMES.len())));
    run
}

/// Builds all images at once, with one command.
fn four_jobs(caller: &Caller) -> Run {
    let run = place(caller, "diskimage-builder");
    let elements = ELEMENTS.join(", ");
    let image = |name: &&str| {
        format!(
            "- {{imagename: {name}, types: [tar, qcow2], skip-base: true, checksum: true,\n\
             \x20  environment: {{OF: '{name}'}}, elements: [{elements}],\n\
             \x20  uncompressed: true}}\n"
        )
    };
    let text: String = NAMES.iter().map(image).collect();
    fs::write(run.dir.join("images.yaml"), text).unwrap();
    let mut command = command(&run, NAMES.len());
    command.args(["-j", "4", "images.yaml"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish([command.spawn().unwrap()]);
    run
}

#[test]
fn four_builds_do_not_disturb_each_other() {
    for caller in callers() {
        let alone = built_alone(&caller);
        for _ in 0..ROUNDS {
            for build in [four_processes, four_jobs] {
                let run = build(&caller);
                check_images(&run, &alone);
                check_cache(&run, &NAMES);
            }
        }
    }
}

/// The view of the cache over 9p, where locks and links are qemu's.
#[test]
fn a_machine_has_its_own_view_of_the_cache() {
    let Some(_machine) = machine() else {
        return;
    };
    for caller in callers() {
        let run = place(&caller, "disk-image-create");
        let mut command = command(&run, 1);
        command
            .args(TCG)
            .args(["-n", "-t", "tar", "-o", "one"])
            .args(ELEMENTS)
            .env("OF", "one")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish([command.spawn().unwrap()]);
        check_cache(&run, &["one"]);
        run.assert_nothing_left();
    }
}

/// As one after the other: the image that is there first gets an old one's name,
/// and its checksums with it.
#[test]
fn builds_of_one_name_leave_both_images() {
    for caller in callers() {
        let run = place(&caller, "disk-image-create");
        finish(["one", "two"].map(|name| start(&run, name, "same", 2)));
        let files = in_directory(&run.dir);
        assert_eq!(files.len(), 12, "{files:?}");
        for format in ["tar", "qcow2"] {
            let images = files.iter().filter(|name| name.ends_with(format));
            let images: Vec<&String> = images.collect();
            assert!(images[1] == &format!("same.{format}"), "{files:?}");
            for image in images {
                let hash = |image: &str| {
                    let sums = run.dir.join(format!("{image}.md5"));
                    fs::read_to_string(sums).unwrap()[..32].to_owned()
                };
                let sum = tool(Command::new("md5sum").arg(run.dir.join(image)));
                assert_eq!(sum[..32], hash(image));
            }
        }
        check_cache(&run, &["one", "two"]);
    }
}
