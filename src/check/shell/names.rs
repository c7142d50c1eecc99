//! Names that commands set.

use super::word::{assigns, name_at};
use super::{Command, Script};

/// Adds the variables and functions that a finished command sets.
pub(super) fn note_names(command: &Command, script: &mut Script) {
    let line = command.line;
    let mut add = |name: &str| {
        let name = name_at(name);
        if !name.is_empty() {
            script.sets.push((name.to_owned(), line));
        }
    };
    for (name, _) in &command.assignments {
        add(name);
    }
    let words: Vec<&str> = command
        .words
        .iter()
        .map(|word| word.text.as_str())
        .collect();
    match words.as_slice() {
        ["for" | "select", name, ..] => add(name),
        ["export" | "declare" | "typeset" | "local" | "readonly" | "read" | "mapfile"
        | "readarray", rest @ ..] => rest.iter().for_each(|word| add(word)),
        ["getopts", _, name, ..] | ["printf", "-v", name, ..] => add(name),
        ["eval", rest @ ..] => rest
            .iter()
            .filter(|word| assigns(word))
            .for_each(|word| add(word)),
        ["function", name, ..] => script.functions.push((*name).to_owned()),
        _ => {}
    }
}

/// Whether assignments may follow the words of a command.
pub(super) fn declares(command: &Command) -> bool {
    let words = &command.words;
    let evaluated = usize::from(words.first().is_some_and(|word| word.text == "eval"));
    if evaluated == 1 && words.len() == 1 {
        return true;
    }
    words.get(evaluated).is_some_and(|word| {
        ["export", "local", "declare", "readonly", "typeset", "env"].contains(&word.text.as_str())
    })
}
