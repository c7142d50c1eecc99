//! The variables that the engine itself exports before the first hook runs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::credentials;
use super::error::Error;
use super::generation::Generation;
use super::quoting::declare_p;
use super::resolved::BuildRequest;
use super::variables::{self, Variable};
use super::yaml::yaml_map;

/// An element of the build and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementPath {
    /// Name.
    pub name: String,
    /// Absolute path as hooks see it.
    pub path: PathBuf,
}

/// What the engine's variables need from elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineInputs {
    /// The expanded elements, in the order in which `IMAGE_ELEMENT` names them.
    pub elements: Vec<ElementPath>,
    /// `TMP_BUILD_DIR`.
    pub build_dir: PathBuf,
    /// `TMP_IMAGE_DIR`.
    pub image_dir: PathBuf,
    /// `_LIB`.
    pub lib_dir: PathBuf,
    /// `_BASE_ELEMENT_DIR`; where it is unknown, the variable is not set.
    pub base_elements: Option<PathBuf>,
    /// `DIB_PYTHON_EXEC`.
    pub python: PathBuf,
    /// Directory of the commands that hooks of the generation find first on
    /// their PATH; `None` if there are none.
    pub commands: Option<PathBuf>,
    /// `DIB_IMAGE_ROOT_FS_UUID`.
    pub root_uuid: String,
    /// `DIB_ROOT_LABEL`: what the layout says.
    pub root_label: String,
    /// `DIB_ROOT_FSTYPE`.
    pub root_fstype: String,
    /// `DIB_BOOT_LABEL`; empty without a boot filesystem.
    pub boot_label: String,
    /// `DIB_MOUNTPOINTS`, separated by `|`.
    pub mount_points: String,
    /// Further exported functions of bash by name, with body (`{ ...; }`).
    pub functions: BTreeMap<String, String>,
}

/// What resolving already put into the request's environment.
const FROM_ENVIRONMENT: [Variable; 15] = [
    variables::ARCH,
    variables::DIB_CHECKSUM,
    variables::DIB_DEBUG_TRACE,
    variables::DIB_IMAGE_CACHE,
    variables::DIB_LOCKFILES,
    variables::DIB_MIN_TMPFS,
    variables::DIB_NO_TMPFS,
    variables::DIB_OFFLINE,
    variables::ELEMENTS_PATH,
    variables::FS_TYPE,
    variables::IMAGE_NAME,
    variables::IMAGE_TYPE,
    variables::LANG,
    variables::LC_ALL,
    variables::RAMDISK_ELEMENT,
];

/// Everything that the engine exports before root.d, by name; exported functions
/// are `BASH_FUNC_name%%`. They come on top of [`BuildRequest::environment`].
///
/// `TARGET_ROOT` (root.d and cleanup.d only), `TMP_MOUNT_PATH` (set when the
/// target is created) and what later phases add are not among them.
///
/// # Errors
/// [`Error::NotUtf8`] for a value that is not text.
pub fn engine_variables(
    request: &BuildRequest,
    inputs: &EngineInputs,
) -> Result<BTreeMap<String, String>, Error> {
    let mut engine = Engine {
        generation: request.generation.generation,
        set: BTreeMap::new(),
    };
    for variable in FROM_ENVIRONMENT {
        if let Some(value) = request.environment.get(OsStr::new(variable.name)) {
            engine.put(variable, text(variable, value)?);
        }
    }
    put_installation(&mut engine, request, inputs)?;
    put_elements(&mut engine, inputs)?;
    put_directories(&mut engine, inputs)?;
    for (variable, value) in [
        (variables::DIB_ARGS, &request.dib_args),
        (variables::DIB_ROOT_LABEL, &inputs.root_label),
        (variables::DIB_ROOT_FSTYPE, &inputs.root_fstype),
        (variables::DIB_BOOT_LABEL, &inputs.boot_label),
        (variables::DIB_MOUNTPOINTS, &inputs.mount_points),
        (variables::DIB_IMAGE_ROOT_FS_UUID, &inputs.root_uuid),
    ] {
        engine.put(variable, value.clone());
    }
    for (name, body) in &inputs.functions {
        let name = format!("BASH_FUNC_{name}%%");
        engine.set.insert(name, format!("() {body}"));
    }
    Ok(engine.set)
}

/// What the engine of a generation exports.
struct Engine {
    generation: Generation,
    set: BTreeMap<String, String>,
}

impl Engine {
    fn put(&mut self, variable: Variable, value: String) {
        if variable.is_of(self.generation) {
            self.set.insert(variable.name.to_owned(), value);
        }
    }

    fn put_path(&mut self, variable: Variable, path: &Path) -> Result<(), Error> {
        let value = text(variable, path.as_os_str())?;
        self.put(variable, value);
        Ok(())
    }
}

/// Where the engine and its elements are, and how its commands are found.
fn put_installation(
    engine: &mut Engine,
    request: &BuildRequest,
    inputs: &EngineInputs,
) -> Result<(), Error> {
    let python = text(variables::DIB_PYTHON_EXEC, inputs.python.as_os_str())?;
    let known = variables::DIB_PYTHON_EXEC.is_of(engine.generation);
    let interpreter = known.then_some(python.as_str());
    engine.put(variables::DIB_ENV, dib_env(request, interpreter));
    engine.put(variables::DIB_PYTHON_EXEC, python);
    engine.put_path(variables::LIB, &inputs.lib_dir)?;
    if let Some(base) = &inputs.base_elements {
        engine.put_path(variables::BASE_ELEMENT_DIR, base)?;
        if let Some(prefix) = base.parent() {
            engine.put_path(variables::PREFIX, prefix)?;
        }
    }
    let path = request.environment.get(OsStr::new(variables::PATH.name));
    let mut path = text(variables::PATH, path.map_or(OsStr::new(""), |path| path))?;
    if let Some(commands) = &inputs.commands {
        engine.put(variables::DIB_ORIGINAL_PATH, path.clone());
        engine.put_path(variables::DIB_PYTHON_EXEC_TMP, commands)?;
        engine.put_path(variables::SCRIPT_HOME, commands)?;
        path = format!("{}:{path}", text(variables::PATH, commands.as_os_str())?);
    }
    engine.put(variables::PATH, path);
    let level = request.environment.get(OsStr::new(variables::SHLVL.name));
    engine.put(
        variables::SHLVL,
        shell_level(level.map(|level| level.as_ref())),
    );
    Ok(())
}

/// `SHLVL` of a shell, upstream's engine, that its caller starts with this one:
/// 1 for what is no number, and above 999, as bash counts.
fn shell_level(caller: Option<&OsStr>) -> String {
    let level = caller
        .and_then(OsStr::to_str)
        .and_then(|text| text.trim().parse::<i64>().ok());
    match level.map_or(1, |level| level.saturating_add(1).max(0)) {
        1000.. => "1".to_owned(),
        level => level.to_string(),
    }
}

fn put_elements(engine: &mut Engine, inputs: &EngineInputs) -> Result<(), Error> {
    let elements = &inputs.elements;
    engine.put(variables::IMAGE_ELEMENT, names(elements));
    engine.put(variables::IMAGE_ELEMENT_YAML, yaml_map(&paths(elements)?));
    let function = array_function(elements)?;
    engine.put(variables::IMAGE_ELEMENT_ARRAY_FUNCTION, function);
    Ok(())
}

fn put_directories(engine: &mut Engine, inputs: &EngineInputs) -> Result<(), Error> {
    let disk = inputs.image_dir.join("image.raw");
    for (variable, directory) in [
        (variables::TMP_BUILD_DIR, &inputs.build_dir),
        (variables::TMP_IMAGE_DIR, &inputs.image_dir),
        (variables::TMP_IMAGE_PATH, &disk),
        (variables::TMP_HOOKS_PATH, &inputs.build_dir.join("hooks")),
        (
            variables::DIB_BLOCK_DEVICE_PARAMS_YAML,
            &inputs.build_dir.join("block-device/params.yaml"),
        ),
    ] {
        engine.put_path(variable, directory)?;
    }
    match variables::TMP_IMAGE_PATH.is_of(engine.generation) {
        true => engine.put_path(variables::OUT_IMAGE_PATH, &disk),
        false => {
            engine.put(variables::OUT_IMAGE_PATH, String::new());
            Ok(())
        }
    }
}

fn text(variable: Variable, value: &OsStr) -> Result<String, Error> {
    let text = value.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::not_utf8(variable.name, value))
}

/// `DIB_ENV`: the caller's `DIB_*` variables, `DIB_ARGS` and the interpreter, in
/// the order in which bash lists them; trailing newlines go the way of `$(...)`.
/// It ends up in images, so credentials are masked.
fn dib_env(request: &BuildRequest, python: Option<&str>) -> String {
    let mut listed: BTreeMap<&[u8], &[u8]> = request
        .caller_dib
        .iter()
        .map(|(name, value)| (name.as_bytes(), credentials::shown(name, value)))
        .collect();
    listed.insert(
        variables::DIB_ARGS.name.as_bytes(),
        request.dib_args.as_bytes(),
    );
    if let Some(python) = python {
        listed
            .entry(variables::DIB_PYTHON_EXEC.name.as_bytes())
            .or_insert(python.as_bytes());
    }
    let lines: Vec<String> = listed
        .iter()
        .map(|(name, value)| declare_p(&String::from_utf8_lossy(name), value))
        .collect();
    lines.join("\n")
}

fn names(elements: &[ElementPath]) -> String {
    let names: Vec<&str> = elements
        .iter()
        .map(|element| element.name.as_str())
        .collect();
    names.join(" ")
}

fn paths(elements: &[ElementPath]) -> Result<BTreeMap<String, String>, Error> {
    elements
        .iter()
        .map(|element| {
            let path = text(variables::IMAGE_ELEMENT_YAML, element.path.as_os_str())?;
            Ok((element.name.clone(), path))
        })
        .collect()
}

/// The exported function `get_image_element_array`, which prints `[name]=path`
/// for `eval declare -A x=($(get_image_element_array))`.
fn array_function(elements: &[ElementPath]) -> Result<String, Error> {
    let mut words = String::new();
    for element in elements {
        let path = text(
            variables::IMAGE_ELEMENT_ARRAY_FUNCTION,
            element.path.as_os_str(),
        )?;
        words.push_str(&format!("[{}]={} ", element.name, word(&path)));
    }
    let quoted = words.replace('\'', "'\\''");
    Ok(format!("() {{  echo '{quoted}'\n}}"))
}

/// A word for `eval`: as it is while it has no character of meaning to bash.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c) || !c.is_ascii();
    if text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
