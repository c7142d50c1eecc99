//! sahara-image-elements' `sahara-image-create`, which calls `diskimage-create.sh`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::common::{tool, Run};
use super::stand_in::stand_in;
use super::{call, install, outputs, pinned, plan_with, plans, requested, user};

/// As `setup.cfg` has it: scripts in `bin`, elements in `share`.
const FILES: [(&str, &str); 3] = [
    (
        "sahara-image-elements-19.0.0/bin/sahara-image-create",
        "bin/sahara-image-create",
    ),
    (
        "sahara-image-elements-19.0.0/diskimage-create/diskimage-create.sh",
        "bin/diskimage-create.sh",
    ),
    (
        "sahara-image-elements-19.0.0/elements",
        "share/sahara-elements/elements",
    ),
];

fn sahara() -> Run {
    let run = Run::new(&user(), "disk-image-create");
    install(&run, &FILES);
    run
}

/// Upstream's elements of 2.x have all systems that the script knows; since 3.x
/// there is no `centos7`.
#[test]
fn every_image_of_every_plugin_is_planned() {
    for (plugin, images) in [
        ("plain", 3),
        ("vanilla", 12),
        ("spark", 1),
        ("storm", 1),
        ("ambari", 2),
        ("cloudera", 8),
        ("mapr", 2),
    ] {
        let run = plan_with(sahara(), &["sahara-image-create", "-p", plugin]);
        let old = pinned("diskimage-builder-2.38.0/diskimage_builder/elements");
        let run = run.env("DIB_ELEMENTS_DIR", old);
        run.run().success();
        let plans = plans(&run);
        assert_eq!(plans.len(), images, "{plugin}");
        for plan in &plans {
            let elements = requested(plan);
            let common = ["vm", "sahara-version", "ntp", "xfs-tools"];
            assert!(
                common.iter().all(|name| elements.contains(name)),
                "{elements:?}"
            );
            assert!(["ubuntu", "fedora", "centos7"].contains(&elements[1]));
            assert_eq!(outputs(plan).len(), 1);
        }
    }
}

#[test]
fn an_image_of_a_system_that_is_gone_ends_the_run_as_with_upstream() {
    let run = plan_with(sahara(), &["sahara-image-create", "-p", "plain"]);
    run.run().failure(1, &["Element 'centos7' not found"]);
    // What came before it is there, ubuntu and fedora.
    let names = fs::read_dir(run.dir.join("plans")).unwrap();
    let sizes = names.map(|name| name.unwrap().metadata().unwrap().len());
    assert_eq!(sizes.filter(|size| *size > 0).count(), 2);
}

fn witness(image: &Path) -> String {
    let mut tar = Command::new("tar");
    tool(tar.args(["-xOf"]).arg(image).arg("./witness"))
}

#[test]
fn several_images_are_built_in_one_shell_each_with_its_own_variables() {
    let systems = [
        ("ubuntu", "ubuntu"),
        ("fedora", "fedora"),
        ("centos7", "centos7"),
    ];
    let words = ["sahara-image-create", "-p", "plain", "-f", "tar", "-x"];
    let run = call(stand_in(sahara(), &systems), &words).env("DIB_IMAGE_SIZE", "3");
    let outcome = run.run().success();
    let images = ["centos7_plain.tar", "fedora_plain.tar", "ubuntu_plain.tar"];
    let outcome = outcome.leaves(&images);
    for (image, (system, release)) in images.iter().zip([
        ("centos7", None),
        ("fedora", None),
        ("ubuntu", Some("xenial")),
    ]) {
        let text = witness(&run.dir.join(image));
        let elements = text.lines().next().unwrap();
        for name in [system, "ntp", "sahara-version", "ssh", "vm"] {
            assert!(
                elements.contains(&format!(" {name}")),
                "{name} in {elements}"
            );
        }
        // The script takes this one away, and unsets it for the next image.
        assert!(!text.contains("DIB_IMAGE_SIZE=3\n"), "{text}");
        let line = release.map(|release| format!("DIB_RELEASE={release}\n"));
        match line {
            Some(line) => assert!(text.contains(&line), "{text}"),
            None => assert!(!text.contains("DIB_RELEASE"), "{text}"),
        }
    }
    let built = outcome.stdout.matches("| Build completed successfully\n");
    assert_eq!(built.count(), 3, "{outcome}");
}

#[test]
fn a_failing_image_is_the_scripts_status_and_the_last_one() {
    let systems = [
        ("ubuntu", "ubuntu"),
        ("fedora", "fedora"),
        ("centos7", "centos7"),
    ];
    let run = stand_in(sahara(), &systems);
    let run = run.element_file("fedora", "install.d/50-fails", "#!/bin/sh\nexit 3\n");
    let run = call(run, &["sahara-image-create", "-p", "plain", "-f", "raw"]);
    let outcome = run.run().failure(3, &["50-fails", "fedora"]);
    outcome.leaves(&["ubuntu_plain.raw"]);
}
