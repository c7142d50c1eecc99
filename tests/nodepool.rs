//! Builds as nodepool-builder starts them (`_buildImage` of its builder.py): its
//! command line and environment, one pipe that must hang up when the build has
//! ended, however it ends, and its view of the images' directory.

mod common;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use common::{callers, copy_tree, tool, Caller, Run};

const BUILD: &str = "fake-0000000001";
/// How long after the end of a build its pipe may hang up.
const GRACE: Duration = Duration::from_secs(20);

/// Everything that a hook can leave running with its standard output.
const LEAVES_PROCESSES: &str = "#!/bin/bash\nsleep 1000 &\nsetsid sleep 1000 &\n\
    (trap '' HUP TERM; exec nohup sleep 1000) &\ndisown -a\n";
const SLEEPS: &str = "#!/bin/bash\necho the hook is asleep\nsleep 1000\n";
const WRITES_MANIFEST: &str =
    "#!/bin/bash\nmkdir -p \"$IMAGE_NAME.d\"\necho \"$DIB_IMAGE_NAME\" >\"$IMAGE_NAME.d/name\"\n";

struct Build {
    run: Run,
    images: PathBuf,
    child: Child,
    pipe: File,
    log: String,
}

/// The words of nodepool's command after the program.
fn words(types: &[&str], images: &Path, elements: &str) -> Vec<OsString> {
    let options = match types.contains(&"qcow2") {
        true => "--qemu-img-options 'compat=0.10'",
        false => "",
    };
    let line = format!(
        "-x -t {} --checksum --no-tmpfs {options} -o {}/{BUILD} {elements}",
        types.join(","),
        images.display()
    );
    let split = "import shlex, sys; print('\\n'.join(shlex.split(sys.argv[1])))";
    let split = tool(Command::new("/usr/bin/python3").args(["-c", split, &line]));
    split.lines().map(Into::into).collect()
}

/// A run whose elements' sources a test may still change.
fn prepare(caller: &Caller) -> Run {
    Run::new(caller, "disk-image-create")
        .element_file("sleeps", "install.d/50-sleep", SLEEPS)
        .element_file("sleeps-early", "root.d/50-sleep", SLEEPS)
        .element_file("sleeps-late", "cleanup.d/50-sleep", SLEEPS)
        .element_file("leaves", "extra-data.d/50-leave", LEAVES_PROCESSES)
        .element_file("leaves", "install.d/50-leave", LEAVES_PROCESSES)
        .element_file("leaves", "cleanup.d/50-leave", LEAVES_PROCESSES)
        .element_file("manifest", "cleanup.d/50-manifest", WRITES_MANIFEST)
        .element_file("fails", "install.d/90-fail", "#!/bin/bash\nexit 3\n")
}

/// The directory of nodepool's images, empty.
fn images_of(run: &Run) -> PathBuf {
    let images = run.dir.parent().unwrap().join("images");
    fs::create_dir(&images).unwrap();
    run.give(&images);
    images
}

fn start(run: Run, types: &[&str], elements: &str) -> Build {
    let images = images_of(&run);
    // What a service has, and what nodepool adds.
    let run = run
        .args(words(types, &images, &format!("-n {elements}")))
        .env("INVOCATION_ID", "0123456789abcdef")
        .env("DIB_RELEASE", "")
        .env("DIB_IMAGE_NAME", "fake")
        .env("DIB_IMAGE_FILENAME", images.join(BUILD));
    let elements = run.elements();
    let run = run
        .env("ELEMENTS_PATH", elements)
        .env("DIB_DEBUG_TRACE", "1");
    let (pipe, output) = nix::unistd::pipe().unwrap();
    let mut command = run.command();
    command.stdout(output.try_clone().unwrap()).stderr(output);
    // The command holds the writing ends until it is dropped.
    let child = command.spawn().unwrap();
    drop(command);
    Build {
        run,
        images,
        child,
        pipe: pipe.into(),
        log: String::new(),
    }
}

impl Build {
    /// Reads on; whether there is more to come before the deadline.
    fn read(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        let woken = poll(&mut fds, PollTimeout::try_from(left).unwrap()).unwrap();
        assert_ne!(woken, 0, "the pipe does not hang up: {}", self.log);
        let mut buffer = [0; 1024];
        let count = self.pipe.read(&mut buffer).unwrap();
        self.log
            .push_str(&String::from_utf8_lossy(&buffer[..count]));
        count > 0
    }

    fn read_until(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while !self.log.contains(text) {
            assert!(self.read(deadline), "no {text:?}: {}", self.log);
        }
    }

    /// Reads until the pipe hangs up: then nothing of the build may be left.
    fn hang_up(&mut self, grace: Duration) -> i32 {
        let deadline = Instant::now() + grace;
        while self.read(deadline) {}
        let status = self.child.wait().unwrap();
        self.run.assert_nothing_left();
        status.code().unwrap_or_else(|| -status.signal().unwrap())
    }

    /// `DibImageFile.from_image_id`: the formats that nodepool sees.
    fn formats(&self) -> Vec<String> {
        let mut formats: Vec<String> = self
            .files()
            .iter()
            .filter(|path| path.is_file() && path.file_stem().unwrap() == BUILD)
            .map(|path| path.extension().unwrap().to_str().unwrap().to_owned())
            .collect();
        formats.sort();
        formats
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.images).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.images.join(format!("{BUILD}.{ending}"))
    }

    /// What nodepool uploads, and what it counts.
    fn check(&self, format: &str) {
        let image = self.file(format);
        let found = fs::metadata(&image).unwrap();
        assert!(found.blocks() > 0, "{image:?}");
        let (uid, gid) = self.run.owner();
        assert_eq!((found.uid(), found.gid()), (uid.as_raw(), gid.as_raw()));
        for (kind, length) in [("md5", 32), ("sha256", 64)] {
            let text = fs::read_to_string(self.file(&format!("{format}.{kind}"))).unwrap();
            let sum = tool(Command::new(format!("{kind}sum")).arg(&image));
            assert_eq!(text[..length], sum[..length], "{image:?}");
        }
    }

    /// `CleanupWorker.deleteLocalBuild`, after which nothing is left.
    fn clean(&self) {
        for format in self.formats() {
            for ending in [
                format.clone(),
                format!("{format}.md5"),
                format!("{format}.sha256"),
            ] {
                fs::remove_file(self.file(&ending)).unwrap();
            }
        }
        let manifest = self.file("d");
        if manifest.exists() {
            fs::remove_dir_all(manifest).unwrap();
        }
        assert_eq!(self.files(), Vec::<PathBuf>::new());
    }

    /// After a failure nodepool finds no image, and removes nothing else.
    fn assert_nothing_made(&self) {
        assert_eq!(self.files(), Vec::<PathBuf>::new(), "{}", self.log);
        let cache = self.run.home().join(".cache/image-create");
        let left: Vec<_> = fs::read_dir(&cache).into_iter().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn every_type_comes_with_what_nodepool_reads() {
    for caller in callers() {
        for types in [&["qcow2", "raw"][..], &["raw"], &["vhd", "raw", "qcow2"]] {
            let mut build = start(prepare(&caller), types, "safedib-fake-os manifest");
            let status = build.hang_up(Duration::from_secs(300));
            assert_eq!(status, 0, "{}", build.log);
            assert!(build.log.ends_with("| Build completed successfully\n"));
            let mut expected = types.to_vec();
            expected.sort_unstable();
            assert_eq!(build.formats(), expected);
            types.iter().for_each(|format| build.check(format));
            if types.contains(&"qcow2") {
                let facts = tool(
                    Command::new("qemu-img")
                        .arg("info")
                        .arg(build.file("qcow2")),
                );
                assert!(facts.contains("compat: 0.10"), "{facts}");
            }
            assert_eq!(fs::read_to_string(build.file("d/name")).unwrap(), "fake\n");
            build.clean();
        }
    }
}

#[test]
fn the_pipe_hangs_up_although_hooks_leave_processes() {
    for caller in callers() {
        for (elements, status, last) in [
            (
                "safedib-fake-os leaves",
                0,
                "| Build completed successfully",
            ),
            ("safedib-fake-os leaves fails", 3, "90-fail"),
        ] {
            let mut build = start(prepare(&caller), &["raw"], elements);
            build.read_until(last);
            assert_eq!(build.hang_up(GRACE), status, "{}", build.log);
            match status {
                0 => build.clean(),
                _ => build.assert_nothing_made(),
            }
        }
    }
}

/// What nodepool does at a time-out; it removes nothing of what upstream leaves then.
#[test]
fn the_pipe_hangs_up_and_nothing_is_left_when_the_top_process_is_killed() {
    for caller in callers() {
        for (elements, at) in [
            ("safedib-fake-os sleeps-early", "the hook is asleep\n"),
            ("safedib-fake-os leaves sleeps", "the hook is asleep\n"),
            (
                "safedib-fake-os manifest sleeps-late",
                "the hook is asleep\n",
            ),
            ("safedib-fake-os", "| Building in "),
            ("safedib-fake-os manifest", "Converting image using"),
        ] {
            let mut build = start(prepare(&caller), &["qcow2", "raw"], elements);
            build.read_until(at);
            build.child.kill().unwrap();
            assert_eq!(build.hang_up(GRACE), -9, "{}", build.log);
            build.assert_nothing_made();
        }
    }
}

/// `_buildImage`, and what finds and removes images, in nodepool's own words.
#[test]
fn nodepools_own_code_takes_what_we_build() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixture = repository.join("upstream-fixtures/cache/nodepool-11.0.0");
    assert!(fixture.exists(), "run scripts/fetch-fixtures first");
    for caller in callers() {
        for (types, elements, built) in [
            ("qcow2,raw", "-n safedib-fake-os manifest", true),
            ("raw", "-n safedib-fake-os leaves fails", false),
        ] {
            let run = prepare(&caller);
            let (home, images) = (run.home(), images_of(&run));
            // A clone may lie where the ordinary user cannot read.
            copy_tree(&fixture, &home.join("source"));
            let script = home.join("nodepool_build.py");
            let own = repository.join("compat-tests/nodepool_build.py");
            fs::copy(own, &script).unwrap();
            let [script, source, images, logs] =
                [script, home.join("source"), images, home].map(|path| path.display().to_string());
            let run = run.through(&[
                "/usr/bin/python3",
                "-B",
                &script,
                &source,
                &images,
                &logs,
                "fake",
                "0000000001",
                types,
                elements,
            ]);
            let outcome = run.run().success();
            let answer: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
            let state = if built { "ready" } else { "failed" };
            assert_eq!(answer["state"], state, "{outcome}");
            assert_eq!(answer["left"], serde_json::json!([]), "{outcome}");
            let found = answer["found"].as_object().unwrap();
            let expected: Vec<&str> = types.split(',').filter(|_| built).collect();
            assert_eq!(found.keys().collect::<Vec<_>>(), expected, "{outcome}");
            for file in found.values() {
                for (at, length) in [(1, 32), (2, 64)] {
                    assert_eq!(file[at].as_str().unwrap().len(), length, "{outcome}");
                }
            }
            let log = fs::read_to_string(run.home().join("build.log")).unwrap();
            let status = if built { 0 } else { 3 };
            assert!(log.ends_with(&format!("Exit code: {status}\n")), "{log}");
        }
    }
}
