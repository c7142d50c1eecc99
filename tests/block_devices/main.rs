//! Real block devices: `dib-block-device` in a hook inside the microvm appliance,
//! as an ordinary user, under TCG. One machine makes and releases all layouts;
//! what independent tools saw there is compared with what was planned.

#[path = "../common/mod.rs"]
mod common;
mod inside;
mod layouts;
mod observed;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{callers, Run};
use layouts::Layout;

/// Whether a machine can be started; a failure in CI if not.
fn has_machine() -> bool {
    let needed = [
        "/usr/bin/qemu-system-x86_64",
        "/usr/bin/supermin",
        "/usr/sbin/kpartx",
        "/usr/sbin/lvm",
        "/usr/sbin/thin_check",
        "/usr/sbin/mkfs.xfs",
    ];
    let Some(absent) = needed.iter().find(|path| !Path::new(path).exists()) else {
        return true;
    };
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "no {absent}: run scripts/setup first"
    );
    eprintln!("no {absent} (scripts/setup installs it): not tested");
    false
}

/// Where a layout is made inside the machine.
pub fn work_of(layout: &Layout) -> String {
    format!("/var/tmp/blocks/{}", layout.name)
}

fn params(layout: &Layout) -> String {
    let work = work_of(layout);
    format!(
        "config: {work}/config.yaml\nimage-dir: {work}\nroot-fs-type: {}\nroot-label:\n\
         mount-base: {work}/mnt\nbuild-dir: {work}\nimage-size: {}GiB\n",
        layout.fs_type, layout.gib
    )
}

/// The directory that the machine writes to, with a directory for each layout and
/// this test's own program.
fn prepare(run: &Run, layouts: &[Layout]) -> std::path::PathBuf {
    let out = run.home().join("out");
    fs::create_dir(&out).unwrap();
    for layout in layouts {
        let dir = out.join(&layout.name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("config.yaml"), &layout.config).unwrap();
        fs::write(dir.join("params.yaml"), params(layout)).unwrap();
        fs::write(dir.join("end"), layout.end).unwrap();
        run.give(&dir);
    }
    let program = out.join("inside");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    run.give(&out);
    out
}

#[test]
fn layouts_become_devices_and_nothing_is_left() {
    if !has_machine() {
        return;
    }
    let caller = callers().remove(0);
    let layouts = layouts::all();
    let run = Run::new(&caller, "disk-image-create")
        // Hooks that make loop devices themselves are seen by their text.
        .element_file("blocks", "bin/in-machine", include_str!("in_machine.bash"))
        .element_file(
            "blocks",
            "root.d/05-blocks",
            "#!/bin/bash\nexec bash \"$TMP_HOOKS_PATH/bin/in-machine\"\n",
        )
        .args(["--appliance", "microvm,tcg", "--no-network"])
        .args(["-n", "-t", "tar", "-o", "x", "blocks", "safedib-one-file"]);
    let out = prepare(&run, &layouts);
    let cache = format!("/var/tmp/cache-of-safedib-tests-{}", run.owner().0);
    let share = format!("{}:rw", out.display());
    let run = run
        .env("XDG_CACHE_HOME", cache)
        .env("DIB_SAFEDIB_OUT", &out)
        .args(["--share", &share]);
    let outcome = run.run().failure(43, &["blocks", "05-blocks"]);
    println!("the machine took {:?}", outcome.took);
    let mut wrong = Vec::new();
    for layout in &layouts {
        if let Err(difference) = observed::check(layout, &out.join(&layout.name)) {
            let log = fs::read_to_string(out.join(&layout.name).join("log"));
            wrong.push(format!(
                "{}: {difference}\n{}",
                layout.name,
                log.unwrap_or_default()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    // A process was in the way for a while.
    let log = read("fallback/log");
    assert!(log.contains("umount failed ("), "{log}");
    assert_eq!(read("inside.status"), "0\n", "{}", read("inside.log"));
    assert!(
        read("inside.log").contains("1 passed"),
        "{}",
        read("inside.log")
    );
}
