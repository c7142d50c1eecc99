//! Commands by the exact name that a user types: as `argv[0]` through a
//! symlink, or as `safedib NAME`.

mod boot;
mod cache;
mod check;
mod completions;
mod dib_block_device;
mod dib_lint;
mod dib_run_parts;
mod disk_image_create;
mod diskimage_builder;
mod doctor;
mod element_info;
mod install_links;
mod manual;
mod plan;
mod shell;
mod virt_dib;

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use nix::sys::signal::{signal, SigHandler, Signal};

use crate::agent;
use crate::appliance::namespace;
use crate::driver;
use crate::error::{tell, Error};
use crate::manual::Manual;
use crate::report::{LogWriter, ViewPlaces};
use crate::request::BuildRequest;

/// A command: gets the name it was called by and the words after it.
type Run = fn(&str, &[OsString]) -> ExitCode;

/// One command of the binary.
struct Applet {
    /// Its name, its help, and all else that is told of it.
    manual: &'static Manual,
    run: Run,
}

/// Every command, in the order of the help text.
static APPLETS: [Applet; 17] = [
    applet(&disk_image_create::MANUAL, disk_image_create::run),
    applet(&disk_image_create::RAMDISK_MANUAL, disk_image_create::run),
    applet(&diskimage_builder::MANUAL, diskimage_builder::run),
    applet(&virt_dib::MANUAL, virt_dib::run),
    applet(&dib_block_device::MANUAL, dib_block_device::run),
    applet(&dib_run_parts::MANUAL, dib_run_parts::run),
    applet(&element_info::MANUAL, element_info::run),
    applet(&dib_lint::MANUAL, dib_lint::run),
    applet(&plan::MANUAL, plan::run),
    applet(&check::MANUAL, check::run),
    applet(&boot::MANUAL, boot::run),
    applet(&shell::MANUAL, shell::run),
    applet(&cache::MANUAL, cache::run),
    applet(&doctor::MANUAL, doctor::run),
    applet(&install_links::MANUAL, install_links::run),
    applet(&manual::MANUAL, manual::run),
    applet(&completions::MANUAL, completions::run),
];

const fn applet(manual: &'static Manual, run: Run) -> Applet {
    Applet { manual, run }
}

/// The manuals of all commands, in the order of the help text.
fn manuals() -> Vec<&'static Manual> {
    APPLETS.iter().map(|applet| applet.manual).collect()
}

fn named(name: &str) -> Option<&'static Applet> {
    APPLETS.iter().find(|applet| applet.manual.name == name)
}

/// Runs the command named by `argv[0]`, or by the first argument of `safedib`.
///
/// Only exact names count: a file called `my-disk-image-create` is not
/// `disk-image-create`.
pub fn main() -> ExitCode {
    // A file that grows beyond the caller's limit (RLIMIT_FSIZE) would kill whoever
    // writes it without a word; now write(2) fails, here and in what is executed.
    // SAFETY: SIG_IGN runs no code of ours.
    let _ = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let words: Vec<OsString> = words.collect();
    if let Some((first, rest)) = words.split_first() {
        if let Some(status) = namespace::hidden_command(first, rest) {
            return u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    }
    let name = Path::new(&program)
        .file_name()
        .unwrap_or(OsStr::new("safedib"))
        .to_string_lossy()
        .into_owned();
    if Path::new(agent::paths::MARKER).exists() {
        if let Some(shim) = agent::shims::shim_for(&program) {
            return shim(words);
        }
    }
    if let Some(applet) = named(&name) {
        return (applet.run)(&name, &words);
    }
    front(&words)
}

/// `safedib [COMMAND ...]`.
fn front(words: &[OsString]) -> ExitCode {
    let Some((first, rest)) = words.split_first() else {
        print(&help());
        return ExitCode::from(2);
    };
    match first.to_str() {
        Some("-h" | "--help" | "help") => {
            print(&help());
            ExitCode::SUCCESS
        }
        Some("-V" | "--version") => {
            print(&format!("safedib {}\n", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        Some("agent") => agent::main(),
        Some("vm-init") => agent::vm::main(),
        Some(name) => match named(name) {
            Some(applet) => (applet.run)(name, rest),
            None => unknown(name),
        },
        None => unknown(&first.to_string_lossy()),
    }
}

fn unknown(name: &str) -> ExitCode {
    tell!(
        "safedib: unknown command '{name}'\nhint: the commands are {}",
        APPLETS
            .each_ref()
            .map(|applet| applet.manual.name)
            .join(", ")
    );
    ExitCode::from(2)
}

fn help() -> String {
    let mut text = String::from(
        "Usage: safedib COMMAND [ARGUMENT]...\n\n\
         Builds disk images from diskimage-builder elements without root, and without\n\
         running any of them on this host.\n\nCommands (each also by a symlink of its name where marked *):\n",
    );
    for manual in manuals() {
        let mark = if manual.linked { '*' } else { ' ' };
        text.push_str(&format!(" {mark} {:<22} {}\n", manual.name, manual.summary));
    }
    text.push_str("\nEvery command explains itself with --help.\n");
    text
}

/// Prints what was asked for. A pipe that nobody reads any more is no error, as
/// `head` has then read enough; any other that cannot be written ends the process.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            tell!("safedib: cannot write to standard output: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}

/// Ends a command that prints a text, or fails.
fn answered(name: &str, answer: Result<String, Error>) -> ExitCode {
    match answer {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(name, &error),
    }
}

/// The log of a build, with a live view where there can be one. Who asks for a
/// trace, or for the plan, wants to see all of it.
fn with_view(log: LogWriter, request: &BuildRequest) -> LogWriter {
    let options = &request.log;
    log.with_view(&ViewPlaces {
        cache: &driver::machine_of(request).cache,
        image: &request.image_path().base_name,
        scroll: request.trace > 0 || options.verbose || options.trace,
    })
}

/// The end of a build, and of its log. When its outputs are in place, the loss
/// of the log's last lines is only told: a failed build leaves the old ones.
fn ended(name: &str, result: Result<(), Error>, log: LogWriter) -> Result<(), Error> {
    match (result, log.finish()) {
        (Ok(()), Err(lost)) => {
            let lost = Error::from(lost).render();
            tell!("{name}: WARNING: all outputs are in place, but the log is not complete: {lost}");
            Ok(())
        }
        (result, _) => result,
    }
}

/// Prints an error once, as `NAME: message` unless it is upstream's own text,
/// and gives its exit code.
fn fail(name: &str, error: &Error) -> ExitCode {
    if error.is_verbatim() {
        tell!("{}", error.render());
    } else {
        tell!("{name}: {}", error.render());
    }
    ExitCode::from(error.exit_code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_command_has_a_whole_manual() {
        for manual in manuals() {
            let name = manual.name;
            assert!(!manual.summary.is_empty(), "{name}");
            assert!(!manual.summary.ends_with('.'), "{name}");
            assert!(!manual.usage.is_empty(), "{name}");
            assert!(!manual.description.is_empty(), "{name}");
            assert!(!manual.see_also.is_empty(), "{name}");
            for paragraph in manual.description {
                assert!(paragraph.ends_with('.'), "{name}: {paragraph}");
            }
            let options = manual.options();
            assert!(!options.is_empty(), "{name}");
            for option in options {
                assert!(!option.help.ends_with('.'), "{name}: {}", option.help);
            }
        }
    }

    #[test]
    fn names_and_pages_are_unique_and_lead_somewhere() {
        let pages: BTreeSet<String> = manuals().iter().map(|it| it.page_name()).collect();
        assert_eq!(pages.len(), APPLETS.len());
        for manual in manuals() {
            for name in manual.see_also {
                let known = ["safedib", "safedib-variables"].contains(name);
                assert!(known || pages.contains(*name), "{}: {name}", manual.name);
            }
        }
    }

    #[test]
    fn help_fits_a_terminal() {
        for manual in manuals() {
            for line in manual.help().lines() {
                assert!(line.chars().count() <= 90, "{}: {line}", manual.name);
            }
        }
    }
}
