//! The caller's variables that hold credentials, and those that the user hands
//! in by name. Upstream gives hooks the caller's whole environment.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::environment::Environment;
use super::error::Error;
use super::options::OptionId;
use super::quoting::is_identifier;
use super::raw::RawRequest;
use super::variables;

/// What names of credentials have in them.
const WORDS: [&str; 10] = [
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
];

/// Stands for the value of a credential wherever we write down an environment.
pub(super) const MASK: &str = "***";

/// The name that stands for all variables.
const ALL: &str = "*";

/// Whether a variable's name says that its value is a credential.
pub fn says_credential(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// Variables that the user hands in by name: `--envvar`, `DIB_ENVVARS`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandedIn {
    names: BTreeSet<String>,
}

impl HandedIn {
    /// Reads the options and the variable; the second value is what they set.
    ///
    /// # Errors
    /// [`Error::BadVariable`] for what names none, [`Error::NotUtf8`].
    pub(super) fn read(
        raw: &RawRequest,
        caller: &Environment,
    ) -> Result<(HandedIn, Environment), Error> {
        let mut handed = HandedIn::default();
        let mut values = Environment::default();
        let listed = caller.get(variables::DIB_ENVVARS.name).unwrap_or_default();
        let listed = text(variables::DIB_ENVVARS.name, listed)?;
        let listed = listed.split(|c: char| c == ',' || c.is_ascii_whitespace());
        let mut words: Vec<&str> = listed.filter(|word| !word.is_empty()).collect();
        for word in raw.all(OptionId::Envvar) {
            words.push(text("--envvar", word)?);
        }
        for word in words {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(OsStr::new(value))),
                None => (word, caller.get(word)),
            };
            if name != ALL && !is_identifier(name.as_bytes()) {
                return Err(Error::BadVariable(name.to_owned()));
            }
            handed.names.insert(name.to_owned());
            if let Some(value) = value {
                values.set(name, value);
            }
        }
        Ok((handed, values))
    }

    /// Whether a variable is among them.
    pub fn has(&self, name: &OsStr) -> bool {
        self.names.contains(ALL) || name.to_str().is_some_and(|name| self.names.contains(name))
    }
}

fn text<'a>(what: &str, value: &'a OsStr) -> Result<&'a str, Error> {
    value.to_str().ok_or_else(|| Error::not_utf8(what, value))
}

/// The words of a command line, with the credentials in `--envvar NAME=VALUE`
/// masked, for `DIB_ARGS`, which ends up in images.
pub(super) fn masked(words: Vec<String>) -> Vec<String> {
    let mut before = String::new();
    let masked = words.into_iter().map(|word| {
        let shown = match word.strip_prefix("--envvar=") {
            Some(setting) => format!("--envvar={}", mask_setting(setting)),
            None if before == "--envvar" => mask_setting(&word),
            None => word.clone(),
        };
        before = word;
        shown
    });
    masked.collect()
}

fn mask_setting(setting: &str) -> String {
    match setting.split_once('=') {
        Some((name, _)) if says_credential(OsStr::new(name)) => format!("{name}={MASK}"),
        _ => setting.to_owned(),
    }
}

/// The value of a variable as it may be written down.
pub(super) fn shown<'a>(name: &OsStr, value: &'a OsStr) -> &'a [u8] {
    match says_credential(name) {
        true => MASK.as_bytes(),
        false => value.as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    #[test]
    fn names_say_what_is_a_credential() {
        let says = |name: &str| says_credential(OsStr::new(name));
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "GITHUB_TOKEN",
            "OS_PASSWORD",
            "os_password",
            "PGPASSWD",
            "GPG_PASSPHRASE",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "SOME_API_KEY",
            "SSH_PRIVATE_KEY",
        ] {
            assert!(says(name), "{name}");
        }
        for name in [
            "HOME",
            "PATH",
            "DIB_RELEASE",
            "KEYRING",
            "http_proxy",
            "PASS",
        ] {
            assert!(!says(name), "{name}");
        }
    }

    fn read(options: &[&str], caller: &[(&str, &str)]) -> Result<(HandedIn, Environment), Error> {
        let raw = RawRequest {
            given: options
                .iter()
                .map(|value| (OptionId::Envvar, Some(OsString::from(value))))
                .collect(),
            ..RawRequest::default()
        };
        let caller: Environment = caller.iter().copied().collect();
        HandedIn::read(&raw, &caller)
    }

    #[test]
    fn options_and_variable_hand_in() {
        let caller = [("DIB_ENVVARS", "A,B C"), ("A", "1"), ("D", "2"), ("E", "3")];
        let (handed, values) = read(&["D", "F=x=y", "E=4"], &caller).unwrap();
        for name in ["A", "B", "C", "D", "E", "F"] {
            assert!(handed.has(OsStr::new(name)), "{name}");
        }
        assert!(!handed.has(OsStr::new("G")));
        let expected = [("A", "1"), ("D", "2"), ("E", "4"), ("F", "x=y")];
        assert_eq!(values, expected.into_iter().collect());
        assert!(read(&["*"], &[]).unwrap().0.has(OsStr::new("G")));
        for wrong in ["", "=x", "a b", "1A"] {
            let error = read(&[wrong], &[]).unwrap_err();
            assert!(matches!(error, Error::BadVariable(_)), "{wrong}: {error}");
        }
    }

    #[test]
    fn credentials_of_the_command_line_are_masked() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let given = words(&[
            "--envvar",
            "A_TOKEN=x",
            "--envvar=B_SECRET=y",
            "--envvar",
            "C=z",
            "D_TOKEN=e",
        ]);
        let expected: Vec<String> = words(&[
            "--envvar",
            "A_TOKEN=***",
            "--envvar=B_SECRET=***",
            "--envvar",
            "C=z",
            "D_TOKEN=e",
        ]);
        assert_eq!(masked(given), expected);
    }
}
