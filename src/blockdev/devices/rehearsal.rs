//! What would be called, without a kernel: command lines to read and compare.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::command::Command;
use super::system::{Failure, System};
use super::{create, release, Error, Hands, Order};
use crate::blockdev::{self, place, Disk};

/// UUIDs are random, but here.
const UUID: &str = "00000000-0000-4000-8000-000000000000";

/// The command lines of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// Those of `create`.
    pub create: Vec<Vec<String>>,
    /// Those of `umount`.
    pub umount: Vec<Vec<String>>,
    /// Those of `cleanup`.
    pub cleanup: Vec<Vec<String>>,
}

/// Says what [`create`](super::create()), [`umount`](super::umount) and
/// [`cleanup`](super::cleanup) call when nothing fails and loop devices are free
/// from `/dev/loop0` on.
///
/// # Errors
/// What is wrong with the order itself.
pub fn rehearse(order: &Order) -> Result<Rehearsed, Error> {
    let mut stage = Stage::default();
    let mut log = |_: &str| {};
    let take = |stage: &mut Stage| std::mem::take(&mut stage.commands);
    let hands = Hands {
        system: &mut stage,
        log: &mut log,
    };
    let (state, result) = create::run(order, hands);
    result?;
    let create = take(&mut stage);
    let mut hands = Hands {
        system: &mut stage,
        log: &mut log,
    };
    release::umount(&state, &mut hands)?;
    let umount = take(&mut stage);
    let mut hands = Hands {
        system: &mut stage,
        log: &mut log,
    };
    release::cleanup(&state, &mut hands);
    let cleanup = take(&mut stage);
    Ok(Rehearsed {
        create,
        umount,
        cleanup,
    })
}

/// A system where everything is there and all goes well.
#[derive(Debug, Default)]
pub(super) struct Stage {
    pub(super) commands: Vec<Vec<String>>,
    loops: usize,
}

impl System for Stage {
    fn run(&mut self, command: &Command) -> Result<String, Failure> {
        let mut words = vec![command.program.to_owned()];
        words.extend_from_slice(&command.arguments);
        let attaches = words.iter().any(|word| word == "--show");
        self.commands.push(words);
        if !attaches {
            return Ok(String::new());
        }
        self.loops += 1;
        Ok(format!("/dev/loop{}\n", self.loops - 1))
    }

    fn make_image(&mut self, _: &Path, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn remove_image(&mut self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn size(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn write_table(&mut self, disk: &Disk, _: &str, bytes: u64) -> Result<(), blockdev::Error> {
        place(disk, bytes).map(drop)
    }

    fn make_mount_point(&mut self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn exists(&self, _: &str) -> bool {
        true
    }

    fn is_mounted(&self, _: &str) -> io::Result<bool> {
        Ok(true)
    }

    fn uuid(&mut self) -> io::Result<String> {
        Ok(UUID.into())
    }

    fn sync(&mut self) {}

    fn pause(&mut self, _: Duration) {}
}
