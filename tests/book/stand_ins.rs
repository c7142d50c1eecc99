//! Elements of the names that the book uses, which take a second to build and no
//! network: the commands are the reader's, what they build is small.

use crate::common::{copy_tree, own_elements, Run};

/// Copies what upstream's element of that name copies to the outputs.
const RAMDISK: &str = "#!/bin/bash\nset -eu\n\
     echo kernel >\"$IMAGE_NAME.kernel\"\necho ramdisk >\"$IMAGE_NAME.initramfs\"\n";

const INSTALL_PACKAGES: &str = "#!/bin/bash\nset -eu\n\
     printf '#!/bin/sh\\necho installed: \"$@\"\\n' >\"$TARGET_ROOT/usr/local/bin/install-packages\"\n\
     chmod 755 \"$TARGET_ROOT/usr/local/bin/install-packages\"\n";

const MBR: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - name: root
        flags: [boot]
        size: 100%
        mkfs: {mount: {mount_point: /, fstab: {options: defaults}}}
";

/// Puts the elements beside those of the run.
pub fn given(run: Run) -> Run {
    copy_tree(
        &own_elements().join("safedib-fake-os"),
        &run.elements().join("debian-minimal"),
    );
    run.element_file(
        "debian-minimal",
        "root.d/50-install-packages",
        INSTALL_PACKAGES,
    )
    .element_file("base", "README.rst", "")
    .element_file("vm", "README.rst", "")
    .element_file("block-device-mbr", "element-provides", "block-device\n")
    .element_file("block-device-mbr", "block-device-default.yaml", MBR)
    .element_file("ramdisk", "cleanup.d/99-ramdisk", RAMDISK)
    .element_file("package-installs", "README.rst", "")
    // A partition for a tree of so few bytes has no room for a journal of 64 MiB.
    .env("DIB_JOURNAL_SIZE", "8")
    // Where KVM works builds would start machines, which have no shells for breaks.
    .env("DIB_APPLIANCE", "namespace")
}
