//! Finding elements on the elements path (upstream `_find_all_elements`).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Catalog, Element, Error};

/// Bytes of a list of names that is no mistake.
const LONGEST_LIST: u64 = 1 << 20;

impl Catalog {
    /// Finds every element below the entries of `paths`, which are in the
    /// order of `ELEMENTS_PATH`: an earlier entry's element hides a later one's.
    ///
    /// As upstream: every directory directly below an entry is an element
    /// (hidden ones and `__pycache__` too), links are followed, and the name is
    /// the base name of the *real* path. Where two directories of one entry
    /// have the same real base name, upstream takes whichever the file system
    /// lists last; here a real directory wins over a link, and of two links the
    /// last by name.
    ///
    /// # Errors
    /// [`Error::NotADirectory`] for an entry that is none (the empty one too),
    /// [`Error::Unreadable`], and [`Error::NotText`].
    pub fn find(paths: &[PathBuf]) -> Result<Catalog, Error> {
        let mut catalog = Catalog::default();
        for entry in paths.iter().rev() {
            for path in directories_below(entry)? {
                catalog.add(Element::read(path)?);
            }
        }
        Ok(catalog)
    }

    fn add(&mut self, element: Element) {
        let used = element.path.clone();
        if let Some(hidden) = self.elements.insert(element.name.clone(), element) {
            self.overrides.push((used, hidden.path));
        }
    }
}

impl Element {
    /// An element from the texts of its `element-deps` and `element-provides`.
    pub fn from_lists(name: String, path: PathBuf, depends: &str, provides: &str) -> Element {
        Element {
            name,
            path,
            depends: parse_names(depends),
            provides: parse_names(provides),
        }
    }

    /// Reads the element in the directory `path`, which must be a real path.
    fn read(path: PathBuf) -> Result<Element, Error> {
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let depends = text_of(&path.join("element-deps"))?;
        let provides = text_of(&path.join("element-provides"))?;
        Ok(Element::from_lists(name, path, &depends, &provides))
    }
}

/// Real paths of the directories in `entry`, those behind links first.
fn directories_below(entry: &Path) -> Result<Vec<PathBuf>, Error> {
    if !entry.is_dir() {
        return Err(Error::NotADirectory {
            entry: entry.to_path_buf(),
        });
    }
    let real = fs::canonicalize(entry).map_err(Error::unreadable(entry))?;
    let mut found = Vec::new();
    for item in fs::read_dir(&real).map_err(Error::unreadable(entry))? {
        let item = item.map_err(Error::unreadable(entry))?;
        let kind = item.file_type().map_err(Error::unreadable(&item.path()))?;
        if kind.is_dir() {
            found.push((true, item.path()));
        } else if kind.is_symlink() && item.path().is_dir() {
            found.push((false, item.path()));
        }
    }
    found.sort();
    found
        .into_iter()
        .map(|(real, path)| {
            if real {
                Ok(path)
            } else {
                fs::canonicalize(&path).map_err(Error::unreadable(&path))
            }
        })
        .collect()
}

/// The text of a file; empty if it does not exist.
fn text_of(path: &Path) -> Result<String, Error> {
    let bytes = match read_list(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(source) => return Err(Error::unreadable(path)(source)),
    };
    String::from_utf8(bytes).map_err(|_| Error::NotText {
        path: path.to_path_buf(),
    })
}

/// Reads a list, which may be a link to what has no end, or to a FIFO that nobody
/// ever writes to.
fn read_list(path: &Path) -> io::Result<Vec<u8>> {
    let kind = fs::metadata(path)?;
    if !kind.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if kind.len() > LONGEST_LIST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    fs::read(path)
}

/// Lines without surrounding blanks, empty ones dropped. Python's universal
/// newlines and `str.strip`: both know control characters that Rust's `lines`
/// and `trim` do not.
fn parse_names(text: &str) -> BTreeSet<String> {
    let blank = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    text.split(['\n', '\r'])
        .map(|line| line.trim_matches(blank))
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(catalog: &Catalog) -> Vec<&str> {
        catalog.elements.keys().map(String::as_str).collect()
    }

    #[test]
    fn every_directory_is_an_element_under_its_real_name() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().canonicalize().unwrap();
        for name in ["foo", ".hidden", "__pycache__", "z"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        fs::write(path.join("file"), "").unwrap();
        symlink("foo", path.join("alias")).unwrap();
        symlink("nowhere", path.join("dangling")).unwrap();
        let catalog = Catalog::find(std::slice::from_ref(&path)).unwrap();
        assert_eq!(names(&catalog), [".hidden", "__pycache__", "foo", "z"]);
        assert_eq!(
            catalog.overrides,
            [(path.join("foo"), path.join("foo"))],
            "the link registers its target a second time"
        );
    }

    #[test]
    fn earlier_entries_hide_later_ones() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().canonicalize().unwrap();
        let entries: Vec<PathBuf> = ["1", "2", "3"].iter().map(|n| path.join(n)).collect();
        for entry in &entries {
            fs::create_dir_all(entry.join("e")).unwrap();
            fs::write(entry.join("e/element-deps"), entry.to_str().unwrap()).unwrap();
        }
        let catalog = Catalog::find(&entries).unwrap();
        assert_eq!(catalog.elements["e"].path, path.join("1/e"));
        assert!(catalog.elements["e"]
            .depends
            .contains(path.join("1").to_str().unwrap()));
        assert_eq!(
            catalog.overrides,
            [
                (path.join("2/e"), path.join("3/e")),
                (path.join("1/e"), path.join("2/e"))
            ]
        );
    }

    #[test]
    fn entries_that_are_no_directories_are_errors() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for entry in [PathBuf::new(), file.path().into(), "/nonexistent".into()] {
            let error = Catalog::find(&["/".into(), entry.clone()]).unwrap_err();
            assert!(
                matches!(&error, Error::NotADirectory { entry: named } if *named == entry),
                "{error}"
            );
        }
    }

    #[test]
    fn names_are_stripped_lines_and_comments_are_names() {
        for (text, expected) in [
            ("", &[][..]),
            ("a\n\n  b \t\n", &["a", "b"]),
            ("a\r\nb\rc\x1f", &["a", "b", "c"]),
            ("# note\na b", &["# note", "a b"]),
        ] {
            assert_eq!(parse_names(text).iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn unreadable_lists_are_errors() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir_all(base.path().join("a/element-deps")).unwrap();
        let error = Catalog::find(&[base.path().into()]).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        fs::remove_dir(base.path().join("a/element-deps")).unwrap();
        symlink("/dev/zero", base.path().join("a/element-deps")).unwrap();
        let error = Catalog::find(&[base.path().to_path_buf()]).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        fs::remove_file(base.path().join("a/element-deps")).unwrap();
        let sparse = fs::File::create(base.path().join("a/element-deps")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let error = Catalog::find(&[base.path().to_path_buf()]).unwrap_err();
        assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
        fs::write(base.path().join("a/element-deps"), b"\xff").unwrap();
        let error = Catalog::find(&[base.path().into()]).unwrap_err();
        assert!(matches!(error, Error::NotText { .. }), "{error}");
    }
}
