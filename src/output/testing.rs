//! What the tests of outputs share: a tree with everything that is easy to
//! lose, and a listing of trees to compare.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::nodes::{NodeKind, NodeRegistry};

/// Whether the test goes on here. For an ordinary user it runs as root of a user
/// namespace instead, where the product's packers run, and is over then.
pub(super) fn goes_on_as_root(test: &str) -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// Whether tests that need root (chown, setcap, loop mounts) can run; in CI
/// they must.
pub(super) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "CI runs these tests as root"
        );
        eprintln!("skipped: needs root for chown, setcap and loop mounts");
    }
    root
}

/// Runs a bash script and asserts that it succeeds.
pub(super) fn bash(directory: &Path, script: &str) -> String {
    let output = Command::new("bash")
        .args(["-euc", script])
        .current_dir(directory)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const TREE: &str = r#"
mkdir etc usr dev "with blank" empty $'new\nline' $'ff\377dir' ./-dash lost+found proc sys
echo a > etc/a; ln etc/a usr/hard; ln etc/a $'new\nline/hard3'
ln -s loop1 loop2; ln -s loop2 loop1; ln -s /nowhere dangling
truncate -s 10M sparse; printf x | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none
cp /bin/true suid; chmod 4755 suid; chmod 1777 empty
cp /bin/true capfile; setcap cap_net_raw+ep capfile
echo u > xa; setfattr -n user.foo -v bar xa; setfattr -n user.dirx -v baz etc
echo o > owned; chown 65534:65533 owned; chown -h 3:4 dangling; chown 33:33 empty
mkfifo fifo
echo n > $'ff\377dir/na\377me'; echo d > ./-dash/-f; echo q > 'quo"te'; echo b > 'back\slash'
d=.; for i in 1 2 3 4 5 6 7; do d=$d/$(printf 'd%.0s' {1..60}); done
mkdir -p $d; echo deep > $d/f
ln -s $(printf 'l%.0s' {1..200}) longlink
touch -d '2001-02-03 04:05:06.789012345' etc xa etc/a; touch -d '2001-02-03' $'new\nline'
touch -h -d '1999-01-01 00:00:00.5' dangling; touch -d '1960-01-01' owned; touch -d '2040-01-01' suid
: > dev/null; chmod 666 dev/null; : > 'dev/a b"c'; chown 0:6 'dev/a b"c'; chmod 640 'dev/a b"c'
: > $d/node; : > dev/plain
chmod 700 lost+found; chmod 751 .; chown 2:3 .; touch -d '2003-03-03 03:03:03.3' .
"#;

/// Makes the tree and the registry of its three placeholders. The name of one
/// has a blank and a quote, another one a long path.
pub(super) fn nasty_tree(directory: &Path) -> (PathBuf, NodeRegistry) {
    let tree = directory.join("tree");
    std::fs::create_dir(&tree).unwrap();
    bash(&tree, TREE);
    let registry = directory.join("registry");
    let deep = vec!["d".repeat(60); 7].join("/") + "/node";
    for (name, kind, major, minor) in [
        ("dev/null", NodeKind::Char, 1, 3),
        ("dev/a b\"c", NodeKind::Block, 259, 70_000),
        (deep.as_str(), NodeKind::Char, 5, 1),
    ] {
        NodeRegistry::append(&registry, &tree.join(name), kind, major, minor).unwrap();
    }
    // A second name of a placeholder.
    std::fs::hard_link(tree.join("dev/null"), tree.join("dev/null2")).unwrap();
    (tree, NodeRegistry::load(&registry).unwrap())
}

/// What a listing leaves out.
#[derive(Clone, Copy, Default)]
pub(super) struct Ignore {
    /// Fractions of times.
    pub fractions: bool,
    /// Times of device nodes, and how many names they have.
    pub node_details: bool,
    /// Holes.
    pub holes: bool,
}

/// Path to a line with everything that must survive; placeholders are listed
/// as the devices that they stand for.
pub(super) fn list(tree: &Path, nodes: &NodeRegistry, ignore: Ignore) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for item in walkdir::WalkDir::new(tree) {
        let item = item.unwrap();
        let meta = item.metadata().unwrap();
        let path = item.path().strip_prefix(tree).unwrap().to_path_buf();
        let kind = meta.file_type();
        let mut mode = meta.mode();
        let mut line = String::new();
        let placeholder = nodes.find(&meta);
        if let Some(entry) = placeholder {
            mode = (mode & 0o7777)
                | if entry.kind == NodeKind::Char {
                    0o20000
                } else {
                    0o60000
                };
            line += &format!("{}:{} ", entry.major, entry.minor);
        } else if kind.is_char_device() || kind.is_block_device() {
            let (major, minor) = (
                nix::sys::stat::major(meta.rdev()),
                nix::sys::stat::minor(meta.rdev()),
            );
            line += &format!("{major}:{minor} ");
        } else if kind.is_file() {
            let content = std::fs::read(item.path()).unwrap();
            let holes = !ignore.holes && meta.blocks() * 512 < meta.len() / 2;
            line += &format!("{} {:x} {holes} ", meta.len(), crc(&content));
        } else if kind.is_symlink() {
            line += &format!("-> {:?} ", std::fs::read_link(item.path()).unwrap());
        }
        let is_node = matches!(mode & 0o170_000, 0o20000 | 0o60000);
        line = format!(
            "{mode:o} {}:{} {line}{:?}",
            meta.uid(),
            meta.gid(),
            xattrs(item.path())
        );
        if !(is_node && ignore.node_details) {
            let fraction = if ignore.fractions {
                0
            } else {
                meta.mtime_nsec()
            };
            let links = if kind.is_dir() { 0 } else { meta.nlink() };
            line += &format!(" {}.{fraction} {links}", meta.mtime());
        }
        all.insert(path, line);
    }
    all
}

fn crc(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let mut names = vec![0u8; 4096];
    // SAFETY: the path is a C string, and the buffer has the length that is given.
    let count =
        unsafe { nix::libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    assert!(count >= 0, "{path:?}");
    let mut all = BTreeMap::new();
    for name in names[..count as usize]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let c_name = CString::new(name).unwrap();
        let mut value = vec![0u8; 4096];
        // SAFETY: both names are C strings, and the buffer has the length that is given.
        let count = unsafe {
            nix::libc::lgetxattr(
                path.as_ptr(),
                c_name.as_ptr(),
                value.as_mut_ptr().cast(),
                value.len(),
            )
        };
        assert!(count >= 0, "{path:?}");
        value.truncate(count as usize);
        all.insert(String::from_utf8_lossy(name).into_owned(), value);
    }
    all
}

/// Asserts that two listings are equal, and shows what differs.
pub(super) fn assert_same(want: &BTreeMap<PathBuf, String>, have: &BTreeMap<PathBuf, String>) {
    let mut differences = String::new();
    for path in want
        .keys()
        .chain(have.keys())
        .collect::<std::collections::BTreeSet<_>>()
    {
        if want.get(path) != have.get(path) {
            differences += &format!(
                "{path:?}\n  want {:?}\n  have {:?}\n",
                want.get(path),
                have.get(path)
            );
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// A filesystem image mounted read-only through a loop device.
pub(super) struct Mounted {
    /// Where.
    pub path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Mounted {
    pub(super) fn new(image: &Path, offset: u64) -> Mounted {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m");
        std::fs::create_dir(&path).unwrap();
        let output = Command::new("mount")
            .args(["-o", &format!("loop,ro,offset={offset}")])
            .arg(image)
            .arg(&path)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Mounted {
            path,
            _directory: directory,
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A child that another test forks has our open files until it executes.
        let ended = (0..20).any(|_| {
            let ended = Command::new("umount").arg(&self.path).status();
            let done = ended.is_ok_and(|status| status.success());
            if !done {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            done
        });
        assert!(ended, "{} stays mounted", self.path.display());
    }
}
