//! Pages and the blocks of code in them.

use std::fs;
use std::path::Path;

/// What a block is.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    Run { compare: bool },
    RunBy(String),
    NotHere(String),
    File(String),
    Text,
    Setup(String),
    Unknown(String),
    Missing,
}

/// A block of code, or a set-up, which has no lines.
#[derive(Debug)]
pub struct Block {
    pub mark: Mark,
    /// The number of its first line.
    pub line: usize,
    pub lines: Vec<String>,
}

impl Block {
    /// Each command with the number of its line, and what is shown as its output.
    /// A backslash at the end of a line goes on in the next one.
    pub fn commands(&self) -> Vec<(usize, String, Vec<String>)> {
        let mut commands: Vec<(usize, String, Vec<String>)> = Vec::new();
        let mut open = false;
        for (at, line) in self.lines.iter().enumerate() {
            if open {
                let (_, command, _) = commands.last_mut().unwrap();
                command.push('\n');
                command.push_str(line);
            } else if let Some(command) = line.strip_prefix("$ ") {
                commands.push((self.line + at, command.to_owned(), Vec::new()));
            } else if let Some((_, _, shown)) = commands.last_mut() {
                shown.push(line.clone());
                continue;
            } else {
                continue;
            }
            open = line.ends_with('\\');
        }
        for (_, command, _) in &mut commands {
            // A comment for the reader.
            if let Some((before, _)) = command.clone().split_once("  # ") {
                *command = before.trim_end().to_owned();
            }
        }
        commands
    }
}

/// A page.
pub struct Page {
    pub name: String,
    pub text: String,
    pub blocks: Vec<Block>,
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and all pages of docs/.
pub fn all() -> Vec<Page> {
    let mut paths = vec![repository().join("README.md")];
    for entry in fs::read_dir(repository().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    paths.sort();
    assert!(paths.len() > 8);
    paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(repository()).unwrap();
            let text = fs::read_to_string(path).unwrap();
            Page {
                name: name.to_string_lossy().into_owned(),
                blocks: blocks(&text),
                text,
            }
        })
        .collect()
}

/// The blocks of a page: what is indented by four blanks after an empty line, and
/// what stands in fences.
pub fn blocks(text: &str) -> Vec<Block> {
    let lines: Vec<&str> = text.lines().collect();
    let mut blocks = Vec::new();
    let mut mark = Mark::Missing;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let after_empty = at == 0 || lines[at - 1].trim().is_empty();
        if line.starts_with("<!--") {
            let begin = at;
            while !lines[at].contains("-->") {
                at += 1;
            }
            mark = read_mark(&lines[begin..=at].join("\n"));
            if let Mark::Setup(_) = mark {
                let mark = std::mem::replace(&mut mark, Mark::Missing);
                let line = begin + 1;
                blocks.push(Block {
                    mark,
                    line,
                    lines: Vec::new(),
                });
            }
            at += 1;
        } else if line.starts_with("```") {
            let begin = at + 1;
            at = begin;
            while !lines[at].starts_with("```") {
                at += 1;
            }
            push(&mut blocks, &mut mark, begin, &lines[begin..at], "");
            at += 1;
        } else if line.starts_with("    ") && after_empty {
            let begin = at;
            while at < lines.len() && (lines[at].starts_with("    ") || lines[at].is_empty()) {
                at += 1;
            }
            let block = &lines[begin..at];
            let filled = block.iter().rposition(|line| !line.is_empty()).unwrap();
            push(&mut blocks, &mut mark, begin, &block[..=filled], "    ");
        } else {
            // A mark belongs to the block right after it.
            if !line.trim().is_empty() {
                mark = Mark::Missing;
            }
            at += 1;
        }
    }
    blocks
}

fn push(blocks: &mut Vec<Block>, mark: &mut Mark, begin: usize, lines: &[&str], indent: &str) {
    let bare = |line: &&str| line.strip_prefix(indent).unwrap_or(line).to_owned();
    blocks.push(Block {
        mark: std::mem::replace(mark, Mark::Missing),
        line: begin + 1,
        lines: lines.iter().map(bare).collect(),
    });
}

fn read_mark(comment: &str) -> Mark {
    let text = comment.trim_start_matches("<!--").split("-->").next();
    let text = text.unwrap_or_default().trim();
    match text {
        "run" => return Mark::Run { compare: false },
        "run, compare" => return Mark::Run { compare: true },
        "text" => return Mark::Text,
        _ => {}
    }
    let rest = |prefix: &str| text.strip_prefix(prefix).map(|rest| rest.trim().to_owned());
    if let Some(file) = rest("run by ") {
        return Mark::RunBy(file);
    }
    if let Some(why) = rest("not run here:") {
        return Mark::NotHere(why);
    }
    if let Some(name) = rest("file ") {
        return Mark::File(name);
    }
    match rest("setup:") {
        Some(commands) => Mark::Setup(commands),
        None => Mark::Unknown(text.to_owned()),
    }
}

#[test]
fn blocks_are_found_with_their_marks() {
    let text = "\
# Title

    $ unmarked

<!-- run, compare -->

    $ one \\
      two
    shown

    $ three  # a remark

words
<!-- run by scripts/x -->
```
$ four
```
<!-- setup: mkdir -p
~/bin -->
<!-- file images.yaml -->

    - a

<!-- run -->

words between

    $ five
";
    let blocks = blocks(text);
    let marks: Vec<Mark> = blocks.iter().map(|block| block.mark.clone()).collect();
    assert_eq!(
        marks,
        [
            Mark::Missing,
            Mark::Run { compare: true },
            Mark::RunBy("scripts/x".into()),
            Mark::Setup("mkdir -p\n~/bin".into()),
            Mark::File("images.yaml".into()),
            Mark::Missing,
        ]
    );
    let commands = blocks[1].commands();
    assert_eq!(
        commands,
        [
            (
                7,
                "one \\\n  two".to_owned(),
                vec!["shown".to_owned(), String::new()]
            ),
            (11, "three".to_owned(), vec![]),
        ]
    );
    assert_eq!(blocks[2].commands()[0], (16, "four".to_owned(), vec![]));
}
