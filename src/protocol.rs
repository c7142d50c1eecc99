//! What driver and agent say to each other: one byte stream in each direction,
//! cut into frames.
//!
//! A frame is a little-endian `u32` length of the body, one byte of kind, and
//! the body: JSON for messages, raw bytes for log text (hooks print what they
//! like) and for what is typed at a terminal, or shown there. The first message in both directions carries [`VERSION`]. End of file
//! without [`FromAgent::Finished`] or [`FromAgent::Failed`] means that the
//! appliance died, which is a different error from a hook that failed.

#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Syntax;
use crate::plan::{Phase, Reproducible, Step};
pub use crate::request::Breaks;
pub use crate::tty::Size;
pub use inventory::{Inventory, Manager, Package, Space, System};
pub use layers::{KeptLayer, LayerPoint, Layers, FAILED, LAYER_DIR, NEW_LAYERS_DIR, USR_CHANGES};

mod inventory;
mod layers;
pub mod machine;

/// Version of the protocol; both sides must have the same.
pub const VERSION: u32 = 3;

/// Largest body that is accepted, in bytes: far above any plan, and a receiver
/// of whatever an appliance likes to send stays small.
pub const MAX_FRAME: u32 = 16 << 20;

/// What `break_cmd` has left, in the output directory.
pub const BREAK_DIR: &str = "break";

const KIND_MESSAGE: u8 = 0;
const KIND_LOG: u8 = 1;
const KIND_TERMINAL: u8 = 2;

/// Everything that an agent must know beside the steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The caller's exported environment, as bytes.
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory of hooks that run outside the target.
    pub cwd: PathBuf,
    /// `TMP_BUILD_DIR`.
    pub build_dir: PathBuf,
    /// `TMP_IMAGE_DIR`.
    pub image_dir: PathBuf,
    /// Directory that receives outputs; shared with the driver.
    pub output_dir: PathBuf,
    /// `_LIB` inside the appliance.
    pub lib_dir: PathBuf,
    /// The command whose options errors name.
    #[serde(default)]
    pub syntax: Syntax,
    /// The interpreter of Python scripts; `None`: the system's.
    #[serde(default)]
    pub python: Option<PathBuf>,
    /// Hooks in the target get an empty `TMPDIR` and keep `VIRTUAL_ENV`, as in
    /// 0.x; else they have neither.
    pub empty_tmpdir: bool,
    /// Hooks start with SIGPIPE and SIGXFSZ ignored, as below upstream's
    /// launcher in Python (2.x and later).
    pub python_signals: bool,
    /// The user's `break=` settings.
    pub breaks: Breaks,
    /// The terminal that a shell gets; `None`: there is none.
    #[serde(default)]
    pub terminal: Option<Terminal>,
    /// If a step fails, what there is of the image becomes this disk in the
    /// output directory.
    #[serde(default)]
    pub rescue: Option<String>,
    /// Where files that hooks make in the caller's directories are seen, for
    /// what `break_cmd` leaves there after an error.
    #[serde(default)]
    pub scratch: Vec<PathBuf>,
    /// The build's own place in the image cache; `None`: nobody else uses the cache.
    #[serde(default)]
    pub own_cache: Option<OwnCache>,
    /// Layers that are kept, or have been begun with.
    #[serde(default)]
    pub layers: Option<Layers>,
    /// Times and identifiers of the image, if two builds are to be the same.
    #[serde(default)]
    pub reproducible: Option<Reproducible>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// A terminal of the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Its size now.
    pub size: Size,
    /// `TERM`, if it is set.
    pub name: Option<OsString>,
}

/// A directory of the image cache that belongs to one build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnCache {
    /// `DIB_IMAGE_CACHE`.
    pub shared: PathBuf,
    /// The directory, below it; it may not exist, and goes with the build.
    pub own: PathBuf,
}

/// Messages to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum ToAgent {
    /// Always first.
    Hello {
        /// [`VERSION`] of the driver.
        version: u32,
    },
    /// Execute a session; sent once.
    Run {
        /// The session.
        session: Box<Session>,
    },
    /// The terminal has this size now.
    Resized {
        /// The size.
        size: Size,
    },
}

/// Messages from an agent. Log text travels beside them, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum FromAgent {
    /// Always first.
    Hello {
        /// [`VERSION`] of the agent.
        version: u32,
    },
    /// A step began.
    StepStarted {
        /// Its index in the session.
        index: usize,
    },
    /// A hook began.
    HookStarted {
        /// Phase of the hook.
        phase: Phase,
        /// File name of the hook.
        hook: String,
    },
    /// A hook ended.
    HookFinished {
        /// Phase of the hook.
        phase: Phase,
        /// File name of the hook.
        hook: String,
        /// Wall time.
        seconds: f64,
    },
    /// A debug break began: what it runs may ask for the terminal.
    BreakStarted {
        /// Its name, as `break` lists it.
        point: String,
    },
    /// It ended.
    BreakEnded,
    /// A layer is complete in its directory, and not written to any more.
    LayerKept {
        /// Which one.
        layer: KeptLayer,
        /// Wall time of keeping it.
        seconds: f64,
    },
    /// A shell has the terminal from now on.
    ShellStarted,
    /// It has it no more.
    ShellEnded,
    /// A step ended well.
    StepFinished {
        /// Its index in the session.
        index: usize,
        /// Wall time.
        seconds: f64,
    },
    /// Work that a step has left to the side is done: archives that were packed
    /// beside later steps.
    BesideFinished {
        /// Index of the step in the session.
        index: usize,
        /// Wall time.
        seconds: f64,
        /// How long ago it ended, seconds.
        ago: f64,
    },
    /// What is in the finished target.
    Inventory {
        /// All of it.
        inventory: Box<Inventory>,
    },
    /// The session ended with an error; nothing follows.
    Failed {
        /// What happened.
        failure: Failure,
    },
    /// All steps are done; nothing follows.
    Finished,
}

/// Why a session failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Failure {
    /// A hook, an environment.d file or a command in the target failed.
    Hook {
        /// Phase that ran.
        phase: Phase,
        /// File name of the hook; `None` if environment.d failed.
        hook: Option<String>,
        /// Its exit status, 128+N for signal N: the exit status of the build.
        status: i32,
        /// Last lines of its output.
        tail: Vec<String>,
    },
    /// A step of ours failed.
    Step {
        /// Index of the step in the session.
        index: usize,
        /// One lowercase sentence: what failed, on what, why.
        message: String,
        /// What to change, if it is known.
        hint: Option<String>,
        /// Exit status of the build.
        status: i32,
    },
}

/// A received frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame<M> {
    /// A message.
    Message(M),
    /// Bytes for the log; lines may be cut anywhere.
    Log(Vec<u8>),
    /// Bytes from the caller's terminal, or for it.
    Terminal(Vec<u8>),
}

/// Writes a message as one frame.
///
/// # Errors
/// Whatever the stream gives.
pub fn send<M: Serialize>(stream: &mut impl Write, message: &M) -> io::Result<()> {
    write_frame(stream, KIND_MESSAGE, &serde_json::to_vec(message)?)
}

/// Writes log bytes as one frame.
///
/// # Errors
/// Whatever the stream gives.
pub fn send_log(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_frame(stream, KIND_LOG, bytes)
}

/// Writes bytes of a terminal as one frame.
///
/// # Errors
/// Whatever the stream gives.
pub fn send_terminal(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_frame(stream, KIND_TERMINAL, bytes)
}

fn write_frame(stream: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len())
        .ok()
        .filter(|length| *length <= MAX_FRAME)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "frame too large"))?;
    let mut frame = Vec::with_capacity(body.len().saturating_add(5));
    frame.extend_from_slice(&length.to_le_bytes());
    frame.push(kind);
    frame.extend_from_slice(body);
    stream.write_all(&frame)?;
    stream.flush()
}

/// Reads one frame; `None` at a clean end of file.
///
/// # Errors
/// `InvalidData` for what no agent or driver of this version would send,
/// `UnexpectedEof` for a cut frame, else whatever the stream gives.
pub fn receive<M: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<Frame<M>>> {
    let mut head = [0u8; 5];
    if !read_head(stream, &mut head)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    if length > MAX_FRAME {
        return Err(invalid(format!("frame of {length} bytes")));
    }
    let mut body = vec![0u8; length as usize];
    stream.read_exact(&mut body)?;
    match head[4] {
        KIND_MESSAGE => serde_json::from_slice(&body)
            .map(|message| Some(Frame::Message(message)))
            .map_err(|error| invalid(error.to_string())),
        KIND_LOG => Ok(Some(Frame::Log(body))),
        KIND_TERMINAL => Ok(Some(Frame::Terminal(body))),
        kind => Err(invalid(format!("frame of unknown kind {kind}"))),
    }
}

/// Cuts frames out of bytes as they arrive, for a reader that must not block.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Takes bytes as they came from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// `InvalidData` as for [`receive`].
    pub fn next_frame<M: DeserializeOwned>(&mut self) -> io::Result<Option<Frame<M>>> {
        let Some(head) = self.pending.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*head);
        if length > MAX_FRAME {
            return Err(invalid(format!("frame of {length} bytes")));
        }
        let end = (length as usize).saturating_add(5);
        let Some(mut frame) = self.pending.get(..end) else {
            return Ok(None);
        };
        let decoded = receive(&mut frame)?;
        self.pending.drain(..end);
        Ok(decoded)
    }

    /// Bytes of a frame that is not complete.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn read_head(stream: &mut impl Read, head: &mut [u8; 5]) -> io::Result<bool> {
    let mut rest = &mut head[..];
    let mut begun = false;
    while !rest.is_empty() {
        match stream.read(rest) {
            Ok(0) if !begun => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                rest = rest.get_mut(count..).unwrap_or_default();
                begun = true;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
