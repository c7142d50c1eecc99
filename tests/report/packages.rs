//! Packages of a target with rpm's database: read by an rpm that cannot change it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::common::{callers, Run};
use super::{or_lacks, report};

/// A target whose own rpm is a script, beside a database that no real one reads.
const OWN_RPM: &str = r#"#!/bin/bash
set -eu
[ "$(id -u)" = 0 ] || exec sudo TARGET_ROOT="$TARGET_ROOT" "$0"
cd "$TARGET_ROOT"
mkdir -p usr/lib/sysimage/rpm var/lib
ln -s ../../usr/lib/sysimage/rpm var/lib/rpm
echo garbage > usr/lib/sysimage/rpm/rpmdb.sqlite
cat > usr/bin/rpm <<'END'
#!/bin/bash
[ "$1 $2" = "-qa --qf" ] || exit 3
echo changed > /written-by-rpm
echo changed > /var/lib/rpm/rpmdb.sqlite
printf 'P\towner\t2\t1.0-3.fc99\tx86_64\towner-1.0-3.src.rpm\tMIT AND <b>\nF/usr/bin/bash\nF/absent\n'
printf 'P\tgpg-pubkey\t\t1-1\t(none)\t\tpubkey\n'
END
chmod 755 usr/bin/rpm
"#;

fn build(run: Run, hook: &str) -> Run {
    run.element_file("with-rpm", "root.d/60-rpm", hook)
        .args(["--report=r.json", "--report=r.cdx.json"])
        .args(["safedib-fake-os", "with-rpm"])
}

fn of_tar(run: &Run, name: &str) -> String {
    let output = Command::new("tar")
        .args(["-xOf", "image.tar", name])
        .current_dir(&run.dir)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_targets_own_rpm_reads_a_copy_and_changes_nothing() {
    for caller in callers() {
        let run = build(Run::build(&caller, "tar"), OWN_RPM);
        run.run().success();
        let report = report(&run, "r.json");
        let content = &report["content"];
        assert_eq!(content["manager"], "rpm", "{}", content["note"]);
        let packages = content["packages"].as_array().unwrap();
        assert_eq!(packages.len(), 1);
        assert_eq!(packages[0]["files"], 1);
        assert_eq!(packages[0]["licence"], "MIT AND <b>");
        assert_eq!(of_tar(&run, "./written-by-rpm"), "");
        let database = of_tar(&run, "./usr/lib/sysimage/rpm/rpmdb.sqlite");
        assert_eq!(database, "garbage\n");
        let bill = super::report(&run, "r.cdx.json");
        let owner = bill["components"].as_array().unwrap().last().unwrap();
        assert_eq!(
            owner["purl"],
            "pkg:rpm/safedib-fake-os/owner@1.0-3.fc99?arch=x86_64&distro=safedib-fake-os&epoch=2"
        );
        assert_eq!(owner["version"], "2:1.0-3.fc99");
        assert_eq!(owner["licenses"][0]["license"]["name"], "MIT AND <b>");
    }
}

#[test]
fn a_database_that_nobody_can_read_is_told() {
    for caller in callers() {
        let hook = OWN_RPM.replace("chmod 755", "rm");
        let run = build(Run::build(&caller, "tar"), &hook);
        run.run().success();
        let report = report(&run, "r.json");
        assert_eq!(report["content"]["manager"], Value::Null);
        let note = report["content"]["note"].as_str().unwrap();
        assert!(note.contains("nobody can read"), "{note}");
        assert!(report["content"]["tree"]["bytes"].as_u64() > Some(1 << 20));
    }
}

/// A real database, made by the appliance's own rpm.
const REAL: &str = r#"#!/bin/bash
set -eu
mkdir -p "$TMP_BUILD_DIR/rpm" "$TARGET_ROOT/var/lib/rpm"
cd "$TMP_BUILD_DIR/rpm"
cat > small.spec <<'END'
Name: small
Version: 1.2
Release: 3
Summary: Small
License: Apache-2.0
BuildArch: noarch
%description
Small.
%install
mkdir -p %{buildroot}/opt/small
head -c 100000 /dev/zero > %{buildroot}/opt/small/file
%files
/opt/small/file
END
rpmbuild --define "_topdir $PWD" --define "_rpmdir $PWD" -bb small.spec
sudo rpm --root "$TARGET_ROOT" --dbpath /var/lib/rpm --noplugins -i --nodeps --ignoreos noarch/small-1.2-3.noarch.rpm
"#;

#[test]
fn a_real_database_is_read() {
    let there = Path::new("/usr/bin/rpmbuild").exists();
    for caller in callers() {
        if or_lacks(&mut Command::new("true"), "rpmbuild", there).is_none() {
            return;
        }
        let run = build(Run::build(&caller, "tar"), REAL);
        run.run().success();
        let report = report(&run, "r.json");
        let content = &report["content"];
        assert_eq!(content["manager"], "rpm", "{}", content["note"]);
        let small = &content["packages"][0];
        assert_eq!(
            (&small["name"], &small["version"]),
            (&"small".into(), &"1.2-3".into())
        );
        assert_eq!(
            (&small["arch"], &small["files"]),
            (&"noarch".into(), &1.into())
        );
        assert_eq!(small["licence"], "Apache-2.0");
        assert!(fs::metadata(run.dir.join("image.tar")).is_ok());
    }
}
