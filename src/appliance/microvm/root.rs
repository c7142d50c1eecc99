//! The root filesystem, the kernel and the initramfs, made by supermin from the
//! host's packages and kept until these change.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::fcntl::Flock;

use super::packages::Installed;
use super::{cache, initrd, kernel, Error, Machine};
use crate::appliance::namespace::facts;

/// Changes when appliances are made in another way.
const FORMAT: u32 = 4;

/// Name of the unpacked kernel.
const UNPACKED: &str = "vmlinux";
/// Name of the initramfs without our binary, in place of supermin's.
const INITRD: &str = "initrd";

/// An appliance in the cache, locked against removal.
#[derive(Debug)]
pub(super) struct Root {
    /// Directory with `kernel`, `initrd` and `root`.
    pub(super) directory: PathBuf,
    _lock: Flock<File>,
}

impl Root {
    /// The modules' part of the initramfs.
    pub(super) fn modules(&self) -> PathBuf {
        self.directory.join(INITRD)
    }

    /// The appliance in `directory`, if it is there, kept there from now on.
    fn find(directory: &Path) -> Result<Option<Root>, Error> {
        match directory.join("root").exists() {
            true => Root::new(directory.to_owned()).map(Some),
            false => Ok(None),
        }
    }

    fn new(directory: PathBuf) -> Result<Root, Error> {
        Ok(Root {
            _lock: cache::keep(&directory)?,
            directory,
        })
    }

    /// What qemu starts.
    pub(super) fn kernel(&self) -> PathBuf {
        kernel_of(&self.directory)
    }
}

/// What the appliance of a machine is made of, and where it is kept.
struct Recipe {
    supermin: PathBuf,
    packages: Vec<String>,
    inputs: Vec<PathBuf>,
    kernel: PathBuf,
    directory: PathBuf,
}

impl Recipe {
    fn of(machine: &Machine) -> Result<Recipe, Error> {
        let supermin = cache::need_program("supermin", "supermin", "to make its root filesystem")?;
        let installed = Installed::read()?;
        let packages = installed.choose(&machine.packages)?;
        let kernel = kernel::of_host()?;
        let mut stamp = cache::Stamp::default();
        stamp.add((FORMAT, &packages));
        installed.versions().for_each(|pair| stamp.add(pair));
        stamp.add_file(&kernel);
        stamp.add_file(&supermin);
        let inputs = match &machine.supermin_d {
            Some(directory) => files_of(directory)?,
            None => Vec::new(),
        };
        inputs.iter().for_each(|file| stamp.add_file(file));
        Ok(Recipe {
            supermin,
            packages,
            inputs,
            kernel,
            directory: machine.cache.join(format!("appliance-{}", stamp.name())),
        })
    }
}

/// What machines start, if the appliance of `machine` has been made.
pub(super) fn kernel_in_cache(machine: &Machine) -> Option<PathBuf> {
    let directory = Recipe::of(machine).ok()?.directory;
    directory
        .join("root")
        .exists()
        .then(|| kernel_of(&directory))
}

/// The kernel of an appliance: unpacked, if that was possible.
fn kernel_of(directory: &Path) -> PathBuf {
    let unpacked = directory.join(UNPACKED);
    match unpacked.exists() {
        true => unpacked,
        false => directory.join("kernel"),
    }
}

/// The appliance of `machine`, made if it is not there.
pub(super) fn prepare(machine: &Machine, say: &mut dyn FnMut(&str)) -> Result<Root, Error> {
    let Recipe {
        supermin,
        packages,
        inputs,
        kernel,
        directory,
    } = Recipe::of(machine)?;
    cache::create(&machine.cache)?;
    let finding = cache::lock(&machine.cache, false)?;
    if let Some(root) = Root::find(&directory)? {
        return Ok(root);
    }
    drop(finding);
    let _changing = cache::lock(&machine.cache, true)?;
    if let Some(root) = Root::find(&directory)? {
        return Ok(root);
    }
    let began = Instant::now();
    remove_others(&machine.cache)?;
    build(&supermin, &packages, &inputs, &kernel, &directory)?;
    say(&format!(
        "safedib: made the root of the microvm appliance from {} packages and {} in {:.1} s: {}",
        packages.len(),
        kernel.display(),
        began.elapsed().as_secs_f64(),
        directory.display()
    ));
    Root::new(directory)
}

fn files_of(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let doing = format!("reading DIB_APPLIANCE_SUPERMIN_D {}", directory.display());
    let entries = fs::read_dir(directory).map_err(Error::io(doing))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// Appliances that no build uses, mostly of packages that this host no longer
/// has, and unfinished ones.
fn remove_others(directory: &Path) -> Result<(), Error> {
    let doing = format!("removing old appliances in {}", directory.display());
    let entries = fs::read_dir(directory).map_err(Error::io(doing.clone()))?;
    for entry in entries.flatten() {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("appliance-")
        {
            cache::remove_unless_kept(&entry.path()).map_err(Error::io(doing.clone()))?;
        }
    }
    Ok(())
}

fn build(
    supermin: &Path,
    packages: &[String],
    inputs: &[PathBuf],
    kernel: &Path,
    directory: &Path,
) -> Result<(), Error> {
    let work = directory.with_extension("tmp");
    let input = work.join("supermin.d");
    let output = work.join("built");
    fs::create_dir_all(&work).map_err(Error::io(format!("making {}", work.display())))?;
    // Else supermin works in /var/tmp, which a container may have read-only.
    let at_work = || {
        let mut command = Command::new(supermin);
        command.env("TMPDIR", &work);
        command
    };
    let mut prepare = at_work();
    // Without --use-installed it would download every package.
    prepare
        .args(["--prepare", "--use-installed"])
        .args(packages)
        .arg("-o")
        .arg(&input);
    run(prepare, "the list of its files")?;
    add_own_input(&input).map_err(Error::io(format!("writing to {}", input.display())))?;
    for file in inputs {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let to = input.join(format!("user-{name}"));
        fs::copy(file, to).map_err(Error::io(format!("copying {}", file.display())))?;
    }
    let mut build = at_work();
    build
        .args(["--build", "--copy-kernel", "-f", "ext2"])
        .arg(&input)
        .arg("-o")
        .arg(&output);
    run(build, "its root filesystem")?;
    kernel::unpack(&output.join("kernel"), &output.join(UNPACKED))
        .map_err(Error::io("unpacking the kernel"))?;
    initrd::write_modules(&kernel::modules_of(kernel), &output.join(INITRD))?;
    fs::rename(&output, directory)
        .and_then(|()| fs::remove_dir_all(&work))
        .map_err(Error::io(format!("moving {}", output.display())))
}

/// Files of the host that no package owns. (supermin also takes lists of host
/// files, but wants their directories to be a package's.)
fn add_own_input(input: &Path) -> io::Result<()> {
    let mut list = Vec::new();
    for path in host_files() {
        let relative = path.strip_prefix("/").unwrap_or(&path);
        list.extend_from_slice(relative.as_os_str().as_bytes());
        list.push(0);
    }
    let names = input.join("names");
    fs::write(&names, list)?;
    let status = Command::new("tar")
        .args(["--owner=0", "--group=0", "--numeric-owner", "-czf"])
        .arg(input.join("host.tar.gz"))
        .args(["-C", "/", "--no-recursion", "--null", "-T"])
        .arg(&names)
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("tar: {status}")));
    }
    fs::remove_file(&names)
}

/// Files that programs of `/usr` expect and that maintainer scripts made: what
/// the namespace appliance shows of `/etc`, and the links of alternatives.
fn host_files() -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for path in facts::etc_entries().into_keys() {
        collect(&path, &mut files);
    }
    for directory in ["/usr/bin", "/usr/sbin"] {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let leads_to_alternatives = fs::read_link(entry.path())
                .is_ok_and(|target| target.starts_with("/etc/alternatives"));
            if leads_to_alternatives {
                files.insert(entry.path());
            }
        }
    }
    files
}

fn collect(path: &Path, files: &mut BTreeSet<PathBuf>) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                collect(&entry.path(), files);
            }
        }
        // Only what everybody may read, whoever calls.
        Ok(found) if found.is_symlink() || found.permissions().mode() & 0o004 != 0 => {
            files.insert(path.to_owned());
        }
        _ => {}
    }
}

/// Runs supermin; what it prints matters only when it fails.
fn run(mut command: Command, what: &'static str) -> Result<(), Error> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("executing supermin"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = text.lines().rev().take(3).collect();
    let message: Vec<&str> = last.into_iter().rev().collect();
    Err(Error::Tool {
        program: "supermin",
        what,
        message: message.join("; "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_alternatives_are_carried_over() {
        let files = host_files();
        assert!(files.contains(Path::new("/usr/bin/awk")), "{files:?}");
        assert!(files.contains(Path::new("/etc/alternatives/awk")));
        assert!(!files.iter().any(|path| path.ends_with("shadow")));
    }
}
