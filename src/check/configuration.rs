//! Files that hooks of upstream's elements and the engine read: C9xx.
//!
//! `package-installs.yaml`, `pkg-map` and `svc-map` by the rules of the scripts that
//! read them (upstream 3.43.0), block-device configurations by [`crate::blockdev`].

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::blockdev::{self, Layout, RootParams};
use crate::lint::check_json;
use crate::yaml::{self, Data, Node, Value};

use super::packages;
use super::report::Sink;
use super::rules;
use super::world::{Subject, World};

/// The files that `package-installs` reads; it tries JSON first, whatever the name.
pub(super) const PACKAGE_FILES: [&str; 2] = ["package-installs.json", "package-installs.yaml"];
const PKG_MAP: &str = "pkg-map";
const SVC_MAP: &str = "svc-map";

/// Layers of a pkg-map, each a mapping below the one before.
const LAYERS: [(&str, usize); 4] = [("default", 1), ("family", 2), ("distro", 2), ("release", 3)];

/// What upstream's pkg-map takes for families.
const FAMILIES: [&str; 4] = ["debian", "gentoo", "redhat", "suse"];

/// Whether a file of an element is read by the rules here.
pub(super) fn is_read(below: &Path) -> bool {
    let name = below.to_string_lossy();
    PACKAGE_FILES.contains(&name.as_ref()) || is_layout(&name)
}

fn is_layout(name: &str) -> bool {
    name.starts_with("block-device-") && name.ends_with(".yaml")
}

pub(super) fn look(world: &World, subject: &Subject, sink: &mut Sink) {
    for name in PACKAGE_FILES {
        if let Some(document) = document(subject, name, Format::Either, sink) {
            packages::look(world, subject, Path::new(name), document.as_ref(), sink);
        }
    }
    if let Some(Some(document)) = document(subject, PKG_MAP, Format::Json, sink) {
        package_map(&document, sink);
    }
    if let Some(document) = document(subject, SVC_MAP, Format::Yaml, sink) {
        service_map(world, subject, document.as_ref(), sink);
    }
    if world.generation.has_block_device_layer() {
        layouts(subject, sink);
    }
    provides(world, subject, sink);
    repositories(subject, sink);
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Json,
    Yaml,
    Either,
}

/// What a file holds; `None` if it is not there, or cannot be read, which is told.
fn document(
    subject: &Subject,
    name: &str,
    format: Format,
    sink: &mut Sink,
) -> Option<Option<Node>> {
    let file = Path::new(name);
    let text = fs::read(subject.element.path.join(name)).ok()?;
    let Ok(text) = String::from_utf8(text) else {
        sink.add(rules::UNREADABLE, file, 0, "bytes that are no text".into());
        return None;
    };
    let json = match format {
        Format::Yaml => None,
        _ => Some(check_json(&text)),
    };
    if let (Format::Json, Some(Err((line, reason)))) = (format, &json) {
        sink.add(rules::UNREADABLE, file, *line, (*reason).to_owned());
        return None;
    }
    // Outside of its strings JSON may have tabs where YAML has none.
    let text = match json {
        Some(Ok(())) => text.replace('\t', " "),
        _ => text,
    };
    match yaml::load_nodes(&text) {
        Ok(document) => Some(document),
        // JSON that only Python reads, with a structure that is not judged.
        Err(_) if json == Some(Ok(())) => None,
        Err((at, error)) => {
            sink.add(rules::UNREADABLE, file, at.line, error.to_string());
            None
        }
    }
}

/// Layers of names of packages: `release` by distribution and release, `distro`
/// and `family` by their names, `default`.
fn package_map(document: &Node, sink: &mut Sink) {
    let file = Path::new(PKG_MAP);
    let Data::Map(layers) = &document.data else {
        sink.add(rules::BAD_MAP, file, document.at.line, "no mapping".into());
        return;
    };
    for (name, layer) in layers {
        let name_text = name.value().to_string();
        match LAYERS.iter().find(|(known, _)| *known == name_text) {
            Some((_, depth)) => package_layer(layer, *depth, sink),
            None => {
                let what = format!("'{name_text}' is none of default, family, distro, release");
                sink.add(rules::NO_EFFECT, file, name.at.line, what);
            }
        }
        let (true, Data::Map(families)) = (name_text == "family", &layer.data) else {
            continue;
        };
        for (family, _) in families {
            let text = family.value().to_string();
            if !FAMILIES.contains(&text.as_str()) {
                let what = format!("'{text}' is no family ({})", FAMILIES.join(", "));
                sink.add(rules::NO_EFFECT, file, family.at.line, what);
            }
        }
    }
}

fn package_layer(node: &Node, depth: usize, sink: &mut Sink) {
    let file = Path::new(PKG_MAP);
    let Data::Map(entries) = &node.data else {
        sink.add(rules::BAD_MAP, file, node.at.line, "no mapping".into());
        return;
    };
    for (name, value) in entries {
        match (depth, &value.data) {
            (1, Data::Scalar(Value::Str(_) | Value::Null)) => {}
            (1, _) => {
                let what = format!("what {} comes to is no string", name.value());
                sink.add(rules::BAD_MAP, file, value.at.line, what);
            }
            _ => package_layer(value, depth - 1, sink),
        }
    }
}

/// Services, each a mapping; no service twice among the elements of a build.
fn service_map(world: &World, subject: &Subject, document: Option<&Node>, sink: &mut Sink) {
    let file = Path::new(SVC_MAP);
    let Some(services) = document.and_then(mapping) else {
        sink.add(rules::BAD_SERVICES, file, 0, "no mapping".into());
        return;
    };
    let others: Vec<(&str, BTreeSet<String>)> = subject
        .closure
        .iter()
        .filter(|name| **name != subject.element.name)
        .filter_map(|name| Some((name.as_str(), world.catalog.elements.get(name)?)))
        .map(|(name, element)| (name, services_of(&element.path)))
        .collect();
    for (service, names) in services {
        let name = service.value().to_string();
        if mapping(names).is_none() {
            let what = format!("'{name}' is no mapping");
            sink.add(rules::BAD_SERVICES, file, service.at.line, what);
        }
        if let Some((other, _)) = others.iter().find(|(_, known)| known.contains(&name)) {
            let what = format!("'{other}' has the service '{name}', too");
            sink.add(rules::BAD_SERVICES, file, service.at.line, what);
        }
    }
}

fn services_of(element: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(element.join(SVC_MAP)).unwrap_or_default();
    let document = yaml::load_nodes(&text).ok().flatten();
    let services = document.as_ref().and_then(mapping).unwrap_or_default();
    services
        .iter()
        .map(|(name, _)| name.value().to_string())
        .collect()
}

pub(super) fn mapping(node: &Node) -> Option<&[(Node, Node)]> {
    match &node.data {
        Data::Map(entries) => Some(entries),
        _ => None,
    }
}

/// Block-device configurations: whether they come to a layout that fits its disk,
/// and whether that needs devices.
fn layouts(subject: &Subject, sink: &mut Sink) {
    let Ok(items) = fs::read_dir(&subject.element.path) else {
        return;
    };
    for item in items.filter_map(Result::ok) {
        let name = item.file_name().to_string_lossy().into_owned();
        if !is_layout(&name) {
            continue;
        }
        let file = Path::new(&name);
        let params = RootParams {
            fs_type: "ext4".into(),
            ..RootParams::default()
        };
        let text = fs::read_to_string(item.path()).unwrap_or_default();
        let layout =
            blockdev::layout(&text, &params).and_then(|layout| fits(&layout).map(|()| layout));
        match layout {
            Err(error) => sink.add(rules::BAD_LAYOUT, file, 0, error.to_string()),
            Ok(layout) => {
                if let Some((node, what)) = layout.beyond_offline() {
                    let what = format!("{what} ({node})");
                    sink.add(rules::NEEDS_DEVICE, file, 0, what);
                }
            }
        }
    }
}

fn fits(layout: &Layout) -> Result<(), blockdev::Error> {
    let disk = layout.image0()?;
    match disk.size {
        Some(bytes) => blockdev::place(disk, bytes).map(drop),
        None => Ok(()),
    }
}

/// A name that is provided should be none that an element has.
fn provides(world: &World, subject: &Subject, sink: &mut Sink) {
    for name in &subject.element.provides {
        if *name != subject.element.name && world.catalog.elements.contains_key(name) {
            let what = format!("'{name}' is an element, too");
            sink.add(
                rules::PROVIDES_ELEMENT,
                Path::new("element-provides"),
                0,
                what,
            );
        }
    }
}

/// Lines of `source-repository-*` in the element's own directory, which is where
/// source-repositories reads them.
fn repositories(subject: &Subject, sink: &mut Sink) {
    let Ok(items) = fs::read_dir(&subject.element.path) else {
        return;
    };
    for item in items.filter_map(Result::ok) {
        let name = item.file_name().to_string_lossy().into_owned();
        if !name.starts_with("source-repository-") || name.ends_with('~') {
            continue;
        }
        let Ok(text) = fs::read_to_string(item.path()) else {
            continue;
        };
        let file = Path::new(&name);
        if !text.is_empty() && !text.ends_with('\n') {
            let line = text.lines().count();
            sink.add(
                rules::LOST_REPOSITORY,
                file,
                line,
                "no newline at its end".into(),
            );
        }
        for (index, line) in text.lines().enumerate() {
            if !is_repository(line) {
                let what = format!("'{}'", line.trim());
                sink.add(rules::BAD_REPOSITORY, file, index + 1, what);
            }
        }
    }
}

/// `NAME git|tar|file|package [/DESTINATION [LOCATION [REF]]]`. What the shell will
/// expand is not judged.
fn is_repository(line: &str) -> bool {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') || line.contains(['$', '`', '\\', '"', '\'']) {
        return true;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let kind = words.get(1).copied().unwrap_or_default();
    words.len() <= 5 && matches!(kind, "git" | "tar" | "file" | "package")
}
