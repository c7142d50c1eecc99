//! What the given paths are: elements, directories of elements, or
//! repositories with such directories somewhere below.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::elements::Phase;

use super::Error;

/// How deep in a repository directories of elements are looked for.
const DEEPEST: usize = 5;

/// Directories that never hold elements of the repository's own.
const SKIPPED: [&str; 6] = [
    "node_modules",
    "venv",
    "__pycache__",
    "test-elements",
    "releasenotes",
    "doc",
];

/// A directory of elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Real path.
    pub path: PathBuf,
    /// As it is shown: below the path that was given.
    pub shown: PathBuf,
    /// Only this element of it was asked for.
    pub only: Option<String>,
}

/// Finds the trees below the given paths, in their order, each once.
///
/// # Errors
/// [`Error::NoElements`] for a path without any, [`Error::Unreadable`].
pub fn trees(paths: &[PathBuf]) -> Result<Vec<Tree>, Error> {
    let mut trees: Vec<Tree> = Vec::new();
    let mut known = BTreeSet::new();
    for given in paths {
        let real = fs::canonicalize(given).map_err(|source| Error::Unreadable {
            path: given.clone(),
            source,
        })?;
        let found = trees_below(given, &real);
        if found.is_empty() {
            return Err(Error::NoElements {
                path: given.clone(),
            });
        }
        for tree in found {
            if known.insert((tree.path.clone(), tree.only.clone())) {
                trees.push(tree);
            }
        }
    }
    Ok(trees)
}

fn trees_below(given: &Path, real: &Path) -> Vec<Tree> {
    let beside_elements = || real.parent().is_some_and(holds_elements);
    if is_element(real) || (has_readme(real) && !holds_elements(real) && beside_elements()) {
        let parent = real.parent().unwrap_or(real).to_path_buf();
        return vec![Tree {
            shown: shown_parent(given, &parent),
            path: parent,
            only: real
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        }];
    }
    let mut found = Vec::new();
    let mut walk = WalkDir::new(real)
        .max_depth(DEEPEST)
        .sort_by_file_name()
        .into_iter();
    while let Some(item) = walk.next() {
        let Ok(item) = item else { continue };
        if !item.file_type().is_dir() {
            continue;
        }
        let name = item.file_name().to_string_lossy();
        let hidden = item.depth() > 0 && name.starts_with('.');
        if hidden || (item.depth() > 0 && SKIPPED.contains(&name.as_ref())) {
            walk.skip_current_dir();
        } else if holds_elements(item.path()) {
            let below = item.path().strip_prefix(real).unwrap_or(Path::new(""));
            found.push(Tree {
                path: item.path().to_path_buf(),
                shown: match below.as_os_str().is_empty() {
                    true => given.to_path_buf(),
                    false => given.join(below),
                },
                only: None,
            });
            walk.skip_current_dir();
        }
    }
    found
}

/// The directory of a single element as it is shown.
fn shown_parent(given: &Path, parent: &Path) -> PathBuf {
    match given.parent() {
        Some(shown) if given.file_name().is_some() => shown.to_path_buf(),
        _ => parent.to_path_buf(),
    }
}

fn holds_elements(path: &Path) -> bool {
    subdirectories(path).iter().any(|child| is_element(child))
}

/// Whether a directory beside elements is one, too. Upstream takes every
/// directory; some elements have a README and programs, or a README alone.
pub fn is_element_of_tree(path: &Path) -> bool {
    let skipped = |name: &str| SKIPPED.contains(&name) || name.starts_with('.');
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    is_element(path) || (!skipped(&name) && has_readme(path))
}

fn has_readme(path: &Path) -> bool {
    let items = fs::read_dir(path).into_iter().flatten().flatten();
    items
        .map(|item| item.file_name())
        .any(|name| name.to_string_lossy().starts_with("README"))
}

/// Whether a directory has what only elements have.
fn is_element(path: &Path) -> bool {
    const FILES: [&str; 6] = [
        "element-deps",
        "element-provides",
        "package-installs.yaml",
        "package-installs.json",
        "pkg-map",
        "svc-map",
    ];
    if FILES.iter().any(|name| path.join(name).is_file()) {
        return true;
    }
    let phase = Phase::ALL
        .iter()
        .map(|phase| phase.directory())
        .chain(["environment.d".to_owned()])
        .any(|name| path.join(name).is_dir());
    phase || has_configuration(path)
}

/// Files that only elements have, by the beginnings of their names.
fn has_configuration(path: &Path) -> bool {
    let Ok(items) = fs::read_dir(path) else {
        return false;
    };
    items.filter_map(Result::ok).any(|item| {
        let name = item.file_name();
        let name = name.to_string_lossy();
        let layout = name.starts_with("block-device-") && name.ends_with(".yaml");
        (layout || name.starts_with("source-repository-")) && item.path().is_file()
    })
}

/// Directories directly below, sorted.
pub fn subdirectories(path: &Path) -> Vec<PathBuf> {
    let Ok(items) = fs::read_dir(path) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = items
        .filter_map(|item| Some(item.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_directories_and_repositories() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().canonicalize().unwrap();
        for directory in [
            "repo/elements/a/install.d",
            "repo/deep/x/elements/b/root.d",
            "repo/elements/a/test-elements/t/install.d",
            "repo/.git/elements/c/root.d",
            "repo/docs",
            "repo/elements/bare/bin",
            "repo/elements/tools",
        ] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for directory in ["repo", "repo/docs", "repo/elements", "repo/elements/bare"] {
            fs::write(root.join(directory).join("README.rst"), "").unwrap();
        }
        let repo = root.join("repo");
        let names = |path: PathBuf| -> Vec<(PathBuf, Option<String>)> {
            trees(&[path])
                .unwrap()
                .into_iter()
                .map(|tree| (tree.path, tree.only))
                .collect()
        };
        let both = [
            (repo.join("deep/x/elements"), None),
            (repo.join("elements"), None),
        ];
        assert_eq!(names(repo.clone()), both);
        assert_eq!(names(repo.join("elements")), both[1..]);
        let one = [(repo.join("elements"), Some("a".to_owned()))];
        assert_eq!(names(repo.join("elements/a")), one);
        let bare = [(repo.join("elements"), Some("bare".to_owned()))];
        assert_eq!(names(repo.join("elements/bare")), bare);
        assert!(is_element_of_tree(&repo.join("elements/bare")));
        assert!(!is_element_of_tree(&repo.join("elements/tools")));
        let error = trees(&[repo.join("docs")]).unwrap_err();
        assert!(matches!(error, Error::NoElements { .. }), "{error}");
        let error = trees(&[repo.join("nothing")]).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    }
}
