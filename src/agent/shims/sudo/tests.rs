//! Command lines that elements use, and that the real sudo accepts.

use super::*;

fn line(text: &str) -> Result<Line, String> {
    parse(text.split_whitespace().map(Into::into).collect())
}

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(Into::into).collect()
}

#[test]
fn options_end_at_the_command() {
    for (text, command) in [
        ("tar -C /x -xzf y", "tar -C /x -xzf y"),
        (
            "-E chroot /m env -u TMPDIR sh",
            "chroot /m env -u TMPDIR sh",
        ),
        ("-n -H -- sh -c x", "sh -c x"),
        ("-nEu root rm -f x", "rm -f x"),
        ("-k ls", "ls"),
    ] {
        assert_eq!(line(text).unwrap().command, words(command), "{text}");
    }
}

#[test]
fn options_mean_what_sudo_means() {
    let parsed = line("-HEu nobody --preserve-env=a,b -D /tmp A=1 B=x=y run C=3").unwrap();
    assert_eq!(parsed.user.as_deref(), Some(OsStr::new("nobody")));
    assert_eq!(parsed.directory.as_deref(), Some(OsStr::new("/tmp")));
    assert!(parsed.mode.preserve && parsed.mode.set_home && !parsed.mode.login);
    assert_eq!(parsed.mode.keep, words("a b"));
    let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    assert_eq!(parsed.assignments, [pair("A", "1"), pair("B", "x=y")]);
    assert_eq!(parsed.command, words("run C=3"));
    assert_eq!(line("-uroot id").unwrap().user, Some("root".into()));
    assert_eq!(line("--user=root id").unwrap().user, Some("root".into()));
    assert!(line("-v").unwrap().nothing_to_do);
    assert!(line("-i").unwrap().mode.login);
}

#[test]
fn mistakes_are_named() {
    for (text, expected) in [
        ("", "a command is missing"),
        ("-u", "option u needs a value"),
        ("--user", "option user needs a value"),
        (
            "-Z x",
            "this sudo, which safedib provides to hooks, does not do -Z",
        ),
        (
            "--none x",
            "this sudo, which safedib provides to hooks, does not do --none",
        ),
    ] {
        assert_eq!(line(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn options_whose_effect_is_not_given_are_refused() {
    for option in [
        "-T 5", "-T5", "-C 4", "-h host", "-b", "-R /x", "-g tty", "-l", "-e", "-U x", "-r role",
        "-t type", "-a type", "-c class", "-N", "-V",
    ] {
        let error = line(&format!("-n {option} true")).unwrap_err();
        let expected = format!("does not do {}", &option[..2]);
        assert!(error.ends_with(&expected), "{option}: {error}");
    }
    for option in [
        "--background",
        "--chroot=/x",
        "--close-from=4",
        "--command-timeout=5",
        "--group=tty",
        "--host=x",
        "--list",
        "--edit",
        "--help",
        "--version",
        "--no-update",
        "--role=x",
    ] {
        let error = line(&format!("{option} true")).unwrap_err();
        let name = option.split('=').next().unwrap();
        assert!(error.ends_with(&format!("does not do {name}")), "{error}");
    }
}

#[test]
fn options_about_passwords_change_nothing() {
    for options in [
        "-n",
        "-S",
        "-A",
        "-B",
        "-P",
        "-p prompt",
        "-pprompt",
        "-nSAB",
        "-k",
        "--non-interactive",
        "--stdin",
        "--askpass",
        "--bell",
        "--preserve-groups",
        "--prompt=x",
        "--prompt x",
        "--reset-timestamp",
    ] {
        let expected = line("true").unwrap();
        assert_eq!(
            line(&format!("{options} true")).unwrap(),
            expected,
            "{options}"
        );
    }
}

#[test]
fn shells_get_an_escaped_command() {
    let user = User::root();
    let get = |_: &str| OsString::from("/bin/dash");
    let spelled = |text: &str| command_words(&line(text).unwrap(), &user, &get);
    assert_eq!(spelled("-s"), words("/bin/dash"));
    assert_eq!(
        spelled("-s echo a;b $X"),
        [
            "/bin/dash".into(),
            "-c".into(),
            OsString::from("echo a\\;b $X")
        ]
    );
    assert_eq!(spelled("-i")[0], "/bin/bash");
    assert_eq!(spelled("ls -l"), words("ls -l"));
}
