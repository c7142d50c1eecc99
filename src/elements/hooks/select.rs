//! Which files of the merged tree run or are sourced, and in which order.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Entry, EnvironmentFile, HookNotice, Kind, NoticeReason, Tree};
use crate::elements::order::{
    compare_environment_files, compare_hooks, is_environment_name, is_hook_name,
};
use crate::elements::{Error, Hook, Origin, Phase};

type HooksByPhase = BTreeMap<Phase, Vec<Hook>>;

impl Tree {
    /// Hooks of each phase that has any, in running order, and what is odd.
    pub(super) fn select_hooks(&self) -> Result<(HooksByPhase, Vec<HookNotice>), Error> {
        let mut all = BTreeMap::new();
        let mut notices = Vec::new();
        for phase in Phase::ALL {
            let directory = phase.directory();
            let mut hooks = Vec::new();
            for (name, entry) in self.listing(&directory) {
                let Origin { element, path } = entry.origin.clone();
                let name = name.clone();
                let file = self.resolve(&directory, &name);
                let (runs, reason) = judge(&name, entry, file.as_deref())?;
                if let Some(reason) = reason {
                    notices.push(HookNotice {
                        phase,
                        name: name.clone(),
                        element: element.clone(),
                        path: path.clone(),
                        reason,
                    });
                }
                if runs {
                    hooks.push(Hook {
                        phase,
                        name,
                        element,
                        path,
                    });
                }
            }
            hooks.sort_by(|left, right| compare_hooks(&left.name, &right.name));
            if !hooks.is_empty() {
                all.insert(phase, hooks);
            }
        }
        Ok((all, notices))
    }

    /// Files of environment.d in the order in which they are sourced.
    pub(super) fn select_environment_files(&self) -> Vec<EnvironmentFile> {
        let directory = "environment.d";
        let mut files: Vec<EnvironmentFile> = self
            .listing(directory)
            .filter(|(name, _)| is_environment_name(name))
            .filter(|(name, _)| self.resolve(directory, name).is_some())
            .map(|(name, entry)| EnvironmentFile {
                name: name.clone(),
                element: entry.origin.element.clone(),
                path: entry.origin.path.clone(),
            })
            .collect();
        files.sort_by(|left, right| compare_environment_files(&left.name, &right.name));
        files
    }
}

/// Whether an entry of a phase's directory runs, and what is odd about it.
/// `file` is the regular file that it is or leads to.
fn judge(
    name: &str,
    entry: &Entry,
    file: Option<&Path>,
) -> Result<(bool, Option<NoticeReason>), Error> {
    let good_name = is_hook_name(name);
    let Some(file) = file else {
        let dangling = entry.kind == Kind::Link && !entry.origin.path.is_dir() && good_name;
        return Ok((false, dangling.then_some(NoticeReason::DanglingLink)));
    };
    let metadata = fs::metadata(file).map_err(Error::unreadable(file))?;
    // Hooks are started by the appliance's root, for whom any x bit will do.
    let executable = metadata.permissions().mode() & 0o111 != 0;
    Ok(match (good_name, executable) {
        (true, true) => (
            true,
            (!has_interpreter(file)?).then_some(NoticeReason::NoShebang),
        ),
        (true, false) => (false, Some(NoticeReason::NotExecutable)),
        (false, true) => (false, Some(NoticeReason::BadName)),
        (false, false) => (false, None),
    })
}

/// Whether the kernel can execute the file: a `#!` line or an ELF header.
fn has_interpreter(path: &Path) -> Result<bool, Error> {
    let mut head = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut head))
        .map_err(Error::unreadable(path))?;
    Ok(head.starts_with(b"#!") || head == b"\x7fELF")
}
