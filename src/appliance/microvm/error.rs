//! What can keep the microvm appliance from starting, and what to do then.

use std::io;
use std::path::PathBuf;

use crate::error::{Explain, Setting, Syntax};

/// Why the microvm appliance cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host's packages cannot be listed.
    #[error("cannot list the packages of this host, which the microvm appliance is made of: {0}")]
    NoDpkg(String),
    /// A package that the appliance needs is not installed.
    #[error("package {package} is not installed: {why}")]
    MissingPackage {
        /// Its name.
        package: String,
        /// What for.
        why: &'static str,
    },
    /// A program of the host that the appliance needs.
    #[error("no {program} on this host: the microvm appliance needs it {why}")]
    MissingProgram {
        /// Its name.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
        /// What for.
        why: &'static str,
    },
    /// There is no kernel with modules.
    #[error(
        "no kernel for the microvm appliance: /boot has no vmlinuz with modules in /lib/modules"
    )]
    NoKernel,
    /// The kernel lacks a driver that machines need.
    #[error("the kernel of {} has no module {module}, which the microvm appliance needs", directory.display())]
    NoModule {
        /// Its name.
        module: String,
        /// The kernel's modules.
        directory: PathBuf,
    },
    /// The caller may not read any kernel.
    #[error("cannot read the kernel {}, which the microvm appliance starts", .0.display())]
    KernelUnreadable(PathBuf),
    /// A program that makes a part of the appliance failed.
    #[error("{program} failed while making {what}: {message}")]
    Tool {
        /// Its name.
        program: &'static str,
        /// What it was to make.
        what: &'static str,
        /// What it printed last.
        message: String,
    },
    /// A path that should be shared cannot be.
    #[error("cannot share {} with the microvm appliance: {why}", path.display())]
    Share {
        /// The path.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// The machine ended before its agent spoke.
    #[error("the virtual machine did not start: {0}")]
    NotStarted(Death),
    /// Its agent did not speak in time.
    #[error("the virtual machine did not start within {seconds} seconds: {death}")]
    Deadline {
        /// The deadline.
        seconds: u64,
        /// What is known.
        death: Death,
    },
    /// Somebody does not want it any more.
    #[error("interrupted while the virtual machine started")]
    Interrupted,
    /// A root caller, and no user namespaces.
    #[error("cannot make a user namespace for qemu, which must not run as root of the host")]
    RootWithoutNamespace(#[source] io::Error),
    /// What both appliances use: the janitor, facts about the host.
    #[error(transparent)]
    Host(#[from] crate::appliance::namespace::Error),
    /// Anything else of the host.
    #[error("{doing} failed")]
    Io {
        /// What was done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    /// Turns an error of the system into one that says what was being done.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::Io { doing, source }
    }
}

/// How a machine ended, as far as can be told from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// How qemu ended, or that it still ran.
    pub qemu: String,
    /// What the guest's kernel said about it.
    pub cause: Option<Cause>,
    /// Last lines of qemu's errors and of the serial console.
    pub tail: Vec<String>,
}

impl Death {
    /// An assertion of qemu failed, or a processor of the machine stood still:
    /// nothing that the guest or the host did.
    pub fn is_of_qemus_own_making(&self) -> bool {
        let asserts =
            |line: &String| line.starts_with("qemu-system") && line.contains("Assertion `");
        self.cause == Some(Cause::Stalled) || self.tail.iter().any(asserts)
    }
}

/// Ends of a machine that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The kernel panicked.
    Panic,
    /// The kernel killed for want of memory, or did not come up.
    Memory,
    /// A disk in `TMP_DIR` had no room left on the host.
    Disk,
    /// The image's disk had none.
    ImageDisk,
    /// A processor of the machine got no more interrupts.
    Stalled,
}

impl Cause {
    /// What to change.
    pub(super) fn hint(self) -> Option<String> {
        Some(match self {
            Cause::Memory => "give it more memory: --memsize MIB".to_owned(),
            Cause::Disk => format!("set {} to a directory with more room", Setting::TmpDir),
            Cause::ImageDisk => format!(
                "make room where the image goes, or choose another place with {}",
                Setting::Output
            ),
            Cause::Stalled => "try it with one processor: --smp 1".to_owned(),
            Cause::Panic => return None,
        })
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Cause::Panic => "the guest kernel panicked",
            Cause::Memory => "the guest ran out of memory",
            Cause::Disk => "the host could not store what the guest wrote to its disk",
            Cause::ImageDisk => "the host could not store what the guest wrote to the image's disk",
            Cause::Stalled => "a processor of the machine stood still",
        })
    }
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self.cause {
            Some(cause) => write!(f, "{cause} ({})", self.qemu)?,
            None => f.write_str(&self.qemu)?,
        }
        if !self.tail.is_empty() {
            write!(f, "; last lines of its console:")?;
        }
        for line in &self.tail {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

impl Death {
    fn hint(&self) -> Option<String> {
        self.cause?.hint()
    }
}

impl Error {
    /// The command that mends it, run as root, where one does.
    pub fn mend(&self) -> Option<String> {
        Some(match self {
            Error::MissingPackage { package, .. } => format!("apt-get install {package}"),
            Error::MissingProgram { package, .. } => format!("apt-get install {package}"),
            Error::NoKernel | Error::NoModule { .. } => {
                "apt-get install linux-image-amd64".to_owned()
            }
            Error::KernelUnreadable(path) => format!(
                "dpkg-statoverride --update --add root root 0644 {}",
                path.display()
            ),
            Error::RootWithoutNamespace(_) => "sysctl -w user.max_user_namespaces=15000".to_owned(),
            Error::Host(error) => return error.mend(),
            _ => return None,
        })
    }
}

/// The cache is seldom the one that is full: it is written once.
fn no_room() -> String {
    let kept = match Syntax::spoken() {
        Syntax::DiskImageCreate => "~/.cache/safedib (XDG_CACHE_HOME)",
        Syntax::VirtDib => "~/.cache/safedib (LIBGUESTFS_CACHEDIR)",
    };
    format!(
        "set {} to a directory with more room; appliances are kept in {kept}",
        Setting::TmpDir
    )
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::NoDpkg(_) => {
                format!(
                    "use {}; the microvm appliance is made on Debian and its kin only",
                    Setting::Appliance("namespace")
                )
            }
            Error::MissingPackage { .. } | Error::MissingProgram { .. } => return self.mend(),
            Error::NoKernel | Error::NoModule { .. } => {
                format!("install a kernel, on Debian: {}", self.mend()?)
            }
            Error::KernelUnreadable(_) => format!("run as root: {}", self.mend()?),
            Error::NotStarted(death) => return death.hint(),
            Error::Deadline { death, .. } => {
                return Some(death.hint().unwrap_or_else(|| {
                    format!(
                    "the machine is very slow or hangs: try {}, or --memsize with more than it has",
                    Setting::Appliance("microvm,tcg")
                )
                }))
            }
            Error::RootWithoutNamespace(_) => format!(
                "run as an ordinary user, or allow user namespaces: {}",
                self.mend()?
            ),
            Error::Share { path, .. } if path.parent().is_none() => Setting::NOT_IN_ROOT.to_owned(),
            Error::Share { .. } => "share the directory that it lies in".to_owned(),
            Error::Host(error) => return error.hint(),
            Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => no_room(),
            Error::Tool {
                program, message, ..
            } if *program == "passt" && message.contains("user namespace") => {
                format!(
                    "passt needs user namespaces: use --no-network, or {}, with which hooks \
                     reach services on this host's loopback, too",
                    Setting::Appliance("microvm,user-net")
                )
            }
            // strerror(ENOSPC), which every program prints.
            Error::Tool { message, .. } if message.contains("No space left on device") => no_room(),
            Error::Interrupted | Error::Tool { .. } | Error::Io { .. } => return None,
        })
    }
}
