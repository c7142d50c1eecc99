//! The elements that are looked at, and those that they may depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::elements::{resolve, Catalog, Element, ElementSet};
use crate::request::{generation_of, Generation};

use super::file::{scripts, File, Role};
use super::lint::Settings;
use super::report::TreeReport;
use super::shell::{scan, Script};
use super::subject::{is_element_of_tree, trees, Tree};
use super::Error;

/// An element that is looked at.
pub struct Subject {
    /// Name, directory, dependencies.
    pub element: Element,
    /// Its directory as it is shown.
    pub shown: PathBuf,
    /// Its scripts.
    pub scripts: Vec<File>,
    /// The element and what it depends on, as far as it can be found.
    pub closure: BTreeSet<String>,
    /// Index of its tree.
    tree: usize,
}

/// All that is known.
pub struct World {
    trees: Vec<Tree>,
    /// What dib-lint would go by, for each tree.
    lint: Vec<Settings>,
    /// What is looked at.
    pub subjects: Vec<Subject>,
    /// The rules that a build with these elements follows.
    pub generation: Generation,
    /// Every element that can be found, upstream's included.
    pub catalog: Catalog,
    /// Variables that a file of environment.d sets, by element.
    exported: BTreeMap<String, BTreeSet<String>>,
    /// Words of the elements' READMEs that could be variables.
    documented: BTreeMap<String, BTreeSet<String>>,
}

impl World {
    /// Reads the elements below `paths`, and the lists of those in `base`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn find(
        paths: &[PathBuf],
        base: Option<&Path>,
        generation: Option<Generation>,
    ) -> Result<World, Error> {
        let trees = trees(paths)?;
        let mut search: Vec<PathBuf> = Vec::new();
        for tree in &trees {
            if !search.contains(&tree.path) {
                search.push(tree.path.clone());
            }
        }
        search.extend(base.map(Path::to_path_buf));
        let catalog = find(&search)?;
        // As the engine does: the first tree of upstream's decides.
        let generation = generation
            .or_else(|| search.iter().find_map(|tree| generation_of(tree)))
            .unwrap_or(Generation::V3);
        let mut world = World {
            subjects: Vec::new(),
            exported: BTreeMap::new(),
            documented: BTreeMap::new(),
            lint: trees.iter().map(|tree| Settings::of(&tree.path)).collect(),
            trees,
            generation,
            catalog,
        };
        for (index, tree) in world.trees.iter().enumerate() {
            let own = find(std::slice::from_ref(&tree.path))?;
            let asked = own.elements.into_values().filter(|element| {
                is_element_of_tree(&element.path)
                    && tree.only.as_ref().is_none_or(|it| *it == element.name)
            });
            for element in asked {
                world.subjects.push(Subject {
                    shown: tree.shown.join(&element.name),
                    scripts: scripts(&element.path),
                    closure: closure(&element.name, &world.catalog),
                    tree: index,
                    element,
                });
            }
        }
        world.read_variables();
        Ok(world)
    }

    /// The settings for dib-lint's checks of an element.
    pub(super) fn lint_settings(&self, subject: &Subject) -> Option<&Settings> {
        self.lint.get(subject.tree)
    }

    /// The trees for the report.
    pub fn trees(&self) -> Vec<TreeReport> {
        self.trees
            .iter()
            .map(|tree| TreeReport {
                path: tree.shown.clone(),
                upstream: generation_of(&tree.path).map(|generation| generation.version()),
            })
            .collect()
    }

    /// The elements of a build with this one; an error without a reason if
    /// only the operating system is missing, which the user brings.
    pub fn set(&self, subject: &Subject) -> Result<ElementSet, crate::elements::Error> {
        let mut catalog = self.catalog.clone();
        let anything = Element {
            name: OPERATING_SYSTEM.into(),
            path: PathBuf::from("/"),
            depends: BTreeSet::new(),
            provides: BTreeSet::from(["operating-system".to_owned()]),
        };
        let mut request = vec![subject.element.name.clone()];
        let has = |name: &String| {
            self.catalog
                .elements
                .get(name)
                .is_some_and(|it| it.provides.contains("operating-system"))
        };
        if !subject.closure.iter().any(has) {
            request.push(anything.name.clone());
            catalog.elements.insert(anything.name.clone(), anything);
        }
        let virtual_names = self.virtual_names(subject);
        for name in &virtual_names {
            let stub = Element {
                name: name.clone(),
                path: PathBuf::from("/"),
                depends: BTreeSet::new(),
                provides: BTreeSet::new(),
            };
            catalog.elements.insert(name.clone(), stub);
        }
        let mut set = resolve(&request, &catalog)?;
        set.exclude(&[OPERATING_SYSTEM.to_owned()]);
        set.exclude(&virtual_names);
        Ok(set)
    }

    /// Names that the closure asks for and that are no elements: others provide
    /// them, and the user or the engine chooses which.
    fn virtual_names(&self, subject: &Subject) -> Vec<String> {
        let elements = &self.catalog.elements;
        let mut names: Vec<String> = subject
            .closure
            .iter()
            .filter_map(|name| elements.get(name))
            .flat_map(|element| element.depends.iter())
            .filter(|name| !elements.contains_key(*name))
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether an element of the closure exports or names the variable.
    pub fn knows_variable(&self, subject: &Subject, name: &str) -> bool {
        let any = self.exported.values().any(|names| names.contains(name));
        any || subject.closure.iter().any(|element| {
            self.documented
                .get(element)
                .is_some_and(|names| names.contains(name))
        })
    }

    fn read_variables(&mut self) {
        for subject in &self.subjects {
            let names = subject
                .scripts
                .iter()
                .filter(|file| file.role == Role::Environment)
                .flat_map(|file| names_set(&file.script))
                .collect();
            self.exported.insert(subject.element.name.clone(), names);
        }
        for (name, element) in &self.catalog.elements {
            if !self.exported.contains_key(name) {
                self.exported.insert(name.clone(), exports(&element.path));
            }
            self.documented
                .insert(name.clone(), words_of_readme(&element.path));
        }
    }
}

/// Stands for the operating system that the user names.
const OPERATING_SYSTEM: &str = "(an operating system)";

fn find(paths: &[PathBuf]) -> Result<Catalog, Error> {
    Catalog::find(paths).map_err(|source| Error::Catalog {
        path: paths.first().cloned().unwrap_or_default(),
        source,
    })
}

fn closure(name: &str, catalog: &Catalog) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let Some(element) = catalog.elements.get(&name) else {
            continue;
        };
        if found.insert(name) {
            open.extend(element.depends.iter().cloned());
        }
    }
    found
}

/// Variables that the files of environment.d set.
fn exports(element: &Path) -> BTreeSet<String> {
    let Ok(items) = std::fs::read_dir(element.join("environment.d")) else {
        return BTreeSet::new();
    };
    items
        .filter_map(|item| std::fs::read_to_string(item.ok()?.path()).ok())
        .flat_map(|text| names_set(&scan(&text)))
        .collect()
}

/// Names that a script sets, and those that stand as `NAME=` in arrays, from
/// which they may be exported.
fn names_set(script: &Script) -> Vec<String> {
    let in_arrays = script
        .commands
        .iter()
        .flat_map(|command| &command.assignments)
        .filter(|(_, value)| value.text.starts_with('('))
        .flat_map(|(_, value)| value.text.split(['(', ' ']))
        .filter_map(|word| word.split_once('='))
        .map(|(name, _)| name.to_owned());
    script
        .sets
        .iter()
        .map(|(name, _)| name.clone())
        .chain(in_arrays)
        .collect()
}

fn words_of_readme(element: &Path) -> BTreeSet<String> {
    let read = |name: &str| std::fs::read_to_string(element.join(name)).ok();
    let Some(text) = read("README.rst").or_else(|| read("README.md")) else {
        return BTreeSet::new();
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.len() > 2 && !word.chars().any(|c| c.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

impl World {
    /// Whether an element of the closure lists Python 2 among its packages.
    pub fn installs_python2(&self, subject: &Subject) -> bool {
        subject.closure.iter().any(|name| {
            let Some(element) = self.catalog.elements.get(name) else {
                return false;
            };
            ["package-installs.yaml", "package-installs.json"]
                .iter()
                .filter_map(|file| std::fs::read_to_string(element.path.join(file)).ok())
                .any(|text| {
                    text.lines().any(|line| {
                        let name = line.trim_start_matches([' ', '"', '\'']);
                        [
                            "python:",
                            "python2:",
                            "python\":",
                            "python2\":",
                            "python-minimal:",
                        ]
                        .iter()
                        .any(|it| name.starts_with(it))
                    })
                })
        })
    }
}
