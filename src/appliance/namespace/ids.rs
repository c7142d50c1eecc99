//! Which ids of the host the ids inside are: `/etc/subuid`, maps, newuidmap.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::libc;
use nix::unistd::{getegid, geteuid, User};
use serde::{Deserialize, Serialize};

use super::confinement::Confinement;
use super::error::Error;
use super::network::find_program;
use super::running::forbidding_setting;

/// Ids that must exist inside beside 0: up to `nobody`, 65534.
const NEEDED: u32 = 65_534;
/// Ids that exist inside beside 0, at most.
const WANTED: u32 = 65_535;
/// Where root's range starts when `/etc/subuid` gives root none: above what
/// shadow (up to 600100000) and systemd (up to 1879048191) hand out.
const ROOT_BASE: u32 = 2_000_000_000;
/// Below are ids of users (`SUB_UID_MIN` of shadow's login.defs).
const LOWEST: u32 = 100_000;

/// A range of ids of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// First id.
    pub start: u32,
    /// How many.
    pub count: u32,
}

/// How ids inside are ids of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "caller")]
pub enum Mapping {
    /// Inner 0 is the caller, the rest are the caller's subordinate ids.
    User {
        /// The caller's uid.
        uid: u32,
        /// The caller's gid.
        gid: u32,
        /// Host uids behind inner 1 and up.
        uids: Range,
        /// Host gids behind inner 1 and up.
        gids: Range,
    },
    /// The caller is root: inner 0 and up are a range of ids that own nothing.
    Root {
        /// Host uids and gids behind inner 0 and up.
        ids: Range,
    },
}

impl Mapping {
    /// The mapping of the calling process.
    ///
    /// # Errors
    /// [`Error::NoSubordinateIds`] if `/etc/subuid` or `/etc/subgid` gives the caller too few,
    /// and what a container may keep from its callers.
    pub fn of_caller() -> Result<Mapping, Error> {
        let read = |path: &str| fs::read_to_string(Path::new(path)).unwrap_or_default();
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        if let (false, Some(why)) = (uid == 0, Confinement::of_self().no_privilege_to_gain()) {
            return Err(Error::NoPrivilege(why));
        }
        let name = User::from_uid(geteuid())
            .ok()
            .flatten()
            .map(|user| user.name)
            .unwrap_or_else(|| uid.to_string());
        let tables = Tables {
            subuid: &read("/etc/subuid"),
            subgid: &read("/etc/subgid"),
            uid_map: &read("/proc/self/uid_map"),
            gid_map: &read("/proc/self/gid_map"),
        };
        Self::find(uid, gid, &name, &tables).map_err(|error| match error {
            // Where no namespace can be made at all that is the first to mend.
            Error::NoSuchIds { .. } | Error::FewIds { .. } => forbidding_setting().unwrap_or(error),
            other => other,
        })
    }

    /// The mapping of a user who has no subordinate ids: the own ids only.
    pub(super) fn none() -> Mapping {
        let none = Range { start: 0, count: 0 };
        Mapping::User {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            uids: none,
            gids: none,
        }
    }

    fn find(uid: u32, gid: u32, name: &str, tables: &Tables) -> Result<Mapping, Error> {
        if uid == 0 {
            return match root_range(tables) {
                Some(ids) => Ok(Mapping::Root { ids }),
                None => container_root(gid, tables),
            };
        }
        let range = |table: &str, map: &str, file: &'static str| {
            let range = ranges_of(table, name, uid).max_by_key(|range| range.count);
            let enough = range.filter(|range| range.count >= NEEDED);
            let free = first_free(&[tables.subuid, tables.subgid], 100_000);
            let wanted = enough.unwrap_or(Range {
                start: free,
                count: NEEDED,
            });
            if !exists(map, wanted) {
                return Err(Error::NoSuchIds {
                    start: wanted.start,
                });
            }
            match enough {
                Some(range) => Ok(Range {
                    start: range.start,
                    count: range.count.min(WANTED),
                }),
                None => Err(Error::NoSubordinateIds {
                    file,
                    user: name.to_owned(),
                    found: range.map_or(0, |range| range.count),
                    free,
                }),
            }
        };
        Ok(Mapping::User {
            uid,
            gid,
            uids: range(tables.subuid, tables.uid_map, "/etc/subuid")?,
            gids: range(tables.subgid, tables.gid_map, "/etc/subgid")?,
        })
    }

    /// Lines for `/proc/PID/uid_map` and `gid_map` of a child of the caller's namespace.
    pub fn lines(&self) -> (String, String) {
        match self {
            Mapping::User {
                uid,
                gid,
                uids,
                gids,
            } => {
                let line =
                    |own, range: &Range| format!("0 {own} 1\n1 {} {}\n", range.start, range.count);
                (line(uid, uids), line(gid, gids))
            }
            Mapping::Root { ids } => {
                let line = format!("0 {} {}\n", ids.start, ids.count);
                (line.clone(), line)
            }
        }
    }

    /// Lines for the namespace of the hooks, as its parent namespace sees them:
    /// an ordinary user's lies in one that has the ids already.
    pub(super) fn inner_lines(&self) -> (String, String) {
        match self {
            // The kernel wants each line to lie in one line of the parent's map.
            Mapping::User { uids, gids, .. } => (
                format!("0 0 1\n1 1 {}\n", uids.count),
                format!("0 0 1\n1 1 {}\n", gids.count),
            ),
            Mapping::Root { .. } => self.lines(),
        }
    }

    /// Whether the programs are there that write the maps of an ordinary user.
    ///
    /// # Errors
    /// [`Error::NoMapper`].
    pub fn check_mappers(&self) -> Result<(), Error> {
        if geteuid().is_root() {
            return Ok(());
        }
        find_mapper("newuidmap")?;
        find_mapper("newgidmap").map(drop)
    }

    /// The caller is root of the host, not only of a container without ids to spare.
    pub fn is_root(&self) -> bool {
        matches!(self, Mapping::Root { .. })
    }

    /// Gives the user namespace of `pid`, a child of the caller's, its ids.
    ///
    /// # Errors
    /// A missing or failing newuidmap/newgidmap, or a refused write.
    pub(super) fn apply(&self, pid: libc::pid_t) -> Result<(), Error> {
        let (uid_map, gid_map) = self.lines();
        map_ids(pid, &uid_map, &gid_map)
    }
}

/// Writes the id maps of a process in a new user namespace, as root or with the
/// help of newuidmap and newgidmap.
///
/// # Errors
/// The kernel or a mapper refuses, or there is none.
pub fn map_ids(pid: libc::pid_t, uid_map: &str, gid_map: &str) -> Result<(), Error> {
    if geteuid().is_root() {
        return write_maps(pid, uid_map, gid_map).map_err(|source| {
            match Confinement::of_self().lacks_for_maps() {
                lacks if !lacks.is_empty() => Error::MapsRefused { lacks },
                _ => Error::Io {
                    doing: format!("writing the id maps of process {pid}"),
                    source,
                },
            }
        });
    }
    let uids = spawn_mapper("newuidmap", pid, uid_map)?;
    let gids = spawn_mapper("newgidmap", pid, gid_map)?;
    finish_mapper("newuidmap", uids).and(finish_mapper("newgidmap", gids))
}

/// Writes both maps; needs the ids' capabilities in the parent namespace.
pub(super) fn write_maps(pid: libc::pid_t, uid_map: &str, gid_map: &str) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/uid_map"), uid_map)?;
    fs::write(format!("/proc/{pid}/gid_map"), gid_map)
}

fn find_mapper(tool: &'static str) -> Result<PathBuf, Error> {
    find_program(tool).ok_or_else(|| Error::NoMapper {
        tool,
        source: io::Error::from_raw_os_error(libc::ENOENT),
    })
}

fn spawn_mapper(
    tool: &'static str,
    pid: libc::pid_t,
    map: &str,
) -> Result<std::process::Child, Error> {
    Command::new(find_mapper(tool)?)
        .arg(pid.to_string())
        .args(map.split_ascii_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::NoMapper { tool, source })
}

fn finish_mapper(tool: &'static str, child: std::process::Child) -> Result<(), Error> {
    let output = child
        .wait_with_output()
        .map_err(|source| Error::NoMapper { tool, source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::MapperFailed {
        tool,
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// `NAME:START:COUNT` lines of one user, by name or by number.
fn ranges_of<'a>(table: &'a str, name: &'a str, uid: u32) -> impl Iterator<Item = Range> + 'a {
    let number = uid.to_string();
    all_ranges(table)
        .filter(move |(owner, _)| *owner == name || *owner == number)
        .map(|(_, range)| range)
}

fn all_ranges(table: &str) -> impl Iterator<Item = (&str, Range)> {
    table.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let start = fields.next()?.parse().ok()?;
        let count: u32 = fields.next()?.parse().ok()?;
        let whole = u32::checked_add(start, count).is_some();
        (whole && count > 0).then_some((owner, Range { start, count }))
    })
}

/// What the ids of a build are chosen by, as the files' texts.
struct Tables<'a> {
    subuid: &'a str,
    subgid: &'a str,
    /// `/proc/self/uid_map` and `gid_map`: ids that exist for this process.
    uid_map: &'a str,
    gid_map: &'a str,
}

impl Tables<'_> {
    fn have(&self, range: Range) -> bool {
        exists(self.uid_map, range) && exists(self.gid_map, range)
    }
}

/// Whether ids exist in a user namespace. The kernel maps only what lies in one
/// line of its parent's map. A map that cannot be read says nothing.
fn exists(map: &str, range: Range) -> bool {
    map.is_empty() || lines_of(map).any(|line| within(range, line))
}

fn within(range: Range, line: Range) -> bool {
    line.start <= range.start
        && u64::from(range.start) + u64::from(range.count)
            <= u64::from(line.start) + u64::from(line.count)
}

/// The ids that a map's lines give to this side: `inside outside count`.
fn lines_of(map: &str) -> impl Iterator<Item = Range> + '_ {
    map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let start = numbers.next()?.ok()?;
        let count = numbers.nth(1)?.ok()?;
        Some(Range { start, count })
    })
}

/// Root of a container with few ids is an ordinary user outside of it, so inner
/// root is the caller and the rest are the container's others.
fn container_root(gid: u32, tables: &Tables) -> Result<Mapping, Error> {
    let rest = |map: &str| {
        let line = lines_of(map).find(|line| within(Range { start: 1, count: 1 }, *line));
        line.map_or(0, |line| line.start.saturating_add(line.count) - 1)
            .min(WANTED)
    };
    let (uids, gids) = (rest(tables.uid_map), rest(tables.gid_map));
    if uids.min(gids) < NEEDED || gid != 0 {
        return Err(Error::FewIds {
            found: uids.min(gids),
        });
    }
    let ids = |count| Range { start: 1, count };
    Ok(Mapping::User {
        uid: 0,
        gid,
        uids: ids(uids),
        gids: ids(gids),
    })
}

/// One range for both kinds of id: root's own of both files where they hold
/// the same ids, else one that overlaps nobody's. `None` in a container that has
/// none of these.
fn root_range(tables: &Tables) -> Option<Range> {
    let (subuid, subgid) = (tables.subuid, tables.subgid);
    let own = ranges_of(subuid, "root", 0).find(|range| {
        range.count > WANTED
            && ranges_of(subgid, "root", 0).any(|other| {
                other.start <= range.start && other.start + other.count > range.start + WANTED
            })
    });
    let free = |from| first_free(&[subuid, subgid], from);
    let starts = [own.map(|range| range.start)].into_iter().flatten();
    starts
        .chain([free(ROOT_BASE), free(LOWEST)])
        .map(|start| Range {
            start,
            count: WANTED + 1,
        })
        .find(|range| tables.have(*range))
}

/// The first start of 65536 ids at or above `from` that overlaps no range; one
/// below where all of those are taken, as far as there is one.
fn first_free(tables: &[&str], from: u32) -> u32 {
    let at_or_above = |mut start: u32| loop {
        let end = start.checked_add(WANTED + 1)?;
        let clash = tables
            .iter()
            .flat_map(|table| all_ranges(table))
            .find_map(|(_, range)| {
                let next = range.start.checked_add(range.count)?;
                (range.start < end && start < next).then_some(next)
            });
        match clash {
            Some(next) => start = next,
            None => return Some(start),
        }
    };
    at_or_above(from)
        .or_else(|| at_or_above(LOWEST))
        .unwrap_or(from)
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
