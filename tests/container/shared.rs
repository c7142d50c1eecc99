//! Pods that share a volume with their caches: each has its own process ids and
//! names, and one user for all.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::common::machine::same_trees;
use crate::common::Run;
use crate::{can_confine, give_all, in_pod, CAPS, POD_IDS};

const PODS: usize = 3;

/// As elements fetch to the cache, with a lock of their own.
const FETCHES: &str = r#"#!/bin/bash
set -eu
(
    flock -w 300 9
    [ -e "$DIB_IMAGE_CACHE/fetched" ] || {
        sleep 0.3
        echo "$RANDOM$RANDOM" >"$DIB_IMAGE_CACHE/fetched"
        echo fetched >>"$DIB_IMAGE_CACHE/count"
    }
) 9>"$DIB_LOCKFILES/fetch.lock"
cp "$DIB_IMAGE_CACHE/fetched" "$TARGET_ROOT/fetched"
"#;

/// A pod's build, with all caches in the directory `volume`.
fn pod(volume: &std::path::Path) -> Run {
    let run = crate::build("tar")
        .element_file("fetches", "root.d/50-fetch", FETCHES)
        .element_file(
            "works",
            "install.d/50-work",
            "#!/bin/bash\nsleep 1\necho done >/worked\n",
        )
        .args(["fetches", "works", "--cache-step", "0"])
        .args([format!("--cache={}", volume.join("layers").display())])
        .env("XDG_CACHE_HOME", volume.join("safedib"))
        .env("DIB_IMAGE_CACHE", volume.join("images"))
        .env("DIB_LOCKFILES", volume.join("locks"));
    let volume = volume.display().to_string();
    in_pod(CAPS, &["--tun", "--volume", &volume], run)
}

#[test]
fn pods_build_at_once_with_their_caches_on_one_volume() {
    if !can_confine() {
        return;
    }
    let owner = tempfile::Builder::new()
        .prefix("safedib-volume-")
        .tempdir_in("/var/tmp")
        .unwrap();
    let volume: PathBuf = owner.path().into();
    std::os::unix::fs::chown(&volume, Some(POD_IDS), Some(POD_IDS)).unwrap();
    // Elements by one path: a layer is that of the very same hooks.
    let first = pod(&volume);
    let elements = volume.join("elements");
    crate::common::copy_tree(&first.elements(), &elements);
    let pods: Vec<Run> = (0..PODS)
        .map(|_| {
            pod(&volume)
                .env("ELEMENTS_PATH", &elements)
                .env("DIB_ELEMENTS_DIR", &elements)
        })
        .collect();
    for pod in &pods {
        give_all(pod, POD_IDS);
    }
    for round in ["made", "found"] {
        let builds: Vec<_> = pods
            .iter()
            .map(|pod| {
                let mut command = pod.command();
                command
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for build in builds {
            let output = build.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{round}: {said}{complaint}");
            let began = said.contains("safedib: beginning with the layer");
            assert_eq!(began, round == "found", "{round}: {said}");
        }
        for pod in &pods {
            pod.assert_nothing_left();
            let path = pods[0].dir.join("image.tar").display().to_string();
            same_trees(&pod.dir, "image.tar", &path);
        }
    }
    let count = fs::read_to_string(volume.join("images/count")).unwrap();
    assert_eq!(count, "fetched\n");
    let left: BTreeSet<String> = fs::read_dir(volume.join("images"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, ["count", "fetched"].map(String::from).into());
    let journals = fs::read_dir(volume.join("safedib/safedib/builds")).unwrap();
    assert_eq!(journals.count(), 0);
}
