//! Partition tables: where and what upstream's are, and where ours would be.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use safedib::blockdev::table::{self, Ids};
use safedib::blockdev::{place, Disk, Layout, TableLabel};

use super::{equal, IMAGE_BYTES};

const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// Number, start and length in bytes, type, boot flag.
type Row = (u32, u64, u64, String, bool);

/// Compares the tables of all disks.
pub fn compare(dir: &Path, layout: &Layout, commands: &[Vec<String>]) -> Result<(), String> {
    // One call of sgdisk per GPT, in the order of loop devices.
    let mut sgdisk: Vec<&Vec<String>> = commands.iter().filter(|c| c[0] == "sgdisk").collect();
    for disk in &layout.disks {
        let Some(table) = &disk.table else { continue };
        match table.label {
            TableLabel::Mbr => {
                let theirs = sfdisk(&dir.join(format!("{}.raw", disk.name)))?;
                equal("MBR as planned", &ours(disk), &theirs)?;
                equal("MBR as written", sfdisk(&written(dir, disk))?, theirs)?;
            }
            TableLabel::Gpt => {
                let command = sgdisk.remove(0);
                equal("sgdisk", told(disk), command[2..].to_vec())?;
            }
        }
    }
    equal("calls of sgdisk", 0, sgdisk.len())?;
    volumes(layout, commands)
}

/// What upstream would have to tell sgdisk to get our table.
fn told(disk: &Disk) -> Vec<String> {
    let table = disk.table.as_ref().unwrap();
    let extents = place(disk, disk.size.unwrap_or(IMAGE_BYTES)).unwrap();
    let mut words = Vec::new();
    for extent in extents {
        let partition = &table.partitions[extent.partition];
        let number = extent.number;
        words.extend(["-n".into(), format!("{number}:0:+{}M", extent.size >> 20)]);
        words.extend(["-t".into(), format!("{number}:{}", partition.kind)]);
        words.extend(["-c".into(), format!("{number}:{}", partition.name)]);
    }
    words
}

/// An image with our table, and nothing else.
fn written(dir: &Path, disk: &Disk) -> PathBuf {
    let path = dir.join(format!("{}.ours", disk.name));
    let size = disk.size.unwrap_or(IMAGE_BYTES);
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    table::write(disk, &file, &path, size, &Ids::Random).unwrap();
    path
}

fn ours(disk: &Disk) -> Vec<Row> {
    let table = disk.table.as_ref().unwrap();
    let row = |extent: safedib::blockdev::Extent| {
        let partition = &table.partitions[extent.partition];
        let kind = partition.kind.trim_start_matches("0x").to_lowercase();
        (
            extent.number,
            extent.start,
            extent.size,
            kind,
            partition.bootable,
        )
    };
    let extents = place(disk, disk.size.unwrap_or(IMAGE_BYTES)).unwrap();
    extents.into_iter().map(row).collect()
}

/// Reads a table, without the extended partition.
fn sfdisk(image: &Path) -> Result<Vec<Row>, String> {
    let output = Command::new("sfdisk")
        .arg("--json")
        .arg(image)
        .env("PATH", PATH)
        .output()
        .expect("sfdisk starts: install fdisk");
    let read: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let rows = read["partitiontable"]["partitions"].as_array().unwrap();
    let row = |row: &serde_json::Value| {
        let node = row["node"].as_str().unwrap();
        let number = node[image.as_os_str().len()..].trim_start_matches('p');
        (
            number.parse().unwrap(),
            row["start"].as_u64().unwrap() * 512,
            row["size"].as_u64().unwrap() * 512,
            row["type"].as_str().unwrap().to_owned(),
            row["bootable"].as_bool().unwrap_or_default(),
        )
    };
    let rows = rows.iter().map(row);
    Ok(rows.filter(|row| row.3 != "f").collect())
}

/// What upstream tells LVM, and what our layout says.
fn volumes(layout: &Layout, commands: &[Vec<String>]) -> Result<(), String> {
    let lvcreate: Vec<Vec<String>> = commands
        .iter()
        .filter(|command| command[0] == "lvcreate")
        .map(|command| command[1..].to_vec())
        .collect();
    let ours = layout.lvm.logical_volumes.iter();
    equal("lvcreate", ours.map(|v| v.arguments()).collect(), lvcreate)
}

/// A loop device for a file.
struct Loop(String);

impl Loop {
    fn attach(image: &Path, sector: u32) -> Option<Loop> {
        let output = Command::new("losetup")
            .args(["--sector-size", &sector.to_string(), "--show", "-f"])
            .arg(image)
            .env("PATH", PATH)
            .output()
            .ok()?;
        let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        output.status.success().then_some(Loop(name))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .args(["-d", &self.0])
            .env("PATH", PATH)
            .status();
    }
}

/// First byte, length and name of every entry of a GPT.
fn gpt(image: &Path, sector: u64) -> Vec<(u64, u64, String)> {
    let mut array = vec![0u8; 128 * 128];
    let file = File::open(image).unwrap();
    file.read_exact_at(&mut array, 2 * sector).unwrap();
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let used = array.chunks(128).filter(|entry| entry[..16] != [0; 16]);
    used.map(|entry| {
        let (first, last) = (number(&entry[32..40]), number(&entry[40..48]));
        let name: Vec<u16> = entry[56..]
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .take_while(|unit| *unit != 0)
            .collect();
        let name = String::from_utf16(&name).unwrap();
        (first * sector, (last + 1 - first) * sector, name)
    })
    .collect()
}

const FULL: &str = "
- local_loop: {name: image0, size: 2GiB}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: a, size: 33.3%}
      - {name: b b, size: '7654321'}
      - {name: c, size: 50%}
      - {name: d, size: 100%}
- mkfs: {name: mkfs_root, base: d, mount: {mount_point: /}}
";

/// What sgdisk says about a table, without names of files and random GUIDs.
fn describe(device: &str, count: usize) -> String {
    let mut asked = vec![vec!["-v".to_owned()], vec!["-p".to_owned()]];
    asked.extend((1..=count).map(|number| vec!["-i".to_owned(), number.to_string()]));
    let mut text = String::new();
    for words in asked {
        let output = Command::new("sgdisk")
            .args(words)
            .arg(device)
            .env("PATH", PATH)
            .output()
            .expect("sgdisk starts: install gdisk");
        text += &String::from_utf8_lossy(&output.stdout);
    }
    let differs = |line: &&str| !line.contains("(GUID)") && !line.contains("unique GUID");
    text.lines().filter(differs).collect::<Vec<_>>().join("\n")
}

/// sgdisk, told what upstream tells it, makes the table that we write, on sectors
/// of either size.
#[test]
fn sgdisk_agrees_on_both_sector_sizes() {
    let elements = super::configurations("diskimage-builder-3.43.0");
    let mut texts: Vec<(String, String)> = elements
        .into_iter()
        .filter(|(name, text)| name.contains("/elements/") && text.contains("gpt"))
        .collect();
    assert!(texts.len() > 3);
    texts.push(("full".into(), FULL.into()));
    let params = safedib::blockdev::RootParams {
        fs_type: "ext4".into(),
        ..Default::default()
    };
    for sector in [512, 4096] {
        for (name, text) in &texts {
            let mut layout = safedib::blockdev::layout(text, &params).unwrap();
            layout.override_block_size(sector);
            if !sgdisk_agrees(name, &layout.disks[0]) {
                return;
            }
        }
    }
}

/// Whether there are loop devices to find out.
fn sgdisk_agrees(name: &str, disk: &Disk) -> bool {
    let base = tempfile::tempdir_in("/var/tmp").unwrap();
    let image = base.path().join("disk.raw");
    let size = disk.size.unwrap_or(IMAGE_BYTES);
    File::create(&image).unwrap().set_len(size).unwrap();
    let Some(device) = Loop::attach(&image, disk.block_size) else {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "no loop device: this test needs root"
        );
        eprintln!("skipped: no loop device (needs root)");
        return false;
    };
    let output = Command::new("sgdisk")
        .arg(&device.0)
        .args(told(disk))
        .env("PATH", PATH)
        .output()
        .expect("sgdisk starts: install gdisk");
    assert!(output.status.success(), "{name}: {output:?}");
    let partitions = &disk.table.as_ref().unwrap().partitions;
    let theirs = describe(&device.0, partitions.len());
    let planned: Vec<_> = place(disk, size)
        .unwrap()
        .iter()
        .map(|e| (e.start, e.size, partitions[e.partition].name.clone()))
        .collect();
    let context = format!("{name}, sectors of {}", disk.block_size);
    assert_eq!(planned, gpt(&image, disk.block_size.into()), "{context}");

    let zap = ["--zap-all", &device.0];
    let zapped = Command::new("sgdisk").args(zap).env("PATH", PATH).output();
    assert!(zapped.unwrap().status.success(), "{context}");
    let path = Path::new(&device.0);
    let file = File::options().write(true).open(path).unwrap();
    table::write(disk, &file, path, size, &Ids::Random).unwrap();
    file.sync_all().unwrap();
    let ours = describe(&device.0, partitions.len());
    assert_eq!(ours, theirs, "{context}");
    assert!(ours.contains("No problems found"), "{context}: {ours}");
    true
}
