//! The stage for whole stories: an edge host with a next hop behind it, and a sender host with many addresses, on one cable.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::daemon::{Daemon, Home};
use crate::netns::{NetNs, veth};
use crate::smtp_client::{Attempt, SmtpClient};
use crate::smtp_server::{Options, SmtpServer};

/// The edge host's addresses: where senders connect to.
pub const EDGE_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
/// The edge host's IPv6 address.
pub const EDGE_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0x25, 0, 0, 0, 0, 1));

/// Two hosts joined by a cable. Dropping it removes everything, the filter in the kernel included.
#[derive(Debug)]
pub struct Stage {
    /// Runs the daemon and, on its loopback, the next hop.
    pub edge: NetNs,
    /// Has all the senders' addresses.
    pub sender: NetNs,
    /// Takes the mail that gets through.
    pub next_hop: SmtpServer,
    /// The daemon's folder.
    pub home: Home,
    pin_dir: PathBuf,
}

/// What a stage leaves behind when its process is killed, for whoever cleans up then.
#[derive(Clone, Debug)]
pub struct Remnants {
    netns: [String; 2],
    folders: [PathBuf; 2],
}

impl Stage {
    /// Builds the hosts. `senders` become addresses of the sender host; the edge has routes back to all of them.
    ///
    /// In `config`, `{pins}` stands for a place in the bpffs and `{next_hop}` for the next hop's address.
    pub fn new(config: &str, senders: &[IpAddr]) -> Result<Self> {
        Self::with_next_hop(config, senders, Options::default())
    }

    /// The same, with a next hop that is as `options` say.
    pub fn with_next_hop(config: &str, senders: &[IpAddr], options: Options) -> Result<Self> {
        let (edge, sender) = (NetNs::new("edge")?, NetNs::new("sender")?);
        veth(&edge, "eth0", &sender, "eth0")?;
        edge.addresses("eth0", &["192.0.2.1/24", "2001:db8:25::1/64"])?;
        sender.addresses("eth0", &["192.0.2.2/24", "2001:db8:25::2/64"])?;
        let hosts: Vec<_> = senders.iter().map(|sender| host(*sender)).collect();
        sender.addresses("eth0", &hosts)?;
        edge.ip("route add default via 192.0.2.2")?;
        edge.ip("-6 route add default via 2001:db8:25::2")?;
        sender.attach_pass_program("eth0")?;
        let listen = SocketAddr::from(([127, 0, 0, 1], 10_025));
        let next_hop = edge.run(|| SmtpServer::start(listen, options))??;
        let pin_dir = PathBuf::from("/sys/fs/bpf").join(edge.name());
        let config = config
            .replace("{pins}", &pin_dir.display().to_string())
            .replace("{next_hop}", &next_hop.address().to_string());
        let home = Home::new(&config, Some(&edge))?;
        Ok(Self { edge, sender, next_hop, home, pin_dir })
    }

    /// Starts the daemon on the edge host.
    pub fn start(&self) -> Result<Daemon> {
        self.home.start()
    }

    /// Lets `client`, an address of the sender host, connect to port 25 of the edge host.
    pub fn attempt(&self, client: IpAddr, within: Duration) -> Result<Attempt> {
        let edge = if client.is_ipv4() { EDGE_V4 } else { EDGE_V6 };
        self.sender.run(|| SmtpClient::attempt(Some(client), SocketAddr::new(edge, 25), within))?
    }

    /// The same, where nothing but a connection will do.
    pub fn connect(&self, client: IpAddr) -> Result<SmtpClient> {
        let edge = if client.is_ipv4() { EDGE_V4 } else { EDGE_V6 };
        self.sender.run(|| SmtpClient::connect(Some(client), SocketAddr::new(edge, 25)))?
    }

    /// What `portcullis status` says.
    pub fn status(&self) -> Result<Value> {
        self.home.cli_json(&["status", "--json"])
    }

    /// A number in what `portcullis status` says, by its JSON pointer.
    pub fn status_number(&self, pointer: &str) -> Result<u64> {
        let status = self.status()?;
        status
            .pointer(pointer)
            .and_then(Value::as_u64)
            .with_context(|| format!("{pointer} in {status:#}"))
    }

    /// What has to be removed when this process has no time to drop the stage.
    pub fn remnants(&self) -> Remnants {
        Remnants {
            netns: [self.edge.name().to_owned(), self.sender.name().to_owned()],
            folders: [self.pin_dir.clone(), self.home.path().to_owned()],
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Where nothing was pinned there is nothing to remove.
        fs::remove_dir_all(&self.pin_dir).unwrap_or_default();
    }
}

impl Remnants {
    /// Removes them; what is gone already is as good as removed.
    pub fn remove(&self) {
        for folder in &self.folders {
            fs::remove_dir_all(folder).unwrap_or_default();
        }
        for netns in &self.netns {
            drop(std::process::Command::new("ip").args(["netns", "delete", netns]).status());
        }
    }
}

fn host(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}
