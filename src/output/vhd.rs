//! The raw disk to VHD: a `vhd-util` that converts, as upstream needs one, or
//! qemu-img.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use super::convert::{convert as qemu_img, Order};
use super::disk::copy_sparse;
use super::error::io_error;
use super::tool::{find, Tool};
use super::Error;

/// What writes VHD files here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A `vhd-util` that has `convert`; Xen's own has not.
    VhdUtil,
    /// qemu-img, and why.
    QemuImg(&'static str),
}

impl Display for Writer {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self {
            Writer::VhdUtil => f.write_str("vhd-util convert"),
            Writer::QemuImg(why) => write!(f, "qemu-img convert, because {why}"),
        }
    }
}

/// Finds the writer; `vhd-util` without arguments lists its commands.
///
/// # Errors
/// A `vhd-util` that cannot be run.
pub fn writer() -> Result<Writer, Error> {
    if find("vhd-util").is_none() {
        return Ok(Writer::QemuImg("there is no vhd-util"));
    }
    Ok(match has_convert(&vhd_util()?.text()?) {
        true => Writer::VhdUtil,
        false => Writer::QemuImg("this vhd-util has no command 'convert'"),
    })
}

fn vhd_util() -> Result<Tool, Error> {
    Tool::new("vhd-util", "that has a vhd-util with 'convert'")
}

fn has_convert(usage: &str) -> bool {
    usage
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .any(|word| word == "convert")
}

/// Converts the raw disk to a dynamic VHD.
///
/// # Errors
/// A missing or failing tool; `output` may be incomplete then.
pub fn convert(raw: &Path, writer: Writer, output: &Path) -> Result<(), Error> {
    match writer {
        Writer::VhdUtil => with_vhd_util(raw, output),
        // Without force_size the disk grows to a multiple of a cylinder.
        Writer::QemuImg(_) => {
            let options = Some("subformat=dynamic,force_size=on");
            qemu_img(raw, "vpc", false, options, output, Order::Any)
        }
    }
}

/// Raw (0) to fixed (1), in place, then to dynamic (2), as upstream calls it.
/// What it leaves beside the intermediate file (`.bak`) goes with the directory.
fn with_vhd_util(raw: &Path, output: &Path) -> Result<(), Error> {
    let beside = raw.parent().unwrap_or(Path::new("."));
    let directory = tempfile::Builder::new()
        .prefix("vhd-")
        .tempdir_in(beside)
        .map_err(io_error("make a directory in", beside))?;
    let fixed = directory.path().join("intermediate");
    copy_sparse(raw, &fixed)?;
    for (from, to, result) in [("0", "1", fixed.as_path()), ("1", "2", output)] {
        vhd_util()?
            .args(["convert", "-s", from, "-t", to, "-i"])
            .arg(&fixed)
            .arg("-o")
            .arg(result)
            .run()?;
    }
    directory
        .close()
        .map_err(io_error("remove the intermediate files in", beside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn usage_tells_whether_it_converts() {
        let usage = "usage: vhd-util COMMAND [OPTIONS]\nCOMMAND := { create | snapshot";
        assert!(has_convert(&format!("{usage} | convert | query }}\n")));
        assert!(has_convert(&format!("{usage} | convert}}")));
        assert!(!has_convert(&format!(
            "{usage} | convert-old | reconvert }}"
        )));
    }

    #[test]
    fn qemu_img_keeps_sizes_that_no_geometry_has() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let size = (41 << 20) + 3 * 1024;
        std::fs::write(path("raw"), vec![7u8; size]).unwrap();
        convert(&path("raw"), Writer::QemuImg("of the test"), &path("vhd")).unwrap();
        let tool = |arguments: &[&str]| {
            let mut command = Command::new("qemu-img");
            let output = command.args(arguments).current_dir(&directory).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{arguments:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        // The format is not told: it must be found.
        tool(&["compare", "raw", "vhd"]);
        let info: serde_json::Value =
            serde_json::from_str(&tool(&["info", "--output=json", "vhd"])).unwrap();
        assert_eq!(info["format"], "vpc");
        assert_eq!(info["virtual-size"], size);
    }
}
