//! What this kernel is asked for; a trait, so that tests can stand in for it.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use super::command::Command;
use crate::blockdev::table::{self, Ids};
use crate::blockdev::{self, Disk};

/// Where tools are. Not the PATH of hooks: that starts with our own stand-ins
/// for mount and its kin.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
/// Most bytes of a failed tool's output that an error shows.
const TAIL: usize = 2048;

/// How a tool failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is not installed.
    Missing,
    /// It could not be run.
    Io(io::Error),
    /// It said that it failed.
    Status { status: String, output: String },
}

/// Everything that is done to the kernel and to files.
pub(super) trait System {
    /// Runs a command to its end; what it printed.
    fn run(&mut self, command: &Command) -> Result<String, Failure>;
    /// Makes an empty image.
    fn make_image(&mut self, path: &Path, bytes: u64) -> io::Result<()>;
    /// Removes an image; one that is gone already is as good.
    fn remove_image(&mut self, path: &Path) -> io::Result<()>;
    /// Bytes of a file or device.
    fn size(&self, path: &Path) -> io::Result<u64>;
    /// Writes the partition table of a disk, if it has one.
    fn write_table(&mut self, disk: &Disk, device: &str, bytes: u64)
        -> Result<(), blockdev::Error>;
    /// Makes a directory for a mount, which must lie in `base` whatever links
    /// there are.
    fn make_mount_point(&mut self, base: &str, path: &str) -> io::Result<()>;
    /// Whether there is such a file or device.
    fn exists(&self, path: &str) -> bool;
    /// Whether something is mounted at a path.
    fn is_mounted(&self, path: &str) -> io::Result<bool>;
    /// A random UUID.
    fn uuid(&mut self) -> io::Result<String>;
    /// Writes everything out.
    fn sync(&mut self);
    /// Waits a moment.
    fn pause(&mut self, time: Duration);
}

/// The kernel that we run on.
pub(super) struct Kernel;

impl System for Kernel {
    fn run(&mut self, command: &Command) -> Result<String, Failure> {
        let program = find(command.program).ok_or(Failure::Missing)?;
        let output = std::process::Command::new(program)
            .args(command.settings)
            .args(&command.arguments)
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            // No udev makes nodes: libdevmapper shall, and wait for nobody.
            .env("DM_DISABLE_UDEV", "1")
            // The agent's channel is open in all that it starts.
            .env("LVM_SUPPRESS_FD_WARNINGS", "1")
            .stdin(Stdio::null())
            .output()
            .map_err(Failure::Io)?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(Failure::Status {
            status: describe(output.status),
            output: tail(&format!("{stdout}{stderr}")).to_owned(),
        })
    }

    fn make_image(&mut self, path: &Path, bytes: u64) -> io::Result<()> {
        File::create(path)?.set_len(bytes)
    }

    fn remove_image(&mut self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        // A block device has no length but an end.
        File::open(path)?.seek(SeekFrom::End(0))
    }

    fn write_table(
        &mut self,
        disk: &Disk,
        device: &str,
        bytes: u64,
    ) -> Result<(), blockdev::Error> {
        let path = Path::new(device);
        let failed = |source| blockdev::Error::Table {
            path: path.into(),
            source,
        };
        let file = File::options().write(true).open(path).map_err(failed)?;
        table::write(disk, &file, path, bytes, &Ids::Random)?;
        // kpartx reads past the page cache that holds what was written.
        file.sync_all().map_err(failed)
    }

    fn make_mount_point(&mut self, base: &str, path: &str) -> io::Result<()> {
        fs::create_dir_all(base)?;
        let base = Path::new(base).canonicalize()?;
        // Links of a tree that is there already must not lead out of it, not
        // even while directories are made.
        let existing = Path::new(path).ancestors().find(|path| path.exists());
        let inside = |path: &Path| path.canonicalize().map(|path| path.starts_with(&base));
        if !inside(existing.unwrap_or(&base))? {
            return Err(io::Error::other("a symbolic link leads out of the image"));
        }
        fs::create_dir_all(path)
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn is_mounted(&self, path: &str) -> io::Result<bool> {
        let Ok(path) = Path::new(path).canonicalize() else {
            return Ok(false);
        };
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        Ok(points.map(unescape).any(|point| point == path))
    }

    fn uuid(&mut self) -> io::Result<String> {
        Ids::Random.uuid("")
    }

    fn sync(&mut self) {
        nix::unistd::sync();
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let paths = std::env::split_paths(PATH).map(|directory| directory.join(program));
    paths.into_iter().find(|path| path.is_file())
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "no exit status".into(),
    }
}

/// The end of a text, from the start of a line where possible.
fn tail(text: &str) -> &str {
    let text = text.trim_end();
    let mut from = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let end = text.get(from..).unwrap_or_default();
    match end.split_once('\n') {
        Some((_, rest)) if from > 0 => rest,
        _ => end,
    }
}

/// The kernel writes blanks, tabs, line breaks and backslashes of mount points
/// as octal numbers.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescape("/a\\040b\\134c"), Path::new("/a b\\c"));
        assert_eq!(unescape("/a\\04"), Path::new("/a\\04"));
        assert!(Kernel.is_mounted("/proc/").unwrap());
        assert!(!Kernel.is_mounted("/proc/self").unwrap());
    }

    #[test]
    fn a_mount_point_behind_a_link_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let (base, out) = (top.path().join("base"), top.path().join("out"));
        fs::create_dir_all(&out).unwrap();
        let make = |path: &str| {
            let path = base.join(path).display().to_string();
            Kernel.make_mount_point(&base.display().to_string(), &path)
        };
        make("").unwrap();
        make("a/b").unwrap();
        std::os::unix::fs::symlink(&out, base.join("link")).unwrap();
        std::os::unix::fs::symlink("a", base.join("inside")).unwrap();
        make("inside/c").unwrap();
        assert!(make("link").is_err());
        assert!(make("link/d").is_err());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }

    #[test]
    fn what_failed_says_why() {
        let command = |program, word: &str| Command {
            program,
            settings: &[],
            arguments: vec!["-c".into(), word.into()],
            package: "",
        };
        let failed = Kernel.run(&command("sh", "echo out; echo why >&2; exit 3"));
        match failed {
            Err(Failure::Status { status, output }) => {
                assert_eq!(
                    (status.as_str(), output.as_str()),
                    ("exit status 3", "out\nwhy")
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            Kernel.run(&command("no-such-tool", "")),
            Err(Failure::Missing)
        ));
    }
}
