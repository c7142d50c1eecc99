//! The target tree: making it, looking at it, moving it.

use std::fs;
use std::io;
use std::os::unix::fs::{chown, PermissionsExt};

use super::context::Context;
use super::error::Error;

/// Creates `$TMP_BUILD_DIR/mnt`, owned by root, mode 0755, and exports
/// `TMP_MOUNT_PATH` (`create_base`).
///
/// # Errors
/// It exists already, or cannot be made.
pub(crate) fn create(context: &mut Context) -> Result<(), Error> {
    let target = context.target();
    fs::create_dir(&target).map_err(Error::io("create", &target))?;
    fs::set_permissions(&target, PermissionsExt::from_mode(0o755))
        .and_then(|()| chown(&target, Some(0), Some(0)))
        .map_err(Error::io("set the owner of", &target))?;
    context.variables.set("TMP_MOUNT_PATH", target);
    Ok(())
}

/// Fails if root.d left nothing but `lost+found*`, `*tmp` and hidden names:
/// upstream greps them out of `ls`.
///
/// # Errors
/// [`Error::NotDeployed`], after upstream's message.
pub(crate) fn check_root_deployed(context: &mut Context) -> Result<(), Error> {
    let target = context.target();
    let names = fs::read_dir(&target).map_err(Error::io("read", &target))?;
    for name in names {
        let name = name.map_err(Error::io("read", &target))?.file_name();
        if counts(&name.to_string_lossy()) {
            return Ok(());
        }
    }
    context.say("Failed to deploy the root element.")?;
    Err(Error::NotDeployed)
}

fn counts(name: &str) -> bool {
    !name.starts_with('.') && !name.starts_with("lost+found") && !name.ends_with("tmp")
}

/// Removes `lost+found`, which mkfs makes again where it is wanted, and moves
/// the target out of the way of its future filesystems.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn move_to_built(context: &mut Context) -> Result<(), Error> {
    let lost = context.target().join("lost+found");
    let removed = match fs::symlink_metadata(&lost) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&lost),
        Ok(_) => fs::remove_file(&lost),
    };
    removed.map_err(Error::io("remove", &lost))?;
    let (from, to) = (context.target(), context.built());
    fs::rename(&from, &to).map_err(Error::io("move away", from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_a_root() {
        for (name, expected) in [
            ("etc", true),
            ("tmpfiles", true),
            ("tmp", false),
            ("var-tmp", false),
            ("lost+found", false),
            ("lost+founder", false),
            (".hidden", false),
        ] {
            assert_eq!(counts(name), expected, "{name}");
        }
    }
}
