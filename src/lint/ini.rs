//! Sections of tox.ini and setup.cfg as Python's configparser reads them.

use std::collections::BTreeMap;

/// The entries of a section, names in lower case; none without the section.
/// Lines that configparser would refuse are left out.
pub(super) fn section(text: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut inside = false;
    let mut key: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let indented = line.starts_with([' ', '\t']);
        if let (true, Some(key)) = (indented, &key) {
            if let Some(value) = found.as_mut().and_then(|entries| entries.get_mut(key)) {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        if let Some(header) = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.rsplit_once(']'))
        {
            inside = header.0 == name;
            key = None;
            if inside {
                found.get_or_insert_with(BTreeMap::new);
            }
            continue;
        }
        key = None;
        if let (true, Some((name, value)), Some(entries)) =
            (inside, trimmed.split_once(['=', ':']), found.as_mut())
        {
            let name = name.trim().to_lowercase();
            entries.insert(name.clone(), value.trim().to_owned());
            key = Some(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn entries_and_continuations() {
        let text =
            "[a]\nx = 1\n[dib-lint]\n# no\nIgnore = sete\n  setu\n\n  more\nb: 2\n[c]\nignore=z\n";
        let entries = super::section(text, "dib-lint").unwrap();
        assert_eq!(entries["ignore"], "sete\nsetu\nmore");
        assert_eq!(entries["b"], "2");
        assert_eq!(super::section(text, "none"), None);
    }
}
