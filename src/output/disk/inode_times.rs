//! Times of inodes in an image of ext2, ext3 or ext4. `mke2fs -d` copies those of
//! access and change from the tree, where nobody can set them; debugfs would
//! take minutes for all inodes of a system, and knows no names with newlines.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::inodes::{crc32c, u16_at, Filesystem, INODE_UNINIT, MAGIC, SUPERBLOCK};
use crate::output::error::io_error;
use crate::output::Error;

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

impl Filesystem {
    fn set(&self, file: &File, epoch: u32) -> io::Result<()> {
        for group in 0..self.groups {
            self.forget_writes(file, group)?;
            let descriptor = self.descriptor(file, group)?;
            if u16_at(&descriptor, 18) & INODE_UNINIT != 0 {
                continue;
            }
            let mut bitmap = vec![0u8; (self.inodes_per_group as usize).div_ceil(8)];
            file.read_exact_at(&mut bitmap, self.place(&descriptor, 4, 36))?;
            let table = self.place(&descriptor, 8, 40);
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
        let end = self.end_of(&inode);
        let fields = [(132, extra), (140, extra), (144, epoch), (148, extra)];
        for (field, value) in fields {
            if field + 4 <= end {
                inode[field..field + 4].copy_from_slice(&value.to_le_bytes());
            }
        }
        self.write(file, at, number, &mut inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::testing::bash;

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
            "-t ext4 -b 1024 -g 1024 -N 4000 -O meta_bg,^resize_inode",
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
