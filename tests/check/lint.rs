//! What check says of lint is what dib-lint says.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::pinned::{all_trees, cache, have_fixtures, UPSTREAM};
use super::repository::{check, findings, Repository};

/// What dib-lint says before and after the path, for each code. What stands for
/// several files or lines of one file is one finding.
const WORDS: [(&str, &str, &str); 19] = [
    ("C909", "", " does not end with a newline"),
    ("L801", "", " lacks a README.rst"),
    ("L802", "", " is not executable"),
    ("L803", "", " should use 4 spaces indent"),
    ("L804", "", " is not sorted alphabetically"),
    ("L805", "", " : only use #!/bin/bash for scripts"),
    ("L806", "", " is not set -e"),
    ("L807", "", " is not set -u"),
    ("L808", "", " is not set -o pipefail"),
    ("L809", "", " does not follow DIB_DEBUG_TRACE"),
    ("L810", "Environment file ", " should not set tracing"),
    (
        "L811",
        "Environment file ",
        " should not be marked as executable",
    ),
    ("L812", "Split export and assignments in ", ""),
    ("L813", "", " : potentially unsafe sudo"),
    ("L814", "", " : potential use of which"),
    ("L815", "", " contains tab characters"),
    ("L816", "No newline at end of file: ", ""),
    ("L818", "", " failed flake8"),
    ("L819", "", " is not a valid YAML file"),
];

/// Code and file, below the directory of elements, of what dib-lint finds.
fn linted(directory: &Path, elements: &str) -> BTreeSet<(String, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_safedib"))
        .arg("dib-lint")
        .current_dir(directory)
        .env("ELEMENTS_DIR", elements)
        .env("LIB_DIR", "none")
        // Our own repository ignores the pinned trees.
        .env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let prefix = format!("{elements}/");
    let mut found = BTreeSet::new();
    let mut markdown = false;
    for line in text.lines() {
        // .md docs found: one path on each line behind it.
        let line = match line.strip_prefix("ERROR: .md docs found: ") {
            Some(first) => {
                markdown = true;
                first
            }
            None => line,
        };
        match line.strip_prefix("ERROR: ") {
            Some(error) => {
                markdown = false;
                let (code, path) = WORDS
                    .iter()
                    .find_map(|(code, before, after)| {
                        let path = error.strip_prefix(before)?.strip_suffix(after)?;
                        path.starts_with(&prefix).then_some((code, path))
                    })
                    .unwrap_or_else(|| panic!("{line}"));
                found.insert(((*code).to_owned(), path.to_owned()));
            }
            None if markdown && line.starts_with(&prefix) && line.ends_with(".md") => {
                found.insert(("L817".into(), line.to_owned()));
            }
            None => markdown = false,
        }
    }
    found
        .into_iter()
        .map(|(code, path)| (code, path[prefix.len()..].to_owned()))
        .filter(|(code, path)| is_looked_at(code, path))
        .collect()
}

/// Not tests; hooks without the x bit have another code.
fn is_looked_at(code: &str, path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    let directory = parts.next().unwrap_or_default();
    let told = code == "L802" && directory.ends_with(".d");
    !told && !matches!(directory, "tests" | "test-elements" | "__pycache__")
}

/// The same of what check finds, and the elements that it sees.
fn checked(elements: &Path, upstream: &Path) -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let output = check(upstream, &["--format=json", elements.to_str().unwrap()]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = BTreeSet::new();
    let mut names = BTreeSet::new();
    for element in report["elements"].as_array().unwrap() {
        let name = element["name"].as_str().unwrap();
        names.insert(name.to_owned());
        for (code, place, _) in findings(element) {
            let file = place.split(':').next().unwrap();
            let path = match file {
                "" => name.to_owned(),
                file => format!("{name}/{file}"),
            };
            if code.starts_with('L') || code == "C909" {
                found.insert((code, path));
            }
        }
    }
    (found, names)
}

#[test]
fn pinned_trees() {
    if !have_fixtures() {
        return;
    }
    let mut all = 0;
    for tree in all_trees() {
        let tree = Path::new(&tree);
        // The package's directory, where tox.ini is.
        let package = cache().join(tree.strip_prefix(cache()).unwrap().iter().next().unwrap());
        let elements = tree.strip_prefix(&package).unwrap().to_str().unwrap();
        let (found, names) = checked(tree, &cache().join(UPSTREAM));
        // A directory with nothing but a README is no element.
        let mut expected = linted(&package, elements);
        expected.retain(|(_, path)| names.contains(path.split('/').next().unwrap()));
        assert_eq!(found, expected, "{}", tree.display());
        all += found.len();
    }
    assert!(all > 100, "{all}");
}

#[test]
fn every_kind_and_what_switches_tests_off() {
    let repository = Repository::new();
    let script = |path: &str, text: &str| repository.write(path, 0o755, text);
    let plain = |path: &str, text: &str| repository.write(path, 0o644, text);
    script("a/install.d/10-a", "#!/bin/bash\n");
    script(
        "a/root.d/10-a",
        "#! /usr/bin/env bash\n  sudo true\nwhich true\n\ttrue\nexport X=$(true)",
    );
    script("a/bin/p", "#!/usr/bin/python3\nimport os, sys\n");
    plain("a/static/bin/x", "#!/bin/sh\n");
    plain("a/install.d/11-not-executable", "#!/bin/sh\n");
    plain("a/docs.md", "x\n");
    plain("a/element-deps", "b\na\n");
    script("a/environment.d/10-a", "set -x\n");
    plain("a/data.yaml", "{\n");
    plain("a/source-repository-a", "a git /a x");
    script("a/tests/10-a", "#!/bin/bash\n");
    plain("b/README.rst", "b\n");
    script(
        "b/install.d/10-b",
        "#!/bin/bash\n# dib-lint: disable=sete setu setpipefail dibdebugtrace\n",
    );
    let elements = repository.root.join("elements");
    let (found, _) = checked(&elements, &repository.root);
    assert_eq!(found, linted(&repository.root, "elements"));
    let codes: BTreeSet<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    let known = WORDS.iter().map(|(code, ..)| *code).chain(["L817"]);
    assert_eq!(codes, known.collect());
    std::fs::write(
        repository.root.join("tox.ini"),
        "[dib-lint]\nignore = sete setu mddocs\n[flake8]\nignore = E401\n",
    )
    .unwrap();
    let (fewer, _) = checked(&elements, &repository.root);
    assert_eq!(fewer, linted(&repository.root, "elements"));
    let gone: BTreeSet<&str> = codes
        .into_iter()
        .filter(|code| !fewer.iter().any(|(found, _)| found == code))
        .collect();
    assert_eq!(gone, BTreeSet::from(["L806", "L807", "L817", "L818"]));
}

#[test]
fn the_text_names_one_file_of_each_kind() {
    let repository = Repository::new();
    for name in ["10-a", "11-b", "12-c"] {
        repository.write(
            &format!("a/install.d/{name}"),
            0o755,
            "#!/bin/bash\nset -eu\n",
        );
    }
    let output = repository.check(&[repository.root.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = "  note    L809  install.d/10-a  bash script does not follow DIB_DEBUG_TRACE: \
                no DIB_DEBUG_TRACE (and 2 more files)\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains(": 0 errors, 0 warnings, 7 notes\n"), "{text}");
}
