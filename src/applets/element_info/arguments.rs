//! The command line, read as Python's argparse reads it.

use std::ffi::OsString;

use super::Failure;

/// What the words ask for.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Help,
    Show { env: bool, elements: Vec<String> },
}

/// What one word is.
enum Kind {
    Help,
    Env,
    Unknown,
    /// A flag with a value, which none takes: the flag, and the value.
    Valued(&'static str, String),
    /// `--`: all that follows are elements.
    Separator,
    Element,
}

const HELP: &str = "-h/--help";
const ENV: &str = "--env/-e";

/// The usage line.
pub(super) fn usage(name: &str) -> String {
    format!("usage: {name} [-h] [--env] elements [elements ...]\n")
}

/// Reads the words after the program's name. The elements are the first words
/// in a row that are no options; argparse takes none after that.
pub(super) fn parse(name: &str, words: &[OsString]) -> Result<Request, Failure> {
    let refuse = |message: String| Failure::Usage {
        usage: usage(name),
        program: name.into(),
        message,
    };
    let mut env = false;
    let mut elements: Vec<String> = Vec::new();
    let mut unknown: Vec<String> = Vec::new();
    let (mut closed, mut literal) = (false, false);
    for word in words {
        let text = word.to_string_lossy().into_owned();
        let found = match literal {
            true => Kind::Element,
            false => kind(&text),
        };
        closed |= !elements.is_empty() && !matches!(found, Kind::Element | Kind::Separator);
        match found {
            Kind::Help => return Ok(Request::Help),
            Kind::Env => env = true,
            Kind::Unknown => unknown.push(text),
            Kind::Valued(flag, value) => {
                let message = format!("argument {flag}: ignored explicit argument '{value}'");
                return Err(refuse(message));
            }
            Kind::Separator => literal = true,
            Kind::Element if closed => unknown.push(text),
            Kind::Element => elements.push(text),
        }
    }
    if elements.is_empty() {
        let message = "the following arguments are required: elements";
        return Err(refuse(message.into()));
    }
    if !unknown.is_empty() {
        let message = format!("unrecognized arguments: {}", unknown.join(" "));
        return Err(refuse(message));
    }
    Ok(Request::Show { env, elements })
}

/// Long options may be cut short; short ones may stand together; what looks
/// like a negative number or has a blank in it is no option.
fn kind(text: &str) -> Kind {
    if text == "--" {
        return Kind::Separator;
    }
    if let Some(long) = text.strip_prefix("--") {
        let (option, value) = match long.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (long, None),
        };
        let flag = match option {
            "" => return Kind::Unknown,
            _ if "help".starts_with(option) => HELP,
            _ if "env".starts_with(option) => ENV,
            _ if text.contains(' ') => return Kind::Element,
            _ => return Kind::Unknown,
        };
        return match value {
            Some(value) => Kind::Valued(flag, value.to_owned()),
            None if flag == HELP => Kind::Help,
            None => Kind::Env,
        };
    }
    match text.strip_prefix('-') {
        None | Some("") => Kind::Element,
        Some(letters) => short(letters),
    }
}

/// `-e`, `-h`, and both with other letters behind them.
fn short(letters: &str) -> Kind {
    let rest = letters.trim_start_matches('e');
    match rest {
        "" => Kind::Env,
        _ if rest.starts_with('h') && rest.len() == 1 => Kind::Help,
        _ if rest.starts_with('h') => match rest.trim_start_matches(['h', 'e']) {
            "" => Kind::Help,
            value => Kind::Valued(HELP, value.to_owned()),
        },
        _ if rest.len() < letters.len() => Kind::Valued(ENV, rest.to_owned()),
        _ if letters.contains(' ') || is_number(letters) => Kind::Element,
        _ => Kind::Unknown,
    }
}

fn is_number(digits: &str) -> bool {
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return false,
        Some(parts) => parts,
        None if digits.is_empty() => return false,
        None => (digits, ""),
    };
    whole
        .bytes()
        .chain(fraction.bytes())
        .all(|byte| byte.is_ascii_digit())
}
