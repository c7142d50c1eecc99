//! Turns placeholders in a tar archive into device nodes: an entry for an empty
//! file and one for a device differ in a few bytes of the header.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::io_error;
use super::nodes::{NodeEntry, NodeKind, PlacedNode};
use super::Error;

pub(super) const BLOCK: u64 = 512;
/// Longest extension record that is read: far above any path.
pub(super) const MAX_RECORD: u64 = 1 << 20;
/// What the kernel shows for an id that a user namespace does not have.
const OVERFLOW_ID: u64 = 65_534;

/// A header.
type Header = [u8; BLOCK as usize];

/// An archive, header by header.
trait Blocks {
    /// The next block.
    fn next(&mut self) -> io::Result<Header>;
    /// Replaces the block that came last.
    fn replace(&mut self, header: &Header) -> io::Result<()>;
    /// Goes over this many blocks.
    fn skip(&mut self, count: u64) -> io::Result<()>;
}

/// An archive that is changed where it is.
struct InPlace {
    file: File,
    offset: u64,
}

impl Blocks for InPlace {
    fn next(&mut self) -> io::Result<Header> {
        let mut header = [0; BLOCK as usize];
        self.file.read_exact_at(&mut header, self.offset)?;
        self.offset += BLOCK;
        Ok(header)
    }

    fn replace(&mut self, header: &Header) -> io::Result<()> {
        self.file.write_all_at(header, self.offset - BLOCK)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let end = self.offset.checked_add(bytes_of(count)?);
        self.offset = end.ok_or(io::ErrorKind::InvalidData)?;
        Ok(())
    }
}

/// Bytes of so many blocks; a header can tell of more than there can be.
fn bytes_of(blocks: u64) -> io::Result<u64> {
    let bytes = blocks.checked_mul(BLOCK);
    bytes.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// An archive that comes in and goes out.
struct Stream<R, W> {
    input: R,
    output: W,
    last: Option<Header>,
}

impl<R: Read, W: Write> Stream<R, W> {
    fn flush(&mut self) -> io::Result<()> {
        match self.last.take() {
            Some(header) => self.output.write_all(&header),
            None => Ok(()),
        }
    }
}

impl<R: Read, W: Write> Blocks for Stream<R, W> {
    fn next(&mut self) -> io::Result<Header> {
        self.flush()?;
        let mut header = [0; BLOCK as usize];
        self.input.read_exact(&mut header)?;
        self.last = Some(header);
        Ok(header)
    }

    fn replace(&mut self, header: &Header) -> io::Result<()> {
        self.last = Some(*header);
        Ok(())
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        self.flush()?;
        let wanted = bytes_of(count)?;
        let copied = io::copy(&mut self.input.by_ref().take(wanted), &mut self.output)?;
        match copied == wanted {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

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
    let mut blocks = InPlace { file, offset: 0 };
    let result = rewrite(&mut blocks, &mut |name, header| match wanted.remove(name) {
        // Further names of the same inode are links ('1') to the first.
        Some(entry) if is_file(header) => {
            make_device(header, entry);
            true
        }
        _ => false,
    });
    match result {
        Ok(()) if wanted.is_empty() => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::Other => {
            Err(io_error("write", archive)(source))
        }
        _ => Err(Error::Archive {
            path: archive.into(),
            offset: blocks.offset,
        }),
    }
}

/// Copies an archive. `find` tells what an empty file of a name stands for.
///
/// A device that has been made to be seen in the tree, by a mount, is the
/// host's, whose owner does not exist here: it becomes root's.
///
/// # Errors
/// Reading and writing; `InvalidData` for what is no archive of GNU tar.
pub fn filter(
    input: impl Read,
    mut output: impl Write,
    find: &mut dyn FnMut(&Path) -> Option<NodeEntry>,
) -> io::Result<()> {
    let mut blocks = Stream {
        input,
        output: &mut output,
        last: None,
    };
    rewrite(&mut blocks, &mut |name, header| {
        if is_file(header) && number(&header[124..136]) == Some(0) {
            let entry = find(Path::new(std::ffi::OsStr::from_bytes(name)));
            return entry.is_some_and(|entry| {
                make_device(header, &entry);
                true
            });
        }
        matches!(header[156], b'3' | b'4') && disown(header)
    })?;
    blocks.flush()?;
    io::copy(&mut blocks.input, &mut blocks.output)?;
    output.flush()
}

/// Goes over an archive to its end; `edit` gets each member's name and header,
/// and tells whether it has changed it.
fn rewrite(
    blocks: &mut dyn Blocks,
    edit: &mut dyn FnMut(&[u8], &mut Header) -> bool,
) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut long_name: Option<Vec<u8>> = None;
    loop {
        let mut header = blocks.next()?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let size = number(&header[124..136]).ok_or_else(invalid)?;
        let mut data_blocks = size.div_ceil(BLOCK);
        match header[156] {
            b'x' | b'L' => {
                if size > MAX_RECORD {
                    return Err(invalid());
                }
                let mut data = Vec::new();
                for _ in 0..std::mem::take(&mut data_blocks) {
                    data.extend_from_slice(&blocks.next()?);
                }
                data.truncate(size as usize);
                let name = match header[156] {
                    b'x' => pax_path(&data),
                    _ => Some(until_nul(&data).to_vec()),
                };
                long_name = name.or(long_name);
            }
            b'K' | b'g' => {}
            kind => {
                let name = long_name.take().unwrap_or_else(|| short_name(&header));
                if edit(&name, &mut header) {
                    seal(&mut header);
                    blocks.replace(&header).map_err(io::Error::other)?;
                }
                // GNU's sparse files: further blocks of the map come before the data.
                let mut more = kind == b'S' && header[482] != 0;
                while more {
                    more = blocks.next()?[504] != 0;
                }
            }
        }
        blocks.skip(data_blocks)?;
    }
}

fn is_file(header: &Header) -> bool {
    matches!(header[156], b'0' | 0)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn short_name(header: &Header) -> Vec<u8> {
    let name = until_nul(&header[0..100]);
    let prefix = until_nul(&header[345..500]);
    // GNU's own format has "ustar " with a blank here and times in the prefix.
    if &header[257..263] != b"ustar\0" || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// Octal digits, or GNU's base 256 with the high bit set.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        return rest.iter().try_fold(0u64, |sum, byte| {
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
        let length: usize = std::str::from_utf8(data.get(..blank)?).ok()?.parse().ok()?;
        let record = data.get(blank + 1..length.checked_sub(1)?)?;
        if let Some(path) = record.strip_prefix(b"path=") {
            return Some(path.to_vec());
        }
        data = data.get(length..)?;
    }
    None
}

fn make_device(header: &mut Header, entry: &NodeEntry) {
    header[156] = match entry.kind {
        NodeKind::Char => b'3',
        NodeKind::Block => b'4',
    };
    // Seven octal digits hold every major and minor number of Linux.
    header[329..337].copy_from_slice(format!("{:07o}\0", entry.major & 0x1f_ffff).as_bytes());
    header[337..345].copy_from_slice(format!("{:07o}\0", entry.minor & 0x1f_ffff).as_bytes());
}

/// Makes root the owner instead of an id that does not exist here.
fn disown(header: &mut Header) -> bool {
    let (user, group) = (number(&header[108..116]), number(&header[116..124]));
    if user == Some(OVERFLOW_ID) {
        header[108..116].copy_from_slice(b"0000000\0");
        header[265..297].fill(0);
    }
    if group == Some(OVERFLOW_ID) {
        header[116..124].copy_from_slice(b"0000000\0");
        header[297..329].fill(0);
    }
    user == Some(OVERFLOW_ID) || group == Some(OVERFLOW_ID)
}

pub(super) fn seal(header: &mut Header) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const NULL: &str = r#"{"dev": 1, "ino": 1, "kind": "c", "major": 1, "minor": 3}"#;

    /// A header whose size takes all bits, or is `size`.
    fn header(kind: u8, size: Option<u64>) -> Vec<u8> {
        let mut header = [0; BLOCK as usize];
        header[0] = b'x';
        header[156] = kind;
        header[124] = 0x80;
        header[128..136].copy_from_slice(&size.unwrap_or(u64::MAX).to_be_bytes());
        seal(&mut header);
        header.to_vec()
    }

    #[test]
    fn sizes_that_no_archive_has_are_refused() {
        let refused = |archive: &[u8]| {
            let error = filter(archive, io::sink(), &mut |_| None).unwrap_err();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), archive).unwrap();
            let node = PlacedNode {
                path: "x".into(),
                entry: serde_json::from_str(NULL).unwrap(),
                metadata: std::fs::metadata("/dev/null").unwrap(),
            };
            let patched = patch(file.path(), "./", &[node]);
            assert!(matches!(patched, Err(Error::Archive { .. })), "{patched:?}");
            error.kind()
        };
        for kind in [b'0', b'x', b'L', b'K', b'g', b'S', b'5'] {
            let archive = [header(kind, None), vec![0; 1024]].concat();
            let found = refused(&archive);
            assert_eq!(found, io::ErrorKind::InvalidData, "{}", char::from(kind));
        }
        // Two that overflow only together.
        let half = header(b'0', Some(1 << 63));
        assert_eq!(
            refused(&[half.clone(), half].concat()),
            io::ErrorKind::UnexpectedEof
        );
        for record in [
            "18446744073709551615 path=x\n",
            "0 path=x\n",
            "3 \n",
            "-1 path=x\n",
            " ",
        ] {
            let data = [record.as_bytes(), &[0; 512]].concat();
            let size = Some(record.len() as u64);
            let archive = [
                header(b'x', size),
                data[..512].to_vec(),
                header(b'0', Some(0)),
                vec![0; 1024],
            ];
            filter(&*archive.concat(), io::sink(), &mut |_| None).unwrap();
        }
    }
}
