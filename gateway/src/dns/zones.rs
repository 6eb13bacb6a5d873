//! Asks all zones about an address at once, within a time, and only those that are well.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use jiff::SignedDuration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::asker::{Asker, Listener, Progress};
use super::member::{Body, Member, Permit, outcome};
use super::resolve::{Fault, Kind, Question, Records};
use crate::alarm::Alarms;
use crate::clock::{Clock, Timestamp};
use crate::net::fold;
use crate::zone::{
    Answer, AnswerFault, Domain, Illness, Listing, Lookup, Outcome, Silence, State, Transition,
    Zone, text,
};

/// All zones; clones share them.
#[derive(Clone)]
pub struct Zones(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) asker: Asker,
    pub(super) members: ArcSwap<Vec<Member>>,
    pub(super) alarms: Alarms,
    observer: Observer,
    started: (Timestamp, Instant),
    /// Held while zones change, or what is said about them.
    saying: Mutex<()>,
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
                    let asked = Asked { question: Question::new(Kind::A, name), fresh_from };
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
        let Asked { question, fresh_from } = asked;
        let listener = self.listener(&member.zone.domain, address);
        let asker = &self.0.asker;
        let records = asker.ask(&question, fresh_from, deadline, Some(listener)).await;
        let hits = match member.read(&records) {
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
        let text = if zone.enforce {
            let question = Question { kind: Kind::Txt, ..question };
            let records = asker.ask(&question, fresh_from, deadline, None).await;
            readable(&records, &zone.domain)
        } else {
            None
        };
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
}

fn readable(records: &Result<Arc<Records>, Fault>, domain: &Domain) -> Option<Arc<str>> {
    match records.as_deref() {
        Ok(Records::Txt(records)) => text(records, domain),
        _ => None,
    }
}

impl Shared {
    /// The time of day, by a clock that nobody sets.
    pub(super) fn now(&self) -> Timestamp {
        let (day, instant) = self.started;
        let ran = SignedDuration::try_from(instant.elapsed()).unwrap_or(SignedDuration::MAX);
        day.saturating_add(ran).unwrap_or(Timestamp::MAX)
    }

    fn hear(&self, member: &Member, address: IpAddr, progress: &Progress<'_>) {
        let timeout = Outcome::Fault(AnswerFault::Timeout);
        let outcome = match progress {
            Progress::Late => {
                member.counters.fault(AnswerFault::Timeout);
                timeout
            }
            Progress::Done { reply, took, was_late } => {
                member.counters.done(*took, *was_late);
                let outcome = outcome(&member.read(&reply.records));
                match outcome {
                    // It was counted when it was late.
                    Outcome::Fault(AnswerFault::Timeout) if *was_late => return,
                    Outcome::Fault(fault) => member.counters.fault(fault),
                    Outcome::Listed => member.counters.answered(true),
                    Outcome::NotListed => member.counters.answered(false),
                }
                let is_refusal = matches!(outcome, Outcome::Fault(fault) if fault.is_refusal());
                // An answer that comes when nobody waits any more is as good as none.
                if *was_late && !is_refusal {
                    return;
                }
                outcome
            }
        };
        let now = self.now();
        self.change(member, |body| body.health.noted(now, address.into(), outcome));
    }

    /// Changes how a zone is, and says so.
    pub(super) fn change(
        &self,
        member: &Member,
        change: impl FnOnce(&mut Body) -> Vec<Transition>,
    ) {
        let mut body = member.body();
        let transitions = change(&mut body);
        if transitions.is_empty() {
            return;
        }
        let is_nonsense =
            |state: State| state.illness().is_some_and(|it| !matches!(it, Illness::Unreachable(_)));
        let is_back = |it: &Transition| it.to == State::Healthy && is_nonsense(it.from);
        if transitions.iter().any(is_back) {
            body.fresh_from = Some(Instant::now());
        }
        drop(body);
        self.say(member, transitions);
        self.wake.notify_one();
    }

    fn say(&self, member: &Member, transitions: Vec<Transition>) {
        let saying = self.saying.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &Member| Arc::ptr_eq(&known.body, &member.body);
        // Nothing is said of a zone that was taken out or switched off meanwhile.
        if !self.members.load().iter().any(|known| known.is_enabled && is_same(known)) {
            return;
        }
        let zone = &member.zone;
        for Transition { family, from, to } in &transitions {
            let (name, family, from, state) = (&zone.name, family.name(), from.name(), to.name());
            if let Some(illness) = to.illness() {
                warn!(target: "zone", "zone={name} {family}={state} was={from} reason={} {illness}", illness.name());
            } else {
                info!(target: "zone", "zone={name} {family}={state} was={from}");
            }
        }
        let illness = member.body().health.illness();
        let complaint = illness.map(|illness| {
            let (domain, remedy) = (zone.domain.public(), illness.remedy());
            format!("{domain} is not asked: {illness}; {remedy}")
        });
        self.alarms.set(&about(zone), complaint.as_deref());
        drop(saying);
        let at = self.now();
        for transition in transitions {
            (self.observer)(&ZoneEvent { zone: Arc::clone(zone), transition, at });
        }
    }
}

/// The subject of the alarms of a zone.
fn about(zone: &Zone) -> String {
    format!("zone:{}", zone.name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::super::fake::Fake;
    use super::*;
    use crate::list::ListAction;
    use crate::zone::{Domain, ZoneClass};

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 99));
    const QUESTION: &str = "99.2.0.192.zen.example.org.";

    fn zone(name: &str, key: Option<&str>) -> Zone {
        let domain = Domain::new("zen.example.org", key).unwrap();
        Zone::new(name, domain, ZoneClass::ThirdPartyBad, ListAction::Reject)
    }

    fn on(zone: Zone) -> ConfiguredZone {
        ConfiguredZone { zone: Arc::new(zone), enabled: true }
    }

    struct World {
        fake: Fake,
        zones: Zones,
        alarms: Alarms,
        events: Arc<Mutex<Vec<String>>>,
    }

    /// Zones whose first look at the test entries is over.
    async fn world(fake: Fake, configured: Vec<ConfiguredZone>) -> World {
        let (alarms, events) = (Alarms::default(), Arc::<Mutex<Vec<String>>>::default());
        let asker = Asker::new(Arc::new(fake.clone()), Duration::from_secs(2));
        let noted = Arc::clone(&events);
        let zones = Zones::new(asker, alarms.clone(), Clock::System, move |event| {
            let Transition { family, to, .. } = event.transition;
            let illness = to.illness().map_or("", Illness::name);
            let event = format!("{} {} {} {illness}", event.zone.name, family.name(), to.name());
            noted.lock().unwrap().push(event.trim_end().to_owned());
        });
        zones.set(configured);
        tokio::spawn(zones.clone().run(std::future::pending()));
        assert!(zones.first_probes(Duration::from_secs(30)).await);
        World { fake, zones, alarms, events }
    }

    impl World {
        async fn look_up(&self, address: IpAddr) -> Lookup {
            let deadline = Instant::now() + Duration::from_secs(2);
            self.zones.look_up(address, |_| true, deadline).await
        }

        /// What zones say, in words.
        async fn said(&self) -> String {
            let Lookup { listings, silent } = self.look_up(ADDRESS).await;
            let listings = listings.iter().map(|listing| {
                let text = listing.text.as_deref().unwrap_or("-");
                format!("{}={} {text}", listing.zone.name, listing.codes())
            });
            let silent = silent.iter().map(|(zone, why)| format!("{}:{}", zone.name, why.name()));
            listings.chain(silent).collect::<Vec<_>>().join(" ")
        }

        fn state(&self) -> &'static str {
            self.zones.status().first().unwrap().state
        }
    }

    #[tokio::test(start_paused = true)]
    async fn zones_of_one_domain_ask_once_and_read_the_answer_their_own_way() {
        let fake = Fake::with_zone("zen.example.org");
        fake.list(QUESTION, [127, 0, 0, 10]);
        let text = Records::Txt(vec!["https://example.org/\r\nq".to_owned()]);
        fake.tell(Kind::Txt, QUESTION, 300, Ok(text));
        let filtered = |name: &str, filter: &str| {
            on(Zone { filters: vec![filter.parse().unwrap()], ..zone(name, None) })
        };
        let dry = Zone { enforce: false, ..zone("c", None) };
        let zones = vec![filtered("a", "127.0.0.10"), filtered("b", "127.0.0.2"), on(dry)];
        let world = world(fake, zones).await;
        for hits in [0, 1, 2] {
            let expected = "a=127.0.0.10 https://example.org/ q c=127.0.0.10 -";
            assert_eq!(world.said().await, expected);
            let counts = world.zones.status().swap_remove(0).counts;
            assert_eq!((counts.queries, counts.listed, counts.cache_hits), (1, 1, hits));
        }
        assert_eq!(world.fake.asked(Kind::A, QUESTION), 1);
        assert_eq!(world.fake.asked(Kind::Txt, QUESTION), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_zone_costs_no_more_than_the_time_there_is() {
        let fake = Fake::with_zone("zen.example.org");
        fake.list(QUESTION, [127, 0, 0, 2]);
        let world = world(fake, vec![on(zone("zen", None))]).await;
        world.fake.delay(20);
        let begun = Instant::now();
        assert_eq!(world.said().await, "zen:timeout");
        assert_eq!(begun.elapsed().as_secs(), 2);
        sleep(Duration::from_secs(19)).await;
        world.fake.delay(0);
        assert_eq!(world.said().await, "zen=127.0.0.2 -");
        let counts = world.zones.status().swap_remove(0).counts;
        assert_eq!((counts.late, counts.faults.get("timeout"), counts.queries), (1, Some(&1), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_resolver_is_left_alone_until_it_answers() {
        let world = world(Fake::with_zone("zen.example.org"), vec![on(zone("zen", None))]).await;
        assert_eq!(world.state(), "healthy");
        let events = world.events.lock().unwrap().clone();
        assert_eq!(events, ["zen ipv4 healthy", "zen ipv6 not-offered"]);
        let dead = Err(Fault::ServerFailure);
        world.fake.rest(dead.clone());
        world.fake.tell(Kind::A, "2.0.0.127.zen.example.org.", 0, dead);
        for last in 1..=6_u8 {
            let address = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, last));
            let lookup = world.look_up(address).await;
            assert!(lookup.listings.is_empty());
            let expected = if last > 5 { "unreachable" } else { "servfail" };
            assert_eq!(lookup.silent[0].1.name(), expected, "{last}");
        }
        assert_eq!(world.fake.asked(Kind::A, "6.2.0.192.zen.example.org."), 0);
        let alarm = world.alarms.list().swap_remove(0);
        assert_eq!(alarm.about, "zone:zen");
        assert!(alarm.text.starts_with("zen.example.org is not asked: the resolver fails"));
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.state(), "ill");
        world.fake.rest(Ok(Records::None));
        world.fake.list("2.0.0.127.zen.example.org.", [127, 0, 0, 2]);
        sleep(Duration::from_mins(2)).await;
        assert_eq!((world.state(), world.alarms.list().len()), ("healthy", 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_a_zone_that_listed_everything_does_not_count_later() {
        let world = world(Fake::with_zone("zen.example.org"), vec![on(zone("zen", None))]).await;
        world.fake.list(QUESTION, [127, 0, 0, 2]);
        world.fake.list("1.0.0.127.zen.example.org.", [127, 0, 0, 2]);
        assert_eq!(world.said().await, "zen=127.0.0.2 -");
        sleep(Duration::from_mins(31)).await;
        assert_eq!(world.said().await, "zen:lists-everything");
        world.fake.tell(Kind::A, QUESTION, 3600, Ok(Records::None));
        world.fake.forget(Kind::A, "1.0.0.127.zen.example.org.");
        let test = world.zones.test("zen").await.unwrap();
        assert!(test.well, "{}", test.verdict);
        assert_eq!(world.said().await, "", "a look by hand brings it back, too");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_makes_a_zone_ill_at_once_and_is_never_a_listing() {
        let world = world(Fake::with_zone("zen.example.org"), vec![on(zone("zen", None))]).await;
        world.fake.list(QUESTION, [127, 255, 255, 254]);
        assert_eq!(world.said().await, "zen:open-resolver");
        let status = world.zones.status().swap_remove(0);
        assert_eq!(status.state, "ill");
        assert!(status.remedy.unwrap().contains("resolver of your own"));
        sleep(Duration::from_secs(16)).await;
        assert_eq!(world.state(), "healthy", "its test entries are right");
    }

    #[tokio::test(start_paused = true)]
    async fn a_zone_that_is_switched_off_is_not_asked() {
        let world = world(Fake::with_zone("zen.example.org"), vec![on(zone("zen", None))]).await;
        world.fake.list(QUESTION, [127, 0, 0, 2]);
        let off = ConfiguredZone { enabled: false, ..on(zone("zen", None)) };
        world.zones.set(vec![off]);
        assert_eq!((world.said().await, world.state()), (String::new(), "off"));
        world.zones.set(vec![on(zone("zen", None))]);
        assert_eq!(world.said().await, "zen:unproven");
        assert!(world.zones.first_probes(Duration::from_secs(1)).await);
        assert_eq!(world.said().await, "zen=127.0.0.2 -");
        world.zones.set(Vec::new());
        assert!(world.look_up(ADDRESS).await.listings.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_told_nowhere() {
        let fake = Fake::with_zone("s3cret.zen.example.org");
        let question = "99.2.0.192.s3cret.zen.example.org.";
        fake.list(question, [127, 0, 0, 2]);
        let text = Records::Txt(vec![format!("see {question}")]);
        fake.tell(Kind::Txt, question, 300, Ok(text));
        let world = world(fake, vec![on(zone("zen", Some("s3cret")))]).await;
        assert_eq!(world.said().await, "zen=127.0.0.2 -");
        world.fake.list("99.2.0.192.zen.example.org.", [127, 255, 255, 252]);
        let found = world.look_up(ADDRESS).await;
        let status = serde_json::to_string(&world.zones.status()).unwrap();
        let test = serde_json::to_string(&world.zones.test("zen").await).unwrap();
        let shown =
            format!("{found:?} {status} {test} {:?} {:?}", world.zones, world.zones.status());
        assert!(shown.contains("zen.example.org") && !shown.contains("s3cret"), "{shown}");
        world.fake.rest(Err(Fault::ServerFailure));
        world.fake.forget(Kind::A, "2.0.0.127.s3cret.zen.example.org.");
        for last in 0..9 {
            drop(world.look_up(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, last))).await);
        }
        let alarms = format!("{:?}", world.alarms.list());
        assert!(alarms.contains("zone:zen") && !alarms.contains("s3cret"), "{alarms}");
    }
}
