//! Where a path leads, as a hook outside the target sees it.

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
    // The files of the caller's home that the appliance shows.
    let shown = path.ends_with(".pub") || path.ends_with("/.ssh/authorized_keys");
    if shown || path.ends_with("/.gitconfig") {
        return false;
    }
    is_below_any(path, &NOT_SHOWN) && !is_below_any(path, &HARMLESS)
        || path == "~"
        || path.starts_with("~/")
        || is_home(path)
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
