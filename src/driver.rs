//! A request becomes files: elements, plan, appliance, outputs and log meet here.

mod error;
mod host;
mod machine;
mod session;
mod workspace;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::appliance::namespace::{self, AgentCommand, Janitor};
use crate::appliance::{ApplianceSpec, Running, Scratch, WorkDir};
use crate::helpers;
use crate::output;
use crate::output::commit::{Commit, Staged};
use crate::plan::{Archive, Plan, PlanInputs, SessionPaths, Step};
use crate::protocol::Session;
use crate::report::{BuildFailure, LogPlace, LogWriter, Timings};
use crate::request::{BuildRequest, OutputFormat};

pub use error::Error;
use session::End;

/// Version of diskimage-builder whose behaviour this is.
pub const UPSTREAM_VERSION: &str = "3.43.0";

/// Our own place inside an appliance.
const INSIDE: &str = "/run/safedib";

/// Makes the plan of a request as a build would, with placeholders for names
/// that a build chooses at random.
///
/// # Errors
/// As [`Plan::new`].
pub fn plan(request: &BuildRequest) -> Result<Plan, Error> {
    plan_with_suffix(request, "XXXXXXXX")
}

fn plan_with_suffix(request: &BuildRequest, suffix: &str) -> Result<Plan, Error> {
    let inside = Path::new(INSIDE);
    let paths = SessionPaths {
        build_dir: request.tmp_dir.join(format!("dib_build.{suffix}")),
        image_dir: request.tmp_dir.join(format!("dib_image.{suffix}")),
        lib_dir: request.lib.clone().unwrap_or_else(|| inside.join("lib")),
        python: inside.join("bin/python3"),
        collect_from: scratch(request)[1].collect_at.clone(),
    };
    Ok(Plan::new(
        request,
        &PlanInputs {
            paths,
            ssh_keys: host::ssh_keys(&request.home),
            helper_variables: helper_variables(),
            exists: &|path| path.exists(),
        },
    )?)
}

/// What upstream's engine defines for the shell scripts that it starts.
fn helper_variables() -> BTreeMap<String, String> {
    let mut variables = helpers::exported_functions();
    variables.insert("PS4".into(), helpers::PS4.into());
    variables
}

/// Builds what a request asks for.
///
/// # Errors
/// Whatever fails; then no output of the request has been touched and nothing
/// of the build is left on the host.
pub fn build(request: &BuildRequest, log: &mut LogWriter) -> Result<(), Error> {
    log.say(&format!(
        "diskimage-builder version {UPSTREAM_VERSION} (safedib {})",
        env!("CARGO_PKG_VERSION")
    ));
    log.say(&format!(
        "Building elements: {}",
        request.elements.join(" ")
    ));
    for notice in &request.notices {
        log.say(notice);
    }
    let suffix = workspace::random_suffix()?;
    let plan = plan_with_suffix(request, &suffix)?;
    announce(request, &plan, log);
    if !machine::is_asked_for(request) {
        namespace::check(plan.network)?;
    }
    host::check_tools(&plan)?;
    machine::check_tools(request, &plan)?;
    let mut workspace = Workspace::create(request, &suffix, log)?;
    let finished = run_in_appliance(request, &plan, &mut workspace, log).and_then(|()| {
        import(&plan, &workspace, log)?;
        commit(request, &plan, &workspace, log)
    });
    let removed = workspace.janitor.finish();
    finished?;
    removed?;
    log.say("Build completed successfully");
    Ok(())
}

fn announce(request: &BuildRequest, plan: &Plan, log: &mut LogWriter) {
    let overrides = plan
        .overrides
        .iter()
        .filter(|(used, hidden)| used != hidden);
    for (used, hidden) in overrides {
        log.say(&format!(
            "WARNING diskimage_builder.element_dependencies [-] Element <{}> overrides <{}>",
            used.display(),
            hidden.display()
        ));
    }
    log.say(&format!(
        "Expanded element dependencies to: {}",
        plan.elements.names().join(" ")
    ));
    for notice in &plan.notices {
        log.say(&format!("WARNING safedib: {notice}"));
    }
    for message in &plan.storage_messages {
        log.say(message);
    }
    log.say(&machine::announcement(request));
}

/// Directories of a build on the host, and the janitor that removes them when
/// this process is killed.
struct Workspace {
    staging: PathBuf,
    work_dirs: [WorkDir; 2],
    janitor: Janitor,
}

impl Workspace {
    fn create(request: &BuildRequest, suffix: &str, log: &mut LogWriter) -> Result<Self, Error> {
        workspace::caller_dir("DIB_IMAGE_CACHE", &request.image_cache)?;
        workspace::caller_dir("DIB_LOCKFILES", &request.lockfiles)?;
        let (tmpfs, warning) = match machine::is_asked_for(request) {
            // The machine's scratch disk lies there.
            true => (false, None),
            false => workspace::use_tmpfs(request),
        };
        if let Some(warning) = warning {
            log.say(&warning);
        }
        let mut janitor = Janitor::start(&own_binary()?)?;
        let mut make = |path: &Path, failed: &dyn Fn(io::Error) -> Error| {
            janitor.add(path)?;
            workspace::private_dir(path).map_err(failed)
        };
        let staging = workspace::staging(request, suffix);
        make(&staging, &|source| Error::OutputDirectory {
            directory: request.image_path().directory,
            source,
        })?;
        let work_dirs = workspace::work_dirs(request, suffix, tmpfs);
        for directory in work_dirs.iter().filter_map(|dir| dir.on_disk.as_ref()) {
            make(directory, &|source| Error::Directory {
                what: "TMP_DIR",
                directory: request.tmp_dir.clone(),
                source,
            })?;
        }
        log.say(&format!("Building in {}", work_dirs[0].path.display()));
        Ok(Workspace {
            staging,
            work_dirs,
            janitor,
        })
    }
}

fn own_binary() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|source| Error::Host {
        what: "find our own binary".into(),
        source,
    })
}

/// What of the caller's directories hooks see as their own: the working
/// directory and the image's directory, empty, with a view of what is new.
fn scratch(request: &BuildRequest) -> [Scratch; 2] {
    let image = request.image_path();
    let own = |path: &Path, name: &str| Scratch {
        path: path.into(),
        collect_at: Path::new(INSIDE).join("scratch").join(name),
    };
    if image.directory == request.cwd {
        [own(&request.cwd, "cwd"), own(&request.cwd, "cwd")]
    } else {
        [own(&request.cwd, "cwd"), own(&image.directory, "image")]
    }
}

fn run_in_appliance(
    request: &BuildRequest,
    plan: &Plan,
    workspace: &mut Workspace,
    log: &mut LogWriter,
) -> Result<(), Error> {
    let output_dir = Path::new(INSIDE).join("out");
    let mut shares = plan.shares.clone();
    shares.push(crate::plan::Share {
        path: workspace.staging.clone(),
        inside: Some(output_dir.clone()),
        writable: true,
        why: "outputs".into(),
    });
    let mut scratch = scratch(request).to_vec();
    scratch.dedup();
    let spec = ApplianceSpec {
        shares,
        scratch,
        work_dirs: workspace.work_dirs.to_vec(),
        image_disk: None,
        network: plan.network,
        interactive: !request.breaks.names.is_empty(),
    };
    let environment: Vec<_> = request.environment.clone().into_iter().collect();
    let session = Session {
        environment: environment.clone(),
        cwd: request.cwd.clone(),
        build_dir: workspace.work_dirs[0].path.clone(),
        image_dir: workspace.work_dirs[1].path.clone(),
        output_dir,
        lib_dir: Path::new(INSIDE).join("lib"),
        breaks: request.breaks.clone(),
        steps: plan
            .steps
            .iter()
            .map(|planned| planned.step.clone())
            .collect(),
    };
    let agent = AgentCommand {
        binary: own_binary()?,
        arguments: vec![namespace::layout::OWN_BINARY.into(), "agent".into()],
        environment,
        home: request.home.clone(),
    };
    let running: Box<dyn Running> = match machine::is_asked_for(request) {
        true => machine::start(request, &spec, &agent, &mut workspace.janitor, log)?,
        false => namespace::start_watched(&spec, &agent, &mut workspace.janitor)?,
    };
    for note in running.notes() {
        log.say(&format!("safedib: {note}"));
    }
    let mut timings = Timings::default();
    let end = session::run(&*running, session, log, &mut timings);
    let how = running.end();
    match end? {
        Ok(()) => Ok(()),
        Err(end) => Err(failure(request, plan, end, how)),
    }
}

fn failure(request: &BuildRequest, plan: &Plan, end: End, how: Option<String>) -> Error {
    match end {
        End::Failed(failure) => {
            BuildFailure::new(failure, &plan.hooks, LogPlace::from(&request.log)).into()
        }
        End::Died { step } => Error::ApplianceDied {
            during: plan
                .steps
                .get(step)
                .map(|planned| planned.step.to_string())
                .unwrap_or_default(),
            detail: how.unwrap_or_else(|| "its channel was closed".into()),
            hint: machine::hint_on_death(request),
        },
        End::Signal(signal) => Error::Interrupted {
            name: signal.as_str(),
            number: signal as i32,
        },
    }
}

fn import(plan: &Plan, workspace: &Workspace, log: &mut LogWriter) -> Result<(), Error> {
    let packed = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::PackArchive {
            archive: Archive::Tar,
            output,
        } => Some(output),
        _ => None,
    });
    for output in &plan.outputs {
        if output.format == OutputFormat::Docker {
            let tar = workspace.staging.join(packed.unwrap_or(&output.staged));
            let id = output::docker::import(&tar, &output.shown)?;
            log.say(&format!("Imported {} as {id}", output.shown));
        }
    }
    Ok(())
}

fn commit(
    request: &BuildRequest,
    plan: &Plan,
    workspace: &Workspace,
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
    let commit = Commit {
        outputs,
        side: Some((
            workspace.staging.join("side"),
            request.image_path().directory,
        )),
        staging: workspace.staging.clone(),
        checksums: request.checksums,
        overwrite: request.overwrite_old_image,
    };
    Ok(commit.run(&mut |message| log.say(message))?)
}
