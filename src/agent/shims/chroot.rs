//! `chroot` that finds a usable `/dev` in the new root, see [`devices`].

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use super::{complain, exec_real, without_shims};
use crate::agent::devices;

/// Runs the real chroot with these arguments.
pub(super) fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(root) = new_root(&arguments) {
        if let Err(error) = devices::provide(Path::new(root)) {
            complain(
                "chroot",
                format_args!("cannot give {} devices: {error}", root.to_string_lossy()),
            );
            return ExitCode::from(125);
        }
    }
    // what is outside must not be on the PATH of what runs inside
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::set_var("PATH", without_shims(&path));
    exec_real("chroot", &arguments)
}

/// The first argument that is no option: chroot's options take no separate
/// value, and end at the first other argument.
fn new_root(arguments: &[OsString]) -> Option<&OsStr> {
    let mut rest = arguments.iter();
    loop {
        let argument = rest.next()?;
        match argument.as_bytes() {
            b"--" => return rest.next().map(OsString::as_os_str),
            b"--groups" | b"--userspec" => {
                rest.next();
            }
            b"--help" | b"--version" => return None,
            option if option.starts_with(b"--") => {}
            _ => return Some(argument),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_behind_options() {
        for (line, root) in [
            ("/r ls --help", Some("/r")),
            ("--userspec=a:b --skip-chdir /r sh", Some("/r")),
            ("--userspec a:b /r", Some("/r")),
            ("-- /r", Some("/r")),
            ("--version", None),
            ("", None),
        ] {
            let arguments: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
            assert_eq!(new_root(&arguments), root.map(OsStr::new), "{line}");
        }
    }
}
