//! The disk of elements that make it by hooks, where the appliance is a
//! machine: until 2.4 `block-device.d` found a loop device in
//! `IMAGE_BLOCK_DEVICE`, divided it, and named the device for the root filesystem
//! by a line of its output.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::context::{Context, Devices, MadeDevices};
use super::disks::telling;
use super::error::Error;
use super::variables::Environment;
use super::{paths, vm};
use crate::blockdev::devices::bare::{self, RootFilesystem};
use crate::blockdev::Layout;
use crate::plan::{DeviceLine, SfdiskUnits};

/// What a hook prints to hand a device over.
const MARK: &str = "IMAGE_BLOCK_DEVICE=";
/// Upstream's name of the image in `TMP_IMAGE_DIR`.
const IMAGE: &str = "image.raw";

/// Attaches the machine's image disk and tells hooks of it. `TMP_IMAGE_PATH` is
/// a link to the loop device: the same bytes as upstream's file.
///
/// # Errors
/// No size is known, or the disk cannot be attached.
pub(crate) fn attach(
    context: &mut Context,
    layout: &Layout,
    units: SfdiskUnits,
) -> Result<(), Error> {
    let bytes = context.disk_bytes(layout)?;
    let medium = vm::image_disk().map_err(Error::io("find the image's disk in", "/sys/block"))?;
    let device = telling(context, |say| bare::attach(&medium, bytes, say))?;
    let image = context.image_dir.join(IMAGE);
    replace_by_link(&device, &image).map_err(Error::io("link", &image))?;
    if units == SfdiskUnits::Cylinders {
        let mark = Path::new(paths::CYLINDERS);
        fs::write(mark, "").map_err(Error::io("write", mark))?;
    }
    for name in ["TMP_IMAGE_PATH", "OUT_IMAGE_PATH"] {
        context.variables.set(name, &image);
    }
    context.variables.set("IMAGE_BLOCK_DEVICE", &device);
    // Hooks know where the tree will be.
    let target = context.target();
    context.variables.set("TMP_MOUNT_PATH", target);
    let made = MadeDevices::ByHooks {
        device,
        fstype: String::new(),
    };
    context.devices = Some(Devices { made, bytes });
    Ok(())
}

fn replace_by_link(device: &str, image: &Path) -> io::Result<()> {
    match fs::remove_file(image) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(device, image)
}

/// Takes from the output of hooks the device that they name.
///
/// # Errors
/// The line is no shell code, or there is not the one that is expected.
pub(crate) fn take_line(
    context: &mut Context,
    output: &[u8],
    line: DeviceLine,
) -> Result<(), Error> {
    let text = String::from_utf8_lossy(output).into_owned();
    match line {
        DeviceLine::Evaluated => evaluate(context, &text),
        DeviceLine::Single => {
            if let Some(device) = single(&text)? {
                context.variables.set("IMAGE_BLOCK_DEVICE", device);
            }
            Ok(())
        }
    }
}

/// All lines with the mark are shell code, for a shell that has the build's
/// environment; what it then exports is the environment.
fn evaluate(context: &mut Context, output: &str) -> Result<(), Error> {
    let lines: Vec<&str> = output.lines().filter(|line| line.contains(MARK)).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let code = lines.join("\n");
    let environment = context.variables.outside(None);
    let output = std::process::Command::new("bash")
        .args(["-c", "set -e; eval \"$1\" >&2; env -0", "bash", &code])
        .env_clear()
        .envs(&environment)
        .current_dir(&context.cwd)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|source| Error::Spawn {
            program: "bash".into(),
            source,
        })?;
    context.log.forward(&output.stderr)?;
    if !output.status.success() {
        return Err(Error::DeviceLine(code));
    }
    let (set, unset) = changes(&environment, &parse(&output.stdout));
    context.variables.apply(set, unset);
    Ok(())
}

fn parse(listing: &[u8]) -> Environment {
    let entries = listing.split(|byte| *byte == 0);
    let pair = |entry: &[u8]| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        Some((text(&entry[..at]), text(&entry[at + 1..])))
    };
    entries.filter_map(pair).collect()
}

/// What is set and what is gone. A shell keeps some variables for itself, and
/// writes functions its own way.
fn changes(before: &Environment, after: &Environment) -> (BTreeMap<String, String>, Vec<String>) {
    let own = |name: &OsStr| {
        matches!(
            name.to_str(),
            Some("_" | "SHLVL" | "PWD" | "OLDPWD" | "PATH") | None
        ) || name.as_bytes().starts_with(b"BASH_FUNC_")
    };
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let set = after
        .iter()
        .filter(|(name, value)| !own(name) && before.get(*name) != Some(value))
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    let unset = before
        .keys()
        .filter(|name| !own(name) && !after.contains_key(*name))
        .map(|name| text(name))
        .collect();
    (set, unset)
}

/// virt-dib reads the value itself, and wants exactly one such line if hooks
/// print anything.
fn single(output: &str) -> Result<Option<String>, Error> {
    if output.trim().is_empty() {
        return Ok(None);
    }
    let mut found = output.lines().filter_map(|line| line.strip_prefix(MARK));
    match (found.next(), found.next()) {
        (Some(device), None) => Ok(Some(device.to_owned())),
        (None, _) => Err(Error::NoDeviceLine(output.trim_end().to_owned())),
        (Some(_), Some(_)) => Err(Error::TwoDeviceLines(output.trim_end().to_owned())),
    }
}

/// Makes the root filesystem on the device that hooks named, and mounts it at
/// the target.
///
/// # Errors
/// Hooks named no block device, or a tool fails.
pub(crate) fn make_filesystem(
    context: &mut Context,
    filesystem: &RootFilesystem,
) -> Result<(), Error> {
    let device = context.variables.get("IMAGE_BLOCK_DEVICE");
    let device = device.to_string_lossy().into_owned();
    if !is_block_device(Path::new(&device)) {
        return Err(Error::NoBlockDevice(device));
    }
    let target = context.target();
    fs::create_dir(&target).map_err(Error::io("create", &target))?;
    telling(context, |say| {
        bare::make_and_mount(&device, filesystem, &target, say)
    })?;
    if let Some(Devices {
        made: MadeDevices::ByHooks { fstype: known, .. },
        ..
    }) = &mut context.devices
    {
        *known = filesystem.fstype.to_owned();
    }
    Ok(())
}

fn is_block_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.is_absolute() && fs::metadata(path).is_ok_and(|found| found.file_type().is_block_device())
}

/// Unmounts the target and gives up everything over the disk.
///
/// # Errors
/// As [`bare::release`].
pub(crate) fn release(context: &mut Context, device: &str, fstype: &str) -> Result<(), Error> {
    let target: PathBuf = context.target();
    telling(context, |say| bare::release(device, fstype, &target, say))?;
    let image = context.image_dir.join(IMAGE);
    fs::remove_file(&image).map_err(Error::io("remove", &image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_the_device() {
        let device = |text: &str| single(text).map_err(|error| error.to_string());
        assert_eq!(device("").unwrap(), None);
        assert_eq!(device("\n").unwrap(), None);
        assert_eq!(
            device("text\nIMAGE_BLOCK_DEVICE=/dev/x\n")
                .unwrap()
                .as_deref(),
            Some("/dev/x")
        );
        for (text, expected) in [
            ("text\n export IMAGE_BLOCK_DEVICE=/dev/x\n", "not found"),
            (
                "IMAGE_BLOCK_DEVICE=a\nIMAGE_BLOCK_DEVICE=b\n",
                "more than one",
            ),
        ] {
            let error = device(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_a_shell_exported_is_the_environment() {
        let of = |pairs: &[(&str, &str)]| -> Environment {
            pairs.iter().map(|(n, v)| (n.into(), v.into())).collect()
        };
        let before = of(&[("A", "1"), ("B", "2"), ("SHLVL", "0"), ("C", "3")]);
        let after = parse(b"A=1\0B=x=y\n\0SHLVL=1\0D=4\0_=/bin/env\0BASH_FUNC_f%%=() {  :\n}\0");
        let (set, unset) = changes(&before, &after);
        let expected = [("B", "x=y\n"), ("D", "4")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(set, BTreeMap::from(expected));
        assert_eq!(unset, ["C"]);
    }
}
