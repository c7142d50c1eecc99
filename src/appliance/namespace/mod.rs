//! The namespace appliance: user, mount, pid, ipc, uts and net namespaces.
//!
//! For an ordinary user inner root is the caller and the other ids are its
//! subordinate ids; for root inner root is an unprivileged range. See
//! [`layout`] for what hooks see, [`init`] for the processes.

use std::ffi::OsString;
use std::path::PathBuf;

pub mod error;
mod execute;
pub mod facts;
pub mod ids;
pub mod init;
pub mod layout;
pub mod network;
pub mod ops;
mod running;
mod sys;

pub use error::Error;
pub use init::sandbox_init;
pub use running::start;

/// Environment variable of the agent: number of its channel's descriptor.
pub const CHANNEL_VARIABLE: &str = "SAFEDIB_CHANNEL_FD";

/// The agent to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCommand {
    /// `safedib` on the host: executed for the sandbox's own processes, and
    /// seen inside at [`layout::OWN_BINARY`].
    pub binary: PathBuf,
    /// Program (a path inside) and arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment; [`CHANNEL_VARIABLE`] is added.
    pub environment: Vec<(OsString, OsString)>,
    /// The caller's home directory, empty inside.
    pub home: PathBuf,
}

impl AgentCommand {
    /// `safedib agent` with the running binary.
    ///
    /// # Errors
    /// What `/proc/self/exe` gives.
    pub fn agent(
        home: PathBuf,
        environment: Vec<(OsString, OsString)>,
    ) -> std::io::Result<AgentCommand> {
        Ok(AgentCommand {
            binary: std::env::current_exe()?,
            arguments: vec![layout::OWN_BINARY.into(), "agent".into()],
            environment,
            home,
        })
    }
}
