//! Whatever words, files and descriptors a command is given, it ends by
//! itself and says what is wrong; it does not panic.

mod common;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::{callers, Caller, Run};

/// What `main` of the standard library makes of a panic.
const PANIC: i32 = 101;

/// The commands that read a command line.
const COMMANDS: [&[&str]; 19] = [
    &["disk-image-create"],
    &["ramdisk-image-create"],
    &["diskimage-builder"],
    &["virt-dib"],
    &["element-info"],
    &["dib-lint"],
    &["dib-run-parts"],
    &["dib-block-device"],
    &["safedib"],
    &["safedib", "plan", "disk-image-create"],
    &["safedib", "plan", "virt-dib"],
    &["safedib", "boot"],
    &["safedib", "shell"],
    &["safedib", "shell", "disk-image-create"],
    &["safedib", "check"],
    &["safedib", "install-links"],
    &["safedib", "cache"],
    &["safedib", "manual"],
    &["safedib", "completions"],
];

fn odd_words() -> Vec<Vec<OsString>> {
    let text = |words: &[&str]| words.iter().map(OsString::from).collect();
    let bytes = |words: &[&[u8]]| {
        words
            .iter()
            .map(|word| OsString::from_vec(word.to_vec()))
            .collect()
    };
    let huge = "9".repeat(400);
    let long = "x".repeat(60_000);
    vec![
        text(&[""]),
        text(&["", ""]),
        text(&["-"]),
        text(&["--"]),
        text(&["--", "--"]),
        text(&["="]),
        text(&["--="]),
        text(&["--=x"]),
        text(&["-="]),
        text(&["é"]),
        text(&["-é"]),
        text(&["--é=é"]),
        text(&["\u{1b}[2J\n\r\u{7}"]),
        text(&[&long]),
        text(&[&format!("-{long}")]),
        text(&[&format!("--{long}={long}")]),
        text(&[&huge]),
        text(&["../../../../etc/passwd"]),
        bytes(&[b"\xff"]),
        bytes(&[b"-\xff"]),
        bytes(&[b"--\xff=\xff"]),
        bytes(&[b"--name=\xff"]),
        bytes(&[b"-o", b"\xff\xfe/\xff"]),
        bytes(&[b"-p", b"\xc3"]),
        text(&["--image-size", &huge, "x"]),
        text(&["--image-size=-1e999", "x"]),
        text(&["--image-extra-size=1e308", "x"]),
        text(&["--min-tmpfs", &huge, "x"]),
        text(&["--mkfs-journal-size=18446744073709551616", "x"]),
        text(&["--max-online-resize=18446744073709551616", "x"]),
        text(&["--memsize", &huge, "x"]),
        text(&["--smp", "18446744073709551615", "x"]),
        text(&["--size", &format!("{huge}G"), "x"]),
        text(&["--debug", "-9223372036854775808", "x"]),
        text(&["-j", &huge, "x"]),
        text(&["-t", ",,,", "x"]),
        text(&["-a", "", "x"]),
        text(&["getval", "\u{1}"]),
    ]
}

/// Runs a command that takes no time that anybody would wait for; it must end by itself.
#[track_caller]
fn ends(command: &mut Command) -> Output {
    let began = Instant::now();
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked at"), "{command:?}: {stderr}");
    let status = output.status;
    assert!(
        status.code().is_some_and(|status| status != PANIC),
        "{command:?} ended with {status}: {stderr}"
    );
    let took = began.elapsed();
    assert!(took < Duration::from_secs(60), "{command:?} took {took:?}");
    output
}

fn run(caller: &Caller, words: &[&str]) -> Run {
    let (program, rest) = words.split_first().unwrap();
    Run::new(caller, program).args(rest.iter().copied())
}

#[test]
fn no_word_is_a_panic() {
    for caller in callers() {
        for words in COMMANDS {
            let run = run(&caller, words);
            for odd in odd_words() {
                ends(run.command().args(odd));
            }
        }
    }
}

#[test]
fn no_yaml_is_a_panic() {
    let deep = "[".repeat(100_000);
    let text = "x".repeat(100_000);
    let bomb = format!("a: &a {text}\nb: [{}]\n", "*a, ".repeat(50_000));
    let texts: [&[u8]; 14] = [
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"- ",
        b"-\n-\n- {}\n",
        b"- {imagename: [], elements: {}}\n",
        b"- {imagename: x, elements: [x], types: 99999999999999999999999999999999999999999999}\n",
        b"&a [*a]\n",
        b"? ? ? ? ?\n",
        b"{<<: {<<: {<<: 1}}}\n",
        b"!!python/object/apply:os.system [x]\n",
        deep.as_bytes(),
        bomb.as_bytes(),
    ];
    for caller in callers() {
        let images = run(&caller, &["diskimage-builder", "--dry-run", "odd.yaml"]);
        let disks = run(
            &caller,
            &["safedib", "plan", "disk-image-create", "-n", "-t", "raw"],
        )
        .args(["safedib-fake-os"]);
        for text in texts {
            fs::write(images.dir.join("odd.yaml"), text).unwrap();
            ends(&mut images.command());
            let config = disks.dir.join("odd.yaml");
            fs::write(&config, text).unwrap();
            let config = format!("file://{}", config.display());
            ends(disks.command().env("DIB_BLOCK_DEVICE_CONFIG", config));
        }
    }
}

#[test]
fn no_state_of_block_devices_is_a_panic() {
    let deep = "[".repeat(100_000);
    let states = [
        "",
        "[]",
        "{",
        "null",
        "{}",
        "{\"blockdev\": []}",
        "{\"blockdev\": {\"image0\": 1}}",
        "{\"blockdev\": {\"image0\": {\"device\": 1e999}}}",
        "{\"mount_order\": [[], {}, -1], \"mount\": 1, \"filesys\": null}",
        "{\"mount_order\": [\"/\"], \"mount\": {\"/\": []}}",
        &deep,
    ];
    for caller in callers() {
        let run = run(&caller, &["dib-block-device", "--params", "params.yaml"]);
        let directory = run.dir.join("states/block-device");
        fs::create_dir_all(&directory).unwrap();
        let params = format!("{{build-dir: {}, config: odd}}\n", run.dir.display());
        fs::write(run.dir.join("params.yaml"), params).unwrap();
        for state in states {
            fs::write(directory.join("state.json"), state).unwrap();
            fs::write(directory.join("config.json"), state).unwrap();
            for words in [
                &["getval", "image-block-devices"][..],
                &["getval", "image-path"],
                &["getval", "root-label"],
                &["writefstab"],
            ] {
                ends(run.command().args(words));
            }
        }
    }
}

/// Files of the host whose content others choose, or other kernels.
const HOST_FILES: [&str; 10] = [
    "/etc/passwd",
    "/etc/group",
    "/etc/subuid",
    "/etc/subgid",
    "/etc/os-release",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/proc/meminfo",
    "/proc/filesystems",
    "/proc/cpuinfo",
];

#[test]
fn no_file_of_the_host_is_a_panic() {
    let contents = [
        "",
        r"\0\0\0",
        r"\377\376:\377\n\377",
        "root:0:4294967295\\nsafedib-test:4294967295:4294967295\\n:::::::\\n:\\n",
        "root:-1:-1:99999999999999999999:99999999999999999999\\nMemTotal: 99999999999999999999 kB\\n",
        "MemTotal: 18446744073709551615 kB\\nMemTotal:\\n\\033[2J no line end",
    ];
    let plan = ["safedib", "plan", "disk-image-create", "-n"];
    for caller in callers() {
        for words in [&["safedib", "doctor", "--json"][..], &plan] {
            let run = match &caller {
                // setpriv looks users up, in what is odd here, unless they are numbers.
                Caller::Other(user) => run(&Caller::Current, words)
                    .through(&["setpriv", "--reuid", &user.uid.to_string()])
                    .through(&["--regid", &user.gid.to_string(), "--clear-groups", "--"]),
                Caller::Current => run(&caller, words),
            };
            let run = match words == plan {
                true => run.args(["safedib-fake-os"]),
                false => run,
            };
            for content in contents {
                let hide =
                    |file: &str| format!("[ ! -e {file} ] || mount --bind /run/safedib-odd {file}");
                let all: Vec<String> = HOST_FILES.iter().map(|file| hide(file)).collect();
                let setup = format!(
                    "mount -t tmpfs odd /run; printf '{content}' > /run/safedib-odd; {}",
                    all.join("; ")
                );
                let Some(outcome) = run.run_prepared(&setup, ":") else {
                    return;
                };
                let panicked = outcome.stderr.contains("panicked at");
                assert!(!panicked && outcome.status < PANIC, "{content}: {outcome}");
            }
        }
    }
}

#[test]
fn no_journal_of_another_build_is_a_panic() {
    let deep = "[".repeat(100_000);
    let journals: [&[u8]; 7] = [
        b"",
        b"\n\n",
        b"\xff\xff\xff\xff\0",
        b"\xff\xff\0\0\0{",
        b"{\"Add\": 1}",
        b"\x10\0\0\0\0{\"add\": \"/etc\"}xx",
        deep.as_bytes(),
    ];
    for caller in callers() {
        let run = Run::build(&caller, "tar").args(["safedib-fake-os"]);
        let cache = run.home().join("cache");
        let builds = cache.join("safedib/builds");
        fs::create_dir_all(&builds).unwrap();
        for (index, journal) in journals.iter().enumerate() {
            fs::write(builds.join(format!("ODD{index:05}")), journal).unwrap();
        }
        for path in [&cache, &cache.join("safedib"), &builds] {
            run.give(path);
        }
        let run = run.env("XDG_CACHE_HOME", cache);
        let outcome = run.run().success();
        assert!(outcome.files.contains(&"image.tar".to_owned()), "{outcome}");
        assert!(!outcome.stderr.contains("panicked at"), "{outcome}");
    }
}

/// Descriptors that nobody reads, that are full, and that are not there.
const LOST: [&str; 6] = [
    "2>/dev/full",
    ">/dev/full 2>&1",
    "2>&-",
    ">&- 2>&-",
    "<&- >&- 2>&-",
    "2>&1 | :",
];

#[test]
fn no_lost_descriptor_is_a_panic() {
    for caller in callers() {
        for words in COMMANDS {
            let wrong = ["--no-such-option", "no-such-element"];
            let heard = run(&caller, words).args(wrong);
            let expected = ends(&mut heard.command()).status.code();
            for lost in LOST {
                // The pipe's reader has gone before the writer begins.
                let script = format!(
                    "{{ sleep 0.05; \"$@\"; echo $? > status; }} {lost}; read s < status; exit $s"
                );
                let run = run(&caller, words).args(wrong);
                let run = run.through(&["sh", "-c", &script, "sh"]);
                let status = run.command().output().unwrap().status.code();
                // That command becomes a shell, which a closed pipe ends.
                let shell = words[0] == "dib-run-parts" && status == Some(128 + 13);
                assert!(status == expected || shell, "{words:?} {lost}: {status:?}");
            }
        }
    }
}

/// A build that says on standard error what it does, to nobody.
#[test]
fn a_build_goes_on_when_nobody_hears_its_trace() {
    for caller in callers() {
        for lost in ["2>/dev/full", "2>&-"] {
            let run = Run::new(&caller, "virt-dib");
            let lib = run.elements().parent().unwrap().join("lib");
            let helpers = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/helpers/lib");
            fs::create_dir_all(&lib).unwrap();
            common::copy_tree(&helpers, &lib);
            let tmp = run.tmp();
            let elements = run.elements();
            let run = run
                .env("TMPDIR", tmp)
                .args(["-v", "-x", "--skip-base", "--name", "x", "--formats", "tar"])
                .args(["--envvar", "DIB_APPLIANCE=namespace", "-B"])
                .args([lib.as_os_str(), "-p".as_ref(), elements.as_os_str()])
                .args(["safedib-fake-os"])
                .through(&["sh", "-c", &format!("exec \"$@\" {lost}"), "sh"]);
            let outcome = run.run().success();
            assert!(outcome.files.contains(&"x.tar".to_owned()), "{outcome}");
        }
    }
}
