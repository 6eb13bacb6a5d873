//! The kernel filter as a whole: opened, kept in step with the rules, attached, asked, and removed.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use aya_log::LEVEL;
use gateway_ebpf::abi::{
    Family, KernelAction, MAX_GOOD, MAX_PORTS, MapShape, PORTS, PROGRAM, RuleValue, map,
};
use gateway_ebpf::event::{EVENT_MOST, EVENT_SHIFT, Sampling};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::attach::{self, Attachment};
use super::base::{Base, Update};
use super::counters::Counters;
use super::log::{self, Printer};
use super::pins::Pins;
use super::plan::{Entries, Plan};
use super::refusals::Refusals;
use super::slots::Slots;
use super::tables::Tables;
use super::{Config, XdpError};
use crate::list::{Rule, Rules};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/portcullis-xdp"));

/// The kernel filter. When it is dropped, the filter goes on in the kernel; only [`Filter::detach`] ends it.
#[derive(Debug)]
pub struct Filter {
    config: Config,
    pins: Pins,
    ebpf: Ebpf,
    tables: Tables,
    slots: Slots,
    refusals: Refusals,
    attachments: Vec<Attachment>,
    /// What the maps hold; `None` when that must be read from them first.
    held: Option<Held>,
    log: Option<Printer>,
}

#[derive(Debug)]
struct Held {
    good: Entries,
    bad: Entries,
}

/// What a sync did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// Prefixes that were not there.
    pub added: usize,
    /// Prefixes that were there with another list or action.
    pub changed: usize,
    /// Prefixes that are there no longer.
    pub removed: usize,
    /// Prefixes that are there now.
    pub entries: usize,
}

impl fmt::Display for SyncReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, changed, removed, entries } = self;
        write!(f, "added={added} changed={changed} removed={removed} entries={entries}")
    }
}

/// The rule that the kernel has for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRule {
    /// The name of the list that decides.
    pub list: Arc<str>,
    /// What is done; `Off` when a good list decides.
    pub action: KernelAction,
}

impl Serialize for KernelRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rule = serializer.serialize_struct("KernelRule", 2)?;
        rule.serialize_field("list", &self.list)?;
        rule.serialize_field("action", self.action.name())?;
        rule.end()
    }
}

impl Filter {
    /// Loads the program, and makes its maps or adopts those of an earlier daemon. It runs nowhere yet.
    pub fn open(config: &Config) -> Result<Self, XdpError> {
        let pins = Pins::new(config);
        let adopted = pins.prepare()?;
        let made = if adopted { Ok(()) } else { Base::create(&pins) };
        let mut ebpf = match made.and_then(|()| load(config, |shape| pins.map(shape))) {
            Err(error) if !adopted => {
                pins.remove_maps()?;
                return Err(error);
            }
            loaded => loaded?,
        };
        let tables = Tables::open(&pins)?;
        let slots = tables.slots()?;
        let refusals = Refusals::open(&pins, config)?;
        let nothing = Held { good: Entries::new(), bad: Entries::new() };
        Ok(Self {
            config: config.clone(),
            pins,
            tables,
            slots,
            refusals,
            attachments: Vec::new(),
            held: (!adopted).then_some(nothing),
            log: Printer::start(&mut ebpf),
            ebpf,
        })
    }

    /// Makes the kernel hold exactly `rules`, and filter for exactly the addresses `own`.
    ///
    /// Bad rules change in one step per family, as tables made anew; of the good ones only the differences are written.
    /// When it fails half-way, the kernel holds something between the old and the new rules, and the next sync reads
    /// back what.
    pub fn sync(&mut self, rules: &Rules, own: &[IpAddr]) -> Result<SyncReport, XdpError> {
        let mut slots = self.slots.clone();
        let assignment = slots.assign(&rules.lists)?;
        let wanted = Held {
            good: entries(&rules.good, &assignment.slots)?,
            bad: entries(&rules.bad, &assignment.slots)?,
        };
        refuse_too_many_good(&wanted.good)?;
        // All that can fail for want of memory comes before anything changes.
        let update = self.tables.bad.prepare(&wanted.bad)?;
        let (good, bad_counts) = self.compare(&wanted, &update)?;
        for slot in &assignment.named {
            if let Some(name) = slots.name(*slot) {
                self.tables.name_slot(*slot, name)?;
            }
        }
        self.slots = slots;
        let refuses = rules.bad.iter().any(|rule| rule.action == KernelAction::Refuse);
        if refuses {
            self.refusals.set_in_use(true)?;
        }
        // In this order nobody who is good before and after is hit, and nobody who is bad before and after slips through.
        self.tables.good.write(&good)?;
        self.switch(update)?;
        self.tables.good.remove(&good)?;
        self.tables.set_own(own)?;
        if !refuses {
            self.refusals.set_in_use(false)?;
        }
        // Only now does no rule of the former list count here any more.
        for slot in &assignment.reused {
            self.tables.zero_slot(*slot)?;
        }
        let report = SyncReport {
            added: good.added() + bad_counts.added,
            changed: good.changed + bad_counts.changed,
            removed: good.remove.len() + bad_counts.removed,
            entries: wanted.good.len() + wanted.bad.len(),
        };
        self.held = Some(wanted);
        Ok(report)
    }

    /// The changes of the good rules, and how many of the bad ones change.
    fn compare(&mut self, wanted: &Held, update: &Update) -> Result<(Plan, SyncReport), XdpError> {
        if let Some(held) = self.held.take() {
            let bad = Plan::new(&held.bad, &wanted.bad);
            let counts = SyncReport {
                added: bad.added(),
                changed: bad.changed,
                removed: bad.remove.len(),
                entries: wanted.bad.len(),
            };
            return Ok((Plan::new(&held.good, &wanted.good), counts));
        }
        let good = Plan::new(&self.tables.good.entries()?, &wanted.good);
        // A table does not say which prefixes it was made from, only whether it was made from these.
        let counts = if update.is_empty() {
            SyncReport::default()
        } else {
            let removed = self.tables.bad.prefixes();
            SyncReport { added: wanted.bad.len(), removed, ..SyncReport::default() }
        };
        Ok((good, counts))
    }

    /// Switches to new tables; when one has outgrown its size, with a program that knows the new one.
    fn switch(&mut self, update: Update) -> Result<(), XdpError> {
        self.tables.bad.write_leftovers(&update)?;
        if !update.needs_program() {
            return self.tables.bad.switch(update);
        }
        update.pin(&self.pins)?;
        let loaded = load(&self.config, |shape| update.path(&self.pins, shape));
        if loaded.is_err() {
            update.drop_pins(&self.pins);
        }
        let mut ebpf = loaded?;
        update.keep_pins(&self.pins)?;
        self.tables.bad.switch(update)?;
        self.log = Printer::start(&mut ebpf);
        self.ebpf = ebpf;
        if !self.attachments.is_empty() {
            for attachment in self.attach()? {
                tracing::info!(
                    interface = attachment.interface,
                    mode = attachment.mode.name(),
                    "a table has outgrown its size: the program was replaced"
                );
            }
        }
        Ok(())
    }

    /// Puts the program on all configured interfaces, and takes it from all others. To be called after the first sync.
    ///
    /// Where no interface is configured and there is no default route, nothing changes, and the answer is empty.
    pub fn attach(&mut self) -> Result<Vec<Attachment>, XdpError> {
        let program = self.ebpf.program_mut(PROGRAM).ok_or_else(no_program)?;
        let program = program.try_into().map_err(refused)?;
        self.attachments = attach::attach(program, &self.config, &self.pins);
        Ok(self.attachments.clone())
    }

    /// Attaches again where an interface came, went and came back, or the default route moved; `None` when all is as it
    /// was.
    pub fn attach_again(&mut self) -> Result<Option<Vec<Attachment>>, XdpError> {
        let program = self.program()?.info().map_err(refused)?.id();
        if attach::is_intact(program, &self.config, &self.attachments) {
            return Ok(None);
        }
        self.attach().map(Some)
    }

    /// Gives refusals a new key; those begun with the key before still end as they should.
    pub fn renew_keys(&mut self) -> Result<(), XdpError> {
        self.refusals.renew()
    }

    /// The name of the list in a slot.
    pub fn list_name(&self, slot: u16) -> Option<&Arc<str>> {
        self.slots.name(slot)
    }

    /// What the kernel counted.
    pub fn counters(&self) -> Result<Counters, XdpError> {
        self.tables.counters(&self.slots)
    }

    /// The rule that the kernel has for `address`, from the kernel's maps, found as the program finds it.
    pub fn lookup(&self, address: IpAddr) -> Result<Option<KernelRule>, XdpError> {
        lookup(&self.tables, &self.slots, address)
    }

    /// The loaded program, for tests that run it on packets of their own.
    pub fn program(&self) -> Result<&Xdp, XdpError> {
        let program = self.ebpf.program(PROGRAM).ok_or_else(no_program)?;
        program.try_into().map_err(refused)
    }

    /// Takes the program from all interfaces, and removes all that it left behind.
    pub fn detach(self) -> Result<(), XdpError> {
        remove_all(&self.pins)
    }
}

/// What [`Filter::detach`] does, for a process that has no filter open.
pub fn detach(config: &Config) -> Result<(), XdpError> {
    remove_all(&Pins::new(config))
}

/// Removes what every version pinned: to whoever wants no filter, the version does not matter.
fn remove_all(pins: &Pins) -> Result<(), XdpError> {
    pins.of_other_versions().iter().chain([pins]).try_for_each(Pins::remove_all)
}

/// Whether an earlier daemon left a filter behind that still may refuse connections.
pub fn is_pinned(config: &Config) -> bool {
    Pins::new(config).exist().unwrap_or(true)
}

/// What [`Filter::counters`] says, from the pinned maps, so that nobody waits for whoever has the filter open.
pub fn read_counters(config: &Config) -> Result<Counters, XdpError> {
    let pins = Pins::new(config);
    if !pins.exist()? {
        return Err(XdpError::NothingPinned { path: config.pin_dir.clone() });
    }
    let tables = Tables::open(&pins)?;
    tables.counters(&tables.slots()?)
}

/// What [`Filter::lookup`] says, for a process that has no filter open.
pub fn read_pinned(config: &Config, address: IpAddr) -> Result<Option<KernelRule>, XdpError> {
    let pins = Pins::new(config);
    if !pins.exist()? {
        return Err(XdpError::NothingPinned { path: config.pin_dir.clone() });
    }
    let tables = Tables::open(&pins)?;
    lookup(&tables, &tables.slots()?, address)
}

/// The name of the list in a slot of the pinned filter, for a process that has no filter open.
pub fn pinned_list(config: &Config, slot: u16) -> Result<Option<Arc<str>>, XdpError> {
    let pins = Pins::new(config);
    if !pins.exist()? {
        return Err(XdpError::NothingPinned { path: config.pin_dir.clone() });
    }
    Ok(Tables::open(&pins)?.slots()?.name(slot).map(Arc::clone))
}

fn lookup(tables: &Tables, slots: &Slots, address: IpAddr) -> Result<Option<KernelRule>, XdpError> {
    let rule = tables.decide(address)?;
    Ok(rule.and_then(|rule| {
        Some(KernelRule { list: Arc::clone(slots.name(rule.list())?), action: rule.action()? })
    }))
}

/// Loads the program with the maps pinned at `pin`.
fn load(config: &Config, pin: impl Fn(MapShape) -> PathBuf) -> Result<Ebpf, XdpError> {
    let mut ebpf = load_object(OBJECT, config, pin)?;
    let program = ebpf.program_mut(PROGRAM).ok_or_else(no_program)?;
    let program: &mut Xdp = program.try_into().map_err(refused)?;
    program.load().map_err(refused)?;
    Ok(ebpf)
}

/// Prepares an object with the maps pinned at `pin`; its programs are still to be loaded.
pub(super) fn load_object(
    object: &[u8],
    config: &Config,
    pin: impl Fn(MapShape) -> PathBuf,
) -> Result<Ebpf, XdpError> {
    let mut ports = [0_u16; MAX_PORTS];
    let wanted: Vec<u16> = config.ports.iter().copied().filter(|port| *port != 0).collect();
    let Some(places) = ports.get_mut(..wanted.len()) else {
        return Err(XdpError::DoesNotFit { what: "ports", found: wanted.len(), most: MAX_PORTS });
    };
    places.copy_from_slice(&wanted);
    let level = log::level();
    let mut loader = EbpfLoader::new();
    let sampling = Sampling::per_second(config.events_per_second);
    loader
        .override_global(PORTS, &ports, true)
        .override_global(EVENT_MOST, &sampling.most, true)
        .override_global(EVENT_SHIFT, &sampling.shift, true)
        .override_global(LEVEL, &level, false);
    for shape in map::ALL {
        loader.map_pin_path(shape.name, pin(shape));
    }
    loader.load(object).map_err(|error| XdpError::program(&error))
}

fn refused(error: ProgramError) -> XdpError {
    XdpError::program(&error)
}

fn no_program() -> XdpError {
    XdpError::Program { reason: format!("the object holds no program named {PROGRAM}") }
}

fn refuse_too_many_good(good: &Entries) -> Result<(), XdpError> {
    let v4 = good.partition_point(|(prefix, _)| prefix.address().is_ipv4());
    let families = [("good IPv4 rules", v4), ("good IPv6 rules", good.len() - v4)];
    match families.into_iter().find(|(_, found)| *found > MAX_GOOD) {
        Some((what, found)) => Err(XdpError::DoesNotFit { what, found, most: MAX_GOOD }),
        None => Ok(()),
    }
}

/// Rules as the kernel holds them.
fn entries(rules: &[Rule], slots: &[u16]) -> Result<Entries, XdpError> {
    let mut entries = rules
        .iter()
        .map(|rule| {
            let slot = slots.get(usize::from(rule.list)).ok_or(XdpError::ListNumber {
                prefix: rule.prefix,
                list: rule.list,
                lists: slots.len(),
            })?;
            let family = if rule.prefix.address().is_ipv4() { Family::V4 } else { Family::V6 };
            Ok((rule.prefix, RuleValue::new(*slot, rule.action).of(family)))
        })
        .collect::<Result<Entries, XdpError>>()?;
    entries.sort_by_key(|(prefix, _)| *prefix);
    entries.dedup_by_key(|(prefix, _)| *prefix);
    Ok(entries)
}
