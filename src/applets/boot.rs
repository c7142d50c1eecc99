//! `safedib boot IMAGE`: boots an image at this terminal.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use thiserror::Error as ThisError;

use crate::boot::{self, AccelChoice, Arch, Ended, Firmware, Kernel, NetworkKind, Options, Talk};
use crate::error::{tell, Error, Explain};
use crate::manual::{Manual, Operands, Options as Listed};

use super::{fail, print};

/// The manual.
pub(super) static MANUAL: Manual = Manual {
    name: "boot",
    summary: "boot an image at this terminal, without writing to it",
    usage: &["[OPTION]... IMAGE", "[OPTION]... NAME.kernel"],
    description: &[
        "Boots a disk image in a virtual machine, with its serial console at this terminal. Nothing is ever written to \
         IMAGE. NAME.kernel of `ramdisk-image-create` is started with NAME.initramfs. Ctrl-] ends the machine; so does \
         switching it off inside.",
        "With `--expect` or `--send` the terminal is not connected: the console is only shown.",
    ],
    options: Listed::Listed(&[
        (
            "--expect TEXT",
            "wait until the console shows TEXT, and end; may be repeated: one after the other",
        ),
        ("--send LINE", "type LINE at that point of the talk"),
        ("--timeout SECONDS", "how long all of the talk may take (300)"),
        (
            "--firmware bios|efi",
            "what the machine starts with (told from the image)",
        ),
        (
            "--format FORMAT",
            "format of IMAGE (found by qemu-img; *.raw is raw)",
        ),
        ("-a, --arch amd64|arm64", "architecture (this host's)"),
        (
            "--kernel FILE",
            "start this kernel, with IMAGE, if there is one, as its disk",
        ),
        ("--initramfs FILE", "with this initramfs"),
        ("--append WORDS", "and these words on its command line"),
        ("--memsize MIB", "memory (2048)"),
        ("--smp N", "processors (1; up to 4 with KVM)"),
        (
            "--accel auto|kvm|tcg",
            "what runs it (auto: KVM if builds here have found it to work)",
        ),
        (
            "--network none|isolated|outbound",
            "none; a DHCP server and nothing else; the way out (none)",
        ),
        ("-h, --help", "show this text"),
    ]),
    operands: Operands::Files,
    statuses: &[
        ("0", "all was seen, or the machine has ended"),
        ("1", "something expected was not seen in time"),
        ("2", "nothing can be booted"),
        ("128+N", "signal N has ended it"),
    ],
    examples: &[
        ("At this terminal:", "safedib boot image.qcow2"),
        (
            "In a script:",
            "safedib boot --expect 'login: ' --timeout 120 image.qcow2",
        ),
    ],
    see_also: &["disk-image-create", "safedib-shell"],
    ..Manual::EMPTY
};

#[derive(Debug, ThisError)]
enum BootError {
    #[error("boot does not know '{0}'")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(String),
    #[error("{option} does not take '{value}'")]
    BadValue {
        option: &'static str,
        value: String,
        takes: &'static str,
    },
    #[error("boot takes one image")]
    TwoImages,
    #[error("{0} is only of use with {1}")]
    Only(&'static str, &'static str),
    #[error(
        "machines cannot have this host's architecture, {}",
        std::env::consts::ARCH
    )]
    NoArch,
}

impl Explain for BootError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            BootError::BadValue { takes, .. } => format!("it takes {takes}"),
            BootError::Only(option, other) => format!("leave {option} out, or give {other}"),
            BootError::NoArch => "give --arch amd64 or arm64".into(),
            _ => "safedib boot image.qcow2, or safedib boot --help".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        2
    }
}

/// Boots.
pub fn run(name: &str, words: &[OsString]) -> ExitCode {
    let options = match options(words) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(&MANUAL.help());
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(name, &error.into()),
    };
    if options.script.is_empty() {
        tell!("{name}: Ctrl-] ends the machine");
    }
    let booted = boot::run(&options, &mut |line| tell!("{name}: {line}"));
    match booted.map_err(Error::from) {
        Ok(ended) => status(name, ended),
        Err(error) => fail(name, &error),
    }
}

fn status(name: &str, ended: Ended) -> ExitCode {
    match ended {
        Ended::Seen | Ended::Off | Ended::Left => ExitCode::SUCCESS,
        Ended::NotSeen { why, tail } => {
            tell!("\n{name}: {why}");
            if !tail.is_empty() {
                tell!("last lines of the console:\n    {}", tail.join("\n    "));
            }
            ExitCode::FAILURE
        }
        Ended::Signal(number) => {
            let status = number.saturating_add(128);
            u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

/// What the words say; `None` for `--help`.
fn options(words: &[OsString]) -> Result<Option<Options>, BootError> {
    let mut given = Given::default();
    let mut words = words.iter();
    let mut only_operands = false;
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if only_operands || !text.starts_with('-') || text == "-" {
            if given.operand.replace(PathBuf::from(word)).is_some() {
                return Err(BootError::TwoImages);
            }
            continue;
        }
        if text == "--" {
            only_operands = true;
            continue;
        }
        let (option, joined) = split(word);
        if (option == "--help" || option == "-h") && joined.is_none() {
            return Ok(None);
        }
        let Some(set) = setter(&option) else {
            return Err(BootError::Unknown(text.into_owned()));
        };
        let value = joined.or_else(|| words.next().cloned());
        let value = value.ok_or(BootError::NoValue(option))?;
        set(&mut given, &value)?;
    }
    given.finish().map(Some)
}

/// A long option and the value that is joined to it.
fn split(word: &OsStr) -> (String, Option<OsString>) {
    let bytes = word.as_encoded_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=');
    match at.filter(|_| bytes.starts_with(b"--")) {
        Some(at) => {
            let (option, value) = bytes.split_at(at);
            let value = value.get(1..).unwrap_or_default();
            (
                String::from_utf8_lossy(option).into_owned(),
                Some(OsStr::from_bytes(value).to_owned()),
            )
        }
        None => (word.to_string_lossy().into_owned(), None),
    }
}

/// The words, before they are put together.
#[derive(Default)]
struct Given {
    operand: Option<PathBuf>,
    script: Vec<Talk>,
    timeout: Option<Duration>,
    firmware: Option<Firmware>,
    format: Option<String>,
    arch: Option<Arch>,
    kernel: Option<PathBuf>,
    initramfs: Option<PathBuf>,
    append: Option<String>,
    memory: Option<u64>,
    processors: Option<u32>,
    accel: Option<AccelChoice>,
    network: Option<NetworkKind>,
}

type Setter = fn(&mut Given, &OsStr) -> Result<(), BootError>;

/// What takes the value of an option.
fn setter(option: &str) -> Option<Setter> {
    let setter: Setter = match option {
        "--expect" => |given, value| {
            let text = words_of("--expect", value)?;
            given.script.push(Talk::Expect(text));
            Ok(())
        },
        "--send" => |given, value| {
            let line = value.to_string_lossy().into_owned();
            given.script.push(Talk::Send(line));
            Ok(())
        },
        "--timeout" => |given, value| {
            let seconds = number("--timeout", value)?;
            given.timeout = Some(Duration::from_secs(seconds));
            Ok(())
        },
        "--firmware" => |given, value| {
            given.firmware = Some(match value.to_str() {
                Some("bios") => Firmware::Bios,
                Some("efi" | "uefi") => Firmware::Efi,
                _ => return Err(bad("--firmware", value, "bios or efi")),
            });
            Ok(())
        },
        "--format" => |given, value| {
            given.format = Some(words_of("--format", value)?);
            Ok(())
        },
        "-a" | "--arch" => |given, value| {
            let arch = value.to_str().and_then(Arch::named);
            given.arch = Some(arch.ok_or_else(|| bad("--arch", value, "amd64 or arm64"))?);
            Ok(())
        },
        "--kernel" => |given, value| {
            given.kernel = Some(value.into());
            Ok(())
        },
        "--initramfs" | "--initrd" => |given, value| {
            given.initramfs = Some(value.into());
            Ok(())
        },
        "--append" => |given, value| {
            given.append = Some(value.to_string_lossy().into_owned());
            Ok(())
        },
        "--memsize" => |given, value| {
            given.memory = Some(number("--memsize", value)?);
            Ok(())
        },
        "--smp" => |given, value| {
            let count = number("--smp", value)?;
            let count = u32::try_from(count).map_err(|_| bad("--smp", value, NUMBER))?;
            given.processors = Some(count);
            Ok(())
        },
        "--accel" => |given, value| {
            given.accel = Some(match value.to_str() {
                Some("auto") => AccelChoice::Auto,
                Some("kvm") => AccelChoice::Kvm,
                Some("tcg") => AccelChoice::Tcg,
                _ => return Err(bad("--accel", value, "auto, kvm or tcg")),
            });
            Ok(())
        },
        "--network" => |given, value| {
            given.network = Some(match value.to_str() {
                Some("none") => NetworkKind::None,
                Some("isolated") => NetworkKind::Isolated,
                Some("outbound") => NetworkKind::Outbound,
                _ => return Err(bad("--network", value, "none, isolated or outbound")),
            });
            Ok(())
        },
        _ => return None,
    };
    Some(setter)
}

const NUMBER: &str = "a whole number from 1 on";

fn bad(option: &'static str, value: &OsStr, takes: &'static str) -> BootError {
    BootError::BadValue {
        option,
        value: value.to_string_lossy().into_owned(),
        takes,
    }
}

fn number(option: &'static str, value: &OsStr) -> Result<u64, BootError> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number
        .filter(|number| (1..=u64::from(u32::MAX)).contains(number))
        .ok_or_else(|| bad(option, value, NUMBER))
}

fn words_of(option: &'static str, value: &OsStr) -> Result<String, BootError> {
    match value.to_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(bad(option, value, "a text")),
    }
}

impl Given {
    fn finish(self) -> Result<Options, BootError> {
        let (image, kernel) = self.what()?;
        if self.timeout.is_some() && self.script.is_empty() {
            return Err(BootError::Only("--timeout", "--expect"));
        }
        if self.firmware.is_some() && kernel.is_some() {
            return Err(BootError::Only("--firmware", "an image that starts itself"));
        }
        Ok(Options {
            format: self.format,
            firmware: self.firmware,
            arch: self.arch.or_else(Arch::of_host).ok_or(BootError::NoArch)?,
            accel: self.accel.unwrap_or(AccelChoice::Auto),
            memory_mib: self.memory.unwrap_or(2048),
            processors: self.processors,
            network: self.network.unwrap_or(NetworkKind::None),
            script: self.script,
            timeout: self.timeout.unwrap_or(Duration::from_secs(300)),
            image,
            kernel,
        })
    }

    /// The image and the kernel. A kernel of `ramdisk-image-create` brings its
    /// initramfs.
    fn what(&self) -> Result<(Option<PathBuf>, Option<Kernel>), BootError> {
        let append = self.append.clone().unwrap_or_default();
        let is_kernel = |path: &&PathBuf| path.extension().is_some_and(|name| name == "kernel");
        let own = self.operand.as_ref().filter(is_kernel);
        match (&self.kernel, own) {
            (Some(file), _) => Ok((
                self.operand.clone(),
                Some(Kernel {
                    file: file.clone(),
                    initramfs: self.initramfs.clone(),
                    append,
                }),
            )),
            (None, Some(file)) => Ok((
                None,
                Some(Kernel {
                    file: file.clone(),
                    initramfs: self.initramfs.clone().or_else(|| Some(initramfs_of(file))),
                    append,
                }),
            )),
            (None, None) if self.initramfs.is_some() => {
                Err(BootError::Only("--initramfs", "--kernel"))
            }
            (None, None) if self.append.is_some() => Err(BootError::Only("--append", "--kernel")),
            (None, None) => Ok((self.operand.clone(), None)),
        }
    }
}

fn initramfs_of(kernel: &Path) -> PathBuf {
    kernel.with_extension("initramfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Option<Options>, String> {
        let words: Vec<OsString> = line.iter().map(OsString::from).collect();
        options(&words).map_err(|error| error.to_string())
    }

    fn parsed(line: &[&str]) -> Options {
        parse(line).unwrap().unwrap()
    }

    #[test]
    fn a_talk_keeps_its_order() {
        let options = parsed(&[
            "image.qcow2",
            "--expect",
            "login: ",
            "--send",
            "root",
            "--expect=# ",
            "--timeout",
            "9",
        ]);
        let expected = [
            Talk::Expect("login: ".into()),
            Talk::Send("root".into()),
            Talk::Expect("# ".into()),
        ];
        assert_eq!(options.script, expected);
        assert_eq!(options.timeout, Duration::from_secs(9));
        assert_eq!(options.image, Some("image.qcow2".into()));
        assert_eq!(options.network, NetworkKind::None);
    }

    #[test]
    fn a_kernel_of_ours_brings_its_initramfs() {
        let kernel = parsed(&["out/rd.kernel", "--append", "x=1 y"])
            .kernel
            .unwrap();
        assert_eq!(kernel.initramfs, Some("out/rd.initramfs".into()));
        assert_eq!(kernel.append, "x=1 y");
        let options = parsed(&["--kernel", "vmlinuz", "--", "-disk.raw"]);
        assert_eq!(options.image, Some("-disk.raw".into()));
        assert_eq!(options.kernel.unwrap().initramfs, None);
    }

    #[test]
    fn what_is_meant_otherwise_is_refused() {
        assert_eq!(parse(&["--help"]), Ok(None));
        for (line, error) in [
            (vec!["a", "b"], "takes one image"),
            (vec!["--expect"], "--expect needs a value"),
            (vec!["--expect", "", "a"], "--expect does not take ''"),
            (vec!["--timeout", "5", "a"], "--timeout is only of use"),
            (vec!["--timeout", "0", "a"], "--timeout does not take '0'"),
            (vec!["--smp", "many", "a"], "--smp does not take 'many'"),
            (vec!["--network", "bridge", "a"], "--network does not take"),
            (vec!["--arch", "armhf", "a"], "--arch does not take 'armhf'"),
            (vec!["--initramfs", "x", "a"], "--initramfs is only of use"),
            (vec!["--append", "x", "a"], "--append is only of use"),
            (
                vec!["--firmware", "efi", "x.kernel"],
                "--firmware is only of use",
            ),
            (vec!["--snapshot", "a"], "does not know '--snapshot'"),
        ] {
            assert!(parse(&line).unwrap_err().contains(error), "{line:?}");
        }
    }
}
