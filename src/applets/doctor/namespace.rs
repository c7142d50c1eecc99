//! What the namespace appliance needs, each by itself.

use std::path::Path;

use nix::sys::utsname::uname;

use crate::appliance::namespace::network::Helper;
use crate::appliance::namespace::{forbidding_setting, Error, Mapping};
use crate::appliance::{probe_namespace, Abilities};
use crate::error::{reason, Explain};

use super::findings::{Check, Group};

/// The first Linux with all that sandboxes are made of: idmapped mounts.
const KERNEL: (u32, u32) = (5, 12);

pub(super) fn group(abilities: &Abilities, binary: Option<&Path>, network: bool) -> Group {
    let mut checks = vec![kernel(), sandbox(abilities, binary)];
    match Mapping::of_caller() {
        Ok(mapping) => {
            checks.push(Check::ok("subordinate ids", describe(&mapping)));
            if !mapping.is_root() {
                checks.push(mappers(&mapping));
            }
        }
        Err(error) => checks.push(lack("subordinate ids", &error)),
    }
    if network {
        checks.extend(helper());
    }
    Group {
        name: "namespace",
        title: "the namespace appliance".into(),
        checks,
    }
}

/// A check that has failed.
fn lack(name: &str, error: &Error) -> Check {
    let mend = error.mend();
    let text = match (&mend, error.hint()) {
        (None, Some(hint)) => format!("{} ({hint})", reason(error)),
        _ => reason(error),
    };
    Check::lacks(name, text).mended_by(mend)
}

fn kernel() -> Check {
    let release = uname().map(|names| names.release().to_string_lossy().into_owned());
    let release = release.unwrap_or_default();
    let wanted = format!("Linux {}.{} or newer is needed", KERNEL.0, KERNEL.1);
    match version(&release) {
        None => Check::note("kernel", format!("'{release}' is no version; {wanted}")),
        Some(found) if found < KERNEL => {
            Check::lacks("kernel", format!("Linux {release}; {wanted}"))
        }
        Some(_) => Check::ok("kernel", format!("Linux {release}")),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The measurement. What the sandbox was not even tried for has lines of its own.
fn sandbox(abilities: &Abilities, binary: Option<&Path>) -> Check {
    const NAME: &str = "user namespaces";
    let started = || Check::ok(NAME, "a sandbox was started");
    let error = match &abilities.namespace {
        Ok(()) => return started(),
        Err(error) => error,
    };
    let absent = matches!(
        error,
        Error::NoSubordinateIds { .. }
            | Error::NoSuchIds { .. }
            | Error::FewIds { .. }
            | Error::NoPrivilege(_)
            | Error::NoMapper { .. }
    );
    match (error, binary) {
        // Whether they work at all is another question.
        (Error::NoNetworkHelper, Some(binary)) => match probe_namespace(binary, false) {
            Ok(()) => started(),
            Err(error) => lack(NAME, &error),
        },
        _ if absent => match forbidding_setting() {
            Some(error) => lack(NAME, &error),
            None => Check::note(NAME, "not tried before what is lacking below is there"),
        },
        _ => lack(NAME, error),
    }
}

fn describe(mapping: &Mapping) -> String {
    match mapping {
        Mapping::Root { ids } => format!(
            "root of a build is id {} of this host, which owns nothing",
            ids.start
        ),
        Mapping::User { uids, gids, .. } => format!(
            "{} uids from {}, {} gids from {}",
            uids.count, uids.start, gids.count, gids.start
        ),
    }
}

fn mappers(mapping: &Mapping) -> Check {
    match mapping.check_mappers() {
        Ok(()) => Check::ok("newuidmap", "and newgidmap are installed"),
        Err(error) => lack("newuidmap", &error),
    }
}

fn helper() -> Vec<Check> {
    const NAME: &str = "network";
    let mut checks = vec![match Helper::find() {
        Ok(Helper::Pasta(path)) => Check::ok(NAME, path.display().to_string()),
        Ok(Helper::Slirp(path)) => Check::note(
            NAME,
            format!("{}; pasta would be preferred", path.display()),
        )
        .mended_by(Error::NoNetworkHelper.mend()),
        Err(error) => lack(NAME, &error),
    }];
    if !Path::new("/dev/net/tun").exists() {
        let text = "does not exist; pasta and slirp4netns need it";
        checks.push(Check::lacks("/dev/net/tun", text).mended_by(Some("modprobe tun".to_owned())));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_kernels_are_read() {
        for (release, found) in [
            ("6.1.0-56-amd64", Some((6, 1))),
            ("5.12", Some((5, 12))),
            ("5.9+x", Some((5, 9))),
            ("", None),
            ("six", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(version(release), found, "{release}");
        }
    }
}
