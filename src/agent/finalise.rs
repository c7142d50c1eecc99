//! The last changes of the engine to the target (upstream `finalise_base`).

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use walkdir::{DirEntry, WalkDir};

use super::context::Context;
use super::error::Error;
use super::inside::Directory;
use super::{mounts, resolv};

/// Restores resolv.conf, empties `/tmp`, and if `logs` truncates the files of
/// `/var/log` and deletes `*.log` below `/root`. A directory that is missing is no error here.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn finalise(context: &mut Context, keep_link: bool, logs: bool) -> Result<(), Error> {
    resolv::restore(context, keep_link)?;
    let target = context.target();
    let open = |path: &'static str| {
        Directory::open(&target, Path::new(path)).map_err(Error::io("open", target.join(path)))
    };
    if let Some(tmp) = open("tmp")? {
        mounts::unmount_below(context, &target.join("tmp"))?;
        empty(context, &tmp).map_err(Error::io("empty", target.join("tmp")))?;
    }
    if !logs {
        return Ok(());
    }
    if let Some(logs) = open("var/log")? {
        each_file(&logs, |entry| truncate(entry.path()))
            .map_err(Error::io("empty the logs in", target.join("var/log")))?;
    }
    if let Some(root) = open("root")? {
        each_file(&root, |entry| {
            match entry.file_name().as_encoded_bytes().ends_with(b".log") {
                true => fs::remove_file(entry.path()),
                false => Ok(()),
            }
        })
        .map_err(Error::io("remove the logs in", target.join("root")))?;
    }
    Ok(())
}

/// Removes every entry, hidden ones included, but none that is another mount.
fn empty(context: &mut Context, directory: &Directory) -> io::Result<()> {
    let device = fs::metadata(directory.path())?.dev();
    for entry in fs::read_dir(directory.path())? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.dev() != device {
            let name = entry.file_name().to_string_lossy().into_owned();
            context
                .say(format!("Keeping /tmp/{name}: it is another filesystem"))
                .map_err(io::Error::other)?;
        } else if metadata.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Calls `act` for each regular file below a directory; links are not followed.
fn each_file(
    directory: &Directory,
    mut act: impl FnMut(&DirEntry) -> io::Result<()>,
) -> io::Result<()> {
    // the last dot makes the walk start in the directory, not at the link to it
    for entry in WalkDir::new(directory.join(".")).follow_links(false) {
        let entry = entry.map_err(io::Error::from)?;
        if entry.file_type().is_file() {
            act(&entry)?;
        }
    }
    Ok(())
}

fn truncate(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn logs_are_emptied_and_links_are_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("root");
        let outside = temporary.path().join("outside.log");
        fs::create_dir_all(root.join("var/log/a b")).unwrap();
        fs::write(&outside, "precious").unwrap();
        fs::write(root.join("var/log/a b/x"), "text").unwrap();
        symlink(&outside, root.join("var/log/link")).unwrap();
        let logs = Directory::open(&root, Path::new("var/log"))
            .unwrap()
            .unwrap();
        each_file(&logs, |entry| truncate(entry.path())).unwrap();
        assert_eq!(fs::read(&outside).unwrap(), b"precious");
        assert_eq!(fs::read(root.join("var/log/a b/x")).unwrap(), b"");
        assert!(root.join("var/log/link").is_symlink());
    }
}
