//! Elements of older generations of diskimage-builder get the engine that they
//! were written for.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{callers, copy_tree, tool, Caller, Outcome, Run};

/// Prints what a hook sees, a line each with a mark of its phase.
const SEE: &str = r#"#!/bin/bash
set -eu
mark=$(basename "$(dirname "$0")")
for name in $(compgen -e); do
    printf '%s sees %s=%q\n' "$mark" "$name" "${!name}"
done
for command in dib-run-parts element-info python; do
    ! type -P "$command" >/dev/null || echo "$mark finds $command"
done
"#;

const PHASES: [&str; 9] = [
    "root",
    "extra-data",
    "pre-install",
    "install",
    "post-install",
    "post-root",
    "pre-finalise",
    "finalise",
    "cleanup",
];

/// A build by the rules of a generation; its hooks print what they see, and
/// leave what the engine treats differently.
fn build(caller: &Caller, generation: &str, formats: &str) -> Run {
    let mut run = Run::build(caller, formats)
        .element_file("probe", "README.rst", "")
        .element_file(
            "probe",
            "root.d/60-programs",
            "#!/bin/bash\nset -eu\ncd \"$TARGET_ROOT\"\n\
             printf '#!/bin/sh\\necho installing \"$@\"\\n' >usr/local/bin/install-packages\n\
             chmod 755 usr/local/bin/install-packages\n\
             echo text >var/log/log\necho saved >etc/resolv.conf\n",
        )
        .element_file(
            "probe",
            "post-install.d/60-link",
            "#!/bin/sh\nset -e\nrm /etc/resolv.conf\nln -s ../run/resolv.conf /etc/resolv.conf\n",
        )
        .args(["--generation", generation, "-p", "a,b"])
        .args(["safedib-fake-os", "probe"])
        .env("TMPDIR", "/var/tmp")
        .env("LC_ALL", "C.UTF-8");
    for phase in PHASES {
        run = run.element_file("probe", &format!("{phase}.d/50-see"), SEE);
    }
    run
}

fn line(outcome: &Outcome, text: &str) -> Option<usize> {
    outcome.stdout.lines().position(|line| line.contains(text))
}

/// Checks that a text is in the log exactly if it is to be.
#[track_caller]
fn check(outcome: &Outcome, generation: &str, text: &str, expected: bool) {
    let found = line(outcome, text).is_some();
    assert_eq!(found, expected, "{text:?} of {generation}: {outcome}");
}

#[test]
fn each_generation_has_its_engine() {
    for caller in callers() {
        for (number, generation) in ["0", "1", "2", "3"].into_iter().enumerate() {
            let run = build(&caller, generation, "tar");
            let outcome = run.run().success();
            variables(&outcome, number, generation);
            phases(&outcome, number, generation);
            tree(&run.dir, number);
        }
    }
}

fn variables(outcome: &Outcome, number: usize, generation: &str) {
    for (text, first, last) in [
        ("extra-data.d sees _PREFIX=", 0, 1),
        ("install.d sees _PREFIX=", 0, 1),
        ("extra-data.d sees SCRIPT_HOME=", 1, 1),
        ("install.d sees DIB_IMAGE_ROOT_FS_UUID=", 0, 1),
        ("extra-data.d sees TMP_IMAGE_PATH=/", 0, 1),
        ("extra-data.d sees OUT_IMAGE_PATH=/", 0, 1),
        ("extra-data.d sees TMP_IMAGE_DIR=/", 2, 3),
        ("install.d sees FS_TYPE=ext4", 1, 3),
        ("install.d sees LANG=C\n", 0, 1),
        ("install.d sees LC_ALL=C.UTF-8", 0, 1),
        ("install.d sees TMPDIR=''", 0, 0),
        ("extra-data.d sees DIB_PYTHON_EXEC=", 2, 3),
        ("extra-data.d sees DIB_PYTHON_EXEC_TMP=", 2, 2),
        ("extra-data.d sees DIB_ORIGINAL_PATH=", 2, 2),
        ("extra-data.d sees IMAGE_ELEMENT_YAML=", 2, 3),
        ("install.d sees DIB_LOCKFILES=", 2, 3),
        ("install.d sees DIB_BOOT_LABEL=", 3, 3),
        ("install.d sees DIB_ROOT_LABEL=cloudimg-rootfs", 0, 3),
        ("extra-data.d sees PS4=", 1, 3),
        ("finalise.d sees DIB_IMAGE_SIZE=", 2, 3),
        ("extra-data.d finds dib-run-parts", 0, 1),
        ("extra-data.d finds element-info", 0, 2),
        ("extra-data.d finds python\n", 0, 2),
    ] {
        // what ends a line is the whole value
        let (text, whole) = match text.strip_suffix('\n') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let has_python = Path::new("/usr/bin/python").exists();
        if text.ends_with("finds python") && has_python {
            continue;
        }
        let mut lines = outcome.stdout.lines();
        let found = lines.any(|line| match whole {
            true => line.ends_with(text),
            false => line.contains(text),
        });
        let expected = (first..=last).contains(&number);
        assert_eq!(found, expected, "{text:?} of {generation}: {outcome}");
    }
}

fn phases(outcome: &Outcome, number: usize, generation: &str) {
    for phase in PHASES {
        let late = ["post-root", "pre-finalise"].contains(&phase);
        let text = format!("{phase}.d sees IMAGE_NAME=");
        check(outcome, generation, &text, !late || number >= 2);
    }
    for phase in ["post-root", "pre-finalise"] {
        let text = format!("WARNING safedib: {phase}.d/50-see of element probe does not run");
        check(outcome, generation, &text, number < 2);
    }
    let packages = line(outcome, "installing a b").expect("packages");
    let install = line(outcome, " install.d sees IMAGE_NAME=").expect("install.d");
    assert_eq!(packages < install, number < 2, "{generation}: {outcome}");
}

/// What the engine has done to the tree beside what hooks did.
fn tree(dir: &Path, number: usize) {
    let archive = dir.join("image.tar");
    let listing = tool(Command::new("tar").arg("-tvf").arg(&archive));
    let entry = |name: &str| listing.lines().find(|line| line.contains(name));
    let text = |name: &str| {
        let mut tar = Command::new("tar");
        tool(tar.arg("-xOf").arg(&archive).arg(name))
    };
    assert_eq!(text("./etc/fstab").is_empty(), number < 2, "{listing}");
    let logged = text("./var/log/log");
    assert_eq!(logged.is_empty(), number >= 1, "{logged}");
    match number {
        0 | 1 => assert_eq!(text("./etc/resolv.conf"), "saved\n"),
        _ => assert!(entry("./etc/resolv.conf -> ../run/resolv.conf").is_some()),
    }
}

#[test]
fn the_root_filesystem_has_the_uuid_that_hooks_were_told() {
    for caller in callers() {
        let run = build(&caller, "1", "raw");
        let outcome = run.run().success();
        let told = "install.d sees DIB_IMAGE_ROOT_FS_UUID=";
        let told = outcome
            .stdout
            .lines()
            .find_map(|line| line.split_once(told));
        let (_, uuid) = told.expect("a UUID");
        let disk = run.dir.join("image.raw");
        let header = tool(Command::new("/sbin/dumpe2fs").arg("-h").arg(&disk));
        let line = header
            .lines()
            .find(|line| line.starts_with("Filesystem UUID:"));
        assert!(
            line.is_some_and(|line| line.ends_with(uuid)),
            "{uuid}: {header}"
        );
        tool(Command::new("/sbin/e2fsck").arg("-fn").arg(&disk));
    }
}

/// The fake operating system that each version tests itself with, beside that
/// version's own elements.
#[test]
fn upstreams_own_fake_os_builds_with_its_elements() {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("upstream-fixtures/cache");
    for (generation, version) in [
        ("0", "0.1.46"),
        ("1", "1.28.0"),
        ("2", "2.38.0"),
        ("3", "3.43.0"),
    ] {
        let source = cache.join(format!("diskimage-builder-{version}"));
        let fake = ["tests/elements", "diskimage_builder/tests/elements"]
            .map(|path| source.join(path).join("fake-os"));
        let Some(fake) = fake.iter().find(|path| path.is_dir()) else {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "no fake-os in {}: run scripts/fetch-fixtures",
                source.display()
            );
            eprintln!("skipped: no {} (scripts/fetch-fixtures)", source.display());
            continue;
        };
        for caller in callers() {
            let run = Run::build(&caller, "tar").args(["fake-os"]);
            let trees = run.dir.parent().unwrap().to_path_buf();
            let elements = own_copy(&source, &trees);
            copy_tree(fake, &trees.join("elements/fake-os"));
            let run = run
                .env("ELEMENTS_PATH", trees.join("elements"))
                .env("DIB_ELEMENTS_DIR", elements);
            let outcome = run.run().success().leaves(&["image.tar"]);
            let told = format!("engine of generation {generation} ({version}): /");
            check(&outcome, generation, &told, generation != "3");
            let archive = run.dir.join("image.tar");
            let names = tool(Command::new("tar").arg("-tf").arg(archive));
            assert!(names.contains("./fake-data\n"), "{names}");
        }
    }
}

/// Upstream's elements where every user can read them.
fn own_copy(source: &Path, trees: &Path) -> PathBuf {
    let elements = match source.join("elements").is_dir() {
        true => source.join("elements"),
        false => source.join("diskimage_builder/elements"),
    };
    let copy = trees.join("upstream/elements");
    fs::create_dir_all(&copy).unwrap();
    copy_tree(&elements, &copy);
    copy
}

#[test]
fn several_elements_may_provide_the_same_until_2() {
    for (generation, fine) in [("1", true), ("2", false)] {
        let run = Run::build(&Caller::Current, "tar")
            .element_file("a", "element-provides", "thing\n")
            .element_file("b", "element-provides", "thing\n")
            .args(["--generation", generation, "safedib-one-file", "a", "b"]);
        let outcome = run.run();
        match fine {
            true => drop(outcome.success()),
            false => drop(outcome.failure(1, &["thing"])),
        }
    }
}

#[test]
fn a_hook_for_python_2_is_refused_before_the_build() {
    if ["/usr/bin/python2", "/usr/local/bin/python2"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        eprintln!("skipped: there is a python2 here");
        return;
    }
    let run = Run::build(&Caller::Current, "tar")
        .element_file(
            "old",
            "cleanup.d/50-old",
            "#!/usr/bin/env python2\nprint 'x'\n",
        )
        .args(["--generation", "0", "safedib-one-file", "old"]);
    let outcome = run.run().failure(
        1,
        &[
            "element 'old'",
            "needs python2, which this host does not have",
        ],
    );
    assert!(line(&outcome, "Running hooks").is_none(), "{outcome}");
}

#[test]
fn scripts_for_python_find_one_that_they_understand() {
    for caller in callers() {
        let script = "#!/usr/bin/env python\nimport io\nimport yaml\n\
                      print('loaded', yaml.load(io.StringIO(u'a: [1, 2]'))['a'])\n";
        let run = Run::build(&caller, "tar")
            .element_file("old", "extra-data.d/50-load", script)
            .args(["--generation", "0", "safedib-one-file", "old"]);
        let outcome = run.run().success();
        check(&outcome, "0", "loaded [1, 2]", true);
    }
}
