//! A view of its own of apt's archives for each build.
//!
//! Elements bind a directory of `DIB_IMAGE_CACHE` on the target's
//! `/var/cache/apt/archives`. apt locks a file in it for as long as it installs,
//! and does not wait for the lock (`pkgAcquire::GetLock` has no time-out, other
//! than dpkg's), so that builds at the same time would fail. The mount shim binds
//! a directory of the build instead, with hard links to all packages; what apt
//! adds there goes to the cache by rename, whole.

use std::fs;
use std::io;
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::Path;
use std::path::PathBuf;

use super::error::Error;
use super::paths;
use crate::protocol::OwnCache;

/// Where apt keeps packages, in any root.
const ARCHIVES: &str = "var/cache/apt/archives";
/// apt's unfinished downloads, below its archives.
const PARTIAL: &str = "partial";
/// A package on its way to the cache, in the build's own directory.
const MOVING: &str = ".moving";

/// Tells the mount shim where the build has its own view of the cache.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn announce(cache: &OwnCache) -> Result<(), Error> {
    for (to, at) in [
        (&cache.shared, paths::SHARED_CACHE),
        (&cache.own, paths::OWN_CACHE),
    ] {
        symlink(to, at).map_err(Error::io("create", at))?;
    }
    Ok(())
}

/// What is bound on `target` in place of `source`: the build's own view, if
/// `target` is apt's archives and `source` is in the cache.
///
/// # Errors
/// The view cannot be made.
pub(crate) fn view(source: &Path, target: &Path) -> io::Result<Option<PathBuf>> {
    let Ok(own) = fs::read_link(paths::OWN_CACHE) else {
        return Ok(None);
    };
    view_in(Path::new(paths::SHARED_CACHE), &own, source, target)
}

fn view_in(shared: &Path, own: &Path, source: &Path, target: &Path) -> io::Result<Option<PathBuf>> {
    let (Ok(source), Ok(target)) = (fs::canonicalize(source), fs::canonicalize(target)) else {
        return Ok(None); // mount itself says what is wrong
    };
    let shared = fs::canonicalize(shared)?;
    let below = match source.strip_prefix(&shared) {
        Ok(below) if target.ends_with(ARCHIVES) => below,
        _ => return Ok(None),
    };
    let own = own.join(below);
    fs::create_dir_all(&own)?;
    for entry in fs::read_dir(&source)? {
        let entry = entry?;
        if is_package(&entry)? {
            link(&entry.path(), &own.join(entry.file_name()))?;
        }
    }
    Ok(Some(own))
}

fn is_package(entry: &fs::DirEntry) -> io::Result<bool> {
    let named = entry.file_name().as_encoded_bytes().ends_with(b".deb");
    Ok(named && entry.file_type()?.is_file())
}

/// A copy where there are no hard links, or where the kernel refuses them to
/// files of other users (fs.protected_hardlinks).
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let copied = match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => fs::copy(from, to).map(drop),
    };
    match copied {
        // Somebody has emptied the cache meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Brings new packages of the build's own view to the cache.
///
/// # Errors
/// Whatever the filesystem gives; what was there before is whole.
pub(crate) fn publish() -> Result<(), Error> {
    match fs::read_link(paths::OWN_CACHE) {
        Ok(own) if own.exists() => publish_below(&own, Path::new(paths::SHARED_CACHE))
            .map_err(Error::io("bring packages to the cache from", own)),
        _ => Ok(()),
    }
}

fn publish_below(own: &Path, shared: &Path) -> io::Result<()> {
    for entry in fs::read_dir(own)? {
        let entry = entry?;
        let (from, to) = (entry.path(), shared.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if entry.file_name() != PARTIAL {
                publish_below(&from, &to)?;
            }
        // What came from the cache has its other name there.
        } else if is_package(&entry)? && entry.metadata()?.nlink() == 1 {
            fs::create_dir_all(shared)?;
            let moving = own.join(MOVING);
            match fs::hard_link(&from, &moving) {
                Ok(()) => fs::rename(&moving, &to)?,
                Err(_) => fs::rename(&from, &to)?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        _top: tempfile::TempDir,
        cache: PathBuf,
        target: PathBuf,
    }

    fn place() -> Place {
        let top = tempfile::tempdir().unwrap();
        let place = Place {
            cache: top.path().join("cache"),
            target: top.path().join("mnt").join(ARCHIVES),
            _top: top,
        };
        fs::create_dir_all(place.cache.join("apt/debian/partial")).unwrap();
        fs::create_dir_all(&place.target).unwrap();
        for (file, text) in [("a_1.deb", "a"), ("lock", ""), ("partial/b_1.deb", "half")] {
            fs::write(place.cache.join("apt/debian").join(file), text).unwrap();
        }
        place
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_view_has_the_packages_and_its_new_ones_come_back_whole() {
        let place = place();
        let shared = place.cache.join("apt/debian");
        let view = |name: &str| {
            let own = place.cache.join(name);
            let view = view_in(&place.cache, &own, &shared, &place.target);
            (view.unwrap().unwrap(), own)
        };
        let ((one, own), (other, _)) = (view(".one"), view(".other"));
        assert_eq!(one, own.join("apt/debian"));
        assert_eq!(names(&one), ["a_1.deb"]);
        fs::create_dir(one.join(PARTIAL)).unwrap();
        for (file, text) in [("b_1.deb", "b"), ("lock", ""), ("partial/c_1.deb", "half")] {
            fs::write(one.join(file), text).unwrap();
        }
        publish_below(&own, &place.cache).unwrap();
        publish_below(&own, &place.cache).unwrap();
        assert_eq!(names(&shared), ["a_1.deb", "b_1.deb", "lock", "partial"]);
        assert_eq!(names(&shared.join(PARTIAL)), ["b_1.deb"]);
        assert_eq!(fs::read(shared.join("b_1.deb")).unwrap(), b"b");
        assert_eq!(names(&one), ["a_1.deb", "b_1.deb", "lock", "partial"]);
        // What one build removes or replaces stays as it is for the other.
        fs::remove_file(one.join("a_1.deb")).unwrap();
        fs::write(one.join("a_1.deb"), "mended").unwrap();
        publish_below(&own, &place.cache).unwrap();
        assert_eq!(fs::read(shared.join("a_1.deb")).unwrap(), b"mended");
        assert_eq!(fs::read(other.join("a_1.deb")).unwrap(), b"a");
    }

    #[test]
    fn other_binds_are_left_alone() {
        let place = place();
        let own = place.cache.join(".own");
        let elsewhere = place.cache.parent().unwrap().join("mnt/var");
        for (source, target) in [
            (&place.cache.join("apt/debian"), &elsewhere),
            (&elsewhere, &place.target),
            (&place.cache.join("absent"), &place.target),
        ] {
            let view = view_in(&place.cache, &own, source, target);
            assert_eq!(view.unwrap(), None);
        }
        assert!(!own.exists());
    }
}
