//! Look-ups on the host before a build starts.

use std::path::{Path, PathBuf};

use crate::output;
use crate::plan::{Plan, PlannedOutput, PlannedStep, PlannedTool, Step};
use crate::request::OutputFormat;

use super::Error;

/// Where hooks outside the target find commands: what an appliance shows of
/// the host, whatever the caller's PATH says.
const COMMAND_DIRS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Where hooks outside the target find commands.
pub fn command_dirs() -> Vec<PathBuf> {
    COMMAND_DIRS.iter().map(PathBuf::from).collect()
}

/// Refuses a plan whose needs are not all met.
///
/// # Errors
/// The first that is not, in upstream's words where it has them.
pub(super) fn check_tools(plan: &Plan) -> Result<(), Error> {
    let path = command_dirs();
    if let Some(tool) = plan.tools.iter().find(|tool| !tool.need.is_met(&path)) {
        return Err(missing(tool));
    }
    let zstd = "compression_type=zstd";
    let asks = |step: &PlannedStep| match &step.step {
        Step::ConvertDisk { options, .. } => options.as_deref().is_some_and(|o| o.contains(zstd)),
        _ => false,
    };
    if plan.steps.iter().any(asks) {
        output::convert::check_zstd()?;
    }
    let imported = |output: &PlannedOutput| output.format == OutputFormat::Docker;
    if plan.outputs.iter().any(imported) && output::docker::client().is_none() {
        return Err(output::Error::NoContainerClient.into());
    }
    Ok(())
}

pub(super) fn missing(tool: &PlannedTool) -> Error {
    let what = tool.need.describe();
    let message = match (&tool.format, &tool.element) {
        (Some(format), _) => {
            format!("{format} output format specified but {what} executable not found.")
        }
        (None, Some(element)) => {
            format!(
                "element '{element}' needs {what}, which this host does not have: {}",
                tool.why
            )
        }
        (None, None) => format!("this host does not have {what}, needed for {}", tool.why),
    };
    Error::MissingTool {
        message,
        package: tool.package.into(),
    }
}

/// Public keys and `authorized_keys` of the caller, which hooks such as
/// `local-config` install (compat 11.010).
pub fn ssh_keys(home: &Path) -> Vec<PathBuf> {
    let mut keys: Vec<PathBuf> = std::fs::read_dir(home.join(".ssh"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "pub")
                || path
                    .file_name()
                    .is_some_and(|name| name == "authorized_keys")
        })
        .collect();
    keys.sort();
    keys
}
