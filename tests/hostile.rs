//! Hostile and broken elements: whatever their hooks do, the host is as it was
//! before, nothing of the build is left, and the build ends in good order.

#[path = "hostile/cases.rs"]
mod cases;
mod common;
#[path = "hostile/watch.rs"]
mod watch;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cases::{Case, Ends, CASES};
use common::{callers, Caller, Outcome, Run};
use watch::{Metadata, Services, Watch};

/// A build that hangs is one that a hostile element can hold up.
const LIMIT: Duration = Duration::from_secs(120);

/// A build with one hook of that text.
fn build(caller: &Caller, hook: &str, script: &str, services: &Services) -> Run {
    let run = Run::build(caller, "tar").args(["--checksum", "safedib-fake-os", "culprit"]);
    let top = run.dir.parent().unwrap().to_path_buf();
    for name in ["cache", "locks"] {
        fs::create_dir(top.join(name)).unwrap();
        run.give(&top.join(name));
    }
    let text = format!("#!/bin/bash\n{script}\n");
    run.element_file("culprit", hook, &text)
        .env("TOP", &top)
        .env("PORT", services.port.to_string())
        .env("SOCKET", &services.socket)
        .env("DIB_IMAGE_CACHE", top.join("cache"))
        .env("DIB_LOCKFILES", top.join("locks"))
        .env("CI_TOKEN", "hunter2")
        .env("AWS_SECRET_ACCESS_KEY", "hunter2")
}

/// The outputs of a run: what may be new beside the image.
fn outputs(run: &Run) -> Vec<PathBuf> {
    let names = fs::read_dir(&run.dir).unwrap().flatten();
    names
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("image"))
        .map(|entry| entry.path())
        .chain([run.dir.join("image.tar")])
        .collect()
}

fn check_end(case: &Case, run: &Run, outcome: &Outcome) {
    let good = outcome.status == 0;
    let name = case.name;
    match case.ends {
        Ends::Well => assert!(good, "{name}: {outcome}"),
        Ends::Badly(text) => {
            assert!(!good, "{name} has ended well: {outcome}");
            assert!(outcome.stderr.contains(text), "{name}: {outcome}");
        }
        Ends::Somehow => {}
    }
    assert!(
        good || outcome.stderr.starts_with("disk-image-create: "),
        "{name} has no message: {outcome}"
    );
    assert!(
        !outcome.stdout.contains("| reached"),
        "{name}: {}",
        outcome.stdout
    );
    // A title that a hook prints is the log's affair; messages are ours.
    assert!(!outcome.stderr.contains('\u{1b}'), "{name}: {outcome}");
    let image = run.dir.join("image.tar");
    let found = image.symlink_metadata().unwrap();
    assert!(found.is_file(), "{name} has left {found:?}");
    if !good {
        let old = fs::read_to_string(image).unwrap();
        assert_eq!(old, "an image of yesterday", "{name}");
    }
    let beside = run.dir.join("image.d/sh");
    if let Ok(program) = beside.symlink_metadata() {
        assert_eq!(program.permissions().mode() & 0o6000, 0, "{name}");
    }
}

fn try_case(case: &Case, caller: &Caller, services: &Services) {
    let run = build(caller, case.hook, case.script, services);
    let mut watch = Watch::new(&run);
    let bystander = watch.bystanders[0].id().to_string();
    let run = run.env("PID", bystander);
    let began = Instant::now();
    let outcome = run.run();
    let took = began.elapsed();
    eprintln!("{}: status {} after {took:?}", case.name, outcome.status);
    assert!(took < LIMIT, "{}: {took:?}", case.name);
    watch.check(case.name, &outputs(&run));
    check_end(case, &run, &outcome);
    assert_eq!(services.calls(), 0, "{} has made calls", case.name);
}

#[test]
fn the_host_is_untouched() {
    let services = Services::start();
    let mut failed = Vec::new();
    // SAFEDIB_CASE=WORDS tries those with the words in their names
    let words = std::env::var("SAFEDIB_CASE").unwrap_or_default();
    let cases = || CASES.iter().filter(|case| case.name.contains(&words));
    for caller in callers() {
        for case in cases() {
            let tried = catch_unwind(AssertUnwindSafe(|| try_case(case, &caller, &services)));
            failed.extend(tried.is_err().then_some(case.name));
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// The way out is open for what has a network, but not to the service that
/// hands out the machine's credentials; with the option it is.
#[test]
fn the_metadata_service_is_out_of_reach() {
    if !nix::unistd::Uid::effective().is_root() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"));
        eprintln!("skipped: only root can give this host the service's address");
        return;
    }
    let services = Services::start();
    let _metadata = Metadata::start();
    let call = "timeout 5 bash -c 'exec 3<>/dev/tcp/169.254.169.254/$PORT' && echo answered || echo refused";
    for caller in callers() {
        let plain = build(&caller, "extra-data.d/50-culprit", call, &services).run();
        assert!(plain.success().stdout.contains("| refused"));
        assert_eq!(services.calls(), 0);
        let allowed = build(&caller, "extra-data.d/50-culprit", call, &services)
            .args(["--metadata-service"])
            .run()
            .success();
        assert!(allowed.stdout.contains("| answered"), "{allowed}");
        assert_eq!(services.calls(), 1);
    }
}

/// Names are a caller's or an author's affair, and in messages as harmless.
#[test]
fn names_in_messages_drive_no_terminal() {
    let services = Services::start();
    for caller in callers() {
        let run = build(&caller, "element-deps", "\u{1b}]0;title\u{7}", &services);
        let outcome = run.run();
        assert_eq!(outcome.status, 1, "{outcome}");
        assert!(outcome.stderr.contains("\\x1b]0;title\\x07"), "{outcome}");
        assert!(!outcome.stderr.contains('\u{1b}'), "{outcome}");
    }
}

/// A cache that hooks may fill must not be one that safedib itself trusts.
#[test]
fn what_safedib_trusts_is_not_shared() {
    let services = Services::start();
    for caller in callers() {
        for share in ["home/.cache", "home/.cache/safedib/builds"] {
            let run = build(&caller, "extra-data.d/50-culprit", "echo ran", &services);
            let top = run.dir.parent().unwrap().to_path_buf();
            let run = run
                .args(["--appliance", "namespace"])
                .env("XDG_CACHE_HOME", top.join("home/.cache"))
                .env("DIB_IMAGE_CACHE", top.join(share));
            let outcome = run.run().failure(1, &["hooks could write to", "hint: "]);
            assert!(!outcome.stdout.contains("| ran"), "{outcome}");
        }
    }
}

/// The harness sees what it watches for.
#[test]
fn a_change_of_the_host_is_seen() {
    let services = Services::start();
    let run = build(&callers()[0], "extra-data.d/50-culprit", ":", &services);
    let mut watch = Watch::new(&run);
    watch.check("nothing", &[]);
    fs::write(run.home().join(".profile"), "changed").unwrap();
    let seen = catch_unwind(AssertUnwindSafe(|| {
        watch.check("a change", &[]);
    }));
    assert!(seen.is_err());
    drop(std::net::TcpStream::connect(("127.0.0.1", services.port)));
    assert_eq!(services.calls(), 1);
}
