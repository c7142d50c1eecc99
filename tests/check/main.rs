//! `safedib check`.

mod configuration;
mod lint;
mod options;
mod pinned;
mod repository;
