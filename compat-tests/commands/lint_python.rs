//! Python scripts: `dib-lint` against upstream's flake8.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::lint::{run, same, set, upstream, write};
use super::{bare, cache, installed, ours, show, Random, RANDOM_SEED};

/// The codes of flake8 that we look for ourselves.
const CODES: &str = "E101,E111,E112,E113,E114,E115,E116,E117,E261,E262,E265,E266,E301,E302,E303,\
    E304,E305,E306,E401,E402,E501,E701,E702,E703,E704,E711,E712,E713,E714,E721,E722,E731,E999,\
    W191,W291,W292,W293,W391,W503,W504,W605";

const PYTHON: &str = include_str!("python_cases.txt");

/// Scripts of a line or some more each, with upstream's flake8 told to look for
/// what we look for.
#[test]
fn python_scripts() {
    let base = tempfile::tempdir().unwrap();
    let tree = base.path();
    for (number, case) in PYTHON.split("----\n").enumerate() {
        let case = case
            .replace("\\t", "\t")
            .replace("\\s", " ")
            .replace("\\e\n", "");
        let script = format!("#!/usr/bin/env python3\n{case}");
        write(
            tree,
            &format!("elements/p/bin/script-{number:03}"),
            0o755,
            script.as_bytes(),
        );
    }
    fs::write(
        tree.join("tox.ini"),
        format!("[flake8]\nselect = {CODES}\n"),
    )
    .unwrap();
    let variables = [("ELEMENTS_DIR", "elements"), ("LIB_DIR", "elements")];
    let Some(output) = same(tree, &variables) else {
        return;
    };
    for code in CODES
        .split(',')
        .filter(|code| !["E112", "E113", "E999"].contains(code))
    {
        assert!(
            show(&output).contains(&format!(" {code} ")),
            "no case of {code}"
        );
    }
    // Another limit, and what is switched off.
    let settings = "[flake8]\nmax-line-length = 60\nignore = E1,E3,W,E7,E2,E4\nselect = E501,E1,W\nexclude = script-00*\n";
    fs::write(tree.join("tox.ini"), settings).unwrap();
    same(tree, &variables);
}

/// Upstream's Python files with lines moved, doubled, indented, or ended with
/// blanks. Where that is no Python any more there is nothing to compare.
#[test]
fn mutated_python_files() {
    let Some(venv) = installed() else { return };
    let base = tempfile::tempdir().unwrap();
    let tree = base.path();
    let mut random = Random(RANDOM_SEED);
    let sources: Vec<String> = walkdir::WalkDir::new(cache().join("diskimage-builder-3.43.0"))
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "py"))
        .map(|entry| fs::read_to_string(entry.path()).unwrap())
        .filter(|text| (200..20_000).contains(&text.len()))
        .collect();
    assert!(sources.len() > 40);
    for number in 0..150 {
        let source = &sources[random.below(sources.len())];
        let mut text: Vec<String> = source.lines().map(str::to_owned).collect();
        for _ in 0..3 + random.below(6) {
            let at = random.below(text.len());
            let line = text[at].clone();
            match random.below(9) {
                0 => text.insert(at, String::new()),
                1 => text.insert(at, "   ".into()),
                2 => drop(text.remove(at)),
                3 => text[at] = format!("{line}  "),
                4 => text[at] = line.replacen(" = ", " = \\\n        ", 1),
                5 => text[at] = format!("{line}  # {} noqa", "long ".repeat(random.below(20))),
                6 => text[at] = line.replacen("    ", "\t", 1),
                7 => text[at] = line.replacen("# ", "#", 1),
                _ => text[at] = line.replacen(", ", ",\n", 1),
            }
        }
        let end = ["\n", "\n\n", "", "\n \n"][random.below(4)];
        let script = format!("#!/usr/bin/python3\n{}{end}", text.join("\n"));
        write(
            tree,
            &format!("elements/m/{number}"),
            0o755,
            script.as_bytes(),
        );
    }
    fs::write(
        tree.join("tox.ini"),
        format!("[flake8]\nselect = {CODES}\n"),
    )
    .unwrap();
    let mut flake8 = Command::new(venv.join("bin/flake8"));
    bare(flake8.args(["elements/m", "--filename=*"]));
    let theirs = set(&run(flake8, tree, &[]));
    let got = run(ours("dib-lint"), tree, &[("ELEMENTS_DIR", "elements")]);
    let is_finding = regex::Regex::new(r"^elements/m/\d+:\d+:\d+: ").unwrap();
    let got: BTreeSet<String> = set(&got)
        .into_iter()
        .filter(|line| is_finding.is_match(line))
        .collect();
    let file = |line: &str| line.split(':').next().unwrap().to_owned();
    let broken: BTreeSet<String> = theirs
        .iter()
        .filter(|line| line.contains(": E999 ") || line.contains(": E902 "))
        .map(|line| file(line))
        .collect();
    let whole = |found: &BTreeSet<String>| -> BTreeSet<String> {
        let lines = found.iter().filter(|line| !broken.contains(&file(line)));
        lines.cloned().collect()
    };
    let (got, theirs) = (whole(&got), whole(&theirs));
    let only: Vec<&String> = got.symmetric_difference(&theirs).take(30).collect();
    assert!(only.is_empty(), "{only:#?}");
    println!("{} findings, {} files broken", got.len(), broken.len());
    assert!(
        got.len() > 200 && broken.len() < 110,
        "{} {}",
        got.len(),
        broken.len()
    );
}

/// With `--flake8` Python scripts get all that upstream's do.
#[test]
fn flake8_itself() {
    let Some(venv) = installed() else { return };
    let base = tempfile::tempdir().unwrap();
    let tree = base.path();
    write(
        tree,
        "elements/p/bin/one",
        0o755,
        b"#!/usr/bin/python3\nimport os\nx=undefined\n",
    );
    write(
        tree,
        "elements/p/bin/two",
        0o755,
        b"#!/usr/bin/python3\nimport sys\nsys.exit(0)\n",
    );
    let path = format!("{}:/usr/bin:/bin", venv.join("bin").display());
    let variables = [
        ("ELEMENTS_DIR", "elements"),
        ("LIB_DIR", "elements"),
        ("PATH", &path),
    ];
    let theirs = run(upstream(&venv), tree, &variables);
    let mut command = ours("dib-lint");
    command.arg("--flake8");
    let got = run(command, tree, &variables);
    assert_eq!(set(&got), set(&theirs), "{}", show(&got));
    assert!(show(&got).contains("F401") && show(&got).contains("E225"));

    let mut command = ours("dib-lint");
    command.arg("--flake8");
    let variables = [("ELEMENTS_DIR", "elements"), ("PATH", "/nonexistent")];
    let got = run(command, tree, &variables);
    assert_eq!(got.status.code(), Some(1));
    assert!(show(&got).contains("cannot run flake8"), "{}", show(&got));
}
