//! A ramdisk of upstream's unmodified `dracut-ramdisk` element, built on Debian and
//! booted to the end of its init.
//!
//! By hand, because it takes four minutes and tells little more than the other:
//! `cargo test --test boot -- --ignored --nocapture dracut::`

use std::fs;
use std::time::Duration;

use crate::common::{callers, copy_tree, Run};
use crate::guest::{missing, Guest};
use crate::images::{repository, surroundings, UPSTREAM};
use crate::ramdisk::{machine, LINE};

/// How long the ramdisk may take to the end of its init, emulated.
const INIT: Duration = Duration::from_secs(420);

/// The element `deploy-targetcli` asks for `targetcli`, which Debian has under
/// another name, and brings no map of names.
const MAP: &str = r#"#!/bin/bash
set -eu
map=$TMP_MOUNT_PATH/usr/share/pkg-map
sudo mkdir -p "$map"
echo '{"default": {"targetcli": "targetcli-fb"}}' | sudo tee "$map/deploy-targetcli"
"#;

/// The last fragment of init.
const LAST: &str = "echo \"ramdisk of dracut, $(uname -r)\"\npoweroff -f\n";

#[test]
#[ignore = "takes minutes and a network: by hand, as the module says"]
fn a_ramdisk_of_dracut_boots_to_the_end_of_its_init() {
    let missing = missing();
    assert!(missing.is_empty(), "no {missing:?}: run scripts/setup");
    let caller = callers().swap_remove(0);
    let mut run = Run::new(&caller, "ramdisk-image-create");
    copy_tree(&repository(UPSTREAM), &run.elements());
    for (name, value) in surroundings() {
        run = run.env(&name, value);
    }
    // It downloads dracut's sources, which it uses on Ubuntu only.
    let sources = run.home().join("dracut.tar.xz");
    fs::write(&sources, "unused").expect("a file");
    let run = run
        .env(
            "DIB_REPOLOCATION_dracut",
            format!("file://{}", sources.display()),
        )
        .element_file("talks", "extra-data.d/60-map", MAP)
        .element_file("talks", "init.d/99-talks", LAST)
        .args(["--ramdisk-element", "dracut-ramdisk", "-o", "rd"])
        // Its binary-deps.d wants ifconfig, route and ping, which it does not install.
        .args(["-p", "net-tools,iputils-ping", "debian-minimal", "talks"]);
    let outcome = run.run().success();
    eprintln!("dracut: built in {:?}", outcome.took);
    outcome.leaves(&["rd.d", "rd.initramfs", "rd.kernel"]);
    let line = format!("{LINE} ip=dhcp");
    let booted = machine(&run, "rd", 1536, &line);
    let mut guest = Guest::start(&mut booted.command());
    // The element makes dracut trace its scripts to the console.
    for text in ["network ready", "ramdisk of dracut, 6."] {
        let found = guest.wait_for(text, INIT);
        found.unwrap_or_else(|error| panic!("{error}"));
    }
}
