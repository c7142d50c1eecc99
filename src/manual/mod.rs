//! What the commands' manuals say, and how it is shown: as `--help`, as a man
//! page, and as completions for three shells. Each command has one
//! [`Manual`], beside its code; options of upstream's commands come from the
//! tables that their parsers use.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod bash;
mod fish;
mod front;
mod help;
mod option;
mod page;
mod roff;
mod variables;
mod zsh;

pub use front::{front_page, SHELLS};
pub use option::{Given, Kind, Opt, Value};
pub use variables::variables_page;

use crate::request::options;
use crate::request::virt_dib;

/// The manual of one command.
///
/// Texts are sentences; what stands in backticks is shown as typed.
#[derive(Debug, Clone, Copy)]
pub struct Manual {
    /// The exact name by which it is called.
    pub name: &'static str,
    /// It can be called by a link of its name, else as `safedib NAME` only.
    pub linked: bool,
    /// What it does, in half a sentence.
    pub summary: &'static str,
    /// The words after the name, one line for each form of the command.
    pub usage: &'static [&'static str],
    /// Paragraphs.
    pub description: &'static [&'static str],
    /// A further list, with its title.
    pub further: Option<(&'static str, Rows)>,
    /// Options.
    pub options: Options,
    /// The words that are no options.
    pub operands: Operands,
    /// Variables that it reads, and what they do. Those of builds have a page
    /// of their own.
    pub environment: &'static [(&'static str, &'static str)],
    /// Exit statuses and what they mean.
    pub statuses: &'static [(&'static str, &'static str)],
    /// Files, and what is in them.
    pub files: &'static [(&'static str, &'static str)],
    /// What somebody wants, and the command line for it.
    pub examples: &'static [(&'static str, &'static str)],
    /// Names of other pages.
    pub see_also: &'static [&'static str],
}

/// What gives the entries of a list: what is explained, and what it means.
pub type Rows = fn() -> Vec<(String, String)>;

/// Where a command's options stand.
#[derive(Debug, Clone, Copy)]
pub enum Options {
    /// Here: as typed, with the names of values, and what they do.
    Listed(&'static [(&'static str, &'static str)]),
    /// In the table of `disk-image-create`.
    DiskImageCreate,
    /// There, without those that ramdisks do not have.
    RamdiskImageCreate,
    /// In the table of `virt-dib`.
    VirtDib,
}

/// What the words of a command that are no options are.
#[derive(Debug, Clone, Copy)]
pub enum Operands {
    /// There are none.
    None,
    /// Names of elements.
    Elements,
    /// Paths of files.
    Files,
    /// Paths of directories.
    Directories,
    /// One of these words, which mean this.
    Words(&'static [(&'static str, &'static str)]),
    /// One of the names that this gives.
    Names(fn() -> Vec<String>),
    /// A command, one of these, and its words.
    CommandLine(&'static [&'static str]),
}

impl Manual {
    /// A manual that says nothing, from which others take what they leave out.
    pub const EMPTY: Manual = Manual {
        name: "",
        linked: false,
        summary: "",
        usage: &[],
        description: &[],
        further: None,
        options: Options::Listed(&[]),
        operands: Operands::None,
        environment: &[],
        statuses: &[],
        files: &[],
        examples: &[],
        see_also: &[],
    };

    /// How it is called.
    pub fn invocation(&self) -> String {
        match self.linked {
            true => self.name.to_owned(),
            false => format!("safedib {}", self.name),
        }
    }

    /// The name of its man page.
    pub fn page_name(&self) -> String {
        self.invocation().replace(' ', "-")
    }

    /// Its options, in the order in which they are shown.
    pub fn options(&self) -> Vec<Opt> {
        match self.options {
            Options::Listed(list) => list
                .iter()
                .map(|(synopsis, help)| Opt::read(synopsis, help))
                .collect(),
            Options::DiskImageCreate => options::OPTIONS.iter().map(Opt::of).collect(),
            Options::RamdiskImageCreate => options::OPTIONS
                .iter()
                .filter(|option| option.ramdisk_help)
                .map(Opt::of)
                .collect(),
            Options::VirtDib => virt_dib::OPTIONS
                .iter()
                .filter(|option| !option.help.is_empty())
                .map(Opt::of_virt_dib)
                .collect(),
        }
    }

    /// The text of `--help` with a line `Usage:` for each form.
    pub fn help(&self) -> String {
        help::with_usage(self)
    }

    /// The text of `--help` below usage lines of upstream's form.
    pub fn help_below(&self, usage: &str) -> String {
        help::below(self, usage)
    }

    /// The man page, in the macros of man(7).
    pub fn page(&self) -> String {
        page::page(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const SAMPLE: Manual = Manual {
        name: "sample",
        summary: "do what a sample does",
        usage: &["[--force] one|two", "--list"],
        description: &[
            "First `code` and more words, so many that they do not fit into one line of a terminal.",
            ".hidden begins with a full stop.",
        ],
        options: Options::Listed(&[
            ("-f, --force", "do it; whatever happens"),
            ("--format text|json", "how it is printed"),
            ("--cache=DIR", "where it is kept"),
        ]),
        operands: Operands::Words(&[("one", "do one"), ("two", "do both")]),
        statuses: &[("0", "all is well"), ("1", "it is not")],
        see_also: &["safedib", "safedib-variables"],
        ..Manual::EMPTY
    };

    #[test]
    fn names() {
        assert_eq!(SAMPLE.invocation(), "safedib sample");
        assert_eq!(SAMPLE.page_name(), "safedib-sample");
        let linked = Manual {
            linked: true,
            ..SAMPLE
        };
        assert_eq!(linked.page_name(), "sample");
    }

    #[test]
    fn ramdisks_lack_what_their_help_lacks() {
        let manual = |options| Manual { options, ..SAMPLE };
        let named = |manual: Manual, name: &str| {
            let options = manual.options();
            options.iter().any(|it| it.names.contains(&name.to_owned()))
        };
        assert!(named(manual(Options::DiskImageCreate), "-p"));
        assert!(!named(manual(Options::RamdiskImageCreate), "-p"));
        assert!(named(manual(Options::VirtDib), "--element-path"));
        assert!(!named(manual(Options::VirtDib), "--debug-gc"));
    }
}
