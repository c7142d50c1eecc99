//! `safedib doctor`: right on a host that has everything, and on hosts that each
//! lack something; quick and without a panic on hosts that lack nearly all.

mod bare;
#[path = "../common/mod.rs"]
mod common;
mod healthy;
mod host;
mod lacks;
