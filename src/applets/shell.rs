//! `safedib shell [PLACE] COMMAND ...`: builds up to a place, and opens a shell
//! there.

use std::ffi::OsString;
use std::process::ExitCode;

use thiserror::Error as ThisError;

use crate::elements::{Location, Phase};
use crate::error::{Error, Explain};
use crate::manual::{Manual, Operands, Options};
use crate::request::{Environment, ShellPlace};

use super::{disk_image_create, fail, print};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "shell",
    summary: "open a shell in the middle of a build",
    usage: &["[--before PHASE | --after PHASE] [--outside] COMMAND [ARGUMENT]..."],
    description: &[
        "Builds what COMMAND would build with these arguments, up to a phase, and opens a shell there, in the appliance \
         in which the build runs at that point. When the shell ends, everything goes: nothing is built. With `--cache` \
         among the arguments it begins with what earlier builds have kept.",
        "The shell has the environment of the phase's hooks, and is where they run: in the target in pre-install, \
         install, post-install and finalise, else outside, with the target at $TMP_MOUNT_PATH. Ctrl-], three times \
         within a second, ends it and the build by force.",
        "To stop at several places, and to go on, set `break=before-PHASE,after-PHASE`; to look where a hook has failed, \
         build with `--shell-on-failure`.",
    ],
    further: Some(("Phases", in_order)),
    options: Options::Listed(&[
        ("--before PHASE", "before the hooks of PHASE.d"),
        (
            "--after PHASE",
            "after them; --after post-install if nothing is said",
        ),
        (
            "--outside",
            "outside the target, also where hooks run in it",
        ),
        ("-h, --help", "show this text"),
    ]),
    operands: Operands::CommandLine(&["disk-image-create", "ramdisk-image-create"]),
    statuses: &[
        ("0", "the shell has ended"),
        ("2", "the command line is none"),
        ("other", "that of the build, if it failed before"),
    ],
    examples: &[(
        "To see what packages have left in the target:",
        "safedib shell --after install disk-image-create debian-minimal",
    )],
    see_also: &["disk-image-create", "safedib-boot"],
    ..Manual::EMPTY
};

/// The phases, and where their hooks run.
fn in_order() -> Vec<(String, String)> {
    let place = |phase: Phase| match phase.location() {
        Location::InTarget => "in the target",
        Location::Outside => "outside it",
    };
    let row = |phase: Phase| (phase.name().to_owned(), place(phase).to_owned());
    Phase::ALL.map(row).to_vec()
}

#[derive(Debug, ThisError)]
enum ShellError {
    #[error("shell needs a command line to build with")]
    Usage,
    #[error("shell cannot build with '{0}'")]
    UnknownCommand(String),
    #[error("shell does not know '{0}'")]
    UnknownOption(String),
    #[error("{0} needs the name of a phase")]
    NoValue(&'static str),
    #[error("shell takes one place, --before or --after")]
    TwoPlaces,
    #[error("there is no phase '{0}'")]
    UnknownPhase(String),
}

impl Explain for ShellError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            ShellError::UnknownPhase(_) | ShellError::NoValue(_) => {
                format!("phases are {}", phases())
            }
            _ => "safedib shell --after install disk-image-create debian-minimal".to_owned(),
        })
    }

    fn exit_code(&self) -> u8 {
        2
    }
}

fn phases() -> String {
    Phase::ALL.map(Phase::name).join(", ")
}

/// Builds, and opens the shell.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    match start(words) {
        Ok(status) => status,
        Err(error) => fail(name, &error),
    }
}

fn start(words: &[OsString]) -> Result<ExitCode, Error> {
    let Some((place, command)) = place(words)? else {
        print(&MANUAL.help());
        return Ok(ExitCode::SUCCESS);
    };
    let (name, arguments) = command.split_first().ok_or(ShellError::Usage)?;
    let name = match name.to_str() {
        Some(name @ ("disk-image-create" | "ramdisk-image-create")) => name,
        _ => return Err(ShellError::UnknownCommand(name.to_string_lossy().into()).into()),
    };
    let request = disk_image_create::request(name, arguments, &Environment::current())?;
    let Some(mut request) = request else {
        return Ok(ExitCode::SUCCESS);
    };
    request.shell = Some(place);
    Ok(disk_image_create::build(name, &request))
}

/// Our own words, and the rest; `None` for `--help`.
fn place(words: &[OsString]) -> Result<Option<(ShellPlace, &[OsString])>, ShellError> {
    let mut found: Option<(String, bool)> = None;
    let mut outside = false;
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let text = word.to_string_lossy();
        if !text.starts_with('-') {
            let (phase, before) = found.unwrap_or_else(|| ("post-install".to_owned(), false));
            let place = ShellPlace {
                phase,
                before,
                outside,
            };
            return Ok(Some((place, rest)));
        }
        let (option, joined) = match text.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (&*text, None),
        };
        rest = after;
        let before = match (option, &joined) {
            ("-h" | "--help", None) => return Ok(None),
            ("--outside", None) => {
                outside = true;
                continue;
            }
            ("--before", _) => true,
            ("--after", _) => false,
            _ => return Err(ShellError::UnknownOption(text.into_owned())),
        };
        let phase = match (joined, rest.split_first()) {
            (Some(value), _) => value,
            (None, Some((value, after))) => {
                rest = after;
                value.to_string_lossy().into_owned()
            }
            (None, None) => {
                return Err(ShellError::NoValue(if before {
                    "--before"
                } else {
                    "--after"
                }))
            }
        };
        if !Phase::ALL.iter().any(|known| known.name() == phase) {
            return Err(ShellError::UnknownPhase(phase));
        }
        if found.replace((phase, before)).is_some() {
            return Err(ShellError::TwoPlaces);
        }
    }
    Err(ShellError::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<(ShellPlace, Vec<String>)>, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let parsed = place(&words).map_err(|error| error.to_string())?;
        Ok(parsed.map(|(place, rest)| {
            let rest = rest.iter().map(|word| word.to_string_lossy().into_owned());
            (place, rest.collect())
        }))
    }

    #[test]
    fn our_words_come_first_and_the_rest_is_the_commands() {
        let place = |phase: &str, before, outside| ShellPlace {
            phase: phase.into(),
            before,
            outside,
        };
        for (line, expected, rest) in [
            (
                "c --before x",
                place("post-install", false, false),
                "c --before x",
            ),
            ("--before root c", place("root", true, false), "c"),
            (
                "--after=finalise --outside c -x",
                place("finalise", false, true),
                "c -x",
            ),
        ] {
            let (found, words) = parse(line).unwrap().unwrap();
            assert_eq!(
                (found, words.join(" ").as_str()),
                (expected, rest),
                "{line}"
            );
        }
        assert_eq!(parse("--outside --help c"), Ok(None));
        for (line, error) in [
            ("", "needs a command line"),
            ("--outside", "needs a command line"),
            ("--before", "--before needs the name"),
            ("--after none c", "no phase 'none'"),
            ("--after root --before root c", "takes one place"),
            ("--inside c", "does not know '--inside'"),
            ("--outside=yes c", "does not know"),
        ] {
            assert!(parse(line).unwrap_err().contains(error), "{line}");
        }
    }
}
