//! Commands that build nothing: plans, help on a broken host, links.

mod common;

use std::fs;
use std::path::Path;

use common::{callers, Caller, Run};

fn planned(caller: &Caller) -> Run {
    Run::new(caller, "safedib")
        .element_file("asker", "element-deps", "asked\n")
        .element_file("asked", "install.d/20-second", "#!/bin/sh\n")
        .element_file("asker", "install.d/10-first", "#!/bin/sh\n")
        .element_file("asked", "root.d/90-late", "#!/bin/sh\n")
        .element_file("asked", "environment.d/15-asked", "export A=b\n")
        .args(["plan"])
}

const LINE: [&str; 8] = [
    "disk-image-create",
    "-n",
    "-t",
    "tar,qcow2",
    "-o",
    "image",
    "safedib-fake-os",
    "asker",
];

/// Hides what an appliance cannot do without, so that a plan that needs it fails.
const NO_APPLIANCE: &str = "for p in newuidmap newgidmap pasta slirp4netns qemu-img unshare; do \
     mount --bind /dev/null /usr/bin/$p; done; mount --bind /dev/null /etc/subuid";

/// Positions in `text`, which must rise.
#[track_caller]
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("no {part:?} at its place in {text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn a_plan_shows_what_a_build_would_do_and_does_nothing() {
    for caller in callers() {
        let run = planned(&caller).args(LINE);
        let Some(outcome) = run.run_prepared(NO_APPLIANCE, ":") else {
            continue;
        };
        let outcome = outcome.success().leaves(&[]);
        let made: Vec<_> = fs::read_dir(run.home()).unwrap().collect();
        assert!(made.is_empty(), "{made:?}");
        in_order(
            &outcome.stdout,
            &[
                "requested: safedib-fake-os asker\n",
                "\nelements\n",
                " (asked for by asker)\n",
                " (asked for by you)\n",
                "\nenvironment files",
                "15-asked ",
                "\nroot.d (outside)\n",
                "10-fake-os ",
                "90-late ",
                "\ninstall.d (in target)\n",
                "10-first ",
                "20-second ",
                "\nhost paths that hooks see\n",
                "  rw ",
                "(DIB_IMAGE_CACHE)",
                "  network: outbound\n",
                "\ncommands of this host",
                "qemu-img ",
                "\nsteps\n",
                "microvm    run hooks of root.d (no user namespaces: ",
                "microvm    run hooks of install.d",
                "\noutputs\n",
                "/image.tar\n",
                "/image.qcow2\n",
            ],
        );
    }
}

#[test]
fn a_plan_is_data_too() {
    for caller in callers() {
        let share = "/opt";
        let run =
            planned(&caller)
                .args(["--json"])
                .args(LINE)
                .args(["--share", share, "--no-network"]);
        let outcome = run.run().success().leaves(&[]);
        let plan: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let askers = &plan["elements"]["requested_by"];
        assert_eq!(askers["asked"], serde_json::json!(["asker"]));
        assert_eq!(askers["asker"], serde_json::json!([""]));
        let names = |list: &str, key: &str| -> Vec<String> {
            let list = plan[list].as_array().unwrap();
            list.iter()
                .map(|item| item[key].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            names("hooks", "name"),
            ["10-fake-os", "90-late", "10-first", "20-second"]
        );
        assert_eq!(names("outputs", "format"), ["tar", "qcow2"]);
        assert!(names("shares", "path").contains(&share.to_owned()));
        assert_eq!(plan["network"], false);
        let steps = plan["steps"].as_array().unwrap();
        assert!(steps.len() > 10);
        for step in steps {
            assert_eq!(step["appliance"], "namespace");
            assert!(step["why"].as_str().is_some_and(|why| !why.is_empty()));
        }
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    for words in [["--help"].as_slice(), &["completions", "bash"]] {
        let run = || Run::new(&callers()[0], "safedib").args(words.iter().copied());
        run()
            .through_shell("exec >/dev/full")
            .run()
            .failure(1, &["cannot write to standard output: No space left"]);
        // Nobody reads it any more when it begins.
        let gone = "{ sleep 0.3; \"$@\" || echo failed >&2; } | true";
        let outcome = run().through(&["sh", "-c", gone, "sh"]).run().success();
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn a_plan_refuses_what_the_build_would() {
    for caller in callers() {
        let run = planned(&caller).args(LINE).args(["no-such-element"]);
        run.run().failure(1, &["no-such-element"]).leaves(&[]);
        planned(&caller)
            .run()
            .failure(1, &["plan needs a command line"]);
        planned(&caller)
            .args(["ls"])
            .run()
            .failure(1, &["plan cannot plan 'ls'", "hint: "]);
    }
}

/// No environment, no working directory, and what `setup` does to the rest.
fn on_a_broken_host(caller: &Caller, program: &str, words: &[&str]) -> Run {
    Run::new(caller, program)
        .args(words.iter().copied())
        .through_shell("mkdir gone; cd gone; rmdir ../gone")
        .through(&["env", "-i"])
}

#[test]
fn help_and_version_need_nothing_of_the_host() {
    for caller in callers() {
        for (program, words, text) in [
            (
                "disk-image-create",
                &["--help"][..],
                "Usage: disk-image-create",
            ),
            ("disk-image-create", &["-h"], "--docker-target"),
            ("disk-image-create", &["--version"], "3.43.0\n"),
            (
                "ramdisk-image-create",
                &["--help"],
                "Usage: ramdisk-image-create",
            ),
            ("safedib", &["--help"], "disk-image-create"),
            ("safedib", &["--version"], "safedib 0."),
            ("safedib", &["plan", "--help"], "Usage: safedib plan"),
            (
                "safedib",
                &["plan", "disk-image-create", "--help"],
                "Usage: disk-image-create",
            ),
            (
                "dib-block-device",
                &["--help"],
                "usage: dib-block-device [-h]",
            ),
            ("virt-dib", &["--help"], "virt-dib: build disk images"),
            (
                "diskimage-builder",
                &["-h"],
                "usage: diskimage-builder [-h] [--dry-run]",
            ),
            (
                "safedib",
                &["plan", "diskimage-builder", "-h"],
                "usage: diskimage-builder [-h] [--dry-run]",
            ),
            (
                "dib-run-parts",
                &["--help"],
                "Usage: dib-run-parts [--list | --done NAME...] DIRECTORY",
            ),
            ("element-info", &["--help"], "usage: element-info [-h]"),
            ("dib-lint", &["--help"], "Usage: dib-lint [--flake8]"),
            ("safedib", &["boot", "--help"], "Usage: safedib boot"),
            ("safedib", &["shell", "-h"], "Usage: safedib shell"),
            (
                "safedib",
                &["install-links", "--help"],
                "Usage: safedib install-links",
            ),
            ("safedib", &["manual", "plan"], ".TH SAFEDIB-PLAN 1 "),
            ("safedib", &["completions", "bash"], "\ncomplete -F "),
        ] {
            let run = on_a_broken_host(&caller, program, words);
            // without /proc, too, where that can be arranged
            let outcomes = [
                Some(run.run()),
                run.run_prepared("mount -t tmpfs none /proc", ":"),
            ];
            for outcome in outcomes.into_iter().flatten() {
                let outcome = outcome.success();
                assert!(outcome.stdout.contains(text), "{words:?}: {outcome}");
                assert_eq!(outcome.stderr, "", "{words:?}");
            }
        }
    }
}

#[test]
fn a_build_without_a_working_directory_says_so() {
    for caller in callers() {
        let run = on_a_broken_host(&caller, "disk-image-create", &["x"]);
        run.run().failure(1, &["director"]).leaves(&[]);
    }
}

#[test]
fn links_are_made_renewed_and_never_replace_other_files() {
    for caller in callers() {
        let install = |run: Run| run.args(["install-links", "."]);
        let run = install(Run::new(&caller, "safedib"));
        let names = [
            "dib-block-device",
            "dib-lint",
            "dib-run-parts",
            "disk-image-create",
            "diskimage-builder",
            "element-info",
            "ramdisk-image-create",
            "virt-dib",
        ];
        for _ in 0..2 {
            let outcome = run.run().success().leaves(&names);
            assert_eq!(outcome.stdout.lines().count(), names.len(), "{outcome}");
        }
        let link = run.dir.join(names[3]);
        let own = fs::read_link(&link).unwrap();
        assert!(own.is_absolute() && own.ends_with("safedib"), "{own:?}");
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("/old/safedib", &link).unwrap();
        run.run().success();
        assert_eq!(fs::read_link(&link).unwrap(), own);

        fs::remove_file(&link).unwrap();
        fs::write(&link, "not ours").unwrap();
        run.run().failure(1, &["exists and is not ours", "hint: "]);
        assert_eq!(fs::read_to_string(&link).unwrap(), "not ours");
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("/opt/dib/disk-image-create", &link).unwrap();
        run.run().failure(1, &["exists and is not ours"]);
        let target = fs::read_link(&link).unwrap();
        assert_eq!(target, Path::new("/opt/dib/disk-image-create"));
        let missing = Run::new(&caller, "safedib").args(["install-links", "no/such"]);
        missing
            .run()
            .failure(1, &["no/such", "No such file"])
            .leaves(&[]);
    }
}
