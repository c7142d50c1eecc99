//! Findings for people.

use super::{Counts, ElementReport, Finding, Report, Rule};

/// Findings by element; elements without any are only counted.
pub fn findings(report: &Report) -> String {
    let mut text = String::new();
    let mut clean = 0;
    for element in &report.elements {
        if element.findings.is_empty() {
            clean += 1;
            continue;
        }
        text.push_str(&heading(element));
        let rows = rows(element);
        let width = rows
            .iter()
            .map(|(place, ..)| place.chars().count())
            .max()
            .unwrap_or(0)
            .min(48);
        for (place, finding, more) in rows {
            let Rule {
                code,
                severity,
                title,
                ..
            } = finding.rule;
            text.push_str(&format!(
                "  {:<7} {code}  {place:<width$}  {title}: {}{}\n",
                severity.name(),
                finding.what,
                match more {
                    0 => String::new(),
                    more => format!(" (and {})", count(more, "more file")),
                }
            ));
        }
        text.push('\n');
    }
    text.push_str(&format!(
        "{}, {clean} without findings: {}\n",
        count(report.elements.len(), "element"),
        counted(report.counts)
    ));
    if clean < report.elements.len() {
        text.push_str(
            "safedib check --explain CODE tells why a finding matters, and the way out.\n",
        );
    }
    text
}

/// Findings with their places. Of each kind that is dib-lint's the first file stands
/// for all, with how many more there are: `dib-lint` and the JSON name them.
fn rows(element: &ElementReport) -> Vec<(String, &Finding, usize)> {
    let mut rows: Vec<(String, &Finding, usize)> = Vec::new();
    for finding in &element.findings {
        let told = rows
            .iter_mut()
            .find(|(_, known, _)| finding.rule.is_lint() && known.rule == finding.rule);
        match told {
            Some((.., more)) => *more += 1,
            None => rows.push((place(finding), finding, 0)),
        }
    }
    rows
}

fn heading(element: &ElementReport) -> String {
    let written = &element.written_for;
    let mut text = format!("{}  [{}]", element.name, element.path.display());
    match written.until {
        Some(until) => text.push_str(&format!(
            " written for {until}.x and older: {}",
            written.why.join(", ")
        )),
        None if !written.why.is_empty() => text.push_str(&format!(
            " since {}: {}",
            written.since,
            written.why.join(", ")
        )),
        None => {}
    }
    text + "\n"
}

fn place(finding: &Finding) -> String {
    match (finding.file.as_os_str().is_empty(), finding.line) {
        (true, _) => String::from("-"),
        (false, 0) => finding.file.display().to_string(),
        (false, line) => format!("{}:{line}", finding.file.display()),
    }
}

fn count(number: usize, name: &str) -> String {
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

fn counted(counts: Counts) -> String {
    [
        count(counts.errors, "error"),
        count(counts.warnings, "warning"),
        count(counts.notes, "note"),
    ]
    .join(", ")
}

/// A table of elements and how much was found in each.
pub fn summary(report: &Report) -> String {
    let width = report
        .elements
        .iter()
        .map(|it| it.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(7);
    let mut text = format!("{:<width$}  errors  warnings  notes  codes\n", "element");
    for element in &report.elements {
        let counts = element.counts();
        let mut codes: Vec<&str> = element.findings.iter().map(|it| it.rule.code).collect();
        codes.sort_unstable();
        codes.dedup();
        let row = format!(
            "{:<width$}  {:>6}  {:>8}  {:>5}  {}",
            element.name,
            counts.errors,
            counts.warnings,
            counts.notes,
            codes.join(" ")
        );
        text.push_str(row.trim_end());
        text.push('\n');
    }
    let Counts {
        errors,
        warnings,
        notes,
    } = report.counts;
    text.push_str(&format!(
        "{:<width$}  {errors:>6}  {warnings:>8}  {notes:>5}\n",
        format!("all {}", report.elements.len())
    ));
    text
}

/// What a code means.
pub fn explain(rule: &Rule) -> String {
    format!(
        "{} ({}): {}\n\n{}\n\nWay out: {}\n",
        rule.code,
        rule.severity.name(),
        rule.title,
        rule.reason,
        rule.way_out
    )
}
