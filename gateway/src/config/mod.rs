//! Configuration: TOML files into one resolved `Config`, or all of their faults at once.

mod acceptance;
mod action;
mod audit;
mod dns;
mod download;
mod exempt;
mod fault;
mod header;
mod keys;
mod limits;
mod listeners;
mod lists;
mod next_hop;
mod overrides;
mod parts;
mod proxied;
mod quarantine;
mod reach;
mod reader;
mod reference;
mod resolve;
mod score;
mod senders;
mod services;
mod shown;
#[cfg(test)]
mod tests;
mod tls;
mod tree;
mod values;
mod web;
mod zones;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use fault::{Fault, Faults, Notice, Place};
pub use overrides::{Override, Wins};
pub use parts::SaidOfZones;
pub use reference::reference;
pub use shown::{InForce, Shown, ShownKey, ShownTable};

use gateway_ebpf::abi::KernelAction;

use crate::direction::Acceptance;
use crate::front::{HeaderConfig, Listener, NextHop, Service};
use crate::list::List;
use crate::net::Prefix;
use crate::password::PasswordHash;
use crate::policy::{EvidenceWeights, ReplyStyle, Thresholds};
use crate::quarantine as held;
use crate::sender::{Greylist, HistorySettings, PromotionSettings};
use crate::smtp::Limits;
use crate::tls::Certificate;
use crate::xdp;
use crate::zone::Zone;

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/portcullis/portcullis.toml";

/// All that an operator said, with defaults where he said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The main file that it was read from.
    pub file: PathBuf,
    /// The name in the greeting, and for the next hop.
    pub hostname: String,
    /// Where the daemon keeps what must outlive it.
    pub state_dir: PathBuf,
    /// What the daemon may do once it has begun.
    pub rights: RightsConfig,
    /// How long connections may take to finish when the daemon stops.
    pub drain: Duration,
    /// The files and folders that it names to be read, sorted.
    pub reads: Vec<PathBuf>,
    /// Hosts whose Received fields are believed.
    pub trusted_relays: Vec<Prefix>,
    /// False: everything is recorded, nothing is refused. Each list says so, too.
    pub enforce: bool,
    /// The domains for which mail is taken, in lower case; one with a dot before it stands for its subdomains alone.
    /// Empty: the next hop decides.
    pub recipient_domains: Vec<String>,
    /// The kernel filter.
    pub xdp: xdp::Config,
    /// The addresses to listen on.
    pub listeners: Vec<Listener>,
    /// Where accepted mail goes; only `portcullis run` with a listener needs it.
    pub next_hop: Option<NextHop>,
    /// The certificate of this host, where it has one.
    pub tls: Option<Certificate>,
    /// What is written into the header of mail that goes on.
    pub header: HeaderConfig,
    /// The milter, where there is one.
    pub milter: Option<Service>,
    /// The policy service of Postfix, where there is one.
    pub postfix_policy: Option<Service>,
    /// The lists, in the order in which they are written.
    pub lists: Vec<Arc<List>>,
    /// Which clients send which way, where a listener does not say it.
    pub acceptance: Vec<Acceptance>,
    /// How DNS is asked.
    pub dns: crate::dns::Settings,
    /// The zones, in the order in which they are written.
    pub zones: Vec<Arc<Zone>>,
    /// How the score is made, and what comes of it.
    pub score: ScoreConfig,
    /// What the past of a client adds to its score.
    pub history: HistorySettings,
    /// How senders in the delay band wait.
    pub greylist: Greylist,
    /// Who is refused so often that the kernel does it.
    pub promotion: PromotionConfig,
    /// How much a refused client is told.
    pub reply_style: ReplyStyle,
    /// How much of everything a peer may use.
    pub limits: Limits,
    /// What is looked at in the header of a message.
    pub scan: ScanConfig,
    /// The Unix socket on which the commands reach the daemon.
    pub admin_socket: PathBuf,
    /// The control centre, where there is one.
    pub web: Option<WebConfig>,
    /// The page for blocked senders, where there is one.
    pub public_lookup: Option<PublicLookup>,
    /// Where messages in quarantine are, and how many.
    pub quarantine: QuarantineConfig,
    /// Where decisions are recorded.
    pub audit: crate::audit::Settings,
    /// What the daemon says.
    pub log: LogConfig,
    /// All of it key by key, to be shown.
    pub shown: Arc<Shown>,
}

/// How the score is made, and what comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreConfig {
    /// Whether a score is computed at all.
    pub enabled: bool,
    /// Where the bands begin and end.
    pub thresholds: Thresholds,
    /// What becomes of the delay band: senders wait on the greylist; `false`: each try is scored anew.
    pub greylist: bool,
    /// Whether it is used when a client connects.
    pub connect: bool,
    /// Whether it is used when a message is there.
    pub message: bool,
    /// Sender domains that it does not stop, in lower case; one with a dot before it stands for its subdomains alone.
    pub exempt_domains: Vec<String>,
    /// What each fact adds to it.
    pub evidence: EvidenceWeights,
}

/// Who is refused so often that the kernel does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromotionConfig {
    /// When, for how long.
    pub settings: PromotionSettings,
    /// What the kernel does.
    pub kernel: KernelAction,
}

/// What is looked at in the header of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanConfig {
    /// Fields beside Received, as spelled in the configuration.
    pub headers: Vec<Arc<str>>,
    /// Whether a client on a good list clears the addresses in its messages, too.
    pub good_client_skips_headers: bool,
}

/// What the daemon may do once it has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightsConfig {
    /// The user that it runs as; `None` for the one that starts it.
    pub user: Option<String>,
    /// The group that it runs as; `None` for the user's.
    pub group: Option<String>,
    /// Whether files that it does not need are put out of its reach.
    pub landlock: bool,
}

/// Where messages in quarantine are, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineConfig {
    /// The folder.
    pub folder: PathBuf,
    /// How much it may hold, for how long.
    pub settings: held::Settings,
}

/// The control centre: its pages, and the API for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether TLS is spoken, with the certificate of this host.
    pub tls: bool,
    /// How long somebody who does nothing stays logged in.
    pub session: Duration,
    /// Who may read metrics without a password.
    pub metrics_from: Vec<Prefix>,
    /// Who may log in, beside whoever has the token.
    pub users: Vec<WebUser>,
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUser {
    /// The name, which stands in the record of each change.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// What his password is known by.
    pub password: PasswordHash,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Change what can be changed, too.
    Operator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Viewer, Self::Operator];

    /// As the configuration has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

/// The page on which a blocked sender learns why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicLookup {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether TLS is spoken, with the certificate of this host.
    pub tls: bool,
}

/// What the daemon says, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Config {
    /// Reads `path` and what lies in `conf.d` beside it, with the keys of zones and exempt domains in files that it names;
    /// lists and other such files are not opened.
    pub fn load(path: &Path) -> Result<(Self, Vec<Notice>), Faults> {
        Self::load_with(path, false)
    }

    /// The same for a daemon, which needs a front, too, and a next hop for what listeners take.
    pub fn load_for_daemon(path: &Path) -> Result<(Self, Vec<Notice>), Faults> {
        Self::load_with(path, true)
    }

    fn load_with(path: &Path, for_daemon: bool) -> Result<(Self, Vec<Notice>), Faults> {
        // What is written relative to the file must not depend on where the reader of a record stands.
        let path = std::path::absolute(path).unwrap_or_else(|_empty| path.to_owned());
        let findings = fault::Findings::default();
        let root = tree::read_files(&path, &findings);
        let shown = Shown::new(&path, &root);
        let (mut config, notices) = resolve::resolve(&path, root, for_daemon, findings)?;
        config.shown = Arc::new(shown.resolved(&config));
        Ok((config, notices))
    }

    /// A zone from one table `[[zone]]` in a text of its own.
    pub fn zone_of(&self, spec: &str) -> Result<Zone, String> {
        resolve::zone_alone(&self.file, spec, self.score.enabled)
    }

    /// Where the daemon that was started with `path` answers. It may run on after a reload that was refused, so that
    /// faults do not matter here.
    pub fn admin_socket_of(path: &Path) -> PathBuf {
        let root = tree::read_files(path, &fault::Findings::default());
        resolve::admin_socket_alone(path, root)
    }
}
