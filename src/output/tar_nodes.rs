//! Turns placeholders in a finished tar archive into device nodes: an entry for
//! an empty file and one for a device differ in a few bytes of the header.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::io_error;
use super::nodes::{NodeEntry, NodeKind, PlacedNode};
use super::Error;

const BLOCK: u64 = 512;
/// Longest extension record that is read: far above any path.
const MAX_RECORD: u64 = 1 << 20;

/// Rewrites the headers of `nodes` in the archive. `prefix` is what the
/// archive's names have before the path relative to the tree: `./` or `rootfs/`.
///
/// # Errors
/// An archive that is not what GNU tar writes, or that lacks one of the nodes.
pub(super) fn patch(archive: &Path, prefix: &str, nodes: &[PlacedNode]) -> Result<(), Error> {
    if nodes.is_empty() {
        return Ok(());
    }
    let mut wanted: HashMap<Vec<u8>, &NodeEntry> = nodes
        .iter()
        .map(|node| {
            let mut name = prefix.as_bytes().to_vec();
            name.extend_from_slice(node.path.as_os_str().as_bytes());
            (name, &node.entry)
        })
        .collect();
    let file = File::options()
        .read(true)
        .write(true)
        .open(archive)
        .map_err(io_error("open", archive))?;
    let damaged = |offset| Error::Archive {
        path: archive.into(),
        offset,
    };
    let mut offset = 0;
    let mut long_name: Option<Vec<u8>> = None;
    while !wanted.is_empty() {
        let mut header = [0u8; BLOCK as usize];
        file.read_exact_at(&mut header, offset)
            .map_err(|_| damaged(offset))?;
        if header.iter().all(|byte| *byte == 0) {
            return Err(damaged(offset));
        }
        let size = number(&header[124..136]).ok_or_else(|| damaged(offset))?;
        match header[156] {
            b'x' | b'L' => {
                if size > MAX_RECORD {
                    return Err(damaged(offset));
                }
                let mut data = vec![0u8; size as usize];
                file.read_exact_at(&mut data, offset + BLOCK)
                    .map_err(|_| damaged(offset))?;
                let name = match header[156] {
                    b'x' => pax_path(&data),
                    _ => Some(until_nul(&data).to_vec()),
                };
                long_name = name.or(long_name);
            }
            b'K' | b'g' => {}
            kind => {
                let name = long_name.take().unwrap_or_else(|| short_name(&header));
                if let Some(entry) = wanted.remove(&name) {
                    // Further names of the same inode are links ('1') to the first.
                    if kind == b'0' || kind == 0 {
                        make_device(&mut header, entry);
                        file.write_all_at(&header, offset)
                            .map_err(io_error("write", archive))?;
                    }
                }
            }
        }
        offset += BLOCK + size.div_ceil(BLOCK) * BLOCK;
    }
    Ok(())
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}

fn short_name(header: &[u8; BLOCK as usize]) -> Vec<u8> {
    let name = until_nul(&header[0..100]);
    let prefix = until_nul(&header[345..500]);
    // GNU's own format has "ustar " with a blank here and times in the prefix.
    if &header[257..263] != b"ustar\0" || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// Octal digits, or GNU's base 256 with the high bit set.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        return field[1..].iter().try_fold(0u64, |sum, byte| {
            sum.checked_mul(256)?.checked_add(u64::from(*byte))
        });
    }
    let digits = until_nul(field);
    let text = std::str::from_utf8(digits).ok()?.trim();
    match text {
        "" => Some(0),
        _ => u64::from_str_radix(text, 8).ok(),
    }
}

/// The `path` of a pax record list: "LENGTH key=value\n" each.
fn pax_path(mut data: &[u8]) -> Option<Vec<u8>> {
    while !data.is_empty() {
        let blank = data.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&data[..blank]).ok()?.parse().ok()?;
        let record = data.get(blank + 1..length.checked_sub(1)?)?;
        if let Some(path) = record.strip_prefix(b"path=") {
            return Some(path.to_vec());
        }
        data = data.get(length..)?;
    }
    None
}

fn make_device(header: &mut [u8; BLOCK as usize], entry: &NodeEntry) {
    header[156] = match entry.kind {
        NodeKind::Char => b'3',
        NodeKind::Block => b'4',
    };
    // Seven octal digits hold every major and minor number of Linux.
    header[329..337].copy_from_slice(format!("{:07o}\0", entry.major & 0x1f_ffff).as_bytes());
    header[337..345].copy_from_slice(format!("{:07o}\0", entry.minor & 0x1f_ffff).as_bytes());
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
