//! The list of requested elements (upstream `arg_to_elements`).

use regex::Regex;

use crate::request::error::Error;

/// What the list is made of.
pub(super) struct Requested<'a> {
    /// Positional arguments.
    pub arguments: &'a [String],
    /// `IMAGE_ELEMENT` of the caller.
    pub inherited: &'a str,
    /// `ARCH`.
    pub arch: &'a str,
    /// `SKIP_BASE` is exactly `1`.
    pub skip_base: bool,
    /// `vm` needs a block-device element.
    pub device_element: bool,
    /// `RAMDISK_ELEMENT`, in ramdisk builds.
    pub ramdisk: Option<&'a str>,
}

/// The elements in order: ramdisk, base, the caller's variable, the arguments,
/// and a block-device element where `vm` comes without one.
///
/// # Errors
/// [`Error::NoElements`] if no argument says anything.
pub(super) fn list(requested: &Requested) -> Result<Vec<String>, Error> {
    let blank = requested
        .arguments
        .iter()
        .all(|word| word.trim().is_empty());
    // Upstream looks at the joined arguments: the variable alone is not enough,
    // but it is together with a blank argument.
    let joined = requested.arguments.join(" ");
    if joined.is_empty() || (blank && requested.inherited.trim().is_empty()) {
        return Err(Error::NoElements);
    }
    let words = [requested.inherited]
        .into_iter()
        .chain(requested.arguments.iter().map(String::as_str))
        .flat_map(|word| word.split([' ', '\t', '\n']))
        .filter(|word| !word.is_empty());
    let mut elements: Vec<String> = Vec::new();
    let ramdisk = requested.ramdisk.unwrap_or_default().split_whitespace();
    elements.extend(ramdisk.map(str::to_owned));
    elements.extend((!requested.skip_base).then(|| "base".to_owned()));
    let before = elements.len();
    elements.extend(words.map(str::to_owned));
    let given = elements.get(before..).unwrap_or_default();
    let vm = given.iter().any(|element| element == "vm");
    let chosen = given
        .iter()
        .any(|element| element.starts_with("block-device-"));
    if requested.device_element && vm && !chosen {
        let element = if is_arm64(requested.arch) {
            "block-device-efi"
        } else {
            "block-device-mbr"
        };
        elements.push(element.to_owned());
    }
    Ok(elements)
}

/// Upstream matches the other way round, with the architecture as the pattern,
/// so that `arm` and `64` are arm64, too.
fn is_arm64(arch: &str) -> bool {
    Regex::new(arch).is_ok_and(|pattern| pattern.is_match("arm64 aarch64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str], inherited: &str, arch: &str, skip_base: bool) -> Option<String> {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let requested = Requested {
            arguments: &arguments,
            inherited,
            arch,
            skip_base,
            device_element: true,
            ramdisk: None,
        };
        list(&requested).ok().map(|elements| elements.join(" "))
    }

    #[test]
    fn words() {
        for (arguments, inherited, arch, skip_base, expected) in [
            (&["ubuntu"][..], "", "amd64", false, Some("base ubuntu")),
            (
                &["base vm  ubuntu", "", "x"],
                "",
                "amd64",
                true,
                Some("base vm ubuntu x block-device-mbr"),
            ),
            (
                &["ubuntu"],
                "one two",
                "amd64",
                false,
                Some("base one two ubuntu"),
            ),
            (
                &["vm", "u"],
                "",
                "arm64",
                false,
                Some("base vm u block-device-efi"),
            ),
            (&["vm", "u"], "", "64", true, Some("vm u block-device-efi")),
            (
                &["vm", "u"],
                "",
                "ppc64le",
                true,
                Some("vm u block-device-mbr"),
            ),
            (&["vm", "u"], "", "[", true, Some("vm u block-device-mbr")),
            (
                &["vm", "block-device-gpt"],
                "",
                "amd64",
                true,
                Some("vm block-device-gpt"),
            ),
            (&["u"], "vm", "amd64", true, Some("vm u block-device-mbr")),
            (&["lvm"], "", "amd64", true, Some("lvm")),
            (&["u u", "u"], "", "amd64", true, Some("u u u")),
            (&[], "u", "amd64", false, None),
            (&[""], "u", "amd64", false, None),
            (&[" "], "u", "amd64", true, Some("u")),
            (&["", ""], "", "amd64", false, None),
        ] {
            let elements = run(arguments, inherited, arch, skip_base);
            assert_eq!(elements.as_deref(), expected, "{arguments:?} {inherited}");
        }
    }

    #[test]
    fn ramdisk_element_comes_first() {
        let requested = Requested {
            arguments: &["u".to_owned()],
            inherited: "",
            arch: "amd64",
            skip_base: false,
            device_element: true,
            ramdisk: Some("dracut-ramdisk"),
        };
        assert_eq!(list(&requested).unwrap(), ["dracut-ramdisk", "base", "u"]);
    }
}
