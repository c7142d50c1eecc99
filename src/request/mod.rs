//! What the user asked for: exactly as typed ([`RawRequest`]), then resolved
//! once and frozen ([`BuildRequest`]).

mod environment;
mod error;
mod formats;
mod getopt;
pub mod options;
mod quoting;
mod raw;
mod resolved;
pub mod variables;
mod yaml;

pub use environment::Environment;
pub use error::Error;
pub use quoting::declare_p;
pub use raw::{parse, Parsed, RawRequest};
pub use resolved::{
    ApplianceChoice, Breaks, BuildRequest, Checksums, LogOptions, OutputFormat, SharePath,
    SizeOptions, TmpfsPolicy,
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
