//! Where the time went.

use super::{counted, duration, percent, Html};
use crate::report::build_report::{BuildReport, Event, EventKind};

/// Steps that take less than this part of the build have no row of their own.
const LEAST_PART: f64 = 0.004;
/// Most rows of the timeline, segments of a row, and rows of the tables.
const MAX_ROWS: usize = 60;
const MAX_SEGMENTS: usize = 400;
const MAX_SLOWEST: usize = 12;
const MAX_HOOKS: usize = 1500;

/// A row of the timeline.
struct Row<'a> {
    label: String,
    note: String,
    seconds: f64,
    segments: Vec<&'a Event>,
}

pub(super) fn section(page: &mut Html, report: &BuildReport) {
    if report.timeline.is_empty() {
        return;
    }
    page.begin("time", "", "Time");
    if let Some(layer) = &report.layer {
        page.raw("<p class=\"lead\">");
        page.text(&layer.text);
        page.text(". What follows is what ran.");
        page.raw("</p>\n");
    }
    timeline(page, report);
    slowest(page, report);
    all_hooks(page, report);
    page.end();
}

fn timeline(page: &mut Html, report: &BuildReport) {
    let total = total(report);
    let (mut rows, rest) = rows(report, total);
    rows.truncate(MAX_ROWS);
    page.raw("<ol class=\"timeline\">\n<li class=\"axis\" aria-hidden=\"true\"><span></span><span class=\"track\">");
    for tick in ticks(total) {
        let at = percent(tick, total);
        page.element(&format!("i style=\"left:{at:.2}%\""), &tick_name(tick));
    }
    page.raw("</span><span></span></li>\n");
    for row in &rows {
        page.raw("<li><span class=\"label\" title=\"");
        page.text(&row.label);
        page.raw("\">");
        page.text(&row.label);
        if !row.note.is_empty() {
            page.element("small", &row.note);
        }
        page.raw("</span><span class=\"track\" aria-hidden=\"true\">");
        for (number, event) in row.segments.iter().take(MAX_SEGMENTS).enumerate() {
            segment(page, event, number, total);
        }
        page.raw("</span>");
        page.element("span class=\"num\"", &duration(row.seconds));
        page.raw("</li>\n");
    }
    page.raw("</ol>\n<p class=\"legend\"><span><i class=\"hook\"></i>hooks of elements</span><span><i></i>safedib</span>");
    let any = |kind| report.timeline.iter().any(|event| event.kind == kind);
    if any(EventKind::Beside) {
        page.raw("<span><i class=\"beside\"></i>beside other steps</span>");
    }
    if report.hooks().any(|hook| !hook.ended) {
        page.raw("<span><i class=\"failed\"></i>did not come to its end</span>");
    }
    if rest.1 > 0 {
        page.raw("<span>");
        page.text(&format!(
            "{} left out, {}",
            counted(rest.1, "short step"),
            duration(rest.0)
        ));
        page.raw("</span>");
    }
    page.raw("</p>\n");
}

fn total(report: &BuildReport) -> f64 {
    let ends = report
        .timeline
        .iter()
        .map(|event| event.start + event.seconds);
    ends.fold(report.image.seconds, f64::max)
}

/// The rows, and seconds and number of what has none.
fn rows(report: &BuildReport, total: f64) -> (Vec<Row<'_>>, (f64, u64)) {
    let least = total * LEAST_PART;
    let mut rows = Vec::new();
    let mut rest = (0.0, 0);
    for event in &report.timeline {
        if event.kind == EventKind::Hook {
            continue;
        }
        let mut row = Row {
            label: event.name.clone(),
            note: String::new(),
            seconds: event.seconds,
            segments: vec![event],
        };
        if let (EventKind::Step, Some(phase)) = (event.kind, &event.phase) {
            let end = event.start + event.seconds;
            let within = |hook: &&Event| {
                hook.phase.as_ref() == Some(phase) && hook.start >= event.start && hook.start <= end
            };
            row.segments.extend(report.hooks().filter(within));
            let hooks = row.segments.len() as u64 - 1;
            row.label = format!("{phase}.d");
            row.note = counted(hooks, "hook");
            if hooks == 0 && event.seconds < least {
                continue;
            }
        } else if event.seconds < least && event.ended {
            rest = (rest.0 + event.seconds, rest.1 + 1);
            continue;
        }
        rows.push(row);
    }
    (rows, rest)
}

fn segment(page: &mut Html, event: &Event, number: usize, total: f64) {
    let class = match (event.kind, event.ended) {
        (EventKind::Hook, false) => "bar failed",
        (EventKind::Hook, true) if number % 2 == 0 => "bar hook odd",
        (EventKind::Hook, true) => "bar hook",
        (EventKind::Beside, _) => "bar beside",
        (EventKind::Step | EventKind::Own, _) => "bar",
    };
    let (left, width) = (percent(event.start, total), percent(event.seconds, total));
    page.raw(&format!(
        "<i class=\"{class}\" style=\"left:{left:.3}%;width:{width:.3}%\" title=\""
    ));
    page.text(&event.name);
    if let Some(element) = &event.element {
        page.text(&format!(" of {element}"));
    }
    page.text(&format!(", {}", duration(event.seconds)));
    page.raw("\"></i>");
}

/// Some five round times.
fn ticks(total: f64) -> Vec<f64> {
    const STEPS: [f64; 15] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
    ];
    let step = STEPS.into_iter().find(|step| total / step <= 7.0);
    let step = step.unwrap_or((total / 6.0).max(3600.0));
    let count = (total / step).floor().min(10.0) as u32;
    (0..=count).map(|number| f64::from(number) * step).collect()
}

fn tick_name(seconds: f64) -> String {
    match seconds {
        0.0 => "0".to_owned(),
        s if s < 1.0 => format!("{s:.1} s"),
        s if s < 60.0 => format!("{s:.0} s"),
        s if s % 60.0 == 0.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0}:{:02.0} min", (s / 60.0).floor(), s % 60.0),
    }
}

fn slowest(page: &mut Html, report: &BuildReport) {
    let mut hooks: Vec<&Event> = report.hooks().collect();
    hooks.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    hooks.truncate(MAX_SLOWEST);
    let Some(first) = hooks.first() else {
        return;
    };
    let most = first.seconds;
    page.raw("<h3>Slowest hooks</h3>\n");
    let columns = ["Hook", "Element", "~", "#Time"];
    page.table("", &columns, |page| {
        for hook in hooks {
            hook_cells(page, hook);
            let width = percent(hook.seconds, most);
            page.raw(&format!(
                "<td class=\"wide\"><span class=\"meter\"><i style=\"width:{width:.1}%\"></i></span></td>"
            ));
            page.number(hook.seconds, &duration(hook.seconds));
            page.raw("</tr>\n");
        }
    });
}

fn hook_cells(page: &mut Html, hook: &Event) {
    page.raw("<tr><td>");
    page.element(
        "span class=\"dim\"",
        &format!("{}.d/", hook.phase.as_deref().unwrap_or_default()),
    );
    page.text(&hook.name);
    page.raw("</td>");
    page.element("td", hook.element.as_deref().unwrap_or("\u{2013}"));
}

fn all_hooks(page: &mut Html, report: &BuildReport) {
    let hooks: Vec<&Event> = report.hooks().collect();
    let reused = report.layer.as_ref().map(|layer| layer.hooks.as_slice());
    let reused = reused.unwrap_or_default();
    if hooks.is_empty() && reused.is_empty() {
        return;
    }
    page.raw("<details><summary>");
    page.text(&format!(
        "All {} in order",
        counted(hooks.len() as u64, "hook")
    ));
    page.raw("</summary>\n");
    if !reused.is_empty() {
        page.raw("<p class=\"dim\">");
        page.text(&format!("From the layer, not run: {}", reused.join(", ")));
        page.raw("</p>\n");
    }
    let columns = ["Hook", "Element", "#Began at", "#Time"];
    page.table(" class=\"sortable\"", &columns, |page| {
        for hook in hooks.into_iter().take(MAX_HOOKS) {
            hook_cells(page, hook);
            page.number(hook.start, &duration(hook.start));
            let time = match hook.ended {
                true => duration(hook.seconds),
                false => format!("{}, not ended", duration(hook.seconds)),
            };
            page.number(hook.seconds, &time);
            page.raw("</tr>\n");
        }
    });
    page.raw("</details>\n");
}
