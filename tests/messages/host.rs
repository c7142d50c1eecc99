//! What the host lacks.

use super::{build, newcomer, says_early, says_prepared, Run};

fn plain(format: &str) -> Run {
    build(&[
        "-t",
        format,
        "-n",
        "safedib-fake-os",
        "--appliance",
        "namespace",
    ])
}

#[test]
fn no_subordinate_ids() {
    let setup = "mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid";
    says_prepared("no-subordinate-ids", &plain("tar"), setup);
}

#[test]
fn no_newuidmap() {
    let setup = "mount --bind /dev/null /usr/bin/newuidmap";
    says_prepared("no-newuidmap", &plain("tar"), setup);
}

#[test]
fn no_network_helper() {
    let setup =
        "mount --bind /dev/null /usr/bin/pasta; mount --bind /dev/null /usr/bin/slirp4netns";
    says_prepared("no-network-helper", &plain("tar"), setup);
}

#[test]
fn user_namespaces_are_forbidden() {
    let run = plain("tar")
        .args(["--no-network"])
        .through(&["unshare", "--user", "--map-current-user", "--keep-caps"])
        .through_shell("echo 0 > /proc/sys/user/max_user_namespaces");
    says_early("user-namespaces-forbidden", &run, &run.run());
}

#[test]
fn a_container_masks_proc() {
    let setup = "mount -t tmpfs none /proc/sys; \
                 for mount in $(findmnt -rno TARGET -t proc); do \
                 case $mount in /proc) ;; *) umount -l $mount ;; esac; done";
    says_prepared("masked-proc", &plain("tar"), setup);
}

#[test]
fn no_qemu_img() {
    let setup = "mount --bind /dev/null /usr/bin/qemu-img";
    says_prepared("no-qemu-img", &plain("qcow2"), setup);
}

#[test]
fn no_mksquashfs() {
    let setup = "mount --bind /dev/null /usr/bin/mksquashfs";
    says_prepared("no-mksquashfs", &plain("squashfs"), setup);
}

/// qemu-img before 5.1 knows no zstd.
#[test]
fn an_old_qemu_img() {
    let run = plain("qcow2").args(["--compression", "zstd"]);
    let old = run.tmp().parent().unwrap().join("old-qemu-img");
    std::fs::write(
        &old,
        "#!/bin/sh\ncase $* in *--version*) echo 'qemu-img version 4.2.1' ;; \
         *compression_type*) echo \"qemu-img: x: Invalid parameter 'compression_type'\" >&2; exit 1 ;; \
         *) echo 'Supported options: cluster_size=<size>' ;; esac\n",
    )
    .unwrap();
    let setup = format!(
        "chmod 755 {old}; mount --bind {old} /usr/bin/qemu-img",
        old = old.display()
    );
    says_prepared("old-qemu-img", &run, &setup);
}

/// What every image that boots needs where KVM does not work.
fn machine() -> Run {
    build(&[
        "-t",
        "tar",
        "-n",
        "safedib-fake-os",
        "--appliance",
        "microvm",
    ])
}

#[test]
fn no_supermin() {
    says_prepared(
        "no-supermin",
        &machine(),
        "mount --bind /dev/null /usr/bin/supermin",
    );
}

#[test]
fn no_qemu_system() {
    let setup = "mount --bind /dev/null /usr/bin/qemu-system-x86_64";
    says_prepared("no-qemu-system", &machine(), setup);
}

/// As Ubuntu installs them.
#[test]
fn a_kernel_that_cannot_be_read() {
    if newcomer() == super::Caller::Current {
        eprintln!("not as root alone: it can read every kernel");
        return;
    }
    let setup = "mkdir /tmp/boot; cp /boot/vmlinuz-* /tmp/boot; chmod 600 /tmp/boot/*; \
                 mount --bind /tmp/boot /boot";
    let setup = format!("mount -t tmpfs none /tmp; {setup}");
    says_prepared("kernel-not-readable", &machine(), &setup);
}
