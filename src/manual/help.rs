//! `--help`.

use crate::request::options::wrapped;

use super::{Manual, Operands};

/// Widest column of options; longer ones have a line of their own.
const COLUMN: usize = 26;

/// The help of a command of ours.
pub(super) fn with_usage(manual: &Manual) -> String {
    let mut usage = String::new();
    for (at, words) in manual.usage.iter().enumerate() {
        let lead = if at == 0 { "Usage:" } else { "      " };
        let line = format!("{lead} {} {words}", manual.invocation());
        usage.push_str(line.trim_end());
        usage.push('\n');
    }
    below(manual, &usage)
}

/// The help below lines that are there already.
pub(super) fn below(manual: &Manual, usage: &str) -> String {
    let mut text = usage.to_owned();
    for paragraph in manual.description {
        text.push('\n');
        text.push_str(&wrapped(paragraph, 0));
    }
    if let Some((title, rows)) = manual.further {
        table(&mut text, title, &rows());
    }
    let owned = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        let pairs = list.iter();
        pairs
            .map(|(left, right)| ((*left).to_owned(), (*right).to_owned()))
            .collect()
    };
    if let Operands::Words(words) = manual.operands {
        table(&mut text, "Commands", &owned(words));
    }
    let options: Vec<(String, String)> = manual
        .options()
        .iter()
        .map(|option| (option.synopsis(), option.described()))
        .collect();
    table(&mut text, "Options", &options);
    table(&mut text, "Environment", &owned(manual.environment));
    table(&mut text, "Exit status", &owned(manual.statuses));
    text
}

/// A part with a line for each pair.
fn table(text: &mut String, title: &str, rows: &[(String, String)]) {
    if rows.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}:\n"));
    let longest = rows.iter().map(|(left, _)| left.len()).max();
    let column = longest.unwrap_or_default().min(COLUMN - 4) + 4;
    for (left, right) in rows {
        let right = wrapped(right, column);
        if left.len() + 4 > column {
            text.push_str(&format!("  {left}\n{right}"));
        } else {
            let left = format!("  {left:<width$}", width = column - 2);
            text.push_str(&format!("{left}{}", right.trim_start()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::manual::tests::SAMPLE;

    #[test]
    fn help_has_all_parts_in_columns() {
        let expected = "\
Usage: safedib sample [--force] one|two
       safedib sample --list

First `code` and more words, so many that they do not fit into one line of a
terminal.

.hidden begins with a full stop.

Commands:
  one  do one
  two  do both

Options:
  -f, --force         do it; whatever happens
  --format text|json  how it is printed
  --cache=DIR         where it is kept

Exit status:
  0  all is well
  1  it is not
";
        assert_eq!(SAMPLE.help(), expected);
    }
}
