//! `dib-block-device [--params FILE] COMMAND`: upstream's helper. What needs a
//! block device it does in the microvm appliance only.
//!
//! Its files are upstream's, in `BUILD-DIR/states/block-device`; the nodes of a
//! created device are in `nodes.json` where upstream pickles them.

mod arguments;
mod devices;
mod fstab;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use thiserror::Error;

use crate::blockdev::state::State;
use crate::blockdev::{self, Config};
use crate::error::{tell, Explain};
use crate::manual::{Manual, Operands, Options};
use crate::plan::STATE_DIR;
use crate::yaml::{self, Value};

use super::answered;
use arguments::{Command, Request};

/// Names of upstream's loggers, which its lines show.
const CMD: &str = "diskimage_builder.block_device.cmd";
const DEVICE: &str = "diskimage_builder.block_device.blockdevice";
const PARAMS_VARIABLE: &str = "DIB_BLOCK_DEVICE_PARAMS_YAML";

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "dib-block-device",
    linked: true,
    summary: "read block-device configurations as upstream's helper does",
    usage: &["[-h] [--params PARAMS] COMMAND [SYMBOL]"],
    description: &[
        "Reads block-device configurations. Makes devices in the microvm appliance only, never on the host.",
    ],
    operands: Operands::Words(&[
        told(Command::Init),
        told(Command::Getval),
        told(Command::Create),
        told(Command::Umount),
        told(Command::Cleanup),
        told(Command::Delete),
        told(Command::Writefstab),
    ]),
    options: Options::Listed(&[
        ("--params PARAMS", "YAML file of parameters"),
        ("-h, --help", "show this text"),
    ]),
    environment: &[(PARAMS_VARIABLE, "YAML file of parameters without --params")],
    statuses: &[
        ("0", "it is done"),
        ("1", "it could not be done"),
        ("2", "the command line is none"),
    ],
    see_also: &["disk-image-create"],
    ..Manual::EMPTY
};

const fn told(command: Command) -> (&'static str, &'static str) {
    (command.name(), command.summary())
}

#[derive(Debug, Error)]
enum Failure {
    #[error("{usage}{program}: error: {message}")]
    Usage {
        usage: String,
        program: String,
        message: String,
    },
    #[error("no command was given")]
    NoCommand,
    #[error("cannot read the parameters {}: {reason}", path.display())]
    Params { path: PathBuf, reason: String },
    #[error("the parameters have no '{0}': KeyError: '{0}'")]
    NoParameter(&'static str),
    #[error("the parameter '{key}' must be a string, not: {value}")]
    Parameter { key: &'static str, value: String },
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(transparent)]
    Device(#[from] blockdev::Error),
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: blockdev::Error,
    },
    #[error("no block-device configuration at {}", .0.display())]
    NotInitialised(PathBuf),
    #[error("State dump not found: {}", .0.display())]
    NoState(PathBuf),
    #[error("Pickle file not found: {}", .0.display())]
    NoNodes(PathBuf),
    #[error("'{0}' needs a kernel with block devices: it runs inside the microvm appliance only")]
    NeedsAppliance(&'static str),
    #[error("DIB_BLOCK_SIZE must be 512, 1024, 2048 or 4096, not: {0}")]
    BlockSize(String),
    #[error(transparent)]
    Making(#[from] blockdev::devices::Error),
    #[error("{} was written by diskimage-builder; only that can {command} what it created", path.display())]
    Foreign {
        command: &'static str,
        path: PathBuf,
    },
}

impl Explain for Failure {
    fn hint(&self) -> Option<String> {
        match self {
            Failure::NoCommand => Some(format!(
                "the commands are {}",
                Command::ALL.map(Command::name).join(", ")
            )),
            Failure::Parameter { key, .. } => {
                Some(format!("put quotes around the value of '{key}'"))
            }
            Failure::Making(error) => error.hint(),
            Failure::Device(error) | Failure::File { source: error, .. } => error.hint(),
            Failure::NotInitialised(_) => Some("run dib-block-device init first".into()),
            Failure::NoState(_) | Failure::NoNodes(_) => {
                Some("nothing is created yet: this comes after dib-block-device create".into())
            }
            Failure::NeedsAppliance(_) => Some(
                "call it in a hook of a build with --appliance microvm; devices of the host are never used"
                    .into(),
            ),
            _ => None,
        }
    }

    fn is_verbatim(&self) -> bool {
        matches!(self, Failure::Usage { .. })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage { .. } => 2,
            _ => 1,
        }
    }
}

/// Runs the applet.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    answered(name, answer(name, words).map_err(Into::into))
}

/// What goes to stdout.
fn answer(name: &str, words: &[OsString]) -> Result<String, Failure> {
    let (params, command, symbol) = match arguments::parse(name, words)? {
        Request::Help(command) => return Ok(help(name, command)),
        Request::Run {
            params,
            command,
            symbol,
        } => (params, command, symbol.unwrap_or_default()),
    };
    let params = match params {
        Some(path) => {
            log("INFO", CMD, &format!("params [{}]", path.display()));
            path
        }
        None => std::env::var_os(PARAMS_VARIABLE)
            .map(PathBuf::from)
            .ok_or_else(|| Failure::Usage {
                usage: arguments::usage(name),
                program: name.into(),
                message: format!("{PARAMS_VARIABLE} or --params not set"),
            })?,
    };
    let device = Device::open(&params)?;
    match command.ok_or(Failure::NoCommand)? {
        Command::Init => device.init(),
        Command::Getval => device.getval(&symbol),
        Command::Writefstab => device.writefstab(),
        Command::Create => device.create(),
        Command::Umount => device.umount(),
        Command::Cleanup => device.cleanup(),
        Command::Delete => device.delete(),
    }
}

fn help(name: &str, command: Option<Command>) -> String {
    if let Some(command) = command {
        let usage = arguments::command_usage(name, command);
        return format!("{usage}\n{}\n", command.summary());
    }
    MANUAL.help_below(&arguments::usage(name))
}

/// A line as upstream's logging prints it.
fn log(level: &str, logger: &str, message: &str) {
    tell!("{level} {logger} [-] {message}");
}

/// The parameters, and the directory of the state.
struct Device {
    params: Value,
    build_dir: PathBuf,
    state_dir: PathBuf,
}

impl Device {
    fn open(path: &Path) -> Result<Device, Failure> {
        let failed = |reason: String| {
            log("ERROR", CMD, "Failed to open parameter YAML");
            Failure::Params {
                path: path.into(),
                reason,
            }
        };
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let params = yaml::load(&text).map_err(|error| failed(error.to_string()))?;
        let build_dir = PathBuf::from(parameter(&params, "build-dir")?);
        let state_dir = build_dir.join(STATE_DIR);
        // As upstream: whoever needs the directory finds out that it is missing.
        let _ = fs::create_dir_all(&state_dir);
        Ok(Device {
            params,
            build_dir,
            state_dir,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.state_dir.join(name)
    }

    fn init(&self) -> Result<String, Failure> {
        let path = PathBuf::from(parameter(&self.params, "config")?);
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let mut config = Config::expand(&text)?;
        config.merge_root(&self.params);
        let path = self.file("config.json");
        fs::write(&path, config.to_json()).map_err(io_error("write", &path))?;
        let message = format!("Wrote final block device config to [{}]", path.display());
        log("INFO", DEVICE, &message);
        Ok(String::new())
    }

    fn getval(&self, symbol: &str) -> Result<String, Failure> {
        log("INFO", DEVICE, &format!("Getting value for [{symbol}]"));
        let value = match symbol {
            "root-label" => self.config()?.root_label()?,
            "root-fstype" => self.config()?.root_fstype()?,
            "boot-label" => self.config()?.boot_label()?,
            "mount-points" => self.config()?.mount_points()?,
            _ => match (symbol, self.state()?) {
                ("image-path", state) => state.image_path()?,
                ("image-block-device", state) => state.image_block_device()?,
                ("image-block-devices", state) => state.image_block_devices()?,
                _ => {
                    // Upstream drops this status on its way out.
                    let message = format!("Invalid symbol [{symbol}] for getval");
                    log("ERROR", DEVICE, &message);
                    return Ok(String::new());
                }
            },
        };
        Ok(value + "\n")
    }

    fn writefstab(&self) -> Result<String, Failure> {
        log("INFO", DEVICE, "Creating fstab");
        let content = self.state()?.fstab()?;
        let path = self.file("fstab");
        fs::write(&path, &content).map_err(io_error("write", &path))?;
        let target = self.build_dir.join("built/etc/fstab");
        fstab::write(&self.build_dir, &content).map_err(io_error("write", &target))?;
        Ok(String::new())
    }

    fn config(&self) -> Result<Config, Failure> {
        let path = self.file("config.json");
        let text = read(&path)?.ok_or_else(|| Failure::NotInitialised(path.clone()))?;
        Config::from_json(&text).map_err(|source| Failure::File { path, source })
    }

    fn state(&self) -> Result<State, Failure> {
        let path = self.file(blockdev::devices::STATE_FILE);
        let text = read(&path)?.ok_or_else(|| Failure::NoState(path.clone()))?;
        State::from_json(&text).map_err(|source| Failure::File { path, source })
    }
}

fn parameter<'p>(params: &'p Value, key: &'static str) -> Result<&'p str, Failure> {
    match params.get(key) {
        Some(Value::Str(text)) => Ok(text),
        Some(other) => Err(Failure::Parameter {
            key,
            value: other.to_string(),
        }),
        None => Err(Failure::NoParameter(key)),
    }
}

/// The text of a file, if it is there.
fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

fn io_error<'p>(action: &'static str, path: &'p Path) -> impl Fn(io::Error) -> Failure + 'p {
    move |source| Failure::Io {
        action,
        path: path.into(),
        source,
    }
}
