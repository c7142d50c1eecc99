//! The helper drive: a disk of the caller's with a home and caches for hooks. A
//! machine that runs no hook copies its directory `home` to `TMP_DIR` before the
//! build and back after it, so that any appliance can share it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use nix::fcntl::{Flock, FlockArg};
use thiserror::Error as ThisError;

use crate::appliance::microvm;
use crate::appliance::namespace::{self, AgentCommand};
use crate::appliance::{ApplianceSpec, HelperDisk};
use crate::error::{Explain, Syntax};
use crate::plan::{ApplianceKind, Share, Step, DRIVE_COPY};
use crate::protocol::{Failure, Session};
use crate::report::{utc_stamp, LogWriter, Timings};
use crate::request::{BuildRequest, HelperDrive, DRIVE_CACHE, DRIVE_HOME};

use super::session::{self, End};
use super::{machine, own_binary, Error, Workspace};

/// Name of the copy's directory that hooks share.
const HOME: &str = "home";

/// What is wrong with a helper drive.
#[derive(Debug, ThisError)]
pub enum DriveError {
    /// The file cannot be used.
    #[error("cannot use {} as helper drive: {source}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, or a device of the host.
    #[error("{} is {what}, and a helper drive is a file", file.display())]
    NoFile {
        /// The path.
        file: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Another build has it.
    #[error("another build is using the helper drive {}", .0.display())]
    InUse(PathBuf),
    /// qemu does not take it for a disk.
    #[error("the helper drive {} is no disk{}: {message}", file.display(), format.as_ref().map(|format| format!(" of format '{format}'")).unwrap_or_default())]
    Format {
        /// The file.
        file: PathBuf,
        /// The format that was named.
        format: Option<String>,
        /// What qemu-img says.
        message: String,
    },
    /// The machine with the drive gave up.
    #[error("cannot {doing} the helper drive {}: {message}", file.display())]
    Failed {
        /// What was to be done.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        message: String,
        /// What to change.
        hint: Option<String>,
    },
}

impl Explain for DriveError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            DriveError::Open { file, source } => match source.kind() {
                ErrorKind::NotFound => format!(
                    "make it first: truncate -s 10G {0} && mkfs.ext4 -F {0}",
                    file.display()
                ),
                _ => "give it to the user who builds, for reading and writing".into(),
            },
            DriveError::NoFile { .. } => {
                "give --drive the file of a disk image, in any format of qemu's".into()
            }
            DriveError::InUse(_) => "wait for its end, or give each build its own".into(),
            DriveError::Format { format, .. } => match format {
                Some(_) => "name another format, or leave out --drive-format".into(),
                None => "name its format with --drive-format".into(),
            },
            DriveError::Failed { hint, .. } => return hint.clone(),
        })
    }
}

/// A helper drive that no other build uses.
pub(super) struct Drive {
    disk: HelperDisk,
    _lock: Flock<File>,
}

impl Drive {
    /// Takes the drive for this build.
    ///
    /// # Errors
    /// [`DriveError`]; or this host has no machine to read it with.
    pub(super) fn open(request: &BuildRequest, wanted: &HelperDrive) -> Result<Drive, Error> {
        let file = &wanted.file;
        let unusable = |source| DriveError::Open {
            file: file.clone(),
            source,
        };
        let kind = std::fs::metadata(file).map_err(unusable)?.file_type();
        if !kind.is_file() {
            let what = match (kind.is_dir(), kind.is_block_device()) {
                (true, _) => "a directory",
                (_, true) => "a device of this host",
                _ => "no regular file",
            };
            let file = file.clone();
            return Err(DriveError::NoFile { file, what }.into());
        }
        let opened = OpenOptions::new().read(true).write(true).open(file);
        let opened = opened.map_err(unusable)?;
        let lock = Flock::lock(opened, FlockArg::LockExclusiveNonblock);
        let lock = lock.map_err(|(_, errno)| match errno {
            nix::errno::Errno::EWOULDBLOCK => DriveError::InUse(file.clone()),
            errno => unusable(errno.into()),
        })?;
        microvm::check(&machine::options(request), false)?;
        let format = match wanted.format.as_deref() {
            Some("raw") => "raw".to_owned(),
            named => format(file, named)?,
        };
        let file = file.clone();
        Ok(Drive {
            disk: HelperDisk { file, format },
            _lock: lock,
        })
    }

    /// Where its content is during the build, below `TMP_DIR`.
    pub(super) fn directory(request: &BuildRequest, suffix: &str) -> PathBuf {
        request.tmp_dir.join(format!("dib_drive.{suffix}"))
    }

    /// Fills the copy, and begins the log that will be on the drive.
    ///
    /// # Errors
    /// The drive cannot be read.
    pub(super) fn read(
        &self,
        request: &BuildRequest,
        workspace: &mut Workspace,
        log: &mut LogWriter,
    ) -> Result<(), Error> {
        let cache = DRIVE_CACHE.into();
        self.run("read", Step::ReadDrive { cache }, request, workspace, log)?;
        let stamp = utc_stamp(SystemTime::now());
        let stamp = stamp.split('.').next().unwrap_or_default();
        let stamp = stamp.replace(['-', ':'], "").replace(' ', "-");
        let name = format!("virt-dib-{stamp}.log");
        Ok(log.open_copy(&copy(workspace).join(name))?)
    }

    /// Brings the copy and the log back.
    ///
    /// # Errors
    /// The drive cannot be written; it is in order all the same.
    pub(super) fn write(
        &self,
        request: &BuildRequest,
        workspace: &mut Workspace,
        log: &mut LogWriter,
    ) -> Result<(), Error> {
        log.close_copy();
        self.run("write", Step::WriteDrive, request, workspace, log)
    }

    fn run(
        &self,
        doing: &'static str,
        step: Step,
        request: &BuildRequest,
        workspace: &mut Workspace,
        log: &mut LogWriter,
    ) -> Result<(), Error> {
        let file = self.disk.file.display();
        log.say(&format!(
            "safedib: microvm appliance to {doing} the helper drive {file}"
        ));
        log.session(None, &format!("{doing} the helper drive"));
        let directory = copy(workspace).to_owned();
        let spec = ApplianceSpec {
            shares: vec![Share {
                path: directory,
                inside: Some(DRIVE_COPY.into()),
                writable: true,
                only_in: None,
                why: "helper drive".into(),
            }],
            work_dirs: workspace.machine_dirs.iter().flatten().cloned().collect(),
            helper_drive: Some(self.disk.clone()),
            ..ApplianceSpec::default()
        };
        let agent = AgentCommand {
            binary: own_binary()?,
            arguments: vec![namespace::layout::OWN_BINARY.into(), "agent".into()],
            environment: Vec::new(),
            home: request.home.clone(),
        };
        let running = machine::start(request, &spec, &agent, &mut workspace.janitor, log)?;
        let session = Session {
            environment: Vec::new(),
            cwd: "/".into(),
            build_dir: DRIVE_COPY.into(),
            image_dir: DRIVE_COPY.into(),
            output_dir: DRIVE_COPY.into(),
            lib_dir: Path::new(super::INSIDE).join("lib"),
            syntax: Syntax::spoken(),
            python: None,
            empty_tmpdir: false,
            python_signals: false,
            breaks: Default::default(),
            terminal: None,
            rescue: None,
            scratch: Vec::new(),
            own_cache: None,
            layers: None,
            reproducible: None,
            steps: vec![step],
        };
        let end = session::run(
            &*running,
            session,
            log,
            &mut Timings::default(),
            &mut |_, _, _| {},
            &mut |_| {},
        );
        let ending = running.end();
        let failed = |message, hint| {
            Err(DriveError::Failed {
                doing,
                file: self.disk.file.clone(),
                message,
                hint,
            }
            .into())
        };
        match end? {
            Ok(()) => Ok(()),
            Err(End::Failed(Failure::Step { message, hint, .. })) => failed(message, hint),
            Err(End::Signal { signal, .. }) => {
                let ended = "ended: the microvm appliance with all that ran in it".to_owned();
                Err(Error::interrupted(
                    signal,
                    vec![self.interrupted(doing), ended],
                ))
            }
            Err(End::Failed(_) | End::Died { .. }) => {
                let how = ending.how.unwrap_or_else(|| "its machine died".into());
                let hint = machine::hint_on_death(ApplianceKind::Microvm);
                failed(how, Some(hint))
            }
        }
    }
}

impl Drive {
    /// Where a signal has found the build, and what that means for the drive.
    fn interrupted(&self, doing: &str) -> String {
        let file = self.disk.file.display();
        match doing {
            "write" => format!(
                "it was writing the helper drive {file}, which may have part of what it was to get"
            ),
            doing => format!("it was about to {doing} the helper drive {file}"),
        }
    }
}

fn copy(workspace: &Workspace) -> &Path {
    workspace.drive.as_deref().unwrap_or(Path::new("/"))
}

/// What hooks see of the copy.
pub(super) fn share(directory: &Path) -> Share {
    Share {
        path: directory.join(HOME),
        inside: Some(DRIVE_HOME.into()),
        writable: true,
        only_in: None,
        why: "home on the helper drive".into(),
    }
}

/// qemu's name of the format of a disk.
fn format(file: &Path, named: Option<&str>) -> Result<String, Error> {
    let mut command = Command::new("qemu-img");
    command.args(["info", "--output=json"]);
    if let Some(format) = named {
        command.args(["-f", format]);
    }
    let output = command
        .arg("--")
        .arg(file)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|_| Error::MissingTool {
            message: "this host does not have qemu-img, needed for the format of the helper drive"
                .into(),
            package: "qemu-utils".into(),
        })?;
    let bad = |message: String| DriveError::Format {
        file: file.to_owned(),
        format: named.map(str::to_owned),
        message,
    };
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(bad(text.trim_start_matches("qemu-img: ").to_owned()).into());
    }
    let info: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| bad(error.to_string()))?;
    let found = info["format"].as_str();
    found
        .map(str::to_owned)
        .ok_or_else(|| bad("qemu-img tells no format".into()).into())
}
