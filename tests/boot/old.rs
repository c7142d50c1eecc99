//! An image of old unmodified elements, whose `vm` divides the disk by a hook and
//! whose `bootloader` installs itself on what the hook made.

use std::time::Instant;

use crate::common::{callers, copy_tree, Run};
use crate::guest::{boot, missing, Guest};
use crate::images::{repository, surroundings};

/// Upstream's elements of 1.28.0 (2017).
const ELEMENTS: &str = "upstream-fixtures/cache/diskimage-builder-1.28.0/elements";

#[test]
#[ignore = "takes minutes and a network: scripts/test runs it as its step boot"]
fn an_image_of_1_28_boots() {
    let missing = missing();
    assert!(missing.is_empty(), "no {missing:?}: run scripts/setup");
    let caller = callers().swap_remove(0);
    let mut run = Run::new(&caller, "disk-image-create");
    copy_tree(&repository(ELEMENTS), &run.elements());
    let mut mirror = String::new();
    for (name, value) in surroundings() {
        if name == "DIB_DISTRIBUTION_MIRROR" {
            mirror.clone_from(&value);
        }
        run = run.env(&name, value);
    }
    let release = surroundings()
        .into_iter()
        .find_map(|(name, value)| (name == "DIB_RELEASE").then_some(value))
        .expect("a release");
    let run = run
        // Where security updates are has changed since, and so has what
        // Debian's smallest system holds: no init.
        .env(
            "DIB_APT_SOURCES_CONF",
            format!("default:deb {mirror} {release} main"),
        )
        .env("DIB_DEBOOTSTRAP_EXTRA_ARGS", "--include=systemd-sysv")
        .env("DIB_PYTHON_VERSION", "3")
        .env("DIB_DEV_USER_PASSWORD", "secret")
        .env("DIB_DEV_USER_PWDLESS_SUDO", "yes")
        .env("DIB_GRUB_TIMEOUT", "0")
        .args(["-u", "-o", "image", "debian-minimal", "vm", "devuser"]);
    let outcome = run.run().success();
    eprintln!("1.28: built in {:?}", outcome.took);
    assert!(
        outcome
            .stdout
            .contains("has vm/block-device.d and 'install-bin'")
            || outcome.stdout.contains("generation 1"),
        "{outcome}"
    );
    let begin = Instant::now();
    let disk = run.dir.join("image.qcow2").display().to_string();
    let booted = boot(&caller, &[&disk]);
    let mut guest = Guest::start(&mut booted.command());
    let mut talk = || -> Result<(), String> {
        guest.log_in("devuser", "secret")?;
        eprintln!("1.28: logged in after {:?}", begin.elapsed());
        guest.hush()?;
        for (command, expected) in [
            (
                "findmnt -n -o SOURCE,FSTYPE,LABEL /",
                "/dev/vda1 ext4 cloudimg-rootfs",
            ),
            (
                "grep -o root=LABEL=[a-z-]* /proc/cmdline",
                "root=LABEL=cloudimg-rootfs",
            ),
        ] {
            let found = guest.run(command)?;
            let words: Vec<&str> = found.split_whitespace().collect();
            if words.join(" ") != expected {
                return Err(format!(
                    "{command}: '{found}' where '{expected}' is expected"
                ));
            }
        }
        Ok(())
    };
    talk().unwrap_or_else(|error| panic!("{error}"));
}
