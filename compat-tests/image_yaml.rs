//! `diskimage-builder --dry-run` against upstream's own, run by
//! `image_yaml_upstream.py`: the command lines that files give, which files and
//! words are refused, and with which exit status.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// Fixed, so that a failure can be repeated.
const RANDOM_SEED: u64 = 0x5afe_d1b1;

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Outcome {
    status: i32,
    stderr: String,
}

fn ask_upstream(cases: &[Vec<String>], directory: &Path) -> Vec<Outcome> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = root.join("upstream-fixtures/cache/diskimage-builder-3.43.0");
    assert!(
        package.is_dir(),
        "no {}: run scripts/fetch-fixtures",
        package.display()
    );
    let mut child = Command::new("/usr/bin/python3")
        .arg(root.join("compat-tests/image_yaml_upstream.py"))
        .arg(package.canonicalize().unwrap())
        .env_remove("PYTHONPATH")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("/usr/bin/python3 starts: run scripts/setup");
    let input = serde_json::to_vec(cases).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "upstream ran: install python3-yaml and python3-jsonschema if they are missing"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ask_ours(words: &[String], directory: &Path) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_safedib"))
        .arg("diskimage-builder")
        .args(words)
        .current_dir(directory)
        .output()
        .unwrap();
    Outcome {
        status: output.status.code().unwrap_or(-1),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Equal status, and equal text where there are command lines or usage errors
/// (whose usage lines name our own option, too).
fn agree(ours: &Outcome, theirs: &Outcome) -> bool {
    let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
    ours.status == theirs.status
        && match theirs.status {
            0 => ours.stderr.replace(NOTHING, "") == theirs.stderr,
            2 => last(&ours.stderr) == last(&theirs.stderr),
            _ => true,
        }
}

/// What we say beside upstream's silence.
const NOTHING: &str = "diskimage-builder: nothing to build: the files define no image\n";

/// Compares all cases; returns how often each status came up.
fn compare(cases: &[Vec<String>], directory: &Path) -> BTreeMap<i32, usize> {
    let upstream = ask_upstream(cases, directory);
    assert_eq!(upstream.len(), cases.len());
    let mut differences = Vec::new();
    let mut kinds = BTreeMap::new();
    for (words, theirs) in cases.iter().zip(&upstream) {
        let ours = ask_ours(words, directory);
        if !agree(&ours, theirs) {
            let texts = words
                .iter()
                .filter_map(|word| std::fs::read_to_string(directory.join(word)).ok());
            let texts: String = texts.collect();
            differences.push(format!(
                "{words:?}\n{texts}  ours: {ours:?}\n  upstream: {theirs:?}"
            ));
        }
        *kinds.entry(theirs.status).or_default() += 1;
    }
    assert!(
        differences.is_empty(),
        "{} of {} cases differ from upstream:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
    println!("{} cases agree: {kinds:?}", cases.len());
    kinds
}

/// Writes each text to a file; a case for each.
fn files(directory: &Path, texts: impl IntoIterator<Item = String>) -> Vec<Vec<String>> {
    let texts = texts.into_iter().enumerate();
    texts
        .map(|(index, text)| {
            let name = format!("{index}.yaml");
            std::fs::write(directory.join(&name), text).unwrap();
            vec!["--dry-run".into(), name]
        })
        .collect()
}

/// Forms of YAML 1.1, and what is nearly one.
const BY_HAND: &[&str] = &[
    "- imagename: a\n  elements: [\n    x,\n    y\n  ]\n",
    "- imagename: a\n  elements: [\n    x,\n    y\n]\n",
    "- imagename: a\n  elements: [x,\n  y,\nz]\n  types: [tar]\n",
    "- imagename: a\n  environment: {A: x,\nB: 'y\nz', C: w\n}\n",
    "- root-label: \"a\nb\"\n  imagename: a\n",
    "- imagename: a\n elements: [x]\n",
    "- imagename: a\nelements: [x]\n",
    "- imagename: a\n  elements: [x, y,]\n",
    "- imagename: a\n  environment: {\n    A: x,\n    B: 'y z'\n  }\n",
    "- imagename: a\n  elements:\n  - x\n  - y\n",
    "- imagename: a\n\telements: [x]\n",
    "---\n# c\n- imagename: a # c\n  elements: [x] #c\n...\n",
    "- imagename: a\n  mkfs-options: -s size=4096\n    -O x\n",
    "- {imagename: a, elements: [x], environment: {A: \"http://x/y?z=1\", B: \"q\"}}\n",
    "[{\"imagename\":\"a\",\"elements\":[\"x\"]}]\n",
    "- imagename: a\n  mkfs-options: >-\n    a\n    b\n",
    "- imagename: a\n  mkfs-options: |\n    a\n    b\n",
    "- imagename: 'it''s'\n  root-label: \"a\\tb\\x41\\u00e9\"\n",
    "- imagename: a\n  image-size: 010\n",
    "- imagename: a\n  image-size: 1:30\n",
    "- imagename: a\n  image-size: 2.0\n",
    "- imagename: a\n  image-size: 2.5\n",
    "- imagename: a\n  image-size: 1:30.0\n",
    "- imagename: a\n  image-size: 1.0e+20\n",
    "- imagename: a\n  image-size: 0x10\n  min-tmpfs: 1_0\n  max-online-resize: 274877906944\n",
    "- imagename: a\n  image-size: -1\n",
    "- imagename: a\n  image-size: 0\n",
    "- imagename: a\n  debug-trace: 2\n",
    "- imagename: a\n  debug-trace: 3\n",
    "- imagename: a\n  debug-trace: yes\n",
    "- imagename:\n",
    "- imagename: ''\n- imagename: image\n  elements: [x]\n",
    "- imagename: a%b\n  root-label: \"%x\"\n",
    "- imagename: @a\n",
    "- imagename: `a`\n",
    "- imagename: a\n  elements: &e [x]\n- imagename: b\n  elements: *e\n",
    "- &x\n  imagename: a\n  environment: {A: '1'}\n  elements: [q]\n- <<: *x\n  imagename: b\n",
    "- environment: &x {A: a, B: a}\n- imagename: b\n  environment: &y {B: b, C: b}\n\
     - imagename: c\n  environment: {D: c, <<: [*x, *y], A: c}\n",
    "- <<: x\n",
    "- imagename: =\n",
    "- imagename: <<\n",
    "- imagename: a\n  imagename: b\n",
    "- imagename: -a\n  elements: [-x, '-n', '']\n",
    "- imagename: a\n---\n- imagename: b\n",
    "%YAML 1.1\n---\n- imagename: a\n",
    "\u{feff}- imagename: a\n",
    "- imagename: a\r\n  elements: [x]\r\n",
    "- imagename: a",
    "- imagename: a\n  elements: []\n  environment: {}\n  types: []\n  packages: ['']\n",
    "-\n- imagename: a\n",
    "- imagename: a\n  environment:\n    A: x\n     B: y\n",
    "- {imagename: a, elements: [x], packages}\n",
    "- imagename: a\n  elements: [a: b]\n",
    "- 'imagename': a\n  \"elements\": [x]\n",
    "- ? imagename\n  : a\n",
    "- imagename: !!str 12\n",
    "- imagename: !x 12\n",
    "- imagename: a\n  image-size: !!int '3'\n",
    "- imagename: \"a\n    b\"\n",
    "- imagename: \"a\\N\"\n",
    "- imagename: a\u{1}\n",
    "- imagename: a: b\n",
    "- imagename: a\n  elements: [x y\n    z, w]\n",
    "- imagename: *x\n",
    "- imagename 2001-01-01\n",
    "- imagename: 2001-01-01\n",
    "- imagename: '2001-01-01'\n  elements: [2001-1-1]\n",
    "- imagename: 1e3\n  root-label: 0o7\n  logfile: 08\n",
    "- imagename: a\n  qemu-img-options: {2: x, yes: y, ~: z, 1.50: w}\n",
    "- imagename: a\n  clear: y\n",
    "- imagename: a\n  clear: On\n  offline: NO\n  checksum: TRUE\n  no-tmpfs: oN\n",
    "- imagename: a\n  1: x\n",
    "imagename: a\n",
    "",
    "# nothing\n",
    "[]",
    "[{}]",
    "x",
    "12",
    "- a\n",
    "- []\n",
];

#[test]
fn files_by_hand() {
    let directory = tempfile::tempdir().unwrap();
    let texts = BY_HAND.iter().map(|text| text.to_string());
    let mut cases = files(directory.path(), texts);
    // What belongs together may stand in several files.
    for more in [
        "0.yaml 5.yaml",
        "1.yaml absent.yaml",
        "0.yaml 70.yaml",
        "70.yaml 3.yaml",
    ] {
        let words = more.split(' ').map(String::from);
        cases.push(["--dry-run".to_owned()].into_iter().chain(words).collect());
    }
    let kinds = compare(&cases, directory.path());
    assert!(kinds[&0] >= 30 && kinds[&1] >= 20, "{kinds:?}");
}

#[test]
fn words() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a", "-1", "x y", "--dry-run"] {
        std::fs::write(directory.path().join(name), "- imagename: x\n").unwrap();
    }
    let lines = "
--dry-run a|--dry a|a --dry-run|a --dry-run a|a a --dry-run|--dry-run
--dry-run=x a|--dry-run= a|--dry-run --stop-on-failure a|--stop --dry a|--s --d a|--foo a
--foo|-x a|a -x|--dry-run -- a|--dry-run -- a --dry-run|--dry-run -- --dry-run|--dry-run a -- -1|--dry-run -1
a --dry-run -- a|--|--dry-run --|-h|--help --foo|--foo --help|-hx|--dryx a|--dry-run a --foo --bar=1 b
--dry-run absent|- --dry-run|--h|--help=x|-x=1 --dry-run a|--foo=a --dry-run a|-1.5 --dry-run";
    let split = lines.trim().split(['|', '\n']);
    let mut cases: Vec<Vec<String>> = split
        .map(|line| line.split(' ').map(String::from).collect())
        .collect();
    cases.push(Vec::new());
    cases.push(["--dry-run", "x y"].map(String::from).into());
    cases.push(["--dry-run", "--x y"].map(String::from).into());
    cases.push(["--dry-run", ""].map(String::from).into());
    let kinds = compare(&cases, directory.path());
    assert!(kinds[&0] >= 10 && kinds[&2] >= 15, "{kinds:?}");
}

/// A small generator of numbers that only has to repeat itself.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }
}

const STRINGS: &[&str] = &[
    "a",
    "vm",
    "x86_64",
    "it's",
    "two words",
    "$HOME",
    "~/x",
    "a,b",
    "k=v",
    "ä",
    "\"q\"",
    "*",
    "",
    "%x",
    "100%",
    "a;b",
    "C:\\x",
    "-n",
    "--foo",
    "a  b ",
    "#x",
    "yes",
    "012",
    "1.5",
    "null",
];
const NOT_STRINGS: &[&str] = &[
    "12",
    "yes",
    "~",
    "1.5",
    "[x]",
    "{a: b}",
    "2001-01-01",
    "0x1",
];
const TEXTS: &[&str] = &[
    "logfile",
    "image-cache",
    "mkfs-options",
    "root-label",
    "ramdisk-element",
    "docker-target",
];
const SWITCHES: &[&str] = &[
    "ramdisk",
    "uncompressed",
    "clear",
    "checksum",
    "no-tmpfs",
    "offline",
    "skip-base",
];
const NUMBERS: &[&str] = &[
    "image-size",
    "image-extra-size",
    "max-online-resize",
    "min-tmpfs",
    "mkfs-journal-size",
];

/// A string in one of YAML's notations.
fn scalar(random: &mut Random, text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    let special = ["yes", "null", "no"].contains(&text);
    match random.below(3) {
        0 if plain && !special => text.to_owned(),
        1 => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        _ => format!("'{}'", text.replace('\'', "''")),
    }
}

fn value(random: &mut Random, wrong: bool) -> String {
    match wrong {
        true => (*random.pick(NOT_STRINGS)).to_owned(),
        false => {
            let text = *random.pick(STRINGS);
            scalar(random, text)
        }
    }
}

/// A list or a map, in flow or block notation.
fn collection(random: &mut Random, items: &[String], flow: [&str; 2], bullet: &str) -> String {
    if items.is_empty() || random.one_in(2) {
        return format!(" {}{}{}", flow[0], items.join(", "), flow[1]);
    }
    let indent = *random.pick(&["    ", "      "]);
    let lines = items.iter().map(|item| format!("\n{indent}{bullet}{item}"));
    lines.collect()
}

/// A line `key: value` for one key; rarely something is wrong with it.
fn line(random: &mut Random) -> String {
    let wrong = random.one_in(30);
    let times = random.below(4);
    match random.below(9) {
        0 => format!("{}: {}", random.pick(TEXTS), value(random, wrong)),
        1 => {
            let key = random.pick(SWITCHES);
            let on: &[&str] = if wrong {
                &["1", "'yes'", "y"]
            } else {
                &["yes", "no", "on", "Off", "true", "FALSE"]
            };
            format!("{key}: {}", random.pick(on))
        }
        2 => {
            let key = random.pick(NUMBERS);
            let on: &[&str] = if wrong {
                &["0", "-3", "1.5", "'1'", "yes"]
            } else {
                &["1", "010", "0x1F", "1_000", "1:30", "7.0", "+5"]
            };
            format!("{key}: {}", random.pick(on))
        }
        3 => format!(
            "debug-trace: {}",
            random.pick(if wrong {
                &["3", "-1", "x"]
            } else {
                &["0", "1", "2"]
            })
        ),
        4 => format!(
            "arch: {}",
            random.pick(if wrong {
                &["mips", "AMD64"]
            } else {
                &["amd64", "x86_64"]
            })
        ),
        5 => format!(
            "install-type: {}",
            random.pick(if wrong {
                &["sources", "1"]
            } else {
                &["source", "package"]
            })
        ),
        6 => {
            let allowed = ["qcow2", "tar", "tgz", "raw", "vhd"];
            let mut items: Vec<String> = (0..times)
                .map(|_| random.pick(&allowed).to_string())
                .collect();
            items.extend(wrong.then(|| "vmdk".to_owned()));
            format!("types:{}", collection(random, &items, ["[", "]"], "- "))
        }
        7 => {
            let key = random.pick(&["packages", "elements"]);
            let mut items: Vec<String> = (0..times).map(|_| value(random, false)).collect();
            items.extend(wrong.then(|| value(random, true)));
            format!("{key}:{}", collection(random, &items, ["[", "]"], "- "))
        }
        _ => {
            let key = random.pick(&["environment", "qemu-img-options"]);
            let mut items: Vec<String> = (0..times)
                .map(|_| {
                    format!(
                        "{}: {}",
                        random.pick(&["A", "B", "DIB_X", "PATH"]),
                        value(random, false)
                    )
                })
                .collect();
            items.extend(wrong.then(|| format!("W: {}", value(random, true))));
            format!("{key}:{}", collection(random, &items, ["{", "}"], ""))
        }
    }
}

fn definitions(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..1 + random.below(4) {
        let mut lines: Vec<String> = (0..1 + random.below(6)).map(|_| line(random)).collect();
        if !random.one_in(4) {
            let name = *random.pick(&["a", "b", "out/c", "two words"]);
            lines.insert(
                random.below(lines.len()),
                format!("imagename: {}", scalar(random, name)),
            );
        }
        if random.one_in(60) {
            lines.push("image_size: 1".into());
        }
        text.push_str(&format!("- {}\n", lines.join("\n  ")));
    }
    text
}

#[test]
fn generated_files() {
    let mut random = Random(RANDOM_SEED);
    let directory = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..300).map(|_| definitions(&mut random)).collect();
    let mut cases = files(directory.path(), texts);
    for index in 0..50 {
        let names = [index, index + 7, index * 3].map(|index| format!("{index}.yaml"));
        cases.push(["--dry-run".to_owned()].into_iter().chain(names).collect());
    }
    let kinds = compare(&cases, directory.path());
    assert!(kinds[&0] >= 100 && kinds[&1] >= 60, "{kinds:?}");
}
