//! `mount --bind /dev`, a devpts in it, and their `umount`.
//!
//! The nodes in our `/dev` are mounts of their own, so that a plain bind shows
//! empty files in their place: it has to be a recursive one, and what is mounted
//! below it goes with it when it is unmounted. The options of a devpts are taken
//! from the one that is there, where the kernel shows the group as the host
//! numbers it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::{complain, exec_real};
use crate::agent::{archives, layers, mounts};

/// Group `tty`, which has this number in every distribution.
const TTY: &str = "gid=5";

/// Runs the real mount; a bind of `/dev` becomes recursive, the group of a devpts
/// one that exists here, and apt's archives the build's own.
pub(super) fn mount(arguments: Vec<OsString>) -> ExitCode {
    match with_own_archives(with_own_group(recursive(arguments))) {
        Ok(arguments) => exec_real("mount", &arguments),
        Err(error) => {
            let text = "cannot give the build apt archives of its own";
            complain("mount", format_args!("{text}: {error}"));
            // mount(8): a mount failed
            ExitCode::from(32)
        }
    }
}

/// A bind of shared apt archives becomes one of the build's own.
fn with_own_archives(mut arguments: Vec<OsString>) -> io::Result<Vec<OsString>> {
    if let Some((source, target)) = bind_of(&arguments) {
        let target = Path::new(&arguments[target]);
        // A bind that is not noted only keeps layers from being made.
        let _ = layers::note_bind(Path::new(&arguments[source]), target);
        if let Some(own) = archives::view(Path::new(&arguments[source]), target)? {
            arguments[source] = own.into();
        }
    }
    Ok(arguments)
}

/// Where source and target of a plain bind are among the arguments.
fn bind_of(arguments: &[OsString]) -> Option<(usize, usize)> {
    let mut binds = false;
    let mut operands = Vec::new();
    for (index, argument) in arguments.iter().enumerate() {
        match argument.to_str() {
            Some("--bind" | "-B" | "-obind") => binds = true,
            Some("bind") if index > 0 && arguments[index - 1] == "-o" => binds = true,
            Some("-o") => {}
            Some(option) if option.starts_with('-') => return None,
            _ => operands.push(index),
        }
    }
    match operands[..] {
        [source, target] if binds => Some((source, target)),
        _ => None,
    }
}

fn with_own_group(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if !arguments.iter().any(|argument| argument == "devpts") {
        return arguments;
    }
    for argument in &mut arguments {
        let Some(text) = argument.to_str().filter(|text| text.contains("gid=")) else {
            continue;
        };
        let options: Vec<&str> = text
            .split(',')
            .map(|option| match option.strip_prefix("gid=") {
                Some(_) => TTY,
                None => option,
            })
            .collect();
        *argument = options.join(",").into();
    }
    arguments
}

fn recursive(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_dev = |argument: &OsString| argument == "/dev" || argument == "/dev/";
    if !arguments.iter().any(is_dev) {
        return arguments;
    }
    for argument in &mut arguments {
        match argument.to_str() {
            Some("--bind" | "-B") => *argument = "--rbind".into(),
            Some("bind") => *argument = "rbind".into(),
            Some("-obind") => *argument = "-orbind".into(),
            _ => {}
        }
    }
    arguments
}

/// Runs the real umount, without `-f`, which is refused to all but the real
/// root; recursively if a `/dev` is unmounted that was bound with its nodes.
pub(super) fn umount(arguments: Vec<OsString>) -> ExitCode {
    let mut arguments = unforced(arguments);
    if arguments
        .iter()
        .any(|argument| has_bound_nodes(Path::new(argument)))
    {
        arguments.insert(0, "-R".into());
    }
    exec_real("umount", &arguments)
}

fn unforced(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut options_ended = false;
    let mut kept = Vec::with_capacity(arguments.len());
    for argument in arguments {
        options_ended |= argument == "--";
        let text = argument.to_str().unwrap_or_default();
        let bundle = text
            .strip_prefix('-')
            .filter(|letters| letters.bytes().all(|letter| letter.is_ascii_alphabetic()));
        match bundle {
            _ if options_ended => kept.push(argument),
            // -O and -t take what follows as their value
            Some(letters) if letters.contains('f') && !letters.contains(['O', 't']) => {
                let rest: String = letters.chars().filter(|letter| *letter != 'f').collect();
                if !rest.is_empty() {
                    kept.push(format!("-{rest}").into());
                }
            }
            _ if text == "--force" => {}
            _ => kept.push(argument),
        }
    }
    kept
}

/// Whether a mount point has mounts of files in it: devices.
fn has_bound_nodes(path: &Path) -> bool {
    let Ok(real) = fs::canonicalize(path) else {
        return false;
    };
    real != Path::new("/")
        && mounts::mounts_below(&real).is_ok_and(|below| {
            below
                .iter()
                .any(|mount| mount.parent() == Some(&real) && !mount.is_dir())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn only_a_bind_of_dev_becomes_recursive() {
        for (line, expected) in [
            ("--bind /dev /t/dev", "--rbind /dev /t/dev"),
            ("-o bind /dev/ /t/dev", "-o rbind /dev/ /t/dev"),
            ("-B /dev /t/dev", "--rbind /dev /t/dev"),
            ("--bind /dev/pts /t/dev/pts", "--bind /dev/pts /t/dev/pts"),
            ("-t proc none /t/proc", "-t proc none /t/proc"),
        ] {
            assert_eq!(recursive(words(line)), words(expected));
        }
    }

    #[test]
    fn a_devpts_gets_a_group_that_exists() {
        for (line, expected) in [
            (
                "-t devpts -o rw,gid=100004,mode=620 devpts /t/dev/pts",
                "-t devpts -o rw,gid=5,mode=620 devpts /t/dev/pts",
            ),
            ("-t vfat -o gid=7 /dev/x /t", "-t vfat -o gid=7 /dev/x /t"),
        ] {
            assert_eq!(with_own_group(words(line)), words(expected));
        }
    }

    #[test]
    fn plain_binds_are_told_from_other_mounts() {
        for (line, expected) in [
            ("--bind /a /b", Some((1, 2))),
            ("/a /b --bind", Some((0, 1))),
            ("-o bind /a /b", Some((2, 3))),
            ("-o ro /a /b", None),
            ("--bind -o ro /a /b", None),
            ("-t proc none /b", None),
            ("--bind /a", None),
        ] {
            assert_eq!(bind_of(&words(line)), expected, "{line}");
        }
    }

    #[test]
    fn force_is_left_out() {
        for (line, expected) in [
            ("-f /x", "/x"),
            ("-fl /x", "-l /x"),
            ("--force -l /x", "-l /x"),
            ("-tnfs /x", "-tnfs /x"),
            ("-- -f", "-- -f"),
            ("/x", "/x"),
        ] {
            assert_eq!(unforced(words(line)), words(expected));
        }
    }
}
