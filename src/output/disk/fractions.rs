//! The fractions of times of change, which `mke2fs -d` 1.47 does not carry.
//! debugfs looks each path up from the root, block by block: 2 s for 10000
//! files, and more for each where directories are large.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::inodes::{u16_at, u32_at, Filesystem, OLD_INODE};
use crate::output::error::io_error;
use crate::output::Error;

const ROOT_INODE: u32 = 2;
const EXTENTS: u32 = 0x8_0000;
const INLINE: u32 = 0x1000_0000;
const EXTENT_MAGIC: u16 = 0xf30a;
/// Levels that a tree of extents has at most.
const EXTENT_DEPTH: u16 = 5;
const DIRECTORY: u16 = 0o040_000;
/// `i_mtime_extra`.
const EXTRA: usize = 136;

/// Gives every file of the image the fraction of its time in `tree`, and the bits
/// beyond 2038. Where inodes have no such field that is nothing.
///
/// # Errors
/// Reading and writing; `InvalidData` for what mke2fs does not make.
pub(super) fn set(image: &Path, tree: &Path) -> Result<(), Error> {
    let file = File::options().read(true).write(true).open(image);
    file.and_then(|file| {
        let filesystem = Filesystem::read(&file)?;
        if filesystem.inode_size == OLD_INODE {
            return Ok(());
        }
        let tables = (0..filesystem.groups).map(|group| {
            let descriptor = filesystem.descriptor(&file, group)?;
            Ok(filesystem.place(&descriptor, 8, 40))
        });
        Walk {
            tables: tables.collect::<io::Result<_>>()?,
            filesystem,
            file,
        }
        .all(tree)
    })
    .map_err(io_error("set the times of files in", image))
}

/// Nanoseconds above two bits of the seconds' next digits.
fn extra(metadata: &Metadata) -> u32 {
    let seconds = metadata.mtime();
    let low = i64::from(seconds as i32);
    let epoch = ((seconds - low) >> 32) as u32 & 3;
    (metadata.mtime_nsec() as u32) << 2 | epoch
}

struct Walk {
    filesystem: Filesystem,
    /// Where the inodes of each group are.
    tables: Vec<u64>,
    file: File,
}

struct Entry {
    inode: u32,
    name: Vec<u8>,
}

impl Walk {
    fn all(&self, tree: &Path) -> io::Result<()> {
        let root = tree.symlink_metadata()?;
        let mut directories = vec![(self.mark(ROOT_INODE, &root)?, tree.to_path_buf())];
        while let Some((inode, path)) = directories.pop() {
            for entry in self.entries(&inode)? {
                let path = path.join(std::ffi::OsStr::from_bytes(&entry.name));
                let metadata = match path.symlink_metadata() {
                    // lost+found is mke2fs's own.
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    other => other?,
                };
                let inode = self.mark(entry.inode, &metadata)?;
                if u16_at(&inode, 0) & 0o170_000 == DIRECTORY {
                    directories.push((inode, path));
                }
            }
        }
        Ok(())
    }

    /// Gives an inode the fraction; its bytes.
    fn mark(&self, number: u32, metadata: &Metadata) -> io::Result<Vec<u8>> {
        let at = self.place_of(number)?;
        let mut inode = vec![0u8; self.filesystem.inode_size];
        self.file.read_exact_at(&mut inode, at)?;
        let extra = extra(metadata);
        let has_field = EXTRA + 4 <= self.filesystem.end_of(&inode);
        if has_field && u32_at(&inode, EXTRA) != extra {
            inode[EXTRA..EXTRA + 4].copy_from_slice(&extra.to_le_bytes());
            self.filesystem.write(&self.file, at, number, &mut inode)?;
        }
        Ok(inode)
    }

    fn place_of(&self, number: u32) -> io::Result<u64> {
        let index = u64::from(number).checked_sub(1).ok_or_else(broken)?;
        let group = index / self.filesystem.inodes_per_group;
        let table = usize::try_from(group)
            .ok()
            .and_then(|at| self.tables.get(at));
        let table = table.ok_or_else(broken)?;
        let within = index % self.filesystem.inodes_per_group;
        Ok(table + within * self.filesystem.inode_size as u64)
    }

    fn entries(&self, inode: &[u8]) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if u32_at(inode, 32) & INLINE != 0 {
            // The number of the directory above comes first. What has no room
            // here is an extended attribute, in the inode too.
            list(&inode[44..100], &mut entries)?;
            list(self.inline_rest(inode), &mut entries)?;
            return Ok(entries);
        }
        let size = u64::from(u32_at(inode, 4)) | u64::from(u32_at(inode, 108)) << 32;
        let mut left = size.div_ceil(self.filesystem.block);
        let mut block = vec![0u8; self.filesystem.block as usize];
        for number in self.blocks(inode, left)? {
            // Interior nodes of a hashed directory look like one unused entry.
            self.read(number, &mut block)?;
            list(&block, &mut entries)?;
            left -= 1;
        }
        match left {
            0 => Ok(entries),
            _ => Err(broken()),
        }
    }

    fn read(&self, number: u64, block: &mut [u8]) -> io::Result<()> {
        let at = number * self.filesystem.block;
        self.file.read_exact_at(block, at)
    }

    /// The value of the attribute `system.data` in the inode, if there is one.
    fn inline_rest<'a>(&self, inode: &'a [u8]) -> &'a [u8] {
        const MAGIC: u32 = 0xea02_0000;
        const SYSTEM: u8 = 7;
        let start = self.filesystem.end_of(inode);
        if start + 4 > inode.len() || u32_at(inode, start) != MAGIC {
            return &[];
        }
        let attributes = &inode[start + 4..];
        let mut at = 0;
        while attributes.len() >= at + 16 && attributes[at..at + 4] != [0; 4] {
            let length = usize::from(attributes[at]);
            let name = attributes.get(at + 16..at + 16 + length);
            let value = usize::from(u16_at(attributes, at + 2));
            let size = u32_at(attributes, at + 8) as usize;
            if attributes[at + 1] == SYSTEM && name == Some(b"data") {
                return attributes.get(value..value + size).unwrap_or(&[]);
            }
            at += (16 + length).next_multiple_of(4);
        }
        &[]
    }

    /// The first `count` blocks of a directory, which has no holes.
    fn blocks(&self, inode: &[u8], count: u64) -> io::Result<Vec<u64>> {
        let mut blocks = Vec::new();
        let map = &inode[40..100];
        if u32_at(inode, 32) & EXTENTS != 0 {
            self.extents(map, EXTENT_DEPTH, &mut blocks)?;
        } else {
            blocks.extend(map[..48].chunks(4).map(|at| u64::from(u32_at(at, 0))));
            for (level, at) in [(1, 48), (2, 52), (3, 56)] {
                self.indirect(u32_at(map, at), level, count, &mut blocks)?;
            }
            blocks.retain(|block| *block != 0);
        }
        blocks.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        Ok(blocks)
    }

    fn extents(&self, node: &[u8], levels: u16, blocks: &mut Vec<u64>) -> io::Result<()> {
        let (entries, depth) = (u16_at(node, 2), u16_at(node, 6));
        if u16_at(node, 0) != EXTENT_MAGIC || depth > levels {
            return Err(broken());
        }
        for entry in node[12..].chunks_exact(12).take(entries.into()) {
            if depth == 0 {
                let start = u64::from(u16_at(entry, 6)) << 32 | u64::from(u32_at(entry, 8));
                blocks.extend(start..start + u64::from(u16_at(entry, 4)));
                continue;
            }
            let below = u64::from(u16_at(entry, 8)) << 32 | u64::from(u32_at(entry, 4));
            let mut block = vec![0u8; self.filesystem.block as usize];
            self.read(below, &mut block)?;
            self.extents(&block, depth - 1, blocks)?;
        }
        Ok(())
    }

    fn indirect(&self, at: u32, level: u8, count: u64, blocks: &mut Vec<u64>) -> io::Result<()> {
        if at == 0 || blocks.len() as u64 >= count {
            return Ok(());
        }
        let mut block = vec![0u8; self.filesystem.block as usize];
        self.read(at.into(), &mut block)?;
        for below in block.chunks(4).map(|at| u32_at(at, 0)) {
            match level {
                1 => blocks.push(below.into()),
                _ => self.indirect(below, level - 1, count, blocks)?,
            }
        }
        Ok(())
    }
}

/// The entries of a block, without those for itself and for the one above. The
/// checksum at its end looks like an unused entry.
fn list(block: &[u8], entries: &mut Vec<Entry>) -> io::Result<()> {
    let mut rest = block;
    while rest.len() >= 8 {
        // Blocks of 64 KiB have a length that 16 bits cannot tell.
        let length = match u16_at(rest, 4) {
            0 | u16::MAX => rest.len(),
            length => length.into(),
        };
        let name = rest.get(8..8 + usize::from(rest[6])).ok_or_else(broken)?;
        let inode = u32_at(rest, 0);
        if inode != 0 && name != b"." && name != b".." {
            let name = name.to_vec();
            entries.push(Entry { inode, name });
        }
        rest = match length {
            8.. => rest.get(length..).ok_or_else(broken)?,
            _ => return Err(broken()),
        };
    }
    Ok(())
}

fn broken() -> io::Error {
    ErrorKind::InvalidData.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::testing::bash;

    /// Names of a directory of 3000 files, which needs several blocks, further
    /// levels and a hash, one with a newline, hard links, a time after 2038.
    const TREE: &str = r"
        mkdir -p tree/many tree/sub/deep tree/empty
        (cd tree/many; for i in $(seq 3000); do : > a-name-of-some-length-$i; done)
        echo x > tree/sub/file; ln tree/sub/file tree/sub/deep/link; ln -s x tree/symlink
        touch -d '2059-02-23 04:00:00.123456789' tree/sub/deep
        printf x > $'tree/new\nline'";

    #[test]
    fn every_file_has_its_time() {
        let directory = tempfile::tempdir().unwrap();
        bash(directory.path(), TREE);
        let (tree, image) = (
            directory.path().join("tree"),
            directory.path().join("image"),
        );
        for options in [
            "-t ext4",
            "-t ext4 -b 1024 -O ^metadata_csum,^64bit",
            "-t ext4 -O inline_data -I 1024",
            "-t ext3 -I 256 -b 1024",
            "-t ext2 -I 256 -O ^dir_index",
            "-t ext4 -b 65536",
            "-t ext4 -b 1024 -g 1024 -O meta_bg,^resize_inode",
        ] {
            let mkfs = format!(
                "rm -f image; truncate -s 200M image; mke2fs -qF {options} -d tree image 2>&1"
            );
            bash(directory.path(), &mkfs);
            set(&image, &tree).unwrap_or_else(|error| panic!("{options}: {error:?}"));
            bash(directory.path(), "e2fsck -fn image 2>&1");
            let names = [
                "",
                "sub/file",
                "sub/deep",
                "sub/deep/link",
                "symlink",
                "empty",
            ]
            .map(str::to_owned)
            .into_iter()
            .chain([1, 1500, 2999].map(|n| format!("many/a-name-of-some-length-{n}")));
            for name in names {
                let expected = extra(&tree.join(&name).symlink_metadata().unwrap());
                let stat = format!("debugfs -R 'stat \"/{name}\"' image 2>/dev/null | grep mtime:");
                let shown = bash(directory.path(), &stat);
                assert!(
                    shown.contains(&format!(":{expected:08x} ")),
                    "{options}: {name} is not {expected:08x} but {shown}"
                );
            }
        }
    }

    #[test]
    fn small_inodes_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let make = "mkdir tree; truncate -s 8M image; mke2fs -qF -t ext2 -I 128 -d tree image 2>&1; cp image before";
        bash(directory.path(), make);
        let (tree, image) = (
            directory.path().join("tree"),
            directory.path().join("image"),
        );
        set(&image, &tree).unwrap();
        bash(directory.path(), "cmp image before");
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let mut entries = Vec::new();
        for block in [
            &[1u8, 0, 0, 0, 7, 0, 1, 1][..],
            &[1, 0, 0, 0, 12, 0, 200, 1, b'x', 0, 0, 0],
            &[1, 0, 0, 0, 200, 0, 1, 1, b'x', 0, 0, 0],
        ] {
            assert!(list(block, &mut entries).is_err(), "{block:?}");
        }
    }
}
