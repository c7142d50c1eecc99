//! `safedib boot` itself, with a disk that is nothing but a boot sector.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::common::{callers, tool, Caller, Run};
use crate::guest::{missing, Guest};
use crate::processes::{descendants, wait_until_gone};
use crate::pty::AtTerminal;

/// Code of a boot sector: it waits for four ticks of the clock, by which SeaBIOS
/// has printed what it holds back, prints the first text on the serial port, echoes what
/// is typed there up to Enter, writes itself to the second sector by the BIOS (the
/// second text: it was done; the third: it was not), and switches the machine off.
const CODE: [u8; 89] = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb, 0xb9, 0x04, 0x00,
    0xf4, 0xe2, 0xfd, 0xbe, 0x59, 0x7c, 0xe8, 0x34, 0x00, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74,
    0xf8, 0xba, 0xf8, 0x03, 0xec, 0xee, 0x3c, 0x0d, 0x75, 0xef, 0xb8, 0x01, 0x03, 0xbb, 0x00, 0x7c,
    0xb9, 0x02, 0x00, 0xba, 0x80, 0x00, 0xcd, 0x13, 0xbe, 0x83, 0x7c, 0x72, 0x03, 0xbe, 0x70, 0x7c,
    0xe8, 0x0a, 0x00, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd, 0xba, 0xf8, 0x03,
    0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, 0xc3,
];
/// The code knows where each of them begins.
const TEXTS: [&str; 3] = [
    "the sector runs\r\nkey: \0",
    "\r\nit was written\r\n\0",
    "\r\nit was refused\r\n\0",
];

/// Seconds that a machine may take to its first word, emulated, on a busy host.
const SOON: u64 = 120;

/// Whether machines can be started; said why not.
fn able() -> bool {
    let missing = missing();
    if !missing.is_empty() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no {missing:?}");
        eprintln!("no {missing:?} (scripts/setup installs them): not tested");
    }
    missing.is_empty()
}

fn sector() -> Vec<u8> {
    let mut disk = vec![0u8; 1 << 20];
    let texts = TEXTS.concat();
    let code = CODE.iter().copied().chain(texts.bytes());
    for (byte, code) in disk.iter_mut().zip(code) {
        *byte = code;
    }
    disk[446..462].copy_from_slice(&[0x80, 0, 2, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0xff, 0x07, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// `safedib boot` of a file in the run's directory.
fn boot(caller: &Caller, name: &str, content: &[u8], words: &[&str]) -> Run {
    let run = Run::new(caller, "safedib").args(["boot", "--accel", "tcg"]);
    put(&run, name, content);
    run.args(words.iter().copied()).args([name])
}

fn put(run: &Run, name: &str, content: &[u8]) -> PathBuf {
    let file = run.dir.join(name);
    fs::write(&file, content).unwrap();
    run.give(&file);
    file
}

fn qemu_img(run: &Run, words: &[&str]) {
    tool(Command::new("qemu-img").args(words).current_dir(&run.dir));
    let made = run.dir.join(words.last().unwrap());
    if made.exists() {
        run.give(&made);
    }
}

/// All that a write could change.
fn state(file: &Path) -> (String, i64, i64, u64) {
    let sum = tool(Command::new("sha256sum").arg(file));
    let found = fs::metadata(file).unwrap();
    (sum, found.mtime(), found.mtime_nsec(), found.blocks())
}

#[test]
fn what_the_guest_writes_never_reaches_the_image() {
    if !able() {
        return;
    }
    for caller in callers() {
        for format in ["raw", "qcow2", "vmdk"] {
            let run = Run::new(&caller, "safedib");
            let raw = put(&run, "disk.raw", &sector());
            let name = format!("a,b:disk.{format}");
            match format {
                "raw" => fs::rename(&raw, run.dir.join(&name)).unwrap(),
                _ => qemu_img(
                    &run,
                    &[
                        "convert",
                        "-f",
                        "raw",
                        "-O",
                        format,
                        "disk.raw",
                        &format!("./{name}"),
                    ],
                ),
            }
            let file = run.dir.join(&name);
            // Neither the file nor its directory needs to be writable.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
            let before = state(&file);
            let words = ["boot", "--accel", "tcg", "--expect", "key: ", "--send", "x"];
            let more = ["--expect", "it was written", "--timeout", "120"];
            let run = run.args(words).args(more).args([&name]);
            let outcome = run.run().success();
            assert!(
                outcome.stdout.contains("the sector runs\nkey: "),
                "{outcome}"
            );
            let told = format!("{name} ({format}): BIOS: an MBR, boot code");
            assert!(outcome.stderr.contains(&told), "{outcome}");
            assert!(outcome.stderr.contains("TCG: --accel says so"), "{outcome}");
            assert_eq!(state(&file), before, "{format}");
        }
    }
}

#[test]
fn what_is_not_seen_is_told_with_the_last_lines() {
    if !able() {
        return;
    }
    let caller = callers().swap_remove(0);
    let expect = |words: &[&str]| boot(&caller, "disk.raw", &sector(), words);
    expect(&["--expect", "never", "--timeout", "20"])
        .run()
        .failure(
            1,
            &[
                "no 'never' within 20 s",
                "last lines of the console:",
                "    Booting from Hard Disk...\n    the sector runs",
            ],
        );
    let off = expect(&["--expect", "key: ", "--send", "", "--expect", "never"]).run();
    let off = off.failure(1, &["no 'never' before the machine switched itself off"]);
    assert!(off.took < Duration::from_secs(280), "{off}");
    // SeaBIOS itself says so.
    let empty = ["--firmware", "bios", "--expect", "never"];
    boot(&caller, "empty.raw", &[0; 1 << 20], &empty)
        .run()
        .failure(1, &["no 'never' but 'No bootable device'"]);
}

#[test]
fn standard_input_is_typed_where_nothing_is_expected() {
    if !able() {
        return;
    }
    let caller = callers().swap_remove(0);
    let run = boot(&caller, "disk.raw", &sector(), &[]);
    let mut guest = Guest::start(&mut run.command());
    let limit = Duration::from_secs(SOON);
    let mut talk = || {
        guest.wait_for("key: ", limit)?;
        guest.send("typed\r")?;
        // Nothing is left out here.
        guest.wait_for("typed\r\r\nit was written\r\n", limit)
    };
    talk().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_terminal_is_the_machines_until_it_is_left() {
    if !able() {
        return;
    }
    for caller in callers() {
        let run = boot(&caller, "disk.raw", &sector(), &[]);
        let mut terminal = AtTerminal::start(run.command());
        terminal.expect("Ctrl-] ends the machine", SOON);
        terminal.expect("key: ", SOON);
        assert!(!terminal.is_cooked());
        // Neither ends anything here.
        terminal.keys("\x03\x1a");
        terminal.keys("abc");
        terminal.expect("abc", 20);
        terminal.keys("\x1d");
        assert_eq!(terminal.status(20), 0, "{}", terminal.screen());
        assert!(terminal.is_cooked());
        run.assert_nothing_left();
    }
    let caller = callers().swap_remove(0);
    for (signal, status) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
        (Signal::SIGKILL, 137),
    ] {
        let run = boot(&caller, "disk.raw", &sector(), &[]);
        let mut terminal = AtTerminal::start(run.command());
        terminal.expect("key: ", SOON);
        let all = descendants(terminal.child.id() as i32);
        assert!(all
            .values()
            .any(|(_, command)| command.contains("qemu-system")));
        terminal.signal(signal);
        assert_eq!(terminal.status(20), status, "{}", terminal.screen());
        terminal.wait_cooked(true);
        wait_until_gone(&all);
        run.assert_nothing_left();
    }
    // Ctrl-C of a talk, which leaves the terminal alone.
    let words = ["--expect", "never"];
    let run = boot(&caller, "disk.raw", &sector(), &words);
    let mut terminal = AtTerminal::start(run.command());
    terminal.expect("key: ", SOON);
    assert!(terminal.is_cooked());
    terminal.keys("\x03");
    assert_eq!(terminal.status(20), 130, "{}", terminal.screen());
    run.assert_nothing_left();
}

/// A disk whose GPT has partitions of these types, by their first bytes.
fn gpt(types: &[[u8; 16]]) -> Vec<u8> {
    let mut disk = vec![0u8; 4 << 20];
    disk[446 + 4] = 0xee;
    disk[446 + 12] = 1;
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[512..520].copy_from_slice(b"EFI PART");
    disk[512 + 72] = 2;
    disk[512 + 80] = 128;
    disk[512 + 84] = 128;
    for (index, kind) in types.iter().enumerate() {
        disk[1024 + index * 128..][..16].copy_from_slice(kind);
    }
    disk
}

const EFI_SYSTEM: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];

#[test]
fn an_efi_system_partition_asks_for_uefi() {
    if !able() {
        return;
    }
    let caller = callers().swap_remove(0);
    let words = ["--expect", "UEFI Interactive Shell", "--timeout", "240"];
    let run = boot(&caller, "disk.raw", &gpt(&[EFI_SYSTEM]), &words);
    let outcome = run.run().success();
    let told = "UEFI: a GPT, an EFI system partition, no boot code";
    assert!(outcome.stderr.contains(told), "{outcome}");
}

#[test]
fn what_cannot_boot_is_refused_with_what_would() {
    if !able() {
        return;
    }
    let caller = callers().swap_remove(0);
    let refused = |name: &str, content: &[u8], texts: &[&str]| {
        let outcome = boot(&caller, name, content, &[]).run();
        outcome.failure(2, texts);
    };
    refused(
        "plain.raw",
        &[0; 1 << 20],
        &["has no partition table", "element vm"],
    );
    let other = gpt(&[[7; 16]]);
    refused(
        "data.raw",
        &other,
        &["has a GPT, no boot code: no firmware", "bootloader"],
    );
    let bad = b"QFI\xfb\0\0\0\x09 no such version of qcow2";
    refused("bad.qcow2", bad, &["is no disk image", "--format"]);
    refused(
        "x.kernel",
        b"kernel",
        &["cannot read x.initramfs: No such file"],
    );
    let arm = boot(&caller, "disk.raw", &gpt(&[EFI_SYSTEM]), &["-a", "arm64"]).run();
    if Path::new("/usr/bin/qemu-system-aarch64").exists() {
        eprintln!("this host has qemu-system-aarch64: that it is missing is not tested");
    } else {
        assert_eq!(arm.status, 2, "{arm}");
        let said = |text: &str| arm.stderr.contains(text);
        let missing = said("does not have qemu-system-aarch64") && said("qemu-system-arm");
        assert!(missing || said("apt-get install qemu-efi-aarch64"), "{arm}");
    }
    // What is missing has a neighbour.
    let run = Run::new(&caller, "safedib").args(["boot", "out/image"]);
    fs::create_dir(run.dir.join("out")).unwrap();
    fs::write(run.dir.join("out/image.qcow2"), "").unwrap();
    run.run()
        .failure(2, &["cannot read out/image", "there is out/image.qcow2"]);
}

/// An image names files of whoever boots it: the guest would read them.
#[test]
fn an_image_that_is_made_of_other_files_is_refused() {
    if !able() {
        return;
    }
    let caller = callers().swap_remove(0);
    let run = Run::new(&caller, "safedib").args(["boot", "overlay.qcow2"]);
    put(&run, "secret", &sector());
    qemu_img(
        &run,
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            "secret",
            "overlay.qcow2",
        ],
    );
    run.run()
        .failure(2, &["refers to another file, secret", "qemu-img convert"]);
    // A raw disk whose guest has written such a header stays raw.
    let run = Run::new(&caller, "safedib");
    put(&run, "secret", &sector());
    qemu_img(
        &run,
        &[
            "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "secret", "disk.raw",
        ],
    );
    run.args(["boot", "disk.raw"])
        .run()
        .failure(2, &["disk.raw has no partition table"]);
}
