//! The builds that are judged: the default one, and one that needs a block device.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::utsname::uname;
use nix::unistd::{geteuid, User};
use tempfile::TempDir;

use crate::driver;
use crate::error::Error;
use crate::plan::Abilities;
use crate::request::{self, BuildRequest, Environment, HostFacts, Parsed};

use super::findings::{Check, Group, Host};

const COMMAND: &str = "disk-image-create";
const DEFAULT: &[&str] = &["debian-minimal"];
const WITH_DEVICE: &[&str] = &["debian-minimal", "vm"];

const INSTALL_ELEMENTS: &str = "apt-get install python3-diskimage-builder";

/// Files of elements that stand in where the real ones are not to be found: they
/// need the same commands and devices.
const STAND_INS: [(&str, &str); 7] = [
    ("base/element-deps", ""),
    (
        "debian-minimal/element-deps",
        "debootstrap\npackage-installs\n",
    ),
    ("debian-minimal/element-provides", "operating-system\n"),
    ("debootstrap/element-deps", ""),
    ("package-installs/element-deps", ""),
    // `vm` gets it without asking.
    ("block-device-mbr/element-deps", ""),
    (
        "vm/finalise.d/50-stands-in",
        "#!/bin/sh\necho \"$IMAGE_BLOCK_DEVICE\"\n",
    ),
];

/// Why a build cannot be planned.
pub(super) struct Problem {
    /// What is wrong.
    name: &'static str,
    pub error: Error,
}

impl Problem {
    fn of_variables(error: impl Into<Error>) -> Problem {
        Problem {
            name: "variables",
            error: error.into(),
        }
    }
}

/// The builds, and what keeps them from being planned as they are.
pub(super) struct Subject {
    /// The default build.
    pub request: BuildRequest,
    /// The one that needs a block device.
    pub with_device: Option<BuildRequest>,
    /// Why the default build cannot be planned with the caller's elements and
    /// variables; then both are for elements that stand in.
    pub problem: Option<Problem>,
    /// The command that brings elements, where there are none.
    mend: Option<&'static str>,
    /// Where we are, which is not known without /proc.
    pub binary: io::Result<PathBuf>,
    _stand_ins: Option<TempDir>,
}

impl Subject {
    /// Resolves the requests.
    ///
    /// # Errors
    /// Not even stand-ins make one.
    pub(super) fn find() -> Result<Subject, Error> {
        let caller = Environment::current();
        let host = HostFacts::gather();
        let planned = host
            .as_ref()
            .map_err(|error| Problem::of_variables(error.clone()))
            .and_then(|host| plannable(&caller, host));
        let facts = host.unwrap_or_else(|_| facts_without_directory());
        let nowhere = matches!(facts.base_elements(&caller), Ok(Err(_)));
        let (environment, request, problem, stand_ins) = match planned {
            Ok(request) => (caller, request, None, None),
            Err(problem) => {
                let (directory, environment, request) = standing_in(caller, &facts)?;
                (environment, request, Some(problem), directory)
            }
        };
        Ok(Subject {
            with_device: resolve(WITH_DEVICE, &environment, &facts).ok(),
            request,
            problem,
            mend: nowhere.then_some(INSTALL_ELEMENTS),
            binary: std::env::current_exe(),
            _stand_ins: stand_ins,
        })
    }

    /// What the caller's elements and variables come to.
    pub(super) fn group(&self) -> Group {
        let checks = match (&self.problem, &self.request.base_elements) {
            (Some(Problem { name, error }), _) => {
                let hint = error.hint().map(|hint| format!(" ({hint})"));
                let text = format!("{}{}", error.reason(), hint.unwrap_or_default());
                let lacks = Check::lacks(*name, text);
                let note = "what follows about builds is for elements that stand in";
                vec![
                    lacks.mended_by(self.mend.map(str::to_owned)),
                    Check::note("stand-ins", note),
                ]
            }
            (None, Some(base)) => {
                let text = format!("{} ({})", base.path.display(), base.origin);
                vec![Check::ok("elements", text)]
            }
            (None, None) => vec![Check::ok("elements", "those of ELEMENTS_PATH")],
        };
        Group {
            name: "request",
            title: "elements and variables".into(),
            checks,
        }
    }
}

/// The host and the caller, by name.
pub(super) fn host() -> Host {
    let names = uname();
    let text = |get: &dyn Fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        let found = names.as_ref().map(|names| get(names).to_string_lossy());
        found.unwrap_or("unknown".into()).into_owned()
    };
    let user = User::from_uid(geteuid()).ok().flatten();
    Host {
        kernel: text(&|names| names.release()),
        machine: text(&|names| names.machine()),
        user: user.map_or_else(|| geteuid().to_string(), |user| user.name),
    }
}

/// The command lines of both builds, for people.
pub(super) fn command_lines() -> [String; 2] {
    [DEFAULT, WITH_DEVICE].map(|elements| format!("{COMMAND} {}", elements.join(" ")))
}

fn resolve(
    elements: &[&str],
    environment: &Environment,
    facts: &HostFacts,
) -> Result<BuildRequest, Error> {
    let words = [&["-o", "image"], elements].concat();
    let words: Vec<_> = words.iter().map(Into::into).collect();
    match request::parse(COMMAND, &words, environment)? {
        Parsed::Build(raw) => Ok(request::resolve(&raw, environment, facts)?),
        Parsed::Help(_) | Parsed::Version => Err(request::Error::NoElements.into()),
    }
}

/// The default build, if it can be planned for a host that lacks nothing.
fn plannable(environment: &Environment, facts: &HostFacts) -> Result<BuildRequest, Problem> {
    let request = resolve(DEFAULT, environment, facts).map_err(Problem::of_variables)?;
    match driver::plan_for(&request, &Abilities::default()) {
        Ok(_) => Ok(request),
        Err(error) => Err(Problem {
            name: "elements",
            error: error.into(),
        }),
    }
}

/// The default build of elements that stand in: with the caller's variables if
/// they are of use, else with none.
fn standing_in(
    caller: Environment,
    facts: &HostFacts,
) -> Result<(Option<TempDir>, Environment, BuildRequest), Error> {
    // Without them nothing can be planned, but much can still be told.
    let directory = stand_ins().ok();
    let elements = directory.as_ref().map_or(Path::new("/"), TempDir::path);
    let mut last = None;
    for kept in [caller.clone(), Environment::default()] {
        let mut environment = kept;
        environment.remove("ELEMENTS_PATH");
        environment.set("DIB_ELEMENTS_DIR", elements);
        let home = caller.filled("HOME").unwrap_or("/".as_ref());
        environment.set("HOME", home);
        match resolve(DEFAULT, &environment, facts) {
            Ok(request) => return Ok((directory, environment, request)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| request::Error::NoElements.into()))
}

fn stand_ins() -> io::Result<TempDir> {
    let directory = tempfile::Builder::new()
        .prefix("safedib-doctor-")
        .tempdir()?;
    for (path, text) in STAND_INS {
        let path = directory.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(directory)
}

/// Facts of a caller whose working directory was removed.
fn facts_without_directory() -> HostFacts {
    HostFacts {
        cwd: "/".into(),
        root: "/".into(),
        machine: host().machine,
        executable: std::env::current_exe().ok(),
    }
}
