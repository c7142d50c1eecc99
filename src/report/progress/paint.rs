//! The block at the bottom of the screen: state, time and size become rows, rows
//! become the bytes that put them there. Pure.

use super::state::Progress;
use super::text::{fit, running};

/// Most rows that the block has.
const MOST_ROWS: usize = 8;

/// Size of a screen, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: u16,
    pub(super) rows: u16,
}

/// What a row is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Head,
    Plain,
    Log,
}

/// A row of the block: never wider than the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) look: Look,
    pub(super) text: String,
}

/// The rows for a screen of this size: one at least, and one less than it has.
/// The last column stays free, because a cursor behind it is on either line.
pub(super) fn paint(progress: &Progress, now: f64, size: Size) -> Vec<Row> {
    let columns = usize::from(size.columns).saturating_sub(1).max(1);
    let most = usize::from(size.rows).saturating_sub(1).clamp(1, MOST_ROWS);
    let row = |look, text: String| Row {
        look,
        text: fit(&text, columns),
    };
    let mut rows = vec![
        row(Look::Head, head(progress, now, columns)),
        row(Look::Plain, current(progress, now)),
        row(Look::Plain, whole(progress, now)),
    ];
    rows.truncate(most);
    let lines = progress.tail.last(most - rows.len());
    rows.extend(
        lines
            .into_iter()
            .map(|line| row(Look::Log, format!(" | {line}"))),
    );
    rows
}

/// ` [======      ]  42 %  step 7 of 23: run hooks of install.d`
fn head(progress: &Progress, now: f64, columns: usize) -> String {
    let fraction = progress.fraction(now);
    let place = match (progress.step, progress.all()) {
        (Some(step), all) => format!("step {} of {all}: ", step + 1),
        _ => String::new(),
    };
    let bar = match columns {
        0..30 => String::new(),
        30..60 => bar(fraction, 10),
        _ => bar(fraction, 20),
    };
    let percent = match progress.past.is_some() && !bar.is_empty() {
        true => format!("{:>3.0} %  ", (fraction * 100.0).floor()),
        false => String::new(),
    };
    format!(" {bar}{percent}{place}{}", progress.doing)
}

fn bar(fraction: f64, cells: usize) -> String {
    let full = ((fraction * cells as f64) as usize).min(cells);
    format!("[{}{}] ", "=".repeat(full), " ".repeat(cells - full))
}

/// ` 12 s  50-foo of bar, 3 of 9; last time 40 s`
fn current(progress: &Progress, now: f64) -> String {
    let (since, what) = match &progress.hook {
        Some(hook) => {
            let name = progress.with_element(hook.phase, &hook.name);
            // Hooks may enable others, which nobody has counted.
            let number = progress.hooks + 1;
            let all = progress.hooks_of(hook.phase).max(number);
            (hook.since, format!("{name}, hook {number} of {all}"))
        }
        None => (progress.since, "in this step".to_owned()),
    };
    let last = match progress.last_time() {
        Some(seconds) => format!("; last time {}", running(seconds)),
        None => String::new(),
    };
    format!(" {}  {what}{last}", running(now - since))
}

/// ` total 1 min 03 s, about 2 min 10 s left; the last build took 3 min 12 s`
fn whole(progress: &Progress, now: f64) -> String {
    let total = running(now);
    match (&progress.past, progress.left(now)) {
        (Some(past), Some(left)) => format!(
            " total {total}, about {} left; the last build took {}",
            running(left),
            running(past.total)
        ),
        _ if progress.all() == 0 => format!(" total {total}"),
        _ => format!(" total {total}; no earlier build of these elements to compare with"),
    }
}

/// Erases everything below the cursor, and its row.
pub(super) const ERASE: &str = "\r\x1b[J";

/// The bytes that print `above`, which ends with a newline or is empty, and the
/// block below it. The cursor is in the block's first column and row before and
/// after: so nothing depends on how many rows the old block has now, on a screen
/// that may have become narrower and wrapped them. Rows are not wrapped while
/// they are written, should this have happened a moment ago.
pub(super) fn frame(above: &str, rows: &[Row], colours: bool) -> String {
    let mut bytes = String::from("\r");
    if !above.is_empty() || rows.is_empty() {
        bytes.push_str(ERASE);
        bytes.push_str(above);
    }
    if rows.is_empty() {
        return bytes;
    }
    bytes.push_str("\x1b[?7l");
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            bytes.push_str("\r\n");
        }
        bytes.push_str(&coloured(row, colours));
        bytes.push_str("\x1b[K");
    }
    bytes.push_str("\x1b[J\x1b[?7h\r");
    if rows.len() > 1 {
        bytes.push_str(&format!("\x1b[{}A", rows.len() - 1));
    }
    bytes
}

fn coloured(row: &Row, colours: bool) -> String {
    let code = match row.look {
        Look::Head => "1",
        Look::Log => "2",
        Look::Plain => "",
    };
    match colours && !code.is_empty() {
        true => format!("\x1b[{code}m{}\x1b[0m", row.text),
        false => row.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{four_steps, hook_started};
    use super::super::text::width;
    use super::super::times::Times;
    use super::*;
    use crate::protocol::FromAgent;

    fn in_the_hook(past: Option<Times>) -> Progress {
        let mut progress = four_steps(past);
        progress.note(&FromAgent::StepStarted { index: 0 }, 0.0);
        let done = FromAgent::StepFinished {
            index: 0,
            seconds: 0.0,
        };
        progress.note(&done, 0.0);
        progress.note(&FromAgent::StepStarted { index: 1 }, 1.0);
        progress.note(&hook_started("10-a"), 2.0);
        progress
    }

    fn past() -> Times {
        let items = [("1", (1.0, 60.0)), ("install.d/10-a", (2.0, 40.0))];
        let items = items.map(|(name, item)| (name.to_owned(), item)).into();
        Times {
            total: 100.0,
            items,
            ..Times::default()
        }
    }

    fn texts(progress: &Progress, columns: u16, rows: u16) -> Vec<String> {
        let painted = paint(progress, 14.5, Size { columns, rows });
        painted.into_iter().map(|row| row.text).collect()
    }

    #[test]
    fn a_wide_screen_shows_everything() {
        let mut progress = in_the_hook(Some(past()));
        progress.tail.push(b"fetching\n50 %\r60 %");
        assert_eq!(
            texts(&progress, 80, 24),
            [
                " [==                  ]  14 %  step 2 of 4: run hooks of install.d",
                " 12 s  10-a of one, hook 1 of 2; last time 40 s",
                " total 14 s, about 1 min 25 s left; the last build took 1 min 40 s",
                " | fetching",
                " | 60 %",
            ]
        );
        let first = in_the_hook(None);
        assert_eq!(
            texts(&first, 200, 24),
            [
                " [=====               ] step 2 of 4: run hooks of install.d",
                " 12 s  10-a of one, hook 1 of 2",
                " total 14 s; no earlier build of these elements to compare with",
            ]
        );
    }

    #[test]
    fn a_narrow_screen_shows_what_matters() {
        let mut progress = in_the_hook(Some(past()));
        progress
            .tail
            .push(b"a line that is longer than the screen\n");
        assert_eq!(
            texts(&progress, 40, 24),
            [
                " [=         ]  14 %  step 2 of 4: ru...",
                " 12 s  10-a of one, hook 1 of 2; las...",
                " total 14 s, about 1 min 25 s left; ...",
                " | a line that is longer than the sc...",
            ]
        );
        assert_eq!(
            texts(&progress, 20, 24),
            [
                " step 2 of 4: ru...",
                " 12 s  10-a of o...",
                " total 14 s, abo...",
                " | a line that i...",
            ]
        );
    }

    #[test]
    fn no_row_is_too_wide_and_no_block_too_high() {
        let mut progress = in_the_hook(Some(past()));
        for line in 0..20 {
            let text = format!(
                "\x1b[7m\u{65e5}\u{672c}\u{8a9e}\x1b]0;x\x07 {line} \u{1f600}\t{}\n",
                "\u{ff21}".repeat(line * 9)
            );
            progress.tail.push(text.as_bytes());
        }
        for columns in (0..30).chain([40, 80, 200, u16::MAX]) {
            for rows in [0, 1, 2, 3, 5, 8, 24, u16::MAX] {
                let painted = paint(&progress, 1e9, Size { columns, rows });
                assert!(!painted.is_empty());
                assert!(painted.len() <= usize::from(rows).saturating_sub(1).clamp(1, 8));
                for row in painted {
                    let limit = usize::from(columns).saturating_sub(1).max(1);
                    assert!(width(&row.text) <= limit, "{columns}: {row:?}");
                    assert!(!row.text.contains(char::is_control), "{row:?}");
                }
            }
        }
    }

    #[test]
    fn without_colours_there_are_none() {
        let rows = paint(
            &in_the_hook(None),
            3.0,
            Size {
                columns: 80,
                rows: 24,
            },
        );
        let colour = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
        assert!(colour.is_match(&frame("", &rows, true)));
        let plain = frame("line\r\n", &rows, false);
        assert!(!colour.is_match(&plain));
        assert!(
            plain.starts_with("\r\r\x1b[Jline\r\n\x1b[?7l [="),
            "{plain:?}"
        );
        assert!(
            plain.ends_with("\x1b[K\x1b[J\x1b[?7h\r\x1b[2A"),
            "{plain:?}"
        );
        assert_eq!(frame("", &[], true), "\r\r\x1b[J");
    }
}
