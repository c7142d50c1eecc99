//! Times of inodes in an image of ext2, ext3 or ext4. `mke2fs -d` copies those of
//! access and change from the tree, where nobody can set them; debugfs would
//! take minutes for all inodes of a system, and knows no names with newlines.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::output::error::io_error;
use crate::output::Error;

const SUPERBLOCK: u64 = 1024;
const MAGIC: u16 = 0xef53;
const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
/// `bg_flags`: no inode of the group is in use, and its bitmap is not written.
const INODE_UNINIT: u16 = 1;
/// Bytes of an inode before the fields that `i_extra_isize` counts.
const OLD_INODE: usize = 128;

/// Sets access, change and creation of every inode in use to `epoch`, and the
/// bytes ever written to 0: they depend on what a tool finds in its cache.
///
/// # Errors
/// Reading and writing; `InvalidData` for what mke2fs does not make by itself.
pub(super) fn set(image: &Path, epoch: u32) -> Result<(), Error> {
    let file = File::options().read(true).write(true).open(image);
    file.and_then(|file| Filesystem::read(&file)?.set(&file, epoch))
        .map_err(io_error("set the times of inodes in", image))
}

struct Filesystem {
    uuid: [u8; 16],
    /// Bytes of a block.
    block: u64,
    first_block: u64,
    blocks_per_group: u64,
    groups: u64,
    inodes_per_group: u64,
    inode_size: usize,
    descriptors: u64,
    descriptor_size: usize,
    /// Where checksums of inodes start from, if there are any.
    seed: Option<u32>,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

impl Filesystem {
    fn read(file: &File) -> io::Result<Filesystem> {
        let mut superblock = [0u8; 1024];
        file.read_exact_at(&mut superblock, SUPERBLOCK)?;
        let word = |at| u32_at(&superblock, at);
        let (incompat, ro_compat) = (word(96), word(100));
        let block = 1024u64.checked_shl(word(24)).unwrap_or(0);
        let inodes_per_group = word(40);
        // With META_BG descriptors are elsewhere; only `-O meta_bg` makes that.
        if u16_at(&superblock, 56) != MAGIC
            || incompat & INCOMPAT_META_BG != 0
            || inodes_per_group == 0
            || block == 0
        {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let inode_size = match word(76) {
            0 => OLD_INODE,
            _ => usize::from(u16_at(&superblock, 88)),
        };
        let descriptor_size = match incompat & INCOMPAT_64BIT {
            0 => 32,
            _ => usize::from(u16_at(&superblock, 254)),
        };
        let mut uuid = [0u8; 16];
        uuid.copy_from_slice(&superblock[104..120]);
        let seed = match (
            ro_compat & RO_COMPAT_METADATA_CSUM,
            incompat & INCOMPAT_CSUM_SEED,
        ) {
            (0, _) => None,
            (_, 0) => Some(crc32c(u32::MAX, &uuid)),
            _ => Some(word(624)),
        };
        Ok(Filesystem {
            uuid,
            block,
            first_block: word(20).into(),
            blocks_per_group: word(32).into(),
            groups: u64::from(word(0).div_ceil(inodes_per_group)),
            inodes_per_group: inodes_per_group.into(),
            inode_size: inode_size.max(OLD_INODE),
            descriptors: (u64::from(word(20)) + 1) * block,
            descriptor_size: descriptor_size.max(32),
            seed,
        })
    }

    fn set(&self, file: &File, epoch: u32) -> io::Result<()> {
        for group in 0..self.groups {
            self.forget_writes(file, group)?;
            let mut descriptor = vec![0u8; self.descriptor_size];
            let at = self.descriptors + group * self.descriptor_size as u64;
            file.read_exact_at(&mut descriptor, at)?;
            if u16_at(&descriptor, 18) & INODE_UNINIT != 0 {
                continue;
            }
            let place = |low, high| {
                let high = match self.descriptor_size >= 64 {
                    true => u32_at(&descriptor, high),
                    false => 0,
                };
                (u64::from(high) << 32 | u64::from(u32_at(&descriptor, low))) * self.block
            };
            let mut bitmap = vec![0u8; (self.inodes_per_group as usize).div_ceil(8)];
            file.read_exact_at(&mut bitmap, place(4, 36))?;
            let table = place(8, 40);
            for index in 0..self.inodes_per_group {
                let byte = bitmap[(index / 8) as usize];
                if byte >> (index % 8) & 1 == 1 {
                    let number = (group * self.inodes_per_group + index + 1) as u32;
                    let at = table + index * self.inode_size as u64;
                    self.set_inode(file, at, number, epoch)?;
                }
            }
        }
        Ok(())
    }

    /// In the superblock, and in those of its copies that mke2fs has made.
    fn forget_writes(&self, file: &File, group: u64) -> io::Result<()> {
        let at = match group {
            0 => SUPERBLOCK,
            _ => (self.first_block + group * self.blocks_per_group) * self.block,
        };
        let mut copy = [0u8; 1024];
        file.read_exact_at(&mut copy, at)?;
        let is_one = u16_at(&copy, 56) == MAGIC
            && u64::from(u16_at(&copy, 90)) == group
            && copy[104..120] == self.uuid;
        if !is_one {
            return Ok(());
        }
        copy[376..384].fill(0);
        if self.seed.is_some() {
            let sum = crc32c(u32::MAX, &copy[..1020]);
            copy[1020..].copy_from_slice(&sum.to_le_bytes());
        }
        file.write_all_at(&copy, at)
    }

    fn set_inode(&self, file: &File, at: u64, number: u32, epoch: u32) -> io::Result<()> {
        let mut inode = vec![0u8; self.inode_size];
        file.read_exact_at(&mut inode, at)?;
        // Inodes that are reserved, and that nothing uses.
        if u16_at(&inode, 0) == 0 {
            return Ok(());
        }
        let mut put = |at: usize, value: u32| {
            inode[at..at + 4].copy_from_slice(&value.to_le_bytes());
        };
        put(8, epoch);
        put(12, epoch);
        // Seconds are signed: two bits of the extra field say what to add.
        let extra = epoch >> 31;
        let end = match self.inode_size > OLD_INODE {
            true => OLD_INODE + usize::from(u16_at(&inode, OLD_INODE)),
            false => OLD_INODE,
        };
        let fields = [(132, extra), (140, extra), (144, epoch), (148, extra)];
        for (field, value) in fields {
            if field + 4 <= end.min(self.inode_size) {
                inode[field..field + 4].copy_from_slice(&value.to_le_bytes());
            }
        }
        if let Some(seed) = self.seed {
            sign(&mut inode, seed, number, end);
        }
        file.write_all_at(&inode, at)
    }
}

/// Puts the checksum of an inode where it belongs: over its number, generation
/// and bytes, with the checksum's own as zeros.
fn sign(inode: &mut [u8], seed: u32, number: u32, end: usize) {
    const LOW: usize = 124;
    const HIGH: usize = 130;
    let has_high = end >= HIGH + 2;
    inode[LOW..LOW + 2].fill(0);
    if has_high {
        inode[HIGH..HIGH + 2].fill(0);
    }
    let sum = crc32c(seed, &number.to_le_bytes());
    let sum = crc32c(sum, &inode[100..104]);
    let sum = crc32c(sum, inode);
    inode[LOW..LOW + 2].copy_from_slice(&(sum as u16).to_le_bytes());
    if has_high {
        inode[HIGH..HIGH + 2].copy_from_slice(&((sum >> 16) as u16).to_le_bytes());
    }
}

/// CRC-32C without the inversions at start and end, as ext4 has it.
fn crc32c(start: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    bytes.iter().fold(start, |sum, byte| {
        TABLE[usize::from(sum as u8 ^ byte)] ^ (sum >> 8)
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (0x82f6_3b78 & (value & 1).wrapping_neg());
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::testing::bash;

    #[test]
    fn the_checksum_is_the_standard_one() {
        assert_eq!(!crc32c(u32::MAX, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn all_times_are_set_and_fsck_finds_no_fault() {
        let directory = tempfile::tempdir().unwrap();
        bash(
            directory.path(),
            "mkdir -p tree/sub; echo x > tree/sub/file; ln -s x tree/link",
        );
        for options in [
            "-t ext4",
            "-t ext4 -O metadata_csum_seed,^64bit",
            "-t ext4 -O ^metadata_csum,uninit_bg",
            "-t ext3 -I 128",
            "-t ext4 -b 1024 -g 1024 -N 4000",
        ] {
            bash(
                directory.path(),
                &format!("rm -f image; truncate -s 64M image; mke2fs -q {options} -d tree image"),
            );
            let image = directory.path().join("image");
            // 2059: beyond 31 bits
            set(&image, 2_813_246_096).unwrap();
            bash(directory.path(), "e2fsck -fn image 2>&1");
            let copies = bash(
                directory.path(),
                "block=$(dumpe2fs -h image 2>/dev/null | sed -n 's/^Block size: *//p')
                 dumpe2fs image 2>/dev/null | sed -n 's/.*superblock at \\([0-9]*\\),.*/\\1/p' |
                 while read n; do dumpe2fs -h -o superblock=$n -o blocksize=$block image 2>&1; done",
            );
            assert!(!copies.contains("Lifetime writes"), "{options} {copies}");
            assert!(
                copies.matches("Filesystem magic").count() > 1,
                "{options} {copies}"
            );
            let stat = "debugfs -R 'stat /sub/file' image 2>/dev/null";
            let count = bash(
                directory.path(),
                &format!("{stat} | grep -c '[ac].*time: 0xa7aeba90' || :"),
            );
            let old = options.contains("-I 128");
            assert_eq!(count, if old { "2\n" } else { "3\n" }, "{options}");
            if !old {
                let years = bash(
                    directory.path(),
                    &format!("TZ=UTC {stat} | grep -c ' 2059$'"),
                );
                assert_eq!(years, "3\n", "{options}");
            }
        }
    }
}
