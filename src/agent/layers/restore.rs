//! Beginning with a layer that an earlier build has kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::state::Facts;
use super::{scratch_name, BUILD, FACTS, HOOKS, IMAGE, OUTSIDE, TREE};
use crate::agent::context::Context;
use crate::agent::error::Error;
use crate::agent::{handoff, paths};
use crate::protocol;

/// Brings the inside to the state that the layer has. The target is empty, the
/// hooks tree as it is when no hook has run; `scratch` are the shared directories as
/// hooks see them.
///
/// # Errors
/// The layer cannot be read, or something of it cannot be written.
pub(crate) fn restore(context: &mut Context, scratch: &[PathBuf]) -> Result<(), Error> {
    let layer = Path::new(protocol::LAYER_DIR);
    let path = layer.join(FACTS);
    let facts: Facts = fs::read(&path)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .map_err(Error::io("read", &path))?;
    if let Some(layers) = &mut context.layers {
        layers.look()?;
    }
    let target = context.target();
    let tree = handoff::whole_extraction(context, &layer.join(TREE), &target);
    context.run_tool(&tree)?;
    let (build, image, hooks) = (
        context.build_dir.clone(),
        context.image_dir.clone(),
        context.hooks(),
    );
    let mut parts = vec![
        (BUILD.to_owned(), build),
        (IMAGE.to_owned(), image),
        (HOOKS.to_owned(), hooks.clone()),
    ];
    let numbered = scratch.iter().enumerate();
    parts.extend(numbered.map(|(number, to)| (scratch_name(number), to.clone())));
    for (name, to) in parts {
        let archive = layer.join(name);
        if archive.exists() {
            fs::create_dir_all(&to).map_err(Error::io("create", &to))?;
            let over = handoff::extraction_over(context, &archive, &to)?;
            context.run_tool(&over)?;
        }
    }
    let outside = handoff::extraction_through(context, &layer.join(OUTSIDE), Path::new("/"));
    context.run_tool(&outside)?;
    for path in &facts.removed_hooks {
        remove(&hooks.join(path)).map_err(Error::io("remove", hooks.join(path)))?;
    }
    for bind in facts.binds {
        let mount = format!("{}/mount", paths::SHIMS);
        let again =
            context
                .outside(&mount)
                .args(["--bind".into(), bind.source, target.join(bind.target)]);
        context.run_tool(&again)?;
    }
    if let Some(layers) = &mut context.layers {
        layers.look()?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
