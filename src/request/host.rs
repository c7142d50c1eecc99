//! What a request needs to know about the host. Nothing is started for it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::environment::Environment;
use super::error::Error;
use super::resolved::BaseElements;
use super::variables;

/// Elements in an unpacked source of the pinned upstream version, for development.
const FIXTURE: &str = "upstream-fixtures/cache/diskimage-builder-3.43.0/diskimage_builder/elements";

/// Elements in a Python package directory.
const IN_PACKAGES: &str = "diskimage_builder/elements";

/// Look-ups on the host, below a root that tests replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The caller's working directory.
    pub cwd: PathBuf,
    /// Where all absolute paths are looked up: `/` but in tests.
    pub root: PathBuf,
    /// Machine name as `uname -m` gives it.
    pub machine: String,
    /// Our own executable, if known.
    pub executable: Option<PathBuf>,
}

impl HostFacts {
    /// The facts of this host.
    ///
    /// # Errors
    /// [`Error::NoCurrentDirectory`] if the working directory was removed or
    /// cannot be read.
    pub fn gather() -> Result<Self, Error> {
        let cwd = std::env::current_dir()
            .map_err(|error| Error::NoCurrentDirectory(error.to_string()))?;
        let machine = nix::sys::utsname::uname()
            .map(|name| name.machine().to_string_lossy().into_owned())
            .unwrap_or_else(|_| std::env::consts::ARCH.to_owned());
        Ok(HostFacts {
            cwd,
            root: PathBuf::from("/"),
            machine,
            executable: std::env::current_exe().ok(),
        })
    }

    /// Makes a path absolute, without `..`, which appliances do not share; other
    /// absolute ones stay as they were written.
    pub fn absolute(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.cwd.join(path);
        if !path.components().any(|part| part == Component::ParentDir) {
            return path;
        }
        let mut done = PathBuf::new();
        for part in path.components() {
            if part == Component::ParentDir {
                // Behind a link it is the parent of where that leads.
                done = self.real(&done);
                done.pop();
            } else {
                done.push(part);
            }
        }
        done
    }

    fn at(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/") {
            Ok(relative) => self.root.join(relative),
            Err(_) => self.root.join(path),
        }
    }

    /// Whether an absolute path is a directory.
    pub fn is_dir(&self, path: &Path) -> bool {
        self.at(path).is_dir()
    }

    /// Whether an absolute path exists.
    pub fn exists(&self, path: &Path) -> bool {
        self.at(path).exists()
    }

    /// An absolute path without links and `..`, which appliances do not share;
    /// as it is, if it does not lead anywhere yet.
    pub fn real(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.cwd.join(path);
        let real = std::fs::canonicalize(self.at(&path)).ok();
        let below = real.and_then(|real| {
            let below = real.strip_prefix(&self.root).ok()?;
            Some(Path::new("/").join(below))
        });
        below.unwrap_or(path)
    }

    /// Whether two absolute paths lead to the same file.
    pub fn same_file(&self, one: &Path, other: &Path) -> bool {
        let real = |path| std::fs::canonicalize(self.at(path)).ok();
        real(one).is_some_and(|path| real(other) == Some(path))
    }

    /// Finds an executable file on a search path, as the shell does.
    pub fn find_program(&self, search_path: &OsStr, name: &str) -> Option<PathBuf> {
        search_path
            .as_bytes()
            .split(|byte| *byte == b':')
            .map(|entry| self.absolute(OsStr::from_bytes(entry)).join(name))
            .find(|path| {
                self.at(path)
                    .metadata()
                    .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
            })
    }

    /// The default of `ARCH` (upstream `common-defaults`): dpkg's own
    /// architecture on Debian and its kin, else the machine's, in Debian's
    /// spelling for the three that upstream translates.
    pub fn architecture(&self) -> String {
        if self.at(Path::new("/etc/debian_version")).is_file() {
            return self
                .dpkg_architecture()
                .unwrap_or_else(|| debian_name(&self.machine).to_owned());
        }
        match self.machine.as_str() {
            "x86_64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            name if name.starts_with("armv") => "armhf".to_owned(),
            name => name.to_owned(),
        }
    }

    /// The package `dpkg` has the architecture that `dpkg --print-architecture` prints.
    fn dpkg_architecture(&self) -> Option<String> {
        let status = std::fs::read(self.at(Path::new("/var/lib/dpkg/status"))).ok()?;
        let status = String::from_utf8_lossy(&status);
        let stanza = status
            .split("\n\n")
            .find(|stanza| stanza.lines().any(|line| line == "Package: dpkg"))?;
        let line = stanza
            .lines()
            .find_map(|line| line.strip_prefix("Architecture:"))?;
        Some(line.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// Finds upstream's own elements.
    ///
    /// # Errors
    /// [`Error::NotADirectory`] if `DIB_ELEMENTS_DIR` is set and no directory.
    /// `Err` in the inner result lists where it was looked for in vain.
    pub fn base_elements(
        &self,
        environment: &Environment,
    ) -> Result<Result<BaseElements, Vec<String>>, Error> {
        if let Some(named) = environment.filled(variables::DIB_ELEMENTS_DIR.name) {
            let path = self.absolute(named);
            if !self.is_dir(&path) {
                return Err(Error::not_a_directory("DIB_ELEMENTS_DIR", path));
            }
            let origin = "DIB_ELEMENTS_DIR".to_owned();
            return Ok(Ok(BaseElements { path, origin }));
        }
        let mut searched = Vec::new();
        for (origin, prefix) in self.python_prefixes(environment) {
            searched.push(format!("{}/lib", prefix.display()));
            if let Some(path) = self.in_python_prefix(&prefix) {
                return Ok(Ok(BaseElements { path, origin }));
            }
        }
        let mut places = vec![PathBuf::from("/usr/share/diskimage-builder/elements")];
        let ancestors = self
            .executable
            .iter()
            .flat_map(|path| path.ancestors().skip(1));
        places.extend(ancestors.map(|directory| directory.join(FIXTURE)));
        searched.push("/usr/share/diskimage-builder/elements".to_owned());
        Ok(match places.into_iter().find(|path| self.is_dir(path)) {
            Some(path) => Ok(BaseElements {
                origin: "found beside the system or this program".to_owned(),
                path,
            }),
            None => Err(searched),
        })
    }

    /// Prefixes of Python installations, the most specific first.
    fn python_prefixes(&self, environment: &Environment) -> Vec<(String, PathBuf)> {
        let mut prefixes = Vec::new();
        if let Some(python) = environment.filled(variables::DIB_PYTHON_EXEC.name) {
            let program = if python.as_bytes().contains(&b'/') {
                Some(self.absolute(python))
            } else {
                let path = environment.get(variables::PATH.name).unwrap_or_default();
                self.find_program(path, &python.to_string_lossy())
            };
            // A virtual environment's interpreter is a symbolic link out of it:
            // the path as written leads to its packages, the real one does not.
            let prefix = program
                .as_deref()
                .and_then(Path::parent)
                .and_then(Path::parent);
            prefixes.extend(prefix.map(|prefix| ("DIB_PYTHON_EXEC".to_owned(), prefix.to_owned())));
        }
        if let Some(prefix) = environment.filled(variables::VIRTUAL_ENV.name) {
            prefixes.push(("VIRTUAL_ENV".to_owned(), self.absolute(prefix)));
        }
        if let Some(home) = environment.filled(variables::HOME.name) {
            let prefix = self.absolute(home).join(".local");
            prefixes.push(("installed for the user".to_owned(), prefix));
        }
        for prefix in ["/usr", "/usr/local"] {
            prefixes.push(("installed on the system".to_owned(), PathBuf::from(prefix)));
        }
        prefixes
    }

    /// The package directory of the newest Python below a prefix that has elements.
    fn in_python_prefix(&self, prefix: &Path) -> Option<PathBuf> {
        // A virtual environment's lib64 is a link to lib: lib is its own name.
        let libraries = ["lib", "lib64"].map(|library| prefix.join(library));
        libraries
            .iter()
            .find_map(|directory| self.newest_packages(directory))
    }

    fn newest_packages(&self, directory: &Path) -> Option<PathBuf> {
        let mut found: Vec<(Vec<u32>, PathBuf)> = Vec::new();
        let entries = std::fs::read_dir(self.at(directory)).ok();
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(version) = name.to_str().and_then(|name| name.strip_prefix("python3")) else {
                continue;
            };
            let numbers = version
                .split('.')
                .filter_map(|part| part.parse().ok())
                .collect();
            for packages in ["site-packages", "dist-packages"] {
                let path = directory.join(&name).join(packages).join(IN_PACKAGES);
                if self.is_dir(&path) {
                    found.push((Vec::clone(&numbers), path));
                }
            }
        }
        found.sort();
        found.pop().map(|(_, path)| path)
    }
}

/// Debian's name of a machine, for a host whose dpkg status cannot be read.
fn debian_name(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" => "i386",
        "ppc64le" => "ppc64el",
        "loongarch64" => "loong64",
        name if name.starts_with("armv") => "armhf",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(directory: &Path) -> HostFacts {
        HostFacts {
            cwd: PathBuf::from("/cwd"),
            root: directory.to_owned(),
            machine: "x86_64".to_owned(),
            executable: Some(PathBuf::from("/src/safedib/target/debug/safedib")),
        }
    }

    fn make(host: &HostFacts, path: &str) {
        std::fs::create_dir_all(host.at(Path::new(path))).unwrap();
    }

    fn found(host: &HostFacts, pairs: &[(&str, &str)]) -> Option<String> {
        let environment = pairs.iter().copied().collect();
        let elements = host.base_elements(&environment).unwrap();
        elements.ok().map(|found| found.path.display().to_string())
    }

    #[test]
    fn architecture_is_dpkgs_on_debian() {
        let directory = tempfile::tempdir().unwrap();
        let mut host = host(directory.path());
        for (machine, name) in [
            ("x86_64", "amd64"),
            ("armv7l", "armhf"),
            ("aarch64", "arm64"),
            ("ppc64le", "ppc64le"),
        ] {
            host.machine = machine.to_owned();
            assert_eq!(host.architecture(), name);
        }
        make(&host, "/etc");
        make(&host, "/var/lib/dpkg");
        std::fs::write(host.at(Path::new("/etc/debian_version")), "12\n").unwrap();
        assert_eq!(host.architecture(), "ppc64el");
        let status =
            "Package: adduser\nArchitecture: all\n\nPackage: dpkg\nStatus: x\nArchitecture: i386\n";
        std::fs::write(host.at(Path::new("/var/lib/dpkg/status")), status).unwrap();
        assert_eq!(host.architecture(), "i386");
    }

    #[test]
    fn this_host_agrees_with_dpkg() {
        let Ok(output) = std::process::Command::new("dpkg")
            .arg("--print-architecture")
            .output()
        else {
            eprintln!("skipped: no dpkg here");
            return;
        };
        let host = HostFacts::gather().unwrap();
        let dpkg = String::from_utf8(output.stdout).unwrap();
        assert_eq!(host.architecture(), dpkg.trim());
    }

    #[test]
    fn elements_are_found_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path());
        let all = [
            ("DIB_PYTHON_EXEC", "/py/bin/python3"),
            ("VIRTUAL_ENV", "/venv"),
            ("HOME", "/home/u"),
        ];
        let expect = |path: &str| Some(path.to_owned());
        assert_eq!(found(&host, &all), None);
        for path in [
            "/src/safedib/upstream-fixtures/cache/diskimage-builder-3.43.0/diskimage_builder/elements",
            "/usr/share/diskimage-builder/elements",
            "/usr/local/lib/python3.9/site-packages/diskimage_builder/elements",
            "/usr/local/lib/python3.11/dist-packages/diskimage_builder/elements",
            "/usr/lib/python3/dist-packages/diskimage_builder/elements",
            "/home/u/.local/lib/python3.11/site-packages/diskimage_builder/elements",
            "/venv/lib/python3.11/site-packages/diskimage_builder/elements",
            "/py/lib64/python3.12/site-packages/diskimage_builder/elements",
        ] {
            make(&host, path);
            assert_eq!(found(&host, &all), expect(path));
        }
        make(&host, "/cwd/mine");
        assert_eq!(
            found(&host, &[("DIB_ELEMENTS_DIR", "mine")]),
            expect("/cwd/mine")
        );
        let wrong = [("DIB_ELEMENTS_DIR", "/nowhere")].into_iter().collect();
        assert!(host.base_elements(&wrong).is_err());
    }

    #[test]
    fn parents_are_those_of_where_links_lead() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temporary.path().join("a/b/c")).unwrap();
        std::os::unix::fs::symlink("a/b", temporary.path().join("link")).unwrap();
        let host = HostFacts {
            cwd: "/a/b".into(),
            root: temporary.path().into(),
            machine: "x86_64".into(),
            executable: None,
        };
        for (given, expected) in [
            ("x", "/a/b/x"),
            ("/link/x", "/link/x"),
            ("..", "/a"),
            ("../../../x", "/x"),
            ("/link/../x", "/a/x"),
            ("/link/c/../x/y", "/a/b/x/y"),
            ("/absent/../x", "/x"),
            ("./c/./..//x", "/a/b/x"),
        ] {
            assert_eq!(host.absolute(given), Path::new(expected), "{given}");
        }
    }
}
