//! `dib-run-parts [--list | --done NAME...] DIRECTORY`: runs the scripts of a directory, for the
//! caller and as the caller.
//!
//! This is the one command of ours that executes scripts where it is called:
//! they are what its user names, as with `run-parts`. No build calls it on the
//! host; inside an appliance builds call the same embedded script directly, so
//! that order, messages and failures cannot differ.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use thiserror::Error;

use crate::error::Explain;
use crate::helpers::{DIB_RUN_PARTS, HOOK_EVENTS, HOOK_REPLIES};
use crate::manual::{Manual, Operands, Options};

use super::{fail, print};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "dib-run-parts",
    linked: true,
    summary: "run the scripts of a directory, here and as you",
    usage: &["[--list | --done NAME...] DIRECTORY"],
    description: &[
        "Runs the executable files of DIRECTORY one after the other, in the order of the numbers that their names \
         begin with, HERE AND AS YOU: not in an appliance. The files of DIRECTORY/../environment.d are sourced \
         before. The first failure ends it; else a table says how long each took. Messages go to standard error.",
    ],
    options: Options::Listed(&[
        ("--list", "print the files, and run none"),
        ("--done NAME", "leave this file out; may be repeated"),
        ("-h, --help", "show this text"),
    ]),
    operands: Operands::Directories,
    environment: &[
        (
            "RUN_PARTS_REGEX",
            "which names count, instead of ^[0-9A-Za-z_-]+$",
        ),
        ("DIB_DEBUG_TRACE", "1: tell which files are left out, too"),
    ],
    statuses: &[("0", "all have run"), ("other", "that of the script that failed")],
    see_also: &["disk-image-create"],
    ..Manual::EMPTY
};

/// The shell that upstream's scripts name.
const BASH: &str = "/bin/bash";

#[derive(Debug, Error)]
enum Failure {
    #[error("cannot execute {BASH}: {0}")]
    Bash(io::Error),
}

impl Explain for Failure {
    fn hint(&self) -> Option<String> {
        Some("install bash: files of environment.d are bash".into())
    }
}

/// Becomes bash, or says why not.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    if let [word] = words {
        if word == "--help" || word == "-h" {
            print(&MANUAL.help());
            return ExitCode::SUCCESS;
        }
    }
    let error = Command::new(BASH)
        .args(["-c", DIB_RUN_PARTS, name])
        .args(words)
        .env_remove(HOOK_EVENTS)
        .env_remove(HOOK_REPLIES)
        .exec();
    fail(name, &Failure::Bash(error).into())
}
