//! From a command line of virt-dib to a request: its options become those of
//! disk-image-create wherever there is one, and the same code resolves them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::request::credentials::says_credential;
use crate::request::environment::Environment;
use crate::request::host::HostFacts;
use crate::request::options::OptionId;
use crate::request::raw::{NamedElements, RawRequest};
use crate::request::resolved::{
    BaseElements, BuildRequest, HelperDrive, MessageStyle, OutputFormat, DRIVE_CACHE, DRIVE_HOME,
};
use crate::request::variables;

use super::error::Error;
use super::line::{Line, Style, PROGRAM};

/// What elements see of the caller's environment besides `--envvar`: the engine
/// and its tools need it.
const KEPT: [&str; 6] = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];

/// Variables that would be a second way to say what an option says.
const OPTION_ONLY: [(&str, &str); 2] = [("ELEMENTS_PATH", "-p"), ("DIB_ELEMENTS_DIR", "-p")];

/// Size of the disk without `--size`, GiB.
const DEFAULT_SIZE_GIB: &str = "5";

/// What `LIBGUESTFS_DEBUG` and `LIBGUESTFS_TRACE` add to the style of messages.
pub fn settle(style: &mut Style, caller: &Environment) {
    let is_set = |name: &str| caller.filled(name).is_some_and(|value| value == "1");
    style.verbose |= is_set("LIBGUESTFS_DEBUG");
    style.trace |= is_set("LIBGUESTFS_TRACE");
}

/// Resolves a command line.
///
/// # Errors
/// Whatever is wrong with it.
pub fn resolve(
    line: &Line,
    style: &Style,
    caller: &Environment,
    host: &HostFacts,
) -> Result<BuildRequest, Error> {
    let basepath = host.real(&line.basepath);
    if !host.exists(&basepath.join("die")) {
        return Err(Error::NotTheLibrary(line.basepath.clone()));
    }
    let docker = !line.ramdisk && line.formats.contains(&OutputFormat::Docker);
    if docker && line.docker_target.is_none() {
        return Err(Error::NoDockerTarget);
    }
    let python = python(line, caller, host)?;
    let mut notices = Vec::new();
    let environment = environment(line, caller)?;
    let raw = RawRequest {
        program: PROGRAM.to_owned(),
        ramdisk: line.ramdisk,
        given: given(line, caller, &environment, &basepath, host),
        operands: line.elements.iter().map(OsString::from).collect(),
        words: line.words.iter().map(OsString::from).collect(),
        named_elements: Some(elements(line, host, &basepath, &mut notices)?),
    };
    let mut request = crate::request::resolve::resolve_in(&raw, &environment, caller, host)?;
    notices.extend(without_effect(line));
    request.notices.append(&mut notices);
    request.python = python;
    adapt(&mut request, line, style, &environment, caller, host);
    Ok(request)
}

/// Places of the host that every appliance shows, or can.
const SHOWN: [&str; 2] = ["/usr", "/bin"];

/// The interpreter of `--python`, if it is another than hooks get anyway.
fn python(line: &Line, caller: &Environment, host: &HostFacts) -> Result<Option<PathBuf>, Error> {
    let Some(python) = line.python.as_deref() else {
        return Ok(None);
    };
    let path = caller.get(variables::PATH.name).unwrap_or_default();
    let found = match python.contains('/') {
        true => Some(host.absolute(python)).filter(|path| host.exists(path)),
        false => host.find_program(path, python),
    };
    let found = found.ok_or_else(|| Error::NoProgram(python.to_owned()))?;
    let in_bin = found
        .parent()
        .is_some_and(|bin| host.real(bin) == Path::new("/usr/bin"));
    if in_bin && host.same_file(&found, Path::new("/usr/bin/python3")) {
        return Ok(None);
    }
    // A virtual environment is known by the path that leads to its link.
    let mut paths = [found.clone(), host.real(&found)].into_iter();
    match paths.find(|path| !SHOWN.iter().any(|tree| path.starts_with(tree))) {
        Some(hidden) => Err(Error::HiddenPython(hidden)),
        None => Ok(Some(found)),
    }
}

/// The environment of the build: nothing of the caller's but what its tools
/// cannot do without, and what `--envvar` names.
fn environment(line: &Line, caller: &Environment) -> Result<Environment, Error> {
    let kept = KEPT
        .iter()
        .filter_map(|name| Some((*name, caller.get(name)?.to_owned())));
    let mut environment: Environment = kept.collect();
    for word in &line.envvars {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(OsStr::new(value))),
            None => (word.as_str(), caller.get(word)),
        };
        if !crate::request::quoting::is_identifier(name.as_bytes()) {
            return Err(Error::BadVariable(word.clone()));
        }
        if let Some((_, option)) = OPTION_ONLY.iter().find(|(known, _)| *known == name) {
            return Err(Error::OptionVariable {
                name: name.to_owned(),
                option,
            });
        }
        if let Some(value) = value {
            environment.set(name, value);
        }
    }
    if line.debug > 0 {
        environment.set(variables::DIB_DEBUG_TRACE.name, line.debug.to_string());
    }
    if let Some(fs_type) = &line.fs_type {
        environment.set(variables::FS_TYPE.name, fs_type);
    }
    Ok(environment)
}

/// The options of disk-image-create that ask for the same.
fn given(
    line: &Line,
    caller: &Environment,
    environment: &Environment,
    basepath: &Path,
    host: &HostFacts,
) -> Vec<(OptionId, Option<OsString>)> {
    let formats: Vec<&str> = line.formats.iter().map(OutputFormat::name).collect();
    let number = |number: i64| number.to_string();
    let memory = caller.filled("LIBGUESTFS_MEMSIZE");
    let size = match line.size {
        Some(bytes) => Some(gib(bytes)),
        // What `--envvar` says is not undone by a default.
        None if environment.filled(variables::DIB_IMAGE_SIZE.name).is_some() => None,
        None => Some(DEFAULT_SIZE_GIB.to_owned()),
    };
    let text = |text: &Option<String>| text.clone().map(OsString::from);
    let values: [(OptionId, Option<OsString>); 15] = [
        (OptionId::Arch, text(&line.arch)),
        (OptionId::Output, Some(line.name.clone().into())),
        (
            OptionId::Types,
            Some(formats.join(",").into()).filter(|_| !line.ramdisk),
        ),
        (
            OptionId::Packages,
            Some(line.extra_packages.join(",").into()).filter(|_| !line.extra_packages.is_empty()),
        ),
        (OptionId::ImageSize, size.map(OsString::from)),
        (
            OptionId::ImageCache,
            line.image_cache.as_ref().map(|path| host.real(path).into()),
        ),
        (OptionId::MkfsOptions, text(&line.mkfs_options)),
        (OptionId::QemuImgOptions, text(&line.qemu_img_options)),
        (OptionId::ReportAgainst, text(&line.report_against)),
        (OptionId::RootLabel, text(&line.root_label)),
        (OptionId::InstallType, text(&line.install_type)),
        (OptionId::DockerTarget, text(&line.docker_target)),
        (
            OptionId::Memsize,
            line.memsize
                .map(number)
                .map(OsString::from)
                .or(memory.map(OsStr::to_owned)),
        ),
        (OptionId::Smp, line.smp.map(number).map(OsString::from)),
        (OptionId::Lib, Some(basepath.into())),
    ];
    let mut given: Vec<_> = values
        .into_iter()
        .filter_map(|(id, value)| Some((id, Some(value?))))
        .collect();
    if line.ramdisk {
        given.push((
            OptionId::RamdiskElement,
            Some(line.ramdisk_element.clone().into()),
        ));
    }
    let switches = [
        // The original builds on a disk below TMPDIR, and says so to elements.
        (OptionId::NoTmpfs, true),
        (OptionId::Uncompressed, !line.compress),
        (OptionId::SkipBase, line.skip_base),
        (OptionId::Checksum, line.checksum),
        (OptionId::Offline, !line.network),
        (OptionId::NoNetwork, !line.network),
    ];
    given.extend(
        switches
            .iter()
            .filter(|(_, on)| *on)
            .map(|(id, _)| (*id, None)),
    );
    let reports = line.reports.iter();
    given.extend(reports.map(|report| (OptionId::Report, Some(report.into()))));
    // The environment has nothing but what was named.
    given.push((OptionId::Envvar, Some("*".into())));
    given
}

/// Bytes as GiB, exactly, after rounding up to KiB.
fn gib(bytes: u64) -> String {
    let kib = bytes.div_ceil(1024);
    // A fraction of a power of two: exact while there are 53 bits.
    (kib as f64 / f64::from(1 << 20)).to_string()
}

/// The directories of `-p`, and upstream's own among them.
fn elements(
    line: &Line,
    host: &HostFacts,
    basepath: &Path,
    notices: &mut Vec<String>,
) -> Result<NamedElements, Error> {
    let mut path: Vec<PathBuf> = Vec::new();
    for given in &line.element_paths {
        let absolute = host.real(given);
        if !given.is_empty() && host.is_dir(&absolute) {
            path.push(absolute);
        } else {
            notices.push(format!(
                "-p '{given}' is not a directory and has no elements"
            ));
        }
    }
    if path.is_empty() {
        return Err(Error::NoElementPath(line.element_paths.clone()));
    }
    let beside = basepath.parent().map(|parent| parent.join("elements"));
    let base = path
        .iter()
        .find(|entry| Some(*entry) == beside.as_ref())
        .map(|path| BaseElements {
            path: path.clone(),
            origin: "beside the directory of -B".to_owned(),
        });
    Ok(NamedElements { path, base })
}

/// Options that the original does not mind and does nothing with.
fn without_effect(line: &Line) -> Vec<String> {
    let mut notices = Vec::new();
    if line.debug_gc {
        notices.push("--debug-gc has nothing to check: there is no garbage collector here");
    }
    if line.drive.is_none() && line.drive_format.is_some() {
        notices.push("--drive-format has no effect without --drive");
    }
    if line.ramdisk && line.formats != [OutputFormat::Qcow2] {
        notices.push("--formats has no effect with --ramdisk: elements write the ramdisk");
    }
    if !line.ramdisk && line.ramdisk_element != "ramdisk" {
        notices.push("--ramdisk-element has no effect without --ramdisk");
    }
    notices.into_iter().map(str::to_owned).collect()
}

/// What no option of disk-image-create says.
fn adapt(
    request: &mut BuildRequest,
    line: &Line,
    style: &Style,
    environment: &Environment,
    caller: &Environment,
    host: &HostFacts,
) {
    drop_unknown_block_device(request, line, host);
    request.excluded_elements = line.excluded_elements.clone();
    request.excluded_scripts = line.excluded_scripts.clone();
    request.keep_on_failure = !line.delete_on_failure;
    request.overwrite_old_image = true;
    if let Some(drive) = &line.drive {
        attach(request, drive, line, host);
    }
    request.size.fixed = true;
    request.ramdisk_by = Some("ironic-agent");
    let base_name = request.image_path().base_name;
    request.side_directory = Some(format!("{base_name}.d"));
    request
        .environment
        .insert(variables::IMAGE_NAME.name.into(), base_name.into());
    if environment.filled(variables::TMP_DIR.name).is_none() {
        let named = ["LIBGUESTFS_TMPDIR", "TMPDIR"];
        let named = named.iter().find_map(|name| caller.filled(name));
        request.tmp_dir = named.map_or("/tmp".into(), |path| host.real(path));
    }
    let absolute = |name| caller.filled(name).map(|path| host.real(path));
    request.machine.cache = absolute("LIBGUESTFS_CACHEDIR");
    request.machine.hypervisor = absolute("LIBGUESTFS_HV");
    request.extra_data_environment = extra_data_environment(request, caller);
    request.log.no_timestamp = true;
    request.log.verbose = style.verbose;
    request.log.trace = style.trace;
    request.log.no_progress = style.no_progress;
    request.log.messages = Some(MessageStyle {
        colours: style.colours,
        wrap: style.wrap,
        quiet: style.quiet,
        machine_readable: style.machine_readable.clone(),
    });
}

/// Gives hooks the home and the cache of a helper drive; those of extra-data.d,
/// which the original ran on the host, keep the caller's home, and `--image-cache`.
fn attach(request: &mut BuildRequest, drive: &str, line: &Line, host: &HostFacts) {
    let extra_data_cache = line.image_cache.as_ref();
    let extra_data_cache = extra_data_cache.map(|_| request.image_cache.clone());
    request.helper_drive = Some(HelperDrive {
        file: host.real(drive),
        format: line.drive_format.clone(),
        extra_data_cache,
    });
    request.image_cache = Path::new(DRIVE_HOME).join(DRIVE_CACHE);
    let values = [
        (variables::HOME.name, PathBuf::from(DRIVE_HOME)),
        (variables::DIB_IMAGE_CACHE.name, request.image_cache.clone()),
    ];
    for (name, value) in values {
        request.environment.insert(name.into(), value.into());
    }
}

/// `vm` brings a block-device element only where there is one: elements from
/// before diskimage-builder 2.4 have none.
fn drop_unknown_block_device(request: &mut BuildRequest, line: &Line, host: &HostFacts) {
    let Some(last) = request.elements.last() else {
        return;
    };
    let given = line
        .elements
        .iter()
        .any(|words| words.split_whitespace().any(|word| word == last));
    let exists = || {
        let mut entries = request.elements_path.iter();
        entries.any(|entry| host.is_dir(&entry.join(last)))
    };
    if last.starts_with("block-device-") && !given && !exists() {
        request.elements.pop();
    }
}

/// The caller's variables that hooks of extra-data.d see in addition: none that
/// the engine knows, because options and `--envvar` decide about those, and no
/// credentials.
fn extra_data_environment(
    request: &BuildRequest,
    caller: &Environment,
) -> BTreeMap<String, String> {
    // A variable of many programs: that the engine reads it takes it from nobody.
    let shared = variables::SOURCE_DATE_EPOCH.name;
    let known = |name: &str| name != shared && variables::ALL.iter().any(|v| v.name == name);
    let own = |name: &str| {
        name == "TMPDIR"
            || says_credential(OsStr::new(name))
            || name.starts_with("LIBGUESTFS_")
            || known(name)
            || request.environment.contains_key(OsStr::new(name))
    };
    caller
        .0
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
        .filter(|(name, _)| !own(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .chain(undriven(request))
        .collect()
}

/// What is on the helper drive for all phases but extra-data.d.
fn undriven(request: &BuildRequest) -> Vec<(String, String)> {
    let Some(drive) = &request.helper_drive else {
        return Vec::new();
    };
    let home = Some(&request.home).map(|path| (variables::HOME, path));
    let cache = drive.extra_data_cache.as_ref();
    let cache = cache.map(|path| (variables::DIB_IMAGE_CACHE, path));
    let all = home.into_iter().chain(cache);
    all.filter_map(|(variable, path)| Some((variable.name.to_owned(), path.to_str()?.to_owned())))
        .collect()
}
