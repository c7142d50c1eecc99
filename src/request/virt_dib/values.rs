//! Numbers, sizes, formats, and where machine-readable output goes.

use crate::request::resolved::{MachineReadable, OutputFormat};

use super::error::Error;

/// Formats in the order in which they are made.
pub(super) const FORMATS: [(&str, OutputFormat); 7] = [
    ("docker", OutputFormat::Docker),
    ("qcow2", OutputFormat::Qcow2),
    ("raw", OutputFormat::Raw),
    ("squashfs", OutputFormat::Squashfs),
    ("tar", OutputFormat::Tar),
    ("tgz", OutputFormat::Tgz),
    ("vhd", OutputFormat::Vhd),
];

/// An integer as C's `strtol` reads it with base 0, in 31 bits.
pub(super) fn integer(text: &str) -> Result<i64, Error> {
    let not_numeric = || Error::usage_of(format!("‘{text}’ is not a numeric value."));
    let blank = |c: char| matches!(c, ' ' | '\t'..='\r');
    let number = text.trim_start_matches(blank);
    let (negative, digits) = match number.strip_prefix(['-', '+']) {
        Some(digits) => (number.starts_with('-'), digits),
        None => (false, number),
    };
    let hexadecimal = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (radix, digits) = match hexadecimal {
        Some(digits) => (16, digits),
        None if digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    // A second sign is one of Rust's, not of C's.
    if digits.starts_with(['-', '+']) {
        return Err(not_numeric());
    }
    let number = i64::from_str_radix(digits, radix).map_err(|_| not_numeric())?;
    let number = if negative { -number } else { number };
    if !(-(1 << 30)..1 << 30).contains(&number) {
        return Err(Error::usage_of(format!("{text}: integer out of range")));
    }
    Ok(number)
}

/// `--debug`
pub(super) fn debug(text: &str) -> Result<u32, Error> {
    u32::try_from(integer(text)?).map_err(|_| Error::NegativeDebug)
}

/// `--size`, bytes.
pub(super) fn size(text: &str) -> Result<u64, Error> {
    let bad = || Error::Size(text.to_owned());
    let units = [
        ('b', 1.0),
        ('K', 1024.0),
        ('M', 1024.0 * 1024.0),
        ('G', 1024.0 * 1024.0 * 1024.0),
    ];
    let found = units
        .iter()
        .find_map(|(letter, unit)| Some((text.strip_suffix(*letter)?, unit)));
    let (number, unit) = found.ok_or_else(bad)?;
    let plain = |c: char| c.is_ascii_digit() || c == '.';
    if number.is_empty() || !number.chars().all(plain) {
        return Err(bad());
    }
    let number: f64 = number.parse().map_err(|_| bad())?;
    Ok((number * unit) as u64)
}

/// `--formats`, without duplicates, in the order in which they are made.
pub(super) fn formats(list: &str) -> Result<Vec<OutputFormat>, Error> {
    let names: Vec<&str> = list.split(',').collect();
    let known = |name: &&str| FORMATS.iter().any(|(format, _)| format == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(Error::Format((*unknown).to_owned()));
    }
    Ok(FORMATS
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(_, format)| format.clone())
        .collect())
}

/// `--machine-readable[=FORMAT]`
pub(super) fn machine_readable(format: Option<&str>) -> Result<MachineReadable, Error> {
    let Some(format) = format else {
        return Ok(MachineReadable::Stdout);
    };
    let bad = |what| Error::MachineReadable {
        what,
        format: format.to_owned(),
    };
    let (kind, name) = format.split_once(':').unwrap_or((format, ""));
    if name.is_empty() {
        return Err(bad("format string"));
    }
    match (kind, name) {
        ("file", path) => Ok(MachineReadable::File(path.into())),
        ("stream", "stdout") => Ok(MachineReadable::Stdout),
        ("stream", "stderr") => Ok(MachineReadable::Stderr),
        ("stream", _) => Err(bad("output stream")),
        ("fd", number) => match number.parse() {
            Ok(number) if number >= 0 => Ok(MachineReadable::Fd(number)),
            _ => Err(bad("output fd")),
        },
        _ => Err(bad("output")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_those_of_c() {
        for (text, value) in [
            ("0", Some(0)),
            ("12", Some(12)),
            (" +12", Some(12)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("-3", Some(-3)),
            ("1073741823", Some((1 << 30) - 1)),
            ("-1073741824", Some(-(1 << 30))),
            ("1073741824", None),
            ("99999999999999999999", None),
            ("", None),
            ("x", None),
            ("12M", None),
            ("1.5", None),
            ("0x", None),
            ("08", None),
            ("--3", None),
            ("12 ", None),
        ] {
            assert_eq!(integer(text).ok(), value, "{text:?}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        for (text, value) in [
            ("5G", Some(5 << 30)),
            ("1.5M", Some(3 << 19)),
            (".5K", Some(512)),
            ("5.K", Some(5 << 10)),
            ("10737418240b", Some(10 << 30)),
            ("0G", Some(0)),
            ("5", None),
            ("5T", None),
            ("5g", None),
            ("5GB", None),
            ("G", None),
            (".G", None),
            ("1.2.3G", None),
            ("-5G", None),
            ("1e3K", None),
            ("infG", None),
            ("", None),
            ("5€", None),
        ] {
            assert_eq!(size(text).ok(), value, "{text:?}");
        }
    }

    #[test]
    fn formats_are_sorted_once_each() {
        assert_eq!(
            formats("tar,raw,tar"),
            Ok(vec![OutputFormat::Raw, OutputFormat::Tar])
        );
        for (list, wrong) in [
            ("", ""),
            ("raw,", ""),
            ("raw,aci,x", "aci"),
            (" raw", " raw"),
        ] {
            assert_eq!(formats(list), Err(Error::Format(wrong.to_owned())));
        }
    }
}
