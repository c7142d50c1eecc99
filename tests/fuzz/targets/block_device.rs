//! Block-device configurations, in YAML as elements have them and as the JSON
//! of `config.json`. Where a disk can be laid out its partitions are whole,
//! in order, apart from each other and within the disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safedib::blockdev::{self, place, Config, Graph, RootParams, EBR_BYTES};
use safedib::yaml::Value;

const DISK: u64 = 8 << 30;

fn params() -> RootParams {
    RootParams {
        fs_type: "ext4".into(),
        root_label: "root".into(),
        root_opts: vec!["-i".into(), "4096".into()],
    }
}

/// Compares texts, because JSON has no dates.
fn assert_reads_as_written(config: &Config) {
    let written = config.to_json();
    let again = Config::from_json(&written).map(|config| config.to_json());
    assert_eq!(again.ok().as_ref(), Some(&written));
}

/// Whether JSON changes something: a key that is no string becomes one, which may
/// stand there already; a number of more than 64 bits is rounded.
fn changes(value: &Value) -> bool {
    match value {
        Value::Int(number) => i64::try_from(*number).is_err() && u64::try_from(*number).is_err(),
        Value::List(items) => items.iter().any(changes),
        Value::Map(pairs) => pairs
            .iter()
            .any(|(key, value)| !matches!(key, Value::Str(_)) || changes(value)),
        _ => false,
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(config) = Config::from_json(text) {
        assert_reads_as_written(&config);
    }
    let Ok(config) = blockdev::config(text, &params()) else {
        return;
    };
    let mut entries = config.entries.iter();
    if !entries.any(|entry| changes(&Value::Map(entry.values.clone()))) {
        assert_reads_as_written(&config);
    }
    let Ok(layout) = Graph::new(&config).and_then(|graph| graph.layout()) else {
        return;
    };
    let _ = (
        layout.fstab(),
        layout.root_label(),
        layout.boot_label(),
        layout.mount_points(),
    );
    for disk in &layout.disks {
        let size = disk.size.unwrap_or(DISK);
        let Ok(extents) = place(disk, size) else {
            continue;
        };
        let mut end = 0;
        for extent in &extents {
            let begin = extent.record.unwrap_or(extent.start);
            assert!(begin >= end, "{extent:?} begins before {end} in {disk:?}");
            assert!(extent
                .record
                .is_none_or(|record| record + EBR_BYTES <= extent.start));
            assert!(extent.size > 0);
            end = extent.end();
        }
        assert!(end <= size, "{extents:?} end after {size}");
    }
});
