//! Numbers, sizes, lists and switches.

use std::ffi::OsStr;

use crate::request::error::Error;
use crate::request::options::OptionId;
use crate::request::raw::RawRequest;
use crate::request::resolved::{Checksums, SizeOptions};
use crate::request::variables::{self, Variable};

use super::shell::Shell;

const EIB_IN_KIB: f64 = (1u64 << 50) as f64;
const EIB_IN_MIB: u64 = 1 << 40;
const EIB_IN_GIB: u64 = 1 << 30;

/// `--compression`: whether it is zstd.
pub(super) fn zstd(raw: &RawRequest) -> Result<bool, Error> {
    let bad = |value: String, why, hint| Error::BadValue {
        what: "--compression",
        value,
        why,
        hint,
    };
    let Some(value) = raw.last(OptionId::Compression).map(OsStr::to_string_lossy) else {
        return Ok(false);
    };
    match &*value {
        _ if raw.has(OptionId::Uncompressed) => Err(bad(
            value.into_owned(),
            "-u compresses nothing",
            "leave out one of the two",
        )),
        "zlib" => Ok(false),
        "zstd" => Ok(true),
        _ => Err(bad(
            value.into_owned(),
            "qcow2 has no such compression",
            "give zlib or zstd",
        )),
    }
}

const IMAGE_SIZE: &str = "--image-size (DIB_IMAGE_SIZE, GiB)";
const EXTRA_SIZE: &str = "--image-extra-size (DIB_IMAGE_EXTRA_SIZE, MiB)";

/// `DIB_IMAGE_SIZE` and its kin.
pub(super) fn sizes(shell: &Shell) -> Result<SizeOptions, Error> {
    let size = |what, variable, unit_kib, zero| {
        let text = shell.text(variable)?;
        text.map(|text| kib(what, text, unit_kib, zero)).transpose()
    };
    let usage = shell.text_or(variables::DIB_SHOW_IMAGE_USAGE, "0")?;
    let full = shell.text_or(variables::DIB_SHOW_IMAGE_USAGE_FULL, "0")?;
    Ok(SizeOptions {
        image_kib: size(
            IMAGE_SIZE,
            variables::DIB_IMAGE_SIZE,
            f64::from(1 << 20),
            false,
        )?,
        extra_kib: size(EXTRA_SIZE, variables::DIB_IMAGE_EXTRA_SIZE, 1024.0, true)?,
        journal_mib: journal(&shell.text_or(variables::DIB_JOURNAL_SIZE, "64")?)?,
        usage_report: (usage != "0").then_some(full != "0"),
        fixed: false,
    })
}

/// A size as KiB, read like awk reads a number: the longest number at the
/// beginning counts, what follows does not (`10GB` is 10).
fn kib(what: &'static str, value: &str, unit_kib: f64, zero: bool) -> Result<u64, Error> {
    let impossible = |why| Error::ImpossibleSize {
        what,
        value: value.to_owned(),
        why,
    };
    let number = leading_number(value).ok_or_else(|| impossible("is not a number"))?;
    let result = (number * unit_kib).trunc();
    if number < 0.0 {
        Err(impossible("is negative"))
    } else if result < 1.0 && !(zero && number == 0.0) {
        Err(impossible("is nothing"))
    } else if result > EIB_IN_KIB {
        Err(impossible("is above 1 EiB"))
    } else {
        Ok(result as u64)
    }
}

/// Sizes with a unit that is not read, such as the M of `--image-size 10M`, which
/// is 10 GiB to upstream and here.
pub(super) fn misread_sizes(shell: &Shell) -> Result<Vec<String>, Error> {
    let mut notices = Vec::new();
    for (what, variable, unit, meant) in [
        (
            IMAGE_SIZE,
            variables::DIB_IMAGE_SIZE,
            "GiB",
            ["", "g", "gb", "gib"],
        ),
        (
            EXTRA_SIZE,
            variables::DIB_IMAGE_EXTRA_SIZE,
            "MiB",
            ["", "m", "mb", "mib"],
        ),
    ] {
        let text = shell.text(variable)?.unwrap_or_default().trim();
        let (read, rest) = text
            .split_at_checked(number_length(text))
            .unwrap_or_default();
        if !read.is_empty() && !meant.contains(&rest.to_ascii_lowercase().as_str()) {
            notices.push(format!(
                "WARNING safedib: {what} '{text}' is read as {read} {unit}: only the number counts"
            ));
        }
    }
    Ok(notices)
}

fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    text.get(..number_length(text))?.parse().ok()
}

/// Bytes of the number that a text begins with.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes.get(from..).map_or(from, |rest| {
            from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        })
    };
    let sign = usize::from(text.starts_with(['+', '-']));
    let mut end = digits(sign);
    let mut count = end - sign;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        count += fraction - end - 1;
        end = fraction;
    }
    if count == 0 {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

fn journal(value: &str) -> Result<u64, Error> {
    let what = "--mkfs-journal-size (DIB_JOURNAL_SIZE, MiB)";
    let impossible = |why| Error::ImpossibleSize {
        what,
        value: value.to_owned(),
        why,
    };
    match whole(value) {
        None => Err(impossible("is not a whole number")),
        Some(0) => Err(impossible("is nothing")),
        Some(number) if number > EIB_IN_MIB => Err(impossible("is above 1 EiB")),
        Some(number) => Ok(number),
    }
}

fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// `SOURCE_DATE_EPOCH`, as <https://reproducible-builds.org/specs/source-date-epoch/>
/// has it: digits alone.
pub(super) fn epoch(value: &str) -> Result<u32, Error> {
    let refused = |why| {
        Error::BadValue {
        what: "SOURCE_DATE_EPOCH",
        value: value.to_owned(),
        why,
        hint: "give seconds since 1970 as digits, such as: SOURCE_DATE_EPOCH=$(git log -1 --pretty=%ct); \
               or unset it",
    }
    };
    match value.bytes().all(|byte| byte.is_ascii_digit()) {
        true => value
            .parse()
            .map_err(|_| refused("a time after the year 2106")),
        false => Err(refused("not a decimal number of seconds")),
    }
}

/// `DIB_MIN_TMPFS`, GiB.
pub(super) fn min_tmpfs(value: &str) -> Result<u64, Error> {
    whole(value)
        .filter(|number| *number < EIB_IN_GIB)
        .ok_or_else(|| Error::BadValue {
            what: "--min-tmpfs (DIB_MIN_TMPFS)",
            value: value.to_owned(),
            why: "not a whole number of GiB",
            hint: "give a number such as 2",
        })
}

/// `DIB_DEBUG_TRACE` plus one for each `-x`.
pub(super) fn trace(value: &str, added: usize) -> Result<u32, Error> {
    let level = whole(value).and_then(|level| u32::try_from(level).ok());
    let added = u32::try_from(added).unwrap_or(u32::MAX);
    level
        .map(|level| level.saturating_add(added))
        .ok_or_else(|| Error::BadValue {
            what: "DIB_DEBUG_TRACE",
            value: value.to_owned(),
            why: "not a whole number",
            hint: "set it to 0, 1 or 2, or use -x",
        })
}

/// `MAX_ONLINE_RESIZE`: a number of blocks, or a size with one of mke2fs's units.
pub(super) fn max_online_resize(value: &str) -> Result<String, Error> {
    let units = ['s', 'S', 'b', 'B', 'k', 'K', 'm', 'M', 'g', 'G', 't', 'T'];
    let number = value.strip_suffix(units).unwrap_or(value);
    let good = whole(number).is_some_and(|number| number > 0 && number < u64::MAX);
    if good && !value.contains(char::is_whitespace) {
        return Ok(value.to_owned());
    }
    Err(Error::BadValue {
        what: "--max-online-resize (MAX_ONLINE_RESIZE)",
        value: value.to_owned(),
        why: "not a number of filesystem blocks",
        hint: "give a number such as 274877906944",
    })
}

/// `DIB_CHECKSUM`: `0`, `1`, or a list in which every word names one of the two
/// kinds (upstream looks for the names anywhere in the value, and waits for
/// ever if it finds none).
pub(super) fn checksums(value: &str) -> Result<Checksums, Error> {
    let (mut md5, mut sha256) = (false, false);
    match value {
        "0" => {}
        "1" => (md5, sha256) = (true, true),
        list => {
            for word in list.split([',', ' ']).filter(|word| !word.is_empty()) {
                let (is_md5, is_sha256) = (word.contains("md5"), word.contains("sha256"));
                if !is_md5 && !is_sha256 {
                    return Err(unknown_checksum(value));
                }
                md5 |= is_md5;
                sha256 |= is_sha256;
            }
            if !md5 && !sha256 {
                return Err(unknown_checksum(value));
            }
        }
    }
    Ok(Checksums { md5, sha256 })
}

fn unknown_checksum(value: &str) -> Error {
    Error::BadValue {
        what: "DIB_CHECKSUM",
        value: value.to_owned(),
        why: "unknown kind of checksum",
        hint: "set it to 1, md5, sha256, or md5,sha256",
    }
}

/// Bash's `[[ VALUE -eq 1 ]]`, with unset and empty as 0.
pub(super) fn is_one(shell: &Shell, variable: Variable) -> Result<bool, Error> {
    Ok(shell.text(variable)?.and_then(whole) == Some(1))
}

/// Set, not empty, and not a zero.
pub(super) fn is_not_zero(shell: &Shell, variable: Variable) -> Result<bool, Error> {
    Ok(shell
        .text(variable)?
        .is_some_and(|value| whole(value) != Some(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_awk_does() {
        let gib = |text| kib("x", text, f64::from(1 << 20), false).ok();
        for (text, expected) in [
            ("10", Some(10 << 20)),
            ("10GB", Some(10 << 20)),
            (" 1.5", Some(3 << 19)),
            (".5x", Some(1 << 19)),
            ("1e1", Some(10 << 20)),
            ("2e", Some(2 << 20)),
            ("+3", Some(3 << 20)),
            ("1.0000001", Some(1 << 20)),
            ("1073741824", Some(1 << 50)),
            ("1073741825", None),
            ("1e400", None),
            ("0", None),
            ("0.0000001", None),
            ("-1", None),
            ("-0", None),
            ("big", None),
            (".", None),
            ("inf", None),
            ("nan", None),
            ("é", None),
        ] {
            assert_eq!(gib(text), expected, "{text}");
        }
        assert_eq!(kib("x", "0", 1024.0, true), Ok(0));
        assert!(kib("x", "-5", 1024.0, true).is_err());
    }

    #[test]
    fn whole_numbers() {
        assert_eq!(min_tmpfs("3"), Ok(3));
        assert!(min_tmpfs("1.5").is_err() && min_tmpfs("-1").is_err());
        assert_eq!(journal("128"), Ok(128));
        for bad in ["0", "-1", "1.5", "64M", "99999999999999999999"] {
            assert!(
                matches!(journal(bad), Err(Error::ImpossibleSize { .. })),
                "{bad}"
            );
        }
        assert_eq!(trace("1", 2), Ok(3));
        assert!(trace("yes", 0).is_err());
        for good in ["274877906944", "4096", "16G"] {
            assert_eq!(max_online_resize(good).as_deref(), Ok(good));
        }
        for bad in ["", "many", "0", "-1", "1 2", "1GB"] {
            assert!(max_online_resize(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn checksum_kinds() {
        let kinds = |text| checksums(text).ok().map(|kinds| (kinds.md5, kinds.sha256));
        assert_eq!(kinds("0"), Some((false, false)));
        assert_eq!(kinds("1"), Some((true, true)));
        assert_eq!(kinds("md5"), Some((true, false)));
        assert_eq!(kinds("sha256sum"), Some((false, true)));
        assert_eq!(kinds("sha256,md5"), Some((true, true)));
        for bad in ["yes", "sha512", "md5,sha512", "00", ","] {
            assert_eq!(kinds(bad), None, "{bad}");
        }
    }
}
