//! The kernel that machines start: which, and unpacked.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;

/// The kernel of this host that machines start.
pub(super) fn of_host() -> Result<PathBuf, Error> {
    choose(Path::new("/boot"), Path::new("/lib/modules"))
}

/// The newest kernel with modules that the caller can read, as supermin chooses.
fn choose(boot: &Path, modules: &Path) -> Result<PathBuf, Error> {
    let mut found: Vec<PathBuf> = fs::read_dir(boot)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .and_then(OsStr::to_str)
                .and_then(|name| name.strip_prefix("vmlinuz-"))
                .is_some_and(|version| modules.join(version).is_dir())
        })
        .collect();
    found.sort();
    match found.iter().rev().find(|path| File::open(path).is_ok()) {
        Some(kernel) => Ok(kernel.clone()),
        None => Err(found.pop().map_or(Error::NoKernel, Error::KernelUnreadable)),
    }
}

/// Where the modules of a kernel are that [`choose`] found.
pub(super) fn modules_of(kernel: &Path) -> PathBuf {
    let name = kernel.file_name().and_then(OsStr::to_str);
    let version = name.and_then(|name| name.strip_prefix("vmlinuz-"));
    Path::new("/lib/modules").join(version.unwrap_or_default())
}

/// Unpacks a bzImage once, natively: a machine under TCG takes 4 seconds for
/// what takes the host a quarter of one. Whether that was possible; qemu starts
/// a packed kernel as well.
///
/// # Errors
/// The result cannot be written.
pub(super) fn unpack(packed: &Path, unpacked: &Path) -> io::Result<bool> {
    let image = fs::read(packed)?;
    let Some((program, payload)) = payload(&image) else {
        return Ok(false);
    };
    let output = File::create(unpacked)?;
    let child = Command::new(program)
        .args(["-d", "-c"])
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        fs::remove_file(unpacked)?;
        return Ok(false);
    };
    // A program that stops reading has failed, which its status says.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(payload));
    let done = child.wait()?.success() && is_elf(unpacked)?;
    if !done {
        fs::remove_file(unpacked)?;
    }
    Ok(done)
}

/// The program that unpacks a bzImage's payload, and the payload: its place is
/// in the header since version 2.08 of the boot protocol (Documentation/arch/x86/boot).
fn payload(image: &[u8]) -> Option<(&'static str, &[u8])> {
    let word = |at: usize| {
        let bytes = image.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    // 0 sectors of set-up code mean 4, says the protocol.
    let sectors = match *image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (sectors + 1) * 512 + word(0x248)?;
    // After the stream come four bytes with its unpacked size, except for gzip's.
    let payload = image.get(start..start.checked_add(word(0x24c)?)?)?;
    let programs: [(&[u8], &str); 3] = [
        (b"\xfd7zXZ\0", "xz"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ];
    let (_, program) = programs
        .into_iter()
        .find(|(magic, _)| payload.starts_with(magic))?;
    let payload = match program {
        "gzip" => payload,
        _ => payload.get(..payload.len().checked_sub(4)?)?,
    };
    Some((program, payload))
}

fn is_elf(path: &Path) -> io::Result<bool> {
    let mut magic = [0; 4];
    let read = io::Read::read_exact(&mut File::open(path)?, &mut magic);
    Ok(read.is_ok() && magic == *b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_needs_its_modules() {
        let top = tempfile::tempdir().unwrap();
        let (boot, modules) = (top.path().join("boot"), top.path().join("modules"));
        fs::create_dir_all(&boot).unwrap();
        fs::create_dir_all(modules.join("6.1.0-1-amd64")).unwrap();
        assert!(matches!(choose(&boot, &modules), Err(Error::NoKernel)));
        for version in ["6.1.0-1-amd64", "6.9.0-2-amd64"] {
            fs::write(boot.join(format!("vmlinuz-{version}")), "x").unwrap();
        }
        let found = choose(&boot, &modules).unwrap();
        assert!(found.ends_with("vmlinuz-6.1.0-1-amd64"), "{found:?}");
    }

    #[test]
    fn a_payload_is_found_and_unpacked() {
        let top = tempfile::tempdir().unwrap();
        let (plain, packed) = (top.path().join("plain"), top.path().join("packed"));
        fs::write(&plain, b"\x7fELF and more").unwrap();
        let gzip = Command::new("gzip").arg("-c").arg(&plain).output().unwrap();
        let mut image = vec![0; 1024];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x24c..0x250].copy_from_slice(&(gzip.stdout.len() as u32).to_le_bytes());
        image.extend_from_slice(&gzip.stdout);
        fs::write(&packed, &image).unwrap();
        let unpacked = top.path().join("unpacked");
        assert!(unpack(&packed, &unpacked).unwrap());
        assert_eq!(fs::read(&unpacked).unwrap(), fs::read(&plain).unwrap());
        image.truncate(1030);
        fs::write(&packed, &image).unwrap();
        assert!(!unpack(&packed, &unpacked).unwrap());
    }
}
