//! The variables that the engine itself exports before the first hook runs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::Error;
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
    variables::LC_ALL,
    variables::PATH,
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
    let mut set = BTreeMap::new();
    let mut put = |variable: Variable, value: String| {
        set.insert(variable.name.to_owned(), value);
    };
    for variable in FROM_ENVIRONMENT {
        if let Some(value) = request.environment.get(OsStr::new(variable.name)) {
            put(variable, text(variable, value)?);
        }
    }
    let path = |variable, path: &Path| text(variable, path.as_os_str());
    let python = path(variables::DIB_PYTHON_EXEC, &inputs.python)?;
    put(variables::DIB_ARGS, request.dib_args.clone());
    put(variables::DIB_ENV, dib_env(request, &python));
    put(variables::DIB_PYTHON_EXEC, python);
    put(variables::LIB, path(variables::LIB, &inputs.lib_dir)?);
    if let Some(base) = &inputs.base_elements {
        put(
            variables::BASE_ELEMENT_DIR,
            path(variables::BASE_ELEMENT_DIR, base)?,
        );
    }
    put(variables::IMAGE_ELEMENT, names(&inputs.elements));
    put(
        variables::IMAGE_ELEMENT_YAML,
        yaml_map(&paths(&inputs.elements)?),
    );
    put(
        variables::IMAGE_ELEMENT_ARRAY_FUNCTION,
        array_function(&inputs.elements)?,
    );
    for (variable, directory) in [
        (variables::TMP_BUILD_DIR, inputs.build_dir.clone()),
        (variables::TMP_IMAGE_DIR, inputs.image_dir.clone()),
        (variables::TMP_HOOKS_PATH, inputs.build_dir.join("hooks")),
        (
            variables::DIB_BLOCK_DEVICE_PARAMS_YAML,
            inputs.build_dir.join("block-device/params.yaml"),
        ),
    ] {
        put(variable, path(variable, &directory)?);
    }
    put(variables::OUT_IMAGE_PATH, String::new());
    put(variables::DIB_ROOT_LABEL, inputs.root_label.clone());
    put(variables::DIB_ROOT_FSTYPE, inputs.root_fstype.clone());
    put(variables::DIB_BOOT_LABEL, inputs.boot_label.clone());
    put(variables::DIB_MOUNTPOINTS, inputs.mount_points.clone());
    for (name, body) in &inputs.functions {
        set.insert(format!("BASH_FUNC_{name}%%"), format!("() {body}"));
    }
    Ok(set)
}

fn text(variable: Variable, value: &OsStr) -> Result<String, Error> {
    let text = value.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::not_utf8(variable.name, value))
}

/// `DIB_ENV`: the caller's `DIB_*` variables, `DIB_ARGS` and the interpreter, in
/// the order in which bash lists them; trailing newlines go the way of `$(...)`.
fn dib_env(request: &BuildRequest, python: &str) -> String {
    let mut listed: BTreeMap<&[u8], &[u8]> = request
        .caller_dib
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    listed.insert(
        variables::DIB_ARGS.name.as_bytes(),
        request.dib_args.as_bytes(),
    );
    listed
        .entry(variables::DIB_PYTHON_EXEC.name.as_bytes())
        .or_insert(python.as_bytes());
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
