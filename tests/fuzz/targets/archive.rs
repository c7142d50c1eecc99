//! Archives, in which placeholders become devices: what goes out has the length
//! of what came in, and differs in headers of device nodes only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safedib::output::nodes::{NodeEntry, NodeKind};
use safedib::output::tar_nodes;

fuzz_target!(|data: &[u8]| {
    let entry = NodeEntry {
        dev: 1,
        ino: 1,
        kind: NodeKind::Char,
        major: u32::MAX,
        minor: 3,
        mode: 0,
        uid: 0,
        gid: 0,
        birth: None,
    };
    let mut out = Vec::new();
    let mut made = 0;
    let read = tar_nodes::filter(data, &mut out, &mut |path| {
        made += 1;
        (!path.starts_with("kept")).then(|| entry.clone())
    });
    assert!(out.len() <= data.len());
    if read.is_ok() {
        assert_eq!(out.len(), data.len());
    }
    if made == 0 {
        let owners = |block: &[u8]| matches!(block.get(156), Some(b'3' | b'4'));
        let pairs = out.chunks(512).zip(data.chunks(512));
        for (ours, theirs) in pairs.filter(|(ours, _)| !owners(ours)) {
            assert!(theirs.starts_with(ours));
        }
    }
});
