//! The page of variables.

use crate::request::variables::{Variable, ALL};

use super::page::{heading, list, see_also};
use super::roff::{filled, strong, text};

const INTRODUCTION: [&str; 2] = [
    "Every exported variable of the caller reaches the hooks, but for those whose names say that they are \
     credentials; see `--envvar`. These are the variables that the engine itself reads or sets.",
    "Values that files of environment.d export reach hooks, never the engine. Where a meaning ends with a \
     generation of diskimage-builder, the engine of another one leaves the variable alone.",
];

/// The man page `safedib-variables(7)`, from the table of variables.
pub fn variables_page() -> String {
    let name = "safedib-variables";
    let mut out = heading(name, 7);
    out.push_str(
        ".SH NAME\nsafedib\\-variables \\- environment variables of image builds\n.SH DESCRIPTION\n",
    );
    for (at, paragraph) in INTRODUCTION.iter().enumerate() {
        let separator = if at == 0 { "" } else { ".PP\n" };
        out.push_str(&format!("{separator}{}", filled(&text(paragraph))));
    }
    let rows: Vec<(String, String)> = ALL
        .iter()
        .map(|variable| (strong(variable.name), text(&told(variable))))
        .collect();
    out.push_str(&list("VARIABLES", &rows));
    out.push_str(&see_also(&[
        "disk-image-create",
        "ramdisk-image-create",
        "safedib",
        "virt-dib",
    ]));
    out
}

fn told(variable: &Variable) -> String {
    let mut told = variable.doc.to_owned();
    if !variable.unit.is_empty() {
        told.push_str(&format!(" Unit: {}.", variable.unit));
    }
    told.push_str(&variable.generation_words());
    if !variable.default.is_empty() {
        told.push_str(&format!(" Default: {}.", variable.default));
    }
    let (set_by, seen_by) = (variable.set_by.words(), variable.visible.words());
    told.push_str(&format!(" Set by: {set_by}. Seen by: {seen_by}."));
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_there() {
        let page = variables_page();
        for variable in ALL {
            let entry = format!(".TP\n{}\n", strong(variable.name));
            assert!(page.contains(&entry), "{}", variable.name);
        }
        assert!(!page.contains("\n\n"), "blank lines are no paragraphs");
    }
}
