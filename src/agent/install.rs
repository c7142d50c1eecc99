//! What the agent puts in place before the first hook.

use std::fs;
use std::io;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::{devnodes, paths, shims};
use crate::helpers::{self, HelperFile};

/// Commands of ours that hooks find on their PATH, as upstream's are on its own.
const APPLETS: &[&str] = &["dib-block-device"];

/// Writes the helper files, the Python package with its interpreter, the shims
/// and the marker.
///
/// # Errors
/// Whatever the filesystem gives; `python` is not in this appliance.
pub(crate) fn install(python: Option<&Path>) -> Result<(), Error> {
    write_all(paths::LIB, helpers::LIB)?;
    write_all(paths::PYTHON, helpers::PYTHON)?;
    let interpreter = match python {
        Some(path) if !path.exists() => return Err(Error::NoPython(path.to_owned())),
        Some(path) => path.display().to_string(),
        None => own_python(),
    };
    write(
        Path::new(paths::PYTHON_WRAPPER),
        0o755,
        &helpers::python_wrapper(&interpreter, paths::PYTHON),
    )?;
    commands(&interpreter)?;
    init_system()?;
    let binary = Path::new(paths::BINARY);
    if !binary.exists() {
        let own = std::env::current_exe().map_err(Error::io("find", "/proc/self/exe"))?;
        link(&own, binary)?;
    }
    fs::create_dir_all(paths::SHIMS).map_err(Error::io("create", paths::SHIMS))?;
    for name in shims::NAMES.iter().chain(APPLETS) {
        link(binary, &Path::new(paths::SHIMS).join(name))?;
    }
    write(Path::new(paths::MARKER), 0o444, "")
}

/// What hooks of older generations find on their PATH. Scripts of 0.x and 1.x get
/// a Python 2 if the appliance's `python` is one, else a `python3` that is like
/// it where their scripts notice; 2.x always had its own.
fn commands(interpreter: &str) -> Result<(), Error> {
    write_all(paths::PYTHON_OLD, helpers::PYTHON_OLD)?;
    let old_path = format!("{}:{}", paths::PYTHON_OLD, paths::PYTHON);
    let old_python = helpers::python_wrapper(interpreter, &old_path);
    let root = Path::new(paths::COMMANDS);
    for generation in ["0", "1", "2"] {
        let directory = root.join(generation);
        write(
            &directory.join("element-info"),
            0o755,
            helpers::ELEMENT_INFO,
        )?;
        let python = directory.join("python");
        if generation == "2" {
            link(Path::new(paths::PYTHON_WRAPPER), &python)?;
            continue;
        }
        let runner = directory.join("dib-run-parts");
        write(&runner, 0o755, helpers::DIB_RUN_PARTS)?;
        if !has_python_2() {
            write(&python, 0o755, &old_python)?;
        }
    }
    Ok(())
}

/// Hooks of 0.x to 2.x tell the init system by this file, outside the target as
/// well as in it, and end the build when they cannot. A machine has none of its
/// own packages for it, a host of Debian's has.
fn init_system() -> Result<(), Error> {
    let systemctl = Path::new("/usr/bin/systemctl");
    if !devnodes::are_real() || systemctl.exists() {
        return Ok(());
    }
    write(systemctl, 0o755, NO_INIT)
}

const NO_INIT: &str = "#!/bin/sh\necho 'systemctl: no init runs in this appliance' >&2\nexit 1\n";

/// Whether `python` is a Python 2, as its real name tells.
fn has_python_2() -> bool {
    let found = ["/usr/local/bin/python", "/usr/bin/python", "/bin/python"]
        .iter()
        .find_map(|path| fs::canonicalize(path).ok());
    let name = found.as_deref().and_then(Path::file_name);
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"python2"))
}

fn write_all(directory: &str, files: &[HelperFile]) -> Result<(), Error> {
    files.iter().try_for_each(|file| {
        write(
            &Path::new(directory).join(file.path),
            file.mode,
            file.contents,
        )
    })
}

fn write(path: &Path, mode: u32, contents: &str) -> Result<(), Error> {
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, contents))
        .and_then(|()| fs::set_permissions(path, PermissionsExt::from_mode(mode)));
    written.map_err(Error::io("write", path))
}

fn link(to: &Path, at: &Path) -> Result<(), Error> {
    match symlink(to, at) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map_err(Error::io("create", at)),
    }
}

/// The system's python3: the one that its packages of modules belong to.
fn own_python() -> String {
    ["/usr/bin/python3", "/usr/local/bin/python3", "/bin/python3"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .map_or_else(
            || "/usr/bin/python3".to_owned(),
            |path| path.display().to_string(),
        )
}
