//! The classes of lists, in their order of precedence.

use serde::Serialize;

/// The name of the list that fills itself, the only one of [`Class::Auto`].
pub const AUTO: &str = "auto";

/// What a list says about its addresses; the order is the order of precedence, the first wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Good senders of this site.
    LocalGood,
    /// Good senders that a provider vouches for.
    GlobalGood,
    /// Bad senders of this site.
    LocalBad,
    /// Bad senders that a provider lists.
    GlobalBad,
    /// Open proxies, zombies among them.
    OpenProxy,
    /// Hosts that were refused so often that the kernel refuses them for a while: the list `auto`, which fills itself.
    Auto,
}

impl Class {
    /// All classes that a list can be given, in their order of precedence; [`Self::Auto`] comes after them.
    pub const ALL: [Self; 5] =
        [Self::LocalGood, Self::GlobalGood, Self::LocalBad, Self::GlobalBad, Self::OpenProxy];

    /// The word that configuration and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LocalGood => "local-good",
            Self::GlobalGood => "global-good",
            Self::LocalBad => "local-bad",
            Self::GlobalBad => "global-bad",
            Self::OpenProxy => "open-proxy",
            Self::Auto => "auto",
        }
    }

    /// Whether its lists speak for an address instead of against it.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::LocalGood | Self::GlobalGood)
    }
}
