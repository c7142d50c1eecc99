//! Which generation of diskimage-builder a tree of elements belongs to.
//!
//! Elements rely on what the engine of their time did: its phases, their order,
//! the variables that it exported, how the disk was made.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::host::HostFacts;

/// A generation of upstream's engine and of the elements written for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Generation {
    /// 0.1.x, here as of 0.1.46 (2015).
    #[serde(rename = "0")]
    V0,
    /// 1.x, here as of 1.28.0 (2017).
    #[serde(rename = "1")]
    V1,
    /// 2.x, here as of 2.38.0 (2020).
    #[serde(rename = "2")]
    V2,
    /// 3.x, here as of 3.43.0.
    #[serde(rename = "3")]
    V3,
}

impl Generation {
    /// All, the oldest first.
    pub const ALL: [Generation; 4] = [
        Generation::V0,
        Generation::V1,
        Generation::V2,
        Generation::V3,
    ];

    /// As `--generation` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Generation::V0 => "0",
            Generation::V1 => "1",
            Generation::V2 => "2",
            Generation::V3 => "3",
        }
    }

    /// The version whose behaviour it is.
    pub fn version(self) -> &'static str {
        match self {
            Generation::V0 => "0.1.46",
            Generation::V1 => "1.28.0",
            Generation::V2 => "2.38.0",
            Generation::V3 => "3.43.0",
        }
    }

    /// The one of a [`name`](Generation::name).
    pub fn named(name: &str) -> Option<Generation> {
        Generation::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Whether hooks of block-device.d make the device, rather than a
    /// configuration of the block-device layer (2.4 and later).
    pub fn has_device_hooks(self) -> bool {
        self <= Generation::V1
    }

    /// Whether `-p` packages are installed before install.d rather than after
    /// it (2.3.0 and later).
    pub fn installs_packages_first(self) -> bool {
        self <= Generation::V1
    }

    /// Whether post-root.d and pre-finalise.d run (2.18.0 and later).
    pub fn has_late_outside_phases(self) -> bool {
        self >= Generation::V2
    }

    /// Whether hooks find commands of the engine's on their PATH: `element-info`,
    /// and `dib-run-parts` until 2.x, where `python` is the engine's.
    pub fn has_commands_on_path(self) -> bool {
        self <= Generation::V2
    }

    /// Whether the engine writes the disk's `/etc/fstab`, exports the disk's size
    /// in KiB and leaves a link at `/etc/resolv.conf` alone (2.4 and later).
    pub fn has_block_device_layer(self) -> bool {
        !self.has_device_hooks()
    }

    /// Whether the engine empties logs (1.0 and later; before, `base` did).
    pub fn empties_logs(self) -> bool {
        self >= Generation::V1
    }

    /// Whether several elements may provide the same (until 2.4).
    pub fn allows_several_providers(self) -> bool {
        self <= Generation::V1
    }

    /// Whether the engine adds a block-device element to `vm` (2.12 and later).
    pub fn adds_block_device_element(self) -> bool {
        !self.has_device_hooks()
    }
}

impl Display for Generation {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.version())
    }
}

/// A generation, and what says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ElementGeneration {
    /// The generation.
    pub generation: Generation,
    /// Where that comes from, in words.
    pub why: String,
}

/// Where the old `vm` partitions its disk.
const DEVICE_HOOKS: &str = "vm/block-device.d";
/// In every tree of upstream's since the block-device layer.
const DEVICE_LAYER: &str = "block-device-mbr";
/// In upstream's trees since 1.0.
const SINCE_1: &str = "install-bin";
/// Gone since 3.0.
const UNTIL_2: &str = "centos7";

/// Tells the generation from the first directory of `path` that is a tree of
/// upstream's, or one made after it.
pub(super) fn recognise(path: &[PathBuf], host: &HostFacts) -> ElementGeneration {
    let judged = path.iter().find_map(|tree| {
        let (generation, why) = judge(&|name| host.is_dir(&tree.join(name)))?;
        let why = format!("{} {why}", tree.display());
        Some(ElementGeneration { generation, why })
    });
    judged.unwrap_or_else(|| ElementGeneration {
        generation: Generation::V3,
        why: "no directory of elements says otherwise".into(),
    })
}

/// The generation of a directory of elements, if it is a tree of upstream's or
/// one made after it.
pub fn generation_of(tree: &Path) -> Option<Generation> {
    judge(&|name| tree.join(name).is_dir()).map(|(generation, _)| generation)
}

fn judge(has: &dyn Fn(&str) -> bool) -> Option<(Generation, String)> {
    let judged = if has(DEVICE_HOOKS) {
        match has(SINCE_1) {
            true => (
                Generation::V1,
                format!("has {DEVICE_HOOKS} and '{SINCE_1}'"),
            ),
            false => (
                Generation::V0,
                format!("has {DEVICE_HOOKS} and no '{SINCE_1}'"),
            ),
        }
    } else if has(DEVICE_LAYER) {
        match has(UNTIL_2) {
            true => (
                Generation::V2,
                format!("has '{DEVICE_LAYER}' and '{UNTIL_2}'"),
            ),
            false => (
                Generation::V3,
                format!("has '{DEVICE_LAYER}' and no '{UNTIL_2}'"),
            ),
        }
    } else {
        return None;
    };
    Some(judged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(root: &Path, name: &str, elements: &[&str]) -> PathBuf {
        for element in elements {
            std::fs::create_dir_all(root.join(name).join(element)).unwrap();
        }
        Path::new("/").join(name)
    }

    #[test]
    fn the_first_tree_of_upstreams_tells() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        let host = HostFacts {
            cwd: "/".into(),
            root: root.into(),
            machine: "x86_64".into(),
            executable: None,
        };
        let own = tree(root, "own", &["base", "install-bin", "x"]);
        let newest = tree(root, "new", &["base", "block-device-mbr"]);
        for (elements, expected) in [
            (&["vm/block-device.d"][..], Generation::V0),
            (&["vm/block-device.d", "install-bin"], Generation::V1),
            (&["vm", "block-device-mbr", "centos7"], Generation::V2),
            (&["vm", "block-device-mbr", "growvols"], Generation::V3),
        ] {
            let name = format!("up{}", expected.name());
            let path = [own.clone(), tree(root, &name, elements), newest.clone()];
            let found = recognise(&path, &host);
            assert_eq!(found.generation, expected, "{elements:?}");
            assert!(found.why.starts_with(&format!("/{name} has ")), "{found:?}");
        }
        assert_eq!(recognise(&[own], &host).generation, Generation::V3);
    }
}
