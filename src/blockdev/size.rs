//! Sizes as the block-device configuration writes them (`block_device/utils.py`).

use std::sync::LazyLock;

use regex::Regex;

use super::PartitionSize;

const UNITS: [(&str, f64); 14] = [
    ("TiB", 1_099_511_627_776.0),
    ("GiB", 1_073_741_824.0),
    ("MiB", 1_048_576.0),
    ("KiB", 1024.0),
    ("TB", 1e12),
    ("GB", 1e9),
    ("MB", 1e6),
    ("KB", 1e3),
    ("T", 1e12),
    ("G", 1e9),
    ("M", 1e6),
    ("K", 1e3),
    ("B", 1.0),
    ("", 1.0),
];

// The pattern is a constant: the tests compile it.
#[allow(clippy::unwrap_used)]
static FORM: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^([\d.]*) ?([a-zA-Z0-9_]*)$").unwrap());

/// Bytes of an absolute size such as `8MiB`, `1.5 GB` or `512`; a unit alone is
/// one of it. The fraction of a byte is cut off.
///
/// # Errors
/// Upstream's words for a form or a unit that it does not know.
pub fn parse_absolute(text: &str) -> Result<u64, String> {
    let parts = FORM
        .captures(text)
        .ok_or_else(|| format!("Invalid size unit spec [{text}]"))?;
    let unit = &parts[2];
    let factor = UNITS
        .iter()
        .find_map(|(name, factor)| (*name == unit).then_some(*factor))
        .ok_or_else(|| format!("unit_str [{unit}] not known"))?;
    let count = match &parts[1] {
        "" => 1.0,
        digits => digits
            .parse::<f64>()
            .map_err(|_| format!("could not convert string to float: '{digits}'"))?,
    };
    let bytes = factor * count;
    // Beyond 2^63 no file offset can follow.
    if bytes >= 9.2e18 {
        return Err(format!("size [{text}] is beyond any disk"));
    }
    Ok(bytes as u64)
}

/// An absolute size, or `N%` of what remains.
///
/// # Errors
/// As [`parse_absolute`]; a percentage must be a number from 0 to 100.
pub fn parse(text: &str) -> Result<PartitionSize, String> {
    let Some(number) = text.strip_suffix('%') else {
        return parse_absolute(text).map(PartitionSize::Absolute);
    };
    match number.trim().parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(PartitionSize::Percent(percent)),
        _ => Err(format!("[{text}] is not a percentage from 0% to 100%")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_upstream() {
        let table = [
            ("20TiB", Ok(20 << 40)),
            ("1024KiB", Ok(1 << 20)),
            ("1.2TB", Ok(1_200_000_000_000)),
            ("2.4T", Ok(2_400_000_000_000)),
            ("512B", Ok(512)),
            ("364", Ok(364)),
            ("8 MiB", Ok(8 << 20)),
            ("MiB", Ok(1 << 20)),
            (".5K", Ok(500)),
            ("10g", Err("unit_str [g] not known")),
            ("10kB", Err("unit_str [kB] not known")),
            ("1e3", Err("unit_str [e3] not known")),
            ("-1", Err("Invalid size unit spec [-1]")),
            ("1.2.3M", Err("could not convert string to float: '1.2.3'")),
        ];
        for (text, expected) in table {
            assert_eq!(
                parse_absolute(text),
                expected.map_err(String::from),
                "{text}"
            );
        }
    }

    #[test]
    fn percentages() {
        assert_eq!(parse("33.5%"), Ok(PartitionSize::Percent(33.5)));
        assert_eq!(parse("8MiB"), Ok(PartitionSize::Absolute(8 << 20)));
        for text in ["%", "x%", "101%", "-1%", "nan%", "inf%"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
