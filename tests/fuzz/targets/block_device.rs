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

/// Compares texts: not-a-number is unlike itself, and JSON has no dates.
fn assert_reads_as_written(config: &Config) {
    let written = config.to_json();
    let again = Config::from_json(&written).map(|config| config.to_json());
    assert_eq!(again.ok().as_ref(), Some(&written));
}

/// Whether a key is no string: JSON makes it one, which may stand there already.
fn odd_key(values: &[(Value, Value)]) -> bool {
    values.iter().any(|(key, value)| {
        !matches!(key, Value::Str(_))
            || match value {
                Value::Map(inner) => odd_key(inner),
                Value::List(items) => items
                    .iter()
                    .any(|item| matches!(item, Value::Map(inner) if odd_key(inner))),
                _ => false,
            }
    })
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
    if !config.entries.iter().any(|entry| odd_key(&entry.values)) {
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
