//! What of the host must be as it was: files by content, processes, mounts,
//! and services that nobody may have called.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::common::Run;

/// A file's kind, mode, owner and content.
type Files = BTreeMap<PathBuf, String>;

/// The trees that hooks may be after, and nobody else changes during a test.
pub struct Watch {
    trees: Vec<PathBuf>,
    files: Files,
    mounts: Vec<String>,
    top: PathBuf,
    /// A process of the caller's, and one of root's.
    pub bystanders: Vec<Child>,
}

impl Watch {
    /// Makes what hooks could be after, for the caller of the run, and looks at it.
    pub fn new(run: &Run) -> Watch {
        let top = run.dir.parent().unwrap().to_path_buf();
        for (path, text) in [
            ("home/.ssh/id_ed25519", "the caller's key"),
            ("home/.profile", "the caller's profile"),
            ("home/.cache/other/file", "the cache of something else"),
            ("other/file", "a file of a neighbour"),
            ("work/image.tar", "an image of yesterday"),
            ("work/Makefile", "the caller's work"),
        ] {
            let path = top.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            for part in path.ancestors().take_while(|part| *part != top) {
                run.give(part);
            }
        }
        let trees = ["home", "elements", "other", "work"].map(|name| top.join(name));
        let trees: Vec<PathBuf> = trees.into_iter().chain(["/etc".into()]).collect();
        let mut watch = Watch {
            files: look(&trees),
            trees,
            mounts: mounts(&top),
            top,
            bystanders: Vec::new(),
        };
        let mut sleep = run.command();
        sleep = as_caller(&sleep, &["sleep", "987654"]);
        watch.bystanders.push(sleep.spawn().unwrap());
        watch
    }

    /// Fails if anything has changed, but for what lies at `except`.
    pub fn check(&mut self, case: &str, except: &[PathBuf]) {
        let now = look(&self.trees);
        let differs = |path: &&PathBuf| {
            self.files.get(*path) != now.get(*path)
                && !except.iter().any(|except| path.starts_with(except))
        };
        let changed: Vec<_> = self
            .files
            .keys()
            .chain(now.keys())
            .filter(differs)
            .collect();
        assert!(changed.is_empty(), "{case} has changed {changed:?}");
        assert_eq!(
            mounts(&self.top),
            self.mounts,
            "{case} has changed the mounts"
        );
        for child in &mut self.bystanders {
            assert_eq!(child.try_wait().unwrap(), None, "{case} has killed");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for child in &mut self.bystanders {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The words in place of the command's own, as the same user.
fn as_caller(command: &Command, words: &[&str]) -> Command {
    let mut all: Vec<_> = vec![command.get_program().to_owned()];
    all.extend(command.get_args().map(ToOwned::to_owned));
    // setpriv's own words end with `--`
    all.truncate(
        all.iter()
            .position(|word| word == "--")
            .map_or(0, |at| at + 1),
    );
    all.extend(words.iter().map(Into::into));
    let mut command = Command::new(&all[0]);
    command
        .args(&all[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn look(trees: &[PathBuf]) -> Files {
    let entries = trees.iter().flat_map(|tree| WalkDir::new(tree).into_iter());
    let mut files = Files::new();
    for entry in entries.map(|entry| entry.unwrap()) {
        let found = entry.metadata().unwrap();
        let content = match entry.file_type() {
            kind if kind.is_file() => digest(entry.path()),
            kind if kind.is_symlink() => format!("{:?}", fs::read_link(entry.path()).unwrap()),
            _ => String::new(),
        };
        let (mode, uid, gid) = (found.mode(), found.uid(), found.gid());
        files.insert(
            entry.path().into(),
            format!("{mode:o} {uid}:{gid} {content}"),
        );
    }
    files
}

fn digest(path: &Path) -> String {
    let mut hash = Sha256::new();
    match fs::File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash)) {
        Ok(_) => format!("{:x?}", hash.finalize()),
        Err(error) => error.to_string(),
    }
}

/// All mounts but those of other tests, which have directories of their own.
fn mounts(top: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    let of_others = |line: &&str| {
        let at = Path::new(line.split(' ').nth(1).unwrap_or_default());
        (at.starts_with("/tmp") || at.starts_with("/var/tmp")) && !at.starts_with(top)
    };
    let lines = table.lines().filter(|line| !of_others(line));
    lines.map(str::to_owned).collect()
}

/// Services that count who calls.
pub struct Services {
    pub port: u16,
    pub socket: String,
    calls: Arc<AtomicUsize>,
}

impl Services {
    /// Listens on every address of the host by TCP, and on an abstract socket.
    pub fn start() -> Services {
        let calls = Arc::new(AtomicUsize::new(0));
        let tcp = TcpListener::bind("[::]:0")
            .or_else(|_| TcpListener::bind("0.0.0.0:0"))
            .unwrap();
        let port = tcp.local_addr().unwrap().port();
        let socket = format!("safedib-hostile-{port}");
        let address = SocketAddr::from_abstract_name(&socket).unwrap();
        let local = UnixListener::bind_addr(&address).unwrap();
        let (one, two) = (calls.clone(), calls.clone());
        std::thread::spawn(move || {
            for _ in tcp.incoming() {
                one.fetch_add(1, Ordering::SeqCst);
            }
        });
        std::thread::spawn(move || {
            for _ in local.incoming() {
                two.fetch_add(1, Ordering::SeqCst);
            }
        });
        Services {
            port,
            socket,
            calls,
        }
    }

    /// How many calls there were since the last time.
    pub fn calls(&self) -> usize {
        // a call that was made is counted a little later
        std::thread::sleep(std::time::Duration::from_millis(50));
        self.calls.swap(0, Ordering::SeqCst)
    }
}

/// The address of the clouds' metadata service, on this host, while it lives.
pub struct Metadata;

impl Metadata {
    const ADDRESS: &'static str = "169.254.169.254/32";

    pub fn start() -> Metadata {
        assert!(Metadata::ip("add"), "the address cannot be given");
        Metadata
    }

    fn ip(what: &str) -> bool {
        let words = ["address", what, Metadata::ADDRESS, "dev", "lo"];
        let status = Command::new("ip").args(words).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        Metadata::ip("del");
    }
}
