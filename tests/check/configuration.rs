//! Configuration files of elements: C9xx, and what goes with them.

use super::repository::Repository;

fn plain(repository: &Repository, path: &str, text: &str) {
    repository.write(path, 0o644, text);
}

#[test]
fn package_installs_by_the_rules_of_the_script_that_reads_it() {
    let repository = Repository::new();
    let good = "\
a:
b: {}
c: ''
d: {phase: post-install.d, build-only: yes, arch: 'amd64,arm64', dib_python_version: 3}
e: [{when: DIB_E != 1, not-arch: s390x}, {installtype: package, uninstall: true}]
f: {when: [ARCH=amd64, 'DIB_E = x']}
";
    plain(&repository, "good/package-installs.yaml", good);
    plain(&repository, "good/README.rst", "DIB_E is read.\n");
    plain(
        &repository,
        "tabs/package-installs.yaml",
        "{\n\t\"a\": null\n}\n",
    );
    let bad = "\
a: {phase: install, Phase: x}
b: yes
c: {arch: [amd64]}
d: {arch: 'amd64, arm64'}
e: {arch: amd64, not-arch: arm64}
f: {when: DIB_NOBODY}
g: [x]
h: {when: DIB_NOBODY = 1}
i: {when: 3}
j: {phase: [install.d]}
";
    plain(&repository, "bad/package-installs.yaml", bad);
    plain(&repository, "list/package-installs.json", "[\"a\"]\n");
    plain(&repository, "nothing/package-installs.yaml", "# nothing\n");
    plain(&repository, "broken/package-installs.yaml", "a:\nb: {\n");
    let expected = [
        "bad C902 package-installs.yaml:2: b: an entry that is no mapping",
        "bad C902 package-installs.yaml:3: c: architectures that are no string with commas: ['amd64']",
        "bad C902 package-installs.yaml:5: e: both arch and not-arch",
        "bad C902 package-installs.yaml:6: f: 'DIB_NOBODY' is no condition such as 'VARIABLE = VALUE'",
        "bad C902 package-installs.yaml:7: g: an entry that is no mapping",
        "bad C902 package-installs.yaml:9: i: '3' is no condition such as 'VARIABLE = VALUE'",
        "bad C902 package-installs.yaml:10: j: a phase that is no string",
        "bad C903 package-installs.yaml:1: a: 'Phase' is no key",
        "bad C903 package-installs.yaml:1: a: no package is installed in phase 'install'",
        "bad C903 package-installs.yaml:4: d: ' arm64' has a blank, and is no architecture",
        "list C902 package-installs.json:1: no mapping of packages",
        "nothing C902 package-installs.yaml: nothing in it",
    ];
    let mut found = repository.findings("C");
    let broken = found
        .iter()
        .position(|it| it.starts_with("broken C901 package-installs.yaml:"));
    found.remove(broken.expect("broken"));
    found.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(
        repository.findings("V"),
        ["bad V601 package-installs.yaml:8: $DIB_NOBODY"]
    );
}

#[test]
fn maps_of_packages_and_services() {
    let repository = Repository::new();
    let good = r#"{"default": {"a": "b", "c": ""}, "family": {"suse": {"a": null}},
 "distro": {"debian": {}}, "release": {"debian": {"bookworm": {"a": "x y"}}}}
"#;
    plain(&repository, "good/pkg-map", good);
    plain(
        &repository,
        "good/svc-map",
        "a: {default: b}\nc:\n  debian: d\n",
    );
    plain(
        &repository,
        "comma/pkg-map",
        "{\"default\": {\"a\": \"b\",}\n}\n",
    );
    plain(
        &repository,
        "bad/pkg-map",
        "{\"family\": {\"rhel\": {\"a\": \"b\"}},\n\"distros\": {},\n\"release\": {\"debian\":\n\"bookworm\"},\n\"default\": {\"a\": [\"b\"]}}\n",
    );
    plain(&repository, "list/pkg-map", "[]\n");
    plain(&repository, "other/element-deps", "good\n");
    plain(&repository, "other/svc-map", "c: {default: x}\ne: f\n");
    plain(&repository, "empty/svc-map", "");
    assert_eq!(
        repository.findings("C"),
        [
            "bad C904 pkg-map:4: no mapping",
            "bad C904 pkg-map:5: what a comes to is no string",
            "bad C903 pkg-map:1: 'rhel' is no family (debian, gentoo, redhat, suse)",
            "bad C903 pkg-map:2: 'distros' is none of default, family, distro, release",
            "comma C901 pkg-map:1: expecting a property name in double quotes",
            "empty C905 svc-map: no mapping",
            "list C904 pkg-map:1: no mapping",
            "other C905 svc-map:1: 'good' has the service 'c', too",
            "other C905 svc-map:2: 'e' is no mapping",
        ]
    );
}

#[test]
fn layouts_names_that_are_provided_and_repositories() {
    let repository = Repository::new();
    let disk = |size: &str, partition: &str| {
        format!(
            "- local_loop: {{name: image0, size: {size}}}\n\
             - partitioning:\n    base: image0\n    label: mbr\n    partitions:\n\
             \x20     - {{name: root, size: {partition}, flags: [primary], mkfs: {{mount: {{mount_point: /}}}}}}\n"
        )
    };
    plain(
        &repository,
        "good/block-device-default.yaml",
        &disk("3GiB", "2GiB"),
    );
    plain(
        &repository,
        "full/block-device-amd64.yaml",
        &disk("1GiB", "2GiB"),
    );
    plain(
        &repository,
        "odd/block-device-default.yaml",
        "- local_loops: {name: image0}\n",
    );
    plain(
        &repository,
        "sectors/block-device-default.yaml",
        "- local_loop: {name: image0, block_size: 4096}\n\
         - mkfs: {base: image0, name: mkfs_root, mount: {mount_point: /}}\n",
    );
    plain(&repository, "stand-in/element-provides", "good\nnobody\n");
    let sources = "# a comment\n\na git /opt/a https://x/a\nb $KIND /opt/b x\nc hg /opt/c x\nd git\nlast git /opt/last x";
    plain(&repository, "sources/source-repository-x", sources);
    plain(&repository, "sources/more/source-repository-y", "z\n");
    let found = repository.findings("C");
    let (layouts, others): (Vec<&String>, Vec<&String>) =
        found.iter().partition(|it| it.contains(" C906 "));
    let places: Vec<&str> = layouts
        .iter()
        .filter_map(|it| Some(it.split_once(": ")?.0))
        .collect();
    assert_eq!(
        places,
        [
            "full C906 block-device-amd64.yaml",
            "odd C906 block-device-default.yaml"
        ],
        "{layouts:?}"
    );
    assert_eq!(
        others,
        [
            "sources C908 source-repository-x:5: 'c hg /opt/c x'",
            "sources C909 source-repository-x:7: no newline at its end",
            "stand-in C907 element-provides: 'good' is an element, too",
        ]
    );
    assert_eq!(
        repository.findings("N"),
        ["sectors N402 block-device-default.yaml: block_size 4096 (image0)"]
    );
}
