//! Common mistakes in elements, file by file, as upstream's `dib-lint` finds them.
//!
//! Nothing here prints, looks for files or starts a program: the command
//! `dib-lint` puts the findings in upstream's words, `safedib check` in its own.

mod exclusions;
mod fault;
mod ini;
mod json;
pub mod python;
mod script;
mod text;

pub use exclusions::Exclusions;
pub use fault::{Fault, Setting};
pub use json::check as check_json;
pub use script::{layout, script};
pub use text::{first_line, lines};

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A file, as far as it is no content.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Its path, as it was found: which phase it is in, is told from that.
    pub path: &'a Path,
    /// Whether the caller may execute it.
    pub executable: bool,
}

impl File<'_> {
    fn bytes(&self) -> &[u8] {
        self.path.as_os_str().as_bytes()
    }

    fn name(&self) -> &[u8] {
        self.path.file_name().map_or(b"", OsStr::as_bytes)
    }
}
