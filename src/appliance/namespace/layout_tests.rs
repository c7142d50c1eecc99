use std::collections::BTreeMap;

use super::*;
use crate::appliance::{Scratch, WorkDir};
use crate::plan::Share;

fn facts(root_caller: bool) -> HostFacts {
    let directories = ["/e", "/e/sub", "/e/sub/deep", "/cache", "/disk"];
    HostFacts {
        root_caller,
        binary: "/opt/safedib".into(),
        home: "/home/u".into(),
        top: BTreeMap::from([
            ("/bin".into(), Entry::Link("usr/bin".into())),
            ("/lib".into(), Entry::Directory),
        ]),
        usr_dirs: vec!["/usr/bin".into()],
        usr_has_mounts: false,
        etc: BTreeMap::from([
            ("/etc/ssl/certs".into(), Entry::Directory),
            ("/etc/nsswitch.conf".into(), Entry::File),
            (
                "/etc/localtime".into(),
                Entry::Link("/usr/share/zoneinfo/UTC".into()),
            ),
        ]),
        hostname: "host".into(),
        passwd: "root:x:0:0:root:/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n".into(),
        group: "root:x:0:\n".into(),
        resolv_conf: "nameserver 192.0.2.1\n".into(),
        copied_modes: [0o644; 2],
        paths: directories
            .iter()
            .map(|path| (PathBuf::from(path), Entry::Directory))
            .chain([("/home/u/.gitconfig".into(), Entry::File)])
            .collect(),
    }
}

fn spec() -> ApplianceSpec {
    ApplianceSpec {
        shares: Vec::new(),
        scratch: Vec::new(),
        work_dirs: Vec::new(),
        image_disk: None,
        helper_drive: None,
        network: false,
        metadata_service: false,
        usr_changes_at: None,
    }
}

fn share(path: &str, writable: bool) -> Share {
    Share {
        path: path.into(),
        inside: None,
        only_in: None,
        writable,
        why: "test".into(),
    }
}

fn scratch(path: &str) -> Scratch {
    Scratch {
        path: path.into(),
        collect_at: format!("/run/safedib/collect{path}").into(),
    }
}

/// Where an operation puts something, if it does.
fn place(op: &SandboxOp) -> Option<&Path> {
    match op {
        SandboxOp::Stage { .. } | SandboxOp::Unmount { .. } => None,
        SandboxOp::DevNode { .. } => Some(Path::new("/dev/null")),
        SandboxOp::Devpts => Some(Path::new("/dev/pts")),
        SandboxOp::Proc => Some(Path::new("/proc")),
        SandboxOp::Sysfs => Some(Path::new("/sys")),
        SandboxOp::Dir { path, .. }
        | SandboxOp::Tmpfs { path, .. }
        | SandboxOp::Attach { path, .. }
        | SandboxOp::Bind { path, .. }
        | SandboxOp::Overlay { path, .. }
        | SandboxOp::Symlink { path, .. }
        | SandboxOp::WriteFile { path, .. }
        | SandboxOp::CopyFile { path } => Some(path),
    }
}

fn mounts(op: &SandboxOp) -> bool {
    matches!(
        op,
        SandboxOp::Tmpfs { .. }
            | SandboxOp::Attach { .. }
            | SandboxOp::Bind { .. }
            | SandboxOp::Overlay { .. }
    )
}

#[test]
fn nothing_is_hidden_by_a_later_mount() {
    let mut spec = spec();
    spec.shares = vec![
        share("/e/sub/deep", true),
        share("/e", false),
        share("/home/u/.gitconfig", false),
    ];
    spec.scratch = vec![scratch("/home/u"), scratch("/e/sub")];
    spec.work_dirs = vec![WorkDir {
        path: "/tmp/build".into(),
        on_disk: None,
    }];
    let layout = build(&spec, &facts(false)).unwrap();
    for (index, op) in layout.inner.iter().enumerate().filter(|(_, op)| mounts(op)) {
        let at = place(op).unwrap();
        for earlier in layout.inner[..index].iter().filter_map(place) {
            let hidden = earlier.starts_with(at) && earlier != at;
            // The caller's home is made empty and may then be a scratch directory.
            assert!(!hidden, "{op} hides {}", earlier.display());
        }
    }
}

#[test]
fn only_what_is_listed_comes_from_the_host() {
    let layout = build(&spec(), &facts(false)).unwrap();
    let sources: Vec<&Path> = layout
        .outer
        .iter()
        .map(|op| match op {
            SandboxOp::Stage {
                source, writable, ..
            } => {
                assert!(!writable);
                source.as_path()
            }
            other => panic!("{other}"),
        })
        .collect();
    let expected: Vec<&Path> = ["/usr", "/lib", "/etc/ssl/certs", "/opt/safedib"]
        .iter()
        .map(Path::new)
        .collect();
    assert_eq!(sources, expected);
}

#[test]
fn roots_own_files_are_idmapped_and_the_systems_are_not() {
    let mut spec = spec();
    spec.shares = vec![share("/cache", true)];
    spec.work_dirs = vec![WorkDir {
        path: "/tmp/build".into(),
        on_disk: Some("/disk".into()),
    }];
    for root in [true, false] {
        let layout = build(&spec, &facts(root)).unwrap();
        for op in &layout.outer {
            let SandboxOp::Stage {
                source,
                idmapped,
                writable,
                ..
            } = op
            else {
                panic!("{op}");
            };
            let own = ["/cache", "/disk"]
                .iter()
                .any(|path| source == Path::new(path));
            assert_eq!((*idmapped, *writable), (own && root, own), "{op}");
        }
    }
}

#[test]
fn a_scratch_directory_shows_the_share_below_it() {
    let mut spec = spec();
    spec.shares = vec![
        Share {
            inside: Some("/in".into()),
            ..share("/e", false)
        },
        share("/e", true),
    ];
    spec.scratch = vec![scratch("/e/sub"), scratch("/elsewhere")];
    let layout = build(&spec, &facts(false)).unwrap();
    let overlays: Vec<(usize, &Path)> = layout
        .inner
        .iter()
        .filter_map(|op| match op {
            SandboxOp::Overlay { lower, path, .. } => Some((*lower, path.as_path())),
            _ => None,
        })
        .collect();
    assert_eq!(overlays.len(), 2, "/usr and /e/sub");
    let (lower, path) = overlays[1];
    assert_eq!(path, Path::new("/e/sub"));
    assert!(matches!(&layout.outer[lower],
        SandboxOp::Stage { source, writable: false, .. } if source == Path::new("/e/sub")));
    let collected = |path: &str| {
        layout
            .inner
            .iter()
            .any(|op| matches!(op, SandboxOp::Bind { path: at, .. } if at == Path::new(path)))
    };
    assert!(collected("/run/safedib/collect/e/sub"));
    assert!(collected("/run/safedib/collect/elsewhere") && collected("/elsewhere"));
}

#[test]
fn what_cannot_be_shared_is_refused() {
    for path in [
        "/",
        "/proc/sys",
        "/dev",
        "/usr",
        "/var",
        "/a/../b",
        "relative",
        "/run/safedib",
    ] {
        let mut spec = spec();
        spec.shares = vec![share(path, false)];
        assert!(
            matches!(build(&spec, &facts(false)), Err(Error::Share { .. })),
            "{path}"
        );
    }
    let mut spec = spec();
    spec.shares = vec![share("/e", false)];
    spec.scratch = vec![scratch("/e/missing")];
    let error = build(&spec, &facts(false)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot share /e/missing: it lies in a shared directory but does not exist"
    );
}

#[test]
fn a_usr_with_mounts_below_is_bound_instead_of_overlaid() {
    let mut facts = facts(false);
    facts.usr_has_mounts = true;
    let layout = build(&spec(), &facts).unwrap();
    assert!(!layout
        .inner
        .iter()
        .any(|op| matches!(op, SandboxOp::Overlay { .. })));
    assert!(layout
        .inner
        .iter()
        .any(|op| matches!(op, SandboxOp::Attach { path, .. } if path == Path::new("/usr"))));
}

#[test]
fn inner_root_has_the_callers_home() {
    let text = passwd(
        "root:x:0:0:root:/root:/bin/sh\nu:x:1:1::/h:/bin/sh\n",
        Path::new("/home/u"),
    );
    assert_eq!(
        text,
        "root:x:0:0:root:/home/u:/bin/bash\nu:x:1:1::/h:/bin/sh\n"
    );
}
