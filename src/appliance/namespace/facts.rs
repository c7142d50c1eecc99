//! What the layout must know about the host, looked up once.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::network::{self, Helper};
use super::AgentCommand;
use crate::appliance::ApplianceSpec;

/// What a path of the host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// A symbolic link with this target.
    Link(PathBuf),
}

/// Facts about host and caller that decide how the root inside looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The caller is root of the host.
    pub root_caller: bool,
    /// `safedib` on the host.
    pub binary: PathBuf,
    /// The caller's home directory.
    pub home: PathBuf,
    /// What `/bin`, `/sbin` and `/lib*` are.
    pub top: BTreeMap<PathBuf, Entry>,
    /// Directories of `/usr` in which hooks may make files.
    pub usr_dirs: Vec<PathBuf>,
    /// Something is mounted below `/usr`.
    pub usr_has_mounts: bool,
    /// Entries of `/etc` that exist and are on the list.
    pub etc: BTreeMap<PathBuf, Entry>,
    /// Host name.
    pub hostname: String,
    /// Content of `/etc/passwd`.
    pub passwd: String,
    /// Content of `/etc/group`.
    pub group: String,
    /// Content of `/etc/resolv.conf` inside.
    pub resolv_conf: String,
    /// Permission bits of the host's `/etc/hostname` and `/etc/resolv.conf`:
    /// debootstrap copies both into the target as they are.
    pub copied_modes: [u32; 2],
    /// Which of the shared, scratch and backing paths exist, and as what.
    pub paths: BTreeMap<PathBuf, Entry>,
}

/// Directories and links at the top that belong to `/usr`.
const TOP: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Directories of `/usr` (beside those in `/usr/local`) that hooks may write to.
const USR: &[&str] = &[
    "bin", "sbin", "lib", "lib64", "libexec", "include", "share", "src", "local",
];

/// What programs of `/usr` read in `/etc`: configuration of the loader, name
/// services, certificates, package tools, interpreters and fetchers. Never
/// secrets, accounts' hashes, keys of services, or what identifies the machine.
const ETC: &[&str] = &[
    "adduser.conf",
    "alternatives",
    "apt/apt.conf",
    "apt/apt.conf.d",
    "apt/keyrings",
    "apt/preferences",
    "apt/preferences.d",
    "apt/trusted.gpg",
    "apt/trusted.gpg.d",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "debootstrap",
    "default/locale",
    "default/useradd",
    "deluser.conf",
    "dnf/dnf.conf",
    "dnf/protected.d",
    "dnf/vars",
    "dpkg",
    "e2scrub.conf",
    "environment",
    "ethertypes",
    "gai.conf",
    "gitconfig",
    "host.conf",
    "inputrc",
    "issue",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "libaudit.conf",
    "locale.alias",
    "locale.conf",
    "locale.gen",
    "localtime",
    "login.defs",
    "lsb-release",
    "lvm/lvm.conf",
    "magic",
    "magic.mime",
    "mailcap",
    "mime.types",
    "mke2fs.conf",
    "mtools.conf",
    "netconfig",
    "networks",
    "nsswitch.conf",
    "os-release",
    "pacman.conf",
    "pacman.d/mirrorlist",
    "perl",
    "pip.conf",
    "pki/ca-trust",
    "pki/rpm-gpg",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "profile.d",
    "protocols",
    "python3",
    "qemu",
    "redhat-release",
    "rpc",
    "rpm",
    "security/limits.conf",
    "services",
    "shells",
    "skel",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "system-release",
    "terminfo",
    "timezone",
    "ucf.conf",
    "vim",
    "wgetrc",
    "xattr.conf",
    "xdg",
    "yum",
    "yum.conf",
    "yum.repos.d",
    "zypp",
];

impl HostFacts {
    /// Looks everything up that `spec` needs.
    ///
    /// # Errors
    /// [`Error::Share`] for a path that does not exist.
    pub fn gather(
        spec: &ApplianceSpec,
        agent: &AgentCommand,
        root_caller: bool,
        helper: Option<&Helper>,
    ) -> Result<HostFacts, Error> {
        let text =
            |path: &str| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let mounts = text("/proc/self/mountinfo").unwrap_or_default();
        let mut paths = BTreeMap::new();
        for share in &spec.shares {
            paths.insert(share.path.clone(), followed(&share.path)?);
        }
        for dir in spec.work_dirs.iter().filter_map(|dir| dir.on_disk.as_ref()) {
            paths.insert(dir.clone(), followed(dir)?);
        }
        for scratch in &spec.scratch {
            if let Ok(entry) = followed(&scratch.path) {
                paths.insert(scratch.path.clone(), entry);
            }
        }
        Ok(HostFacts {
            root_caller,
            binary: fs::canonicalize(&agent.binary)
                .map_err(|error| share_error(&agent.binary, &error))?,
            home: agent.home.clone(),
            top: TOP
                .iter()
                .filter_map(|path| Some((path.into(), entry(Path::new(path))?)))
                .collect(),
            usr_dirs: usr_dirs(),
            usr_has_mounts: mounts
                .lines()
                .filter_map(|line| line.split(' ').nth(4))
                .any(|point| point.starts_with("/usr/")),
            etc: etc_entries(),
            hostname: nix::unistd::gethostname()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_else(|_| "localhost".to_owned()),
            passwd: text("/etc/passwd").unwrap_or_default(),
            group: text("/etc/group").unwrap_or_default(),
            resolv_conf: network::resolv_conf(
                &text("/etc/resolv.conf").unwrap_or_default(),
                helper,
            ),
            copied_modes: ["/etc/hostname", "/etc/resolv.conf"].map(permissions),
            paths,
        })
    }
}

impl HostFacts {
    /// What the log should say about how the host's state changes the root inside.
    pub fn notes(&self) -> Option<String> {
        self.usr_has_mounts.then(|| {
            "hooks cannot write to /usr: something is mounted below the host's, \
             which cannot be overlaid then"
                .to_owned()
        })
    }
}

fn permissions(path: &str) -> u32 {
    std::fs::metadata(path).map_or(0o644, |metadata| metadata.permissions().mode() & 0o777)
}

fn share_error(path: &Path, error: &std::io::Error) -> Error {
    Error::Share {
        path: path.to_owned(),
        why: error.to_string(),
    }
}

/// What a path is once symbolic links are followed, as mounts do.
fn followed(path: &Path) -> Result<Entry, Error> {
    let metadata = fs::metadata(path).map_err(|error| share_error(path, &error))?;
    Ok(if metadata.is_dir() {
        Entry::Directory
    } else {
        Entry::File
    })
}

fn entry(path: &Path) -> Option<Entry> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if metadata.is_symlink() {
        return fs::read_link(path).ok().map(Entry::Link);
    }
    Some(if metadata.is_dir() {
        Entry::Directory
    } else {
        Entry::File
    })
}

fn usr_dirs() -> Vec<PathBuf> {
    let named = USR.iter().map(|name| Path::new("/usr").join(name));
    let local = fs::read_dir("/usr/local")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut dirs: Vec<PathBuf> = named
        .chain(local)
        .filter(|path| entry(path) == Some(Entry::Directory))
        .collect();
    dirs.sort();
    dirs
}

/// Files of `/etc` that the appliance makes itself.
const OWN_ETC: &[&str] = &[
    "fstab",
    "group",
    "hostname",
    "hosts",
    "mtab",
    "passwd",
    "resolv.conf",
];

/// Whether a hook can see a path below `/etc`, if the host has it: one of the
/// list, something in one, or a directory that leads to one.
pub fn shows_of_etc(path: &Path) -> bool {
    let Ok(below) = path.strip_prefix("/etc") else {
        return false;
    };
    let python = below
        .iter()
        .next()
        .is_some_and(|name| name.to_string_lossy().starts_with("python3."));
    python
        || ETC
            .iter()
            .chain(OWN_ETC)
            .any(|shown| below.starts_with(shown) || Path::new(shown).starts_with(below))
}

pub(in crate::appliance) fn etc_entries() -> BTreeMap<PathBuf, Entry> {
    let pythons = fs::read_dir("/etc")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("python3."))
        });
    ETC.iter()
        .map(|name| Path::new("/etc").join(name))
        .chain(pythons)
        .filter_map(|path| entry(&path).map(|entry| (path, entry)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_etc() {
        for (path, shown) in [
            ("/etc", true),
            ("/etc/apt", true),
            ("/etc/apt/apt.conf.d/50x", true),
            ("/etc/resolv.conf", true),
            ("/etc/python3.11/x", true),
            ("/etc/nodepool/scripts", false),
            ("/etc/shadow", false),
            ("/usr/etc", false),
        ] {
            assert_eq!(shows_of_etc(Path::new(path)), shown, "{path}");
        }
    }
}
