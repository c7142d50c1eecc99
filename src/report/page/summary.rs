//! Head and facts of the page.

use super::{bytes, count, counted, duration, Html};
use crate::protocol::Manager;
use crate::report::build_report::{BuildReport, OutputFacts, State};

/// Formats that hold a tree rather than a disk.
const PACKED: [&str; 5] = ["tar", "tgz", "squashfs", "aci", "docker"];

pub(super) fn header(page: &mut Html, report: &BuildReport) {
    let image = &report.image;
    page.raw("<header>\n<p class=\"eyebrow\">Build report</p>\n<h1>");
    page.text(&image.name);
    let state = state(report.outcome.state);
    page.element(&format!("span class=\"state {state}\""), state);
    page.raw("</h1>\n<p class=\"command\">");
    page.text(&image.began.replacen('T', " ", 1).replacen('Z', " UTC", 1));
    page.raw(" \u{b7} ");
    page.text(&image.arch);
    page.raw(" \u{b7} ");
    page.element("code", &image.command);
    page.raw("</p>\n<dl class=\"tiles\">\n");
    tiles(page, report);
    page.raw("</dl>\n");
    navigation(page, report);
    page.raw("</header>\n");
}

pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Built => "built",
        State::Failed => "failed",
        State::Interrupted => "interrupted",
    }
}

fn tiles(page: &mut Html, report: &BuildReport) {
    let hooks = report.hooks().count() as u64;
    let time = duration(report.image.seconds);
    tile(page, "Time", &time, &counted(hooks, "hook"));
    let disk = |output: &&OutputFacts| !PACKED.contains(&output.format.as_str());
    let mut outputs = report.outputs.iter();
    let main = outputs.clone().find(disk).or(outputs.next());
    if let Some(main) = main {
        let note = match report.outputs.len() {
            1 => file_name(main).to_owned(),
            more => format!("{}, and {} more", file_name(main), more - 1),
        };
        tile(page, "Image", &bytes(main.bytes), &note);
    }
    if let Some(content) = &report.content {
        let note = format!("in {}", counted(content.files, "file"));
        tile(page, "Content", &bytes(content.tree.bytes), &note);
        let (value, note) = match content.manager {
            Some(manager) => (count(content.packages.len() as u64), name_of(manager)),
            None => ("unknown".to_owned(), "no database"),
        };
        let system = content.system.name.as_deref();
        tile(page, "Packages", &value, system.unwrap_or(note));
    }
    let mut kinds: Vec<&str> = Vec::new();
    for appliance in &report.appliances {
        if !kinds.contains(&appliance.kind.as_str()) {
            kinds.push(&appliance.kind);
        }
    }
    if let Some(first) = report.appliances.first() {
        let note = match kinds.len() {
            1 => first.why.clone(),
            _ => "in turn; see below".to_owned(),
        };
        tile(page, "Appliance", &kinds.join(", "), &note);
    }
    let warnings = report.warnings.len() as u64;
    let note = match warnings {
        0 => "nothing to look at",
        _ => "see below",
    };
    tile(page, "Warnings", &count(warnings), note);
}

pub(super) fn name_of(manager: Manager) -> &'static str {
    match manager {
        Manager::Dpkg => "dpkg",
        Manager::Rpm => "rpm",
    }
}

fn tile(page: &mut Html, name: &str, value: &str, note: &str) {
    page.raw("<div class=\"tile\">");
    page.element("dt", name);
    let class = match value.chars().count() > 14 {
        true => "value long",
        false => "value",
    };
    page.element(&format!("dd class=\"{class}\""), value);
    page.element("dd class=\"note\"", note);
    page.raw("</div>\n");
}

fn navigation(page: &mut Html, report: &BuildReport) {
    let sections = [
        ("failure", "Failure", report.outcome.state != State::Built),
        ("warnings", "Warnings", !report.warnings.is_empty()),
        ("difference", "Difference", report.difference.is_some()),
        ("time", "Time", !report.timeline.is_empty()),
        ("space", "Space", report.content.is_some()),
        ("packages", "Packages", report.content.is_some()),
        ("outputs", "Outputs", !report.outputs.is_empty()),
        ("elements", "Elements", !report.elements.is_empty()),
        ("appliances", "Appliances", !report.appliances.is_empty()),
    ];
    page.raw("<nav aria-label=\"Sections\"><ul>\n");
    for (id, name, _) in sections.iter().filter(|(.., there)| *there) {
        page.raw(&format!("<li><a href=\"#{id}\">{name}</a></li>\n"));
    }
    page.raw("</ul></nav>\n");
}

pub(super) fn failure(page: &mut Html, report: &BuildReport) {
    let outcome = &report.outcome;
    if outcome.state == State::Built {
        return;
    }
    let title = match outcome.state {
        State::Interrupted => "The build was interrupted",
        _ => "The build failed",
    };
    page.begin("failure", "failure", title);
    page.element(
        "p class=\"message\"",
        outcome
            .message
            .as_deref()
            .unwrap_or("for an unknown reason"),
    );
    if let Some(hint) = &outcome.hint {
        page.element("p class=\"hint\"", hint);
    }
    let status = outcome.status.map(|status| status.to_string());
    let facts = [
        ("Hook", &outcome.hook),
        ("Element", &outcome.element),
        ("Phase", &outcome.phase),
        ("Exit status", &status),
    ];
    if facts.iter().any(|(_, value)| value.is_some()) {
        page.raw("<dl class=\"facts\">\n");
        for (name, value) in facts {
            if let Some(value) = value {
                page.element("dt", name);
                page.element("dd", value);
            }
        }
        page.raw("</dl>\n");
    }
    if !outcome.tail.is_empty() {
        page.raw("<p class=\"dim\">The last lines that it printed:</p>\n");
        page.element("pre tabindex=\"0\"", &outcome.tail.join("\n"));
    }
    page.end();
}

pub(super) fn warnings(page: &mut Html, report: &BuildReport) {
    if report.warnings.is_empty() {
        return;
    }
    page.begin("warnings", "warnings", "Warnings");
    page.raw("<ul>\n");
    for warning in report.warnings.iter().take(200) {
        page.element("li", warning);
        page.raw("\n");
    }
    page.raw("</ul>\n");
    page.end();
}

fn file_name(output: &OutputFacts) -> &str {
    output.name.rsplit('/').next().unwrap_or_default()
}

pub(super) fn outputs(page: &mut Html, report: &BuildReport) {
    if report.outputs.is_empty() {
        return;
    }
    page.begin("outputs", "", "Outputs");
    page.table("", &["File", "Format", "#Size", "#On disk"], |page| {
        for output in &report.outputs {
            page.raw("<tr><td>");
            page.text(output.path.as_deref().unwrap_or(&output.name));
            if let Some(sum) = &output.sha256 {
                page.raw("<br>");
                page.element("span class=\"dim mono\"", &format!("sha256 {sum}"));
            }
            page.raw("</td>");
            page.element("td", &output.format);
            match output.path {
                Some(_) => {
                    page.number(output.bytes, &bytes(output.bytes));
                    page.number(output.allocated, &bytes(output.allocated));
                }
                None => page.raw("<td class=\"num\">imported</td><td></td>"),
            }
            page.raw("</tr>\n");
        }
    });
    page.end();
}

pub(super) fn elements(page: &mut Html, report: &BuildReport) {
    if report.elements.is_empty() {
        return;
    }
    page.begin("elements", "", "Elements");
    page.raw("<p class=\"lead\">");
    page.text(&format!(
        "Asked for: {}. Generation {}.",
        report.image.requested.join(", "),
        report.image.generation
    ));
    page.raw("</p>\n");
    let columns = ["Element", "Asked for by", "Directory"];
    page.table(" class=\"sortable\"", &columns, |page| {
        for element in &report.elements {
            page.raw("<tr>");
            page.element("td", &element.name);
            let askers: Vec<&str> = element
                .asked_by
                .iter()
                .map(|asker| match asker.as_str() {
                    "" => "the command line",
                    asker => asker,
                })
                .collect();
            page.element("td", &askers.join(", "));
            page.element("td class=\"mono\"", &element.path);
            page.raw("</tr>\n");
        }
    });
    page.end();
}

pub(super) fn appliances(page: &mut Html, report: &BuildReport) {
    if report.appliances.is_empty() {
        return;
    }
    page.begin("appliances", "", "Appliances");
    let columns = ["Appliance", "Why", "#Steps", "#Time"];
    page.table("", &columns, |page| {
        for appliance in &report.appliances {
            page.raw("<tr>");
            page.element("td", &appliance.kind);
            page.raw("<td>");
            page.text(&appliance.why);
            for note in &appliance.notes {
                page.raw("<br>");
                page.element("span class=\"dim\"", note);
            }
            page.raw("</td>");
            let (first, last) = appliance.steps;
            page.number(first, &format!("{first}\u{2013}{last}"));
            let time = match appliance.seconds > 0.0 {
                true => duration(appliance.seconds),
                false => "not reached".to_owned(),
            };
            page.number(appliance.seconds, &time);
            page.raw("</tr>\n");
        }
    });
    page.end();
}

pub(super) fn footer(page: &mut Html, report: &BuildReport) {
    page.raw("<footer>");
    page.text(&report.generator);
    page.raw(
        ". Sizes of content are what files take on the filesystem of the build, hard links \
         once; names and versions are those of the image, and nobody has checked them.</footer>\n",
    );
}
