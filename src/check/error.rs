//! Why nothing could be checked.

use std::io;
use std::path::PathBuf;

use thiserror::Error as ThisError;

use crate::error::Explain;

/// Why nothing could be checked.
#[derive(Debug, ThisError)]
pub enum Error {
    /// A path without elements.
    #[error("{} is no element, and has no directory of elements in it", path.display())]
    NoElements {
        /// The path.
        path: PathBuf,
    },
    /// A path that cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The elements cannot be listed.
    #[error("cannot list the elements of {}", path.display())]
    Catalog {
        /// Directory of elements.
        path: PathBuf,
        /// Why.
        source: crate::elements::Error,
    },
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Error::NoElements { .. } => Some(
                "an element has a directory such as install.d, or a file such as element-deps; directories of elements are looked for five levels deep".into(),
            ),
            Error::Unreadable { .. } => None,
            Error::Catalog { source, .. } => source.hint(),
        }
    }

    fn exit_code(&self) -> u8 {
        2
    }
}
