//! An option as manuals show it and shells complete it.

use crate::request::options::OptionSpec;
use crate::request::{format_names, virt_dib};

/// An option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opt {
    /// Its names, with their dashes.
    pub names: Vec<String>,
    /// Its value.
    pub value: Option<Value>,
    /// What it does, in half a sentence without a full stop.
    pub help: String,
    /// Its value without the option, in words; empty if there is none.
    pub default: &'static str,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// What it is called.
    pub name: String,
    /// How it is given.
    pub given: Given,
    /// What it can be.
    pub kind: Kind,
}

/// How a value is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// As the next word; after `=`, too, if the name is a long one.
    Word,
    /// After `=` only.
    Attached,
    /// After `=`, or not at all.
    Optional,
}

/// What a value can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Any,
    /// One of these words.
    Words(Vec<String>),
    /// Some of these words, separated by commas.
    List(Vec<String>),
    /// The name of an element.
    Element,
    /// A path.
    File,
    /// The path of a directory.
    Directory,
}

impl Kind {
    /// The kind, by the name that the value has in a synopsis.
    fn of(name: &str) -> Kind {
        let words = |name: &str| name.split('|').map(str::to_owned).collect();
        match name {
            "TYPE[,TYPE...]" | "qcow2,tgz,..." => {
                Kind::List(format_names().map(str::to_owned).collect())
            }
            "ELEMENT" | "element" => Kind::Element,
            "DIR" | "DIRECTORY" | "directory" => Kind::Directory,
            "FILE" | "NAME" | "PATH" | "PATH[:rw]" | "PARAMS" | "path" => Kind::File,
            _ if name.contains('|') => Kind::Words(words(name)),
            _ => Kind::Any,
        }
    }
}

impl Value {
    fn new(name: &str, given: Given) -> Value {
        Value {
            name: name.to_owned(),
            given,
            kind: Kind::of(name),
        }
    }
}

impl Opt {
    /// An option of a list: `-j N, --jobs N`, `--cache=DIR`, `--cache[=DIR]`.
    pub fn read(synopsis: &str, help: &str) -> Opt {
        let mut names = Vec::new();
        let mut value = None;
        for part in synopsis.split(", ") {
            let (name, given, rest) = match part.find([' ', '=', '[']) {
                None => (part, Given::Word, ""),
                Some(at) => {
                    let (name, rest) = part.split_at(at);
                    match rest.strip_prefix("[=") {
                        Some(rest) => (name, Given::Optional, rest.trim_end_matches(']')),
                        None if rest.starts_with('=') => {
                            (name, Given::Attached, rest.trim_start_matches('='))
                        }
                        None => (name, Given::Word, rest.trim_start()),
                    }
                }
            };
            names.push(name.to_owned());
            value = Some(rest)
                .filter(|rest| !rest.is_empty())
                .map(|rest| Value::new(rest, given))
                .or(value);
        }
        Opt {
            names,
            value,
            help: help.to_owned(),
            default: "",
        }
    }

    /// An option of `disk-image-create`.
    pub(super) fn of(spec: &OptionSpec) -> Opt {
        let default = spec.default;
        let mut option = Opt::read(&spec.synopsis(), spec.help);
        option.default = default;
        option
    }

    /// An option of `virt-dib`.
    pub(super) fn of_virt_dib(spec: &virt_dib::OptionSpec) -> Opt {
        let value = match spec.value {
            virt_dib::Value::None => None,
            virt_dib::Value::Required(name) => Some(Value::new(name, Given::Word)),
            virt_dib::Value::Optional(name) => Some(Value::new(name, Given::Optional)),
        };
        let dashed = |name: &&str| match name.len() {
            1 => format!("-{name}"),
            _ => format!("--{name}"),
        };
        Opt {
            names: spec.names.iter().map(dashed).collect(),
            value,
            help: spec.help.to_owned(),
            default: spec.default,
        }
    }

    /// As it is typed: `-j, --jobs N`.
    pub fn synopsis(&self) -> String {
        let names = self.names.join(", ");
        match &self.value {
            None => names,
            Some(value) => match value.given {
                Given::Word => format!("{names} {}", value.name),
                Given::Attached => format!("{names}={}", value.name),
                Given::Optional => format!("{names}[={}]", value.name),
            },
        }
    }

    /// What it does, with its default.
    pub fn described(&self) -> String {
        match self.default {
            "" => self.help.clone(),
            default => format!("{} (default: {default})", self.help),
        }
    }

    /// What it does, in the few words that fit beside it in a list of shells: up
    /// to the first mark that ends a thought.
    pub fn brief(&self) -> &str {
        let thought = self.help.split([';', ':', '(']).next().unwrap_or_default();
        // A comma ends a thought unless it is the first word or two.
        let comma = thought.match_indices(", ").find(|(at, _)| *at > 20);
        let end = comma.map_or(thought.len(), |(at, _)| at);
        thought.get(..end).unwrap_or_default().trim_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(synopsis: &str) -> (Vec<String>, Option<(String, Given)>) {
        let option = Opt::read(synopsis, "");
        let value = option.value.map(|value| (value.name, value.given));
        (option.names, value)
    }

    #[test]
    fn synopses_are_read() {
        for (synopsis, names, value) in [
            ("--json", &["--json"][..], None),
            ("-h, --help", &["-h", "--help"], None),
            ("-o NAME", &["-o"], Some(("NAME", Given::Word))),
            (
                "-j N, --jobs N",
                &["-j", "--jobs"],
                Some(("N", Given::Word)),
            ),
            ("--cache=DIR", &["--cache"], Some(("DIR", Given::Attached))),
            (
                "--cache[=DIR]",
                &["--cache"],
                Some(("DIR", Given::Optional)),
            ),
            (
                "--envvar NAME[=VALUE]",
                &["--envvar"],
                Some(("NAME[=VALUE]", Given::Word)),
            ),
        ] {
            let expected = value.map(|(name, given)| (name.to_owned(), given));
            let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(read(synopsis), (names, expected), "{synopsis}");
        }
    }

    #[test]
    fn synopses_are_written_as_they_are_read() {
        for synopsis in ["-h, --help", "--cache[=DIR]", "--cache=DIR", "-j, --jobs N"] {
            assert_eq!(Opt::read(synopsis, "").synopsis(), synopsis);
        }
    }

    #[test]
    fn values_are_told_by_their_names() {
        let kind = |synopsis| Opt::read(synopsis, "").value.map(|value| value.kind);
        let words = vec!["text".to_owned(), "json".to_owned()];
        assert_eq!(kind("--format text|json"), Some(Kind::Words(words)));
        assert_eq!(kind("--lib DIR"), Some(Kind::Directory));
        assert_eq!(kind("--ramdisk-element ELEMENT"), Some(Kind::Element));
        assert_eq!(kind("--smp N"), Some(Kind::Any));
        let Some(Kind::List(formats)) = kind("-t TYPE[,TYPE...]") else {
            panic!("formats are a list");
        };
        assert!(formats.contains(&"squashfs".to_owned()));
    }

    #[test]
    fn brief_ends_with_the_first_thought() {
        for (help, brief) in [
            ("trace what is run; twice for more", "trace what is run"),
            ("types of the image: qcow2, raw", "types of the image"),
            ("show this text", "show this text"),
            (
                "with --cache, go on at the hook that failed, with all",
                "with --cache, go on at the hook that failed",
            ),
            ("", ""),
        ] {
            assert_eq!(Opt::read("-x", help).brief(), brief);
        }
    }
}
