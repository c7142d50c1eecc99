//! The ramdisk of ironic-python-agent-builder's unmodified elements, with sources
//! from git repositories of this machine, booted to the start of its service.
//!
//! By hand, because it takes six minutes:
//! `cargo test --test boot -- --ignored --nocapture ipa::`

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{callers, copy_tree, tool, Run};
use crate::guest::{missing, Guest};
use crate::images::{repository, surroundings, UPSTREAM};
use crate::ramdisk::machine;

const IRONIC: &str = "upstream-fixtures/cache/ironic-python-agent-builder-7.4.0/dib";
const AGENT: &str = "upstream-fixtures/cache/ironic-python-agent-13.0.0";

/// How long the ramdisk may take to a line of its console, emulated.
const BOOT: Duration = Duration::from_secs(900);

/// The journal goes to the console, where the agent's own lines are, too.
const LINE: &str = "systemd.journald.forward_to_console=1";

/// Gives the target's pip the index and the certificates of this machine's.
const PIP: &str = r#"#!/bin/bash
set -eu
here=$(dirname "$0")
sudo install -m 644 "$here/pip/pip.conf" "$TMP_MOUNT_PATH/etc/pip.conf"
sudo install -m 644 "$here/pip/certificates" "$TMP_MOUNT_PATH/etc/ssl/pip-certificates"
"#;

/// What the repository of constraints needs: the sdist names versions that it works with.
const CONSTRAINTS: &str = "# none\n";

/// The settings of this machine's pip that say where packages come from, as a
/// file for the target's, and the certificates that it trusts.
fn pip_settings() -> (String, String) {
    let mut list = Command::new("/usr/bin/python3");
    list.args(["-m", "pip", "config", "list"]);
    let (mut lines, mut certificates) = (
        vec!["[global]".to_owned()],
        "/etc/ssl/certs/ca-certificates.crt".to_owned(),
    );
    for line in tool(&mut list).lines() {
        // A line is `global.index-url='...'`, or `:env:.cert='...'`.
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim_matches('\'');
        match name.rsplit('.').next().unwrap_or_default() {
            "cert" => certificates = value.to_owned(),
            key @ ("index-url" | "extra-index-url" | "trusted-host") => {
                lines.push(format!("{key} = {}", value.replace("\\n", "\n    ")));
            }
            _ => {}
        }
    }
    lines.push("cert = /etc/ssl/pip-certificates\n".to_owned());
    let certificates = fs::read_to_string(certificates).expect("the certificates of pip");
    (lines.join("\n"), certificates)
}

/// Makes a directory of the run a git repository of the caller's own.
fn git_repository(run: &Run, path: &Path) -> String {
    let script = "git init -q -b master . && git add -f . && \
                  git -c user.name=t -c user.email=t@example.invalid commit -q -m one";
    tool(Command::new("sh").args(["-c", script]).current_dir(path));
    let owner = format!("{}:{}", run.owner().0, run.owner().1);
    tool(Command::new("chown").args(["-R", &owner]).arg(path));
    format!("file://{}", path.display())
}

/// The build that upstream's `ironic-python-agent-builder` starts.
fn build() -> Run {
    let caller = callers().swap_remove(0);
    let mut run = Run::new(&caller, "disk-image-create");
    for elements in [UPSTREAM, IRONIC] {
        copy_tree(&repository(elements), &run.elements());
    }
    for (name, value) in surroundings() {
        run = run.env(&name, value);
    }
    let (settings, certificates) = pip_settings();
    run = run
        .element_file("hosts-pip", "extra-data.d/50-hosts-pip", PIP)
        .element_file("hosts-pip", "extra-data.d/pip/pip.conf", &settings)
        .element_file("hosts-pip", "extra-data.d/pip/certificates", &certificates);
    let sources = run
        .dir
        .parent()
        .expect("a directory of the run's")
        .join("sources");
    let (agent, requirements) = (sources.join("agent"), sources.join("requirements"));
    fs::create_dir_all(&requirements).expect("a directory for sources");
    // Its PKG-INFO tells pbr the version that a repository's tag would.
    copy_tree(&repository(AGENT), &agent);
    fs::write(requirements.join("upper-constraints.txt"), CONSTRAINTS).expect("a file");
    let agent = git_repository(&run, &agent);
    let requirements = git_repository(&run, &requirements);
    run.env("DIB_REPOLOCATION_ironic_python_agent", agent)
        .env("DIB_REPOLOCATION_requirements", requirements)
        // Only the archive's main part is sure to be on a mirror, and glean is
        // a package of the index as well as a repository.
        .env("DIB_DEBIAN_COMPONENTS", "main")
        .env("DIB_INSTALLTYPE_glean", "package")
        .env("DIB_CHECKSUM", "sha256")
        .args(["-o", "ipa", "ironic-python-agent-ramdisk", "debian-minimal"])
        .args(["hosts-pip"])
}

#[test]
#[ignore = "takes six minutes and a network: by hand, as the module says"]
fn ironics_ramdisk_boots_to_the_start_of_its_service() {
    let missing = missing();
    assert!(missing.is_empty(), "no {missing:?}: run scripts/setup");
    let run = build();
    let outcome = run.run().success();
    eprintln!("ipa: built in {:?}", outcome.took);
    outcome.leaves(&["ipa.d", "ipa.initramfs", "ipa.kernel", "ipa.sha256"]);

    let begin = Instant::now();
    // It unpacks to more than a gigabyte of memory.
    let booted = machine(&run, "ipa", 3072, LINE);
    let mut guest = Guest::start(&mut booted.command());
    // What systemd says once a service is started, and what that says itself.
    for text in [
        "Started ironic-python-agent.service",
        "INFO ironic_python_agent.agent [-] Starting ironic-python-agent",
    ] {
        let found = guest.wait_for(text, BOOT);
        found.unwrap_or_else(|error| panic!("{error}"));
        eprintln!("ipa: '{text}' after {:?}", begin.elapsed());
    }
}
