//! The harness itself: a shell in the place of qemu, and disks without a system.

use std::process::Command;
use std::time::Duration;

use crate::common::callers;
use crate::guest::{boot, missing, Guest};

/// A login program and a shell, with an echo as a terminal has and other
/// people's messages between the lines.
const SYSTEM: &str = r#"
printf 'Welcome\r\n\r\nhost login: '; IFS= read -r user
printf 'Password: '; IFS= read -r password
[ "$user/$password" = devuser/secret ] || { printf '\r\nLogin incorrect\r\n'; sleep 60; }
printf '$ '
while IFS= read -r line; do
    # The last one leaves nothing open to a command's own reading.
    printf '%s\r\n' "$line"
    case $line in *'{'*) IFS= read -r rest; line="$line
$rest" ;; esac
    eval "${line#stty -echo; }" </dev/null | sed 's/$/\r/'
done
"#;

fn system() -> Guest {
    Guest::start(Command::new("sh").args(["-c", SYSTEM]))
}

#[test]
fn commands_give_their_output_and_their_failure() {
    let mut guest = system();
    guest.log_in("devuser", "secret").unwrap();
    assert_eq!(guest.run("echo one; echo; echo two").unwrap(), "one\n\ntwo");
    assert_eq!(guest.run("printf unfinished").unwrap(), "unfinished");
    assert_eq!(guest.run("true").unwrap(), "");
    assert_eq!(guest.run("echo 'grub>'").unwrap(), "grub>");
    let error = guest.run("echo because; (exit 3)").unwrap_err();
    assert_eq!(error, "'echo because; (exit 3)' ends with 3: because");
}

#[test]
fn a_refused_login_shows_the_console() {
    let error = system().log_in("devuser", "wrong").unwrap_err();
    assert!(
        error.starts_with("'Login incorrect' instead of '$ '\n"),
        "{error}"
    );
    assert!(error.contains("host login: Password: "), "{error}");
}

#[test]
fn silence_and_the_end_are_told_apart() {
    let mut guest = Guest::start(Command::new("sh").args(["-c", "echo here; sleep 60"]));
    let error = guest.wait_for("there", Duration::from_millis(300));
    let error = error.unwrap_err();
    assert!(error.starts_with("no 'there' within"), "{error}");
    assert!(error.contains("here\n"), "{error}");
    let mut guest = Guest::start(Command::new("sh").args(["-c", "echo dying >&2"]));
    let error = guest.log_in("devuser", "secret").unwrap_err();
    assert!(error.starts_with("the machine ended before"), "{error}");
    assert!(error.ends_with("dying\n"), "{error}");
}

/// No firmware waits for ever, and each says so on the console that is read.
#[test]
fn a_disk_without_a_system_is_told_at_once() {
    let missing = missing();
    if !missing.is_empty() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no {missing:?}");
        eprintln!("no {missing:?} (scripts/setup installs them): not tested");
        return;
    }
    let caller = callers().swap_remove(0);
    for (firmware, text) in [
        ("bios", "No bootable device"),
        ("efi", "UEFI Interactive Shell"),
    ] {
        let run = boot(&caller, &["--firmware", firmware, "a,b.raw"]);
        std::fs::write(run.dir.join("a,b.raw"), vec![0; 1 << 20]).unwrap();
        let mut guest = Guest::start(&mut run.command());
        let error = guest.log_in("devuser", "secret").unwrap_err();
        assert!(error.contains(&format!("'{text}' instead of")), "{error}");
    }
}
