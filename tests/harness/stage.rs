//! The stage for whole stories: an edge host with a next hop behind it, and a sender host with many addresses, on one cable.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::daemon::{Daemon, Home};
use crate::deadline::wait_for;
use crate::netns::{NetNs, veth};
use crate::smtp_client::{Attempt, SmtpClient};
use crate::smtp_server::{Options, SmtpServer};

/// The edge host's addresses: where senders connect to.
pub const EDGE_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
/// The edge host's IPv6 address.
pub const EDGE_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0x25, 0, 0, 0, 0, 1));

/// How long the daemon may take to notice something, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where filters are pinned.
pub(crate) const BPFFS: &str = "/sys/fs/bpf";

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
    senders: Vec<String>,
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
        let senders: Vec<_> = senders.iter().map(|sender| host(*sender)).collect();
        join(&edge, &sender, &senders)?;
        let listen = SocketAddr::from(([127, 0, 0, 1], 10_025));
        let next_hop = edge.run(|| SmtpServer::start(listen, options))??;
        let pin_dir = PathBuf::from(BPFFS).join(edge.name());
        let home = Home::new("", Some(&edge))?;
        let stage = Self { edge, sender, next_hop, home, pin_dir, senders };
        stage.configure(config)?;
        Ok(stage)
    }

    /// Lays the cable again, after it was removed.
    pub fn join(&self) -> Result<()> {
        join(&self.edge, &self.sender, &self.senders)
    }

    /// Replaces the configuration; the placeholders are those of [`Self::new`].
    pub fn configure(&self, config: &str) -> Result<()> {
        let config = config
            .replace("{pins}", &self.pin_dir.display().to_string())
            .replace("{next_hop}", &self.next_hop.address().to_string());
        self.home.configure(&config)
    }

    /// Where the filter of the edge host is pinned.
    pub fn pin_dir(&self) -> &Path {
        &self.pin_dir
    }

    /// Starts the daemon on the edge host.
    pub fn start(&self) -> Result<Daemon> {
        self.home.start()
    }

    /// Starts another daemon there, which takes over from the one that runs.
    pub fn take_over(&self) -> Result<Daemon> {
        self.home.start_with(self.home.command(), &["--take-over"])
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

    /// What the daemon answers on its admin socket, head and body apart. `headers` end with CRLF each; the one of the body's length is added.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<[String; 2]> {
        let mut socket = UnixStream::connect(self.home.path().join("admin.sock"))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: portcullis\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").with_context(|| answer.clone())?;
        Ok([head.to_owned(), body.to_owned()])
    }

    /// A number in what `portcullis status` says, by its JSON pointer.
    pub fn status_number(&self, pointer: &str) -> Result<u64> {
        let status = self.status()?;
        status
            .pointer(pointer)
            .and_then(Value::as_u64)
            .with_context(|| format!("{pointer} in {status:#}"))
    }

    /// A client at `address` that was greeted and has said EHLO.
    pub fn greeted(&self, address: &str) -> Result<SmtpClient> {
        let mut client = self.connect(address.parse()?)?;
        client.greet("sender.example.com")?;
        Ok(client)
    }

    /// The one alarm about `about`; `None` where there is none.
    pub fn alarm(&self, about: &str) -> Result<Option<String>> {
        let status = self.status()?;
        let alarms = status.get("alarms").and_then(Value::as_array).context("no alarms")?;
        let found = alarms.iter().find(|alarm| alarm.get("about") == Some(&about.into()));
        Ok(found.and_then(|alarm| alarm.get("text")?.as_str().map(ToOwned::to_owned)))
    }

    /// Waits until there is an alarm about `about` with `text` in it.
    pub fn wait_for_alarm(&self, about: &str, text: &str) -> Result<String> {
        wait_for(&format!("an alarm about {about} with `{text}`"), PATIENCE, || {
            Ok(self.alarm(about)?.filter(|alarm| alarm.contains(text)))
        })
        .with_context(|| format!("{:#}", self.status().unwrap_or_default()))
    }

    /// Waits until there is no alarm about `about` any more.
    pub fn wait_for_no_alarm(&self, about: &str) -> Result<()> {
        wait_for(&format!("the end of the alarm about {about}"), PATIENCE, || {
            Ok(self.alarm(about)?.is_none().then_some(()))
        })
        .with_context(|| format!("{:#}", self.status().unwrap_or_default()))
    }

    /// Waits for the rules that follow `version`; their version.
    pub fn wait_for_rules_after(&self, version: u64) -> Result<u64> {
        wait_for("new rules", PATIENCE, || {
            let now = self.status_number("/rules/version")?;
            Ok((now > version).then_some(now))
        })
    }

    /// The records that a search finds, the newest first.
    pub fn search(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let all = [&["audit", "search", "--json", "--limit", "100000"], arguments].concat();
        let found = self.home.cli_json(&all)?;
        found.as_array().cloned().with_context(|| format!("{arguments:?}: {found:#}"))
    }

    /// Waits until a search finds `count` records.
    pub fn wait_for_search(&self, arguments: &[&str], count: usize) -> Result<Vec<Value>> {
        wait_for(&format!("{count} records: {arguments:?}"), PATIENCE * 2, || {
            let found = self.search(arguments)?;
            Ok((found.len() == count).then_some(found))
        })
        .with_context(|| format!("{:#?}", self.search(arguments)))
    }

    /// Waits for the records about `client` in `phase`, of which there must be `count` and no more.
    pub fn records(&self, client: &str, phase: &str, count: usize) -> Result<Vec<Value>> {
        let ours = || -> Result<Vec<Value>> {
            let mut records = self.home.audit()?;
            records.retain(|record| {
                record.get("client") == Some(&client.into())
                    && record.get("phase") == Some(&phase.into())
            });
            Ok(records)
        };
        let what = format!("{count} records about the {phase} of {client}");
        let records = wait_for(&what, PATIENCE, || {
            let records = ours()?;
            Ok((records.len() >= count).then_some(records))
        })
        .with_context(|| format!("{:?}", self.home.audit()))?;
        ensure!(records.len() == count, "expected {what}, found {records:#?}");
        Ok(records)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Where nothing was pinned there is nothing to remove.
        fs::remove_dir_all(&self.pin_dir).unwrap_or_default();
    }
}

/// Lays the cable between the two hosts, with their addresses and routes.
fn join(edge: &NetNs, sender: &NetNs, senders: &[String]) -> Result<()> {
    veth(edge, "eth0", sender, "eth0")?;
    edge.addresses("eth0", &["192.0.2.1/24", "2001:db8:25::1/64"])?;
    sender.addresses("eth0", &["192.0.2.2/24", "2001:db8:25::2/64"])?;
    sender.addresses("eth0", senders)?;
    edge.ip("route add default via 192.0.2.2")?;
    edge.ip("-6 route add default via 2001:db8:25::2")?;
    sender.attach_pass_program("eth0")
}

fn host(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}
