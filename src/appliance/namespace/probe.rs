//! Whether the namespace appliance works here: measured by starting one.

use std::path::Path;

use super::error::Error;
use super::ids::Mapping;
use super::network::Helper;
use super::{start, AgentCommand};
use crate::appliance::ApplianceSpec;

/// What works here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Availability {
    /// The ids that sandboxes have.
    pub mapping: Mapping,
    /// The program that gives them a network, if one is installed.
    pub network: Option<Helper>,
}

/// Looks for what can be missing on a host, without starting anything.
///
/// # Errors
/// Too few subordinate ids, no newuidmap, no helper for a wanted network.
pub fn check(network: bool) -> Result<(), Error> {
    Mapping::of_caller()?.check_mappers()?;
    if network {
        Helper::find()?;
    }
    Ok(())
}

/// Starts a sandbox without network that runs `true`, and ends it: some 20 ms.
///
/// # Errors
/// Why no sandbox can be started, with what to change.
pub fn probe(binary: &Path) -> Result<Availability, Error> {
    let mapping = Mapping::of_caller()?;
    let spec = ApplianceSpec::default();
    let agent = AgentCommand {
        binary: binary.to_owned(),
        arguments: vec!["/usr/bin/true".into()],
        environment: Vec::new(),
        home: "/root".into(),
    };
    match start(&spec, &agent)?.end().how {
        None => Ok(Availability {
            mapping,
            network: Helper::find().ok(),
        }),
        Some(_) => Err(Error::Died {
            while_: "running `true`",
        }),
    }
}
