//! What the machine's tools saw, compared with the plan.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use safedib::blockdev::state::{Created, State};
use safedib::blockdev::{self, place, Config, Disk, Graph};
use serde_json::Value;

use super::layouts::Layout;
use super::work_of;

type Check = Result<(), String>;

fn equal<T: PartialEq + Debug>(what: &str, seen: T, planned: T) -> Check {
    match seen == planned {
        true => Ok(()),
        false => Err(format!("{what}: seen {seen:#?}, planned {planned:#?}")),
    }
}

fn read(dir: &Path, name: &str) -> Result<String, String> {
    fs::read_to_string(dir.join(name)).map_err(|error| format!("{name}: {error}"))
}

/// Checks one layout by the files in its directory.
pub fn check(layout: &Layout, dir: &Path) -> Check {
    equal("left behind", read(dir, "left")?.as_str(), "")?;
    let log = read(dir, "log")?;
    if let Some(reason) = layout.fails {
        equal("status of create", read(dir, "create")?.as_str(), "1\n")?;
        if !log.contains(reason) {
            return Err(format!("no {reason:?} in the log"));
        }
        let files = read(dir, "files")?;
        equal("an image is left", files.contains("image0.raw"), false)?;
        // As far as it came, for those who look for the reason.
        let state = State::from_json(&read(dir, "state.json")?).unwrap();
        let device = state.image_block_device().unwrap();
        return equal("device of a failure", device.as_str(), "/dev/loop0");
    }
    equal("status of create", read(dir, "create")?.as_str(), "0\n")?;
    equal("status of umount", read(dir, "umount")?.as_str(), "0\n0\n")?;
    equal("status of the end", read(dir, "ended")?.as_str(), "0\n")?;
    let files = read(dir, "files")?;
    let image = |files: &str| files.lines().any(|line| line == "image0.raw");
    let kept = layout.end == "cleanup";
    equal("image kept", image(&files), kept)?;
    let states = files.lines().any(|line| line == "block-device");
    equal("states kept", states, false)?;
    equal("writing", log.contains("cannot write"), false)?;
    trimmed(dir)?;
    let graph = graph(layout)?;
    let state = state(layout, &graph, dir)?;
    tables(layout, &graph, dir)?;
    filesystems(&graph, &state, dir)?;
    mounts(layout, &graph, &state, dir)
}

fn graph(layout: &Layout) -> Result<Graph, String> {
    let mut config = Config::expand(&layout.config).map_err(|error| error.to_string())?;
    config.merge_root(&safedib::yaml::load(&super::params(layout)).unwrap());
    Graph::new(&config).map_err(|error| error.to_string())
}

/// Blocks of a file of 20 MB that is gone are gone as well. (XFS and thin pools
/// keep some for themselves.)
fn trimmed(dir: &Path) -> Check {
    let kilobytes = |name: &str| -> Result<i64, String> {
        let text = read(dir, name)?;
        let number = text.split_whitespace().next().unwrap_or_default();
        number.parse().map_err(|_| format!("{name}: {text:?}"))
    };
    let freed = kilobytes("full")? - kilobytes("trimmed")?;
    match freed > 15_000 {
        true => Ok(()),
        false => Err(format!("only {freed} kB were given back")),
    }
}

/// The state is what the plan says, but for random UUIDs.
fn state(layout: &Layout, graph: &Graph, dir: &Path) -> Result<Value, String> {
    let text = read(dir, "state.json")?;
    let seen: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let uuid = |name: &str| seen["filesys"][name]["uuid"].as_str().map(str::to_owned);
    let created = Created {
        loops: graph
            .disks_in_order()
            .enumerate()
            .map(|(index, name)| (name.to_owned(), format!("/dev/loop{index}")))
            .collect(),
        uuids: graph
            .filesystems()
            .filter_map(|(name, _)| Some((name.to_owned(), uuid(name)?)))
            .collect(),
        image_bytes: layout.gib << 30,
        image_dir: work_of(layout),
        mount_base: format!("{}/mnt", work_of(layout)),
        block_size: None,
    };
    let planned = State::after_create(graph, &created).map_err(|error| error.to_string())?;
    equal("state.json", &text, &planned.to_json())?;
    let devices = planned.image_block_devices().unwrap() + "\n";
    equal(
        "getval",
        read(dir, "devices")?.lines().last(),
        devices.lines().last(),
    )?;
    Ok(seen)
}

/// Number, start and size in bytes, type in lower case.
type Row = (u32, u64, u64, String);

fn tables(layout: &Layout, graph: &Graph, dir: &Path) -> Check {
    let plan = graph.layout().map_err(|error| error.to_string())?;
    for (index, name) in graph.disks_in_order().enumerate() {
        let disk = plan.disks.iter().find(|disk| disk.name == name).unwrap();
        if disk.table.is_some() {
            let text = read(dir, &format!("sfdisk-loop{index}"))?;
            let seen: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let seen = &seen["partitiontable"];
            let sector = seen["sectorsize"].as_u64().unwrap_or(512);
            equal("sectors", sector, disk.block_size.into())?;
            equal("table", rows(seen, sector), planned_rows(layout, disk))?;
        }
    }
    Ok(())
}

/// All but the extended partition.
fn rows(table: &Value, sector: u64) -> Vec<Row> {
    let rows = table["partitions"].as_array().unwrap().iter();
    let rows = rows.map(|row| {
        let node = row["node"].as_str().unwrap();
        let number = node.rsplit('p').next().unwrap().parse().unwrap();
        let bytes = |key: &str| row[key].as_u64().unwrap() * sector;
        let kind = row["type"].as_str().unwrap().to_lowercase();
        (number, bytes("start"), bytes("size"), kind)
    });
    rows.filter(|row| row.3 != "f").collect()
}

fn planned_rows(layout: &Layout, disk: &Disk) -> Vec<Row> {
    // sfdisk has no codes of sgdisk.
    let guids = [
        ("EF00", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
        ("EF02", "21686148-6449-6e6f-744e-656564454649"),
        ("0x4100", "9e1a2d38-c612-4316-aa26-8b49521e5a8b"),
        ("8E00", "e6d6d379-f507-44c2-a23c-238f2a3df928"),
        ("8300", "0fc63daf-8483-4772-8e79-3d69d8477de4"),
    ];
    let table = disk.table.as_ref().unwrap();
    let extents = place(disk, disk.size.unwrap_or(layout.gib << 30)).unwrap();
    let rows = extents.iter().map(|extent| {
        let kind = table.partitions[extent.partition].kind.as_str();
        let guid = guids.iter().find(|(code, _)| *code == kind);
        let kind = match (table.label, guid) {
            (blockdev::TableLabel::Gpt, Some((_, guid))) => guid,
            _ => kind.trim_start_matches("0x"),
        };
        (extent.number, extent.start, extent.size, kind.to_owned())
    });
    rows.collect()
}

/// Type, label and, where mkfs takes one, UUID of each filesystem, as blkid
/// reads them.
fn filesystems(graph: &Graph, state: &Value, dir: &Path) -> Check {
    let text = read(dir, "blkid")?;
    let tags: BTreeMap<&str, &str> = text.lines().filter_map(|l| l.split_once(": ")).collect();
    for (name, mkfs) in graph.filesystems() {
        let made = &state["filesys"][name];
        let device = made["device"].as_str().unwrap();
        let seen = tags.get(device).ok_or(format!("blkid knows no {device}"))?;
        let mut planned = vec![
            format!("TYPE=\"{}\"", mkfs.fstype),
            format!("LABEL=\"{}\"", mkfs.label),
        ];
        if !matches!(mkfs.fstype.as_str(), "vfat" | "btrfs") {
            planned.push(format!("UUID=\"{}\"", made["uuid"].as_str().unwrap()));
        }
        for tag in planned {
            // Not PARTUUID, not SEC_TYPE.
            if !format!(" {seen}").contains(&format!(" {tag}")) {
                return Err(format!("{name}: no {tag} in {seen}"));
            }
        }
    }
    Ok(())
}

fn mounts(layout: &Layout, graph: &Graph, state: &Value, dir: &Path) -> Check {
    let below = format!("{}/mnt", work_of(layout));
    let text = read(dir, "mounts")?;
    let seen = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let point = fields[1].strip_prefix(&below)?;
        Some((fields[0].into(), point.to_owned(), fields[2].to_owned()))
    });
    let mut planned: Vec<(String, String, String)> = Vec::new();
    for (point, name) in graph.sorted_mounts() {
        let base = graph.mounts().find(|(mount, _)| *mount == name).unwrap().1;
        let made = &state["filesys"][&base.base];
        let fstype = made["fstype"].as_str().unwrap();
        if fstype != "swap" {
            let device = made["device"].as_str().unwrap();
            planned.push((
                device.into(),
                point.trim_end_matches('/').into(),
                fstype.into(),
            ));
        }
    }
    equal("mounts", seen.collect(), planned)
}
