//! Builds in containers: under what Kubernetes and podman leave a process, made
//! of namespaces (`confine.py`), each error with the setting that mends it.
//! `compat-tests/fleet` does the same in podman.

#[path = "../common/mod.rs"]
mod common;
mod memory;
mod shared;

use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::machine::machine;
use common::{callers, tool, Caller, Run};
use nix::unistd::Uid;

/// First of the ids of a pod that has a user namespace; they own nothing.
const POD_IDS: u32 = 3_000_000_000;
/// What the manifest `docs/fleet/job-userns.yaml` adds.
const CAPS: &str = "setuid,setgid,setfcap";

/// Whether containers can be made: the outer one takes root.
fn can_confine() -> bool {
    if Uid::effective().is_root() {
        return true;
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "CI runs the tests as root"
    );
    eprintln!("skipped: only root can make a container for this test");
    false
}

/// The ordinary user's id.
fn user() -> u32 {
    match callers().remove(0) {
        Caller::Other(user) => user.uid.as_raw(),
        Caller::Current => panic!("no ordinary user: run scripts/setup"),
    }
}

/// A build in a container with these options.
fn confined(options: &[&str], run: Run) -> Run {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/container/confine.py");
    let top = run.dir.parent().unwrap().display().to_string();
    let script = script.display().to_string();
    let mut words = vec!["/usr/bin/python3", "-B", &script];
    words.extend(options);
    words.extend(["--read-only", "--volume", &top, "--"]);
    run.through(&words)
}

/// Gives everything of a run to somebody.
fn give_all(run: &Run, id: u32) {
    let mut left = vec![run.dir.parent().unwrap().to_path_buf()];
    while let Some(path) = left.pop() {
        lchown(&path, Some(id), Some(id)).unwrap();
        if path.symlink_metadata().unwrap().is_dir() {
            let entries = path.read_dir().unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
}

/// A build of the small system, with everything it keeps on the volume.
fn build(formats: &str) -> Run {
    let run = Run::build(&Caller::Current, formats).args(["safedib-fake-os"]);
    let cache = run.home().join("cache");
    run.env("XDG_CACHE_HOME", cache)
}

/// As root of a pod with a user namespace, which can have these capabilities.
fn in_pod(caps: &str, more: &[&str], run: Run) -> Run {
    let ids = POD_IDS.to_string();
    let mut options = vec!["--ids", &ids, "--caps", caps, "--no-new-privs"];
    options.extend(more);
    let run = confined(&options, run);
    give_all(&run, POD_IDS);
    run
}

/// As an ordinary user in a container without anything.
fn restricted(run: Run, more: &[&str]) -> Run {
    let id = user().to_string();
    let mut options = vec!["--user", &id, "--caps", "", "--no-new-privs", "--masked"];
    options.extend(more);
    let run = confined(&options, run);
    give_all(&run, user());
    run
}

#[test]
fn root_of_a_pod_with_a_user_namespace_builds() {
    if !can_confine() {
        return;
    }
    let owns = "#!/bin/bash\ntouch $TARGET_ROOT/owned\nchown 5:65534 $TARGET_ROOT/owned\n";
    let run = build("tar,qcow2")
        .element_file("owns", "root.d/60-own", owns)
        .args(["owns"]);
    let run = in_pod(CAPS, &["--tun"], run);
    let outcome = run.run().success().leaves(&["image.qcow2", "image.tar"]);
    assert!(
        outcome
            .stdout
            .contains("safedib: namespace appliance for every step"),
        "{outcome}"
    );
    let owner = std::os::unix::fs::MetadataExt::uid(&run.dir.join("image.tar").metadata().unwrap());
    assert_eq!(owner, POD_IDS);
    let listed = tool(
        Command::new("tar")
            .arg("-tvf")
            .arg(run.dir.join("image.tar")),
    );
    let line = listed.lines().find(|line| line.ends_with(" ./owned"));
    assert!(
        line.is_some_and(|line| line.contains(" 5/65534 ")),
        "{listed}"
    );
}

/// What a pod lacks, and what the error says of it.
#[test]
fn what_a_container_lacks_is_named_as_its_settings_are() {
    if !can_confine() {
        return;
    }
    let namespace = ["--appliance", "namespace", "--no-network"];
    for (caps, more, texts) in [
        (
            CAPS,
            &["--masked"][..],
            ["/proc of this system is masked", "procMount: Unmasked"],
        ),
        (
            "setuid,setgid",
            &[],
            ["this root lacks SETFCAP", "capabilities SETFCAP"],
        ),
        (
            "",
            &[],
            ["this root lacks SETGID, SETUID, SETFCAP", "docs/fleet.md"],
        ),
        (
            CAPS,
            &["--no-namespaces"],
            [
                "making a user namespace: Operation not permitted",
                "seccompProfile",
            ],
        ),
        (
            CAPS,
            &["--at-root"],
            [
                "cannot write the image into /: Read-only",
                "start it in a directory of its own (Kubernetes: workingDir)",
            ],
        ),
    ] {
        let run = in_pod(caps, more, build("tar").args(namespace));
        run.run().failure(1, &texts).leaves(&[]);
    }
    let run = restricted(build("tar").args(namespace), &[]);
    run.run()
        .failure(
            1,
            &["newuidmap can get no privilege here: no_new_privs is set"],
        )
        .leaves(&[]);
}

/// The pod of `docs/fleet/job.yaml`: an ordinary user without any capability, and
/// no user namespaces. Its machine reaches the network all the same.
#[test]
fn a_machine_needs_nothing_of_a_restricted_pod() {
    if !can_confine() {
        return;
    }
    let Some(_machine) = machine() else { return };
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    // The gateway is this host's loopback, as the documentation says.
    let asks = format!("#!/bin/bash\nset -eu\nexec 3<>/dev/tcp/10.0.2.2/{port}\nread -r word <&3\n[ $word = heard ]\n");
    let answers = std::thread::spawn(move || {
        use std::io::Write;
        server.accept().unwrap().0.write_all(b"heard\n").unwrap();
    });
    let cache = PathBuf::from(format!("/var/tmp/cache-of-safedib-tests-{}", user()));
    std::fs::create_dir_all(&cache).unwrap();
    lchown(&cache, Some(user()), Some(user())).unwrap();
    let run = Run::build(&Caller::Current, "tar,qcow2")
        .element_file("asks", "root.d/50-ask", &asks)
        .args([
            "--appliance",
            "microvm,tcg,user-net",
            "safedib-fake-os",
            "asks",
        ])
        .env("XDG_CACHE_HOME", &cache);
    let volume = cache.display().to_string();
    let run = restricted(run, &["--no-namespaces", "--volume", &volume]);
    let outcome = run.run().success().leaves(&["image.qcow2", "image.tar"]);
    answers.join().unwrap();
    assert!(
        outcome
            .stdout
            .contains("hooks reach services on this host's loopback"),
        "{outcome}"
    );
}

/// Without the word for it nothing is weakened, and the error names the word.
#[test]
fn passt_without_user_namespaces_names_the_other_network() {
    if !can_confine() {
        return;
    }
    let Some(_machine) = machine() else { return };
    let cache = format!("/var/tmp/cache-of-safedib-tests-{}", user());
    let run = Run::build(&Caller::Current, "tar")
        .args(["--appliance", "microvm,tcg", "safedib-fake-os"])
        .env("XDG_CACHE_HOME", &cache);
    let run = restricted(run, &["--no-namespaces", "--volume", &cache]);
    run.run()
        .failure(1, &["passt", "--appliance microvm,user-net"])
        .leaves(&[]);
}
