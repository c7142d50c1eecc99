//! Where the inodes of an image of ext2, ext3 or ext4 are, and their checksums.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where the superblock begins.
pub(super) const SUPERBLOCK: u64 = 1024;
/// What tells a superblock.
pub(super) const MAGIC: u16 = 0xef53;
const COMPAT_SPARSE_SUPER2: u32 = 0x200;
const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const RO_COMPAT_SPARSE_SUPER: u32 = 1;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
/// `bg_flags`: no inode of the group is in use, and its bitmap is not written.
pub(super) const INODE_UNINIT: u16 = 1;
/// Bytes of an inode before the fields that `i_extra_isize` counts.
pub(super) const OLD_INODE: usize = 128;

/// What is needed of a filesystem to find its inodes.
pub(super) struct Filesystem {
    pub(super) uuid: [u8; 16],
    /// Bytes of a block.
    pub(super) block: u64,
    pub(super) first_block: u64,
    pub(super) blocks_per_group: u64,
    pub(super) groups: u64,
    pub(super) inodes_per_group: u64,
    pub(super) inode_size: usize,
    descriptors: u64,
    descriptor_size: usize,
    /// From this block of descriptors on, each is in the groups that it describes.
    first_meta: Option<u64>,
    copies: Copies,
    /// Where checksums of inodes start from, if there are any.
    pub(super) seed: Option<u32>,
}

/// Which groups beside the first begin with a copy of the superblock.
enum Copies {
    All,
    /// The second, and those whose number is a power of 3, 5 or 7.
    Sparse,
    Two([u64; 2]),
}

impl Copies {
    fn has(&self, group: u64) -> bool {
        let power_of = |base: u64| {
            let mut power = base;
            while power < group {
                power *= base;
            }
            power == group
        };
        match self {
            _ if group == 0 => true,
            Copies::All => true,
            Copies::Sparse => group == 1 || [3, 5, 7].into_iter().any(power_of),
            Copies::Two(groups) => groups.contains(&group),
        }
    }
}

/// A number of the image.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// A number of the image.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

impl Filesystem {
    /// Reads the superblock.
    ///
    /// # Errors
    /// Reading; `InvalidData` for what mke2fs does not make by itself.
    pub(super) fn read(file: &File) -> io::Result<Filesystem> {
        let mut superblock = [0u8; 1024];
        file.read_exact_at(&mut superblock, SUPERBLOCK)?;
        let word = |at| u32_at(&superblock, at);
        let (incompat, ro_compat) = (word(96), word(100));
        let block = 1024u64.checked_shl(word(24)).unwrap_or(0);
        let inodes_per_group = word(40);
        if u16_at(&superblock, 56) != MAGIC || inodes_per_group == 0 || block == 0 {
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
        let sparse = ro_compat & RO_COMPAT_SPARSE_SUPER != 0;
        let copies = match (word(92) & COMPAT_SPARSE_SUPER2, sparse) {
            (0, true) => Copies::Sparse,
            (0, false) => Copies::All,
            _ => Copies::Two([word(588).into(), word(592).into()]),
        };
        let meta = incompat & INCOMPAT_META_BG != 0;
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
            first_meta: meta.then(|| word(260).into()),
            copies,
            seed,
        })
    }

    /// The descriptor of a group. With `-O meta_bg` those of as many groups as
    /// have room in a block are in the first of these groups.
    ///
    /// # Errors
    /// Reading.
    pub(super) fn descriptor(&self, file: &File, group: u64) -> io::Result<Vec<u8>> {
        let mut descriptor = vec![0u8; self.descriptor_size];
        let size = self.descriptor_size as u64;
        let per_block = (self.block / size).max(1);
        let leader = group / per_block * per_block;
        let at = match self.first_meta {
            Some(first) if group / per_block >= first => {
                let behind = u64::from(self.copies.has(leader));
                let block = self.first_block + leader * self.blocks_per_group + behind;
                block * self.block + (group - leader) * size
            }
            _ => self.descriptors + group * size,
        };
        file.read_exact_at(&mut descriptor, at)?;
        Ok(descriptor)
    }

    /// Where something is that a descriptor has the block of, in two halves.
    pub(super) fn place(&self, descriptor: &[u8], low: usize, high: usize) -> u64 {
        let high = match self.descriptor_size >= 64 {
            true => u32_at(descriptor, high),
            false => 0,
        };
        (u64::from(high) << 32 | u64::from(u32_at(descriptor, low))) * self.block
    }

    /// Writes an inode, with its checksum.
    ///
    /// # Errors
    /// Writing.
    pub(super) fn write(
        &self,
        file: &File,
        at: u64,
        number: u32,
        inode: &mut [u8],
    ) -> io::Result<()> {
        if let Some(seed) = self.seed {
            let end = self.end_of(inode);
            sign(inode, seed, number, end);
        }
        file.write_all_at(inode, at)
    }

    /// Where the fields of an inode end.
    pub(super) fn end_of(&self, inode: &[u8]) -> usize {
        match self.inode_size > OLD_INODE {
            true => (OLD_INODE + usize::from(u16_at(inode, OLD_INODE))).min(self.inode_size),
            false => OLD_INODE,
        }
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
pub(super) fn crc32c(start: u32, bytes: &[u8]) -> u32 {
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

    #[test]
    fn the_checksum_is_the_standard_one() {
        assert_eq!(!crc32c(u32::MAX, b"123456789"), 0xe306_9283);
    }
}
