//! Commands by the exact name that a user types: as `argv[0]` through a
//! symlink, or as `safedib NAME`.

mod boot;
mod cache;
mod check;
mod dib_block_device;
mod dib_lint;
mod dib_run_parts;
mod disk_image_create;
mod diskimage_builder;
mod doctor;
mod element_info;
mod install_links;
mod plan;
mod shell;
mod virt_dib;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::signal::{signal, SigHandler, Signal};

use crate::agent;
use crate::appliance::namespace;
use crate::driver;
use crate::error::{tell, Error};
use crate::report::{LogWriter, ViewPlaces};
use crate::request::BuildRequest;

/// A command: gets the name it was called by and the words after it.
type Run = fn(&str, &[OsString]) -> ExitCode;

/// One command of the binary.
struct Applet {
    name: &'static str,
    summary: &'static str,
    run: Run,
    /// `install-links` makes a symlink of this name.
    linked: bool,
}

/// Every command, in the order of the help text.
static APPLETS: [Applet; 15] = [
    Applet {
        name: "disk-image-create",
        summary: "build disk images from elements",
        run: disk_image_create::run,
        linked: true,
    },
    Applet {
        name: "ramdisk-image-create",
        summary: "build ramdisks and their kernels from elements",
        run: disk_image_create::run,
        linked: true,
    },
    Applet {
        name: "diskimage-builder",
        summary: "build the images that files in YAML define",
        run: diskimage_builder::run,
        linked: true,
    },
    Applet {
        name: "virt-dib",
        summary: "the same in the syntax of virt-dib",
        run: virt_dib::run,
        linked: true,
    },
    Applet {
        name: "dib-block-device",
        summary: "read block-device configurations as upstream's helper does",
        run: dib_block_device::run,
        linked: true,
    },
    Applet {
        name: "dib-run-parts",
        summary: "run the scripts of a directory, here and as you",
        run: dib_run_parts::run,
        linked: true,
    },
    Applet {
        name: "element-info",
        summary: "print what elements depend on",
        run: element_info::run,
        linked: true,
    },
    Applet {
        name: "dib-lint",
        summary: "find common mistakes in elements",
        run: dib_lint::run,
        linked: true,
    },
    Applet {
        name: "plan",
        summary: "show what a command line would build, without building",
        run: plan::run,
        linked: false,
    },
    Applet {
        name: "check",
        summary: "tell what stands in the way of building with somebody's elements",
        run: check::run,
        linked: false,
    },
    Applet {
        name: "boot",
        summary: "boot an image at this terminal, without writing to it",
        run: boot::run,
        linked: false,
    },
    Applet {
        name: "shell",
        summary: "open a shell in the middle of a build",
        run: shell::run,
        linked: false,
    },
    Applet {
        name: "cache",
        summary: "list or remove the layers that --cache keeps",
        run: cache::run,
        linked: false,
    },
    Applet {
        name: "doctor",
        summary: "tell what this host can do, and what mends what it lacks",
        run: doctor::run,
        linked: false,
    },
    Applet {
        name: "install-links",
        summary: "make symlinks named like upstream's commands in a directory",
        run: install_links::run,
        linked: false,
    },
];

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
    if let Some(applet) = APPLETS.iter().find(|applet| applet.name == name) {
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
        Some(name) => match APPLETS.iter().find(|applet| applet.name == name) {
            Some(applet) => (applet.run)(name, rest),
            None => unknown(name),
        },
        None => unknown(&first.to_string_lossy()),
    }
}

fn unknown(name: &str) -> ExitCode {
    tell!(
        "safedib: unknown command '{name}'\nhint: the commands are {}",
        APPLETS.each_ref().map(|applet| applet.name).join(", ")
    );
    ExitCode::from(2)
}

fn help() -> String {
    let mut text = String::from(
        "Usage: safedib COMMAND [ARGUMENT]...\n\n\
         Builds disk images from diskimage-builder elements without root, and without\n\
         running any of them on this host.\n\nCommands (each also by a symlink of its name where marked *):\n",
    );
    for applet in &APPLETS {
        let mark = if applet.linked { '*' } else { ' ' };
        text.push_str(&format!(" {mark} {:<22} {}\n", applet.name, applet.summary));
    }
    text.push_str("\nEvery command explains itself with --help.\n");
    text
}

/// Prints text for a person or a pipe that may have gone: a closed stdout is
/// no error for `--help`.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _closed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
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
