//! Paths: elements, shares, names.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::request::environment::Environment;
use crate::request::error::Error;
use crate::request::host::HostFacts;
use crate::request::options::OptionId;
use crate::request::resolved::{BaseElements, SharePath};
use crate::request::variables::{self, Variable};
use crate::request::RawRequest;

use super::shell::Shell;

/// `ELEMENTS_PATH` and upstream's own elements, which come last.
///
/// `caller` is the environment before `-c` cleared it: where upstream is
/// installed does not depend on what hooks may see.
pub(super) fn elements(
    shell: &Shell,
    caller: &Environment,
    host: &HostFacts,
) -> Result<(Vec<PathBuf>, Option<BaseElements>), Error> {
    let mut path = Vec::new();
    if let Some(list) = shell.text(variables::ELEMENTS_PATH)? {
        for entry in list.split(':') {
            let directory = host.absolute(entry);
            if entry.is_empty() || !host.is_dir(&directory) {
                return Err(Error::InvalidElementDir(entry.to_owned()));
            }
            path.push(directory);
        }
    }
    match host.base_elements(caller)? {
        Ok(base) => {
            path.push(base.path.clone());
            Ok((path, Some(base)))
        }
        Err(searched) if path.is_empty() => Err(Error::NoElementsDirectory(searched)),
        Err(_) => Ok((path, None)),
    }
}

/// A list of directories as one variable.
pub(super) fn joined(path: &[PathBuf]) -> Result<String, Error> {
    let texts: Result<Vec<&str>, Error> =
        path.iter().map(|entry| text(entry.as_os_str())).collect();
    Ok(texts?.join(":"))
}

fn text(path: &OsStr) -> Result<&str, Error> {
    path.to_str()
        .ok_or_else(|| Error::not_utf8(variables::ELEMENTS_PATH.name, path))
}

/// `HOME`, which has no default: what a user database says need not be what the
/// hooks' tools will use.
pub(super) fn home(shell: &Shell) -> Result<PathBuf, Error> {
    shell
        .bytes(variables::HOME)
        .map(PathBuf::from)
        .filter(|home| home.is_absolute())
        .ok_or(Error::MissingVariable {
            name: variables::HOME.name,
            needed_for: "the place of the image cache and of the lock files",
        })
}

/// A directory variable, absolute, with its default.
pub(super) fn directory(
    shell: &Shell,
    host: &HostFacts,
    variable: Variable,
    default: PathBuf,
) -> PathBuf {
    shell
        .bytes(variable)
        .map_or(default, |value| host.absolute(value))
}

/// Where working directories are made: upstream calls `mktemp -t`, which takes
/// `TMPDIR` rather than the directory that it is given.
pub(super) fn temporary(shell: &Shell, host: &HostFacts) -> PathBuf {
    let usual = directory(shell, host, variables::TMP_DIR, "/tmp".into());
    directory(shell, host, variables::TMPDIR, usual)
}

/// Where an image of that name is left.
pub(super) fn image_directory(name: &str, host: &HostFacts) -> PathBuf {
    match Path::new(name).parent() {
        Some(parent) if parent != Path::new("") => host.absolute(parent),
        _ => host.cwd.clone(),
    }
}

/// `IMAGE_NAME` without the extension of the only type.
pub(super) fn image_name(shell: &Shell, extension: Option<&str>) -> Result<String, Error> {
    let given = shell.text_or(variables::IMAGE_NAME, "image")?;
    let name = extension
        .and_then(|extension| given.strip_suffix(extension))
        .unwrap_or(&given);
    let last = name.rsplit('/').next().unwrap_or_default();
    if matches!(last, "" | "." | "..") {
        return Err(Error::BadValue {
            what: "-o (IMAGE_NAME)",
            value: given,
            why: "no file name is left for the image",
            hint: "end it in a name, such as image or /srv/images/server",
        });
    }
    Ok(name.to_owned())
}

/// `--share PATH[:rw]`.
pub(super) fn shares(raw: &RawRequest, host: &HostFacts) -> Result<Vec<SharePath>, Error> {
    let mut shares: Vec<SharePath> = Vec::new();
    for value in raw.all(OptionId::Share) {
        let value = value
            .to_str()
            .ok_or_else(|| Error::not_utf8("--share", value))?;
        let (path, writable) = match value.strip_suffix(":rw") {
            Some(path) => (path, true),
            None => (value, false),
        };
        let absolute = host.absolute(path);
        if path.is_empty() || !host.exists(&absolute) {
            return Err(Error::NoSuchShare(path.to_owned()));
        }
        match shares.iter_mut().find(|share| share.path == absolute) {
            Some(share) => share.writable |= writable,
            None => shares.push(SharePath {
                path: absolute,
                writable,
            }),
        }
    }
    Ok(shares)
}

/// `--lib DIR`.
pub(super) fn lib(raw: &RawRequest, host: &HostFacts) -> Result<Option<PathBuf>, Error> {
    let Some(value) = raw.last(OptionId::Lib) else {
        return Ok(None);
    };
    let path = host.absolute(value);
    if value.is_empty() || !host.is_dir(&path) {
        return Err(Error::not_a_directory("--lib", value.into()));
    }
    Ok(Some(path))
}
