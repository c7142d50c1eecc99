//! Which elements, where they are, and what their hooks meet.

use super::{build, says, says_early};

#[test]
fn a_mistyped_element() {
    let run = build(&["-n", "safedib-fake-so"]);
    says_early("mistyped-element", &run, &run.run());
}

#[test]
fn no_elements_installed() {
    let run = build(&["debian-minimal"]).env("DIB_ELEMENTS_DIR", "");
    let host = "mount -t tmpfs none /usr/local/lib; \
                if test -d /usr/share/diskimage-builder; then \
                mount -t tmpfs none /usr/share/diskimage-builder; fi";
    super::says_prepared("no-elements-installed", &run, host);
}

#[test]
fn an_elements_path_that_is_not_there() {
    let run = build(&["-n", "safedib-fake-os"]).env("ELEMENTS_PATH", "/srv/elements");
    says_early("elements-path-not-there", &run, &run.run());
}

#[test]
fn no_operating_system() {
    let run = build(&["-n", "safedib-witness"]);
    says_early("no-operating-system", &run, &run.run());
}

#[test]
fn two_operating_systems() {
    let run = build(&["-n", "safedib-fake-os", "safedib-one-file"]);
    says_early("two-operating-systems", &run, &run.run());
}

#[test]
fn an_architecture_that_nothing_here_runs() {
    let run = build(&[
        "-a",
        "s390x",
        "-t",
        "tar",
        "-n",
        "safedib-fake-os",
        "debootstrap",
    ])
    .element_file("debootstrap", "install.d/50-x", "#!/bin/sh\n");
    says_early("foreign-architecture", &run, &run.run());
}

#[test]
fn a_program_in_the_image_that_nothing_here_runs() {
    let header = "\\x7fELF\\x02\\x02\\x01\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\x02\\0\\x16";
    let make = format!(
        "#!/bin/bash\nset -eu\nfile=$TARGET_ROOT/usr/bin/uptime\n\
         printf '{header}' >$file\nhead -c 44 /dev/zero >>$file\nchmod 755 $file\n"
    );
    let run = build(&["-a", "s390x", "-t", "tar", "-n", "safedib-fake-os", "mine"])
        .element_file("mine", "root.d/90-mine", &make)
        .element_file("mine", "install.d/50-mine", "#!/bin/bash\nuptime\n");
    says("foreign-program", &run, &run.run());
}

#[test]
fn a_hook_that_fails() {
    let run = build(&["-t", "tar", "-n", "safedib-fake-os", "mine"]).element_file(
        "mine",
        "root.d/20-mine",
        "#!/bin/bash\nset -eu\necho one\necho two >&2\ncat /nonexistent/file\n",
    );
    says("failing-hook", &run, &run.run());
}

#[test]
fn a_command_that_is_not_there() {
    let run = build(&["-t", "tar", "-n", "safedib-fake-os", "mine"]).element_file(
        "mine",
        "root.d/20-mine",
        "#!/bin/bash\nset -eu\nyumdownloadr x\n",
    );
    says("command-not-found-in-hook", &run, &run.run());
}

#[test]
fn a_hook_whose_interpreter_is_not_there() {
    let run = build(&["-t", "tar", "-n", "safedib-fake-os", "mine"]).element_file(
        "mine",
        "root.d/20-mine",
        "#!/usr/bin/pyhton3\nprint()\n",
    );
    says("missing-interpreter", &run, &run.run());
}

#[test]
fn a_mirror_that_does_not_answer() {
    let run = build(&["-t", "tar", "-n", "safedib-fake-os", "mine"])
        .env("DIB_DISTRIBUTION_MIRROR", "http://localhost:9/debian")
        .element_file(
            "mine",
            "root.d/20-mine",
            "#!/bin/bash\nset -eu\ncurl --silent --show-error --noproxy '*' $DIB_DISTRIBUTION_MIRROR/dists/stable/Release\n",
        );
    let outcome = run.run();
    says("mirror-on-loopback", &run, &outcome);
    let early = "WARNING safedib: DIB_DISTRIBUTION_MIRROR is http://localhost:9/debian, \
                 which is this host's loopback: hooks do not reach it";
    assert!(outcome.stdout.contains(early), "{outcome}");
}

#[test]
fn a_download_without_a_network() {
    let run = build(&["--no-network", "-t", "tar", "-n", "safedib-fake-os", "mine"]).element_file(
        "mine",
        "root.d/20-mine",
        "#!/bin/bash\nset -eu\ncurl --silent --show-error --noproxy '*' http://192.0.2.1/x\n",
    );
    says("download-without-network", &run, &run.run());
}
