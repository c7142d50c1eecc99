//! The command line of `virt-dib` (guestfs-tools up to 1.50): another syntax for
//! the same [`super::BuildRequest`].

mod error;
mod getopt;
mod help;
mod line;
mod resolve;
mod table;
mod values;

pub use error::Error;
pub use help::markdown;
pub use line::{parse, Line, Parsed, Style, PROGRAM};
pub use resolve::{resolve, settle};
pub use table::{OptionId, OptionSpec, Value, OPTIONS};

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;
