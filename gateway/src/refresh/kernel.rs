//! Keeps the kernel filter in step: rules, own addresses, interfaces; what fails is an alarm, and is tried again.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::info;

use crate::alarm::Alarms;
use crate::list::Rules;
use crate::xdp::{self, Attachment, Filter, Mode, XdpError};

/// The filter as a whole; the daemon decides everything while it is in trouble.
const FILTER: &str = "xdp";
/// Its rules.
const RULES: &str = "xdp-rules";
/// A minute of looks without a change.
const FOLD_AFTER: u32 = 30;

/// The keys of its refusals.
const KEYS: &str = "xdp-keys";
/// Its limits of networks.
const LIMITS: &str = "xdp-limits";
/// Whether everything passes.
const PAUSE: &str = "xdp-pause";
/// The networks that are exempt from them.
const KNOWN: &str = "xdp-known";

/// The kernel filter with what is known of it; the filter is `None` where there is none.
#[derive(Debug)]
pub(super) struct Kernel {
    filter: Option<Filter>,
    alarms: Alarms,
    /// Whether the kernel has other rules than it should.
    behind: bool,
    /// Whether the filter may run on interfaces yet: not before its first rules.
    running: bool,
    /// How many looks there were since the rules changed.
    quiet: u32,
    /// The second since the host started until which everything passes; 0 for none.
    paused_until: u32,
    attachments: Arc<ArcSwap<Vec<Attachment>>>,
}

impl Kernel {
    /// Loads the filter, or says why there is none. `off` ends a filter that an earlier daemon left behind.
    pub(super) fn open(config: &xdp::Config, alarms: Alarms) -> Self {
        let filter = match config.mode {
            Mode::Off => {
                end(config, &alarms);
                None
            }
            Mode::Auto | Mode::Native | Mode::Generic => {
                Filter::open(config).map_err(|error| tell_missing(config, &alarms, &error)).ok()
            }
        };
        Self {
            filter,
            alarms,
            behind: false,
            running: false,
            quiet: 0,
            paused_until: 0,
            attachments: Arc::default(),
        }
    }

    /// Where it can be read on which interfaces the filter runs.
    pub(super) fn attachments(&self) -> Arc<ArcSwap<Vec<Attachment>>> {
        Arc::clone(&self.attachments)
    }

    /// Makes the kernel hold `rules`, for the addresses `own`; false when it does not, which is an alarm.
    pub(super) fn sync(&mut self, rules: &Rules, own: &[IpAddr]) -> bool {
        // Where there is no filter there is none to be behind.
        let Some(filter) = &mut self.filter else { return true };
        self.quiet = 0;
        match filter.sync(rules, own) {
            Ok(report) => {
                self.behind = false;
                self.alarms.clear(RULES);
                info!(target: "rules", "kernel version={} {report}", rules.version);
            }
            Err(error) => {
                self.behind = true;
                let text = format!(
                    "the kernel has not all of the rules: {error}; the daemon decides by them, and tries again"
                );
                self.alarms.raise(RULES, &text);
            }
        }
        !self.behind
    }

    /// Switches the filter on, once it is filled.
    pub(super) fn attach(&mut self) {
        self.running = true;
        if let Some(filter) = &mut self.filter {
            let attached = filter.attach();
            self.note(attached);
        }
    }

    /// Gives refusals new keys. They go on with the former one when there is none, but not for ever.
    pub(super) fn renew_keys(&mut self) {
        let Some(filter) = &mut self.filter else { return };
        let failed = filter.renew_keys().err();
        let text = failed.map(|error| format!("the kernel keeps its earlier keys: {error}"));
        self.alarms.set(KEYS, text.as_deref());
    }

    /// Puts other limits of networks in force.
    pub(super) fn set_limits(&mut self, limits: &xdp::Limits) {
        let Some(filter) = &mut self.filter else { return };
        let failed = filter.set_limits(limits).err();
        let text = failed.map(|error| format!("the kernel keeps its earlier limits: {error}"));
        self.alarms.set(LIMITS, text.as_deref());
    }

    /// Lets everything pass until the host has run for `uptime` seconds; 0 ends that at once.
    pub(super) fn pause_until(&mut self, uptime: u32) -> Result<(), XdpError> {
        self.paused_until = uptime;
        let Some(filter) = &mut self.filter else { return Ok(()) };
        let done = filter.pause_until(uptime);
        let text = done.as_ref().err().map(|error| {
            format!(
                "the kernel does not know of a pause, or of its end: {error}; it is tried again"
            )
        });
        self.alarms.set(PAUSE, text.as_deref());
        done
    }

    /// Exempts the networks of `clients`, which have completed a handshake, from those limits for a while.
    pub(super) fn make_known(&mut self, clients: &[IpAddr]) {
        let Some(filter) = self.filter.as_mut().filter(|_filter| !clients.is_empty()) else {
            return;
        };
        let failed = filter.make_known(clients).err();
        let text = failed.map(|error| {
            format!("the kernel does not learn who has connected: {error}; a flood may hit them")
        });
        self.alarms.set(KNOWN, text.as_deref());
    }

    /// Makes good what went wrong, or changed, since the last look.
    pub(super) fn look(&mut self, rules: &Rules, own: &[IpAddr]) {
        // Costs a look at one value where the kernel has it right; what is wrong is an alarm.
        self.pause_until(self.paused_until).unwrap_or_default();
        if self.behind || self.filter.as_ref().is_some_and(Filter::is_stale) {
            self.sync(rules, own);
        }
        self.fold();
        let Some(filter) = self.filter.as_mut().filter(|_filter| self.running) else { return };
        match filter.attach_again() {
            Ok(None) => {}
            Ok(Some(attachments)) => self.note(Ok(attachments)),
            Err(error) => self.note(Err(error)),
        }
    }

    /// Once the rules have not changed for a while, puts what has changed since the tables were made into the tables.
    fn fold(&mut self) {
        self.quiet = self.quiet.saturating_add(1);
        if !self.quiet.is_multiple_of(FOLD_AFTER) {
            return;
        }
        let Some(filter) = &mut self.filter else { return };
        match filter.fold() {
            Ok(false) => {}
            Ok(true) => {
                info!(target: "rules", "kernel tables made anew, {} in the delta", filter.delta());
            }
            // The next look sees to it.
            Err(error) => {
                self.behind = true;
                let text = format!(
                    "the kernel's tables could not be made anew: {error}; what they hold stays in force"
                );
                self.alarms.raise(RULES, &text);
            }
        }
    }

    /// Tells what came of attaching.
    fn note(&self, attached: Result<Vec<Attachment>, XdpError>) {
        let attachments = match attached {
            Ok(attachments) if attachments.is_empty() => {
                let text = "no interface to filter on, since there is no default route; name interfaces in `[xdp] interfaces`";
                return self.alarms.raise(FILTER, text);
            }
            Ok(attachments) => attachments,
            Err(error) => {
                let text = format!(
                    "the kernel filter runs nowhere: {error}; the daemon decides everything"
                );
                return self.alarms.raise(FILTER, &text);
            }
        };
        self.alarms.clear(FILTER);
        for gone in self.attachments.load().iter() {
            if !attachments.iter().any(|attachment| attachment.interface == gone.interface) {
                self.alarms.clear(&about(gone));
            }
        }
        for attachment in &attachments {
            self.alarms.set(&about(attachment), attachment.reason.as_deref());
            if !self.attachments.load().contains(attachment) {
                let Attachment { interface, mode, adopted, .. } = attachment;
                info!(target: "xdp", "interface={interface} mode={} adopted={adopted}", mode.name());
            }
        }
        self.attachments.store(Arc::new(attachments));
    }
}

/// The subject of an interface's alarms.
fn about(attachment: &Attachment) -> String {
    format!("{FILTER}:{}", attachment.interface)
}

/// Without the filter the daemon decides everything, so mail goes on. One that an earlier daemon left is worse than none.
fn tell_missing(config: &xdp::Config, alarms: &Alarms, error: &XdpError) {
    let text = if xdp::is_pinned(config) {
        format!(
            "the kernel filter cannot be opened: {error}; an earlier one may still refuse by its old rules, `portcullis xdp detach` ends it"
        )
    } else {
        let missing = xdp::probe::missing(config);
        let missing = if missing.is_empty() {
            String::new()
        } else {
            format!("this host has not: {missing}, see `portcullis doctor`; ")
        };
        format!("there is no kernel filter: {error}; {missing}the daemon decides everything")
    };
    alarms.raise(FILTER, &text);
}

fn end(config: &xdp::Config, alarms: &Alarms) {
    if !xdp::is_pinned(config) {
        return;
    }
    match xdp::detach(config) {
        Ok(()) => {
            info!(target: "xdp", "the filter of an earlier daemon is ended, since the mode is off");
        }
        Err(error) => {
            let text =
                format!("a filter of an earlier daemon still refuses by its old rules: {error}");
            alarms.raise(FILTER, &text);
        }
    }
}
