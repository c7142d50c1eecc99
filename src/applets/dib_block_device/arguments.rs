//! The command line, read as Python's argparse reads it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::Failure;

/// What the words ask for.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    /// `-h`, of the program or of a command.
    Help(Option<Command>),
    /// Everything else.
    Run {
        /// `--params`, if it is not empty.
        params: Option<PathBuf>,
        /// No command is an error, but a late one.
        command: Option<Command>,
        /// What `getval` is to print.
        symbol: Option<String>,
    },
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Init,
    Getval,
    Create,
    Umount,
    Cleanup,
    Delete,
    Writefstab,
}

impl Command {
    /// In the order of the usage line.
    pub(super) const ALL: [Command; 7] = [
        Command::Init,
        Command::Getval,
        Command::Create,
        Command::Umount,
        Command::Cleanup,
        Command::Delete,
        Command::Writefstab,
    ];

    /// As the user types it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Command::Init => "init",
            Command::Getval => "getval",
            Command::Create => "create",
            Command::Umount => "umount",
            Command::Cleanup => "cleanup",
            Command::Delete => "delete",
            Command::Writefstab => "writefstab",
        }
    }

    /// What it does, for the help text.
    pub(super) const fn summary(self) -> &'static str {
        match self {
            Command::Init => "expand the configuration and write config.json",
            Command::Getval => "print a value of the configuration or of the devices",
            Command::Create => "create, partition, format and mount (in the appliance)",
            Command::Umount => "unmount and detach (in the appliance)",
            Command::Cleanup => "forget what was created and unmounted (in the appliance)",
            Command::Delete => "undo after a failure (in the appliance)",
            Command::Writefstab => "write etc/fstab of the tree in BUILD-DIR/built",
        }
    }
}

/// The usage line of the program.
pub(super) fn usage(name: &str) -> String {
    let commands = Command::ALL.map(Command::name).join(",");
    let indent = " ".repeat("usage: ".len() + name.len() + 1);
    format!("usage: {name} [-h] [--params PARAMS]\n{indent}{{{commands}}}\n{indent}...\n")
}

/// The usage line of a command.
pub(super) fn command_usage(name: &str, command: Command) -> String {
    let symbol = match command {
        Command::Getval => " symbol",
        _ => "",
    };
    format!("usage: {name} {} [-h]{symbol}\n", command.name())
}

/// Reads the words after the program's name.
pub(super) fn parse(name: &str, words: &[OsString]) -> Result<Request, Failure> {
    let mut words = words.iter();
    let mut front = Front::default();
    let command = match front.read(name, &mut words)? {
        Found::Help => return Ok(Request::Help(None)),
        Found::End => None,
        Found::Command(command) => Some(command),
    };
    let Front {
        params,
        mut unknown,
    } = front;
    let mut symbol = None;
    for word in words {
        match option(word) {
            Kind::Help => return Ok(Request::Help(command)),
            Kind::Word if command == Some(Command::Getval) && symbol.is_none() => {
                symbol = Some(word.to_string_lossy().into_owned());
            }
            Kind::Separator => {}
            _ => unknown.push(word),
        }
    }
    if let (Some(Command::Getval), None) = (command, &symbol) {
        return Err(Failure::Usage {
            usage: command_usage(name, Command::Getval),
            program: format!("{name} getval"),
            message: "the following arguments are required: symbol".into(),
        });
    }
    if !unknown.is_empty() {
        let unknown: Vec<_> = unknown.iter().map(|word| word.to_string_lossy()).collect();
        let message = format!("unrecognized arguments: {}", unknown.join(" "));
        return Err(refuse(name, message));
    }
    Ok(Request::Run {
        params: params.filter(|path| !path.is_empty()).map(PathBuf::from),
        command,
        symbol,
    })
}

fn refuse(name: &str, message: String) -> Failure {
    Failure::Usage {
        usage: usage(name),
        program: name.into(),
        message,
    }
}

/// What comes before the command.
#[derive(Default)]
struct Front<'w> {
    params: Option<OsString>,
    unknown: Vec<&'w OsStr>,
}

/// What ended the words before the command.
enum Found {
    Help,
    End,
    Command(Command),
}

impl<'w> Front<'w> {
    fn read(
        &mut self,
        name: &str,
        words: &mut std::slice::Iter<'w, OsString>,
    ) -> Result<Found, Failure> {
        while let Some(word) = words.next() {
            match option(word) {
                Kind::Help => return Ok(Found::Help),
                Kind::Params(Some(value)) => self.params = Some(value),
                Kind::Params(None) => match words.next() {
                    Some(value) if !is_option(value) => self.params = Some(value.clone()),
                    _ => {
                        let message = "argument --params: expected one argument";
                        return Err(refuse(name, message.into()));
                    }
                },
                Kind::Separator => {}
                Kind::Unknown => self.unknown.push(word),
                Kind::Word => return command(name, word).map(Found::Command),
            }
        }
        Ok(Found::End)
    }
}

fn command(name: &str, word: &OsStr) -> Result<Command, Failure> {
    let known = Command::ALL.into_iter().find(|c| word == c.name());
    known.ok_or_else(|| {
        let choices = Command::ALL.map(|c| format!("'{}'", c.name())).join(", ");
        let word = word.to_string_lossy();
        let message = format!("argument command: invalid choice: '{word}' (choose from {choices})");
        refuse(name, message)
    })
}

/// What a word is.
enum Kind {
    Help,
    /// With its value, if `=` brings one.
    Params(Option<OsString>),
    Separator,
    Unknown,
    Word,
}

fn is_option(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes.len() > 1 && bytes[0] == b'-'
}

/// Long options may be cut short, down to a prefix that only one has.
fn option(word: &OsStr) -> Kind {
    if !is_option(word) {
        return Kind::Word;
    }
    let Some(text) = word.to_str() else {
        return Kind::Unknown;
    };
    let (option, value) = match text.split_once('=') {
        Some((option, value)) => (option, Some(OsString::from(value))),
        None => (text, None),
    };
    match option {
        "--" => Kind::Separator,
        "-h" if value.is_none() => Kind::Help,
        "-h" => Kind::Unknown,
        _ if option.len() < 3 => Kind::Unknown,
        _ if "--help".starts_with(option) && value.is_none() => Kind::Help,
        _ if "--params".starts_with(option) => Kind::Params(value),
        _ => Kind::Unknown,
    }
}
