//! From list files to rules to the kernel: the only writer of rules.

mod by_hand;
mod change;
mod changing;
mod kept;
mod kernel;
mod known;
mod list_state;
mod on_disk;
mod pausing;
mod promotion;
mod reviewing;
mod sliding;
mod standing;
mod watched;
mod zones;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::{info, warn};

pub use self::change::{ChangeError, Changed, ListChange, What};
use self::kept::Kept;
use self::kernel::Kernel;
pub use self::known::Known;
use self::known::Waiting;
use self::list_state::{ListState, Noted, about};
pub use self::list_state::{ListStatus, SourceStatus};
pub use self::on_disk::{OnDisk, history, list_history, review, reviews, reviews_of};
use self::pausing::Pausing;
pub use self::pausing::saved_pause;
pub use self::reviewing::{Resolve, ReviewChange, ReviewChanged, ReviewError};
pub use self::sliding::{SliderChange, slider};
pub use self::standing::{HeldBackCopies, Preview, Standing};
use self::zones::ZoneSet;
pub use self::zones::{ZoneChange, ZoneChanged, ZoneWhat};
use crate::alarm::Alarms;
use crate::clock::{Clock, Expiry};
use crate::engine::Engine;
use crate::feed::{Delivery, Fetching};
use crate::host::{self, Watch};
use crate::list::{AUTO, Changes, List, Membership, Rules, Source};
use crate::net::Prefix;
use crate::pause::Pause;
use crate::policy::SetThresholds;
use crate::sender::Promotion;
use crate::store::{Kind, ManualEntry};
use crate::xdp::{self, Attachment, XdpError};
use crate::zone::Zone;

/// How often files are looked at. A change is read when it has stood still for one look, so within two of them.
const LOOK: Duration = Duration::from_millis(200);

/// Every so many looks the host's own addresses and interfaces are read again, even if the kernel has told of no change:
/// it tells of none of a route or a resolver, and what failed is tried again.
const LOOKS_PER_HOST_CHECK: u32 = 10;

/// Every so many looks the kernel gets a new key: five minutes.
const LOOKS_PER_KEY: u32 = 1500;

/// What rules are made of.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The lists, in configuration order.
    pub lists: Vec<Arc<List>>,
    /// Trusted relays, next hops: what the configuration says must never be blocked.
    pub protected: Vec<Prefix>,
    /// The folder for the last good copy of each list.
    pub copies: PathBuf,
    /// The zones of the configuration.
    pub zones: Vec<Arc<Zone>>,
    /// The zones that people added.
    pub added_zones: Vec<Arc<Zone>>,
}

/// What the thread of the refresher can be asked for.
#[derive(Debug)]
pub enum Request {
    /// Use other sources, read everything again, and say when all is in force.
    Reload(Sources, oneshot::Sender<()>),
    /// Put other limits of networks in force.
    Limit(xdp::Limits),
    /// Let everything pass for a while or, with `None`, no longer; say whether the kernel knows it.
    Pause(Option<Pause>, oneshot::Sender<Result<(), XdpError>>),
    /// Change a list, and say what came of it once it is in force.
    Change(ListChange, oneshot::Sender<Result<Changed, ChangeError>>),
    /// Say what the list of that name has now.
    Show(String, oneshot::Sender<Result<Standing, ChangeError>>),
    /// Change the zones, and say what came of it once it is in force.
    Zone(ZoneChange, oneshot::Sender<Result<ZoneChanged, ChangeError>>),
    /// Ask for a review or end one, and say what came of it once it is in force.
    Review(ReviewChange, oneshot::Sender<Result<ReviewChanged, ReviewError>>),
    /// Set the slider or reset it, and say what is set once it is in force.
    Slider(SliderChange, oneshot::Sender<Result<Option<SetThresholds>, ChangeError>>),
    /// Take in what was fetched.
    Deliver(Delivery),
    /// End the thread; what is in the kernel stays.
    Stop,
}

/// The lists and rules in force, for `status`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// The version of the rules; the time at which they were made, in milliseconds since 1970, or one more.
    pub version: u64,
    /// Entries of all lists together, also of those that are switched off.
    pub entries: usize,
    /// Bad prefixes in the rules.
    pub bad: usize,
    /// Good prefixes in the rules, protected hosts among them.
    pub good: usize,
    /// Hosts that no list can hit.
    pub protected: Vec<Prefix>,
    /// Each list.
    pub lists: Vec<ListStatus>,
}

/// Keeps rules, engine and kernel in step with the files and with the host.
#[derive(Debug)]
pub struct Refresher {
    sources: Sources,
    lists: Vec<ListState>,
    own: Vec<IpAddr>,
    dependencies: Vec<Prefix>,
    rules: Rules,
    engine: Arc<Engine>,
    kernel: Kernel,
    /// Tells of changes of interfaces and addresses; `None` where the kernel does not let us listen.
    watch: Option<Watch>,
    known: Known,
    waiting: Waiting,
    pausing: Pausing,
    kept: Kept,
    zones: ZoneSet,
    /// What waits to be put into the list `auto`.
    promoted: VecDeque<Promotion>,
    /// The prefixes of clients of our own, as the rules have them.
    accepted: Vec<Prefix>,
    /// Fetches what is fetched; `None` where that is for others to do.
    fetching: Option<Arc<Fetching>>,
    /// When something ends by itself, so that other entries may decide.
    next_expiry: Option<Expiry>,
    alarms: Alarms,
    clock: Clock,
    status: Arc<ArcSwap<Status>>,
}

impl Refresher {
    /// A refresher that has read nothing yet; the kernel filter is loaded, and runs nowhere.
    pub fn new(engine: Arc<Engine>, xdp: &xdp::Config, alarms: Alarms, clock: Clock) -> Self {
        let (known, waiting) = known::known();
        let pausing = Pausing::new(Arc::clone(&engine), alarms.clone());
        Self {
            sources: Sources::default(),
            lists: Vec::new(),
            own: Vec::new(),
            dependencies: Vec::new(),
            rules: Rules::default(),
            engine,
            kernel: Kernel::open(xdp, alarms.clone()),
            watch: watch(),
            known,
            waiting,
            pausing,
            kept: Kept::none(alarms.clone()),
            zones: ZoneSet::default(),
            promoted: VecDeque::new(),
            accepted: Vec::new(),
            fetching: None,
            next_expiry: None,
            alarms,
            clock,
            status: Arc::default(),
        }
    }

    /// Where the lists and rules in force can be read.
    pub fn status(&self) -> Arc<ArcSwap<Status>> {
        Arc::clone(&self.status)
    }

    /// Where it can be read on which interfaces the kernel filter runs.
    pub fn attachments(&self) -> Arc<ArcSwap<Vec<Attachment>>> {
        self.kernel.attachments()
    }

    /// Where fronts tell of clients that completed a handshake.
    pub fn known(&self) -> Known {
        self.known.clone()
    }

    /// Goes on with the pause of an earlier daemon that kept its state in `state_dir`, too, if that lasts.
    pub fn resume_pause(&mut self, state_dir: &Path) {
        self.pausing.resume(state_dir, &mut self.kernel);
    }

    /// Takes up what an earlier daemon kept in `state_dir` of lists and of the slider; to be called before the first [`Self::reload`].
    pub fn resume_lists(&mut self, state_dir: &Path) {
        self.kept = Kept::open(state_dir, self.alarms.clone(), self.clock.now());
        self.engine.set_slider(self.kept.slider().cloned());
    }

    /// Lets `fetching` fetch the lists that are fetched, from the next [`Self::reload`] on.
    pub fn fetch_by(&mut self, fetching: Arc<Fetching>) {
        self.fetching = Some(fetching);
    }

    /// Switches the kernel filter on; to be called after the first [`Self::reload`].
    pub fn attach(&mut self) {
        self.kernel.attach();
    }

    /// Reads everything from `sources` and puts it in force. Lists that stay keep their last good entries.
    pub fn reload(&mut self, sources: Sources) {
        let mut known = std::mem::take(&mut self.lists);
        for list in &sources.lists {
            let same = |state: &ListState| {
                let known = state.list();
                known.name == list.name
                    && known.source == list.source
                    && known.format == list.format
            };
            let mut state = match known.iter().position(same) {
                Some(index) => known.swap_remove(index),
                None => ListState::new(Arc::clone(list), self.clock.now()),
            };
            state.set_list(Arc::clone(list));
            self.lists.push(state);
        }
        for gone in known {
            self.alarms.clear(&about(gone.list()));
        }
        self.sources = sources;
        let now = self.clock.now();
        // What ended while no daemon ran goes first, so that lists are put together once.
        let ended = self.kept.forget_expired(now);
        for state in &mut self.lists {
            state.load(&self.sources.copies, &self.kept, &self.alarms, now);
        }
        self.note_ends(ended);
        self.tell_of_strays();
        self.look_at_host();
        self.accepted = self.engine.accepted_prefixes();
        self.publish();
        self.set_feeds();
        self.zones.configured.clone_from(&self.sources.zones);
        self.zones.added.clone_from(&self.sources.added_zones);
        self.set_zones();
    }

    /// What is kept of a list that the configuration does not have counts nowhere; after a change of names that may be a surprise.
    fn tell_of_strays(&self) {
        // What promotion left in its list ends by itself.
        let is_there = |name: &&str| {
            **name == *AUTO || self.lists.iter().any(|state| *state.list().name == **name)
        };
        let strays: Vec<_> = self.kept.lists().into_iter().filter(|name| !is_there(name)).collect();
        let text = format!(
            "entries made by hand, or a switch, are kept of lists that the configuration does not have: {}; they count again when such a list comes back",
            strays.join(", ")
        );
        self.alarms.set("kept-lists", (!strays.is_empty()).then_some(text.as_str()));
    }

    /// Says what is to be fetched from now on.
    fn set_feeds(&self) {
        let Some(fetching) = &self.fetching else { return };
        let feed = |state: &ListState| match &state.list().source {
            Source::Url(download) => {
                Some((Arc::clone(&state.list().name), Arc::clone(download), state.copy()?))
            }
            Source::File(_) | Source::Folder(_) | Source::Put => None,
        };
        fetching.set(self.lists.iter().filter_map(feed).collect());
    }

    /// Takes in what was fetched, unless the list is fetched otherwise by now.
    fn deliver(&mut self, delivery: Delivery) {
        let Delivery { list, download, result } = delivery;
        let same = |state: &&mut ListState| {
            let known = state.list();
            known.name == list && known.source == Source::Url(Arc::clone(&download))
        };
        let Some(state) = self.lists.iter_mut().find(same) else { return };
        if state.deliver(result, &self.kept, &self.alarms, self.clock.now()) {
            self.publish();
        } else {
            self.tell();
        }
    }

    /// Serves requests and watches files until it is told to stop.
    pub fn run(mut self, requests: &Receiver<Request>) {
        let mut looks = 0_u32;
        loop {
            match requests.recv_timeout(LOOK) {
                Ok(Request::Reload(sources, in_force)) => {
                    self.reload(sources);
                    // Nobody may have waited for it.
                    in_force.send(()).unwrap_or_default();
                }
                Ok(Request::Limit(limits)) => self.kernel.set_limits(&limits),
                Ok(Request::Pause(pause, done)) => {
                    let set = self.pausing.set(pause, &mut self.kernel);
                    // As above.
                    done.send(set).unwrap_or_default();
                }
                Ok(Request::Change(change, done)) => {
                    let changed = self.change(change);
                    // As above.
                    done.send(changed).unwrap_or_default();
                }
                Ok(Request::Show(list, done)) => {
                    // As above.
                    done.send(self.standing(&list)).unwrap_or_default();
                }
                Ok(Request::Zone(change, done)) => {
                    let changed = self.change_zone(change);
                    // As above.
                    done.send(changed).unwrap_or_default();
                }
                Ok(Request::Review(change, done)) => {
                    let changed = self.change_review(change);
                    // As above.
                    done.send(changed).unwrap_or_default();
                }
                Ok(Request::Slider(change, done)) => {
                    let changed = self.change_slider(change);
                    // As above.
                    done.send(changed).unwrap_or_default();
                }
                Ok(Request::Deliver(delivery)) => self.deliver(delivery),
                Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    looks = looks.wrapping_add(1);
                    self.kernel.make_known(&self.waiting.take());
                    self.pausing.look(&mut self.kernel);
                    let told = self.watch.as_ref().is_some_and(Watch::has_changed);
                    self.look(told || looks.is_multiple_of(LOOKS_PER_HOST_CHECK));
                    if looks.is_multiple_of(LOOKS_PER_KEY) {
                        self.kernel.renew_keys();
                    }
                }
            }
        }
    }

    /// Takes up what has changed since the last look.
    fn look(&mut self, at_host: bool) {
        let (mut read, mut changed) = (false, false);
        for state in &mut self.lists {
            let now = self.clock.now();
            let looked = state.look(&self.sources.copies, &self.kept, &self.alarms, now);
            read |= looked.read;
            changed |= looked.changed;
        }
        changed |= self.end_what_expires();
        changed |= self.promote();
        let accepted = self.engine.accepted_prefixes();
        changed |= accepted != self.accepted;
        self.accepted = accepted;
        if at_host {
            changed |= self.look_at_host();
            // First: the rules that are there already are better than none while new ones are made.
            self.kernel.look(&self.rules, &self.own);
        }
        if changed {
            self.publish();
        } else if read {
            self.tell();
        }
    }

    /// Reads the host's own needs again; says whether they are others than before.
    fn look_at_host(&mut self) -> bool {
        let dependencies = host::dependencies();
        let own = match host::own_addresses() {
            Ok(own) => {
                self.alarms.clear("host");
                own
            }
            Err(error) => {
                self.alarms.raise(
                    "host",
                    &format!(
                        "cannot read this host's own addresses: {error}; the earlier ones stay"
                    ),
                );
                self.own.clone()
            }
        };
        let changed = own != self.own || dependencies != self.dependencies;
        self.own = own;
        self.dependencies = dependencies;
        changed
    }

    /// Compiles what is known now and puts it in force, in the daemon first, then in the kernel.
    ///
    /// False when the kernel has not taken it; that is an alarm, and tried again.
    fn publish(&mut self) -> bool {
        let loaded = self.lists.iter().map(ListState::loaded).collect();
        let membership = Arc::new(Membership::new(loaded, &self.protected()));
        let version = version(self.rules.version, self.clock);
        // The earlier ones go first, as nobody asks for them meanwhile: a million take 28 MB.
        self.rules = Rules::default();
        self.rules = Rules::compile(&membership, version, self.clock.now());
        self.engine.set_lists(Arc::clone(&membership), version);
        info!(
            target: "rules",
            "version={version} entries={} bad={} good={}",
            membership.entry_count(),
            self.rules.bad.len(),
            self.rules.good.len()
        );
        let in_kernel = self.kernel.sync(&self.rules, &self.own);
        self.next_expiry =
            self.rules.first_expiry().into_iter().chain(self.kept.first_expiry()).min();
        self.tell();
        self.write_journal();
        in_kernel
    }

    /// Takes away what has ended by itself; says whether there was something.
    fn end_what_expires(&mut self) -> bool {
        let now = self.clock.now();
        if self.next_expiry.is_none_or(|expiry| expiry.is_after(now)) {
            return false;
        }
        let ended = self.kept.forget_expired(now);
        for state in &mut self.lists {
            state.settle(&self.kept);
        }
        self.note_ends(ended);
        true
    }

    /// Remembers for the journal what has ended by itself.
    fn note_ends(&mut self, ended: Vec<ManualEntry>) {
        for ManualEntry { list, prefix, kind, expires, .. } in ended {
            let state = self.lists.iter_mut().find(|state| state.list().name == list);
            let Some(state) = state else { continue };
            let (came, went) = match kind {
                Kind::Listed => (Vec::new(), vec![prefix]),
                Kind::Excepted => (vec![prefix], Vec::new()),
            };
            // What the list has otherwise, too, has neither come nor gone.
            if state.covers(prefix) == (kind == Kind::Listed) {
                continue;
            }
            let changes = Changes::new(came, went);
            let at = expires.map(Expiry::timestamp);
            state.note(Noted { by: "its end".to_owned(), at, changes });
        }
    }

    /// Writes into the journal what came to lists and went from them; after it is in force, since that must not wait.
    fn write_journal(&mut self) {
        let now = self.clock.now();
        for state in &mut self.lists {
            for Noted { by, at, changes } in state.take_noted() {
                let (name, entries) = (&state.list().name, state.entry_count());
                self.kept.journal(name, &by, entries, &changes, at.unwrap_or(now));
            }
        }
    }

    /// All that no list may hit.
    fn protected(&self) -> Vec<Prefix> {
        let own = self.own.iter().copied().map(Prefix::host);
        let mut protected: Vec<_> = own
            .chain(self.dependencies.iter().copied())
            .chain(self.sources.protected.iter().copied())
            .chain(self.accepted.iter().copied())
            .collect();
        protected.sort_unstable();
        protected.dedup();
        protected
    }

    fn tell(&self) {
        self.status.store(Arc::new(Status {
            version: self.rules.version,
            entries: self.lists.iter().map(ListState::entry_count).sum(),
            bad: self.rules.bad.len(),
            good: self.rules.good.len(),
            protected: self.protected(),
            lists: self.lists.iter().map(ListState::status).collect(),
        }));
    }
}

/// Without it changes are found all the same, only later.
fn watch() -> Option<Watch> {
    let failed = |error| {
        warn!(target: "host", "changes of interfaces are found within two seconds, not at once: {error}");
    };
    Watch::open().map_err(failed).ok()
}

/// The time as a version, and always more than the last one.
fn version(last: u64, clock: Clock) -> u64 {
    u64::try_from(clock.now().as_millisecond()).unwrap_or(0).max(last + 1)
}
