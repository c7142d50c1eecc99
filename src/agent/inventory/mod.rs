//! What is in the finished target, for reports of the build. Nothing in it is
//! changed, and nothing that is odd about it fails the build.

mod dpkg;
mod rpm;
mod system;
#[cfg(test)]
mod tests;
mod walk;

use std::io::{self, Read};
use std::path::Path;

use super::context::Context;
use super::error::Error;
use super::inside::Directory;
use crate::output::beneath;
use crate::protocol::{FromAgent, Inventory, Manager, Package, MAX_FRAME};
use walk::Owners;

/// Most packages that are told.
const MAX_PACKAGES: usize = 50_000;
/// Most characters of a name or version.
const MAX_TEXT: usize = 200;
/// An inventory that is larger as JSON is cut: a frame must hold it.
const MAX_BYTES: usize = MAX_FRAME as usize / 2;

/// A package manager's database, as far as a report needs it.
#[derive(Default)]
struct Database {
    packages: Vec<Package>,
    owners: Owners,
    note: Option<String>,
}

/// Tells the driver what is in the target.
///
/// # Errors
/// The driver is gone.
pub(crate) fn take(context: &mut Context) -> Result<(), Error> {
    context.say("Looking up files and packages for the report")?;
    let inventory = Box::new(bounded(look(context)?));
    context.log.send(&FromAgent::Inventory { inventory })
}

fn look(context: &mut Context) -> Result<Inventory, Error> {
    let target = context.target();
    let (manager, mut database) = database(context, &target)?;
    let walked = walk::walk(&target, &database.owners, database.packages.len());
    for (package, (bytes, files)) in database.packages.iter_mut().zip(walked.packages) {
        (package.bytes, package.files) = (bytes, files);
    }
    database
        .packages
        .sort_by(|a, b| (&a.name, &a.arch).cmp(&(&b.name, &b.arch)));
    let unreadable = (walked.unreadable > 0)
        .then(|| format!("{} files could not be looked at", walked.unreadable));
    Ok(Inventory {
        tree: walked.tree,
        unowned: manager.map(|_| walked.unowned).unwrap_or_default(),
        files: walked.files,
        directories: walked.directories,
        system: system::read(&target),
        manager,
        note: joined(database.note, unreadable),
        packages: database.packages,
    })
}

/// The database of whatever has installed something in the target.
fn database(context: &mut Context, target: &Path) -> Result<(Option<Manager>, Database), Error> {
    let of_dpkg = match dpkg::read(target) {
        Ok(Some(database)) if !database.packages.is_empty() => {
            return Ok((Some(Manager::Dpkg), database))
        }
        Ok(_) => None,
        Err(error) => Some(format!("the database of dpkg cannot be read: {error}")),
    };
    let (of_rpm, note) = match rpm::read(context, target)? {
        rpm::Answer::Database(database) => return Ok((Some(Manager::Rpm), database)),
        rpm::Answer::None => (None, None),
        rpm::Answer::Unreadable(why) => (Some(Manager::Rpm), Some(why)),
    };
    let none = "the target has no database of dpkg or rpm".to_owned();
    let note = joined(of_dpkg, note).or(of_rpm.is_none().then_some(none));
    Ok((
        None,
        Database {
            note,
            ..Database::default()
        },
    ))
}

fn joined(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}; {other}")),
        (one, other) => one.or(other),
    }
}

/// An inventory that a frame can hold.
fn bounded(mut inventory: Inventory) -> Inventory {
    let fits = |inventory: &Inventory| {
        serde_json::to_vec(inventory).is_ok_and(|bytes| bytes.len() <= MAX_BYTES)
    };
    if !fits(&inventory) {
        let count = inventory.packages.len();
        inventory.packages.clear();
        let note = format!("{count} packages are too many to tell");
        inventory.note = joined(inventory.note.take(), Some(note));
    }
    if !fits(&inventory) {
        inventory.tree.children.clear();
        inventory.unowned.children.clear();
    }
    inventory
}

/// The text, cut where it is too long for a name.
fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// The content of the regular file `name` in a directory of the target.
///
/// # Errors
/// It is not there, is no regular file, or has more than `limit` bytes.
fn read_file(directory: &Directory, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let file = beneath::open_file(&directory.path(), name).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}
