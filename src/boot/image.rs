//! A disk image: its format, and what can start it.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::memfd::{memfd_create, MFdFlags};

use super::table::{self, Kind, Table};
use super::{Arch, Error, Firmware};

/// An image that can be read.
#[derive(Debug)]
pub(super) struct Image {
    /// Its absolute path.
    pub(super) file: PathBuf,
    /// qemu's name of its format.
    pub(super) format: String,
    table: Option<Table>,
}

impl Image {
    /// Looks at an image.
    ///
    /// # Errors
    /// It cannot be read, is no disk, or is made of other files.
    pub(super) fn open(file: &Path, named: Option<&str>) -> Result<Image, Error> {
        let unreadable = |source| Error::Unreadable {
            path: file.to_owned(),
            source,
        };
        let absolute = file.canonicalize().map_err(unreadable)?;
        if !absolute.is_file() {
            return Err(unreadable(io::ErrorKind::InvalidInput.into()));
        }
        File::open(&absolute).map_err(unreadable)?;
        // A raw disk can begin with whatever a guest has written there, also with
        // what looks like the header of another format.
        let is_raw = absolute.extension().is_some_and(|name| name == "raw");
        let format = match named {
            Some(named) => named.to_owned(),
            None if is_raw => "raw".to_owned(),
            None => String::new(),
        };
        let format = match format.as_str() {
            "raw" => format,
            _ => inspect(&absolute, &format)?,
        };
        let head = head(&absolute, &format)?;
        Ok(Image {
            table: table::read(&head),
            file: absolute,
            format,
        })
    }

    /// Bytes of a sector of the disk.
    pub(super) fn sector(&self) -> u32 {
        self.table.map_or(512, |table| table.sector)
    }

    /// What can start it on a machine of `arch`.
    pub(super) fn starts_by(&self, arch: Arch) -> Vec<Firmware> {
        let Some(table) = self.table else {
            return Vec::new();
        };
        // Code in front of a GPT without a place for the rest of GRUB is most
        // likely some tool's that says that it cannot be booted.
        let bios = match table.kind {
            Kind::Mbr => table.boot_code,
            Kind::Gpt => table.boot_code && (table.bios_boot || !table.efi_system),
        };
        let mut found = Vec::new();
        if bios && arch == Arch::X86_64 {
            found.push(Firmware::Bios);
        }
        if table.efi_system {
            found.push(Firmware::Efi);
        }
        found
    }

    /// What its partition table tells, in words.
    pub(super) fn describe(&self) -> String {
        let Some(table) = self.table else {
            return "no partition table".to_owned();
        };
        let mut words = vec![match table.kind {
            Kind::Mbr => "an MBR",
            Kind::Gpt => "a GPT",
        }];
        words.extend(table.efi_system.then_some("an EFI system partition"));
        words.extend(table.bios_boot.then_some("a BIOS boot partition"));
        words.push(match table.boot_code {
            true => "boot code",
            false => "no boot code",
        });
        words.join(", ")
    }

    /// Why nothing starts it.
    pub(super) fn why_not(&self, arch: Arch) -> Error {
        match self.table {
            None => Error::NoTable(self.file.clone()),
            Some(_) => Error::NoLoader {
                path: self.file.clone(),
                has: self.describe(),
                arch,
            },
        }
    }
}

/// The format that qemu-img finds, or the one that is named.
fn inspect(file: &Path, format: &str) -> Result<String, Error> {
    let mut command = Command::new("qemu-img");
    command.args(["info", "--output=json"]);
    if !format.is_empty() {
        command.args(["-f", format]);
    }
    let output = qemu_img(command.arg("--").arg(file), file)?;
    let no_image = |message: &str| Error::NoImage {
        path: file.to_owned(),
        message: message.to_owned(),
    };
    let info: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| no_image(&error.to_string()))?;
    if let Some(other) = other_file(&info, file) {
        return Err(Error::Refers {
            path: file.to_owned(),
            other,
        });
    }
    let found = info.get("format").and_then(serde_json::Value::as_str);
    found
        .map(str::to_owned)
        .ok_or_else(|| no_image("qemu-img tells no format"))
}

/// Another file of which the image is made. Whoever has made the image has chosen
/// it, and may have chosen one that is none of the guest's business.
fn other_file(info: &serde_json::Value, file: &Path) -> Option<String> {
    let text = |value: Option<&serde_json::Value>| Some(value?.as_str()?.to_owned());
    let backing = text(info.get("backing-filename"));
    let data = info.pointer("/format-specific/data");
    let data_file = text(data.and_then(|data| data.get("data-file")));
    let extents = data.and_then(|data| data.get("extents"));
    let extents = extents.and_then(serde_json::Value::as_array);
    let extent = extents.into_iter().flatten().find_map(|extent| {
        let name = text(extent.get("filename"))?;
        (Path::new(&name) != file).then_some(name)
    });
    backing.or(data_file).or(extent)
}

/// The first bytes of the disk.
fn head(file: &Path, format: &str) -> Result<Vec<u8>, Error> {
    let doing = || Error::io(format!("read the first sectors of {}", file.display()));
    let mut source = match format {
        "raw" => File::open(file).map_err(doing())?,
        // A file without a name, which only the two processes have.
        _ => {
            let memory =
                memfd_create("head", MFdFlags::empty()).map_err(|errno| doing()(errno.into()))?;
            let into = format!("of=/proc/self/fd/{}", memory.as_raw_fd());
            let mut from = std::ffi::OsString::from("if=");
            from.push(file);
            let mut command = Command::new("qemu-img");
            command
                .args(["dd", "-f", format, "-O", "raw", "bs=1M", "count=1"])
                .arg(from)
                .arg(into);
            qemu_img(&mut command, file)?;
            let mut memory = File::from(memory);
            memory.rewind().map_err(doing())?;
            memory
        }
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(table::HEAD).unwrap_or(u64::MAX);
    source
        .by_ref()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(doing())?;
    Ok(bytes)
}

/// Runs qemu-img, which must end well.
fn qemu_img(command: &mut Command, file: &Path) -> Result<Output, Error> {
    let output = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NoProgram {
                program: "qemu-img".to_owned(),
                package: "qemu-utils",
            },
            _ => Error::io("run qemu-img")(source),
        })?;
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::NoImage {
        path: file.to_owned(),
        message: text.trim_start_matches("qemu-img: ").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_that_an_image_names_are_seen() {
        let file = Path::new("/a/x.vmdk");
        let found = |info| other_file(&info, file);
        assert_eq!(found(json!({"format": "raw"})), None);
        assert_eq!(
            found(json!({"backing-filename": "/etc/shadow"})).as_deref(),
            Some("/etc/shadow")
        );
        let data = json!({"format-specific": {"data": {"data-file": "x.data"}}});
        assert_eq!(found(data).as_deref(), Some("x.data"));
        let extents =
            |name: &str| json!({"format-specific": {"data": {"extents": [{"filename": name}]}}});
        assert_eq!(found(extents("/a/x.vmdk")), None);
        assert_eq!(
            found(extents("/etc/shadow")).as_deref(),
            Some("/etc/shadow")
        );
    }

    #[test]
    fn what_starts_an_image_follows_from_its_table() {
        let image = |kind, boot_code, efi_system, bios_boot| Image {
            file: "/x".into(),
            format: "raw".into(),
            table: Some(Table {
                kind,
                sector: 512,
                boot_code,
                efi_system,
                bios_boot,
            }),
        };
        use Firmware::{Bios, Efi};
        for (image, expected) in [
            (image(Kind::Mbr, true, false, false), vec![Bios]),
            (image(Kind::Mbr, false, false, false), vec![]),
            (image(Kind::Mbr, false, true, false), vec![Efi]),
            (image(Kind::Gpt, true, false, true), vec![Bios]),
            (image(Kind::Gpt, true, true, false), vec![Efi]),
            (image(Kind::Gpt, true, true, true), vec![Bios, Efi]),
            (image(Kind::Gpt, false, true, true), vec![Efi]),
            (image(Kind::Gpt, false, false, true), vec![]),
        ] {
            assert_eq!(image.starts_by(Arch::X86_64), expected, "{image:?}");
            let arm = image.starts_by(Arch::Aarch64);
            assert!(!arm.contains(&Bios));
        }
        let none = Image {
            file: "/x".into(),
            format: "raw".into(),
            table: None,
        };
        assert!(matches!(none.why_not(Arch::X86_64), Error::NoTable(_)));
    }
}
