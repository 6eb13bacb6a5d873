//! Which interface is meant when none is named, and what runs on one already.

use std::fs;
use std::io;

use rustix::net::netdevice::{index_to_name, name_to_index};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto,
    socket_with,
};

/// The interfaces of the default routes: the best of each family, each once.
pub(super) fn of_default_routes() -> Vec<String> {
    // `/proc/net` would be that of the process's first thread, which may be in another network namespace.
    let read = |file: &str| {
        fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default()
    };
    let mut found: Vec<String> = [default_v4(&read("route")), default_v6(&read("ipv6_route"))]
        .into_iter()
        .flatten()
        .collect();
    found.dedup();
    found
}

/// The number of the interface named `name`.
pub(super) fn index(name: &str) -> io::Result<u32> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    Ok(name_to_index(&socket, name)?)
}

/// The number of the XDP program that runs on an interface.
pub(super) fn running_program(index: u32) -> io::Result<Option<u32>> {
    Ok(program_of(&ask(index)?))
}

/// Takes the program off an interface that was put there without a link.
pub(super) fn take_off(index: u32, native: bool) -> io::Result<()> {
    let answer = exchange(None, &removal(index, native))?;
    // The answer is `NLMSG_ERROR`, with a negated number behind its header, or 0.
    let number = answer.get(HEADER..).and_then(|rest| rest.first_chunk());
    match number.map(|number| i32::from_ne_bytes(*number)) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number.wrapping_neg())),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The bond, bridge or the like that an interface is part of.
pub(super) fn master(index: u32) -> io::Result<Option<String>> {
    let Some(master) = number(&ask(index)?, &[IFLA_MASTER]) else {
        return Ok(None);
    };
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    Ok(Some(index_to_name(&socket, master)?))
}

/// What the kernel says about the size of an interface; `None` where it does not.
pub(super) struct LinkFacts {
    pub(super) mtu: Option<u32>,
    pub(super) rx_queues: Option<u32>,
    pub(super) tx_queues: Option<u32>,
}

/// The size of an interface.
pub(super) fn facts(index: u32) -> io::Result<LinkFacts> {
    let answer = ask(index)?;
    Ok(LinkFacts {
        mtu: number(&answer, &[IFLA_MTU]),
        rx_queues: number(&answer, &[IFLA_NUM_RX_QUEUES]),
        tx_queues: number(&answer, &[IFLA_NUM_TX_QUEUES]),
    })
}

/// What the kernel says about an interface.
fn ask(index: u32) -> io::Result<Vec<u8>> {
    // `NETLINK_ROUTE` is protocol 0.
    exchange(None, &link_request(index))
}

/// Sends the kernel a netlink message of a protocol, and gives its answer.
pub(super) fn exchange(protocol: Option<Protocol>, message: &[u8]) -> io::Result<Vec<u8>> {
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, message, SendFlags::empty(), &kernel)?;
    let mut answer = vec![0; 32 * 1024];
    let (length, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
    answer.truncate(length);
    Ok(answer)
}

/// The interface of the IPv4 default route with the lowest metric, from the text of `net/route`.
fn default_v4(text: &str) -> Option<String> {
    best(text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, "00000000", _, flags, _, _, metric, "00000000", ..] = *fields.as_slice() else {
            return None;
        };
        Some((name, flags, metric.parse().ok()?))
    }))
}

/// The interface of the IPv6 default route with the lowest metric, from the text of `net/ipv6_route`.
fn default_v6(text: &str) -> Option<String> {
    best(text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [destination, "00", _, "00", _, metric, _, _, flags, name] = *fields.as_slice() else {
            return None;
        };
        let everywhere = destination.bytes().all(|digit| digit == b'0');
        let metric = u32::from_str_radix(metric, 16).ok()?;
        everywhere.then_some((name, flags, metric))
    }))
}

fn best<'a>(routes: impl Iterator<Item = (&'a str, &'a str, u32)>) -> Option<String> {
    const UP: u32 = 0x1;
    const REJECT: u32 = 0x200;
    routes
        .filter(|(name, flags, _)| {
            let flags = u32::from_str_radix(flags, 16).unwrap_or(0);
            *name != "lo" && flags & (UP | REJECT) == UP
        })
        .min_by_key(|(_, _, metric)| *metric)
        .map(|(name, _, _)| name.to_owned())
}

const HEADER: usize = 16;
const INTERFACE_INFO: usize = 16;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const NESTED: u16 = 0x8000;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_PROG_ID: u16 = 4;
const FLAG_GENERIC: u32 = 1 << 1;
const FLAG_NATIVE: u32 = 1 << 2;
const TYPE_MASK: u16 = 0x3fff;

/// `RTM_GETLINK` for one interface: a netlink header and a `struct ifinfomsg`, all zeros but these.
fn link_request(index: u32) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER + INTERFACE_INFO);
    request.extend(32_u32.to_ne_bytes());
    request.extend(GET_LINK.to_ne_bytes());
    request.extend(REQUEST.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([0; 4]);
    request.extend(index.to_ne_bytes());
    request.extend([0; 8]);
    request
}

/// `RTM_SETLINK` with an `IFLA_XDP` that holds no program and the mode.
fn removal(index: u32, native: bool) -> Vec<u8> {
    let mut message = link_request(index);
    let mode = if native { FLAG_NATIVE } else { FLAG_GENERIC };
    for (length, kind) in [(4 + 8 + 8, IFLA_XDP | NESTED), (8, IFLA_XDP_FD)] {
        message.extend(u16::to_ne_bytes(length));
        message.extend(u16::to_ne_bytes(kind));
    }
    message.extend((-1_i32).to_ne_bytes());
    message.extend(u16::to_ne_bytes(8));
    message.extend(IFLA_XDP_FLAGS.to_ne_bytes());
    message.extend(mode.to_ne_bytes());
    let length = u32::try_from(message.len()).unwrap_or(0);
    let head = [&length.to_ne_bytes()[..], &SET_LINK.to_ne_bytes(), &(REQUEST | ACK).to_ne_bytes()]
        .concat();
    message.splice(..head.len(), head);
    message
}

/// The program's number in the answer, `IFLA_XDP_PROG_ID` inside `IFLA_XDP`; the kernel has it there in every mode.
fn program_of(answer: &[u8]) -> Option<u32> {
    number(answer, &[IFLA_XDP, IFLA_XDP_PROG_ID])
}

/// The number in an attribute of the answer, of which each but the first is inside the one before; 0 stands for none.
fn number(answer: &[u8], path: &[u16]) -> Option<u32> {
    let kind = answer.get(4..)?.first_chunk::<2>()?;
    if u16::from_ne_bytes(*kind) != NEW_LINK {
        return None;
    }
    let attributes = answer.get(HEADER + INTERFACE_INFO..)?;
    let found = path.iter().try_fold(attributes, |inside, kind| attribute(inside, *kind))?;
    Some(u32::from_ne_bytes(*found.first_chunk()?)).filter(|number| *number != 0)
}

/// The content of the first attribute of a kind.
pub(super) fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (head, rest) = attributes.split_first_chunk::<4>()?;
        let [l0, l1, k0, k1] = *head;
        let length = usize::from(u16::from_ne_bytes([l0, l1])).checked_sub(4)?;
        let kind = u16::from_ne_bytes([k0, k1]) & TYPE_MASK;
        if kind == wanted {
            return rest.get(..length);
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_with_the_lowest_metric_wins() {
        let route = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth1\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth2\t00000000\t010200C0\t0203\t0\t0\t1\t00000000\t0\t0\t0
eth3\t00000000\t00000000\t0001\t0\t0\t0\t000000FE\t0\t0\t0
eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";
        assert_eq!(default_v4(route).as_deref(), Some("eth1"));
        assert_eq!(default_v4(""), None);

        let zero = "00000000000000000000000000000000";
        let gateway = "fe800000000000000000000000000001";
        let route = format!(
            "fe800000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth9\n\
             {zero} 00 {zero} 00 {gateway} 00000400 00000003 00000000 00000003     eth0\n\
             {zero} 00 {zero} 00 {gateway} 00000200 00000003 00000000 00000003     eth1\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        );
        assert_eq!(default_v6(&route).as_deref(), Some("eth1"));
        assert_eq!(default_v6("nonsense\n"), None);
    }

    #[test]
    fn the_kernels_answer_is_read() {
        let attribute = |kind: u16, content: &[u8]| {
            let mut bytes = Vec::new();
            bytes.extend((4 + u16::try_from(content.len()).unwrap()).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let attached = attribute(2, &[1]);
        let program = attribute(IFLA_XDP_PROG_ID, &77_u32.to_ne_bytes());
        let mut answer = link_request(5);
        answer[4..6].copy_from_slice(&NEW_LINK.to_ne_bytes());
        answer.extend(attribute(3, b"eth0\0"));
        answer.extend(attribute(IFLA_XDP | 0x8000, &[attached, program].concat()));
        assert_eq!(program_of(&answer), Some(77));
        for length in 0..answer.len() {
            assert_eq!(program_of(&answer[..length]), None, "{length}");
        }
    }

    #[test]
    fn the_loopback_interface_is_found() {
        let index = index("lo").unwrap();
        assert!(index > 0);
        running_program(index).unwrap();
        assert!(super::index("no-such-if").is_err());
    }
}
