//! The stages of a plan, one appliance after the other.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use crate::appliance::namespace::{self, AgentCommand};
use crate::appliance::{ApplianceSpec, Ending, Running, Trouble, WorkDir};
use crate::error::Syntax;
use crate::output;
use crate::plan::{ApplianceKind, Plan, PlannedOutput, Share, Stage, RAW_DISK};
use crate::protocol::{Failure, KeptLayer, Session, USR_CHANGES};
use crate::report::{appliance_name, BuildFailure, LogPlace, LogWriter, Timings};
use crate::request::{BuildRequest, Generation, OutputFormat};

use super::memory::Watch;
use super::session::{self, End};
use super::writeback::Writeback;
use super::{
    breaks, cleaned, downloads, drive, foreign::Foreign, machine, own_binary, own_directories,
    room, Error, Workspace, INSIDE,
};

/// Size of the medium for a disk whose size is not known before the tree is:
/// the file is sparse, and cut to the disk's size at the end.
pub(super) const MEDIUM_BYTES: u64 = 1 << 40;

/// A line for each stage: which appliance, and why.
pub(super) fn announcements(plan: &Plan) -> Vec<String> {
    let stages = plan.stages();
    let line = |stage: &Stage| {
        let name = appliance_name(stage.kind);
        let why = stage.why;
        match stages.len() {
            1 => format!("safedib: {name} appliance for every step: {why}"),
            _ => {
                let (first, last) = (stage.steps.start + 1, stage.steps.end);
                format!("safedib: {name} appliance for steps {first} to {last}: {why}")
            }
        }
    };
    stages.iter().map(line).collect()
}

/// Runs all stages.
///
/// # Errors
/// The first that fails; its appliance has ended.
pub(super) fn run(
    request: &BuildRequest,
    plan: &Plan,
    workspace: &mut Workspace,
    timings: &mut Timings,
    log: &mut LogWriter,
) -> Result<(), Error> {
    let mut writeback = Writeback::new(&workspace.staging, plan);
    for stage in plan.stages() {
        let starting = format!("start the {} appliance", appliance_name(stage.kind));
        log.session(Some(stage.steps.start), &starting);
        timings.record().begin_stage(stage.steps.start);
        let memory = Watch::begin();
        let running = start(request, plan, &stage, workspace, log)?;
        timings.record().note_stage(running.notes());
        for note in running.notes() {
            log.say(&format!("safedib: {note}"));
        }
        let session = session(request, plan, &stage, workspace);
        let layers = workspace.layers.as_ref();
        let mut on_layer = |kept: &KeptLayer, seconds: f64, log: &mut LogWriter| {
            if let Some((layers, new)) = layers {
                layers.take(new, kept, seconds, log);
            }
        };
        let end = session::run(
            &*running,
            session,
            log,
            timings,
            &mut on_layer,
            &mut |step| writeback.step(step),
        );
        let ending = running.end();
        timings.record().end_stage();
        if let Err(end) = end? {
            let ending = short_of_memory(&memory, ending);
            let place = log.place().clone();
            return Err(failure(
                request, plan, &stage, workspace, end, ending, place,
            ));
        }
    }
    Ok(())
}

fn start(
    request: &BuildRequest,
    plan: &Plan,
    stage: &Stage,
    workspace: &mut Workspace,
    log: &mut LogWriter,
) -> Result<Box<dyn Running>, Error> {
    let mut shares = plan.shares_of(stage.kind);
    shares.push(Share {
        path: workspace.staging.clone(),
        inside: Some(output_dir()),
        writable: true,
        only_in: None,
        why: "outputs".into(),
    });
    shares.extend(workspace.drive.as_deref().map(drive::share));
    if let (Some((layers, new)), true) = (&workspace.layers, is_first(stage)) {
        shares.extend(layers.shares(new));
    }
    let spec = ApplianceSpec {
        shares,
        scratch: own_directories(request).collect(),
        work_dirs: work_dirs(stage.kind, workspace).to_vec(),
        helper_drive: None,
        image_disk: match plan.needs_image_disk(stage) {
            true => Some(medium(&workspace.staging)?),
            false => None,
        },
        network: plan.network,
        metadata_service: plan.metadata_service,
        usr_changes_at: workspace.layers.is_some().then(|| USR_CHANGES.into()),
    };
    let agent = AgentCommand {
        binary: own_binary()?,
        arguments: vec![namespace::layout::OWN_BINARY.into(), "agent".into()],
        environment: plan.environment(request),
        home: request.home.clone(),
    };
    match stage.kind {
        ApplianceKind::Microvm => {
            machine::start(request, &spec, &agent, &mut workspace.janitor, log)
        }
        ApplianceKind::Namespace => Ok(namespace::start_watched(
            &spec,
            &agent,
            &mut workspace.janitor,
        )?),
    }
}

/// The medium of the image's disk: what a stage before has made, or an empty one.
/// Hooks may have put a link to something of the caller's in its place, which
/// qemu would open.
fn medium(staging: &Path) -> Result<PathBuf, Error> {
    let path = staging.join(RAW_DISK);
    let made = match path.symlink_metadata().is_ok() {
        true => {
            output::beneath::open_file(staging, RAW_DISK)?;
            Ok(())
        }
        false => OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|file| file.set_len(MEDIUM_BYTES)),
    };
    made.map_err(|source| Error::Host {
        what: format!("make the disk {}", path.display()),
        source,
    })?;
    Ok(path)
}

fn output_dir() -> PathBuf {
    Path::new(INSIDE).join("out")
}

fn work_dirs(kind: ApplianceKind, workspace: &Workspace) -> &[WorkDir; 2] {
    match (kind, &workspace.machine_dirs) {
        (ApplianceKind::Microvm, Some(directories)) => directories,
        _ => &workspace.work_dirs,
    }
}

fn session(request: &BuildRequest, plan: &Plan, stage: &Stage, workspace: &Workspace) -> Session {
    let [build, image] = work_dirs(stage.kind, workspace);
    let steps = &plan.steps[stage.steps.clone()];
    Session {
        environment: plan.environment(request),
        cwd: request.cwd.clone(),
        build_dir: build.path.clone(),
        image_dir: image.path.clone(),
        output_dir: output_dir(),
        lib_dir: Path::new(INSIDE).join("lib"),
        syntax: Syntax::spoken(),
        python: request.python.clone(),
        empty_tmpdir: request.generation.generation == Generation::V0,
        python_signals: request.generation.generation >= Generation::V2,
        breaks: request.breaks.clone(),
        terminal: breaks::terminal(request),
        rescue: rescue(request, plan),
        scratch: own_directories(request)
            .map(|scratch| scratch.collect_at)
            .collect(),
        own_cache: workspace.own_cache.clone(),
        layers: match (&workspace.layers, is_first(stage)) {
            (Some((layers, _)), true) => Some(layers.session(shared(request, plan, stage))),
            _ => None,
        },
        reproducible: plan.reproducible.clone(),
        steps: steps.iter().map(|planned| planned.step.clone()).collect(),
    }
}

/// Paths inside that are the host's, or of which the new content is kept apart.
fn shared(request: &BuildRequest, plan: &Plan, stage: &Stage) -> Vec<PathBuf> {
    let shares = plan.shares_of(stage.kind).into_iter();
    let shares = shares.map(|share| share.inside.unwrap_or(share.path));
    let scratch = own_directories(request).flat_map(|own| [own.path, own.collect_at]);
    shares.chain(scratch).collect()
}

/// Layers are those of the first appliance.
fn is_first(stage: &Stage) -> bool {
    stage.steps.start == 0
}

/// The raw disk that is kept of a failed build.
fn rescue(request: &BuildRequest, plan: &Plan) -> Option<String> {
    let raw = |output: &&PlannedOutput| output.format == OutputFormat::Raw;
    let output = plan.outputs.iter().find(raw)?;
    request.keep_on_failure.then(|| output.staged.clone())
}

/// An ending for which memory was lacking, where no appliance has said why.
fn short_of_memory(memory: &Watch, mut ending: Ending) -> Ending {
    let told = memory.explain().filter(|_| ending.trouble.is_none());
    if let Some((what, hint)) = told {
        ending.how = ending.how.map(|how| format!("{how}; {what}"));
        ending.trouble = Some(Trouble { what, hint });
    }
    ending
}

fn failure(
    request: &BuildRequest,
    plan: &Plan,
    stage: &Stage,
    workspace: &Workspace,
    end: End,
    ending: Ending,
    log: LogPlace,
) -> Error {
    let first = stage.steps.start;
    match end {
        End::Failed(failure) => {
            let failure = of_plan(failure, first, &workspace.staging);
            let trouble = ending.trouble.map(|trouble| (trouble.what, trouble.hint));
            let text = match &failure {
                Failure::Step { message, .. } => message.clone(),
                Failure::Hook { tail, .. } => tail.join("\n"),
            };
            let full = || room::explain(&text, request, workspace, stage.kind);
            let hook = matches!(failure, Failure::Hook { .. });
            let offline = || hook.then(|| downloads::explain(&text, request)).flatten();
            let foreign = || Foreign::of(request, plan)?.explain(&text);
            BuildFailure::new(failure, &plan.hooks, log)
                .because_of(trouble.or_else(full).or_else(foreign).or_else(offline))
                .otherwise(breaks::way_to_look(request))
                .into()
        }
        End::Died { step } => Error::ApplianceDied {
            during: plan
                .steps
                .get(first.saturating_add(step))
                .map(|planned| planned.step.to_string())
                .unwrap_or_default(),
            detail: ending
                .how
                .unwrap_or_else(|| "its channel was closed".into()),
            hint: match ending.trouble {
                Some(trouble) => trouble.hint,
                None => machine::hint_on_death(stage.kind),
            },
        },
        End::Signal { signal, step, hook } => {
            Error::interrupted(signal, cleaned::found(plan, stage, step, hook))
        }
    }
}

/// A failure with the step's index in the plan, and the paths of the host: an
/// agent counts its own steps, and sees the outputs elsewhere.
fn of_plan(failure: Failure, first: usize, staging: &Path) -> Failure {
    let inside = output_dir().display().to_string();
    let on_host = |text: String| text.replace(&inside, &staging.display().to_string());
    match failure {
        Failure::Step {
            index,
            message,
            hint,
            status,
        } => Failure::Step {
            index: first.saturating_add(index),
            message: on_host(message),
            hint: hint.map(on_host),
            status,
        },
        hook => hook,
    }
}
