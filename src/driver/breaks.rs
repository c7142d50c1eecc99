//! Debug breaks and shells: the terminal that they get, and what they leave for
//! the caller.

use std::fs;
use std::io;
use std::path::Path;

use crate::appliance::Scratch;
use crate::error::Syntax;
use crate::output::beneath::is_directory;
use crate::plan::{ApplianceKind, Location, Phase, Plan, PlannedStep, Step};
use crate::protocol::{self, BREAK_DIR};
use crate::report::LogWriter;
use crate::request::{Breaks, BuildRequest};
use crate::tty;

use super::Error;

/// The terminal that shells of a build get; `None` if none is wanted, or none is there.
pub(super) fn terminal(request: &BuildRequest) -> Option<protocol::Terminal> {
    let Breaks {
        names,
        shell_on_failure,
        ..
    } = &request.breaks;
    if names.is_empty() && !shell_on_failure && request.shell.is_none() {
        return None;
    }
    Some(protocol::Terminal {
        size: tty::Terminal::of_caller()?.size(),
        name: std::env::var_os("TERM"),
    })
}

/// What to do about any failed hook; `None` where the command has no such option, or
/// has it already.
pub(super) fn way_to_look(request: &BuildRequest) -> Option<String> {
    let has_it = Syntax::spoken() == Syntax::DiskImageCreate && !request.breaks.shell_on_failure;
    has_it.then(|| {
        "--shell-on-failure, at a terminal, opens a shell where it failed, and tells the line that \
         runs it again"
            .to_owned()
    })
}

/// Refuses a build that asks for a shell where nobody could be asked. A break in the
/// namespace appliance is no such case: there it reads standard input, as upstream's do.
///
/// # Errors
/// [`Error::NoTerminal`].
pub(super) fn refuse(request: &BuildRequest, plan: &Plan) -> Result<(), Error> {
    let breaks = &request.breaks;
    let what = if request.shell.is_some() {
        "a shell"
    } else if breaks.shell_on_failure {
        "--shell-on-failure"
    } else if breaks.need_terminal()
        && plan
            .steps
            .iter()
            .any(|step| breaks_in_machine(breaks, step))
    {
        "a debug break in the microvm appliance"
    } else {
        return Ok(());
    };
    match tty::Terminal::of_caller() {
        Some(_) => Ok(()),
        None => Err(Error::NoTerminal { what }),
    }
}

fn breaks_in_machine(breaks: &Breaks, planned: &PlannedStep) -> bool {
    if planned.appliance != ApplianceKind::Microvm {
        return false;
    }
    let phase = match planned.step {
        Step::RunHooks { phase } => phase,
        Step::RunDeviceHooks { .. } => Phase::BlockDevice,
        _ => return false,
    };
    let mut points = vec![
        format!("before-{}", phase.name()),
        format!("after-{}", phase.name()),
    ];
    if phase.location() == Location::InTarget || phase == Phase::BlockDevice {
        points.push("after-error".to_owned());
    }
    points.iter().any(|point| breaks.has(point))
}

/// Brings what a debug command or shell has made in the caller's directories there,
/// from below `staging`; it replaces nothing.
pub(super) fn bring(
    directories: impl Iterator<Item = Scratch>,
    staging: &Path,
    log: &mut LogWriter,
) {
    let places = staging.join(BREAK_DIR);
    // Without such a break neither is there; hooks could put links there.
    let is_own = |place: &Path| is_directory(place).unwrap_or(false);
    if !is_own(&places) {
        return;
    }
    for (number, directory) in directories.enumerate() {
        let place = places.join(number.to_string());
        if !is_own(&place) {
            continue;
        }
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let to = directory.path.join(entry.file_name());
            let moved = match to.symlink_metadata() {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => fs::rename(entry.path(), &to),
            };
            log.say(&match moved {
                Ok(()) => format!("The debug command has left {}", to.display()),
                Err(error) => format!(
                    "Cannot bring out {} of the debug command: {error}",
                    to.display()
                ),
            });
        }
    }
}
