//! octavia's `diskimage-create.sh`.

use std::fs;
use std::process::Command;

use super::common::{tool, Run};
use super::stand_in::stand_in;
use super::{call, install, outputs, plan_with, plans, prefix, requested, user};

/// The script stands in a clone, beside the elements.
const FILES: [(&str, &str); 2] = [
    (
        "octavia-19.0.0/diskimage-create",
        "octavia/diskimage-create",
    ),
    ("octavia-19.0.0/elements", "octavia/elements"),
];

const SCRIPT: &str = "octavia/diskimage-create/diskimage-create.sh";

fn octavia() -> (Run, String) {
    let run = Run::new(&user(), "disk-image-create");
    install(&run, &FILES);
    let script = prefix(&run).join(SCRIPT).display().to_string();
    (run, script)
}

#[test]
fn the_image_of_each_base_system_is_planned() {
    let common = "haproxy-octavia rebind-sshd no-resolvconf amphora-agent octavia-lib sos";
    for (words, system, more) in [
        ("", "ubuntu-minimal", "amphora-apparmor"),
        (
            "-i fedora -s 3",
            "fedora",
            "selinux-permissive disable-makecache",
        ),
        (
            "-i centos-minimal -e -m",
            "centos-minimal",
            "amphora-selinux cpu-pinning",
        ),
        (
            "-i rocky -y -n",
            "rocky-container",
            "remove-sshd amphora-fips",
        ),
        ("-i rhel -s 3 -r secret -p", "rhel", "root-passwd"),
        ("-t raw -a arm64 -x -f", "ubuntu-minimal", "certs-ramfs"),
    ] {
        let (run, script) = octavia();
        let words: Vec<&str> = [script.as_str()]
            .into_iter()
            .chain(words.split_whitespace())
            .collect();
        let run = plan_with(run, &words).env("DIB_LOCAL_IMAGE", "/nonexistent.qcow2");
        run.run().success();
        let plans = plans(&run);
        assert_eq!(plans.len(), 1, "{words:?}");
        let elements = requested(&plans[0]);
        // The first one is the command's own.
        assert_eq!(&elements[..4], ["base", "base", "vm", system], "{words:?}");
        for name in common.split(' ').chain(more.split(' ')) {
            assert!(elements.contains(&name), "{name} in {elements:?}");
        }
        let format = if words.contains(&"raw") {
            "qcow2.raw"
        } else {
            "qcow2"
        };
        assert_eq!(
            outputs(&plans[0]),
            [format!("amphora-x64-haproxy.{format}")]
        );
    }
}

#[test]
fn an_amphora_is_built_with_octavias_own_hooks() {
    let (run, script) = octavia();
    let run = stand_in(run, &[("ubuntu-minimal", "ubuntu")]);
    let run = call(
        run,
        &[
            &script,
            "-s",
            "1",
            "-c",
            "cache",
            "-w",
            "work",
            "-l",
            "build.log",
        ],
    )
    .args(["-x", "-o", "amphora.qcow2"]);
    let outcome = run.run().success();
    let image = run.dir.join("amphora.qcow2");
    let size = format!(
        "Amphora image size: {} {}\n",
        image.display(),
        fs::metadata(&image).unwrap().len()
    );
    assert!(outcome.stdout.ends_with(&size), "{outcome}");
    let outcome = outcome.leaves(&["amphora.qcow2", "cache", "work"]);
    let info = tool(
        Command::new("qemu-img")
            .args(["info", "--output=json"])
            .arg(&image),
    );
    assert!(info.contains("\"virtual-size\": 1073741824"), "{info}");
    assert_eq!(
        fs::read_dir(run.dir.join("work")).unwrap().count(),
        0,
        "{outcome}"
    );
}

#[test]
fn local_elements_follow_and_a_failure_is_the_scripts_status() {
    let (run, script) = octavia();
    let local = run.elements().display().to_string();
    let run = stand_in(run, &[("ubuntu-minimal", "ubuntu")])
        .env("DIB_LOCAL_ELEMENTS_PATH", local)
        .env("DIB_LOCAL_ELEMENTS", "safedib-fail-install");
    let run = call(run, &[&script]);
    let outcome = run.run().failure(44, &["safedib-fail-install"]);
    assert!(!outcome.stdout.contains("Successfully built"), "{outcome}");
    // The script leaves its directory behind when it fails.
    let mut files = outcome.files.iter();
    assert!(files.all(|name| name.starts_with("diskimage-create.")));
}
