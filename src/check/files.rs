//! Files and directories of an element: F2xx.

use std::fs;
use std::path::{Path, PathBuf};

use crate::elements::{merge, ElementSet, Error, MergedHooks, NoticeReason, Phase};

use super::report::Sink;
use super::rules;
use super::world::{Subject, World};

/// Directories that look like a phase, with the one that is meant.
const ODD: [(&str, &str); 12] = [
    (
        "first-boot.d",
        "gone since 0.1.40: a service of the image runs once",
    ),
    ("finalize.d", "finalise.d"),
    ("pre-finalize.d", "pre-finalise.d"),
    ("extradata.d", "extra-data.d"),
    ("extra_data.d", "extra-data.d"),
    ("preinstall.d", "pre-install.d"),
    ("postinstall.d", "post-install.d"),
    ("postinst.d", "post-install.d"),
    ("clean-up.d", "cleanup.d"),
    ("cleanup-d", "cleanup.d"),
    ("environment", "environment.d"),
    ("env.d", "environment.d"),
];

pub(super) fn look(world: &World, subject: &Subject, sink: &mut Sink) {
    let alone = ElementSet {
        elements: vec![subject.element.clone()],
        ..ElementSet::default()
    };
    if let Ok(merged) = merge(&alone) {
        notices(subject, &merged, sink);
    }
    duplicates(world, subject, sink);
    for (directory, meant) in ODD {
        if subject.element.path.join(directory).is_dir() {
            let what = format!("{directory} is no phase ({meant})");
            sink.add(rules::ODD_PHASE, Path::new(directory), 0, what);
        }
    }
    for phase in Phase::ALL {
        let bare = subject.element.path.join(phase.name());
        if phase != Phase::Root && phase != Phase::Install && bare.is_dir() {
            let what = format!("{} is no phase ({})", phase.name(), phase.directory());
            sink.add(rules::ODD_PHASE, Path::new(phase.name()), 0, what);
        }
    }
    for file in &subject.scripts {
        if file.interpreter.ends_with('\r') || first_line_ends_in_return(&file.text) {
            sink.add(rules::CARRIAGE_RETURN, &file.below, 1, "\\r".into());
        }
        if let Some(line) = file.script.lost {
            sink.add(
                rules::LOST,
                &file.below,
                line,
                "something stays open here".into(),
            );
        }
    }
}

fn first_line_ends_in_return(text: &str) -> bool {
    text.starts_with("#!")
        && text
            .split('\n')
            .next()
            .is_some_and(|line| line.ends_with('\r'))
}

fn notices(subject: &Subject, merged: &MergedHooks, sink: &mut Sink) {
    let element = &subject.element;
    for notice in &merged.notices {
        // A hook that names the file uses it: it is no forgotten hook.
        let used = subject
            .scripts
            .iter()
            .any(|file| !file.below.ends_with(&notice.name) && file.text.contains(&notice.name));
        if used && notice.reason != NoticeReason::NoShebang {
            continue;
        }
        let below = notice
            .path
            .strip_prefix(&element.path)
            .map_or_else(|_| PathBuf::from(&notice.name), Path::to_path_buf);
        if notice.reason == NoticeReason::NotExecutable && !is_script(&notice.path) {
            continue;
        }
        let rule = match notice.reason {
            NoticeReason::NotExecutable => rules::NOT_EXECUTABLE,
            NoticeReason::BadName => rules::BAD_NAME,
            NoticeReason::DanglingLink => rules::DANGLING,
            NoticeReason::NoShebang => rules::NO_SHEBANG,
        };
        let what = match notice.reason {
            NoticeReason::NotExecutable => "no x bit",
            NoticeReason::BadName => "does not run",
            NoticeReason::DanglingLink => "does not run",
            NoticeReason::NoShebang => "bash runs it",
        };
        sink.add(rule, &below, 0, what.into());
    }
}

/// Without a `#!` line a file that is not executable is data.
fn is_script(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"#!"))
}

/// Names that a dependency has, too.
fn duplicates(world: &World, subject: &Subject, sink: &mut Sink) {
    let elements = subject
        .closure
        .iter()
        .filter_map(|name| world.catalog.elements.get(name).cloned())
        .collect();
    let set = ElementSet {
        elements,
        ..ElementSet::default()
    };
    if let Err(Error::DuplicateHook {
        directory,
        name,
        first,
        second,
    }) = merge(&set)
    {
        let own = &subject.element.name;
        if first.element == *own || second.element == *own {
            let other = match first.element == *own {
                true => &second.element,
                false => &first.element,
            };
            let file = Path::new(&directory).join(&name);
            sink.add(rules::DUPLICATE, &file, 0, format!("'{other}' has it too"));
        }
    }
}
