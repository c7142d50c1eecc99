//! The messages that docs/troubleshooting.md explains are those of the program.

use std::fs;

use super::pages::{all, repository};

/// All sources, with strings that go over several lines in one, and the messages
/// that tests/messages holds.
fn sources() -> String {
    let mut text = String::new();
    for entry in walkdir::WalkDir::new(repository().join("src")) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    for entry in fs::read_dir(repository().join("tests/messages/texts")).unwrap() {
        text.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let joined = regex::Regex::new(r"\\\n\s*").unwrap();
    joined.replace_all(&text, "").into_owned()
}

/// The messages with something to fill in, as patterns of what comes out.
fn literals(sources: &str) -> Vec<regex::Regex> {
    let literal = regex::Regex::new(r#"#\[error\("((?:[^"\\]|\\.)*)""#).unwrap();
    let filled = regex::Regex::new(r"\\\{[^}]*\\\}").unwrap();
    literal
        .captures_iter(sources)
        .map(|found| regex::escape(&found[1]))
        .filter(|pattern| filled.replace_all(pattern, "").len() > 8)
        .map(|pattern| {
            let pattern = filled.replace_all(&pattern, ".+");
            regex::Regex::new(&format!("^{pattern}$")).unwrap()
        })
        .collect()
}

#[test]
fn messages_are_those_of_the_program() {
    let sources = sources();
    let pages = all();
    let page = pages
        .iter()
        .find(|it| it.name == "docs/troubleshooting.md")
        .unwrap();
    let headings = page.text.lines().filter_map(|line| {
        let heading = line.strip_prefix("### `")?;
        heading.strip_suffix('`')
    });
    let literals = literals(&sources);
    // What is another word each time stands in capitals or is left out.
    let variable = regex::Regex::new(r"\b[A-Z][A-Z]+\b|\.\.\.").unwrap();
    let mut explained = 0;
    for heading in headings {
        let mut parts = variable
            .split(heading)
            .map(|part| part.trim_matches(|c: char| c.is_whitespace() || "'`:,/.()".contains(c)));
        let found = parts.all(|part| part.is_empty() || sources.contains(part));
        let found = found || literals.iter().any(|literal| literal.is_match(heading));
        assert!(found, "{heading:?} is no message of the sources");
        explained += 1;
    }
    assert!(explained >= 25, "only {explained} messages");
}
