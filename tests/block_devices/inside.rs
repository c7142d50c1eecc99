//! What runs inside the machine: the library itself, over a disk of the machine
//! (here a loop device stands for it), which is there already at the second time.

use std::path::Path;
use std::process::Command;

use safedib::blockdev::devices::{cleanup, create, delete, umount, Error, Order};
use safedib::blockdev::{Config, Graph};

const CONFIG: &str = "
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: root, size: 200MiB, mkfs: {name: mkfs_root, type: ext4, mount: {mount_point: /}}}
      - {name: pv, size: 100%}
- lvm:
    name: lvm
    pvs: [{name: pv0, base: pv}]
    vgs: [{name: vg, base: [pv0]}]
    lvs: [{name: var, base: vg, extents: 90%VG}]
- mkfs: {name: fs_var, base: var, type: xfs, mount: {mount_point: /var}}
";
const GIB: u64 = 1 << 30;

fn output(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "the test of layouts runs it inside the machine"]
fn the_library_attaches_what_is_there_already() {
    let top = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = |name: &str| top.path().join(name).display().to_string();
    let file = std::fs::File::create(path("medium")).unwrap();
    // Larger than the image, as a disk may be that was made before its size was known.
    file.set_len(3 * GIB).unwrap();
    let medium = output("losetup", &["--show", "-f", &path("medium")]);
    let graph = Graph::new(&Config::expand(CONFIG).unwrap()).unwrap();
    let (images, base) = (path("images"), path("mnt"));
    let order = Order {
        graph: &graph,
        image0_medium: Some(Path::new(&medium)),
        populated: false,
        image_bytes: 2 * GIB,
        image_dir: &images,
        mount_base: &base,
        block_size: None,
    };
    let mut log = |line: &str| println!("{line}");

    let state = create(&order, &mut log).unwrap();
    let device = state.image_block_device().unwrap();
    let size = output("blockdev", &["--getsize64", &device]);
    assert_eq!(size, (2 * GIB).to_string());
    std::fs::write(path("mnt/mark"), "root").unwrap();
    std::fs::write(path("mnt/var/mark"), "var").unwrap();
    umount(&state, &mut log).unwrap();
    cleanup(&state, &mut log);
    assert!(!Path::new(&path("mnt/mark")).exists());

    let populated = Order {
        populated: true,
        ..order
    };
    let again = create(&populated, &mut log).unwrap();
    // UUIDs among it, which were read this time.
    assert_eq!(again.to_json(), state.to_json());
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    assert_eq!(
        (read("mnt/mark"), read("mnt/var/mark")),
        ("root".into(), "var".into())
    );
    delete(&again, &mut log).unwrap();

    let large = Order {
        image_bytes: 4 * GIB,
        ..order
    };
    let error = create(&large, &mut log).unwrap_err();
    assert!(matches!(error, Error::SmallMedium { .. }), "{error}");
    assert_eq!(output("losetup", &["-n", "-O", "NAME"]), medium);
    output("losetup", &["-d", &medium]);
}
