//! Which zones are asked: those of the configuration with those that people added, without those that are switched off.

use std::sync::Arc;

use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

use super::{ChangeError, Refresher};
use crate::dns::{ConfiguredZone, Zones};
use crate::store::KeptZone;
use crate::zone::{MOST_ZONES, Zone};

/// The zones, and who asks them.
#[derive(Debug, Default)]
pub(super) struct ZoneSet {
    /// Those of the configuration.
    pub(super) configured: Vec<Arc<Zone>>,
    /// Those that people added.
    pub(super) added: Vec<Arc<Zone>>,
    pub(super) asked_by: Option<Zones>,
}

/// A change of the zones.
#[derive(Clone, Debug)]
pub struct ZoneChange {
    /// The name of the zone.
    pub zone: String,
    /// Who asks for it.
    pub author: String,
    /// What is asked for.
    pub what: ZoneWhat,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum ZoneWhat {
    /// Ask it from now on, also after a restart.
    Add {
        /// The zone.
        zone: Arc<Zone>,
        /// The same as a table of the configuration.
        spec: String,
    },
    /// Do not ask a zone any more that was added.
    Remove,
    /// Ask it again.
    Enable,
    /// Do not ask it until it is switched on.
    Disable,
}

/// What came of a change, once it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ZoneChanged {
    /// The zone.
    pub zone: String,
    /// What was done, in words.
    pub done: &'static str,
    /// What whoever asked should know.
    pub warnings: Vec<String>,
}

impl ZoneSet {
    fn all(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.configured.iter().chain(&self.added)
    }
}

impl Refresher {
    /// Lets `zones` ask the zones that there are, from the next [`Self::reload`] on.
    pub fn ask_zones_by(&mut self, zones: Zones) {
        self.zones.asked_by = Some(zones);
    }

    /// Says which zones are asked from now on.
    pub(super) fn set_zones(&self) {
        let Some(asked_by) = &self.zones.asked_by else { return };
        let zones = self.zones.all().map(|zone| ConfiguredZone {
            zone: Arc::clone(zone),
            enabled: self.kept.zone(&zone.name).is_none_or(|kept| kept.enabled),
        });
        asked_by.set(zones.collect());
    }

    /// Makes `change`, and answers once it is in force.
    pub(super) fn change_zone(&mut self, change: ZoneChange) -> Result<ZoneChanged, ChangeError> {
        let ZoneChange { zone: name, author, what } = change;
        let now = self.clock.now();
        let is_known = self.zones.all().any(|zone| *zone.name == *name);
        let is_added = self.zones.added.iter().any(|zone| *zone.name == *name);
        if !is_known && !matches!(what, ZoneWhat::Add { .. }) {
            return Err(ChangeError::UnknownZone {
                name: name.chars().take(120).collect(),
                known: self.zones.all().map(|zone| zone.name.to_string()).collect(),
            });
        }
        let said = |enabled, spec: Option<Box<str>>| KeptZone {
            name: name.as_str().into(),
            enabled,
            spec,
            author: author.as_str().into(),
            at: now,
        };
        let spec = self.kept.zone(&name).and_then(|kept| kept.spec.clone());
        let mut warnings = Vec::new();
        let done = match what {
            ZoneWhat::Add { .. } if self.zones.all().count() >= MOST_ZONES => {
                return Err(ChangeError::TooManyZones { most: MOST_ZONES });
            }
            ZoneWhat::Add { .. } if is_known => return Err(ChangeError::ZoneExists { name }),
            ZoneWhat::Add { zone, spec } => {
                self.kept.keep_zone(&said(true, Some(spec.into())), now)?;
                if !zone.enforce {
                    warnings
                        .push(format!("{name} is a dry run: nothing is done about its listings"));
                }
                self.zones.added.push(zone);
                "added"
            }
            ZoneWhat::Remove if !is_added => return Err(ChangeError::ConfiguredZone { name }),
            ZoneWhat::Remove => {
                self.kept.forget_zone(&name, now)?;
                self.zones.added.retain(|zone| *zone.name != *name);
                "removed"
            }
            ZoneWhat::Enable => {
                self.kept.keep_zone(&said(true, spec), now)?;
                "switched on"
            }
            ZoneWhat::Disable => {
                self.kept.keep_zone(&said(false, spec), now)?;
                "switched off"
            }
        };
        info!(target: "zone", "changed zone={name} author={author:?} {done}");
        self.set_zones();
        Ok(ZoneChanged { zone: name, done, warnings })
    }
}
