//! The kernel filter as a whole: opened, kept in step with the rules, attached, asked, and removed.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use aya::Ebpf;
use aya::programs::Xdp;
use gateway_ebpf::abi::{KernelAction, PROGRAM};
use gateway_ebpf::dated::DatedRule;
use rustix::thread::{CapabilitySet, capabilities};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::attach::{self, Attachment};
use super::base::{Base, Update};
use super::boot::Boot;
use super::changes::{self, Until};
use super::control::ControlMap;
use super::counters::Counters;
use super::counting::Counting;
use super::limits::KernelLimits;
use super::log::Printer;
use super::pins::Pins;
use super::plan::{Difference, Entries, Plan, differences};
use super::program::{load, no_program, refused};
use super::refusals::Refusals;
use super::slots::Slots;
use super::tables::Tables;
use super::wanted::Wanted;
use super::{Config, Limits, XdpError};
use crate::clock::uptime;
use crate::list::Rules;
use crate::net::{Prefix, fold};

/// The kernel filter. When it is dropped, the filter goes on in the kernel; only [`Filter::detach`] ends it.
#[derive(Debug)]
pub struct Filter {
    config: Config,
    pins: Pins,
    /// The loaded program; `None` in a process without the rights to load one, which keeps the maps of one that runs.
    ebpf: Option<Ebpf>,
    tables: Tables,
    slots: Slots,
    control: ControlMap,
    refusals: Refusals,
    limits: KernelLimits,
    attachments: Vec<Attachment>,
    /// What the maps hold; `None` when that must be read from them first.
    held: Option<Held>,
    boot: Boot,
    /// Whether any of the rules of the last sync expires.
    dated: bool,
    /// When the next of those does that the kernel holds.
    next_expiry: Option<u32>,
    log: Option<Printer>,
}

/// What the maps hold.
#[derive(Debug, Default)]
struct Held {
    good: Entries<DatedRule>,
    /// The good ones that overlap bad ones.
    overlapping: Entries<DatedRule>,
    /// The bad ones that do not expire.
    lasting: Arc<Entries>,
    /// The bad ones that do.
    expiring: Entries<Until>,
    /// What the tables were made from.
    base: Arc<Entries>,
    delta: Entries<DatedRule>,
}

/// When the delta is folded into the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folding {
    WhenMany,
    Always,
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

impl SyncReport {
    fn count<Value: Copy + PartialEq>(&mut self, old: &Entries<Value>, new: &Entries<Value>) {
        for difference in differences(old, new) {
            *match difference {
                Difference::Added(..) => &mut self.added,
                Difference::Changed(..) => &mut self.changed,
                Difference::Removed(_) => &mut self.removed,
            } += 1;
        }
    }

    fn add<Value: Copy + PartialEq>(&mut self, plan: &Plan<Value>) {
        self.added += plan.added();
        self.changed += plan.changed;
        self.removed += plan.remove.len();
    }
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
    ///
    /// A process that may not do so opens the maps of the program that `portcullis xdp attach` has put on the interfaces, and
    /// keeps them in step: only what needs a map of another size is not for it. Linux 5.19 lets it, also where BPF is switched
    /// off for those without rights.
    pub fn open(config: &Config) -> Result<Self, XdpError> {
        let pins = Pins::new(config);
        if !may_make_maps() {
            return Self::open_attached(config, pins);
        }
        let adopted = pins.prepare()?;
        let made = if adopted { Ok(()) } else { Base::create(&pins) };
        let mut ebpf = match made.and_then(|()| load(config, |shape| pins.map(shape))) {
            Err(error) if !adopted => {
                pins.remove_maps()?;
                return Err(error);
            }
            loaded => loaded?,
        };
        let log = Printer::start(&mut ebpf);
        let filter = Self::with_maps(config, pins, Some(ebpf), adopted)?;
        filter.tables.bad.keep_pinned(&filter.pins)?;
        Ok(Self { log, ..filter })
    }

    fn open_attached(config: &Config, pins: Pins) -> Result<Self, XdpError> {
        if let Some(reason) = pins.unusable()? {
            return Err(XdpError::NotAttached { path: pins.folder().to_owned(), reason });
        }
        let mut filter = Self::with_maps(config, pins, None, true)?;
        filter.tables.bad.use_spares();
        Ok(filter)
    }

    fn with_maps(
        config: &Config,
        pins: Pins,
        ebpf: Option<Ebpf>,
        adopted: bool,
    ) -> Result<Self, XdpError> {
        let tables = Tables::open(&pins)?;
        let slots = tables.counting.slots()?;
        let control = ControlMap::open(&pins)?;
        let refusals = Refusals::open(&pins, config)?;
        let limits = KernelLimits::open(&pins, &config.limits)?;
        Ok(Self {
            config: config.clone(),
            pins,
            ebpf,
            tables,
            slots,
            control,
            refusals,
            limits,
            attachments: Vec::new(),
            held: (!adopted).then(Held::default),
            boot: Boot::now(),
            dated: false,
            next_expiry: None,
            log: None,
        })
    }

    /// Leaves spare tables for a process without rights, which then can replace those in force.
    pub fn make_spares(&self) -> Result<(), XdpError> {
        self.tables.bad.make_spares(&self.pins)
    }

    /// Makes the kernel hold exactly `rules`, and filter for exactly the addresses `own`.
    ///
    /// A few bad rules among many change as entries of the delta, and otherwise in one step per family, as tables made anew;
    /// of the good ones only the differences are written. When it fails half-way, the kernel holds something between the old
    /// and the new rules, and the next sync reads back what.
    pub fn sync(&mut self, rules: &Rules, own: &[IpAddr]) -> Result<SyncReport, XdpError> {
        self.boot.adjust();
        let all = rules.bad.iter().chain(&rules.good);
        let expiries: Vec<_> = all.filter_map(|rule| rule.expires).collect();
        let (boot, now) = (self.boot, uptime());
        let live = expiries.iter().map(|expiry| boot.second(*expiry)).filter(|at| *at > now);
        (self.dated, self.next_expiry) = (!expiries.is_empty(), live.min());
        let own: Vec<IpAddr> = own.iter().copied().map(fold).collect();
        let mut slots = self.slots.clone();
        let assignment = slots.assign(&rules.lists)?;
        let wanted = Wanted::new(rules, &assignment.slots, self.boot)?;
        let refuses = rules.bad.iter().any(|rule| rule.action == KernelAction::Refuse);
        // First, for new addresses are better filtered by the old rules than by none; and should it fail, the rules go on.
        let own_set = self.tables.set_own(&own).and_then(|()| self.control.set_own(&own));
        self.put(wanted, Folding::WhenMany, |filter| {
            for slot in &assignment.named {
                if let Some(name) = slots.name(*slot) {
                    filter.tables.counting.name_slot(*slot, name)?;
                }
            }
            filter.slots = slots;
            if refuses { filter.control.change(|control| control.refuses = 1) } else { Ok(()) }
        })
        .and_then(|report| {
            own_set?;
            if !refuses {
                self.control.change(|control| control.refuses = 0)?;
            }
            // Only now does no rule of the former list count here any more.
            for slot in &assignment.reused {
                self.tables.counting.zero_slot(*slot)?;
            }
            Ok(report)
        })
    }

    /// Makes the tables anew from all that does not expire, so that the delta is empty but for what does; nothing else
    /// changes. False when that is so already.
    pub fn fold(&mut self) -> Result<bool, XdpError> {
        let Some(held) = self.held.take() else { return Ok(false) };
        if Arc::ptr_eq(&held.base, &held.lasting) {
            self.held = Some(held);
            return Ok(false);
        }
        let Held { good, lasting, expiring, .. } = &held;
        let wanted =
            Wanted { good: good.clone(), lasting: Arc::clone(lasting), expiring: expiring.clone() };
        self.held = Some(held);
        self.put(wanted, Folding::Always, |_| Ok(())).map(|_report| true)
    }

    /// Whether the same rules are to be synced again: something has expired, which the program then looks past but which is
    /// still there, or the wall clock was set, so that something expires at another time than it should.
    pub fn is_stale(&self) -> bool {
        self.next_expiry.is_some_and(|at| at <= uptime())
            || self.dated && self.boot.is_off(Boot::now())
    }

    /// How many prefixes the delta holds.
    pub fn delta(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.delta.len())
    }

    /// Makes the maps hold what is wanted; `begin` is called when nothing can fail any more for want of memory.
    fn put(
        &mut self,
        wanted: Wanted,
        folding: Folding,
        begin: impl FnOnce(&mut Self) -> Result<(), XdpError>,
    ) -> Result<SyncReport, XdpError> {
        let Wanted { good, lasting, expiring } = wanted;
        let small = self.held.as_ref().filter(|_held| folding == Folding::WhenMany);
        let small = small.and_then(|held| {
            let touched = touched(&held.base, &lasting)?;
            Some((changes::delta(&touched, &lasting, &expiring)?, Arc::clone(&held.base)))
        });
        let (delta, base, update) = if let Some((delta, base)) = small {
            (delta, base, Update::default())
        } else {
            let update = self.tables.bad.prepare(&lasting, &self.pins)?;
            let delta = changes::delta(&[], &lasting, &expiring).unwrap_or_default();
            (delta, Arc::clone(&lasting), update)
        };
        let overlapping = changes::overlapping(&good, &lasting, &expiring);
        let (all_plan, good_plan, delta_plan) = match &self.held {
            Some(held) => (
                Plan::new(&held.good, &good),
                Plan::new(&held.overlapping, &overlapping),
                Plan::new(&held.delta, &delta),
            ),
            None => (
                Plan::new(&self.tables.all_good.entries()?, &good),
                Plan::new(&self.tables.good.entries()?, &overlapping),
                Plan::new(&self.tables.delta.entries()?, &delta),
            ),
        };
        let mut report = self.bad_changes(&lasting, &expiring, &update);
        report.add(&all_plan);
        report.entries = good.len() + lasting.len() + expiring.len();
        // What failed until here has changed nothing, so it was still known what the maps hold.
        let is_known = self.held.take().is_some();
        begin(self)?;
        // In this order nobody who is good before and after is hit, and nobody who is bad before and after slips through.
        self.control.change(|control| {
            control.changes |= u32::from(!delta.is_empty());
            control.goods |= u32::from(!overlapping.is_empty());
        })?;
        self.tables.all_good.write(&all_plan)?;
        self.tables.good.write(&good_plan)?;
        self.tables.delta.write(&delta_plan, &delta)?;
        self.switch(update)?;
        if !is_known && let Some(ebpf) = &mut self.ebpf {
            // An earlier daemon's program may ask tables that were outgrown since: nothing that it needs besides goes first.
            let program = ebpf.program_mut(PROGRAM).ok_or_else(no_program)?;
            attach::take_over_pinned(program.try_into().map_err(refused)?, &self.pins)?;
        }
        self.tables.delta.remove(&delta_plan, &delta)?;
        self.tables.good.remove(&good_plan)?;
        self.tables.all_good.remove(&all_plan)?;
        self.control.change(|control| {
            control.changes = u32::from(!delta.is_empty());
            control.goods = u32::from(!overlapping.is_empty());
        })?;
        self.held = Some(Held { good, overlapping, lasting, expiring, base, delta });
        Ok(report)
    }

    /// How the bad rules change, wherever the kernel holds them.
    fn bad_changes(
        &self,
        lasting: &Entries,
        expiring: &Entries<Until>,
        update: &Update,
    ) -> SyncReport {
        let mut report = SyncReport::default();
        match &self.held {
            Some(held) => {
                report.count(&held.lasting, lasting);
                report.count(&held.expiring, expiring);
            }
            // A table does not say which prefixes it was made from, only whether it was made from these.
            None if update.is_empty() => {}
            None => {
                report.added = lasting.len() + expiring.len();
                report.removed = self.tables.bad.prefixes();
            }
        }
        report
    }

    /// Switches to new tables; when one has outgrown its size, with a program that knows the new one.
    fn switch(&mut self, update: Update) -> Result<(), XdpError> {
        self.tables.bad.write_leftovers(&update)?;
        self.tables.bad.pin_tables(&update, &self.pins)?;
        if !update.needs_program() {
            return self.tables.bad.switch(update, &self.pins);
        }
        update.pin(&self.pins)?;
        let loaded = load(&self.config, |shape| update.path(&self.pins, shape));
        if loaded.is_err() {
            update.drop_pins(&self.pins);
        }
        let mut ebpf = loaded?;
        update.keep_pins(&self.pins)?;
        self.log = Printer::start(&mut ebpf);
        // Before anything can fail: whoever looks then sees that another program runs than this one, and attaches it.
        self.ebpf = Some(ebpf);
        self.tables.bad.switch(update, &self.pins)?;
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
        let mute = attach::without_replies(&self.config);
        self.tables.set_mute(&mute)?;
        self.control.change(|control| control.mutes = u32::from(!mute.is_empty()))?;
        self.attachments = match &mut self.ebpf {
            Some(ebpf) => {
                let program = ebpf.program_mut(PROGRAM).ok_or_else(no_program)?;
                let program = program.try_into().map_err(refused)?;
                attach::attach(program, &self.config, &self.pins)
            }
            None => attach::found(&self.config, &self.pins),
        };
        Ok(self.attachments.clone())
    }

    /// Attaches again where an interface came, went and came back, or the default route moved; `None` when all is as it
    /// was.
    pub fn attach_again(&mut self) -> Result<Option<Vec<Attachment>>, XdpError> {
        let is_intact = if self.ebpf.is_some() {
            let program = self.program()?.info().map_err(refused)?.id();
            attach::is_intact(program, &self.config, &self.attachments)
        } else {
            attach::found(&self.config, &self.pins) == self.attachments
        };
        if is_intact {
            return Ok(None);
        }
        self.attach().map(Some)
    }

    /// Gives refusals a new key; those begun with the key before still end as they should.
    pub fn renew_keys(&mut self) -> Result<(), XdpError> {
        self.refusals.renew()
    }

    /// Lets everything pass, counted, until the host has run for `uptime` seconds; 0 ends that at once.
    pub fn pause_until(&mut self, uptime: u32) -> Result<(), XdpError> {
        self.control.change(|control| control.paused_until = uptime)
    }

    /// Puts other limits of networks in force.
    pub fn set_limits(&mut self, limits: &Limits) -> Result<(), XdpError> {
        self.limits.set(limits)
    }

    /// Exempts the networks of `clients` from the flood limiter for a while: they have completed a handshake just now.
    pub fn make_known(&mut self, clients: &[IpAddr]) -> Result<(), XdpError> {
        self.limits.make_known(clients)
    }

    /// The name of the list in a slot.
    pub fn list_name(&self, slot: u16) -> Option<&Arc<str>> {
        self.slots.name(slot)
    }

    /// What the kernel counted.
    pub fn counters(&self) -> Result<Counters, XdpError> {
        self.tables.counting.counters(&self.slots)
    }

    /// The rule that the kernel has for `address`, from the kernel's maps, found as the program finds it.
    pub fn lookup(&self, address: IpAddr) -> Result<Option<KernelRule>, XdpError> {
        lookup(&self.tables, &self.slots, address)
    }

    /// The loaded program, for tests that run it on packets of their own.
    pub fn program(&self) -> Result<&Xdp, XdpError> {
        let program = self.ebpf.as_ref().and_then(|ebpf| ebpf.program(PROGRAM));
        program.ok_or_else(no_program)?.try_into().map_err(refused)
    }

    /// Takes the program from all interfaces, and removes all that it left behind.
    pub fn detach(self) -> Result<(), XdpError> {
        remove_all(&self.pins)
    }
}

/// Whether this process may make maps and load programs (Linux 5.8; `CAP_SYS_ADMIN` has always been enough).
fn may_make_maps() -> bool {
    let enough = CapabilitySet::BPF | CapabilitySet::SYS_ADMIN;
    capabilities(None).is_ok_and(|held| held.effective.intersects(enough))
}

/// What [`Filter::detach`] does, for a process that has no filter open.
pub fn detach(config: &Config) -> Result<(), XdpError> {
    remove_all(&Pins::new(config))
}

/// Removes what every version pinned: to whoever wants no filter, the version does not matter.
fn remove_all(pins: &Pins) -> Result<(), XdpError> {
    pins.of_other_versions().iter().chain([pins]).try_for_each(Pins::remove_all)
}

/// Whether an earlier daemon, of whichever version, left a filter behind that still may refuse connections.
pub fn is_pinned(config: &Config) -> bool {
    let pins = Pins::new(config);
    pins.exist().unwrap_or(true) || !pins.of_other_versions().is_empty()
}

/// What [`Filter::counters`] says, from the pinned maps, so that nobody waits for whoever has the filter open.
pub fn read_counters(config: &Config) -> Result<Counters, XdpError> {
    let counting = Counting::of_pinned(config)?;
    counting.counters(&counting.slots()?)
}

/// What [`Filter::lookup`] says, for a process that has no filter open.
pub fn read_pinned(config: &Config, address: IpAddr) -> Result<Option<KernelRule>, XdpError> {
    let pins = Pins::new(config);
    if !pins.exist()? {
        return Err(XdpError::NothingPinned { path: config.pin_dir.clone() });
    }
    let tables = Tables::open(&pins)?;
    lookup(&tables, &tables.counting.slots()?, address)
}

/// The name of the list in a slot of the pinned filter, for a process that has no filter open.
pub fn pinned_list(config: &Config, slot: u16) -> Result<Option<Arc<str>>, XdpError> {
    Ok(Counting::of_pinned(config)?.slots()?.name(slot).map(Arc::clone))
}

fn lookup(tables: &Tables, slots: &Slots, address: IpAddr) -> Result<Option<KernelRule>, XdpError> {
    let rule = tables.decide(address)?;
    Ok(rule.and_then(|rule| {
        Some(KernelRule { list: Arc::clone(slots.name(rule.list())?), action: rule.action()? })
    }))
}

/// The prefixes that a table has otherwise; `None` when they are so many that a table is made anew in no time.
fn touched(table: &Arc<Entries>, wanted: &Arc<Entries>) -> Option<Vec<Prefix>> {
    /// One prefix in so many.
    const FEW: usize = 64;
    if Arc::ptr_eq(table, wanted) {
        return Some(Vec::new());
    }
    let few = table.len() / FEW;
    let touched = differences(table, wanted).map(|difference| difference.prefix());
    let touched: Vec<_> = touched.take(few + 1).collect();
    (touched.len() <= few).then_some(touched)
}
