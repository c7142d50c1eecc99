//! `virt-dib`.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use crate::driver;
use crate::elements::Phase;
use crate::error::{tell, Error, Syntax};
use crate::manual::{Manual, Operands, Options};
use crate::report::{LogWriter, Messages};
use crate::request::virt_dib::{self, Line, Parsed, Style, PROGRAM};
use crate::request::{variables, BuildRequest, Environment, HostFacts, MessageStyle};

use super::{ended, print, with_view};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: PROGRAM,
    linked: true,
    summary: "build disk images from elements, in the syntax of virt-dib",
    usage: &["-B LIB -p ELEMENTS [OPTION]... ELEMENT..."],
    description: &[
        "Builds disk images from elements of diskimage-builder, as virt-dib of guestfs-tools did until 1.50. Neither \
         root nor anything of libguestfs is needed, and no script of an element runs on this machine.",
        "Long options may have one dash or two, may be cut to any unambiguous beginning, and take their value after \
         `=` or as the next word; letters may be bundled.",
    ],
    options: Options::VirtDib,
    operands: Operands::Elements,
    environment: &[
        (
            "LIBGUESTFS_*",
            "MEMSIZE, CACHEDIR, TMPDIR, HV, BACKEND_SETTINGS, TRACE and DEBUG, as for the original; also TMPDIR",
        ),
        ("DIB_APPLIANCE", "where hooks run, as for disk-image-create"),
    ],
    statuses: &[
        ("0", "all outputs are in place"),
        ("1", "anything went wrong"),
        ("other", "that of a hook of extra-data.d that failed, or 128 and the number of a signal"),
    ],
    examples: &[(
        "A Debian image that boots:",
        "virt-dib -B LIB -p ELEMENTS --envvar DIB_RELEASE=bookworm --name image debian-minimal vm",
    )],
    see_also: &["disk-image-create", "safedib-plan", "safedib-variables"],
    ..Manual::EMPTY
};

/// Exit status of everything that goes wrong, but for hooks of extra-data.d.
const FAILURE: u8 = 1;

/// Parses the command line, resolves the request and builds it.
pub fn run(_name: &str, words: &[OsString]) -> ExitCode {
    Syntax::VirtDib.speak();
    let caller = Environment::current();
    let (parsed, style) = parse(words, &caller);
    let opened = Messages::open(PROGRAM, message_style(&style));
    let (messages, parsed) = match (opened, parsed) {
        (Ok(messages), parsed) => (messages, parsed.map_err(Error::from)),
        (Err(error), _) => (Messages::plain(PROGRAM), Err(error.into())),
    };
    let done = parsed
        .map_err(|error| (error, FAILURE))
        .and_then(|parsed| answer(parsed, &style, &caller, &messages));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((error, status)) => {
            complain(&messages, &style, &error);
            ExitCode::from(status)
        }
    }
}

/// The request of a command line; `None` after help and its like, which have
/// been answered then.
///
/// # Errors
/// Whatever is wrong with the words or with what they name.
pub(super) fn request(words: &[OsString]) -> Result<Option<BuildRequest>, Error> {
    Syntax::VirtDib.speak();
    let caller = Environment::current();
    let (parsed, style) = parse(words, &caller);
    match parsed? {
        Parsed::Build(line) => Ok(Some(resolve(&line, &style, &caller)?)),
        other => {
            let messages = Messages::open(PROGRAM, message_style(&style))?;
            say(&other, &messages)?;
            Ok(None)
        }
    }
}

fn parse(words: &[OsString], caller: &Environment) -> (Result<Parsed, virt_dib::Error>, Style) {
    let mut style = Style::default();
    let texts: Result<Vec<String>, _> = words
        .iter()
        .map(|word| {
            let text = word.to_str().map(str::to_owned);
            text.ok_or_else(|| virt_dib::Error::NotUtf8(word.to_string_lossy().into_owned()))
        })
        .collect();
    let posixly_correct = caller.get(variables::POSIXLY_CORRECT.name).is_some();
    let parsed = texts.and_then(|texts| virt_dib::parse(&texts, posixly_correct, &mut style));
    virt_dib::settle(&mut style, caller);
    (parsed, style)
}

fn resolve(line: &Line, style: &Style, caller: &Environment) -> Result<BuildRequest, Error> {
    let host = HostFacts::gather()?;
    Ok(virt_dib::resolve(line, style, caller, &host)?)
}

fn message_style(style: &Style) -> MessageStyle {
    MessageStyle {
        colours: style.colours,
        wrap: style.wrap,
        quiet: style.quiet,
        machine_readable: style.machine_readable.clone(),
    }
}

fn answer(
    parsed: Parsed,
    style: &Style,
    caller: &Environment,
    messages: &Messages,
) -> Result<(), (Error, u8)> {
    let plainly = |error| (error, FAILURE);
    match parsed {
        Parsed::Build(line) => {
            let request = resolve(&line, style, caller).map_err(plainly)?;
            build(&line, &request, messages)
        }
        other => say(&other, messages).map_err(plainly),
    }
}

/// Answers a command line that asks for no build.
fn say(parsed: &Parsed, messages: &Messages) -> Result<(), Error> {
    match parsed {
        Parsed::Text(text) => print(text),
        Parsed::Version => print(&format!(
            "{PROGRAM} (safedib) {}\n",
            env!("CARGO_PKG_VERSION")
        )),
        Parsed::Listing(text) => messages.machine_readable(text)?,
        Parsed::Build(_) => {}
    }
    Ok(())
}

fn build(line: &Line, request: &BuildRequest, messages: &Messages) -> Result<(), (Error, u8)> {
    let names = |words: &[String]| match words {
        [] => "(none)".to_owned(),
        words => words.join(" "),
    };
    let carried: Vec<String> = line
        .envvars
        .iter()
        .map(|word| word.split('=').next().unwrap_or_default().to_owned())
        .collect();
    let elements = format!("Elements: {}", names(&request.elements));
    print(&format!("{}\n", messages.info(&elements)));
    let carried = format!("Carried environment variables: {}", names(&carried));
    print(&format!("{}\n", messages.info(&carried)));
    let log = LogWriter::new(&request.log, io::stdout());
    let log = log
        .map_err(|error| (error.into(), FAILURE))?
        .with_messages(messages.clone());
    let mut log = with_view(log, request);
    let result = driver::build(request, &mut log);
    let code = result.as_ref().map_or_else(status, |()| FAILURE);
    ended(PROGRAM, result.map_err(Error::from), log).map_err(|error| (error, code))
}

/// What scripts of the original are told: the status of a hook of extra-data.d,
/// which was the only phase on the host, else 1; a signal as a shell has it.
fn status(error: &driver::Error) -> u8 {
    use crate::error::Explain;
    match error {
        driver::Error::Failed(failure) if failure.phase() == Some(Phase::ExtraData) => {
            failure.exit_code()
        }
        driver::Error::Interrupted { .. } => error.exit_code(),
        _ => FAILURE,
    }
}

fn complain(messages: &Messages, style: &Style, error: &Error) {
    if error.is_verbatim() {
        tell!("{}", error.render());
    } else {
        let advice = !(style.verbose && style.trace);
        tell!("{}", messages.error(&error.render(), advice));
    }
}
