//! What hooks or somebody's file say, made fit to be shown: no text that a terminal
//! or a reader's eye would obey, and nothing without a bound.

use super::build_report::{BuildReport, Event};
use crate::protocol::{Inventory, Package, Space};

/// Most characters of a name, and of a line.
const MAX_NAME: usize = 300;
const MAX_LINE: usize = 4096;
/// Most entries of a list.
const MAX_ENTRIES: usize = 50_000;
/// Most directories and files that are told by themselves, and how deep.
const MAX_SPACES: usize = 20_000;
const MAX_DEPTH: usize = 16;

/// The text without what is obeyed rather than shown: control characters become
/// their pictures, marks that turn the direction of text the replacement character.
pub fn shown(text: &str, limit: usize) -> String {
    let picture = |c: char| match c {
        '\t' => ' ',
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        c => c,
    };
    text.chars().take(limit).map(picture).collect()
}

fn name(text: &mut String) {
    *text = shown(text, MAX_NAME);
}

fn line(text: &mut String) {
    *text = shown(text, MAX_LINE);
}

fn lines(list: &mut Vec<String>) {
    list.truncate(MAX_ENTRIES);
    list.iter_mut().for_each(line);
}

/// Makes all of a report fit to be shown. Lines of messages are kept apart.
pub fn report(report: &mut BuildReport) {
    let outcome = &mut report.outcome;
    for text in [&mut outcome.message, &mut outcome.hint]
        .into_iter()
        .flatten()
    {
        let parts: Vec<String> = text.lines().map(|part| shown(part, MAX_LINE)).collect();
        *text = parts.join("\n");
    }
    for text in [&mut outcome.phase, &mut outcome.hook, &mut outcome.element] {
        text.iter_mut().for_each(name);
    }
    lines(&mut outcome.tail);
    let image = &mut report.image;
    for text in [
        &mut report.generator,
        &mut image.name,
        &mut image.arch,
        &mut image.command,
        &mut image.generation,
        &mut image.began,
    ] {
        line(text);
    }
    image.seconds = positive(image.seconds);
    lines(&mut image.requested);
    lines(&mut report.warnings);
    report.outputs.truncate(MAX_ENTRIES);
    for output in &mut report.outputs {
        [&mut output.name, &mut output.format]
            .into_iter()
            .chain(&mut output.path)
            .chain(&mut output.sha256)
            .for_each(line);
    }
    report.appliances.truncate(MAX_ENTRIES);
    for appliance in &mut report.appliances {
        line(&mut appliance.kind);
        line(&mut appliance.why);
        lines(&mut appliance.notes);
        appliance.seconds = positive(appliance.seconds);
    }
    report.elements.truncate(MAX_ENTRIES);
    for element in &mut report.elements {
        line(&mut element.name);
        line(&mut element.path);
        lines(&mut element.asked_by);
    }
    if let Some(layer) = &mut report.layer {
        line(&mut layer.text);
        lines(&mut layer.hooks);
    }
    report.timeline.truncate(MAX_ENTRIES);
    report.timeline.iter_mut().for_each(event);
    report.content.iter_mut().for_each(inventory);
    // What an earlier report was compared with is its own affair.
    report.difference = None;
}

fn event(event: &mut Event) {
    line(&mut event.name);
    [&mut event.phase, &mut event.element]
        .into_iter()
        .flatten()
        .for_each(name);
    event.start = positive(event.start);
    event.seconds = positive(event.seconds);
}

fn positive(seconds: f64) -> f64 {
    match seconds.is_finite() {
        true => seconds.max(0.0),
        false => 0.0,
    }
}

/// Makes an inventory fit to be shown.
pub fn inventory(inventory: &mut Inventory) {
    let mut room = MAX_SPACES;
    space(&mut inventory.tree, &mut room, 0);
    let mut room = MAX_SPACES;
    space(&mut inventory.unowned, &mut room, 0);
    let system = &mut inventory.system;
    [&mut system.id, &mut system.version, &mut system.name]
        .into_iter()
        .flatten()
        .for_each(name);
    inventory.note.iter_mut().for_each(line);
    inventory.packages.truncate(MAX_ENTRIES);
    inventory.packages.iter_mut().for_each(package);
}

fn package(package: &mut Package) {
    let optional = [
        &mut package.epoch,
        &mut package.source,
        &mut package.licence,
        &mut package.state,
    ];
    [&mut package.name, &mut package.version, &mut package.arch]
        .into_iter()
        .chain(optional.into_iter().flatten())
        .for_each(name);
}

/// Children cannot take more than what they are in: maps are drawn by these numbers.
fn space(of: &mut Space, room: &mut usize, depth: usize) {
    name(&mut of.name);
    if depth >= MAX_DEPTH {
        of.children.clear();
    }
    of.children.truncate(*room);
    *room = room.saturating_sub(of.children.len());
    let mut left = of.bytes;
    for child in &mut of.children {
        child.bytes = child.bytes.min(left);
        left -= child.bytes;
        space(child, room, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed() {
        let text = "a\u{1b}[2Jb\tc\u{202e}d\u{9b}e\n\u{7f}\u{e9}";
        let expected = "a\u{241b}[2Jb c\u{fffd}d\u{fffd}e\u{240a}\u{2421}\u{e9}";
        assert_eq!(shown(text, 100), expected);
        assert_eq!(shown(&"x".repeat(500), 300).len(), 300);
    }

    #[test]
    fn numbers_and_depths_have_bounds() {
        let mut deep = Space {
            bytes: u64::MAX,
            ..Space::default()
        };
        for _ in 0..100 {
            deep = Space {
                bytes: 10,
                children: vec![deep],
                ..Space::default()
            };
        }
        let mut report = BuildReport {
            content: Some(Inventory {
                tree: deep,
                ..Inventory::default()
            }),
            ..BuildReport::default()
        };
        report.image.seconds = f64::NAN;
        report.outcome.message = Some("one\ntwo\u{7}".to_owned());
        super::report(&mut report);
        assert_eq!(report.image.seconds, 0.0);
        assert_eq!(report.outcome.message.as_deref(), Some("one\ntwo\u{2407}"));
        let content = report.content.unwrap();
        let mut depth = 0;
        let mut space = &content.tree;
        while let Some(next) = space.children.first() {
            assert!(next.bytes <= space.bytes);
            (space, depth) = (next, depth + 1);
        }
        assert_eq!(depth, MAX_DEPTH);
    }
}
