//! `sudo` for who is root already: it changes the environment as the real one
//! does, because elements rely on what it removes, and the user if asked to.
//!
//! Given their effect: `-u -E --preserve-env=LIST -H -i -s -D -v -k -K`,
//! `NAME=value` and `--`. Without one, because nobody is ever asked for a
//! password: `-n -S -A -B -p PROMPT`; and `-P`, as root of an appliance has no
//! supplementary groups. Everything else would change what the command does or
//! whether it runs (`-g -R -T -C -h HOST -b -l -e ...`), and is refused by name.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::unistd::{self, Gid, Uid};

use super::sudo_env::{self, Mode, User};
use super::{complain, find};
use crate::agent::paths;

/// Runs a command as sudo would.
pub(super) fn main(arguments: Vec<OsString>) -> ExitCode {
    let line = match parse(arguments) {
        Ok(line) => line,
        Err(text) => {
            complain("sudo", format_args!("{text}"));
            return ExitCode::FAILURE;
        }
    };
    if line.nothing_to_do {
        return ExitCode::SUCCESS;
    }
    let user = match line.user.as_deref().map_or(Ok(User::root()), look_up) {
        Ok(user) => user,
        Err(text) => {
            complain("sudo", format_args!("{text}"));
            return ExitCode::FAILURE;
        }
    };
    execute(line, &user)
}

/// A sudo command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    mode: Mode,
    user: Option<OsString>,
    shell: bool,
    directory: Option<OsString>,
    assignments: Vec<(OsString, OsString)>,
    command: Vec<OsString>,
    nothing_to_do: bool,
}

impl Line {
    /// Applies an option without a value; whether there is one of this letter.
    fn flag(&mut self, letter: u8) -> bool {
        match letter {
            b'E' => self.mode.preserve = true,
            b'H' => self.mode.set_home = true,
            b'i' => self.mode.login = true,
            b's' => self.shell = true,
            b'v' | b'k' | b'K' => self.nothing_to_do = true,
            b'n' | b'S' | b'A' | b'B' | b'P' => {}
            _ => return false,
        }
        true
    }

    /// Applies an option with a value; whether there is one of this letter.
    fn valued(&mut self, letter: u8, value: OsString) -> bool {
        match letter {
            b'u' => self.user = Some(value),
            b'D' => self.directory = Some(value),
            b'p' => {}
            _ => return false,
        }
        true
    }

    fn long(&mut self, name: &str) -> Option<bool> {
        let letter = match name {
            "preserve-env" => b'E',
            "set-home" => b'H',
            "login" => b'i',
            "shell" => b's',
            "validate" => b'v',
            "reset-timestamp" => b'k',
            "remove-timestamp" => b'K',
            "non-interactive" => b'n',
            "stdin" => b'S',
            "askpass" => b'A',
            "bell" => b'B',
            "preserve-groups" => b'P',
            "user" => return Some(false),
            "chdir" => return Some(false),
            "prompt" => return Some(false),
            _ => return None,
        };
        Some(self.flag(letter))
    }
}

fn parse(arguments: Vec<OsString>) -> Result<Line, String> {
    let mut line = Line::default();
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next_if(|next| {
        let bytes = next.as_bytes();
        bytes.len() > 1 && bytes[0] == b'-'
    }) {
        if argument == "--" {
            break;
        }
        let text = argument.to_string_lossy().into_owned();
        if let Some(long) = text.strip_prefix("--") {
            parse_long(&mut line, long, &mut rest)?;
        } else {
            parse_letters(&mut line, &argument, &mut rest)?;
        }
    }
    while let Some(word) = rest.next_if(|next| assignment(next).is_some()) {
        line.assignments.extend(assignment(&word));
    }
    line.command = rest.collect();
    if line.command.is_empty() {
        match line.shell || line.mode.login {
            true => {}
            false if line.nothing_to_do => {}
            false => return Err("a command is missing".to_owned()),
        }
    } else {
        // `sudo -k COMMAND` runs the command
        line.nothing_to_do = false;
    }
    Ok(line)
}

type Rest = std::iter::Peekable<std::vec::IntoIter<OsString>>;

fn parse_long(line: &mut Line, long: &str, rest: &mut Rest) -> Result<(), String> {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    if let ("preserve-env", Some(list)) = (name, value) {
        line.mode.keep.extend(list.split(',').map(Into::into));
        return Ok(());
    }
    match line.long(name) {
        Some(true) => Ok(()),
        Some(false) => {
            let value = match value {
                Some(value) => value.into(),
                None => rest.next().ok_or_else(|| missing(name))?,
            };
            let letter = match name {
                "user" => b'u',
                "chdir" => b'D',
                _ => b'p',
            };
            line.valued(letter, value);
            Ok(())
        }
        None => Err(unknown(&format!("--{name}"))),
    }
}

fn parse_letters(line: &mut Line, argument: &OsStr, rest: &mut Rest) -> Result<(), String> {
    let letters = &argument.as_bytes()[1..];
    for (at, letter) in letters.iter().enumerate() {
        if line.flag(*letter) {
            continue;
        }
        let attached = &letters[at + 1..];
        if !matches!(letter, b'u' | b'D' | b'p') {
            return Err(unknown(&format!("-{}", char::from(*letter))));
        }
        let value = match attached.is_empty() {
            true => rest
                .next()
                .ok_or_else(|| missing(&char::from(*letter).to_string()))?,
            false => OsString::from_vec(attached.to_vec()),
        };
        line.valued(*letter, value);
        break;
    }
    Ok(())
}

fn missing(option: &str) -> String {
    format!("option {option} needs a value")
}

fn unknown(option: &str) -> String {
    format!("this sudo, which safedib provides to hooks, does not do {option}")
}

/// `NAME=value` before the command.
fn assignment(word: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = word.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    let name = &bytes[..at];
    let valid = !name.is_empty() && !name.contains(&b'/');
    let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    valid.then(|| (text(name), text(&bytes[at + 1..])))
}

fn look_up(name: &OsStr) -> Result<User, String> {
    let text = name.to_string_lossy();
    if matches!(&*text, "root" | "#0") {
        return Ok(User::root());
    }
    let found = match text.strip_prefix('#').and_then(|id| id.parse().ok()) {
        Some(id) => unistd::User::from_uid(Uid::from_raw(id)),
        None => unistd::User::from_name(&text),
    };
    match found {
        Ok(Some(user)) => Ok(User {
            name: user.name.into(),
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir.into(),
            shell: user.shell.into(),
        }),
        _ => Err(format!("unknown user {text}")),
    }
}

/// The words of the command: with `-s` and `-i` they go to a shell, where
/// everything but letters, digits and `_-$` is escaped.
fn command_words(
    line: &Line,
    user: &User,
    environment: &dyn Fn(&str) -> OsString,
) -> Vec<OsString> {
    if !line.shell && !line.mode.login {
        return line.command.clone();
    }
    let shell = match line.mode.login {
        true => user.shell.clone(),
        false => environment("SHELL"),
    };
    let shell = match shell.is_empty() {
        true => user.shell.clone(),
        false => shell,
    };
    let mut words = vec![shell];
    if !line.command.is_empty() {
        let escaped: Vec<Vec<u8>> = line.command.iter().map(|word| escape(word)).collect();
        words.push("-c".into());
        words.push(OsString::from_vec(escaped.join(&b' ')));
    }
    words
}

fn escape(word: &OsStr) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(word.len());
    for byte in word.as_bytes() {
        if !byte.is_ascii_alphanumeric() && !b"_-$".contains(byte) {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

fn execute(line: Line, user: &User) -> ExitCode {
    let own: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let lookup = |name: &str| own.get(OsStr::new(name)).cloned().unwrap_or_default();
    let words = command_words(&line, user, &lookup);
    let Some((name, arguments)) = words.split_first() else {
        return ExitCode::FAILURE;
    };
    let search = search_path();
    let Some(program) = find(name, &search).filter(|path| path.exists()) else {
        let name = name.to_string_lossy();
        complain("sudo", format_args!("{name}: command not found"));
        return ExitCode::FAILURE;
    };
    let mut invoked = program.clone().into_os_string();
    for argument in arguments {
        invoked.push(" ");
        invoked.push(argument);
    }
    let mut environment = sudo_env::rebuild(&own, &line.mode, user, &invoked);
    environment.insert("PATH".into(), search);
    environment.extend(line.assignments);

    let mut command = Command::new(&program);
    command.args(arguments).env_clear().envs(environment);
    if line.mode.login {
        // a shell is a login shell if its name begins with a dash
        let mut dashed = OsString::from("-");
        dashed.push(program.file_name().unwrap_or_default());
        command.arg0(dashed).current_dir(Path::new(&user.home));
    } else {
        command.arg0(name);
    }
    if let Some(directory) = &line.directory {
        command.current_dir(directory);
    }
    if let Err(error) = become_user(user) {
        let name = user.name.to_string_lossy();
        complain("sudo", format_args!("cannot become {name}: {error}"));
        return ExitCode::FAILURE;
    }
    close_descriptors();
    let error = super::exec(command);
    complain("sudo", format_args!("{}: {error}", program.display()));
    ExitCode::FAILURE
}

/// `secure_path`, but the shims and the commands of an older generation stay
/// first: the command is one of a hook.
fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut search = OsString::from(paths::SHIMS);
    for directory in std::env::split_paths(&path) {
        if directory.starts_with(paths::COMMANDS) {
            search.push(":");
            search.push(directory);
        }
    }
    search.push(":");
    search.push(sudo_env::SECURE_PATH);
    search
}

fn become_user(user: &User) -> nix::Result<()> {
    if user.uid == 0 {
        return Ok(());
    }
    let name = CString::new(user.name.as_bytes()).map_err(|_| nix::errno::Errno::EINVAL)?;
    let gid = Gid::from_raw(user.gid);
    let uid = Uid::from_raw(user.uid);
    unistd::initgroups(&name, gid)?;
    unistd::setresgid(gid, gid, gid)?;
    unistd::setresuid(uid, uid, uid)
}

/// sudo's `closefrom` is 3 by default.
fn close_descriptors() {
    // SAFETY: the call takes no pointers. Rust's own descriptors are closed on
    // exec anyhow, and nothing but exec and one message to descriptor 2 follows.
    // ENOSYS, before Linux 5.9, leaves open what the caller passed on.
    unsafe {
        nix::libc::syscall(
            nix::libc::SYS_close_range,
            3u32,
            u32::MAX,
            nix::libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

#[cfg(test)]
mod tests;
