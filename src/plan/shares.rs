//! What of the host an appliance shows to hooks: an explicit list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::elements::ElementSet;
use crate::request::BuildRequest;

use super::ApplianceKind;

/// A path of the host that an appliance shares, at the same path inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Absolute path on the host; a file or a directory that exists.
    pub path: PathBuf,
    /// Where it appears inside, if elsewhere.
    pub inside: Option<PathBuf>,
    /// Hooks may write to it.
    pub writable: bool,
    /// The appliance that needs it, if the other has it anyway.
    pub only_in: Option<ApplianceKind>,
    /// Why it is shared, for the plan.
    pub why: String,
}

/// Trees that an appliance provides by itself, so that sharing them again
/// would only replace its own with the host's.
const PROVIDED: [&str; 9] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/proc", "/sys", "/dev", "/run",
];

/// Everything that the hooks of a request may see of the host, parents first.
///
/// A variable that names a whole top-level directory or the home directory
/// shares nothing: such values mostly mean places in the target, and sharing
/// that much takes an explicit `--share`.
///
/// `exists` tells whether a path of the host exists; `ssh_keys` are the
/// caller's public keys and `authorized_keys`, which hooks such as
/// `local-config` read (compat 11.010).
pub fn shares(
    request: &BuildRequest,
    set: &ElementSet,
    ssh_keys: &[PathBuf],
    exists: &dyn Fn(&Path) -> bool,
) -> Vec<Share> {
    let mut list = ShareList {
        exists,
        shares: BTreeMap::new(),
    };
    for path in &request.elements_path {
        list.needed(path, "ELEMENTS_PATH");
    }
    for element in &set.elements {
        list.needed(&element.path, &format!("element {}", element.name));
    }
    if let Some(lib) = &request.lib {
        list.needed(lib, "--lib");
    }
    if let Some(manifest) = &request.aci_manifest {
        list.needed(manifest, "ACI_MANIFEST");
    }
    for (name, value) in &request.environment {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
            continue;
        };
        if name.starts_with("DIB_") {
            for path in absolute_paths(value).map(Path::new) {
                if path.components().count() > 2 && path != request.home {
                    list.read_only(path, name);
                }
            }
        }
    }
    for path in ssh_keys {
        list.read_only(path, "read by hooks that install the caller's ssh keys");
    }
    list.read_only(&request.home.join(".gitconfig"), "git in hooks");
    // Both are created, if need be, before an appliance starts.
    match &request.helper_drive {
        // The drive's own is shared under a name that the build chooses.
        Some(drive) => {
            if let Some(cache) = &drive.extra_data_cache {
                list.insert(cache, true, "DIB_IMAGE_CACHE of extra-data.d");
            }
        }
        None => list.insert(&request.image_cache, true, "DIB_IMAGE_CACHE"),
    }
    list.insert(&request.lockfiles, true, "DIB_LOCKFILES");
    for share in &request.shares {
        list.add(&share.path, share.writable, "--share");
    }
    list.finish()
}

struct ShareList<'a> {
    exists: &'a dyn Fn(&Path) -> bool,
    shares: BTreeMap<PathBuf, Share>,
}

impl ShareList<'_> {
    /// What a build cannot do without: elements may be installed below `/usr`,
    /// and a machine's is made of some of the host's packages only.
    fn needed(&mut self, path: &Path, why: &str) {
        if path.starts_with("/usr") && path != Path::new("/usr") {
            self.add(path, false, why);
            if let Some(share) = self.shares.get_mut(path) {
                share.only_in = Some(ApplianceKind::Microvm);
            }
        } else {
            self.read_only(path, why);
        }
    }

    fn read_only(&mut self, path: &Path, why: &str) {
        if path != Path::new("/") && !PROVIDED.iter().any(|tree| path.starts_with(tree)) {
            self.add(path, false, why);
        }
    }

    fn add(&mut self, path: &Path, writable: bool, why: &str) {
        if (self.exists)(path) {
            self.insert(path, writable, why);
        }
    }

    fn insert(&mut self, path: &Path, writable: bool, why: &str) {
        let share = self.shares.entry(path.into()).or_insert_with(|| Share {
            path: path.into(),
            inside: None,
            writable,
            only_in: None,
            why: why.into(),
        });
        share.writable |= writable;
    }

    /// Drops read-only shares that lie in another read-only share.
    fn finish(self) -> Vec<Share> {
        let mut kept: Vec<Share> = Vec::new();
        for (path, share) in self.shares {
            let covered = kept
                .iter()
                .rev()
                .find(|parent| path.starts_with(&parent.path))
                .is_some_and(|parent| {
                    parent.writable == share.writable && parent.only_in == share.only_in
                });
            if !covered {
                kept.push(share);
            }
        }
        kept
    }
}

/// The absolute paths that a value names: itself, or the members of a list.
fn absolute_paths(value: &str) -> impl Iterator<Item = &str> {
    value
        .split([':', ',', ' ', '\n', '\t'])
        .map(|part| {
            let leading = part.len() - part.trim_start_matches('/').len();
            &part[leading.saturating_sub(1)..]
        })
        .filter(|part| part.starts_with('/') && part.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_name_paths_alone_and_in_lists() {
        let found: Vec<_> = absolute_paths("/a/b:/c, /d e file:///f/g ./h /").collect();
        assert_eq!(found, ["/a/b", "/c", "/d", "/f/g"]);
    }

    #[test]
    fn a_path_that_will_be_made_is_shared_before_it_exists() {
        let mut list = ShareList {
            exists: &|_| false,
            shares: BTreeMap::new(),
        };
        list.add(Path::new("/srv/missing"), true, "a");
        list.insert(Path::new("/srv/cache"), true, "b");
        let paths: Vec<_> = list.finish().into_iter().map(|s| s.path).collect();
        assert_eq!(paths, [PathBuf::from("/srv/cache")]);
    }

    #[test]
    fn shares_inside_equal_shares_are_dropped() {
        let exists = |_: &Path| true;
        let mut list = ShareList {
            exists: &exists,
            shares: BTreeMap::new(),
        };
        list.read_only(Path::new("/srv/elements"), "a");
        list.read_only(Path::new("/srv/elements/vm"), "b");
        list.add(Path::new("/srv/elements/cache"), true, "c");
        list.read_only(Path::new("/usr/share/x"), "d");
        list.read_only(Path::new("/"), "e");
        let paths: Vec<_> = list.finish().into_iter().map(|s| s.path).collect();
        assert_eq!(
            paths,
            [PathBuf::from("/srv/elements"), "/srv/elements/cache".into()]
        );
    }
}
