//! Command lines of virt-dib's manual page (guestfs-tools 1.48): each parses and
//! plans with upstream's own elements. `tests/boot` builds and boots the first.

mod common;

use std::path::{Path, PathBuf};

use common::{Caller, Outcome, Run};
use serde_json::{json, Value};

const NEWEST: &str = "diskimage-builder-3.43.0/diskimage_builder";
/// The last one of the pinned versions that has the element `deploy-ironic`.
const OLD: &str = "diskimage-builder-1.28.0";

/// A run of `virt-dib` with a version's library and elements.
fn planned(package: &str, words: &[&str]) -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("upstream-fixtures/cache");
    let at = |name: &str| -> PathBuf { root.join(package).join(name) };
    assert!(at("lib/die").exists(), "run scripts/fetch-fixtures");
    let run = Run::new(&Caller::Current, "safedib");
    let tmp = run.tmp();
    run.env("TMPDIR", tmp)
        .env("MYVAR", "whichever")
        .args(["plan", "--json", "virt-dib", "-B"])
        .args([at("lib")])
        .args(["-p"])
        .args([at("elements")])
        .args(words.iter().copied())
        .run()
}

#[track_caller]
fn plan(package: &str, words: &[&str]) -> Value {
    let outcome = planned(package, words).success().leaves(&[]);
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let items = list.as_array().unwrap().iter();
    items
        .map(|item| item[key].as_str().unwrap().to_owned())
        .collect()
}

/// The operation of that name of a plan that has it once.
#[track_caller]
fn step<'a>(plan: &'a Value, operation: &str) -> &'a Value {
    let steps = plan["steps"].as_array().unwrap();
    let mut found = steps.iter().filter(|step| step["step"]["op"] == operation);
    let first = found.next().unwrap_or_else(|| panic!("no {operation}"));
    assert!(found.next().is_none(), "{operation} twice");
    &first["step"]
}

/// The first example.
const DEBIAN: [&str; 6] = [
    "--envvar",
    "DIB_RELEASE=jessie",
    "--name",
    "debian-jessie",
    "debian",
    "vm",
];

#[test]
fn the_image_of_a_distribution() {
    let plan = plan(NEWEST, &DEBIAN);
    let requested = json!(["base", "debian", "vm", "block-device-mbr"]);
    assert_eq!(plan["requested"], requested);
    assert_eq!(names(&plan["outputs"], "shown"), ["debian-jessie.qcow2"]);
    assert_eq!(names(&plan["outputs"], "format"), ["qcow2"]);
    let elements = names(&plan["elements"]["elements"], "name");
    for name in ["debian-minimal", "openssh-server", "bootloader"] {
        assert!(elements.iter().any(|element| element == name), "{name}");
    }
    let policy = &step(&plan, "measure-tree")["policy"];
    assert_eq!(policy["requested_kib"], 5 << 20);
}

#[test]
fn a_ramdisk_of_the_elements_of_its_day() {
    let words = ["--ramdisk", "--name", "ramdisk", "ubuntu", "deploy-ironic"];
    let old = plan(OLD, &words);
    let requested = json!(["ramdisk", "base", "ubuntu", "deploy-ironic"]);
    assert_eq!(old["requested"], requested);
    assert_eq!(old["outputs"], json!([]));
    let files = names(&old["hook_outputs"], "shown");
    let expected = ["ramdisk.d/ramdisk.initramfs", "ramdisk.d/ramdisk.kernel"];
    assert_eq!(files, expected);
    // 2.0 and later have no such element, and none with its purpose.
    planned(NEWEST, &words).failure(1, &["'deploy-ironic' not found"]);
    let new = plan(NEWEST, &words[..4]);
    assert_eq!(names(&new["hook_outputs"], "shown"), expected);
}

#[test]
fn options_as_its_text_spells_them() {
    let with = |words: &[&str]| plan(NEWEST, &[words, &DEBIAN].concat());
    let filesystem = with(&["--mkfs-options", "-O someopt -I foo"]);
    let made = &step(&filesystem, "assemble-disk")["layout"]["filesystems"][0];
    let expected = json!(["-i", "4096", "-J", "size=64", "-O", "someopt", "-I", "foo"]);
    assert_eq!(made["options"], expected);
    let options = "cluster_size=512,preallocation=metadata";
    let conversion = with(&["--qemu-img-options", options]);
    assert_eq!(step(&conversion, "convert-disk")["options"], options);
    for (size, kib) in [("10737418240b", 10 << 20), ("32G", 32 << 20)] {
        let plan = with(&["--size", size]);
        let policy = &step(&plan, "measure-tree")["policy"];
        assert_eq!(policy["requested_kib"], kib, "{size}");
    }
    for words in [
        &["--envvar", "MYVAR"][..],
        &["--envvar", "MYVAR=value_of_it"],
        &["-m", "1024", "--smp", "2", "--arch", "amd64"],
        &["--python", "/usr/bin/python3", "--install-type", "package"],
        &["--fs-type", "xfs", "--root-label", "img-rootfs"],
        &["--debug", "1", "-v", "-x", "--colors", "--wrap", "-u"],
    ] {
        with(words);
    }
    assert_eq!(with(&["--no-network"])["network"], false);
    let formats = with(&["--formats", "qcow2,raw,squashfs,tar,tgz,vhd", "--checksum"]);
    let formats = names(&formats["outputs"], "format");
    assert_eq!(formats.len(), 6, "{formats:?}");
}

#[test]
fn its_table_of_options_against_those_of_disk_image_create() {
    let theirs = plan(
        NEWEST,
        &[
            "--arch=amd64",
            "--size=3G",
            "--skip-base",
            "--name=IMAGENAME",
            "--extra-packages=PACKAGE",
            "--formats=tar",
            "--debug=2",
            "debian",
        ],
    );
    assert_eq!(theirs["requested"], json!(["debian"]));
    assert_eq!(names(&theirs["outputs"], "shown"), ["IMAGENAME.tar"]);
    let text = theirs.to_string();
    assert!(text.contains("PACKAGE"), "{text}");
    assert!(text.contains(r#""DIB_DEBUG_TRACE":"2""#), "{text}");
}
