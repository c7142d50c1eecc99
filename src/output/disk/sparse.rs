//! Copies that keep holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{fallocate, FallocateFlags};
use nix::unistd::{lseek, Whence};

use crate::output::error::io_error;
use crate::output::Error;

/// Bytes that are read at a time; also how much of the source stays when its
/// blocks are given back.
const CHUNK: usize = 1 << 20;
/// Runs of zeros of this size become holes.
const GRAIN: usize = 64 << 10;

/// Moves the content of the file `from` into `to` (at `to_path`, for errors) at
/// `offset`, where `to` must be empty. Blocks of the source are freed on the
/// way, so that both together hardly need more space than one.
pub(super) fn move_into(from: &Path, to: &File, to_path: &Path, offset: u64) -> Result<(), Error> {
    let source = File::options()
        .read(true)
        .write(true)
        .open(from)
        .map_err(io_error("open", from))?;
    transfer(&source, to, offset, true).map_err(io_error("write", to_path))
}

/// Copies the file `from` to a new file `to`, holes included.
///
/// # Errors
/// If one cannot be read or the other written; `to` may be incomplete then.
pub fn copy_sparse(from: &Path, to: &Path) -> Result<(), Error> {
    let source = File::open(from).map_err(io_error("open", from))?;
    let size = source.metadata().map_err(io_error("stat", from))?.len();
    let target = File::create(to).map_err(io_error("create", to))?;
    target
        .set_len(size)
        .map_err(io_error("set the size of", to))?;
    transfer(&source, &target, 0, false).map_err(io_error("write", to))
}

fn transfer(from: &File, to: &File, offset: u64, free: bool) -> io::Result<()> {
    let end = from.metadata()?.len();
    let mut buffer = vec![0u8; CHUNK];
    let mut position = 0;
    while let Some((start, stop)) = next_data(from, position, end)? {
        let mut at = start;
        while at < stop {
            let length = CHUNK.min((stop - at) as usize);
            let chunk = &mut buffer[..length];
            from.read_exact_at(chunk, at)?;
            for (index, grain) in chunk.chunks(GRAIN).enumerate() {
                if grain.iter().any(|byte| *byte != 0) {
                    to.write_all_at(grain, offset + at + (index * GRAIN) as u64)?;
                }
            }
            if free {
                let flags =
                    FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                // Where it is not supported, the source keeps its blocks for a while.
                let _ = fallocate(from, flags, at as i64, length as i64);
            }
            at += length as u64;
        }
        position = stop;
    }
    Ok(())
}

/// All ranges of a file of `end` bytes that hold data.
pub(in crate::output) fn data_ranges(file: &File, end: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut ranges = Vec::new();
    let mut position = 0;
    while let Some((start, stop)) = next_data(file, position, end)? {
        ranges.push((start, stop));
        position = stop;
    }
    Ok(ranges)
}

/// The next range with data at or after `position`.
fn next_data(file: &File, position: u64, end: u64) -> io::Result<Option<(u64, u64)>> {
    if position >= end {
        return Ok(None);
    }
    match lseek(file, position as i64, Whence::SeekData) {
        Ok(start) => {
            let stop = lseek(file, start, Whence::SeekHole)?;
            Ok(Some((start as u64, (stop as u64).min(end))))
        }
        Err(Errno::ENXIO) => Ok(None),
        // No support for holes: all of it is data.
        Err(Errno::EINVAL) => Ok(Some((position, end))),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn copies_keep_holes_and_moves_free_the_source() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        let source = File::create(&from).unwrap();
        source.set_len(20 << 20).unwrap();
        source.write_all_at(b"one", 3 << 20).unwrap();
        source.write_all_at(b"end", (20 << 20) - 3).unwrap();
        copy_sparse(&from, &to).unwrap();
        assert!(std::fs::read(&from).unwrap() == std::fs::read(&to).unwrap());
        assert!(to.metadata().unwrap().blocks() * 512 < 1 << 20);
        let target = File::options().read(true).write(true).open(&to).unwrap();
        target.set_len(0).unwrap();
        target.set_len(64 << 20).unwrap();
        move_into(&from, &target, &to, 1 << 20).unwrap();
        let mut found = [0u8; 3];
        target.read_exact_at(&mut found, 4 << 20).unwrap();
        assert_eq!(&found, b"one");
        target.read_exact_at(&mut found, (21 << 20) - 3).unwrap();
        assert_eq!(&found, b"end");
    }
}
