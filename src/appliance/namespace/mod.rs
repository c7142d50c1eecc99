//! The namespace appliance: user, mount, pid, ipc, uts and net namespaces.
//!
//! For an ordinary user inner root is the caller and the other ids are its
//! subordinate ids; for root inner root is an unprivileged range. See
//! [`layout`] for what hooks see, `init.rs` for the processes.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

mod confine;
mod confinement;
pub mod error;
mod execute;
pub mod facts;
pub mod ids;
mod init;
mod janitor;
mod journal;
pub mod layout;
mod metadata;
pub mod network;
pub mod ops;
mod pid1;
mod probe;
mod remove;
mod running;
mod shares;
mod sys;
mod wire;

pub use error::Error;
pub use ids::{map_ids, Mapping};
pub use janitor::Janitor;
pub use journal::{recover, PutBack};
pub use probe::{check, probe, Availability};
pub use remove::remove_tree;
pub use running::{forbidding_setting, start, start_watched};
pub(in crate::appliance) use sys::pidfd_open;

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

/// Runs a hidden command: what safedib executes of itself to start, watch and
/// clean up sandboxes. `None` if `name` is none of them, else the exit status.
///
/// To be called first thing in `main`, with the first argument of `safedib`
/// and the rest: these commands need a process without threads.
pub fn hidden_command(name: &OsStr, arguments: &[OsString]) -> Option<i32> {
    match name.to_str()? {
        "sandbox-init" => Some(init::sandbox_init(arguments)),
        "sandbox-remove" => Some(remove::sandbox_remove(arguments)),
        "sandbox-janitor" => Some(janitor::sandbox_janitor(arguments)),
        _ => None,
    }
}
