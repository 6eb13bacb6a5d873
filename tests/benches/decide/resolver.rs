//! A resolver that knows all answers, and how often it was asked what.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway::dns::{Answer, Fault, Kind, Question, Records, Resolve};

/// How long answers are good: longer than anything is measured.
const TTL: Duration = Duration::from_hours(1);
/// What names of mail servers end with.
const NAMES: &str = ".mail.example.net.";
/// Hides the address in its name, so that the name does not look like one that a provider gave.
const DISGUISE: u32 = 0x5bd1_e995;

/// A resolver that answers after `delay`; the first zone lists the `bad` ones, the others nobody.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    pub(crate) zone: String,
    pub(crate) bad: HashSet<Ipv4Addr>,
    pub(crate) delay: Duration,
    asked: Mutex<HashMap<Question, u32>>,
}

type Answering = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;

impl Resolver {
    /// Answers for `zone`.
    pub(crate) fn new(zone: &str, bad: HashSet<Ipv4Addr>, delay: Duration) -> Arc<Self> {
        let zone = format!(".{zone}.");
        Arc::new(Self { zone, bad, delay, asked: Mutex::default() })
    }

    /// How many different questions there were, and how often the one was asked that was asked most.
    pub(crate) fn asked(&self) -> (usize, u32) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        (asked.len(), asked.values().copied().max().unwrap_or(0))
    }

    fn answer(&self, Question { kind, name }: &Question) -> Records {
        match kind {
            Kind::A => {
                if let Some(address) = name.strip_suffix(NAMES).and_then(named) {
                    return Records::A(vec![address]);
                }
                match name.strip_suffix(&self.zone).and_then(reversed) {
                    Some(address) if self.bad.contains(&address) => {
                        Records::A(vec![Ipv4Addr::new(127, 0, 0, 2)])
                    }
                    _ => Records::None,
                }
            }
            Kind::Txt => Records::Txt(vec!["listed, see https://zen.example/".to_owned()]),
            Kind::Ptr => match name.strip_suffix(".in-addr.arpa.").and_then(reversed) {
                Some(address) if !self.bad.contains(&address) => {
                    let number = address.to_bits() ^ DISGUISE;
                    Records::Ptr(vec![format!("s{number}{NAMES}")])
                }
                _ => Records::None,
            },
            Kind::Aaaa | Kind::Mx => Records::None,
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, question: Question) -> Answering {
        let records = self.answer(&question);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked.entry(question).or_default() += 1;
        drop(asked);
        let delay = self.delay;
        Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            Ok(Answer { records, ttl: TTL })
        })
    }
}

/// The address of `s1540483477`.
fn named(label: &str) -> Option<Ipv4Addr> {
    let number: u32 = label.strip_prefix('s')?.parse().ok()?;
    Some(Ipv4Addr::from_bits(number ^ DISGUISE))
}

/// The address of `99.2.0.192`.
fn reversed(name: &str) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = name.parse().ok()?;
    Some(Ipv4Addr::from_bits(address.to_bits().swap_bytes()))
}
