//! Device nodes where mknod(2) is refused.
//!
//! In a user namespace a device node cannot be made. An empty file stands in
//! for it, with the mode and owner that the node would have, and the registry
//! at [`super::paths::NODES`] says what it stands for; whoever packs the tree
//! writes the node in its place, see [`crate::output::nodes`].
//!
//! [`make()`] does that for the mknod shim, `supervise` for everything else that
//! calls mknod(2): tar, cp, package scripts in the target.

use std::fs;

mod filter;
mod make;
mod supervise;

pub(crate) use make::make;
pub(crate) use supervise::supervise;

/// Whether device nodes can be made here: the initial user namespace, which a
/// machine has, maps every id to itself.
pub(crate) fn are_real() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| maps_all(&map))
}

fn maps_all(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_initial_namespace_maps_every_id() {
        for (map, all) in [
            ("         0          0 4294967295\n", true),
            ("0 0 65536\n", false),
            ("0 1000 1\n1 100000 65535\n", false),
            ("", false),
        ] {
            assert_eq!(super::maps_all(map), all, "{map:?}");
        }
    }
}
