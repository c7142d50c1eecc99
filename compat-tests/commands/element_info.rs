//! `element-info` against upstream's `lib/element-info.py`: every element alone,
//! random sets, and command lines. Upstream's order is that of Python's sets:
//! names are compared as sets, and of all outcomes that hash seeds give, ours
//! must be one.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use super::{bare, installed, lines, ours, package, repository, show, Random, RANDOM_SEED};

/// Values of PYTHONHASHSEED that upstream is run with.
const SEEDS: [&str; 3] = ["0", "1", "2"];

/// A command line with its variables.
type Case = (Vec<String>, Vec<(String, String)>);

/// Runs all cases in one process, which forks for each.
fn upstream(python: &Path, cases: &[Case], seed: &str) -> Vec<Run> {
    let mut command = Command::new(python);
    let script = repository().join("compat-tests/element_info_upstream.py");
    bare(command.arg("-B").arg(script)).env("PYTHONHASHSEED", seed);
    let input = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(input.as_file(), cases).unwrap();
    let output = command
        .arg(input.path())
        .current_dir("/")
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", show(&output));
    let runs: Vec<Run> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(runs.len(), cases.len());
    runs
}

#[derive(Debug, Clone, serde::Deserialize)]
struct Run {
    status: i32,
    stdout: String,
    stderr: String,
}

fn run(case: &Case) -> Run {
    let (words, variables) = case;
    let mut command = ours("element-info");
    let variables = variables.iter().map(|(name, value)| (name, value));
    let output: Output = command.args(words).envs(variables).output().unwrap();
    Run {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Lines of standard output as sets of their words; blanks at ends go.
fn words_of(stdout: &str) -> Vec<BTreeSet<&str>> {
    let mark = |c: char| c.is_whitespace() || c == '\'' || c == '"';
    stdout
        .lines()
        .map(|line| line.split(mark).filter(|word| !word.is_empty()).collect())
        .collect()
}

/// What is said, without tracebacks: log lines (debug ones without their place
/// in Python) as a set, and the words of the final error.
fn messages(stderr: &str) -> (BTreeSet<String>, String) {
    let place = regex::Regex::new(r" _find_all_elements \S+:\d+$").unwrap();
    let is_log = |line: &&str| {
        ["DEBUG ", "INFO ", "WARNING ", "ERROR "]
            .iter()
            .any(|level| line.starts_with(level))
    };
    let said = stderr
        .lines()
        .filter(is_log)
        .map(|line| place.replace(line, "").into_owned())
        .collect();
    let rest: Vec<&str> = stderr.lines().filter(|line| !is_log(line)).collect();
    (said, rest.join("\n"))
}

/// Upstream's error is the last line of a traceback, after the exception's name;
/// ours comes after the command's name, and may say more.
fn same_error(ours: &str, upstream: &str) -> bool {
    let last = upstream.lines().last().unwrap_or_default();
    match last.split_once(": ") {
        _ if upstream.starts_with("usage: ") => ours == upstream,
        Some((_, text)) => ours.contains(text.trim_end()),
        // an exception without a text, after log lines that say all
        None => last.is_empty() == ours.is_empty(),
    }
}

fn agree(ours: &Run, theirs: &Run) -> bool {
    let (our_log, our_error) = messages(&ours.stderr);
    let (log, error) = messages(&theirs.stderr);
    ours.status == theirs.status
        && words_of(&ours.stdout) == words_of(&theirs.stdout)
        && our_log == log
        && same_error(&our_error, &error)
}

/// Compares all cases; returns how many succeeded.
fn compare(cases: &[Case]) -> usize {
    let Some(python) = installed().map(|path| path.join("bin/python")) else {
        return usize::MAX;
    };
    let all: Vec<Vec<Run>> = SEEDS
        .iter()
        .map(|seed| upstream(&python, cases, seed))
        .collect();
    let mut good = 0;
    for (index, case) in cases.iter().enumerate() {
        let got = run(case);
        assert!(
            all.iter().any(|runs| agree(&got, &runs[index])),
            "{case:?}\nours: {got:#?}\nupstream: {:#?}",
            all[0][index]
        );
        good += usize::from(got.status == 0);
    }
    good
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn elements() -> String {
    let path = package("3.43.0").join("diskimage_builder/elements");
    path.to_str().unwrap().to_owned()
}

fn with_path(words: Vec<String>, path: &str) -> Case {
    (words, vec![("ELEMENTS_PATH".to_owned(), path.to_owned())])
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(elements())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 100);
    names
}

#[test]
fn every_element_alone_and_with_an_operating_system() {
    let mut cases = Vec::new();
    for name in names() {
        cases.push(with_path(vec![name.clone()], &elements()));
        cases.push(with_path(
            owned(&["--env", "ubuntu", "base", &name]),
            &elements(),
        ));
    }
    assert!(compare(&cases) > 100);
}

#[test]
fn random_sets() {
    let names = names();
    let mut random = Random(RANDOM_SEED);
    let older = package("2.38.0").join("diskimage_builder/elements");
    let both = format!("{}:{}", older.display(), elements());
    let mut cases = Vec::new();
    for _ in 0..100 {
        let mut words = owned(&[random.one_of(&["debian-minimal", "ubuntu", "fedora", "vm"])]);
        if random.below(3) == 0 {
            words.insert(0, random.one_of(&["-e", "--env", "--e"]).to_owned());
        }
        for _ in 0..random.below(6) {
            words.push(names[random.below(names.len())].clone());
        }
        let path = match random.below(6) {
            0 => &both,
            _ => &elements(),
        };
        cases.push(with_path(words, path));
    }
    assert!(compare(&cases) > 30);
}

#[test]
fn command_lines_and_environments() {
    let lines: [&[&str]; 26] = [
        &[],
        &["-e"],
        &["--env"],
        &["-x"],
        &["-x", "debian-minimal"],
        &["debian-minimal", "-x", "vm"],
        &["debian-minimal", "-e"],
        &["debian-minimal", "-e", "vm"],
        &["-e", "-e", "debian-minimal"],
        &["-ee", "debian-minimal"],
        &["-ex", "debian-minimal"],
        &["--env=1", "debian-minimal"],
        &["--en", "debian-minimal"],
        &["--e", "debian-minimal"],
        &["--", "debian-minimal"],
        &["debian-minimal", "--", "vm"],
        &["-e", "--", "-x"],
        &["-1", "debian-minimal"],
        &["-1.5", "debian-minimal"],
        &["-a b", "debian-minimal"],
        &["-", "debian-minimal"],
        &["", "debian-minimal"],
        &["--expand-dependencies", "debian-minimal"],
        &["debian-minimal", "debian-minimal"],
        &["debian-minimal", "ubuntu-minimal"],
        &["debian-minimal", "operating-system"],
    ];
    let mut cases: Vec<Case> = lines
        .iter()
        .map(|words| with_path(owned(words), &elements()))
        .collect();
    for path in ["", "/nonexistent", "/dev/null:/dev", ":"] {
        cases.push(with_path(owned(&["debian-minimal"]), path));
    }
    let twice = format!("{}:{}", elements(), elements());
    cases.push(with_path(owned(&["debian-minimal"]), &twice));
    cases.push((owned(&["debian-minimal"]), vec![]));
    for level in ["0", "1", " 2 ", "-1"] {
        let (words, mut variables) = with_path(owned(&["debian-minimal"]), &elements());
        variables.push(("DIB_DEBUG_TRACE".into(), level.into()));
        cases.push((words, variables));
    }
    assert!(compare(&cases) >= 10);
}

/// What bash makes of `--env`, also where upstream's would break.
#[test]
fn bash_can_evaluate_it() {
    let base = tempfile::tempdir().unwrap();
    let odd = base.path().join("it's $(touch x) \"q\"");
    std::fs::create_dir_all(odd.join("os")).unwrap();
    std::fs::write(odd.join("os/element-provides"), "operating-system\n").unwrap();
    for (path, name) in [
        (elements(), "debian-minimal"),
        (odd.to_str().unwrap().into(), "os"),
    ] {
        let script = "eval \"$($SAFEDIB element-info --env \"$NAME\")\"; \
            eval declare -A found=\\($(get_image_element_array)\\); \
            echo \"${found[$NAME]}\"; echo \"$IMAGE_ELEMENT_YAML\"; echo \"$IMAGE_ELEMENT\"";
        let mut command = Command::new("/bin/bash");
        let output = bare(command.args(["-euc", script]))
            .env("SAFEDIB", env!("CARGO_BIN_EXE_safedib"))
            .env("ELEMENTS_PATH", &path)
            .env("NAME", name)
            .current_dir(base.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", show(&output));
        let printed = lines(&output.stdout);
        assert_eq!(printed[0], format!("{path}/{name}"), "{}", show(&output));
        assert!(printed.last().unwrap().split(' ').any(|word| word == name));
        assert!(!base.path().join("x").exists());
    }
}
