//! rbldnsd as an oracle, run from the unpacked package: it serves zone files on the loopback and is asked what they list.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::cleanup::folder_prefix;
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

/// Types of records (RFC 1035, section 3.2.2).
const A: u16 = 1;
const TXT: u16 = 16;

/// No such name, that is: not listed (RFC 1035, section 4.1.1).
const NXDOMAIN: u8 = 3;

/// A zone that is served.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name, one label.
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
    socket: UdpSocket,
    folder: TempDir,
}

impl Rbldnsd {
    /// Starts one that serves `zones`, and waits until it has read them.
    pub fn start(packages: &Path, zones: &[Zone]) -> Result<Self> {
        let prefix = format!("{}rbldnsd-", folder_prefix());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        // It reads its files as somebody else.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let server = free_address()?;
        let own = libraries(packages)?;
        let library_path = std::env::join_paths(own.iter().map(|path| packages.join(path)))?;
        let mut command = Command::new(packages.join(RBLDNSD.program));
        command.env("LD_LIBRARY_PATH", library_path).args(["-n", "-c", "0"]);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody:nogroup"]);
        }
        command.arg("-b").arg(format!("{}/{}", server.ip(), server.port()));
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
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { _process: process, socket, folder })
    }

    /// What it said when it read the zones.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What `zone` lists about `address`.
    pub fn ask(&self, zone: &str, address: IpAddr) -> Result<Listing> {
        let name = labels(zone, address);
        let mut listing = Listing::default();
        for kind in [A, TXT] {
            self.socket.send(&question(&name, kind))?;
            let mut answer = [0; 4096];
            let length = self.socket.recv(&mut answer).context("no answer from rbldnsd")?;
            let answer = answer.get(..length).unwrap_or_default();
            read_answer(answer, &mut listing).with_context(|| format!("{address} in {zone}"))?;
        }
        Ok(listing)
    }
}

/// An address on the loopback that nobody else has now.
fn free_address() -> Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The name to ask for, as it goes over the wire (RFC 5782, sections 2.1 and 2.4).
fn labels(zone: &str, address: IpAddr) -> Vec<u8> {
    let mut labels: Vec<String> = match address {
        IpAddr::V4(v4) => v4.octets().iter().map(ToString::to_string).collect(),
        IpAddr::V6(v6) => format!("{:032x}", v6.to_bits()).chars().map(String::from).collect(),
    };
    labels.reverse();
    labels.push(zone.to_owned());
    let length = |label: &String| u8::try_from(label.len()).unwrap_or(63);
    let label = |label: &String| [&[length(label)], label.as_bytes()].concat();
    let mut name: Vec<u8> = labels.iter().flat_map(label).collect();
    name.push(0);
    name
}

/// One question of class IN.
fn question(name: &[u8], kind: u16) -> Vec<u8> {
    let header = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header, name, &kind.to_be_bytes(), &[0, 1]].concat()
}

fn read_answer(octets: &[u8], listing: &mut Listing) -> Result<()> {
    let Some((&[_, _, flags, code, _, _, _, count, ..], mut rest)) =
        octets.split_first_chunk::<12>()
    else {
        bail!("an answer of {} octets", octets.len());
    };
    // An answer without authority is one that had no room for all records.
    ensure!(flags & 0x86 == 0x84, "flags {flags:#x}");
    ensure!([0, NXDOMAIN].contains(&(code & 15)), "code {code}");
    rest = skip_name(rest)?.get(4..).context("a question that is cut off")?;
    for _ in 0..count {
        let record = skip_name(rest)?;
        let (&[kind, _, _, _, _, _, _, high, low], after) = record
            .get(1..)
            .and_then(|record| record.split_first_chunk::<9>())
            .context("a record that is cut off")?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (data, after) = after.split_at_checked(length).context("a record that is cut off")?;
        match (u16::from(kind), data) {
            (A, &[a, b, c, d]) => drop(listing.values.insert(Ipv4Addr::new(a, b, c, d))),
            (TXT, [_length, text @ ..]) => {
                listing.texts.insert(String::from_utf8_lossy(text).into_owned());
            }
            (kind, _) => bail!("a record of type {kind}"),
        }
        rest = after;
    }
    Ok(())
}

fn skip_name(mut octets: &[u8]) -> Result<&[u8]> {
    loop {
        let (&length, rest) = octets.split_first().context("a name that is cut off")?;
        match length {
            0 => return Ok(rest),
            // A pointer ends the name.
            192.. => return rest.get(1..).context("a pointer that is cut off"),
            _ => octets = rest.get(length.into()..).context("a label that is cut off")?,
        }
    }
}
