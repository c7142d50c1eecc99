//! What was typed, option by option, before anything is looked up.

use crate::request::resolved::{MachineReadable, OutputFormat};

use super::error::Error;
use super::getopt::{Item, Parser};
use super::table::{OptionId, OptionSpec};
use super::{help, values};

/// The command in its messages, whatever it was called by.
pub const PROGRAM: &str = "virt-dib";

/// How messages look, as far as the command line has said when one is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Style {
    /// `--colours`
    pub colours: bool,
    /// `--wrap`
    pub wrap: bool,
    /// `-q`
    pub quiet: bool,
    /// `-v`
    pub verbose: bool,
    /// `-x`
    pub trace: bool,
    /// `--no-progress`
    pub no_progress: bool,
    /// `--machine-readable`
    pub machine_readable: Option<MachineReadable>,
}

/// A command line that asks for a build.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// `--arch`, not empty
    pub arch: Option<String>,
    /// `-B`
    pub basepath: String,
    /// `--checksum`
    pub checksum: bool,
    /// `--debug`
    pub debug: u32,
    /// `--debug-gc`
    pub debug_gc: bool,
    /// `--docker-target`
    pub docker_target: Option<String>,
    /// `--drive`
    pub drive: Option<String>,
    /// `--drive-format`
    pub drive_format: Option<String>,
    /// `--element-path`, in order
    pub element_paths: Vec<String>,
    /// Elements, in order
    pub elements: Vec<String>,
    /// `--envvar`, in order: names with a value, or without
    pub envvars: Vec<String>,
    /// `--exclude-element`
    pub excluded_elements: Vec<String>,
    /// `--exclude-script`
    pub excluded_scripts: Vec<String>,
    /// `--extra-packages`, split at commas
    pub extra_packages: Vec<String>,
    /// `--formats`, sorted by name as they are made
    pub formats: Vec<OutputFormat>,
    /// `--fs-type`
    pub fs_type: Option<String>,
    /// `--image-cache`
    pub image_cache: Option<String>,
    /// `--install-type`
    pub install_type: Option<String>,
    /// `--memsize`
    pub memsize: Option<i64>,
    /// `--mkfs-options`
    pub mkfs_options: Option<String>,
    /// `--name`
    pub name: String,
    /// Not `--no-delete-on-failure`
    pub delete_on_failure: bool,
    /// Not `--no-network`
    pub network: bool,
    /// `--python`
    pub python: Option<String>,
    /// `--qemu-img-options`
    pub qemu_img_options: Option<String>,
    /// `--ramdisk`
    pub ramdisk: bool,
    /// `--ramdisk-element`
    pub ramdisk_element: String,
    /// `--report`, in order
    pub reports: Vec<String>,
    /// `--report-against`
    pub report_against: Option<String>,
    /// `--root-label`
    pub root_label: Option<String>,
    /// `--size`, bytes; 5 GiB without the option
    pub size: Option<u64>,
    /// `--skip-base`
    pub skip_base: bool,
    /// `--smp`
    pub smp: Option<i64>,
    /// Not `-u`
    pub compress: bool,
    /// All words, the command's own name first
    pub words: Vec<String>,
}

impl Line {
    fn new(words: &[String]) -> Self {
        Line {
            arch: None,
            basepath: String::new(),
            checksum: false,
            debug: 0,
            debug_gc: false,
            docker_target: None,
            drive: None,
            drive_format: None,
            element_paths: Vec::new(),
            elements: Vec::new(),
            envvars: Vec::new(),
            excluded_elements: Vec::new(),
            excluded_scripts: Vec::new(),
            extra_packages: Vec::new(),
            formats: vec![OutputFormat::Qcow2],
            fs_type: None,
            image_cache: None,
            install_type: None,
            memsize: None,
            mkfs_options: None,
            name: "image".to_owned(),
            delete_on_failure: true,
            network: true,
            python: None,
            qemu_img_options: None,
            ramdisk: false,
            ramdisk_element: "ramdisk".to_owned(),
            reports: Vec::new(),
            report_against: None,
            root_label: None,
            size: None,
            skip_base: false,
            smp: None,
            compress: true,
            words: std::iter::once(PROGRAM.to_owned())
                .chain(words.iter().cloned())
                .collect(),
        }
    }
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// Print this on stdout and exit with 0.
    Text(String),
    /// Print the version on stdout and exit with 0.
    Version,
    /// Print this where `--machine-readable` says and exit with 0.
    Listing(String),
    /// Build something.
    Build(Box<Line>),
}

/// Parses the words after the command's name. `style` is what messages look
/// like by the time that the result is known.
///
/// # Errors
/// The first thing that is wrong, in the order of the words.
pub fn parse(words: &[String], posixly_correct: bool, style: &mut Style) -> Result<Parsed, Error> {
    let mut line = Line::new(words);
    let mut parser = Parser::new(words, posixly_correct);
    loop {
        match parser.advance().map_err(Error::usage)? {
            Item::Operands(operands) => {
                line.elements = operands;
                break;
            }
            Item::Option(option, value) => {
                if let Some(answer) = answer(option) {
                    return Ok(answer);
                }
                let value = value.as_deref();
                if !styled(option.id, value, style)? && !switched(option.id, &mut line) {
                    set(option.id, value.unwrap_or_default(), &mut line)?;
                }
            }
        }
    }
    if line.elements.is_empty() && style.machine_readable.is_some() {
        return Ok(Parsed::Listing(help::listing()));
    }
    if line.basepath.is_empty() {
        return Err(Error::NoBasepath);
    }
    if line.elements.is_empty() {
        return Err(Error::NoElements);
    }
    Ok(Parsed::Build(Box::new(line)))
}

/// Options that end the command where they stand.
fn answer(option: &OptionSpec) -> Option<Parsed> {
    match option.id {
        OptionId::Help => Some(Parsed::Text(help::help())),
        OptionId::ShortOptions => Some(Parsed::Text(help::short_options())),
        OptionId::LongOptions => Some(Parsed::Text(help::long_options())),
        OptionId::Version => Some(Parsed::Version),
        _ => None,
    }
}

/// Options about messages.
fn styled(id: OptionId, value: Option<&str>, style: &mut Style) -> Result<bool, Error> {
    match id {
        OptionId::Colours => style.colours = true,
        OptionId::Wrap => style.wrap = true,
        OptionId::Quiet => style.quiet = true,
        OptionId::Verbose => style.verbose = true,
        OptionId::Trace => style.trace = true,
        OptionId::NoProgress => style.no_progress = true,
        OptionId::MachineReadable => {
            style.machine_readable = Some(values::machine_readable(value)?);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Options without a value.
fn switched(id: OptionId, line: &mut Line) -> bool {
    match id {
        OptionId::Checksum => line.checksum = true,
        OptionId::DebugGc => line.debug_gc = true,
        OptionId::Network => line.network = true,
        OptionId::NoNetwork => line.network = false,
        OptionId::NoDeleteOnFailure => line.delete_on_failure = false,
        OptionId::Ramdisk => line.ramdisk = true,
        OptionId::SkipBase => line.skip_base = true,
        OptionId::Uncompressed => line.compress = false,
        _ => return false,
    }
    true
}

/// Options with a value.
fn set(id: OptionId, value: &str, line: &mut Line) -> Result<(), Error> {
    let text = || Some(value.to_owned());
    match id {
        OptionId::Arch => line.arch = text().filter(|arch| !arch.is_empty()),
        OptionId::Basepath => value.clone_into(&mut line.basepath),
        OptionId::Debug => line.debug = values::debug(value)?,
        OptionId::DockerTarget => line.docker_target = text(),
        OptionId::Drive => line.drive = text(),
        OptionId::DriveFormat => line.drive_format = text(),
        OptionId::ElementPath => line.element_paths.extend(text()),
        OptionId::Envvar => line.envvars.extend(text()),
        OptionId::ExcludeElement => line.excluded_elements.extend(text()),
        OptionId::ExcludeScript => line.excluded_scripts.extend(text()),
        OptionId::ExtraPackages => {
            let names = value.split(',').filter(|name| !name.is_empty());
            line.extra_packages.extend(names.map(str::to_owned));
        }
        OptionId::Formats => line.formats = values::formats(value)?,
        OptionId::FsType => line.fs_type = text(),
        OptionId::ImageCache => line.image_cache = text(),
        OptionId::InstallType => line.install_type = text(),
        OptionId::Memsize => line.memsize = Some(values::integer(value)?),
        OptionId::MkfsOptions => line.mkfs_options = text(),
        OptionId::Name => value.clone_into(&mut line.name),
        OptionId::Python => line.python = text(),
        OptionId::QemuImgOptions => line.qemu_img_options = text(),
        OptionId::RamdiskElement => value.clone_into(&mut line.ramdisk_element),
        OptionId::Report => line.reports.extend(text()),
        OptionId::ReportAgainst => line.report_against = text(),
        OptionId::RootLabel => line.root_label = text(),
        OptionId::Size => line.size = Some(values::size(value)?),
        OptionId::Smp => line.smp = Some(values::integer(value)?),
        _ => {}
    }
    Ok(())
}
