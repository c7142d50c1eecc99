//! Which engines an element is written for, and what engines had once: G3xx.

use std::path::Path;

use crate::elements::Phase;
use crate::request::variables::ALL;
use crate::request::Generation;

use super::file::{File, Role};
use super::report::{Sink, Written};
use super::rules;
use super::shell::{Call, Script};
use super::world::{Subject, World};

/// Commands that were helpers of the engine's package.
const RUN_PARTS: &str = "dib-run-parts";

pub(super) fn look(world: &World, subject: &Subject, sink: &mut Sink) {
    let directory = Phase::BlockDevice.directory();
    if !world.generation.has_device_hooks() && subject.element.path.join(&directory).is_dir() {
        let what = "makes the disk by hooks, as up to 1.x".to_owned();
        sink.add(rules::DEVICE_HOOKS, Path::new(&directory), 0, what);
    }
}

pub(super) fn look_at_file(world: &World, subject: &Subject, file: &File, sink: &mut Sink) {
    look_at_reads(world, file, sink);
    // Engines up to 1.x had them on the PATH of hooks outside, 2.x the latter.
    let outside = file.role.is_outside();
    let run_parts = outside && world.generation <= Generation::V1;
    let element_info = outside && world.generation <= Generation::V2;
    for call in file.script.commands.iter().filter_map(Call::of) {
        match call.name.as_str() {
            RUN_PARTS
                if !run_parts && subject.element.name != RUN_PARTS && !has(subject, RUN_PARTS) =>
            {
                sink.add(
                    rules::RUN_PARTS,
                    &file.below,
                    call.line,
                    call.program.to_owned(),
                );
            }
            "element-info" if !element_info && !call.chrooted => {
                sink.add(
                    rules::ELEMENT_INFO,
                    &file.below,
                    call.line,
                    call.program.to_owned(),
                );
            }
            "die" if file.role.is_inside() && !defines(&file.script, "die") => {
                sink.add(rules::DIE_INSIDE, &file.below, call.line, "die".into());
            }
            _ => {}
        }
    }
    let asks = file.interpreter.contains("dib-python");
    let runs = file.role.is_inside() || file.role == Role::Helper;
    if asks && runs && !has(subject, "dib-python") && !provided_by_base(subject) {
        sink.add(
            rules::DIB_PYTHON,
            &file.below,
            1,
            format!("#!{}", file.interpreter),
        );
    }
}

/// `base` and upstream's own system elements come with dib-python.
fn provided_by_base(subject: &Subject) -> bool {
    has(subject, "package-installs") || has(subject, "pkg-map")
}

fn has(subject: &Subject, element: &str) -> bool {
    subject.closure.contains(element)
}

/// Defines a function of this name, or sources a file that may.
fn defines(script: &Script, name: &str) -> bool {
    script.functions.iter().any(|function| function == name) || sources_others(script)
}

/// Whether it sources files, which may set and define anything.
pub(super) fn sources_others(script: &Script) -> bool {
    script
        .commands
        .iter()
        .filter_map(Call::of)
        .filter(|call| call.program == "." || call.program == "source")
        // That one file of the engine's defines a function and nothing else.
        .any(|call| {
            !call
                .arguments
                .first()
                .is_some_and(|it| it.text.ends_with("/die"))
        })
}

fn look_at_reads(world: &World, file: &File, sink: &mut Sink) {
    for read in &file.script.reads {
        if read.guarded || file.script.sets(&read.name) {
            continue;
        }
        let known = ALL
            .iter()
            .any(|it| it.name == read.name && it.is_of(world.generation));
        if known && read.name != "TARGET_ROOT" {
            continue;
        }
        let what = format!("${}", read.name);
        match read.name.as_str() {
            "_PREFIX" => sink.add(rules::PREFIX, &file.below, read.line, what),
            "DIB_IMAGE_ROOT_FS_UUID" => sink.add(rules::ROOT_UUID, &file.below, read.line, what),
            "TARGET_ROOT" => {
                if let Role::Hook(phase) = file.role {
                    if !phase.has_target_root() {
                        let what = format!("$TARGET_ROOT in {}", phase.directory());
                        sink.add_once(rules::TARGET_ROOT, &file.below, read.line, what);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The engines that the element is written for.
pub(super) fn written_for(subject: &Subject) -> Written {
    let mut since = ("0.1", String::new());
    let mut until: Option<(&'static str, String)> = None;
    let path = &subject.element.path;
    for (directory, version) in [
        ("containerfiles", "3"),
        ("post-root.d", "2.18"),
        ("pre-finalise.d", "2.18"),
    ] {
        if path.join(directory).is_dir() {
            newer(&mut since, version, directory);
        }
    }
    let configured = std::fs::read_dir(path).is_ok_and(|items| {
        items.filter_map(Result::ok).any(|item| {
            item.file_name()
                .to_string_lossy()
                .starts_with("block-device-")
                && item.path().extension().is_some_and(|it| it == "yaml")
        })
    });
    if configured {
        newer(&mut since, "2.4", "a block-device configuration");
    }
    for (element, version) in [
        ("dib-python", "1"),
        ("containerfile", "3"),
        ("ensure-venv", "3"),
    ] {
        if subject.element.depends.contains(element) {
            newer(&mut since, version, &format!("depends on {element}"));
        }
    }
    for (name, version) in [
        ("IMAGE_ELEMENT_YAML", "2.0"),
        ("IMAGE_BLOCK_DEVICES", "2.6"),
        ("DIB_BOOT_LABEL", "3.28"),
    ] {
        if reads(subject, name) {
            newer(&mut since, version, &format!("reads {name}"));
        }
    }
    if path.join("block-device.d").is_dir() {
        until = Some(("1", "block-device.d".into()));
    } else if path.join("first-boot.d").is_dir() {
        until = Some(("0.1", "first-boot.d".into()));
    } else if let Some(name) = ["_PREFIX", "DIB_IMAGE_ROOT_FS_UUID"]
        .into_iter()
        .find(|it| reads(subject, it))
    {
        until = Some(("1", format!("reads {name}")));
    }
    let why = [
        since.1,
        until.as_ref().map(|it| it.1.clone()).unwrap_or_default(),
    ];
    Written {
        since: since.0,
        until: until.map(|it| it.0),
        why: why.into_iter().filter(|it| !it.is_empty()).collect(),
    }
}

fn reads(subject: &Subject, name: &str) -> bool {
    subject.scripts.iter().any(|file| {
        let script = &file.script;
        !script.sets(name) && script.reads.iter().any(|it| it.name == name && !it.guarded)
    })
}

fn newer(since: &mut (&'static str, String), version: &'static str, why: &str) {
    let number =
        |text: &str| -> Vec<u32> { text.split('.').filter_map(|it| it.parse().ok()).collect() };
    if number(version) > number(since.0) {
        *since = (version, why.to_owned());
    }
}
