//! Debug breaks: `break`, `break_cmd` and `break_outside_target`.
//!
//! Upstream is inconsistent about `break_cmd`, and users rely on each case:
//! before a phase outside it is split into words, after one it is ignored, in
//! the target it is ignored too, and after an error it is shell code
//! (`check_break` in `lib/common-functions`, `run_d_in_target` in
//! `lib/img-functions`). A bash does the splitting and the evaluating. Where the
//! caller has a terminal, all of it happens there.

use super::context::Context;
use super::error::Error;
use super::shell;
use super::side;
use super::spawn;
use crate::protocol::FromAgent;

/// Runs before and after a command what upstream prints around it.
const CHECK_BREAK: &str = r#"
set -e
check_break() {
    printf '%s\n' "Starting debug shell. Exit to resume building." "At stage $1" >&2
    [ -z "$_again" ] || printf '%s\n' "$_again" >&2
    shift
    "$@"
    echo Resuming >&2
}
run_in_target() {
    HOME=/root sudo -E chroot "$TMP_MOUNT_PATH" env -u TMPDIR -u VIRTUAL_ENV \
        PATH='$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' sh -c "$*"
}
_point=$1 _command=$2 _again=${3-}
"#;

/// What a break runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Before a phase outside: `break_cmd` split into words, or bash.
    BeforeOutside,
    /// After a phase outside: bash.
    AfterOutside,
    /// Before and after a phase in the target: bash in the target.
    InTarget,
    /// A failed phase outside: `break_cmd` as shell code.
    ErrorOutside,
    /// A failed phase in the target: `break_cmd` as arguments of a command that
    /// runs in the target, what follows an operator as shell code outside.
    ErrorInTarget,
}

impl At {
    fn script(self) -> &'static str {
        match self {
            At::BeforeOutside => "check_break \"$_point\" $_command",
            At::AfterOutside => "check_break \"$_point\" bash",
            At::InTarget => "check_break \"$_point\" run_in_target bash",
            At::ErrorOutside => "eval \"check_break $_point $_command\"",
            At::ErrorInTarget => "eval \"check_break $_point run_in_target $_command\"",
        }
    }

    fn is_error(self) -> bool {
        matches!(self, At::ErrorOutside | At::ErrorInTarget)
    }
}

/// Runs the break at `point`, if the user asked for it. `again` is a line for
/// somebody at a terminal: what runs the hooks.
///
/// # Errors
/// The command fails: that ends the build, except after an error, which ends
/// it anyhow, with the status of the hook.
pub(crate) fn run(context: &mut Context, point: &str, at: At, again: &str) -> Result<(), Error> {
    if !context.breaks.has(point) {
        return Ok(());
    }
    let command = context.breaks.command.clone();
    // A failed build brings out nothing that hooks made; what the caller or the
    // caller's own command makes is what the caller asked to see.
    let asked = command.is_some() || context.terminal.is_some();
    let before = match at.is_error() && asked {
        true => Some(side::listings(&context.scratch)?),
        false => None,
    };
    let invocation = context
        .outside("bash")
        .args(["-c".to_owned(), format!("{CHECK_BREAK}{}", at.script())])
        .args(["bash", point])
        .args([command.unwrap_or_else(|| "bash".to_owned())]);
    let status = match context.terminal {
        Some(_) => {
            let invocation = invocation.args([again]);
            shell::at_terminal(context, &format!("at {point}"), &invocation)?
        }
        None => {
            context.log.send(&FromAgent::BreakStarted {
                point: point.to_owned(),
            })?;
            let outcome = spawn::run(&mut context.log, &invocation, |_, _| Ok(()))?;
            context.log.send(&FromAgent::BreakEnded)?;
            outcome.status
        }
    };
    if let Some(before) = before {
        side::bring_new(context, &before)?;
    }
    if status == 0 || at.is_error() {
        return Ok(());
    }
    Err(Error::Break {
        point: point.to_owned(),
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Breaks;

    #[test]
    fn points_are_matched_whole() {
        let breaks = |names: &str| Breaks {
            names: names.into(),
            ..Breaks::default()
        };
        for (names, listed) in [
            ("before-root", true),
            ("after-error,before-root", true),
            ("before-root,x", true),
            ("x\nbefore-root", true),
            ("", false),
            ("before-roots", false),
            ("not-before-root", false),
            ("before-root x", false),
            (" before-root", false),
        ] {
            assert_eq!(breaks(names).has("before-root"), listed, "{names:?}");
        }
    }

    #[test]
    fn the_command_is_words_before_and_code_after_an_error() {
        for (at, command, expected) in [
            (At::BeforeOutside, "echo $X | cat", "$X | cat\n"),
            (At::ErrorOutside, "echo $X || echo no", "here\n"),
            (At::ErrorOutside, "false || true", ""),
        ] {
            let output = std::process::Command::new("bash")
                .args(["-c", &format!("{CHECK_BREAK}{}", at.script())])
                .args(["bash", "after-error", command])
                .env("X", "here")
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(stderr.starts_with(
                "Starting debug shell. Exit to resume building.\nAt stage after-error\n"
            ));
        }
    }
}
