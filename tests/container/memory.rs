//! A cgroup with less memory than the host, as a pod's limit makes one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Run;
use crate::{build, can_confine, give_all, user};

const LIMIT: u64 = 400 << 20;
/// tail keeps what it reads until a line ends.
const TAKES: &str = "#!/bin/bash\nhead -c 2G /dev/zero | tail >/dev/null\n";

/// A cgroup below that of the tests, removed in the end.
struct Group(PathBuf);

impl Group {
    /// `None` where none can limit memory.
    fn with_limit() -> Option<Group> {
        let name = format!("safedib-test-{}", std::process::id());
        let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap();
        let of_v1 = cgroups.lines().find_map(|line| line.split_once(":memory:"));
        let (parent, file) = match of_v1 {
            Some((_, path)) => {
                let below = path.trim_start_matches('/');
                (
                    Path::new("/sys/fs/cgroup/memory").join(below),
                    "memory.limit_in_bytes",
                )
            }
            None => ("/sys/fs/cgroup".into(), "memory.max"),
        };
        let group = Group(parent.join(name));
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join(file), LIMIT.to_string()).ok()?;
        Some(group)
    }

    /// Puts the command of a run there.
    fn hold(&self, run: Run) -> Run {
        let procs = self.0.join("cgroup.procs");
        run.through_shell(&format!("echo $$ >{}", procs.display()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has just ended may still be counted.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn a_build_heeds_the_limit_of_its_cgroup_and_tells_when_it_was_too_low() {
    if !can_confine() {
        return;
    }
    let Some(group) = Group::with_limit() else {
        let ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!ci, "no cgroup here can limit memory");
        eprintln!("no cgroup here can limit memory: not tested");
        return;
    };
    let ordinary = |run: Run| {
        give_all(&run, user());
        let id = user();
        let words = [format!("--reuid={id}"), format!("--regid={id}")];
        let run = group.hold(run);
        run.through(&["setpriv", &words[0], &words[1], "--init-groups"])
    };
    let outcome = ordinary(build("tar")).run().success();
    assert!(
        outcome.stdout.contains("Not enough RAM to use tmpfs"),
        "{outcome}"
    );
    let takes = build("tar")
        .element_file("takes", "install.d/50-take", TAKES)
        .args(["takes"]);
    let outcome = ordinary(takes).run();
    let outcome = outcome.leaves(&[]);
    assert_ne!(outcome.status, 0, "{outcome}");
    for text in [
        "50-take",
        "the 400 MiB of its cgroup",
        "resources.limits.memory",
    ] {
        assert!(outcome.stderr.contains(text), "no {text:?} in {outcome}");
    }
}
