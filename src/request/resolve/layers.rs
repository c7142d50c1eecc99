//! What the request says about layers: states of the target that are kept for
//! later builds. None of it is for hooks to see.

use std::ffi::OsStr;
use std::path::Path;

use super::HostFacts;
use crate::request::error::Error;
use crate::request::options::OptionId;
use crate::request::raw::RawRequest;
use crate::request::resolved::LayerOptions;

/// Where layers are unless `--cache` says it: below the caller's home.
pub const DIRECTORY: &str = ".cache/safedib/layers";
const DEFAULT_MAX: u64 = 20 << 30;
const DEFAULT_AGE: u64 = 24 * 60 * 60;
/// Options that say how a build is made or shown, not what: with their values as
/// words of their own.
const OWN_WORDS: [(&str, bool); 9] = [
    ("--cache", false),
    ("--cache-max", true),
    ("--cache-age", true),
    ("--cache-step", true),
    ("--resume", false),
    ("--no-progress", false),
    ("--report", true),
    ("--report-against", true),
    ("--shell-on-failure", false),
];

/// The options; `None` without `--cache`.
pub(super) fn layers(
    raw: &RawRequest,
    home: &Path,
    host: &HostFacts,
) -> Result<Option<LayerOptions>, Error> {
    if !raw.has(OptionId::Cache) {
        return match of_cache(raw) {
            None => Ok(None),
            Some(what) => Err(Error::BadValue {
                what,
                value: "no --cache".to_owned(),
                why: "it has no effect then",
                hint: "give --cache, too, or leave it out",
            }),
        };
    }
    let directory = match raw.last(OptionId::Cache) {
        Some(given) if given.is_empty() => {
            return Err(Error::BadValue {
                what: "--cache",
                value: String::new(),
                why: "that is no directory",
                hint: "give --cache=DIR, or --cache alone for the default",
            })
        }
        Some(given) => host.absolute(given),
        None => home.join(DIRECTORY),
    };
    Ok(Some(LayerOptions {
        directory,
        max_bytes: raw
            .last(OptionId::CacheMax)
            .map_or(Ok(DEFAULT_MAX), bytes)?,
        max_age: raw
            .last(OptionId::CacheAge)
            .map_or(Ok(DEFAULT_AGE), seconds)?,
        step: raw.last(OptionId::CacheStep).map(step).transpose()?,
        resume: raw.has(OptionId::Resume),
    }))
}

/// The first option given that is about layers.
fn of_cache(raw: &RawRequest) -> Option<&'static str> {
    [
        (OptionId::CacheMax, "--cache-max"),
        (OptionId::CacheAge, "--cache-age"),
        (OptionId::CacheStep, "--cache-step"),
        (OptionId::Resume, "--resume"),
    ]
    .into_iter()
    .find_map(|(id, name)| raw.has(id).then_some(name))
}

/// The words of a command line without those about layers, reports and the view:
/// `DIB_ARGS` may end up in the image, which is the same whether there were any or not.
pub(super) fn without_own(words: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            kept.push(word);
            kept.extend(words);
            break;
        }
        let name = word.split('=').next().unwrap_or_default();
        match OWN_WORDS.iter().find(|(own, _)| *own == name) {
            Some((_, true)) if !word.contains('=') => drop(words.next()),
            Some(_) => {}
            None => kept.push(word),
        }
    }
    kept
}

/// A number with one of these letters after it, or none for 1.
fn number(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let unit = units.iter().find(|(letter, _)| text.ends_with(*letter));
    let (digits, factor) = match unit {
        Some((letter, factor)) => (text.strip_suffix(*letter)?, *factor),
        None => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

fn bytes(value: &OsStr) -> Result<u64, Error> {
    let text = value.to_string_lossy();
    let units = [
        ('K', 1 << 10),
        ('M', 1 << 20),
        ('G', 1 << 30),
        ('T', 1 << 40),
    ];
    number(&text, &units).ok_or_else(|| Error::BadValue {
        what: "--cache-max",
        value: text.into_owned(),
        why: "not a size",
        hint: "give bytes, or a number with K, M, G or T: 20G",
    })
}

fn seconds(value: &OsStr) -> Result<u64, Error> {
    let text = value.to_string_lossy();
    number(&text, &[('m', 60), ('h', 3600), ('d', 86400)]).ok_or_else(|| Error::BadValue {
        what: "--cache-age",
        value: text.into_owned(),
        why: "not a time",
        hint: "give seconds, or a number with m, h or d: 12h",
    })
}

fn step(value: &OsStr) -> Result<f64, Error> {
    let text = value.to_string_lossy();
    match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 && seconds.is_finite() => Ok(seconds),
        _ => Err(Error::BadValue {
            what: "--cache-step",
            value: text.into_owned(),
            why: "not a number of seconds",
            hint: "give seconds, such as 5 or 0.5",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("2K", Some(2048)),
            ("20G", Some(20 << 30)),
            ("G", None),
            ("-1", None),
            ("1.5G", None),
            ("99999999999T", None),
        ] {
            assert_eq!(bytes(OsStr::new(text)).ok(), expected, "{text}");
        }
        assert_eq!(seconds(OsStr::new("12h")).ok(), Some(43200));
        assert!(seconds(OsStr::new("h12")).is_err());
        assert!(step(OsStr::new("0.5")).is_ok());
        assert!(step(OsStr::new("-1")).is_err() && step(OsStr::new("NaN")).is_err());
    }

    #[test]
    fn words_about_layers_are_not_for_the_image() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (line, expected) in [
            ("--cache vm -o x", "vm -o x"),
            ("--no-progress vm", "vm"),
            ("--cache=/d --cache-max 5G vm --resume", "vm"),
            ("--cache-max=5G --cache-age 1d vm", "vm"),
            ("vm -- --cache", "vm -- --cache"),
            ("--report a.html vm --report-against=b.json", "vm"),
        ] {
            assert_eq!(without_own(words(line)), words(expected), "{line}");
        }
    }
}
