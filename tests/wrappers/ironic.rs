//! `ironic-python-agent-builder`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::common::{tool, Run};
use super::stand_in::stand_in;
use super::{call, install, outputs, plan_with, plans, prefix, requested, user};

/// As pip installs it into a prefix.
const FILES: [(&str, &str); 2] = [
    (
        "ironic-python-agent-builder-7.4.0/ironic_python_agent_builder",
        "lib/ironic_python_agent_builder",
    ),
    (
        "ironic-python-agent-builder-7.4.0/dib",
        "share/ironic-python-agent-builder/dib",
    ),
];

/// What pip makes of the package's entry point.
const SCRIPT: &str = "#!/usr/bin/python3 -B\n\
    import sys\n\
    from ironic_python_agent_builder import main\n\
    sys.exit(main())\n";

const COMMAND: &str = "ironic-python-agent-builder";

fn builder() -> Run {
    let run = Run::new(&user(), "disk-image-create");
    install(&run, &FILES);
    let script = prefix(&run).join("bin").join(COMMAND);
    fs::create_dir_all(script.parent().unwrap()).unwrap();
    fs::write(&script, SCRIPT).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let library = prefix(&run).join("lib");
    run.env("PYTHONPATH", library)
}

#[test]
fn the_ramdisk_of_each_system_is_planned_with_all_elements() {
    let extra = [
        "burn-in",
        "extra-hardware",
        "ironic-python-agent-podman",
        "ironic-python-agent-tls",
        "multipath-io",
    ];
    for system in [
        "debian-minimal",
        "centos-minimal",
        "ubuntu-minimal",
        "rocky-container",
    ] {
        let mut words = vec![COMMAND, system, "-v", "--lzma", "-r", "10"];
        words.extend(extra.iter().flat_map(|name| ["-e", name]));
        let run = plan_with(builder(), &words);
        run.run().success();
        let plans = plans(&run);
        assert_eq!(plans.len(), 1);
        let elements = requested(&plans[0]);
        assert_eq!(
            &elements[..3],
            ["base", "ironic-python-agent-ramdisk", system]
        );
        assert_eq!(&elements[3..], extra);
        assert!(outputs(&plans[0]).is_empty(), "no disk");
        let hooks = plans[0]["hooks"].to_string();
        assert!(hooks.contains("99-ramdisk-create"), "{hooks}");
        let steps = plans[0]["steps"].to_string();
        let command = "DIB_IPA_COMPRESS_CMD=\\\"xz --format=lzma --compress --stdout -9\\\"";
        assert!(steps.contains(command), "{steps}");
    }
}

#[test]
fn a_ramdisk_is_built_with_the_projects_own_hooks() {
    let run = stand_in(builder(), &[("debian-minimal", "debian")]);
    let own = run.dir.join("own");
    fs::create_dir_all(own.join("mine/finalise.d")).unwrap();
    let run = run.element_file("mine", "README.rst", "");
    let words = [
        COMMAND,
        "debian-minimal",
        "-r",
        "bookworm",
        "-b",
        "stable/x",
        "-o",
        "ipa",
    ];
    let run = call(run, &words)
        .args(["-e", "mine", "--extra-args", "--no-tmpfs -x -p 'one,two'"])
        .args(["--elements-path", own.to_str().unwrap()]);
    let outcome = run.run().success();
    outcome.leaves(&["ipa.initramfs", "ipa.kernel", "ipa.sha256", "own"]);
    tool(
        Command::new("sha256sum")
            .args(["-c", "ipa.sha256"])
            .current_dir(&run.dir),
    );
    let script = "gzip -dc ipa.initramfs | cpio -i --quiet --to-stdout witness";
    let witness = tool(
        Command::new("sh")
            .args(["-c", script])
            .current_dir(&run.dir),
    );
    for line in [
        "DIB_CHECKSUM=sha256",
        "DIB_INSTALLTYPE_pip_and_virtualenv=package",
        "DIB_RELEASE=bookworm",
        "DIB_REPOREF_ironic_python_agent=stable/x",
        "DIB_REPOREF_requirements=stable/x",
    ] {
        assert!(
            witness.contains(&format!("{line}\n")),
            "{line} in {witness}"
        );
    }
}

#[test]
fn a_failure_is_told_with_the_commands_status() {
    let run = stand_in(builder(), &[("debian-minimal", "debian")]);
    let run = call(
        run,
        &[COMMAND, "debian-minimal", "-e", "safedib-fail-install"],
    );
    let text = "returned non-zero exit status 44.";
    run.run()
        .failure(1, &["safedib-fail-install", text])
        .leaves(&[]);
}
