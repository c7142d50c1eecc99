//! What varies in an archive of GNU tar whatever its options: extended attributes
//! are written as llistxattr(2) lists them (tmpfs by name, ext4 as they were
//! set), and the names of sparse files' headers have the process number of tar.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::io_error;
use super::tar_nodes::{number, seal, BLOCK, MAX_RECORD};
use super::Error;

const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";
/// The real name of a sparse file.
const SPARSE_NAME: &[u8] = b" GNU.sparse.name=";

/// Sorts the records of attributes in an archive of GNU tar, and numbers its
/// sparse files.
///
/// # Errors
/// What cannot be read or written, or is no such archive.
pub(super) fn settle(archive: &Path) -> Result<(), Error> {
    let file = File::options()
        .read(true)
        .write(true)
        .open(archive)
        .map_err(io_error("open", archive))?;
    let mut offset = 0;
    settle_file(&file, &mut offset).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Error::Archive {
            path: archive.into(),
            offset,
        },
        _ => io_error("read and write", archive)(source),
    })
}

fn settle_file(file: &File, offset: &mut u64) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let (mut is_sparse, mut count) = (false, 0);
    loop {
        let mut header = [0u8; BLOCK as usize];
        file.read_exact_at(&mut header, *offset)?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let size = header.get(124..136).and_then(number).ok_or_else(invalid)?;
        let data = *offset + BLOCK;
        if header.get(156) == Some(&b'x') {
            if size > MAX_RECORD {
                return Err(invalid());
            }
            let mut text = vec![0u8; size as usize];
            file.read_exact_at(&mut text, data)?;
            let sorted = sorted(&text).ok_or_else(invalid)?;
            if sorted != text {
                file.write_all_at(&sorted, data)?;
            }
            is_sparse = text
                .windows(SPARSE_NAME.len())
                .any(|part| part == SPARSE_NAME);
        } else if std::mem::take(&mut is_sparse) {
            count += 1;
            rename(&mut header, &format!("GNUSparseFile.{count}")).ok_or_else(invalid)?;
            file.write_all_at(&header, *offset)?;
        }
        let next = size
            .checked_next_multiple_of(BLOCK)
            .and_then(|size| data.checked_add(size));
        *offset = next.ok_or_else(invalid)?;
    }
}

/// Changes the name in a header; one in records before it goes first for readers.
fn rename(header: &mut [u8; BLOCK as usize], name: &str) -> Option<()> {
    let (field, prefix) = (0..100, 345..500);
    header.get_mut(field.clone())?.fill(0);
    header.get_mut(prefix)?.fill(0);
    let field = header.get_mut(field)?;
    field
        .get_mut(..name.len())?
        .copy_from_slice(name.as_bytes());
    seal(header);
    Some(())
}

/// The same records with those of attributes last, by name: "LENGTH key=value\n" each.
fn sorted(mut text: &[u8]) -> Option<Vec<u8>> {
    let (mut others, mut attributes) = (Vec::new(), Vec::new());
    while !text.is_empty() {
        let blank = text.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(text.get(..blank)?).ok()?.parse().ok()?;
        let record = text.get(..length)?;
        let content = record.get(blank + 1..)?;
        match content.starts_with(ATTRIBUTE) {
            true => attributes.push((content, record)),
            false => others.push(record),
        }
        text = text.get(length..)?;
    }
    attributes.sort();
    let attributes = attributes.iter().map(|(_, record)| *record);
    Some(
        others
            .into_iter()
            .chain(attributes)
            .collect::<Vec<_>>()
            .concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_last_and_by_name() {
        let text = b"25 SCHILY.xattr.user.b=1\n16 path=a\nb c=d\n26 SCHILY.xattr.user.a=22\n";
        let expected = b"16 path=a\nb c=d\n26 SCHILY.xattr.user.a=22\n25 SCHILY.xattr.user.b=1\n";
        assert_eq!(sorted(text).unwrap(), expected);
        for broken in [
            &b"5 a=b\n6 c=d\n"[..],
            b"0 a=b\n",
            b"x",
            b"18446744073709551616 a",
        ] {
            assert_eq!(sorted(broken), None, "{broken:?}");
        }
    }
}
