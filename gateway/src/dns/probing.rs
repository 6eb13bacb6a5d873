//! Looks at the test entries of zones when that is due, or when an operator asks.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use utoipa::ToSchema;

use super::member::{Member, codes};
use super::resolve::{Fault, Kind, Question, Records};
use super::zones::Zones;
use crate::zone::{AnswerFault, Family, Health, Illness, Pair, Probe, State, test_point};

/// How long a test entry is waited for.
const PROBE_WAIT: Duration = Duration::from_secs(5);

/// The longest sleep between two looks at what is due.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);

/// What came of asking a test entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PointTest {
    /// The kind of addresses.
    pub family: Family,
    /// The address of the entry.
    pub address: String,
    /// Whether it is to be listed.
    pub expected: bool,
    /// Whether it is; `null` where the answer does not say.
    pub listed: Option<bool>,
    /// The addresses that were answered.
    pub codes: Vec<Ipv4Addr>,
    /// Why the answer does not say.
    pub fault: Option<AnswerFault>,
    /// How long the answer took, in milliseconds.
    pub milliseconds: u64,
}

/// What came of asking all test entries of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ZoneTest {
    /// The name of the zone.
    pub zone: Arc<str>,
    /// Whether it is well, for all addresses that it has.
    pub well: bool,
    /// What that comes to, in words.
    pub verdict: String,
    /// What to do about it.
    pub remedy: Option<&'static str>,
    /// Each answer.
    #[schema(value_type = Vec<Object>)]
    pub points: Vec<PointTest>,
}

impl Zones {
    /// Looks at test entries when they are due, until `stop`.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.keep_looking() => {}
        }
    }

    /// Waits until all zones were looked at once, but not longer than `most`; whether they were.
    pub async fn first_probes(&self, most: Duration) -> bool {
        let mut looks = self.0.looks.subscribe();
        let all = looks.wait_for(|_| {
            let members = self.0.members.load();
            members.iter().all(|it| !it.is_enabled || it.body().health.was_probed())
        });
        matches!(timeout(most, all).await, Ok(Ok(_)))
    }

    /// Asks the test entries of the zone `name` now; `None` where there is no such zone.
    pub async fn test(&self, name: &str) -> Option<ZoneTest> {
        let members = self.0.members.load_full();
        let member = members.iter().find(|member| &*member.zone.name == name)?;
        Some(self.look_at(member).await)
    }

    async fn keep_looking(&self) {
        let mut looking = JoinSet::new();
        loop {
            while looking.try_join_next().is_some() {}
            let now = self.0.now();
            let mut sleep_for = LONGEST_SLEEP;
            let members = self.0.members.load_full();
            for member in members.iter().filter(|member| member.is_enabled) {
                let mut body = member.body();
                if body.health.next_probe() <= now {
                    body.health.begin_probe(now);
                    let (zones, member) = (self.clone(), member.clone());
                    looking.spawn(async move { drop(zones.look_at(&member).await) });
                }
                let left = body.health.next_probe().duration_since(now);
                sleep_for = sleep_for.min(Duration::try_from(left).unwrap_or_default());
            }
            drop(members);
            tokio::select! {
                () = sleep(sleep_for) => {}
                () = self.0.wake.notified() => {}
            }
        }
    }

    /// Asks the test entries of a zone, and takes what they answer for how it is.
    async fn look_at(&self, member: &Member) -> ZoneTest {
        let families = &member.zone.families;
        let asked = [(Family::Ipv4, families.ipv4), (Family::Ipv6, families.ipv6)];
        let asked = asked.into_iter().filter(|(_, is_asked)| *is_asked);
        let pairs = asked.map(|(family, _)| async move {
            let (listed, unlisted) =
                join(self.point(member, family, true), self.point(member, family, false)).await;
            (family, listed, unlisted)
        });
        let mut probe = Probe::default();
        let mut points = Vec::new();
        for (family, (listed, listed_point), (unlisted, unlisted_point)) in join_all(pairs).await {
            let pair = Some(Pair { listed, unlisted });
            match family {
                Family::Ipv4 => probe.ipv4 = pair,
                Family::Ipv6 => probe.ipv6 = pair,
            }
            points.extend([listed_point, unlisted_point]);
        }
        let now = self.0.now();
        if member.is_enabled {
            self.0.change(member, |body| body.health.probed(now, probe));
            self.0.looks.send_modify(|looks| *looks += 1);
            self.0.wake.notify_one();
        }
        let mut health = Health::new(&member.zone, now);
        drop(health.probed(now, probe));
        let states = Family::ALL.map(|family| (family, health.state(family)));
        let illness = health.illness();
        ZoneTest {
            zone: Arc::clone(&member.zone.name),
            well: illness.is_none(),
            verdict: verdict(&states, member.zone.test_points),
            remedy: illness.map(Illness::remedy),
            points,
        }
    }

    async fn point(
        &self,
        member: &Member,
        family: Family,
        expected: bool,
    ) -> (Result<bool, AnswerFault>, PointTest) {
        let is_ipv6 = family == Family::Ipv6;
        let name = member.zone.domain.test_question(expected, is_ipv6);
        let begun = Instant::now();
        let asked = self.0.asker.ask_anew(Question::new(Kind::A, name), PROBE_WAIT);
        let records: Result<Records, Fault> = asked.await;
        let listed = member.lists(records.as_ref().map_err(|fault| *fault));
        let point = PointTest {
            family,
            address: test_point(expected, is_ipv6).to_string(),
            expected,
            listed: listed.ok(),
            codes: records.as_ref().map(codes).unwrap_or_default().to_vec(),
            fault: listed.err(),
            milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        (listed, point)
    }
}

fn verdict(states: &[(Family, State)], has_test_points: bool) -> String {
    let words = states.iter().filter_map(|(family, state)| {
        let family = if *family == Family::Ipv4 { "IPv4" } else { "IPv6" };
        Some(match state {
            State::Excluded => return None,
            State::Ill(illness) => format!("{family}: {illness}"),
            State::NotOffered => format!("{family}: it has none"),
            State::Unproven => format!("{family}: no answer"),
            State::Healthy if has_test_points => format!("{family}: well"),
            State::Healthy => format!("{family}: answers without errors"),
        })
    });
    words.collect::<Vec<_>>().join("; ")
}
