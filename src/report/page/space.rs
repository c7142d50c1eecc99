//! What takes the space, and the packages.

use serde_json::{json, Value};

use super::summary::name_of;
use super::{bytes, count, counted, percent, Html};
use crate::protocol::{Inventory, Package, Space};
use crate::report::build_report::BuildReport;

/// Rows of the tables of large things.
const MAX_LARGEST: usize = 12;
/// Most rows of the table of packages.
const MAX_PACKAGES: usize = 4000;
/// Packages in the map; more are drawn as one.
const MAX_DRAWN: usize = 400;
/// A directory of which one thing is so much is not told beside that thing.
const MOST_OF: u64 = 80;

pub(super) fn section(page: &mut Html, report: &BuildReport) {
    let Some(content) = &report.content else {
        return;
    };
    page.begin("space", "", "Space");
    page.raw("<p class=\"lead\">");
    page.text(&format!(
        "{} in {} and {}",
        bytes(content.tree.bytes),
        counted(content.files, "file"),
        match content.directories {
            1 => "1 directory".to_owned(),
            more => format!("{} directories", count(more)),
        }
    ));
    page.raw(".</p>\n<div class=\"tools js-only\">");
    if content.manager.is_some() {
        page.raw(
            "<span class=\"switch\" id=\"map-kind\" role=\"group\" aria-label=\"Parts of the map\">\
             <button type=\"button\" data-kind=\"directories\" aria-pressed=\"true\">By directory</button>\
             <button type=\"button\" data-kind=\"packages\" aria-pressed=\"false\">By package</button></span>",
        );
    }
    page.raw(
        "<span class=\"path\" id=\"map-path\"></span></div>\n<figure class=\"js-only\" style=\"flex-direction:column\">\
         <svg id=\"map\" height=\"300\" role=\"group\" aria-label=\"Map of what takes the space\"></svg>\
         <figcaption id=\"map-caption\"></figcaption></figure>\n<div class=\"two\">\n",
    );
    let mut directories = Vec::new();
    let mut files = Vec::new();
    collect(&content.tree, "", &mut directories, &mut files);
    for (title, mut rows) in [
        ("Largest directories", directories),
        ("Largest files", files),
    ] {
        rows.sort_by_key(|row| std::cmp::Reverse(row.1));
        rows.truncate(MAX_LARGEST);
        if !rows.is_empty() {
            largest(page, title, &rows, content.tree.bytes);
        }
    }
    page.raw("</div>\n");
    page.end();
}

fn largest(page: &mut Html, title: &str, rows: &[(String, u64)], whole: u64) {
    page.raw("<div>");
    page.element("h3", title);
    page.table("", &["Path", "#Size", "#Share"], |page| {
        for (path, size) in rows {
            page.raw("<tr>");
            page.element("td class=\"mono\"", path);
            page.number(size, &bytes(*size));
            let share = percent(*size as f64, whole as f64);
            page.number(size, &format!("{share:.1} %"));
            page.raw("</tr>\n");
        }
    });
    page.raw("</div>\n");
}

/// Paths and sizes below a directory.
fn collect(
    space: &Space,
    path: &str,
    directories: &mut Vec<(String, u64)>,
    files: &mut Vec<(String, u64)>,
) {
    for child in &space.children {
        let path = format!("{path}/{}", child.name);
        if !child.directory {
            files.push((path, child.bytes));
            continue;
        }
        let largest = child.children.first().map_or(0, |first| first.bytes);
        let one_thing = largest.saturating_mul(100) >= child.bytes.saturating_mul(MOST_OF);
        collect(child, &path, directories, files);
        if !one_thing {
            directories.push((path, child.bytes));
        }
    }
}

pub(super) fn packages(page: &mut Html, report: &BuildReport) {
    let Some(content) = &report.content else {
        return;
    };
    page.begin("packages", "", "Packages");
    page.raw("<p class=\"lead\">");
    if let Some(manager) = content.manager {
        let owned = content.packages.iter().map(|package| package.bytes);
        let owned = owned.fold(0u64, u64::saturating_add);
        page.text(&format!(
            "{} by the database of {}. Their files take {}, what belongs to none {}.",
            counted(content.packages.len() as u64, "package"),
            name_of(manager),
            bytes(owned),
            bytes(content.unowned.bytes)
        ));
    }
    if let Some(note) = &content.note {
        page.text(" Note: ");
        page.text(note);
        page.text(".");
    }
    page.raw("</p>\n");
    if !content.packages.is_empty() {
        page.raw(
            "<div class=\"tools js-only\"><input type=\"search\" id=\"filter\" \
             placeholder=\"Filter packages\" aria-label=\"Filter packages\">\
             <span class=\"dim\" id=\"filtered\" role=\"status\"></span></div>\n",
        );
        table(page, content);
    }
    page.end();
}

fn table(page: &mut Html, content: &Inventory) {
    let any = |has: fn(&Package) -> bool| content.packages.iter().any(has);
    let sources = any(|package| package.source.is_some());
    let licences = any(|package| package.licence.is_some());
    let mut columns = vec!["Package", "Version", "Architecture"];
    columns.extend(sources.then_some("Source"));
    columns.extend(licences.then_some("Licence"));
    columns.extend(["#Size", "#Files"]);
    let class = " class=\"sortable\" id=\"packages-table\"";
    page.table(class, &columns, |page| {
        for package in content.packages.iter().take(MAX_PACKAGES) {
            page.raw("<tr><td>");
            page.text(&package.name);
            if let Some(state) = &package.state {
                page.element("span class=\"dim\"", &format!(" ({state})"));
            }
            page.raw("</td>");
            let version = match &package.epoch {
                Some(epoch) => format!("{epoch}:{}", package.version),
                None => package.version.clone(),
            };
            page.element("td", &version);
            page.element("td", &package.arch);
            for (shown, value) in [(sources, &package.source), (licences, &package.licence)] {
                if shown {
                    page.element("td class=\"dim\"", value.as_deref().unwrap_or_default());
                }
            }
            page.number(package.bytes, &bytes(package.bytes));
            page.number(package.files, &count(package.files));
            page.raw("</tr>\n");
        }
    });
    if content.packages.len() > MAX_PACKAGES {
        page.element(
            "p class=\"dim\"",
            &format!("Only the first {MAX_PACKAGES} are shown; a .json report has all."),
        );
    }
}

/// What the script draws from.
pub(super) fn data(page: &mut Html, report: &BuildReport) {
    let Some(content) = &report.content else {
        return;
    };
    let mut maps = json!({"directories": compact(&content.tree)});
    if content.manager.is_some() {
        maps["packages"] = by_package(content);
    }
    // Only strings have these characters, and JSON lets them be spelled so.
    let text = maps
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    page.raw("<script type=\"application/json\" id=\"space-data\">");
    page.raw(&text);
    page.raw("</script>\n");
}

fn compact(space: &Space) -> Value {
    let children: Vec<Value> = space.children.iter().map(compact).collect();
    json!([space.name, space.bytes, space.files, children])
}

fn by_package(content: &Inventory) -> Value {
    let mut packages: Vec<&Package> = content.packages.iter().collect();
    packages.sort_by_key(|package| std::cmp::Reverse(package.bytes));
    let sum = |list: &[&Package], of: fn(&Package) -> u64| {
        let values = list.iter().map(|package| of(package));
        values.fold(0u64, u64::saturating_add)
    };
    let total = sum(&packages, |package| package.bytes).saturating_add(content.unowned.bytes);
    let files = sum(&packages, |package| package.files).saturating_add(content.unowned.files);
    packages.truncate(MAX_DRAWN);
    let mut children: Vec<Value> = packages
        .iter()
        .map(|package| json!([package.name, package.bytes, package.files, []]))
        .collect();
    let mut unowned = compact(&content.unowned);
    unowned[0] = json!("no package");
    children.push(unowned);
    json!(["", total, files, children])
}
