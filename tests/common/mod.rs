//! A harness that runs the built binary as its users do: as root and as an
//! ordinary user with subuids, with elements of this repository, in a directory
//! of its own, and that looks for leftovers after every run.
//!
//! `SAFEDIB_TEST_USER` names the ordinary user when the tests run as root
//! (`scripts/test` sets it). Without one the tests fail under `CI=true`, and
//! say why they run as root only elsewhere.
#![allow(dead_code)]

pub mod machine;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Group, Uid, User};

/// Who runs the product.
#[derive(Debug, Clone, PartialEq)]
pub enum Caller {
    /// Whoever runs the tests.
    Current,
    /// The ordinary user, from a test that runs as root.
    Other(User),
}

/// Everybody that a test should pass for.
pub fn callers() -> Vec<Caller> {
    if !Uid::effective().is_root() {
        return vec![Caller::Current];
    }
    let name = std::env::var("SAFEDIB_TEST_USER").unwrap_or_else(|_| "safedib-test".into());
    match User::from_name(&name).ok().flatten() {
        Some(user) => vec![Caller::Other(user), Caller::Current],
        None if std::env::var("CI").as_deref() == Ok("true") => {
            panic!("no user {name}: run scripts/setup first")
        }
        None => {
            eprintln!("no user {name} (scripts/setup makes it): testing as root only");
            vec![Caller::Current]
        }
    }
}

/// A directory with the binary under upstream's names, which every user can
/// reach; it goes when the last run that uses it does (statics are never dropped).
fn bin_dir() -> Arc<tempfile::TempDir> {
    static SHARED: Mutex<Weak<tempfile::TempDir>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(dir) = shared.upgrade() {
        return dir;
    }
    let dir = tempfile::Builder::new()
        .prefix("safedib-bin-")
        .tempdir_in("/var/tmp")
        .expect("a directory for the binary");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = dir.path().join("safedib");
    fs::copy(env!("CARGO_BIN_EXE_safedib"), &binary).expect("copy of the binary");
    for name in [
        "dib-block-device",
        "diskimage-builder",
        "dib-lint",
        "dib-run-parts",
        "disk-image-create",
        "element-info",
        "ramdisk-image-create",
        "virt-dib",
    ] {
        std::os::unix::fs::symlink(&binary, dir.path().join(name)).unwrap();
    }
    let dir = Arc::new(dir);
    *shared = Arc::downgrade(&dir);
    dir
}

/// The repository's own small elements.
pub fn own_elements() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("upstream-fixtures/elements")
}

/// One run of a command.
pub struct Run {
    caller: Caller,
    /// The working directory, removed at the end; outputs and elements are here.
    pub dir: PathBuf,
    _owner: tempfile::TempDir,
    bin: Arc<tempfile::TempDir>,
    id: String,
    before: Vec<OsString>,
    program: String,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
}

/// What a run left.
#[derive(Debug)]
pub struct Outcome {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
    /// Names in the working directory that the harness did not put there, sorted.
    pub files: Vec<String>,
}

impl Run {
    /// A run of `program` in a fresh directory that holds `elements/`.
    pub fn new(caller: &Caller, program: &str) -> Run {
        let owner = tempfile::Builder::new()
            .prefix("safedib-test-")
            .tempdir_in("/var/tmp")
            .expect("a directory for the test");
        let id = owner
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let run = Run {
            caller: caller.clone(),
            dir: owner.path().join("work"),
            _owner: owner,
            bin: bin_dir(),
            id,
            before: Vec::new(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
        };
        let top = run.dir.parent().unwrap().to_path_buf();
        fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["work", "home", "tmp", "elements"] {
            fs::create_dir(top.join(name)).unwrap();
            run.give(&top.join(name));
        }
        copy_tree(&own_elements(), &top.join("elements"));
        run
    }

    /// A build of the image `image` in these formats, without the `base` element.
    pub fn build(caller: &Caller, formats: &str) -> Run {
        Run::new(caller, "disk-image-create").args(["-n", "-t", formats, "-o", "image"])
    }

    /// Who runs it.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Makes a path the caller's own.
    pub fn give(&self, path: &Path) {
        if let Caller::Other(user) = &self.caller {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
    }

    /// The directory of element copies, for tests that add their own.
    pub fn elements(&self) -> PathBuf {
        self.dir.parent().unwrap().join("elements")
    }

    /// The directory that is `TMP_DIR` for the run.
    pub fn tmp(&self) -> PathBuf {
        self.dir.parent().unwrap().join("tmp")
    }

    /// The caller's HOME for the run.
    pub fn home(&self) -> PathBuf {
        self.dir.parent().unwrap().join("home")
    }

    /// Writes an element's file; hooks (`*.d/*` outside environment.d) and programs become executable.
    pub fn element_file(self, element: &str, path: &str, text: &str) -> Run {
        let file = self.elements().join(element).join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        let is_hook = path.contains(".d/") && !path.starts_with("environment.d");
        let mode = if is_hook || path.starts_with("bin/") {
            0o755
        } else {
            0o644
        };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Adds words to the command line.
    pub fn args<I: IntoIterator<Item = S>, S: Into<OsString>>(mut self, words: I) -> Run {
        self.args.extend(words.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Run {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Makes the command the last words of another one that the caller starts.
    pub fn through(mut self, words: &[&str]) -> Run {
        self.before.extend(words.iter().map(Into::into));
        self
    }

    /// Makes a shell that carries out `script` execute the command.
    pub fn through_shell(self, script: &str) -> Run {
        self.through(&["sh", "-ec", &format!("{script}; exec \"$@\""), "sh"])
    }

    /// The command, ready to start.
    pub fn command(&self) -> Command {
        // Whoever runs the tests may ignore some, as nohup does.
        let mut words: Vec<OsString> = vec!["env".into(), "--default-signal=INT,TERM,HUP".into()];
        if let Caller::Other(user) = &self.caller {
            words.push("setpriv".into());
            words.push(format!("--reuid={}", user.uid).into());
            words.push(format!("--regid={}", user.gid).into());
            words.push("--init-groups".into());
            words.push("--".into());
        }
        words.extend(self.before.iter().cloned());
        words.push(self.bin.path().join(&self.program).into());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(&self.args)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.home())
            .env("USER", self.user_name())
            .env("TMP_DIR", self.tmp())
            // Appliances take long to make, and KVM is tried once for each cache.
            .env("XDG_CACHE_HOME", self.machine_cache())
            .env("DIB_ELEMENTS_DIR", self.elements())
            .env("SAFEDIB_TEST_ID", &self.id)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Where appliances are kept, for all runs of the same user.
    pub fn machine_cache(&self) -> String {
        format!("/var/tmp/cache-of-safedib-tests-{}", self.owner().0)
    }

    /// The command line, without what starts it.
    pub fn words(&self) -> Vec<String> {
        let words = self
            .args
            .iter()
            .map(|word| word.to_string_lossy().into_owned());
        std::iter::once(self.program.clone()).chain(words).collect()
    }

    /// The name of who runs it.
    pub fn user_name(&self) -> String {
        match &self.caller {
            Caller::Other(user) => user.name.clone(),
            Caller::Current => User::from_uid(Uid::effective())
                .ok()
                .flatten()
                .map(|user| user.name)
                .unwrap_or_else(|| "root".into()),
        }
    }

    /// Runs it and looks for leftovers.
    pub fn run(&self) -> Outcome {
        let start = Instant::now();
        let output = self.command().output().expect("the command starts");
        self.outcome(output, start.elapsed())
    }

    /// Runs the command in a mount namespace prepared by `setup`, which root
    /// alone can make, and `after` in the same place when it has ended. `None`
    /// for who cannot do that.
    pub fn run_prepared(&self, setup: &str, after: &str) -> Option<Outcome> {
        if !Uid::effective().is_root() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "CI runs the tests as root"
            );
            eprintln!("skipped: only root can prepare a mount namespace for this test");
            return None;
        }
        let inner = self.command();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(format!(
                "set -e; {setup}; cd \"$0\"; status=0; \"$@\" || status=$?; {after}; exit $status"
            ))
            .arg(&self.dir)
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear();
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let start = Instant::now();
        let output = command.output().expect("unshare");
        Some(self.outcome(output, start.elapsed()))
    }

    /// What a finished process of [`Run::command`] left.
    pub fn outcome(&self, output: Output, took: Duration) -> Outcome {
        self.assert_nothing_left();
        let mut files: Vec<String> = fs::read_dir(&self.dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        Outcome {
            status: exit_status(&output),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took,
            files,
        }
    }

    /// Fails if a mount, process or temporary tree of the run is left. A killed run
    /// clears up after its end, and this machine may be busy.
    pub fn assert_nothing_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = self.leftovers();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {left:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        left.extend(
            mounts
                .lines()
                .filter(|line| line.contains(&self.id))
                .map(|line| format!("mount {line}")),
        );
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            let marker = format!("SAFEDIB_TEST_ID={}", self.id);
            // qemu has none of the caller's environment, but files of the run.
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let holds = |bytes: &[u8], text: &str| {
                bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            };
            if holds(&environ, &marker) || holds(&line, &self.id) {
                let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                left.push(format!("process {:?} {comm}", entry.file_name()));
            }
        }
        for entry in fs::read_dir(self.tmp()).unwrap().flatten() {
            left.push(format!("temporary {:?}", entry.path()));
        }
        for entry in fs::read_dir(&self.dir).unwrap().flatten() {
            if entry.file_name().to_string_lossy().contains(".safedib-") {
                left.push(format!("staging {:?}", entry.path()));
            }
        }
        left
    }

    /// Uid and gid that outputs should have.
    pub fn owner(&self) -> (Uid, Gid) {
        match &self.caller {
            Caller::Other(user) => (user.uid, user.gid),
            Caller::Current => (Uid::effective(), Gid::effective()),
        }
    }
}

impl Outcome {
    /// Fails unless the run ended well.
    #[track_caller]
    pub fn success(self) -> Outcome {
        assert_eq!(self.status, 0, "{self}");
        self
    }

    /// Fails unless the run ended with `status` and stderr contains every text.
    #[track_caller]
    pub fn failure(self, status: i32, texts: &[&str]) -> Outcome {
        assert_eq!(self.status, status, "{self}");
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "no {text:?} in stderr of {self}"
            );
        }
        self
    }

    /// Fails unless the working directory holds exactly these names.
    #[track_caller]
    pub fn leaves(self, names: &[&str]) -> Outcome {
        assert_eq!(self.files, names, "{self}");
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(
            f,
            "exit status {}\n--- stdout\n{}\n--- stderr\n{}\n--- files {:?}",
            self.status, self.stdout, self.stderr, self.files
        )
    }
}

fn exit_status(output: &Output) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    output
        .status
        .code()
        .unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0))
}

/// Copies a tree with modes and symlinks, readable for everybody.
pub fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .args(["-r", "--preserve=mode,links", "-T"])
        .arg(from)
        .arg(to)
        .status()
        .expect("cp");
    assert!(status.success(), "copy of {}", from.display());
}

/// The output of a tool that must succeed.
#[track_caller]
pub fn tool(command: &mut Command) -> String {
    let output = command.output().expect("the tool starts");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The group of that name, for checks on owners.
pub fn group(name: &str) -> Option<Group> {
    Group::from_name(name).ok().flatten()
}
