//! Images that boot: each is made from upstream's unmodified elements, as an
//! ordinary user, and started by `safedib boot`; a login over the serial console
//! asks the system what it runs from. And that command itself.

mod command;
#[path = "../common/mod.rs"]
mod common;
mod dracut;
mod guest;
mod harness;
mod images;
mod ipa;
mod old;
#[path = "../common/processes.rs"]
mod processes;
#[path = "../common/pty.rs"]
mod pty;
mod ramdisk;
