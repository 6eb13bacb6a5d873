//! What real zones hold, for a scripted DNS server: lists, hosts with the way back, policies of senders.

use std::net::{IpAddr, Ipv4Addr};

use crate::dns_record::{Record, name_in};
use crate::dns_server::DnsServer;

impl DnsServer {
    /// Has the list `zone` list each address with its value, and with a text where there is one (RFC 5782).
    ///
    /// An address that comes twice has two values. What the zone said about these addresses before is over.
    pub fn list_zone(&self, zone: &str, entries: &[(IpAddr, Ipv4Addr, Option<&str>)]) {
        let mut script = self.script();
        script.exists(zone);
        for (address, ..) in entries {
            script.remove(&name_in(zone, *address));
        }
        for &(address, value, text) in entries {
            let name = name_in(zone, address);
            let records = [Some(Record::address(value)), text.map(Record::txt)];
            records.into_iter().flatten().for_each(|record| script.add(&name, record));
        }
    }

    /// Has the list `zone` no longer list `address`.
    pub fn unlist(&self, zone: &str, address: IpAddr) {
        self.remove(&name_in(zone, address));
    }

    /// Gives the list `zone` what every list has: addresses that are listed, and such that are not (RFC 5782, section 5).
    pub fn test_points(&self, zone: &str) {
        let [listed, other] = [2, 1].map(|last| Ipv4Addr::new(127, 0, 0, last));
        let addresses = |v4: Ipv4Addr| [IpAddr::V4(v4), v4.to_ipv6_mapped().into()];
        for address in addresses(listed) {
            self.list_zone(zone, &[(address, listed, Some("test point"))]);
        }
        for address in addresses(other) {
            self.unlist(zone, address);
        }
    }

    /// Gives `host` the address.
    pub fn host(&self, host: &str, address: impl Into<IpAddr>) {
        self.add(host, Record::address(address));
    }

    /// Gives `address` one more name; `host` is the way back.
    pub fn ptr(&self, address: impl Into<IpAddr>, host: &str) {
        self.add(&ptr_name(address.into()), Record::ptr(host));
    }

    /// Publishes who may send mail of `domain`: `v=spf1 ip4:192.0.2.0/24 -all` (RFC 7208).
    pub fn spf(&self, domain: &str, policy: &str) {
        self.add(domain, Record::txt(policy));
    }
}

/// The name that says who `address` is.
pub fn ptr_name(address: IpAddr) -> String {
    name_in(if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" }, address)
}
