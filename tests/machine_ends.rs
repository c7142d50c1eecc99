//! Ways in which a machine, or what hooks do to it, ends a build: each has a
//! name, is told within ten seconds, and leaves nothing.

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::machine::{build, logged, machine, waiter, waiting, TCG};
use common::{callers, Outcome, Run};

/// From the moment at which a hook does the damage.
const LIMIT: Duration = Duration::from_secs(60);

/// A build with one hook of that text.
fn hooked(caller: &common::Caller, text: &str) -> Run {
    build(caller, &TCG)
        .element_file("culprit", "root.d/05-culprit", text)
        .args(["-n", "-t", "tar", "-o", "x", "culprit", "safedib-one-file"])
}

/// Starts a run whose hook says "here" just before the damage; how it ended.
fn ended(run: &Run) -> (Option<i32>, String) {
    let mut driver = waiting(run);
    let began = Instant::now();
    let status = driver.wait().unwrap();
    let errors = logged(run, "errors");
    assert!(
        began.elapsed() < LIMIT,
        "after {:?}: {errors}",
        began.elapsed()
    );
    run.assert_nothing_left();
    (status.code(), errors)
}

#[track_caller]
fn says(errors: &str, texts: &[&str]) {
    for text in texts {
        assert!(errors.contains(text), "no {text:?} in {errors}");
    }
}

/// Anonymous memory that nothing can be done about but killing its owner. The
/// kernel fills it, so that the eater's own pages are not what it waits for. How
/// long the guest fights for memory before it kills is the guest's business, so
/// the hook says "here" after that.
const EATER: &str = r#"#!/bin/bash
status=0
python3 -c '
import mmap
kept = []
while True:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    kept.append(mmap.mmap(-1, 64 << 20, flags=flags))
' || status=$?
echo here
exit $status
"#;

#[test]
fn a_hook_that_the_guest_kills_for_memory_is_told_from_one_that_fails() {
    let Some(_machine) = machine() else { return };
    let run = hooked(&callers()[0], EATER).args(["--memsize", "512"]);
    let (status, errors) = ended(&run);
    assert_eq!(status, Some(137), "{errors}");
    says(
        &errors,
        &[
            "hook `05-culprit` of element `culprit` failed",
            "the guest ran out of memory during the build",
            "Out of memory: Killed process",
            "--memsize",
        ],
    );
}

#[test]
fn a_killed_agent_is_told() {
    let Some(_machine) = machine() else { return };
    // The hook's ancestors up to pid 1, of which the last but one is the agent.
    let text = "#!/bin/bash\necho here\npid=$$\nwhile true; do\n  read -r _ _ _ parent _ < /proc/$pid/stat\n  \
                [ \"$parent\" != 1 ] || break\n  pid=$parent\ndone\nkill -9 $pid\nsleep 60\n";
    let (status, errors) = ended(&hooked(&callers()[0], text));
    assert_eq!(status, Some(1), "{errors}");
    says(
        &errors,
        &[
            "the appliance died during",
            "the machine switched itself off",
            "the agent was killed by SIGKILL",
        ],
    );
}

/// Takes the port's descriptor from pid 1, as root may, and writes to it.
fn intruder(bytes: &str) -> String {
    format!(
        r#"#!/bin/bash
echo here
python3 - <<'END'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
PIDFD_OPEN, PIDFD_GETFD = 434, 438
init = libc.syscall(PIDFD_OPEN, 1, 0)
done = False
for name in os.listdir("/proc/1/fd"):
    if "vport" in os.readlink("/proc/1/fd/" + name):
        port = libc.syscall(PIDFD_GETFD, init, int(name), 0)
        assert port >= 0, os.strerror(ctypes.get_errno())
        os.write(port, {bytes})
        done = True
        break
assert done
END
echo written
sleep 60
"#
    )
}

#[test]
fn garbage_on_the_channel_is_told() {
    let Some(_machine) = machine() else { return };
    let caller = &callers()[0];
    for (bytes, text) in [
        (r#"b"\xff\xff\xff\xff\0""#, "frame of 4294967295 bytes"),
        (r#"b"\x03\0\0\0\x07abc""#, "frame of unknown kind 7"),
        (r#"b"\x04\0\0\0\0nope""#, "does not speak our protocol"),
        (
            r#"b"\x1e\0\0\0\0" + b'{"type":"hello","version":999}'"#,
            "it has version 999",
        ),
        // Announces more than ever comes.
        (r#"b"\0\0\x80\0\x01""#, "a frame was not complete after 8 s"),
    ] {
        let (status, errors) = ended(&hooked(caller, &intruder(bytes)));
        assert_eq!(status, Some(1), "{bytes}: {errors}");
        says(
            &errors,
            &[
                "the agent in the appliance does not speak our protocol",
                text,
            ],
        );
    }
}

/// Runs `text` as a hook with a TMP_DIR of that many MiB.
fn with_small_tmp(text: &str, mib: u32) -> Option<Outcome> {
    let caller = callers().pop()?;
    let run = hooked(&caller, text);
    let tmp = run.tmp().display().to_string();
    let (uid, gid) = run.owner();
    run.run_prepared(
        &format!("mount -t tmpfs -o size={mib}m,uid={uid},gid={gid},mode=700 none {tmp}"),
        &format!("[ -z \"$(ls {tmp})\" ] || {{ ls {tmp}; status=99; }}"),
    )
}

/// The binary and the modules, which the initramfs has, and the tables of the
/// scratch disk take their part of it.
fn small_mib() -> u32 {
    let binary = fs::metadata(env!("CARGO_BIN_EXE_safedib")).unwrap().len();
    u32::try_from(binary >> 20).unwrap() + 120
}

#[test]
fn a_full_host_filesystem_is_told() {
    let Some(_machine) = machine() else { return };
    let text = "#!/bin/bash\ndate +%s > /dev/null\n\
                dd if=/dev/urandom of=$TMP_BUILD_DIR/big bs=1M count=400 conv=fsync\n";
    let Some(outcome) = with_small_tmp(text, small_mib()) else {
        return;
    };
    outcome.failure(
        1,
        &[
            "hook `05-culprit` of element `culprit` failed",
            "the host could not store what the guest wrote to its disk during the build",
            "I/O error, dev vdb",
            "set TMP_DIR to a directory with more room",
        ],
    );
}

#[test]
fn no_room_for_the_machine_itself_is_told() {
    let Some(_machine) = machine() else { return };
    let Some(outcome) = with_small_tmp("#!/bin/bash\n", 4) else {
        return;
    };
    outcome.failure(1, &["No space left on device", "TMP_DIR"]);
}

#[test]
fn a_full_disk_of_the_guest_is_told() {
    let Some(_machine) = machine() else { return };
    let text = "#!/bin/bash\necho here\nfallocate -l 70G $TMP_BUILD_DIR/big\n";
    let (status, errors) = ended(&hooked(&callers()[0], text));
    assert_eq!(status, Some(1), "{errors}");
    says(
        &errors,
        &[
            "No space left on device",
            "a filesystem of the appliance is full",
        ],
    );
}

#[test]
fn an_appliance_is_kept_while_a_build_uses_it() {
    let Some(_machine) = machine() else { return };
    let caller = &callers()[0];
    let cache = tempfile::tempdir_in("/var/tmp").unwrap();
    let in_cache = |run: Run| run.env("XDG_CACHE_HOME", cache.path());
    let appliances = || -> Vec<PathBuf> {
        let entries = fs::read_dir(cache.path().join("safedib")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.join("root").exists()).collect()
    };
    let first = in_cache(waiter(caller));
    first.give(cache.path());
    let mut driver = waiting(&first);
    let kept = appliances();
    assert_eq!(kept.len(), 1);
    // Another package more is another appliance; xz-utils' library is everywhere.
    let second =
        in_cache(hooked(caller, "#!/bin/bash\nexit 7\n")).env("DIB_APPLIANCE_PACKAGES", "liblzma5");
    second.run().failure(7, &["05-culprit"]);
    assert_eq!(appliances().len(), 2);
    assert!(kept[0].join("root").exists());
    driver.kill().unwrap();
    driver.wait().unwrap();
    first.assert_nothing_left();
    // Nobody uses either now, so the third leaves but itself.
    let third = in_cache(hooked(caller, "#!/bin/bash\nexit 7\n"))
        .env("DIB_APPLIANCE_PACKAGES", "liblzma5 zlib1g");
    third.run().failure(7, &["05-culprit"]);
    assert_eq!(appliances().len(), 1);
}

/// The limit is a user namespace's own: the system's is not touched.
#[test]
fn an_ordinary_user_needs_no_user_namespaces() {
    let Some(_machine) = machine() else { return };
    for caller in callers() {
        let run = hooked(&caller, "#!/bin/bash\nid -u\n")
            .args(["--no-network"])
            .through(&["unshare", "--user", "--map-current-user", "--keep-caps"])
            .through_shell("echo 0 > /proc/sys/user/max_user_namespaces");
        let outcome = run.run();
        if run.owner().0.is_root() {
            outcome.failure(1, &["cannot make a user namespace for qemu", "sysctl -w"]);
        } else {
            let outcome = outcome.success().leaves(&["x.tar"]);
            assert!(
                outcome
                    .stdout
                    .contains("safedib: no user namespace for qemu"),
                "{outcome}"
            );
        }
    }
}

#[test]
fn modules_for_disks_can_be_loaded() {
    let Some(_machine) = machine() else { return };
    let text = "#!/bin/bash\nset -e\nfor name in loop dm_mod dm_thin_pool xfs btrfs vfat nls_ascii \
                nls_cp437 ext4 squashfs overlay; do modprobe $name; done\n\
                truncate -s 64M $TMP_BUILD_DIR/disk\nmkfs.vfat $TMP_BUILD_DIR/disk\n\
                mkdir $TMP_BUILD_DIR/at\nmount -o loop -t vfat $TMP_BUILD_DIR/disk $TMP_BUILD_DIR/at\n\
                umount $TMP_BUILD_DIR/at\ndmsetup ls\n";
    hooked(&callers()[0], text).run().success();
}

#[test]
fn the_hosts_side_stays_small() {
    let Some(_machine) = machine() else { return };
    let run = waiter(&callers()[0]);
    let mut driver = waiting(&run);
    // The driver, to which setpriv has turned, and its janitor; qemu and passt
    // are not ours.
    let own = driver.id().to_string();
    let peaks: Vec<(String, u64)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let place = entry.ok()?.path();
            let status = fs::read_to_string(place.join("status")).ok()?;
            let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
            let is = |name: &str| field(name).map(str::trim) == Some(own.as_str());
            let line = fs::read(place.join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let ours = is("Pid:") || (is("PPid:") && line.contains("sandbox-janitor"));
            let peak = field("VmHWM:")?.split_whitespace().next()?.parse().ok()?;
            ours.then_some((line.split('\0').nth(1).unwrap_or_default().to_owned(), peak))
        })
        .collect();
    driver.kill().unwrap();
    driver.wait().unwrap();
    run.assert_nothing_left();
    eprintln!("peak resident memory, KiB: {peaks:?}");
    assert_eq!(peaks.len(), 2, "driver and janitor: {peaks:?}");
    let sum: u64 = peaks.iter().map(|(_, peak)| peak).sum();
    assert!(sum < 150 << 10, "{peaks:?}");
}
