//! What options and variables do to a build, seen from inside hooks and from
//! what is left on the host.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{callers, Caller, Outcome, Run};

/// A build of the small OS element and `probe`, whose hooks a test writes.
fn build(caller: &Caller, format: &str) -> Run {
    Run::build(caller, format)
        .element_file("probe", "README.rst", "")
        .args(["safedib-fake-os", "probe"])
}

/// A bash hook outside the target.
fn outside(run: Run, text: &str) -> Run {
    let text = format!("#!/bin/bash\nset -eu\n{text}\n");
    run.element_file("probe", "extra-data.d/50-outside", &text)
}

/// A bash hook in the target.
fn inside(run: Run, text: &str) -> Run {
    let text = format!("#!/bin/bash\nset -eu\n{text}\n");
    run.element_file("probe", "install.d/50-inside", &text)
}

#[track_caller]
fn says(outcome: &Outcome, texts: &[&str]) {
    for text in texts {
        assert!(
            outcome.stdout.contains(text),
            "no {text:?} in stdout of {outcome}"
        );
    }
}

/// A directory beside the working directory, with one file, of the caller's own.
fn data_dir(run: &Run) -> PathBuf {
    let directory = run.dir.parent().unwrap().join("data");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("known"), "what the caller has\n").unwrap();
    run.give(&directory);
    run.give(&directory.join("known"));
    directory
}

fn tar_file(archive: &Path, member: &str) -> String {
    let output = Command::new("tar")
        .arg("-xOf")
        .arg(archive)
        .arg(member)
        .output()
        .unwrap();
    assert!(output.status.success(), "{member}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn packages_are_installed_in_the_target_after_install() {
    let fake = "#!/bin/bash\nset -eu\ntool=$TARGET_ROOT/usr/local/bin/install-packages\n\
        printf '#!/bin/bash\\necho \"install-packages $* in $(ls /etc/os-release)\" >> /order\\n' > $tool\n\
        chmod 755 $tool\n";
    for caller in callers() {
        let run = inside(build(&caller, "tar"), "echo install.d >> /order")
            .element_file("probe", "root.d/90-fake", fake)
            .element_file(
                "probe",
                "post-install.d/50-x",
                "#!/bin/bash\necho post-install.d >> /order\n",
            )
            .args(["-p", "one,two", "-p", "three"]);
        run.run().success().leaves(&["image.tar"]);
        assert_eq!(
            tar_file(&run.dir.join("image.tar"), "./order"),
            "install.d\ninstall-packages one two three in /etc/os-release\npost-install.d\n"
        );
    }
}

/// Puts a container client of this text first on the caller's PATH.
fn with_client(run: Run, text: &str) -> Run {
    let bin = run.dir.parent().unwrap().join("client");
    fs::create_dir(&bin).unwrap();
    let client = bin.join("docker");
    fs::write(&client, format!("#!/bin/bash\nset -eu\n{text}\n")).unwrap();
    fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", bin.display());
    run.env("PATH", path)
        .args(["--docker-target", "an/image:tag"])
}

#[test]
fn a_docker_image_is_imported_by_the_callers_client() {
    let client = "test \"$*\" = 'import - an/image:tag'\n\
        tar -tf - > $HOME/members\ngrep -qx ./usr/bin/bash $HOME/members\n\
        ! grep -q '^./proc' $HOME/members\necho \"uid $(id -u)\" > $HOME/who\necho sha256:4711";
    for caller in callers() {
        for (format, files) in [("docker", &[][..]), ("docker,tar", &["image.tar"][..])] {
            let run = with_client(build(&caller, format), client);
            let outcome = run.run().success().leaves(files);
            says(&outcome, &["Imported an/image:tag as sha256:4711"]);
            let who = fs::read_to_string(run.home().join("who")).unwrap();
            assert_eq!(who, format!("uid {}\n", run.owner().0));
        }
    }
}

#[test]
fn a_failing_container_client_fails_the_build() {
    for caller in callers() {
        let client = "cat > /dev/null; echo no engine is running >&2; exit 3";
        let run = with_client(build(&caller, "docker,tar"), client);
        run.run()
            .failure(1, &["docker", "no engine is running"])
            .leaves(&[]);
    }
}

#[test]
fn the_usage_report_is_printed_when_wanted() {
    for caller in callers() {
        let big = "head -c 12000000 /dev/zero | tr '\\0' x > /fat; echo thin > /thin";
        let run = inside(build(&caller, "tar"), big).env("DIB_SHOW_IMAGE_USAGE", "1");
        let outcome = run.run().success();
        says(
            &outcome,
            &["Image size report (files > 10MiB)", "12MiB", "/built/fat"],
        );
        assert!(!outcome.stdout.contains("/built/thin"), "{outcome}");
        let outcome = run.env("DIB_SHOW_IMAGE_USAGE_FULL", "1").run().success();
        says(&outcome, &["/built/fat", "/built/thin"]);
    }
}

#[test]
fn shares_are_read_only_unless_asked_for() {
    let hook = "cat $DATA/known || echo unknown\n\
        if echo new > $DATA/new; then echo written; else echo refused; fi";
    for caller in callers() {
        for (suffix, texts, written) in [
            (None, &["| unknown", "| refused"], false),
            (Some(""), &["| what the caller has", "| refused"], false),
            (Some(":rw"), &["| what the caller has", "| written"], true),
        ] {
            let run = outside(build(&caller, "tar"), hook);
            let data = data_dir(&run);
            let mut run = run.env("DATA", &data);
            if let Some(suffix) = suffix {
                let share = format!("{}{suffix}", data.display());
                run = run.args(["--share".to_owned(), share]);
            }
            says(&run.run().success(), texts);
            let new = data.join("new");
            assert_eq!(new.exists(), written, "{suffix:?}");
            if written {
                let found = fs::metadata(&new).unwrap();
                let (uid, gid) = run.owner();
                assert_eq!((found.uid(), found.gid()), (uid.as_raw(), gid.as_raw()));
            }
        }
    }
}

#[test]
fn a_missing_share_is_refused_by_name() {
    for caller in callers() {
        let run = build(&caller, "tar").args(["--share", "/srv/no/such"]);
        run.run()
            .failure(1, &["--share", "/srv/no/such"])
            .leaves(&[]);
    }
}

#[test]
fn another_library_takes_the_place_of_ours() {
    for caller in callers() {
        let run = outside(
            build(&caller, "tar"),
            "echo \"lib is $_LIB\"; source $_LIB/die; mine",
        );
        let data = data_dir(&run);
        fs::write(data.join("die"), "mine() { echo of the caller; }\n").unwrap();
        let run = run.args(["--lib".into(), data.clone().into_os_string()]);
        let expected = format!("lib is {}", data.display());
        says(&run.run().success(), &[&expected, "| of the caller"]);
    }
}

#[test]
fn a_cleared_environment_keeps_what_options_set() {
    let hook = "echo \"mine=${MINE-gone} mirror=${DIB_MINE-gone} home=$HOME name=$IMAGE_NAME\"";
    for caller in callers() {
        let run = outside(build(&caller, "tar"), hook)
            .env("MINE", "kept")
            .env("DIB_MINE", "kept");
        let home = run.home().display().to_string();
        let line = |word: &str| format!("mine={word} mirror={word} home={home} name=image");
        says(&run.run().success(), &[&line("kept")]);
        let run = run.args(["-c"]);
        says(&run.run().success(), &[&line("gone")]);
    }
}

#[test]
fn the_image_cache_lives_on_and_belongs_to_the_caller() {
    let hook = "test ! -e $DIB_IMAGE_CACHE/mark || cat $DIB_IMAGE_CACHE/mark\n\
        echo of an earlier build > $DIB_IMAGE_CACHE/mark; mkdir -p $DIB_IMAGE_CACHE/sub\n\
        sudo touch $DIB_IMAGE_CACHE/sub/by-sudo";
    for caller in callers() {
        let run = outside(build(&caller, "tar"), hook);
        let cache = run.home().join("cache");
        let run = run.env("DIB_IMAGE_CACHE", &cache);
        let first = run.run().success();
        assert!(!first.stdout.contains("of an earlier build"), "{first}");
        says(&run.run().success(), &["| of an earlier build"]);
        let (uid, gid) = run.owner();
        for path in ["", "mark", "sub", "sub/by-sudo"] {
            let found = fs::metadata(cache.join(path)).unwrap();
            let owner = (found.uid(), found.gid());
            assert_eq!(owner, (uid.as_raw(), gid.as_raw()), "{path}");
        }
    }
}

#[test]
fn offline_is_told_to_hooks() {
    for caller in callers() {
        let hook = "echo \"offline=${DIB_OFFLINE:-no}\"";
        let run = inside(outside(build(&caller, "tar"), hook), hook);
        let outcome = run.run().success();
        assert_eq!(
            outcome.stdout.matches("| offline=no\n").count(),
            2,
            "{outcome}"
        );
        let outcome = run.args(["--offline"]).run().success();
        assert_eq!(
            outcome.stdout.matches("| offline=1\n").count(),
            2,
            "{outcome}"
        );
    }
}

#[test]
fn without_network_there_is_lo_alone() {
    for caller in callers() {
        let hook = "cd /sys/class/net; echo \"interfaces:\" *; \
            echo nameservers: $(grep -c nameserver /etc/resolv.conf)";
        let run = inside(outside(build(&caller, "tar"), hook), hook).args(["--no-network"]);
        let outcome = run.run().success();
        for line in ["| interfaces: lo\n", "| nameservers: 0\n"] {
            assert_eq!(outcome.stdout.matches(line).count(), 2, "{line} {outcome}");
        }
    }
}
