//! Merging the hooks of all elements into one tree (upstream `generate_hooks`)
//! and predicting from it which hooks run, in which order (`dib-run-parts`).

mod select;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::{Element, ElementSet, Error, Hook, HookCopy, Origin, Phase};

/// Longest chain of links that the kernel follows.
const MAX_LINKS: usize = 40;

/// The merged hooks tree, not yet made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MergedHooks {
    /// What is copied, in this order: elements by name (upstream: in the hash
    /// order of bash), in each its directories, then its files. Later copies
    /// overwrite equal names where upstream lets them.
    pub copies: Vec<HookCopy>,
    /// First-level directories of the tree, those that stay empty included.
    pub directories: BTreeSet<String>,
    /// Hooks of each phase that has any, in running order. Hooks may still
    /// add others while the build runs.
    pub hooks: BTreeMap<Phase, Vec<Hook>>,
    /// Files of environment.d in the order in which they are sourced.
    pub environment_files: Vec<EnvironmentFile>,
    /// What looks like a hook and is not run as its author may think.
    pub notices: Vec<HookNotice>,
}

/// A file of environment.d.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvironmentFile {
    /// File name.
    pub name: String,
    /// Element that it comes from.
    pub element: String,
    /// Absolute path in the element.
    pub path: PathBuf,
}

/// A warning about a file in a phase's directory; `Display` gives the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookNotice {
    /// Phase whose directory holds it.
    pub phase: Phase,
    /// File name.
    pub name: String,
    /// Element that it comes from.
    pub element: String,
    /// Absolute path in the element.
    pub path: PathBuf,
    /// What is odd about it.
    pub reason: NoticeReason,
}

/// Why a file in a phase's directory is worth a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeReason {
    /// It has a hook's name and cannot be executed: it does not run.
    NotExecutable,
    /// It can be executed and has no hook's name: it does not run.
    BadName,
    /// A link whose target does not come along: it does not run.
    DanglingLink,
    /// It has no `#!` line: bash, which starts the hooks, runs it itself.
    NoShebang,
}

impl fmt::Display for HookNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            NoticeReason::NotExecutable => "does not run: it is not executable (chmod +x it)",
            NoticeReason::BadName => {
                "does not run: only letters, digits, - and _ may stand in its name"
            }
            NoticeReason::DanglingLink => "does not run: it is a link to nothing in the hooks",
            NoticeReason::NoShebang => "has no #! line: bash runs it",
        };
        let directory = self.phase.directory();
        write!(
            f,
            "{directory}/{} of element {} {reason} [{}]",
            self.name,
            self.element,
            self.path.display()
        )
    }
}

/// Computes the merged hooks tree of a build.
///
/// Upstream's rules: the first-level directories of every element except
/// `tests` and `__pycache__` are merged by name, hidden entries in them left
/// out; first-level files except `*.pyc` are copied beside them, equal names
/// overwriting each other. Links count as what they lead to on the first level
/// and are copied as links below it. Names with blanks, on which upstream
/// fails, are copied as any other.
///
/// # Errors
/// [`Error::DuplicateHook`] if a name in a first-level directory is taken by a
/// regular file, or a link to one, of another element;
/// [`Error::DirectoryAndFile`]; [`Error::Unreadable`]; [`Error::NotText`] for a
/// directory whose name is not UTF-8.
pub fn merge(set: &ElementSet) -> Result<MergedHooks, Error> {
    merge_without(set, &[])
}

/// As [`merge`], leaving out what has one of these names in a first-level
/// directory of any element.
///
/// # Errors
/// As [`merge`].
pub fn merge_without(set: &ElementSet, excluded: &[String]) -> Result<MergedHooks, Error> {
    let mut tree = Tree {
        excluded: excluded.to_vec(),
        ..Tree::default()
    };
    for element in &set.elements {
        tree.add_element(element)?;
    }
    let (hooks, notices) = tree.select_hooks()?;
    Ok(MergedHooks {
        hooks,
        notices,
        environment_files: tree.select_environment_files(),
        directories: tree.directories.into_keys().collect(),
        copies: tree.copies,
    })
}

#[derive(Debug, Clone)]
struct Entry {
    origin: Origin,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Link,
}

impl Kind {
    fn of(path: &Path) -> Result<Kind, Error> {
        let file_type = fs::symlink_metadata(path)
            .map_err(Error::unreadable(path))?
            .file_type();
        Ok(if file_type.is_symlink() {
            Kind::Link
        } else if file_type.is_dir() {
            Kind::Directory
        } else {
            Kind::File
        })
    }
}

/// The tree while it is put together. Keys of `entries` are `(directory,
/// name)`; the directory of top-level files is empty. What several elements
/// share has an entry for each.
#[derive(Default)]
struct Tree {
    /// Names that do not come along from first-level directories.
    excluded: Vec<String>,
    copies: Vec<HookCopy>,
    /// First-level directories with the first element that has each.
    directories: BTreeMap<String, Origin>,
    entries: BTreeMap<(String, String), Vec<Entry>>,
}

impl Tree {
    fn add_element(&mut self, element: &Element) -> Result<(), Error> {
        let mut files = Vec::new();
        for path in children(&element.path)? {
            // A broken link on the first level is skipped, as `find -follow` does.
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            let name = lossy_name(&path);
            let origin = Origin {
                element: element.name.clone(),
                path,
            };
            if metadata.is_dir() && name != "tests" && name != "__pycache__" {
                self.add_directory(origin, name)?;
            } else if metadata.is_file() && !name.ends_with(".pyc") {
                files.push((origin, name));
            }
        }
        for (origin, name) in files {
            self.add_top_level_file(origin, name)?;
        }
        Ok(())
    }

    fn add_directory(&mut self, origin: Origin, name: String) -> Result<(), Error> {
        if origin
            .path
            .file_name()
            .is_none_or(|raw| raw != name.as_str())
        {
            return Err(Error::NotText { path: origin.path });
        }
        if let Some(file) = self.last("", &name) {
            let file = file.origin.clone();
            return Err(collision(Path::new(&name), origin, file));
        }
        for path in children(&origin.path)? {
            let child = lossy_name(&path);
            if !child.starts_with('.') && !self.excluded.contains(&child) {
                let element = origin.element.clone();
                self.add_entry(Origin { element, path }, &name, child)?;
            }
        }
        self.directories.entry(name).or_insert(origin);
        Ok(())
    }

    fn add_entry(&mut self, origin: Origin, directory: &str, name: String) -> Result<(), Error> {
        let kind = Kind::of(&origin.path)?;
        if let Some(old) = self.last(directory, &name) {
            let is_file = match old.kind {
                Kind::File => true,
                Kind::Directory => false,
                // Whether it resolves in the tree depends on what was copied
                // before; upstream's order is random, so both count.
                Kind::Link => old.origin.path.is_file() || self.resolve(directory, &name).is_some(),
            };
            if is_file {
                return Err(Error::DuplicateHook {
                    directory: directory.to_owned(),
                    name,
                    first: Box::new(old.origin.clone()),
                    second: Box::new(origin),
                });
            }
            if old.kind == Kind::Directory && kind != Kind::Directory {
                let path = Path::new(directory).join(&name);
                return Err(collision(&path, old.origin.clone(), origin));
            }
        }
        self.push(origin, kind, directory, name);
        Ok(())
    }

    fn add_top_level_file(&mut self, origin: Origin, name: String) -> Result<(), Error> {
        if let Some(directory) = self.directories.get(&name) {
            return Err(collision(Path::new(&name), directory.clone(), origin));
        }
        let kind = Kind::of(&origin.path)?;
        self.push(origin, kind, "", name);
        Ok(())
    }

    fn push(&mut self, origin: Origin, kind: Kind, directory: &str, name: String) {
        self.copies.push(HookCopy {
            element: origin.element.clone(),
            source: origin.path.clone(),
            directory: directory.to_owned(),
        });
        self.entries
            .entry((directory.to_owned(), name))
            .or_default()
            .push(Entry { origin, kind });
    }

    fn last(&self, directory: &str, name: &str) -> Option<&Entry> {
        self.entries
            .get(&(directory.to_owned(), name.to_owned()))
            .and_then(|entries| entries.last())
    }

    /// The regular file, in an element or elsewhere, that an entry will be or
    /// lead to once the tree is made.
    fn resolve(&self, directory: &str, name: &str) -> Option<PathBuf> {
        let mut place = vec![directory.to_owned(), name.to_owned()];
        for _ in 0..MAX_LINKS {
            place.retain(|part| !part.is_empty());
            let (directory, name, rest) = match place.as_slice() {
                [name] => ("", name, &[][..]),
                [directory, name, rest @ ..] => (directory.as_str(), name, rest),
                [] => return None,
            };
            let entries = self.entries.get(&(directory.to_owned(), name.clone()))?;
            if !rest.is_empty() {
                let rest: PathBuf = rest.iter().collect();
                let mut found = entries
                    .iter()
                    .rev()
                    .map(|entry| entry.origin.path.join(&rest));
                return found.find(|path| path.is_file());
            }
            let entry = entries.last()?;
            if entry.kind != Kind::Link {
                return entry
                    .origin
                    .path
                    .is_file()
                    .then(|| entry.origin.path.clone());
            }
            let target = fs::read_link(&entry.origin.path).ok()?;
            if target.is_absolute() {
                return target.is_file().then_some(target);
            }
            place = follow(directory, &target)?;
        }
        None
    }

    /// Names and the elements of what lies in a first-level directory.
    fn listing(&self, directory: &str) -> impl Iterator<Item = (&String, &Entry)> {
        let from = (directory.to_owned(), String::new());
        self.entries
            .range(from..)
            .take_while({
                let directory = directory.to_owned();
                move |((place, _), _)| *place == directory
            })
            .filter_map(|((_, name), entries)| Some((name, entries.last()?)))
    }
}

/// Where a relative link in `directory` of the tree leads, as names from the
/// top; none if out of the tree.
fn follow(directory: &str, target: &Path) -> Option<Vec<String>> {
    let mut place = vec![directory.to_owned()];
    place.retain(|part| !part.is_empty());
    for component in target.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                place.pop()?;
            }
            Component::Normal(name) => place.push(name.to_string_lossy().into_owned()),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(place)
}

fn collision(path: &Path, directory: Origin, file: Origin) -> Error {
    Error::DirectoryAndFile {
        path: path.to_path_buf(),
        directory: Box::new(directory),
        file: Box::new(file),
    }
}

/// What lies in a directory, sorted by name.
fn children(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut children = fs::read_dir(path)
        .and_then(|items| {
            items
                .map(|item| Ok(item?.path()))
                .collect::<io::Result<Vec<_>>>()
        })
        .map_err(Error::unreadable(path))?;
    children.sort();
    Ok(children)
}

fn lossy_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
