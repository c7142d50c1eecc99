//! What somebody at a terminal sees of a build, and that nobody else does.

#[path = "../common/mod.rs"]
mod common;
mod screen;

use std::fs;
use std::path::{Path, PathBuf};

use common::{callers, Caller, Run};
use regex::Regex;
use screen::{has, Terminal};

/// A hook that says something hostile and something wide, and then waits until
/// the file `go` of the cache is there.
const PATIENT: &str = "#!/bin/bash\n\
    printf 'one\\033[2J\\033]0;title\\007\\033[?25l two\\n\\n'\n\
    printf '\\346\\227\\245\\346\\234\\254\\350\\252\\236 wide %s\\n' {1..40}\n\
    printf '10 %%\\r20 %%\\r30 %%\\rthe hook is asleep'\n\
    until [ -e \"$DIB_IMAGE_CACHE/go\" ]; do sleep 0.05; done\n\
    echo; echo the hook is awake\n";

/// A build with a hook of that text, in a terminal.
fn build(caller: &Caller, hook: &str) -> Run {
    let run = Run::new(caller, "disk-image-create")
        .element_file("patient", "root.d/50-patient", hook)
        // KVM would be tried in each new cache.
        .args(["-n", "-t", "tar", "-o", "image", "--appliance", "namespace"])
        .env("TERM", "xterm-256color");
    fs::create_dir(cache(&run)).unwrap();
    run.give(&cache(&run));
    let (images, own) = (cache(&run), run.home().join(".cache"));
    run.env("DIB_IMAGE_CACHE", images)
        .env("XDG_CACHE_HOME", own)
        .args(["patient", "safedib-fake-os"])
}

fn cache(run: &Run) -> PathBuf {
    run.home().join("images")
}

fn wake(run: &Run) {
    fs::write(cache(run).join("go"), "").unwrap();
}

/// The only log that the view has kept.
fn kept_log(run: &Run) -> PathBuf {
    let logs = fs::read_dir(run.home().join(".cache/safedib/logs")).unwrap();
    let logs: Vec<PathBuf> = logs.map(|log| log.unwrap().path()).collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs[0].clone()
}

/// How often a pattern is in the text.
fn count(pattern: &str, text: &str) -> usize {
    Regex::new(pattern).unwrap().find_iter(text).count()
}

/// Whether colours or other renditions are set.
fn is_coloured(text: &str) -> bool {
    count("\x1b\\[[0-9;]*m", text) > 0
}

#[test]
fn a_view_tells_where_the_build_is_and_leaves_its_story() {
    for caller in callers() {
        let run = build(&caller, PATIENT);
        let mut terminal = Terminal::start(run.command(), 24, 80);
        let rows = terminal.wait_for_text(" | the hook is asleep");
        let text = rows.join("\n");
        let head = r"(?m)^ \[ *=* *\] +step \d+ of \d+: run hooks of root\.d$";
        assert_eq!(count(head, &text), 1, "{text}");
        assert!(text.contains("50-patient of patient, hook "), "{text}");
        assert!(
            text.contains("no earlier build of these elements"),
            "{text}"
        );
        assert!(has(&rows, " | \u{65e5}\u{672c}\u{8a9e} wide 40"), "{text}");
        assert!(
            !has(&rows, "20 %") && !has(&rows, "dib-run-parts"),
            "{text}"
        );
        // What the engine says stays, without a stamp.
        assert!(
            has(&rows, "Building elements: patient safedib-fake-os"),
            "{text}"
        );

        for (height, width) in [(24, 30), (6, 200), (24, 20), (24, 80)] {
            terminal.resize(height, width);
            let rows = terminal.wait_for("block of the new size", |rows| {
                let of = |part: &str| rows.iter().filter(|row| row.contains(part)).count();
                let bars = of("[ ") + of("[=");
                of(" total ") == 1 && of("step ") == 1 && bars == usize::from(width >= 31)
            });
            assert!(rows.len() <= usize::from(height), "{rows:#?}");
        }
        wake(&run);
        let ended = terminal.end();
        ended.is_tidy();
        let text = ended.rows.join("\n");
        assert_eq!(ended.status, 0, "{text}");
        for part in [
            r"(?m)^root\.d +[\d.]+ s  \d hooks$",
            r"(?m)^Build completed successfully$",
            r"(?m)^image\.tar +[\d.]+ [kM]B$",
            r"(?m)^total +[\d.]+ s$",
            r"(?m)^slowest hooks +[\d.]+ s  root\.d/50-patient of patient$",
        ] {
            assert!(count(part, &text) == 1, "no {part}:\n{text}");
        }
        assert!(is_coloured(&ended.text));
        assert!(!ended.text.contains("title"), "{:?}", ended.text);
        let log = kept_log(&run);
        let name = log.file_name().unwrap().to_string_lossy().into_owned();
        assert!(ended.text.contains(&name), "{text}");
        let log = fs::read_to_string(log).unwrap();
        for part in [
            " | Building elements: ",
            "\x1b]0;title",
            "wide 7\n",
            "is awake\n",
        ] {
            assert!(log.contains(part), "{part:?} is not in the log:\n{log}");
        }
        run.assert_nothing_left();
    }
}

#[test]
fn the_next_build_is_compared_with_the_last() {
    let caller = &callers()[0];
    let run = build(caller, PATIENT);
    wake(&run);
    let first = Terminal::start(run.command(), 40, 80).end();
    assert_eq!(first.status, 0, "{}", first.rows.join("\n"));
    fs::remove_file(cache(&run).join("go")).unwrap();
    let mut second = Terminal::start(run.command(), 40, 80);
    let rows = second.wait_for_text(" | the hook is asleep");
    let text = rows.join("\n");
    let whole = r"(?m)^ total \d+ s, about \d+ s left; the last build took \d+ s$";
    assert!(count(whole, &text) == 1, "{text}");
    let hook = r"(?m)^ \d+ s  50-patient of patient, hook \d of \d; last time \d+ s$";
    assert!(count(hook, &text) == 1, "{text}");
    assert!(count(r"(?m)^ \[=* *\] +\d+ %  step", &text) == 1, "{text}");
    wake(&run);
    let second = second.end();
    assert_eq!(second.status, 0);
    assert!(
        has(&second.rows, "  the last build took "),
        "{}",
        second.rows.join("\n")
    );
}

/// Stamps, times and random names as `#`.
fn shape(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let random = Regex::new(r"(dib_\w+\.|safedib-test-)\w+").unwrap();
    let numbers = Regex::new(r"\d+(\.\d+)?").unwrap();
    let text = random.replace_all(&text, "$1#");
    numbers.replace_all(&text, "#").into_owned()
}

#[test]
fn without_a_view_there_is_the_plain_log() {
    let caller = &callers()[0];
    let plain = |words: &[&str]| {
        build(caller, "#!/bin/sh\nprintf 'x\\033[1mbold\\n'\n").args(words.iter().copied())
    };
    let piped = plain(&[]).run().success().stdout;
    assert!(piped.contains(" | x\x1b[1mbold\n"), "{piped}");
    let piped = shape(&piped);
    assert_eq!(
        shape(&plain(&["--no-progress"]).run().success().stdout),
        piped
    );
    for (word, name, value) in [
        ("--no-progress", "TERM", "xterm"),
        ("-u", "TERM", "dumb"),
        ("-u", "CI", "true"),
    ] {
        let run = plain(&[word]).env(name, value);
        let ended = Terminal::start(run.command(), 24, 80).end();
        assert_eq!(ended.status, 0, "{}", ended.text);
        let text = shape(&ended.text);
        assert_eq!(text, piped, "{name}={value}");
        assert!(!run.home().join(".cache/safedib/logs").exists());
    }
}

#[test]
fn no_color_means_no_colours() {
    let caller = &callers()[0];
    let run = build(caller, PATIENT).env("NO_COLOR", "1");
    let mut terminal = Terminal::start(run.command(), 24, 80);
    terminal.wait_for_text(" | the hook is asleep");
    wake(&run);
    let ended = terminal.end();
    assert_eq!(ended.status, 0, "{}", ended.text);
    ended.is_tidy();
    assert!(!is_coloured(&ended.text), "{:?}", ended.text);
    assert!(ended.text.contains("\x1b[?7l ["), "a view was there");
}

#[test]
fn a_trace_scrolls_above_the_view() {
    let caller = &callers()[0];
    let run = build(caller, PATIENT).args(["-x"]);
    let mut terminal = Terminal::start(run.command(), 60, 100);
    let rows = terminal.wait_for_text(" | the hook is asleep");
    let stamped = Regex::new(r"^\d{4}-\d\d-\d\d [\d:.]+ \| .*wide 40$").unwrap();
    assert!(rows.iter().any(|row| stamped.is_match(row)), "{rows:#?}");
    assert!(has(&rows, " total "), "{rows:#?}");
    wake(&run);
    let ended = terminal.end();
    assert_eq!(ended.status, 0, "{}", ended.text);
    assert!(!ended.text.contains("title"), "{:?}", ended.text);
    assert!(!run.home().join(".cache/safedib/logs").exists());
}

#[test]
fn a_failed_hook_is_shown_with_its_last_lines_and_the_log() {
    for caller in callers() {
        let hook =
            "#!/bin/sh\nfor n in $(seq 50); do echo line $n; done\necho the end is near\nexit 7\n";
        let run = build(&caller, hook);
        let ended = Terminal::start(run.command(), 60, 100).end();
        let text = ended.rows.join("\n");
        assert_eq!(ended.status, 7, "{text}");
        ended.is_tidy();
        assert!(
            text.contains("hook `50-patient` of element `patient` failed in phase root"),
            "{text}"
        );
        assert!(
            text.contains("    line 40\n") && text.contains("    the end is near\n"),
            "{text}"
        );
        let log = kept_log(&run);
        let log_line = format!("the full log is in {}", log.display());
        assert!(ended.text.contains(&log_line), "{text}");
        let log = fs::read_to_string(log).unwrap();
        assert!(
            log.contains(" | line 1\n") && log.contains("failed in phase root"),
            "{log}"
        );
        assert_eq!(
            run.outcome(empty(), Default::default()).files,
            Vec::<String>::new()
        );
    }
}

fn empty() -> std::process::Output {
    std::process::Output {
        status: Default::default(),
        stdout: Vec::new(),
        stderr: Vec::new(),
    }
}

/// A limit on the size of files stands for a full disk.
#[test]
fn a_log_that_cannot_be_kept_is_shown() {
    let caller = &callers()[0];
    let lines = "head -c 14000000 /dev/zero | tr '\\0' x | fold -w 2000";
    let hook = format!("#!/bin/bash\n{lines}\necho; echo the last line\n");
    // 12 MB in the blocks of dash: more than the image has.
    let run = build(caller, &hook).through_shell("ulimit -f 24000");
    let ended = Terminal::start(run.command(), 24, 100).end();
    let text = ended.rows.join("\n");
    assert_eq!(ended.status, 0, "{text}");
    let log = kept_log(&run).display().to_string();
    let warning = format!("WARNING safedib: cannot write to {log} (File too large");
    assert!(ended.text.contains(&warning), "{text}");
    let last: Vec<&str> = ended
        .text
        .lines()
        .filter(|line| line.contains("the last line"))
        .collect();
    let stamped = |line: &&&str| count(r"\d\.\d{3} \| the last line\r?$", line) == 1;
    assert_eq!(last.iter().filter(stamped).count(), 1, "{last:#?}");
    assert!(!ended.text.contains("log: "), "{text}");
}

#[test]
fn a_build_that_is_refused_keeps_no_log() {
    let run = build(&callers()[0], "").args(["no-such-element"]);
    let ended = Terminal::start(run.command(), 24, 100).end();
    assert_eq!(ended.status, 1, "{}", ended.text);
    ended.is_tidy();
    assert!(has(&ended.rows, "no-such-element"), "{:#?}", ended.rows);
    let logs = run.home().join(".cache/safedib/logs");
    assert!(!logs.exists() || fs::read_dir(logs).unwrap().count() == 0);
}

#[test]
fn ctrl_c_tells_what_was_cleaned() {
    for caller in callers() {
        let run = build(&caller, PATIENT).args(["-t", "tar,qcow2"]);
        fs::write(run.dir.join("image.tar"), "old").unwrap();
        let mut terminal = Terminal::start(run.command(), 24, 120);
        terminal.wait_for_text(" | the hook is asleep");
        terminal.press(b"\x03");
        let ended = terminal.end();
        let text = ended.rows.join("\n");
        assert_eq!(ended.status, 130, "{text}");
        ended.is_tidy();
        for part in [
            "interrupted by SIGINT; everything of the build was removed",
            "it was running hook `50-patient` of element `patient` in phase root",
            "ended: the namespace appliance with all that ran in it, and its network helper",
            "no output was touched: image.tar is as it was, there is no image.qcow2",
        ] {
            assert!(text.contains(part), "no {part:?}:\n{text}");
        }
        let staging = format!("removed: {}/.image.safedib-", run.dir.display());
        assert!(ended.text.contains(&staging), "{text}");
        let outcome = run.outcome(empty(), Default::default());
        assert_eq!(outcome.files, ["image.tar"]);
    }
}

/// A shell with job control, as people have it.
#[test]
fn ctrl_z_gives_the_shell_a_clean_screen() {
    let caller = &callers()[0];
    let script = "\"$@\"; echo \"stopped with $?\"; sleep 1; fg; echo \"ended with $?\"";
    let run = build(caller, PATIENT).through(&["bash", "--norc", "-ic", script, "bash"]);
    let mut terminal = Terminal::start(run.command(), 24, 80);
    terminal.wait_for_text(" | the hook is asleep");
    terminal.press(b"\x1a");
    let rows = terminal.wait_for_text("stopped with 148");
    let at = rows
        .iter()
        .position(|row| row.contains("stopped with 148"))
        .unwrap();
    let before = rows[..at].join("\n");
    assert!(
        !before.contains("step ") && !before.contains(" total "),
        "{rows:#?}"
    );
    terminal.wait_for("view after fg", |rows| {
        let shown = rows.iter().skip(at);
        shown.clone().any(|row| row.contains(" total ")) && has(rows, " | the hook is asleep")
    });
    wake(&run);
    let ended = terminal.end();
    assert!(
        has(&ended.rows, "ended with 0"),
        "{}",
        ended.rows.join("\n")
    );
    ended.is_tidy();
    run.assert_nothing_left();
}

#[test]
fn a_debug_break_has_the_terminal_for_itself() {
    let caller = &callers()[0];
    let run = build(caller, "#!/bin/sh\n").env("break", "before-root");
    let mut terminal = Terminal::start(run.command(), 24, 100);
    let rows = terminal.wait_for_text("At stage before-root");
    assert!(
        has(&rows, "Starting debug shell. Exit to resume building."),
        "{rows:#?}"
    );
    terminal.wait_for("screen without a view", |rows| !has(rows, " total "));
    terminal.press(b"echo here $((6 * 7))\n");
    terminal.wait_for_text("here 42");
    terminal.press(b"exit\n");
    let ended = terminal.end();
    assert_eq!(ended.status, 0, "{}", ended.text);
    assert!(has(&ended.rows, "Resuming"), "{:#?}", ended.rows);
    assert!(
        has(&ended.rows, "Build completed successfully"),
        "{:#?}",
        ended.rows
    );
}

/// With times and logs of its own.
fn own_cache(run: Run) -> Run {
    let home = run.home();
    run.env("XDG_CACHE_HOME", home)
        .env("DIB_APPLIANCE", "namespace")
}

#[test]
fn each_command_has_a_view_and_can_do_without() {
    let caller = &callers()[0];
    for (words, wanted) in [(&[][..], true), (&["--no-progress"][..], false)] {
        let run = Run::new(caller, "diskimage-builder").env("TERM", "xterm");
        let list = "- {imagename: x, types: [tar], skip-base: yes, elements: [safedib-fake-os]}\n";
        fs::write(run.dir.join("images.yaml"), list).unwrap();
        let run = own_cache(run)
            .args(words.iter().copied())
            .args(["images.yaml"]);
        let ended = Terminal::start(run.command(), 40, 80).end();
        assert_eq!(ended.status, 0, "{}", ended.text);
        assert_eq!(ended.text.contains("\x1b[?7l"), wanted, "{:?}", ended.text);

        let run = Run::new(caller, "virt-dib").env("TERM", "xterm");
        let elements = run.elements().display().to_string();
        let lib = run.home().join("lib");
        common::copy_tree(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/helpers/lib"),
            &lib,
        );
        let (lib, tmp) = (lib.display().to_string(), run.tmp());
        let run = own_cache(run)
            .env("TMPDIR", tmp)
            .args(words.iter().copied());
        let run = run.args([
            "-B",
            &lib,
            "-p",
            &elements,
            "--formats",
            "tar",
            "--name",
            "x",
        ]);
        let run = run.args(["--skip-base", "safedib-fake-os"]);
        let ended = Terminal::start(run.command(), 40, 80).end();
        assert_eq!(ended.status, 0, "{}", ended.text);
        assert_eq!(ended.text.contains("\x1b[?7l"), wanted, "{:?}", ended.text);
    }
}
