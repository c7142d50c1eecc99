//! The agent: executes the steps of a plan inside an appliance.
//!
//! It runs as root of the appliance, below a small init. The channel to the
//! driver is the stream socket whose descriptor `SAFEDIB_CHANNEL_FD` names. The
//! agent greets, receives one session, executes its steps in order and ends. It
//! ends at once when the driver is gone; what it leaves behind then goes with
//! the appliance.
//!
//! * `install` puts the helper scripts and the shims in place,
//! * `dispatch` says which function executes which step,
//! * `hooks` runs phases, `spawn` and `output` the processes of them,
//! * [`vm`] is pid 1 where the appliance is a virtual machine,
//! * [`shims`] are the programs that hooks find first on their PATH.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::error::tell;
use crate::plan::{self, Step};
use crate::protocol::{FromAgent, OwnCache, Session};

mod archives;
mod breaks;
mod channel;
mod clamp;
mod context;
mod device_hooks;
mod devices;
mod devnodes;
mod disks;
mod dispatch;
mod drive;
mod error;
mod finalise;
mod handoff;
mod hooks;
mod inside;
mod install;
mod inventory;
mod lane;
mod layers;
mod measure;
mod merge;
mod mirror;
mod mounts;
mod output;
mod pack;
pub mod paths;
mod resolv;
mod shell;
pub mod shims;
mod side;
mod spawn;
mod split;
mod stray;
mod target;
mod terminal;
mod variables;
pub mod vm;

use channel::Channel;
use context::Context;
use error::Error;
use lane::{Failed, Lane};
use layers::Keeper;
use output::Log;
use terminal::{Keyboard, Terminal};
use variables::Variables;

/// Runs an agent: to the end of its session, or of its driver.
///
/// The exit status is 0 when the driver has been told how the session ended.
pub fn main() -> ExitCode {
    let result = Channel::open().and_then(|(channel, sessions, keyboard)| {
        let session = sessions
            .recv()
            .map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, "no session came"))?;
        let (mut log, end) = serve(Log::new(channel)?, keyboard, session);
        log.flush().map_err(io::Error::other)?;
        log.into_channel().finish(&end)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell!("agent: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Executes a session; how it ended, for the driver.
fn serve(log: Log, keyboard: Keyboard, session: Session) -> (Log, FromAgent) {
    session.syntax.speak();
    let mut variables = Variables::new(session.environment);
    variables.set("TMP_BUILD_DIR", &session.build_dir);
    variables.set("TMP_IMAGE_DIR", &session.image_dir);
    variables.set("TMP_HOOKS_PATH", session.build_dir.join("hooks"));
    variables.set("_LIB", &session.lib_dir);
    if session.empty_tmpdir {
        variables.empty_tmpdir();
    }
    let layers = session.layers.map(|layers| {
        let (build, image) = (&session.build_dir, &session.image_dir);
        Keeper::new(layers, build, image, &session.scratch)
    });
    let mut context = Context {
        log,
        variables,
        cwd: session.cwd,
        python_signals: session.python_signals,
        build_dir: session.build_dir,
        image_dir: session.image_dir,
        output_dir: session.output_dir,
        breaks: session.breaks,
        terminal: session
            .terminal
            .map(|terminal| Terminal::new(keyboard, terminal)),
        scratch: session.scratch,
        size_kib: None,
        trees: BTreeMap::new(),
        devices: None,
        layers,
        reproducible: session.reproducible,
        step: 0,
        lane: Lane::default(),
    };
    let steps = session.steps;
    let (python, cache) = (session.python.as_deref(), session.own_cache.as_ref());
    let result = prepare(&mut context, python, cache).and_then(|()| {
        let mut steps = steps.iter().enumerate();
        steps.try_for_each(|(index, step)| execute(&mut context, index, step.clone()))?;
        settle(&mut context)
    });
    let end = match result {
        Ok(()) => FromAgent::Finished,
        Err(error) => {
            let failed = context.step;
            if let Some(output) = &session.rescue {
                // What is whole is kept, too; what is not has been told already.
                let _ = context.lane.settle();
                rescue(&mut context, &steps, failed, output);
            }
            FromAgent::Failed {
                failure: error.into_failure(failed),
            }
        }
    };
    (context.log, end)
}

/// Makes a disk of what there is; that this can fail, too, is only told.
fn rescue(context: &mut Context, steps: &[Step], failed: usize, output: &str) {
    let steps = plan::rescue(steps, failed, output);
    let done = steps
        .into_iter()
        .try_for_each(|step| dispatch::execute(context, step));
    if let Err(error) = done {
        // Nobody listens if this fails.
        let _ = context.say(format!("Cannot keep the disk of the failed build: {error}"));
    }
}

fn prepare(
    context: &mut Context,
    python: Option<&Path>,
    cache: Option<&OwnCache>,
) -> Result<(), Error> {
    install::install(python)?;
    cache.map_or(Ok(()), archives::announce)?;
    if devnodes::are_real() {
        return Ok(());
    }
    match devnodes::supervise() {
        Ok(()) => Ok(()),
        Err(error) => context.say(format!(
            "Only the mknod command can make device nodes here, tar and cp cannot: {error}"
        )),
    }
}

/// Waits for what runs beside the steps.
fn settle(context: &mut Context) -> Result<(), Error> {
    let settled = context.lane.settle();
    for done in context.lane.take_done() {
        context.log.send(&FromAgent::BesideFinished {
            index: done.step,
            seconds: done.took.as_secs_f64(),
            ago: done.ended.elapsed().as_secs_f64(),
        })?;
    }
    settled.map_err(|Failed { step, error }| {
        context.step = step;
        error.into()
    })
}

fn execute(context: &mut Context, index: usize, step: Step) -> Result<(), Error> {
    if context.lane.has_failed() || !Lane::allows(&step) {
        settle(context)?;
    }
    context.step = index;
    context.log.send(&FromAgent::StepStarted { index })?;
    let began = Instant::now();
    let runs_apt = matches!(step, Step::RunHooks { .. } | Step::InstallPackages { .. });
    let done = dispatch::execute(context, step);
    if runs_apt {
        // Without it the next build fetches packages again.
        if let Err(error) = archives::publish() {
            context.say(format!("WARNING safedib: {error}"))?;
        }
    }
    done?;
    let seconds = began.elapsed().as_secs_f64();
    context
        .log
        .send(&FromAgent::StepFinished { index, seconds })
}
