//! Shares, work directories and scratch directories in the layout.

use std::path::{Component, Path};

use super::error::Error;
use super::facts::Entry;
use super::layout::{Builder, RESERVED};
use super::ops::SandboxOp;
use crate::appliance::{ApplianceSpec, Scratch};

/// Trees of the kernel, in which nothing can be mounted for hooks.
const KERNEL: &[&str] = &["/proc", "/sys", "/dev", "/run/safedib/bin"];

/// A mount that the caller asked for.
enum Wanted<'a> {
    Share {
        path: &'a Path,
        source: &'a Path,
        writable: bool,
    },
    WorkDir {
        path: &'a Path,
        on_disk: Option<&'a Path>,
    },
    Scratch(&'a Scratch),
}

impl Wanted<'_> {
    fn path(&self) -> &Path {
        match self {
            Wanted::Share { path, .. } | Wanted::WorkDir { path, .. } => path,
            Wanted::Scratch(scratch) => &scratch.path,
        }
    }
}

impl Builder<'_> {
    /// Shares, work directories and scratch directories: parents before
    /// children, and what hides a share after the share.
    pub(super) fn user_mounts(&mut self, spec: &ApplianceSpec) -> Result<(), Error> {
        let mut wanted: Vec<Wanted> = Vec::new();
        wanted.extend(spec.shares.iter().map(|share| Wanted::Share {
            path: share.inside.as_deref().unwrap_or(&share.path),
            source: &share.path,
            writable: share.writable,
        }));
        wanted.extend(spec.work_dirs.iter().map(|dir| Wanted::WorkDir {
            path: &dir.path,
            on_disk: dir.on_disk.as_deref(),
        }));
        wanted.extend(spec.scratch.iter().map(Wanted::Scratch));
        for want in &wanted {
            check_path(want.path())?;
        }
        // The sort is stable: of two at the same path the later kind wins.
        wanted.sort_by_key(|want| want.path().components().count());
        for (index, want) in wanted.iter().enumerate() {
            self.user_mount(want, &wanted[..index])?;
        }
        Ok(())
    }

    fn user_mount(&mut self, want: &Wanted, before: &[Wanted]) -> Result<(), Error> {
        match want {
            Wanted::Share {
                path,
                source,
                writable,
            } => {
                let directory = self.is_directory(source);
                let number = self.stage_own(source, directory, *writable);
                self.push(SandboxOp::Attach {
                    number,
                    path: path.to_path_buf(),
                    directory,
                });
            }
            Wanted::WorkDir {
                path,
                on_disk: None,
            } => self.tmpfs(*path, 0o755),
            Wanted::WorkDir {
                path,
                on_disk: Some(source),
            } => {
                let number = self.stage_own(source, true, true);
                self.push(SandboxOp::Attach {
                    number,
                    path: path.to_path_buf(),
                    directory: true,
                });
            }
            Wanted::Scratch(scratch) => self.scratch(scratch, before)?,
        }
        Ok(())
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.facts.paths.get(path) == Some(&Entry::Directory)
    }

    fn scratch(&mut self, scratch: &Scratch, before: &[Wanted]) -> Result<(), Error> {
        let layers = self.next_layers();
        let upper = layers.join("upper");
        // The last one in order is what is really seen at that place.
        let below = before
            .iter()
            .rev()
            .find(|other| scratch.path.starts_with(other.path()));
        self.dir(&upper, 0o755);
        if let Some(Wanted::Share { path, source, .. }) = below {
            let host_path = match scratch.path.strip_prefix(path) {
                Ok(rest) if rest.as_os_str().is_empty() => source.to_path_buf(),
                Ok(rest) => source.join(rest),
                Err(_) => scratch.path.clone(),
            };
            if host_path != *source && !self.is_directory(&scratch.path) {
                return Err(Error::Share {
                    path: scratch.path.clone(),
                    why: "it lies in a shared directory but does not exist".to_owned(),
                });
            }
            let lower = self.stage_own(&host_path, true, false);
            self.push(SandboxOp::Overlay {
                lower,
                layers,
                path: scratch.path.clone(),
            });
        } else {
            self.push(SandboxOp::Bind {
                source: upper.clone(),
                path: scratch.path.clone(),
            });
        }
        self.push(SandboxOp::Bind {
            source: upper,
            path: scratch.collect_at.clone(),
        });
        Ok(())
    }
}

fn check_path(path: &Path) -> Result<(), Error> {
    let plain = path.is_absolute()
        && path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let why = if !plain {
        "it is not an absolute path without . and .."
    } else if RESERVED.iter().any(|reserved| path == Path::new(reserved))
        || KERNEL.iter().any(|tree| path.starts_with(tree))
    {
        "the sandbox has its own there"
    } else {
        return Ok(());
    };
    Err(Error::Share {
        path: path.to_owned(),
        why: why.to_owned(),
    })
}
