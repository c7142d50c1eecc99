//! Archives of the tree: tar, aci, squashfs.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::plan::Archive;

use super::error::io_error;
use super::nodes::{NodeRegistry, PlacedNode};
use super::tool::Tool;
use super::{tar_nodes, tar_records, Error};

/// Packs `tree` into the file `output` (`lib/disk-image-create`, "Creating
/// image file"). Kernel filesystems below the tree must be unmounted;
/// placeholders of `nodes` become device nodes. An existing `output` is
/// overwritten; after an error it may be incomplete. With an `epoch`, the times
/// of the tree must not be later, and the archive follows from the tree alone.
///
/// # Errors
/// A missing or failing tool, or a device node that cannot be written.
pub fn pack(
    archive: &Archive,
    tree: &Path,
    output: &Path,
    nodes: &NodeRegistry,
    epoch: Option<u32>,
) -> Result<(), Error> {
    let nodes = nodes.locate(tree)?;
    // The tools would create the file with a mode of their own choice.
    File::create(output).map_err(io_error("create", output))?;
    match archive {
        Archive::Tar => {
            tar(tree, output, &kernel_trees(), None, epoch)?;
            tar_nodes::patch(output, "./", &outside_kernel_trees(&nodes))
        }
        Archive::Aci { manifest } => {
            tar(
                tree,
                output,
                &kernel_trees(),
                Some("--transform=s,^.,rootfs,S"),
                epoch,
            )?;
            tar_nodes::patch(output, "rootfs/", &outside_kernel_trees(&nodes))?;
            match manifest {
                Some(manifest) => append_manifest(output, manifest, epoch),
                None => Ok(()),
            }
        }
        Archive::Squashfs => squashfs(tree, output, &nodes, epoch),
    }
}

/// Packs all of `tree` for another appliance, but for `except`, names of its top
/// level. Placeholders of `nodes` become device nodes.
///
/// # Errors
/// As [`pack`].
pub fn pack_whole(
    tree: &Path,
    output: &Path,
    except: &[&str],
    nodes: &NodeRegistry,
) -> Result<(), Error> {
    let except: Vec<PathBuf> = except.iter().map(PathBuf::from).collect();
    let mut nodes = nodes.locate(tree)?;
    nodes.retain(|node| !except.iter().any(|name| node.path.starts_with(name)));
    tar(tree, output, &except, None, None)?;
    tar_nodes::patch(output, "./", &nodes)
}

/// Packs `files` of `tree`, paths relative to it, without what is in those that are
/// directories. Placeholders of `nodes` become device nodes.
///
/// # Errors
/// As [`pack`].
pub fn pack_files(
    tree: &Path,
    output: &Path,
    files: &[PathBuf],
    nodes: &NodeRegistry,
) -> Result<(), Error> {
    let mut list = Vec::new();
    for file in files {
        list.extend_from_slice(b"./");
        list.extend_from_slice(file.as_os_str().as_bytes());
        list.push(0);
    }
    Tool::new("tar", "tar")?
        .arg("-C")
        .arg(tree)
        .arg("-cf")
        .arg(output)
        .args(["--force-local", "--xattrs", "--xattrs-include=*"])
        .args(["--sparse", "--numeric-owner", "--no-recursion"])
        .args(["--null", "--verbatim-files-from", "--files-from=-"])
        .input(list)
        .run()?;
    let mut placed = Vec::new();
    for file in files {
        placed.extend(nodes.at(tree, file)?);
    }
    tar_nodes::patch(output, "./", &placed)
}

/// `./sys` and `./proc` are not in the archive, nor is what they hold.
fn kernel_trees() -> [PathBuf; 2] {
    ["sys", "proc"].map(PathBuf::from)
}

fn outside_kernel_trees(nodes: &[PlacedNode]) -> Vec<PlacedNode> {
    nodes
        .iter()
        .filter(|node| !node.path.starts_with("sys") && !node.path.starts_with("proc"))
        .cloned()
        .collect()
}

/// Upstream's tar, with a stable order and owners by number: names would come
/// from the appliance's passwd. Really sparse files stay sparse.
fn tar(
    tree: &Path,
    output: &Path,
    except: &[PathBuf],
    transform: Option<&str>,
    epoch: Option<u32>,
) -> Result<(), Error> {
    Tool::new("tar", "tar")?
        .args(tar_arguments(tree, output, except, transform, epoch))
        .run()?;
    match epoch {
        Some(_) => tar_records::settle(output),
        None => Ok(()),
    }
}

fn tar_arguments(
    tree: &Path,
    output: &Path,
    except: &[PathBuf],
    transform: Option<&str>,
    epoch: Option<u32>,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["-C".into(), tree.into(), "-cf".into(), output.into()];
    // A colon in the name of the output does not mean another machine.
    words.extend(["--force-local", "--anchored"].map(OsString::from));
    let except = except
        .iter()
        .map(|name| format!("--exclude=./{}", name.display()));
    words.extend(except.map(OsString::from));
    words.extend(["--xattrs", "--xattrs-include=*"].map(OsString::from));
    words.extend(["--sparse", "--sort=name", "--numeric-owner"].map(OsString::from));
    if epoch.is_some() {
        words.extend(STEADY_TAR.map(OsString::from));
    }
    words.extend(transform.map(OsString::from));
    words.push(".".into());
    words
}

/// pax headers have the times of access and change unless told otherwise, and
/// until tar 1.33 a process number in their name. Where a file's holes begin
/// and end depends on its filesystem; its zeros do not.
const STEADY_TAR: [&str; 2] = [
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--hole-detection=raw",
];

fn append_manifest(output: &Path, manifest: &Path, epoch: Option<u32>) -> Result<(), Error> {
    let directory = manifest
        .parent()
        .filter(|path| !path.as_os_str().is_empty());
    let name = manifest.file_name().unwrap_or(manifest.as_os_str());
    // The whole name, so that no pattern character of it has a meaning.
    Tool::new("tar", "tar")?
        .arg("-C")
        .arg(directory.unwrap_or(Path::new(".")))
        .arg("-rf")
        .arg(output)
        .args(["--force-local", "--numeric-owner"])
        .args(
            epoch
                .map(|epoch| ["--clamp-mtime".into(), format!("--mtime=@{epoch}")])
                .into_iter()
                .flatten(),
        )
        .arg("--transform=s,.*,manifest,S")
        .arg("--")
        .arg(name)
        .run()
        .map(drop)
}

/// mksquashfs with upstream's options on all processors. Placeholders are left
/// out and come back as pseudo definitions.
fn squashfs(
    tree: &Path,
    output: &Path,
    nodes: &[PlacedNode],
    epoch: Option<u32>,
) -> Result<(), Error> {
    let definitions = pseudo_definitions(nodes)?;
    let mut tool = Tool::new("mksquashfs", "squashfs-tools")?
        .arg(tree)
        .arg(output)
        .args([
            "-comp",
            "xz",
            "-noappend",
            "-no-recovery",
            "-no-progress",
            "-quiet",
        ]);
    if let Some(epoch) = epoch {
        // The time of the filesystem; the order is fixed since mksquashfs 4.4.
        tool = tool.env("SOURCE_DATE_EPOCH", &epoch.to_string());
    }
    let file =
        tempfile::NamedTempFile::new().map_err(io_error("create a file in", Path::new("/tmp")))?;
    if !definitions.is_empty() {
        std::fs::write(file.path(), definitions).map_err(io_error("write", file.path()))?;
        tool = tool.arg("-pf").arg(file.path());
    }
    let mut excluded: Vec<PathBuf> = nodes.iter().map(|node| tree.join(&node.path)).collect();
    for name in ["proc", "sys"] {
        excluded.extend(children(&tree.join(name))?);
    }
    if !excluded.is_empty() {
        // Everything after -e is a path to leave out, and so it comes last.
        tool = tool.arg("-e").args(&excluded);
    }
    let done = tool.run().map(drop);
    done.map_err(|error| error.writing(output))
}

/// What is in a directory; nothing if it is none.
fn children(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    if !directory.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(Vec::new());
    }
    super::tree::children(directory)
}

fn pseudo_definitions(nodes: &[PlacedNode]) -> Result<Vec<u8>, Error> {
    use std::os::unix::fs::MetadataExt;
    let mut text = Vec::new();
    for node in nodes {
        for byte in node.path.as_os_str().as_bytes() {
            if *byte == b'\n' {
                return Err(Error::NodeName {
                    tool: "mksquashfs",
                    path: node.path.clone(),
                });
            }
            if !byte.is_ascii_alphanumeric() && !b"/._-".contains(byte) {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        let line = format!(
            " {} {} {:o} {} {} {} {}\n",
            node.entry.kind.letter().to_ascii_uppercase(),
            node.metadata.mtime().max(0),
            node.metadata.mode() & 0o7777,
            node.metadata.uid(),
            node.metadata.gid(),
            node.entry.major,
            node.entry.minor
        );
        text.extend_from_slice(line.as_bytes());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(epoch: Option<u32>) -> String {
        let except = kernel_trees();
        let words = tar_arguments(Path::new("/t"), Path::new("/o"), &except, Some("-x"), epoch);
        words.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn only_an_epoch_changes_the_arguments() {
        assert_eq!(
            words(None),
            "-C /t -cf /o --force-local --anchored --exclude=./sys --exclude=./proc --xattrs \
             --xattrs-include=* --sparse --sort=name --numeric-owner -x ."
        );
        assert_eq!(
            words(Some(1)),
            "-C /t -cf /o --force-local --anchored --exclude=./sys --exclude=./proc --xattrs \
             --xattrs-include=* --sparse --sort=name --numeric-owner \
             --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
             --hole-detection=raw -x ."
        );
    }
}
