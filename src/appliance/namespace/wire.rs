//! What the driver and the sandbox's processes say to each other while it
//! starts and ends; frames as in [`crate::protocol`].

use std::ffi::OsString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::libc;
use serde::{Deserialize, Serialize};

use super::error::{Fault, FaultKind};
use super::ids::Mapping;
use super::layout::Layout;
use super::sys;
use crate::error::tell;
use crate::protocol;

/// Everything that the processes of the sandbox must know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) mapping: Mapping,
    pub(super) layout: Layout,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) network: bool,
    pub(super) metadata_service: bool,
    pub(super) channel: RawFd,
    pub(super) debug: bool,
}

/// What the driver says while the sandbox starts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ToSandbox {
    Setup(Box<Setup>),
    /// The outer user namespace has its ids.
    Mapped,
}

/// What the sandbox's processes report.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Event {
    /// The outer user namespace waits for its ids.
    Unshared,
    /// The hooks' namespaces exist.
    Namespaces {
        /// Their pid 1, as the host numbers it.
        pid: libc::pid_t,
    },
    /// The agent was executed.
    Ready,
    /// Something failed; the sandbox ends.
    Failed(Fault),
    /// The agent ended.
    Exited(Ending),
    /// pid 1 ended.
    Ended(Ending),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ending {
    Status(i32),
    Signal(i32),
}

impl Ending {
    /// In words; `None` for a normal exit.
    pub(super) fn describe(self) -> Option<String> {
        match self {
            Ending::Status(0) => None,
            Ending::Status(status) => Some(format!("exit status {status}")),
            Ending::Signal(signal) => Some(format!("killed by signal {signal}")),
        }
    }
}
/// Tells the driver; if it has died there is nobody left to tell.
pub(super) fn report(control: &mut UnixStream, event: &Event) {
    let _ = protocol::send(control, event);
}

/// The socket that the driver passed, by the number in the first argument.
pub(super) fn control_from(arguments: &[OsString]) -> Option<UnixStream> {
    let number = arguments
        .first()
        .and_then(|text| text.to_str())
        .and_then(|text| text.parse::<RawFd>().ok())
        .filter(|fd| *fd > 2);
    let Some(fd) = number else {
        tell!("safedib: this command is for safedib's own use");
        return None;
    };
    // It was passed over exec, and must not be once more.
    sys::cloexec_from(fd).ok()?;
    // SAFETY: the driver passes this descriptor to us alone; a wrong number
    // gives EBADF.
    Some(UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// The driver's next order.
pub(super) fn read_order<T: serde::de::DeserializeOwned>(
    control: &mut UnixStream,
) -> Result<T, Fault> {
    match protocol::receive(control) {
        Ok(Some(protocol::Frame::Message(message))) => Ok(message),
        Ok(_) => Err(Fault::new(
            FaultKind::File,
            "listening to the driver",
            &io::ErrorKind::UnexpectedEof.into(),
        )),
        Err(error) => Err(Fault::new(
            FaultKind::File,
            "listening to the driver",
            &error,
        )),
    }
}

/// A step that must work, named for the fault.
pub(super) fn need<T, E: Into<io::Error>>(
    kind: FaultKind,
    doing: &str,
    result: Result<T, E>,
) -> Result<T, Fault> {
    result.map_err(|error| Fault::new(kind, doing, &error.into()))
}
