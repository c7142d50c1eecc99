//! The one table of `disk-image-create`'s options: the parser's grammar, the
//! help text and `docs/options.md` all come from it (upstream
//! `lib/disk-image-create`).

mod help;
mod table;

pub use help::{help, markdown, wrapped};
pub use table::OPTIONS;

use super::getopt::{Grammar, Long, Name};
use super::variables::Variable;

/// Names an option in code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OptionId {
    /// `-a`
    Arch,
    /// `-o`
    Output,
    /// `-t`
    Types,
    /// `-x`
    Trace,
    /// `-u`
    Uncompressed,
    /// `-c`
    ClearEnvironment,
    /// `-n`
    SkipBase,
    /// `-p`
    Packages,
    /// `--checksum`
    Checksum,
    /// `--no-tmpfs`
    NoTmpfs,
    /// `--offline`
    Offline,
    /// `-h`
    Help,
    /// `--version`
    Version,
    /// `--min-tmpfs`
    MinTmpfs,
    /// `--image-size`
    ImageSize,
    /// `--image-cache`
    ImageCache,
    /// `--max-online-resize`
    MaxOnlineResize,
    /// `--mkfs-options`
    MkfsOptions,
    /// `--qemu-img-options`
    QemuImgOptions,
    /// `--ramdisk-element`
    RamdiskElement,
    /// `--root-label`
    RootLabel,
    /// `--install-type`
    InstallType,
    /// `--docker-target`
    DockerTarget,
    /// `--logfile`
    Logfile,
    /// `--image-extra-size`
    ImageExtraSize,
    /// `--mkfs-journal-size`
    MkfsJournalSize,
    /// `--generation`
    Generation,
    /// `--appliance`
    Appliance,
    /// `--memsize`
    Memsize,
    /// `--smp`
    Smp,
    /// `--no-network`
    NoNetwork,
    /// `--metadata-service`
    MetadataService,
    /// `--share`
    Share,
    /// `--envvar`
    Envvar,
    /// `--lib`
    Lib,
    /// `--compression`
    Compression,
    /// `--cache`
    Cache,
    /// `--cache-max`
    CacheMax,
    /// `--cache-age`
    CacheAge,
    /// `--cache-step`
    CacheStep,
    /// `--resume`
    Resume,
    /// `--no-progress`
    NoProgress,
    /// `--report`
    Report,
    /// `--report-against`
    ReportAgainst,
    /// `--shell-on-failure`
    ShellOnFailure,
}

/// What giving an option more than once means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The last one counts.
    Last,
    /// Values add up.
    Append,
    /// Occurrences add to the variable's number.
    Count,
    /// A switch: once is as good as often.
    Flag,
}

/// What an option does to the environment that hooks see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// Its variable is exported.
    Always,
    /// Its variable changes where the caller had exported it.
    IfExported,
    /// Nothing.
    Never,
}

/// Where an option comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Upstream accepts it.
    Getopt,
    /// Upstream documents it and rejects it.
    Documented,
    /// An addition of ours.
    Ours,
}

/// An option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Identity.
    pub id: OptionId,
    /// `-X`
    pub short: Option<char>,
    /// `--NAME`
    pub long: Option<&'static str>,
    /// Name of its value, `[=NAME]` for one that may be left out; `None` for a switch.
    pub value: Option<&'static str>,
    /// Variable that it sets.
    pub variable: Option<Variable>,
    /// How it sets it.
    pub export: Export,
    /// Repetition.
    pub repeat: Repeat,
    /// Value without the option, in words; empty if there is none.
    pub default: &'static str,
    /// It is shown in the help of `ramdisk-image-create`.
    pub ramdisk_help: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// What it does.
    pub help: &'static str,
}

impl OptionSpec {
    /// Whether its value may be left out.
    fn has_optional_value(&self) -> bool {
        self.value.is_some_and(|value| value.starts_with("[="))
    }

    /// `-h, --help` or `-o NAME` or `--logfile FILE`.
    pub fn synopsis(&self) -> String {
        let mut names = Vec::new();
        names.extend(self.short.map(|letter| format!("-{letter}")));
        names.extend(self.long.map(|name| format!("--{name}")));
        let names = names.join(", ");
        match self.value {
            Some(value) if self.has_optional_value() => format!("{names}{value}"),
            Some(value) => format!("{names} {value}"),
            None => names,
        }
    }
}

/// The parser's grammar.
pub fn grammar() -> Grammar {
    let mut grammar = Grammar::default();
    for option in OPTIONS {
        let value = option.value.is_some();
        if let Some(letter) = option.short.and_then(|letter| u8::try_from(letter).ok()) {
            grammar.short.push((letter, value));
        }
        if let Some(name) = option.long {
            let extra = option.origin != Origin::Getopt;
            grammar.long.push(Long {
                name,
                value,
                optional: option.has_optional_value(),
                extra,
            });
        }
    }
    grammar
}

/// The option that the parser found.
pub fn by_name(name: Name) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|option| match name {
        Name::Short(letter) => option.short == Some(char::from(letter)),
        Name::Long(name) => option.long == Some(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_is_upstreams_and_ours() {
        let grammar = grammar();
        let mut short: Vec<char> = grammar.short.iter().map(|(c, _)| char::from(*c)).collect();
        short.sort_unstable();
        assert_eq!(short.into_iter().collect::<String>(), "achnoptux");
        let upstream: Vec<String> = grammar
            .long
            .iter()
            .filter(|long| !long.extra)
            .map(|long| format!("{}{}", long.name, if long.value { ":" } else { "" }))
            .collect();
        assert_eq!(
            upstream.join(","),
            "checksum,no-tmpfs,offline,help,version,min-tmpfs:,image-size:,image-cache:,\
             max-online-resize:,mkfs-options:,qemu-img-options:,ramdisk-element:,root-label:,\
             install-type:,docker-target:,logfile:"
        );
    }

    #[test]
    fn switches_and_values_are_consistent() {
        for option in OPTIONS {
            let switch = matches!(option.repeat, Repeat::Flag | Repeat::Count);
            assert_eq!(switch, option.value.is_none(), "{}", option.synopsis());
            assert!(option.short.is_some() || option.long.is_some());
            assert!(option.variable.is_some() || option.export == Export::Never);
        }
    }
}
