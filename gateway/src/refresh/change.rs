//! Changes of lists that people ask for: what they can be, what comes of them, why they are not made.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Expiry;
use crate::net::Prefix;
use crate::store::StoreError;

/// A change of one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListChange {
    /// The name of the list.
    pub list: String,
    /// Who asks for it.
    pub author: String,
    /// What is asked for.
    pub what: What,
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// List a prefix.
    Add {
        /// The prefix.
        prefix: Prefix,
        /// Why.
        reason: Option<String>,
        /// Until when.
        expires: Option<Expiry>,
    },
    /// Take a prefix out: an entry made by hand goes, what the source has is excepted.
    Remove {
        /// The prefix.
        prefix: Prefix,
        /// Why.
        reason: Option<String>,
        /// Until when, where the source has it.
        expires: Option<Expiry>,
    },
    /// Take back what was entered by hand for a prefix, and leave the source as it is.
    Withdraw {
        /// The prefix.
        prefix: Prefix,
        /// Why.
        reason: Option<String>,
    },
    /// Switch the list on.
    Enable,
    /// Switch the list off.
    Disable,
    /// End the exception of a prefix: what it took out counts again.
    Restore {
        /// The prefix.
        prefix: Prefix,
    },
    /// Put in force what was refused.
    Accept {
        /// What that hashes to, where only what was looked at is meant.
        seen: Option<String>,
    },
    /// Replace all that was put before.
    Put {
        /// A list in any format.
        octets: Vec<u8>,
    },
}

/// What came of a change, once it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ListChanged)]
pub struct Changed {
    /// The list.
    pub list: String,
    /// What was done, in words.
    pub done: String,
    /// The entries of the list now.
    pub entries: usize,
    /// The version of the rules with it.
    pub rules: u64,
    /// Lines of what was put that are no entries.
    pub rejected: usize,
    /// What whoever asked should know.
    pub warnings: Vec<String>,
}

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such list.
    #[error("`{name}` is no list, expected one of: {}", known.join(", "))]
    UnknownList {
        /// What was given.
        name: String,
        /// The lists that there are.
        known: Vec<String>,
    },
    /// There is no such zone.
    #[error("`{name}` is no zone, expected one of: {}", known.join(", "))]
    UnknownZone {
        /// What was given.
        name: String,
        /// The zones that there are.
        known: Vec<String>,
    },
    /// There is a zone of that name already.
    #[error("there is a zone `{name}` already")]
    ZoneExists {
        /// Its name.
        name: String,
    },
    /// There are as many zones as there can be.
    #[error("there are {most} zones already, expected fewer before another is added")]
    TooManyZones {
        /// How many there can be.
        most: usize,
    },
    /// The zone stands in the configuration.
    #[error("`{name}` stands in the configuration, so no command removes it")]
    ConfiguredZone {
        /// Its name.
        name: String,
    },
    /// A prefix covers too much to be meant.
    #[error("{prefix} covers too much, expected a prefix of /8 or longer")]
    TooWide {
        /// The prefix.
        prefix: Prefix,
    },
    /// There are as many entries made by hand as there can be.
    #[error(
        "{list} has {most} entries and exceptions made by hand, expected fewer before another is made"
    )]
    TooMany {
        /// The list.
        list: String,
        /// How many there can be.
        most: usize,
    },
    /// Nothing of the list has to do with the prefix.
    #[error("{list} has no entry for {prefix}")]
    NotListed {
        /// The list.
        list: String,
        /// The prefix.
        prefix: Prefix,
    },
    /// The prefix is not taken out.
    #[error("{list} has no exception for {prefix}")]
    NotExcepted {
        /// The list.
        list: String,
        /// The prefix.
        prefix: Prefix,
    },
    /// What was refused is something else than what was looked at.
    #[error("the copy of {list} that was looked at is held back no more")]
    OtherCopy {
        /// The list.
        list: String,
    },
    /// Nothing was refused.
    #[error("nothing of {list} was refused")]
    NothingToAccept {
        /// The list.
        list: String,
    },
    /// The list has its entries from elsewhere.
    #[error("{list} has its entries from {source_of}, so nothing can be put there")]
    HasSource {
        /// The list.
        list: String,
        /// Where it has them from.
        source_of: String,
    },
    /// What was put is not taken.
    #[error("{fault}")]
    Refused {
        /// Why.
        fault: String,
        /// Whether a human may overrule that.
        can_accept: bool,
    },
    /// There is nowhere to keep it.
    #[error("nothing can be kept, since the store is not open")]
    NoStore,
    /// The store does not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChangeError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownList { .. } => "`portcullis list show` names the lists".to_owned(),
            Self::UnknownZone { .. } => "`portcullis zones` names the zones".to_owned(),
            Self::ZoneExists { name } => {
                format!("`portcullis zones remove {name}` first, if it was added by a command")
            }
            Self::ConfiguredZone { name } => {
                format!("`portcullis zones disable {name}` switches it off")
            }
            Self::NotListed { prefix, .. } => {
                format!("`portcullis list find {prefix}` shows which list has it")
            }
            Self::NotExcepted { list, .. } => {
                format!("`portcullis list show {list} --exceptions` shows all")
            }
            Self::OtherCopy { list } => {
                format!("look again: `portcullis list held-back {list}` shows what is held back now")
            }
            Self::HasSource { list, .. } => {
                format!("`portcullis list add {list} PREFIX` adds to it all the same")
            }
            Self::Refused { can_accept: true, .. } => {
                "`portcullis list held-back NAME` shows what it would change, `portcullis list accept NAME` puts it in force all the same".to_owned()
            }
            Self::Store(error) => return error.hint().map(ToOwned::to_owned),
            Self::TooMany { list, .. } => {
                format!("put them into a file: a list besides {list} can have it as its source")
            }
            Self::NoStore => "the alarm `store` in `portcullis status` says why".to_owned(),
            Self::TooManyZones { .. } => {
                "each is one more question for every new client: remove one".to_owned()
            }
            Self::TooWide { .. } | Self::NothingToAccept { .. } | Self::Refused { .. } => {
                return None;
            }
        })
    }

    /// Whether whoever asked must ask otherwise.
    pub fn is_of_request(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::TooLong { .. }),
            Self::NoStore => false,
            _ => true,
        }
    }
}
