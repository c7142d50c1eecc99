//! Which hooks need the image as a block device: data for the plan, which
//! decides where they run.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::{Error, Hook, Phase};

/// A hook that reads the block device of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockDeviceUse {
    /// Phase of the hook.
    pub phase: Phase,
    /// File name of the hook.
    pub hook: String,
    /// Element that it comes from.
    pub element: String,
    /// Its file.
    pub path: PathBuf,
    /// Line of the hook, from 1; 0 if it is the phase itself.
    pub line: usize,
    /// What in that line needs the device.
    pub why: &'static str,
}

/// Upstream's helper for cloud images, which attaches them to a loop device.
const EXTRACT_IMAGE: &str = "bin/extract-image";

/// What in a hook's text gives it away, and what to call it.
const SIGNS: [(&str, &str); 7] = [
    (
        EXTRACT_IMAGE,
        "it unpacks a disk image through a loop device",
    ),
    ("IMAGE_BLOCK_DEVICE", "it uses IMAGE_BLOCK_DEVICE"),
    ("/dev/mapper/", "it uses a device-mapper node"),
    ("/dev/loop", "it uses a loop device"),
    ("mount -o loop", "it mounts through a loop device"),
    ("losetup", "it sets up a loop device"),
    ("--output=source", "it asks for the device of a filesystem"),
];

/// Lines that hold a sign and need no device: removing links to nodes that are
/// not there does nothing (`vm`'s cleaning up after udev).
fn is_harmless(line: &str) -> bool {
    line.starts_with("rm -f /dev/mapper/") || line.starts_with("rm -f /dev/loop")
}

/// Tells whether `hook` needs the image as a block device, and why.
///
/// Only the phases from block-device on can see the device upstream: any hook
/// of `block-device.d` needs it, the others if a line that is no comment
/// names it. In the earlier phases, and in post-root, hooks that set up loop
/// devices of their own count. What a hook calls is not followed.
///
/// # Errors
/// [`Error::Unreadable`].
pub fn reads_block_device(hook: &Hook) -> Result<Option<BlockDeviceUse>, Error> {
    let found = |line, why| BlockDeviceUse {
        phase: hook.phase,
        hook: hook.name.clone(),
        element: hook.element.clone(),
        path: hook.path.clone(),
        line,
        why,
    };
    if hook.phase == Phase::BlockDevice {
        return Ok(Some(found(
            0,
            "hooks of block-device.d make the block device",
        )));
    }
    let bytes = fs::read(&hook.path).map_err(Error::unreadable(&hook.path))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(first_sign(&text).map(|(line, why)| found(line, why)))
}

/// Whether a line of the hook that is no comment has one of these words.
///
/// # Errors
/// [`Error::Unreadable`].
pub fn calls(hook: &Hook, commands: &[&str]) -> Result<bool, Error> {
    let bytes = fs::read(&hook.path).map_err(Error::unreadable(&hook.path))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().map(|line| match line.split_once(" #") {
        Some((code, _)) => code,
        None => line,
    });
    Ok(lines.any(|line| {
        let part = |letter: char| !(letter.is_alphanumeric() || "-_/".contains(letter));
        !line.starts_with('#') && line.split(part).any(|word| commands.contains(&word))
    }))
}

fn first_sign(text: &str) -> Option<(usize, &'static str)> {
    // `ubuntu` comes to extract-image only when unsquashfs does not know the image.
    let last_resort = text.contains("unsquashfs");
    (1..).zip(text.lines()).find_map(|(number, line)| {
        let line = line.trim_start();
        if line.starts_with('#') || is_harmless(line) {
            return None;
        }
        SIGNS
            .iter()
            .find(|(sign, _)| line.contains(sign) && !(last_resort && *sign == EXTRACT_IMAGE))
            .map(|(_, why)| (number, *why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs() {
        for (text, line) in [
            ("#!/bin/bash\nBOOT_DEV=$IMAGE_BLOCK_DEVICE\n", Some(2)),
            ("eval D=( $IMAGE_BLOCK_DEVICES )", Some(1)),
            ("  # $IMAGE_BLOCK_DEVICE is not used\ntrue", None),
            ("    rm -f /dev/mapper/loop*_part1", None),
            ("sudo mount -o loop a b", Some(1)),
            ("echo /dev/null", None),
            ("", None),
            ("$TMP_HOOKS_PATH/bin/extract-image a b c d", Some(1)),
            (
                "unsquashfs a || $TMP_HOOKS_PATH/bin/extract-image a b c d",
                None,
            ),
        ] {
            assert_eq!(first_sign(text).map(|(line, _)| line), line, "{text}");
        }
    }
}
