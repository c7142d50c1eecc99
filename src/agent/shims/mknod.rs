//! `mknod` that makes placeholders where devices cannot be made, see [`devnodes`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sys::stat::{umask, Mode};

use super::{complain, exec_real};
use crate::agent::devnodes;
use crate::output::nodes::NodeKind as Kind;

/// Makes a device node; everything else is left to the real mknod.
pub(super) fn main(arguments: Vec<OsString>) -> ExitCode {
    let Some(device) = parse(&arguments) else {
        return exec_real("mknod", &arguments);
    };
    let mode = device.mode.unwrap_or_else(|| {
        let mask = umask(Mode::empty());
        0o666 & !mask.bits()
    });
    match devnodes::make(&device.path, device.kind, device.major, device.minor, mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain("mknod", format_args!("{}: {error}", device.path.display()));
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Device {
    path: PathBuf,
    kind: Kind,
    major: u32,
    minor: u32,
    mode: Option<u32>,
}

/// A request for a device with a mode in octal digits, if any; `None` for
/// FIFOs, symbolic modes, contexts and mistakes.
fn parse(arguments: &[OsString]) -> Option<Device> {
    let mut operands = Vec::new();
    let mut mode = None;
    let mut rest = arguments.iter().map(|argument| argument.to_str());
    while let Some(argument) = rest.next() {
        let argument = argument?;
        if let Some(value) = argument.strip_prefix("--mode=") {
            mode = Some(octal(value)?);
        } else if argument == "-m" || argument == "--mode" {
            mode = Some(octal(rest.next()??)?);
        } else if let Some(value) = argument.strip_prefix("-m") {
            mode = Some(octal(value)?);
        } else if argument == "--" {
            operands.extend(rest.by_ref().flatten());
        } else if argument.starts_with('-') {
            return None;
        } else {
            operands.push(argument);
        }
    }
    let [path, kind, major, minor] = operands[..] else {
        return None;
    };
    Some(Device {
        path: Path::new(path).to_owned(),
        kind: match kind {
            "c" | "u" => Kind::Char,
            "b" => Kind::Block,
            _ => return None,
        },
        major: number(major)?,
        minor: number(minor)?,
        mode,
    })
}

fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
}

/// Decimal, octal with a leading 0, or hexadecimal with 0x, as strtoumax has it.
fn number(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_recognised() {
        for (line, expected) in [
            (
                "-m 666 /t/dev/null c 1 3",
                Some((Kind::Char, 1, 3, Some(0o666))),
            ),
            (
                "/t/x b 8 0x11 -m0660",
                Some((Kind::Block, 8, 17, Some(0o660))),
            ),
            (
                "--mode=600 -- /t/x u 010 0",
                Some((Kind::Char, 8, 0, Some(0o600))),
            ),
            ("/t/x c 1 3", Some((Kind::Char, 1, 3, None))),
            ("/t/x p", None),
            ("/t/x p 1 3", None),
            ("-m a=rw /t/x c 1 3", None),
            ("-Z /t/x c 1 3", None),
            ("/t/x c 1", None),
            ("/t/x c one 3", None),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let got = parse(&arguments).map(|d| (d.kind, d.major, d.minor, d.mode));
            assert_eq!(got, expected, "{line}");
        }
    }
}
