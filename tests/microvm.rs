//! Builds in the microvm appliance, under TCG: what comes out, what hooks see,
//! and what is left when something dies.
//!
//! One machine at a time: each wants a whole processor. The appliance's root is
//! made once for each user and kept in `/var/tmp/cache-of-safedib-tests-UID`.

mod common;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::callers;
use common::machine::{build, logged, machine, qemu_of, same_trees, waiter, waiting, TCG};

#[test]
fn trees_equal_those_of_the_namespace_appliance() {
    let Some(_machine) = machine() else { return };
    for caller in callers() {
        for element in ["safedib-one-file", "safedib-fake-os"] {
            let run = build(&caller, &["-n", "-t", "tar", "-o", "image", element]);
            run.run().success();
            fs::rename(run.dir.join("image.tar"), run.dir.join("namespace.tar")).unwrap();
            let run = run.args(TCG);
            let outcome = run.run().success().leaves(&["image.tar", "namespace.tar"]);
            for text in [
                "safedib: microvm appliance for every step: asked for",
                "safedib: microvm runs with TCG: --appliance (DIB_APPLIANCE) asks for it",
            ] {
                assert!(outcome.stdout.contains(text), "no {text:?} in {outcome}");
            }
            let metadata = fs::metadata(run.dir.join("image.tar")).unwrap();
            let (uid, gid) = run.owner();
            assert_eq!(
                (metadata.uid(), metadata.gid()),
                (uid.as_raw(), gid.as_raw())
            );
            assert_eq!(metadata.mode() & 0o777, 0o644);
            same_trees(&run.dir, "namespace.tar", "image.tar");
        }
    }
}

/// What a hook sees of host and network; each line is one fact.
const LOOK: &str = r#"#!/bin/bash
echo "element $(stat -c %u:%g "${BASH_SOURCE[0]%/*/*}/../") user $(id -u) name $(uname -n)"
shared=${DIB_SAFEDIB_SHARED:?}
echo "shared $(stat -c %u:%g "$shared/file") $(cat "$shared/file")"
echo no > "$shared/new" 2>/dev/null && echo "shared is writable"
echo kept > "$DIB_IMAGE_CACHE/from-hook" && chown 0:0 "$DIB_IMAGE_CACHE/from-hook" && echo "cache written"
timeout 3 bash -c "exec 3<>/dev/tcp/10.0.2.2/$DIB_SAFEDIB_PORT" 2>/dev/null && echo "reached the host's loopback by the gateway"
(exec 3<>"/dev/tcp/127.0.0.1/$DIB_SAFEDIB_PORT") 2>/dev/null && echo "reached the host's loopback"
echo "cards $(ls /sys/class/net | tr '\n' ' ')"
grep -c nameserver /etc/resolv.conf
ls /.scratch 2>/dev/null && echo "sees the scratch disk"
exit "$DIB_SAFEDIB_STATUS"
"#;

#[test]
fn hooks_see_what_is_shared_and_not_the_hosts_loopback() {
    let Some(_machine) = machine() else { return };
    for caller in callers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let run = build(&caller, &TCG)
            .element_file("looker", "root.d/05-look", LOOK)
            .args(["-n", "-t", "tar", "-o", "x", "looker", "safedib-one-file"])
            .env("DIB_SAFEDIB_PORT", port.to_string())
            .env("DIB_SAFEDIB_STATUS", "0");
        let shared = run.home().join("a,b:c");
        fs::create_dir(&shared).unwrap();
        fs::write(shared.join("file"), "content").unwrap();
        run.give(&shared);
        run.give(&shared.join("file"));
        let cache = run.home().join("cache");
        fs::create_dir(&cache).unwrap();
        run.give(&cache);
        let run = run
            .env("DIB_SAFEDIB_SHARED", &shared)
            .env("DIB_IMAGE_CACHE", &cache);
        let seen = shared.display().to_string();
        let run = run.args(["--share", &seen]);
        let outcome = run.run().success();
        for text in [
            "shared 0:0 content",
            "cache written",
            "cards eth0 lo",
            "user 0",
        ] {
            assert!(outcome.stdout.contains(text), "no {text:?} in {outcome}");
        }
        for text in ["reached the host", "is writable", "sees the scratch"] {
            assert!(!outcome.stdout.contains(text), "{text:?} in {outcome}");
        }
        assert!(!shared.join("new").exists());
        let written = cache.join("from-hook");
        assert_eq!(fs::read_to_string(&written).unwrap(), "kept\n");
        let (uid, gid) = run.owner();
        let metadata = fs::metadata(&written).unwrap();
        assert_eq!(
            (metadata.uid(), metadata.gid()),
            (uid.as_raw(), gid.as_raw())
        );

        fs::remove_file(&written).unwrap();
        let run = run.env("DIB_SAFEDIB_STATUS", "43").args(["--no-network"]);
        let outcome = run.run().failure(43, &["looker", "05-look"]);
        assert!(outcome.stdout.contains("cards lo \n"), "{outcome}");
        assert!(!run.dir.join("x.tar").with_extension("part").exists());
    }
}

#[test]
fn a_killed_qemu_is_noticed_and_nothing_is_left() {
    let Some(_machine) = machine() else { return };
    for caller in callers() {
        let run = waiter(&caller);
        let mut driver = waiting(&run);
        let killed = Instant::now();
        let qemu = nix::unistd::Pid::from_raw(qemu_of(&run));
        nix::sys::signal::kill(qemu, nix::sys::signal::Signal::SIGKILL).unwrap();
        let status = driver.wait().unwrap();
        assert!(killed.elapsed() < Duration::from_secs(60));
        assert_eq!(status.code(), Some(1));
        let errors = logged(&run, "errors");
        for text in ["the appliance died during", "signal: 9", "--memsize"] {
            assert!(errors.contains(text), "no {text:?} in {errors}");
        }
        run.assert_nothing_left();
    }
}

#[test]
fn a_killed_driver_leaves_nothing() {
    let Some(_machine) = machine() else { return };
    for caller in callers() {
        let run = waiter(&caller);
        let mut driver = waiting(&run);
        // Through setpriv the child is the driver itself: it executes, it does not fork.
        driver.kill().unwrap();
        driver.wait().unwrap();
        run.assert_nothing_left();
    }
}

#[test]
fn a_panic_of_the_guest_is_told() {
    let Some(_machine) = machine() else { return };
    let caller = &callers()[0];
    let run = build(caller, &TCG)
        .element_file(
            "panics",
            "root.d/05-panic",
            "#!/bin/bash\necho c > /proc/sysrq-trigger\nsleep 60\n",
        )
        .args(["-n", "-t", "tar", "-o", "x", "panics", "safedib-one-file"]);
    run.run()
        .failure(
            1,
            &[
                "the appliance died during",
                "the guest kernel panicked",
                "sysrq",
            ],
        )
        .leaves(&[]);
}

#[test]
fn what_no_machine_can_have_is_refused_before_one_starts() {
    let Some(_machine) = machine() else { return };
    let caller = &callers()[0];
    let words = ["-n", "-t", "tar", "-o", "x", "safedib-one-file"];
    build(caller, &TCG)
        .args(words)
        .env("DIB_APPLIANCE_PACKAGES", "safedib-no-such-package")
        .run()
        .failure(
            1,
            &[
                "package safedib-no-such-package is not installed",
                "apt-get install",
            ],
        )
        .leaves(&[]);
    let run = build(caller, &TCG).args(words);
    let file = run.home().join("file");
    fs::write(&file, "x").unwrap();
    run.give(&file);
    let share = format!("{}:rw", file.display());
    run.args(["--share", &share])
        .run()
        .failure(1, &["only directories can be shared for writing"])
        .leaves(&[]);
    build(caller, &TCG)
        .args(words)
        .env("break", "before-root")
        .run()
        .failure(1, &["no terminal for a debug break"])
        .leaves(&[]);
}

#[test]
fn pid_1_is_not_a_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_safedib"))
        .arg("vm-init")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// What apt does to its cache: another user's directory, closed to all others.
#[test]
fn owners_on_shares_are_the_same_in_both_appliances() {
    let Some(_machine) = machine() else { return };
    let hook = |name: &str| {
        format!(
            "#!/bin/bash\nset -eu\ncd \"$DIB_IMAGE_CACHE\"\nmkdir {name}\ntouch {name}/file\n\
             chown -R 42:43 {name}\nchmod 0700 {name}\n\
             for each in */; do echo \"$each $(stat -c %u:%g \"$each\") $(ls \"$each\")\"; done\n"
        )
    };
    for caller in callers() {
        let keep = |name: &str, words: &[&str], cache: Option<&Path>| {
            let run = build(&caller, words).element_file("keeper", "root.d/05-own", &hook(name));
            let cache = cache.map_or_else(|| run.home().join("cache"), Path::to_owned);
            if !cache.exists() {
                fs::create_dir(&cache).unwrap();
                run.give(&cache);
            }
            run.env("DIB_IMAGE_CACHE", cache).args([
                "-n",
                "-t",
                "tar",
                "-o",
                "x",
                "keeper",
                "safedib-one-file",
            ])
        };
        let first = keep("one", &["--appliance", "namespace"], None);
        first.run().success();
        let cache = first.home().join("cache");
        keep("two", &TCG, Some(&cache)).run().success();
        let last = keep("three", &["--appliance", "namespace"], Some(&cache));
        let outcome = last.run().success();
        for name in ["one", "two", "three"] {
            let line = format!("{name}/ 42:43 file\n");
            assert!(outcome.stdout.contains(&line), "no {line:?} in {outcome}");
        }
    }
}
