//! What was found: the data that text, JSON and summary are made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::request::Generation;

use super::rules::as_code;
use super::world::Subject;
use super::{Rule, Severity};

/// Version of the JSON: grows when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this format.
    pub schema: u32,
    /// The generation of diskimage-builder whose rules count.
    pub generation: Generation,
    /// The directories of elements.
    pub trees: Vec<TreeReport>,
    /// Elements in the order of their trees and names.
    pub elements: Vec<ElementReport>,
    /// Findings of all elements.
    pub counts: Counts,
}

/// A directory of elements.
#[derive(Debug, Serialize)]
pub struct TreeReport {
    /// As it was given, or below what was given.
    pub path: PathBuf,
    /// The generation of upstream's tree that it is; none if it is no such tree.
    pub upstream: Option<&'static str>,
}

/// An element.
#[derive(Debug, Serialize)]
pub struct ElementReport {
    /// Name.
    pub name: String,
    /// Its directory, shown as the tree's.
    pub path: PathBuf,
    /// The engines that it is written for.
    pub written_for: Written,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// The engines that an element is written for, as far as its files tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Oldest version that knows what it uses, `0.1` if nothing tells.
    pub since: &'static str,
    /// Last generation that has what it uses; none for the newest.
    pub until: Option<&'static str>,
    /// What tells.
    pub why: Vec<String>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    #[serde(rename = "code", serialize_with = "as_code")]
    pub rule: &'static Rule,
    /// How much it matters.
    pub severity: Severity,
    /// Path of the file below the element; empty for the element itself.
    pub file: PathBuf,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is there.
    pub what: String,
    /// Why it matters.
    pub reason: &'static str,
    /// What to do.
    pub way_out: &'static str,
}

/// How many findings there are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
}

impl Counts {
    fn add(&mut self, finding: &Finding) {
        match finding.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Note => self.notes += 1,
        }
    }
}

impl ElementReport {
    /// Counts its findings.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.findings.iter().for_each(|finding| counts.add(finding));
        counts
    }
}

impl Report {
    pub(super) fn new(
        generation: Generation,
        trees: Vec<TreeReport>,
        elements: Vec<ElementReport>,
    ) -> Report {
        let mut counts = Counts::default();
        for finding in elements.iter().flat_map(|element| &element.findings) {
            counts.add(finding);
        }
        Report {
            schema: SCHEMA,
            generation,
            trees,
            elements,
            counts,
        }
    }
}

/// Takes the findings of one element.
pub(super) struct Sink {
    name: String,
    path: PathBuf,
    findings: Vec<Finding>,
    once: BTreeSet<(&'static str, String)>,
}

impl Sink {
    pub(super) fn new(subject: &Subject) -> Sink {
        Sink {
            name: subject.element.name.clone(),
            path: subject.shown.clone(),
            findings: Vec::new(),
            once: BTreeSet::new(),
        }
    }

    pub(super) fn add(&mut self, rule: &'static Rule, file: &Path, line: usize, what: String) {
        self.findings.push(Finding {
            rule,
            severity: rule.severity,
            file: file.to_path_buf(),
            line,
            what,
            reason: rule.reason,
            way_out: rule.way_out,
        });
    }

    /// Adds it unless the element has one with this rule and text.
    pub(super) fn add_once(&mut self, rule: &'static Rule, file: &Path, line: usize, what: String) {
        if self.once.insert((rule.code, what.clone())) {
            self.add(rule, file, line, what);
        }
    }

    pub(super) fn finish(mut self, written_for: Written) -> ElementReport {
        self.findings.sort_by(|left, right| {
            let key = |finding: &Finding| {
                (
                    finding.severity,
                    finding.file.clone(),
                    finding.line,
                    finding.rule.code,
                )
            };
            key(left).cmp(&key(right))
        });
        self.findings.dedup();
        ElementReport {
            name: self.name,
            path: self.path,
            written_for,
            findings: self.findings,
        }
    }
}
