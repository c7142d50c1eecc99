//! The database of rpm, read by an rpm: that of the appliance, or else the
//! target's own. Either gets a copy, because reading may write: locks, journals.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{short, Database, MAX_PACKAGES};
use crate::agent::context::Context;
use crate::agent::error::Error;
use crate::agent::inside::Directory;
use crate::agent::spawn::{self, Invocation};
use crate::agent::{mounts, paths};
use crate::output::beneath;
use crate::protocol::Package;

/// Where the database may be; the first one can be a link to the second.
const PLACES: [&str; 2] = ["var/lib/rpm", "usr/lib/sysimage/rpm"];
/// Files of a database of any format, one of which must be there.
const FORMATS: [&str; 3] = ["rpmdb.sqlite", "Packages.db", "Packages"];
/// Most bytes of a database.
const MAX_DATABASE: u64 = 1 << 30;
/// Most bytes that rpm may print.
const MAX_OUTPUT: u64 = 256 << 20;
/// A line for each package, then one for each file of it.
const FORMAT: &str = "P\\t%{NAME}\\t%|EPOCH?{%{EPOCH}}:{}|\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\t\
                      %|SOURCERPM?{%{SOURCERPM}}:{}|\\t%|LICENSE?{%{LICENSE}}:{}|\\n[F%{FILENAMES}\\n]";

/// What came of it.
pub(super) enum Answer {
    Database(Database),
    /// Nothing was installed with rpm.
    None,
    /// There is a database, and nobody to read it.
    Unreadable(String),
}

/// Asks an rpm for packages and their files.
///
/// # Errors
/// The driver is gone.
pub(super) fn read(context: &mut Context, target: &Path) -> Result<Answer, Error> {
    let Some((place, directory)) = find(target) else {
        return Ok(Answer::None);
    };
    let copy = context.build_dir.join("inventory");
    let unreadable = |what: &str, error: io::Error| Answer::Unreadable(format!("{what}: {error}"));
    if let Err(error) = copy_database(&directory, &copy) {
        // Nobody else has made it.
        let _ = fs::remove_dir_all(&copy);
        return Ok(unreadable("the database of rpm cannot be copied", error));
    }
    let printed = match ask_here(&copy) {
        Ok(printed) => Ok(printed),
        // It may not be there, or not know the format.
        Err(here) => ask_in_target(context, target, place, &copy)?.map_err(|there| {
            format!(
                "nobody can read the target's database of rpm: rpm in the appliance: {here}; \
                 rpm in the target: {there}"
            )
        }),
    };
    let _ = fs::remove_dir_all(&copy);
    Ok(match printed {
        Ok(printed) => Answer::Database(parse(&printed)),
        Err(why) => Answer::Unreadable(why),
    })
}

/// The directory that has a database.
fn find(target: &Path) -> Option<(&'static str, Directory)> {
    PLACES.iter().find_map(|place| {
        let directory = Directory::open(target, Path::new(place)).ok()??;
        let path = directory.path();
        let mut formats = FORMATS.iter();
        let found = formats.any(|name| beneath::is_file(&path, name));
        found.then_some((*place, directory))
    })
}

fn copy_database(from: &Directory, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    let mut room = MAX_DATABASE;
    for entry in fs::read_dir(from.path())? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let name = entry.file_name();
        let file = beneath::open_file(&from.path(), &name).map_err(io::Error::other)?;
        let mut copy = File::create_new(to.join(&name))?;
        let copied = io::copy(&mut file.take(room), &mut copy)?;
        room = room.saturating_sub(copied);
        if room == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
    Ok(())
}

/// What the appliance's rpm prints; `NotFound` if there is none.
fn ask_here(copy: &Path) -> io::Result<Vec<u8>> {
    let mut child = Command::new("rpm")
        .arg("--dbpath")
        .arg(copy)
        .args(["-qa", "--qf", FORMAT])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut printed = Vec::new();
    let output = child.stdout.take();
    let read = output.map_or(Ok(0), |output| {
        output.take(MAX_OUTPUT).read_to_end(&mut printed)
    });
    let status = child.wait()?;
    read?;
    match status.success() {
        true => Ok(printed),
        false => Err(io::Error::other(status.to_string())),
    }
}

/// What the target's rpm prints, in a view of the target that it cannot change;
/// the inner error tells why there is nothing.
fn ask_in_target(
    context: &mut Context,
    target: &Path,
    place: &str,
    copy: &Path,
) -> Result<Result<Vec<u8>, String>, Error> {
    let view = Path::new(paths::INVENTORY_VIEW);
    let shown = fs::create_dir_all(view).and_then(|()| show(target, view, place, copy));
    let asked = match shown {
        Ok(()) => {
            let environment = context.variables.in_target(view, "rpm".as_ref());
            let invocation = Invocation::new("rpm", environment)
                .args(["-qa", "--qf", FORMAT])
                .root(view)
                .capture_only(MAX_OUTPUT);
            spawn::run(&mut context.log, &invocation, |_, _| Ok(()))
        }
        Err(error) => Err(Error::io("show the target at", view)(error)),
    };
    let _ = mounts::detach(view);
    Ok(match asked {
        Ok(outcome) if outcome.status == 0 => Ok(outcome.stdout),
        Ok(outcome) => Err(format!("exit status {}", outcome.status)),
        Err(Error::Channel(error)) => return Err(Error::Channel(error)),
        Err(error) => Err(error.to_string()),
    })
}

/// Shows the target read-only, with the copy in place of its database.
fn show(target: &Path, view: &Path, place: &str, copy: &Path) -> io::Result<()> {
    mounts::bind_recursive(target, view)?;
    // It must be open while its path leads there.
    let directory = Directory::open(view, Path::new(place))?.ok_or(io::ErrorKind::NotFound)?;
    mounts::bind(copy, &directory.path())?;
    mounts::make_read_only(view)
}

/// What [`FORMAT`] came to.
pub(super) fn parse(printed: &[u8]) -> Database {
    let mut database = Database::default();
    let mut pseudo = false;
    for line in printed.split(|byte| *byte == b'\n') {
        if let Some(fields) = line.strip_prefix(b"P\t") {
            let package = package(&String::from_utf8_lossy(fields));
            // Keys of signatures are listed as packages.
            pseudo = package
                .as_ref()
                .is_none_or(|package| package.name == "gpg-pubkey");
            if database.packages.len() >= MAX_PACKAGES {
                database.note = Some(format!("only {MAX_PACKAGES} packages are told"));
                break;
            }
            database.packages.extend(package.filter(|_| !pseudo));
        } else if let Some(path) = line.strip_prefix(b"F/").filter(|_| !pseudo) {
            if let Some(last) = database.packages.len().checked_sub(1) {
                database.owners.add(path, last);
            }
        }
    }
    database
}

fn package(fields: &str) -> Option<Package> {
    let mut fields = fields.split('\t').map(|field| {
        let field = field.trim();
        (!matches!(field, "" | "(none)")).then(|| short(field))
    });
    let mut next = || fields.next().flatten();
    Some(Package {
        name: next()?,
        epoch: next(),
        version: next()?,
        arch: next().unwrap_or_default(),
        source: next(),
        licence: next(),
        ..Package::default()
    })
}
