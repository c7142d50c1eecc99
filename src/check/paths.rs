//! Where a path leads, as a hook outside the target sees it.

use std::path::Path;

use crate::appliance::namespace::facts::shows_of_etc;

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A fixed place of the system that the hook runs on.
    Host,
    /// The caller's home.
    Home,
    /// The target, the build's own directories, or not known.
    Other,
}

/// Places that every system has, and that writing to harms nobody.
const HARMLESS: [&str; 6] = [
    "/dev",
    "/proc/self",
    "/tmp",
    "/var/tmp",
    "/run/lock",
    "/sys/fs",
];

/// Directories whose content the appliance does not have.
const NOT_SHOWN: [&str; 8] = [
    "/home", "/root", "/opt", "/srv", "/mnt", "/media", "/boot", "/var",
];

/// Where a resolved path leads.
pub(super) fn place(path: &str) -> Place {
    if path == "~" || path.starts_with("~/") || is_home(path) {
        return Place::Home;
    }
    if !path.starts_with('/') || path.starts_with("//") || is_below_any(path, &HARMLESS) {
        return Place::Other;
    }
    Place::Host
}

/// Whether a resolved path is of the host and not to be seen in the appliance.
pub(super) fn is_hidden(path: &str) -> bool {
    if place(path) == Place::Home {
        // The files of the caller's home that the appliance shows.
        let file = path.rsplit('/').next().unwrap_or_default();
        let key = path.contains("/.ssh/") && (file.ends_with(".pub") || file == "authorized_keys");
        return !key && file != ".gitconfig";
    }
    let unseen_etc = is_below_any(path, &["/etc"]) && !shows_of_etc(Path::new(path));
    unseen_etc || is_below_any(path, &NOT_SHOWN) && !is_below_any(path, &HARMLESS)
}

/// Whether text that begins with `/` can be a path: `/x/d` for sed is none.
pub(super) fn looks_like_path(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-+@%:*?${}()~".contains(c))
}

fn is_home(path: &str) -> bool {
    ["$HOME", "${HOME}"].iter().any(|home| {
        path.strip_prefix(home)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn is_below_any(path: &str, directories: &[&str]) -> bool {
    directories.iter().any(|directory| {
        path.strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_what_hooks_see() {
        for (path, expected, hidden) in [
            ("/var/lib/x", Place::Host, true),
            ("/var/tmp/x", Place::Other, false),
            ("/variable", Place::Host, false),
            ("/usr/share/x", Place::Host, false),
            ("/etc/hosts", Place::Host, false),
            ("/etc/nodepool/x", Place::Host, true),
            ("/dev/null", Place::Other, false),
            ("$TARGET_ROOT/var/x", Place::Other, false),
            ("~/.cache", Place::Home, true),
            ("${HOME}/.ssh/id_rsa", Place::Home, true),
            ("$HOME/.ssh/id_rsa.pub", Place::Home, false),
            ("$HOMES/x", Place::Other, false),
            ("/home/u/.ssh/id_rsa.pub", Place::Host, true),
            ("x/y", Place::Other, false),
        ] {
            assert_eq!((place(path), is_hidden(path)), (expected, hidden), "{path}");
        }
    }
}
