//! What a bounce or a pasted error means, whether it was this host, and what to do about it.
//!
//! What would be decided now is for whoever asks to find out, between [`Found::address`] and [`Found::tell`]: a daemon asks its engine, a command
//! asks the daemon.

mod behind;
mod origin;
mod steps;
mod whose;

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

pub use self::behind::{Behind, FoundBy};
use self::origin::Resolvers;
pub use self::origin::{Belongs, Exchanger, Origin};
use self::steps::{Known, steps};
pub use self::steps::{Step, refuses, turns_away};
pub use self::whose::Whose;
use self::whose::{Belief, Us, belief};
use crate::bounce::{Bounce, Form, Place};
use crate::config::Config;
use crate::host;
use crate::net::reserved;
use crate::story::Story;
use crate::why::{self, Trail};

/// What a text means.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// Whether it was longer than what is read.
    pub cut: bool,
    /// What it says.
    pub bounce: Bounce,
    /// Who turned the mail away.
    pub whose: Whose,
    /// Why that is believed.
    pub because: String,
    /// The decision behind it; `null` where this host knows of none.
    pub decision: Option<Behind>,
    /// The same as `why` tells it; `null` where no record of it is left.
    pub story: Option<Story>,
    /// The address that decided, as far as it can be told.
    pub address: Option<IpAddr>,
    /// What `lookup` says about it now.
    pub now: Option<Value>,
    /// What DNS says of the address that sent it; `null` where it was not asked.
    pub origin: Option<Origin>,
    /// What to do, the first first.
    pub next: Vec<Step>,
}

impl Answer {
    /// Whether this host turned the mail away, and would do so again.
    pub fn is_refused(&self) -> bool {
        let turns_away = |now: &Value| turns_away(now, self.bounce.is_about_header());
        self.whose == Whose::Us && self.now.as_ref().is_some_and(turns_away)
    }
}

/// What this host has of a text.
#[derive(Debug)]
pub struct Found {
    cut: bool,
    bounce: Bounce,
    /// This host's addresses.
    own: Vec<IpAddr>,
    decision: Option<Behind>,
    belief: Belief,
    /// The address from which the mail came.
    sent_from: Option<IpAddr>,
    origin: Option<Origin>,
    warnings: Vec<String>,
}

impl Found {
    /// Reads a text, of which there was more if it is `cut`, and looks for the decision behind it in `trail` and in the kernel's
    /// references, which may take a while.
    pub fn find(config: &Config, trail: Trail<'_>, octets: &[u8], cut: bool) -> Self {
        let bounce = Bounce::read(octets);
        let own = host::own_addresses().unwrap_or_default();
        let mut warnings = Vec::new();
        let decision = behind::behind(config, trail, &bounce, &mut warnings);
        let us = Us { hostname: &config.hostname, addresses: &own };
        let belief = belief(&bounce, decision.as_ref(), us);
        // That this host turned the address away as well, some other time, would only mislead.
        let decision = decision.filter(|_behind| belief.whose != Whose::SomebodyElse);
        let mut found =
            Self { cut, bounce, own, decision, belief, sent_from: None, origin: None, warnings };
        found.sent_from = found.sender_address(config);
        found
    }

    /// Asks DNS, which may know the address of the host that wrote the bounce, and what it says of that. Has a budget.
    pub async fn ask_dns(&mut self, config: &Config) {
        let resolvers = match Resolvers::new(config) {
            Ok(resolvers) => resolvers,
            Err(fault) => return self.warnings.push(fault),
        };
        let helo = self.bounce.reporter.as_deref().unwrap_or_default();
        let is_report = matches!(self.bounce.form, Form::Report | Form::Bounce);
        if self.sent_from.is_none() && is_report && !helo.is_empty() {
            self.sent_from = resolvers.address(helo).await;
        }
        let by_record = self.decision.as_ref().and_then(|behind| behind.sender.as_ref());
        let sender = self.bounce.sender.as_ref().or(by_record);
        let sender = sender.filter(|sender| sender.contains('@'));
        if let (Some(address), Some(sender)) = (self.sent_from, sender) {
            self.origin = Some(resolvers.origin(config, address, helo, sender).await);
        }
    }

    /// The address that decided, as far as it can be told: that of which it matters what would be decided about it now.
    pub fn address(&self) -> Option<IpAddr> {
        if self.belief.whose == Whose::SomebodyElse {
            // What others refuse says nothing about this host's lists.
            return None;
        }
        let by_record = || self.decision.as_ref().and_then(|it| it.offending.or(it.client));
        self.bounce.client.or_else(by_record).or(self.sent_from)
    }

    /// What could not be read or asked, so that something may be missing.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Tells all of it; `now` is what `lookup` says of its [`Self::address`], as far as that is known.
    pub fn tell(self, config: &Config, now: Option<Value>) -> Answer {
        let address = self.address();
        let Self { cut, bounce, decision, belief: Belief { whose, because }, origin, .. } = self;
        let next = steps(&Known {
            config,
            bounce: &bounce,
            whose,
            behind: decision.as_ref(),
            address,
            now: now.as_ref(),
            origin: origin.as_ref(),
        });
        let story = decision.as_ref().and_then(|behind| {
            let told = behind.told.as_ref()?;
            let now = now.as_ref().filter(|_now| told.address() == address);
            Some(why::story(config, told, &[], behind.entry_removed.as_ref(), now))
        });
        Answer { cut, bounce, whose, because, decision, story, address, now, origin, next }
    }

    /// The address from which the mail came, as far as text and record tell; not that of a hop further back.
    fn sender_address(&self, config: &Config) -> Option<IpAddr> {
        let Self { bounce, own, .. } = self;
        let is_stranger = |ip: IpAddr| {
            let is_relay = config.trusted_relays.iter().any(|relay| relay.contains(ip));
            reserved(ip).is_none() && !own.contains(&ip) && !is_relay
        };
        let is_hop = bounce.is_about_header();
        let named = bounce.client.filter(|_| !is_hop);
        let by_record = self.decision.as_ref().and_then(|behind| behind.client);
        // The last host that is none of ours handed a message over; of a bounce, the header tells only what came before that.
        let handed_over = || {
            let peers = bounce.addresses.iter().filter(|it| it.peer && it.place != Place::Text);
            let mut peers = peers.map(|seen| seen.ip).filter(|ip| is_stranger(*ip));
            peers.next().filter(|_| bounce.form == Form::Message)
        };
        let only_one = || {
            let mut free = bounce.addresses.iter().filter(|seen| seen.place == Place::Text);
            let (first, None) = (free.next()?, free.next()) else { return None };
            Some(first.ip).filter(|ip| is_stranger(*ip) && !is_hop)
        };
        by_record.or(named).or_else(handed_over).or_else(only_one)
    }
}
