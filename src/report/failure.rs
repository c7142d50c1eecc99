//! A failed build as the user reads it.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::elements::{Hook, Location, Phase};
use crate::error::{Explain, Setting};
use crate::protocol::Failure;
use crate::request::LogOptions;

/// Where the whole log of a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPlace {
    /// It went to standard output.
    Stdout,
    /// It is in this file.
    File(PathBuf),
    /// It is in this file as far as that could be written, then on standard output.
    Split(Box<Path>),
    /// The user asked for none.
    Nowhere,
}

impl From<&LogOptions> for LogPlace {
    fn from(options: &LogOptions) -> Self {
        match &options.file {
            Some(path) => LogPlace::File(path.clone()),
            None if options.quiet => LogPlace::Nowhere,
            None => LogPlace::Stdout,
        }
    }
}

/// An agent's [`Failure`], with what only the driver knows.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildFailure {
    failure: Failure,
    element: Option<String>,
    log: LogPlace,
    /// What, and a hint.
    trouble: Option<Box<(String, String)>>,
    /// The hint for a hook of which nothing else is known.
    otherwise: Option<String>,
}

impl BuildFailure {
    /// Finds the element of a failed hook among `hooks`, the hooks of the build.
    pub fn new(failure: Failure, hooks: &[Hook], log: LogPlace) -> BuildFailure {
        let element = match &failure {
            Failure::Hook { phase, hook, .. } => hooks
                .iter()
                .find(|known| known.phase == *phase && Some(&known.name) == hook.as_ref())
                .map(|known| known.element.clone()),
            Failure::Step { .. } => None,
        };
        BuildFailure {
            failure,
            element,
            log,
            trouble: None,
            otherwise: None,
        }
    }

    /// The phase whose hook failed, if it was a hook.
    pub fn phase(&self) -> Option<Phase> {
        match &self.failure {
            Failure::Hook { phase, .. } => Some(*phase),
            Failure::Step { .. } => None,
        }
    }

    /// What the agent told.
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The element of the hook that failed, if one has it as a file.
    pub fn element(&self) -> Option<&str> {
        self.element.as_deref()
    }

    /// What went wrong in the appliance itself.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref().map(|(what, _)| what.as_str())
    }

    /// Adds what went wrong in the appliance itself, and what to change.
    pub fn because_of(mut self, trouble: Option<(String, String)>) -> BuildFailure {
        self.trouble = trouble.map(Box::new);
        self
    }

    /// Adds what can be done about any hook, should nothing better be known.
    pub fn otherwise(mut self, hint: Option<String>) -> BuildFailure {
        self.otherwise = hint;
        self
    }

    fn write_hook(
        &self,
        f: &mut fmt::Formatter<'_>,
        phase: Phase,
        hook: Option<&str>,
        status: i32,
    ) -> fmt::Result {
        match (hook, &self.element) {
            (Some(hook), Some(element)) => write!(f, "hook `{hook}` of element `{element}`")?,
            (Some(hook), None) => write!(f, "hook `{hook}`, which no element has as a file,")?,
            (None, _) => write!(f, "the environment of the hooks (environment.d)")?,
        }
        write!(
            f,
            " failed in phase {} with {}",
            phase.name(),
            Status(status)
        )
    }
}

impl std::error::Error for BuildFailure {}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Failure::Hook {
                phase,
                hook,
                status,
                tail,
            } => {
                self.write_hook(f, *phase, hook.as_deref(), *status)?;
                if !tail.is_empty() {
                    write!(f, "\nlast lines of its output:")?;
                }
                for line in tail {
                    write!(f, "\n    {line}")?;
                }
            }
            Failure::Step { message, .. } => f.write_str(message)?,
        }
        if let Some(trouble) = &self.trouble {
            write!(f, "\n{}", trouble.0)?;
        }
        match &self.log {
            LogPlace::Stdout => write!(f, "\nthe full log is above"),
            LogPlace::File(path) => write!(f, "\nthe full log is in {}", path.display()),
            LogPlace::Split(path) => write!(
                f,
                "\nthe full log is in {} as far as that could be written, and above from there",
                path.display()
            ),
            LogPlace::Nowhere => write!(
                f,
                "\nthere is no full log (DIB_QUIET without a log file): --logfile FILE keeps one"
            ),
        }
    }
}

impl Explain for BuildFailure {
    fn hint(&self) -> Option<String> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.1.clone());
        }
        match &self.failure {
            Failure::Step { hint, .. } => hint.clone(),
            Failure::Hook { tail, .. } if no_interpreter(tail) => Some(
                "the program that the hook's first line names (#!) is not where the hook runs"
                    .to_owned(),
            ),
            Failure::Hook { status: 126, .. } => Some(
                "status 126: something that is not executable, or whose interpreter is missing, \
                 was called"
                    .to_owned(),
            ),
            Failure::Hook {
                status: 127, phase, ..
            } => Some(format!(
                "status 127: the shell did not find a command; {}",
                match phase.location() {
                    Location::Outside => "this hook has those of this host's /usr: install it here",
                    Location::InTarget =>
                        "this hook has those of the image: have an element install it there",
                }
            )),
            // strerror(ENOSPC), which every program prints.
            Failure::Hook { tail, .. } => tail
                .iter()
                .any(|line| line.contains("No space left on device"))
                .then(|| {
                    format!(
                        "a filesystem of the appliance is full: {}; if it is the image's, raise {}",
                        Setting::more_room(),
                        Setting::ImageSize
                    )
                })
                .or_else(|| self.otherwise.clone()),
        }
    }

    /// The status of the failed hook is the status of the build (1.043); a
    /// failure never counts as success.
    fn exit_code(&self) -> u8 {
        let (Failure::Hook { status, .. } | Failure::Step { status, .. }) = &self.failure;
        u8::try_from(*status)
            .ok()
            .filter(|code| *code != 0)
            .unwrap_or(1)
    }
}

/// Whether a hook was not started for want of its interpreter: the words of bash
/// 5.2 and of those before.
fn no_interpreter(tail: &[String]) -> bool {
    let says = |line: &String| {
        line.contains("cannot execute: required file not found") || line.contains("bad interpreter")
    };
    tail.last().is_some_and(says)
}

/// An exit status, with the signal that it may stand for.
struct Status(i32);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit status {}", self.0)?;
        let number = self.0.checked_sub(128);
        match number.and_then(|number| Signal::try_from(number).ok()) {
            Some(signal) => write!(f, " ({})", signal.as_str()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn hook_failure(hook: Option<&str>, status: i32) -> Failure {
        Failure::Hook {
            phase: Phase::Install,
            hook: hook.map(str::to_owned),
            status,
            tail: vec!["+ false".to_owned(), "oops".to_owned()],
        }
    }

    fn hooks() -> Vec<Hook> {
        let hook = |phase, element: &str| Hook {
            phase,
            name: "10-x".to_owned(),
            element: element.to_owned(),
            path: format!("/elements/{element}/10-x").into(),
        };
        vec![hook(Phase::Root, "wrong"), hook(Phase::Install, "right")]
    }

    #[test]
    fn a_failed_hook_is_named_with_element_phase_status_and_tail() {
        let error = BuildFailure::new(hook_failure(Some("10-x"), 44), &hooks(), LogPlace::Stdout);
        assert_eq!(error.exit_code(), 44);
        assert_eq!(
            Error::from(error).render(),
            "hook `10-x` of element `right` failed in phase install with exit status 44\n\
             last lines of its output:\n    + false\n    oops\nthe full log is above"
        );
    }

    #[test]
    fn what_can_always_be_done_is_said_if_nothing_better_is_known() {
        let hint = |status, tail: &str| {
            let mut failure = hook_failure(Some("10-x"), status);
            if let Failure::Hook { tail: lines, .. } = &mut failure {
                lines.push(tail.to_owned());
            }
            let error = BuildFailure::new(failure, &hooks(), LogPlace::Stdout);
            error.otherwise(Some("look".to_owned())).hint().unwrap()
        };
        assert_eq!(hint(1, "oops"), "look");
        assert!(hint(127, "oops").starts_with("status 127"));
        assert!(hint(1, "tar: x: No space left on device").contains("is full"));
    }

    #[test]
    fn signals_unknown_hooks_and_environment_are_told() {
        let text = |hook, status| {
            BuildFailure::new(
                hook_failure(hook, status),
                &hooks(),
                LogPlace::File("/l".into()),
            )
            .to_string()
        };
        assert!(text(Some("10-x"), 137).contains("exit status 137 (SIGKILL)"));
        assert!(text(Some("made-by-a-hook"), 1).contains("which no element has as a file"));
        assert!(text(None, 1).starts_with("the environment of the hooks"));
        assert!(text(None, 1).ends_with("the full log is in /l"));
    }

    #[test]
    fn any_status_can_be_told() {
        for status in [i32::MIN, i32::MAX, -1, 0, 127, 128] {
            let failure = hook_failure(None, status);
            let error = BuildFailure::new(failure, &hooks(), LogPlace::Nowhere);
            assert!(error
                .to_string()
                .contains(&format!("exit status {status}\n")));
            assert!(error.exit_code() > 0);
        }
    }

    #[test]
    fn a_step_tells_its_own_message_and_hint() {
        let failure = Failure::Step {
            index: 4,
            message: "mkfs.ext4 not found".to_owned(),
            hint: Some("install e2fsprogs".to_owned()),
            status: 0,
        };
        let error = BuildFailure::new(failure, &[], LogPlace::Nowhere);
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("--logfile"));
        assert!(Error::from(error)
            .render()
            .ends_with("hint: install e2fsprogs"));
    }

    #[test]
    fn the_log_is_where_the_options_say() {
        let mut options = LogOptions::default();
        assert_eq!(LogPlace::from(&options), LogPlace::Stdout);
        options.quiet = true;
        assert_eq!(LogPlace::from(&options), LogPlace::Nowhere);
        options.file = Some("/x".into());
        assert_eq!(LogPlace::from(&options), LogPlace::File("/x".into()));
    }
}
