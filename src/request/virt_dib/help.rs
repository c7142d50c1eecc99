//! Help, listings and documentation, rendered from the table of options.

use std::fmt::Write;

use crate::request::options::{self, OptionSpec as Other};

use super::line::PROGRAM;
use super::table::{dashed, OptionSpec, OPTIONS};
use super::values::FORMATS;

/// Column in which the help explains an option.
const COLUMN: usize = 38;

/// The text of `--help`.
pub(super) fn help() -> String {
    let mut text = format!(
        "{PROGRAM}: build disk images from elements of diskimage-builder\n\n \
         {PROGRAM} -B DIB-LIB -p ELEMENTS-PATH elements...\n\n\
         Neither root nor anything of libguestfs is needed, and no script of an element\n\
         runs on this machine.\n\nOptions:\n"
    );
    for option in OPTIONS.iter().filter(|option| !option.help.is_empty()) {
        let synopsis = format!("  {}", option.synopsis());
        let gap = match synopsis.chars().count() {
            wide if wide >= COLUMN => format!("\n{}", " ".repeat(COLUMN)),
            width => " ".repeat(COLUMN - width),
        };
        text.push_str(&format!("{synopsis}{gap}{}\n", described(option)));
    }
    text
}

fn described(option: &OptionSpec) -> String {
    match option.default {
        "" => option.help.to_owned(),
        default => format!("{} (default: {default})", option.help),
    }
}

/// What `--short-options` lists, for completion in shells.
pub(super) fn short_options() -> String {
    let letters = OPTIONS
        .iter()
        .flat_map(|option| option.names)
        .filter(|name| name.len() == 1);
    letters.map(|name| format!("{}\n", dashed(name))).collect()
}

/// What `--long-options` lists.
pub(super) fn long_options() -> String {
    let names = OPTIONS.iter().flat_map(OptionSpec::long_names);
    names
        .filter(|name| !["short-options", "long-options"].contains(name))
        .map(|name| format!("{}\n", dashed(name)))
        .collect()
}

/// What `--machine-readable` alone lists.
pub(super) fn listing() -> String {
    let mut text = format!("{PROGRAM}\n");
    for (name, _) in &FORMATS {
        text.push_str(&format!("output:{name}\n"));
    }
    text
}

/// The part of `docs/options.md` about `virt-dib`.
pub fn markdown() -> String {
    let mut text = String::from(
        "\n# Options of virt-dib\n\n\
         Generated from `src/request/virt_dib/table.rs`. Long options may have one dash or two, may be cut to any\n\
         unambiguous beginning, and take their value after `=` or as the next word; letters may be bundled. What\n\
         `--envvar` sets means to the build what an exported variable means to disk-image-create; options win over it.\n\n\
         | Option | disk-image-create | Variable | Request field | Default | If repeated | Meaning |\n|---|---|---|---|---|---|---|\n",
    );
    for option in OPTIONS.iter().filter(|option| !option.help.is_empty()) {
        let other = counterpart(option);
        let variable = other
            .and_then(|other| other.variable)
            .map(|variable| format!("`{}`", variable.name));
        let repeated = match (option.value, option.adds_up) {
            (super::table::Value::None, _) => "no effect",
            (_, true) => "adds up",
            (_, false) => "the last one counts",
        };
        let _infallible = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {repeated} | {} |",
            option.synopsis(),
            other.map_or(String::new(), |other| format!("`{}`", other.synopsis())),
            variable.unwrap_or_default(),
            fields(option.field),
            option.default,
            option.help.replace('|', "\\|"),
        );
    }
    text
}

fn fields(list: &str) -> String {
    let names = list.split(", ").filter(|name| !name.is_empty());
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn counterpart(option: &OptionSpec) -> Option<&'static Other> {
    let id = option.counterpart?;
    options::OPTIONS.iter().find(|other| other.id == id)
}
