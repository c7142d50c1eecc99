//! `dib-run-parts` against upstream's own script, over generated directories.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use super::{bare, lines, ours, package, show, Random, RANDOM_SEED};

const DIRECTORIES: usize = 100;

fn write(path: &Path, mode: u32, contents: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Numbers of every form before, and endings after, among them ones that keep a
/// file from running.
fn name(random: &mut Random) -> String {
    let number = random.one_of(&[
        "", "0", "00", "01", "1", "1_", "9", "10", "010", "99", "100", "-5", "-", "3x", "1e3",
    ]);
    let rest = random.one_of(&[
        "-a",
        "-B",
        "_c",
        "z",
        "-long-name",
        "",
        ".sh",
        "~",
        "-d.e",
        "-ü",
    ]);
    match format!("{number}{rest}") {
        name if name.is_empty() => "x".into(),
        name => name,
    }
}

/// Fills `root` with `test.d` and mostly with `environment.d`.
fn generate(root: &Path, random: &mut Random) {
    let target = root.join("test.d");
    fs::create_dir_all(&target).unwrap();
    for _ in 0..random.below(12) {
        let path = target.join(name(random));
        let mode = random.one_of(&[&0o755, &0o755, &0o755, &0o644]);
        let script = random.one_of(&[
            "#!/bin/sh\necho \"$0 $# ${FOO-unset} ${bar-unset}\"\n",
            "#!/bin/bash\nset -eu\necho to-stderr >&2; export FOO=lost\n",
            "#!/bin/sh\npwd; cat\n",
            "echo no shebang, FOO=${FOO-unset}\n",
            "#!/bin/sh\nexit ${STATUS:-0}\n",
        ]);
        match random.below(12) {
            0 => drop(fs::create_dir(&path)),
            1 => drop(symlink("/bin/true", &path)),
            2 => drop(symlink("gone", &path)),
            _ if path.symlink_metadata().is_ok() => {}
            _ => write(&path, *mode, script),
        }
    }
    if random.below(4) == 0 {
        return;
    }
    // Without a file that counts upstream ends in silence: see the test below.
    write(&root.join("environment.d/40-plain"), 0o644, "EMPTY=\n");
    for _ in 0..random.below(6) {
        let path = root.join("environment.d").join(name(random));
        let text = random.one_of(&[
            "export FOO=\"${FOO:-} one\"\n",
            "bar=not-exported\n",
            "export FOO='a  b'; declare -a list=(x y)\n",
            "if true; then\n  export BAZ=$(echo deep)\nfi\n",
            "return 0\n",
            "set +x\nexport FOO=quiet\n",
        ]);
        write(&path, 0o644, text);
    }
    if random.below(6) == 0 {
        let text = random.one_of(&["false\n", "exit 3\n", "echo $UNSET_VARIABLE\n"]);
        write(&root.join("environment.d/50-breaks"), 0o644, text);
    }
}

fn upstream() -> Command {
    let mut command = Command::new("/bin/bash");
    bare(command.arg(package("3.43.0").join("diskimage_builder/lib/dib-run-parts")));
    command
}

/// Timings, line numbers of the scripts themselves, and words on usage differ;
/// names that are left out are listed in the order of the file system there.
fn comparable(output: &Output) -> Vec<String> {
    let timing = regex::Regex::new(r" +\d+\.\d{3}$").unwrap();
    let place = regex::Regex::new(r"^\S*dib-run-parts: line \d+: ").unwrap();
    let mut found = Vec::new();
    for line in lines(&output.stderr) {
        if line.starts_with("Usage: dib-run-parts") {
            break;
        }
        let line = timing.replace(&line, " T");
        let line = place.replace(&line, "dib-run-parts: line N: ");
        found.push(match line.split_once("Ignoring ") {
            Some((before, rest)) => {
                let mut words: Vec<&str> = rest.split(' ').collect();
                words.sort_unstable();
                format!("{before}Ignoring {}", words.join(" "))
            }
            None => line.into_owned(),
        });
    }
    found
}

#[track_caller]
fn same(ours: &Output, upstream: &Output, case: &str) {
    let both = || format!("{case}\nours: {}\nupstream: {}", show(ours), show(upstream));
    assert_eq!(ours.status.code(), upstream.status.code(), "{}", both());
    assert_eq!(ours.stdout, upstream.stdout, "{}", both());
    assert_eq!(comparable(ours), comparable(upstream), "{}", both());
}

#[test]
fn generated_directories() {
    let base = tempfile::tempdir().unwrap();
    let mut random = Random(RANDOM_SEED);
    let (mut failed, mut ran) = (0, 0);
    for number in 0..DIRECTORIES {
        let root = base.path().join(number.to_string());
        generate(&root, &mut random);
        let full = root.join("test.d");
        let full = full.to_str().unwrap();
        let words: &[&str] = match random.below(8) {
            0 => &["--list", full],
            1 => &["--list", "test.d"],
            2 => &["test.d"],
            3 => &["."],
            4 => &["test.d/"],
            5 => &[full, "more"],
            _ => &[full],
        };
        let variables: &[(&str, &str)] = match random.below(8) {
            0 | 1 => &[("DIB_DEBUG_TRACE", "1")],
            2 => &[
                ("RUN_PARTS_REGEX", r"^[0-9]+-.*$"),
                ("DIB_DEBUG_TRACE", "2"),
            ],
            3 => &[("RUN_PARTS_REGEX", r"(a|\.sh)$"), ("STATUS", "7")],
            4 => &[("DIB_DEBUG_TRACE", "many"), ("RUN_PARTS_REGEX", "")],
            5 | 6 => &[("STATUS", "44")],
            _ => &[("FOO", "given")],
        };
        let directory = match words {
            ["."] => Path::new(full),
            _ => &root,
        };
        let [got, expected] = [ours("dib-run-parts"), upstream()].map(|mut command| {
            let command = command.args(words).current_dir(directory);
            command.envs(variables.iter().copied()).output().unwrap()
        });
        same(&got, &expected, &format!("{words:?} {variables:?}"));
        failed += usize::from(!got.status.success());
        ran += usize::from(!got.stdout.is_empty());
    }
    assert!(failed >= 3 && ran >= 10, "{failed} failed, {ran} ran");
}

#[test]
fn wrong_command_lines() {
    let cases: [&[&str]; 5] = [&[], &["/no/such"], &["/dev/null"], &["--list"], &[""]];
    for words in cases {
        let [got, expected] = [ours("dib-run-parts"), upstream()]
            .map(|mut command| command.args(words).output().unwrap());
        same(&got, &expected, &format!("{words:?}"));
        assert_eq!(got.status.code(), Some(1));
        assert!(
            show(&got).contains("Usage: dib-run-parts"),
            "{}",
            show(&got)
        );
    }
}

/// It ends with the signal's status as a shell has it, and runs nothing more.
#[test]
fn a_killed_script() {
    let base = tempfile::tempdir().unwrap();
    let target = base.path().join("test.d");
    write(&target.join("01-dies"), 0o755, "#!/bin/sh\nkill -TERM $$\n");
    write(&target.join("02-never"), 0o755, "#!/bin/sh\necho ran\n");
    for mut command in [ours("dib-run-parts"), upstream()] {
        let output = command.arg(&target).output().unwrap();
        assert_eq!(output.status.code(), Some(143), "{}", show(&output));
        assert_eq!(output.stdout, b"");
    }
}

/// Nothing runs, and no status tells: upstream's grep says why, and so do we.
#[test]
fn a_regex_that_is_none() {
    let base = tempfile::tempdir().unwrap();
    let target = base.path().join("test.d");
    write(&target.join("01-never"), 0o755, "#!/bin/sh\necho ran\n");
    let said = [
        "RUN_PARTS_REGEX [[] is no regular expression",
        "Invalid regular expression",
    ];
    for (mut command, said) in [ours("dib-run-parts"), upstream()].into_iter().zip(said) {
        let command = command.arg(&target).env("RUN_PARTS_REGEX", "[");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", show(&output));
        assert!(output.stdout.is_empty(), "{}", show(&output));
        assert!(show(&output).contains(said), "{}", show(&output));
    }
}

/// Upstream ends with 1 and says nothing; we run the scripts.
#[test]
fn an_environment_without_files() {
    let base = tempfile::tempdir().unwrap();
    let target = base.path().join("test.d");
    write(&target.join("01-runs"), 0o755, "#!/bin/sh\necho ran\n");
    fs::create_dir(base.path().join("environment.d")).unwrap();
    let [got, expected] = [ours("dib-run-parts"), upstream()]
        .map(|mut command| command.arg(&target).output().unwrap());
    assert_eq!(expected.status.code(), Some(1), "{}", show(&expected));
    assert!(got.status.success(), "{}", show(&got));
    assert_eq!(got.stdout, b"ran\n");
}

/// What builds use to follow hooks is not for callers to reach.
#[test]
fn the_descriptor_of_builds_is_ignored() {
    let base = tempfile::tempdir().unwrap();
    let mut command = ours("dib-run-parts");
    let output = command
        .arg(base.path())
        .env("SAFEDIB_HOOK_EVENTS", "77")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", show(&output));
}
