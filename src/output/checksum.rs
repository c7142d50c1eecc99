//! Checksum files as md5sum and sha256sum write them.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{sync_channel, Receiver};
use std::sync::Arc;

use sha2::digest::Digest;

use crate::request::Checksums;

use super::beneath;
use super::error::io_error;
use super::Error;

/// Bytes that are read at a time.
const BUFFER: usize = 4 << 20;
/// Buffers that a hasher may lag behind.
const QUEUE: usize = 4;

/// Hexadecimal checksums of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests {
    /// MD5, if asked for.
    pub md5: Option<String>,
    /// SHA-256, if asked for.
    pub sha256: Option<String>,
}

/// Reads the file `name` below `directory` once, and hashes it in one thread per
/// algorithm. It is asked after each piece whether that should end.
///
/// # Errors
/// If the file cannot be read; [`Error::Ended`].
pub fn digests(
    directory: &Path,
    name: &str,
    wanted: Checksums,
    ended: &mut dyn FnMut() -> bool,
) -> Result<Digests, Error> {
    let path = &directory.join(name);
    let mut file = beneath::open_file(directory, name)?;
    let stop = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut queues = Vec::new();
        let mut start = |wanted: bool, hash: Hash| {
            wanted.then(|| {
                let (sender, receiver) = sync_channel(QUEUE);
                queues.push(sender);
                scope.spawn(move || hash(receiver, stop))
            })
        };
        let md5 = start(wanted.md5, hash::<md5::Md5>);
        let sha256 = start(wanted.sha256, hash::<sha2::Sha256>);
        while !queues.is_empty() {
            if ended() {
                stop.store(true, Ordering::Relaxed);
                return Err(Error::Ended);
            }
            let mut buffer = Vec::with_capacity(BUFFER);
            let count = (&mut file)
                .take(BUFFER as u64)
                .read_to_end(&mut buffer)
                .map_err(io_error("read", path))?;
            if count == 0 {
                queues.clear();
                break;
            }
            let buffer = Arc::new(buffer);
            // A hasher only ends after its queue.
            queues.retain(|queue| queue.send(buffer.clone()).is_ok());
        }
        Ok(Digests {
            md5: md5.and_then(|thread| thread.join().ok()),
            sha256: sha256.and_then(|thread| thread.join().ok()),
        })
    })
}

/// Hashes what it receives, unless it is told to stop.
type Hash = fn(Receiver<Arc<Vec<u8>>>, &AtomicBool) -> String;

fn hash<D: Digest>(receiver: Receiver<Arc<Vec<u8>>>, stop: &AtomicBool) -> String {
    let mut state = D::new();
    for buffer in receiver {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        state.update(buffer.as_slice());
    }
    hexadecimal(state.finalize())
}

/// A digest as tools and names write it.
pub fn hexadecimal(digest: impl AsRef<[u8]>) -> String {
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The line of a checksum file. As coreutils do, a backslash in front tells
/// that the name is escaped.
pub fn line(digest: &str, name: &str) -> String {
    if !name.contains(['\\', '\n', '\r']) {
        return format!("{digest}  {name}\n");
    }
    let name = name
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r");
    format!("\\{digest}  {name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn equals_the_tools() {
        let directory = tempfile::tempdir().unwrap();
        for (name, size) in [
            ("empty", 0),
            ("exact", BUFFER),
            ("odd\\name", 2 * BUFFER + 17),
            ("a b", 5),
        ] {
            let path = directory.path().join(name);
            std::fs::write(&path, vec![0xa5; size]).unwrap();
            let both = Checksums {
                md5: true,
                sha256: true,
            };
            let made = digests(directory.path(), name, both, &mut || false).unwrap();
            for (tool, digest) in [("md5sum", made.md5), ("sha256sum", made.sha256)] {
                let output = Command::new(tool)
                    .arg(name)
                    .current_dir(directory.path())
                    .output()
                    .unwrap();
                assert_eq!(line(&digest.unwrap(), name).as_bytes(), output.stdout);
            }
        }
    }

    #[test]
    fn only_what_is_wanted() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("empty"), "").unwrap();
        let wanted = Checksums {
            md5: true,
            sha256: false,
        };
        let made = digests(directory.path(), "empty", wanted, &mut || false).unwrap();
        assert_eq!(
            made.md5.as_deref(),
            Some("d41d8cd98f00b204e9800998ecf8427e")
        );
        assert_eq!(made.sha256, None);
        assert_eq!(
            digests(directory.path(), "empty", Checksums::default(), &mut || {
                false
            })
            .unwrap(),
            Digests::default()
        );
    }
}
