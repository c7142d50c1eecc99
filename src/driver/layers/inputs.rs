//! Digests of what goes into a build before its first hook runs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::driver::error::Error;
use crate::elements::{Element, Phase};
use crate::output::checksum::hexadecimal;
use crate::plan::{mentions, Plan, Step};
use crate::request::BuildRequest;

/// Lists of the host's packages: what hooks run outside the target is from them.
const PACKAGES: [&str; 3] = [
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
];
/// Variables that tell of the session or of the job that the build runs in, not of
/// what is built; unless an element names them.
const OF_SESSION: [&str; 24] = [
    "_",
    "SHLVL",
    "PWD",
    "OLDPWD",
    "WINDOWID",
    "COLUMNS",
    "LINES",
    "MAIL",
    "TERM",
    "LS_COLORS",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "GPG_TTY",
    "STY",
    "TMUX",
    "TMUX_PANE",
    "MAKEFLAGS",
    "MFLAGS",
    "EXECUTOR_NUMBER",
    "WORKSPACE",
    "JOB_NAME",
    "JOB_URL",
    "NODE_NAME",
    "HOSTNAME",
];
/// The beginnings of others.
const OF_SESSION_PREFIXES: [&str; 12] = [
    "SSH_", "XDG_", "DBUS_", "SYSTEMD_", "BUILD_", "CI_", "GITHUB_", "GITLAB_", "JENKINS_",
    "HUDSON_", "RUNNER_", "ZUUL_",
];

/// What goes in, by name.
pub(super) struct Inputs {
    /// Names of the elements that were asked for.
    pub(super) elements: Vec<String>,
    /// Digest of each input, by what it is in words.
    pub(super) digests: BTreeMap<String, String>,
}

/// Reads all inputs but hooks.
///
/// # Errors
/// One cannot be read.
pub(super) fn gather(request: &BuildRequest, plan: &Plan) -> Result<Inputs, Error> {
    let mut digests = BTreeMap::new();
    digests.insert("safedib itself".to_owned(), own_digest()?);
    for path in PACKAGES.map(Path::new) {
        if let Ok(digest) = digest_of_file(path) {
            digests.insert("the packages of this host".to_owned(), digest);
        }
    }
    let mut texts = Texts::default();
    for element in &plan.elements.elements {
        let digest = texts.of_element(element, &request.excluded_scripts)?;
        digests.insert(format!("element {}", element.name), digest);
    }
    variables(request, plan, &texts, &mut digests);
    for share in plan.shares.iter().filter(|share| !share.writable) {
        let ours = share.why == "ELEMENTS_PATH" || share.why.starts_with("element ");
        if !ours {
            digests.insert(share.path.display().to_string(), stamps_below(&share.path));
        }
    }
    digests.insert(
        "the options".to_owned(),
        hexadecimal(Sha256::digest(format!(
            "{:?}",
            (plan.network, plan.metadata_service)
        ))),
    );
    Ok(Inputs {
        elements: plan.requested.clone(),
        digests,
    })
}

fn variables(
    request: &BuildRequest,
    plan: &Plan,
    texts: &Texts,
    digests: &mut BTreeMap<String, String>,
) {
    let engine = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::SetVariables { set, .. } => Some(set),
        _ => None,
    });
    for (name, value) in plan.environment(request) {
        let name = name.to_string_lossy();
        if !is_of_session(&name) || texts.mention(&name) {
            let digest = hexadecimal(Sha256::digest(value.as_bytes()));
            digests.insert(format!("variable {name}"), digest);
        }
    }
    for (name, value) in engine.into_iter().flatten() {
        digests.insert(
            format!("variable {name}"),
            hexadecimal(Sha256::digest(value)),
        );
    }
}

fn is_of_session(name: &str) -> bool {
    OF_SESSION.contains(&name)
        || OF_SESSION_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// The files of elements.
#[derive(Default)]
struct Texts(Vec<Vec<u8>>);

impl Texts {
    /// Digest of what an element has beside the hooks of phases, which are looked at
    /// for names of variables only.
    fn of_element(&mut self, element: &Element, excluded: &[String]) -> Result<String, Error> {
        let mut state = Sha256::new();
        let walk = WalkDir::new(&element.path).sort_by_file_name();
        for entry in walk {
            let entry = entry.map_err(|error| unreadable(&element.path, error.into()))?;
            let below = entry
                .path()
                .strip_prefix(&element.path)
                .unwrap_or(entry.path());
            let first = below.iter().next().unwrap_or_default().to_string_lossy();
            let content = content_of(entry.path())?;
            if Phase::from_directory(&first).is_none() {
                add(&mut state, below.as_os_str(), &content);
            }
            if let Content::Text { text, .. } = content {
                self.0.push(text);
            }
        }
        add(
            &mut state,
            OsStr::new(""),
            &Content::Link(excluded.join(" ").into()),
        );
        Ok(hexadecimal(state.finalize()))
    }

    fn mention(&self, name: &str) -> bool {
        mentions(self.0.iter().map(Vec::as_slice), name)
    }
}

/// What there is at a path.
pub(super) enum Content {
    /// A file, with its mode.
    Text {
        mode: u32,
        text: Vec<u8>,
    },
    Link(PathBuf),
    Other,
}

/// Reads a path; a link to a file counts as that, because hooks are copied so.
pub(super) fn content_of(path: &Path) -> Result<Content, Error> {
    let failed = |source| unreadable(path, source);
    let found = fs::symlink_metadata(path).map_err(failed)?;
    if found.is_symlink() && !path.is_file() {
        return Ok(Content::Link(fs::read_link(path).map_err(failed)?));
    }
    if found.is_dir() || !path.is_file() {
        return Ok(Content::Other);
    }
    Ok(Content::Text {
        mode: fs::metadata(path).map_err(failed)?.mode() & 0o111,
        text: fs::read(path).map_err(failed)?,
    })
}

/// Adds a name and what it stands for, so that no two rows give one digest.
pub(super) fn add(state: &mut Sha256, name: &OsStr, content: &Content) {
    let (kind, mode, bytes): (&str, u32, &[u8]) = match content {
        Content::Text { mode, text } => ("file", *mode, text),
        Content::Link(target) => ("link", 0, target.as_os_str().as_bytes()),
        Content::Other => ("other", 0, b""),
    };
    let name = name.as_bytes();
    state.update(format!("{kind} {mode:o} {} {} ", name.len(), bytes.len()));
    state.update(name);
    state.update(bytes);
}

/// Digest of sizes and times below a path: what is shared may be large.
fn stamps_below(path: &Path) -> String {
    let mut state = Sha256::new();
    for entry in WalkDir::new(path).sort_by_file_name() {
        let Ok(entry) = entry else { continue };
        let Ok(found) = entry.metadata() else {
            continue;
        };
        state.update(entry.path().as_os_str().as_bytes());
        state.update(format!(
            "\0{:o} {} {} {}\0",
            found.mode(),
            found.len(),
            found.mtime(),
            found.mtime_nsec()
        ));
    }
    hexadecimal(state.finalize())
}

/// Digest of the running program, which has all helpers.
fn own_digest() -> Result<String, Error> {
    let path = Path::new("/proc/self/exe");
    digest_of_file(path).map_err(|source| unreadable(path, source))
}

fn digest_of_file(path: &Path) -> io::Result<String> {
    let mut state = Sha256::new();
    io::copy(&mut File::open(path)?, &mut state)?;
    Ok(hexadecimal(state.finalize()))
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Host {
        what: format!("read {}", path.display()),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_is_called_goes_into_no_image() {
        for (name, expected) in [
            ("BUILD_NUMBER", true),
            ("SHLVL", true),
            ("SSH_AUTH_SOCK", true),
            ("DIB_RELEASE", false),
            ("http_proxy", false),
            ("PATH", false),
            ("CIRCUS", false),
        ] {
            assert_eq!(is_of_session(name), expected, "{name}");
        }
        let texts = Texts(vec![b"echo ${BUILD_NUMBER:-}".to_vec()]);
        assert!(texts.mention("BUILD_NUMBER") && !texts.mention("BUILD"));
    }
}
