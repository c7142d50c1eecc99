//! What is refused before work starts: formats without their programs, and
//! what this version does not build yet.

use std::ffi::{OsStr, OsString};

use crate::request::error::Error;
use crate::request::host::HostFacts;
use crate::request::resolved::{ApplianceChoice, BuildRequest, OutputFormat};
use crate::request::variables;

/// Refuses what is not built yet, by name.
pub(super) fn refuse_unbuilt(request: &BuildRequest) -> Result<(), Error> {
    let unsupported = |what: &str, why| {
        Err(Error::Unsupported {
            what: what.to_owned(),
            why,
        })
    };
    if request.ramdisk {
        return unsupported(&request.program, "this version does not build ramdisks");
    }
    if request.formats.contains(&OutputFormat::Vhd) {
        return unsupported("image type 'vhd'", "this version has no converter for it");
    }
    if request.appliance == ApplianceChoice::Microvm {
        return unsupported(
            "--appliance microvm",
            "this version runs hooks in namespaces only",
        );
    }
    Ok(())
}

/// Checks that the host has the programs that the output formats need, with
/// upstream's texts.
///
/// # Errors
/// [`Error::MissingQemuImg`] or [`Error::MissingTool`] for the first one missing.
pub fn check_output_tools(request: &BuildRequest, host: &HostFacts) -> Result<(), Error> {
    let path = request
        .environment
        .get(OsStr::new(variables::PATH.name))
        .map(OsString::as_os_str)
        .unwrap_or_default();
    let has = |name: &str| host.find_program(path, name).is_some();
    let need = |format: &str, program| {
        let format = format.to_owned();
        has(program)
            .then_some(())
            .ok_or(Error::MissingTool { format, program })
    };
    for format in &request.formats {
        match format {
            OutputFormat::Qcow2 if !has("qemu-img") => return Err(Error::MissingQemuImg),
            OutputFormat::QemuImg(name) => need(name, "qemu-img")?,
            OutputFormat::Squashfs => need("squashfs", "mksquashfs")?,
            OutputFormat::Vhd => need("vhd", "vhd-util")?,
            OutputFormat::Docker if !has("podman") => need("docker", "docker")?,
            _ => {}
        }
    }
    Ok(())
}
