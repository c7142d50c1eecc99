//! Shells in the middle of a build, at a real terminal: `break=`,
//! `--shell-on-failure` and `safedib shell`.

mod common;
#[path = "common/pty.rs"]
mod pty;

use std::fs;
use std::time::Duration;

use common::machine::{machine, TCG};
use common::{callers, Caller, Run};
use nix::sys::signal::Signal;
use pty::AtTerminal;

/// Seconds until a build without a machine has come to its hooks, on a busy host.
const SOON: u64 = 120;
/// The same for an emulated machine.
const MACHINE: u64 = 400;

/// A hook that fails until somebody has mended what it needs. What it says is not
/// to be found in what the shell tells of it.
const FRAGILE: &str = "#!/bin/bash\nset -eu\n\
    [ -e /tmp/mended ] || { echo broken; exit 7; }\n\
    echo \"the hook says $GREETING\"\n";

fn build(caller: &Caller) -> Run {
    Run::new(caller, "disk-image-create")
        .args(["-n", "-t", "tar", "-o", "img", "safedib-fake-os", "probe"])
        // What hooks print is looked at here, and a view keeps it to itself.
        .args(["--no-progress"])
        .env("TERM", "xterm")
}

fn fragile(run: Run) -> Run {
    run.element_file("probe", "install.d/50-fragile", FRAGILE)
        .element_file(
            "probe",
            "environment.d/10-greeting",
            "export GREETING=hello\n",
        )
}

/// The line that follows `mark`, as somebody copies it from the screen.
fn copied(terminal: &mut AtTerminal, mark: &str, seconds: u64) -> String {
    terminal.expect(mark, seconds);
    terminal.expect("\r\n", 10)
}

/// Waits for the end of the build, and looks for leftovers.
#[track_caller]
fn ended(run: &Run, terminal: &mut AtTerminal, status: i32, files: &[&str]) {
    let found = terminal.status(SOON);
    assert_eq!(found, status, "{}", terminal.screen());
    assert!(terminal.is_cooked());
    run.assert_nothing_left();
    let mut names: Vec<String> = fs::read_dir(&run.dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, files);
}

#[test]
fn a_break_is_a_shell_with_jobs_and_sizes_and_the_build_goes_on() {
    for caller in callers() {
        let run = build(&caller)
            .element_file("probe", "install.d/50-x", "#!/bin/bash\ncat /tmp/note\n")
            .env("break", "after-root,before-install");
        let mut terminal = AtTerminal::start(run.command());
        // Outside, where all of this host's commands are.
        terminal.expect("Ctrl-] three times ends the build", SOON);
        terminal.expect("At stage after-root", 20);
        terminal.wait_cooked(false);
        terminal.line("stty size; tty; echo \"at $TMP_MOUNT_PATH\"");
        terminal.expect("33 99", SOON);
        terminal.expect("/dev/pts/", 10);
        terminal.expect("/mnt\r\n", 10);
        terminal.resize(50, 120);
        terminal.line("stty size");
        terminal.expect("50 120", SOON);
        // Ctrl-C ends what runs in the shell, and nothing else.
        terminal.line("echo 'it is 'asleep; sleep 600");
        terminal.expect("it is asleep", 20);
        std::thread::sleep(Duration::from_millis(300));
        terminal.keys("\x03");
        terminal.line("echo \"status $?\"");
        terminal.expect("status 130", 20);
        // Ctrl-Z stops it, and the shell has jobs.
        terminal.line("sleep 601");
        std::thread::sleep(Duration::from_millis(300));
        terminal.keys("\x1a");
        terminal.expect("Stopped", 20);
        terminal.line("fg");
        std::thread::sleep(Duration::from_millis(500));
        terminal.keys("\x03");
        terminal.line("echo \"then $?\"; exit 0");
        terminal.expect("then 130", 20);
        // In the target, with its own environment.
        terminal.expect("At stage before-install", SOON);
        let again = copied(&mut terminal, "This runs its hooks: ", 20);
        assert_eq!(
            again,
            "/tmp/in_target.d/dib-run-parts /tmp/in_target.d/install.d"
        );
        terminal.line("echo \"a note from $HOME\" > /tmp/note; echo $LINES by $COLUMNS");
        terminal.expect("50 by 120", 20);
        terminal.line(&again);
        terminal.expect("a note from /root", 20);
        terminal.line("exit");
        terminal.expect("the terminal is the build's again", 20);
        terminal.expect("a note from /root", SOON);
        terminal.expect("Build completed successfully", SOON);
        ended(&run, &mut terminal, 0, &["img.tar"]);
    }
}

#[test]
fn a_failed_hook_can_be_looked_at_where_it_ran_and_run_again() {
    for caller in callers() {
        let run = fragile(build(&caller)).args(["--shell-on-failure"]);
        let mut terminal = AtTerminal::start(run.command());
        terminal.expect("a shell in the target, with its environment", SOON);
        let again = copied(&mut terminal, "this runs it again: ", 20);
        assert_eq!(again, "/tmp/in_target.d/install.d/50-fragile");
        terminal.expect("install.d target:", 20);
        terminal.line(&again);
        terminal.expect("broken", 20);
        terminal.line("echo \"status $?\"; : > /tmp/mended");
        terminal.expect("status 7", 20);
        terminal.line(&again);
        terminal.expect("the hook says hello", 20);
        terminal.line("exit 0");
        terminal.expect("hook `50-fragile` of element `probe` failed", SOON);
        ended(&run, &mut terminal, 7, &[]);
    }
}

#[test]
fn outside_a_failed_hook_has_its_directory_and_what_is_left_there_comes_out() {
    for caller in callers() {
        let run = build(&caller)
            .element_file(
                "probe",
                "extra-data.d/50-x",
                "#!/bin/bash\necho mine > of-the-hook\n[ -n \"${GIVEN:-}\" ] || exit 9\necho it has $GIVEN\n",
            )
            .args(["--shell-on-failure"]);
        let mut terminal = AtTerminal::start(run.command());
        terminal.expect("a shell outside the target, with its environment", SOON);
        let again = copied(&mut terminal, "this runs it again: ", 20);
        assert!(again.ends_with("/hooks/extra-data.d/50-x"), "{again}");
        terminal.line(&format!("export GIVEN=something; {again}"));
        terminal.expect("it has something", 20);
        terminal.line("cp $TMP_MOUNT_PATH/etc/os-release evidence; exit");
        ended(&run, &mut terminal, 9, &["evidence"]);
    }
}

/// A file of environment.d that ends the shell ends the phase, and still there is a
/// shell to look at it.
#[test]
fn an_environment_that_fails_has_a_shell_too() {
    let caller = callers().swap_remove(0);
    let run = build(&caller)
        .element_file("probe", "install.d/50-x", "#!/bin/bash\n:\n")
        .element_file(
            "probe",
            "environment.d/90-ends",
            "export SEEN=before\n[ -z \"${TARGET_ROOT-}\" ] || return 0\nexit 5\n",
        )
        .args(["--shell-on-failure"]);
    let mut terminal = AtTerminal::start(run.command());
    terminal.expect("the environment of ", SOON);
    terminal.expect("has failed with status 5", 20);
    terminal.line("echo \"it was $SEEN\"");
    terminal.expect("it was before", 20);
    terminal.line("exit");
    ended(&run, &mut terminal, 5, &[]);
}

#[test]
fn after_an_error_a_break_says_how_to_run_the_hook() {
    let caller = callers().swap_remove(0);
    for (outside, name) in [(None, "in the target"), (Some("1"), "from outside")] {
        let mut run = fragile(build(&caller)).env("break", "after-error");
        if let Some(value) = outside {
            run = run.env("break_outside_target", value);
        }
        let mut terminal = AtTerminal::start(run.command());
        let again = copied(&mut terminal, "This runs the hook again: ", SOON);
        let mended = match outside {
            None => ": > /tmp/mended",
            Some(_) => ": > $TMP_MOUNT_PATH/tmp/mended",
        };
        terminal.line(mended);
        terminal.line(&again);
        terminal.expect("the hook says hello", 30);
        eprintln!("{name}: {again}");
        terminal.line("exit");
        ended(&run, &mut terminal, 7, &[]);
    }
}

#[test]
fn whatever_ends_a_build_gives_the_terminal_back() {
    for caller in callers() {
        for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGKILL, 137)] {
            let run = build(&caller)
                .element_file("probe", "install.d/50-x", "#!/bin/bash\n:\n")
                .env("break", "before-install");
            let mut terminal = AtTerminal::start(run.command());
            terminal.expect("At stage before-install", SOON);
            terminal.wait_cooked(false);
            terminal.signal(signal);
            assert_eq!(terminal.status(SOON), status, "{}", terminal.screen());
            terminal.wait_cooked(true);
            run.assert_nothing_left();
        }
    }
    // A deaf shell: three times Ctrl-].
    let caller = callers().swap_remove(0);
    let run = build(&caller)
        .element_file("probe", "install.d/50-x", "#!/bin/bash\n:\n")
        .env("break", "before-install");
    let mut terminal = AtTerminal::start(run.command());
    terminal.expect("At stage before-install", SOON);
    terminal.line("trap '' INT QUIT TERM; sleep 700");
    std::thread::sleep(Duration::from_millis(300));
    terminal.keys("\x03\x1d\x1d\x1d");
    ended(&run, &mut terminal, 130, &[]);
}

/// Who prints without end is heard, and can be stopped.
#[test]
fn a_flood_does_not_drown_the_keyboard() {
    let caller = callers().swap_remove(0);
    let run = build(&caller)
        .element_file("probe", "install.d/50-x", "#!/bin/bash\n:\n")
        .env("break", "after-root");
    let mut terminal = AtTerminal::start(run.command());
    terminal.expect("At stage after-root", SOON);
    terminal.line("yes flood");
    terminal.expect("flood\r\nflood\r\nflood", 20);
    terminal.keys("\x03");
    terminal.line("echo \"dry $((6*7))\"");
    terminal.expect("dry 42", 60);
    terminal.line("exit");
    ended(&run, &mut terminal, 0, &["img.tar"]);
}

#[test]
fn a_shell_of_its_own_leaves_nothing() {
    for caller in callers() {
        let words = ["-n", "-o", "img", "safedib-fake-os", "probe"];
        let shell = |place: &[&str]| {
            Run::new(&caller, "safedib")
                .element_file(
                    "probe",
                    "install.d/50-x",
                    "#!/bin/bash\necho done > /etc/by-hook\n",
                )
                .args(["shell"])
                .args(place.iter().copied())
                .args(["disk-image-create"])
                .args(words)
        };
        let run = shell(&["--after", "install"]);
        let mut terminal = AtTerminal::start(run.command());
        terminal.expect("a shell in the target, after the hooks of install.d", SOON);
        terminal.line("echo \"it is $(cat /etc/by-hook)\"");
        terminal.expect("it is done", 20);
        terminal.line("exit 3");
        terminal.expect("nothing was built", SOON);
        ended(&run, &mut terminal, 0, &[]);

        let run = shell(&["--before=install", "--outside"]);
        let mut terminal = AtTerminal::start(run.command());
        terminal.expect(
            "a shell outside the target, before the hooks of install.d",
            SOON,
        );
        terminal.line("ls $TMP_MOUNT_PATH/etc/by-hook || echo 'not 'yet");
        terminal.expect("not yet", 20);
        terminal.line("exit");
        ended(&run, &mut terminal, 0, &[]);
    }
}

/// With layers a shell comes without running the hooks again.
#[test]
fn a_shell_begins_with_what_a_build_has_kept() {
    let caller = callers().swap_remove(0);
    let run = Run::new(&caller, "safedib")
        .element_file(
            "probe",
            "install.d/50-x",
            "#!/bin/bash\necho 'the hook 'runs\necho kept > /etc/by-hook\n",
        )
        .args(["shell", "--after", "install", "disk-image-create", "-n"])
        .args(["--cache", "--cache-step", "0", "-o", "img"])
        .args(["safedib-fake-os", "probe"]);
    for runs in [true, false] {
        let mut terminal = AtTerminal::start(run.command());
        let before = terminal.expect("after the hooks of install.d", SOON);
        assert_eq!(before.contains("the hook runs"), runs, "{before}");
        terminal.line("echo \"it is $(cat /etc/by-hook)\"");
        terminal.expect("it is kept", 20);
        terminal.line("exit");
        ended(&run, &mut terminal, 0, &[]);
    }
}

#[test]
fn without_a_terminal_a_shell_is_refused_before_work_starts() {
    let caller = callers().swap_remove(0);
    let run = fragile(build(&caller)).args(["--shell-on-failure"]);
    let outcome = run
        .run()
        .failure(1, &["no terminal for --shell-on-failure"]);
    assert!(!outcome.stdout.contains("50-fragile"), "{outcome}");
    outcome.leaves(&[]);
    let shell = Run::new(&caller, "safedib").args(["shell", "disk-image-create", "-n"]);
    shell
        .args(["safedib-fake-os"])
        .run()
        .failure(1, &["no terminal for a shell"])
        .leaves(&[]);
    // A break reads standard input, as upstream's do.
    let run = build(&caller)
        .element_file("probe", "install.d/50-x", "#!/bin/bash\n:\n")
        .env("break", "before-install");
    let outcome = run.run().success();
    assert!(
        outcome.stdout.contains("At stage before-install"),
        "{outcome}"
    );
    assert!(!outcome.stdout.contains("This runs"), "{outcome}");
}

#[test]
fn a_machine_has_the_same_shells() {
    let Some(_machine) = machine() else { return };
    let caller = callers().swap_remove(0);
    let run = fragile(build(&caller))
        .args(TCG)
        .args(["--shell-on-failure"])
        .env("break", "after-root");
    let mut terminal = AtTerminal::start(run.command());
    terminal.expect("At stage after-root", MACHINE);
    terminal.line("stty size");
    terminal.expect("33 99", 60);
    terminal.resize(50, 120);
    terminal.line("stty size");
    terminal.expect("50 120", 60);
    terminal.line("echo 'it is 'asleep; sleep 600");
    terminal.expect("it is asleep", 60);
    std::thread::sleep(Duration::from_secs(1));
    terminal.keys("\x03");
    terminal.line("echo \"status $?\"; exit");
    terminal.expect("status 130", 60);
    let again = copied(&mut terminal, "this runs it again: ", MACHINE);
    terminal.line(": > /tmp/mended");
    terminal.line(&again);
    terminal.expect("the hook says hello", 60);
    terminal.line("exit");
    ended(&run, &mut terminal, 7, &[]);
}
