//! What was found, as it is printed.

use serde::Serialize;

/// Version of the JSON; a field that goes or changes its meaning raises it.
const VERSION: u32 = 1;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Missing or broken.
    Lacks,
    /// Worth knowing; needed by other builds than the default one.
    Note,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    /// What was looked at.
    pub name: String,
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// The command for root that mends it, where one does.
    pub mend: Option<String>,
}

impl Check {
    fn new(name: impl Into<String>, status: Status, detail: impl Into<String>) -> Check {
        Check {
            name: name.into(),
            status,
            detail: detail.into(),
            mend: None,
        }
    }

    pub(super) fn ok(name: impl Into<String>, detail: impl Into<String>) -> Check {
        Check::new(name, Status::Ok, detail)
    }

    pub(super) fn note(name: impl Into<String>, detail: impl Into<String>) -> Check {
        Check::new(name, Status::Note, detail)
    }

    pub(super) fn lacks(name: impl Into<String>, detail: impl Into<String>) -> Check {
        Check::new(name, Status::Lacks, detail)
    }

    pub(super) fn mended_by(mut self, mend: Option<String>) -> Check {
        self.mend = mend;
        self
    }
}

/// Checks that belong together.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Group {
    /// Its name for programs.
    pub name: &'static str,
    /// Its name for people.
    pub title: String,
    pub checks: Vec<Check>,
}

/// The host and the caller.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Host {
    pub kernel: String,
    pub machine: String,
    pub user: String,
}

/// Steps of a build that one appliance carries out in one go.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Place {
    pub appliance: crate::plan::ApplianceKind,
    /// Numbers of the first and the last step, as `safedib plan` shows them.
    pub steps: (usize, usize),
    pub why: String,
}

/// A build, and where it would run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Build {
    /// The command line.
    pub command: String,
    /// Whether it would start.
    pub works: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Where its steps would run; empty if it cannot be planned.
    pub places: Vec<Place>,
    #[serde(skip)]
    pub tools: Vec<crate::plan::PlannedTool>,
}

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Findings {
    pub version: u32,
    pub safedib: &'static str,
    /// A default build works here.
    pub works: bool,
    pub host: Host,
    pub groups: Vec<Group>,
    /// The default build first.
    pub builds: Vec<Build>,
}

impl Findings {
    pub(super) fn new(host: Host, groups: Vec<Group>, builds: Vec<Build>) -> Findings {
        Findings {
            version: VERSION,
            safedib: env!("CARGO_PKG_VERSION"),
            works: builds.first().is_some_and(|build| build.works),
            host,
            groups,
            builds,
        }
    }
}
