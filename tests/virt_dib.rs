//! `virt-dib`: builds in its syntax, its messages, what it leaves out and where
//! it puts things.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use common::machine::machine;
use common::{callers, tool, Caller, Run};

/// A library as far as `-B` looks.
fn lib(run: &Run) -> String {
    let lib = run.elements().parent().unwrap().join("lib");
    fs::create_dir_all(&lib).unwrap();
    let helpers = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/helpers/lib");
    common::copy_tree(&helpers, &lib);
    lib.display().to_string()
}

/// A build of a small image `x` in these formats.
fn build(caller: &Caller, formats: &str) -> Run {
    let run = Run::new(caller, "virt-dib");
    let (lib, elements) = (lib(&run), run.elements().display().to_string());
    let tmp = run.tmp();
    run.env("TMPDIR", tmp).args([
        "-B",
        &lib,
        "-p",
        &elements,
        "--skip-base",
        "--size",
        "192M",
        "--name",
        "x",
        "--formats",
        formats,
    ])
}

#[test]
fn it_builds_disk_and_archive_with_messages() {
    for caller in callers() {
        let run =
            build(&caller, "raw,tar").args(["--machine-readable=file:messages", "safedib-fake-os"]);
        let outcome = run.run().success();
        let names = ["messages", "x.raw", "x.tar"];
        assert_eq!(outcome.files, names, "{outcome}");
        assert_eq!(
            fs::metadata(run.dir.join("x.raw")).unwrap().len(),
            192 << 20
        );
        tool(
            Command::new("/sbin/e2fsck")
                .arg("-fn")
                .arg(run.dir.join("x.raw")),
        );
        let out = &outcome.stdout;
        assert!(
            out.starts_with("virt-dib: Elements: safedib-fake-os\n"),
            "{out}"
        );
        assert!(
            out.contains("Carried environment variables: (none)\n"),
            "{out}"
        );
        assert!(out.contains("] Build completed successfully\n"), "{out}");
        let messages = fs::read_to_string(run.dir.join("messages")).unwrap();
        let last: serde_json::Value =
            serde_json::from_str(messages.lines().last().unwrap()).unwrap();
        assert_eq!(last["type"], "message");
        assert_eq!(last["message"], "Build completed successfully");
    }
}

#[test]
fn hooks_see_what_is_carried_and_leave_files_in_one_directory() {
    for caller in callers() {
        let show = "#!/bin/sh\necho \"in $0: carried=$CARRIED other=${OTHER-unset} secret=${SECRET-unset} name=$IMAGE_NAME trace=$DIB_DEBUG_TRACE\" | sed 's,/[^ ]*/,,'\n";
        let run = build(&caller, "tar")
            .element_file("shows", "extra-data.d/50-extra", show)
            .element_file("shows", "install.d/50-install", show)
            .element_file(
                "shows",
                "cleanup.d/50-leave",
                "#!/bin/sh\necho k > \"$IMAGE_NAME.kernel\"\nmkdir -p \"$IMAGE_NAME.d/m\"\necho m > \"$IMAGE_NAME.d/m/f\"\n",
            )
            .env("CARRIED", "yes")
            .env("OTHER", "no")
            .env("SECRET", "no")
            .env("DIB_DEBUG_TRACE", "7")
            .args(["--envvar", "CARRIED", "--debug", "0", "shows", "safedib-fake-os"]);
        let outcome = run.run().success().leaves(&["x.d", "x.tar"]);
        let out = &outcome.stdout;
        assert!(
            out.contains("in 50-extra: carried=yes other=no secret=unset name=x trace=0"),
            "the host's environment in extra-data.d alone, without credentials: {outcome}"
        );
        assert!(
            out.contains("in 50-install: carried=yes other=unset secret=unset name=x trace=0"),
            "{outcome}"
        );
        assert_eq!(
            fs::read_to_string(run.dir.join("x.d/x.kernel")).unwrap(),
            "k\n"
        );
        assert_eq!(fs::read_to_string(run.dir.join("x.d/m/f")).unwrap(), "m\n");
    }
}

#[test]
fn excluded_elements_and_scripts_do_not_run() {
    for caller in callers() {
        let mark = |text: &str| format!("#!/bin/sh\necho ran-{text}\n");
        let run = build(&caller, "tar")
            .element_file("wants", "element-deps", "unwanted\nother\n")
            .element_file("wants", "install.d/50-kept", &mark("kept"))
            .element_file("wants", "install.d/50-same", &mark("same-1"))
            .element_file("unwanted", "install.d/50-unwanted", &mark("unwanted"))
            .element_file("other", "install.d/50-same", &mark("same-2"))
            .element_file("other", "install.d/60-other", &mark("other"))
            .args([
                "--exclude-element",
                "unwanted",
                "--exclude-script",
                "50-same",
            ])
            .args(["--checksum", "wants", "safedib-fake-os"]);
        let outcome = run.run().success();
        let names = ["x.tar", "x.tar.md5", "x.tar.sha256"];
        assert_eq!(outcome.files, names, "{outcome}");
        let mut check = Command::new("sha256sum");
        tool(check.args(["-c", "x.tar.sha256"]).current_dir(&run.dir));
        for (text, there) in [
            ("kept", true),
            ("other", true),
            ("unwanted", false),
            ("same", false),
        ] {
            let ran = outcome.stdout.contains(&format!("ran-{text}"));
            assert_eq!(ran, there, "{text}: {outcome}");
        }
    }
}

#[test]
fn failures_end_as_scripts_expect() {
    for caller in callers() {
        let fails = |phase: &str| {
            build(&caller, "tar")
                .element_file(
                    "fails",
                    &format!("{phase}/50-fails"),
                    "#!/bin/sh\nexit 44\n",
                )
                .args(["fails", "safedib-fake-os"])
                .run()
        };
        let text = "virt-dib: error: hook `50-fails` of element `fails` failed";
        fails("install.d")
            .failure(1, &[text, "virt-dib -v -x [...]"])
            .leaves(&[]);
        fails("extra-data.d").failure(44, &[text]).leaves(&[]);
        let run = build(&caller, "tar")
            .element_file("fails", "cleanup.d/50-fails", "#!/bin/sh\nexit 44\n")
            .args([
                "--no-delete-on-failure",
                "-v",
                "-x",
                "fails",
                "safedib-fake-os",
            ]);
        let outcome = run
            .run()
            .failure(1, &["safedib: trace: run hooks of cleanup.d", text]);
        assert!(!outcome.stderr.contains("[...]"), "{outcome}");
        assert!(
            outcome.stdout.contains("there is none to keep"),
            "{outcome}"
        );
    }
}

#[test]
fn a_ramdisk_is_in_the_directory_and_no_format_is_made() {
    for caller in callers() {
        let run = build(&caller, "raw,tar")
            .element_file(
                "tiny",
                "cleanup.d/99-tiny",
                "#!/bin/sh\necho i > \"$IMAGE_NAME.initramfs\"\necho k > \"$IMAGE_NAME.kernel\"\n",
            )
            .args([
                "--checksum",
                "--ramdisk",
                "--ramdisk-element",
                "tiny",
                "safedib-fake-os",
            ]);
        let outcome = run.run().success().leaves(&["x.d"]);
        let text = "Elements: tiny safedib-fake-os\n";
        assert!(outcome.stdout.contains(text), "{outcome}");
        let text = "--formats has no effect with --ramdisk";
        assert!(outcome.stdout.contains(text), "{outcome}");
        let read = |name: &str| fs::read_to_string(run.dir.join("x.d").join(name)).unwrap();
        assert_eq!(
            (read("x.initramfs"), read("x.kernel")),
            ("i\n".into(), "k\n".into())
        );
    }
}

#[test]
fn what_a_failed_build_has_finished_is_kept_on_demand() {
    for caller in callers() {
        // qemu-img refuses the options after the tar is packed.
        let fails = |option: &[&str]| {
            build(&caller, "tar,qcow2")
                .args(["--qemu-img-options", "no-such-option=1"])
                .args(option.iter().copied())
                .args(["safedib-one-file"])
                .run()
        };
        fails(&[]).failure(1, &["virt-dib: error: "]).leaves(&[]);
        let kept = fails(&["--no-delete-on-failure"]).failure(1, &["virt-dib: error: "]);
        assert!(kept.files.contains(&"x.tar".to_owned()), "{kept}");
    }
}

#[test]
fn the_named_python_runs_the_elements_python() {
    for caller in callers() {
        let run = build(&caller, "tar")
            .element_file(
                "asks",
                "root.d/05-ask",
                "#!/bin/bash\nset -eu\n$DIB_PYTHON_EXEC -e 'print \"perl $^V\\n\"'\n",
            )
            .args(["--python", "perl", "asks", "safedib-one-file"]);
        let outcome = run.run().success();
        assert!(outcome.stdout.contains("perl v5"), "{outcome}");
    }
    let outcome = build(&Caller::Current, "tar")
        .args(["--python", "/etc/passwd", "safedib-one-file"])
        .run();
    outcome.failure(1, &["--python: no appliance has /etc/passwd", "below /usr"]);
}

#[test]
fn the_element_ironic_agent_makes_a_ramdisk() {
    for caller in callers() {
        let write = "#!/bin/sh\necho i > \"$IMAGE_NAME.initramfs\"\n";
        let run = build(&caller, "raw,tar")
            .element_file("ironic-agent", "cleanup.d/99-write", write)
            .element_file("wants", "element-deps", "ironic-agent\n")
            .args(["--checksum", "wants", "safedib-one-file"]);
        let outcome = run.run().success().leaves(&["x.d"]);
        for text in [
            "'ironic-agent' makes this a ramdisk build",
            "no hook has written x.d/x.kernel",
        ] {
            assert!(outcome.stdout.contains(text), "{text}: {outcome}");
        }
        let text = fs::read_to_string(run.dir.join("x.d/x.initramfs")).unwrap();
        assert_eq!(text, "i\n");
    }
}

#[test]
fn hints_name_the_options_of_this_command() {
    let outcome = build(&Caller::Current, "tar").args(["no-such-thing"]).run();
    outcome.failure(1, &["add the directory that holds it to -p"]);
    let outcome = build(&Caller::Current, "raw")
        .args(["--size", "1M", "safedib-fake-os"])
        .run();
    let outcome = outcome.failure(1, &["hint: "]);
    assert!(outcome.stderr.contains("--size"), "{outcome}");
    assert!(!outcome.stderr.contains("--image-size"), "{outcome}");
}

/// What stands for qemu, for the words of LIBGUESTFS_HV.
fn hypervisor(run: &Run, text: &str) -> PathBuf {
    let path = run.home().join("hv");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).unwrap();
    path
}

#[test]
fn a_machine_whose_processor_stands_still_is_started_again() {
    let Some(_machine) = machine() else { return };
    for caller in callers() {
        let run = build(&caller, "tar");
        let log = run.home().join("hv.log");
        // The stall and the silence are those of qemu 10.0 that were seen.
        let hv = hypervisor(
            &run,
            &format!(
                "again=$(test -e {0} && echo yes)
                 echo \"$@\" >> {0}
                 [ \"$again\" ] && exec qemu-system-x86_64 \"$@\"
                 echo '[   22.7] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:'
                 exec sleep 1000",
                log.display()
            ),
        );
        let run = run
            .env("DIB_APPLIANCE", "microvm")
            .env("LIBGUESTFS_HV", &hv)
            .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
            .args(["safedib-one-file"]);
        let outcome = run.run().success();
        let text = "starting the machine again: a processor of the machine stood still";
        assert!(outcome.stdout.contains(text), "{outcome}");
        let starts = fs::read_to_string(log).unwrap();
        assert_eq!(starts.matches(" -smp 1 ").count(), 2, "{starts}");
    }
}

/// Its signals are blocked since the first appliance ran.
#[test]
fn nobody_waits_for_a_second_appliance_that_is_not_wanted_any_more() {
    let Some(_machine) = machine() else { return };
    for caller in callers() {
        let device = "#!/bin/bash\necho $IMAGE_BLOCK_DEVICE\n";
        let run = build(&caller, "raw").element_file("reader", "pre-finalise.d/50-device", device);
        let started = run.home().join("started");
        let silent = format!("touch {}\nexec sleep 1000", started.display());
        let hv = hypervisor(&run, &silent);
        let run = run
            .env("LIBGUESTFS_HV", &hv)
            .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
            .args(["safedib-fake-os", "reader"]);
        let mut command = run.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut driver = command.spawn().unwrap();
        while !started.exists() {
            assert!(driver.try_wait().unwrap().is_none(), "it has ended");
            sleep(Duration::from_millis(20));
        }
        let began = Instant::now();
        kill(Pid::from_raw(driver.id() as i32), Signal::SIGINT).unwrap();
        let output = driver.wait_with_output().unwrap();
        let outcome = run.outcome(output, began.elapsed());
        let text = "interrupted by SIGINT; everything of the build was removed";
        let outcome = outcome.failure(130, &[text]).leaves(&[]);
        assert!(outcome.took < Duration::from_secs(20), "{outcome}");
    }
}

#[test]
fn the_variables_of_libguestfs_shape_the_machine() {
    let Some(_machine) = machine() else { return };
    let caller = &callers()[0];
    let run = build(caller, "tar");
    let big = run.tmp().join("big");
    let log = run.home().join("hv.log");
    let script = format!(
        "echo \"$@\" >> {}\nexec qemu-system-x86_64 \"$@\"",
        log.display()
    );
    let hv = hypervisor(&run, &script);
    fs::create_dir(&big).unwrap();
    run.give(&big);
    let run = run
        .env("DIB_APPLIANCE", "microvm")
        .env("LIBGUESTFS_HV", &hv)
        .env("LIBGUESTFS_TMPDIR", &big)
        .env("LIBGUESTFS_MEMSIZE", "700")
        .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
        .env("LIBGUESTFS_TRACE", "1")
        .env("LIBGUESTFS_DEBUG", "1")
        .args(["safedib-one-file"]);
    let mut command = run.command();
    let output = command.output().unwrap();
    fs::remove_dir(&big).unwrap();
    let outcome = run.outcome(output, Default::default()).success();
    for text in [
        format!("Building in {}/", big.display()),
        "microvm runs with TCG: LIBGUESTFS_BACKEND_SETTINGS asks for it".to_owned(),
    ] {
        assert!(outcome.stdout.contains(&text), "{text}: {outcome}");
    }
    for text in [
        "safedib: trace: run hooks of root.d",
        "requested: safedib-one-file",
    ] {
        assert!(outcome.stderr.contains(text), "{text}: {outcome}");
    }
    assert!(fs::read_to_string(log).unwrap().contains(" -m 700M "));
}

#[test]
fn a_hook_that_fails_leaves_its_disk_on_demand() {
    for caller in callers() {
        for phase in ["install.d", "finalise.d"] {
            let hook = "#!/bin/sh\necho here > /trace\nexit 3\n";
            let fails = |option: &[&str]| {
                build(&caller, "raw,qcow2")
                    .element_file("fails", &format!("{phase}/50-fails"), hook)
                    .args(option.iter().copied())
                    .args(["fails", "safedib-fake-os"])
            };
            let run = fails(&["--no-delete-on-failure"]);
            let outcome = run.run().failure(1, &["`50-fails`"]).leaves(&["x.raw"]);
            assert!(outcome.stdout.contains("Kept x.raw of"), "{outcome}");
            let raw = run.dir.join("x.raw");
            tool(Command::new("/sbin/e2fsck").arg("-fn").arg(&raw));
            let mut debugfs = Command::new("/sbin/debugfs");
            let trace = tool(debugfs.args(["-R", "cat /trace"]).arg(&raw));
            assert_eq!(trace, "here\n", "{phase}: {outcome}");
        }
    }
}

#[test]
fn questions_are_answered_without_elements() {
    let ask = |word: &str| Run::new(&Caller::Current, "virt-dib").args([word]).run();
    let listing = ask("--machine-readable").success().stdout;
    assert_eq!(
        listing,
        "virt-dib\noutput:docker\noutput:qcow2\noutput:raw\noutput:squashfs\noutput:tar\noutput:tgz\noutput:vhd\n"
    );
    assert!(ask("-h")
        .success()
        .stdout
        .contains("  -p, --element-path <path>"));
    assert!(ask("-V").success().stdout.starts_with("virt-dib "));
    assert!(ask("--short-options").success().stdout.contains("-x\n"));
    assert!(ask("--long-options")
        .success()
        .stdout
        .contains("--no-delete-on-failure\n"));
    let wrong = ask("--nonsense").failure(1, &["virt-dib: unrecognized option '--nonsense'"]);
    assert!(wrong.stderr.contains("virt-dib --help"), "{wrong}");
    ask("x").failure(1, &["virt-dib: error: -B must be specified"]);
}

#[test]
fn its_plan_is_shown() {
    let run = Run::new(&Caller::Current, "safedib");
    let (lib, elements) = (lib(&run), run.elements().display().to_string());
    let run = run.args([
        "plan",
        "virt-dib",
        "-B",
        &lib,
        "-p",
        &elements,
        "--skip-base",
        "--name",
        "x",
        "--exclude-element",
        "unwanted",
        "--exclude-script",
        "10-a",
        "--exclude-script",
        "10-b",
        "--drive",
        "/srv/drive.img",
        "--drive-format",
        "qcow2",
        "safedib-fake-os",
    ]);
    let outcome = run.run().success();
    for text in [
        "x.qcow2",
        "excluded elements: unwanted\n",
        "excluded scripts: 10-a 10-b\n",
        "helper drive\n  /srv/drive.img (format: qcow2)",
    ] {
        assert!(outcome.stdout.contains(text), "{text}: {outcome}");
    }
}
