//! What commands need that work with the configuration file alone: the configuration, and an engine with its lists.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::{Failure, output};
use crate::admin::Memory;
use crate::alarm::Alarms;
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, SaidOfZones};
use crate::dns::{self, Asker, ConfiguredZone, Zones};
use crate::engine::{Asks, Engine};
use crate::host;
use crate::list::{List, Loaded, Membership};
use crate::net::Prefix;
use crate::policy::SetThresholds;
use crate::refresh::{self, ListStatus, OnDisk};

/// Reads the configuration; what the operator should know goes to standard error.
pub(super) fn config(path: &Path) -> Result<Config, Failure> {
    let (config, notices) = Config::load(path)?;
    for notice in notices {
        output::warn(notice);
    }
    Ok(config)
}

/// An engine that judges as the daemon would after reading the same files now, in the pause that lasts now; it records
/// nothing.
pub(super) fn engine(config: &Config) -> Engine {
    let engine = Engine::new(config.engine_settings(), audit::Writer::none(), Clock::System);
    let own = host::own_addresses().unwrap_or_default();
    engine.set_slider(slider(config));
    engine.set_lists(Arc::new(membership(config, &own, &engine.accepted_prefixes())), 0);
    match refresh::saved_pause(&config.state_dir) {
        Ok(pause) => engine.set_pause(pause.map(Arc::new)),
        Err(error) => {
            let folder = config.state_dir.display();
            output::warn(format_args!(
                "it is not known whether there is a pause: {folder}: {error}"
            ));
        }
    }
    engine
}

/// What was set of the slider by hand, as the daemon keeps it.
pub(super) fn slider(config: &Config) -> Option<SetThresholds> {
    refresh::slider(&config.state_dir).unwrap_or_else(|error| {
        output::warn(format_args!("it is not known whether the slider was set by hand: {error}"));
        None
    })
}

/// Where a daemon with this configuration remembers addresses.
pub(super) fn memory(config: &Config) -> Memory {
    Memory { state_dir: config.state_dir.clone(), audit: Some(config.audit.file.clone()) }
}

/// What the lists on disk now say, with `own` addresses and `accepted` clients protected, as the daemon protects them.
pub(super) fn membership(config: &Config, own: &[IpAddr], accepted: &[Prefix]) -> Membership {
    let loaded = Lists::open(config).load_all_aloud();
    let own = own.iter().copied().map(Prefix::host);
    let protected = own.chain(host::dependencies()).chain(config.protected());
    let protected: Vec<_> = protected.chain(accepted.iter().copied()).collect();
    Membership::new(loaded, &protected)
}

/// The same engine, which asks zones and reverse names as well: not what a daemon remembers of senders.
pub(super) async fn asking_engine(config: &Config) -> Engine {
    let SaidOfZones { added, off, faults } = config.said_of_zones();
    for fault in faults {
        output::warn(format_args!("a zone that was added is not asked: {fault}"));
    }
    let resolver = match dns::resolver(&config.dns) {
        Ok(resolver) => resolver,
        Err(error) => {
            output::warn(error);
            return engine(config);
        }
    };
    let asker = Asker::new(resolver, config.dns.budget);
    let zones = Zones::new(asker.clone(), Alarms::default(), Clock::System, |_event| {});
    let all = config.zones.iter().cloned().chain(added);
    let asked = all.map(|zone| ConfiguredZone { enabled: !off.contains(&zone.name), zone });
    zones.set(asked.collect());
    tokio::spawn(zones.clone().run(std::future::pending()));
    zones.first_probes(config.dns.budget).await;
    let asks = Asks { zones: Some(zones), names: Some(asker), ..Asks::default() };
    engine(config).asking(asks)
}

/// The lists as they are on disk now.
pub(super) struct Lists<'a> {
    config: &'a Config,
    now: Timestamp,
    on_disk: OnDisk,
}

impl<'a> Lists<'a> {
    /// Opens what the daemon keeps of lists; where it cannot be read, standard error says what is missing.
    pub(super) fn open(config: &'a Config) -> Self {
        let now = Clock::System.now();
        let (on_disk, fault) = OnDisk::open(&config.state_dir, config.list_copies(), now);
        if let Some(fault) = fault {
            output::warn(format_args!(
                "entries made with `list add`, and lists switched off, are not known: {fault}"
            ));
        }
        Self { config, now, on_disk }
    }

    /// The entries of `list`, and how reading its sources went.
    pub(super) fn load(&self, list: &Arc<List>) -> (Loaded, ListStatus) {
        self.on_disk.load(list, self.now)
    }

    /// The entries of `list`; what is wrong with its sources goes to standard error.
    pub(super) fn load_aloud(&self, list: &Arc<List>) -> Loaded {
        let (loaded, status) = self.load(list);
        if let Some(notice) = notice(&status) {
            output::warn(notice);
        }
        loaded
    }

    /// What was taken out of `list` by hand, in the form of a list.
    pub(super) fn exceptions(&self, list: &Arc<List>) -> Loaded {
        self.on_disk.exceptions(list)
    }

    /// The entries of all lists, the same way.
    pub(super) fn load_all_aloud(&self) -> Vec<Loaded> {
        self.config.lists.iter().map(|list| self.load_aloud(list)).collect()
    }
}

/// What is wrong with the sources of a list, if anything is.
pub(super) fn notice(status: &ListStatus) -> Option<String> {
    let ListStatus { name, rejected, fault, .. } = status;
    let fault = fault.as_ref().map(|fault| format!("list {name}: {fault}"));
    fault.or_else(|| {
        (*rejected > 0).then(|| {
            format!("list {name}: rejected lines: {rejected}; see `portcullis list check {name}`")
        })
    })
}
