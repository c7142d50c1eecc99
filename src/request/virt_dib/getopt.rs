//! The command-line grammar of glibc's `getopt_long_only`, one option at a time:
//! what an option does happens before the next word is looked at, so that
//! `--size x --nonsense` complains about the size.

use super::table::{OptionSpec, Value, OPTIONS};

/// What the parser finds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// An option with its value, if it has one.
    Option(&'static OptionSpec, Option<String>),
    /// The end; what is left, and was passed over, are the operands.
    Operands(Vec<String>),
}

/// A command line being taken apart.
pub(super) struct Parser<'a> {
    rest: std::slice::Iter<'a, String>,
    /// What is left of a word of short options.
    bundle: &'a str,
    operands: Vec<String>,
    posixly_correct: bool,
}

impl<'a> Parser<'a> {
    pub(super) fn new(words: &'a [String], posixly_correct: bool) -> Self {
        Parser {
            rest: words.iter(),
            bundle: "",
            operands: Vec::new(),
            posixly_correct,
        }
    }

    /// The next option, or the operands.
    ///
    /// # Errors
    /// The complaint of glibc in the C locale, without the program's name.
    pub(super) fn advance(&mut self) -> Result<Item, String> {
        if !self.bundle.is_empty() {
            return self.short();
        }
        loop {
            let Some(word) = self.rest.next() else {
                return Ok(self.end());
            };
            if word == "--" {
                return Ok(self.end());
            }
            if let Some(long) = word.strip_prefix("--") {
                return self.long("--", long);
            }
            let Some(word) = word.strip_prefix('-').filter(|word| !word.is_empty()) else {
                self.operands.push(word.clone());
                if self.posixly_correct {
                    return Ok(self.end());
                }
                continue;
            };
            if word.len() > 1 || !is_short(word) {
                // A word that begins with a short option's letter is one only if
                // it is no beginning of a long option.
                if find(name_of(word)) != Found::Nothing || !is_short(word) {
                    return self.long("-", word);
                }
            }
            self.bundle = word;
            return self.short();
        }
    }

    fn end(&mut self) -> Item {
        let mut operands = std::mem::take(&mut self.operands);
        operands.extend(self.rest.by_ref().cloned());
        Item::Operands(operands)
    }

    fn long(&mut self, dashes: &str, word: &str) -> Result<Item, String> {
        let (option, name) = match find(name_of(word)) {
            Found::One(option, name) => (option, name),
            Found::Nothing => return Err(format!("unrecognized option '{dashes}{word}'")),
            Found::Many(names) => {
                let list: String = names
                    .iter()
                    .map(|name| format!(" '{dashes}{name}'"))
                    .collect();
                return Err(format!(
                    "option '{dashes}{word}' is ambiguous; possibilities:{list}"
                ));
            }
        };
        let attached = word.split_once('=').map(|(_, value)| value.to_owned());
        let value = match (option.value, attached) {
            (Value::None, Some(_)) => {
                return Err(format!("option '{dashes}{name}' doesn't allow an argument"))
            }
            (Value::Required(_), None) => match self.rest.next() {
                Some(value) => Some(value.clone()),
                None => return Err(format!("option '{dashes}{name}' requires an argument")),
            },
            (_, attached) => attached,
        };
        Ok(Item::Option(option, value))
    }

    fn short(&mut self) -> Result<Item, String> {
        let mut letters = self.bundle.chars();
        let Some(letter) = letters.next() else {
            return Ok(self.end());
        };
        self.bundle = letters.as_str();
        let known = OPTIONS.iter().find(|option| option.has_letter(letter));
        let Some(option) = known else {
            return Err(format!("invalid option -- '{letter}'"));
        };
        if option.value == Value::None {
            return Ok(Item::Option(option, None));
        }
        let attached = std::mem::take(&mut self.bundle);
        let value = match attached {
            "" => self.rest.next().cloned(),
            attached => Some(attached.to_owned()),
        };
        match value {
            Some(value) => Ok(Item::Option(option, Some(value))),
            None => Err(format!("option requires an argument -- '{letter}'")),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    One(&'static OptionSpec, &'static str),
    Many(Vec<&'static str>),
}

fn name_of(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// glibc looks the letter up in a text in which colons mark options with values.
fn is_short(word: &str) -> bool {
    word.chars().next().is_some_and(|letter| {
        letter == ':' || OPTIONS.iter().any(|option| option.has_letter(letter))
    })
}

/// The option of that name, or those that begin with it: any two are too many,
/// even two names of one option.
fn find(name: &str) -> Found {
    let all = || {
        OPTIONS
            .iter()
            .flat_map(|option| option.long_names().map(move |long| (option, long)))
    };
    if let Some((option, long)) = all().find(|(_, long)| *long == name) {
        return Found::One(option, long);
    }
    for ours in [false, true] {
        let candidates: Vec<_> = all()
            .filter(|(option, long)| option.is_ours() == ours && long.starts_with(name))
            .collect();
        match candidates.as_slice() {
            [] => {}
            [(option, long)] => return Found::One(option, long),
            many => return Found::Many(many.iter().map(|(_, long)| *long).collect()),
        }
    }
    Found::Nothing
}
