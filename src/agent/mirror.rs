//! Makes one directory tree equal to another, writing only what differs.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::{lchown, symlink, DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What is read at once: the largest message of the machine's shares holds little less.
const CHUNK: usize = 496 << 10;

/// Suffix of a file's name until it is whole.
const UNFINISHED: &str = ".safedib-unfinished";

/// Room on the disk that a file or directory takes beside its bytes, about.
const BLOCK: u64 = 4096;

/// An operation on a path that failed.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

fn fault<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Fault + 'a {
    move |source| Fault {
        action,
        path: path.to_owned(),
        source,
    }
}

/// What a mirroring did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Files that were written.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Files, links and directories that were removed.
    pub(crate) removed: u64,
    /// What is no file, link or directory, and stays out.
    pub(crate) skipped: Vec<PathBuf>,
}

/// Bytes that [`mirror`] has to write, and those that it sets free, about.
pub(crate) fn needs(from: &Path, to: &Path) -> Result<(u64, u64), Fault> {
    let (mut written, mut freed) = (0, 0);
    for name in names(to)? {
        let (old, new) = (to.join(&name), from.join(&name));
        let old = old.symlink_metadata().map_err(fault("read", &old))?;
        if new.symlink_metadata().is_err() && old.is_file() {
            freed += old.blocks() * 512;
        }
    }
    for name in names(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        let metadata = source.symlink_metadata().map_err(fault("read", &source))?;
        if metadata.is_dir() {
            let (below, free) = needs(&source, &target)?;
            written += below;
            freed += free;
        } else if metadata.is_file() && !same_content(&metadata, &target) {
            written += metadata.len().next_multiple_of(BLOCK);
        }
    }
    Ok((written, freed))
}

/// Makes the content of directory `to` equal to that of `from`: files, links
/// and directories with owners, modes and times. A file appears whole or not at all.
pub(crate) fn mirror(from: &Path, to: &Path) -> Result<Done, Fault> {
    let mut done = Done::default();
    directory(from, to, &mut done)?;
    Ok(done)
}

fn directory(from: &Path, to: &Path, done: &mut Done) -> Result<(), Fault> {
    for name in names(to)? {
        let kept = from.join(&name).symlink_metadata();
        let old = to.join(&name);
        let metadata = old.symlink_metadata().map_err(fault("read", &old))?;
        if kept.is_ok_and(|kept| kept.file_type() == metadata.file_type()) {
            continue;
        }
        let removed = match metadata.is_dir() {
            true => fs::remove_dir_all(&old),
            false => fs::remove_file(&old),
        };
        removed.map_err(fault("remove", &old))?;
        done.removed += 1;
    }
    for name in names(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        let metadata = source.symlink_metadata().map_err(fault("read", &source))?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            if !target.is_dir() {
                let made = DirBuilder::new().mode(0o700).create(&target);
                made.map_err(fault("create", &target))?;
            }
            directory(&source, &target, done)?;
            dress(&metadata, &target).map_err(fault("change", &target))?;
        } else if kind.is_file() {
            file(&source, &metadata, &target, done)?;
        } else if kind.is_symlink() {
            link(&source, &metadata, &target)?;
        } else {
            done.skipped.push(source);
        }
    }
    Ok(())
}

/// Names in a directory; none if it is not there.
fn names(directory: &Path) -> Result<Vec<OsString>, Fault> {
    let read = || -> io::Result<Vec<OsString>> {
        let entries = fs::read_dir(directory)?;
        entries.map(|entry| Ok(entry?.file_name())).collect()
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(fault("read", directory)),
    }
}

/// Whether the time of `found` is that of `wanted`. A 9p filesystem cuts a time
/// that is set to whole seconds (its `s_time_gran`), while a change of the file
/// on the host gives it a whole one.
fn same_time(wanted: &Metadata, found: &Metadata) -> bool {
    wanted.mtime() == found.mtime()
        && (wanted.mtime_nsec() == found.mtime_nsec() || wanted.mtime_nsec() == 0)
}

/// Whether a file is there already: nobody changes one and leaves it its time.
fn same_content(metadata: &Metadata, target: &Path) -> bool {
    target.symlink_metadata().is_ok_and(|found| {
        found.is_file() && found.len() == metadata.len() && same_time(metadata, &found)
    })
}

fn file(source: &Path, metadata: &Metadata, target: &Path, done: &mut Done) -> Result<(), Fault> {
    if same_content(metadata, target) {
        return dress(metadata, target).map_err(fault("change", target));
    }
    let mut name = target.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let made = copy(source, &unfinished)
        .and_then(|()| dress(metadata, &unfinished))
        .and_then(|()| fs::rename(&unfinished, target));
    if made.is_err() {
        // The room that it took is wanted; the error that led here counts.
        let _ = fs::remove_file(&unfinished);
    }
    made.map_err(fault("copy to", target))?;
    done.files += 1;
    done.bytes += metadata.len();
    Ok(())
}

fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let mut from = File::open(source)?;
    let mut to = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(target)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count])?,
        }
    }
}

fn link(source: &Path, metadata: &Metadata, target: &Path) -> Result<(), Fault> {
    let wanted = fs::read_link(source).map_err(fault("read", source))?;
    let made = match fs::read_link(target) {
        Ok(found) if found == wanted => Ok(()),
        Ok(_) => fs::remove_file(target).and_then(|()| symlink(&wanted, target)),
        Err(_) => symlink(&wanted, target),
    };
    made.and_then(|()| lchown(target, Some(metadata.uid()), Some(metadata.gid())))
        .map_err(fault("create", target))
}

/// Gives a file or directory owner, mode and time, as far as they differ.
fn dress(metadata: &Metadata, target: &Path) -> io::Result<()> {
    let found = target.symlink_metadata()?;
    if (found.uid(), found.gid()) != (metadata.uid(), metadata.gid()) {
        lchown(target, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    // A change of owner takes set-user-ID bits away.
    let mode = metadata.mode() & 0o7777;
    if target.symlink_metadata()?.mode() & 0o7777 != mode {
        fs::set_permissions(target, PermissionsExt::from_mode(mode))?;
    }
    if same_time(metadata, &found) {
        return Ok(());
    }
    let times = FileTimes::new().set_modified(metadata.modified()?);
    File::open(target)?.set_times(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, SystemTime};

    fn put(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_second_tree_becomes_the_first() {
        let top = tempfile::tempdir().unwrap();
        let (from, to) = (top.path().join("from"), top.path().join("to"));
        put(&from.join("a/same"), "same");
        put(&from.join("a/new"), "new");
        put(&from.join("becomes-file"), "file");
        put(&from.join("becomes-directory/x"), "x");
        symlink("a/new", from.join("link")).unwrap();
        let old = SystemTime::now() - Duration::from_secs(1000);
        File::open(from.join("a"))
            .unwrap()
            .set_times(FileTimes::new().set_modified(old))
            .unwrap();
        fs::set_permissions(from.join("a/new"), PermissionsExt::from_mode(0o4751)).unwrap();
        let _socket = UnixListener::bind(from.join("socket")).unwrap();
        put(&to.join("gone/x"), "gone");
        put(&to.join("becomes-file/x"), "x");
        put(&to.join("becomes-directory"), "file");
        symlink("other", to.join("link")).unwrap();

        let done = mirror(&from, &to).unwrap();
        assert_eq!((done.files, done.removed), (4, 3), "{done:?}");
        assert_eq!(done.skipped, [from.join("socket")]);
        let read = |name: &str| fs::read_to_string(to.join(name)).unwrap();
        assert_eq!(
            [
                read("a/same"),
                read("a/new"),
                read("becomes-file"),
                read("becomes-directory/x")
            ],
            ["same", "new", "file", "x"]
        );
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("a/new"));
        assert!(!to.join("gone").exists());
        let metadata = |name: &str| to.join(name).metadata().unwrap();
        assert_eq!(metadata("a/new").mode() & 0o7777, 0o4751);
        assert_eq!(metadata("a").modified().unwrap(), old);

        let again = mirror(&from, &to).unwrap();
        assert_eq!((again.files, again.removed), (0, 0), "{again:?}");
        let cut = |name: &str, nanos: u32| {
            let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, nanos);
            let times = FileTimes::new().set_modified(time);
            File::open(from.join(name))
                .unwrap()
                .set_times(times)
                .unwrap();
        };
        cut("a/same", 7);
        assert_eq!(mirror(&from, &to).unwrap().files, 1, "another time");
        cut("a/same", 0);
        assert_eq!(mirror(&from, &to).unwrap().files, 0, "the same, cut by 9p");
    }

    #[test]
    fn the_room_that_is_needed_is_that_of_what_differs() {
        let top = tempfile::tempdir().unwrap();
        let (from, to) = (top.path().join("from"), top.path().join("to"));
        put(&from.join("d/new"), "new");
        put(&from.join("same"), "same");
        fs::create_dir(&to).unwrap();
        mirror(&from, &to).unwrap();
        assert_eq!(needs(&from, &to).unwrap(), (0, 0));
        put(&from.join("d/new"), "changed");
        put(&from.join("d/more"), &"x".repeat(5000));
        fs::remove_file(from.join("same")).unwrap();
        let (written, freed) = needs(&from, &to).unwrap();
        assert_eq!(written, 3 * BLOCK);
        assert!(freed > 0);
    }

    #[test]
    fn what_cannot_be_copied_leaves_the_old_file() {
        let top = tempfile::tempdir().unwrap();
        let (from, to) = (top.path().join("from"), top.path().join("to"));
        put(&from.join("f"), "new");
        put(&to.join("f"), "old text");
        // A directory where the new file is written first.
        fs::create_dir_all(to.join("f.safedib-unfinished")).unwrap();
        put(&from.join("f.safedib-unfinished/x"), "x");
        let fault = mirror(&from, &to).unwrap_err();
        assert_eq!(fault.path, to.join("f"));
        assert_eq!(fs::read_to_string(to.join("f")).unwrap(), "old text");
    }
}
