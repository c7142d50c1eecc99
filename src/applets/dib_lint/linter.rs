//! Who looks at Python scripts.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lint::lines;
use crate::lint::python::{findings, Config, Finding};

use super::report::Report;
use super::Failure;

/// Who looks at Python scripts.
pub(super) enum Linter {
    /// The checks here.
    Own(Box<Config>),
    /// flake8 has looked at all: its findings for each file.
    Flake8(BTreeMap<PathBuf, Vec<Finding>>),
}

impl Linter {
    /// Our own checks with flake8's settings for the working directory.
    pub(super) fn own(report: &mut Report) -> Linter {
        let directory = std::env::current_dir().unwrap_or_default();
        let (config, unknown) = Config::find(&directory);
        for option in unknown {
            report.note(&format!(
                "the setting '{option}' of flake8 has no effect without --flake8"
            ));
        }
        Linter::Own(Box::new(config))
    }

    /// Runs flake8 once over all scripts.
    pub(super) fn flake8(scripts: Vec<&Path>) -> Result<Linter, Failure> {
        let mut found: BTreeMap<PathBuf, Vec<Finding>> = BTreeMap::new();
        if scripts.is_empty() {
            return Ok(Linter::Flake8(found));
        }
        let output = Command::new("flake8")
            .args(["--format=default", "--"])
            .args(&scripts)
            .stdin(Stdio::null())
            .output()
            .map_err(Failure::Flake8)?;
        for line in lines(&output.stdout) {
            let owner = scripts.iter().find_map(|path| {
                let rest = line.strip_prefix(path.as_os_str().as_bytes())?;
                Some((path, finding(rest)?))
            });
            if let Some((path, finding)) = owner {
                found.entry(path.to_path_buf()).or_default().push(finding);
            }
        }
        if !output.status.success() && found.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned();
            let said = format!("{}: {said}", output.status);
            return Err(Failure::Flake8(std::io::Error::other(said)));
        }
        Ok(Linter::Flake8(found))
    }

    /// What is wrong with a script.
    pub(super) fn check(&self, path: &Path, content: &[u8]) -> Vec<Finding> {
        match self {
            Linter::Own(config) if config.excludes(path) => Vec::new(),
            Linter::Own(config) => findings(content, config).into_iter().collect(),
            Linter::Flake8(found) => found.get(path).cloned().unwrap_or_default(),
        }
    }
}

/// Reads what flake8's default format has behind the path.
fn finding(rest: &[u8]) -> Option<Finding> {
    let text = String::from_utf8_lossy(rest);
    let mut parts = text.strip_prefix(':')?.splitn(3, ':');
    let (row, column) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (code, text) = parts.next()?.trim_start().split_once(' ')?;
    Some(Finding {
        code: code.to_owned(),
        row,
        column,
        text: text.to_owned(),
    })
}
