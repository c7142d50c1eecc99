//! Pinned elements, whose scripts were read by hand first.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::repository::{check, findings};

pub const UPSTREAM: &str = "diskimage-builder-3.43.0/diskimage_builder/elements";
const OLD: &str = "diskimage-builder-0.1.46/elements";
const SAHARA: &str = "sahara-image-elements-19.0.0/elements";
const TRIPLEO: &str = "tripleo-image-elements-15.0.0/elements";
const OCTAVIA: &str = "octavia-19.0.0/elements";
const AGENT: &str = "ironic-python-agent-builder-7.4.0/dib";

type Places = &'static [(&'static str, &'static str)];

/// Tree, element, and everything that is to be found in it: code, place.
const EXPECTED: &[(&str, &str, Places)] = &[
    // `deploy` was renamed to deploy-baremetal in 2.0, its user was not told.
    (UPSTREAM, "deploy-kexec", &[("D101", "element-deps:1")]),
    (UPSTREAM, "docker", &[("N405", "root.d/08-docker:32")]),
    (UPSTREAM, "debian-minimal", &[]),
    (
        UPSTREAM,
        "iso",
        &[
            ("N401", "cleanup.d/100-build-iso:47"),
            ("N402", "cleanup.d/100-build-iso:52"),
            ("N401", "cleanup.d/100-build-iso:146"),
        ],
    ),
    // Its .rpmmacros is the caller's; everything else is below --root.
    (
        UPSTREAM,
        "yum-minimal",
        &[
            ("H501", "root.d/08-yum-chroot:212"),
            ("H501", "root.d/08-yum-chroot:258"),
            ("N401", "root.d/08-yum-chroot:135"),
            ("N404", "root.d/08-yum-chroot:135"),
            ("N401", "root.d/08-yum-chroot:148"),
        ],
    ),
    (
        UPSTREAM,
        "source-repositories",
        &[
            ("N401", "extra-data.d/98-source-repositories:128"),
            ("N404", "extra-data.d/98-source-repositories:128"),
            ("N401", "extra-data.d/98-source-repositories:241"),
            ("N401", "extra-data.d/98-source-repositories:248"),
        ],
    ),
    (
        UPSTREAM,
        "block-device-efi-lvm",
        &[("N402", "block-device-default.yaml")],
    ),
    // It stands for the element bootloader on s390x.
    (UPSTREAM, "zipl", &[("C907", "element-provides")]),
    (SAHARA, "nc", &[("D103", "elements-deps")]),
    // DIB_HADOOP_VERSION is the wrapper's, diskimage-create.sh.
    (SAHARA, "storm", &[("V601", "install.d/60-storm:25")]),
    (SAHARA, "apt-mirror", &[]),
    // L814: the word "which" in prose, too, as dib-lint has it.
    (
        TRIPLEO,
        "os-collect-config",
        &[
            ("L801", ""),
            (
                "L803",
                "install.d/os-collect-config-source-install/10-os-collect-config:54",
            ),
            ("L814", "README.md:62"),
            ("L817", "README.md"),
            (
                "L808",
                "install.d/os-collect-config-package-install/10-enable-os-collect-config",
            ),
            (
                "L809",
                "install.d/os-collect-config-package-install/10-enable-os-collect-config",
            ),
            (
                "L808",
                "install.d/os-collect-config-source-install/10-os-collect-config",
            ),
            (
                "L809",
                "install.d/os-collect-config-source-install/10-os-collect-config",
            ),
        ],
    ),
    (
        TRIPLEO,
        "pip-manifest",
        &[
            ("L801", ""),
            ("L811", "environment.d/15-pip-manifests"),
            ("L817", "README.md"),
            ("L808", "bin/get-pip-manifest"),
            ("L809", "bin/get-pip-manifest"),
            ("L808", "bin/use-pip-manifest"),
            ("L809", "bin/use-pip-manifest"),
            ("L808", "bin/write-pip-manifest"),
            ("L809", "bin/write-pip-manifest"),
            ("L808", "environment.d/15-pip-manifests"),
            ("L809", "environment.d/15-pip-manifests"),
            ("L808", "extra-data.d/75-inject-pip-manifests"),
            ("L809", "extra-data.d/75-inject-pip-manifests"),
            ("L808", "install.d/01-pip-manifest"),
            ("L809", "install.d/01-pip-manifest"),
        ],
    ),
    (
        OCTAVIA,
        "cpu-pinning",
        &[
            ("F201", "post-install.d/20-enable-tuned"),
            ("F201", "post-install.d/30-set-tuned-profile"),
            ("L802", "static/etc/tuned/amphora/script.sh"),
            ("L808", "environment.d/80-kernel-cpu-affinity"),
            ("L808", "post-install.d/20-enable-tuned"),
            ("L810", "environment.d/80-kernel-cpu-affinity:20"),
        ],
    ),
    (
        OCTAVIA,
        "root-passwd",
        &[
            ("V601", "post-install.d/99-setup:2"),
            ("L806", "post-install.d/99-setup"),
            ("L807", "post-install.d/99-setup"),
            ("L808", "post-install.d/99-setup"),
            ("L809", "post-install.d/99-setup"),
        ],
    ),
    (
        OCTAVIA,
        "no-resolvconf",
        &[
            ("L806", "finalise.d/99-disable-resolv-conf"),
            ("L807", "finalise.d/99-disable-resolv-conf"),
            ("L808", "finalise.d/99-disable-resolv-conf"),
            ("L809", "finalise.d/99-disable-resolv-conf"),
        ],
    ),
    // `arch: amd64, aarch64`: the script that reads it does not trim, so that no
    // acpid is installed on arm64. Variables of `when` are the wrapper's.
    (
        OCTAVIA,
        "amphora-agent",
        &[
            ("C903", "package-installs.yaml:44"),
            ("C903", "package-installs.yaml:46"),
            ("C903", "package-installs.yaml:79"),
            ("V601", "package-installs.yaml:76"),
            ("V601", "package-installs.yaml:91"),
            ("L807", "static/usr/local/bin/lvs-masquerade.sh"),
            ("L808", "static/usr/local/bin/lvs-masquerade.sh"),
            ("L809", "static/usr/local/bin/lvs-masquerade.sh"),
            ("L807", "static/usr/local/bin/udp-masquerade.sh"),
            ("L808", "static/usr/local/bin/udp-masquerade.sh"),
            ("L809", "static/usr/local/bin/udp-masquerade.sh"),
        ],
    ),
    (
        AGENT,
        "ironic-python-agent-tls",
        &[
            ("N401", "pre-finalise.d/10-configure-ipa-tls:15"),
            ("L813", "pre-finalise.d/10-configure-ipa-tls:15"),
            ("L806", "pre-finalise.d/10-configure-ipa-tls"),
            ("L807", "pre-finalise.d/10-configure-ipa-tls"),
            ("L808", "pre-finalise.d/10-configure-ipa-tls"),
            ("L809", "pre-finalise.d/10-configure-ipa-tls"),
        ],
    ),
    // In its own tree the rules of 0.x count: block-device.d is right there.
    (
        OLD,
        "vm",
        &[
            ("N401", "block-device.d/10-partition:14"),
            ("N401", "block-device.d/10-partition:42"),
            ("L813", "block-device.d/10-partition:33"),
            ("L813", "cleanup.d/51-bootloader:39"),
            ("L814", "finalise.d/51-bootloader:69"),
        ],
    ),
];

/// Everything that is found in other people's repositories, checked together: code,
/// element, place.
const IN_OTHERS: &[&str] = &[
    // Each of these is one of a version that the user chooses, or the wrapper.
    "V601 hadoop install.d/40-setup-hadoop:10",
    "V601 hadoop install.d/40-setup-hadoop:12",
    "V601 hadoop install.d/40-setup-hadoop:15",
    "V601 hadoop install.d/40-setup-hadoop:18",
    "V601 hadoop install.d/40-setup-hadoop:21",
    "V601 hadoop-cloudera install.d/50-install-cloudera:54",
    "D103 nc elements-deps",
    "D103 ntp elements-deps",
    "V601 oozie install.d/50-setup-oozie:13",
    "V601 oozie install.d/50-setup-oozie:15",
    "V601 oozie install.d/50-setup-oozie:21",
    "V601 oozie install.d/50-setup-oozie:27",
    "V601 oozie install.d/50-setup-oozie:33",
    "V601 s3_hadoop post-install.d/89-manipulate-s3:29",
    "V601 s3_hadoop post-install.d/89-manipulate-s3:48",
    "V601 s3_hadoop post-install.d/89-manipulate-s3:9",
    "V601 spark post-install.d/20-spark:16",
    "V601 storm install.d/60-storm:25",
    "V601 swift_hadoop post-install.d/81-add-jar:10",
    "V601 swift_hadoop post-install.d/81-add-jar:12",
    "V601 swift_hadoop post-install.d/81-add-jar:25",
    "V601 swift_hadoop post-install.d/81-add-jar:38",
    "N402 overcloud-partition-uefi block-device-default.yaml",
    "C903 amphora-agent package-installs.yaml:44",
    "C903 amphora-agent package-installs.yaml:46",
    "C903 amphora-agent package-installs.yaml:79",
    "V601 amphora-agent package-installs.yaml:76",
    "V601 amphora-agent package-installs.yaml:91",
    "F201 cpu-pinning post-install.d/20-enable-tuned",
    "F201 cpu-pinning post-install.d/30-set-tuned-profile",
    "N401 ironic-python-agent-tls pre-finalise.d/10-configure-ipa-tls:15",
    "N401 ironic-ramdisk-base cleanup.d/99-ramdisk-create:54",
];

pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("upstream-fixtures/cache")
}

/// Whether the pinned packages are there; in CI they must be.
pub fn have_fixtures() -> bool {
    let missing = [UPSTREAM, OLD, SAHARA, TRIPLEO, OCTAVIA, AGENT]
        .into_iter()
        .find(|tree| !cache().join(tree).is_dir());
    if let Some(tree) = missing {
        assert!(std::env::var_os("CI").is_none(), "{tree} is missing");
        eprintln!("skipped: {tree} is missing, run scripts/fetch-fixtures");
    }
    missing.is_none()
}

/// All trees of the bar: upstream's and other people's.
const ALL: [&str; 5] = [UPSTREAM, SAHARA, TRIPLEO, OCTAVIA, AGENT];

pub fn all_trees() -> Vec<String> {
    ALL.iter()
        .map(|tree| cache().join(tree).display().to_string())
        .collect()
}

fn json(arguments: &[&str]) -> Value {
    let output = check(
        &cache().join(UPSTREAM),
        &[&["--format", "json"], arguments].concat(),
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

/// Code and place of each finding, sorted.
fn places(element: &Value) -> Vec<(String, String)> {
    let found = findings(element).into_iter();
    let mut places: Vec<(String, String)> = found.map(|(code, place, _)| (code, place)).collect();
    places.sort();
    places
}

#[test]
fn findings_on_pinned_elements_are_those_that_a_reader_finds() {
    if !have_fixtures() {
        return;
    }
    for (tree, element, expected) in EXPECTED {
        let path = cache().join(tree).join(element);
        let report = json(&[path.to_str().unwrap()]);
        let elements = report["elements"].as_array().unwrap();
        assert_eq!(elements.len(), 1, "{element}");
        assert_eq!(elements[0]["name"], *element);
        let mut expected: Vec<(String, String)> = expected
            .iter()
            .map(|(code, place)| ((*code).to_owned(), (*place).to_owned()))
            .collect();
        expected.sort();
        assert_eq!(places(&elements[0]), expected, "{element}");
    }
}

/// What the page shows of pinned trees is what comes out.
#[test]
fn the_page_shows_real_output() {
    if !have_fixtures() {
        return;
    }
    let page = include_str!("../../docs/migrating.md");
    let (mut output, mut compared) = (String::new(), 0);
    for line in page.lines() {
        let Some(line) = line.strip_prefix("    ") else {
            if !line.is_empty() {
                output.clear();
            }
            continue;
        };
        if let Some(words) = line.strip_prefix("$ safedib check ") {
            let words: Vec<&str> = words.split(' ').collect();
            let pinned = cache().join(words[words.len() - 1]).is_dir();
            output.clear();
            if pinned {
                let ran = Command::new(env!("CARGO_BIN_EXE_safedib"))
                    .arg("check")
                    .args(words)
                    .current_dir(cache())
                    .env("ELEMENTS_PATH", "")
                    .env("DIB_ELEMENTS_DIR", cache().join(UPSTREAM))
                    .output()
                    .unwrap();
                output = String::from_utf8(ran.stdout).unwrap();
            }
        } else if !output.is_empty() && line != "..." {
            assert!(output.lines().any(|it| it == line), "{line}\n{output}");
            compared += 1;
        }
    }
    assert!(compared > 15, "{compared}");
}

/// The bar is 2 s of an idle machine for a release build; this build is slower, and
/// not alone, so that only time on a processor counts.
#[test]
fn all_of_them_in_seconds() {
    if !have_fixtures() {
        return;
    }
    let output = Command::new("/bin/bash")
        .args(["-c", r#"TIMEFORMAT='%U %S'; time "$@" >/dev/null"#, "bash"])
        .args([env!("CARGO_BIN_EXE_safedib"), "check"])
        .args(all_trees())
        .env("ELEMENTS_PATH", "")
        .env("DIB_ELEMENTS_DIR", cache().join(UPSTREAM))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let seconds: f64 = text
        .split_whitespace()
        .map(|number| number.parse::<f64>().unwrap_or_else(|_| panic!("{text}")))
        .sum();
    assert!(seconds > 0.0 && seconds < 5.0, "{seconds} s");
}

#[test]
fn every_element_of_upstream_and_of_others_resolves_and_is_read_to_its_end() {
    if !have_fixtures() {
        return;
    }
    let trees = all_trees();
    let paths: Vec<&str> = trees.iter().map(String::as_str).collect();
    let report = json(&paths);
    let elements = report["elements"].as_array().unwrap();
    assert_eq!(elements.len(), 128 + 30 + 15 + 18 + 8);
    let mut errors = Vec::new();
    for element in elements {
        for (code, place) in places(element) {
            assert_ne!(code, "F208", "{} {place}", element["name"]);
            if code.starts_with('D') || code == "F205" {
                errors.push(format!("{code} {} {place}", element["name"]));
            }
        }
    }
    // One fault of upstream's own, two lists under a name that nobody reads.
    let expected = [
        "D101 \"deploy-kexec\" element-deps:1",
        "D103 \"nc\" elements-deps",
        "D103 \"ntp\" elements-deps",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn findings_in_other_peoples_repositories_are_right_and_no_more() {
    if !have_fixtures() {
        return;
    }
    let trees = all_trees();
    let others: Vec<&str> = trees[1..].iter().map(String::as_str).collect();
    // What dib-lint says of them is another test's.
    let report = json(&[&["--ignore", "L"], &others[..]].concat());
    let mut found = Vec::new();
    for element in report["elements"].as_array().unwrap() {
        let name = element["name"].as_str().unwrap();
        let line = |(code, place)| format!("{code} {name} {place}");
        found.extend(places(element).into_iter().map(line));
    }
    assert_eq!(found, IN_OTHERS);
}
