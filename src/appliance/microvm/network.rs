//! The way out: passt, on the other end of the machine's network card.
//!
//! Outbound connections only: nothing is forwarded inwards, and no address of
//! the machine's network leads to the host's loopback. qemu's own user network
//! maps 10.0.2.2 to it, and is used where the user asks for it by name.

use std::io::Read;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{cache, qemu, Error};
use crate::appliance::namespace::pidfd_open;
use crate::protocol::machine::MachineNetwork;

/// The machine's address, the gateway, and where passt answers name queries
/// when the host's resolvers listen on its loopback only.
const ADDRESS: &str = "10.0.2.15";
const GATEWAY: &str = "10.0.2.2";
const DNS: &str = "10.0.2.3";

/// The option for the same network from qemu itself.
pub(super) fn of_qemu() -> String {
    format!("-netdev user,id=net,ipv6=off,net=10.0.2.0/24,host={GATEWAY},dns={DNS}")
}

/// The program.
pub(super) fn find() -> Result<PathBuf, Error> {
    cache::need_program("passt", "passt", "for its network (not with --no-network)")
}

/// passt. Dropping it ends it.
#[derive(Debug)]
pub struct Network {
    child: Child,
    process: OwnedFd,
    /// The end for qemu; closed once that has it.
    pub(super) card: Option<UnixStream>,
}

impl Network {
    /// Starts passt with one end of a socket pair.
    pub(super) fn start() -> Result<Network, Error> {
        Network::start_with(&["--no-dhcp"])
    }

    /// The same for a machine that asks for its address.
    ///
    /// # Errors
    /// passt is missing, or does not start.
    pub fn with_dhcp() -> Result<Network, Error> {
        Network::start_with(&[])
    }

    /// The end for qemu, to be closed once that has it.
    pub fn take_card(&mut self) -> Option<UnixStream> {
        self.card.take()
    }

    fn start_with(more: &[&str]) -> Result<Network, Error> {
        let passt = find()?;
        let (card, theirs) = UnixStream::pair().map_err(Error::io("making a socket pair"))?;
        let mut command = Command::new(passt);
        command
            .args(["--foreground", "--quiet", "--stderr", "--no-map-gw"])
            .args(["-4", "-a", ADDRESS, "-n", "24", "-g", GATEWAY])
            .args(["-t", "none", "-u", "none"])
            .args(more)
            .args(["--fd", &theirs.as_raw_fd().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if only_loopback(&host_resolv_conf()) {
            command.args(["--dns-forward", DNS]);
        }
        qemu::pass_descriptors(&mut command, &[theirs.as_raw_fd()]);
        let mut child = command.spawn().map_err(Error::io("starting passt"))?;
        let process = pidfd_open(child.id() as nix::libc::pid_t).inspect_err(|_| {
            // Fails only if it has ended already.
            let _ = child.kill();
        });
        Ok(Network {
            process: process.map_err(Error::io("watching passt"))?,
            child,
            card: Some(card),
        })
    }

    /// Readable when passt has ended.
    pub(super) fn process(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// What passt said, if it has ended.
    pub(super) fn failure(&mut self) -> Option<Error> {
        let status = self.child.try_wait().ok().flatten()?;
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // Whatever it wrote before an error of reading is of use.
            let _ = stderr.read_to_string(&mut text);
        }
        // Where there is no syslog it complains of that first.
        let told = text
            .lines()
            .filter(|line| !line.starts_with("Failed to send"));
        let told: Vec<&str> = told.filter(|line| !line.is_empty()).collect();
        Some(Error::Tool {
            program: "passt",
            what: "the network of the machine",
            message: format!("{} ({status})", told.join("; ")),
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What pid 1 configures.
pub(super) fn setup() -> MachineNetwork {
    MachineNetwork {
        address: format!("{ADDRESS}/24"),
        gateway: GATEWAY.to_owned(),
    }
}

fn host_resolv_conf() -> String {
    std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
}

/// The resolver configuration inside, made from the host's.
pub(super) fn resolv_conf() -> String {
    resolv_conf_of(&host_resolv_conf())
}

fn resolv_conf_of(host: &str) -> String {
    let mut text: String = host
        .lines()
        .filter(|line| {
            let word = line.split_whitespace().next();
            matches!(word, Some("search" | "domain" | "options"))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    if only_loopback(host) {
        text.push_str(&format!("nameserver {DNS}\n"));
    } else {
        for server in reachable(host) {
            text.push_str(&format!("nameserver {server}\n"));
        }
    }
    text
}

/// Resolvers that the machine can ask itself: it has IPv4 only.
fn reachable(host: &str) -> impl Iterator<Item = IpAddr> + '_ {
    host.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|server| server.trim().parse::<IpAddr>().ok())
        .filter(|server| server.is_ipv4() && !server.is_loopback())
}

fn only_loopback(host: &str) -> bool {
    reachable(host).next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_that_the_machine_cannot_ask_are_replaced() {
        for (host, inside) in [
            ("nameserver 192.0.2.1\n", "nameserver 192.0.2.1\n"),
            (
                "search a b\nnameserver 127.0.0.53\n",
                "search a b\nnameserver 10.0.2.3\n",
            ),
            ("nameserver 2001:db8::1\n", "nameserver 10.0.2.3\n"),
            ("", "nameserver 10.0.2.3\n"),
        ] {
            assert_eq!(resolv_conf_of(host), inside, "{host}");
        }
    }
}
