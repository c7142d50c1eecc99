//! The variables of the engine's shell: what the caller exported, what options
//! set, and which of them hooks get to see.

use std::ffi::{OsStr, OsString};

use crate::request::environment::Environment;
use crate::request::error::Error;
use crate::request::generation::Generation;
use crate::request::options::{Export, OptionId, OPTIONS};
use crate::request::variables::{self, Variable};
use crate::request::RawRequest;

/// What `-c` leaves of the caller's environment. (Upstream's `-c` never works
/// in 3.x; its intention was an empty environment, in which no tool works.)
const KEPT: [Variable; 2] = [variables::HOME, variables::PATH];
const KEPT_UNREAD: [&str; 4] = ["LOGNAME", "SHELL", "TERM", "USER"];

/// The engine's shell.
#[derive(Debug, Clone, Default)]
pub(super) struct Shell {
    all: Environment,
    exported: Environment,
}

impl Shell {
    /// What the build [sees](seen) with the options applied, as upstream does it
    /// before anything is looked up.
    pub(super) fn new(raw: &RawRequest, environment: &Environment) -> Self {
        let mut shell = Shell {
            all: environment.clone(),
            exported: environment.clone(),
        };
        for (variable, initial) in [
            (variables::COMPRESS_IMAGE, "true"),
            (variables::INSTALL_PACKAGES, ""),
            (variables::MKFS_OPTS, ""),
            (variables::DOCKER_TARGET, ""),
            (variables::LOGFILE, ""),
        ] {
            shell.assign(variable, initial);
        }
        // Bash cannot export an array: the variables of `-t` and `-p` vanish.
        shell.remove(variables::IMAGE_TYPES);
        if raw.has(OptionId::Packages) {
            shell.remove(variables::INSTALL_PACKAGES);
        }
        for option in OPTIONS {
            let Some(variable) = option.variable.filter(|_| raw.has(option.id)) else {
                continue;
            };
            let value = match option.id {
                OptionId::Trace => continue,
                OptionId::Uncompressed => OsString::new(),
                _ => raw
                    .last(option.id)
                    .map_or_else(|| "1".into(), OsStr::to_owned),
            };
            match option.export {
                Export::Always => shell.export(variable, value),
                Export::IfExported => shell.assign(variable, value),
                Export::Never => {}
            }
        }
        shell
    }

    /// Sets and exports.
    pub(super) fn export(&mut self, variable: Variable, value: impl Into<OsString>) {
        let value = value.into();
        self.all.set(variable.name, value.clone());
        self.exported.set(variable.name, value);
    }

    /// Exports what the engine of a generation exports; else only sets.
    pub(super) fn export_in(
        &mut self,
        generation: Generation,
        variable: Variable,
        value: impl Into<OsString>,
    ) {
        match variable.is_of(generation) {
            true => self.export(variable, value),
            false => self.assign(variable, value),
        }
    }

    /// Sets; hooks see it if the caller had exported the variable.
    pub(super) fn assign(&mut self, variable: Variable, value: impl Into<OsString>) {
        let value = value.into();
        self.all.set(variable.name, value.clone());
        self.exported.assign(variable.name, value);
    }

    fn remove(&mut self, variable: Variable) {
        self.all.remove(variable.name);
        self.exported.remove(variable.name);
    }

    /// The value as bytes, `None` if unset or empty.
    pub(super) fn bytes(&self, variable: Variable) -> Option<&OsStr> {
        self.all.filled(variable.name)
    }

    /// The value as text, `None` if unset or empty.
    pub(super) fn text(&self, variable: Variable) -> Result<Option<&str>, Error> {
        self.bytes(variable)
            .map(|value| {
                value
                    .to_str()
                    .ok_or_else(|| Error::not_utf8(variable.name, value))
            })
            .transpose()
    }

    /// The value as text, or a default where it is unset or empty.
    pub(super) fn text_or(&self, variable: Variable, default: &str) -> Result<String, Error> {
        Ok(self.text(variable)?.unwrap_or(default).to_owned())
    }

    /// What is exported.
    pub(super) fn exported(self) -> Environment {
        self.exported
    }
}

/// What the build sees of the caller's environment: all, or what `-c` leaves, and
/// what was handed in.
pub(super) fn seen(raw: &RawRequest, caller: &Environment, handed_in: Environment) -> Environment {
    let mut seen = match clears(raw, caller) {
        true => cleared(caller),
        false => caller.clone(),
    };
    seen.0.extend(handed_in.0);
    seen
}

/// `-c`, or `CLEAR_ENV=1`.
pub(super) fn clears(raw: &RawRequest, environment: &Environment) -> bool {
    raw.has(OptionId::ClearEnvironment)
        || environment.get(variables::CLEAR_ENV.name) == Some(OsStr::new("1"))
}

fn cleared(environment: &Environment) -> Environment {
    KEPT.iter()
        .map(|variable| variable.name)
        .chain(KEPT_UNREAD)
        .filter_map(|name| environment.get(name).map(|value| (name, value)))
        .collect()
}
