//! `safedib install-links DIR`: symlinks under upstream's names.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use thiserror::Error;

use crate::error::Explain;
use crate::manual::{Manual, Operands, Options};

use super::{fail, manuals, print};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "install-links",
    summary: "make symlinks named like upstream's commands in a directory",
    usage: &["DIR"],
    description: &[
        "Makes symlinks to this binary in DIR, one for each command of diskimage-builder that it replaces. An existing \
         symlink to a safedib is renewed; anything else of that name is left alone and reported.",
    ],
    options: Options::Listed(&[("-h, --help", "show this text")]),
    operands: Operands::Directories,
    statuses: &[("0", "all links are there"), ("1", "one could not be made")],
    examples: &[(
        "In the directory that comes first on your PATH:",
        "safedib install-links ~/bin",
    )],
    see_also: &["disk-image-create", "safedib"],
    ..Manual::EMPTY
};

#[derive(Debug, Error)]
enum LinkError {
    #[error("install-links needs one directory")]
    Usage,
    #[error("cannot find our own binary: {0}")]
    OwnPath(io::Error),
    #[error("cannot make the symlink {}: {source}", path.display())]
    Link { path: PathBuf, source: io::Error },
    #[error("{} exists and is not ours", .0.display())]
    Occupied(PathBuf),
}

impl Explain for LinkError {
    fn hint(&self) -> Option<String> {
        match self {
            LinkError::Usage => Some("safedib install-links ~/bin".into()),
            LinkError::Occupied(path) => Some(format!(
                "remove {} or choose a directory that comes earlier on PATH",
                path.display()
            )),
            LinkError::Link { path, source } => {
                let directory = path.parent()?.display();
                match source.kind() {
                    io::ErrorKind::NotFound => Some(format!("mkdir -p {directory}")),
                    io::ErrorKind::PermissionDenied => Some(format!(
                        "choose a directory that you may write to, or call this as root: \
                         {directory} is another's"
                    )),
                    _ => None,
                }
            }
            LinkError::OwnPath(_) => None,
        }
    }
}

/// Makes the links.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    let result = match words {
        [word] if word == "--help" || word == "-h" => {
            print(&MANUAL.help());
            Ok(())
        }
        [directory] => links(Path::new(directory)),
        _ => Err(LinkError::Usage),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(name, &error.into()),
    }
}

fn links(directory: &Path) -> Result<(), LinkError> {
    let own = std::env::current_exe().map_err(LinkError::OwnPath)?;
    let paths = manuals()
        .into_iter()
        .filter(|manual| manual.linked)
        .map(|manual| directory.join(manual.name));
    for path in paths {
        link(&own, &path)?;
        print(&format!("{} -> {}\n", path.display(), own.display()));
    }
    Ok(())
}

fn link(own: &Path, path: &Path) -> Result<(), LinkError> {
    let failed = |source| LinkError::Link {
        path: path.into(),
        source,
    };
    match fs::read_link(path) {
        Ok(target) if target == own => return Ok(()),
        Ok(target) if target.file_name() == own.file_name() => {
            fs::remove_file(path).map_err(failed)?;
        }
        Ok(_) => return Err(LinkError::Occupied(path.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => return Err(LinkError::Occupied(path.into())),
    }
    std::os::unix::fs::symlink(own, path).map_err(failed)
}
