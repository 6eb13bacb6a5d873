//! Why mail was refused, put off or let in: what the trail, the journal of lists and the kernel's references have of it, told.
//!
//! What would be decided now is for whoever asks to find out, between [`Found::addresses`] and [`Found::tell`]: a daemon asks its engine, a command
//! asks the daemon.

mod address;
mod kernel;
mod told_record;
mod trail;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

pub use self::address::AddressAnswer;

use utoipa::ToSchema;

use self::address::FoundAddress;
pub use self::kernel::KernelAnswer;
use self::told_record::FoundRecord;
pub use self::told_record::{ToldRecord, story};
use self::trail::{OF_NAME, is_event};
pub use self::trail::{Trail, What};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::story::Told;

/// Stories that are told of one name.
const STORIES: usize = 20;

/// What would be decided about addresses now, as `lookup` says it.
pub type Now = HashMap<IpAddr, Value>;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// A reference, an address, a Message-ID, or the name that a mail server's queue gave to a message.
    pub what: String,
    /// What was so at this time; `None` for now.
    pub at: Option<Timestamp>,
    /// Whether a reference of the kernel's was given to this address.
    pub client: Option<IpAddr>,
}

/// What this host has of it. At most [`STORIES`] records of a name are told.
#[derive(Debug)]
pub struct Found {
    question: Question,
    part: Part,
    warnings: Vec<String>,
    /// Why the kernel's references cannot be read, where they had to be.
    keys_fault: Option<String>,
}

#[derive(Debug)]
enum Part {
    Records { decisions: Vec<FoundRecord>, events: Vec<Told> },
    Address(FoundAddress),
    Kernel(KernelAnswer),
    Nothing,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = WhyKind)]
pub enum Kind {
    /// From records of that name.
    Records,
    /// From lists, journal and records of the address.
    Address,
    /// From a reference of the kernel's, of which there is no record.
    Kernel,
    /// Nothing is known of it.
    Nothing,
}

/// What is known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Why)]
pub struct Answer {
    /// What was asked.
    what: String,
    /// Where it comes from.
    pub kind: Kind,
    /// The time that was asked about; `null` for now.
    at: Option<Timestamp>,
    /// The decisions, the oldest first, each the record with `entry_removed` and `story`: at most 20, of an address its last three.
    #[schema(value_type = Vec<Object>)]
    pub stories: Vec<ToldRecord>,
    /// What is known of the address; `null` of anything else.
    pub address: Option<AddressAnswer>,
    /// What the kernel's reference says by itself; `null` of anything else.
    pub kernel: Option<KernelAnswer>,
    /// What could not be read, so that something may be missing.
    pub warnings: Vec<String>,
}

impl Found {
    /// Looks in `trail` and in the kernel's references, which may take a while.
    pub fn find(config: &Config, mut trail: Trail<'_>, question: Question) -> Self {
        let mut keys_fault = None;
        let part = match What::read(&question.what) {
            What::Address(ip) => Part::Address(FoundAddress::find(&mut trail, ip, question.at)),
            name => {
                let records = trail.find(&name, question.at, OF_NAME);
                if records.is_empty() {
                    let read = KernelAnswer::read(config, &question.what, question.client);
                    let read = read.unwrap_or_else(|error| {
                        keys_fault = Some(error.to_string());
                        None
                    });
                    read.map_or(Part::Nothing, Part::Kernel)
                } else {
                    of_name(records, &mut trail)
                }
            }
        };
        Self { question, part, warnings: trail.into_warnings(), keys_fault }
    }

    /// Why the kernel's references cannot be read, where nothing else was left to look at.
    pub fn keys_fault(&self) -> Option<&str> {
        self.keys_fault.as_deref()
    }

    /// The addresses of which it matters what would be decided about them now, each once.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let (own, records) = match &self.part {
            Part::Records { decisions, .. } => (None, decisions.as_slice()),
            Part::Address(found) => (Some(found.ip), found.last.as_slice()),
            Part::Kernel(_) | Part::Nothing => (None, [].as_slice()),
        };
        let all = own.into_iter().chain(records.iter().filter_map(FoundRecord::address));
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Tells all of it; `now` has the [`Self::addresses`], as far as anything is known of them.
    pub fn tell(self, config: &Config, now: &Now) -> Answer {
        let Self { question: Question { what, at, .. }, part, mut warnings, keys_fault } = self;
        warnings.extend(
            keys_fault.map(|fault| format!("the references of the kernel filter: {fault}")),
        );
        let mut answer = Answer {
            what,
            kind: Kind::Nothing,
            at,
            stories: Vec::new(),
            address: None,
            kernel: None,
            warnings,
        };
        match part {
            Part::Records { decisions, events } => {
                answer.kind = Kind::Records;
                let told = decisions.into_iter().map(|found| found.tell(config, now, &events));
                answer.stories = told.collect();
            }
            Part::Address(found) => {
                answer.kind = Kind::Address;
                let (address, stories) = found.tell(config, now);
                (answer.address, answer.stories) = (Some(address), stories);
            }
            Part::Kernel(kernel) => {
                answer.kind = Kind::Kernel;
                answer.kernel = Some(kernel);
            }
            Part::Nothing => {}
        }
        answer
    }
}

/// Tells decisions from what was done later with a message in quarantine, which has its reference, too.
fn of_name(records: Vec<Value>, trail: &mut Trail<'_>) -> Part {
    let (events, decisions): (Vec<_>, Vec<_>) = records.into_iter().partition(is_event);
    // The decision may be gone before what was done later.
    let (events, decisions) =
        if decisions.is_empty() { (Vec::new(), events) } else { (events, decisions) };
    let most = decisions.len().saturating_sub(STORIES);
    let events: Vec<_> = events.iter().map(Told::read).collect();
    let decisions = decisions.into_iter().skip(most);
    let decisions = decisions.map(|record| FoundRecord::new(record, trail)).collect();
    Part::Records { decisions, events }
}
