//! What hooks can rely on inside the appliance: devices, sudo, debug breaks,
//! and what the log and the failure say.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{callers, Caller, Run};

const BASE: &str = "safedib-fake-os";

fn build(caller: &Caller) -> Run {
    Run::new(caller, "disk-image-create").args(["-n", "-t", "tar", "-o", "img", BASE, "probe"])
}

/// Members of a tar as `tar -tv` shows them: name to type, mode, owner, device.
fn members(path: &Path) -> BTreeMap<String, String> {
    let output = Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words.get(5)?.trim_start_matches("./").to_owned();
            Some((name, words[..3].join(" ")))
        })
        .collect()
}

/// A tar with device nodes; nobody but the real root can make the nodes
/// themselves, so Python writes it.
const TAR_WITH_DEVICES: &str = "import tarfile\n\
    with tarfile.open('nodes.tar', 'w') as out:\n\
    \x20   for name, kind, major, minor, mode in (\n\
    \x20           ('dev/sda', tarfile.BLKTYPE, 8, 0, 0o660),\n\
    \x20           ('dev/big', tarfile.CHRTYPE, 300, 70000, 0o600)):\n\
    \x20       info = tarfile.TarInfo(name)\n\
    \x20       info.type, info.mode, info.gid = kind, mode, 6\n\
    \x20       info.devmajor, info.devminor = major, minor\n\
    \x20       out.addfile(info)\n";

#[test]
fn devices_are_made_by_any_means_and_end_in_the_archive() {
    let hook = format!(
        "#!/bin/bash\nset -eu\ncd \"$TARGET_ROOT\"\n\
         sudo mknod -m 640 dev/null c 1 3\n\
         echo discarded | sudo chroot . tee /dev/null >/dev/null\n\
         test -c dev/null\n\
         cd \"$TMP_BUILD_DIR\"; python3 - <<'END'\n{TAR_WITH_DEVICES}END\n\
         sudo tar -xf nodes.tar -C \"$TARGET_ROOT\"\n\
         sudo mknod \"$TARGET_ROOT/fifo\" p\n\
         cd \"$TARGET_ROOT\"\n\
         ln -s /etc link\n\
         program=$(PATH=/usr/bin:/bin type -P mknod)\n\
         cp -L --parents -t . $(ldd $program | grep -o '/[^ ]*')\n\
         cp $program usr/bin/\n"
    );
    let in_target = "#!/bin/bash\nset -eu\ncd /etc\numask 027\nmknod ../link/node b 7 1\n\
         ! mknod /etc/node b 7 1 2>/dev/null\n";
    for caller in callers() {
        let run = build(&caller)
            .element_file("probe", "root.d/50-devices", &hook)
            .element_file("probe", "install.d/50-devices", in_target);
        run.run().success().leaves(&["img.tar"]);
        let members = members(&run.dir.join("img.tar"));
        for (name, expected) in [
            ("dev/null", "crw-r----- 0/0 1,3"),
            ("dev/sda", "brw-rw---- 0/6 8,0"),
            ("dev/big", "crw------- 0/6 300,70000"),
            ("fifo", "prw-r--r-- 0/0 0"),
            ("etc/node", "brw-r----- 0/0 7,1"),
        ] {
            assert_eq!(
                members.get(name).map(String::as_str),
                Some(expected),
                "{name}"
            );
        }
    }
}

/// Upstream's own functional test of a failing hook looks at the tree like this.
#[test]
fn after_error_runs_shell_code_and_the_hook_still_fails() {
    let hook = "#!/bin/bash\necho evidence > /tmp/evidence\necho the reason\nexit 44\n";
    for caller in callers() {
        let command = "cat $TMP_MOUNT_PATH/tmp/evidence $TMP_MOUNT_PATH/none || true";
        let run = build(&caller)
            .element_file("probe", "install.d/50-fail", hook)
            .env("break", "after-error")
            .env("break_outside_target", "1")
            .env("break_cmd", command);
        let outcome = run.run();
        assert_eq!(outcome.status, 44, "{outcome}");
        for expected in [
            "At stage after-error\n",
            "| evidence\n",
            "No such file",
            "| Resuming\n",
        ] {
            assert!(outcome.stdout.contains(expected), "{expected:?}: {outcome}");
        }
        assert!(outcome.stderr.contains("the reason"), "{outcome}");
        assert!(!outcome.stderr.contains("evidence"), "{outcome}");
    }
}

#[test]
fn breaks_before_a_phase_run_words_and_in_the_target_bash() {
    for caller in callers().into_iter().take(1) {
        let run = build(&caller)
            .element_file("probe", "install.d/50-x", "#!/bin/bash\necho hook ran\n")
            .env("break", "before-root,after-install,before-none")
            .env("break_cmd", "echo unexpanded $HOME")
            .env("HOOKS", "x");
        let outcome = run.run().success();
        let stages: Vec<&str> = outcome
            .stdout
            .lines()
            .filter_map(|line| line.split("| At stage ").nth(1))
            .collect();
        assert_eq!(stages, ["before-root", "after-install"]);
        assert!(outcome.stdout.contains("| unexpanded $HOME\n"), "{outcome}");
    }
}

#[test]
fn sudo_changes_the_environment_as_elements_expect() {
    let hook =
        "#!/bin/bash\nset -eu\nexport KEPT=1 PYTHONPATH=/x LD_LIBRARY_PATH=/y http_proxy=p\n\
        shout() { echo loud; }\nexport -f shout\n\
        show='echo \"${1}=${KEPT-}:${PYTHONPATH-}:${LD_LIBRARY_PATH-}:${http_proxy-}:$HOME\"; \
        type -t shout || echo gone'\n\
        sudo bash -c \"$show\" bash plain\n\
        sudo -E bash -c \"$show\" bash kept\n\
        sudo -H -n -u root KEPT=2 bash -c \"$show\" bash set\n\
        exec 7</dev/null; sudo bash -c '[ -e /proc/self/fd/7 ]' || echo closed\n";
    for caller in callers().into_iter().take(1) {
        let run = build(&caller).element_file("probe", "post-root.d/50-sudo", hook);
        let home = run.home().display().to_string();
        let outcome = run.run().success();
        for expected in [
            "plain=::::/root".to_owned(),
            format!("kept=1:::p:{home}"),
            "set=2::::/root".to_owned(),
            "closed".to_owned(),
        ] {
            let line = format!("| {expected}\n");
            assert!(outcome.stdout.contains(&line), "{expected}: {outcome}");
        }
        assert_eq!(outcome.stdout.matches("| gone\n").count(), 3, "{outcome}");
    }
}

#[test]
fn dev_can_be_bound_and_unbound_by_hooks() {
    let hook = "#!/bin/bash\nset -eu\nsource \"$_LIB/common-functions\"\n\
        sudo mount --bind /dev \"$TARGET_ROOT/dev\"\n\
        sudo mount -t devpts $(mount_dev_pts_options) devpts \"$TARGET_ROOT/dev/pts\"\n\
        test -c \"$TARGET_ROOT/dev/null\"\n\
        sudo umount \"$TARGET_ROOT/dev/pts\"\n\
        sudo umount -f \"$TARGET_ROOT/dev\"\n\
        [ -z \"$(ls \"$TARGET_ROOT/dev\")\" ]\n";
    for caller in callers() {
        build(&caller)
            .element_file("probe", "root.d/50-dev", hook)
            .run()
            .success();
    }
}

#[test]
fn the_last_steps_leave_no_process_and_follow_no_link() {
    let hook = "#!/bin/bash\nset -eu\ncd \"$TARGET_ROOT\"\n\
        mkdir -p 'tmp/a b/c' 'var/log/d e'\necho x > 'var/log/d e/f g'\necho x > root/y.log\n\
        echo precious > \"$TMP_BUILD_DIR/precious.log\"\n\
        ln -s \"$TMP_BUILD_DIR/precious.log\" var/log/out\n\
        ln -s \"$TMP_BUILD_DIR\" tmp/out\n\
        ln -s \"$TMP_BUILD_DIR/precious.log\" root/out.log\n";
    let late = "#!/bin/bash\n(trap '' TERM; sleep 300 & wait) >/dev/null 2>&1 &\n";
    for caller in callers().into_iter().take(1) {
        let run = build(&caller)
            .element_file("probe", "root.d/50-links", hook)
            .element_file("probe", "cleanup.d/50-late", late);
        run.run().success().leaves(&["img.tar"]);
        let members = members(&run.dir.join("img.tar"));
        let names: Vec<&str> = members
            .keys()
            .map(String::as_str)
            .filter(|name| name.starts_with("tmp/") || name.starts_with("root/"))
            .collect();
        assert_eq!(names, ["root/", "root/out.log", "tmp/"]);
        assert!(fs::metadata(run.dir.join("img.tar")).is_ok());
    }
}
