//! Hosts that lack nothing that matters.

use serde_json::Value;

use super::common::callers;
use super::host::{calm, doctor, parse, Lack};

#[test]
fn a_host_with_everything_is_healthy() {
    for caller in callers() {
        let outcome = calm(doctor(&caller).run().success());
        for line in [
            "\nthe namespace appliance\n",
            "  ok     user namespaces           a sandbox was started\n",
            "  ok     debootstrap               debootstrap: root.d makes the base system with it\n",
            "\nwhich appliance a build gets\n  disk-image-create debian-minimal\n",
            "\n`disk-image-create debian-minimal` works here\n",
        ] {
            assert!(outcome.stdout.contains(line), "no {line:?} in {outcome}");
        }
        assert!(!outcome.stdout.contains('\x1b'), "{outcome}");
    }
}

#[test]
fn the_json_keeps_its_form() {
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    for caller in callers() {
        let outcome = calm(doctor(&caller).args(["--json"]).run().success());
        let findings = parse(&outcome);
        assert_eq!(findings["version"], 1);
        assert_eq!(
            keys(&findings),
            ["builds", "groups", "host", "safedib", "version", "works"]
        );
        assert_eq!(keys(&findings["host"]), ["kernel", "machine", "user"]);
        let groups = findings["groups"].as_array().unwrap();
        let names: Vec<&str> = groups.iter().map(|g| g["name"].as_str().unwrap()).collect();
        let expected = [
            "request",
            "namespace",
            "microvm",
            "tools",
            "other-tools",
            "room",
        ];
        assert_eq!(names, expected);
        for check in groups.iter().flat_map(|g| g["checks"].as_array().unwrap()) {
            assert_eq!(keys(check), ["detail", "mend", "name", "status"]);
            let status = check["status"].as_str().unwrap();
            assert!(["ok", "lacks", "note"].contains(&status), "{check:#}");
            assert!(status != "ok" || check["mend"].is_null(), "{check:#}");
        }
        let builds = findings["builds"].as_array().unwrap();
        assert_eq!(builds.len(), 2);
        for build in builds {
            assert_eq!(keys(build), ["command", "places", "reason", "works"]);
            for place in build["places"].as_array().unwrap() {
                assert_eq!(keys(place), ["appliance", "steps", "why"]);
            }
        }
        assert_eq!(builds[0]["places"][0]["appliance"], "namespace");
        assert_eq!(builds[0]["places"][0]["steps"][0], 1);
    }
}

#[test]
fn a_build_that_reads_a_block_device_gets_a_machine_for_that_part() {
    for caller in callers() {
        let findings = parse(&doctor(&caller).args(["--json"]).run().success());
        let places = findings["builds"][1]["places"].as_array().unwrap();
        let why: Vec<&str> = places
            .iter()
            .filter(|place| place["appliance"] == "microvm")
            .map(|place| place["why"].as_str().unwrap())
            .collect();
        assert_eq!(why.len(), 1, "{places:#?}");
        assert!(why[0].contains("50-loader of element 'vm'"), "{why:?}");
    }
}

#[test]
fn a_host_without_kvm_is_healthy() {
    let setup = "d=$(mktemp -d); mount -t tmpfs none $d; mkdir $d/net; \
         cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty $d; \
         cp -a /dev/net/tun $d/net; mount --move $d /dev; rmdir $d";
    for caller in callers() {
        Lack {
            setup,
            status: 0,
            check: ("microvm", "KVM", "note"),
            detail: "cannot open /dev/kvm: No such file",
            mend: None,
        }
        .is_found_by(&caller);
    }
}
