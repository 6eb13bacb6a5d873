//! Keeps the addresses of host names up to date in the background, so that nobody waits for them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join;
use futures_util::stream::{self, StreamExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::asker::Asker;
use super::resolve::{Answer, Fault, Kind, Question, Records};
use crate::alarm::Alarms;

/// The addresses of each name.
pub type Addresses = HashMap<Arc<str>, Vec<IpAddr>>;

/// How long an answer counts at least.
const SHORTEST: Duration = Duration::from_mins(1);

/// How long it counts at most.
const LONGEST: Duration = Duration::from_hours(1);

/// How long one answer is waited for.
const WAIT: Duration = Duration::from_secs(10);

/// The names that are asked for at once.
const AT_ONCE: usize = 16;

/// A name that is gone keeps its addresses until it was gone so many times in a row.
const GONE_FOR_GOOD: u8 = 2;

/// Host names and their addresses; clones share them.
#[derive(Clone)]
pub struct Names(Arc<Shared>);

struct Shared {
    asker: Asker,
    alarms: Alarms,
    names: Mutex<BTreeMap<Arc<str>, Known>>,
    addresses: ArcSwap<Addresses>,
    observer: Observer,
    wake: Notify,
}

type Observer = Box<dyn Fn(&Arc<Addresses>) + Send + Sync>;

/// What is known about a name.
#[derive(Clone, Debug)]
struct Known {
    v4: Family,
    v6: Family,
    next: Instant,
}

/// The addresses of one kind.
#[derive(Clone, Debug, Default)]
struct Family {
    addresses: Vec<IpAddr>,
    /// How many times in a row there were none.
    gone: u8,
}

type Answers = (Result<Answer, Fault>, Result<Answer, Fault>);

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

impl Names {
    /// No names yet; `observer` hears each change of their addresses.
    pub fn new(
        asker: Asker,
        alarms: Alarms,
        observer: impl Fn(&Arc<Addresses>) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            asker,
            alarms,
            names: Mutex::default(),
            addresses: ArcSwap::default(),
            observer: Box::new(observer),
            wake: Notify::new(),
        }))
    }

    /// The names from now on; those that stay keep their addresses.
    pub fn set(&self, names: impl IntoIterator<Item = Arc<str>>) {
        let mut known = self.0.names();
        let mut before = std::mem::take(&mut *known);
        let now = Instant::now();
        for name in names {
            let anew = || Known { v4: Family::default(), v6: Family::default(), next: now };
            let kept = before.remove(&name).unwrap_or_else(anew);
            known.insert(name, kept);
        }
        drop(known);
        for gone in before.keys() {
            self.0.alarms.clear(&about(gone));
        }
        self.0.publish();
        self.0.wake.notify_one();
    }

    /// The addresses of each name, as far as they are known.
    pub fn addresses(&self) -> Arc<Addresses> {
        self.0.addresses.load_full()
    }

    /// Asks for each name when that is due, until `stop`.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.keep_asking() => {}
        }
    }

    async fn keep_asking(&self) {
        loop {
            let now = Instant::now();
            let is_due = |known: &Known| known.next <= now;
            let due: Vec<_> = {
                let names = self.0.names();
                let due = names.iter().filter(|(_, known)| is_due(known));
                due.map(|(name, _)| Arc::clone(name)).collect()
            };
            let mut answers = stream::iter(due)
                .map(|name| async move { (self.ask(&name).await, name) })
                .buffer_unordered(AT_ONCE);
            while let Some((answers, name)) = answers.next().await {
                self.0.take(&name, answers);
            }
            self.0.publish();
            let next = self.0.names().values().map(|known| known.next).min();
            let wait = next.map_or(LONGEST, |next| next.saturating_duration_since(now));
            tokio::select! {
                () = sleep(wait) => {}
                () = self.0.wake.notified() => {}
            }
        }
    }

    async fn ask(&self, name: &str) -> Answers {
        let ask = |kind| {
            let question = Question::new(kind, format!("{}.", name.trim_end_matches('.')));
            self.0.asker.answer_anew(question, WAIT)
        };
        join(ask(Kind::A), ask(Kind::Aaaa)).await
    }
}

impl Shared {
    fn names(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Known>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, name: &str, (v4, v6): Answers) {
        let mut names = self.names();
        // It may have been taken out meanwhile.
        let Some(known) = names.get_mut(name) else { return };
        let ttls = [&v4, &v6].into_iter().flatten().filter(|it| it.records != Records::None);
        let ttl = ttls.map(|answer| answer.ttl).min().unwrap_or(SHORTEST);
        let faults = [known.v4.take(v4), known.v6.take(v6)];
        let fault = faults.into_iter().find_map(Result::err);
        let ttl = if fault.is_some() { SHORTEST } else { ttl.clamp(SHORTEST, LONGEST) };
        known.next = Instant::now() + ttl;
        let has_addresses = !known.v4.addresses.is_empty() || !known.v6.addresses.is_empty();
        let is_gone = known.v4.gone > 0 && known.v6.gone > 0;
        let still = if has_addresses { "; its last addresses hold" } else { "" };
        let complaint = match fault {
            Some(Fault::Timeout) => Some("no answer in time"),
            Some(_) => Some("the resolver fails (SERVFAIL or REFUSED)"),
            None if is_gone => Some("there is no such name, or it has no address"),
            None => None,
        };
        let complaint = complaint.map(|complaint| {
            format!("{name} cannot be resolved: {complaint}{still}; see whether the name is right, and the resolver")
        });
        self.alarms.set(&about(name), complaint.as_deref());
    }

    fn publish(&self) {
        let names = self.names();
        let addresses: Addresses = names
            .iter()
            .filter(|(_name, known)| known.is_told())
            .map(|(name, known)| {
                let all = [&known.v4, &known.v6].into_iter().flat_map(|it| it.addresses.clone());
                (Arc::clone(name), all.collect())
            })
            .collect();
        if **self.addresses.load() == addresses {
            return;
        }
        let addresses = Arc::new(addresses);
        self.addresses.store(Arc::clone(&addresses));
        // With the names held, so that changes are heard in their order.
        (self.observer)(&addresses);
        drop(names);
    }
}

impl Known {
    /// Whether DNS has said what its addresses are, or that there are none.
    const fn is_told(&self) -> bool {
        !self.v4.addresses.is_empty()
            || !self.v6.addresses.is_empty()
            || (self.v4.gone > 0 && self.v6.gone > 0)
    }
}

impl Family {
    /// Takes an answer; where there is none, what was known stays known.
    fn take(&mut self, answer: Result<Answer, Fault>) -> Result<(), Fault> {
        // Twice in a row means without a fault between.
        let answer = answer.inspect_err(|_fault| self.gone = 0)?;
        let mut addresses: Vec<IpAddr> = match answer.records {
            Records::A(addresses) => addresses.into_iter().map(IpAddr::V4).collect(),
            Records::Aaaa(addresses) => addresses.into_iter().map(IpAddr::V6).collect(),
            Records::None | Records::Txt(_) | Records::Ptr(_) | Records::Mx(_) => Vec::new(),
        };
        self.gone = if addresses.is_empty() { self.gone.saturating_add(1) } else { 0 };
        if self.gone == 0 || self.gone >= GONE_FOR_GOOD {
            addresses.sort_unstable();
            self.addresses = addresses;
        }
        Ok(())
    }
}

/// The subject of the alarms of a name.
fn about(name: &str) -> String {
    format!("name:{name}")
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_good_addresses_hold() {
        const NAME: &str = "mail.example.org.";
        let fake = Fake::default();
        let (alarms, changes) = (Alarms::default(), Arc::<Mutex<usize>>::default());
        let asker = Asker::new(Arc::new(fake.clone()), Duration::from_secs(2));
        let counted = Arc::clone(&changes);
        let names = Names::new(asker, alarms.clone(), move |_| *counted.lock().unwrap() += 1);
        tokio::spawn(names.clone().run(std::future::pending()));
        let v4 = |last: u8| Ok(Records::A(vec![[192, 0, 2, last].into()]));
        fake.tell(Kind::A, NAME, 1, v4(1));
        fake.tell(Kind::Aaaa, NAME, 1, Ok(Records::Aaaa(vec!["2001:db8::1".parse().unwrap()])));
        names.set(["mail.example.org".into()]);
        sleep(Duration::from_secs(1)).await;
        for (name, v4_answer, expected, has_alarm) in [
            ("as it was", v4(1), "192.0.2.1 2001:db8::1", false),
            ("moved", v4(2), "192.0.2.2 2001:db8::1", false),
            ("SERVFAIL", Err(Fault::ServerFailure), "192.0.2.2 2001:db8::1", true),
            ("silent", Err(Fault::Timeout), "192.0.2.2 2001:db8::1", true),
            ("gone once", Ok(Records::None), "192.0.2.2 2001:db8::1", false),
            ("gone for good", Ok(Records::None), "2001:db8::1", false),
            ("back", v4(3), "192.0.2.3 2001:db8::1", false),
        ] {
            fake.tell(Kind::A, NAME, 1, v4_answer);
            sleep(Duration::from_secs(61)).await;
            let addresses = names.addresses();
            let addresses = addresses.get("mail.example.org").unwrap();
            let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(" "), expected, "{name}");
            assert_eq!(!alarms.list().is_empty(), has_alarm, "{name}");
        }
        fake.tell(Kind::A, NAME, 1, Ok(Records::None));
        fake.tell(Kind::Aaaa, NAME, 1, Ok(Records::None));
        sleep(Duration::from_secs(130)).await;
        assert_eq!(names.addresses().get("mail.example.org").map(Vec::len), Some(0));
        assert_eq!(alarms.list().swap_remove(0).about, "name:mail.example.org");
        assert_eq!(*changes.lock().unwrap(), 5);
        names.set([]);
        assert!(names.addresses().is_empty() && alarms.list().is_empty());
    }
}
