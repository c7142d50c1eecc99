//! Distributions that are no longer where elements of their time look for them.

use super::ElementSet;

/// An element of the build whose source is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoneSource {
    /// The element.
    pub element: &'static str,
    /// What it gets by default, and what became of that.
    pub what: &'static str,
    /// Variables of which any, set and not empty, may lead elsewhere.
    pub unless_set: &'static [&'static str],
}

const IMAGE_OR_MIRROR: &[&str] = &[
    "DIB_LOCAL_IMAGE",
    "DIB_CLOUD_IMAGES",
    "DIB_DISTRIBUTION_MIRROR",
];
const YUM: &[&str] = &["DIB_YUM_MINIMAL_BOOTSTRAP_REPOS", "DIB_DISTRIBUTION_MIRROR"];

/// What elements of 0.x to 2.x reach for, as of 2026.
const GONE: [GoneSource; 8] = [
    GoneSource {
        element: "centos",
        what: "CentOS 6 to 8, whose mirrors ended in 2024 and before",
        unless_set: IMAGE_OR_MIRROR,
    },
    GoneSource {
        element: "centos7",
        what: "CentOS 7, whose mirrors ended in 2024",
        unless_set: IMAGE_OR_MIRROR,
    },
    GoneSource {
        element: "centos-minimal",
        what: "CentOS 7 and 8, whose mirrors ended in 2024 and before",
        unless_set: YUM,
    },
    GoneSource {
        element: "fedora",
        what: "a Fedora that has moved to the archives",
        unless_set: &["DIB_RELEASE", "DIB_LOCAL_IMAGE", "DIB_CLOUD_IMAGES"],
    },
    GoneSource {
        element: "fedora-minimal",
        what: "a Fedora that has moved to the archives",
        unless_set: &["DIB_RELEASE", "DIB_DISTRIBUTION_MIRROR"],
    },
    GoneSource {
        element: "opensuse",
        what: "an openSUSE that has left the mirrors",
        unless_set: &["DIB_RELEASE", "DIB_LOCAL_IMAGE", "DIB_CLOUD_IMAGES"],
    },
    GoneSource {
        element: "opensuse-minimal",
        what: "an openSUSE that has left the mirrors",
        unless_set: &["DIB_RELEASE", "DIB_DISTRIBUTION_MIRROR"],
    },
    GoneSource {
        element: "epel",
        what: "EPEL 5 to 7, which have moved to the archives",
        unless_set: &["DIB_EPEL_MIRROR"],
    },
];

/// The elements of a build of 0.x to 2.x whose sources are gone, unless a
/// variable that `is_set` leads elsewhere.
pub fn gone_sources(set: &ElementSet, is_set: &dyn Fn(&str) -> bool) -> Vec<GoneSource> {
    let names = set.names();
    GONE.into_iter()
        .filter(|gone| names.contains(&gone.element))
        .filter(|gone| !gone.unless_set.iter().any(|name| is_set(name)))
        .collect()
}
