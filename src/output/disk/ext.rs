//! ext2, ext3, ext4: `mkfs -d`, and debugfs for what that does not carry.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::blockdev::table::Ids;
use crate::output::error::io_error;
use crate::output::nodes::{NodeRegistry, PlacedNode};
use crate::output::tool::{tail, Tool};
use crate::output::Error;

use super::{attributes, fractions, inode_times, Job};

pub(super) fn make(job: &Job, image: &Path, nodes: &NodeRegistry) -> Result<(), Error> {
    let options = match job.reproducible {
        Some(_) => with_hash_seed(&job.filesystem.options, &job.id("hash seed", Ids::uuid)?),
        None => job.filesystem.options.clone(),
    };
    let mut tool = at_epoch(job.mkfs_with("e2fsprogs", &options)?, job)
        .arg("-L")
        .arg(&job.filesystem.label)
        .arg("-U")
        .arg(job.uuid()?)
        .arg("-q");
    if let Some(tree) = job.tree {
        tool = tool.arg("-d").arg(tree);
    }
    job.explain(tool.arg(image).run())?;
    if let Some(tree) = job.tree {
        debugfs(job, image, repairs(tree, nodes)?)?;
        fractions::set(image, tree)?;
        if job.reproducible.is_some() {
            let sorting = attributes::Sorting::of(tree, nodes)?;
            debugfs(job, image, sorting.script)?;
        }
    }
    match job.reproducible {
        Some(wanted) => inode_times::set(image, wanted.epoch),
        None => Ok(()),
    }
}

/// The tools of e2fsprogs take the present time from here, unless it is 0.
fn at_epoch(tool: Tool, job: &Job) -> Tool {
    match job.reproducible {
        Some(wanted) => tool.env("E2FSPROGS_FAKE_TIME", &wanted.epoch.max(1).to_string()),
        None => tool,
    }
}

/// The options with a seed for the hashes of directories. Of several `-E`,
/// mke2fs heeds the last.
fn with_hash_seed(options: &[String], seed: &str) -> Vec<String> {
    let seed = format!("hash_seed={seed}");
    let mut options = options.to_vec();
    match options.iter().rposition(|word| word.starts_with("-E")) {
        None => options.extend(["-E".to_owned(), seed]),
        Some(at) => {
            let value = at + usize::from(options[at] == "-E");
            if let Some(value) = options.get_mut(value) {
                if !value.contains("hash_seed=") {
                    value.push_str(&format!(",{seed}"));
                }
            }
        }
    }
    options
}

/// mke2fs 1.47 -d loses owner, mode and times of the root directory. The
/// fractions of all times are left to [`fractions`].
fn repairs(tree: &Path, nodes: &NodeRegistry) -> Result<Vec<u8>, Error> {
    let mut script = Vec::new();
    let root = tree.symlink_metadata().map_err(io_error("stat", tree))?;
    set_inode(&mut script, "/".as_bytes(), &root, root.mode());
    devices(&mut script, &nodes.locate(tree)?)?;
    Ok(script)
}

/// Replaces placeholders: mknod makes a new inode, and further names of the
/// same placeholder become links to it.
fn devices(script: &mut Vec<u8>, nodes: &[PlacedNode]) -> Result<(), Error> {
    let mut first: HashMap<u64, (Vec<u8>, u32)> = HashMap::new();
    for node in nodes {
        let path = inside(&node.path);
        if path.contains(&b'\n') {
            return Err(Error::NodeName {
                tool: "debugfs",
                path: node.path.clone(),
            });
        }
        command(script, &[b"rm", &path], "");
        if let Some((original, links)) = first.get_mut(&node.metadata.ino()) {
            *links += 1;
            command(script, &[b"ln", original, &path], "");
            command(
                script,
                &[b"sif", original, b"links_count"],
                &links.to_string(),
            );
            continue;
        }
        let parent = inside(node.path.parent().unwrap_or(Path::new("")));
        let name = node.path.file_name().unwrap_or(OsStr::new("")).as_bytes();
        let kind = [node.entry.kind.letter() as u8];
        command(script, &[b"cd", &parent], "");
        let (major, minor) = (node.entry.major, node.entry.minor);
        // debugfs refuses larger numbers; the kernel's encoding is in block 1.
        let large = major > 0xffff || minor > 0xffff;
        let numbers = if large { (0, 0) } else { (major, minor) };
        command(
            script,
            &[b"mknod", name, &kind],
            &format!("{} {}", numbers.0, numbers.1),
        );
        if large {
            let number = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
            command(script, &[b"sif", &path, b"block[1]"], &number.to_string());
        }
        let format = match kind[0] {
            b'b' => 0o060_000,
            _ => 0o020_000,
        };
        let mode = format | (node.metadata.mode() & 0o7777);
        set_inode(script, &path, &node.metadata, mode);
        first.insert(node.metadata.ino(), (path, 1));
    }
    Ok(())
}

fn set_inode(script: &mut Vec<u8>, path: &[u8], metadata: &Metadata, mode: u32) {
    let fields: [(&[u8], String); 4] = [
        (b"mode", format!("0{mode:o}")),
        (b"uid", metadata.uid().to_string()),
        (b"gid", metadata.gid().to_string()),
        (b"mtime", format!("@{}", metadata.mtime() as u32)),
    ];
    for (field, value) in fields {
        command(script, &[b"sif", path, field], &value);
    }
}

pub(super) fn inside(path: &Path) -> Vec<u8> {
    PathBuf::from("/")
        .join(path)
        .into_os_string()
        .as_bytes()
        .to_vec()
}

/// One line for debugfs: every word quoted, a quote doubled; then `rest` as it is.
pub(super) fn command(script: &mut Vec<u8>, words: &[&[u8]], rest: &str) {
    for word in words {
        script.push(b'"');
        for byte in *word {
            if *byte == b'"' {
                script.push(b'"');
            }
            script.push(*byte);
        }
        script.extend_from_slice(b"\" ");
    }
    script.extend_from_slice(rest.as_bytes());
    script.push(b'\n');
}

/// Runs a script. debugfs exits 0 whatever its commands did; only its messages
/// tell, after a first line with its version.
fn debugfs(job: &Job, image: &Path, script: Vec<u8>) -> Result<(), Error> {
    let messages = at_epoch(Tool::new("debugfs", "e2fsprogs")?, job)
        .args(["-w", "-f", "-"])
        .arg(image)
        .input(script)
        .run()?;
    let complaints: Vec<&str> = messages
        .lines()
        .filter(|line| !line.starts_with("debugfs 1.") && !line.trim().is_empty())
        .collect();
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Error::Tool {
        tool: "debugfs".into(),
        status: "messages".into(),
        tail: tail(&complaints.join("\n")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_seed_joins_other_extended_options() {
        for (options, expected) in [
            ("-i 4096", "-i 4096 -E hash_seed=S"),
            ("-E resize=9 -i 1", "-E resize=9,hash_seed=S -i 1"),
            ("-E a=1 -Eb=2", "-E a=1 -Eb=2,hash_seed=S"),
            ("-E hash_seed=T", "-E hash_seed=T"),
        ] {
            let words: Vec<String> = options.split(' ').map(str::to_owned).collect();
            assert_eq!(with_hash_seed(&words, "S").join(" "), expected);
        }
    }
}
