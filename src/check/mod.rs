//! `safedib check`: what stands in the way of building with somebody's
//! elements, and what will be different here.
//!
//! Scripts are read, never run. [`shell`] tells commands from quotes and
//! comments; the rules of each topic look at those. What only shows at run time
//! is not found, and what a script calls is not followed.

mod configuration;
mod deps;
mod error;
mod file;
mod files;
mod generation;
mod harm;
mod lint;
mod needs;
mod packages;
mod paths;
mod python;
mod report;
mod rules;
pub mod shell;
mod subject;
mod table;
mod text;
mod variables;
mod world;

pub use error::Error;
pub use report::{Counts, ElementReport, Finding, Report, Written};
pub use rules::{Rule, Severity, ALL as RULES};
pub use table::markdown;
pub use text::{explain, findings, summary};

use std::path::PathBuf;

use crate::request::Generation;

use file::File;
use report::Sink;
use world::{Subject, World};

/// What is looked at, and what is told of it.
#[derive(Debug, Default)]
pub struct Options {
    /// Elements, directories of elements, repositories.
    pub paths: Vec<PathBuf>,
    /// Upstream's own elements, for dependencies.
    pub base: Option<PathBuf>,
    /// The generation, if it is not to be told from the paths.
    pub generation: Option<Generation>,
    /// Only these codes; all if empty.
    pub only: Vec<String>,
    /// Not these codes.
    pub ignore: Vec<String>,
}

/// Looks at every element of the paths.
///
/// # Errors
/// [`Error`], if a path has no elements or cannot be read.
pub fn examine(options: &Options) -> Result<Report, Error> {
    let world = World::find(&options.paths, options.base.as_deref(), options.generation)?;
    let mut elements = Vec::new();
    for subject in &world.subjects {
        let mut sink = Sink::new(subject);
        look(&world, subject, &mut sink);
        let mut report = sink.finish(generation::written_for(subject));
        report.findings.retain(|finding| {
            let code = finding.rule.code.to_owned();
            (options.only.is_empty() || options.only.contains(&code))
                && !options.ignore.contains(&code)
        });
        elements.push(report);
    }
    Ok(Report::new(world.generation, world.trees(), elements))
}

fn look(world: &World, subject: &Subject, sink: &mut Sink) {
    deps::look(world, subject, sink);
    files::look(world, subject, sink);
    generation::look(world, subject, sink);
    variables::look(world, subject, sink);
    configuration::look(world, subject, sink);
    if let Some(settings) = world.lint_settings(subject) {
        lint::look(settings, subject, sink);
    }
    for file in &subject.scripts {
        look_at_file(world, subject, file, sink);
    }
}

fn look_at_file(world: &World, subject: &Subject, file: &File, sink: &mut Sink) {
    python::look(world, subject, file, sink);
    generation::look_at_file(world, subject, file, sink);
    if file.role.is_outside() {
        let shell = shell::Shell::new(&file.script);
        needs::look(subject, file, &shell, sink);
        harm::look(file, &shell, sink);
    }
}
