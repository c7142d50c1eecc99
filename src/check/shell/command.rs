//! What a command really calls: `sudo -E env A=b nice tool x` calls `tool`.

use std::collections::BTreeMap;

use super::word::{assigns, leading_variable, named};
use super::{Command, Script, Word};

/// Commands that only start another one, with their options that take a value.
const PREFIXES: [(&str, &[&str]); 11] = [
    ("sudo", &["-u", "-g", "-h", "-p", "-r", "-t", "-C", "-D"]),
    ("env", &["-u", "-C", "-S"]),
    ("nice", &["-n"]),
    ("ionice", &["-c", "-n", "-p"]),
    ("nohup", &[]),
    ("exec", &["-a"]),
    ("command", &[]),
    ("builtin", &[]),
    ("setsid", &[]),
    ("timeout", &["-s", "-k"]),
    ("xargs", &["-n", "-I", "-L", "-P", "-d", "-s", "-E", "-a"]),
];

/// A command without what only starts it.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Base name of the program; empty if it is a variable.
    pub name: String,
    /// The program as it stands there.
    pub program: &'a str,
    /// What follows.
    pub arguments: &'a [Word],
    /// Line of the command, from 1.
    pub line: usize,
    /// It runs below `chroot`, so in another tree.
    pub chrooted: bool,
    /// Whom `sudo -u` names.
    pub user: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// The call in a command; none in a bare assignment or redirection, and in
    /// `command -v X`, which only looks.
    pub fn of(command: &'a Command) -> Option<Call<'a>> {
        let mut words = command.words.as_slice();
        let mut chrooted = false;
        let mut user = None;
        loop {
            let (first, rest) = words.split_first()?;
            let name = base_name(&first.text);
            if let Some((_, valued)) = PREFIXES.iter().find(|(prefix, _)| *prefix == name) {
                if name == "command" && rest.first().is_some_and(|w| w.text.starts_with("-v")) {
                    return None;
                }
                if name == "sudo" {
                    user = sudo_user(rest).or(user);
                }
                let next = after_options(rest, valued);
                let skipped = usize::from(name == "timeout");
                words = next.get(skipped..).unwrap_or_default();
                if words.is_empty() && matches!(name, "xargs" | "sudo" | "exec" | "env") {
                    return None;
                }
            } else if name == "flock" {
                let next = after_options(rest, &["-w", "-E"]);
                words = next.get(1..).unwrap_or_default();
            } else if name == "chroot" {
                chrooted = true;
                let next = after_options(rest, &[]);
                match next.get(1..) {
                    Some(inner) if !inner.is_empty() => words = inner,
                    _ => return None,
                }
            } else if name.is_empty() && rest.iter().any(|word| word.text == "chroot") {
                // `$prefix chroot DIR ...` with a prefix that is not known.
                let place = rest.iter().position(|word| word.text == "chroot");
                words = rest.get(place?..).unwrap_or_default();
            } else {
                return Some(Call {
                    name: name.to_owned(),
                    program: &first.text,
                    arguments: rest,
                    line: command.line,
                    chrooted,
                    user,
                });
            }
        }
    }

    /// The arguments that are no options.
    pub fn operands(&self) -> impl Iterator<Item = &'a Word> {
        self.arguments
            .iter()
            .filter(|word| !word.text.starts_with('-') || word.text == "-")
    }

    /// Whether one of the arguments is exactly this.
    pub fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|word| word.text == argument)
    }

    /// The argument after an option, or joined to it by `=`.
    pub fn value_of(&self, option: &str) -> Option<&'a str> {
        let words = self.arguments;
        words.iter().enumerate().find_map(|(index, word)| {
            if word.text == option {
                return words.get(index + 1).map(|word| word.text.as_str());
            }
            word.text.strip_prefix(option)?.strip_prefix('=')
        })
    }
}

/// The user of `sudo -u X`, `-Hiu X` or `--user=X`.
fn sudo_user(words: &[Word]) -> Option<&str> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if let Some(user) = text.strip_prefix("--user=") {
            return Some(user);
        }
        if text == "--user"
            || (text.starts_with('-') && text.ends_with('u') && !text.starts_with("--"))
        {
            return words.next().map(|word| word.text.as_str());
        }
        if !text.starts_with('-') {
            break;
        }
    }
    None
}

fn base_name(program: &str) -> &str {
    if program.starts_with('/') {
        return program.rsplit('/').next().unwrap_or_default();
    }
    match program.contains(['$', '/', '\u{1}']) {
        true => "",
        false => program,
    }
}

/// The words after options and `NAME=VALUE`s.
fn after_options<'a>(mut words: &'a [Word], valued: &[&str]) -> &'a [Word] {
    while let Some((first, rest)) = words.split_first() {
        let text = first.text.as_str();
        if text == "--" {
            return rest;
        }
        let cluster = text.starts_with('-') && !text.starts_with("--") && text.len() > 2;
        let takes_user = cluster && text.ends_with('u') && valued.contains(&"-u");
        if valued.contains(&text) || takes_user {
            words = rest.get(1..).unwrap_or_default();
        } else if text.starts_with('-') || assigns(text) {
            words = rest;
        } else {
            break;
        }
    }
    words
}

/// Puts the value in the place of a program that is a variable with a plain
/// value: `tool="sudo chroot $T apt-get"; $tool update`.
pub(super) fn expand_programs(script: &mut Script) {
    let mut expanded = Vec::new();
    let shell = Shell::new(script);
    for (index, command) in script.commands.iter().enumerate() {
        let place = command
            .words
            .iter()
            .take_while(|word| is_prefix(&word.text))
            .count();
        let Some(word) = command.words.get(place) else {
            continue;
        };
        let whole = word
            .leading_variable()
            .is_some_and(|(_, rest)| rest.is_empty());
        let value = shell.resolve(&word.text);
        if whole && !value.starts_with(['$', '(']) && !value.is_empty() {
            expanded.push((index, place, value));
        }
    }
    for (index, place, value) in expanded {
        let words = value.split_whitespace().map(|text| Word {
            text: text.to_owned(),
            quoted: false,
        });
        if let Some(command) = script.commands.get_mut(index) {
            command.words.splice(place..=place, words);
        }
    }
}

/// `sudo`, `env` and the like, and their options.
fn is_prefix(text: &str) -> bool {
    text.starts_with('-') || PREFIXES.iter().any(|(prefix, _)| *prefix == text)
}

/// A script with the values of its variables, as far as they are plain.
pub struct Shell<'a> {
    /// The script.
    pub script: &'a Script,
    values: BTreeMap<&'a str, &'a str>,
}

impl<'a> Shell<'a> {
    /// Takes the first value of each variable.
    pub fn new(script: &'a Script) -> Shell<'a> {
        let mut values = BTreeMap::new();
        for command in &script.commands {
            for (name, value) in &command.assignments {
                let itself = leading_variable(&value.text).is_some_and(|(other, _)| {
                    other == name && !value.text.contains(":-") && !value.text.contains(":=")
                });
                if !itself {
                    values.entry(name.as_str()).or_insert(value.text.as_str());
                }
            }
            // `: ${X:=default}`
            for word in &command.words {
                if let Some((name, default)) = assigned_default(&word.text) {
                    values.entry(name).or_insert(default);
                }
            }
        }
        Shell { script, values }
    }

    /// The text with the variable at its beginning replaced by its value or
    /// default, again and again; what the engine sets stays.
    pub fn resolve(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..6 {
            let Some((name, rest)) = leading_variable(&text) else {
                break;
            };
            let written = text.strip_suffix(rest).unwrap_or_default();
            let value = match self.values.get(name) {
                Some(value) if !value.starts_with(&format!("${{{name}:-")) => *value,
                Some(value) => default_of(value).unwrap_or_default(),
                None => match default_of(written) {
                    Some(default) if !default.is_empty() => default,
                    _ => break,
                },
            };
            if value.is_empty() {
                break;
            }
            text = format!("{value}{rest}");
        }
        text
    }
}

/// `default` of `${NAME:-default}` and `${NAME:=default}`.
fn default_of(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    let rest = named(inner).map_or(inner, |(_, rest)| rest);
    [":-", ":=", "-", "="]
        .iter()
        .find_map(|operator| rest.strip_prefix(operator))
}

fn assigned_default(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    let (name, rest) = named(inner)?;
    let default = rest.strip_prefix(":=").or_else(|| rest.strip_prefix('='))?;
    Some((name, default))
}
