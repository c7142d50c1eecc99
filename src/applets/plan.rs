//! `safedib plan [--json] COMMAND ...`: what a command line would build.

use std::ffi::OsString;
use std::process::ExitCode;

use thiserror::Error as ThisError;

use crate::driver;
use crate::error::{Error, Explain};
use crate::manual::{Manual, Operands, Options};
use crate::request::virt_dib::PROGRAM;
use crate::request::{image_yaml, Environment};

use super::{answered, disk_image_create, diskimage_builder, virt_dib};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "plan",
    summary: "show what a command line would build, without building",
    usage: &["[--json] COMMAND [ARGUMENT]..."],
    description: &[
        "Shows what COMMAND (disk-image-create, ramdisk-image-create, diskimage-builder, virt-dib) would build with \
         these arguments, without building: elements and who asked for them, hooks in running order, host paths that \
         hooks see, the appliance of each step, outputs.",
    ],
    options: Options::Listed(&[
        ("--json", "print all of it as JSON"),
        ("-h, --help", "show this text"),
    ]),
    operands: Operands::CommandLine(&[
        "disk-image-create",
        "ramdisk-image-create",
        image_yaml::PROGRAM,
        PROGRAM,
    ]),
    statuses: &[
        ("0", "the command line is a build, or asks for help"),
        ("other", "that of the command, which would refuse it"),
    ],
    examples: &[(
        "What would be in the image, and why:",
        "safedib plan disk-image-create -o image debian-minimal vm",
    )],
    see_also: &["disk-image-create", "safedib-doctor"],
    ..Manual::EMPTY
};

#[derive(Debug, ThisError)]
enum PlanError {
    #[error("plan needs a command line to plan")]
    Usage,
    #[error("plan cannot plan '{0}'")]
    UnknownCommand(String),
    #[error("cannot print the plan as JSON: {0}")]
    Json(serde_json::Error),
}

impl Explain for PlanError {
    fn hint(&self) -> Option<String> {
        Some("safedib plan disk-image-create -o image debian-minimal".into())
    }
}

/// Prints a plan.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    answered(name, show(words))
}

fn show(words: &[OsString]) -> Result<String, Error> {
    let (json, words) = match words.split_first() {
        Some((first, _)) if first == "--help" || first == "-h" => return Ok(MANUAL.help()),
        Some((first, rest)) if first == "--json" => (true, rest),
        _ => (false, words),
    };
    let (command, arguments) = words.split_first().ok_or(PlanError::Usage)?;
    let request = match command.to_str() {
        Some(command @ ("disk-image-create" | "ramdisk-image-create")) => {
            disk_image_create::request(command, arguments, &Environment::current())?
        }
        Some(image_yaml::PROGRAM) => return diskimage_builder::plan(arguments, json),
        Some(PROGRAM) => virt_dib::request(arguments)?,
        _ => return Err(PlanError::UnknownCommand(command.to_string_lossy().into()).into()),
    };
    let Some(request) = request else {
        return Ok(String::new());
    };
    let plan = driver::plan(&request)?;
    if json {
        let text = serde_json::to_string_pretty(&plan).map_err(PlanError::Json)?;
        return Ok(text + "\n");
    }
    Ok(plan.to_string())
}
