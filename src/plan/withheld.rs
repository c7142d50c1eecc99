//! Credentials of the caller that the build has no use for.

use std::collections::BTreeSet;
use std::fs;

use regex::bytes::Regex;
use walkdir::WalkDir;

use crate::elements::{Error, MergedHooks};
use crate::request::{says_credential, BuildRequest};

/// Names of variables that hooks do not get: they say credential, are not
/// `DIB_*`, were not handed in by name, and stand in no file of the merged hooks
/// tree.
///
/// # Errors
/// [`Error::Unreadable`].
pub(super) fn withheld(
    request: &BuildRequest,
    merged: &MergedHooks,
) -> Result<BTreeSet<String>, Error> {
    let mut names: BTreeSet<String> = request
        .environment
        .keys()
        .filter(|name| says_credential(name) && !request.handed_in.has(name))
        .filter_map(|name| name.to_str())
        .filter(|name| !name.starts_with("DIB_"))
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Ok(names);
    }
    for copy in &merged.copies {
        for entry in WalkDir::new(&copy.source) {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(&copy.source).to_owned();
                Error::unreadable(&path)(error.into())
            })?;
            if entry.file_type().is_file() {
                let text = fs::read(entry.path()).map_err(Error::unreadable(entry.path()))?;
                names.retain(|name| !mentions([text.as_slice()], name));
            }
        }
    }
    Ok(names)
}

/// Whether a name stands in one of the texts as a word of its own.
pub fn mentions<'a>(texts: impl IntoIterator<Item = &'a [u8]>, name: &str) -> bool {
    let word = Regex::new(&format!(r"(?-u)\b{}\b", regex::escape(name)));
    word.is_ok_and(|word| texts.into_iter().any(|text| word.is_match(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_mentioned_as_a_whole_word() {
        for (text, expected) in [
            ("curl -H \"$A_TOKEN\"", true),
            ("${A_TOKEN:-}", true),
            ("os.environ['A_TOKEN']", true),
            ("$MY_A_TOKEN", false),
            ("$A_TOKENS", false),
            ("\u{e9}A_TOKEN\n", true),
            ("", false),
        ] {
            assert_eq!(mentions([text.as_bytes()], "A_TOKEN"), expected, "{text}");
        }
        assert!(mentions([b"\xff A_TOKEN \xfe".as_slice()], "A_TOKEN"));
    }
}
