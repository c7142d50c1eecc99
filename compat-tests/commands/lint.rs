//! `dib-lint` against upstream's own script with flake8 and file(1): every line
//! of standard output, as sets since upstream goes by the order of the file
//! system, and the exit status.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use super::{bare, installed, lines, ours, package, show};

/// How much faster we have to be over upstream's tree.
const FASTER: u32 = 20;

pub type Pairs<'a> = &'a [(&'a str, &'a str)];

pub fn upstream(venv: &Path) -> Command {
    let mut command = Command::new("/bin/bash");
    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        venv.join("bin").display()
    );
    bare(command.arg(package("3.43.0").join("bin/dib-lint"))).env("PATH", path);
    command
}

pub fn run(mut command: Command, tree: &Path, variables: Pairs) -> Output {
    let variables = variables.iter().copied();
    command
        .current_dir(tree)
        .env("HOME", tree)
        .envs(variables)
        .output()
        .unwrap()
}

pub fn set(output: &Output) -> BTreeSet<String> {
    lines(&output.stdout).into_iter().collect()
}

/// Runs both in a tree; fails unless all is equal; the output of both.
#[track_caller]
pub fn same(tree: &Path, variables: Pairs) -> Option<Output> {
    let venv = installed()?;
    let theirs = run(upstream(&venv), tree, variables);
    let got = run(ours("dib-lint"), tree, variables);
    let (left, right) = (set(&got), set(&theirs));
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
        a.difference(b).take(30).cloned().collect()
    };
    assert!(
        left == right && got.stdout.len() == theirs.stdout.len(),
        "ours alone: {:#?}\nupstream alone: {:#?}\n{}",
        only(&left, &right),
        only(&right, &left),
        String::from_utf8_lossy(&got.stderr),
    );
    assert_eq!(got.status.code(), theirs.status.code());
    Some(got)
}

/// A copy outside of our own repository, which ignores the original.
fn copied(version: &str) -> (tempfile::TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let tree = base.path().join("tree");
    let status = Command::new("cp")
        .args(["-a", "-T"])
        .arg(package(version))
        .arg(&tree)
        .status();
    assert!(status.unwrap().success());
    (base, tree)
}

pub fn write(tree: &Path, path: &str, mode: u32, contents: &[u8]) {
    let path = tree.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn upstreams_own_tree_and_how_long_it_takes() {
    let Some(venv) = installed() else { return };
    let (_base, tree) = copied("3.43.0");
    let start = Instant::now();
    let theirs = run(upstream(&venv), &tree, &[]);
    let took = start.elapsed();
    let start = Instant::now();
    let got = run(ours("dib-lint"), &tree, &[]);
    let own = start.elapsed();
    println!("upstream {took:?}, ours {own:?}");
    assert_eq!(set(&got), set(&theirs));
    assert!(
        got.status.success() && theirs.status.success(),
        "{}",
        show(&got)
    );
    assert!(set(&got).len() > 700);
    assert!(own * FASTER < took, "upstream {took:?}, ours {own:?}");
}

/// Upstream takes half a minute or more for each.
#[test]
fn trees_of_older_versions() {
    if std::env::var("SAFEDIB_SLOW").as_deref() != Ok("1") {
        eprintln!("skipped: SAFEDIB_SLOW=1 runs it");
        return;
    }
    for (version, elements, library) in [
        (
            "2.38.0",
            "diskimage_builder/elements",
            "diskimage_builder/lib",
        ),
        ("1.28.0", "elements", "lib"),
    ] {
        let (_base, tree) = copied(version);
        let variables = [("ELEMENTS_DIR", elements), ("LIB_DIR", library)];
        if let Some(output) = same(&tree, &variables) {
            assert!(set(&output).len() > 500, "{version}");
        }
    }
}

const GOOD: &str = "#!/bin/bash\nif [ ${DIB_DEBUG_TRACE:-0} -gt 0 ]; then\n    set -x\nfi\nset -eu\nset -o pipefail\n";

/// Files that trip each check, or nearly.
fn trip(tree: &Path) {
    let script = |path: &str, more: &str| {
        write(
            tree,
            &format!("elements/{path}"),
            0o755,
            format!("{GOOD}{more}").as_bytes(),
        );
    };
    let plain = |path: &str, text: &str| {
        write(tree, &format!("elements/{path}"), 0o644, text.as_bytes());
    };
    plain("good/README.rst", "text\n");
    script("good/install.d/10-good", "    true\n");
    plain("readme/element-deps", "a\nb\n\n# z\nc\n");
    plain("readme/docs.md", "x");
    plain("readme/more/docs.md", "x\n");
    plain("repo/source-repository-one", "x git y");
    plain("repo/source-repository-two", "x git y\n");
    plain("repo/source-repository-empty", "");
    plain("mode/install.d/10-plain", GOOD);
    plain(
        "mode/install.d/11-excluded",
        &format!("{GOOD}# dib-lint: disable=executable sete\n"),
    );
    script(
        "indent/install.d/10-odd",
        " one\n  two\n   three\n    four\n     five\n   \n\n",
    );
    script(
        "indent/install.d/11-excluded",
        "# dib-lint: disable=indent\n  two\n",
    );
    script("tabs/install.d/10-tab", "\ttrue\n");
    script("tabs/install.d/11-tab", "  \ttrue\n");
    plain("tabs/README.rst", "\ttabbed");
    script("end/install.d/10-end", "true");
    write(
        tree,
        "elements/bash/install.d/10-env",
        0o755,
        b"#!/usr/bin/env bash\n",
    );
    write(
        tree,
        "elements/bash/install.d/11-e",
        0o755,
        b"#!/bin/bash -e\nset -o pipefail\n",
    );
    write(
        tree,
        "elements/bash/install.d/12-sh",
        0o755,
        b"#!/bin/sh\ntrue\n",
    );
    write(
        tree,
        "elements/bash/install.d/13-none",
        0o755,
        b"#!/bin/bash\n",
    );
    write(tree, "elements/bash/install.d/14-off", 0o755,
        b"#!/bin/bash\n# dib-lint: disable=sete setu\n# dib-lint: disable=setpipefail\n# dib-lint: disable=dibdebugtrace\n");
    write(
        tree,
        "elements/bash/install.d/15-spread",
        0o755,
        b"#!/bin/bash\nset -e\n set -u\nset -ou pipefail\n",
    );
    write(
        tree,
        "elements/bash/binary",
        0o644,
        b"\x7fELF\0\xff\xfe set -x\n\0",
    );
    plain("env/environment.d/10-trace", "set -x\n");
    script("env/environment.d/11-mode", "");
    plain(
        "env/environment.d/12-split",
        "export A=$(ls)\nexport B=$((1))\nexport C\n",
    );
    script("sudo/root.d/10-sudo", concat!(
        "sudo ls\n  sudo \\\nls /x\n# sudo x\nsudo rm $TARGET_ROOT/x\nsudo x # dib-lint: safe_sudo\n",
        "install-packages sudo x\necho 'a\\\\nb\\tc' \\x41 | sudo tee\nsudo\n"));
    script(
        "sudo/extra-data.d/10-excluded",
        "# dib-lint: disable=safe_sudo\nsudo ls\n",
    );
    script("sudo/install.d/10-inside", "sudo ls");
    script(
        "which/install.d/10-which",
        concat!(
            "which ls\n#which ls\n  # which ls\nx=$(which  ls) # dib-lint: which\nthat which was\n",
            "echo \\\\c which x\nwhich last"
        ),
    );
    script(
        "which/install.d/11-excluded",
        "# dib-lint: disable=which\nwhich ls\n",
    );
    for (name, text) in [
        ("good", "a: [1, {b: c}]\nd: &x |\n  text\ne: *x\n"),
        ("empty", ""),
        ("tab", "a:\n\t- b\n"),
        ("open", "a: [1, 2\n"),
        ("two", "a: 1\n---\nb: 2\n"),
        ("tag", "a: !odd 1\n"),
        ("alias", "a: *none\n"),
        ("map", "a: b: c\n"),
        ("percent", "a: %b\n"),
        ("at", "a: @b\n"),
        ("key", "? [a]\n: b\n"),
    ] {
        plain(&format!("yaml/{name}.yaml"), text);
    }
    for (name, text) in [
        (
            "good",
            "{\"family\": {\"redhat\": {\"a\": \"\\ud800\"}}, \"x\": NaN}\n",
        ),
        ("comma", "{\"a\": 1,}\n"),
        ("empty", ""),
        ("comment", "{} # x\n"),
        ("control", "\"a\tb\"\n"),
        ("quotes", "{'a': 1}\n"),
    ] {
        plain(&format!("map-{name}/pkg-map"), text);
    }
    script("map-executable/pkg-map", "");
    write(tree, "lib/tabbed", 0o644, b"\tx");
    write(tree, "lib/more/fine", 0o644, b"x\n");
}

#[test]
fn a_tree_that_trips_every_check() {
    let base = tempfile::tempdir().unwrap();
    let tree = base.path();
    trip(tree);
    let variables = [("ELEMENTS_DIR", "elements"), ("LIB_DIR", "lib")];
    let Some(output) = same(tree, &variables) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1));
    let text = show(&output);
    for message in [
        "lacks a README.rst",
        "does not end with a newline",
        "is not executable",
        "should use 4 spaces indent",
        "only use #!/bin/bash",
        "is not set -e",
        "is not set -u",
        "is not set -o pipefail",
        "does not follow DIB_DEBUG_TRACE",
        "should not set tracing",
        "should not be marked as executable",
        "Split export and assignments",
        "potentially unsafe sudo\n -- sudo ls",
        "potential use of which\n -- ",
        "contains tab characters",
        "No newline at end of file",
        ".md docs found: ",
        "is not a valid YAML file",
        "is not a valid JSON file",
        "*** FAIL: Some tests failed!",
    ] {
        assert!(text.contains(message), "no {message:?} in {text}");
    }

    // All that can be switched off.
    let all = "executable indent sete setu setpipefail\n  dibdebugtrace safe_sudo which tabindent newline mddocs";
    let settings = format!("[other]\nignore = none\n[dib-lint]\nignore = {all}\n");
    fs::write(tree.join("tox.ini"), settings).unwrap();
    same(tree, &variables);
}

#[test]
fn files_that_git_ignores() {
    let base = tempfile::tempdir().unwrap();
    let tree = base.path();
    trip(tree);
    fs::write(
        tree.join(".gitignore"),
        "*.yaml\n/elements/which/\n10-*\n!10-good\ntabbed\n",
    )
    .unwrap();
    let git = |words: &[&str]| {
        let output = Command::new("git").args(words).current_dir(tree).output();
        assert!(output.unwrap().status.success());
    };
    git(&["init", "-q"]);
    // What is tracked is not ignored.
    git(&["add", "-f", "elements/tabs/install.d/10-tab"]);
    let variables = [("ELEMENTS_DIR", "elements/"), ("LIB_DIR", "./lib")];
    if let Some(output) = same(tree, &variables) {
        let skipped = set(&output)
            .iter()
            .filter(|line| line.starts_with("Skipping "))
            .count();
        assert!(skipped > 5, "{}", show(&output));
    }
}

/// Upstream ends in the middle there; up to that it says the same.
#[test]
fn element_deps_out_of_order() {
    let Some(venv) = installed() else { return };
    let base = tempfile::tempdir().unwrap();
    let tree = base.path();
    let deps = "b\na\n# comment\n\nc\nB\na-very-long-name-of-an-element-that-fills-more-than-half-of-a-line\na\n";
    write(tree, "elements/x/element-deps", 0o644, deps.as_bytes());
    write(tree, "elements/x/README.rst", 0o644, b"x\n");
    let variables = [("ELEMENTS_DIR", "elements"), ("LIB_DIR", "elements")];
    let theirs = run(upstream(&venv), tree, &variables);
    let got = run(ours("dib-lint"), tree, &variables);
    assert_eq!(
        (got.status.code(), theirs.status.code()),
        (Some(1), Some(1))
    );
    assert!(show(&theirs).contains("is not sorted alphabetically"));
    assert!(
        got.stdout.starts_with(&theirs.stdout),
        "{}\n{}",
        show(&got),
        show(&theirs)
    );
    assert!(show(&got).contains("*** FAIL"));

    fs::write(tree.join("elements/x/element-deps"), "# none\n\n").unwrap();
    let got = run(ours("dib-lint"), tree, &variables);
    assert!(got.status.success(), "{}", show(&got));
}

#[test]
fn directories_that_are_missing() {
    let base = tempfile::tempdir().unwrap();
    let got = run(ours("dib-lint"), base.path(), &[]);
    assert_eq!(got.status.code(), Some(1));
    assert!(
        show(&got).contains("diskimage_builder/elements"),
        "{}",
        show(&got)
    );
    // Repositories of elements only.
    write(base.path(), "elements/x/README.rst", 0o644, b"x\n");
    let got = run(
        ours("dib-lint"),
        base.path(),
        &[("ELEMENTS_DIR", "elements")],
    );
    assert!(got.status.success(), "{}", show(&got));
    let mut command = ours("dib-lint");
    command.arg("elements");
    let got = run(command, base.path(), &[]);
    assert_eq!(got.status.code(), Some(2), "{}", show(&got));
}
