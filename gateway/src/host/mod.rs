//! What this host itself is and depends on: its addresses, gateways and resolvers, which no list may ever block.

mod watch;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use watch::Watch;

use crate::net::{Prefix, fold};

/// The addresses of all interfaces of this network namespace, sorted.
pub fn own_addresses() -> std::io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<_> =
        if_addrs::get_if_addrs()?.iter().map(|interface| fold(interface.ip())).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Tells one start of this host from another.
pub fn boot_id() -> std::io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Loopback, gateways and resolvers as the system has them now, sorted; what cannot be read is not there.
pub fn dependencies() -> Vec<Prefix> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (routes_v4, routes_v6) =
        (read("/proc/thread-self/net/route"), read("/proc/thread-self/net/ipv6_route"));
    let conf = read("/etc/resolv.conf");
    let addresses = gateways_v4(&routes_v4).chain(gateways_v6(&routes_v6)).chain(resolvers(&conf));
    let loopback = ["127.0.0.0/8", "::1"].into_iter().filter_map(|prefix| prefix.parse().ok());
    let mut prefixes: Vec<_> = addresses.map(Prefix::host).chain(loopback).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}

/// The gateways in the kernel's IPv4 routes: the third column, in the byte order of the machine.
fn gateways_v4(routes: &str) -> impl Iterator<Item = IpAddr> {
    let columns = routes.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2));
    let words = columns.filter_map(|column| u32::from_str_radix(column, 16).ok());
    words.filter(|&word| word != 0).map(|word| Ipv4Addr::from(word.to_ne_bytes()).into())
}

/// The gateways in the kernel's IPv6 routes: the fifth column, in network order.
fn gateways_v6(routes: &str) -> impl Iterator<Item = IpAddr> {
    let columns = routes.lines().filter_map(|line| line.split_whitespace().nth(4));
    let words = columns.filter_map(|column| u128::from_str_radix(column, 16).ok());
    words.filter(|&word| word != 0).map(|word| Ipv6Addr::from_bits(word).into())
}

/// The `nameserver` lines of resolv.conf(5).
fn resolvers(conf: &str) -> impl Iterator<Item = IpAddr> {
    conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|&word| word == "nameserver")?;
        let address = words.next()?;
        address.split('%').next()?.parse().ok().map(fold)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(addresses: impl Iterator<Item = IpAddr>) -> Vec<String> {
        addresses.map(|address| address.to_string()).collect()
    }

    #[test]
    fn reads_the_tables_of_the_kernel() {
        let v4 = "Iface\tDestination\tGateway \tFlags\n\
                  eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n\
                  eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n";
        assert_eq!(shown(gateways_v4(v4)), ["192.0.2.1"]);
        let v6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n\
                  fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n";
        assert_eq!(shown(gateways_v6(v6)), ["fe80::1"]);
    }

    #[test]
    fn reads_resolv_conf() {
        let conf = "# nameserver 192.0.2.1\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nsearch example.org\nnameserver\n";
        assert_eq!(shown(resolvers(conf)), ["192.0.2.53", "fe80::1"]);
    }

    #[test]
    fn this_host_has_its_loopback() {
        assert!(own_addresses().unwrap().contains(&IpAddr::from([127, 0, 0, 1])));
        assert!(dependencies().contains(&"127.0.0.0/8".parse().unwrap()));
    }
}
