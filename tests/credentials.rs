//! Which of the caller's credentials hooks get, and where they are written down.

mod common;

use std::fs;

use common::{callers, Caller, Run};

const SECRETS: [(&str, &str); 5] = [
    ("SOME_TOKEN", "value-of-token"),
    ("ASKED_PASSWORD", "value-of-asked"),
    ("SHARED_API_KEY", "value-of-shared"),
    ("DIB_PROBE_PASSWORD", "value-of-dib"),
    ("GIVEN_SECRET", "value-of-given"),
];

/// A build whose hooks put down what they see, in the target and outside; one of
/// them mentions `ASKED_PASSWORD`, a script beside the hooks `SHARED_API_KEY`.
fn probe(caller: &Caller) -> Run {
    let put_down = "#!/bin/bash\nset -eu\nfor name in $(compgen -e); do\n\
        case ${!name} in value-of*) echo $name ;; esac\ndone > ";
    let mut run = Run::build(caller, "tar")
        .element_file("probe", "extra-data.d/50-outside", &format!("{put_down}$TMP_HOOKS_PATH/seen\n"))
        .element_file(
            "probe",
            "install.d/50-inside",
            &format!("{put_down}/seen-inside\ncp /tmp/in_target.d/seen /seen-outside\nprintf %s \"$DIB_ENV\" > /dib-env\nprintf %s \"$DIB_ARGS\" > /dib-args\n: ${{ASKED_PASSWORD:-}}\n"),
        )
        .element_file("probe", "bin/tool", "#!/usr/bin/python3\nimport os\nos.environ['SHARED_API_KEY']\n")
        .args(["safedib-fake-os", "probe"])
        .env("PLAIN", "value-of-plain");
    for (name, value) in SECRETS {
        run = run.env(name, value);
    }
    run
}

/// A file of the archive.
fn content(run: &Run, name: &str) -> String {
    common::tool(
        std::process::Command::new("tar")
            .arg("-xOf")
            .arg(run.dir.join("image.tar"))
            .arg(format!("./{name}")),
    )
}

fn seen(run: &Run) -> String {
    let inside = content(run, "seen-inside");
    assert_eq!(content(run, "seen-outside"), inside);
    inside.replace('\n', " ").trim().to_owned()
}

#[test]
fn hooks_get_the_credentials_that_their_elements_ask_for() {
    for caller in callers() {
        let run = probe(&caller);
        let outcome = run.run().success();
        assert_eq!(
            seen(&run),
            "ASKED_PASSWORD DIB_PROBE_PASSWORD PLAIN SHARED_API_KEY"
        );
        let line = "not giving hooks GIVEN_SECRET, SOME_TOKEN:";
        assert!(outcome.stdout.contains(line), "{outcome}");
        let env = content(&run, "dib-env");
        assert!(
            env.contains("declare -x DIB_PROBE_PASSWORD=\"***\""),
            "{env}"
        );
        for (_, value) in SECRETS {
            assert!(!outcome.stdout.contains(value), "{outcome}");
            assert!(!outcome.stderr.contains(value), "{outcome}");
            assert!(!env.contains(value), "{env}");
        }
    }
}

#[test]
fn envvar_gives_what_it_names() {
    for caller in callers() {
        let run = probe(&caller)
            .env("DIB_ENVVARS", "SOME_TOKEN,UNSET_TOKEN")
            .args([
                "--envvar",
                "GIVEN_SECRET",
                "--envvar",
                "NEW_SECRET=value-of-new",
            ]);
        let outcome = run.run().success();
        assert_eq!(
            seen(&run),
            "ASKED_PASSWORD DIB_PROBE_PASSWORD GIVEN_SECRET NEW_SECRET PLAIN SHARED_API_KEY SOME_TOKEN"
        );
        assert!(!outcome.stdout.contains("not giving hooks"), "{outcome}");
        let words = content(&run, "dib-args");
        assert!(words.contains("--envvar NEW_SECRET=***"), "{words}");
        assert!(!words.contains("value-of-new"), "{words}");

        let all = probe(&caller).args(["--envvar", "*"]);
        all.run().success();
        assert!(seen(&all).contains("GIVEN_SECRET"));
    }
}

#[test]
fn a_cleared_environment_has_what_is_named() {
    let caller = &callers()[0];
    let run = probe(caller).args(["-c", "--envvar", "GIVEN_SECRET", "--envvar", "PLAIN"]);
    run.run().success();
    assert_eq!(seen(&run), "GIVEN_SECRET PLAIN");
}

#[test]
fn what_an_image_definition_sets_is_given() {
    for caller in callers() {
        let run = Run::new(&caller, "diskimage-builder")
            .element_file(
                "probe",
                "install.d/50-inside",
                "#!/bin/bash\nset -eu\necho \"${!YAML_*} ${!SOME_*}\" > /seen\n",
            )
            .env("SOME_TOKEN", "value-of-token")
            .args(["images.yaml"]);
        let text = "- imagename: image\n  types: [tar]\n  skip-base: true\n  \
            environment: {YAML_TOKEN: value-of-yaml}\n  elements: [safedib-fake-os, probe]\n";
        fs::write(run.dir.join("images.yaml"), text).unwrap();
        run.give(&run.dir.join("images.yaml"));
        run.run().success();
        assert_eq!(content(&run, "seen"), "YAML_TOKEN \n");
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let caller = &callers()[0];
    let run = probe(caller).args(["--envvar", "1X=2"]);
    run.run().failure(
        1,
        &[
            "--envvar (DIB_ENVVARS) '1X' does not name a variable",
            "give --envvar NAME",
        ],
    );
}
