//! Asks all zones about an address at once, within a time, and only those that are well.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{join, join_all};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::debug;

use super::asker::{Asker, Listener};
use super::member::{Member, Permit};
use super::resolve::{Fault, Kind, Question, Records};
use crate::alarm::Alarms;
use crate::clock::{Clock, Timestamp};
use crate::net::fold;
use crate::zone::{
    Answer, AnswerFault, Domain, Illness, Listing, Lookup, Silence, Transition, Zone, text,
};

/// How long it counts that a zone does not list what no zone lists. An older answer is no proof of a listing, since a zone that
/// lists the world from one moment to the next would refuse all mail until its test entries are looked at.
const PROOF_COUNTS: Duration = Duration::from_secs(10);

/// How long is waited for the text of a listing.
const TEXT_TIME: Duration = Duration::from_millis(500);

/// All zones; clones share them.
#[derive(Clone)]
pub struct Zones(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) asker: Asker,
    pub(super) members: ArcSwap<Vec<Member>>,
    pub(super) alarms: Alarms,
    pub(super) observer: Observer,
    pub(super) started: (Timestamp, Instant),
    /// Held while zones change, or what is said about them.
    pub(super) saying: Mutex<()>,
    /// Told when a test entry is due earlier than it was.
    pub(super) wake: Notify,
    /// The looks at test entries that ended.
    pub(super) looks: watch::Sender<u64>,
}

type Observer = Box<dyn Fn(&ZoneEvent) + Send + Sync>;

/// A zone that is asked, or switched off.
#[derive(Clone, Debug)]
pub struct ConfiguredZone {
    /// The zone.
    pub zone: Arc<Zone>,
    /// False: it was switched off by a command.
    pub enabled: bool,
}

/// A change of the health of a zone.
#[derive(Clone, Debug)]
pub struct ZoneEvent {
    /// The zone.
    pub zone: Arc<Zone>,
    /// What changed.
    pub transition: Transition,
    /// When.
    pub at: Timestamp,
}

impl fmt::Debug for Zones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zones").field("zones", &self.0.members.load().len()).finish_non_exhaustive()
    }
}

/// What a zone says about an address.
enum Said {
    Nothing,
    Listed(Listing),
    Silent(Silence),
}

impl Zones {
    /// No zones yet; `observer` hears how they are from then on.
    pub fn new(
        asker: Asker,
        alarms: Alarms,
        clock: Clock,
        observer: impl Fn(&ZoneEvent) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            asker,
            members: ArcSwap::default(),
            alarms,
            observer: Box::new(observer),
            started: (clock.now(), Instant::now()),
            saying: Mutex::default(),
            wake: Notify::new(),
            looks: watch::Sender::new(0),
        }))
    }

    /// The zones from now on; those that stay keep how they are, and all answers that are known stay known.
    pub fn set(&self, zones: Vec<ConfiguredZone>) {
        let saying = self.0.saying.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, now) = (self.0.members.load_full(), self.0.now());
        let member = |ConfiguredZone { zone, enabled }| {
            let known = before.iter().find(|known| known.zone.name == zone.name);
            Member::new(zone, enabled, known, now)
        };
        let members: Vec<_> = zones.into_iter().map(member).collect();
        let ill: BTreeSet<_> = members
            .iter()
            .filter(|member| member.body().health.illness().is_some())
            .map(|member| Arc::clone(&member.zone.name))
            .collect();
        for gone in before.iter().filter(|known| !ill.contains(&known.zone.name)) {
            self.0.alarms.clear(&about(&gone.zone));
        }
        self.0.members.store(Arc::new(members));
        drop(saying);
        self.0.wake.notify_one();
    }

    /// What the zones that `which` takes say about `address` until `deadline`. What comes later is kept for the next time.
    ///
    /// Ranges that mean nothing in public are not for zones: whoever asks sees to that.
    pub async fn look_up(
        &self,
        address: IpAddr,
        which: impl Fn(&Zone) -> bool,
        deadline: Instant,
    ) -> Lookup {
        let address = fold(address);
        let members = self.0.members.load_full();
        let mut said = Vec::with_capacity(members.len());
        let mut open = Vec::new();
        for (index, member) in members.iter().enumerate().filter(|(_, it)| which(&it.zone)) {
            match member.permit(address) {
                Permit::Skip => {}
                Permit::Silent(silence) => said.push((index, Said::Silent(silence))),
                Permit::Ask(fresh_from) => {
                    let name = member.zone.domain.question(address);
                    let question = Question::new(Kind::A, name);
                    let asked = Asked { question, fresh_from, is_ipv6: address.is_ipv6() };
                    match self.known(member, &asked) {
                        Some(known) => said.push((index, known)),
                        None => open.push((index, asked)),
                    }
                }
            }
        }
        if !open.is_empty() {
            let open = open.into_iter().filter_map(|(index, asked)| {
                let member = members.get(index)?;
                Some(async move { (index, self.ask(member, address, asked, deadline).await) })
            });
            said.extend(join_all(open).await);
            said.sort_unstable_by_key(|(index, _)| *index);
        }
        let mut lookup = Lookup::default();
        for (index, said) in said {
            match (said, members.get(index)) {
                (Said::Listed(listing), _) => lookup.listings.push(listing),
                (Said::Silent(silence), Some(member)) => {
                    lookup.silent.push((Arc::clone(&member.zone), silence));
                }
                _ => {}
            }
        }
        lookup
    }

    /// What a zone says as far as all of it is known.
    fn known(&self, member: &Member, asked: &Asked) -> Option<Said> {
        let reply = self.0.asker.kept(&asked.question, asked.fresh_from)?;
        let said = match member.read(&reply.records) {
            Answer::NotListed => Said::Nothing,
            Answer::Fault(fault) => Said::Silent(Silence::Fault(fault)),
            Answer::Listed(hits) => {
                let zone = Arc::clone(&member.zone);
                if let Some((question, fresh_from)) = proof(&zone, asked) {
                    let reply = self.0.asker.kept(&question, fresh_from)?;
                    if member.lists(reply.records.as_deref().map_err(|fault| *fault)) == Ok(true) {
                        return None;
                    }
                }
                let text = if zone.enforce {
                    let question = Question::new(Kind::Txt, asked.question.name.clone());
                    let reply = self.0.asker.kept(&question, asked.fresh_from)?;
                    readable(&reply.records, &zone.domain)
                } else {
                    None
                };
                Said::Listed(Listing { zone, hits, text })
            }
        };
        member.counters.hit();
        Some(said)
    }

    async fn ask(&self, member: &Member, address: IpAddr, asked: Asked, deadline: Instant) -> Said {
        let Asked { question, fresh_from, .. } = &asked;
        let listener = self.listener(&member.zone.domain, address);
        let asker = &self.0.asker;
        let records = asker.ask(question, *fresh_from, deadline, Some(listener)).await;
        let answer = member.read(&records);
        debug!(target: "zone", "zone={} address={address} {answer}", member.zone.name);
        let hits = match answer {
            Answer::NotListed => return Said::Nothing,
            Answer::Fault(fault) => {
                if fault == AnswerFault::Overload {
                    member.counters.fault(fault);
                }
                return Said::Silent(Silence::Fault(fault));
            }
            Answer::Listed(hits) => hits,
        };
        let zone = Arc::clone(&member.zone);
        // The text is for records alone; who is refused does not wait long for it.
        let text_by = deadline.min(Instant::now() + TEXT_TIME);
        let text = async {
            if !zone.enforce {
                return None;
            }
            let question = Question { kind: Kind::Txt, ..question.clone() };
            let records = asker.ask(&question, *fresh_from, text_by, None).await;
            readable(&records, &zone.domain)
        };
        let lists_everything = async {
            let Some((question, fresh_from)) = proof(&zone, &asked) else { return Ok(false) };
            let records = asker.ask(&question, fresh_from, deadline, None).await;
            // That there is no answer in time says nothing against a zone that was well at the last look.
            match member.lists(records.as_deref().map_err(|fault| *fault)) {
                Err(fault) if fault.is_refusal() => Err(fault),
                listed => Ok(listed == Ok(true)),
            }
        };
        let (text, lists_everything) = join(text, lists_everything).await;
        let lists_everything = match lists_everything {
            Ok(lists_everything) => lists_everything,
            Err(fault) => return Said::Silent(Silence::Fault(fault)),
        };
        if lists_everything {
            let now = self.0.now();
            self.0.change(member, |body| body.health.lists_everything(now, address.into()));
            return Said::Silent(Silence::Ill(Illness::ListsEverything));
        }
        Said::Listed(Listing { zone, hits, text })
    }

    /// Notes what comes of a question about `address`, for all zones that are asked it.
    fn listener(&self, domain: &Domain, address: IpAddr) -> Listener {
        let (zones, domain) = (self.clone(), domain.clone());
        Box::new(move |progress| {
            let members = zones.0.members.load_full();
            let asked = members.iter().filter(|member| {
                member.is_enabled && member.zone.domain == domain && member.zone.takes(address)
            });
            for member in asked {
                zones.0.hear(member, address, &progress);
            }
        })
    }
}

/// A question to a zone.
struct Asked {
    question: Question,
    fresh_from: Option<Instant>,
    is_ipv6: bool,
}

/// The question whose answer shows that a listing is one, and from when on that counts; `None` for a zone without test entries.
fn proof(zone: &Zone, asked: &Asked) -> Option<(Question, Option<Instant>)> {
    let name = zone.domain.test_question(false, asked.is_ipv6);
    let fresh_from = asked.fresh_from.max(Instant::now().checked_sub(PROOF_COUNTS));
    zone.test_points.then(|| (Question::new(Kind::A, name), fresh_from))
}

fn readable(records: &Result<Arc<Records>, Fault>, domain: &Domain) -> Option<Arc<str>> {
    match records.as_deref() {
        Ok(Records::Txt(records)) => text(records, domain),
        _ => None,
    }
}

/// The subject of the alarms of a zone.
pub(super) fn about(zone: &Zone) -> String {
    format!("zone:{}", zone.name)
}
