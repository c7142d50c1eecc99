//! Running the hooks of a phase (upstream `run_d`, `eval_run_d` and
//! `run_d_in_target`).

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::breaks::{self, At};
use super::context::Context;
use super::error::Error;
use super::output::Log;
use super::spawn::{self, HookEvent, Invocation, Outcome};
use super::variables::TARGET_PATH;
use super::{device_hooks, devices, mounts, paths, shell};
use crate::plan::{DeviceLine, Location, Phase};
use crate::protocol::FromAgent;

/// Where the hooks tree is bound in the target, for as long as a phase runs.
pub(crate) const IN_TARGET: &str = "tmp/in_target.d";

/// Runs the hooks of a phase, with the breaks around them.
///
/// # Errors
/// [`Error::Hook`] with the status of the first hook that fails.
pub(crate) fn run_phase(context: &mut Context, phase: Phase) -> Result<(), Error> {
    let result = match phase.location() {
        Location::Outside => run_outside(context, phase, None),
        Location::InTarget => run_in_target_tree(context, phase),
    };
    // a device directory that hooks needed for chroot must not stay over the
    // target's own when the phase is over
    devices::release(context)?;
    result
}

/// Runs the hooks of block-device.d, with the breaks around them, and takes the
/// device that their output names.
///
/// # Errors
/// As [`run_phase`], and as [`device_hooks::take_line`].
pub(crate) fn run_device_hooks(context: &mut Context, line: DeviceLine) -> Result<(), Error> {
    let result = run_outside(context, Phase::BlockDevice, Some(line));
    devices::release(context)?;
    result
}

fn run_outside(context: &mut Context, phase: Phase, line: Option<DeviceLine>) -> Result<(), Error> {
    let runner = shell::runner(context, phase, Location::Outside);
    let again = |when: &str| format!("This runs its hooks{when}: {runner}");
    breaks::run(
        context,
        &format!("before-{}", phase.name()),
        At::BeforeOutside,
        &again(""),
    )?;
    let directory = context.hooks().join(phase.directory());
    if directory.is_dir() {
        context.say(format!("Running hooks from {}", directory.display()))?;
        let target = context.target();
        let target_root = phase.has_target_root().then_some(target.as_path());
        let environment = context.variables.outside(target_root);
        let invocation = Invocation::new(format!("{}/dib-run-parts", paths::LIB), environment)
            .args(done(context, phase)?)
            .args([&directory])
            .cwd(&context.cwd)
            .python_signals(context.python_signals);
        match line {
            Some(line) => run_capturing(context, phase, &invocation, line)?,
            None => {
                let ran = run_parts(context, phase, &invocation)?;
                if let Err(failed) = check(context, phase, ran) {
                    shell::after_failure(context, phase, Location::Outside, &failed, None)?;
                    return Err(failed);
                }
            }
        }
    }
    breaks::run(
        context,
        &format!("after-{}", phase.name()),
        At::AfterOutside,
        &again(" again"),
    )
}

/// Arguments that have dib-run-parts leave out the hooks which a layer has already.
/// Names of hooks are letters, digits, `-` and `_`.
fn done(context: &mut Context, phase: Phase) -> Result<Vec<String>, Error> {
    let done = match &mut context.layers {
        Some(layers) => layers.begin(phase)?,
        None => Vec::new(),
    };
    let arguments = done
        .into_iter()
        .flat_map(|name| ["--done".to_owned(), name]);
    Ok(arguments.collect())
}

/// Upstream runs these hooks in a pipeline, so that their status is lost and
/// becomes 1.
fn run_capturing(
    context: &mut Context,
    phase: Phase,
    invocation: &Invocation,
    line: DeviceLine,
) -> Result<(), Error> {
    let mut ran = run_parts(context, phase, &invocation.clone().capture())?;
    if ran.outcome.status != 0 {
        ran.outcome.status = 1;
        let Err(failed) = check(context, phase, ran) else {
            return Ok(());
        };
        let location = Location::Outside;
        let again = once_more(context, phase, location, &failed);
        breaks::run(context, "after-error", At::ErrorOutside, &again)?;
        look(context, phase, location, &failed)?;
        return Err(failed);
    }
    device_hooks::take_line(context, &ran.outcome.stdout, line)
}

fn run_in_target_tree(context: &mut Context, phase: Phase) -> Result<(), Error> {
    if !context.hooks().join(phase.directory()).is_dir() {
        return Ok(());
    }
    let bound = bind(context)?;
    let location = Location::InTarget;
    let runner = shell::runner(context, phase, location);
    let again = |when: &str| format!("This runs its hooks{when}: {runner}");

    let before = format!("before-{}", phase.name());
    breaks::run(context, &before, At::InTarget, &again(""))?;
    let done = done(context, phase)?.join(" ");
    let command = format!(
        "/{IN_TARGET}/dib-run-parts{}{done} /{IN_TARGET}/{}",
        if done.is_empty() { "" } else { " " },
        phase.directory()
    );
    let invocation = in_target(context, OsStr::new(&command));
    let ran = run_parts(context, phase, &invocation)?;
    if let Err(failed) = check(context, phase, ran) {
        let (at, from) = match context.breaks.outside_target {
            true => (At::ErrorOutside, Location::Outside),
            false => (At::ErrorInTarget, location),
        };
        let again = once_more(context, phase, from, &failed);
        breaks::run(context, "after-error", at, &again)?;
        look(context, phase, location, &failed)?;
        return Err(failed);
    }
    let after = format!("after-{}", phase.name());
    breaks::run(context, &after, At::InTarget, &again(" again"))?;
    unbind(&bound)
}

/// Shows the target the hooks tree, at [`IN_TARGET`], with what runs hooks there.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn bind(context: &mut Context) -> Result<PathBuf, Error> {
    let hooks = context.hooks();
    let bound = context.target().join(IN_TARGET);
    fs::create_dir(&bound).map_err(Error::io("create", &bound))?;
    let runner = hooks.join("dib-run-parts");
    let source = Path::new(paths::LIB).join("dib-run-parts");
    fs::copy(&source, &runner).map_err(Error::io("write", &runner))?;
    mounts::bind_read_only(&hooks, &bound).map_err(Error::io("bind the hooks to", &bound))?;
    Ok(bound)
}

/// Takes away what [`bind`] has shown.
///
/// # Errors
/// Whatever the filesystem gives.
pub(crate) fn unbind(bound: &Path) -> Result<(), Error> {
    mounts::detach(bound).map_err(Error::io("unmount", bound))?;
    remove_directory(bound)
}

/// The hooks tree as a process sees it, in the target while it is bound there.
pub(crate) fn seen_from(context: &Context, location: Location) -> PathBuf {
    match location {
        Location::Outside => context.hooks(),
        Location::InTarget => Path::new("/").join(IN_TARGET),
    }
}

/// Opens a shell where a hook has failed, unless the break before was one.
fn look(
    context: &mut Context,
    phase: Phase,
    location: Location,
    failed: &Error,
) -> Result<(), Error> {
    let listed = context.breaks.has("after-error");
    match listed && context.breaks.command.is_none() {
        true => Ok(()),
        false => shell::after_failure(context, phase, location, failed, None),
    }
}

/// What tells somebody outside, or in the target, how the failed hook of a phase
/// is run again, with the environment of hooks.
fn once_more(context: &Context, phase: Phase, from: Location, failed: &Error) -> String {
    let Error::Hook {
        hook: Some(hook), ..
    } = failed
    else {
        return String::new();
    };
    let only = format!("RUN_PARTS_REGEX='^{hook}$'");
    let runner = shell::runner(context, phase, phase.location());
    let line = match phase.location() == from {
        true => format!("{only} {runner}"),
        // What the target's environment is made of when a hook is run.
        false => {
            let target = shell::quoted(&context.target());
            let path = TARGET_PATH.trim_start_matches("$PATH:");
            format!("HOME=/root sudo -E chroot {target} env PATH={path} {only} {runner}")
        }
    };
    format!("This runs the hook again: {line}")
}

/// `sh -c COMMAND` in the target (upstream `run_in_target`).
fn in_target(context: &Context, command: &OsStr) -> Invocation {
    let target = context.target();
    let environment = context.variables.in_target(&target, command);
    Invocation::new("sh", environment)
        .args([OsStr::new("-c"), command])
        .root(target)
        .python_signals(context.python_signals)
}

/// Installs the packages of `-p`: `install-packages` is what the
/// package manager's element puts on the target's PATH.
///
/// # Errors
/// [`Error::Hook`] with its status.
pub(crate) fn install_packages(context: &mut Context, packages: &[String]) -> Result<(), Error> {
    if packages.is_empty() {
        return Ok(());
    }
    // joined by blanks and parsed again by the target's shell, as upstream does
    let command = format!("install-packages {}", packages.join(" "));
    let invocation = in_target(context, OsStr::new(&command));
    let outcome = spawn::run(&mut context.log, &invocation, |_, _| Ok(()))?;
    let ran = Ran {
        outcome,
        last: Some("install-packages".to_owned()),
        marker: None,
    };
    let phase = Phase::Install;
    let checked = check(context, phase, ran);
    if let Err(failed) = &checked {
        shell::after_failure(context, phase, Location::InTarget, failed, Some(&command))?;
    }
    checked
}

/// What dib-run-parts did.
struct Ran {
    outcome: Outcome,
    /// The hook that had started last, if the phase came that far.
    last: Option<String>,
    /// The line that it was announced with.
    marker: Option<String>,
}

fn run_parts(context: &mut Context, phase: Phase, invocation: &Invocation) -> Result<Ran, Error> {
    let mut last = None;
    let invocation = invocation.clone().reports().waits(context.layers.is_some());
    let Context { log, layers, .. } = context;
    let outcome = spawn::run(log, &invocation, |log, event| {
        if let HookEvent::Started(name) = &event {
            last = Some(name.clone());
        }
        report(log, phase, &event)?;
        match (layers.as_mut(), event) {
            (Some(layers), HookEvent::Finished { name, status, .. }) => {
                layers.ended(log, &name, status)
            }
            _ => Ok(()),
        }
    })?;
    let directory = seen_from(context, phase.location()).join(phase.directory());
    let marker = last
        .as_ref()
        .map(|name| format!("dib-run-parts Running {}/{name}", directory.display()));
    Ok(Ran {
        outcome,
        last,
        marker,
    })
}

fn report(log: &mut Log, phase: Phase, event: &HookEvent) -> Result<(), Error> {
    match event {
        HookEvent::Started(hook) => log.send(&FromAgent::HookStarted {
            phase,
            hook: hook.clone(),
        }),
        HookEvent::Finished {
            name,
            seconds,
            status: 0,
        } => log.send(&FromAgent::HookFinished {
            phase,
            hook: name.clone(),
            seconds: *seconds,
        }),
        HookEvent::Finished { .. } => Ok(()),
    }
}

fn check(context: &Context, phase: Phase, ran: Ran) -> Result<(), Error> {
    match ran.outcome.status {
        0 => Ok(()),
        status => Err(Error::Hook {
            phase,
            hook: ran.last,
            status,
            tail: context.log.tail(ran.marker.as_deref()),
        }),
    }
}

/// Removes a directory that a dying process may still hold for a moment;
/// upstream tries for ten seconds.
fn remove_directory(path: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match fs::remove_dir(path) {
            Err(error)
                if error.raw_os_error() == Some(Errno::EBUSY as i32)
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(100));
            }
            result => return result.map_err(Error::io("remove", path)),
        }
    }
}
