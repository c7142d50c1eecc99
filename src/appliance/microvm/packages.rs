//! Which packages of the host the appliance is made of.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::{cache, Error};

/// What hooks outside the target and our own steps call. Those that are not
/// installed are left out; what a build cannot do without is checked for it.
const WANTED: &[&str] = &[
    "apt",
    "apt-utils",
    "attr",
    "bash",
    "btrfs-progs",
    "bzip2",
    "ca-certificates",
    "coreutils",
    "curl",
    "debian-archive-keyring",
    "debootstrap",
    "dmsetup",
    "dnf",
    "dosfstools",
    "dpkg",
    "e2fsprogs",
    "fdisk",
    "file",
    "findutils",
    "gawk",
    "gdisk",
    "git",
    "gpg",
    "gpgv",
    "grep",
    "gzip",
    "hostname",
    "iproute2",
    "jq",
    "kmod",
    "kpartx",
    "libcap2-bin",
    "login",
    "lvm2",
    "mawk",
    "mmdebstrap",
    "mount",
    "mtools",
    "netbase",
    "openssh-client",
    "openssl",
    "parted",
    "passwd",
    "patch",
    "perl",
    "pigz",
    "procps",
    "python3",
    "python3-yaml",
    "qemu-user-static",
    "qemu-utils",
    "rpm",
    "rsync",
    "sed",
    "squashfs-tools",
    "sudo",
    "tar",
    "thin-provisioning-tools",
    "ubuntu-keyring",
    "unzip",
    "util-linux",
    "wget",
    "xfsprogs",
    "xz-utils",
    "yum-utils",
    "zstd",
    "zypper",
];

/// Without these no appliance starts a hook.
const REQUIRED: &[&str] = &[
    "bash",
    "coreutils",
    "findutils",
    "grep",
    "iproute2",
    "kmod",
    "mount",
    "python3",
    "sed",
    "tar",
    "util-linux",
];

/// The host's packages: name, and version if it is installed.
pub(super) struct Installed(BTreeMap<String, (String, bool)>);

impl Installed {
    /// Asks dpkg.
    ///
    /// # Errors
    /// [`Error::NoDpkg`].
    pub(super) fn read() -> Result<Installed, Error> {
        let program = cache::find_program("dpkg-query")
            .ok_or_else(|| Error::NoDpkg("no dpkg-query".to_owned()))?;
        let output = Command::new(program)
            .arg("-W")
            .arg("-f=${Package}\\t${db:Status-Status}\\t${Essential}\\t${Version}\\n")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::NoDpkg(error.to_string()))?;
        if !output.status.success() {
            return Err(Error::NoDpkg(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ));
        }
        Ok(Installed::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn parse(text: &str) -> Installed {
        let line = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                [name, "installed", essential, version] => {
                    Some((name.to_owned(), (version.to_owned(), essential == "yes")))
                }
                _ => None,
            }
        };
        Installed(text.lines().filter_map(line).collect())
    }

    /// Packages of the appliance, with the user's `more`, in order of names.
    ///
    /// # Errors
    /// [`Error::MissingPackage`] for the user's and for what is [`REQUIRED`].
    pub(super) fn choose(&self, more: &[String]) -> Result<Vec<String>, Error> {
        let has = |name: &str| self.0.contains_key(name);
        if let Some(name) = REQUIRED.iter().find(|name| !has(name)) {
            return Err(Error::MissingPackage {
                package: (*name).to_owned(),
                why: "the microvm appliance is made of it",
            });
        }
        if let Some(name) = more.iter().find(|name| !has(name)) {
            return Err(Error::MissingPackage {
                package: name.clone(),
                why: "DIB_APPLIANCE_PACKAGES names it",
            });
        }
        let essential = self.0.iter().filter(|(_, (_, essential))| *essential);
        let mut chosen: Vec<String> = essential.map(|(name, _)| name.clone()).collect();
        let wanted = WANTED.iter().filter(|name| has(name));
        chosen.extend(wanted.map(|name| (*name).to_owned()));
        chosen.extend_from_slice(more);
        chosen.sort();
        chosen.dedup();
        Ok(chosen)
    }

    /// Every package with its version: other versions, another appliance.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, (version, _))| (name.as_str(), version.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(more: &str) -> Installed {
        let mut text: String = REQUIRED
            .iter()
            .map(|name| format!("{name}\tinstalled\tno\t1\n"))
            .collect();
        text.push_str("dash\tinstalled\tyes\t0.5\nold\tconfig-files\tno\t2\n");
        text.push_str(more);
        Installed::parse(&text)
    }

    #[test]
    fn essential_wanted_and_the_users_packages_are_chosen() {
        let host =
            installed("nodejs\tinstalled\tno\t20\ncurl\tinstalled\tno\t7\nvim\tinstalled\tno\t9\n");
        let chosen = host.choose(&["nodejs".to_owned()]).unwrap();
        for (name, expected) in [
            ("dash", true),
            ("curl", true),
            ("nodejs", true),
            ("vim", false),
            ("old", false),
            ("git", false),
        ] {
            assert_eq!(
                chosen.iter().any(|chosen| chosen == name),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_package_that_is_not_there_is_named() {
        let error = installed("").choose(&["old".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("old"), "{error}");
        let error = Installed::parse("bash\tinstalled\tyes\t5\n").choose(&[]);
        assert!(matches!(error, Err(Error::MissingPackage { .. })));
    }
}
