//! Memory: how much a build may use, and whether it ran out of that. A container
//! or a batch job has a cgroup with less than the host has.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Syntax;

/// Where the kernel accounts for the memory of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    directory: PathBuf,
    /// The uppermost directory that can be seen.
    top: PathBuf,
    /// Of the unified hierarchy (cgroup v2).
    unified: bool,
}

/// What a process is allowed: KiB of memory, swap not counted.
pub(super) fn total_kib() -> Option<u64> {
    let host = fs::read_to_string("/proc/meminfo").ok();
    let host = host.and_then(|text| of_host_kib(&text))?;
    let limit = Group::of_self().and_then(|group| group.limit());
    Some(host.min(limit.map_or(host, |bytes| bytes / 1024)))
}

fn of_host_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Counts the processes that the kernel kills for want of memory.
pub(super) struct Watch {
    group: Option<Group>,
    before: u64,
}

impl Watch {
    /// Begins to count.
    pub(super) fn begin() -> Watch {
        let group = Group::of_self();
        let before = group.as_ref().and_then(Group::kills).unwrap_or(0);
        Watch { group, before }
    }

    /// What happened, and what to change, if the kernel has killed a process.
    pub(super) fn explain(&self) -> Option<(String, String)> {
        let group = self.group.as_ref()?;
        if group.kills()? <= self.before {
            return None;
        }
        let limit = match group.limit() {
            Some(bytes) => format!("more than the {} MiB of its cgroup", bytes >> 20),
            None => "more memory than there is".to_owned(),
        };
        let more = "give it more memory (Kubernetes: resources.limits.memory)";
        let hint = match Syntax::spoken() {
            Syntax::DiskImageCreate => format!("{more}, or set DIB_NO_TMPFS=1 to build on disk"),
            Syntax::VirtDib => more.to_owned(),
        };
        let what = format!("the kernel has killed a process of this build, which needed {limit}");
        Some((what, hint))
    }
}

impl Group {
    fn of_self() -> Option<Group> {
        let read = |name: &str| fs::read_to_string(Path::new("/proc/self").join(name)).ok();
        Group::find(&read("cgroup")?, &read("mountinfo")?)
    }

    /// That of the memory controller: of a hierarchy of its own, if it has one.
    fn find(cgroup: &str, mountinfo: &str) -> Option<Group> {
        let path_of = |wanted: &dyn Fn(&str) -> bool| {
            cgroup.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                wanted(controllers).then(|| PathBuf::from(path))
            })
        };
        let own = |controllers: &str| controllers.split(',').any(|name| name == "memory");
        let (path, unified) = match path_of(&own) {
            Some(path) => (path, false),
            None => (path_of(&|controllers| controllers.is_empty())?, true),
        };
        mountinfo.lines().find_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let mut mount = mount.split(' ').skip(3);
            let (root, top) = (mount.next()?, Path::new(mount.next()?));
            let mut filesystem = filesystem.split(' ');
            let of_kind = match (filesystem.next()?, unified) {
                ("cgroup2", true) => true,
                ("cgroup", false) => own(filesystem.nth(1)?),
                _ => false,
            };
            // Of a cgroup that lies outside of what is mounted nothing can be seen.
            let below = path.strip_prefix(root).ok().filter(|_| of_kind)?;
            Some(Group {
                directory: top.join(below),
                top: top.to_owned(),
                unified,
            })
        })
    }

    fn read(&self, directory: &Path, name: &str) -> Option<String> {
        fs::read_to_string(directory.join(name)).ok()
    }

    /// The lowest limit that holds for it, bytes.
    fn limit(&self) -> Option<u64> {
        if !self.unified {
            let text = self.read(&self.directory, "memory.stat")?;
            return number_of(&text, "hierarchical_memory_limit");
        }
        let above = self.directory.ancestors();
        let seen = above.take_while(|directory| directory.starts_with(&self.top));
        seen.filter_map(|directory| self.read(directory, "memory.max"))
            .filter_map(|text| text.trim().parse().ok())
            .min()
    }

    /// How many processes of it the kernel has killed for want of memory.
    fn kills(&self) -> Option<u64> {
        let name = match self.unified {
            true => "memory.events",
            false => "memory.oom_control",
        };
        number_of(&self.read(&self.directory, name)?, "oom_kill")
    }
}

/// The number behind a name at a line's begin.
fn number_of(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_kib() {
        let text = "MemTotal:       24684092 kB\nMemFree: 1 kB\n";
        assert_eq!(of_host_kib(text), Some(24_684_092));
        assert_eq!(of_host_kib("nothing"), None);
        assert!(total_kib().is_some());
    }

    fn found(cgroup: &str, mountinfo: &str) -> Option<(String, bool)> {
        let group = Group::find(cgroup, mountinfo)?;
        Some((group.directory.display().to_string(), group.unified))
    }

    #[test]
    fn the_cgroup_is_found_in_both_kinds_of_hierarchy() {
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let v1 = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let pod = "9 8 0:26 /kubepods/p1 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        let at = |path: &str, unified| Some((path.to_owned(), unified));
        assert_eq!(found("0::/a/b\n", v2), at("/sys/fs/cgroup/a/b", true));
        assert_eq!(found("0::/\n", v2), at("/sys/fs/cgroup/", true));
        let hybrid = "5:cpu:/\n4:memory:/x\n0::/\n";
        assert_eq!(found(hybrid, v1), at("/sys/fs/cgroup/memory/x", false));
        assert_eq!(
            found("0::/kubepods/p1/c\n", pod),
            at("/sys/fs/cgroup/c", true)
        );
        assert_eq!(found("0::/elsewhere\n", pod), None);
        assert_eq!(found("", v2), None);
    }

    /// Both ways of the kernel to write what is counted.
    #[test]
    fn limits_and_kills_are_read() {
        let top = tempfile::tempdir().unwrap();
        let below = top.path().join("job");
        fs::create_dir(&below).unwrap();
        let write = |directory: &Path, name: &str, text: &str| {
            fs::write(directory.join(name), text).unwrap();
        };
        let group = |unified| Group {
            directory: below.clone(),
            top: top.path().to_owned(),
            unified,
        };
        write(top.path(), "memory.max", "1073741824\n");
        write(&below, "memory.max", "max\n");
        write(
            &below,
            "memory.events",
            "oom 3\noom_kill 2\noom_group_kill 0\n",
        );
        assert_eq!(group(true).limit(), Some(1 << 30));
        assert_eq!(group(true).kills(), Some(2));
        write(
            &below,
            "memory.stat",
            "rss 1\nhierarchical_memory_limit 4096\n",
        );
        write(
            &below,
            "memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
        );
        assert_eq!(group(false).limit(), Some(4096));
        assert_eq!(group(false).kills(), Some(7));
        let watch = |before| Watch {
            group: Some(group(true)),
            before,
        };
        assert_eq!(watch(2).explain(), None);
        let (what, hint) = watch(1).explain().unwrap();
        assert!(what.contains("the 1024 MiB of its cgroup"), "{what}");
        assert!(hint.contains("limits.memory"), "{hint}");
    }
}
