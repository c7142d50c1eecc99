//! Files, names and network of the machine.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Fault;
use crate::protocol::machine::{MachineNetwork, MachineSetup};

/// What `/var` holds on every system: programs trip over a missing one.
const VAR: [&str; 8] = [
    "/var/cache/apt/archives/partial",
    "/var/lib/apt/lists/partial",
    "/var/lib/dpkg/info",
    "/var/lib/dpkg/updates",
    "/var/lib/misc",
    "/var/log",
    "/var/mail",
    "/var/spool",
];

/// Writes files, makes directories and sets the host's name.
pub(super) fn files(setup: &MachineSetup) -> Result<(), Fault> {
    for path in VAR {
        fs::create_dir_all(path).map_err(Fault::of(format!("making {path}")))?;
    }
    for (path, mode) in &setup.directories {
        fs::create_dir_all(path)
            .and_then(|()| fs::set_permissions(path, PermissionsExt::from_mode(*mode)))
            .map_err(Fault::of(format!("making {}", path.display())))?;
    }
    for file in &setup.files {
        write(&file.path, &file.content, file.mode)
            .map_err(Fault::of(format!("writing {}", file.path.display())))?;
    }
    let status = Path::new("/var/lib/dpkg/status");
    if !status.exists() {
        write(status, "", 0o644).map_err(Fault::of("writing /var/lib/dpkg/status"))?;
    }
    nix::unistd::sethostname(&setup.hostname)
        .map_err(|errno| Fault::of("setting the host name")(errno.into()))
}

fn write(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    // The package's file may be a link, /etc/resolv.conf mostly is.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::write(path, content)?;
    fs::set_permissions(path, PermissionsExt::from_mode(mode))
}

/// A network that is being configured.
pub(super) struct Configuring(Child);

/// Brings the loopback up, and the network card if there is one.
pub(super) fn start_network(network: Option<&MachineNetwork>) -> Result<Configuring, Fault> {
    let mut batch = String::from("link set lo up\n");
    if let Some(MachineNetwork { address, gateway }) = network {
        batch.push_str(&format!(
            "address add {address} dev eth0\nlink set eth0 up\nroute add default via {gateway}\n"
        ));
    }
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(Fault::of(NETWORK))?;
    if let Some(mut stdin) = ip.stdin.take() {
        stdin
            .write_all(batch.as_bytes())
            .map_err(Fault::of(NETWORK))?;
    }
    Ok(Configuring(ip))
}

const NETWORK: &str = "configuring the network";

impl Configuring {
    /// Waits until it is done.
    pub(super) fn wait(mut self) -> Result<(), Fault> {
        let status = self.0.wait().map_err(Fault::of(NETWORK))?;
        match status.success() {
            true => Ok(()),
            false => Err(Fault::of(NETWORK)(io::Error::other(format!(
                "ip: {status}"
            )))),
        }
    }
}
