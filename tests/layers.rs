//! Layers: a build begins with what an earlier one has kept, and comes to the
//! same as one from scratch; what has changed is done again, and nothing else.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use common::machine::{machine, same_trees, TCG};
use common::{callers, Caller, Outcome, Run};

/// What a layer must bring back: a bind, a device, owners, modes, hard links; files
/// outside of the target, in the hooks tree and in the work directories.
const STATE: &str = r#"#!/bin/bash
set -eu
mkdir -p "$DIB_IMAGE_CACHE/bound" "$TARGET_ROOT/bound" "$TARGET_ROOT/with blank"
echo cached >"$DIB_IMAGE_CACHE/bound/file"
sudo mount --bind "$DIB_IMAGE_CACHE/bound" "$TARGET_ROOT/bound"
sudo mknod -m 640 "$TARGET_ROOT/node" c 1 3
echo owned >"$TARGET_ROOT/owned"
ln "$TARGET_ROOT/owned" "$TARGET_ROOT/linked"
chmod 4750 "$TARGET_ROOT/owned"
chown 5:7 "$TARGET_ROOT/owned" "$TARGET_ROOT/with blank"
mkdir -p /usr/local/share
echo outside >/usr/local/share/outside
echo home >~/from-hook
echo build >"$TMP_BUILD_DIR/of-build"
echo image >"$TMP_IMAGE_DIR/of-image"
echo beside >"$IMAGE_NAME.d.txt"
rm "$TMP_HOOKS_PATH/install.d/95-removed"
mkdir -p "$TMP_HOOKS_PATH/new"
echo new >"$TMP_HOOKS_PATH/new/file"
"#;

/// As upstream's element `install-types` does it.
const ENABLES: &str = "#!/bin/bash\nset -eu\ncd \"$TMP_HOOKS_PATH/install.d\"\n\
                       ln -s kind/40-enabled 40-enabled\n";

const VERIFIES: &str = r#"#!/bin/bash
set -eu
{
    cat "$TMP_MOUNT_PATH/bound/file" /usr/local/share/outside ~/from-hook
    cat "$TMP_BUILD_DIR/of-build" "$TMP_IMAGE_DIR/of-image" "$IMAGE_NAME.d.txt"
    cat "$TMP_HOOKS_PATH/new/file"
    [ -c "$TMP_MOUNT_PATH/node" ] || [ ! -s "$TMP_MOUNT_PATH/node" ]
    stat -c '%u %g %a %h' "$TMP_MOUNT_PATH/owned"
} >"$TMP_MOUNT_PATH/verified"
"#;

fn says(name: &str) -> String {
    format!("#!/bin/bash\necho {name} >>/ran\n")
}

/// A build that keeps a layer after every hook.
fn layered(caller: &Caller, appliance: &[&str]) -> Run {
    Run::new(caller, "disk-image-create")
        .element_file("layered", "root.d/50-state", STATE)
        .element_file("layered", "extra-data.d/50-enable", ENABLES)
        .element_file("layered", "pre-install.d/50-early", &says("early"))
        .element_file("layered", "install.d/20-first", &says("first"))
        .element_file("layered", "install.d/kind/40-enabled", &says("enabled"))
        .element_file("layered", "install.d/60-late", &says("late"))
        .element_file("layered", "install.d/95-removed", &says("removed"))
        .element_file("layered", "post-root.d/50-verify", VERIFIES)
        .args(appliance)
        .args(["-n", "-t", "tar", "-o", "image"])
        .args(["safedib-fake-os", "layered"])
        .env("OVERWRITE_OLD_IMAGE", "1")
}

/// One more run, with further words on the command line.
fn again(run: &Run, words: &[&str]) -> Outcome {
    let output = run.command().args(words).output().unwrap();
    run.outcome(output, Duration::ZERO)
}

/// The hooks that ran, in order.
fn ran(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.stdout.lines();
    let hooks = lines.filter_map(|line| line.split_once("dib-run-parts Running "));
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    hooks.map(|(_, path)| name(path)).collect()
}

const ALL: [&str; 7] = [
    "10-fake-os",
    "50-state",
    "50-enable",
    "50-early",
    "20-first",
    "40-enabled",
    "60-late",
];
const CACHE: [&str; 2] = ["--cache", "--cache-step=0"];

fn take(run: &Run, name: &str) {
    fs::rename(run.dir.join("image.tar"), run.dir.join(name)).unwrap();
}

/// Kept layers are whole, and what begins with one equals what does not.
fn begins_where_nothing_has_changed(caller: &Caller, appliance: &[&str]) {
    let run = layered(caller, appliance);
    let scratch = again(&run, &[]).success();
    let hooks = [&ALL[..], &["50-verify"]].concat();
    assert_eq!(ran(&scratch), hooks);
    take(&run, "scratch.tar");
    let first = again(&run, &CACHE).success();
    assert_eq!(ran(&first), hooks, "{first}");
    take(&run, "first.tar");
    same_trees(&run.dir, "scratch.tar", "first.tar");
    let second = again(&run, &CACHE).success();
    assert_eq!(ran(&second), [""; 0], "{second}");
    assert!(
        second
            .stdout
            .contains("beginning with the layer after post-root.d/50-verify"),
        "{second}"
    );
    take(&run, "second.tar");
    same_trees(&run.dir, "scratch.tar", "second.tar");
    begins_with_all_that_hooks_left(run);
}

/// What verifies has all that the hooks before it have left.
fn begins_with_all_that_hooks_left(run: Run) {
    let verifies = format!("{VERIFIES}echo >>\"$TMP_MOUNT_PATH/verified\"\n");
    let run = run.element_file("layered", "post-root.d/50-verify", &verifies);
    let cached = again(&run, &CACHE).success();
    let hooks = ran(&cached);
    assert_eq!(
        hooks.last().map(String::as_str),
        Some("50-verify"),
        "{cached}"
    );
    assert!(!hooks.contains(&"50-state".to_owned()), "{cached}");
    take(&run, "cached.tar");
    again(&run, &[]).success();
    take(&run, "scratch.tar");
    same_trees(&run.dir, "cached.tar", "scratch.tar");
}

#[test]
fn a_build_begins_where_nothing_has_changed() {
    for caller in callers() {
        begins_where_nothing_has_changed(&caller, &["--appliance", "namespace"]);
    }
}

#[test]
fn in_a_machine_too() {
    let Some(_machine) = machine() else { return };
    let caller = callers().pop().unwrap();
    // Keeping one takes seconds under TCG: there is one that has everything.
    let slow = format!("{}sleep 8\n", says("first"));
    let run = layered(&caller, &TCG).element_file("layered", "install.d/20-first", &slow);
    let first = again(&run, &["--cache", "--cache-step=5"]).success();
    assert!(
        first.stdout.contains("safedib: kept a layer after"),
        "{first}"
    );
    begins_with_all_that_hooks_left(run);
}

#[test]
fn what_has_changed_is_done_again_and_nothing_else() {
    let caller = callers().pop().unwrap();
    let run = layered(&caller, &["--appliance", "namespace"]);
    again(&run, &CACHE).success();
    // No layer follows a hook that another one has enabled.
    let late = ["40-enabled", "60-late", "50-verify"];
    for (path, text, expected) in [
        ("install.d/60-late", "echo later >>/ran", &late[..]),
        // Nothing tells when an enabled hook runs: its phase is done again.
        (
            "install.d/kind/40-enabled",
            "echo anew >>/ran",
            &["20-first", "40-enabled", "60-late", "50-verify"],
        ),
        (
            "install.d/10-new",
            "echo new >>/ran",
            &["10-new", "20-first", "40-enabled", "60-late", "50-verify"],
        ),
    ] {
        let file = run.elements().join("layered").join(path);
        fs::write(&file, format!("#!/bin/bash\n{text}\n")).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let outcome = again(&run, &CACHE).success();
        assert_eq!(ran(&outcome), expected, "{path}: {outcome}");
    }
    let before = ran(&again(&run, &CACHE).success());
    assert_eq!(before, [""; 0]);
    // What any hook may read counts from the beginning.
    fs::write(run.elements().join("layered/static-file"), "new").unwrap();
    let outcome = again(&run, &CACHE).success();
    assert_eq!(ran(&outcome)[0], "10-fake-os");
    assert!(
        outcome
            .stdout
            .contains("no layer to begin with: element layered has changed"),
        "{outcome}"
    );
    let run = run.env("BUILD_NUMBER", "17");
    assert_eq!(ran(&again(&run, &CACHE).success()), [""; 0]);
    let run = run.env("DIB_SOMETHING", "new");
    let outcome = again(&run, &CACHE).success();
    assert_eq!(ran(&outcome)[0], "10-fake-os");
    let told = "no layer to begin with: variable DIB_ENV, variable DIB_SOMETHING";
    assert!(outcome.stdout.contains(told), "{outcome}");
}

#[test]
fn a_failed_build_goes_on_at_the_hook_that_failed() {
    let caller = callers().pop().unwrap();
    let run = layered(&caller, &["--appliance", "namespace"]).element_file(
        "layered",
        "install.d/60-late",
        "#!/bin/bash\necho half >>/ran\nexit 3\n",
    );
    let failed = again(&run, &CACHE).failure(3, &["60-late"]);
    assert!(!failed.files.contains(&"image.tar".to_owned()), "{failed}");
    let planned = run.command().args(CACHE).output().unwrap();
    assert_eq!(planned.status.code(), Some(3));
    let run = run.element_file("layered", "install.d/60-late", &says("whole"));
    let resumed = again(&run, &["--cache", "--cache-step=0", "--resume"]).success();
    assert_eq!(ran(&resumed), ["60-late", "50-verify"], "{resumed}");
    assert!(
        resumed
            .stdout
            .contains("resuming at install.d/60-late, which failed"),
        "{resumed}"
    );
    let text = common::tool(
        std::process::Command::new("tar")
            .args(["-xOf", "image.tar", "./ran"])
            .current_dir(&run.dir),
    );
    assert!(text.ends_with("half\nwhole\n"), "{text}");
    // What a failed hook has left is in no layer.
    let clean = again(&run, &CACHE).success();
    let after = ["40-enabled", "60-late", "50-verify"];
    assert_eq!(ran(&clean), after, "{clean}");
    let text = common::tool(
        std::process::Command::new("tar")
            .args(["-xOf", "image.tar", "./ran"])
            .current_dir(&run.dir),
    );
    assert!(text.ends_with("enabled\nwhole\n"), "{text}");
}

#[test]
fn what_cannot_be_brought_back_keeps_layers_from_being_made() {
    let caller = callers().pop().unwrap();
    for (text, told) in [
        ("setsid sleep 1000 &", " still runs"),
        (
            "mkdir -p $TARGET_ROOT/x; /bin/mount -t tmpfs none $TARGET_ROOT/x",
            ": a hook has mounted ",
        ),
    ] {
        let run = layered(&caller, &["--appliance", "namespace"]).element_file(
            "layered",
            "root.d/50-state",
            &format!("{STATE}\n{text}\n"),
        );
        let outcome = again(&run, &CACHE).success();
        let mut lines = outcome.stdout.lines();
        let is_it = |line: &str| {
            line.contains("no layer is kept after root.d/50-state: ") && line.contains(told)
        };
        assert!(lines.any(is_it), "{outcome}");
    }
}

#[test]
fn age_and_room_are_limited_and_options_checked() {
    let caller = callers().pop().unwrap();
    let run = layered(&caller, &["--appliance", "namespace"]);
    again(&run, &CACHE).success();
    std::thread::sleep(Duration::from_millis(1100));
    let old = again(&run, &["--cache", "--cache-age=0"]).success();
    assert_eq!(ran(&old)[0], "10-fake-os");
    let layers = run.home().join(".cache/safedib/layers");
    let cache = |word: &str| {
        let place = format!("--cache={}", layers.display());
        let words = ["cache".to_owned(), word.to_owned(), place];
        Run::new(&caller, "safedib")
            .args(words)
            .run()
            .success()
            .stdout
    };
    let list = cache("list");
    assert!(list.contains("after root.d/10-fake-os\n"), "{list}");
    let cleared = cache("clear");
    assert!(cleared.starts_with("removed ") && !cleared.contains("builds use"));
    assert!(cache("list").contains(": 0 layers, 0 MiB"));
    let outcome = again(&run, &["--cache", "--cache-step=0", "--cache-max=0"]).success();
    assert!(
        outcome.stdout.contains("old layers (--cache-max)"),
        "{outcome}"
    );
    assert_eq!(fs::read_dir(&layers).unwrap().count(), 0);
    again(&run, &["--resume"]).failure(1, &["--resume", "hint: give --cache, too"]);
    again(&run, &["--cache", "--cache-max=much"]).failure(1, &["'much'", "hint: give bytes"]);
    fs::write(run.dir.join("file"), "").unwrap();
    again(&run, &["--cache=file"]).failure(1, &["--cache"]);
}

/// A build that is killed while it has kept layers, and while it keeps one.
#[test]
fn a_killed_build_leaves_no_half_layer() {
    let caller = callers().pop().unwrap();
    for (hook, text) in [
        ("install.d/70-waits", "echo it waits; sleep 1000"),
        // What it leaves takes a while to be packed.
        (
            "root.d/60-large",
            "head -c 300M /dev/urandom >$TARGET_ROOT/large; echo it waits",
        ),
    ] {
        let run = layered(&caller, &["--appliance", "namespace"]).element_file(
            "layered",
            hook,
            &format!("#!/bin/bash\n{text}\n"),
        );
        let mut build = run
            .command()
            .args(CACHE)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(build.stdout.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with("| it waits")), "{hook}");
        std::thread::sleep(Duration::from_millis(50));
        kill(Pid::from_raw(build.id() as i32), Signal::SIGKILL).unwrap();
        build.wait().unwrap();
        run.assert_nothing_left();
        let layers = run.home().join(".cache/safedib/layers");
        let deadline = Instant::now() + Duration::from_secs(30);
        let half = || {
            let mut names = fs::read_dir(&layers).unwrap();
            names.any(|name| name.unwrap().file_name().to_string_lossy().starts_with('.'))
        };
        while half() {
            assert!(
                Instant::now() < deadline,
                "{hook}: a directory of new layers is left"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        // What is there is whole.
        let run = run.element_file("layered", hook, "#!/bin/bash\ntrue\n");
        let outcome = again(&run, &CACHE).success();
        assert!(
            !ran(&outcome).contains(&"10-fake-os".to_owned()),
            "{outcome}"
        );
    }
}
