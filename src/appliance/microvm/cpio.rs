//! Archives in the format of an initramfs (cpio "newc"); the kernel unpacks
//! several of them one after the other.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

const FILE: u32 = 0o100_755;
const DIRECTORY: u32 = 0o040_755;
const LINK: u32 = 0o120_777;

/// An archive that is being written. Names are without a leading slash.
pub(super) struct Archive<W: Write> {
    output: W,
    directories: Vec<String>,
}

impl<W: Write> Archive<W> {
    /// Starts an archive.
    pub(super) fn new(output: W) -> Archive<W> {
        Archive {
            output,
            directories: Vec::new(),
        }
    }

    /// Adds a file that everybody may execute, and the directories above it.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.parents(name)?;
        self.entry(name, FILE, content)
    }

    /// Adds a copy of a file of the host, which memory need not hold.
    pub(super) fn copy(&mut self, name: &str, source: &Path) -> io::Result<()> {
        self.parents(name)?;
        let file = File::open(source)?;
        let size = file.metadata()?.len();
        self.header(name, FILE, size)?;
        let copied = io::copy(&mut file.take(size), &mut self.output)?;
        match copied == size {
            true => self.pad(size),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Adds a symbolic link, and the directories above it.
    pub(super) fn link(&mut self, name: &str, target: &str) -> io::Result<()> {
        self.parents(name)?;
        self.entry(name, LINK, target.as_bytes())
    }

    /// Writes the end, which is padded so that another archive can follow.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn parents(&mut self, name: &str) -> io::Result<()> {
        for (end, _) in name.match_indices('/') {
            let directory = &name[..end];
            if !self.directories.iter().any(|known| known == directory) {
                self.entry(directory, DIRECTORY, &[])?;
                self.directories.push(directory.to_owned());
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let size = content.len() as u64;
        self.header(name, mode, size)?;
        self.output.write_all(content)?;
        self.pad(size)
    }

    /// Header and name together, and the content, are padded to four bytes.
    fn header(&mut self, name: &str, mode: u32, size: u64) -> io::Result<()> {
        let size = u32::try_from(size)
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, name.to_owned()))?;
        let name_size = name.len() + 1;
        // Inode numbers matter for hard links only, of which there are none.
        let links = 1;
        write!(
            self.output,
            "070701{:08x}{mode:08x}{:08x}{:08x}{links:08x}{:08x}{size:08x}\
             {:08x}{:08x}{:08x}{:08x}{name_size:08x}{:08x}{name}\0",
            0, 0, 0, 0, 0, 0, 0, 0, 0
        )?;
        self.pad((110 + name_size) as u64)
    }

    fn pad(&mut self, written: u64) -> io::Result<()> {
        let zeros: &[u8] = match written % 4 {
            0 => &[],
            1 => &[0; 3],
            2 => &[0; 2],
            _ => &[0; 1],
        };
        self.output.write_all(zeros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn cpio_reads_what_is_written() {
        let mut archive = Archive::new(Vec::new());
        archive.file("a/b/c", b"12345").unwrap();
        archive.file("a/b/d", b"").unwrap();
        archive.link("e", "a/b").unwrap();
        let source = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(source.path(), b"abcdefg").unwrap();
        archive.copy("f", source.path()).unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let top = tempfile::tempdir().unwrap();
        let mut cpio = Command::new("cpio")
            .args(["-idm", "--quiet"])
            .current_dir(top.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("cpio (scripts/setup installs it)");
        cpio.stdin.take().unwrap().write_all(&bytes).unwrap();
        assert!(cpio.wait().unwrap().success());
        assert_eq!(std::fs::read(top.path().join("e/c")).unwrap(), b"12345");
        assert_eq!(std::fs::read(top.path().join("f")).unwrap(), b"abcdefg");
        assert_eq!(std::fs::read(top.path().join("a/b/d")).unwrap(), b"");
    }
}
