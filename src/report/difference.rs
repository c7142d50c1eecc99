//! What differs between two builds, by their reports.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::build_report::{BuildReport, State};
use super::tidy::shown;
use crate::protocol::{Package, Space};

/// Most rows of a list that is sorted by how much they differ.
const MAX_ROWS: usize = 25;
/// Hooks that differ by less than this are not told, seconds.
const LEAST_SECONDS: f64 = 0.5;
/// Directories that differ by less than this part of the larger tree are not told.
const LEAST_PART: u64 = 1000;

/// What differs from an earlier build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Difference {
    /// File of the earlier report.
    pub against: String,
    /// When that build began.
    pub began: String,
    /// How it ended.
    pub state: State,
    /// Seconds that the builds took.
    pub seconds: Change<f64>,
    /// Bytes of all files in the target.
    pub bytes: Option<Change<u64>>,
    /// Files in the target.
    pub files: Option<Change<u64>>,
    /// Outputs of the same format, by length in bytes.
    pub outputs: Vec<Named<u64>>,
    /// Seconds of phases that have hooks in both.
    pub phases: Vec<Named<f64>>,
    /// Hooks that ran in both, and took at least half a second more or less.
    pub hooks: Vec<Named<f64>>,
    /// Directories and large files, by what they take in bytes; 0: not told there.
    pub space: Vec<Named<u64>>,
    /// Elements that are new.
    pub elements_added: Vec<String>,
    /// Elements that are gone.
    pub elements_removed: Vec<String>,
    /// Packages, if both reports know them.
    pub packages: Option<PackageChanges>,
    /// Warnings that are new.
    pub warnings_added: Vec<String>,
}

/// Then and now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Change<T> {
    /// In the earlier build.
    pub old: T,
    /// In this one.
    pub new: T,
}

/// Something with a name, then and now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Named<T> {
    /// What.
    pub name: String,
    /// In the earlier build.
    pub old: T,
    /// In this one.
    pub new: T,
}

/// Packages that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PackageChanges {
    /// New ones, with their versions.
    pub added: Vec<(String, String)>,
    /// Gone, with the versions that they had.
    pub removed: Vec<(String, String)>,
    /// Of another version: the earlier one, and this one.
    pub changed: Vec<(String, String, String)>,
}

impl Difference {
    /// Compares a build with an earlier one; `against` is the file of its report.
    pub fn between(old: &BuildReport, new: &BuildReport, against: &str) -> Difference {
        let content = old.content.as_ref().zip(new.content.as_ref());
        Difference {
            against: shown(against, 4096),
            began: old.image.began.clone(),
            state: old.outcome.state,
            seconds: Change {
                old: old.image.seconds,
                new: new.image.seconds,
            },
            bytes: content.map(|(old, new)| Change {
                old: old.tree.bytes,
                new: new.tree.bytes,
            }),
            files: content.map(|(old, new)| Change {
                old: old.files,
                new: new.files,
            }),
            outputs: outputs(old, new),
            phases: phases(old, new),
            hooks: hooks(old, new),
            space: content
                .map(|(old, new)| space(&old.tree, &new.tree))
                .unwrap_or_default(),
            elements_added: without(&elements(new), &elements(old)),
            elements_removed: without(&elements(old), &elements(new)),
            packages: content
                .filter(|(old, new)| old.manager.is_some() && old.manager == new.manager)
                .map(|(old, new)| packages(&old.packages, &new.packages)),
            warnings_added: without(&set(&new.warnings), &set(&old.warnings)),
        }
    }
}

fn set(list: &[String]) -> BTreeSet<&str> {
    list.iter().map(String::as_str).collect()
}

fn elements(report: &BuildReport) -> BTreeSet<&str> {
    let elements = report.elements.iter();
    elements.map(|element| element.name.as_str()).collect()
}

fn without(these: &BTreeSet<&str>, those: &BTreeSet<&str>) -> Vec<String> {
    these
        .difference(those)
        .map(|name| (*name).to_owned())
        .collect()
}

fn outputs(old: &BuildReport, new: &BuildReport) -> Vec<Named<u64>> {
    let same = |format: &str| old.outputs.iter().find(|output| output.format == format);
    let of_hooks = |format: &str| format == "hook";
    new.outputs
        .iter()
        .filter(|output| !of_hooks(&output.format))
        .filter_map(|output| {
            Some(Named {
                name: output.format.clone(),
                old: same(&output.format)?.bytes,
                new: output.bytes,
            })
        })
        .collect()
}

fn phases(old: &BuildReport, new: &BuildReport) -> Vec<Named<f64>> {
    let before: BTreeMap<&str, f64> = old.phases().into_iter().collect();
    let both = new.phases().into_iter().filter_map(|(phase, seconds)| {
        Some(Named {
            name: phase.to_owned(),
            old: *before.get(phase)?,
            new: seconds,
        })
    });
    both.collect()
}

fn hooks(old: &BuildReport, new: &BuildReport) -> Vec<Named<f64>> {
    let key = |phase: &Option<String>, name: &str| {
        format!("{}.d/{name}", phase.as_deref().unwrap_or_default())
    };
    let before: BTreeMap<String, f64> = old
        .hooks()
        .filter(|hook| hook.ended)
        .map(|hook| (key(&hook.phase, &hook.name), hook.seconds))
        .collect();
    let mut rows: Vec<Named<f64>> = new
        .hooks()
        .filter(|hook| hook.ended)
        .filter_map(|hook| {
            let name = key(&hook.phase, &hook.name);
            Some(Named {
                old: *before.get(&name)?,
                new: hook.seconds,
                name,
            })
        })
        .filter(|row| (row.new - row.old).abs() >= LEAST_SECONDS)
        .collect();
    rows.sort_by(|a, b| (b.new - b.old).abs().total_cmp(&(a.new - a.old).abs()));
    rows.truncate(MAX_ROWS);
    rows
}

/// The places that differ most, the innermost ones that tell of it: a directory of
/// which one thing accounts for the difference is not told beside that thing.
fn space(old: &Space, new: &Space) -> Vec<Named<u64>> {
    let least = old.bytes.max(new.bytes) / LEAST_PART;
    let mut rows = Vec::new();
    compare(Some(old), Some(new), "", least.max(1), &mut rows);
    rows.sort_by_key(|row| std::cmp::Reverse(row.new.abs_diff(row.old)));
    rows.truncate(MAX_ROWS);
    rows
}

fn compare(
    old: Option<&Space>,
    new: Option<&Space>,
    path: &str,
    least: u64,
    rows: &mut Vec<Named<u64>>,
) {
    let bytes = |space: Option<&Space>| space.map_or(0, |space| space.bytes);
    let (before, after) = (bytes(old), bytes(new));
    // Where sizes are the same files can still have moved within.
    if before.max(after) < least {
        return;
    }
    let children = |space: Option<&Space>| -> BTreeMap<String, Space> {
        let children = space.map(|space| space.children.as_slice());
        let children = children.unwrap_or_default().iter();
        children
            .map(|child| (child.name.clone(), child.clone()))
            .collect()
    };
    let (olds, news) = match (old, new) {
        (Some(_), Some(_)) => (children(old), children(new)),
        // What is new or gone as a whole is one row.
        _ => Default::default(),
    };
    let names: BTreeSet<&String> = olds.keys().chain(news.keys()).collect();
    let first = rows.len();
    for name in names {
        let (then, now) = (olds.get(name), news.get(name));
        // It may have been there, among what was too small to be told.
        let untold = match (then, now) {
            (None, Some(now)) => now.bytes <= rest(old),
            (Some(then), None) => then.bytes <= rest(new),
            _ => false,
        };
        if !untold {
            compare(then, now, &format!("{path}/{name}"), least, rows);
        }
    }
    let told: i128 = rows[first..]
        .iter()
        .map(|row| i128::from(row.new) - i128::from(row.old))
        .sum();
    let differs = i128::from(after) - i128::from(before);
    if (differs - told).unsigned_abs() >= u128::from(least) {
        rows.push(Named {
            name: match path {
                "" => "/".to_owned(),
                path => path.to_owned(),
            },
            old: before,
            new: after,
        });
    }
}

/// What is in a directory and not told by itself.
fn rest(space: Option<&Space>) -> u64 {
    space.map_or(0, |space| {
        let children = space.children.iter();
        let told = children.fold(0u64, |sum, child| sum.saturating_add(child.bytes));
        space.bytes.saturating_sub(told)
    })
}

fn packages(old: &[Package], new: &[Package]) -> PackageChanges {
    let by_name = |list: &[Package]| -> BTreeMap<String, BTreeSet<String>> {
        let mut map: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for package in list {
            let versions = map.entry(package.name.clone()).or_default();
            versions.insert(match &package.epoch {
                Some(epoch) => format!("{epoch}:{}", package.version),
                None => package.version.clone(),
            });
        }
        map
    };
    let text = |versions: &BTreeSet<String>| {
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        versions.join(", ")
    };
    let (olds, news) = (by_name(old), by_name(new));
    let only = |these: &BTreeMap<String, BTreeSet<String>>,
                those: &BTreeMap<String, BTreeSet<String>>| {
        these
            .iter()
            .filter(|(name, _)| !those.contains_key(*name))
            .map(|(name, versions)| (name.clone(), text(versions)))
            .collect()
    };
    PackageChanges {
        added: only(&news, &olds),
        removed: only(&olds, &news),
        changed: news
            .iter()
            .filter_map(|(name, versions)| {
                let before = olds.get(name).filter(|before| *before != versions)?;
                Some((name.clone(), text(before), text(versions)))
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Inventory, Manager};
    use crate::report::build_report::{ElementFacts, Event, EventKind, OutputFacts};

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            ..Package::default()
        }
    }

    fn space_of(name: &str, bytes: u64, children: Vec<Space>) -> Space {
        Space {
            name: name.into(),
            bytes,
            directory: true,
            children,
            ..Space::default()
        }
    }

    fn report(seconds: f64, usr: u64, packages: Vec<Package>) -> BuildReport {
        let hook = |name: &str, seconds| Event {
            kind: EventKind::Hook,
            name: name.into(),
            phase: Some("install".into()),
            seconds,
            ended: true,
            ..Event::default()
        };
        let etc = space_of("etc", 1000, Vec::new());
        let large = space_of("large", usr, Vec::new());
        let usr = space_of("usr", usr + 500, vec![large]);
        BuildReport {
            timeline: vec![hook("10-slow", seconds), hook("20-same", 1.0)],
            outputs: vec![OutputFacts {
                format: "tar".into(),
                bytes: usr.bytes,
                ..OutputFacts::default()
            }],
            content: Some(Inventory {
                tree: space_of("", usr.bytes + 1000, vec![usr, etc]),
                manager: Some(Manager::Dpkg),
                packages,
                ..Inventory::default()
            }),
            ..BuildReport::default()
        }
    }

    #[test]
    fn what_differs_is_told_and_nothing_else() {
        let old = report(1.0, 100_000, vec![package("a", "1"), package("b", "1")]);
        let mut new = report(9.0, 300_000, vec![package("a", "2"), package("c", "1")]);
        new.elements.push(ElementFacts {
            name: "more".into(),
            ..ElementFacts::default()
        });
        new.warnings.push("careful".into());
        let difference = Difference::between(&old, &new, "old.json");
        let packages = difference.packages.unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(packages.added, [pair("c", "1")]);
        assert_eq!(packages.removed, [pair("b", "1")]);
        assert_eq!(packages.changed, [("a".into(), "1".into(), "2".into())]);
        let hooks: Vec<&str> = difference.hooks.iter().map(|row| &*row.name).collect();
        assert_eq!(hooks, ["install.d/10-slow"]);
        let space: Vec<&str> = difference.space.iter().map(|row| &*row.name).collect();
        assert_eq!(space, ["/usr/large"]);
        assert_eq!(difference.elements_added, ["more"]);
        assert!(difference.elements_removed.is_empty());
        assert_eq!(difference.warnings_added, ["careful"]);
        assert_eq!(
            (difference.outputs[0].old, difference.outputs[0].new),
            (100_500, 300_500)
        );
        assert_eq!(difference.phases[0].new, 10.0);
        let same = Difference::between(&old, &old, "old.json");
        assert!(same.space.is_empty() && same.hooks.is_empty());
        assert_eq!(same.packages, Some(PackageChanges::default()));
    }

    #[test]
    fn a_directory_that_is_new_is_one_row() {
        let old = space_of("", 1000, vec![space_of("etc", 1000, Vec::new())]);
        let opt = space_of("opt", 5000, vec![space_of("x", 4000, Vec::new())]);
        let new = space_of("", 6000, vec![opt, space_of("etc", 1000, Vec::new())]);
        let rows = space(&old, &new);
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (&*rows[0].name, rows[0].old, rows[0].new),
            ("/opt", 0, 5000)
        );
    }

    #[test]
    fn builds_that_failed_can_be_compared() {
        let failed = BuildReport::default();
        let difference = Difference::between(&failed, &report(1.0, 1, Vec::new()), "x");
        assert_eq!((difference.bytes, difference.packages), (None, None));
    }
}
