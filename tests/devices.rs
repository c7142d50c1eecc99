//! Device nodes that hooks put into archives and take out of them: the caches
//! that upstream's elements keep between builds.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{callers, Caller, Run};

/// Type and mode, owner, device number or size, and name of an archive's
/// members, sorted.
fn members(archive: &Path, names: &[&str]) -> Vec<String> {
    let output = Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(archive)
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let short = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        [fields[0], fields[1], fields[2], fields[5]].join(" ")
    };
    let mut found: Vec<String> = text.lines().map(short).collect();
    found.sort();
    found
}

const NODES: [&str; 4] = ["./dev/null", "./dev/console", "./dev/disk", "./dev/other"];
const STORED: [&str; 4] = [
    "brw-rw---- 7/6 8,16 ./dev/disk",
    "crw------- 0/5 5,1 ./dev/console",
    "crw-r--r-- 0/0 254,300 ./dev/other",
    "crw-rw-rw- 0/0 1,3 ./dev/null",
];

fn build(caller: &Caller) -> Run {
    let run = Run::build(caller, "tar");
    let cache = run.home().join("cache");
    run.env("DIB_IMAGE_CACHE", cache)
        .args(["safedib-fake-os", "cacher"])
}

#[test]
fn a_cache_of_an_earlier_root_build_gives_its_devices() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can make the devices of an upstream cache");
        return;
    }
    for caller in callers() {
        let run = build(&caller).element_file(
            "cacher",
            "root.d/50-restore",
            "#!/bin/bash\nset -eu\nsudo rm -r $TARGET_ROOT/dev\n\
             sudo tar -C $TARGET_ROOT --numeric-owner -xzf $DIB_IMAGE_CACHE/root.tar.gz\n",
        );
        let top = run.dir.parent().unwrap();
        let cache = run.home().join("cache");
        let made = Command::new("sh")
            .args([
                "-ec",
                "mkdir -p made/dev \"$0\"; cd made/dev; umask 0; \
                mknod -m 666 null c 1 3; mknod -m 600 console c 5 1; chgrp 5 console; \
                mknod -m 660 disk b 8 16; chown 7:6 disk; mknod -m 644 other c 254 300; \
                cd ..; tar --numeric-owner -zcf \"$0/root.tar.gz\" .; cd ..; rm -r made",
            ])
            .arg(&cache)
            .current_dir(top)
            .status()
            .unwrap();
        assert!(made.success());
        run.give(&cache);
        run.run().success().leaves(&["image.tar"]);
        assert_eq!(members(&run.dir.join("image.tar"), &NODES), STORED);
    }
}

/// What the element debootstrap does with `DIB_DEBOOTSTRAP_CACHE`, after a chroot
/// has been given devices in the place of placeholders.
#[test]
fn a_cache_that_a_hook_writes_holds_the_devices() {
    let hook = "#!/bin/bash\nset -eu\ncd $TARGET_ROOT/dev\n\
        sudo mknod -m 666 null c 1 3; sudo mknod -m 600 console c 5 1; sudo chgrp 5 console\n\
        sudo mknod -m 660 disk b 8 16; sudo chown 7:6 disk; sudo mknod -m 644 other c 254 300\n\
        sudo mkdir $TARGET_ROOT/tmp/x; sudo mknod $TARGET_ROOT/tmp/x/gone c 1 5\n\
        sudo touch empty\nsudo chroot $TARGET_ROOT sh -c 'echo lost > /dev/null'\n\
        cd /\nsudo tar --numeric-owner -C $TARGET_ROOT -zcf $DIB_IMAGE_CACHE/a.tar.gz --exclude='./tmp/*' .\n\
        sudo tar cfC $DIB_IMAGE_CACHE/b.tar $TARGET_ROOT .\n\
        sudo tar -C $TARGET_ROOT -c ./dev | cat > $DIB_IMAGE_CACHE/c.tar\n\
        sudo tar -acf $DIB_IMAGE_CACHE/d.tar.xz $TARGET_ROOT/dev 2> /dev/null\n\
        mkdir /tmp/copy; sudo tar -C $TARGET_ROOT -cf - ./dev | sudo tar -C /tmp/copy -xpf -\n\
        sudo tar -C /tmp/copy --numeric-owner -cf $DIB_IMAGE_CACHE/e.tar .\n";
    for caller in callers() {
        let run = build(&caller).element_file("cacher", "root.d/50-store", hook);
        run.run().success().leaves(&["image.tar"]);
        let cache = run.home().join("cache");
        for name in ["a.tar.gz", "b.tar", "c.tar", "e.tar"] {
            assert_eq!(members(&cache.join(name), &NODES), STORED, "{name}");
            let empty = &members(&cache.join(name), &["./dev/empty"])[0];
            assert!(empty.starts_with("-rw-r--r-- 0/0 0 "), "{name}: {empty}");
        }
        let all = members(&cache.join("a.tar.gz"), &[]);
        assert!(!all.iter().any(|line| line.contains("/tmp/x")), "{all:?}");
        assert_eq!(fs::read(cache.join("a.tar.gz")).unwrap()[..2], [0x1f, 0x8b]);
        assert_eq!(fs::read(cache.join("d.tar.xz")).unwrap()[..4], *b"\xfd7zX");
        let absolute = members(&cache.join("d.tar.xz"), &[]);
        let disk = absolute.iter().find(|line| line.ends_with("/dev/disk"));
        assert!(
            disk.unwrap().starts_with("brw-rw---- 7/6 8,16 "),
            "{disk:?}"
        );
        assert_eq!(members(&run.dir.join("image.tar"), &NODES), STORED);
    }
}
