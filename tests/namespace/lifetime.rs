//! Nothing is left, however it ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use safedib::appliance::namespace::{probe, start, start_watched, Janitor};
use safedib::appliance::WorkDir;

use crate::environment::{binary, script, spec};

/// Parent and start time of every process.
fn processes() -> BTreeMap<u32, (u32, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
            (fields[0] != "Z").then(|| (pid, (fields[1].parse().unwrap(), fields[19].to_owned())))
        })
        .collect()
}

fn descendants(root: u32) -> BTreeMap<u32, String> {
    let all = processes();
    let mut found = BTreeMap::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, (_, start)) in all.iter().filter(|(_, (of, _))| *of == parent) {
            found.insert(*pid, start.clone());
            parents.push(*pid);
        }
    }
    found
}

#[track_caller]
fn wait_until_gone(gone: &BTreeMap<u32, String>, paths: &[&Path]) {
    let start = Instant::now();
    loop {
        let now = processes();
        let left: Vec<u32> = gone
            .iter()
            .filter(|(pid, start)| now.get(pid).is_some_and(|(_, other)| other == *start))
            .map(|(pid, _)| *pid)
            .collect();
        let there: Vec<&&Path> = paths.iter().filter(|path| path.exists()).collect();
        if left.is_empty() && there.is_empty() {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "left: {left:?} {there:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn with_network() -> safedib::appliance::ApplianceSpec {
    let mut spec = spec();
    spec.network = true;
    spec
}

#[test]
fn ending_kills_everything_and_waits() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let running = start(
        &with_network(),
        &script("sleep 1000 & setsid sleep 1000 & trap '' TERM INT; echo up; sleep 1000"),
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(running.channel())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "up\n");
    let inside = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(inside, mounts, "the host's mounts changed");
    let began = Instant::now();
    assert_eq!(running.end().how, None);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn dropping_is_ending() {
    let marker = format!("10{}", std::process::id());
    let running = start(&spec(), &script(&format!("exec sleep {marker}"))).unwrap();
    let there = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            fs::read(entry.path().join("cmdline"))
                .is_ok_and(|text| text == format!("sleep\0{marker}\0").as_bytes())
        })
    };
    let start = Instant::now();
    while !there() && start.elapsed() < Duration::from_secs(30) {}
    assert!(there());
    drop(running);
    assert!(!there());
}

/// Not a test: the driver that the next tests kill, or have panic when it is told to.
#[test]
#[ignore = "started by another test"]
fn driver_process() {
    let dir = PathBuf::from(std::env::var_os("SAFEDIB_TEST_DIR").unwrap());
    let (mut janitor, trouble) = Janitor::of_build(&binary(), &dir.join("builds"), "test").unwrap();
    assert!(trouble.is_none(), "{trouble:?}");
    let tree = dir.join("tree");
    janitor.add(&tree);
    janitor.add(&dir.join("kept"));
    janitor.forget(&dir.join("kept"));
    fs::create_dir(&tree).unwrap();
    let mut spec = with_network();
    spec.work_dirs = vec![WorkDir {
        path: "/w".into(),
        on_disk: Some(tree),
    }];
    let text =
        "mkdir -p /w/a/b; touch /w/a/b/c; chown -R 33:33 /w/a; chmod 700 /w/a /w/a/b; echo up
                while :; do touch /w/$RANDOM; done";
    let running = start_watched(&spec, &script(text), &mut janitor).unwrap();
    let mut line = String::new();
    BufReader::new(running.channel())
        .read_line(&mut line)
        .unwrap();
    let mut stderr = std::io::stderr();
    writeln!(stderr, "DRIVER {}", line.trim()).unwrap();
    let mut order = String::new();
    std::io::stdin().read_line(&mut order).unwrap();
    assert_ne!(order, "panic\n", "as a defect would");
}

/// A [`driver_process`] whose sandbox runs.
struct Driver {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Janitor, outer process, pid 1, agent, network helper.
    processes: BTreeMap<u32, String>,
}

fn driver(dir: &Path) -> Driver {
    fs::write(dir.join("kept"), "").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "lifetime::driver_process",
            "--nocapture",
        ])
        .env("SAFEDIB_TEST_DIR", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("DRIVER") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0);
    }
    assert_eq!(line, "DRIVER up\n");
    let processes = descendants(child.id());
    assert!(processes.len() >= 5, "{processes:?}");
    Driver {
        child,
        stderr,
        processes,
    }
}

/// A panic unwinds through the guards of sandbox and janitor, which end and
/// remove everything before the process is gone; also without a janitor.
#[test]
fn a_panic_leaves_nothing() {
    // Without a janitor the driver executes its own program to remove trees of
    // subordinate ids, and this program is not safedib; root needs none for that.
    let root = nix::unistd::Uid::effective().is_root();
    for janitor_lives in [true, false].into_iter().filter(|lives| root || *lives) {
        let dir = tempfile::tempdir().unwrap();
        let mut driver = driver(dir.path());
        let tree = dir.path().join("tree");
        assert!(tree.exists());
        let journals = || fs::read_dir(dir.path().join("builds")).unwrap().count();
        assert_eq!(journals(), 1);
        if !janitor_lives {
            let is_janitor = |pid: &&u32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.windows(15).any(|word| word == b"sandbox-janitor")
            };
            let janitor = driver.processes.keys().find(is_janitor).unwrap();
            kill(Pid::from_raw(*janitor as i32), Signal::SIGKILL).unwrap();
        }
        driver
            .child
            .stdin
            .take()
            .unwrap()
            .write_all(b"panic\n")
            .unwrap();
        let mut said = String::new();
        driver.stderr.read_to_string(&mut said).unwrap();
        assert!(said.contains("as a defect would"), "{said}");
        assert_eq!(driver.child.wait().unwrap().code(), Some(101), "{said}");
        wait_until_gone(&driver.processes, &[&tree]);
        assert_eq!(journals(), 0, "the journal stays");
        assert!(dir.path().join("kept").exists());
    }
}

#[test]
fn a_killed_driver_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut driver = driver(dir.path());
    driver.child.kill().unwrap();
    driver.child.wait().unwrap();
    wait_until_gone(&driver.processes, &[&dir.path().join("tree")]);
    assert!(dir.path().join("kept").exists());
}

#[test]
fn the_janitor_removes_what_is_left_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut janitor = Janitor::start(&binary()).unwrap();
    let (tree, kept) = (dir.path().join("tree"), dir.path().join("kept"));
    janitor.add(&tree);
    janitor.add(&kept);
    fs::create_dir(&tree).unwrap();
    fs::create_dir(&kept).unwrap();
    janitor.forget(&kept);
    janitor.finish().unwrap();
    assert!(!tree.exists() && kept.exists());
}

#[test]
fn the_probe_says_that_it_works() {
    let available = probe(&binary()).unwrap();
    assert_eq!(
        available.mapping.is_root(),
        nix::unistd::geteuid().is_root()
    );
}
