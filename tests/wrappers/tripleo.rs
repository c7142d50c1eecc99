//! The command lines that tripleo-common's image builder makes of its YAML, which
//! names an element's system, types, packages and options (compat 9.021 to 9.025).

use std::fs;
use std::process::Command;

use super::common::{tool, Run};
use super::stand_in::stand_in;
use super::{pinned, user, NEWEST};

/// As the overcloud's image is asked for, but for the system, which upstream has
/// no more.
#[test]
fn the_overcloud_is_planned() {
    let directories = [
        "tripleo-image-elements-15.0.0/elements",
        "ironic-python-agent-builder-7.4.0/dib",
    ];
    let path = directories.map(|path| pinned(path).display().to_string());
    let words = "plan --json disk-image-create -a amd64 -o out/overcloud-full -t qcow2 \
        -p python3-psutil,jq,plotnetcfg --min-tmpfs=7 centos-minimal dhcp-all-interfaces \
        interface-names dynamic-login iptables network-gateway openvswitch os-svc-install \
        overcloud-partition-uefi overcloud-secure pip-and-virtualenv stable-interface-names \
        selinux-permissive";
    let run = Run::new(&user(), "safedib")
        .env("ELEMENTS_PATH", path.join(":"))
        .env("DIB_ELEMENTS_DIR", pinned(NEWEST))
        .env("DIB_IMAGE_SIZE", "6")
        .env("COMPRESS_IMAGE", "1")
        .env("DIB_BLOCK_DEVICE", "efi")
        .env("FS_TYPE", "xfs")
        .env("DIB_MODPROBE_BLACKLIST", "usb-storage cramfs vfat")
        .env("DIB_PYTHON_VERSION", "3")
        .args(words.split_whitespace());
    let outcome = run.run().success();
    let plan: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let config = pinned(directories[0]).canonicalize().unwrap();
    let config = config.join("overcloud-partition-uefi/block-device-default.yaml");
    let message = format!("Using block-device config: {}", config.display());
    let messages = plan["messages"].as_array().unwrap();
    assert!(messages.contains(&message.as_str().into()), "{messages:?}");
    let text = plan.to_string();
    for part in [
        "plotnetcfg",
        "80-enable-fstrim",
        "overcloud-full.qcow2",
        "\"microvm\"",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Its log is decoded as UTF-8 line by line, and the file looked for by name.
#[test]
fn options_stand_in_any_order_and_outputs_where_they_are_looked_for() {
    let run = stand_in(
        Run::new(&user(), "disk-image-create"),
        &[("centos-minimal", "centos")],
    );
    let out = run.dir.join("out");
    fs::create_dir(&out).unwrap();
    run.give(&out);
    let image = out.join("overcloud-full");
    let run = run
        .args(["-a", "amd64", "-o", image.to_str().unwrap(), "-t", "qcow2"])
        .args(["-p", "jq,python3-psutil", "--min-tmpfs=7"])
        .args(["--mkfs-options", "-i 8192 -m 1", "-n"])
        .args(["--docker-target", "image:tag", "centos-minimal"])
        .args(["stable-interface-names"])
        .env("DIB_IMAGE_SIZE", "1")
        .env("COMPRESS_IMAGE", "1")
        .env("DIB_BLOCK_DEVICE", "efi")
        .through_shell("exec 2>&1");
    let outcome = run.run().success().leaves(&["out"]);
    assert!(!outcome.stdout.contains('\u{fffd}'), "{outcome}");
    let install = "stand-in: install-packages jq python3-psutil\n";
    assert!(outcome.stdout.contains(install), "{outcome}");
    let names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|name| name.unwrap().file_name())
        .collect();
    assert_eq!(names, ["overcloud-full.qcow2"]);
    let mut info = Command::new("qemu-img");
    let info = tool(
        info.args(["info", "--output=json"])
            .arg(out.join(&names[0])),
    );
    assert!(info.contains("\"virtual-size\": 1073741824"), "{info}");
}
