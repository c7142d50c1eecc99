//! A request becomes files: elements, plan, appliance, outputs and log meet here.

mod breaks;
mod cleaned;
mod downloads;
mod drive;
mod early;
mod error;
mod exposed;
mod finish;
mod foreign;
mod host;
pub mod layers;
mod machine;
mod memory;
mod planning;
mod reports;
mod room;
mod session;
mod shell;
mod stages;
mod workspace;
mod writeback;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::appliance::namespace::{self, Janitor};
use crate::appliance::{microvm, probe_namespace, Scratch, WorkDir};
use crate::plan::{ApplianceKind, Plan};
use crate::protocol::OwnCache;
use crate::report::{LogWriter, Timings};
use crate::request::{ApplianceChoice, BuildRequest, Generation};

use cleaned::Cleaned;
use drive::Drive;
pub use drive::DriveError;
pub use error::Error;
use foreign::Foreign;
pub use host::command_dirs;
use layers::Layers;
pub use machine::{check_tools, options as machine_of};
use planning::plan_and_layers;
pub use planning::{plan, plan_for};
pub use reports::ReportError;
use reports::Reporter;
pub use workspace::use_tmpfs;

/// Version of diskimage-builder whose behaviour this is.
pub const UPSTREAM_VERSION: &str = "3.43.0";

/// Where the agent puts what hooks wrote beside the image, in the staging directory.
const SIDE: &str = "side";

/// Our own place inside an appliance.
const INSIDE: &str = "/run/safedib";

/// Builds what a request asks for.
///
/// # Errors
/// Whatever fails; then no output of the request has been touched and nothing
/// of the build is left on the host but the reports that were asked for. Only
/// [`ReportError::Unwritten`] comes after outputs were put in place.
pub fn build(request: &BuildRequest, log: &mut LogWriter) -> Result<(), Error> {
    let works = || microvm::check(&machine_of(request), !request.no_network).is_ok();
    let mut reporter = Reporter::new(request, log)?;
    let built = build_it(request, &mut reporter, log).map_err(|error| error.or_machine(works));
    let reported = reporter.finish(built.as_ref().err(), log);
    let outputs = built?;
    reported?;
    match request.shell {
        None => log.say("Build completed successfully"),
        Some(_) => log.say("safedib: the shell has ended; nothing was built"),
    }
    log.summarise(&outputs);
    Ok(())
}

/// The files that were made, by the names that the user has given them.
fn build_it(
    request: &BuildRequest,
    reporter: &mut Reporter,
    log: &mut LogWriter,
) -> Result<Vec<(String, PathBuf)>, Error> {
    early::tell_of_signals();
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
    let probe = machine::Kvm::Probe;
    let abilities = machine::abilities(request, probe, &mut |line| log.say(line))?;
    let (plan, layers) = plan_and_layers(request, &abilities, &suffix)?;
    reporter.planned(&plan, layers.as_ref());
    announce(request, &plan, log);
    if request.log.verbose {
        log.tell(plan.to_string().trim_end());
    }
    if plan.uses(ApplianceKind::Namespace) {
        match request.appliance {
            // Whether it works was not asked for the choice.
            ApplianceChoice::Namespace => probe_namespace(&own_binary()?, plan.network)?,
            _ => namespace::check(plan.network)?,
        }
    }
    machine::check_tools(request, &plan)?;
    exposed::refuse(request, &plan)?;
    if let Some(foreign) = Foreign::of(request, &plan) {
        foreign.refuse(&plan)?;
        log.say(&format!("WARNING safedib: {}", foreign.warning()));
    }
    breaks::refuse(request, &plan)?;
    room::check_file_limit(&plan)?;
    room::check_temporary(request)?;
    log.check()?;
    log.begin(&plan, &request.arch);
    build_planned(request, &plan, &suffix, layers, reporter.timings(), log)?;
    Ok(match request.shell {
        None => finish::outputs(&plan),
        Some(_) => Vec::new(),
    })
}

/// Makes the outputs of a plan, and clears up.
fn build_planned(
    request: &BuildRequest,
    plan: &Plan,
    suffix: &str,
    layers: Option<Layers>,
    timings: &mut Timings,
    log: &mut LogWriter,
) -> Result<(), Error> {
    let drive = request.helper_drive.as_ref();
    let drive = drive.map(|drive| Drive::open(request, drive)).transpose()?;
    let mut workspace = Workspace::create(request, plan, suffix, layers, log)?;
    let finished = match &drive {
        Some(drive) => run_with(drive, request, plan, &mut workspace, timings, log),
        None => stages::run(request, plan, &mut workspace, timings, log),
    };
    let finished = finished.and_then(|()| {
        log.check()?;
        if request.shell.is_some() {
            return Ok(());
        }
        finish::import(plan, &mut workspace, log)?;
        let began = Instant::now();
        let committed = finish::commit(request, plan, &mut workspace, log);
        timings.record().own("checksums and renames", began);
        committed
    });
    tell_no_journal(request, workspace.janitor.lost_journal(), log);
    let kept = match finished.is_err() && request.keep_on_failure {
        true => finish::keep(plan, &workspace, log),
        false => Vec::new(),
    };
    if finished.is_err() {
        breaks::bring(own_directories(request), &workspace.staging, log);
    }
    let cleaned = Cleaned::before(&workspace, kept);
    let removed = workspace.janitor.finish();
    if let Some((layers, _)) = workspace.layers {
        layers.finish(log);
    }
    if let Err(error) = finished {
        // A failed hook's message tells it itself.
        if !matches!(error, Error::Failed(_)) {
            log.tell_place();
        }
        return Err(cleaned.tell(error, plan, &removed));
    }
    Ok(removed?)
}

/// Runs the stages with the content of a drive, which is brought back however
/// they end; but for a signal, after which nobody wants to wait.
fn run_with(
    drive: &Drive,
    request: &BuildRequest,
    plan: &Plan,
    workspace: &mut Workspace,
    timings: &mut Timings,
    log: &mut LogWriter,
) -> Result<(), Error> {
    let began = Instant::now();
    drive.read(request, workspace, log)?;
    timings.record().own("reading the helper drive", began);
    match stages::run(request, plan, workspace, timings, log) {
        Ok(()) => drive.write(request, workspace, log),
        Err(error @ Error::Interrupted { .. }) => Err(error),
        Err(error) => {
            log.record_in_copy(&error.to_string());
            if let Err(unwritten) = drive.write(request, workspace, log) {
                log.say(&format!("WARNING safedib: {unwritten}"));
            }
            Err(error)
        }
    }
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
    if plan.generation.generation != Generation::V3 {
        let told = &plan.generation;
        log.say(&format!(
            "Elements are given the engine of generation {}: {}",
            told.generation, told.why
        ));
    }
    log.say(&format!(
        "Expanded element dependencies to: {}",
        plan.elements.names().join(" ")
    ));
    for warning in downloads::warnings(request) {
        log.say(&format!("WARNING safedib: {warning}"));
    }
    for notice in &plan.notices {
        log.say(&format!("WARNING safedib: {notice}"));
    }
    for warning in &plan.warnings {
        log.say(&format!("WARNING safedib: {warning}"));
    }
    for message in &plan.messages {
        log.say(message);
    }
    if !plan.withheld.is_empty() {
        let names: Vec<&str> = plan.withheld.iter().map(String::as_str).collect();
        log.say(&format!(
            "safedib: not giving hooks {}: these names say credential, and no hook mentions them \
             (--envvar NAME gives one)",
            names.join(", ")
        ));
    }
    for line in stages::announcements(plan) {
        log.say(&line);
    }
}

/// Directories of a build on the host, and the janitor that removes them when
/// this process is killed.
struct Workspace {
    staging: PathBuf,
    work_dirs: [WorkDir; 2],
    /// The same directories where a machine has them, on its scratch disk.
    machine_dirs: Option<[WorkDir; 2]>,
    /// The copy of the helper drive.
    drive: Option<PathBuf>,
    own_cache: Option<OwnCache>,
    /// Layers, and the directory for new ones.
    layers: Option<(Layers, PathBuf)>,
    /// What a container engine has got already.
    imported: Vec<String>,
    janitor: Janitor,
}

impl Workspace {
    fn create(
        request: &BuildRequest,
        plan: &Plan,
        suffix: &str,
        layers: Option<Layers>,
        log: &mut LogWriter,
    ) -> Result<Self, Error> {
        layers.as_ref().map_or(Ok(()), Layers::create)?;
        let cache = match &request.helper_drive {
            Some(drive) => drive.extra_data_cache.as_ref(),
            None => Some(&request.image_cache),
        };
        if let Some(cache) = cache {
            workspace::caller_dir(error::IMAGE_CACHE, cache, log)?;
        }
        workspace::caller_dir("DIB_LOCKFILES", &request.lockfiles, log)?;
        let (tmpfs, warning) = match plan.uses(ApplianceKind::Namespace) {
            true => workspace::use_tmpfs(request),
            // A machine's scratch disk takes nothing that is not used.
            false => (true, None),
        };
        if let Some(warning) = warning {
            log.say(&warning);
        }
        let journals = journals(request);
        namespace::recover(&journals, &mut |line| log.say(line));
        let (mut janitor, trouble) = Janitor::of_build(&own_binary()?, &journals, suffix)?;
        let mut make = |path: &Path, failed: &dyn Fn(io::Error) -> Error| {
            janitor.add(path);
            let room = path.parent().map_or(Ok(()), room::check_directory);
            let made = room.and_then(|()| workspace::private_dir(path));
            made.map_err(|error| {
                // There is nothing, or it is somebody else's.
                janitor.forget(path);
                failed(error)
            })
        };
        let staging = workspace::staging(request, suffix);
        make(&staging, &|source| Error::OutputDirectory {
            directory: request.image_path().directory,
            source,
        })?;
        let work_dirs = workspace::work_dirs(request, suffix, tmpfs);
        let drive = request.helper_drive.as_ref();
        let drive = drive.map(|_| Drive::directory(request, suffix));
        let machine_dirs = (plan.uses(ApplianceKind::Microvm) || drive.is_some())
            .then(|| workspace::machine_dirs(request, suffix));
        let all = work_dirs.iter().chain(machine_dirs.iter().flatten());
        let all = all.filter_map(|dir| dir.on_disk.as_ref()).chain(&drive);
        for directory in all {
            make(directory, &|source| Error::Directory {
                what: error::TMP_DIR,
                directory: request.tmp_dir.clone(),
                source,
            })?;
        }
        let layers = layers.map(|layers| {
            let new = layers.new_directory(suffix);
            (layers, new)
        });
        if let Some((_, new)) = &layers {
            make(new, &|source| Error::Directory {
                what: error::LAYERS,
                directory: new.clone(),
                source,
            })?;
        }
        let own_cache = workspace::own_cache(request, suffix);
        if let Some(cache) = &own_cache {
            janitor.add(&cache.own);
        }
        tell_no_journal(request, trouble.or(janitor.lost_journal()), log);
        log.say(&format!("Building in {}", work_dirs[0].path.display()));
        Ok(Workspace {
            staging,
            work_dirs,
            machine_dirs,
            drive,
            own_cache,
            layers,
            imported: Vec::new(),
            janitor,
        })
    }
}

/// Those of [`scratch`], each once.
fn own_directories(request: &BuildRequest) -> impl Iterator<Item = Scratch> {
    let mut all = scratch(request).to_vec();
    all.dedup();
    all.into_iter()
}

/// Where builds write down what there is to clear.
fn journals(request: &BuildRequest) -> PathBuf {
    machine_of(request).cache.join("builds")
}

fn tell_no_journal(request: &BuildRequest, why: Option<io::Error>, log: &mut LogWriter) {
    if let Some(error) = why {
        log.say(&format!(
            "WARNING safedib: cannot write to {} ({error}): should this build be killed \
             together with its janitor, no later one will clear what they leave",
            journals(request).display()
        ));
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
