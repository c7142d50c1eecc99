//! `virt-dib --drive`: a home and caches on a disk of the caller's.

mod common;

use std::fs;
use std::os::unix::fs::{chown, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::machine::machine;
use common::{callers, tool, Caller, Run};

/// A hook outside the target that uses what it finds in the cache.
const FETCH: &str = "#!/bin/bash\nset -eu\n\
    f=$DIB_IMAGE_CACHE/fetched\n\
    if [ -e $f ]; then echo \"found $(cat $f) in $f\"; else echo fetching; echo once > $f; fi\n\
    echo \"home $HOME\"\n\
    mkdir -p $HOME/.config; echo 1 >> $HOME/.config/count\n\
    echo \"owner $(stat -c %u:%g $HOME/.config)\"; chown -R 5:6 $HOME/.config\n";

/// A library as far as `-B` looks.
fn lib(run: &Run) -> String {
    let lib = run.elements().parent().unwrap().join("lib");
    fs::create_dir_all(&lib).unwrap();
    let helpers = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/helpers/lib");
    common::copy_tree(&helpers, &lib);
    lib.display().to_string()
}

/// A build of a tar with the element `fetches`, whose hooks use the cache.
fn build(caller: &Caller, drive: &Path) -> Run {
    let run = Run::new(caller, "virt-dib");
    let (lib, elements) = (lib(&run), run.elements().display().to_string());
    let tmp = run.tmp();
    run.env("TMPDIR", tmp)
        .element_file("fetches", "root.d/05-fetch", FETCH)
        .args(["-B", &lib, "-p", &elements, "--skip-base", "--name", "x"])
        .args(["--formats", "tar", "--drive", drive.to_str().unwrap()])
}

/// Places for drives that every caller can reach.
struct Drives(tempfile::TempDir);

impl Drives {
    fn new() -> Drives {
        let directory = tempfile::Builder::new()
            .prefix("safedib-drives-")
            .tempdir_in("/var/tmp")
            .unwrap();
        Drives(directory)
    }

    /// A new file of this size.
    fn file(&self, name: &str, mib: u64) -> PathBuf {
        let path = self.0.path().join(name);
        fs::File::create(&path).unwrap().set_len(mib << 20).unwrap();
        path
    }

    /// A filesystem over the whole disk.
    fn whole(&self, name: &str, mib: u64) -> PathBuf {
        let path = self.file(name, mib);
        tool(
            Command::new("/sbin/mkfs.ext4")
                .args(["-q", "-F"])
                .arg(&path),
        );
        path
    }

    /// A filesystem on the first partition of a qcow2 disk.
    fn partitioned(&self, name: &str) -> PathBuf {
        let (raw, path) = (self.file("raw", 64), self.0.path().join(name));
        tool(
            Command::new("/sbin/mkfs.ext4")
                .args(["-q", "-F", "-E", "offset=1048576"])
                .arg(&raw)
                .arg("60M"),
        );
        // One entry of a table: type 0x83, from sector 2048, 60 MiB.
        let mut sector = [0u8; 66];
        sector[4] = 0x83;
        sector[8..12].copy_from_slice(&2048u32.to_le_bytes());
        sector[12..16].copy_from_slice(&(60u32 << 11).to_le_bytes());
        sector[64..].copy_from_slice(&[0x55, 0xaa]);
        let file = fs::OpenOptions::new().write(true).open(&raw).unwrap();
        file.write_all_at(&sector, 446).unwrap();
        tool(
            Command::new("qemu-img")
                .args(["convert", "-O", "qcow2"])
                .args([&raw, &path]),
        );
        path
    }

    /// Makes everything the caller's.
    fn give_to(&self, caller: &Caller) {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.0.path(), mode).unwrap();
        if let Caller::Other(user) = caller {
            for entry in fs::read_dir(self.0.path()).unwrap() {
                let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
                chown(entry.unwrap().path(), Some(uid), Some(gid)).unwrap();
            }
        }
    }
}

/// What debugfs, which needs no kernel, says of a drive.
fn debugfs(drive: &Path, request: &str) -> String {
    let output = Command::new("/sbin/debugfs")
        .args(["-R", request])
        .arg(drive)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The logs on a drive, oldest first.
fn logs(drive: &Path) -> Vec<String> {
    let list = debugfs(drive, "ls -p /");
    let names = list.split('/').filter(|name| name.starts_with("virt-dib-"));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn what_one_build_fetches_the_next_one_finds() {
    let Some(_machine) = machine() else { return };
    let caller = &callers()[0];
    let drives = Drives::new();
    let drive = drives.whole("drive.img", 64);
    drives.give_to(caller);
    let outcome = build(caller, &drive)
        .args(["fetches", "safedib-one-file"])
        .run()
        .success();
    assert!(outcome.stdout.contains("fetching"), "{outcome}");
    let show = "#!/bin/bash\necho \"extra-data: $HOME $DIB_IMAGE_CACHE\"\n";
    let run = build(caller, &drive).element_file("shows", "extra-data.d/10-show", show);
    let (home, own) = (run.home().display().to_string(), run.home().join("own"));
    let cache = own.display().to_string();
    let run = run.args(["--no-network", "--image-cache", &cache]).args([
        "fetches",
        "shows",
        "safedib-one-file",
    ]);
    let outcome = run.run().success();
    let out = &outcome.stdout;
    let texts = [
        "found once in /run/safedib/home/.cache/image-create/fetched",
        "home /run/safedib/home\n",
        "owner 5:6\n",
        &format!("extra-data: {home} {cache}\n"),
    ];
    for text in texts {
        assert!(out.contains(text), "{text}: {outcome}");
    }
    tool(Command::new("/sbin/e2fsck").arg("-fn").arg(&drive));
    assert_eq!(debugfs(&drive, "cat /home/.config/count"), "1\n1\n");
    let logs = logs(&drive);
    assert_eq!(logs.len(), 2, "{logs:?}");
    let log = debugfs(&drive, &format!("cat /{}", logs[1]));
    assert!(log.contains("| found once in"), "{log}");
    let left = fs::read_dir(own).unwrap().count();
    assert_eq!(left, 0, "only extra-data.d has the host's cache");
}

#[test]
fn a_failed_build_keeps_what_it_fetched_and_its_log() {
    let Some(_machine) = machine() else { return };
    let drives = Drives::new();
    let drive = drives.partitioned("drive.qcow2");
    let outcome = build(&Caller::Current, &drive)
        .element_file("fails", "install.d/50-fails", "#!/bin/sh\nexit 3\n")
        .args(["fetches", "fails", "safedib-fake-os"])
        .run();
    outcome
        .failure(1, &["hook `50-fails` of element `fails` failed"])
        .leaves(&[]);
    let raw = drives.0.path().join("after");
    tool(
        Command::new("qemu-img")
            .args(["convert", "-O", "raw"])
            .args([&drive, &raw]),
    );
    let part = PathBuf::from(format!("{}?offset=1048576", raw.display()));
    tool(Command::new("/sbin/e2fsck").arg("-fn").arg(&part));
    assert_eq!(
        debugfs(&part, "cat /home/.cache/image-create/fetched"),
        "once\n"
    );
    let logs = logs(&part);
    assert_eq!(logs.len(), 1, "{logs:?}");
    let log = debugfs(&part, &format!("cat /{}", logs[0]));
    assert!(
        log.contains("`50-fails` of element `fails` failed"),
        "{log}"
    );
}

#[test]
fn what_is_no_drive_is_told_before_a_machine_is_started() {
    let Some(_machine) = machine() else { return };
    let caller = &callers()[0];
    let drives = Drives::new();
    let drive = drives.whole("drive.img", 8);
    drives.give_to(caller);
    let fails = |drive: &Path, words: &[&str], texts: &[&str]| {
        let outcome = build(caller, drive)
            .args(words.iter().copied())
            .args(["fetches", "safedib-one-file"])
            .run();
        assert!(!outcome.stdout.contains("microvm started"), "{outcome}");
        outcome.failure(1, texts).leaves(&[]);
    };
    let absent = drives.0.path().join("absent");
    fails(
        &absent,
        &[],
        &["cannot use", "absent as helper drive", "mkfs.ext4"],
    );
    fails(
        drives.0.path(),
        &[],
        &["is a directory, and a helper drive is a file"],
    );
    fails(Path::new("/dev/vda"), &[], &["is a device of this host"]);
    let qcow2 = ["--drive-format", "qcow2"];
    fails(
        &drive,
        &qcow2,
        &["is no disk of format 'qcow2'", "leave out --drive-format"],
    );
    fails(
        &drive,
        &["--drive-format", "floppy"],
        &["is no disk of format 'floppy'"],
    );
    let held = fs::File::open(&drive).unwrap();
    let held = nix::fcntl::Flock::lock(held, nix::fcntl::FlockArg::LockExclusiveNonblock).unwrap();
    fails(&drive, &[], &["another build is using the helper drive"]);
    drop(held);
    if caller != &Caller::Current {
        fs::set_permissions(&drive, fs::Permissions::from_mode(0o444)).unwrap();
        fails(
            &drive,
            &[],
            &["Permission denied", "for reading and writing"],
        );
    }
}

#[test]
fn what_the_machine_cannot_use_is_told_with_the_way_out() {
    let Some(_machine) = machine() else { return };
    let caller = &callers()[0];
    let drives = Drives::new();
    let (empty, table, fat) = (
        drives.file("empty", 8),
        drives.file("table", 8),
        drives.file("fat", 8),
    );
    let file = fs::OpenOptions::new().write(true).open(&table).unwrap();
    let entry = [[0u8; 64].as_slice(), &[0x55, 0xaa]].concat();
    file.write_all_at(&[1, 2, 3, 4], 440).unwrap();
    file.write_all_at(&entry, 446).unwrap();
    tool(Command::new("/sbin/mkfs.vfat").arg(&fat));
    let small = drives.whole("small", 8);
    drives.give_to(caller);
    let fails = |drive: &Path, texts: &[&str]| {
        let run = build(caller, drive)
            .element_file(
                "fetches",
                "root.d/06-much",
                "#!/bin/sh\nhead -c 9000000 /dev/zero > $DIB_IMAGE_CACHE/much\n",
            )
            .args(["fetches", "safedib-one-file"]);
        run.run().failure(1, texts).leaves(&[]);
    };
    fails(&empty, &["the helper drive has no filesystem", "mkfs.ext4"]);
    fails(&table, &["no partitions found in the helper drive"]);
    fails(&fat, &["the helper drive has 'vfat'", "ext4"]);
    fails(
        &small,
        &[
            "the helper drive is too small: 9 MiB are to be written",
            "larger drive",
        ],
    );
    tool(Command::new("/sbin/e2fsck").arg("-fn").arg(&small));
    assert_eq!(logs(&small).len(), 1);
}
