//! Partition tables, compared with those of upstream's own writer and of sgdisk.
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{gpt, Ids};
use crate::blockdev::{layout, place, Error, Layout, RootParams};

const MIB: u64 = 1 << 20;

/// Size, type and flags of a partition.
type Row = (&'static str, &'static str, &'static str);

fn layout_of(label: &str, align: u64, partitions: &[Row]) -> Layout {
    let items: Vec<String> = partitions
        .iter()
        .enumerate()
        .map(|(index, (size, kind, flags))| {
            format!("{{name: 'part {index}', size: {size}, type: '{kind}', flags: [{flags}]}}")
        })
        .collect();
    let yaml = format!(
        "- local_loop: {{name: image0}}\n- partitioning: {{base: image0, align: {align}B, label: {label}, partitions: [{}]}}\n",
        items.join(", ")
    );
    layout(&yaml, &RootParams::default()).unwrap()
}

fn write(layout: &Layout, size: u64, path: &Path) -> Result<(), Error> {
    let disk = std::fs::File::create(path).unwrap();
    disk.set_len(size).unwrap();
    super::write(layout.image0()?, &disk, path, size, &Ids::Random).map(drop)
}

/// Runs a script, returns what it prints.
fn bash(directory: &Path, script: &str) -> String {
    let output = Command::new("bash")
        .args(["-euc", script])
        .current_dir(directory)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Drives upstream's MBR class as its partitioning plugin does.
const UPSTREAM: &str = r#"
import sys, json
from diskimage_builder.block_device.level1.mbr import MBR
from diskimage_builder.block_device.utils import parse_rel_size_spec
path, size, align, parts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
open(path, "wb").truncate(size)
with MBR(path, size, align) as table:
    for spec, kind, flags in parts:
        size = parse_rel_size_spec(spec, table.free())[1]
        table.add_partition("primary" in flags, "boot" in flags, size, int(kind, 16))
"#;

/// The Python that has upstream installed; none where it cannot be had.
fn upstreams_python() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install-upstream");
    let output = Command::new(script).output().unwrap();
    if output.status.success() {
        let path = String::from_utf8(output.stdout).unwrap();
        return Some(Path::new(path.trim()).join("bin/python"));
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{errors}");
    eprintln!("skipped: scripts/install-upstream failed: {errors}");
    None
}

#[test]
fn mbr_equals_upstream_byte_for_byte() {
    let Some(python) = upstreams_python() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs) = (
        directory.path().join("ours"),
        directory.path().join("theirs"),
    );
    let p = "primary";
    let table: Vec<(u64, u64, Vec<Row>)> = vec![
        (64 * MIB, MIB, vec![("100%", "0x83", "boot, primary")]),
        (
            200 * MIB + 512,
            MIB,
            vec![("33%", "83", p), ("50%", "82", p), ("100%", "0x8e", p)],
        ),
        (
            20_000 * MIB,
            MIB,
            vec![("8MiB", "0x41", "boot, primary"), ("100%", "83", p)],
        ),
        (
            256 * MIB,
            MIB,
            vec![
                ("10MiB", "83", p),
                ("10000001B", "83", ""),
                ("33.3%", "82", "boot"),
                ("100%", "83", ""),
            ],
        ),
        (
            256 * MIB,
            4 * MIB,
            vec![("100MiB", "83", ""), ("1.5GB", "83", "")][..1].to_vec(),
        ),
        (
            256 * MIB,
            65536,
            vec![
                ("1MB", "83", ""),
                ("1MB", "83", ""),
                ("50%", "83", ""),
                ("100%", "7", ""),
            ],
        ),
    ];
    for (size, align, partitions) in table {
        write(&layout_of("mbr", align, &partitions), size, &ours).unwrap();
        let output = Command::new(&python)
            .args(["-c", UPSTREAM])
            .arg(&theirs)
            .args([
                size.to_string(),
                align.to_string(),
                serde_json::to_string(&partitions).unwrap(),
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        // The random disk id is at 440; `cmp -l` prints one byte a line.
        let compared = bash(
            directory.path(),
            "cmp -l -n 300000000 ours theirs | awk '$1 < 441 || $1 > 444' || :",
        );
        assert_eq!(compared, "", "{partitions:?}");
    }
}

/// What sgdisk says about a disk, random GUIDs left out.
fn describe(directory: &Path, disk: &str, count: usize) -> String {
    let mut script = format!("sgdisk -v {disk}; sgdisk -p {disk} | grep -v -e 'identifier (GUID)' -e '^Disk /' -e '^Disk {disk}';");
    for number in 1..=count {
        script += &format!("sgdisk -i {number} {disk} | grep -v 'unique GUID';");
    }
    script += &format!("head -c 512 {disk} | tail -c 72 | od -An -tx1; tail -c 512 {disk} | head -c 16 | od -An -tx1");
    bash(directory, &script)
}

#[test]
fn gpt_equals_sgdisk_field_by_field() {
    let directory = tempfile::tempdir().unwrap();
    let table: Vec<(u64, Vec<Row>)> = vec![
        (64 * MIB, vec![("100%", "8300", "")]),
        (20_000 * MIB, vec![("100%", "8300", "")]),
        (
            2000 * MIB + 64 * 1024,
            vec![
                ("550MiB", "EF00", ""),
                ("8MiB", "ef02", ""),
                ("100%", "8300", "boot"),
            ],
        ),
        (
            256 * MIB,
            vec![
                ("8MiB", "0x4100", ""),
                ("33%", "8E00", ""),
                ("50%", "0FC63DAF-8483-4772-8E79-3D69D8477DE4", ""),
                ("100%", "8200", ""),
            ],
        ),
    ];
    for (size, partitions) in table {
        let layout = layout_of("gpt", MIB, &partitions);
        write(&layout, size, &directory.path().join("ours")).unwrap();
        let mut command = format!("rm -f theirs; truncate -s {size} theirs; sgdisk theirs");
        for extent in place(&layout.disks[0], size).unwrap() {
            let (_, kind, _) = partitions[extent.partition];
            command += &format!(
                " -n {0}:0:+{1}M -t {0}:{kind} -c '{0}:part {2}'",
                extent.number,
                extent.size / MIB,
                extent.partition
            );
        }
        bash(directory.path(), &command);
        let want = describe(directory.path(), "theirs", partitions.len());
        let have = describe(directory.path(), "ours", partitions.len());
        assert_eq!(want, have);
        assert!(have.contains("No problems found"), "{have}");
    }
}

#[test]
fn gpt_codes_are_those_of_sgdisk() {
    let directory = tempfile::tempdir().unwrap();
    let codes: Vec<(&str, &str)> = gpt::types().collect();
    assert_eq!(codes.len(), 241);
    // A table has room for 128 partitions.
    for part in codes.chunks(100) {
        let mut script = "rm -f d; truncate -s 128M d; sgdisk d".to_string();
        for (index, (code, _)) in part.iter().enumerate() {
            script += &format!(" -n {0}:0:+1M -t {0}:{code}", index + 1);
        }
        script += &format!("\nfor n in {{1..{}}}; do sgdisk -i $n d; done", part.len());
        let text = bash(directory.path(), &script);
        let found = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("Partition GUID code: ")?;
            rest.split_whitespace().next()
        });
        let guids: Vec<&str> = part.iter().map(|(_, guid)| *guid).collect();
        assert_eq!(found.collect::<Vec<_>>(), guids);
    }
}

#[test]
fn unknown_gpt_types_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let layout = layout_of("gpt", MIB, &[("100%", "ABCD", "")]);
    let error = write(&layout, 64 * MIB, &directory.path().join("d"));
    assert_eq!(
        error.unwrap_err().to_string(),
        "partition 'part 0': unknown GPT type 'ABCD'"
    );
}

#[test]
fn uuids_are_random_ones_of_version_4() {
    let form =
        regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$");
    let form = form.unwrap();
    let [one, other] = [(); 2].map(|()| Ids::Random.uuid("root").unwrap());
    assert!(
        form.is_match(&one) && form.is_match(&other),
        "{one} {other}"
    );
    assert_ne!(one, other);
}

#[test]
fn derived_identifiers_follow_from_image_and_role_alone() {
    let of = |image: &str, role: &str| Ids::Derived(image.into()).uuid(role).unwrap();
    let one = of("one", "root");
    assert_eq!(one, of("one", "root"));
    let form =
        regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$");
    assert!(form.unwrap().is_match(&one), "{one}");
    for other in [of("two", "root"), of("one", "swap"), of("on", "eroot")] {
        assert_ne!(one, other);
    }
    let directory = tempfile::tempdir().unwrap();
    for label in ["gpt", "mbr"] {
        let kind = if label == "gpt" { "8300" } else { "83" };
        let layout = layout_of(label, MIB, &[("16MiB", kind, ""), ("100%", kind, "")]);
        let table = |image: &str| {
            let path = directory.path().join("disk");
            let disk = std::fs::File::create(&path).unwrap();
            disk.set_len(64 * MIB).unwrap();
            let ids = Ids::Derived(image.into());
            super::write(layout.image0().unwrap(), &disk, &path, 64 * MIB, &ids).unwrap();
            std::fs::read(path).unwrap()
        };
        assert!(table("one") == table("one"), "{label}");
        assert!(table("one") != table("two"), "{label}");
    }
}
