//! Manuals and completions: what is committed is current, `mandoc` finds no
//! fault in any page, and three shells complete with what comes out.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{callers, tool, Run};

fn safedib() -> Command {
    Command::new(env!("CARGO_BIN_EXE_safedib"))
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `SAFEDIB_WRITE_DOCS=1` writes what is committed, as for docs/options.md.
fn writes() -> bool {
    std::env::var_os("SAFEDIB_WRITE_DOCS").is_some()
}

/// Whether a program is here; in CI it must be.
fn have(program: &str) -> bool {
    let found = Command::new("which").arg(program).output().unwrap();
    if !found.status.success() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "no {program}: run scripts/setup"
        );
        eprintln!("skipped: no {program} here (scripts/setup brings it)");
    }
    found.status.success()
}

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for section in ["man1", "man7"] {
        for entry in fs::read_dir(repository().join("docs/man").join(section)).unwrap() {
            pages.push(entry.unwrap().path());
        }
    }
    pages.sort();
    pages
}

#[test]
fn committed_pages_are_current() {
    let mut command = safedib();
    command.args(["manual", "--output", "docs/man"]);
    if !writes() {
        command.arg("--check");
    }
    tool(command.current_dir(repository()));
    // No page of a command that is gone.
    let pages = pages().len();
    let said = tool(safedib().args(["manual", "--output", "docs/man", "--check"]));
    assert_eq!(said, format!("{pages} pages are current\n"));
}

#[test]
fn a_page_that_is_not_current_is_named() {
    for caller in callers() {
        let run = Run::new(&caller, "safedib").args(["manual", "--output", "man"]);
        run.run().success();
        fs::write(run.dir.join("man/man1/safedib-plan.1"), "old").unwrap();
        fs::remove_file(run.dir.join("man/man7/safedib-variables.7")).unwrap();
        let check = run.args(["--check"]);
        check.run().failure(
            1,
            &[
                "not current: man7/safedib-variables.7 man1/safedib-plan.1",
                "\nhint: ",
            ],
        );
        assert!(!check.dir.join("man/man7/safedib-variables.7").exists());
        Run::new(&caller, "safedib")
            .args(["manual", "no-such-page"])
            .run()
            .failure(
                1,
                &["manual does not know 'no-such-page'", " element-info "],
            );
        let page = Run::new(&caller, "safedib").args(["manual", "safedib-plan"]);
        let page = page.run().success();
        assert!(page.stdout.contains(".TH SAFEDIB-PLAN 1 "), "{page}");
    }
}

#[test]
fn committed_completions_are_current() {
    for shell in ["bash", "zsh", "fish"] {
        let script = tool(safedib().args(["completions", shell]));
        let path = repository()
            .join("completions")
            .join(format!("safedib.{shell}"));
        if writes() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &script).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == script,
            "{} is out of date; run SAFEDIB_WRITE_DOCS=1 cargo test --test manuals",
            path.display()
        );
    }
}

#[test]
fn mandoc_finds_no_fault() {
    if !have("mandoc") {
        return;
    }
    let pages = pages();
    assert!(pages.len() > 15);
    for page in pages {
        let linted = Command::new("mandoc")
            .args(["-T", "lint", "-W", "style"])
            .arg(&page)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&linted.stdout).into_owned();
        // Table rows of examples may be long, and every page is referred to from the others.
        let faults: Vec<&str> = said
            .lines()
            .filter(|line| !line.contains("STYLE: referenced manual not found"))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
        let rendered = tool(Command::new("mandoc").args(["-T", "utf8"]).arg(&page));
        assert!(rendered.lines().count() > 15, "{rendered}");
    }
}

/// A run that has the binary's links first on its PATH, and elements of its own.
fn in_shell(shell: &str, script: &str) -> Vec<String> {
    let caller = callers().remove(0);
    let run = Run::new(&caller, "safedib").element_file("some-element", "README.rst", "x\n");
    let command = run.command();
    let bin = Path::new(command.get_program()).parent().unwrap();
    // Through setpriv the program is not the first word.
    let bin = match bin.join("safedib").exists() {
        true => bin.to_owned(),
        false => command
            .get_args()
            .map(Path::new)
            .find(|path| path.ends_with("safedib"))
            .and_then(Path::parent)
            .unwrap()
            .to_owned(),
    };
    let completions = repository()
        .join("completions")
        .join(format!("safedib.{shell}"));
    let script = script.replace("COMPLETIONS", completions.to_str().unwrap());
    let mut shell = Command::new(shell);
    match shell.get_program().to_str() {
        Some("bash") => shell.args(["--norc", "-c"]),
        Some("zsh") => shell.args(["-f", "-c"]),
        _ => shell.args(["--no-config", "-c"]),
    };
    let output = shell
        .arg(script)
        .current_dir(&run.dir)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("HOME", run.home())
        .env("TERM", "xterm")
        .env("DIB_ELEMENTS_DIR", run.elements())
        .stdin(std::process::Stdio::null());
    let said = tool(output);
    said.lines().map(|line| line.trim().to_owned()).collect()
}

/// A command line up to the cursor, what must be offered there, and what must not.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const CASES: [Case; 14] = [
    (
        "disk-image-create --imag",
        &["--image-size", "--image-cache"],
        &["--checksum"],
    ),
    (
        "disk-image-create -t ",
        &["qcow2", "squashfs", "vmdk"],
        &["safedib-one-file"],
    ),
    ("disk-image-create -t qcow2,ta", &["qcow2,tar"], &[]),
    (
        "disk-image-create -x some-",
        &["some-element"],
        &["safedib-one-file"],
    ),
    (
        "disk-image-create --ramdisk-element some-",
        &["some-element"],
        &[],
    ),
    ("disk-image-create --compression z", &["zlib", "zstd"], &[]),
    ("ramdisk-image-create --", &["--ramdisk-element"], &[]),
    ("virt-dib --element-", &["--element-path"], &[]),
    (
        "element-info safedib-one",
        &["safedib-one-file"],
        &["some-element"],
    ),
    (
        "safedib ",
        &["plan", "doctor", "disk-image-create"],
        &["agent"],
    ),
    (
        "safedib doctor --",
        &["--json", "--probe"],
        &["--image-size"],
    ),
    ("safedib cache ", &["list", "clear"], &["some-element"]),
    (
        "safedib plan ",
        &["disk-image-create", "virt-dib"],
        &["doctor"],
    ),
    (
        "safedib plan disk-image-create --imag",
        &["--image-size"],
        &["--json"],
    ),
];

#[track_caller]
fn offers(line: &str, offered: &[String], expected: &[&str], unexpected: &[&str]) {
    let has = |word: &&&str| offered.iter().any(|it| it == **word);
    let missing: Vec<_> = expected.iter().filter(|word| !has(word)).collect();
    let wrong: Vec<_> = unexpected.iter().filter(|word| has(word)).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "{line}: without {missing:?}, with {wrong:?}: {offered:?}"
    );
}

#[test]
fn bash_completes() {
    for (line, expected, unexpected) in CASES {
        // The words as bash's own completion cuts them.
        let script = format!(
            "source COMPLETIONS\nline='{line}'\n\
             read -ra COMP_WORDS <<<\"$line\"\n\
             [[ $line != *' ' ]] || COMP_WORDS+=('')\n\
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             complete -p \"${{COMP_WORDS[0]}}\" >/dev/null\n\
             __safedib\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        offers(line, &in_shell("bash", &script), expected, unexpected);
    }
    let script = "source COMPLETIONS\nCOMP_WORDS=(safedib cache --cache = elem) COMP_CWORD=4\n\
                  mkdir elements; __safedib; printf '%s\\n' \"${COMPREPLY[@]}\"\n";
    offers(
        "--cache=elem",
        &in_shell("bash", script),
        &["elements"],
        &[],
    );
}

#[test]
fn fish_completes() {
    if !have("fish") {
        return;
    }
    for (line, expected, unexpected) in CASES {
        let script = format!("source COMPLETIONS; complete -C '{line}'");
        let offered: Vec<String> = in_shell("fish", &script)
            .iter()
            .map(|line| line.split('\t').next().unwrap_or_default().to_owned())
            .collect();
        offers(line, &offered, expected, unexpected);
    }
}

/// zsh completes in its line editor only: a second one runs on a terminal of its
/// own, and what it would offer goes into a file. Before the editor runs, the
/// terminal itself would act on Ctrl-U, and take the line away.
const IN_ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1= PS2= RPS1=; autoload -Uz compinit; compinit -u -D; source COMPLETIONS
compadd () {
    [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] && { builtin compadd "$@"; return }
    local -a matches
    builtin compadd -O matches "$@"
    print -rl -- $matches >>offered
    builtin compadd "$@"
}
bindkey "^I" complete-word; setopt no_beep no_auto_list; touch offered
zle-line-init () { : >ready }; zle -N zle-line-init'
until [[ -e ready ]]; do sleep 0.05; done
zpty -w -n shell 'LINE'$'\t'
zpty -w -n shell $'\C-u'
zpty -w shell ' touch done'
for at in {1..200}; do zpty -r -t shell chunk; [[ -e done ]] && break; sleep 0.05; done
zpty -d shell
cat offered
"#;

#[test]
fn zsh_completes() {
    if !have("zsh") {
        return;
    }
    for (line, expected, unexpected) in CASES {
        let script = IN_ZSH.replace("LINE", line);
        let offered: Vec<String> = in_shell("zsh", &script)
            .into_iter()
            // A list of types is completed from its last comma on.
            .map(|word| match line.ends_with("qcow2,ta") {
                true => format!("qcow2,{word}"),
                false => word,
            })
            .collect();
        offers(line, &offered, expected, unexpected);
    }
}
