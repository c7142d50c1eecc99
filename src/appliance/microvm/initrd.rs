//! The initramfs: our own binary as pid 1, and the kernel modules that it needs.
//!
//! supermin's own initramfs loads every virtio and disk driver that there is,
//! which takes TCG more than a second. Modules are kept with the appliance; the
//! binary is added for each build, because it is the driver's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cpio::Archive;
use super::Error;
use crate::protocol::machine::{BootModules, INITRD_BINARY, INITRD_MODULES, MODULES_FILE};

/// Disks, the channel, and last the bus: devices are found once their drivers
/// are there.
const DEVICES: [&str; 3] = ["virtio_blk", "virtio_console", "virtio_pci"];
/// Kernels before 6.15 have the checksum of ext4 as a module that it does not
/// name as a dependency.
const FILESYSTEMS: [&str; 2] = ["crc32c_generic", "ext4"];
const LATER: [&str; 6] = [
    "9pnet_virtio",
    "9p",
    "overlay",
    "virtio_net",
    "af_packet",
    "loop",
];
/// Without these no machine works; others may be missing in other kernels.
const REQUIRED: [&str; 7] = [
    "virtio_blk",
    "virtio_console",
    "virtio_pci",
    "ext4",
    "9pnet_virtio",
    "9p",
    "overlay",
];
/// Program interpreter of x86-64 binaries, which the kernel looks for here.
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

/// Writes the archive of modules of the kernel whose modules are in `directory`.
pub(super) fn write_modules(directory: &Path, to: &Path) -> Result<(), Error> {
    let tree = Tree::read(directory)?;
    let (lists, paths) = tree.choose()?;
    let mut archive = Archive::new(BufWriter::new(
        File::create(to).map_err(Error::io(format!("making {}", to.display())))?,
    ));
    let top = INITRD_MODULES.trim_start_matches('/');
    for (name, path) in paths {
        let content =
            content(&path).map_err(Error::io(format!("reading the module {}", path.display())))?;
        archive
            .file(&format!("{top}/{name}"), &content)
            .map_err(Error::io(format!("writing {}", to.display())))?;
    }
    serde_json::to_vec(&lists)
        .map_err(io::Error::from)
        .and_then(|json| archive.file(&format!("{top}/{MODULES_FILE}"), &json))
        .and_then(|()| archive.finish().map(drop))
        .map_err(Error::io(format!("writing {}", to.display())))
}

/// Writes the initramfs of one machine: the modules, then `binary` with the
/// libraries that this process, which runs the same binary, has loaded.
pub(super) fn write(modules: &Path, binary: &Path, to: &Path) -> Result<(), Error> {
    let doing = || format!("writing the initramfs {}", to.display());
    let add = || -> io::Result<()> {
        let mut file = File::create(to)?;
        io::copy(&mut File::open(modules)?, &mut file)?;
        let mut archive = Archive::new(file);
        archive.copy(INITRD_BINARY.trim_start_matches('/'), binary)?;
        for library in libraries(&fs::read_to_string("/proc/self/maps")?) {
            let name = library.trim_start_matches('/');
            archive.copy(name, Path::new(library))?;
            if name != LOADER && library.contains("/ld-linux") {
                archive.link(LOADER, library)?;
            }
        }
        archive.finish().map(drop)
    };
    add().map_err(Error::io(doing()))
}

/// Paths of shared objects among the mappings of a process (proc(5)).
fn libraries(maps: &str) -> BTreeSet<&str> {
    maps.lines()
        .filter_map(|line| line.find('/').and_then(|at| line.get(at..)))
        .filter(|path| path.ends_with(".so") || path.contains(".so."))
        .collect()
}

/// What depmod(8) wrote about the modules of a kernel.
struct Tree {
    directory: PathBuf,
    /// Path and dependencies by name, as `modules.dep` has them.
    modules: BTreeMap<String, (String, Vec<String>)>,
    /// Names of what is a part of the kernel.
    builtin: BTreeSet<String>,
}

impl Tree {
    fn read(directory: &Path) -> Result<Tree, Error> {
        let read = |name: &str| {
            let file = directory.join(name);
            fs::read_to_string(&file).map_err(Error::io(format!("reading {}", file.display())))
        };
        Ok(Tree::parse(
            directory,
            &read("modules.dep")?,
            &read("modules.builtin")?,
        ))
    }

    fn parse(directory: &Path, dep: &str, builtin: &str) -> Tree {
        let line = |line: &str| {
            let (path, needs) = line.split_once(':')?;
            let needs = needs.split_whitespace().map(name_of).collect();
            Some((name_of(path), (path.to_owned(), needs)))
        };
        Tree {
            directory: directory.to_owned(),
            modules: dep.lines().filter_map(line).collect(),
            builtin: builtin.lines().map(name_of).collect(),
        }
    }

    /// The lists for pid 1, and the modules in them with their files.
    fn choose(&self) -> Result<(BootModules, Vec<(String, PathBuf)>), Error> {
        let devices = self.with_dependencies(&DEVICES)?;
        let filesystems = self.with_dependencies(&FILESYSTEMS)?;
        let mut later = self.with_dependencies(&LATER)?;
        let both = |name: &String| devices.contains(name) && filesystems.contains(name);
        let common: Vec<String> = devices.iter().filter(|name| both(name)).cloned().collect();
        later.retain(|name| !devices.contains(name) && !filesystems.contains(name));
        let only = |list: &[String]| -> Vec<String> {
            list.iter().filter(|name| !both(name)).cloned().collect()
        };
        let lists = BootModules {
            devices: only(&devices),
            filesystems: only(&filesystems),
            common,
            later,
        };
        let all = [
            &lists.common,
            &lists.devices,
            &lists.filesystems,
            &lists.later,
        ];
        let file = |name: &String| {
            let (path, _) = self.modules.get(name)?;
            Some((name.clone(), self.directory.join(path)))
        };
        let files = all.into_iter().flatten().filter_map(file).collect();
        Ok((lists, files))
    }

    /// The modules and what they need, in an order in which they can be loaded.
    fn with_dependencies(&self, wanted: &[&str]) -> Result<Vec<String>, Error> {
        let mut ordered = Vec::new();
        for &name in wanted {
            match self.modules.get(name) {
                // modules.dep has what must be loaded first last.
                Some((_, needs)) => {
                    ordered.extend(needs.iter().rev().cloned());
                    ordered.push(name.to_owned());
                }
                None if self.builtin.contains(name) || !REQUIRED.contains(&name) => {}
                None => {
                    return Err(Error::NoModule {
                        module: name.to_owned(),
                        directory: self.directory.clone(),
                    })
                }
            }
        }
        let mut seen = BTreeSet::new();
        ordered.retain(|name| seen.insert(name.clone()));
        Ok(ordered)
    }
}

/// The module's name: in file names dashes and underscores are the same.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.split(".ko").next().unwrap_or(file);
    name.replace('-', "_")
}

/// A module as the kernel takes it: unpacked. Without its signature, whose check
/// is a hash and an RSA operation in emulation; supermin got the file from a
/// package, and no kernel of Debian's kin insists on one in such a machine.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = match path.extension().and_then(|ending| ending.to_str()) {
        Some("xz") => unpack("xz", path)?,
        Some("zst") => unpack("zstd", path)?,
        Some("gz") => unpack("gzip", path)?,
        _ => fs::read(path)?,
    };
    bytes.truncate(unsigned(&bytes));
    Ok(bytes)
}

fn unpack(program: &str, path: &Path) -> io::Result<Vec<u8>> {
    let output = Command::new(program)
        .args(["-d", "-c"])
        .arg(path)
        .stdin(Stdio::null())
        .output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(io::Error::other(format!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// Length of a module without the signature behind it: the signature, a struct
/// of 12 bytes that ends in its length, and a text (include/linux/module_signature.h).
fn unsigned(module: &[u8]) -> usize {
    const MARK: &[u8] = b"~Module signature appended~\n";
    const STRUCT: usize = 12;
    let length = || {
        let info = module.strip_suffix(MARK)?;
        let size = u32::from_be_bytes(*info.last_chunk()?);
        info.len()
            .checked_sub(STRUCT)?
            .checked_sub(usize::try_from(size).ok()?)
    };
    length().unwrap_or(module.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko
kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz
kernel/net/9p/9pnet.ko.xz:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/v/virtio.ko
kernel/v/virtio-pci.ko: kernel/v/virtio.ko kernel/v/ring.ko kernel/lib/crc16.ko
kernel/v/virtio_blk.ko: kernel/v/virtio.ko kernel/v/ring.ko
kernel/v/virtio.ko: kernel/v/ring.ko
kernel/v/ring.ko:
kernel/lib/crc16.ko:
kernel/fs/mbcache.ko:
kernel/fs/jbd2/jbd2.ko:
";
    const BUILTIN: &str = "kernel/fs/overlayfs/overlay.ko\nkernel/v/virtio_console.ko\n";

    #[test]
    fn modules_come_after_what_they_need() {
        let tree = Tree::parse(Path::new("/m"), DEP, BUILTIN);
        let (lists, files) = tree.choose().unwrap();
        assert_eq!(lists.common, ["crc16"]);
        assert_eq!(
            lists.devices,
            ["ring", "virtio", "virtio_blk", "virtio_pci"]
        );
        assert_eq!(lists.filesystems, ["jbd2", "mbcache", "ext4"]);
        assert_eq!(lists.later, ["9pnet", "9pnet_virtio", "9p"]);
        let named: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(named.len(), 11);
        assert!(files.contains(&("virtio_pci".into(), "/m/kernel/v/virtio-pci.ko".into())));
    }

    #[test]
    fn a_kernel_without_a_driver_is_named() {
        let tree = Tree::parse(Path::new("/lib/modules/6"), DEP, "");
        let error = tree.choose().unwrap_err().to_string();
        assert!(
            error.contains("virtio_console") && error.contains("/lib/modules/6"),
            "{error}"
        );
    }

    #[test]
    fn signatures_are_left_out_and_what_looks_like_none_stays() {
        let mut module = b"\x7fELF code".to_vec();
        let size = module.len();
        module.extend_from_slice(b"signature");
        module.extend_from_slice(&[0; 8]);
        module.extend_from_slice(&9u32.to_be_bytes());
        module.extend_from_slice(b"~Module signature appended~\n");
        assert_eq!(unsigned(&module), size);
        assert_eq!(unsigned(&module[..size]), size);
        let lie = b"\xff\xff\xff\xff~Module signature appended~\n";
        assert_eq!(unsigned(lie), lie.len());
    }

    #[test]
    fn libraries_of_this_process_are_found() {
        let maps = "7f-8f r-xp 0 fe:00 12 /usr/lib/x/libc.so.6\n7f-8f rw-p 0 0:0 0 [heap]\n\
                    1-2 r--p 0 fe:00 3 /usr/bin/safedib\n7f-8f r--p 0 fe:00 12 /usr/lib/x/libc.so.6\n";
        assert_eq!(
            libraries(maps).into_iter().collect::<Vec<_>>(),
            ["/usr/lib/x/libc.so.6"]
        );
    }
}
