//! `diskimage-builder FILE...`: builds from files, one after the other and side by
//! side, failures, signals, plans.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, killpg, Signal};
use nix::unistd::Pid;

use common::{callers, Caller, Outcome, Run};

/// A run over `images.yaml` with this text.
fn over(caller: &Caller, text: &str) -> Run {
    let run = Run::new(caller, "diskimage-builder")
        .element_file(
            "shows",
            "install.d/50-show",
            "#!/bin/bash\necho \"of $OF trace $DIB_DEBUG_TRACE\"\n",
        )
        .element_file("fails", "install.d/50-fail", "#!/bin/bash\nexit 7\n");
    fs::write(run.dir.join("images.yaml"), text).unwrap();
    run
}

/// An image that only has its elements.
fn image(name: &str, elements: &str) -> String {
    format!(
        "- imagename: {name}\n  types: [tar]\n  skip-base: yes\n\
         \x20 environment: {{OF: '{name}'}}\n  elements: [{elements}]\n"
    )
}

/// The rows of the summary: image, result and outputs.
fn summary(outcome: &Outcome) -> Vec<[String; 3]> {
    let rows = outcome
        .stderr
        .lines()
        .skip_while(|line| !line.contains("images built in"))
        .skip(2)
        .take_while(|line| line.starts_with("  "));
    rows.map(|row| {
        let cells = row
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        let cells: Vec<String> = cells.map(String::from).collect();
        assert_eq!(cells.len(), 4, "{row}");
        [cells[0].clone(), cells[1].clone(), cells[3].clone()]
    })
    .collect()
}

#[test]
fn images_are_built_one_after_the_other() {
    for caller in callers() {
        let text = image("a", "safedib-fake-os")
            + "  debug-trace: 1\n"
            + &image("b", "safedib-one-file")
            + "  checksum: yes\n- imagename: a\n  elements: [shows]\n";
        let outcome = over(&caller, &text).args(["images.yaml"]).run().success();
        let files = ["a.tar", "b.tar", "b.tar.md5", "b.tar.sha256", "images.yaml"];
        let outcome = outcome.leaves(&files);
        let said = "OF=a disk-image-create -o a -t tar -x -n safedib-fake-os shows\n\n";
        let next = "OF=b disk-image-create -o b -t tar --checksum -n safedib-one-file\n\n";
        assert!(outcome.stderr.starts_with(said), "{outcome}");
        assert!(outcome.stderr.contains(next), "{outcome}");
        assert!(outcome.stdout.contains(" | of a trace 1\n"), "{outcome}");
        let ends = outcome.stdout.matches("| Build completed successfully\n");
        assert_eq!(ends.count(), 2, "{outcome}");
        let rows = [
            ["a", "built", "a.tar"],
            ["b", "built", "b.tar b.tar.md5 b.tar.sha256"],
        ];
        assert_eq!(summary(&outcome), rows, "{outcome}");
    }
}

#[test]
fn images_side_by_side_do_not_disturb_each_other() {
    let line = regex::Regex::new(r"^(a|b): \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| ").unwrap();
    let waits = "#!/bin/bash\nfor n in {1..40}; do echo \"$n of $OF\"; sleep 0.02; done\n";
    for caller in callers() {
        let text = image("a", "safedib-fake-os, waits") + &image("b", "safedib-fake-os, waits");
        let run = over(&caller, &text)
            .element_file("waits", "install.d/50-wait", waits)
            .args(["-j", "2", "images.yaml"]);
        let outcome = run
            .run()
            .success()
            .leaves(&["a.tar", "b.tar", "images.yaml"]);
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        for text in &lines {
            assert!(line.is_match(text), "{text:?} in {outcome}");
        }
        for name in ["a", "b"] {
            for n in 1..=40 {
                let count = lines
                    .iter()
                    .filter(|line| {
                        line.starts_with(&format!("{name}: "))
                            && line.ends_with(&format!(" | {n} of {name}"))
                    })
                    .count();
                assert_eq!(count, 1, "{n} of {name} in {outcome}");
            }
        }
        let place = |text: &str| lines.iter().position(|line| line.ends_with(text)).unwrap();
        assert!(place("| 1 of a") < place("| 40 of b"), "{outcome}");
        assert!(place("| 1 of b") < place("| 40 of a"), "{outcome}");
        assert!(
            outcome.stderr.contains("b: OF=b disk-image-create -o b"),
            "{outcome}"
        );
        let rows = [["a", "built", "a.tar"], ["b", "built", "b.tar"]];
        assert_eq!(summary(&outcome), rows, "{outcome}");
    }
}

#[test]
fn a_failure_is_told_and_stops_others_only_on_demand() {
    for caller in callers() {
        let text = image("a", "safedib-one-file")
            + &image("bad", "safedib-fake-os, fails")
            + &image("lost", "no-such-element")
            + &image("d", "safedib-one-file");
        let run = over(&caller, &text).args(["images.yaml"]);
        let outcome = run.run().failure(
            1,
            &[
                "50-fail",
                "no-such-element",
                "diskimage-builder: 2 of 4 images were not built",
            ],
        );
        let rows = [
            ["a", "built", "a.tar"],
            ["bad", "failed (7)", "-"],
            ["lost", "failed (1)", "-"],
            ["d", "built", "d.tar"],
        ];
        assert_eq!(summary(&outcome), rows, "{outcome}");
        let outcome = outcome.leaves(&["a.tar", "d.tar", "images.yaml"]);
        assert!(
            outcome.stderr.ends_with("images were not built\n"),
            "{outcome}"
        );
    }
    let caller = &callers()[0];
    for jobs in ["1", "2"] {
        let text = image("bad", "safedib-fake-os, fails")
            + &image("slow", "safedib-fake-os, late")
            + &image("d", "safedib-one-file");
        let run = over(caller, &text)
            .element_file("late", "cleanup.d/50-late", "#!/bin/bash\nsleep 2\n")
            .args(["--stop-on-failure", "-j", jobs, "images.yaml"]);
        let outcome = run.run().failure(1, &["of 3 images were not built"]);
        let rows = summary(&outcome);
        assert_eq!(rows[0][1], "failed (7)", "{outcome}");
        // What has begun goes on to its end.
        let slow = if jobs == "1" { "not started" } else { "built" };
        assert_eq!(rows[1][1], slow, "{outcome}");
        assert_eq!(rows[2][1], "not started", "{outcome}");
    }
}

/// A run whose builds have all come to a hook that sleeps.
fn asleep(run: &Run, count: usize) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = run.command();
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while said.matches("| asleep").count() < count {
        assert_ne!(
            output.read_line(&mut said).unwrap(),
            0,
            "ended early: {said}"
        );
    }
    (child, output)
}

fn end(run: &Run, child: Child, mut output: BufReader<std::process::ChildStdout>) -> Outcome {
    let since = Instant::now();
    let mut said = String::new();
    output.read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    let took = since.elapsed();
    assert!(took < Duration::from_secs(60), "it took {took:?}");
    run.outcome(output, took)
}

fn sleepers(caller: &Caller, jobs: &str) -> Run {
    let text = image("a", "safedib-fake-os, sleeps")
        + &image("b", "safedib-fake-os, sleeps")
        + &image("c", "safedib-fake-os");
    over(caller, &text)
        .element_file(
            "sleeps",
            "install.d/50-sleep",
            "#!/bin/bash\ntrap '' INT TERM HUP\necho asleep\nsleep 1000\n",
        )
        .args(["-j", jobs, "images.yaml"])
}

#[test]
fn a_signal_ends_all_builds_in_good_order() {
    for caller in callers() {
        for (jobs, signal, status) in [
            ("2", Signal::SIGTERM, 143),
            ("2", Signal::SIGINT, 130),
            ("1", Signal::SIGTERM, 143),
        ] {
            let run = sleepers(&caller, jobs);
            let (child, output) = asleep(&run, jobs.parse().unwrap());
            kill(Pid::from_raw(child.id() as i32), signal).unwrap();
            let text = format!("interrupted by {signal}; no build is left running");
            let outcome = end(&run, child, output).failure(status, &[&text]);
            let outcome = outcome.leaves(&["images.yaml"]);
            let failed = format!("failed ({status})");
            let second = if jobs == "2" { &failed } else { "not started" };
            let rows = [
                ["a", &failed, "-"],
                ["b", second, "-"],
                ["c", "not started", "-"],
            ];
            assert_eq!(summary(&outcome), rows, "{outcome}");
            let cleaned = outcome
                .stderr
                .matches("everything of the build was removed");
            assert_eq!(cleaned.count(), jobs.parse::<usize>().unwrap(), "{outcome}");
        }
    }
}

/// As from a terminal: whoever is in the process group gets it, too.
#[test]
fn a_signal_to_the_process_group_is_no_more_than_one() {
    let caller = &callers()[0];
    let run = sleepers(caller, "1");
    let (child, output) = asleep(&run, 1);
    killpg(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let outcome = end(&run, child, output);
    outcome
        .failure(130, &["everything of the build was removed"])
        .leaves(&["images.yaml"]);
}

#[test]
fn builds_do_not_outlive_a_killed_parent() {
    for caller in callers() {
        let run = sleepers(&caller, "2");
        let (child, output) = asleep(&run, 2);
        kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
        end(&run, child, output)
            .failure(137, &[])
            .leaves(&["images.yaml"]);
    }
}

#[test]
fn images_of_one_path_are_not_built_at_the_same_time() {
    let caller = &callers()[0];
    let text = image("a", "safedib-one-file") + &image("./a", "safedib-one-file");
    let run = over(caller, &text);
    fs::create_dir(run.dir.join("sub")).unwrap();
    let outcome = run.args(["-j2", "images.yaml"]).run().failure(
        1,
        &["the images a and ./a would write the same files, ", "-j 1"],
    );
    assert!(!outcome.stderr.contains("images built in"), "{outcome}");
}

#[test]
fn nothing_is_built_while_a_file_is_wrong() {
    let caller = &callers()[0];
    let text = image("a", "safedib-one-file") + "- imagename: b\n  image-size: big\n";
    let run = over(caller, &text).args(["images.yaml", "absent.yaml"]);
    let outcome = run.run().failure(
        1,
        &[
            "diskimage-builder: 2 errors in the image definitions\n",
            "\nimages.yaml:7:15: image-size must be an integer of at least 1, not the string 'big'\n",
            "\nabsent.yaml: cannot be read: No such file",
        ],
    );
    outcome.leaves(&["images.yaml"]);
    let outcome = over(caller, "[]").args(["images.yaml"]).run().success();
    assert_eq!(
        outcome.stderr,
        "diskimage-builder: nothing to build: the files define no image\n"
    );
}

#[test]
fn plans_show_every_image() {
    let caller = &callers()[0];
    let text = image("a", "safedib-one-file") + &image("b", "safedib-fake-os") + "  types: [raw]\n";
    let plan = |words: &[&str]| {
        let mut run = Run::new(caller, "safedib");
        fs::write(run.dir.join("images.yaml"), &text).unwrap();
        run = run.args(["plan"]).args(words.iter().copied());
        run.run().success().leaves(&["images.yaml"])
    };
    let outcome = plan(&["diskimage-builder", "images.yaml"]);
    for part in [
        "image a: OF=a disk-image-create -o a -t tar -n safedib-one-file\n",
        "\nimage b: OF=b disk-image-create -o b -t raw -n safedib-fake-os\n",
        "/b.raw",
    ] {
        assert!(outcome.stdout.contains(part), "no {part:?} in {outcome}");
    }
    let outcome = plan(&["--json", "diskimage-builder", "images.yaml"]);
    let list: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(list[1]["image"], "b");
    assert!(list[0]["plan"]["steps"].is_array(), "{outcome}");
}
