//! `disk-image-create` and `ramdisk-image-create`.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::driver;
use crate::error::Error;
use crate::manual::{Manual, Operands, Options};
use crate::report::LogWriter;
use crate::request::{self, BuildRequest, Environment, HostFacts, Parsed};

use super::{ended, fail, print, with_view};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "disk-image-create",
    linked: true,
    summary: "build disk images from elements",
    usage: &["[OPTION]... ELEMENT..."],
    description: &[
        "Builds disk images from elements, as the command of that name of diskimage-builder does, but without root and \
         without running any of their scripts on this machine: hooks run in a set of namespaces or in a virtual \
         machine. One of the elements must provide an operating system.",
        "Elements are looked for in the directories of ELEMENTS_PATH, and then among upstream's own, which are in \
         DIB_ELEMENTS_DIR or where diskimage-builder is installed. Outputs appear when all is done: all of them, or none.",
    ],
    options: Options::DiskImageCreate,
    operands: Operands::Elements,
    environment: ENVIRONMENT,
    statuses: STATUSES,
    files: FILES,
    examples: &[
        (
            "A Debian server that boots:",
            "disk-image-create -o server debian-minimal vm",
        ),
        (
            "A tar archive with further packages:",
            "disk-image-create -t tar -o tree -p less,vim debian-minimal",
        ),
        (
            "Another release, with elements of your own:",
            "ELEMENTS_PATH=~/elements DIB_RELEASE=trixie disk-image-create debian-minimal mine",
        ),
    ],
    see_also: SEE_ALSO,
    ..Manual::EMPTY
};

/// The manual of `ramdisk-image-create`.
pub(super) static RAMDISK_MANUAL: Manual = Manual {
    name: "ramdisk-image-create",
    summary: "build ramdisks and their kernels from elements",
    description: &[
        "Builds a ramdisk and a kernel from elements, as the command of that name of diskimage-builder does, but \
         without root and without running any of their scripts on this machine. The element `ramdisk`, or the one \
         that --ramdisk-element names, packs the ramdisk, with `/init` made of the init.d fragments of all elements.",
    ],
    options: Options::RamdiskImageCreate,
    examples: &[(
        "The files rd.initramfs and rd.kernel:",
        "ramdisk-image-create -o rd debian-minimal",
    )],
    ..MANUAL
};

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "ELEMENTS_PATH",
        "directories of elements, separated by colons",
    ),
    ("DIB_ELEMENTS_DIR", "upstream's own elements"),
    ("TMP_DIR", "where builds take place that are not in memory"),
    (
        "DIB_*",
        "there are many more, and most options have one; see safedib-variables(7)",
    ),
];

const STATUSES: &[(&str, &str)] = &[
    ("0", "all outputs are in place"),
    ("1", "what was asked for cannot be built"),
    (
        "other",
        "that of the hook that failed, or 128 and the number of the signal that ended the build",
    ),
];

const FILES: &[(&str, &str)] = &[
    (
        "~/.cache/image-create",
        "what elements have fetched (DIB_IMAGE_CACHE).",
    ),
    (
        "~/.cache/safedib",
        "roots of virtual machines, and the layers that --cache keeps.",
    ),
];

const SEE_ALSO: &[&str] = &[
    "diskimage-builder",
    "safedib-cache",
    "safedib-doctor",
    "safedib-plan",
    "safedib-variables",
    "virt-dib",
];

/// Parses the command line, resolves the request and builds it.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    match request(name, words, &Environment::current()) {
        Ok(Some(request)) => build(name, &request),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => fail(name, &error),
    }
}

/// The request of a command line; `None` after `--help` or `--version`, which
/// have been answered then.
///
/// # Errors
/// Whatever is wrong with the words or with what they name.
pub(super) fn request(
    name: &str,
    words: &[OsString],
    environment: &Environment,
) -> Result<Option<BuildRequest>, Error> {
    let raw = match request::parse(name, words, environment)? {
        Parsed::Help(text) => {
            print(&text);
            return Ok(None);
        }
        Parsed::Version => {
            print(&format!("{}\n", driver::UPSTREAM_VERSION));
            return Ok(None);
        }
        Parsed::Build(raw) => raw,
    };
    let facts = HostFacts::gather()?;
    let request = request::resolve(&raw, environment, &facts)?;
    Ok(Some(request))
}

/// Builds what a request asks for.
pub(super) fn build(name: &str, request: &BuildRequest) -> ExitCode {
    if let Some(file) = &request.log.given {
        print(&format!("Output logs going to: {file}\n"));
    }
    let mut log = match LogWriter::new(&request.log, std::io::stdout()) {
        Ok(log) => with_view(log, request),
        Err(error) => return fail(name, &error.into()),
    };
    let result = driver::build(request, &mut log).map_err(Error::from);
    if let Err(error) = &result {
        log.record(&format!("{name}: {}", error.render()));
    }
    match ended(name, result, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(name, &error),
    }
}
