//! Variables that hooks read: V6xx.

use std::collections::BTreeSet;

use crate::request::variables::{Visible, ALL};
use crate::request::Generation;

use super::file::{File, Role};
use super::generation::sources_others;
use super::report::Sink;
use super::rules;
use super::world::{Subject, World};

/// Variables that bash, login or the builder's tools set.
const ALWAYS: &[&str] = &[
    "BASH",
    "BASHPID",
    "BASH_REMATCH",
    "BASH_SOURCE",
    "BASH_VERSION",
    "COLUMNS",
    "DIRSTACK",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HOME",
    "HOSTNAME",
    "HOSTTYPE",
    "IFS",
    "LANG",
    "LC_ALL",
    "LINENO",
    "LINES",
    "LOGNAME",
    "MACHTYPE",
    "OLDPWD",
    "OPTARG",
    "OPTIND",
    "OSTYPE",
    "PATH",
    "PIPESTATUS",
    "PPID",
    "PS4",
    "PWD",
    "RANDOM",
    "REPLY",
    "SECONDS",
    "SHELL",
    "SHELLOPTS",
    "SUDO_USER",
    "TERM",
    "UID",
    "USER",
    "_",
];

/// Directories of the builder.
const OUTSIDE: [&str; 6] = [
    "TMP_MOUNT_PATH",
    "TMP_BUILD_DIR",
    "TMP_IMAGE_DIR",
    "DIB_IMAGE_CACHE",
    "DIB_LOCKFILES",
    "_BASE_ELEMENT_DIR",
];

/// Told by rules of their own.
const TOLD: [&str; 3] = ["_PREFIX", "DIB_IMAGE_ROOT_FS_UUID", "TARGET_ROOT"];

pub(super) fn look(world: &World, subject: &Subject, sink: &mut Sink) {
    for file in &subject.scripts {
        if matches!(file.role, Role::Hook(_) | Role::Environment) {
            unset(world, subject, file, sink);
        }
        if file.role.is_inside() {
            outside_paths(file, sink);
        }
    }
}

fn unset(world: &World, subject: &Subject, file: &File, sink: &mut Sink) {
    if sources_others(&file.script) {
        return;
    }
    let guarded: BTreeSet<&str> = file
        .script
        .reads
        .iter()
        .filter(|read| read.guarded)
        .map(|read| read.name.as_str())
        .collect();
    for read in &file.script.reads {
        let name = read.name.as_str();
        let known = guarded.contains(name)
            || TOLD.contains(&name)
            || file.script.sets(name)
            || is_known(world, subject, name);
        if !known {
            sink.add_once(rules::UNSET, &file.below, read.line, format!("${name}"));
        }
    }
}

/// Whether something sets a variable for hooks, or a README names it.
pub(super) fn is_known(world: &World, subject: &Subject, name: &str) -> bool {
    ALWAYS.contains(&name)
        || hooks_see(name, world.generation)
        || world.knows_variable(subject, name)
}

/// Variables of the engine that hooks see.
fn hooks_see(name: &str, generation: Generation) -> bool {
    ALL.iter().any(|it| {
        it.name == name
            && it.is_of(generation)
            && matches!(
                it.visible,
                Visible::Hooks | Visible::Outside | Visible::Caller
            )
    })
}

fn outside_paths(file: &File, sink: &mut Sink) {
    // The engine's functions, sourced in the target, make directories there.
    if sources_others(&file.script) {
        return;
    }
    for read in &file.script.reads {
        if OUTSIDE.contains(&read.name.as_str()) && !read.guarded && !file.script.sets(&read.name) {
            sink.add_once(
                rules::OUTSIDE_PATH,
                &file.below,
                read.line,
                format!("${}", read.name),
            );
        }
    }
}
