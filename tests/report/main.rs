//! Reports of builds: what they tell, what they never do, and how they look.

#[path = "../common/mod.rs"]
mod common;

mod bill;
mod browser;
mod packages;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;

use common::machine::{machine, same_trees};
use common::{callers, tool, Caller, Outcome, Run};

/// Some packages, with a name that somebody might want a browser to run.
pub const DPKG: &str = r#"#!/bin/bash
set -eu
[ "$(id -u)" = 0 ] || exec sudo TARGET_ROOT="$TARGET_ROOT" VERSION="${VERSION:-1}" "$0"
cd "$TARGET_ROOT"
mkdir -p var/lib/dpkg/info opt/own
{
    printf 'Package: fake-base\nStatus: install ok installed\nArchitecture: amd64\n'
    printf 'Version: 1:2.0-%s+b1\nSource: fake (2.0)\n\n' "${VERSION:-1}"
    printf 'Package: <script>alert(1)</script>\nStatus: install ok installed\n'
    printf 'Architecture: all\nVersion: 3\x1b[2J\n\n'
    printf 'Package: was-here\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n'
} > var/lib/dpkg/status
printf '/.\n/bin\n/bin/bash\n/usr/bin/cat\n' > var/lib/dpkg/info/fake-base.list
head -c 3000000 /dev/zero | tr '\0' x > opt/own/large
printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian of a test"\n' > etc/os-release
"#;

/// A build with packages, and a hook that takes some time.
pub fn build(caller: &Caller, formats: &str) -> Run {
    Run::build(caller, formats)
        .element_file("packaged", "root.d/60-packages", DPKG)
        .element_file("packaged", "install.d/50-slow", "#!/bin/bash\nsleep 0.3\n")
        .env("OVERWRITE_OLD_IMAGE", "1")
        .args(["safedib-fake-os", "packaged"])
}

/// A report that a run has left.
pub fn report(run: &Run, name: &str) -> Value {
    let text = fs::read_to_string(run.dir.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// One more run, with further words on the command line.
fn again(run: &Run, words: &[&str]) -> Outcome {
    let output = run.command().args(words).output().unwrap();
    run.outcome(output, std::time::Duration::ZERO)
}

fn hooks(report: &Value) -> Vec<String> {
    let events = report["timeline"].as_array().unwrap().iter();
    let hooks = events.filter(|event| event["kind"] == "hook");
    hooks
        .map(|hook| {
            format!(
                "{}/{}",
                hook["element"].as_str().unwrap(),
                hook["name"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn a_build_tells_what_it_did() {
    for caller in callers() {
        let run = build(&caller, "tar,qcow2").args([
            "--checksum",
            "--report=image.html",
            "--report=r.json",
            "--report",
            "r.cdx.json",
        ]);
        let outcome = run.run().success();
        for name in ["image.html", "r.json", "r.cdx.json"] {
            assert!(outcome.stdout.contains(&format!("{name}\n")), "{outcome}");
            let found = fs::metadata(run.dir.join(name)).unwrap();
            use std::os::unix::fs::MetadataExt;
            assert_eq!(
                (found.uid(), found.mode() & 0o777),
                (run.owner().0.as_raw(), 0o644)
            );
        }
        let report = report(&run, "r.json");
        assert_eq!(report["version"], 1);
        assert_eq!(report["outcome"]["state"], "built");
        let ran = hooks(&report);
        for hook in [
            "safedib-fake-os/10-fake-os",
            "packaged/60-packages",
            "packaged/50-slow",
        ] {
            assert!(ran.contains(&hook.to_owned()), "{ran:?}");
        }
        let slow = report["timeline"].as_array().unwrap().iter();
        let slow = slow
            .clone()
            .find(|event| event["name"] == "50-slow")
            .unwrap();
        assert!(
            slow["seconds"].as_f64().unwrap() >= 0.3 && slow["ended"] == true,
            "{slow}"
        );
        assert!(report["image"]["seconds"].as_f64() > slow["seconds"].as_f64());
        told_outputs(&run, &report);
        told_content(&report["content"]);
        let appliance = &report["appliances"][0];
        assert_eq!(
            (&appliance["kind"], &appliance["why"]),
            (&"namespace".into(), &"needs no block device".into())
        );
        let asked = report["elements"].as_array().unwrap().iter();
        let asked: Vec<&Value> = asked.map(|element| &element["asked_by"][0]).collect();
        assert_eq!(asked, ["", ""]);
        let page = fs::read_to_string(run.dir.join("image.html")).unwrap();
        assert!(!page.contains("<script>alert") && !page.contains('\u{1b}'));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(page.len() < 500_000, "{}", page.len());
    }
}

fn told_outputs(run: &Run, report: &Value) {
    let outputs = report["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    for output in outputs {
        let path = run.dir.join(output["name"].as_str().unwrap());
        assert_eq!(output["path"], path.to_str().unwrap());
        assert_eq!(output["bytes"], fs::metadata(&path).unwrap().len());
        let sum = fs::read_to_string(format!("{}.sha256", path.display())).unwrap();
        assert!(sum.starts_with(output["sha256"].as_str().unwrap()));
    }
    let beside = report["timeline"].as_array().unwrap().iter();
    let mut beside = beside.filter(|event| event["kind"] == "beside");
    assert_eq!(beside.next().unwrap()["name"], "pack image.tar");
}

fn told_content(content: &Value) {
    assert_eq!(content["manager"], "dpkg");
    assert_eq!(content["system"]["id"], "debian");
    let packages = content["packages"].as_array().unwrap();
    let names: Vec<&str> = packages
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["<script>alert(1)</script>", "fake-base"]);
    assert_eq!(packages[0]["version"], "3\u{241b}[2J");
    // /bin leads to /usr/bin.
    assert_eq!(packages[1]["files"], 2);
    let bash = packages[1]["bytes"].as_u64().unwrap();
    assert!(bash > 500_000, "{bash}");
    let find = |of: &Value, name: &str| {
        let children = of["children"].as_array().unwrap().iter();
        children
            .clone()
            .find(|child| child["name"] == name)
            .cloned()
    };
    let large = find(&content["tree"], "opt").and_then(|opt| find(&opt, "own"));
    let large = large.and_then(|own| find(&own, "large")).unwrap();
    assert_eq!(
        (&large["apparent"], &large["files"]),
        (&3_000_000.into(), &1.into())
    );
    let unowned = find(&content["unowned"], "opt").unwrap();
    assert!(unowned["bytes"].as_u64() >= Some(3_000_000));
    let total = content["tree"]["bytes"].as_u64().unwrap();
    assert!(total > bash + 3_000_000);
}

#[test]
fn the_image_is_the_same() {
    for caller in callers() {
        let run = build(&caller, "tar").element_file(
            "packaged",
            "install.d/60-arguments",
            "#!/bin/bash\necho \"$DIB_ARGS\" >/arguments\n",
        );
        run.run().success();
        fs::rename(run.dir.join("image.tar"), run.dir.join("plain.tar")).unwrap();
        again(&run, &["--report=a.html", "--report", "b.json"]).success();
        same_trees(&run.dir, "plain.tar", "image.tar");
    }
}

#[test]
fn a_failed_build_tells_why() {
    for caller in callers() {
        let hook = "#!/bin/bash\necho before; echo '<b>last words</b>' >&2\nexit 44\n";
        let run = build(&caller, "tar")
            .element_file("packaged", "post-install.d/70-wrong", hook)
            .args(["--report=r.html", "--report=r.json", "--report=r.cdx.json"]);
        let outcome = run
            .run()
            .failure(44, &["70-wrong"])
            .leaves(&["r.html", "r.json"]);
        assert!(outcome.stdout.contains("no bill of materials"), "{outcome}");
        let report = report(&run, "r.json");
        let told = &report["outcome"];
        for (key, value) in [
            ("state", "failed"),
            ("hook", "70-wrong"),
            ("element", "packaged"),
            ("phase", "post-install"),
        ] {
            assert_eq!(told[key], value);
        }
        assert_eq!(told["status"], 44);
        assert_eq!(
            told["tail"].as_array().unwrap().last().unwrap(),
            "<b>last words</b>"
        );
        assert_eq!(report["content"], Value::Null);
        let last = report["timeline"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["name"], &last["ended"]),
            (&"70-wrong".into(), &false.into())
        );
        let page = fs::read_to_string(run.dir.join("r.html")).unwrap();
        assert!(page.contains("&lt;b&gt;last words&lt;/b&gt;") && !page.contains("<b>last"));
    }
}

#[test]
fn an_interrupted_build_tells_how_far_it_came() {
    for caller in callers() {
        let hook = "#!/bin/bash\necho the hook is asleep\nexec sleep 1000\n";
        let run = build(&caller, "tar")
            .element_file("packaged", "install.d/70-sleep", hook)
            .args(["--report=r.json"]);
        let mut driver = run.command().stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(driver.stdout.take().unwrap());
        let mut said = String::new();
        while !said.ends_with("| the hook is asleep\n") {
            let count = output.read_line(&mut said).unwrap();
            assert_ne!(count, 0, "the build ended early: {said}");
        }
        kill(Pid::from_raw(driver.id() as i32), Signal::SIGINT).unwrap();
        output.read_to_string(&mut said).unwrap();
        assert_eq!(driver.wait().unwrap().code(), Some(130));
        run.assert_nothing_left();
        let report = report(&run, "r.json");
        assert_eq!(report["outcome"]["state"], "interrupted");
        let last = report["timeline"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["name"], &last["ended"]),
            (&"70-sleep".into(), &false.into())
        );
    }
}

#[test]
fn what_fails_before_the_first_hook_is_told_too() {
    for caller in callers() {
        let run = Run::build(&caller, "tar").args(["--report=r.json", "no-such-element"]);
        run.run()
            .failure(1, &["no-such-element"])
            .leaves(&["r.json"]);
        let report = report(&run, "r.json");
        let message = report["outcome"]["message"].as_str().unwrap();
        assert!(message.contains("no-such-element"), "{message}");
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_the_build() {
    for caller in callers() {
        let refused = |words: &[&str], texts: &[&str]| {
            let run = build(&caller, "tar").args(words.iter().copied());
            fs::create_dir(run.dir.join("directory.html")).unwrap();
            fs::write(run.dir.join("no-report.json"), "{}").unwrap();
            let outcome = run.run().failure(1, texts);
            assert_eq!(
                outcome.files,
                ["directory.html", "no-report.json"],
                "{outcome}"
            );
            assert!(!outcome.stdout.contains("Building elements"), "{outcome}");
        };
        refused(
            &["--report=a.txt"],
            &["--report", "extension", "hint: end it in .html"],
        );
        refused(
            &["--report=no/such.html"],
            &["cannot write the report", "no/such.html", "hint: create"],
        );
        refused(
            &["--report=directory.html"],
            &["directory.html", "hint: give --report"],
        );
        refused(
            &["--report=/proc/a.html"],
            &["cannot write the report /proc/a.html"],
        );
        refused(
            &["--report=a.html", "--report-against=no-report.json"],
            &[
                "cannot compare with",
                "no report",
                "hint: give --report-against",
            ],
        );
        refused(
            &["--report=a.cdx.json", "--report-against=no-report.json"],
            &["no report shows a difference"],
        );
    }
}

#[test]
fn an_earlier_report_is_compared_with() {
    for caller in callers() {
        let run = build(&caller, "tar").args(["--report=r.json"]);
        run.run().success();
        assert_eq!(report(&run, "r.json")["difference"], Value::Null);
        fs::copy(run.dir.join("r.json"), run.dir.join("first.json")).unwrap();
        let run = run.env("VERSION", "2");
        again(&run, &["--report=r.html"]).success();
        let compared = report(&run, "r.json");
        let difference = &compared["difference"];
        let changed = serde_json::json!([["fake-base", "1:2.0-1+b1", "1:2.0-2+b1"]]);
        assert_eq!(difference["packages"]["changed"], changed);
        assert!(difference["against"].as_str().unwrap().ends_with("/r.json"));
        let page = fs::read_to_string(run.dir.join("r.html")).unwrap();
        assert!(page.contains("1:2.0-1+b1") && page.contains("Difference to an earlier build"));
        again(&run, &["--report-against=first.json"]).success();
        let named = report(&run, "r.json");
        assert!(named["difference"]["against"]
            .as_str()
            .unwrap()
            .ends_with("/first.json"));
        // What is no report is replaced, and the log says so.
        fs::write(run.dir.join("r.json"), "[1]").unwrap();
        let outcome = again(&run, &[]).success();
        assert!(outcome.stdout.contains("will not be compared"), "{outcome}");
        assert_eq!(report(&run, "r.json")["difference"], Value::Null);
    }
}

#[test]
fn a_layer_is_told_and_its_hooks_have_no_times() {
    for caller in callers() {
        let run = build(&caller, "tar").args(["--cache", "--cache-step=0", "--report=r.json"]);
        run.run().success();
        assert_eq!(report(&run, "r.json")["layer"], Value::Null);
        run.run().success();
        let report = report(&run, "r.json");
        let layer = &report["layer"];
        assert!(layer["text"]
            .as_str()
            .unwrap()
            .contains("began with a layer"));
        let reused = layer["hooks"].as_array().unwrap();
        assert!(reused.contains(&"root.d/60-packages".into()), "{reused:?}");
        assert!(!hooks(&report).contains(&"packaged/60-packages".to_owned()));
        assert_eq!(report["content"]["packages"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn image_definitions_and_virt_dib_ask_for_reports() {
    for caller in callers() {
        let run = Run::new(&caller, "diskimage-builder").args(["images.yaml"]);
        let images = "- imagename: one\n  types: [tar]\n  skip-base: true\n  \
                      elements: [safedib-one-file]\n  report: [one.html, one.json]\n";
        fs::write(run.dir.join("images.yaml"), images).unwrap();
        run.run().success();
        assert_eq!(report(&run, "one.json")["image"]["name"], "one");
        assert!(run.dir.join("one.html").exists());

        let run = Run::new(&caller, "virt-dib");
        let lib = run.elements().parent().unwrap().join("lib");
        fs::create_dir(&lib).unwrap();
        fs::write(lib.join("die"), "").unwrap();
        let elements = run.elements();
        let run = run
            .args([
                "-B".into(),
                lib.into_os_string(),
                "-p".into(),
                elements.into(),
            ])
            .args([
                "--skip-base",
                "--formats=tar",
                "--name=two",
                "--report=two.json",
            ])
            .args(["safedib-one-file"])
            .env("DIB_APPLIANCE", "namespace");
        run.run().success();
        assert_eq!(report(&run, "two.json")["outcome"]["state"], "built");
    }
}

#[test]
fn both_appliances_are_in_one_report() {
    let Some(_alone) = machine() else { return };
    let caller = callers().remove(0);
    let run = build(&caller, "tar")
        .element_file(
            "packaged",
            "pre-finalise.d/50-device",
            "#!/bin/bash\ntest -b $IMAGE_BLOCK_DEVICE\n",
        )
        .args(["--image-size", "0.3", "--report=r.json", "--report=r.html"]);
    run.run().success();
    let report = report(&run, "r.json");
    let kinds = report["appliances"].as_array().unwrap().iter();
    let kinds: Vec<&str> = kinds.map(|a| a["kind"].as_str().unwrap()).collect();
    assert!(kinds.starts_with(&["namespace", "microvm"]), "{kinds:?}");
    told_content(&report["content"]);
    assert!(hooks(&report).contains(&"packaged/50-device".to_owned()));
}

/// Where the project's own files are.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The output of a tool that must succeed, unless it says that it lacks something.
pub fn or_lacks(command: &mut std::process::Command, what: &str, there: bool) -> Option<String> {
    if there {
        return Some(tool(command));
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "no {what}: run scripts/setup first"
    );
    eprintln!("no {what} (scripts/setup installs it): not tested");
    None
}
