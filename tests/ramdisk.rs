//! `ramdisk-image-create`: what differs from disk-image-create, and upstream's
//! own ramdisk elements, unmodified, on a small system.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{callers, copy_tree, tool, Caller, Outcome, Run};

/// A ramdisk element as upstream's are made: built in the target, brought out
/// by a hook outside it.
fn with_tiny(run: Run) -> Run {
    run.element_file(
        "tiny",
        "post-install.d/99-tiny",
        "#!/bin/bash\nset -eu\necho \"$RAMDISK_ELEMENT for $IMAGE_ELEMENT\" > /tmp/ramdisk\n\
         echo kernel > /tmp/kernel\n",
    )
    .element_file(
        "tiny",
        "cleanup.d/99-tiny",
        "#!/bin/bash\nset -eu\ncp $TMP_MOUNT_PATH/tmp/ramdisk $IMAGE_NAME.initramfs\n\
         sudo install -m 600 $TMP_MOUNT_PATH/tmp/kernel $IMAGE_NAME.kernel\n",
    )
}

fn ramdisk(caller: &Caller) -> Run {
    with_tiny(Run::new(caller, "ramdisk-image-create"))
        .env("RAMDISK_ELEMENT", "tiny")
        .args(["-n", "-o", "rd", "safedib-fake-os"])
}

#[track_caller]
fn read(run: &Run, name: &str) -> String {
    fs::read_to_string(run.dir.join(name)).unwrap()
}

#[track_caller]
fn says(outcome: &Outcome, text: &str) {
    assert!(outcome.stdout.contains(text), "no {text:?} in {outcome}");
}

#[test]
fn a_ramdisk_and_its_kernel_are_what_hooks_write_and_no_disk_is_made() {
    for caller in callers() {
        let run = ramdisk(&caller);
        fs::write(run.dir.join("rd.kernel"), "old").unwrap();
        let outcome = run.run().success().leaves(&["rd.initramfs", "rd.kernel"]);
        says(&outcome, "Building elements: tiny safedib-fake-os\n");
        says(&outcome, "Image file rd.kernel created...\n");
        assert!(!outcome.stdout.contains("qcow2"), "{outcome}");
        assert_eq!(
            read(&run, "rd.initramfs"),
            "tiny for safedib-fake-os tiny\n"
        );
        assert_eq!(read(&run, "rd.kernel"), "kernel\n");
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(run.dir.join("rd.kernel")).unwrap();
        assert_eq!(metadata.uid(), run.owner().0.as_raw());
    }
}

#[test]
fn types_of_trees_are_made_beside_it_and_types_of_disks_are_not() {
    for caller in callers() {
        let run = ramdisk(&caller).args(["-t", "raw,tar", "--checksum"]);
        let outcome = run.run().success().leaves(&[
            "rd.initramfs",
            "rd.initramfs.md5",
            "rd.initramfs.sha256",
            "rd.kernel",
            "rd.kernel.md5",
            "rd.kernel.sha256",
            "rd.tar",
            "rd.tar.md5",
            "rd.tar.sha256",
        ]);
        says(&outcome, "ramdisk-image-create makes no raw image");
        for kind in ["md5sum", "sha256sum"] {
            let file = format!("rd.initramfs.{}", kind.trim_end_matches("sum"));
            tool(Command::new(kind).args(["-c", &file]).current_dir(&run.dir));
        }
    }
}

#[test]
fn the_main_element_is_an_option_a_variable_or_ramdisk() {
    let caller = callers().swap_remove(0);
    let plan = |run: Run| {
        let outcome = run.run().success().leaves(&[]);
        let plan: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        plan
    };
    let command = |words: &[&str]| {
        with_tiny(Run::new(&caller, "safedib"))
            .element_file("ramdisk", "README.rst", "")
            .args([
                "plan",
                "--json",
                "ramdisk-image-create",
                "-n",
                "-o",
                "out/rd",
            ])
            .args(words.iter().copied())
            .args(["safedib-fake-os"])
    };
    let by_default = plan(command(&[]));
    assert_eq!(by_default["requested"][0], "ramdisk");
    assert_eq!(by_default["outputs"].as_array().unwrap().len(), 0);
    let files = by_default["hook_outputs"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| &file["shown"]).collect();
    assert_eq!(names, ["out/rd.initramfs", "out/rd.kernel"]);
    let by_variable = plan(command(&[]).env("RAMDISK_ELEMENT", "tiny"));
    assert_eq!(by_variable["requested"][0], "tiny");
    let by_option = command(&["--ramdisk-element", "tiny"]).env("RAMDISK_ELEMENT", "none");
    assert_eq!(plan(by_option)["requested"][0], "tiny");
    command(&["--ramdisk-element", "no-such"])
        .run()
        .failure(1, &["no-such"]);
}

#[test]
fn no_option_is_ignored_in_silence() {
    for caller in callers() {
        let disk = with_tiny(Run::build(&caller, "tar")).args([
            "--ramdisk-element",
            "tiny",
            "safedib-fake-os",
        ]);
        let outcome = disk.run().success().leaves(&["image.tar"]);
        says(
            &outcome,
            "--ramdisk-element has no effect on disk-image-create",
        );
        let nothing = Run::new(&caller, "ramdisk-image-create")
            .element_file("none", "README.rst", "")
            .args([
                "-n",
                "-o",
                "rd",
                "--ramdisk-element",
                "none",
                "safedib-fake-os",
            ]);
        let outcome = nothing.run().success().leaves(&[]);
        says(
            &outcome,
            "WARNING safedib: no hook has written rd.initramfs\n",
        );
        says(&outcome, "WARNING safedib: no hook has written rd.kernel\n");
    }
}

#[test]
fn a_ramdisk_that_fails_leaves_the_old_one() {
    for caller in callers() {
        let run = ramdisk(&caller)
            .args(["safedib-fail-cleanup"])
            .element_file(
                "tiny",
                "cleanup.d/10-tiny",
                "#!/bin/bash\necho new > $IMAGE_NAME.initramfs\n",
            );
        fs::write(run.dir.join("rd.initramfs"), "old").unwrap();
        run.run()
            .failure(44, &["safedib-fail-cleanup"])
            .leaves(&["rd.initramfs"]);
        assert_eq!(read(&run, "rd.initramfs"), "old");
    }
}

/// What upstream's `ramdisk` element needs of a system, most of it for show.
const SYSTEM: &str = r#"#!/bin/bash
set -eu
[ "$(id -u)" = 0 ] || exec sudo TARGET_ROOT="$TARGET_ROOT" "$0"
cd "$TARGET_ROOT"
cp -L $(type -P cpio gzip ldd md5sum sha256sum) usr/bin/
for name in dhclient ip lsmod modprobe udevadm reboot shutdown tgtadm tgtd install-packages; do
    printf '#!/bin/sh\necho %s\n' "$name" > "usr/sbin/$name"
done
printf '#!/bin/sh\necho isc-dhcp-client\n' > usr/sbin/pkg-map
printf '#!/bin/bash\ntype -P "$@"\n' > usr/sbin/which
printf '#!/bin/sh\nprintf "%%s\\n" sh wget ip init\n' > usr/sbin/busybox
chmod 755 usr/sbin/*
mkdir -p boot usr/lib/udev/rules.d usr/lib/modules/6.1.0-9/kernel/drivers/video etc/modprobe.d
for version in 6.1.0-10 6.1.0-9; do
    echo "kernel $version" > "boot/vmlinuz-$version"
done
echo rules > usr/lib/udev/rules.d/80-drivers.rules
: > usr/lib/modules/6.1.0-9/kernel/drivers/video/xfb.ko
echo module > usr/lib/modules/6.1.0-9/kernel/drivers/x.ko
echo "blacklist x" > etc/modprobe.d/x.conf
"#;

fn upstream(package: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("upstream-fixtures/cache");
    let root = root.join(package);
    let found = ["diskimage_builder/elements", "elements", "dib"].map(|folder| root.join(folder));
    let found = found.into_iter().find(|path| path.is_dir());
    found.unwrap_or_else(|| panic!("no {}: run scripts/fetch-fixtures", root.display()))
}

/// Copies elements of an upstream package.
fn copy_elements(run: &Run, package: &str, elements: &[&str]) {
    for element in elements {
        let to = run.elements().join(element);
        copy_tree(&upstream(package).join(element), &to);
    }
}

/// A build with a version's own `ramdisk` element.
fn with_upstreams(caller: &Caller, package: &str) -> Run {
    let run = Run::new(caller, "ramdisk-image-create");
    copy_elements(&run, package, &["ramdisk", "ramdisk-base", "deploy-tgtadm"]);
    run.element_file("system", "root.d/50-system", SYSTEM)
        .element_file("system", "element-deps", "safedib-fake-os\n")
        .element_file("pkg-map", "README.rst", "")
        .element_file("mine", "init.d/50-mine", "echo mine\n")
        .element_file("mine", "udev.d/50-mine.rules", "mine\n")
        .element_file(
            "mine",
            "ramdisk-install.d/50-mine",
            "#!/bin/bash\nset -eu\necho \"$SCRIPT_HOME\" > \"$TMP_MOUNT_PATH/mine\"\n",
        )
        .args(["-n", "-o", "rd", "--checksum", "system", "mine"])
        .env("DIB_KERNEL_VERSION", "6.1.0-9")
}

fn in_ramdisk(run: &Run, words: &str) -> String {
    let script = format!("gzip -dc rd.initramfs | cpio -i --quiet {words}");
    tool(
        Command::new("sh")
            .args(["-c", &script])
            .current_dir(&run.dir),
    )
}

fn check_upstreams(run: &Run) {
    run.run().success();
    assert_eq!(read(run, "rd.kernel"), "kernel 6.1.0-9\n");
    let names = in_ramdisk(run, "--list");
    for name in [
        "init",
        "init-func",
        "iscsi-func",
        "sbin",
        "bin/bash",
        "bin/busybox",
        "bin/ip",
        "bin/sh",
        "bin/tgtd",
        "lib/libc.so.6",
        "lib/modules/6.1.0-9/kernel/drivers/x.ko",
        "lib/udev/rules.d/50-mine.rules",
        "lib/udev/rules.d/60-persistent-storage.rules",
        "lib/udev/rules.d/80-drivers.rules",
        "etc/modprobe.d/x.conf",
        "mine",
    ] {
        assert!(names.lines().any(|line| line == name), "{name} in {names}");
    }
    assert!(!names.contains("xfb.ko"), "{names}");
    assert_eq!(
        in_ramdisk(run, "--to-stdout mine"),
        "/tmp/in_target.d/bin\n"
    );
    let init = in_ramdisk(run, "--to-stdout init");
    let fragments: Vec<&str> = init
        .lines()
        .filter_map(|line| line.strip_prefix("# init fragment from "))
        .collect();
    assert!(fragments.contains(&"50-mine") && fragments.is_sorted());
    assert_eq!(fragments[0], "10-start-base-system");
    assert!(init.starts_with("#!/bin/bash\n") && init.trim_end().ends_with("\nbash"));
}

/// Upstream's engine stops at `_BASE_ELEMENT_DIR: unbound variable` here.
#[test]
fn upstreams_own_ramdisk_element_works() {
    for caller in callers() {
        check_upstreams(&with_upstreams(&caller, "diskimage-builder-3.43.0"));
    }
}

#[test]
fn ramdisk_elements_of_older_versions_work() {
    let caller = callers().swap_remove(0);
    for package in ["diskimage-builder-2.38.0", "diskimage-builder-1.28.0"] {
        check_upstreams(&with_upstreams(&caller, package));
    }
}

/// `ramdisk-install.d` and the kernel are looked for only after all else.
#[test]
fn a_binary_that_a_ramdisk_lacks_fails_the_build() {
    let caller = callers().swap_remove(0);
    let run = with_upstreams(&caller, "diskimage-builder-3.43.0").element_file(
        "mine",
        "binary-deps.d/mine",
        "no-such-program\n",
    );
    run.run()
        .failure(1, &["01-ensure-binaries", "no-such-program is not found"])
        .leaves(&[]);
}

const IRONIC: &str = "ironic-python-agent-builder-7.4.0";
const NEWEST: &str = "diskimage-builder-3.43.0";

/// A git repository with one file, of the caller's own, beside the working directory.
fn repository(run: &Run, name: &str, file: &str) -> String {
    let path = run.dir.parent().unwrap().join(name);
    fs::create_dir(&path).unwrap();
    fs::write(path.join(file), "from git\n").unwrap();
    let script = "git init -q -b master . && git add . && \
                  git -c user.name=t -c user.email=t@example.invalid commit -q -m one";
    let mut git = Command::new("sh");
    tool(git.args(["-c", script]).current_dir(&path));
    let owner = format!("{}:{}", run.owner().0, run.owner().1);
    tool(Command::new("chown").args(["-R", &owner]).arg(&path));
    format!("file://{}", path.display())
}

/// The element that packs Ironic's ramdisks, and the one that gets sources,
/// unmodified, on a small system.
#[test]
fn ironics_ramdisk_holds_the_tree_and_sources_of_a_local_repository() {
    for caller in callers() {
        let run = Run::new(&caller, "disk-image-create");
        copy_elements(&run, IRONIC, &["ironic-ramdisk-base"]);
        let elements = [
            "source-repositories",
            "cache-url",
            "manifests",
            "no-final-image",
        ];
        copy_elements(&run, NEWEST, &elements);
        let location = repository(&run, "repository", "source");
        let run = run
            .element_file("system", "root.d/50-system", SYSTEM)
            .element_file(
                "system",
                "root.d/60-debian",
                "#!/bin/bash\necho 12 | sudo tee $TARGET_ROOT/etc/debian_version\n",
            )
            .element_file("system", "element-deps", "safedib-fake-os\n")
            .element_file("package-installs", "README.rst", "")
            .element_file("runtime-ssh-host-keys", "README.rst", "")
            .element_file("selinux-permissive", "README.rst", "")
            .element_file(
                "agent",
                "element-deps",
                "source-repositories\nironic-ramdisk-base\n",
            )
            .element_file(
                "agent",
                "source-repository-agent",
                "agent git /opt/agent https://repository.invalid/agent\n",
            )
            .env("DIB_REPOLOCATION_agent", &location)
            .args(["-n", "-o", "ipa", "--checksum", "system", "agent"]);
        let names = [
            "ipa.d",
            "ipa.initramfs",
            "ipa.kernel",
            "ipa.md5",
            "ipa.sha256",
        ];
        run.run().success().leaves(&names);
        tool(
            Command::new("sha256sum")
                .args(["-c", "ipa.sha256"])
                .current_dir(&run.dir),
        );
        assert_eq!(read(&run, "ipa.kernel"), "kernel 6.1.0-10\n");
        let manifest = read(&run, "ipa.d/dib-manifests/dib-manifest-git-ipa");
        assert!(manifest.starts_with(&format!("agent git /opt/agent {location} ")));
        let script = "gzip -dc ipa.initramfs | cpio -i --quiet --to-stdout opt/agent/source";
        let source = tool(
            Command::new("sh")
                .args(["-c", script])
                .current_dir(&run.dir),
        );
        assert_eq!(source, "from git\n");
    }
}

#[test]
fn ironics_own_agent_element_plans_with_local_repositories() {
    for caller in callers() {
        let run = Run::new(&caller, "safedib");
        copy_tree(&upstream(NEWEST), &run.elements());
        copy_tree(&upstream(IRONIC), &run.elements());
        let location = repository(&run, "repository", "source");
        let run = run
            .env("DIB_REPOLOCATION_ironic_python_agent", &location)
            .args(["plan", "--json", "disk-image-create", "-o", "ipa"])
            .args(["ironic-python-agent-ramdisk", "debian-minimal"]);
        let outcome = run.run().success();
        let plan: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let has = |list: &str, key: &str, value: &str| {
            let list = plan[list].as_array().unwrap();
            list.iter().any(|item| item[key] == value)
        };
        assert!(has("hooks", "name", "99-ramdisk-create"), "{outcome}");
        assert!(has(
            "shares",
            "path",
            location.trim_start_matches("file://")
        ));
        assert_eq!(plan["outputs"], serde_json::json!([]));
        let tools = plan["tools"].to_string();
        assert!(tools.contains("cpio") && tools.contains("git"), "{tools}");
    }
}
