//! Shells at the caller's terminal: where a hook has failed, or where a build
//! stops because somebody wants to look.

use std::ffi::OsStr;
use std::path::Path;

use super::context::Context;
use super::error::Error;
use super::hooks::{self, IN_TARGET};
use super::paths;
use super::side;
use super::spawn::Invocation;
use crate::plan::{Location, Phase};

/// Sources the files of environment.d as `dib-run-parts` does, and becomes an
/// interactive shell, also if one of them ends it: so it has what hooks have.
const SHELL: &str = r#"
_shell_directory=$1 _shell_prompt=$2
shift 2
printf 'safedib: %s\n' "$@"
_shell_start() {
    trap - EXIT
    set +eu +o pipefail
    exec bash --rcfile <(printf 'PS1=%q\n' "$_shell_prompt") -i <&7 >&8 2>&8 7<&- 8>&-
}
_shell_find() {
    local path LC_ALL=C
    shopt -s nullglob dotglob
    for path in "$_shell_directory"/*; do
        if [ -f "$path" ] && [[ ${path##*/} =~ ^[0-9A-Za-z_\.-]+$ ]]; then
            _shell_found+=("$path")
        fi
    done
    shopt -u nullglob dotglob
}
_shell_found=()
_shell_find
exec 7<&0 8>&1 </dev/null >/dev/null 2>&1
trap _shell_start EXIT
set --
set -eu -o pipefail
for _shell_file in ${_shell_found[@]+"${_shell_found[@]}"}; do
    source "$_shell_file"
done
"#;

/// What a shell is for.
struct Shell<'a> {
    phase: Phase,
    location: Location,
    /// Whom the log names as having the terminal.
    title: String,
    /// What is told before the prompt.
    lines: Vec<String>,
    /// What in the target's environment names the command.
    command: &'a str,
}

/// Opens a shell where a hook of `phase` has `failed`, if the user has asked for
/// that. `again` runs it once more, if that is not the hook's own file.
///
/// # Errors
/// It cannot be started, or the driver is gone.
pub(crate) fn after_failure(
    context: &mut Context,
    phase: Phase,
    location: Location,
    failed: &Error,
    again: Option<&str>,
) -> Result<(), Error> {
    let Error::Hook { hook, status, .. } = failed else {
        return Ok(());
    };
    if !context.breaks.shell_on_failure || context.terminal.is_none() {
        return Ok(());
    }
    let directory = phase.directory();
    let (what, again) = match (hook, again) {
        (Some(hook), Some(again)) => (hook.clone(), again.to_owned()),
        (Some(hook), None) => {
            let file = hooks::seen_from(context, location)
                .join(&directory)
                .join(hook);
            (format!("hook {hook} of {directory}"), quoted(&file))
        }
        (None, _) => (
            format!("the environment of {directory}"),
            runner(context, phase, location),
        ),
    };
    let lines = vec![
        format!(
            "{what} has failed with status {status}; a shell {}, with its environment",
            name(location)
        ),
        format!("this runs it again: {again}"),
        "the build fails when the shell ends; what you leave in its working directory comes out"
            .to_owned(),
    ];
    let before = side::listings(&context.scratch)?;
    run(
        context,
        &Shell {
            phase,
            location,
            title: format!("where {what} has failed"),
            lines,
            command: &again,
        },
    )?;
    side::bring_new(context, &before)
}

/// Opens the shell with which a build ends.
///
/// # Errors
/// There is no terminal, it cannot be started, or the driver is gone.
pub(crate) fn open(
    context: &mut Context,
    phase: Phase,
    location: Location,
    before: bool,
) -> Result<(), Error> {
    let bound = match location {
        Location::InTarget => Some(hooks::bind(context)?),
        Location::Outside => None,
    };
    let when = if before { "before" } else { "after" };
    let directory = phase.directory();
    let mut lines = vec![
        format!(
            "a shell {}, {when} the hooks of {directory}",
            name(location)
        ),
        "everything goes when it ends, and nothing is built".to_owned(),
    ];
    if phase.location() == location {
        let again = if before { "" } else { " again" };
        let line = runner(context, phase, location);
        lines.insert(1, format!("this runs them{again}: {line}"));
    }
    run(
        context,
        &Shell {
            phase,
            location,
            title: format!("{when} {directory}"),
            lines,
            command: "bash",
        },
    )?;
    bound.map_or(Ok(()), |bound| hooks::unbind(&bound))
}

/// Runs something at the terminal, and says so in the log; its exit status.
///
/// # Errors
/// As [`Terminal::run`](super::terminal::Terminal::run).
pub(crate) fn at_terminal(
    context: &mut Context,
    title: &str,
    invocation: &Invocation,
) -> Result<i32, Error> {
    context.say(format!("safedib: a shell {title} has the terminal"))?;
    let Context { log, terminal, .. } = context;
    let Some(terminal) = terminal else {
        return Err(Error::NoTerminal);
    };
    let status = terminal.run(log, invocation)?;
    context.say(format!(
        "safedib: the shell {title} has ended with status {status}"
    ))?;
    Ok(status)
}

/// The line that runs the hooks of a phase, environment included.
pub(crate) fn runner(context: &Context, phase: Phase, location: Location) -> String {
    let directory = hooks::seen_from(context, location).join(phase.directory());
    let runner = match location {
        Location::Outside => Path::new(paths::LIB).join("dib-run-parts"),
        Location::InTarget => Path::new("/").join(IN_TARGET).join("dib-run-parts"),
    };
    format!("{} {}", quoted(&runner), quoted(&directory))
}

fn run(context: &mut Context, shell: &Shell) -> Result<i32, Error> {
    let target = context.target();
    let environment = match shell.location {
        Location::Outside => {
            let root = shell.phase.has_target_root().then_some(target.as_path());
            context.variables.outside(root)
        }
        Location::InTarget => {
            let command = OsStr::new(shell.command);
            context.variables.in_target(&target, command)
        }
    };
    let files = hooks::seen_from(context, shell.location).join("environment.d");
    let prompt = format!(
        "{} {}:\\w# ",
        shell.phase.directory(),
        short(shell.location)
    );
    let invocation = Invocation::new("bash", environment)
        .args(["-c", SHELL, "bash"])
        .args([files.into_os_string()])
        .args([prompt])
        .args(shell.lines.clone())
        .python_signals(context.python_signals);
    let invocation = match shell.location {
        Location::Outside => invocation.cwd(&context.cwd),
        Location::InTarget => invocation.root(target),
    };
    at_terminal(context, &shell.title, &invocation)
}

fn name(location: Location) -> &'static str {
    match location {
        Location::Outside => "outside the target",
        Location::InTarget => "in the target",
    }
}

fn short(location: Location) -> &'static str {
    match location {
        Location::Outside => "outside",
        Location::InTarget => "target",
    }
}

/// A path as a word of a shell.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
