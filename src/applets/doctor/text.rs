//! The findings for people.

use std::fmt::Write;

use crate::plan::ApplianceKind;

use super::findings::{Build, Check, Findings, Status};

/// Columns for the names of checks.
const NAME: usize = 24;

pub(super) fn render(findings: &Findings, colour: bool) -> String {
    let mut text = format!(
        "safedib {} on Linux {} ({}), called by {}\n",
        findings.safedib, findings.host.kernel, findings.host.machine, findings.host.user
    );
    // Writing to a String does not fail.
    for group in &findings.groups {
        let _ = writeln!(text, "\n{}", group.title);
        for check in &group.checks {
            text.push_str(&line(check, colour));
        }
    }
    text.push_str("\nwhich appliance a build gets\n");
    for build in &findings.builds {
        text.push_str(&place(build));
    }
    if let Some(build) = findings.builds.first() {
        let verdict = match findings.works {
            true => "works here",
            false => "does not work here",
        };
        let _ = writeln!(text, "\n`{}` {verdict}", build.command);
    }
    text
}

fn line(check: &Check, colour: bool) -> String {
    let (word, code) = match check.status {
        Status::Ok => ("ok", 32),
        Status::Lacks => ("lacks", 31),
        Status::Note => ("note", 33),
    };
    let detail = check.detail.replace('\n', " ");
    let name = &check.name;
    let mut text = match colour {
        true => format!("  \x1b[{code}m{word:<5}\x1b[0m  {name:<NAME$}  {detail}\n"),
        false => format!("  {word:<5}  {name:<NAME$}  {detail}\n"),
    };
    if let Some(mend) = &check.mend {
        let _ = writeln!(text, "         {:<NAME$}  # {mend}", "");
    }
    text
}

fn place(build: &Build) -> String {
    let mut text = format!("  {}\n", build.command);
    let mut say = |line: String| {
        let _ = writeln!(text, "         {line}");
    };
    for place in &build.places {
        let appliance = match place.appliance {
            ApplianceKind::Namespace => "namespace",
            ApplianceKind::Microvm => "microvm",
        };
        let steps = match (build.places.len(), place.steps) {
            (1, _) => "every step".to_owned(),
            (_, (first, last)) if first == last => format!("step {first}"),
            (_, (first, last)) => format!("steps {first} to {last}"),
        };
        say(format!("{appliance:<9}  {steps}: {}", place.why));
    }
    if let Some(reason) = &build.reason {
        say(format!("does not work: {}", reason.replace('\n', " ")));
    }
    text
}
