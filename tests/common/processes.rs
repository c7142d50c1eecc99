//! Which processes a build has, and whether they are gone.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Processes by number: parent, start time, command line.
fn processes() -> BTreeMap<i32, (i32, String, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let parent = fields[1].parse().ok()?;
            (fields[0] != "Z").then(|| (pid, (parent, fields[19].to_owned(), command)))
        })
        .collect()
}

/// Everything that was started below a process: number to start time and command.
pub fn descendants(root: i32) -> BTreeMap<i32, (String, String)> {
    let all = processes();
    let mut found = BTreeMap::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, (_, start, command)) in all.iter().filter(|(_, process)| process.0 == parent) {
            found.insert(*pid, (start.clone(), command.clone()));
            parents.push(*pid);
        }
    }
    found
}

/// Fails if one of these is still there after a while.
pub fn wait_until_gone(gone: &BTreeMap<i32, (String, String)>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let now = processes();
        let left: Vec<_> = gone
            .iter()
            .filter(|(pid, (start, _))| now.get(pid).is_some_and(|other| other.1 == *start))
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
