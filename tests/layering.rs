//! Holds the direction of imports between the top-level modules.
//!
//! [`LAYERS`] says everything that is allowed; an edge that it does not list
//! fails. A module that lower ones need too moves down; it gets no exception.

use std::collections::BTreeSet;
use std::path::Path;

/// Module, and the modules that it may import. `error` may be imported by all.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["applets"]),
    (
        "applets",
        &[
            "driver",
            "agent",
            "appliance",
            "output",
            "report",
            "protocol",
            "check",
            "lint",
            "plan",
            "request",
            "elements",
            "blockdev",
            "helpers",
            "yaml",
            "boot",
            "manual",
            "signals",
        ],
    ),
    ("boot", &["appliance", "signals", "tty"]),
    ("manual", &["request"]),
    (
        "driver",
        &[
            "appliance",
            "output",
            "report",
            "protocol",
            "plan",
            "request",
            "elements",
            "blockdev",
            "helpers",
            "signals",
            "tty",
        ],
    ),
    (
        "appliance",
        &[
            "protocol", "plan", "request", "elements", "blockdev", "seccomp",
        ],
    ),
    (
        "output",
        &["protocol", "plan", "request", "elements", "blockdev"],
    ),
    (
        "report",
        &["protocol", "plan", "request", "elements", "blockdev"],
    ),
    (
        "agent",
        &[
            "protocol", "plan", "blockdev", "output", "helpers", "seccomp", "tty",
        ],
    ),
    (
        "protocol",
        &["plan", "request", "elements", "blockdev", "tty"],
    ),
    (
        "check",
        &[
            "appliance",
            "lint",
            "request",
            "elements",
            "blockdev",
            "yaml",
        ],
    ),
    ("lint", &[]),
    ("plan", &["request", "elements", "blockdev"]),
    ("request", &["yaml"]),
    ("elements", &[]),
    ("blockdev", &["yaml"]),
    ("helpers", &[]),
    ("signals", &[]),
    ("seccomp", &[]),
    ("tty", &[]),
    ("yaml", &[]),
    ("error", &[]),
];

/// An import of `target::item` by a file of module `from`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    from: String,
    target: String,
    item: String,
    file: String,
}

#[test]
fn imports_point_downwards() {
    let imports = imports_of_sources();
    assert!(!imports.is_empty(), "no import found: the reader is broken");
    let wrong: Vec<String> = imports
        .iter()
        .filter(|import| !allowed(import))
        .map(|import| {
            let Import {
                from,
                target,
                item,
                file,
            } = import;
            format!("{file}: {from} must not import {target}::{item}")
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared: BTreeSet<&str> = library
        .lines()
        .filter_map(|line| line.trim_end_matches(';').split_once("mod "))
        .map(|(_, name)| name)
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect();
    let listed: BTreeSet<&str> = LAYERS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| *name != "main")
        .collect();
    assert_eq!(declared, listed);
}

#[test]
fn the_reader_sees_every_form_of_import() {
    let source = "
        use crate::plan::{Phase, step::{self, Step}};
        use crate::{blockdev::Layout, error, request::{A, B}};
        //! [`crate::agent::Comment`] is no import
        fn f() -> crate::output::Tar { super::super::driver::run(\"crate::text::X\") }
    ";
    let found: Vec<String> = imports_in("report", 2, "f.rs", source)
        .into_iter()
        .map(|import| format!("{}::{}", import.target, import.item))
        .collect();
    assert_eq!(
        found,
        [
            "blockdev::Layout",
            "driver::run",
            "error::",
            "output::Tar",
            "plan::Phase",
            "plan::step",
            "request::A",
            "request::B"
        ]
    );
}

fn allowed(import: &Import) -> bool {
    let from = import.from.as_str();
    let target = import.target.as_str();
    let layered = LAYERS
        .iter()
        .any(|(name, below)| *name == from && below.contains(&target));
    from == target || target == "error" || layered
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn imports_of_sources() -> Vec<Import> {
    let source = root().join("src");
    let mut imports = Vec::new();
    for entry in walkdir::WalkDir::new(&source).sort_by_file_name() {
        let entry = entry.unwrap();
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let below = path.strip_prefix(&source).unwrap();
        let parts: Vec<String> = below
            .with_extension("")
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if parts == ["lib"] {
            continue;
        }
        let depth = parts.iter().filter(|part| *part != "mod").count();
        let text = std::fs::read_to_string(path).unwrap();
        imports.extend(imports_in(
            &parts[0],
            depth,
            &below.display().to_string(),
            &text,
        ));
    }
    imports
}

/// The imports of one file of module `from`; `depth` is the number of names in
/// the path of the file's own module, so that many `super::` reach the root.
fn imports_in(from: &str, depth: usize, file: &str, source: &str) -> BTreeSet<Import> {
    let mut text = code_only(source);
    let climb = format!(r"(?:\bsuper\s*::\s*){{{depth},}}");
    text = regex::Regex::new(&climb)
        .unwrap()
        .replace_all(&text, "crate::")
        .into_owned();
    let start = regex::Regex::new(r"\b(?:crate|safedib)\s*::\s*").unwrap();
    let mut imports = BTreeSet::new();
    for found in start.find_iter(&text) {
        for path in expand(&text[found.end()..]) {
            let mut names = path.split("::");
            let target = names.next().unwrap_or_default().to_owned();
            let item = names.next().unwrap_or_default().to_owned();
            if LAYERS.iter().any(|(name, _)| *name == target) {
                imports.insert(Import {
                    from: from.to_owned(),
                    target,
                    item,
                    file: file.to_owned(),
                });
            }
        }
    }
    imports
}

/// The source without comments and string literals.
fn code_only(source: &str) -> String {
    let drop = regex::Regex::new(r#"(?m)//.*$|b?"(?:[^"\\]|\\.|\\\n)*""#).unwrap();
    drop.replace_all(source, "").into_owned()
}

/// The first two names of each path in the use tree that `text` begins with.
fn expand(text: &str) -> Vec<String> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return split_group(group).into_iter().flat_map(expand).collect();
    }
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match rest.trim_start().strip_prefix("::") {
        None => vec![name.to_owned()],
        Some(rest) => expand(rest)
            .into_iter()
            .map(|below| format!("{name}::{below}"))
            .collect(),
    }
}

/// The elements of a `{...}` group, without the braces.
fn split_group(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&text[start..index]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}
