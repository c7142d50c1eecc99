//! From what is wanted and what the host is like to the list of operations;
//! nothing is touched here.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::facts::{Entry, HostFacts};
use super::ops::{SandboxOp, Staged};
use crate::appliance::ApplianceSpec;

/// Where our own files are inside.
pub const OWN_DIR: &str = "/run/safedib";
/// Our binary inside.
pub const OWN_BINARY: &str = "/run/safedib/bin/safedib";
/// Where upper layers are kept while the root is being made; unmounted at the
/// end, so that hooks do not find them.
const LAYERS: &str = "/.layers";
/// Paths that are made by the sandbox itself and cannot be shared.
pub(super) const RESERVED: &[&str] = &[
    "/", "/proc", "/sys", "/dev", OWN_DIR, "/usr", "/etc", "/run", "/var", "/tmp", "/bin", "/sbin",
    "/lib", "/lib64",
];
/// Devices of the host that hooks see.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
/// What `/var` holds: programs trip over a missing one.
const VAR: &[&str] = &[
    "backups",
    "cache",
    "cache/apt",
    "cache/ldconfig",
    "lib",
    "lib/apt/lists/partial",
    "lib/dpkg/info",
    "lib/dpkg/updates",
    "lib/misc",
    "lib/rpm",
    "local",
    "log",
    "mail",
    "opt",
    "spool",
];

/// The sandbox's set-up, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Executed with the host's tree in sight, before the hooks' namespaces exist.
    pub outer: Vec<SandboxOp>,
    /// Executed inside.
    pub inner: Vec<SandboxOp>,
}

/// Makes the list for `spec`.
///
/// # Errors
/// [`Error::Share`] for a path that cannot be shared.
pub fn build(spec: &ApplianceSpec, facts: &HostFacts) -> Result<Layout, Error> {
    let mut builder = Builder {
        facts,
        layout: Layout {
            outer: Vec::new(),
            inner: Vec::new(),
        },
        layers: 0,
        usr_upper: None,
    };
    builder.tmpfs(LAYERS, 0o755);
    builder.usr();
    builder.kernel_trees();
    builder.etc();
    builder.writable_trees();
    builder.user_mounts(spec)?;
    if let (Some(source), Some(path)) = (builder.usr_upper.take(), &spec.usr_changes_at) {
        builder.push(SandboxOp::Bind {
            source,
            path: path.clone(),
        });
    }
    builder.push(SandboxOp::Unmount {
        path: LAYERS.into(),
    });
    Ok(builder.layout)
}

pub(super) struct Builder<'a> {
    pub(super) facts: &'a HostFacts,
    pub(super) layout: Layout,
    layers: usize,
    /// The writable layer of `/usr`.
    usr_upper: Option<PathBuf>,
}

impl Builder<'_> {
    pub(super) fn push(&mut self, op: SandboxOp) {
        self.layout.inner.push(op);
    }

    pub(super) fn dir(&mut self, path: impl Into<PathBuf>, mode: u32) {
        self.push(SandboxOp::Dir {
            path: path.into(),
            mode,
        });
    }

    pub(super) fn tmpfs(&mut self, path: impl Into<PathBuf>, mode: u32) {
        self.push(SandboxOp::Tmpfs {
            path: path.into(),
            mode,
        });
    }

    fn link(&mut self, target: impl Into<PathBuf>, path: impl Into<PathBuf>) {
        self.push(SandboxOp::Symlink {
            target: target.into(),
            path: path.into(),
        });
    }

    fn file(&mut self, path: &str, content: String, mode: u32) {
        self.push(SandboxOp::WriteFile {
            path: path.into(),
            content,
            mode,
        });
    }

    /// Stages a path that belongs to the system: only what everybody may read
    /// is seen, whoever calls.
    fn stage_system(&mut self, source: &Path, directory: bool) -> Staged {
        self.stage(source, directory, false, false)
    }

    /// Stages a path of the caller's: root's own files are root's inside too.
    pub(super) fn stage_own(&mut self, source: &Path, directory: bool, writable: bool) -> Staged {
        self.stage(source, directory, writable, self.facts.root_caller)
    }

    fn stage(&mut self, source: &Path, directory: bool, writable: bool, idmapped: bool) -> Staged {
        let number = self.layout.outer.len();
        self.layout.outer.push(SandboxOp::Stage {
            source: source.to_owned(),
            number,
            directory,
            writable,
            idmapped,
        });
        number
    }

    fn attach_system(&mut self, path: &Path, directory: bool) {
        let number = self.stage_system(path, directory);
        self.push(SandboxOp::Attach {
            number,
            path: path.to_owned(),
            directory,
        });
    }

    pub(super) fn next_layers(&mut self) -> PathBuf {
        self.layers += 1;
        Path::new(LAYERS).join(self.layers.to_string())
    }

    /// `/usr`, written over, and what belongs to it. Directories of the upper
    /// layer are made first: the host's own belong to an id that does not exist
    /// inside, and then not even inner root may write to them.
    fn usr(&mut self) {
        let facts = self.facts;
        if facts.usr_has_mounts {
            // overlayfs refuses a lower directory with locked mounts below it.
            self.attach_system(Path::new("/usr"), true);
        } else {
            let layers = self.next_layers();
            for dir in &facts.usr_dirs {
                let inside = dir.strip_prefix("/usr").unwrap_or(dir);
                self.dir(layers.join("upper").join(inside), 0o755);
            }
            self.usr_upper = Some(layers.join("upper"));
            let lower = self.stage_system(Path::new("/usr"), true);
            self.push(SandboxOp::Overlay {
                lower,
                layers,
                path: "/usr".into(),
            });
        }
        for (path, entry) in &facts.top {
            match entry {
                Entry::Link(target) => self.link(target, path),
                Entry::Directory => self.attach_system(path, true),
                Entry::File => {}
            }
        }
    }

    fn kernel_trees(&mut self) {
        self.dir("/proc", 0o555);
        self.push(SandboxOp::Proc);
        self.dir("/sys", 0o555);
        self.push(SandboxOp::Sysfs);
        self.tmpfs("/dev", 0o755);
        for name in DEVICES {
            self.push(SandboxOp::DevNode {
                name: (*name).to_owned(),
            });
        }
        self.push(SandboxOp::Devpts);
        self.link("pts/ptmx", "/dev/ptmx");
        self.link("/proc/self/fd", "/dev/fd");
        for (number, name) in ["stdin", "stdout", "stderr"].iter().enumerate() {
            self.link(format!("/proc/self/fd/{number}"), format!("/dev/{name}"));
        }
        self.dir("/dev/shm", 0o1777);
    }

    fn etc(&mut self) {
        let facts = self.facts;
        self.dir("/etc", 0o755);
        for (path, entry) in &facts.etc {
            if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("/etc")) {
                self.dir(parent, 0o755);
            }
            match entry {
                Entry::Directory => self.attach_system(path, true),
                Entry::File => self.push(SandboxOp::CopyFile { path: path.clone() }),
                Entry::Link(target) => self.link(target, path),
            }
        }
        self.file("/etc/passwd", passwd(&facts.passwd, &facts.home), 0o644);
        self.file("/etc/group", facts.group.clone(), 0o644);
        let [hostname_mode, resolv_mode] = facts.copied_modes;
        self.file(
            "/etc/hostname",
            format!("{}\n", facts.hostname),
            hostname_mode,
        );
        self.file("/etc/hosts", hosts(&facts.hostname), 0o644);
        self.file("/etc/resolv.conf", facts.resolv_conf.clone(), resolv_mode);
        self.file("/etc/fstab", String::new(), 0o644);
        self.link("../proc/self/mounts", "/etc/mtab");
    }

    fn writable_trees(&mut self) {
        self.tmpfs("/tmp", 0o1777);
        self.tmpfs("/run", 0o755);
        self.dir("/run/lock", 0o1777);
        self.tmpfs(OWN_DIR, 0o755);
        let binary = self.facts.binary.clone();
        let number = self.stage_system(&binary, false);
        self.push(SandboxOp::Attach {
            number,
            path: OWN_BINARY.into(),
            directory: false,
        });
        self.tmpfs("/var", 0o755);
        for name in VAR {
            self.dir(Path::new("/var").join(name), 0o755);
        }
        self.dir("/var/tmp", 0o1777);
        self.file("/var/lib/dpkg/status", String::new(), 0o644);
        self.link("/run", "/var/run");
        self.link("/run/lock", "/var/lock");
        for path in ["/boot", "/home", "/media", "/mnt", "/opt", "/srv"] {
            self.dir(path, 0o755);
        }
        self.dir("/root", 0o700);
        let home = self.facts.home.clone();
        if home.is_absolute() && !RESERVED.iter().any(|path| home == Path::new(path)) {
            self.dir(home, 0o700);
        }
    }
}

/// The host's accounts, but with the caller's home as that of inner root.
pub(in crate::appliance) fn passwd(host: &str, home: &Path) -> String {
    let mut text = format!("root:x:0:0:root:{}:/bin/bash\n", home.display());
    for line in host.lines().filter(|line| !line.starts_with("root:")) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

pub(in crate::appliance) fn hosts(name: &str) -> String {
    format!("127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n::1\tlocalhost ip6-localhost ip6-loopback\n")
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
