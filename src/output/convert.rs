//! The raw disk to its final formats.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use super::disk::copy_sparse;
use super::error::io_error;
use super::tool::{find, Tool};
use super::Error;

/// In which order the clusters of a qcow2 image are written, and so where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they are compressed.
    Any,
    /// As on the disk.
    Fixed,
}

/// Converts the raw disk with qemu-img (`compress_and_save_image`): `format` is
/// qemu-img's name, `compress` its `-c`, `options` the words for `-o` (upstream
/// expands them unquoted, so that further words are further arguments).
///
/// # Errors
/// A missing or failing qemu-img; `output` may be incomplete then.
pub fn convert(
    raw: &Path,
    format: &str,
    compress: bool,
    options: Option<&str>,
    output: &Path,
    order: Order,
) -> Result<(), Error> {
    // qemu-img would give the file a mode of its own choice.
    File::create(output).map_err(io_error("create", output))?;
    let tool =
        Tool::new("qemu-img", "qemu-utils")?.args(arguments(format, compress, options, order));
    // A relative name with a colon would be a protocol to qemu.
    let raw = std::path::absolute(raw).map_err(io_error("resolve", raw))?;
    let output = std::path::absolute(output).map_err(io_error("resolve", output))?;
    let done = tool.arg(raw).arg(&output).run();
    done.map(drop).map_err(|error| error.writing(&output))
}

/// Whether this host's qemu-img writes qcow2 images compressed with zstd, which it
/// does since 5.1.
///
/// # Errors
/// A missing qemu-img, or one that does not.
pub fn check_zstd() -> Result<(), Error> {
    let program = find("qemu-img").ok_or_else(|| Error::MissingTool {
        tool: "qemu-img".into(),
        package: "qemu-utils",
    })?;
    let told = Command::new(&program)
        .args(["create", "-f", "qcow2", "-o", "help"])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(io_error("run", &program))?;
    match String::from_utf8_lossy(&told.stdout).contains("compression_type") {
        true => Ok(()),
        false => Err(Error::NoZstd),
    }
}

fn arguments<'a>(
    format: &'a str,
    compress: bool,
    options: Option<&'a str>,
    order: Order,
) -> Vec<&'a str> {
    let mut arguments = vec!["convert"];
    if compress {
        arguments.push("-c");
    }
    // 16 coroutines compress on all processors. Other formats may need to be
    // written in order (vmdk's streamOptimized).
    if format == "qcow2" {
        arguments.extend(["-m", "16"]);
        if order == Order::Any {
            arguments.push("-W");
        }
    }
    arguments.extend(["-f", "raw", "-O", format]);
    let mut words = options.unwrap_or("").split_whitespace();
    if let Some(first) = words.next() {
        arguments.extend(["-o", first]);
        arguments.extend(words);
    }
    arguments
}

/// `$PROGRAM -9 < input > output`; the program may have arguments of its own.
/// The input may be removed afterwards.
///
/// # Errors
/// A missing or failing program; `output` may be incomplete then.
pub fn gzip(program: &str, input: &Path, output: &Path, remove_input: bool) -> Result<(), Error> {
    let mut words = program.split_whitespace();
    let name = words.next().unwrap_or("gzip");
    let package = match name.rsplit('/').next() {
        Some("pigz") => "pigz",
        Some("gzip") => "gzip",
        _ => "that has it (DIB_GZIP_BIN names it)",
    };
    let tool = Tool::new(name, package)?.args(words).arg("-9");
    let source = File::open(input).map_err(io_error("open", input))?;
    let target = File::create(output).map_err(io_error("create", output))?;
    let done = tool.files(Some(source), Some(target)).run();
    done.map_err(|error| error.writing(output))?;
    match remove_input {
        true => std::fs::remove_file(input).map_err(io_error("remove", input)),
        false => Ok(()),
    }
}

/// Moves the raw disk to `output`, across filesystems too; holes stay holes.
///
/// # Errors
/// If it can neither be renamed nor copied.
pub fn take_raw(raw: &Path, output: &Path) -> Result<(), Error> {
    match std::fs::rename(raw, output) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            copy_sparse(raw, output)?;
            std::fs::remove_file(raw).map_err(io_error("remove", raw))
        }
        result => result.map_err(io_error("move", raw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_a_fixed_order_changes_the_arguments() {
        let words = |format, compress, options, order| {
            arguments(format, compress, options, order).join(" ")
        };
        for (compress, options, order, expected) in [
            (
                true,
                None,
                Order::Any,
                "convert -c -m 16 -W -f raw -O qcow2",
            ),
            (
                false,
                Some("a=b -x"),
                Order::Any,
                "convert -m 16 -W -f raw -O qcow2 -o a=b -x",
            ),
            (true, None, Order::Fixed, "convert -c -m 16 -f raw -O qcow2"),
        ] {
            assert_eq!(words("qcow2", compress, options, order), expected);
        }
        for order in [Order::Any, Order::Fixed] {
            let found = words("vmdk", false, None, order);
            assert_eq!(found, "convert -f raw -O vmdk");
        }
    }

    #[test]
    fn converts_compresses_and_moves() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("raw"), vec![7u8; 3 << 20]).unwrap();
        convert(
            &path("raw"),
            "qcow2",
            true,
            Some("compat=0.10,cluster_size=65536"),
            &path("a:b.qcow2"),
            Order::Any,
        )
        .unwrap();
        let check = Command::new("qemu-img")
            .arg("compare")
            .arg(path("raw"))
            .arg(path("a:b.qcow2"))
            .output();
        assert!(check.unwrap().status.success());
        let error = convert(
            &path("raw"),
            "nonsense",
            false,
            None,
            &path("x"),
            Order::Any,
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("Unknown file format 'nonsense'"),
            "{error}"
        );
        std::fs::copy(path("raw"), path("copy")).unwrap();
        gzip("gzip -n", &path("raw"), &path("raw.gz"), false).unwrap();
        assert!(path("raw").exists());
        gzip("gzip -n", &path("copy"), &path("copy.gz"), true).unwrap();
        assert!(path("copy.gz").exists() && !path("copy").exists());
        let unpacked = Command::new("gzip")
            .arg("-dc")
            .arg(path("raw.gz"))
            .output()
            .unwrap();
        assert!(unpacked.stdout == vec![7u8; 3 << 20]);
        take_raw(&path("raw"), &path("taken")).unwrap();
        assert!(!path("raw").exists() && path("taken").exists());
    }
}
