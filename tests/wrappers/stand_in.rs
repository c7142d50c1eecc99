//! Small systems under the names of distributions, with commands in them that do
//! nothing where the real ones install packages and enable services.

use std::fs;

use super::common::Run;
use super::{pinned, NEWEST};

/// Makes the system of `safedib-fake-os` one that other projects' hooks run in.
const SYSTEM: &str = r#"#!/bin/bash
set -eu
[ "$(id -u)" = 0 ] || exec sudo TARGET_ROOT="$TARGET_ROOT" "$0"
cd "$TARGET_ROOT"
for name in apt-get chkconfig groupadd install install-packages ping ping6 pip \
    sysctl-write-value systemctl update-rc.d yum; do
    printf '#!/bin/sh\necho "stand-in: %s $*"\n' "$name" >"usr/local/bin/$name"
done
printf '#!/bin/sh\ncat >/dev/null\n' >usr/local/bin/augtool
printf '#!/bin/sh\necho "$1"\n' >usr/local/bin/svc-map
printf '#!/bin/sh\nexec "$@"\n' >usr/local/bin/sudo
chmod 755 usr/local/bin/*
mkdir -p boot etc/apparmor.d etc/cloud etc/network etc/ssh etc/systemd/network \
    usr/lib/systemd/system var/lib/haproxy var/lib/octavia
: >etc/network/interfaces
echo 12.0 >etc/debian_version
: >etc/systemd/journald.conf
echo "disable_root: true" >etc/cloud/cloud.cfg
echo "profile rsyslogd /usr/sbin/rsyslogd {" >etc/apparmor.d/usr.sbin.rsyslogd
echo kernel >boot/vmlinuz-6.1.0-1
echo initrd >boot/initrd.img-6.1.0-1
"#;

/// Shows in the image what hooks saw.
const WITNESS: &str = r#"#!/bin/bash
set -eu
{
    echo "elements: $IMAGE_ELEMENT"
    env | grep -E '^(DIB|CLOUD_INIT|ELEMENTS_PATH|plugin_type)' | sort
} >/witness
"#;

/// Empty elements under all names that upstream has, and systems with these names
/// that say so as `DISTRO_NAME`.
pub fn stand_in(run: Run, systems: &[(&str, &str)]) -> Run {
    for element in fs::read_dir(pinned(NEWEST)).unwrap() {
        let directory = run.elements().join(element.unwrap().file_name());
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("README.rst"), "").unwrap();
    }
    systems.iter().fold(run, |run, (name, distribution)| {
        let variables =
            format!("export DISTRO_NAME={distribution}\nexport DIB_INIT_SYSTEM=systemd\n");
        run.element_file(name, "element-deps", "safedib-fake-os\n")
            .element_file(name, "root.d/50-stand-in", SYSTEM)
            .element_file(name, "environment.d/50-stand-in.bash", &variables)
            .element_file(name, "finalise.d/99-witness", WITNESS)
    })
}
