//! The way out: pasta or slirp4netns, run on the host for the sandbox's network.
//!
//! Outbound connections only: nothing is forwarded inwards, and neither the
//! host's loopback nor the address of its gateway leads to the host itself.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::memfd::{memfd_create, MFdFlags};

use super::error::{Error, Fault, FaultKind};
use super::sys;

/// Link-local address at which pasta answers name queries when the host's own
/// resolvers listen on its loopback only.
const PASTA_DNS: &str = "169.254.1.1";
/// Where slirp4netns answers name queries.
const SLIRP_DNS: &str = "10.0.2.3";
/// How long the helper may take to configure the interface: 0.02 s, unless others
/// have the processors. One that fails ends, and is not waited for.
const DEADLINE: Duration = Duration::from_secs(40);

/// A program that gives the sandbox a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Helper {
    /// pasta, of passt.
    Pasta(PathBuf),
    /// slirp4netns.
    Slirp(PathBuf),
}

impl Helper {
    /// pasta if it is installed, else slirp4netns.
    ///
    /// # Errors
    /// [`Error::NoNetworkHelper`].
    pub fn find() -> Result<Helper, Error> {
        find_program("pasta")
            .map(Helper::Pasta)
            .or_else(|| find_program("slirp4netns").map(Helper::Slirp))
            .ok_or(Error::NoNetworkHelper)
    }

    /// Name of the program.
    pub fn name(&self) -> &'static str {
        match self {
            Helper::Pasta(_) => "pasta",
            Helper::Slirp(_) => "slirp4netns",
        }
    }

    /// What the log should say about the choice: nothing about the first one.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Helper::Pasta(_) => None,
            Helper::Slirp(_) => {
                Some("slirp4netns gives hooks their network: pasta is not installed".to_owned())
            }
        }
    }

    /// The command for the namespaces of process `pid`.
    fn command(&self, pid: libc::pid_t, root_caller: bool, forward_dns: bool) -> Command {
        let user = format!("/proc/{pid}/ns/user");
        let net = format!("/proc/{pid}/ns/net");
        match self {
            Helper::Pasta(program) => {
                let mut command = Command::new(program);
                command.args([
                    "--foreground",
                    "--quiet",
                    "--stderr",
                    "--config-net",
                    "--no-map-gw",
                ]);
                command.args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"]);
                if root_caller {
                    // As `nobody`, to which pasta would change, it may not join
                    // a namespace that root made. It gives up all
                    // capabilities on the host by joining.
                    command.args(["--runas", "0:0"]);
                }
                if forward_dns {
                    command.args(["--dns-forward", PASTA_DNS]);
                }
                command.args(["--userns", &user, "--netns", &net]);
                command
            }
            Helper::Slirp(program) => {
                let mut command = Command::new(program);
                command.args(["--configure", "--mtu=65520", "--disable-host-loopback"]);
                command.arg(format!("--userns-path={user}"));
                command.args(["--netns-type=path", &net, "tap0"]);
                command
            }
        }
    }
}

/// An executable file of the caller's PATH, or of where packages put them.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let runnable = |file: &PathBuf| {
        file.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/bin".into(), "/usr/local/bin".into(), "/bin".into()])
        .map(|dir| dir.join(name))
        .find(runnable)
}

/// A helper that runs. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Network {
    tool: &'static str,
    child: Child,
    process: OwnedFd,
    output: File,
}

impl Network {
    /// Starts the helper for the namespaces of process `pid`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn start(
        helper: &Helper,
        pid: libc::pid_t,
        root_caller: bool,
    ) -> Result<Network, Error> {
        let tool = helper.name();
        let io_error = |source| Error::Io {
            doing: format!("starting {tool}"),
            source,
        };
        let forward_dns =
            only_loopback(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
        // What it prints; a file of a temporary directory needs one that can be written.
        let output = memfd_create("network helper", MFdFlags::MFD_CLOEXEC)
            .map_err(|errno| io_error(errno.into()))?;
        let output = File::from(output);
        let mut command = helper.command(pid, root_caller, forward_dns);
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(io_error)?)
            .stderr(output.try_clone().map_err(io_error)?);
        // SAFETY: both calls are async-signal-safe and touch no memory of ours.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                sys::die_with_parent()
            })
        };
        let mut child = command.spawn().map_err(io_error)?;
        let process = sys::pidfd_open(child.id() as libc::pid_t).inspect_err(|_| {
            // Fails only if it has ended already.
            let _ = child.kill();
        });
        Ok(Network {
            tool,
            process: process.map_err(io_error)?,
            child,
            output,
        })
    }

    /// Readable when the helper has ended.
    pub(super) fn process(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// The error to report if the helper has ended.
    pub(super) fn failure(&mut self) -> Option<Error> {
        let status = self.child.try_wait().ok().flatten()?;
        let mut text = String::new();
        let read = self
            .output
            .rewind()
            .and_then(|()| self.output.read_to_string(&mut text));
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("Failed to send"))
            .collect();
        let message = match read {
            Ok(_) if !lines.is_empty() => format!("{} ({status})", lines.join("; ")),
            _ => status.to_string(),
        };
        Some(Error::NetworkHelper {
            tool: self.tool,
            message,
        })
    }
}

impl Network {
    /// Ends the helper without waiting for it.
    pub(super) fn kill(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Waits, inside, until the helper has given the network a default route,
/// which it does last.
///
/// # Errors
/// A fault after [`DEADLINE`].
pub(super) fn wait_for_route() -> Result<(), Fault> {
    let start = Instant::now();
    loop {
        let table = |path: &str| fs::read_to_string(path).unwrap_or_default();
        if has_default(&table("/proc/net/route"), &table("/proc/net/ipv6_route")) {
            return Ok(());
        }
        if start.elapsed() > DEADLINE {
            let error = io::Error::from_raw_os_error(libc::ETIMEDOUT);
            return Err(Fault::new(
                FaultKind::Network,
                "waiting for a default route",
                &error,
            ));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Whether the kernel's tables of routes hold a default route that leads out.
fn has_default(route: &str, ipv6_route: &str) -> bool {
    let ipv4 = route
        .lines()
        .skip(1)
        .any(|line| line.split_whitespace().nth(1) == Some("00000000"));
    // The kernel's own entry for "nowhere" is on lo.
    let ipv6 = ipv6_route.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1) == Some(&"00") && fields.last() != Some(&"lo")
    });
    ipv4 || ipv6
}

pub(super) fn nameservers(resolv_conf: &str) -> impl Iterator<Item = &str> {
    resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver"))
            .then(|| words.next())
            .flatten()
    })
}

fn is_loopback(server: &str) -> bool {
    let plain = server.split('%').next().unwrap_or(server);
    plain
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback())
}

/// No resolver of the host can be asked from another network namespace. With
/// no `nameserver` line at all the C library asks the loopback.
fn only_loopback(resolv_conf: &str) -> bool {
    nameservers(resolv_conf).all(is_loopback)
}

/// The resolver configuration inside, made from the host's.
pub(super) fn resolv_conf(host: &str, helper: Option<&Helper>) -> String {
    let Some(helper) = helper else {
        return String::new();
    };
    let mut text = String::new();
    for line in host.lines() {
        let word = line.split_whitespace().next();
        if matches!(word, Some("search" | "domain" | "options")) {
            text.push_str(line);
            text.push('\n');
        }
    }
    let servers: Vec<&str> = match helper {
        Helper::Slirp(_) => vec![SLIRP_DNS],
        Helper::Pasta(_) if only_loopback(host) => vec![PASTA_DNS],
        Helper::Pasta(_) => nameservers(host)
            .filter(|server| !is_loopback(server))
            .collect(),
    };
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_on_the_hosts_loopback_are_replaced() {
        let pasta = Helper::Pasta("/usr/bin/pasta".into());
        let slirp = Helper::Slirp("/usr/bin/slirp4netns".into());
        for (host, helper, inside) in [
            (
                "nameserver 192.0.2.1\n",
                Some(&pasta),
                "nameserver 192.0.2.1\n",
            ),
            (
                "search a b\n# x\nnameserver 127.0.0.53\n",
                Some(&pasta),
                "search a b\nnameserver 169.254.1.1\n",
            ),
            (
                "nameserver ::1\nnameserver 2001:db8::1\n",
                Some(&pasta),
                "nameserver 2001:db8::1\n",
            ),
            ("", Some(&pasta), "nameserver 169.254.1.1\n"),
            (
                "nameserver 192.0.2.1\n",
                Some(&slirp),
                "nameserver 10.0.2.3\n",
            ),
            ("nameserver 192.0.2.1\n", None, ""),
        ] {
            assert_eq!(resolv_conf(host, helper), inside, "{host}");
        }
    }

    #[test]
    fn a_default_route_is_seen() {
        let head = "Iface\tDestination\tGateway\n";
        assert!(!has_default(head, ""));
        assert!(has_default(
            &format!("{head}eth0\t00000000\t010200C0\n"),
            ""
        ));
        assert!(!has_default(
            &format!("{head}eth0\t000200C0\t00000000\n"),
            ""
        ));
        let zero = "0".repeat(32);
        let line =
            |device: &str| format!("{zero} 00 {zero} 00 {zero} ffffffff 1 0 200200 {device}\n");
        assert!(!has_default(head, &line("lo")));
        assert!(has_default(head, &line("eth0")));
    }
}
