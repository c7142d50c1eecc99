//! `safedib doctor`: what this host can do, and what mends what it lacks.

mod builds;
mod findings;
mod microvm;
mod namespace;
mod room;
mod subject;
mod text;
mod tools;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use thiserror::Error as ThisError;

use crate::appliance::microvm::Machine;
use crate::appliance::{self, Abilities};
use crate::driver;
use crate::error::{Error, Explain};
use crate::manual::{self, Manual};

use super::{fail, print};
use findings::Findings;
use subject::Subject;

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "doctor",
    summary: "tell what this host can do, and what mends what it lacks",
    usage: &["[--json] [--probe]"],
    description: &[
        "Tells what this host can do: the two appliances and what they need, commands that elements and formats need, \
         room, and which appliance a build gets and why. Names the command that mends each lack; those are for root. \
         A sandbox is started for it; a virtual machine only with --probe.",
    ],
    options: manual::Options::Listed(&[
        ("--json", "print everything as JSON"),
        (
            "--probe",
            "find out whether /dev/kvm works, unless a build since the last boot has done so (some 15 seconds)",
        ),
        ("-h, --help", "show this text"),
    ]),
    statuses: &[
        (
            "0",
            "a build such as `disk-image-create debian-minimal` works here, with the variables that are set now",
        ),
        ("1", "it does not"),
        ("2", "the command line is none"),
    ],
    see_also: &["disk-image-create", "safedib-plan"],
    ..Manual::EMPTY
};

#[derive(Debug, ThisError)]
enum DoctorError {
    #[error("doctor does not know '{0}'")]
    Usage(String),
    #[error("cannot print the findings as JSON: {0}")]
    Json(serde_json::Error),
}

impl Explain for DoctorError {
    fn hint(&self) -> Option<String> {
        Some("safedib doctor [--json] [--probe]".into())
    }

    fn exit_code(&self) -> u8 {
        match self {
            DoctorError::Usage(_) => 2,
            DoctorError::Json(_) => 1,
        }
    }
}

#[derive(Default)]
struct Options {
    help: bool,
    json: bool,
    probe: bool,
}

/// Prints the findings.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    match examine(words) {
        Ok(status) => status,
        Err(error) => fail(name, &error),
    }
}

fn options(words: &[OsString]) -> Result<Options, DoctorError> {
    let mut options = Options::default();
    for word in words {
        match word.to_str() {
            Some("-h" | "--help") => options.help = true,
            Some("--json") => options.json = true,
            Some("--probe") => options.probe = true,
            _ => return Err(DoctorError::Usage(word.to_string_lossy().into_owned())),
        }
    }
    Ok(options)
}

fn examine(words: &[OsString]) -> Result<ExitCode, Error> {
    let options = options(words)?;
    if options.help {
        print(&MANUAL.help());
        return Ok(ExitCode::SUCCESS);
    }
    let findings = findings(options.probe)?;
    if options.json {
        let json = serde_json::to_string_pretty(&findings).map_err(DoctorError::Json)?;
        print(&(json + "\n"));
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print(&text::render(&findings, colour));
    }
    Ok(match findings.works {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn findings(probe: bool) -> Result<Findings, Error> {
    let subject = Subject::find()?;
    let machine = driver::machine_of(&subject.request);
    let network = !subject.request.no_network;
    let binary = subject
        .binary
        .as_ref()
        .ok()
        .map(std::path::PathBuf::as_path);
    let tried = binary
        .filter(|_| probe)
        .and_then(|binary| microvm::prove(binary, &machine, &subject.request));
    let abilities = abilities(&subject, &machine, network);
    let builds = builds::all(&subject, &abilities);
    let groups = vec![
        subject.group(),
        namespace::group(&abilities, binary, network),
        microvm::group(&abilities, &machine, network, tried),
        tools::needed(&builds),
        tools::others(&builds),
        room::group(&subject.request),
    ];
    Ok(Findings::new(subject::host(), groups, builds))
}

fn abilities(subject: &Subject, machine: &Machine, network: bool) -> Abilities {
    match &subject.binary {
        Ok(binary) => Abilities::gather(binary, machine, network),
        Err(error) => Abilities {
            namespace: Err(appliance::namespace::Error::Io {
                doing: "finding our own binary in /proc".to_owned(),
                source: std::io::Error::from(error.kind()),
            }),
            microvm: appliance::microvm::check(machine, network),
            kvm: appliance::microvm::kvm(machine),
        },
    }
}
