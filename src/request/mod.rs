//! What the user asked for: exactly as typed ([`RawRequest`]), then resolved
//! once and frozen ([`BuildRequest`]).

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod credentials;
mod engine;
mod environment;
mod error;
mod formats;
mod generation;
mod getopt;
mod host;
pub mod image_yaml;
mod naming;
pub mod options;
mod quoting;
mod raw;
mod resolve;
mod resolved;
pub mod variables;
pub mod virt_dib;
mod yaml;

pub use credentials::{says_credential, HandedIn};
pub use engine::{engine_variables, ElementPath, EngineInputs};
pub use environment::Environment;
pub use error::Error;
pub use formats::names as format_names;
pub use generation::{generation_of, ElementGeneration, Generation};
pub use host::HostFacts;
pub use naming::ImagePath;
pub use quoting::declare_p;
pub use raw::{parse, NamedElements, Parsed, RawRequest};
pub use resolve::layers::DIRECTORY as LAYERS_DIRECTORY;
pub use resolve::resolve;
pub use resolved::{
    ApplianceChoice, BaseElements, Breaks, BuildRequest, Checksums, HelperDrive, LayerOptions,
    LogOptions, MachineOptions, MachineReadable, MessageStyle, OutputFormat, ReportFile,
    ReportKind, ReportOptions, SharePath, ShellPlace, SizeOptions, TmpfsPolicy, DRIVE_CACHE,
    DRIVE_HOME,
};
pub use yaml::yaml_map;

/// Fails unless the committed page equals its rendering;
/// `SAFEDIB_WRITE_DOCS=1 cargo test` writes it.
#[cfg(test)]
fn check_page(path: &str, rendered: &str) {
    let full = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("SAFEDIB_WRITE_DOCS").is_some() {
        std::fs::write(&full, rendered).expect("page is writable");
    }
    let committed = std::fs::read_to_string(&full).unwrap_or_default();
    assert!(
        committed == rendered,
        "{path} is out of date; run SAFEDIB_WRITE_DOCS=1 cargo test request"
    );
}
