//! `disk-image-create` and `ramdisk-image-create`.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::driver;
use crate::error::Error;
use crate::report::LogWriter;
use crate::request::{self, BuildRequest, Environment, HostFacts, Parsed};

use super::{ended, fail, print, with_view};

/// Parses the command line, resolves the request and builds it.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    match request(name, words, &Environment::current()) {
        Ok(Some(request)) => build(name, &request),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => fail(name, &error),
    }
}

/// The request of a command line; `None` after `--help` or `--version`, which
/// have been answered then.
///
/// # Errors
/// Whatever is wrong with the words or with what they name.
pub(super) fn request(
    name: &str,
    words: &[OsString],
    environment: &Environment,
) -> Result<Option<BuildRequest>, Error> {
    let raw = match request::parse(name, words, environment)? {
        Parsed::Help(text) => {
            print(&text);
            return Ok(None);
        }
        Parsed::Version => {
            print(&format!("{}\n", driver::UPSTREAM_VERSION));
            return Ok(None);
        }
        Parsed::Build(raw) => raw,
    };
    let facts = HostFacts::gather()?;
    let request = request::resolve(&raw, environment, &facts)?;
    Ok(Some(request))
}

/// Builds what a request asks for.
pub(super) fn build(name: &str, request: &BuildRequest) -> ExitCode {
    if let Some(file) = &request.log.given {
        print(&format!("Output logs going to: {file}\n"));
    }
    let mut log = match LogWriter::new(&request.log, std::io::stdout()) {
        Ok(log) => with_view(log, request),
        Err(error) => return fail(name, &error.into()),
    };
    let result = driver::build(request, &mut log).map_err(Error::from);
    if let Err(error) = &result {
        log.record(&format!("{name}: {}", error.render()));
    }
    match ended(name, result, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(name, &error),
    }
}
