//! The namespace appliance with real kernels and tools: as the calling user,
//! and, when that is root, once more as an ordinary user.

mod environment;
mod lifetime;
mod network;
mod view;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// All other tests again, as an ordinary user with subordinate ids.
#[test]
fn all_of_this_as_an_ordinary_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let Some(user) = environment::ordinary_user() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no user has 65536 ids in /etc/subuid"
        );
        eprintln!("skipped: no user has 65536 ids in /etc/subuid");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let tests = dir.path().join("tests");
    let binary = dir.path().join("safedib");
    fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    fs::copy(environment::binary(), &binary).unwrap();
    let output = Command::new("setpriv")
        .args([
            "--reuid",
            &user.name,
            "--regid",
            &user.gid.to_string(),
            "--init-groups",
            "--",
        ])
        .arg(&tests)
        .args(["--test-threads", "2"])
        .env("SAFEDIB_TEST_BINARY", &binary)
        .env("HOME", &user.dir)
        .env_remove("TMPDIR")
        .current_dir("/")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "as {}:\n{}\n{}",
        user.name,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
