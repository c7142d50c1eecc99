//! What the tests share: a sandbox that runs a shell script.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::unistd::User;
use safedib::appliance::namespace::{start, AgentCommand};
use safedib::appliance::{ApplianceSpec, Share};

/// The safedib binary.
pub fn binary() -> PathBuf {
    std::env::var_os("SAFEDIB_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_safedib").into(), PathBuf::from)
}

/// A user whom /etc/subuid gives enough ids.
pub fn ordinary_user() -> Option<User> {
    fs::read_to_string("/etc/subuid")
        .ok()?
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let user = User::from_name(fields.next()?).ok()??;
            let count: u32 = fields.nth(1)?.parse().ok()?;
            (count >= 65_534 && !user.uid.is_root()).then_some(user)
        })
}

/// Nothing shared, no network.
pub fn spec() -> ApplianceSpec {
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

/// A share at its own path.
pub fn share(path: &Path, writable: bool) -> Share {
    Share {
        path: path.to_owned(),
        inside: None,
        only_in: None,
        writable,
        why: "test".to_owned(),
    }
}

/// A shell script as the agent; its output goes to the channel.
pub fn script(text: &str) -> AgentCommand {
    AgentCommand {
        binary: binary(),
        arguments: vec![
            "/bin/bash".into(),
            "-c".into(),
            format!("exec >&$SAFEDIB_CHANNEL_FD 2>&1 {{SAFEDIB_CHANNEL_FD}}>&-\n{text}").into(),
        ],
        environment: vec![
            ("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("LC_ALL".into(), "C".into()),
        ],
        home: std::env::var_os("HOME")
            .unwrap_or_else(|| "/root".into())
            .into(),
    }
}

/// Runs a script in a sandbox: what it printed, and how it ended.
#[track_caller]
pub fn run(spec: &ApplianceSpec, text: &str) -> (String, Option<String>) {
    let running = start(spec, &script(text))
        .unwrap_or_else(|error| panic!("{}", safedib::error::Error::from(error).render()));
    let mut output = String::new();
    let mut channel = running.channel();
    channel.read_to_string(&mut output).unwrap();
    (output, running.end().how)
}

/// Runs a script that must exit 0, and gives what it printed.
#[track_caller]
pub fn run_ok(spec: &ApplianceSpec, text: &str) -> String {
    let (output, end) = run(spec, text);
    assert_eq!(end, None, "{output}");
    output
}
