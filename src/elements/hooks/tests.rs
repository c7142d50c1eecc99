use std::collections::BTreeSet;
use std::os::unix::fs::{symlink, PermissionsExt};

use super::*;

/// Elements in a temporary directory, made from `element/path=text` words:
/// `+` before the text makes the file executable, `->` makes a link, a path
/// that ends in `/` a directory.
struct Elements {
    base: tempfile::TempDir,
    set: ElementSet,
}

impl Elements {
    fn new(files: &[&str]) -> Self {
        let base = tempfile::tempdir().unwrap();
        let mut names = BTreeSet::new();
        for file in files {
            let (path, text) = file.split_once('=').unwrap_or((file, ""));
            names.insert(path.split('/').next().unwrap().to_owned());
            make(&base.path().join(path), path.ends_with('/'), text);
        }
        let elements = names.into_iter().map(|name| Element {
            path: base.path().join(&name),
            name,
            depends: BTreeSet::new(),
            provides: BTreeSet::new(),
        });
        let set = ElementSet {
            elements: elements.collect(),
            requested_by: BTreeMap::new(),
        };
        Elements { base, set }
    }

    fn merge(&self) -> Result<MergedHooks, Error> {
        merge(&self.set)
    }

    /// The error without the temporary directory.
    fn refusal(&self) -> String {
        let error = self.merge().unwrap_err();
        error
            .to_string()
            .replace(&format!("{}/", self.base.path().display()), "")
    }
}

fn make(path: &Path, directory: bool, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if directory {
        fs::create_dir_all(path).unwrap();
    } else if let Some(target) = text.strip_prefix("->") {
        symlink(target, path).unwrap();
    } else if let Some(text) = text.strip_prefix('+') {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    } else {
        fs::write(path, text).unwrap();
    }
}

fn copies(merged: &MergedHooks) -> Vec<String> {
    let copy = |copy: &HookCopy| {
        let name = copy.source.file_name().unwrap().to_string_lossy();
        format!("{}:{}/{name}", copy.element, copy.directory)
    };
    merged.copies.iter().map(copy).collect()
}

fn running(merged: &MergedHooks, phase: Phase) -> Vec<&str> {
    let hooks = merged.hooks.get(&phase);
    hooks.map_or(vec![], |hooks| {
        hooks.iter().map(|hook| hook.name.as_str()).collect()
    })
}

#[test]
fn what_is_copied() {
    let elements = Elements::new(&[
        "a/install.d/10-a=+#!",
        "a/install.d/.hidden=x",
        "a/install.d/sub/file=x",
        "a/.config/x=x",
        "a/.dotfile=x",
        "a/tests/x=x",
        "a/__pycache__/x=x",
        "a/module.pyc=x",
        "a/README.rst=x",
        "a/real.d/with blank=x",
        "a/link.d=->real.d",
        "a/broken=->nowhere",
        "a/empty.d/",
        "b/README.rst=y",
        "b/install.d/sub/file=y",
        "b/linked-file=->README.rst",
    ]);
    let merged = elements.merge().unwrap();
    assert_eq!(
        copies(&merged),
        [
            "a:.config/x",
            "a:install.d/10-a",
            "a:install.d/sub",
            "a:link.d/with blank",
            "a:real.d/with blank",
            "a:/.dotfile",
            "a:/README.rst",
            "b:install.d/sub",
            "b:/README.rst",
            "b:/linked-file",
        ]
    );
    let directories: Vec<&str> = merged.directories.iter().map(String::as_str).collect();
    assert_eq!(
        directories,
        [".config", "empty.d", "install.d", "link.d", "real.d"]
    );
}

#[test]
fn collisions_are_refused_by_name() {
    for (files, expected) in [
        (
            &["a/install.d/10-x=+#!", "b/install.d/10-x=+#!"][..],
            "There is a duplicated hook in your elements: /install.d/10-x (in 'a': a/install.d/10-x, and in 'b': b/install.d/10-x)",
        ),
        (
            &["a/bin/tool=x", "b/bin/tool/x=x"],
            "There is a duplicated hook in your elements: /bin/tool (in 'a': a/bin/tool, and in 'b': b/bin/tool)",
        ),
        (
            &["a/static/x=->../file", "a/file=x", "b/static/x=y"],
            "There is a duplicated hook in your elements: /static/x (in 'a': a/static/x, and in 'b': b/static/x)",
        ),
        (
            &["a/bin/tool/x=x", "b/bin/tool=x"],
            "bin/tool is a directory in 'a': a/bin/tool, and a file in 'b': b/bin/tool",
        ),
        (
            &["a/thing=x", "b/thing/x=x"],
            "thing is a directory in 'b': b/thing, and a file in 'a': a/thing",
        ),
        (
            &["a/thing/x=x", "b/thing=x"],
            "thing is a directory in 'a': a/thing, and a file in 'b': b/thing",
        ),
    ] {
        assert_eq!(Elements::new(files).refusal(), expected);
    }
}

#[test]
fn which_hooks_run_and_in_which_order() {
    let elements = Elements::new(&[
        "a/install.d/100-a=+#!/bin/sh",
        "a/install.d/9-b=+#!/bin/sh",
        "b/install.d/20-c=+#!/bin/sh",
        "b/install.d/no-number=+#!/bin/sh",
        "b/install.d/30-no-shebang=+true",
        "b/install.d/40-not-executable=#!/bin/sh",
        "b/install.d/50-bad.name=+#!/bin/sh",
        "b/install.d/data.txt=x",
        "b/install.d/60-link=->../bin/tool",
        "b/install.d/70-absolute=->/bin/sh",
        "b/install.d/80-dangling=->../../outside",
        "b/install.d/81-unmerged=->../tests/tool",
        "b/install.d/90-directory/x=x",
        "b/install.d/91-through=->90-directory/../../static/deep/tool",
        "a/static/deep/tool=+#!/bin/sh",
        "b/tests/tool=+#!/bin/sh",
        "a/bin/tool=+#!/bin/sh",
        "a/other.d/10-x=+#!/bin/sh",
    ]);
    let merged = elements.merge().unwrap();
    assert_eq!(
        running(&merged, Phase::Install),
        [
            "no-number",
            "9-b",
            "20-c",
            "30-no-shebang",
            "60-link",
            "70-absolute",
            "91-through",
            "100-a"
        ]
    );
    assert_eq!(merged.hooks.len(), 1);
    let notices: Vec<(&str, NoticeReason)> = merged
        .notices
        .iter()
        .map(|notice| (notice.name.as_str(), notice.reason))
        .collect();
    assert_eq!(
        notices,
        [
            ("30-no-shebang", NoticeReason::NoShebang),
            ("40-not-executable", NoticeReason::NotExecutable),
            ("50-bad.name", NoticeReason::BadName),
            ("80-dangling", NoticeReason::DanglingLink),
            ("81-unmerged", NoticeReason::DanglingLink),
        ]
    );
    let line = merged.notices[1].to_string();
    assert!(
        line.starts_with("install.d/40-not-executable of element b does not run"),
        "{line}"
    );
}

#[test]
fn environment_files_have_their_own_rules() {
    let elements = Elements::new(&[
        "a/environment.d/10-b.bash=x",
        "a/environment.d/9-c=x",
        "a/environment.d/backup~=x",
        "b/environment.d/100-a=+x",
        "b/environment.d/link=->../x",
        "b/environment.d/dangling=->../y",
        "b/x=x",
    ]);
    let merged = elements.merge().unwrap();
    let names: Vec<&str> = merged
        .environment_files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(names, ["10-b.bash", "100-a", "9-c", "link"]);
}

#[test]
fn links_in_circles_end() {
    let elements = Elements::new(&["a/root.d/10-x=->10-y", "a/root.d/10-y=->10-x"]);
    assert!(elements.merge().unwrap().hooks.is_empty());
}
