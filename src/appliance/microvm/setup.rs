//! From what is wanted to what pid 1 is told and which directories qemu shares;
//! nothing is touched here.

use std::path::{Path, PathBuf};

use super::{network, Error};
use crate::appliance::namespace::facts::{Entry, HostFacts};
use crate::appliance::namespace::layout;
use crate::appliance::namespace::AgentCommand;
use crate::appliance::ApplianceSpec;
use crate::protocol::machine::{MachineFile, MachineMount, MachineSetup, SCRATCH_DIR};

/// Trees that are the machine's own, in which nothing can be mounted for hooks.
const OWN_TREES: [&str; 5] = ["/proc", "/sys", "/dev", SCRATCH_DIR, "/run/safedib/bin"];
/// Paths that the machine makes itself, while those below may be shared.
const OWN: [&str; 13] = [
    "/",
    "/usr",
    "/etc",
    "/run",
    "/var",
    "/tmp",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/boot",
    "/root",
    "/run/safedib",
];

/// A directory of the host that qemu serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) tag: String,
    pub(super) path: PathBuf,
    pub(super) writable: bool,
}

/// Everything that follows from a spec.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) setup: MachineSetup,
    pub(super) exports: Vec<Export>,
    /// Shared files, by number: they travel on the scratch disk.
    pub(super) files: Vec<PathBuf>,
}

/// Makes the plan of a machine.
///
/// # Errors
/// [`Error::Share`] for a path that cannot be shared.
pub(super) fn plan(
    spec: &ApplianceSpec,
    agent: &AgentCommand,
    facts: &HostFacts,
) -> Result<Plan, Error> {
    let mut exports = Vec::new();
    let mut files = Vec::new();
    let mut mounts = Vec::new();
    for share in &spec.shares {
        let path = share.inside.as_ref().unwrap_or(&share.path).clone();
        check_path(&path)?;
        if facts.paths.get(&share.path) == Some(&Entry::Directory) {
            let tag = format!("share{}", exports.len());
            mounts.push(MachineMount::Shared {
                tag: tag.clone(),
                path,
                writable: share.writable,
            });
            exports.push(Export {
                tag,
                path: share.path.clone(),
                writable: share.writable,
            });
        } else if share.writable {
            return Err(Error::Share {
                path,
                why: "it is a file, and only directories can be shared for writing",
            });
        } else {
            mounts.push(MachineMount::File {
                number: files.len(),
                path,
            });
            files.push(share.path.clone());
        }
    }
    for directory in &spec.work_dirs {
        check_path(&directory.path)?;
        mounts.push(MachineMount::Empty {
            path: directory.path.clone(),
        });
    }
    let shared: Vec<PathBuf> = mounts.iter().map(|mount| mount.path().clone()).collect();
    for scratch in &spec.scratch {
        check_path(&scratch.path)?;
        mounts.push(MachineMount::Scratch {
            path: scratch.path.clone(),
            collect_at: scratch.collect_at.clone(),
            over_share: shared.iter().any(|path| scratch.path.starts_with(path)),
        });
    }
    // Parents before children; the sort is stable, so that of two at the same
    // path the later kind is seen.
    mounts.sort_by_key(|mount| mount.path().components().count());
    Ok(Plan {
        setup: MachineSetup {
            mounts,
            files: system_files(spec, facts),
            directories: directories(facts),
            hostname: facts.hostname.clone(),
            network: spec.network.then(network::setup),
            arguments: agent.arguments.clone(),
            environment: agent.environment.clone(),
        },
        exports,
        files,
    })
}

fn check_path(path: &Path) -> Result<(), Error> {
    let own = OWN.iter().any(|own| path == Path::new(own))
        || OWN_TREES.iter().any(|tree| path.starts_with(tree));
    let plain = path.is_absolute() && !path.components().any(|part| part.as_os_str() == "..");
    match (own, plain) {
        (true, _) => Err(Error::Share {
            path: path.to_owned(),
            why: "the machine has its own there",
        }),
        (_, false) => Err(Error::Share {
            path: path.to_owned(),
            why: "it is not an absolute path without ..",
        }),
        _ => Ok(()),
    }
}

/// The same accounts, names and modes as in the namespace appliance, because
/// hooks copy some of these files into their target.
fn system_files(spec: &ApplianceSpec, facts: &HostFacts) -> Vec<MachineFile> {
    let file = |path: &str, content: String, mode: u32| MachineFile {
        path: path.into(),
        content,
        mode,
    };
    let resolv_conf = match spec.network {
        true => network::resolv_conf(),
        false => String::new(),
    };
    let [hostname_mode, resolv_mode] = facts.copied_modes;
    vec![
        file(
            "/etc/passwd",
            layout::passwd(&facts.passwd, &facts.home),
            0o644,
        ),
        file("/etc/group", facts.group.clone(), 0o644),
        file(
            "/etc/hostname",
            format!("{}\n", facts.hostname),
            hostname_mode,
        ),
        file("/etc/hosts", layout::hosts(&facts.hostname), 0o644),
        file("/etc/resolv.conf", resolv_conf, resolv_mode),
        file("/etc/fstab", String::new(), 0o644),
    ]
}

fn directories(facts: &HostFacts) -> Vec<(PathBuf, u32)> {
    let mut directories = vec![(PathBuf::from("/root"), 0o700)];
    if facts.home.is_absolute() && !OWN.iter().any(|own| facts.home == Path::new(own)) {
        directories.push((facts.home.clone(), 0o700));
    }
    directories
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::{Scratch, Share, WorkDir};

    fn facts() -> HostFacts {
        HostFacts {
            root_caller: false,
            binary: "/opt/safedib".into(),
            home: "/home/u".into(),
            top: Default::default(),
            usr_dirs: Vec::new(),
            usr_has_mounts: false,
            etc: Default::default(),
            hostname: "host".into(),
            passwd: "root:x:0:0::/root:/bin/sh\n".into(),
            group: String::new(),
            resolv_conf: String::new(),
            copied_modes: [0o600, 0o640],
            paths: [
                (PathBuf::from("/srv/elements"), Entry::Directory),
                ("/srv/elements/out".into(), Entry::Directory),
                ("/home/u/.gitconfig".into(), Entry::File),
            ]
            .into(),
        }
    }

    fn share(path: &str, inside: Option<&str>, writable: bool) -> Share {
        Share {
            path: path.into(),
            inside: inside.map(PathBuf::from),
            only_in: None,
            writable,
            why: String::new(),
        }
    }

    fn planned(shares: Vec<Share>) -> Result<Plan, Error> {
        let spec = ApplianceSpec {
            shares,
            scratch: vec![Scratch {
                path: "/srv/elements/sub".into(),
                collect_at: "/run/safedib/scratch/cwd".into(),
            }],
            image_disk: None,
            helper_drive: None,
            work_dirs: vec![WorkDir {
                path: "/tmp/build".into(),
                on_disk: Some("/tmp/build".into()),
            }],
            network: false,
            metadata_service: false,
            usr_changes_at: None,
        };
        let agent = AgentCommand {
            binary: "/opt/safedib".into(),
            arguments: vec!["x".into()],
            environment: Vec::new(),
            home: "/home/u".into(),
        };
        plan(&spec, &agent, &facts())
    }

    #[test]
    fn directories_are_exported_and_files_are_copied() {
        let plan = planned(vec![
            share("/srv/elements/out", Some("/run/safedib/out"), true),
            share("/srv/elements", None, false),
            share("/home/u/.gitconfig", None, false),
        ])
        .unwrap();
        assert_eq!(plan.exports.len(), 2);
        assert!(plan.exports[0].writable && !plan.exports[1].writable);
        assert_eq!(plan.files, [PathBuf::from("/home/u/.gitconfig")]);
        let paths: Vec<_> = plan.setup.mounts.iter().map(MachineMount::path).collect();
        assert_eq!(
            paths,
            [
                Path::new("/srv/elements"),
                Path::new("/tmp/build"),
                Path::new("/run/safedib/out"),
                Path::new("/home/u/.gitconfig"),
                Path::new("/srv/elements/sub"),
            ]
        );
        assert!(matches!(
            plan.setup.mounts[4],
            MachineMount::Scratch {
                over_share: true,
                ..
            }
        ));
        let modes: Vec<u32> = plan.setup.files.iter().map(|file| file.mode).collect();
        assert_eq!(modes, [0o644, 0o644, 0o600, 0o644, 0o640, 0o644]);
    }

    #[test]
    fn what_cannot_be_shared_is_refused() {
        for refused in [
            share("/home/u/.gitconfig", None, true),
            share("/srv/elements", Some("/usr"), false),
            share("/srv/elements", Some("/proc/x"), false),
            share("/srv/elements", Some("/a/../b"), false),
        ] {
            assert!(
                matches!(planned(vec![refused.clone()]), Err(Error::Share { .. })),
                "{refused:?}"
            );
        }
    }
}
