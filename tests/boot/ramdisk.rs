//! A ramdisk of upstream's unmodified `ramdisk` element, built and booted with
//! its own kernel.

use std::time::Duration;

use crate::common::{callers, copy_tree, Run};
use crate::guest::{boot, missing, Guest};
use crate::images::{repository, surroundings, UPSTREAM};

/// How long the ramdisk may take to the end of its init: most of it is
/// unpacking 300 MB, emulated, on two busy processors.
const INIT: Duration = Duration::from_secs(420);

/// The element mounts sysfs read-only since 3.0, which udev cannot load modules
/// with; a fragment of init right after that one mends it.
const WRITABLE: &str = "mount -o remount,rw /sys\nload_modules_by_udev\n";

/// The last fragment: what those before found out, and what a hook of
/// ramdisk-install.d brought.
const LAST: &str =
    "echo \"ramdisk of $(uname -r) at $BOOT_IP_ADDRESS: $(cat /brought)\"\npoweroff -f\n";

const BRING: &str = "#!/bin/bash\nset -eu\necho 'brought along' > \"$TMP_MOUNT_PATH/brought\"\n";

/// What tells a ramdisk its network card.
pub const LINE: &str = "BOOTIF=01-52-54-00-12-34-56";

/// A machine that boots a ramdisk of a run, with a network that leads nowhere and
/// `memory` MiB.
pub fn machine(run: &Run, name: &str, memory: u32, line: &str) -> Run {
    let (memory, kernel) = (memory.to_string(), format!("{name}.kernel"));
    let kernel = run.dir.join(kernel).display().to_string();
    let words = [
        "--network",
        "isolated",
        "--memsize",
        &memory,
        "--append",
        line,
    ];
    boot(run.caller(), &words).args([kernel])
}

#[test]
#[ignore = "takes minutes and a network: scripts/test runs it as its step boot"]
fn a_ramdisk_boots_with_its_own_kernel_to_the_end_of_its_init() {
    let missing = missing();
    assert!(missing.is_empty(), "no {missing:?}: run scripts/setup");
    let caller = callers().swap_remove(0);
    let mut run = Run::new(&caller, "ramdisk-image-create");
    copy_tree(&repository(UPSTREAM), &run.elements());
    for (name, value) in surroundings() {
        run = run.env(&name, value);
    }
    let run = run
        .element_file("talks", "init.d/11-talks", WRITABLE)
        .element_file("talks", "init.d/99-talks", LAST)
        .element_file("talks", "ramdisk-install.d/50-talks", BRING)
        .args(["-o", "rd", "debian-minimal", "talks"]);
    let outcome = run.run().success();
    eprintln!("ramdisk: built in {:?}", outcome.took);
    outcome.leaves(&["rd.d", "rd.initramfs", "rd.kernel"]);

    let booted = machine(&run, "rd", 1536, LINE);
    let mut guest = Guest::start(&mut booted.command());
    for text in ["obtained the following from dhcp", "ramdisk of 6."] {
        let found = guest.wait_for(text, INIT);
        found.unwrap_or_else(|error| panic!("{error}"));
    }
    let end = guest.wait_for(" at 10.0.2.15: brought along", Duration::from_secs(10));
    end.unwrap_or_else(|error| panic!("{error}"));
    drop(guest);

    // The same as a script would ask for it, with the network that leads somewhere.
    let kernel = run.dir.join("rd.kernel").display().to_string();
    let talk = [
        ["--network", "outbound"],
        ["--memsize", "1536"],
        ["--append", LINE],
        ["--timeout", "420"],
        ["--expect", "obtained the following from dhcp"],
        ["--expect", " at 10.0.2.15: brought along"],
    ];
    boot(&caller, &talk.concat()).args([kernel]).run().success();
}
