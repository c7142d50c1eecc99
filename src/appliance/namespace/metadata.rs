//! The metadata services of clouds: whoever reaches one at its well-known
//! address gets the credentials of the machine that it runs on.

use std::fs;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use nix::libc;

use super::network::nameservers;
use super::sys;

/// Where services listen: those of most clouds, of Amazon's containers, of
/// Alibaba's cloud; then Amazon's and Google's by IPv6.
const SERVICES: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// `struct in6_rtmsg` of linux/ipv6_route.h.
#[repr(C)]
struct Ipv6Route {
    destination: libc::in6_addr,
    source: libc::in6_addr,
    gateway: libc::in6_addr,
    kind: u32,
    destination_length: u16,
    source_length: u16,
    metric: u32,
    info: libc::c_ulong,
    flags: u32,
    interface: libc::c_int,
}

/// Makes the network answer "unreachable" for every service, but for one that
/// resolves names, too. To be called inside, when the network is there; hooks
/// cannot change it without CAP_NET_ADMIN.
///
/// # Errors
/// Whatever the kernel gives.
pub(super) fn refuse() -> io::Result<()> {
    let resolv_conf = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    for address in refused(&resolv_conf) {
        match address {
            IpAddr::V4(address) => refuse_v4(address)?,
            IpAddr::V6(address) if has_v6() => refuse_v6(address)?,
            IpAddr::V6(_) => {}
        }
    }
    Ok(())
}

fn refused(resolv_conf: &str) -> impl Iterator<Item = IpAddr> {
    let resolvers: Vec<IpAddr> = nameservers(resolv_conf)
        .filter_map(|server| server.parse().ok())
        .collect();
    let services = SERVICES.iter().copied();
    services.filter(move |service| !resolvers.contains(service))
}

/// Whether any interface has an address of IPv6.
fn has_v6() -> bool {
    fs::read("/proc/net/if_inet6").is_ok_and(|table| !table.is_empty())
}

fn refuse_v4(address: Ipv4Addr) -> io::Result<()> {
    // SAFETY: plain numbers and null pointers, for which zeros are valid.
    let mut route: libc::rtentry = unsafe { mem::zeroed() };
    route.rt_dst = socket_address(address);
    route.rt_genmask = socket_address(Ipv4Addr::BROADCAST);
    route.rt_flags = libc::RTF_UP | libc::RTF_HOST | libc::RTF_REJECT;
    add_route(libc::AF_INET, &route)
}

fn refuse_v6(address: Ipv6Addr) -> io::Result<()> {
    // SAFETY: plain numbers, for which zeros are valid.
    let mut route: Ipv6Route = unsafe { mem::zeroed() };
    route.destination.s6_addr = address.octets();
    route.destination_length = 128;
    route.metric = 1;
    route.kind = libc::RTN_UNREACHABLE.into();
    // Without an interface this ioctl says ENODEV, unlike the one of IPv4.
    route.interface = nix::net::if_::if_nametoindex("lo")? as libc::c_int;
    route.flags = (libc::RTF_UP | libc::RTF_HOST | libc::RTF_REJECT).into();
    add_route(libc::AF_INET6, &route)
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0; 14];
    // the port comes first
    for (to, from) in data.iter_mut().skip(2).zip(address.octets()) {
        *to = from as libc::c_char;
    }
    libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: data,
    }
}

fn add_route<T>(family: libc::c_int, route: &T) -> io::Result<()> {
    let socket = sys::network_socket(family)?;
    // SAFETY: the callers pass the structure that the family's ioctl reads.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT, route as *const T) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_resolves_names_is_needed() {
        let all = refused("nameserver 192.0.2.1\n").count();
        assert_eq!(all, SERVICES.len());
        let left: Vec<IpAddr> = refused("nameserver 169.254.169.254\n").collect();
        assert_eq!(left.len(), all - 1);
        assert!(!left.contains(&SERVICES[0]));
    }
}
