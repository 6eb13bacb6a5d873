//! rbldnsd as an oracle, run from the unpacked package: it serves zone files on the loopback and is asked what they list.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::cleanup::folder_prefix;
use crate::dns_record::{Data, Kind, name_in};
use crate::dns_wire::{AUTHORITATIVE, Message, NO_ERROR, NO_SUCH_NAME, RESPONSE, TRUNCATED};
use crate::mail_server::{MailServer, libraries};
use crate::running_server::RunningServer;

/// The package; it serves no mail, but is unpacked as those that do.
pub const RBLDNSD: MailServer = MailServer {
    name: "rbldnsd",
    package: "rbldnsd",
    program: "usr/sbin/rbldnsd",
    variable: "PORTCULLIS_RBLDNSD",
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A zone that is served.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// The type of its dataset: `ip4set`, `ip4trie`, `ip6trie`, `combined`.
    pub dataset: &'static str,
    /// Its file.
    pub text: String,
}

/// What is answered for one address; nothing where it is not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The addresses.
    pub values: BTreeSet<Ipv4Addr>,
    /// The texts.
    pub texts: BTreeSet<String>,
}

/// A running rbldnsd; dropping it ends it.
#[derive(Debug)]
pub struct Rbldnsd {
    _process: RunningServer,
    address: SocketAddr,
    socket: UdpSocket,
    folder: TempDir,
}

impl Rbldnsd {
    /// Starts one that serves `zones` on a free port of 127.0.0.1, and waits until it has read them.
    pub fn start(packages: &Path, zones: &[Zone]) -> Result<Self> {
        Self::start_at(packages, zones, free_address()?)
    }

    /// The same on `address`, over UDP alone; call it inside `NetNs::run` to have it in a namespace.
    pub fn start_at(packages: &Path, zones: &[Zone], address: SocketAddr) -> Result<Self> {
        let prefix = format!("{}rbldnsd-", folder_prefix());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        // It reads its files as somebody else.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let own = libraries(packages)?;
        let library_path = std::env::join_paths(own.iter().map(|path| packages.join(path)))?;
        let mut command = Command::new(packages.join(RBLDNSD.program));
        command.env("LD_LIBRARY_PATH", library_path).args(["-n", "-c", "0"]);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody:nogroup"]);
        }
        command.arg("-b").arg(format!("{}/{}", address.ip(), address.port()));
        command.arg("-w").arg(folder.path());
        for Zone { name, dataset, text } in zones {
            fs::write(folder.path().join(name), text)?;
            command.arg(format!("{name}:{dataset}:{name}"));
        }
        let log = fs::File::create(folder.path().join("log"))?;
        command.stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        let child = command.spawn().context("start the unpacked rbldnsd")?;
        let mut process = RunningServer::new(RBLDNSD.name, child);
        let said = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        process.wait_until_started(said, || Ok(said().contains(" started (")))?;
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { _process: process, address, socket, folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it said when it read the zones.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What `zone` lists about `address`.
    pub fn ask(&self, zone: &str, address: IpAddr) -> Result<Listing> {
        let name = name_in(zone, address);
        let mut listing = Listing::default();
        for kind in [Kind::A, Kind::TXT] {
            self.socket.send(&Message::question(7, &name, kind).write())?;
            let mut octets = [0; 4096];
            let length = self.socket.recv(&mut octets).context("no answer from rbldnsd")?;
            Message::read(octets.get(..length).unwrap_or_default())
                .and_then(|answer| listing.add(answer))
                .with_context(|| format!("{address} in {zone}"))?;
        }
        Ok(listing)
    }
}

impl Listing {
    fn add(&mut self, answer: Message) -> Result<()> {
        let flags = answer.flags & (RESPONSE | AUTHORITATIVE | TRUNCATED);
        // An answer without authority is one that had no room for all records.
        ensure!(flags == RESPONSE | AUTHORITATIVE, "flags {flags:#x}");
        ensure!([NO_ERROR, NO_SUCH_NAME].contains(&answer.code()), "code {}", answer.code());
        for (_owner, record) in answer.answers {
            match record.data {
                Data::A(value) => drop(self.values.insert(value)),
                Data::Txt(text) => drop(self.texts.insert(text)),
                other => bail!("{other:?}"),
            }
        }
        Ok(())
    }
}

/// An address on the loopback that nobody else has now.
fn free_address() -> Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
