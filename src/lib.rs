//! safedib builds disk images from diskimage-builder elements without running
//! any of them on the host.
//!
//! The modules, in the order in which a request passes through them (imports
//! only ever point downwards; `tests/layering.rs` holds it):
//!
//! * [`applets`]: one file per command that a user types.
//! * [`manual`]: help, man pages and completions, from one table for each command.
//! * [`driver`]: a request becomes files; the one place where all parts meet.
//! * [`boot`]: boots an image at the caller's terminal.
//! * [`appliance`]: starts an agent in isolation, and ends it.
//! * [`agent`]: executes the steps of a plan inside an appliance.
//! * [`output`]: archives, disk images, checksums, names of old images.
//! * [`report`]: log lines as upstream prints them, a live view, and timings.
//! * [`protocol`]: what driver and agent say to each other.
//! * [`check`]: reads somebody's elements for what will not work here.
//! * [`lint`]: common mistakes in the files of elements.
//! * [`plan`]: the ordered steps that follow from a request.
//! * [`request`]: what the user asked for, raw and resolved.
//! * [`elements`]: finding elements, dependencies, hooks.
//! * [`blockdev`]: block-device configuration and disk layout.
//! * [`seccomp`]: filters of system calls.
//! * [`signals`]: signals that end a command in good order.
//! * [`tty`]: the caller's terminal while somebody else reads it.
//! * [`yaml`]: YAML 1.1, with the position of each value.
//! * [`helpers`]: the scripts that elements expect to find, embedded.
//! * [`error`]: how every error says what, why, and what to do.

// No input and no closed descriptor may end us in a panic.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

pub mod agent;
pub mod applets;
pub mod appliance;
pub mod blockdev;
pub mod boot;
pub mod check;
pub mod driver;
pub mod elements;
pub mod error;
pub mod helpers;
pub mod lint;
pub mod manual;
pub mod output;
pub mod plan;
pub mod protocol;
pub mod report;
pub mod request;
pub mod seccomp;
pub mod signals;
pub mod tty;
pub mod yaml;
