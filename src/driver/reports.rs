//! Reports of a build: what keeps them from being written is found before it
//! begins, and they appear, by rename, when it has ended, well or not.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use tempfile::NamedTempFile;
use thiserror::Error as ThisError;

use crate::error::{Explain, Setting};
use crate::plan::{Plan, Reproducible};
use crate::report::{
    self, rfc3339, BuildReport, Difference, LayerFacts, LogWriter, Outcome, OutputFacts, Parts,
    State, Timings,
};
use crate::request::{BuildRequest, ReportFile, ReportKind};

use super::layers::Layers;
use super::{room, Error};

/// Most bytes of an earlier report.
const MAX_EARLIER: u64 = 64 << 20;

/// What is wrong with a report.
#[derive(Debug, ThisError)]
pub enum ReportError {
    /// It cannot be written where it should be; nothing was built.
    #[error("cannot write the report {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The earlier report is none.
    #[error("cannot compare with {}: {why}", path.display())]
    Earlier {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It could not be written when the build had ended.
    #[error("all outputs are in place, but the report {} was not written: {source}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Explain for ReportError {
    fn hint(&self) -> Option<String> {
        match self {
            ReportError::Unwritable { path, source } | ReportError::Unwritten { path, source } => {
                let directory = path.parent().unwrap_or(Path::new("/"));
                let instead = "give --report a file elsewhere";
                Some(match source.kind() {
                    io::ErrorKind::IsADirectory => instead.to_owned(),
                    _ => Setting::writable(directory, source, instead),
                })
            }
            ReportError::Earlier { .. } => Some(
                "give --report-against a file that --report FILE.json has written, or leave it out"
                    .to_owned(),
            ),
        }
    }
}

/// Who writes the reports of a build.
pub(super) struct Reporter<'a> {
    request: &'a BuildRequest,
    /// The report to compare with, and its file.
    earlier: Option<(BuildReport, PathBuf)>,
    plan: Option<Plan>,
    layer: Option<LayerFacts>,
    timings: Timings,
}

impl<'a> Reporter<'a> {
    /// Looks whether reports can be written, and reads the one to compare with.
    ///
    /// # Errors
    /// One cannot be written; the one that was named cannot be read.
    pub(super) fn new(request: &'a BuildRequest, log: &mut LogWriter) -> Result<Self, ReportError> {
        for file in &request.reports.files {
            writable(&file.path).map_err(|source| ReportError::Unwritable {
                path: file.path.clone(),
                source,
            })?;
        }
        Ok(Reporter {
            request,
            earlier: earlier(request, log)?,
            plan: None,
            layer: None,
            timings: Timings::default(),
        })
    }

    /// Takes note of the plan.
    pub(super) fn planned(&mut self, plan: &Plan, layers: Option<&Layers>) {
        if !self.request.reports.files.is_empty() {
            self.plan = Some(plan.clone());
            self.layer = layers.and_then(|layers| layers.facts(plan));
        }
    }

    /// When everything happened.
    pub(super) fn timings(&mut self) -> &mut Timings {
        &mut self.timings
    }

    /// Writes all reports. Of a failed build, which has another error to tell, a
    /// report that cannot be written is only a line of the log.
    ///
    /// # Errors
    /// The first one that cannot be written, of a build that has left its outputs.
    pub(super) fn finish(
        mut self,
        error: Option<&Error>,
        log: &mut LogWriter,
    ) -> Result<(), ReportError> {
        let files = &self.request.reports.files;
        if files.is_empty() {
            return Ok(());
        }
        let report = self.report(error, log.warnings());
        let mut unwritten = None;
        for file in files {
            let shown = file.path.display();
            if file.kind == ReportKind::BillOfMaterials && error.is_some() {
                log.say(&format!(
                    "safedib: no bill of materials {shown}: there is no image"
                ));
                continue;
            }
            match self.write(file, &report) {
                Ok(()) => log.say(&format!("safedib: wrote the report {shown}")),
                Err(source) if error.is_some() => log.say(&format!(
                    "WARNING safedib: cannot write the report {shown}: {source}"
                )),
                Err(source) => {
                    unwritten.get_or_insert(ReportError::Unwritten {
                        path: file.path.clone(),
                        source,
                    });
                }
            }
        }
        unwritten.map_or(Ok(()), Err)
    }

    fn report(&mut self, error: Option<&Error>, warnings: &[String]) -> BuildReport {
        let outcome = match error {
            None => Outcome::built(),
            Some(Error::Failed(failure)) => Outcome::of_failure(failure),
            Some(error @ Error::Interrupted { .. }) => Outcome::of_error(error, State::Interrupted),
            Some(error) => Outcome::of_error(error, State::Failed),
        };
        let plan = self.plan.as_ref();
        let mut report = BuildReport::of(Parts {
            request: self.request,
            plan,
            record: self.timings.record(),
            outcome,
            outputs: match (error, plan) {
                (None, Some(plan)) => outputs(self.request, plan),
                _ => Vec::new(),
            },
            layer: self.layer.take(),
            warnings,
        });
        report.difference = self.earlier.take().map(|(earlier, path)| {
            Difference::between(&earlier, &report, &path.display().to_string())
        });
        report
    }

    fn write(&self, file: &ReportFile, report: &BuildReport) -> io::Result<()> {
        let text = match file.kind {
            ReportKind::Html => report::html(report),
            ReportKind::Json => serde_json::to_string_pretty(report)? + "\n",
            ReportKind::BillOfMaterials => {
                let ids = Reproducible::ids(self.request);
                let time = match self.request.source_date_epoch {
                    Some(epoch) => rfc3339(UNIX_EPOCH + Duration::from_secs(epoch.into())),
                    None => report.image.began.clone(),
                };
                let bill = report::bill(report, &ids.uuid("bill of materials")?, &time);
                serde_json::to_string_pretty(&bill)? + "\n"
            }
        };
        replace(&file.path, text.as_bytes())
    }
}

/// Whether a file can be made, or replaced.
fn writable(path: &Path) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !fs::metadata(directory)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    room::check_directory(directory)?;
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        // access(2) would know nothing of filesystems that take no files.
        _ => temporary(path).map(drop),
    }
}

/// A file beside the one that it will replace; it goes unless it is put there.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    tempfile::Builder::new()
        .prefix(&format!(".{name}.safedib-"))
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(path.parent().unwrap_or(Path::new("/")))
}

/// Puts a file in place, whole.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = temporary(path)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

/// The report to compare with: the one that was named, or else the one that this
/// build replaces, if that is one.
fn earlier(
    request: &BuildRequest,
    log: &mut LogWriter,
) -> Result<Option<(BuildReport, PathBuf)>, ReportError> {
    if let Some(path) = &request.reports.against {
        return match read(path) {
            Ok(report) => Ok(Some((report, path.clone()))),
            Err(why) => Err(ReportError::Earlier {
                path: path.clone(),
                why,
            }),
        };
    }
    let mut files = request.reports.files.iter();
    let replaced = files.find(|file| file.kind == ReportKind::Json);
    let Some(path) = replaced.map(|file| &file.path) else {
        return Ok(None);
    };
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    match read(path) {
        Ok(report) => Ok(Some((report, path.clone()))),
        Err(why) => {
            log.say(&format!(
                "safedib: the report will not be compared with {}, which it replaces: {why}",
                path.display()
            ));
            Ok(None)
        }
    }
}

/// Reads a report; why it is none.
fn read(path: &Path) -> Result<BuildReport, String> {
    let text = |error: io::Error| error.to_string();
    // A pipe would not open.
    if !fs::metadata(path).map_err(text)?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(text)?;
    file.take(MAX_EARLIER + 1)
        .read_to_end(&mut bytes)
        .map_err(text)?;
    if bytes.len() as u64 > MAX_EARLIER {
        return Err("it is too large for a report".to_owned());
    }
    let mut report: BuildReport =
        serde_json::from_slice(&bytes).map_err(|error| format!("it is no report: {error}"))?;
    if !report.generator.starts_with("safedib ") {
        return Err("it is no report of safedib's".to_owned());
    }
    if report.version != report::VERSION {
        let (has, reads) = (report.version, report::VERSION);
        return Err(format!("it has version {has}, this program reads {reads}"));
    }
    report::tidy_report(&mut report);
    Ok(report)
}

/// What the build has left.
fn outputs(request: &BuildRequest, plan: &Plan) -> Vec<OutputFacts> {
    let summed = request.checksums.sha256;
    let planned = plan.outputs.iter().filter_map(|output| {
        let facts = OutputFacts {
            name: output.shown.clone(),
            format: output.format.name().to_owned(),
            ..OutputFacts::default()
        };
        match &output.path {
            Some(path) => measured(facts, path, summed),
            None => Some(facts),
        }
    });
    let of_hooks = plan.hook_outputs.iter().filter_map(|output| {
        let facts = OutputFacts {
            name: output.shown.clone(),
            format: "hook".to_owned(),
            ..OutputFacts::default()
        };
        measured(facts, &output.path, summed)
    });
    planned.chain(of_hooks).collect()
}

fn measured(facts: OutputFacts, path: &Path, summed: bool) -> Option<OutputFacts> {
    let found = path.symlink_metadata().ok()?;
    Some(OutputFacts {
        path: Some(path.display().to_string()),
        bytes: found.len(),
        allocated: found.blocks().saturating_mul(512),
        sha256: summed.then(|| checksum(path)).flatten(),
        ..facts
    })
}

/// The checksum in the file that the build has left beside an output.
fn checksum(path: &Path) -> Option<String> {
    let mut name = path.as_os_str().to_os_string();
    name.push(".sha256");
    let file = File::open(name).ok()?;
    let mut line = String::new();
    file.take(4096).read_to_string(&mut line).ok()?;
    // A backslash in front tells that the name is escaped.
    let sum = line.trim_start_matches('\\').get(..64)?;
    let digits = sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| sum.to_owned())
}
