//! The scripts that elements expect to find beside the engine, embedded.
//!
//! Elements source files of `$_LIB` outside the target, copy some of them into
//! it, and import `diskimage_builder` from Python. What is here has the
//! functions that elements of diskimage-builder 0.1.46 to 3.43.0 and of its
//! companions use; the rest of upstream's `lib/` is its engine.

use std::collections::BTreeMap;

/// A file to be written before the first hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelperFile {
    /// Path below the directory that the table is for.
    pub path: &'static str,
    /// Permission bits.
    pub mode: u32,
    /// Content.
    pub contents: &'static str,
}

macro_rules! helper {
    ($mode:literal, $directory:literal, $path:literal) => {
        HelperFile {
            path: $path,
            mode: $mode,
            contents: include_str!(concat!($directory, "/", $path)),
        }
    };
}

/// Modules that stand before others for scripts of 0.x and 1.x.
pub const PYTHON_OLD: &[HelperFile] = &[helper!(0o644, "python-old", "yaml.py")];

/// Our runner of hooks, for inside and outside of the target
/// (upstream `lib/dib-run-parts`).
pub const DIB_RUN_PARTS: &str = include_str!("lib/dib-run-parts");

/// Variable that names the descriptor on which [`DIB_RUN_PARTS`] reports hooks.
pub const HOOK_EVENTS: &str = "SAFEDIB_HOOK_EVENTS";

/// Variable that names the descriptor from which it then takes a line after each hook.
pub const HOOK_REPLIES: &str = "SAFEDIB_HOOK_REPLIES";

/// The files of `_LIB`.
pub const LIB: &[HelperFile] = &[
    helper!(0o644, "lib", "common-defaults"),
    helper!(0o644, "lib", "common-functions"),
    helper!(0o755, "lib", "dib-run-parts"),
    helper!(0o644, "lib", "die"),
    helper!(0o644, "lib", "img-defaults"),
    helper!(0o644, "lib", "img-functions"),
    helper!(0o644, "lib", "ramdisk-defaults"),
    helper!(0o644, "lib", "ramdisk-functions"),
];

/// The importable `diskimage_builder`, below a directory of Python's path.
pub const PYTHON: &[HelperFile] = &[
    helper!(0o644, "python", "diskimage_builder/__init__.py"),
    helper!(0o644, "python", "diskimage_builder/element_dependencies.py"),
    helper!(0o644, "python", "diskimage_builder/logging_config.py"),
    helper!(0o644, "python", "diskimage_builder/paths.py"),
    helper!(0o644, "python", "diskimage_builder/version.py"),
];

/// `element-info`, which was a command of its own until 3.5.
pub const ELEMENT_INFO: &str = "#!/bin/sh\n\
    exec /run/safedib/bin/python3 -m diskimage_builder.element_dependencies \"$@\"\n";

/// `PS4` as upstream's engine exports it: file, function and line, from `_ps4`.
pub const PS4: &str = "+ $(_ps4):   ";

/// The bash functions that upstream's engine exports to hooks outside the
/// target, as environment variables: name to value. `get_image_element_array`
/// depends on the elements of a build and is not among them.
pub fn exported_functions() -> BTreeMap<String, String> {
    let functions = [
        (
            "die",
            "() {  local status=$?;\n { set +x; } 2> /dev/null;\n printf '%s\\n' \"$*\";\n exit \"$status\"\n}",
        ),
        (
            "_ps4",
            "() {  local file=${BASH_SOURCE[1]-};\n \
             printf '%-80s ' \"${file##*site-packages/}:${FUNCNAME[1]-}:${BASH_LINENO[0]-}\"\n}",
        ),
    ];
    functions
        .into_iter()
        .map(|(name, body)| (format!("BASH_FUNC_{name}%%"), body.to_owned()))
        .collect()
}

/// A `python3` that finds [`PYTHON`] in `directory`, also when sudo has removed
/// `PYTHONPATH`: a shell script that runs `interpreter`, an absolute path.
pub fn python_wrapper(interpreter: &str, directory: &str) -> String {
    let interpreter = interpreter.replace('\'', "'\\''");
    format!(
        "#!/bin/sh\n\
         PYTHONPATH={directory}${{PYTHONPATH:+:$PYTHONPATH}} PYTHONDONTWRITEBYTECODE=1 exec '{interpreter}' \"$@\"\n"
    )
}

#[cfg(test)]
mod tests;
