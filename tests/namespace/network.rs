//! The way out, and no way in.

use std::fs;
use std::net::{TcpListener, ToSocketAddrs};

use crate::environment::{run_ok, spec};

#[test]
fn without_network_there_is_only_loopback() {
    let output = run_ok(
        &spec(),
        "ls /sys/class/net; cat /sys/class/net/lo/operstate; wc -l < /proc/net/route; cat /etc/resolv.conf
         (echo > /dev/tcp/192.0.2.1/80) 2>&1 | grep -o 'Network is unreachable' | head -1",
    );
    let interfaces: Vec<&str> = output
        .lines()
        .take_while(|line| *line != "unknown")
        .collect();
    // The kernel may make tunnel devices in every network namespace; they are down.
    assert!(
        interfaces.contains(&"lo") && !interfaces.contains(&"eth0"),
        "{output}"
    );
    assert!(
        output.ends_with("unknown\n1\nNetwork is unreachable\n"),
        "{output}"
    );
}

/// Host of the first http source of this machine's package tool.
fn mirror() -> Option<String> {
    let dir = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    dir.chain(["/etc/apt/sources.list".into()])
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| {
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter_map(|line| {
            Some(
                line.split_once("http://")?
                    .1
                    .split(['/', ' ', ':'])
                    .next()?
                    .to_owned(),
            )
        })
        .find(|host| (host.as_str(), 80).to_socket_addrs().is_ok())
}

#[test]
fn the_outside_is_reached_and_the_host_is_not() {
    let Some(host) = mirror() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no source of packages to connect to"
        );
        eprintln!("skipped: no source of packages to connect to");
        return;
    };
    let loopback = TcpListener::bind("127.0.0.1:0").unwrap();
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let ports = [&loopback, &everywhere].map(|listener| {
        listener.set_nonblocking(true).unwrap();
        listener.local_addr().unwrap().port()
    });
    let mut spec = spec();
    spec.network = true;
    let output = run_ok(
        &spec,
        &format!(
            "timeout 20 bash -c 'echo > /dev/tcp/{host}/80' && echo outside
             gateway=$(ip -4 route show default | sed -n 's/.* via \\([^ ]*\\).*/\\1/p')
             for to in 127.0.0.1 $gateway 169.254.1.1 10.0.2.2 10.0.2.3; do for port in {} {}; do
                 timeout 2 bash -c \"echo > /dev/tcp/$to/$port\" 2>/dev/null &
             done; done; wait
             test -n \"$gateway\" && echo tried",
            ports[0], ports[1]
        ),
    );
    assert_eq!(output, "outside\ntried\n");
    for listener in [loopback, everywhere] {
        assert!(
            listener.accept().is_err(),
            "the host was reached from inside"
        );
    }
}
