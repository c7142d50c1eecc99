//! The environment that hooks get.
//!
//! Upstream's engine is one bash process whose exported variables every hook
//! outside the target inherits, and which hooks in the target inherit through
//! `sudo -E chroot ... env -u TMPDIR -u VIRTUAL_ENV PATH=... sh -c ...`
//! (`lib/img-functions`, `run_in_target`).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::paths;
use super::shims::sudo_env::{self, Mode};

/// Environment variables by name.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// `PATH` in the target: upstream escapes the dollar, so that the first entry
/// is a directory of that name, and the caller's PATH is in effect discarded.
pub(crate) const TARGET_PATH: &str =
    "$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What all hooks have in their environment at a point of the build.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables {
    all: Environment,
    /// As `Session::empty_tmpdir`.
    empty_tmpdir: bool,
}

impl Variables {
    /// The caller's exported environment.
    pub(crate) fn new(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Variables {
            all: environment.into_iter().collect(),
            empty_tmpdir: false,
        }
    }

    /// Gives hooks in the target an empty `TMPDIR`, and `VIRTUAL_ENV`.
    pub(crate) fn empty_tmpdir(&mut self) {
        self.empty_tmpdir = true;
    }

    /// Sets a variable for all later hooks.
    pub(crate) fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.all.insert(name.into(), value.into());
    }

    /// Applies a `SetVariables` step.
    pub(crate) fn apply(&mut self, set: BTreeMap<String, String>, unset: Vec<String>) {
        for name in unset {
            self.all.remove(OsStr::new(&name));
        }
        for (name, value) in set {
            self.set(name, value);
        }
    }

    /// A variable's value; empty if it is not set, as in `${NAME:-}`.
    pub(crate) fn get(&self, name: &str) -> &OsStr {
        self.all
            .get(OsStr::new(name))
            .map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// For a process outside the target: shims first on the PATH, and
    /// `TARGET_ROOT` where upstream assigns it.
    pub(crate) fn outside(&self, target_root: Option<&Path>) -> Environment {
        let mut environment = self.all.clone();
        let mut path = OsString::from(paths::SHIMS);
        path.push(":");
        path.push(self.get("PATH"));
        environment.insert("PATH".into(), path);
        if let Some(target) = target_root {
            environment.insert("TARGET_ROOT".into(), target.into());
        }
        environment
    }

    /// For `sh -c COMMAND` in the target at `target`.
    pub(crate) fn in_target(&self, target: &Path, command: &OsStr) -> Environment {
        let mut invoked = OsString::from("/usr/sbin/chroot ");
        invoked.push(target);
        invoked.push(" env -u TMPDIR -u VIRTUAL_ENV PATH=");
        invoked.push(TARGET_PATH);
        invoked.push(" sh -c ");
        invoked.push(command);
        let mut environment = self.all.clone();
        environment.insert("HOME".into(), "/root".into());
        let mut environment = sudo_env::rebuild(
            &environment,
            &Mode {
                preserve: true,
                ..Mode::default()
            },
            &sudo_env::User::root(),
            &invoked,
        );
        if self.empty_tmpdir {
            environment.insert("TMPDIR".into(), "".into());
        } else {
            environment.remove(OsStr::new("TMPDIR"));
            environment.remove(OsStr::new("VIRTUAL_ENV"));
        }
        environment.insert("PATH".into(), TARGET_PATH.into());
        // Bash names what it starts, and that is sudo.
        environment.insert("_".into(), "/usr/bin/sudo".into());
        environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        Variables::new(pairs.iter().map(|(n, v)| (n.into(), v.into())))
    }

    #[test]
    fn the_target_gets_what_sudo_lets_through() {
        let variables = variables(&[
            ("HOME", "/home/u"),
            ("PATH", "/opt/bin:/bin"),
            ("TMPDIR", "/t"),
            ("VIRTUAL_ENV", "/v"),
            ("PYTHONPATH", "/p"),
            ("LD_PRELOAD", "x"),
            ("PS4", "+ "),
            ("BASH_FUNC_die%%", "() {  :\n}"),
            ("http_proxy", "http://proxy:1"),
            ("DIB_X", "a\nb"),
            ("USER", "u"),
        ]);
        let got = variables.in_target(Path::new("/m"), OsStr::new("true"));
        let get = |name: &str| got.get(OsStr::new(name)).and_then(|v| v.to_str());
        for gone in [
            "TMPDIR",
            "VIRTUAL_ENV",
            "PYTHONPATH",
            "LD_PRELOAD",
            "PS4",
            "BASH_FUNC_die%%",
        ] {
            assert_eq!(get(gone), None, "{gone}");
        }
        for (name, value) in [
            ("HOME", "/root"),
            ("USER", "root"),
            ("LOGNAME", "root"),
            ("SUDO_USER", "root"),
            ("SUDO_UID", "0"),
            ("http_proxy", "http://proxy:1"),
            ("DIB_X", "a\nb"),
            ("PATH", TARGET_PATH),
            ("_", "/usr/bin/sudo"),
        ] {
            assert_eq!(get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn until_1_0_the_target_had_an_empty_tmpdir() {
        let mut variables = variables(&[("TMPDIR", "/t"), ("VIRTUAL_ENV", "/v")]);
        variables.empty_tmpdir();
        let got = variables.in_target(Path::new("/m"), OsStr::new("true"));
        assert_eq!(got[OsStr::new("TMPDIR")], "");
        assert_eq!(got[OsStr::new("VIRTUAL_ENV")], "/v");
    }

    #[test]
    fn outside_hooks_see_everything_and_the_shims_first() {
        let mut variables = variables(&[("PATH", "/bin"), ("TMPDIR", "/t"), ("X", "1")]);
        variables.apply(BTreeMap::from([("Y".into(), "2".into())]), vec!["X".into()]);
        let got = variables.outside(Some(Path::new("/m")));
        let names: Vec<_> = got.keys().filter_map(|k| k.to_str()).collect();
        assert_eq!(names, ["PATH", "TARGET_ROOT", "TMPDIR", "Y"]);
        assert_eq!(got[OsStr::new("PATH")], "/run/safedib/shims:/bin");
        assert!(!variables
            .outside(None)
            .contains_key(OsStr::new("TARGET_ROOT")));
    }
}
