//! One list as configured: what its entries mean and what is done about them.

use std::cmp::Reverse;
use std::sync::Arc;

use gateway_ebpf::abi::KernelAction;
use serde::Serialize;

use super::{Class, Format, Guard, Source};

/// A list as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The name that everything inside uses.
    pub name: Arc<str>,
    /// The name that replies to senders use.
    pub label: Arc<str>,
    /// What its entries say about an address.
    pub class: Class,
    /// What is done about a match.
    pub action: ListAction,
    /// Which hops are looked at.
    pub hops: HopScope,
    /// What the kernel does with a SYN from a listed address; only `reject` lists have another than `Off`.
    pub kernel: KernelAction,
    /// False: matches are recorded, nothing is done about them.
    pub enforce: bool,
    /// Where its entries come from, beside those added by hand.
    pub source: Source,
    /// The format of the source; `None` to detect it.
    pub format: Option<Format>,
    /// How much the source may change at once.
    pub guard: Guard,
}

/// Whether a list can have this name: it stands in paths, in records and in the kernel.
pub fn is_list_name(name: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    (1..=64).contains(&name.len()) && name.bytes().all(is_letter)
}

impl List {
    /// A list with what holds where the configuration says nothing else, filled by commands.
    pub fn new(name: &str, class: Class, action: ListAction) -> Self {
        Self {
            name: name.into(),
            label: name.into(),
            class,
            action,
            hops: action.default_hops(),
            kernel: KernelAction::Off,
            enforce: true,
            source: Source::Put,
            format: None,
            guard: Guard::default(),
        }
    }

    /// Where several lists have an address, the one with the least of these decides, in the kernel as in the daemon:
    /// lists in force before dry runs, then by class, then the most severe action.
    pub fn precedence(&self) -> impl Ord + use<> {
        (!self.enforce, self.class, Reverse(self.action), Reverse(self.kernel))
    }
}

/// What is done about a match of a list; the order is from the mildest to the most severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListAction {
    /// Accept (good classes only).
    Accept,
    /// Add the weight to the score as evidence.
    Score(Weight),
    /// Record it, at the message.
    Observe,
    /// Add a header field to the message.
    Tag,
    /// Accept the message and keep it until somebody releases it.
    Quarantine,
    /// Accept and delete the message: only where the configuration says so in words.
    Discard,
    /// Answer the connection with a 4xx.
    Defer,
    /// Refuse the message after its data with a 5xx.
    RejectMessage,
    /// Refuse the connection with a 5xx.
    Reject,
}

impl ListAction {
    /// The word that configuration and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Score(_) => "score",
            Self::Observe => "observe",
            Self::Tag => "tag",
            Self::Quarantine => "quarantine",
            Self::Discard => "discard",
            Self::Defer => "defer",
            Self::RejectMessage => "reject-message",
            Self::Reject => "reject",
        }
    }

    /// Which hops are looked at where nothing else is said: what acts at connect looks at the connecting client; what acts at
    /// the message, and what is good, looks everywhere: a good entry clears its own hop.
    pub const fn default_hops(self) -> HopScope {
        match self {
            Self::Reject | Self::Defer | Self::Score(_) => HopScope::Connect,
            _ => HopScope::All,
        }
    }

    /// Whether it decides when a client connects.
    pub const fn acts_at_connect(self) -> bool {
        matches!(self, Self::Defer | Self::Reject)
    }

    /// Whether it decides when the header of a message is there.
    pub const fn acts_at_message(self) -> bool {
        matches!(
            self,
            Self::Observe | Self::Tag | Self::Quarantine | Self::Discard | Self::RejectMessage
        )
    }
}

/// What a match adds to the score, -1000 to 1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Weight(i16);

impl Weight {
    /// The weight; `None` outside -1000 to 1000.
    pub fn new(weight: i64) -> Option<Self> {
        i16::try_from(weight).ok().filter(|weight| (-1000..=1000).contains(weight)).map(Self)
    }

    /// The number.
    pub fn value(self) -> i32 {
        self.0.into()
    }
}

/// Which hops of a message a list is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HopScope {
    /// The connecting (logical) client alone.
    Connect,
    /// Also the hops before it whose Received field names no authenticated submission (RFC 3848).
    Unauthenticated,
    /// Every hop.
    All,
}
