//! From the staging directory to where outputs belong.

use std::io;
use std::path::{Path, PathBuf};

use crate::appliance::namespace::{Janitor, PutBack};
use crate::output;
use crate::output::commit::{Commit, Keeper, Side, Staged};
use crate::plan::{Archive, Plan, Step};
use crate::report::LogWriter;
use crate::request::{BuildRequest, Checksums, OutputFormat};

use super::{session, Error, Workspace, SIDE};

/// Hands what is imported elsewhere to the container engine.
///
/// # Errors
/// The engine's.
pub(super) fn import(
    plan: &Plan,
    workspace: &mut Workspace,
    log: &mut LogWriter,
) -> Result<(), Error> {
    let packed = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::PackArchive {
            archive: Archive::Tar,
            output,
        } => Some(output),
        _ => None,
    });
    for output in &plan.outputs {
        if output.format == OutputFormat::Docker {
            session::check_signals()?;
            let name = packed.unwrap_or(&output.staged);
            output::beneath::open_file(&workspace.staging, name)?;
            let tar = workspace.staging.join(name);
            log.doing(&format!("import {}", output.shown));
            let id = output::docker::import(&tar, &output.shown)?;
            workspace.imported.push(output.shown.clone());
            log.say(&format!("Imported {} as {id}", output.shown));
        }
    }
    Ok(())
}

/// Moves what there is of the outputs of a failed build to where they belong;
/// gives their names.
pub(super) fn keep(plan: &Plan, workspace: &Workspace, log: &mut LogWriter) -> Vec<String> {
    let mut kept = Vec::new();
    let mut tried = false;
    for output in &plan.outputs {
        let (from, Some(to)) = (workspace.staging.join(&output.staged), &output.path) else {
            continue;
        };
        let whole = output::beneath::open_file(&workspace.staging, &output.staged);
        if let Err(planted @ output::Error::Planted { .. }) = whole {
            log.say(&format!("Cannot keep {}: {planted}", output.shown));
            continue;
        }
        match std::fs::rename(&from, to) {
            Ok(()) => {
                log.say(&format!("Kept {} of the failed build", output.shown));
                kept.push(output.shown.clone());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => log.say(&format!("Cannot keep {}: {error}", output.shown)),
        }
        tried = true;
    }
    if !tried {
        log.say("No output had been begun when the build failed: there is none to keep");
    }
    kept
}

/// Moves all outputs to where they belong, or none.
///
/// # Errors
/// As [`Commit::run`].
pub(super) fn commit(
    request: &BuildRequest,
    plan: &Plan,
    workspace: &mut Workspace,
    log: &mut LogWriter,
) -> Result<(), Error> {
    let outputs = plan
        .outputs
        .iter()
        .filter_map(|output| {
            Some(Staged {
                file: output.staged.clone(),
                destination: output.path.clone()?,
                shown: output.shown.clone(),
            })
        })
        .collect();
    let side = workspace.staging.join(SIDE);
    let (written, absent): (Vec<_>, Vec<_>) = plan
        .hook_outputs
        .iter()
        .partition(|output| output::beneath::is_file(&side, &output.file));
    for output in absent {
        log.say(&format!(
            "WARNING safedib: no hook has written {}",
            output.shown
        ));
    }
    // In a directory of their own they are like any other file of hooks.
    let beside = written
        .into_iter()
        .filter(|_| request.side_directory.is_none());
    let from_hooks = beside.map(|output| Staged {
        file: format!("{SIDE}/{}", output.file),
        destination: output.path.clone(),
        shown: output.shown.clone(),
    });
    log.doing(match request.checksums == Checksums::default() {
        true => "put the outputs in place",
        false => "compute checksums, put the outputs in place",
    });
    let image = request.image_path();
    let commit = Commit {
        outputs,
        from_hooks: from_hooks.collect(),
        side: Some(Side {
            from: side,
            to: image.directory,
            image: image.base_name,
        }),
        staging: workspace.staging.clone(),
        checksums: request.checksums,
        overwrite: request.overwrite_old_image,
    };
    let mut keeper = JanitorKeeps {
        janitor: &mut workspace.janitor,
        ended: None,
    };
    let done = commit.run(&mut keeper, &mut |message| log.say(message));
    match keeper.ended {
        Some(error) if done.is_err() => Err(error),
        _ => Ok(done?),
    }
}

/// Files that a build has left, by the names that the user has given them.
pub(super) fn outputs(plan: &Plan) -> Vec<(String, PathBuf)> {
    let images = plan.outputs.iter();
    let images = images.filter_map(|output| Some((output.shown.clone(), output.path.clone()?)));
    let from_hooks = plan.hook_outputs.iter();
    let from_hooks = from_hooks.map(|output| (output.shown.clone(), output.path.clone()));
    images.chain(from_hooks).collect()
}

/// The janitor undoes renames if this process is killed among them.
struct JanitorKeeps<'a> {
    janitor: &'a mut Janitor,
    /// Why the build is to end.
    ended: Option<Error>,
}

impl Keeper for JanitorKeeps<'_> {
    fn put_back(&mut self, from: &Path, to: &Path, backup: bool) {
        self.janitor.put_back(PutBack {
            from: from.into(),
            to: to.into(),
            backup,
        });
    }

    fn settle(&mut self) {
        self.janitor.settle();
    }

    fn ended(&mut self) -> bool {
        self.ended = self.ended.take().or(session::check_signals().err());
        self.ended.is_some()
    }
}
