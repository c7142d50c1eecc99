//! The likely mistakes of a newcomer. Each ends with one screen that says what
//! is wrong, where, why, and what mends it, and `texts/NAME.txt` holds it whole:
//! the command, the exit status, and standard error.
//!
//! `SAFEDIB_WRITE_MESSAGES=1` writes the texts anew; read them before you commit
//! them, as somebody who has never seen the program.

#[path = "../common/mod.rs"]
mod common;

mod asked;
mod elements;
mod host;
mod places;

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use common::{callers, Caller, Outcome, Run};

/// More lines than this are no screen.
const SCREEN: usize = 24;

/// Somebody without root, who newcomers are.
fn newcomer() -> Caller {
    callers().remove(0)
}

/// A build of the small OS element that says when a hook runs.
fn build(words: &[&str]) -> Run {
    Run::new(&newcomer(), "disk-image-create").args(words)
}

/// Holds what was said against the text of this name.
#[track_caller]
fn says(name: &str, run: &Run, outcome: &Outcome) {
    let text = shown(run, outcome);
    let file = text_file(name);
    if std::env::var_os("SAFEDIB_WRITE_MESSAGES").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "{} is another\n{outcome}", file.display());
    assert!(outcome.stderr.lines().count() <= SCREEN, "{outcome}");
    assert!(outcome.status != 0, "{outcome}");
}

/// As [`says`], and the build had not begun.
#[track_caller]
fn says_early(name: &str, run: &Run, outcome: &Outcome) {
    says(name, run, outcome);
    assert!(!outcome.stdout.contains("Building in "), "{outcome}");
}

/// As [`says_early`], on a host that root prepares.
#[track_caller]
fn says_prepared(name: &str, run: &Run, setup: &str) {
    if let Some(outcome) = run.run_prepared(setup, ":") {
        says_early(name, run, &outcome);
    }
}

fn text_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/messages/texts")
        .join(format!("{name}.txt"))
}

/// A run as a newcomer sees it, with names in place of what differs from one
/// machine or run to the next.
fn shown(run: &Run, outcome: &Outcome) -> String {
    let top = run.dir.parent().unwrap().display().to_string();
    let words = run.words().join(" ");
    let text = format!(
        "$ {words}\nexit status {}\n{}",
        outcome.status, outcome.stderr
    );
    let user = run.user_name();
    // Names that each build chooses at random.
    let random = Regex::new(r"(dib_build\.|\.safedib-)[0-9A-Za-z]{8}").unwrap();
    let text = random.replace_all(&text, "${1}XXXXXXXX");
    // What curl tells of its waiting.
    let waited = Regex::new(r"after [0-9]+ ms").unwrap();
    let text = waited.replace_all(&text, "after 0 ms");
    text.replace(&format!("{top}/work"), "/home/you/work")
        .replace(&format!("{top}/home"), "/home/you")
        .replace(&top, "/place")
        .replace(&user, "you")
}

/// Twenty-five is what was asked for; nothing in the directory is without a test.
#[test]
fn there_are_twenty_five_at_least() {
    let texts: Vec<String> = fs::read_dir(text_file("x").parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(texts.len() >= 25, "{} texts", texts.len());
    let sources = [
        include_str!("asked.rs"),
        include_str!("elements.rs"),
        include_str!("host.rs"),
        include_str!("places.rs"),
    ];
    for text in texts {
        let name = format!("\"{}\"", text.trim_end_matches(".txt"));
        let used = sources.iter().any(|source| source.contains(&name));
        assert!(used, "no test holds {text}");
    }
}

/// Every one but those in upstream's own words says what to do.
#[test]
fn each_has_a_hint() {
    for entry in fs::read_dir(text_file("x").parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let upstreams = text.contains("Please set --docker-target.")
            || text.contains("At least one distribution root element");
        assert!(
            upstreams || text.contains("\nhint: ") || text.contains("\nRun "),
            "{} has no hint:\n{text}",
            path.display()
        );
    }
}
