//! flake8's settings, as far as they decide about our checks.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::super::ini;

/// Files that may have a section `[flake8]`, in the order of looking.
const FILES: [&str; 3] = ["setup.cfg", "tox.ini", ".flake8"];
/// Codes that are off unless `ignore` says otherwise.
const IGNORED: [&str; 8] = [
    "E121", "E123", "E126", "E226", "E24", "E704", "W503", "W504",
];
const MAX_LINE_LENGTH: usize = 79;
/// Settings without effect on what we find.
const HARMLESS: [&str; 6] = [
    "builtins", "count", "doctests", "filename", "jobs", "verbose",
];

/// What is looked for.
#[derive(Debug)]
pub struct Config {
    /// Patterns with a slash, and paths, are relative to it.
    directory: PathBuf,
    select: Option<Vec<String>>,
    ignore: Vec<String>,
    ignore_is_given: bool,
    pub(super) max_line_length: usize,
    exclude: Vec<Regex>,
}

impl Config {
    /// The settings of the nearest directory that has some, from this one upwards
    /// to HOME; and the names of settings that are not known here. Paths in them
    /// are relative to the given directory, where flake8 would run.
    pub fn find(given: &Path) -> (Config, Vec<String>) {
        let mut directory = given.to_path_buf();
        let home = env::var_os("HOME").map(PathBuf::from);
        loop {
            for name in FILES {
                let text = fs::read(directory.join(name)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                if let Some(section) = ini::section(&text, "flake8") {
                    return Config::new(given, section);
                }
            }
            if Some(&directory) == home.as_ref() || !directory.pop() {
                return Config::new(given, BTreeMap::new());
            }
        }
    }

    fn new(directory: &Path, section: BTreeMap<String, String>) -> (Config, Vec<String>) {
        let mut config = Config {
            directory: directory.to_path_buf(),
            select: None,
            ignore: IGNORED.map(str::to_owned).into(),
            ignore_is_given: false,
            max_line_length: MAX_LINE_LENGTH,
            exclude: Vec::new(),
        };
        let mut extended = Vec::new();
        let mut unknown = Vec::new();
        for (name, value) in section {
            let words = list(&value);
            match name.replace('-', "_").as_str() {
                "ignore" => {
                    config.ignore = words;
                    config.ignore_is_given = true;
                }
                "extend_ignore" => extended.extend(words),
                "select" => config.select = Some(words),
                "max_line_length" => match value.trim().parse() {
                    Ok(length) => config.max_line_length = length,
                    Err(_) => unknown.push(name),
                },
                "exclude" | "extend_exclude" => {
                    config
                        .exclude
                        .extend(words.iter().filter_map(|word| glob(directory, word)));
                }
                known if HARMLESS.contains(&known) => {}
                _ => unknown.push(name),
            }
        }
        config.ignore.extend(extended);
        (config, unknown)
    }

    /// The longest prefix of the code decides.
    pub(super) fn wants(&self, code: &str) -> bool {
        let longest = |prefixes: &[String]| {
            let fitting = prefixes.iter().filter(|prefix| code.starts_with(*prefix));
            fitting.map(String::len).max()
        };
        let ignored = longest(&self.ignore);
        match &self.select {
            None => ignored.is_none(),
            Some(select) => match longest(select) {
                None => false,
                Some(selected) => {
                    !self.ignore_is_given || ignored.is_none_or(|ignored| selected > ignored)
                }
            },
        }
    }

    /// By base name, or by absolute path.
    pub fn excludes(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let absolute = self.directory.join(path);
        let absolute = absolute.to_string_lossy();
        self.exclude
            .iter()
            .any(|pattern| pattern.is_match(&name) || pattern.is_match(&absolute))
    }
}

fn list(value: &str) -> Vec<String> {
    value
        .split([',', ' ', '\t', '\n'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A shell pattern; with a slash in it, it is relative to the directory.
fn glob(directory: &Path, pattern: &str) -> Option<Regex> {
    let pattern = match pattern.contains('/') {
        true => directory.join(pattern).to_string_lossy().into_owned(),
        false => pattern.to_owned(),
    };
    let pattern = pattern.trim_end_matches('/');
    let escaped = regex::escape(pattern)
        .replace(r"\*", ".*")
        .replace(r"\?", ".");
    Regex::new(&format!("(?s)^{escaped}$")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(entries: &[(&str, &str)]) -> (Config, Vec<String>) {
        let entries = entries
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::new(Path::new("/work"), entries.collect())
    }

    #[test]
    fn codes() {
        let (plain, _) = config(&[]);
        assert!(plain.wants("E501") && !plain.wants("W504") && !plain.wants("E241"));
        let (own, unknown) = config(&[
            ("ignore", "E125, W50"),
            ("extend-ignore", "E5"),
            ("odd", ""),
        ]);
        assert!(own.wants("E704") && !own.wants("W504") && !own.wants("E501"));
        assert_eq!(unknown, ["odd"]);
        let (few, _) = config(&[("select", "E,W504"), ("ignore", "E5,W5")]);
        assert!(few.wants("E301") && few.wants("W504"));
        assert!(!few.wants("E501") && !few.wants("W291"));
    }

    #[test]
    fn exclusions() {
        let (config, _) = config(&[("exclude", ".git,*lib/python*,build,c?nf.py")]);
        for (path, expected) in [
            ("a/build", true),
            ("build/a", false),
            ("x/conf.py", true),
            ("a/lib/python3/x", true),
            ("a/python", false),
        ] {
            assert_eq!(config.excludes(Path::new(path)), expected, "{path}");
        }
    }
}
