//! From requested names to the elements of a build: a pure computation with
//! the semantics of upstream's `_expand_element_dependencies`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Catalog, Element, ElementSet, Error};
use crate::error::near;

/// What the user counts as among those who ask for an element.
const USER: &str = "";

/// The name that exactly one element of a build must provide.
const OPERATING_SYSTEM: &str = "operating-system";

/// Resolves `requested`, in its order, to the elements of the build.
///
/// First in, first out, as upstream: the requested elements are looked at
/// first, then what they depend on, breadth first; a name that is provided by
/// then is not looked up. Upstream walks the names of one `element-deps` or
/// `element-provides` in an order that changes with Python's hash seed, here
/// they are sorted; so this result is one of those that upstream can give. The
/// elements come out sorted by name: upstream's order changes from run to run,
/// so no element can depend on one.
///
/// # Errors
/// [`Error::MissingElement`], [`Error::AlreadyProvided`],
/// [`Error::RequestedButProvided`] and [`Error::MissingOperatingSystem`], tested
/// in upstream's order.
pub fn resolve(requested: &[String], catalog: &Catalog) -> Result<ElementSet, Error> {
    let search = Search::run(requested, catalog, false)?;
    search.refuse_conflicts(requested)?;
    search.require_operating_system()?;
    search.finish()
}

/// As [`resolve`], by the rules of upstream until 2.4: several elements may
/// provide the same, and the operating system is missed first.
///
/// # Errors
/// As [`resolve`], but for [`Error::AlreadyProvided`].
pub fn resolve_loosely(requested: &[String], catalog: &Catalog) -> Result<ElementSet, Error> {
    let search = Search::run(requested, catalog, true)?;
    search.require_operating_system()?;
    search.refuse_conflicts(requested)?;
    search.finish()
}

struct Search<'a> {
    catalog: &'a Catalog,
    several_providers: bool,
    queue: VecDeque<String>,
    seen: BTreeSet<String>,
    provided_by: BTreeMap<String, String>,
    /// Who asked for a name, in the order in which they were visited.
    requested_by: BTreeMap<String, Vec<String>>,
}

impl<'a> Search<'a> {
    fn run(
        requested: &[String],
        catalog: &'a Catalog,
        several_providers: bool,
    ) -> Result<Self, Error> {
        let mut search = Search {
            catalog,
            several_providers,
            queue: requested.iter().cloned().collect(),
            seen: requested.iter().cloned().collect(),
            provided_by: BTreeMap::new(),
            requested_by: requested
                .iter()
                .map(|name| (name.clone(), vec![USER.to_owned()]))
                .collect(),
        };
        while let Some(name) = search.queue.pop_front() {
            search.visit(&name)?;
        }
        Ok(search)
    }

    fn require_operating_system(&self) -> Result<(), Error> {
        match self.provided_by.contains_key(OPERATING_SYSTEM) {
            true => Ok(()),
            false => Err(Error::MissingOperatingSystem {
                candidates: providers_of(OPERATING_SYSTEM, self.catalog),
            }),
        }
    }

    fn visit(&mut self, name: &str) -> Result<(), Error> {
        if self.provided_by.contains_key(name) {
            return Ok(());
        }
        let element = self.element(name)?;
        for provide in &element.provides {
            if let Some(first) = self.provided_by.get(provide) {
                if self.several_providers {
                    continue;
                }
                return Err(Error::AlreadyProvided {
                    name: provide.clone(),
                    provided_by: first.clone(),
                    second: name.to_owned(),
                });
            }
            self.provided_by.insert(provide.clone(), name.to_owned());
        }
        for dependency in &element.depends {
            let askers = self.requested_by.entry(dependency.clone()).or_default();
            if !askers.iter().any(|asker| asker == name) {
                askers.push(name.to_owned());
            }
            if self.seen.insert(dependency.clone()) && !self.provided_by.contains_key(dependency) {
                self.queue.push_back(dependency.clone());
            }
        }
        Ok(())
    }

    fn element(&self, name: &str) -> Result<&'a Element, Error> {
        self.catalog
            .elements
            .get(name)
            .ok_or_else(|| Error::MissingElement {
                name: name.to_owned(),
                requested_by: self.chain(name),
                suggestions: near_names(name, self.catalog),
            })
    }

    /// Names from the user's element down to the first that asked for `name`.
    fn chain(&self, name: &str) -> Vec<String> {
        let mut chain = Vec::new();
        let mut current = name;
        while let Some(asker) = self.requested_by.get(current).and_then(|all| all.first()) {
            // The first asker was visited before, so this ends; a cycle can
            // only come back over later askers.
            if asker == USER || chain.contains(asker) {
                break;
            }
            chain.push(asker.clone());
            current = asker;
        }
        chain.reverse();
        chain
    }

    fn refuse_conflicts(&self, requested: &[String]) -> Result<(), Error> {
        let requested: BTreeSet<&String> = requested.iter().collect();
        let conflicts: Vec<(String, String)> = requested
            .into_iter()
            .filter_map(|name| Some((name.clone(), self.provided_by.get(name)?.clone())))
            .collect();
        if conflicts.is_empty() {
            Ok(())
        } else {
            Err(Error::RequestedButProvided { conflicts })
        }
    }

    fn finish(self) -> Result<ElementSet, Error> {
        let mut set = ElementSet::default();
        for name in &self.seen {
            if self.provided_by.contains_key(name) {
                continue;
            }
            set.elements.push(self.element(name)?.clone());
            let askers = self.requested_by.get(name).cloned().unwrap_or_default();
            set.requested_by.insert(name.clone(), askers);
        }
        Ok(set)
    }
}

fn providers_of(name: &str, catalog: &Catalog) -> Vec<String> {
    catalog
        .elements
        .values()
        .filter(|element| element.provides.contains(name))
        .map(|element| element.name.clone())
        .collect()
}

/// At most three names of the catalog that `name` may have been meant to be.
fn near_names(name: &str, catalog: &Catalog) -> Vec<String> {
    near(name, catalog.elements.keys().map(String::as_str))
}

#[cfg(test)]
mod tests;
