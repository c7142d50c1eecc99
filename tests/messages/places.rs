//! Where things go.

use super::{build, says_early, says_prepared};

const WORDS: [&str; 4] = ["-t", "tar", "-n", "safedib-fake-os"];

#[test]
fn started_in_the_root_directory() {
    let run = build(&["-t", "tar", "-n", "safedib-fake-os"]).through_shell("cd /");
    says_early("started-in-root", &run, &run.run());
}

#[test]
fn an_output_directory_that_is_not_there() {
    let run = build(&WORDS).args(["-o", "/srv/images/image"]);
    says_early("output-directory-not-there", &run, &run.run());
}

#[test]
fn an_output_directory_of_somebody_else() {
    let run = build(&WORDS).args(["-o", "/usr/share/image"]);
    if super::newcomer() == super::Caller::Current && nix::unistd::Uid::effective().is_root() {
        eprintln!("not as root alone: it can write there");
        return;
    }
    says_early("output-directory-not-writable", &run, &run.run());
}

#[test]
fn a_read_only_output_directory() {
    let run = build(&WORDS).args(["-o", "image"]);
    let at = run.dir.display().to_string();
    says_prepared(
        "output-directory-read-only",
        &run,
        &format!("mount -t tmpfs -o ro none {at}"),
    );
}

#[test]
fn a_full_output_directory() {
    let run = build(&WORDS).args(["-o", "image"]);
    let at = run.dir.display().to_string();
    let setup = format!(
        "mount -t tmpfs -o size=64k,mode=777 none {at}; \
         dd if=/dev/zero of={at}/filler bs=4k 2>/dev/null || true; rm -f {at}/nothing"
    );
    says_prepared("output-directory-full", &run, &setup);
}

#[test]
fn a_temporary_directory_that_is_not_there() {
    let run = build(&WORDS).env("TMPDIR", "/scratch");
    says_early("temporary-directory-not-there", &run, &run.run());
}

#[test]
fn a_shared_path_that_is_not_there() {
    let run = build(&WORDS).args(["--share", "/srv/secrets"]);
    says_early("share-not-there", &run, &run.run());
}

#[test]
fn an_image_smaller_than_its_tree() {
    let run = build(&["-t", "raw", "-n", "safedib-tree", "--image-size", "0.02"]);
    super::says("image-too-small", &run, &run.run());
}

#[test]
fn a_home_that_cannot_be_written() {
    let run = build(&WORDS).env("HOME", "/usr/share");
    if nix::unistd::Uid::effective().is_root() && super::newcomer() == super::Caller::Current {
        eprintln!("not as root alone: it can write there");
        return;
    }
    says_early("home-not-writable", &run, &run.run());
}
