//! Writing a layer.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::state::{self, Before, Facts};
use super::{Places, BUILD, FACTS, HOOKS, IMAGE, NOT_OF_BUILD, OUTSIDE, TREE};
use crate::agent::hooks::IN_TARGET;
use crate::agent::{mounts, pack, paths, stray};
use crate::error;
use crate::output::archive;
use crate::plan::Phase;

/// Why there is no layer.
pub(super) enum Reason {
    /// A process of a hook still runs.
    Running(String),
    /// A hook has mounted something that a later build could not mount again.
    Mounted(std::path::PathBuf),
    Failed(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Running(name) => write!(f, "{name} still runs"),
            Reason::Mounted(path) => write!(f, "a hook has mounted {}", path.display()),
            Reason::Failed(why) => f.write_str(why),
        }
    }
}

impl<E: std::error::Error> From<E> for Reason {
    fn from(error: E) -> Self {
        Reason::Failed(error::reason(&error))
    }
}

/// Writes a layer to a new directory; after an error there is none.
pub(super) fn keep(
    places: &Places,
    before: &Before,
    phase: Phase,
    directory: &Path,
) -> Result<(), Reason> {
    if let Some(name) = stray::orphan() {
        return Err(Reason::Running(name));
    }
    let binds = state::binds(&places.target(), phase)?;
    let binds = binds.map_err(Reason::Mounted)?;
    remove(directory)?;
    fs::DirBuilder::new().mode(0o700).create(directory)?;
    let written = write(places, before, binds, directory);
    if written.is_err() {
        // What there is of it is not announced, and goes with the build.
        let _ = remove(directory);
    }
    written
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn write(
    places: &Places,
    before: &Before,
    binds: Vec<state::Bind>,
    directory: &Path,
) -> Result<(), Reason> {
    let nodes = pack::nodes()?;
    let whole = |tree: &Path, name: &str, except: &[&str]| -> Result<(), Reason> {
        alone(tree, |view| {
            Ok(archive::pack_whole(
                view,
                &directory.join(name),
                except,
                &nodes,
            )?)
        })
    };
    whole(&places.target(), TREE, &[IN_TARGET])?;
    whole(&places.build, BUILD, &NOT_OF_BUILD)?;
    whole(&places.image, IMAGE, &[])?;
    for (number, scratch) in places.scratch.iter().enumerate() {
        if scratch.is_dir() {
            whole(scratch, &super::scratch_name(number), &[])?;
        }
    }
    let (changed, removed) = before.hooks_changed(&places.hooks())?;
    archive::pack_files(&places.hooks(), &directory.join(HOOKS), &changed, &nodes)?;
    let outside = before.outside_changed(&places.not_outside)?;
    archive::pack_files(Path::new("/"), &directory.join(OUTSIDE), &outside, &nodes)?;
    let facts = Facts {
        removed_hooks: removed,
        binds,
    };
    let text = serde_json::to_vec(&facts)?;
    Ok(fs::write(directory.join(FACTS), text)?)
}

/// Shows a directory to `act` without what is mounted below it.
fn alone<T>(directory: &Path, act: impl FnOnce(&Path) -> Result<T, Reason>) -> Result<T, Reason> {
    let view = Path::new(paths::LAYER_VIEW);
    fs::create_dir_all(view)?;
    mounts::bind(directory, view)?;
    let done = act(view);
    mounts::detach(view)?;
    done
}
