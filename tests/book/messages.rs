//! The messages that docs/troubleshooting.md explains are those of the program.

use std::fs;

use super::pages::{all, repository};

/// All sources, with strings that go over several lines in one.
fn sources() -> String {
    let mut text = String::new();
    for entry in walkdir::WalkDir::new(repository().join("src")) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    let joined = regex::Regex::new(r"\\\n\s*").unwrap();
    joined.replace_all(&text, "").into_owned()
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
    let mut explained = 0;
    for heading in headings {
        // What is another word each time stands in capitals or is left out.
        let variable = regex::Regex::new(r"\b[A-Z][A-Z]+\b|\.\.\.").unwrap();
        for part in variable.split(heading) {
            let part = part.trim_matches(|c: char| c.is_whitespace() || "'`:,/.()".contains(c));
            assert!(
                part.is_empty() || sources.contains(part),
                "no {part:?} of {heading:?} in the sources"
            );
        }
        explained += 1;
    }
    assert!(explained >= 25, "only {explained} messages");
}
