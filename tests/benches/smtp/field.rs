//! The field: a sender host, an edge host with the daemon, a sink behind it, and Postfix in the daemon's place beside it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::daemon::Daemon;
use harness::deadline::wait_for;
use harness::mail_server::MailServer;
use harness::netns::NetNs;
use harness::postfix::{self, POSTFIX, Postfix, Postscreen};
use harness::site::Site;
use harness::smtp_client::SmtpClient;
use harness::stage::{EDGE_V4, Stage};

use crate::idle::raise_limit;
use crate::postfix_spent::of_postfix;
use crate::spent::{Spent, of_process};
use crate::{Plan, floor};

/// What the paths are, for whoever reads the figures.
pub(crate) const PATHS: [(&str, &str); 6] = [
    ("direct", "smtp-source, smtp-sink"),
    (
        "pipe",
        "smtp-source, a pipe with the daemon's runtime that looks at nothing, smtp-sink: the most that a relay can reach",
    ),
    (
        "portcullis",
        "smtp-source, the daemon with client = \"none\" and without the kernel filter, smtp-sink",
    ),
    ("postfix", "smtp-source, Postfix's smtpd with smtpd_proxy_filter (no queue), smtp-sink"),
    (
        "bare",
        "refuses everybody in blocking threads, judges and records nothing: the least that a refusal costs",
    ),
    (
        "postscreen",
        "Postfix's postscreen with the same network in postscreen_access_list, action drop: 521, hangs up",
    ),
];

/// The sender's address of the usual load.
pub(crate) const CLEAN: &str = "198.18.1.2";
/// How many senders are refused at connect.
pub(crate) const REFUSED: u8 = 8;

const SINK: u16 = 10_026;
const THROUGH_POSTFIX: u16 = 10_027;
const THROUGH_PIPE: u16 = 10_028;
const BARE: u16 = 10_029;
const POSTSCREEN: u16 = 10_030;
/// The network that is refused.
const LISTED: &str = "198.18.66.0/24";
const PATIENCE: Duration = Duration::from_secs(20);

/// Who stands before the sink, or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    Pipe,
    Portcullis,
    Postfix,
    Bare,
    Postscreen,
}

impl Way {
    /// Through which mail goes.
    pub(crate) const RELAYS: [Self; 4] =
        [Self::Direct, Self::Pipe, Self::Portcullis, Self::Postfix];
    /// Who refuses listed senders.
    pub(crate) const REFUSERS: [Self; 3] = [Self::Bare, Self::Portcullis, Self::Postscreen];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Pipe => "pipe",
            Self::Portcullis => "portcullis",
            Self::Postfix => "postfix",
            Self::Bare => "bare",
            Self::Postscreen => "postscreen",
        }
    }

    pub(crate) const fn address(self) -> SocketAddr {
        let port = match self {
            Self::Direct => SINK,
            Self::Pipe => THROUGH_PIPE,
            Self::Portcullis => 25,
            Self::Postfix => THROUGH_POSTFIX,
            Self::Bare => BARE,
            Self::Postscreen => POSTSCREEN,
        };
        SocketAddr::new(EDGE_V4, port)
    }
}

/// Everything that runs. Dropping it ends all of it.
pub(crate) struct Field {
    pub(crate) stage: Stage,
    /// `None` only while one is stopped for the next.
    daemon: Option<Daemon>,
    postfix: Postfix,
    sink: Child,
    pipe: Child,
    bare: Child,
    packages: PathBuf,
}

impl Field {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        raise_limit(plan.idle)?;
        let server: MailServer = POSTFIX;
        let packages = server.unpacked();
        anyhow::ensure!(
            server.is_there(),
            "no Postfix at {}: `cargo xtask test` fetches it",
            packages.display()
        );
        let most = plan.idle * 2;
        // smtp-sink lets nobody say the client's address.
        let site = Site::without_kernel()
            .next_hop_at(&format!("127.0.0.1:{SINK}"))
            .passes_client_by("none")
            .top("recipient_domains = [\"example.org\"]")
            .tables(&format!(
                "[limits]\nnext_hop_connect_timeout = \"60s\"\nconnections = {most}\nconnections_per_client = {most}\nconnections_per_network = {most}\nunknown_connections = {most}"
            ))
            .list("bench", "local-bad", "action = \"reject\"", &format!("{LISTED}\n"));
        let mut senders = vec![CLEAN.to_owned()];
        senders.extend((0..idle_hosts(plan)).map(|host| idle_client(host).to_string()));
        senders.extend((0..REFUSED).map(|host| refused_client(host).to_string()));
        let senders: Vec<_> = senders.iter().map(String::as_str).collect();
        let stage = site.stage(&senders)?;
        let sink = tool(&packages, &stage.edge, "smtp-sink")?
            .args(["-u", "nobody", "-m", "30000", &format!("inet:0.0.0.0:{SINK}"), "4096"])
            .spawn()
            .context("start smtp-sink")?;
        let options = postfix::Options {
            listen: Some(Way::Postfix.address()),
            postscreen: Some(Postscreen { listen: Way::Postscreen.address(), refuses: LISTED }),
            settings: [
                "default_process_limit = 400",
                "smtpd_client_connection_count_limit = 0",
                "message_size_limit = 20000000",
            ]
            .map(ToOwned::to_owned)
            .into_iter()
            .chain([format!("smtpd_proxy_filter = 127.0.0.1:{SINK}")])
            .collect(),
            ..postfix::Options::default()
        };
        let postfix = Postfix::start(&packages, Some(&stage.edge), &options)?;
        let sink_address = Way::Direct.address();
        let pipe = floor::pipe(&stage.edge, Way::Pipe.address(), sink_address)?;
        let bare = floor::refuser(&stage.edge, Way::Bare.address())?;
        let daemon = Some(stage.start()?);
        let field = Self { stage, daemon, postfix, sink, pipe, bare, packages };
        for way in Way::RELAYS {
            field.wait_for(way)?;
        }
        Ok(field)
    }

    /// A connection from the clean client.
    pub(crate) fn connect(&self, way: Way) -> Result<SmtpClient> {
        let client: IpAddr = CLEAN.parse()?;
        self.stage.sender.run(|| SmtpClient::connect(Some(client), way.address()))?
    }

    /// Waits until a message comes through.
    fn wait_for(&self, way: Way) -> Result<()> {
        let mut last = String::new();
        wait_for(way.name(), PATIENCE, || {
            let done = self.deliver(way);
            Ok(done.map_err(|error| last = format!("{error:#}")).ok())
        })
        .with_context(|| last)
    }

    fn deliver(&self, way: Way) -> Result<()> {
        let mut client = self.connect(way)?;
        client.greet("bench.example.com")?;
        let reply = client.deliver("a@example.com", &["b@example.org"], "Subject: x\n\nx\n")?;
        anyhow::ensure!(reply.is_positive(), "{}: {reply}", way.name());
        Ok(())
    }

    /// smtp-source on the sender host, with what is the same for all.
    pub(crate) fn source(&self) -> Result<Command> {
        let mut command = tool(&self.packages, &self.stage.sender, "smtp-source")?;
        command.args([
            "-4",
            "-M",
            "bench.example.com",
            "-f",
            "a@example.com",
            "-t",
            "b@example.org",
        ]);
        Ok(command)
    }

    /// The daemon.
    pub(crate) fn daemon(&self) -> Result<&Daemon> {
        self.daemon.as_ref().context("no daemon")
    }

    /// Starts the daemon anew.
    pub(crate) fn restart(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        self.daemon = Some(self.stage.start()?);
        self.wait_for(Way::Portcullis)
    }

    /// The processor time of what stands in the middle so far; nothing on the direct path.
    pub(crate) fn spent(&self, way: Way) -> Result<Spent> {
        match way {
            Way::Direct => Ok(Spent::default()),
            Way::Pipe => of_process(self.pipe.id()),
            Way::Portcullis => of_process(self.daemon()?.id()),
            Way::Postfix | Way::Postscreen => of_postfix(self.postfix.id()),
            Way::Bare => of_process(self.bare.id()),
        }
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        for child in [&mut self.sink, &mut self.pipe, &mut self.bare] {
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// A program of the package, that says nothing.
fn tool(packages: &std::path::Path, netns: &NetNs, name: &str) -> Result<Command> {
    let mut command = postfix::tool(packages, netns, name)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    Ok(command)
}

/// The address of one of those that are refused.
pub(crate) fn refused_client(host: u8) -> IpAddr {
    IpAddr::from([198, 18, 66, host + 1])
}

/// So many addresses have the clients that say nothing; a port range has room for some ten thousand each.
pub(crate) const fn idle_hosts(plan: &Plan) -> usize {
    plan.idle.div_ceil(1000)
}

/// The address of one of those.
pub(crate) fn idle_client(host: usize) -> IpAddr {
    IpAddr::from([198, 18, 2, u8::try_from(host % 250).unwrap_or(0) + 1])
}
