//! Dependencies: D1xx.

use std::fs;
use std::path::Path;

use super::report::Sink;
use super::rules;
use super::world::{Subject, World};

/// Elements that upstream had once, by the pinned versions, with what does the
/// same today.
const GONE: &[(&str, &str)] = &[
    (
        "architecture-emulation-binaries",
        "until 1.x; register qemu-user on the host",
    ),
    (
        "centos7",
        "until 2.x; now centos-minimal or centos, with DIB_RELEASE",
    ),
    ("deploy", "until 1.x; now deploy-baremetal"),
    (
        "deploy-ironic",
        "until 1.x; now ironic-python-agent-ramdisk of ironic-python-agent-builder",
    ),
    (
        "ironic-agent",
        "until 2.x; now ironic-python-agent-ramdisk of ironic-python-agent-builder",
    ),
    (
        "ironic-discoverd-ramdisk",
        "until 1.x; now ironic-python-agent-ramdisk of ironic-python-agent-builder",
    ),
    (
        "partitioning-sfdisk",
        "until 1.x; now a block-device configuration",
    ),
    ("rhel7", "until 2.x; now rhel, with DIB_RELEASE"),
    ("serial-console", "until 1.x; now enable-serial-console"),
    ("ubuntu-core", "until 1.x; now ubuntu-minimal"),
];

/// Names that are not read and are taken for lists of dependencies.
const MISNAMED: [&str; 8] = [
    "elements-deps",
    "element-dep",
    "element_deps",
    "elements_deps",
    "element-depends",
    "elements-provides",
    "element_provides",
    "deps",
];

pub(super) fn look(world: &World, subject: &Subject, sink: &mut Sink) {
    for list in ["element-deps", "element-provides"] {
        let text = fs::read_to_string(subject.element.path.join(list)).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            look_at_line(world, list, index + 1, line.trim(), sink);
        }
    }
    for name in MISNAMED {
        if subject.element.path.join(name).is_file() {
            sink.add(rules::MISNAMED_DEPS, Path::new(name), 0, name.to_owned());
        }
    }
    let unresolved = subject
        .closure
        .iter()
        .filter_map(|name| world.catalog.elements.get(name))
        .any(|element| !element.depends.iter().all(|it| resolves(world, it)));
    if !unresolved && !world.generation.allows_several_providers() {
        if let Err(error) = world.set(subject) {
            sink.add(
                rules::CONFLICT,
                Path::new("element-deps"),
                0,
                error.to_string(),
            );
        }
    }
}

fn look_at_line(world: &World, list: &str, line: usize, name: &str, sink: &mut Sink) {
    let file = Path::new(list);
    if name.is_empty() {
        return;
    }
    if name.starts_with('#') || name.contains(char::is_whitespace) {
        sink.add(
            rules::NOT_A_NAME,
            file,
            line,
            format!("'{name}' is taken for one name"),
        );
    } else if list == "element-deps" && !resolves(world, name) {
        let gone = GONE
            .iter()
            .find(|(old, _)| *old == name)
            .map(|(_, now)| format!(" (upstream had it {now})"));
        let what = format!(
            "'{name}' is in no directory of elements that was seen{}",
            gone.unwrap_or_default()
        );
        sink.add(rules::UNRESOLVED, file, line, what);
    }
}

/// There is such an element, or one that provides it.
fn resolves(world: &World, name: &str) -> bool {
    world.catalog.elements.contains_key(name)
        || world
            .catalog
            .elements
            .values()
            .any(|element| element.provides.contains(name))
}
