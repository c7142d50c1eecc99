//! Image definitions in YAML (`diskimage-builder FILE...`): what each image of
//! the files is, as a command line of `disk-image-create`.

mod arguments;
mod error;
mod files;
mod help;
mod image;
mod property;
mod schema;

pub use arguments::{parse, usage, Arguments, Parsed, UsageError, PROGRAM};
pub use error::{Complaint, Error};
pub use files::{read, read_text};
pub use help::{keys, markdown};
pub use image::{images, Entry, Image, Setting};
pub use property::{Kind, Property, PROPERTIES};

#[cfg(test)]
mod tests;
