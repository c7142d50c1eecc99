//! What was typed: no look-up, no file, so help works on a broken host.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::environment::Environment;
use super::error::Error;
use super::getopt;
use super::options::{self, OptionId};
use super::resolved::BaseElements;
use super::variables;

/// A command line, understood but not yet judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawRequest {
    /// Name of the command.
    pub program: String,
    /// `ramdisk-image-create` semantics.
    pub ramdisk: bool,
    /// Options in order, with their values.
    pub given: Vec<(OptionId, Option<OsString>)>,
    /// The remaining words, in order and as typed.
    pub operands: Vec<OsString>,
    /// All words of the command line (`DIB_ARGS`).
    pub words: Vec<OsString>,
    /// Set by a syntax that names all elements' directories itself.
    pub named_elements: Option<NamedElements>,
}

/// Element directories of a syntax that has no `ELEMENTS_PATH`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedElements {
    /// Absolute directories, the first one that has an element wins.
    pub path: Vec<PathBuf>,
    /// Upstream's own among them.
    pub base: Option<BaseElements>,
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// Print this on stdout and exit with 0.
    Help(String),
    /// Print the version on stdout and exit with 0.
    Version,
    /// Build something.
    Build(RawRequest),
}

/// Parses a command line of `disk-image-create` or `ramdisk-image-create`.
///
/// `program` is the exact base name of the command, `arguments` what follows it.
///
/// # Errors
/// [`Error::Usage`] with every complaint of the parser; exit status 1.
pub fn parse(
    program: &str,
    arguments: &[OsString],
    environment: &Environment,
) -> Result<Parsed, Error> {
    let posixly_correct = environment.get(variables::POSIXLY_CORRECT.name).is_some();
    let words = getopt::parse(&options::grammar(), program, arguments, posixly_correct)
        .map_err(Error::Usage)?;
    let ramdisk = program == "ramdisk-image-create";
    let mut raw = RawRequest {
        program: program.to_owned(),
        ramdisk,
        given: Vec::new(),
        operands: words.operands,
        words: arguments.to_vec(),
        named_elements: None,
    };
    for (name, value) in words.options {
        let Some(option) = options::by_name(name) else {
            continue;
        };
        match option.id {
            OptionId::Help => return Ok(Parsed::Help(options::help(program, ramdisk))),
            OptionId::Version => return Ok(Parsed::Version),
            id => raw.given.push((id, value)),
        }
    }
    Ok(Parsed::Build(raw))
}

impl RawRequest {
    /// How often an option was given.
    pub fn count(&self, id: OptionId) -> usize {
        self.given.iter().filter(|(given, _)| *given == id).count()
    }

    /// Whether a switch was given.
    pub fn has(&self, id: OptionId) -> bool {
        self.count(id) > 0
    }

    /// All values of an option, in order.
    pub fn all(&self, id: OptionId) -> impl Iterator<Item = &OsStr> {
        self.given
            .iter()
            .filter(move |(given, _)| *given == id)
            .filter_map(|(_, value)| value.as_deref())
    }

    /// The last value of an option.
    pub fn last(&self, id: OptionId) -> Option<&OsStr> {
        self.all(id).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &[&str]) -> Result<Parsed, Error> {
        let arguments: Vec<OsString> = line.iter().map(OsString::from).collect();
        parse("disk-image-create", &arguments, &Environment::default())
    }

    #[test]
    fn first_of_help_and_version_wins_over_a_build() {
        assert!(matches!(
            run(&["vm", "--help", "--version"]),
            Ok(Parsed::Help(_))
        ));
        assert_eq!(run(&["--vers", "-h", "x"]), Ok(Parsed::Version));
    }

    #[test]
    fn complaints_come_before_help() {
        assert_eq!(
            run(&["--help", "--foo", "-z"]),
            Err(Error::Usage(vec![
                "disk-image-create: unrecognized option '--foo'".to_owned(),
                "disk-image-create: invalid option -- 'z'".to_owned(),
            ]))
        );
    }

    #[test]
    fn repetition_is_kept() {
        let Ok(Parsed::Build(raw)) = run(&["-xx", "vm", "-a1", "-p", "a", "-a", "2", "-pb", "-x"])
        else {
            panic!("parses");
        };
        assert_eq!(raw.count(OptionId::Trace), 3);
        assert_eq!(raw.last(OptionId::Arch), Some(OsStr::new("2")));
        assert_eq!(raw.all(OptionId::Packages).count(), 2);
        assert_eq!(raw.operands, ["vm"]);
    }

    #[test]
    fn posixly_correct_ends_options_at_the_first_element() {
        let environment = Environment::from_iter([("POSIXLY_CORRECT", "")]);
        let arguments = ["vm", "-x"].map(OsString::from);
        let parsed = parse("disk-image-create", &arguments, &environment);
        let Ok(Parsed::Build(raw)) = parsed else {
            panic!("parses");
        };
        assert_eq!(raw.operands, ["vm", "-x"]);
    }
}
