//! Images of every layout that upstream's elements have, built and booted.
//!
//! The first is a whole build; one small element keeps its tree as it is
//! before the boot loader, where the `debootstrap` element looks for a cache of
//! its own. The others begin with that tree, so that their packages are
//! installed already. Two builds or machines run at a time.
//!
//! The first is built in virt-dib's syntax, and the one with a GPT by what its
//! manual page gives as the first example, of another release.
//!
//! `SAFEDIB_BOOT_ONLY=mbr,efi` makes the first image and boots these only. Logs and
//! reports of builds are left in `target/tmp/boot-NAME.log`, `.html` and `.json`.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::common::{callers, copy_tree, tool, Caller, Run};
use crate::guest::{self, missing, Guest};

const USER: &str = "devuser";
const PASSWORD: &str = "secret";
const WORKERS: usize = 2;

/// The command that builds.
#[derive(Clone, Copy)]
enum Syntax {
    DiskImageCreate,
    VirtDib,
}

/// What is built, and what the booted system must say of itself.
struct Image {
    name: &'static str,
    syntax: Syntax,
    words: &'static [&'static str],
    /// The firmware that `safedib boot` is to choose.
    firmware: &'static str,
    sector: u32,
    /// What `findmnt` says of each mount: point, device, type and label.
    mounts: &'static [&'static str],
}

const EFI_MOUNT: &str = "/boot/efi /dev/vda1 vfat MKFS_ESP";

fn first() -> Image {
    Image {
        name: "mbr",
        syntax: Syntax::VirtDib,
        words: &["debian-minimal", "vm", "devuser", "keeper"],
        firmware: "BIOS",
        sector: 512,
        mounts: &["/ /dev/vda1 ext4 cloudimg-rootfs"],
    }
}

/// The longest first, so that no worker is left alone with one.
fn others() -> Vec<Image> {
    vec![
        Image {
            name: "efi-lvm",
            // The root partition is to have 40 GB, and Debian does not come with these.
            syntax: Syntax::DiskImageCreate,
            words: &[
                "debian-minimal",
                "vm",
                "block-device-efi-lvm",
                "-p",
                "lvm2,xfsprogs",
                "--image-size",
                "40",
            ],
            firmware: "UEFI",
            sector: 512,
            mounts: &[
                "/ /dev/mapper/vg-lv_root xfs img-rootfs",
                "/var /dev/mapper/vg-lv_var xfs fs_var",
                "/home /dev/mapper/vg-lv_home xfs fs_home",
                EFI_MOUNT,
            ],
        },
        Image {
            name: "efi-4k",
            syntax: Syntax::DiskImageCreate,
            words: &["debian-minimal", "vm", "block-device-efi-4k"],
            firmware: "UEFI",
            sector: 4096,
            mounts: &["/ /dev/vda3 ext4 cloudimg-rootfs", EFI_MOUNT],
        },
        Image {
            name: "efi",
            syntax: Syntax::DiskImageCreate,
            words: &["debian-minimal", "vm", "block-device-efi"],
            firmware: "UEFI",
            sector: 512,
            mounts: &["/ /dev/vda3 ext4 cloudimg-rootfs", EFI_MOUNT],
        },
        Image {
            name: "gpt",
            syntax: Syntax::VirtDib,
            words: &["debian", "vm", "block-device-gpt"],
            firmware: "BIOS",
            sector: 512,
            mounts: &["/ /dev/vda2 ext4 cloudimg-rootfs"],
        },
    ]
}

/// The hook that keeps the tree: post-root.d is the last one outside the target
/// before it moves to its disk.
const KEEP: &str = r#"#!/bin/bash
set -eu
set -o pipefail
sudo tar -C "$TMP_MOUNT_PATH" --one-file-system --numeric-owner -cf - . |
    gzip -1 > "$DIB_IMAGE_CACHE/debootstrap-$DISTRO_NAME-$DIB_RELEASE-$ARCH.tar.gz"
"#;

/// Upstream's elements, in the repository.
pub const UPSTREAM: &str =
    "upstream-fixtures/cache/diskimage-builder-3.43.0/diskimage_builder/elements";

/// Its library, for virt-dib.
const LIBRARY: &str = "upstream-fixtures/cache/diskimage-builder-3.43.0/diskimage_builder/lib";

/// A path of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Mirror and release of this machine's own apt, and its proxies.
pub fn surroundings() -> Vec<(String, String)> {
    let script = "eval \"$(scripts/debian-mirror)\"; env";
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(repository("."));
    let names = [
        "DIB_DISTRIBUTION_MIRROR",
        "DIB_DEBIAN_SECURITY_MIRROR",
        "DIB_RELEASE",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    ];
    tool(&mut command)
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| names.contains(name))
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

/// A build with upstream's elements, from the tree and with the packages in the
/// cache of `first`, if there is one, of which each has a copy.
fn build(image: &Image, first: Option<&Run>, plan: &Plan) -> Run {
    let mut run = Run::new(
        &plan.caller,
        match image.syntax {
            Syntax::DiskImageCreate => "disk-image-create",
            Syntax::VirtDib => "virt-dib",
        },
    );
    copy_tree(&repository(UPSTREAM), &run.elements());
    run = run.element_file("keeper", "post-root.d/99-keep", KEEP);
    let cache = cache(&run);
    match first {
        Some(first) => {
            let mut copy = Command::new("cp");
            tool(copy.args(["-a", "-T"]).arg(self::cache(first)).arg(&cache));
        }
        None => {
            fs::create_dir(&cache).unwrap();
            run.give(&cache);
        }
    }
    let mut variables = plan.surroundings.clone();
    let mut set = |name: &str, value: &str| variables.push((name.into(), value.into()));
    set("DIB_DEV_USER_PASSWORD", PASSWORD);
    set("DIB_DEV_USER_PWDLESS_SUDO", "yes");
    set("DIB_GRUB_TIMEOUT", "0");
    if first.is_some() {
        set("DIB_DEBIAN_USE_DEBOOTSTRAP_CACHE", "1");
    }
    for (name, value) in &variables {
        run = run.env(name, value);
    }
    in_syntax(run, image.syntax, &variables)
        .args(["--report=report.html", "--report=report.json"])
        .args(image.words.iter().copied())
}

/// Says where a run's cache is, and `variables`, as the command wants it.
fn in_syntax(run: Run, syntax: Syntax, variables: &[(String, String)]) -> Run {
    let cache = cache(&run);
    match syntax {
        Syntax::DiskImageCreate => run
            .env("DIB_IMAGE_CACHE", &cache)
            .args(["-u", "-o", "image"]),
        Syntax::VirtDib => {
            let carried = variables.iter().flat_map(|(name, _)| ["--envvar", name]);
            let (elements, library, tmp) = (run.elements(), run.home().join("lib"), run.tmp());
            copy_tree(&repository(LIBRARY), &library);
            run.args(carried)
                .args([OsStr::new("-B"), library.as_os_str()])
                .args([OsStr::new("-p"), elements.as_os_str()])
                .args([OsStr::new("--image-cache"), cache.as_os_str()])
                .args(["-u", "--name", "image"])
                .env("TMPDIR", tmp)
        }
    }
}

fn cache(run: &Run) -> PathBuf {
    run.home().join("cache")
}

/// Runs a build; its log and its reports stay in cargo's directory for tests.
fn make(run: &Run, image: &Image) -> Result<(), String> {
    let outcome = run.run();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let log = kept.join(format!("boot-{}.log", image.name));
    fs::write(&log, format!("{outcome}")).map_err(|error| error.to_string())?;
    for kind in ["html", "json"] {
        let report = run.dir.join(format!("report.{kind}"));
        let kept = kept.join(format!("boot-{}.{kind}", image.name));
        fs::copy(report, kept).map_err(|error| format!("report.{kind}: {error}"))?;
    }
    eprintln!("{}: built in {:?}", image.name, outcome.took);
    match outcome.status {
        0 => Ok(()),
        status => Err(format!(
            "the build ends with {status} (see {}): {}",
            log.display(),
            outcome.stderr
        )),
    }
}

/// Boots what a build left, and compares what the system says of itself.
fn boot(run: &Run, image: &Image) -> Result<(), String> {
    let disk = run.dir.join("image.qcow2").display().to_string();
    let begin = Instant::now();
    let boot = guest::boot(run.caller(), &[&disk]);
    let mut guest = Guest::start(&mut boot.command());
    guest.log_in(USER, PASSWORD)?;
    let chosen = guest.messages();
    if !chosen.contains(&format!("(qcow2): {}: ", image.firmware)) {
        return Err(format!("not {}: {chosen}", image.firmware));
    }
    eprintln!("{}: logged in after {:?}", image.name, begin.elapsed());
    guest.hush()?;
    for mount in image.mounts {
        let point = mount.split(' ').next().unwrap_or_default();
        let found = guest.run(&format!("findmnt -n -o TARGET,SOURCE,FSTYPE,LABEL {point}"))?;
        expect(&found, mount)?;
    }
    let label = image.mounts[0].rsplit(' ').next().unwrap_or_default();
    let line = guest.run("cat /proc/cmdline")?;
    for word in [&*format!("root=LABEL={label}"), "console=ttyS0,115200"] {
        if !line.split(' ').any(|part| part == word) {
            return Err(format!("no {word} in the kernel's command line: {line}"));
        }
    }
    let sector = guest.run("cat /sys/block/vda/queue/logical_block_size")?;
    expect(&sector, &image.sector.to_string())?;
    let firmware = guest.run("test -d /sys/firmware/efi && echo efi || echo bios")?;
    match image.firmware {
        "BIOS" => expect(&firmware, "bios"),
        _ => expect(&firmware, "efi"),
    }
}

/// Compares texts by their words.
fn expect(found: &str, expected: &str) -> Result<(), String> {
    let words: Vec<&str> = found.split_whitespace().collect();
    match words.join(" ") == expected {
        true => Ok(()),
        false => Err(format!("'{found}' where '{expected}' is expected")),
    }
}

/// Who builds, and what every build is told of this machine.
struct Plan {
    caller: Caller,
    surroundings: Vec<(String, String)>,
}

/// One thing for a worker: another image, or a boot of the first.
enum Task<'a> {
    Boot(&'a Image),
    Make(Image),
}

impl Task<'_> {
    fn name(&self) -> &'static str {
        match self {
            Task::Boot(image) => image.name,
            Task::Make(image) => image.name,
        }
    }
}

#[test]
#[ignore = "takes minutes and a network: scripts/test runs it as its step boot"]
fn images_of_every_layout_boot() {
    let missing = missing();
    assert!(missing.is_empty(), "no {missing:?}: run scripts/setup");
    let plan = Plan {
        caller: callers().swap_remove(0),
        surroundings: surroundings(),
    };
    let image = first();
    let run = build(&image, None, &plan);
    let mut tasks: VecDeque<Task> = others().into_iter().map(Task::Make).collect();
    tasks.push_back(Task::Boot(&image));
    if let Ok(names) = std::env::var("SAFEDIB_BOOT_ONLY") {
        let names: Vec<&str> = names.split(',').collect();
        tasks.retain(|task| names.contains(&task.name()));
        assert_eq!(tasks.len(), names.len(), "unknown names in {names:?}");
    }
    make(&run, &image).unwrap_or_else(|error| panic!("{}: {error}", image.name));
    let tasks = Mutex::new(tasks);
    let failures = Mutex::new(Vec::new());
    let next = || {
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.pop_front()
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(task) = next() {
                    let result = match &task {
                        Task::Boot(image) => boot(&run, image),
                        Task::Make(image) => {
                            let run = build(image, Some(&run), &plan);
                            make(&run, image).and_then(|()| boot(&run, image))
                        }
                    };
                    if let Err(error) = result {
                        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                        failures.push(format!("{}: {error}", task.name()));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
