//! Which ids of the host the ids inside are: `/etc/subuid`, maps, newuidmap.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::libc;
use nix::unistd::{getegid, geteuid, User};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::network::find_program;

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
    /// [`Error::NoSubordinateIds`] if `/etc/subuid` or `/etc/subgid` gives the caller too few.
    pub fn of_caller() -> Result<Mapping, Error> {
        let read = |path: &str| fs::read_to_string(Path::new(path)).unwrap_or_default();
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let name = User::from_uid(geteuid())
            .ok()
            .flatten()
            .map(|user| user.name)
            .unwrap_or_else(|| uid.to_string());
        Self::find(uid, gid, &name, &read("/etc/subuid"), &read("/etc/subgid"))
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

    fn find(uid: u32, gid: u32, name: &str, subuid: &str, subgid: &str) -> Result<Mapping, Error> {
        if uid == 0 {
            return Ok(Mapping::Root {
                ids: root_range(subuid, subgid),
            });
        }
        let range = |table: &str, file: &'static str| {
            let range = ranges_of(table, name, uid).max_by_key(|range| range.count);
            match range {
                Some(range) if range.count >= NEEDED => Ok(Range {
                    start: range.start,
                    count: range.count.min(WANTED),
                }),
                other => Err(Error::NoSubordinateIds {
                    file,
                    user: name.to_owned(),
                    found: other.map_or(0, |range| range.count),
                    free: first_free(&[subuid, subgid], 100_000),
                }),
            }
        };
        Ok(Mapping::User {
            uid,
            gid,
            uids: range(subuid, "/etc/subuid")?,
            gids: range(subgid, "/etc/subgid")?,
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
        if self.is_root() {
            return Ok(());
        }
        find_mapper("newuidmap")?;
        find_mapper("newgidmap").map(drop)
    }

    /// The caller is root of the host.
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
        return write_maps(pid, uid_map, gid_map).map_err(|source| Error::Io {
            doing: format!("writing the id maps of process {pid}"),
            source,
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

/// One range for both kinds of id: root's own of both files where they hold
/// the same ids, else one that overlaps nobody's.
fn root_range(subuid: &str, subgid: &str) -> Range {
    let own = ranges_of(subuid, "root", 0).find(|range| {
        range.count > WANTED
            && ranges_of(subgid, "root", 0).any(|other| {
                other.start <= range.start && other.start + other.count > range.start + WANTED
            })
    });
    Range {
        start: own.map_or_else(
            || first_free(&[subuid, subgid], ROOT_BASE),
            |range| range.start,
        ),
        count: WANTED + 1,
    }
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
mod tests {
    use super::*;

    #[test]
    fn a_users_ids_come_by_name_or_number() {
        for table in [
            "u:100000:65536\n",
            "1000:100000:65535\n",
            "v:1:9\nu:5:7\nu:100000:65536\n",
        ] {
            let mapping = Mapping::find(1000, 1000, "u", table, "u:200000:65534").unwrap();
            let (uids, gids) = mapping.lines();
            assert_eq!(uids, "0 1000 1\n1 100000 65535\n", "{table}");
            assert_eq!(gids, "0 1000 1\n1 200000 65534\n");
            assert_eq!(mapping.inner_lines().0, "0 0 1\n1 1 65535\n");
        }
    }

    #[test]
    fn too_few_ids_name_the_command() {
        use crate::error::Explain;
        let error = Mapping::find(1000, 1000, "u", "v:100000:65536\nu:1:1000\n", "").unwrap_err();
        let Error::NoSubordinateIds { found, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*found, 1000);
        assert!(error
            .hint()
            .unwrap()
            .contains("usermod --add-subuids 165536-231071 --add-subgids 165536-231071 u"));
    }

    #[test]
    fn root_gets_ids_that_own_nothing() {
        let mapping =
            |uids: &str, gids: &str| Mapping::find(0, 0, "root", uids, gids).unwrap().lines().0;
        assert_eq!(mapping("", ""), "0 2000000000 65536\n");
        assert_eq!(
            mapping("root:300000:65536", "root:300000:65536"),
            "0 300000 65536\n"
        );
        assert_eq!(
            mapping("root:300000:65536", "root:9:65536"),
            "0 2000000000 65536\n"
        );
        assert_eq!(mapping("x:2000000100:5", ""), "0 2000000105 65536\n");
    }

    #[test]
    fn ids_given_away_up_to_the_last_leave_those_below() {
        let mapping =
            |uids: &str, gids: &str| Mapping::find(0, 0, "root", uids, gids).unwrap().lines().0;
        let rest = "x:2000000000:2294967295\n";
        assert_eq!(mapping(rest, ""), "0 100000 65536\n");
        assert_eq!(
            mapping("x:4294960000:10\ny:2000000000:2294900000", "z:100000:7"),
            "0 100007 65536\n"
        );
        for odd in [
            "x:0:4294967295",
            "x:4294967295:4294967295",
            "::",
            "x:-1:5\nx:1",
            "x:1:18446744073709551616",
        ] {
            assert!(mapping(odd, odd).ends_with(" 65536\n"), "{odd}");
            assert!(Mapping::find(1000, 1000, "x", odd, "").is_err(), "{odd}");
        }
    }
}
