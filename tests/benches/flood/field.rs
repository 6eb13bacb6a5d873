//! The field: a host that sends the flood, the edge host that receives it, and beside it one that drops everything.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context as _, Result};
use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use gateway::xdp::bench::FLOOD;
use harness::netns::{NetNs, run, veth};
use harness::packet::{CLIENT_MAC, HOST_MAC};

use crate::cores::{Cores, Thread};

/// Where the edge host is.
pub(crate) const EDGE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Where the clean client is, on the host of the generator.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// Where connections go.
pub(crate) fn target() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(EDGE), 25)
}

/// The hosts and their cables.
pub(crate) struct Field {
    /// Sends the flood, and has the clean client.
    pub(crate) sender: NetNs,
    /// What is measured runs here.
    pub(crate) edge: Port,
    /// Drops everything by a program that looks at nothing.
    pub(crate) floor: Port,
    pub(crate) cores: Cores,
    _programs: Vec<Ebpf>,
    _absorber: Thread,
}

/// A host as the flood sees it: the device that receives, and the one at the other end of the cable.
pub(crate) struct Port {
    pub(crate) host: NetNs,
    /// The device that receives.
    pub(crate) device: String,
    /// The index of the sender's device at the other end.
    pub(crate) from: u32,
    receiver: Thread,
}

/// What a host has received at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Packets that the device took from its cable.
    pub(crate) packets: u64,
    /// The processor time for them, in nanoseconds.
    pub(crate) busy_ns: u64,
}

impl Field {
    pub(crate) fn new() -> Result<Self> {
        let cores = Cores::choose()?;
        let sender = NetNs::new("flood")?;
        // The kernel's threads are found by the names of their devices, which nobody else may have.
        let name = |letter: char| format!("{letter}{}", std::process::id());
        let ends = [(name('s'), name('e')), (name('t'), name('f'))];
        let [edge, floor] = ends.map(|(near, far)| Port::new(&sender, &near, far, cores));
        let (edge, floor) = (edge?, floor?);
        let near = name('s');
        sender.ip(&format!("link set dev {near} address {}", mac(CLIENT_MAC)))?;
        sender.addresses(&near, &[format!("{CLIENT}/24")])?;
        edge.host.addresses(&edge.device, &[format!("{EDGE}/24")])?;
        edge.host.ip(&format!("route add default via {CLIENT}"))?;
        neighbour(&sender, EDGE, HOST_MAC, &near)?;
        neighbour(&edge.host, CLIENT, CLIENT_MAC, &edge.device)?;
        let programs = vec![
            attach(&sender, &near, "absorb")?,
            attach(&floor.host, &floor.device, "drop_all")?,
        ];
        thread_napi(&sender, &near)?;
        let absorber = Thread::of(&near, cores.generator)?;
        Ok(Self { sender, edge, floor, cores, _programs: programs, _absorber: absorber })
    }

    /// TCP segments that the edge host's TCP has seen, right or wrong: whatever got past a filter.
    pub(crate) fn segments(&self) -> Result<u64> {
        self.edge.tcp("InSegs")
    }
}

impl Port {
    fn new(sender: &NetNs, near: &str, device: String, cores: Cores) -> Result<Self> {
        let host = NetNs::new("edge")?;
        veth(sender, near, &host, &device)?;
        host.ip(&format!("link set dev {device} address {}", mac(HOST_MAC)))?;
        // With it on, the device takes frames by NAPI, as network cards do, whether it has an XDP program or not.
        run(host.command("ethtool").args(["-K", &device, "gro", "on"]))?;
        // With it on, the clean client's segments would come by another way than the flood, past the queue.
        run(sender.command("ethtool").args(["-K", near, "tso", "off"]))?;
        host.ip(&format!("link set {device} up"))?;
        sender.ip(&format!("link set {near} up"))?;
        thread_napi(&host, &device)?;
        let receiver = Thread::of(&device, cores.edge)?;
        let from = sender.run(|| rustix::net::netdevice::name_to_index(&udp_socket()?, near))?;
        Ok(Self { host, device, from: from.context("no such device")?, receiver })
    }

    /// What it has received so far.
    pub(crate) fn received(&self) -> Result<Received> {
        let text = self.read("dev")?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix(&self.device));
        let packets = line.and_then(|line| line.strip_prefix(':')?.split_whitespace().nth(1));
        let packets = packets.context("no such device")?.parse()?;
        Ok(Received { packets, busy_ns: self.receiver.busy_ns()? })
    }

    /// One of the counters of its TCP (RFC 4022).
    pub(crate) fn tcp(&self, name: &str) -> Result<u64> {
        let text = self.read("snmp")?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next().context("Tcp")?, lines.next().context("Tcp")?);
        let mut both = names.split(' ').zip(values.split(' '));
        let (_, value) = both.find(|(one, _)| *one == name).with_context(|| name.to_owned())?;
        Ok(value.parse()?)
    }

    /// Attaches a program of the benchmark's own to the device; it is detached when dropped.
    pub(crate) fn attach(&self, program: &str) -> Result<Ebpf> {
        attach(&self.host, &self.device, program)
    }

    fn read(&self, file: &str) -> Result<String> {
        let file = format!("/proc/thread-self/net/{file}");
        self.host.run(|| fs::read_to_string(&file))?.context(file)
    }
}

fn udp_socket() -> rustix::io::Result<rustix::fd::OwnedFd> {
    rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
}

/// Gives `device` a kernel thread of its own to receive by, instead of whichever processor an interrupt comes to.
fn thread_napi(host: &NetNs, device: &str) -> Result<()> {
    // Only here does `/sys` show the devices of the namespace.
    let write = format!("echo 1 > /sys/class/net/{device}/threaded");
    run(Command::new("ip").args(["netns", "exec", host.name(), "sh", "-c", &write]))
        .map(drop)
        .context("threaded NAPI (Linux 5.12)")
}

fn attach(host: &NetNs, device: &str, program: &str) -> Result<Ebpf> {
    let client = u32::from_ne_bytes(CLIENT.octets());
    let mut ebpf = EbpfLoader::new().override_global("CLIENT", &client, true).load(FLOOD)?;
    let xdp: &mut Xdp = ebpf.program_mut(program).context(program.to_owned())?.try_into()?;
    xdp.load()?;
    host.run(|| xdp.attach(device, XdpMode::Driver))??;
    Ok(ebpf)
}

/// In a flood nobody could ask for it.
fn neighbour(host: &NetNs, address: Ipv4Addr, its_mac: [u8; 6], device: &str) -> Result<()> {
    let its_mac = mac(its_mac);
    host.ip(&format!("neigh replace {address} lladdr {its_mac} dev {device} nud permanent"))
}

fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}
