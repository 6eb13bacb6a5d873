//! Zones as `status` shows them; access keys are not in it.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::counters::Counts;
use super::member::Member;
use super::zones::Zones;
use crate::clock::Timestamp;
use crate::zone::{Family, Illness, State, ZoneClass};

/// One zone.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ZoneStatus {
    /// Its name.
    pub name: Arc<str>,
    /// The name that replies use.
    pub label: Arc<str>,
    /// What is asked, without a key.
    pub domain: String,
    /// What its listings say.
    #[schema(value_type = String)]
    pub class: ZoneClass,
    /// What is done about them.
    pub action: &'static str,
    /// False: nothing is.
    pub enforce: bool,
    /// False: it was switched off by a command.
    pub enabled: bool,
    /// `off`, or how it is: that of the addresses that are worse off.
    pub state: &'static str,
    /// What is wrong.
    pub reason: Option<String>,
    /// What to do about that.
    pub remedy: Option<&'static str>,
    /// Since when it is like that.
    pub since: Timestamp,
    /// When its test entries are looked at next; `null` when it is off.
    pub next_probe: Option<Timestamp>,
    /// How it is for IPv4.
    pub ipv4: FamilyStatus,
    /// How it is for IPv6.
    pub ipv6: FamilyStatus,
    /// What it was asked, and answered.
    pub counts: Counts,
}

/// How a zone is for one kind of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FamilyStatus {
    /// How it is.
    #[schema(value_type = String)]
    pub state: State,
    /// What is wrong; the word for it.
    #[schema(value_type = Option<String>)]
    pub illness: Option<Illness>,
    /// Since when.
    pub since: Timestamp,
}

impl Zones {
    /// All zones, in the order of the configuration.
    pub fn status(&self) -> Vec<ZoneStatus> {
        self.0.members.load().iter().map(status).collect()
    }
}

fn status(member: &Member) -> ZoneStatus {
    let zone = &member.zone;
    let health = member.body().health.clone();
    let family = |family| {
        let state = health.state(family);
        FamilyStatus { state, illness: state.illness(), since: health.since(family) }
    };
    let worst = Family::ALL.into_iter().max_by_key(|family| severity(health.state(*family)));
    let worst = worst.unwrap_or(Family::Ipv4);
    let state = health.state(worst);
    ZoneStatus {
        name: Arc::clone(&zone.name),
        label: Arc::clone(&zone.label),
        domain: zone.domain.public().to_owned(),
        class: zone.class,
        action: zone.action.name(),
        enforce: zone.enforce,
        enabled: member.is_enabled,
        state: if member.is_enabled { state.name() } else { "off" },
        reason: state.illness().map(|illness| illness.to_string()),
        remedy: state.illness().map(Illness::remedy),
        since: health.since(worst),
        next_probe: member.is_enabled.then(|| health.next_probe()),
        ipv4: family(Family::Ipv4),
        ipv6: family(Family::Ipv6),
        counts: member.counters.counts(),
    }
}

const fn severity(state: State) -> u8 {
    match state {
        State::Excluded => 0,
        State::NotOffered => 1,
        State::Healthy => 2,
        State::Unproven => 3,
        State::Ill(_) => 4,
    }
}
