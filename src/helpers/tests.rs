//! The embedded scripts, run by the real bash; where upstream's sources are
//! present, beside upstream's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::*;

/// Environment variables.
type Pairs<'a> = &'a [(&'a str, &'a str)];

fn write(path: &Path, mode: u32, contents: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn lib(directory: &Path) -> PathBuf {
    let lib = directory.join("lib");
    for file in LIB {
        write(&lib.join(file.path), file.mode, file.contents);
    }
    lib
}

fn run(program: &Path, arguments: &[&str], environment: Pairs) -> Output {
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn bash(script: &str, environment: Pairs) -> Output {
    run(Path::new("/bin/bash"), &["-c", script], environment)
}

fn stderr_of(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Upstream's own dib-run-parts, from the fixtures or unpacked on a developer's machine.
fn upstream_run_parts() -> Option<PathBuf> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("upstream-fixtures/cache");
    let found = [cache.as_path(), Path::new("/tmp/up")]
        .iter()
        .flat_map(|root| {
            ["diskimage-builder-3.43.0", "diskimage_builder-3.43.0"]
                .map(|name| root.join(name).join("diskimage_builder/lib/dib-run-parts"))
        })
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "upstream's dib-run-parts is missing: run scripts/fetch-fixtures"
        );
        eprintln!("skipped: upstream's dib-run-parts is missing, run scripts/fetch-fixtures");
    }
    found
}

fn odd_hooks(root: &Path) -> PathBuf {
    let hooks = root.join("install.d");
    for name in [
        "00-x", "aa", "zz", "1_0", "03x", "05-d", "5-e", "010-f", "10-F", "10-f", "100-a", "20-b",
        "-5", "bad.name", "b k", "old~",
    ] {
        let script = "#!/bin/sh\necho \"$FOO\"; case $0 in */20-b) exit \"${FAIL:-0}\";; esac\n";
        write(&hooks.join(name), 0o755, script);
    }
    write(&hooks.join("30-plain"), 0o644, "x");
    std::os::unix::fs::symlink("aa", hooks.join("21-link")).unwrap();
    std::os::unix::fs::symlink("gone", hooks.join("22-dangling")).unwrap();
    for name in [
        "010-f",
        "03x",
        "10-F",
        "100-a",
        "1_0",
        "20-b.bash",
        "5-e",
        "a~",
    ] {
        let text = format!("export FOO=\"${{FOO:-}} {name}\"\n");
        write(&root.join("environment.d").join(name), 0o644, &text);
    }
    hooks
}

/// Timings differ from run to run; upstream's log filter drops the last kind.
fn comparable(output: &Output) -> Vec<String> {
    let timing = regex::Regex::new(r" +\d+\.\d{3}$").unwrap();
    stderr_of(output)
        .iter()
        .filter(|line| !line.contains("set +o"))
        .map(|line| timing.replace(line, " T").into_owned())
        .collect()
}

#[test]
fn run_parts_does_what_upstream_does() {
    let Some(upstream) = upstream_run_parts() else {
        return;
    };
    let temporary = tempfile::tempdir().unwrap();
    let hooks = odd_hooks(temporary.path());
    let ours = lib(temporary.path()).join("dib-run-parts");
    let hooks = hooks.to_str().unwrap();
    let cases: [(&[&str], Pairs); 5] = [
        (&[hooks], &[]),
        (&[hooks], &[("RUN_PARTS_REGEX", "^[0-9]+-[a-z]$")]),
        (&[hooks], &[("FAIL", "44")]),
        (&["--list", hooks], &[]),
        (&["/dev/null/none"], &[]),
    ];
    for (arguments, environment) in cases {
        let expected = run(&upstream, arguments, environment);
        let got = run(&ours, arguments, environment);
        assert_eq!(got.status.code(), expected.status.code(), "{environment:?}");
        assert_eq!(got.stdout, expected.stdout, "{environment:?}");
        if expected.status.code() != Some(1) {
            assert_eq!(comparable(&got), comparable(&expected), "{environment:?}");
        }
    }
}

#[test]
fn run_parts_reports_hooks_on_its_descriptor_and_hides_it() {
    let temporary = tempfile::tempdir().unwrap();
    let hooks = temporary.path().join("root.d");
    let look =
        "#!/bin/sh\n[ ! -e /proc/self/fd/7 ] && [ -z \"${SAFEDIB_HOOK_EVENTS+x}\" ] || exit 9\n";
    write(&hooks.join("01-a"), 0o755, look);
    write(&hooks.join("02-b"), 0o755, "#!/bin/sh\nkill -KILL $$\n");
    write(&hooks.join("03-c"), 0o755, "#!/bin/sh\n");
    let runner = lib(temporary.path()).join("dib-run-parts");
    let log = temporary.path().join("events");
    let script = format!(
        "exec 7>{}; SAFEDIB_HOOK_EVENTS=7 exec {} {}",
        log.display(),
        runner.display(),
        hooks.display()
    );
    let output = bash(&script, &[]);
    assert_eq!(output.status.code(), Some(137));
    assert!(!stderr_of(&output)
        .iter()
        .any(|line| line.contains("PROFILING")));
    let events = fs::read_to_string(log).unwrap();
    let words: Vec<Vec<&str>> = events
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    assert_eq!(words[0], ["start", "01-a"]);
    assert_eq!((words[1][0], words[1][3]), ("end", "0"));
    assert_eq!(words[2], ["start", "02-b"]);
    assert_eq!((words[3][1], words[3][3]), ("02-b", "137"));
    assert_eq!(words.len(), 4);
}

#[test]
fn a_failing_environment_file_ends_the_phase() {
    let temporary = tempfile::tempdir().unwrap();
    let hooks = temporary.path().join("root.d");
    write(&hooks.join("01-a"), 0o755, "#!/bin/sh\necho ran\n");
    let runner = lib(temporary.path()).join("dib-run-parts");
    for (text, status, stdout) in [
        ("return 0\nexit 5\n", 0, "ran\n"),
        ("exit 7\n", 7, ""),
        ("false | true\n", 1, ""),
        ("echo $NOT_SET\n", 1, ""),
        ("set +eu\n", 0, "ran\n"),
    ] {
        write(&temporary.path().join("environment.d/10-x"), 0o644, text);
        let output = run(&runner, &[hooks.to_str().unwrap()], &[]);
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{text}");
    }
}

#[test]
fn exported_functions_work_in_a_child_shell() {
    let functions = exported_functions();
    let environment: Vec<(&str, &str)> = functions
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let output = bash("[ -e /none ] || die gone 'for  good'", &environment);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"gone for  good\n");
    // bash does not take PS4 from the environment when it runs as root
    let trace = bash(
        &format!("PS4='{PS4}'; f() {{ :; }}; set -x; f"),
        &environment,
    );
    let lines = stderr_of(&trace);
    assert!(lines[1].starts_with("+ environment:f:1 "), "{lines:?}");
    assert!(lines[0].ends_with(" :   f"), "{lines:?}");
}

#[test]
fn the_library_can_be_sourced_anywhere_under_set_u() {
    let temporary = tempfile::tempdir().unwrap();
    let lib = lib(temporary.path());
    let script = "set -eu; for f in die common-defaults img-defaults ramdisk-defaults \
                  common-functions img-functions ramdisk-functions; do source $_LIB/$f; done; \
                  echo $ELEMENTS_PATH $FS_TYPE $PATH; declare -F run_d populate_init >/dev/null; \
                  [[ $(mount_dev_pts_options) == '-o '* ]]";
    let output = bash(
        script,
        &[("_LIB", lib.to_str().unwrap()), ("_BASE_ELEMENT_DIR", "/e")],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "/e:/e:/e ext4 /usr/bin:/bin:/sbin:/usr/sbin:/usr/local/sbin\n"
    );
}

#[test]
fn the_newest_kernel_is_selected() {
    let temporary = tempfile::tempdir().unwrap();
    let lib = lib(temporary.path());
    let root = temporary.path().join("root");
    for name in [
        "etc/debian_version",
        "boot/vmlinuz-6.1.0-9-amd64",
        "boot/vmlinuz-6.1.0-10-amd64",
        "boot/initrd.img-6.1.0-9-amd64",
        "boot/initrd.img-6.1.0-10-amd64",
    ] {
        write(&root.join(name), 0o644, "");
    }
    let script =
        "set -eu -o pipefail; source $_LIB/img-functions; select_boot_kernel_initrd $ROOT; \
                  echo $KERNEL $RAMDISK ${BOOTDIR#$TARGET_ROOT}";
    let environment = [
        ("_LIB", lib.to_str().unwrap()),
        ("ROOT", root.to_str().unwrap()),
    ];
    let output = bash(script, &environment);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "vmlinuz-6.1.0-10-amd64 initrd.img-6.1.0-10-amd64 /boot\n"
    );
    fs::remove_file(root.join("etc/debian_version")).unwrap();
    let output = bash(script, &environment);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"ERROR: Unable to detect operating system\n");
}
