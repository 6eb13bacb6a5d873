//! What can go wrong between the daemon and the kernel.

use std::io;
use std::path::{Path, PathBuf};

use aya::maps::MapError;

/// What can go wrong between the daemon and the kernel.
#[derive(Debug, thiserror::Error)]
pub enum XdpError {
    /// The pins would not be on a BPF filesystem.
    #[error("{path} is on no BPF filesystem, expected a folder under one, such as /sys/fs/bpf")]
    NotBpffs {
        /// The folder for the pins.
        path: PathBuf,
    },
    /// Others may write in the folder for the pins.
    #[error("{path} belongs to another user or is open to others, expected a folder of our own")]
    ForeignFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The process may not do it.
    #[error("{path}: not permitted, expected root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")]
    Rights {
        /// What was touched.
        path: PathBuf,
    },
    /// A file or folder could not be touched.
    #[error("{path}: {source}")]
    Path {
        /// What was touched.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel takes the program or a map of it not.
    #[error("the kernel refuses the program: {reason}")]
    Program {
        /// What it says, cut to its end.
        reason: String,
    },
    /// A map could not be read or written.
    #[error("map {map}: {}", chain(.source))]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        source: MapError,
    },
    /// More than there is room for in the kernel.
    #[error("{found} {what} do not fit, expected at most {most}")]
    DoesNotFit {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many fit.
        most: usize,
    },
    /// More combinations of a list and a kernel action than a table can tell apart.
    #[error(
        "the lists have more than {} combinations of a list and a kernel action, expected at most that many",
        gateway_ebpf::table::MAX_CLASSES
    )]
    TooManyCombinations,
    /// What is pinned as a table is none.
    #[error("map {map}: {reason}")]
    Table {
        /// Its name.
        map: &'static str,
        /// Why.
        reason: String,
    },
    /// A list with a name that the kernel cannot keep.
    #[error("list name `{name}` has {} bytes, expected 1 to {most}", name.len())]
    ListName {
        /// The name.
        name: String,
        /// How long it may be.
        most: usize,
    },
    /// A rule of a list that is not there.
    #[error("rule for {prefix} names list number {list}, expected one of {lists}")]
    ListNumber {
        /// Its prefix.
        prefix: crate::net::Prefix,
        /// The number.
        list: u16,
        /// How many lists there are.
        lists: usize,
    },
    /// A refusal with words that cannot be sent.
    #[error("{text:?} for a refusal, expected at most {most} octets of printable ASCII")]
    Text {
        /// The words.
        text: String,
        /// How long they may be.
        most: usize,
    },
    /// The system has no random numbers, so there are no keys.
    #[error("no random numbers: {source}")]
    Random {
        /// Why.
        source: getrandom::Error,
    },
    /// Somebody captures already.
    #[error("another capture is going on, expected one at a time")]
    CaptureTaken,
    /// A process without rights finds nothing that it could use.
    #[error(
        "{path}: {reason}; without CAP_BPF a filter is used that `portcullis xdp attach`, run as root, has put there"
    )]
    NotAttached {
        /// The folder for the pins.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A process without rights cannot make a larger table.
    #[error(
        "map {map}: the bad prefixes have outgrown the tables that `portcullis xdp attach` made; stop the daemon, run that as root again, and start it"
    )]
    Outgrown {
        /// The map that holds the table.
        map: &'static str,
    },
    /// Nothing is pinned, so no filter runs.
    #[error("{path}: nothing is pinned there, expected the maps of a running filter")]
    NothingPinned {
        /// The folder for the pins.
        path: PathBuf,
    },
}

impl XdpError {
    /// A path could not be touched, for want of rights or for another reason.
    pub(super) fn path(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::PermissionDenied {
            Self::Rights { path }
        } else {
            Self::Path { path, source }
        }
    }

    /// There are no keys.
    pub(super) const fn random(source: getrandom::Error) -> Self {
        Self::Random { source }
    }

    /// The kernel refused; a verifier says why at the end of a long log.
    pub(super) fn program(error: &dyn std::error::Error) -> Self {
        let text = chain(error);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let shown = lines.len().saturating_sub(LOG_LINES);
        Self::Program { reason: lines.get(shown..).unwrap_or_default().join("\n") }
    }
}

/// An error with its causes; some say those of their cause themselves.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let added = error.to_string();
        if !text.ends_with(&added) {
            text = format!("{text}: {added}");
        }
        cause = error.source();
    }
    text
}

/// How much of a verifier's log is shown.
const LOG_LINES: usize = 12;
