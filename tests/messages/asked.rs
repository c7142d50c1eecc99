//! What was typed.

use super::{build, says_early};

#[test]
fn a_mistyped_option() {
    let run = build(&["--imagesize", "10", "debian-minimal"]);
    says_early("mistyped-option", &run, &run.run());
}

#[test]
fn an_option_without_its_value() {
    let run = build(&["debian-minimal", "-o"]);
    says_early("option-without-value", &run, &run.run());
}

#[test]
fn no_element() {
    let run = build(&["-o", "image"]);
    says_early("no-element", &run, &run.run());
}

#[test]
fn an_unknown_format() {
    let run = build(&["-t", "qcow2,iso", "-n", "safedib-fake-os"]);
    says_early("unknown-format", &run, &run.run());
}

#[test]
fn docker_without_a_target() {
    let run = build(&["-t", "docker", "-n", "safedib-fake-os"]);
    says_early("docker-without-target", &run, &run.run());
}

#[test]
fn a_size_that_is_none() {
    let run = build(&["--image-size", "big", "-n", "safedib-fake-os"]);
    says_early("size-that-is-none", &run, &run.run());
}

#[test]
fn an_appliance_that_is_none() {
    let run = build(&["--appliance", "kvm", "-n", "safedib-fake-os"]);
    says_early("unknown-appliance", &run, &run.run());
}

#[test]
fn too_little_memory_for_a_machine() {
    let run = build(&[
        "--appliance",
        "microvm",
        "--memsize",
        "2",
        "-n",
        "safedib-fake-os",
    ]);
    says_early("memory-in-gigabytes", &run, &run.run());
}

#[test]
fn an_image_definition_that_is_not_there() {
    let run = super::Run::new(&super::newcomer(), "diskimage-builder").args(["images.yaml"]);
    says_early("no-image-definition", &run, &run.run());
}

#[test]
fn an_image_definition_with_a_tab() {
    let run = super::Run::new(&super::newcomer(), "diskimage-builder").args(["images.yaml"]);
    std::fs::write(
        run.dir.join("images.yaml"),
        "- imagename: image\n\telements: [safedib-fake-os]\n",
    )
    .unwrap();
    says_early("image-definition-with-a-tab", &run, &run.run());
}
