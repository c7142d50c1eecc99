//! Archives in the format of an initramfs (cpio "newc"); the kernel unpacks
//! several of them one after the other.

use std::io::{self, Write};

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

    /// Header and name together, and the content, are padded to four bytes.
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let size = u32::try_from(content.len())
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
        self.pad(110 + name_size)?;
        self.output.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        let surplus = written % 4;
        match surplus {
            0 => Ok(()),
            _ => self.output.write_all(&[0; 4][surplus..]),
        }
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
        assert_eq!(std::fs::read(top.path().join("a/b/d")).unwrap(), b"");
    }
}
