//! Merging the hooks of all elements into one tree (upstream `generate_hooks`)
//! and predicting from it which hooks run, in which order (`dib-run-parts`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::order::{compare_environment_files, compare_hooks, is_environment_name, is_hook_name};
use super::{Element, ElementSet, Error, Hook};
use crate::plan::{HookCopy, Phase};

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
    let mut tree = Tree::default();
    for element in &set.elements {
        tree.add_element(element)?;
    }
    tree.select_hooks()?;
    tree.select_environment_files()?;
    Ok(tree.merged)
}

#[derive(Debug, Clone)]
struct Entry {
    element: String,
    path: PathBuf,
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
            .map_err(|source| unreadable(path, source))?
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

/// The tree while it is put together. Keys are `(directory, name)`; the
/// directory of top-level files is empty. Directories that several elements
/// share have an entry each.
#[derive(Default)]
struct Tree {
    merged: MergedHooks,
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
            if metadata.is_dir() && name != "tests" && name != "__pycache__" {
                if path.file_name().and_then(|name| name.to_str()).is_none() {
                    return Err(Error::NotText { path });
                }
                self.add_directory(element, &path, &name)?;
            } else if metadata.is_file() && !name.ends_with(".pyc") {
                files.push(path);
            }
        }
        for path in files {
            self.add_top_level_file(element, path)?;
        }
        Ok(())
    }

    fn add_directory(&mut self, element: &Element, path: &Path, name: &str) -> Result<(), Error> {
        if let Some(file) = self.last("", name) {
            return Err(collision(
                "",
                name,
                (&element.name, path),
                (&file.element, &file.path),
            ));
        }
        self.merged.directories.insert(name.to_owned());
        for path in children(path)? {
            if !lossy_name(&path).starts_with('.') {
                self.add_entry(element, path, name)?;
            }
        }
        Ok(())
    }

    fn add_entry(
        &mut self,
        element: &Element,
        path: PathBuf,
        directory: &str,
    ) -> Result<(), Error> {
        let name = lossy_name(&path);
        let kind = Kind::of(&path)?;
        if let Some(old) = self.last(directory, &name) {
            let is_file = match old.kind {
                Kind::File => true,
                Kind::Directory => false,
                // Whether it resolves in the tree depends on what was copied
                // before; upstream's order is random, so both count.
                Kind::Link => old.path.is_file() || self.resolve(directory, &name).is_some(),
            };
            if is_file {
                return Err(Error::DuplicateHook {
                    directory: directory.to_owned(),
                    name,
                    first_element: old.element.clone(),
                    first: old.path.clone(),
                    second_element: element.name.clone(),
                    second: path,
                });
            }
            if old.kind == Kind::Directory && kind != Kind::Directory {
                let old = (old.element.as_str(), old.path.as_path());
                return Err(collision(directory, &name, old, (&element.name, &path)));
            }
        }
        self.push(element, path, directory, name, kind);
        Ok(())
    }

    fn add_top_level_file(&mut self, element: &Element, path: PathBuf) -> Result<(), Error> {
        let name = lossy_name(&path);
        if self.merged.directories.contains(&name) {
            let owner = self
                .entries
                .iter()
                .find(|((directory, _), _)| *directory == name);
            let owner = owner.and_then(|(_, entries)| entries.first());
            let (first_element, first) = match owner {
                Some(entry) => (
                    entry.element.as_str(),
                    entry.path.parent().unwrap_or(&entry.path),
                ),
                None => ("", Path::new(&name)),
            };
            return Err(collision(
                "",
                &name,
                (first_element, first),
                (&element.name, &path),
            ));
        }
        let kind = Kind::of(&path)?;
        self.push(element, path, "", name, kind);
        Ok(())
    }

    fn push(
        &mut self,
        element: &Element,
        path: PathBuf,
        directory: &str,
        name: String,
        kind: Kind,
    ) {
        self.merged.copies.push(HookCopy {
            element: element.name.clone(),
            source: path.clone(),
            directory: directory.to_owned(),
        });
        self.entries
            .entry((directory.to_owned(), name))
            .or_default()
            .push(Entry {
                element: element.name.clone(),
                path,
                kind,
            });
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
                let mut found = entries.iter().rev().map(|entry| entry.path.join(&rest));
                return found.find(|path| path.is_file());
            }
            let entry = entries.last()?;
            if entry.kind != Kind::Link {
                return entry.path.is_file().then(|| entry.path.clone());
            }
            let target = fs::read_link(&entry.path).ok()?;
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

    fn select_hooks(&mut self) -> Result<(), Error> {
        let mut all = BTreeMap::new();
        let mut notices = Vec::new();
        for phase in Phase::ALL {
            let directory = phase.directory();
            let mut hooks = Vec::new();
            for (name, entry) in self.listing(&directory) {
                let file = self.resolve(&directory, name);
                let (runs, reason) = judge(name, entry, file.as_deref())?;
                if let Some(reason) = reason {
                    notices.push(HookNotice {
                        phase,
                        name: name.clone(),
                        element: entry.element.clone(),
                        path: entry.path.clone(),
                        reason,
                    });
                }
                if runs {
                    hooks.push(Hook {
                        phase,
                        name: name.clone(),
                        element: entry.element.clone(),
                        path: entry.path.clone(),
                    });
                }
            }
            hooks.sort_by(|left, right| compare_hooks(&left.name, &right.name));
            if !hooks.is_empty() {
                all.insert(phase, hooks);
            }
        }
        self.merged.hooks = all;
        self.merged.notices = notices;
        Ok(())
    }

    fn select_environment_files(&mut self) -> Result<(), Error> {
        let mut files: Vec<EnvironmentFile> = self
            .listing("environment.d")
            .filter(|(name, _)| is_environment_name(name))
            .filter(|(name, _)| self.resolve("environment.d", name).is_some())
            .map(|(name, entry)| EnvironmentFile {
                name: name.clone(),
                element: entry.element.clone(),
                path: entry.path.clone(),
            })
            .collect();
        files.sort_by(|left, right| compare_environment_files(&left.name, &right.name));
        self.merged.environment_files = files;
        Ok(())
    }
}

/// Whether an entry of a phase's directory runs, and what is odd about it.
/// `file` is the regular file that it is or leads to.
fn judge(
    name: &str,
    entry: &Entry,
    file: Option<&Path>,
) -> Result<(bool, Option<NoticeReason>), Error> {
    let good_name = is_hook_name(name);
    let Some(file) = file else {
        let dangling = entry.kind == Kind::Link && !entry.path.is_dir() && good_name;
        return Ok((false, dangling.then_some(NoticeReason::DanglingLink)));
    };
    let metadata = fs::metadata(file).map_err(|source| unreadable(file, source))?;
    // Hooks are started by the appliance's root, for whom any x bit will do.
    let executable = metadata.permissions().mode() & 0o111 != 0;
    Ok(match (good_name, executable) {
        (true, true) => (
            true,
            (!has_interpreter(file)?).then_some(NoticeReason::NoShebang),
        ),
        (true, false) => (false, Some(NoticeReason::NotExecutable)),
        (false, true) => (false, Some(NoticeReason::BadName)),
        (false, false) => (false, None),
    })
}

/// Whether the kernel can execute the file: a `#!` line or an ELF header.
fn has_interpreter(path: &Path) -> Result<bool, Error> {
    let mut head = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut head))
        .map_err(|source| unreadable(path, source))?;
    Ok(head.starts_with(b"#!") || head == b"\x7fELF")
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

fn collision(directory: &str, name: &str, first: (&str, &Path), second: (&str, &Path)) -> Error {
    Error::DirectoryAndFile {
        directory: directory.to_owned(),
        name: name.to_owned(),
        first_element: first.0.to_owned(),
        first: first.1.to_path_buf(),
        second_element: second.0.to_owned(),
        second: second.1.to_path_buf(),
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
        .map_err(|source| unreadable(path, source))?;
    children.sort();
    Ok(children)
}

fn lossy_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Unreadable {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests;
