//! Import of a tar into the container engine of the host.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use super::error::io_error;
use super::tool::{find, Tool};
use super::Error;

/// Pipes `tar` into `docker import - TARGET`, or podman's where there is no
/// docker; returns what the client printed, the id of the image. Upstream calls
/// docker through sudo; here the caller must have access to the engine.
///
/// # Errors
/// [`Error::NoContainerClient`], or the client's own complaint.
pub fn import(tar: &Path, target: &str) -> Result<String, Error> {
    let client = client().ok_or(Error::NoContainerClient)?;
    let input = File::open(tar).map_err(io_error("open", tar))?;
    let temporary = Path::new("/tmp");
    let mut printed = tempfile::tempfile().map_err(io_error("create a file in", temporary))?;
    let output = printed
        .try_clone()
        .map_err(io_error("use a file in", temporary))?;
    Tool::new(client, "docker.io or podman")?
        .args(["import", "-", target])
        .files(Some(input), Some(output))
        .run()?;
    let mut text = String::new();
    printed
        .rewind()
        .and_then(|()| printed.read_to_string(&mut text))
        .map_err(io_error("read a file in", temporary))?;
    Ok(text.trim().into())
}

/// The client that [`import`] would use.
pub fn client() -> Option<&'static str> {
    ["docker", "podman"]
        .into_iter()
        .find(|name| find(name).is_some())
}
