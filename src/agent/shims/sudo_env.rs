//! The environment rules of sudo 1.9 as Debian configures it: `env_reset`,
//! `secure_path`, and the built-in lists (`sudo -V` as root prints them;
//! `rebuild_env` in its `env.c` is the algorithm).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// `secure_path` in Debian's sudoers.
pub const SECURE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// "Environment variables to remove", also when everything is preserved.
const REMOVED: &[&str] = &[
    "RUBYOPT",
    "RUBYLIB",
    "PYTHONUSERBASE",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONHOME",
    "TMPPREFIX",
    "ZDOTDIR",
    "READNULLCMD",
    "NULLCMD",
    "FPATH",
    "PERL5DB",
    "PERL5OPT",
    "PERL5LIB",
    "PERLLIB",
    "PERLIO_DEBUG",
    "JAVA_TOOL_OPTIONS",
    "SHELLOPTS",
    "BASHOPTS",
    "GLOBIGNORE",
    "PS4",
    "BASH_ENV",
    "ENV",
    "TERMCAP",
    "TERMPATH",
    "TERMINFO_DIRS",
    "TERMINFO",
    "_RLD*",
    "LD_*",
    "PATH_LOCALE",
    "NLSPATH",
    "HOSTALIASES",
    "RES_OPTIONS",
    "LOCALDOMAIN",
    "CDPATH",
    "IFS",
];

/// "Environment variables to check for safety".
const CHECKED: &[&str] = &[
    "TZ",
    "TERM",
    "LINGUAS",
    "LC_*",
    "LANGUAGE",
    "LANG",
    "COLORTERM",
];

/// "Environment variables to preserve".
const KEPT: &[&str] = &[
    "XDG_CURRENT_DESKTOP",
    "XAUTHORIZATION",
    "XAUTHORITY",
    "PS2",
    "PS1",
    "PATH",
    "LS_COLORS",
    "KRB5CCNAME",
    "HOSTNAME",
    "DPKG_COLORS",
    "DISPLAY",
    "COLORS",
];

/// What the options of a sudo command line say about the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mode {
    /// `-E`: keep all but what is always removed.
    pub preserve: bool,
    /// `--preserve-env=LIST`: names to keep beside the usual ones.
    pub keep: Vec<OsString>,
    /// `-H`: set HOME to the target user's.
    pub set_home: bool,
    /// `-i`: a login shell's environment.
    pub login: bool,
}

/// A user, from the passwd database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: OsString,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: OsString,
    /// Login shell.
    pub shell: OsString,
}

impl User {
    /// The user that every sudo inside an appliance starts from.
    pub fn root() -> User {
        User {
            name: "root".into(),
            uid: 0,
            gid: 0,
            home: "/root".into(),
            shell: "/bin/bash".into(),
        }
    }
}

/// Whether a name is in a list, where an entry may end in `*`.
fn listed(name: &[u8], list: &[&str]) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix.as_bytes()),
        None => name == entry.as_bytes(),
    })
}

/// A value that sudo passes for the names of [`CHECKED`].
fn is_safe(name: &[u8], value: &[u8]) -> bool {
    if name != b"TZ" {
        return !value.iter().any(|byte| matches!(byte, b'/' | b'%'));
    }
    // A time zone may be a file, but only one below the system's own directory.
    let zone = value.strip_prefix(b":").unwrap_or(value);
    let absolute = zone.starts_with(b"/");
    let text = String::from_utf8_lossy(zone);
    !(absolute && !text.starts_with("/usr/share/zoneinfo/")
        || text.split('/').any(|part| part == "..")
        || zone.len() > 4096
        || zone.iter().any(|byte| !(0x21..0x7f).contains(byte)))
}

fn survives(name: &OsStr, value: &OsStr, mode: &Mode) -> bool {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    // bash exports a function as a variable whose value begins with "() {"
    if value.starts_with(b"()") {
        return false;
    }
    if mode.preserve && !mode.login {
        return !listed(name, REMOVED) && (!listed(name, CHECKED) || is_safe(name, value));
    }
    if listed(name, CHECKED) {
        return is_safe(name, value);
    }
    listed(name, KEPT) || mode.keep.iter().any(|kept| kept.as_bytes() == name)
}

/// The environment that sudo, called by `root`, gives to a command of `user`.
///
/// `command` is the value of `SUDO_COMMAND`: the program's path and its
/// arguments, joined by blanks. Shims are not on the resulting PATH.
pub fn rebuild(
    environment: &BTreeMap<OsString, OsString>,
    mode: &Mode,
    user: &User,
    command: &OsStr,
) -> BTreeMap<OsString, OsString> {
    let mut result: BTreeMap<OsString, OsString> = environment
        .iter()
        .filter(|(name, value)| survives(name, value, mode))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let reset = !mode.preserve || mode.login;
    let kept = |name: &str| mode.keep.iter().any(|kept| kept == name);
    let mut set = |name: &str, value: &OsStr| {
        result.insert(name.into(), value.to_owned());
    };
    if mode.login {
        set("SHELL", &user.shell);
    }
    if mode.login || mode.set_home || (reset && !kept("HOME")) {
        set("HOME", &user.home);
    }
    if mode.login || (reset && !kept("MAIL")) {
        let mut mail = OsString::from("/var/mail/");
        mail.push(&user.name);
        set("MAIL", &mail);
    }
    if mode.login || !(kept("USER") || kept("LOGNAME")) {
        set("LOGNAME", &user.name);
        set("USER", &user.name);
    }
    set("PATH", OsStr::new(SECURE_PATH));
    set("SUDO_COMMAND", command);
    set("SUDO_USER", OsStr::new("root"));
    set("SUDO_UID", OsStr::new("0"));
    set("SUDO_GID", OsStr::new("0"));
    result
        .entry("SHELL".into())
        .or_insert_with(|| user.shell.clone());
    result
        .entry("TERM".into())
        .or_insert_with(|| "unknown".into());
    result
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    const GIVEN: &[(&str, &str)] = &[
        ("PATH", "/opt/x:/usr/bin:/bin"),
        ("HOME", "/home/someone"),
        ("TERM", "vt100"),
        ("LANG", "C"),
        ("LC_ALL", "C"),
        ("LC_BAD", "a/b"),
        ("LANGUAGE", "a%b"),
        ("TZ", "Europe/Berlin"),
        ("COLORTERM", "x"),
        ("DISPLAY", ":0"),
        ("HOSTNAME", "h"),
        ("PS1", "$ "),
        ("PS4", "+ "),
        ("PYTHONPATH", "/p"),
        ("LD_LIBRARY_PATH", "/l"),
        ("_RLD_X", "1"),
        ("IFS", " "),
        ("ENV", "/e"),
        ("http_proxy", "http://p"),
        ("DIB_RELEASE", "sid"),
        ("BASH_FUNC_f%%", "() {  :\n}"),
        ("PARENTHESES", "()x"),
        ("USER", "someone"),
        ("LOGNAME", "someone"),
        ("MAIL", "/m"),
        ("SHELL", "/bin/zsh"),
        ("TMPDIR", "/t"),
        ("SUDO_USER", "before"),
    ];

    /// What the sudo of this machine does, when we are root and it is Debian's.
    fn real(options: &[&str]) -> Option<BTreeMap<OsString, OsString>> {
        let usable = nix::unistd::geteuid().is_root() && Path::new("/usr/bin/sudo").exists();
        if !usable {
            eprintln!("skipped: needs root and sudo");
            return None;
        }
        let output = Command::new("/usr/bin/sudo")
            .args(options)
            .args(["-n", "/usr/bin/env", "-0"])
            .env_clear()
            .envs(GIVEN.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let pairs = output.stdout.split(|byte| *byte == 0);
        Some(
            pairs
                .filter_map(|pair| {
                    let at = pair.iter().position(|byte| *byte == b'=')?;
                    let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
                    Some((text(&pair[..at]), text(&pair[at + 1..])))
                })
                .collect(),
        )
    }

    #[test]
    fn the_environment_is_that_of_the_real_sudo() {
        let keep = |names: &[&str]| names.iter().map(OsString::from).collect();
        let cases: [(&[&str], Mode); 4] = [
            (&[], Mode::default()),
            (
                &["-E"],
                Mode {
                    preserve: true,
                    ..Mode::default()
                },
            ),
            (
                &["-H", "-E"],
                Mode {
                    preserve: true,
                    set_home: true,
                    ..Mode::default()
                },
            ),
            (
                &["--preserve-env=http_proxy,HOME"],
                Mode {
                    keep: keep(&["http_proxy", "HOME"]),
                    ..Mode::default()
                },
            ),
        ];
        let given: BTreeMap<OsString, OsString> = GIVEN
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        for (options, mode) in cases {
            let Some(expected) = real(options) else {
                return;
            };
            let command = expected[OsStr::new("SUDO_COMMAND")].clone();
            let got = rebuild(&given, &mode, &User::root(), &command);
            assert_eq!(got, expected, "sudo {options:?}");
        }
    }
}
