//! What differs from an earlier build.

use super::{bytes, count, duration, Html};
use crate::report::build_report::{BuildReport, State};
use crate::report::difference::{Difference, Named, PackageChanges};

/// Most rows of a list, and of packages; a .json report has more.
const MAX_ROWS: usize = 8;
const MAX_PACKAGES: usize = 500;

pub(super) fn section(page: &mut Html, report: &BuildReport) {
    let Some(difference) = &report.difference else {
        return;
    };
    page.begin("difference", "", "Difference to an earlier build");
    page.raw("<p class=\"lead\">");
    page.text(&format!(
        "That of {}, by {}",
        difference
            .began
            .replacen('T', " ", 1)
            .replacen('Z', " UTC", 1),
        difference.against
    ));
    if difference.state != State::Built {
        page.text(&format!(
            ", which {}",
            match difference.state {
                State::Interrupted => "was interrupted",
                _ => "failed",
            }
        ));
    }
    page.raw(".</p>\n");
    overview(page, difference);
    let sized = [("What takes the space", &difference.space)];
    let timed = [("Phases", &difference.phases), ("Hooks", &difference.hooks)];
    page.raw("<div class=\"two\">\n");
    for (title, rows) in timed.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        let rows = rows.iter().map(|row: &Named<f64>| {
            let change = of_seconds(row.old, row.new);
            (
                row.name.as_str(),
                duration(row.old),
                duration(row.new),
                change,
            )
        });
        rows_of(page, title, "td", rows);
    }
    for (title, rows) in sized.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        let rows = rows.iter().map(|row| {
            (
                row.name.as_str(),
                bytes(row.old),
                bytes(row.new),
                of_bytes(row.old, row.new),
            )
        });
        rows_of(page, title, "td class=\"mono\"", rows);
    }
    page.raw("</div>\n");
    if let Some(packages) = &difference.packages {
        package_changes(page, packages);
    }
    names(page, "Elements that are new", &difference.elements_added);
    names(page, "Elements that are gone", &difference.elements_removed);
    names(page, "Warnings that are new", &difference.warnings_added);
    page.end();
}

/// A difference, and its class.
type Shown = (String, &'static str);

fn class(more: bool, same: bool) -> &'static str {
    match (same, more) {
        (true, _) => "dim",
        (false, true) => "more",
        (false, false) => "less",
    }
}

fn signed(more: bool, text: &str) -> String {
    match more {
        true => format!("+{text}"),
        false => format!("\u{2212}{text}"),
    }
}

fn of_bytes(old: u64, new: u64) -> Shown {
    match new == old {
        true => ("same".to_owned(), class(false, true)),
        false => (
            signed(new > old, &bytes(new.abs_diff(old))),
            class(new > old, false),
        ),
    }
}

fn of_seconds(old: f64, new: f64) -> Shown {
    let differs = (new - old).abs();
    match differs < 0.05 {
        true => ("same".to_owned(), class(false, true)),
        false => (
            signed(new > old, &duration(differs)),
            class(new > old, false),
        ),
    }
}

fn overview(page: &mut Html, difference: &Difference) {
    page.table("", &["", "~#Then", "#Now", "#Difference"], |page| {
        let seconds = &difference.seconds;
        let change = of_seconds(seconds.old, seconds.new);
        row(
            page,
            "td",
            "Time",
            &duration(seconds.old),
            &duration(seconds.new),
            &change,
        );
        for output in &difference.outputs {
            let change = of_bytes(output.old, output.new);
            let (old, new) = (bytes(output.old), bytes(output.new));
            row(
                page,
                "td",
                &format!("Image, {}", output.name),
                &old,
                &new,
                &change,
            );
        }
        if let Some(size) = &difference.bytes {
            let change = of_bytes(size.old, size.new);
            row(
                page,
                "td",
                "Content",
                &bytes(size.old),
                &bytes(size.new),
                &change,
            );
        }
        if let Some(files) = &difference.files {
            let (old, new) = (files.old, files.new);
            let change = match old == new {
                true => ("same".to_owned(), "dim"),
                false => (
                    signed(new > old, &count(new.abs_diff(old))),
                    class(new > old, false),
                ),
            };
            row(page, "td", "Files", &count(old), &count(new), &change);
        }
    });
}

fn rows_of<'a>(
    page: &mut Html,
    title: &str,
    cell: &str,
    rows: impl Iterator<Item = (&'a str, String, String, Shown)>,
) {
    page.raw("<div>");
    page.element("h3", title);
    page.table("", &["", "~#Then", "#Now", "#Difference"], |page| {
        for (name, old, new, change) in rows.take(MAX_ROWS) {
            row(page, cell, name, &old, &new, &change);
        }
    });
    page.raw("</div>\n");
}

fn row(page: &mut Html, cell: &str, name: &str, old: &str, new: &str, change: &Shown) {
    page.raw("<tr>");
    page.element(cell, name);
    page.element("td class=\"num wide\"", old);
    page.element("td class=\"num\"", new);
    page.element(&format!("td class=\"num {}\"", change.1), &change.0);
    page.raw("</tr>\n");
}

fn package_changes(page: &mut Html, packages: &PackageChanges) {
    let total = packages.added.len() + packages.removed.len() + packages.changed.len();
    page.raw("<h3>Packages</h3>\n");
    if total == 0 {
        return page.raw("<p class=\"dim\">The same packages of the same versions.</p>\n");
    }
    page.table(" class=\"sortable\"", &["Package", "Then", "Now"], |page| {
        let added = packages
            .added
            .iter()
            .map(|(name, new)| (name, None, Some(new)));
        let removed = packages
            .removed
            .iter()
            .map(|(name, old)| (name, Some(old), None));
        let changed = packages.changed.iter();
        let changed = changed.map(|(name, old, new)| (name, Some(old), Some(new)));
        for (name, old, new) in added.chain(removed).chain(changed).take(MAX_PACKAGES) {
            page.raw("<tr>");
            page.element("td", name);
            for version in [old, new] {
                match version {
                    Some(version) => page.element("td", version),
                    None => page.element("td class=\"dim\"", "not there"),
                }
            }
            page.raw("</tr>\n");
        }
    });
    if total > MAX_PACKAGES {
        let text = format!("{} more are in the .json report.", total - MAX_PACKAGES);
        page.element("p class=\"dim\"", &text);
    }
}

fn names(page: &mut Html, title: &str, names: &[String]) {
    if names.is_empty() {
        return;
    }
    page.element("h3", title);
    page.raw("<ul>\n");
    for name in names.iter().take(200) {
        page.element("li", name);
    }
    page.raw("</ul>\n");
}
