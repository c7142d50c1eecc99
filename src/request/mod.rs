//! What the user asked for: exactly as typed ([`RawRequest`]), then resolved
//! once and frozen ([`BuildRequest`]).

mod resolved;

pub use resolved::{
    ApplianceChoice, Breaks, BuildRequest, Checksums, LogOptions, OutputFormat, SharePath,
    SizeOptions, TmpfsPolicy,
};
