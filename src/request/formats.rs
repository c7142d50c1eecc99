//! `-t`: types of the image.

use super::error::Error;
use super::resolved::OutputFormat;

/// Formats that qemu-img can write besides those with a meaning of their own
/// (`qemu-img --help`, "Supported formats"; luks needs a secret and is left out).
const QEMU_IMG: [&str; 7] = ["parallels", "qcow", "qed", "vdi", "vhdx", "vmdk", "vpc"];

const OWN: [(&str, OutputFormat); 8] = [
    ("qcow2", OutputFormat::Qcow2),
    ("raw", OutputFormat::Raw),
    ("tar", OutputFormat::Tar),
    ("tgz", OutputFormat::Tgz),
    ("squashfs", OutputFormat::Squashfs),
    ("aci", OutputFormat::Aci),
    ("docker", OutputFormat::Docker),
    ("vhd", OutputFormat::Vhd),
];

/// All types that `-t` takes.
pub fn names() -> impl Iterator<Item = &'static str> {
    OWN.iter().map(|(name, _)| *name).chain(QEMU_IMG)
}

/// The list of known types, for messages.
pub(super) fn known() -> String {
    names().collect::<Vec<_>>().join(", ")
}

/// What `-t` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Types {
    /// Formats in order, without duplicates.
    pub formats: Vec<OutputFormat>,
    /// Extension to take off the name: set if one single type was given.
    pub extension: Option<String>,
}

/// Splits the value of `-t`. Blanks around entries and one final comma mean
/// nothing (bash's `read -a` drops the latter, too).
pub(super) fn parse(list: &str) -> Result<Types, Error> {
    let trimmed = list.trim();
    let entries: Vec<&str> = trimmed
        .strip_suffix(',')
        .unwrap_or(trimmed)
        .split(',')
        .map(str::trim)
        .collect();
    let mut formats = Vec::new();
    for entry in &entries {
        let own = OWN.iter().find(|(name, _)| name == entry);
        let format = match own {
            Some((_, format)) => format.clone(),
            None if entry.is_empty() => return Err(Error::EmptyFormat(list.to_owned())),
            None if QEMU_IMG.contains(entry) => OutputFormat::QemuImg((*entry).to_owned()),
            None => return Err(Error::UnknownFormat((*entry).to_owned())),
        };
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    let extension = match entries.as_slice() {
        [one] => Some(format!(".{one}")),
        _ => None,
    };
    Ok(Types { formats, extension })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let formats = |list| parse(list).map(|types| types.formats);
        assert_eq!(formats("qcow2"), Ok(vec![OutputFormat::Qcow2]));
        assert_eq!(
            formats(" qcow2, raw,vmdk ,qcow2"),
            Ok(vec![
                OutputFormat::Qcow2,
                OutputFormat::Raw,
                OutputFormat::QemuImg("vmdk".to_owned())
            ])
        );
        assert_eq!(formats("raw,"), Ok(vec![OutputFormat::Raw]));
        for list in ["", " ", ",", "qcow2,,raw", ",raw"] {
            assert_eq!(formats(list), Err(Error::EmptyFormat(list.to_owned())));
        }
        for list in ["a", "tarr", "QCOW2", "iso"] {
            assert_eq!(formats(list), Err(Error::UnknownFormat(list.to_owned())));
        }
    }

    #[test]
    fn one_type_gives_an_extension() {
        assert_eq!(parse("tgz").unwrap().extension.as_deref(), Some(".tgz"));
        assert_eq!(parse("raw,raw").unwrap().extension, None);
    }
}
