//! A build beside images of yesterday, with small filesystems mounted where it
//! writes, in a mount namespace that ends with it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Caller, Outcome, Run};

/// What is in the images of yesterday.
pub const OLD: &str = "an image of yesterday";

/// Bytes that the hook of [`noisy`] writes to the target, in two files.
pub const NOISE: u64 = 4 << 20;

/// A build of few files of which the hooks say nothing.
pub fn plain(caller: &Caller, formats: &str) -> Run {
    let run = Run::build(caller, formats).args([
        "--appliance",
        "namespace",
        "--no-network",
        "safedib-one-file",
    ]);
    let cache = run.home().join("cache");
    run.env("XDG_CACHE_HOME", cache)
}

/// The same with [`NOISE`], which nothing compresses.
pub fn noisy(caller: &Caller, formats: &str) -> Run {
    let half = NOISE / 2;
    hooked(
        plain(caller, formats),
        "root.d/60-noise",
        &format!(
            "for name in one two; do head -c {half} /dev/urandom > $TARGET_ROOT/$name; done\n\
             echo noise is made"
        ),
    )
}

/// A run with a hook more.
pub fn hooked(run: Run, path: &str, text: &str) -> Run {
    run.element_file("hooked", path, &format!("#!/bin/bash\nset -eu\n{text}\n"))
        .args(["hooked"])
}

/// What is to be prepared by root before the run.
pub struct Place {
    run: Run,
    setup: Vec<String>,
}

impl Place {
    pub fn of(run: Run) -> Place {
        Place {
            run,
            setup: vec!["true".into()],
        }
    }

    /// Mounts a tmpfs that is the caller's with these options, such as `size=2m`.
    pub fn tmpfs(mut self, at: &Path, options: &str) -> Place {
        let (uid, gid) = self.run.owner();
        let at = at.display();
        self.setup.push(format!(
            "mkdir -p {at}; mount -t tmpfs -o {options},uid={uid},gid={gid},mode=700 none {at}"
        ));
        self
    }

    /// As [`tmpfs`](Place::tmpfs), without a free block.
    pub fn full(self, at: &Path) -> Place {
        self.tmpfs(at, "size=64k").and(&format!(
            "mkdir {0}/filler; cat /dev/zero > {0}/filler/x || true",
            at.display()
        ))
    }

    /// A further command of root's.
    pub fn and(mut self, command: &str) -> Place {
        self.setup.push(command.into());
        self
    }

    /// Runs it. `None` for who cannot mount anything.
    pub fn run(self) -> Option<Seen> {
        self.run_then("true")
    }

    /// Runs it after a last command of root's, when the images of yesterday are there.
    pub fn run_then(self, command: &str) -> Option<Seen> {
        let run = &self.run;
        let top = run.dir.parent().unwrap();
        let (uid, gid) = run.owner();
        let mut setup = self.setup;
        setup.push(format!(
            "for kind in tar qcow2; do printf '{OLD}' > {0}/image.$kind; \
             chown {uid}:{gid} {0}/image.$kind; done",
            run.dir.display()
        ));
        setup.push(command.into());
        // Of what is mounted, this process sees nothing.
        let after = format!(
            "cp -a {work} {top}/seen; ls -A {tmp} > {top}/in-tmp; \
             ls -A {cache}/safedib/builds > {top}/journals 2>/dev/null || true",
            work = run.dir.display(),
            tmp = run.tmp().display(),
            cache = run.home().join("cache").display(),
            top = top.display(),
        );
        let outcome = run.run_prepared(&setup.join("; "), &after)?;
        Some(
            Seen {
                run: self.run,
                outcome,
            }
            .nothing_left(),
        )
    }

    /// The run, before it runs.
    pub fn inner(&self) -> &Run {
        &self.run
    }
}

/// What a run left where things are mounted.
pub struct Seen {
    pub run: Run,
    pub outcome: Outcome,
}

impl Seen {
    fn top(&self) -> PathBuf {
        self.run.dir.parent().unwrap().into()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.top().join(file)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn nothing_left(self) -> Seen {
        for file in ["in-tmp", "journals"] {
            let mut names = self.lines(file);
            names.retain(|name| name != "filler");
            assert!(names.is_empty(), "{file}: {names:?}: {}", self.outcome);
        }
        self
    }

    /// Names where outputs are, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.top().join("seen")).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != "filler")
            .collect();
        names.sort();
        names
    }

    /// It failed like this; the images of yesterday are there and nothing else.
    #[track_caller]
    pub fn fails(self, texts: &[&str]) -> Outcome {
        assert_eq!(
            self.names(),
            ["image.qcow2", "image.tar"],
            "{}",
            self.outcome
        );
        for name in self.names() {
            let text = fs::read_to_string(self.top().join("seen").join(name)).unwrap();
            assert_eq!(text, OLD, "{}", self.outcome);
        }
        let outcome = self.outcome.failure(1, texts);
        assert!(outcome.stderr.contains("\nhint: "), "{outcome}");
        // Paths are those of the caller.
        assert!(!outcome.stderr.contains("/run/safedib"), "{outcome}");
        outcome
    }

    /// As [`fails`](Seen::fails), and no work was begun.
    #[track_caller]
    pub fn fails_early(self, texts: &[&str]) {
        let outcome = self.fails(texts);
        assert!(!outcome.stdout.contains("Building in "), "{outcome}");
        assert!(!outcome.stdout.contains("dib-run-parts"), "{outcome}");
    }

    /// It ended well.
    #[track_caller]
    pub fn succeeds(self) -> Seen {
        assert_eq!(self.outcome.status, 0, "{}", self.outcome);
        self
    }
}
