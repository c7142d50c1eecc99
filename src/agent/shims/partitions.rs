//! What hooks of `block-device.d` call to divide a disk: `kpartx`, `sfdisk`,
//! `udevadm` and `dmsetup`.
//!
//! No udev runs in an appliance, so that nobody would make the nodes of mapped
//! partitions or answer `settle`. `TMP_IMAGE_PATH` is a link to a loop device,
//! where `kpartx` would name the partitions after the link instead of finding
//! the loop device of a file. And since util-linux 2.26 `sfdisk` counts in
//! sectors what was cylinders in the tables of older hooks.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use super::{complain, exec_real, real};
use crate::agent::paths;

/// Tells libdevmapper to make nodes itself, and to wait for nobody.
const NO_UDEV: (&str, &str) = ("DM_DISABLE_UDEV", "1");
/// Sectors of a cylinder of 255 tracks of 63 sectors.
const CYLINDER: u64 = 255 * 63;
/// udevd's socket.
const UDEV: &str = "/run/udev/control";

/// Runs the real kpartx, with links to loop devices followed.
pub(super) fn kpartx(arguments: Vec<OsString>) -> ExitCode {
    std::env::set_var(NO_UDEV.0, NO_UDEV.1);
    let arguments: Vec<OsString> = arguments.into_iter().map(follow).collect();
    exec_real("kpartx", &arguments)
}

/// Runs the real dmsetup.
pub(super) fn dmsetup(arguments: Vec<OsString>) -> ExitCode {
    std::env::set_var(NO_UDEV.0, NO_UDEV.1);
    exec_real("dmsetup", &arguments)
}

/// A link to a loop device becomes its name.
fn follow(argument: OsString) -> OsString {
    let path = Path::new(&argument);
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    match fs::canonicalize(path) {
        Ok(real) if is_link && is_loop_device(&real) => real.into(),
        _ => argument,
    }
}

fn is_loop_device(path: &Path) -> bool {
    let number = path
        .to_str()
        .and_then(|path| path.strip_prefix("/dev/loop"));
    number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Runs the real udevadm; without udev every event has been dealt with.
pub(super) fn udevadm(arguments: Vec<OsString>) -> ExitCode {
    let settle = arguments.first().is_some_and(|word| word == "settle");
    match settle && !Path::new(UDEV).exists() {
        true => ExitCode::SUCCESS,
        false => exec_real("udevadm", &arguments),
    }
}

/// Runs the real sfdisk; in a build of elements before 1.0 numbers without a
/// unit are cylinders, as they were.
pub(super) fn sfdisk(arguments: Vec<OsString>) -> ExitCode {
    if !Path::new(paths::CYLINDERS).exists() || !reads_a_table(&arguments) {
        return exec_real("sfdisk", &arguments);
    }
    match run_with_sectors(&arguments) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            complain(
                "sfdisk",
                format_args!("cannot run the real sfdisk: {error}"),
            );
            ExitCode::FAILURE
        }
    }
}

/// A disk alone, with options that say nothing of units or of another action.
fn reads_a_table(arguments: &[OsString]) -> bool {
    let harmless = [
        "-f", "--force", "-q", "--quiet", "-L", "--Linux", "-D", "--DOS",
    ];
    let words = || arguments.iter().filter_map(|word| word.to_str());
    let is_option = |word: &&str| word.starts_with('-');
    words()
        .filter(is_option)
        .all(|word| harmless.contains(&word))
        && words().filter(|word| !is_option(word)).count() == 1
}

fn run_with_sectors(arguments: &[OsString]) -> io::Result<u8> {
    let mut table = String::new();
    io::stdin().read_to_string(&mut table)?;
    let mut child = Command::new(real("sfdisk"))
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(in_sectors(&table).as_bytes())?;
    }
    let status = child.wait()?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

/// A table with start and size of each line, its first two fields, in sectors. Lines of the newer
/// form, with names or units, stay as they are.
fn in_sectors(table: &str) -> String {
    let line = |line: &str| {
        let (fields, separator): (Vec<&str>, &str) = match line.contains(',') {
            true => (line.split(',').map(str::trim).collect(), ","),
            false => (line.split_whitespace().collect(), " "),
        };
        let fields = fields.iter().enumerate().map(|(index, field)| {
            let (number, rest) = match field.strip_suffix(';') {
                Some(number) => (number, ";"),
                None => (*field, ""),
            };
            let cylinders = number.parse::<u64>().ok().filter(|_| index < 2);
            match cylinders.and_then(|count| count.checked_mul(CYLINDER)) {
                Some(sectors) => format!("{sectors}{rest}"),
                None => (*field).to_owned(),
            }
        });
        fields.collect::<Vec<_>>().join(separator)
    };
    let lines: Vec<String> = table.lines().map(line).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_tables_are_in_cylinders() {
        for (table, expected) in [
            ("1 - - *\n0 0;\n", "16065 - - *\n0 0;\n"),
            ("  1   2  L\n", "16065 32130 L\n"),
            ("0,8,41 *\n,,L\n;\n", "0,128520,41 *\n,,L\n;\n"),
            ("start=2048, type=83\n", "start=2048,type=83\n"),
            (",10MiB\n", ",10MiB\n"),
            ("0 18446744073709551615 L\n", "0 18446744073709551615 L\n"),
        ] {
            assert_eq!(in_sectors(table), expected);
        }
    }

    #[test]
    fn only_a_table_for_a_disk_is_read() {
        let words =
            |line: &str| -> Vec<OsString> { line.split_whitespace().map(Into::into).collect() };
        for (line, expected) in [
            ("/dev/loop0", true),
            ("--force /dev/loop0", true),
            ("-uS --force /dev/loop0", false),
            ("-d /dev/loop0", false),
            ("/dev/loop0 1", false),
            ("--version", false),
        ] {
            assert_eq!(reads_a_table(&words(line)), expected, "{line}");
        }
    }

    #[test]
    fn only_links_to_loop_devices_are_followed() {
        let top = tempfile::tempdir().unwrap();
        let link = |name: &str, to: &str| {
            let at = top.path().join(name);
            std::os::unix::fs::symlink(to, &at).unwrap();
            at.into_os_string()
        };
        let null = link("null", "/dev/null");
        for argument in [null, "-asv".into(), "/dev/loop0".into(), "none".into()] {
            assert_eq!(follow(argument.clone()), argument);
        }
        assert!(is_loop_device(Path::new("/dev/loop12")));
        assert!(!is_loop_device(Path::new("/dev/loop1p1")));
        assert!(!is_loop_device(Path::new("/dev/loop-control")));
    }
}
