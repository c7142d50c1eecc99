//! Help and documentation, rendered from the table of options.

use super::{Export, OptionSpec, Origin, Repeat, OPTIONS};
use crate::request::variables;

/// Variables that the help names; `docs/variables.md` has them all.
const SHOWN: [variables::Variable; 6] = [
    variables::ELEMENTS_PATH,
    variables::DIB_BLOCK_DEVICE_CONFIG,
    variables::DIB_LOCKFILES,
    variables::DIB_NO_TIMESTAMP,
    variables::DIB_QUIET,
    variables::TMP_DIR,
];

const INDENT: usize = 8;
/// Widest line of a help text.
const WIDTH: usize = 79;

/// The text of `--help`, final newline included.
///
/// `ramdisk` selects the help of `ramdisk-image-create`.
pub fn help(program: &str, ramdisk: bool) -> String {
    let mut text = format!("Usage: {program} [OPTION]... [ELEMENT]...\n\n");
    text.push_str(if ramdisk {
        "Builds a ramdisk and a kernel from elements, without root and without running\nany of their scripts on this machine.\n"
    } else {
        "Builds disk images from elements, without root and without running any of\ntheir scripts on this machine.\n"
    });
    text.push_str("\nOptions:\n");
    for option in OPTIONS
        .iter()
        .filter(|option| !ramdisk || option.ramdisk_help)
    {
        text.push_str(&format!("    {}\n", option.synopsis()));
        text.push_str(&wrapped(&description(option), INDENT));
    }
    text.push_str("\nEnvironment variables (there are more, and most options have one):\n");
    for variable in SHOWN {
        text.push_str(&format!("    {}\n", variable.name));
        text.push_str(&wrapped(&variable.doc.replace('`', ""), INDENT));
    }
    text.push_str("\nOne of the elements must provide an operating system.\n\nExamples:\n");
    for example in examples(ramdisk) {
        text.push_str(&format!("    {}\n", example.replace("PROGRAM", program)));
    }
    text
}

fn examples(ramdisk: bool) -> &'static [&'static str] {
    if ramdisk {
        &["PROGRAM -o deploy-ramdisk debian-minimal"]
    } else {
        &[
            "PROGRAM -o server vm debian-minimal",
            "PROGRAM -t tar -o tree -p less,vim debian-minimal",
            "ELEMENTS_PATH=~/elements PROGRAM -a arm64 vm ubuntu mine",
        ]
    }
}

fn description(option: &OptionSpec) -> String {
    match option.default {
        "" => option.help.to_owned(),
        default => format!("{} (default: {default})", option.help),
    }
}

/// A text in lines for a terminal, each with so many blanks before it.
pub fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut line = " ".repeat(indent);
    for word in text.split_whitespace() {
        if line.len() + word.len() > WIDTH && line.len() > indent {
            lines.push_str(line.trim_end());
            lines.push('\n');
            line = " ".repeat(indent);
        }
        line.push_str(word);
        line.push(' ');
    }
    lines.push_str(line.trim_end());
    lines.push('\n');
    lines
}

/// `docs/options.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Options of disk-image-create\n\n\
         Generated from `src/request/options/table.rs`; a test keeps the two equal.\n\n\
         Options and elements may be mixed; `--` ends the options, and so does the first element if\n\
         `POSIXLY_CORRECT` is exported. Long options may be cut to any unambiguous beginning; a\n\
         beginning that is unambiguous for upstream's options keeps that meaning.\n\n\
         | Option | Sets | Default | If repeated | Origin | Meaning |\n|---|---|---|---|---|---|\n",
    );
    for option in OPTIONS {
        let cell = |text: &str| text.replace('|', "\\|");
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            cell(&option.synopsis()),
            sets(option),
            option.default,
            repeated(option.repeat),
            origin(option.origin),
            cell(option.help),
        ));
    }
    text
}

fn sets(option: &OptionSpec) -> String {
    match (option.variable, option.export) {
        (None, _) => String::new(),
        (Some(variable), Export::Always) => format!("`{}`, exported", variable.name),
        (Some(variable), _) => format!("`{}`", variable.name),
    }
}

fn repeated(repeat: Repeat) -> &'static str {
    match repeat {
        Repeat::Last => "the last one counts",
        Repeat::Append => "adds up",
        Repeat::Count => "adds one each",
        Repeat::Flag => "no effect",
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Getopt => "upstream",
        Origin::Documented => "upstream's help; rejected there",
        Origin::Ours => "ours",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_option_and_fits() {
        let text = help("disk-image-create", false);
        for option in OPTIONS {
            assert!(text.contains(&format!("    {}\n", option.synopsis())));
        }
        assert!(text.starts_with("Usage: disk-image-create [OPTION]... [ELEMENT]...\n"));
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        let ramdisk = help("ramdisk-image-create", true);
        assert!(!ramdisk.contains("    -n\n") && !ramdisk.contains("    -p PACKAGE"));
    }

    #[test]
    fn committed_page_is_current() {
        let page = [
            markdown(),
            crate::request::virt_dib::markdown(),
            crate::request::image_yaml::markdown(),
        ]
        .concat();
        crate::request::check_page("docs/options.md", &page);
    }
}
