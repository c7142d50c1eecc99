//! The book: README.md and docs/*.md. Every block of code in them says what it
//! is, and the commands that say so are run, as the ordinary user, with small
//! elements that stand in for those of a distribution.
//!
//! A block follows a comment that Markdown does not show:
//!
//! * `<!-- run -->`: lines that begin with `$ ` are carried out in bash, those of
//!   a page one after the other in one shell; each must succeed. Other lines are
//!   output, as somebody once saw it.
//! * `<!-- run, compare -->`: these lines are among those that come out, too.
//! * `<!-- run by FILE -->`: that file of the repository runs the commands: it
//!   has each of them, or names the page.
//! * `<!-- not run here: WHY -->`
//! * `<!-- file NAME -->`: what the file NAME has; it is made before what follows,
//!   executable if it begins with `#!`.
//! * `<!-- text -->`: no commands.
//!
//! `<!-- setup: COMMANDS -->` carries out what a reader has done already.

#[path = "../common/mod.rs"]
mod common;
mod links;
mod messages;
mod pages;
mod stand_ins;

use std::fmt::Write;
use std::fs;

use common::{callers, Outcome, Run};
use pages::{repository, Block, Mark, Page};

/// What a page's shell does first: `$0` is the binary, beside its links.
const PROLOGUE: &str = "set -o pipefail\nPATH=$(dirname \"$0\"):$PATH\n";

/// The script of a page: a line before each command says where it stands.
fn script(page: &Page) -> String {
    let mut script = PROLOGUE.to_owned();
    for block in &page.blocks {
        match &block.mark {
            Mark::Setup(commands) => carried_out(&mut script, block.line, commands),
            Mark::File(name) => {
                let path = name.replace("~/", "$HOME/");
                let text = block.lines.join("\n");
                let mode = if text.starts_with("#!") { "755" } else { "644" };
                let _ = write!(
                    script,
                    "mkdir -p \"$(dirname \"{path}\")\"\n\
                     cat >\"{path}\" <<'@@ END'\n{text}\n@@ END\nchmod {mode} \"{path}\"\n"
                );
            }
            Mark::Run { .. } => {
                for (line, command, _) in block.commands() {
                    carried_out(&mut script, line, &command);
                }
            }
            _ => {}
        }
    }
    script
}

fn carried_out(script: &mut String, line: usize, command: &str) {
    let _ = write!(
        script,
        "echo '@@ {line}'\n{{\n{command}\n}} </dev/null 2>&1 || {{ echo '@@ failed'; exit 1; }}\n"
    );
}

/// What the command of a line printed.
fn printed(outcome: &Outcome, line: usize) -> &str {
    let begin = format!("@@ {line}\n");
    let text = outcome
        .stdout
        .split_once(&begin)
        .map_or("", |(_, text)| text);
    text.split("\n@@ ").next().unwrap_or_default()
}

/// Runs all that a page says runs here.
fn holds(page: &Page) {
    let caller = callers().remove(0);
    let run = stand_ins::given(Run::new(&caller, "safedib"));
    let run = run.through(&["bash", "-c", &script(page)]);
    let outcome = run.run();
    if outcome.status != 0 {
        let last = outcome
            .stdout
            .rsplit_once("@@ failed")
            .map_or("", |it| it.0);
        let last = last.rsplit_once("@@ ").map_or(last, |it| it.1);
        panic!("{}: a command fails, line {last}\n{outcome}", page.name);
    }
    for block in &page.blocks {
        if !matches!(block.mark, Mark::Run { compare: true }) {
            continue;
        }
        for (line, command, shown) in block.commands() {
            let printed = printed(&outcome, line);
            for wanted in shown.iter().filter(|wanted| wanted.trim() != "...") {
                assert!(
                    printed.lines().any(|it| it.trim_end() == wanted.trim_end()),
                    "{}:{line}: {command}: no line {wanted:?} in\n{printed}",
                    page.name
                );
            }
        }
    }
}

#[test]
fn commands_work() {
    let mut commands = 0;
    for page in pages::all() {
        let runs = |block: &&Block| matches!(block.mark, Mark::Run { .. });
        let here: usize = page
            .blocks
            .iter()
            .filter(runs)
            .map(|it| it.commands().len())
            .sum();
        if here > 0 {
            eprintln!("{}: {here} commands", page.name);
            holds(&page);
        }
        commands += here;
    }
    assert!(commands > 40, "only {commands} commands were found to run");
}

#[test]
fn what_others_run_is_run_by_them() {
    for page in pages::all() {
        for block in &page.blocks {
            let Mark::RunBy(file) = &block.mark else {
                continue;
            };
            let path = repository().join(file);
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}:{}: {file}: {error}", page.name, block.line));
            for (line, command, _) in block.commands() {
                assert!(
                    text.contains(&command) || text.contains(&page.name),
                    "{}:{line}: {file} has no {command:?}",
                    page.name
                );
            }
        }
    }
}

#[test]
fn every_block_says_what_it_is() {
    for page in pages::all() {
        for block in &page.blocks {
            let at = format!("{}:{}", page.name, block.line);
            match &block.mark {
                Mark::Missing => panic!("{at}: a block without a mark before it"),
                Mark::Unknown(mark) => panic!("{at}: unknown mark {mark:?}"),
                Mark::Text | Mark::File(_) | Mark::Setup(_) => {
                    let commands = block.lines.iter().any(|line| line.starts_with("$ "));
                    assert!(!commands, "{at}: commands, which the mark says are none");
                }
                Mark::NotHere(why) => assert!(why.len() > 5, "{at}: why not?"),
                Mark::Run { .. } | Mark::RunBy(_) => {
                    assert!(!block.commands().is_empty(), "{at}: no commands");
                }
            }
        }
    }
}
