//! From what was typed to a frozen request: every default, every look-up.
//!
//! The order and the rules are those of upstream's `lib/disk-image-create`,
//! `common-defaults`, `img-defaults` and `ramdisk-defaults`; where we differ,
//! `docs/deviations.md` says so.

mod elements;
pub(super) mod layers;
mod machine;
mod paths;
mod reports;
mod shell;
mod values;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::credentials::{self, HandedIn};
use super::environment::Environment;
use super::error::Error;
use super::formats;
use super::generation::{self, ElementGeneration, Generation};
use super::host::HostFacts;
use super::options::OptionId;
use super::quoting;
use super::raw::RawRequest;
use super::resolved::{BaseElements, Breaks, BuildRequest, LogOptions, OutputFormat, TmpfsPolicy};
use super::variables;
use shell::Shell;

/// Resolves a request.
///
/// `environment` is the caller's, untouched; `host` answers every question about
/// files. Nothing is written and nothing is started.
///
/// # Errors
/// Whatever is wrong with the request; all of [`Error`] but [`Error::Usage`].
pub fn resolve(
    raw: &RawRequest,
    environment: &Environment,
    host: &HostFacts,
) -> Result<BuildRequest, Error> {
    resolve_in(raw, environment, environment, host)
}

/// As [`resolve`], for a build that sees other variables than the caller's own.
pub(super) fn resolve_in(
    raw: &RawRequest,
    environment: &Environment,
    caller: &Environment,
    host: &HostFacts,
) -> Result<BuildRequest, Error> {
    let forced = machine::generation(raw, caller)?;
    let (handed_in, values) = HandedIn::read(raw, environment)?;
    let seen = shell::seen(raw, environment, values);
    let prepared = prepare(raw, environment, &seen, forced, host)?;
    let request = freeze(raw, &seen, caller, host, prepared)?;
    Ok(BuildRequest {
        handed_in,
        ..request
    })
}

/// The engine's shell with everything set, and what took more than reading it.
struct Prepared {
    shell: Shell,
    notices: Vec<String>,
    formats: Vec<OutputFormat>,
    arch: String,
    image_name: String,
    elements: Vec<String>,
    trace: u32,
    elements_path: Vec<PathBuf>,
    base_elements: Option<BaseElements>,
    generation: ElementGeneration,
    home: PathBuf,
    image_cache: PathBuf,
    lockfiles: PathBuf,
    tmpfs: TmpfsPolicy,
    log: LogOptions,
}

fn prepare(
    raw: &RawRequest,
    environment: &Environment,
    seen: &Environment,
    forced: Option<ElementGeneration>,
    host: &HostFacts,
) -> Result<Prepared, Error> {
    let mut shell = Shell::new(raw, seen);
    let mut notices = Vec::new();
    if shell::clears(raw, environment) {
        notices.push("building without the caller's environment (-c)".to_owned());
    }
    let list = raw.last(OptionId::Types).unwrap_or(OsStr::new("qcow2"));
    let types = formats::parse(list.to_str().ok_or_else(|| Error::not_utf8("-t", list))?)?;
    // Only upstream takes the extension of a single type off the name.
    let own_syntax = raw.named_elements.is_none();
    let extension = types.extension.as_deref().filter(|_| own_syntax);
    let image_name = paths::image_name(&shell, extension)?;
    let arch = shell.text_or(variables::ARCH, &host.architecture())?;
    if raw.ramdisk {
        let element = shell.text_or(variables::RAMDISK_ELEMENT, "ramdisk")?;
        shell.export(variables::RAMDISK_ELEMENT, element);
    }
    notices.extend(without_effect(raw, &types.formats));
    notices.extend(values::misread_sizes(&shell)?);
    let inherited_trace = shell.text_or(variables::DIB_DEBUG_TRACE, "0")?;
    let trace = values::trace(&inherited_trace, raw.count(OptionId::Trace))?;
    let (elements_path, base_elements) = match &raw.named_elements {
        Some(named) => (named.path.clone(), named.base.clone()),
        None => paths::elements(&shell, environment, host)?,
    };
    let generation = forced.unwrap_or_else(|| generation::recognise(&elements_path, host));
    let of = generation.generation;
    let elements = requested(raw, &shell, &arch, of)?;
    let home = paths::home(&shell)?;
    let cache = home.join(".cache");
    let directory =
        |variable, default: &str| paths::directory(&shell, host, variable, cache.join(default));
    let image_cache = directory(variables::DIB_IMAGE_CACHE, "image-create");
    let lockfiles = directory(variables::DIB_LOCKFILES, "dib/lockfiles");
    let tmpfs = tmpfs(&mut shell, &mut notices)?;
    let log = log(&mut shell, host)?;
    shell.export(variables::ARCH, &arch);
    shell.export(variables::IMAGE_NAME, &image_name);
    match raw.count(OptionId::Trace) {
        0 => shell.export_in(of, variables::DIB_DEBUG_TRACE, trace.to_string()),
        _ => shell.export(variables::DIB_DEBUG_TRACE, trace.to_string()),
    }
    shell.export(variables::DIB_IMAGE_CACHE, &image_cache);
    shell.export_in(of, variables::DIB_LOCKFILES, &lockfiles);
    shell.export(variables::ELEMENTS_PATH, paths::joined(&elements_path)?);
    export_defaults(&mut shell, of)?;
    Ok(Prepared {
        shell,
        notices,
        formats: types.formats,
        arch,
        image_name,
        elements,
        trace,
        elements_path,
        base_elements,
        generation,
        home,
        image_cache,
        lockfiles,
        tmpfs,
        log,
    })
}

fn freeze(
    raw: &RawRequest,
    environment: &Environment,
    caller: &Environment,
    host: &HostFacts,
    prepared: Prepared,
) -> Result<BuildRequest, Error> {
    let shell = prepared.shell;
    let text = |variable| shell.text(variable).map(|value| value.map(str::to_owned));
    let docker_target = text(variables::DOCKER_TARGET)?;
    if prepared.formats.contains(&OutputFormat::Docker) && docker_target.is_none() {
        return Err(Error::NoDockerTarget);
    }
    let max_online_resize = text(variables::MAX_ONLINE_RESIZE)?;
    Ok(BuildRequest {
        program: raw.program.clone(),
        ramdisk: raw.ramdisk,
        ramdisk_by: None,
        arch: prepared.arch,
        image_directory: paths::image_directory(&prepared.image_name, host),
        image_name: prepared.image_name,
        formats: prepared.formats,
        compress: !raw.has(OptionId::Uncompressed),
        zstd: values::zstd(raw)?,
        trace: prepared.trace,
        elements: prepared.elements,
        elements_path: prepared.elements_path,
        base_elements: prepared.base_elements,
        generation: prepared.generation,
        lib: paths::lib(raw, host)?,
        packages: packages(raw)?,
        excluded_elements: Vec::new(),
        excluded_scripts: Vec::new(),
        install_type: text(variables::DIB_DEFAULT_INSTALLTYPE)?.unwrap_or_default(),
        checksums: values::checksums(&shell.text_or(variables::DIB_CHECKSUM, "0")?)?,
        size: values::sizes(&shell)?,
        fs_type: shell.text_or(variables::FS_TYPE, "ext4")?,
        root_label: text(variables::ROOT_LABEL)?.unwrap_or_default(),
        mkfs_options: text(variables::MKFS_OPTS)?.unwrap_or_default(),
        max_online_resize: max_online_resize
            .map(|value| values::max_online_resize(&value))
            .transpose()?,
        block_device_config: text(variables::DIB_BLOCK_DEVICE_CONFIG)?,
        qemu_img_options: text(variables::QEMU_IMG_OPTIONS)?,
        docker_target,
        aci_manifest: shell
            .bytes(variables::ACI_MANIFEST)
            .map(|path| host.absolute(path)),
        gzip: shell.text_or(variables::DIB_GZIP_BIN, "gzip")?,
        source_date_epoch: text(variables::SOURCE_DATE_EPOCH)?
            .map(|value| values::epoch(&value))
            .transpose()?,
        overwrite_old_image: values::is_not_zero(&shell, variables::OVERWRITE_OLD_IMAGE)?,
        tmpfs: prepared.tmpfs,
        tmp_dir: paths::temporary(&shell, host),
        image_cache: prepared.image_cache,
        lockfiles: prepared.lockfiles,
        offline: shell.bytes(variables::DIB_OFFLINE).is_some(),
        no_network: raw.has(OptionId::NoNetwork),
        metadata_service: machine::metadata_service(raw)?,
        breaks: Breaks {
            names: text(variables::BREAK)?.unwrap_or_default(),
            command: text(variables::BREAK_CMD)?,
            outside_target: shell.bytes(variables::BREAK_OUTSIDE_TARGET).is_some(),
            shell_on_failure: raw.has(OptionId::ShellOnFailure),
        },
        reports: reports::reports(raw, prepared.log.file.as_deref(), host)?,
        shell: None,
        log: LogOptions {
            no_progress: raw.has(OptionId::NoProgress),
            ..prepared.log
        },
        appliance: machine::appliance(raw, caller)?.choice,
        machine: machine::options(raw, caller, host)?,
        shares: paths::shares(raw, host)?,
        cwd: host.cwd.clone(),
        layers: layers::layers(raw, &prepared.home, host)?,
        home: prepared.home,
        dib_args: credentials::masked(layers::without_own(words(raw)?)).join(" "),
        handed_in: HandedIn::default(),
        caller_dib: caller_dib(environment),
        notices: prepared.notices,
        environment: shell.exported().0,
        extra_data_environment: Default::default(),
        side_directory: None,
        keep_on_failure: false,
        python: None,
        helper_drive: None,
    })
}

/// What was asked for and means nothing to the command. Upstream is silent about
/// it, and scripts that serve both commands say it.
fn without_effect(raw: &RawRequest, formats: &[OutputFormat]) -> Vec<String> {
    let mut notices = Vec::new();
    if !raw.ramdisk && raw.has(OptionId::RamdiskElement) {
        notices.push(format!(
            "--ramdisk-element has no effect on {}: it names the main element of \
             ramdisk-image-create",
            raw.program
        ));
    }
    let disks = formats
        .iter()
        .filter(|format| !format.is_packed_from_tree());
    if raw.ramdisk && raw.has(OptionId::Types) {
        notices.extend(disks.map(|format| {
            format!(
                "{} makes no {} image: hooks write the ramdisk and its kernel",
                raw.program,
                format.name()
            )
        }));
    }
    notices
}

/// The words of the command line as text: names of elements and files end up in
/// variables and messages that are text.
fn words(raw: &RawRequest) -> Result<Vec<String>, Error> {
    raw.words
        .iter()
        .map(|word| {
            let text = word.to_str().map(str::to_owned);
            text.ok_or_else(|| Error::not_utf8("command-line argument", word))
        })
        .collect()
}

fn requested(
    raw: &RawRequest,
    shell: &Shell,
    arch: &str,
    generation: Generation,
) -> Result<Vec<String>, Error> {
    let arguments: Vec<String> = raw
        .operands
        .iter()
        .map(|word| {
            let text = word.to_str().map(str::to_owned);
            text.ok_or_else(|| Error::not_utf8("element", word))
        })
        .collect::<Result<_, _>>()?;
    let ramdisk = shell.text(variables::RAMDISK_ELEMENT)?.unwrap_or_default();
    elements::list(&elements::Requested {
        arguments: &arguments,
        inherited: shell.text(variables::IMAGE_ELEMENT)?.unwrap_or_default(),
        arch,
        skip_base: shell.text(variables::SKIP_BASE)? == Some("1"),
        device_element: generation.adds_block_device_element(),
        ramdisk: raw.ramdisk.then_some(ramdisk),
    })
}

/// The values that upstream's defaults files give, exported where they export.
fn export_defaults(shell: &mut Shell, of: Generation) -> Result<(), Error> {
    for (variable, default) in [
        (variables::DIB_CHECKSUM, "0"),
        (variables::DIB_NO_TMPFS, "0"),
        (variables::DIB_MIN_TMPFS, "2"),
        (variables::DIB_OFFLINE, ""),
        (variables::FS_TYPE, "ext4"),
        (variables::IMAGE_TYPE, "qcow2"),
    ] {
        let value = shell.text_or(variable, default)?;
        shell.export_in(of, variable, value);
    }
    for (variable, default) in [
        (variables::DIB_DEFAULT_INSTALLTYPE, "source"),
        (variables::DIB_GZIP_BIN, "gzip"),
    ] {
        let value = shell.text_or(variable, default)?;
        shell.assign(variable, value);
    }
    for variable in [variables::LANG, variables::LC_ALL] {
        if variable.is_of(of) {
            shell.export(variable, "C");
        }
    }
    let mut path = shell.bytes(variables::PATH).unwrap_or_default().to_owned();
    for directory in ["/sbin", "/usr/sbin", "/usr/local/sbin"] {
        append_directory(&mut path, directory);
    }
    shell.export(variables::PATH, path);
    Ok(())
}

/// Upstream looks for `:/sbin` anywhere in `:$PATH`, so `/sbin/x` counts, too.
fn append_directory(path: &mut OsString, directory: &str) {
    let wanted = format!(":{directory}");
    let mut whole = OsString::from(":");
    whole.push(&*path);
    let found = whole
        .as_bytes()
        .windows(wanted.len())
        .any(|window| window == wanted.as_bytes());
    if !found {
        path.push(wanted);
    }
}

fn tmpfs(shell: &mut Shell, notices: &mut Vec<String>) -> Result<TmpfsPolicy, Error> {
    let profile = shell.bytes(variables::GENTOO_PROFILE).unwrap_or_default();
    if profile.to_string_lossy().contains("hardened") {
        notices.push("disabling tmpfs for gentoo hardened build".to_owned());
        shell.export(variables::DIB_NO_TMPFS, "1");
    }
    Ok(TmpfsPolicy {
        wanted: shell.text_or(variables::DIB_NO_TMPFS, "0")? == "0",
        min_gib: values::min_tmpfs(&shell.text_or(variables::DIB_MIN_TMPFS, "2")?)?,
    })
}

fn log(shell: &mut Shell, host: &HostFacts) -> Result<LogOptions, Error> {
    let given = shell.bytes(variables::LOGFILE);
    let file = given.as_ref().map(|path| host.absolute(path));
    let given = given.map(|path| path.to_string_lossy().into_owned());
    if file.is_some() && shell.bytes(variables::DIB_QUIET).is_none() {
        shell.assign(variables::DIB_QUIET, "1");
    }
    Ok(LogOptions {
        no_timestamp: values::is_one(shell, variables::DIB_NO_TIMESTAMP)?,
        quiet: values::is_one(shell, variables::DIB_QUIET)?,
        file,
        given,
        ..LogOptions::default()
    })
}

/// `-p`: separated by commas and blanks, over all repetitions.
fn packages(raw: &RawRequest) -> Result<Vec<String>, Error> {
    let mut packages = Vec::new();
    for value in raw.all(OptionId::Packages) {
        let text = value.to_str().ok_or_else(|| Error::not_utf8("-p", value))?;
        let names = text.split(|c: char| c == ',' || c.is_ascii_whitespace());
        packages.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    Ok(packages)
}

/// The caller's `DIB_*` variables that bash would list.
fn caller_dib(environment: &Environment) -> std::collections::BTreeMap<OsString, OsString> {
    let listed = |name: &OsStr| {
        name.as_bytes().starts_with(b"DIB_") && quoting::is_identifier(name.as_bytes())
    };
    let variables = environment.0.iter();
    variables
        .filter(|(name, _)| listed(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
