//! What the daemon is doing, as `status` shows it: put together from those who know.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{Live, Memory};
use crate::alarm::{Alarm, Alarms};
use crate::audit::WriterStatus;
use crate::clock::ClockWatch;
use crate::config::Config;
use crate::dns::{ZoneStatus, Zones};
use crate::engine::Engine;
use crate::feed::Fetching;
use crate::front::smtp::NextHopStatus;
use crate::front::{Counted, Fronts, Stop, milter, postfix_policy, smtp};
use crate::levels::{ComponentReport, Level, Levels};
use crate::pause::PauseReport;
use crate::policy::{Action, Verdict};
use crate::quarantine::{Quarantine, QuarantineStatus};
use crate::refresh;
use crate::rights;
use crate::sight::TopTalkers;
use crate::store::SenderCounts;
use crate::xdp::{self, Attachment, Counters};
use crate::zone::Zone;

/// Those who know.
#[derive(Debug)]
pub struct Sources {
    /// When the daemon was ready.
    pub started: Instant,
    /// Whether somebody set the clock since.
    pub clock: ClockWatch,
    /// What the log says.
    pub levels: Levels,
    /// Decisions and the audit trail.
    pub engine: Arc<Engine>,
    /// Lists and rules.
    pub rules: Arc<ArcSwap<refresh::Status>>,
    /// The kernel filter.
    pub xdp: xdp::Config,
    /// Where it is attached.
    pub attachments: Arc<ArcSwap<Vec<Attachment>>>,
    /// The fronts.
    pub fronts: Fronts,
    /// Who the kernel filter has most to do with.
    pub top: TopTalkers,
    /// The lists that are fetched.
    pub fetching: Arc<Fetching>,
    /// The zones, and how they are.
    pub zones: Zones,
    /// The messages that are held back.
    pub quarantine: Arc<Quarantine>,
    /// The configuration in force.
    pub config: ArcSwap<Config>,
    /// What this process may do.
    pub rights: rights::Report,
    /// What is wrong now.
    pub alarms: Alarms,
    /// What moved lately.
    pub live: Live,
    /// What is remembered of addresses.
    pub memory: Memory,
    /// Who changes lists, rules and the kernel filter.
    pub requests: Sender<refresh::Request>,
    /// Whether the fronts were told to stop.
    pub stop: Stop,
}

/// The state of the daemon.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// Of this program.
    pub(super) version: &'static str,
    /// The number of its process.
    pub(super) pid: u32,
    /// The name of this host.
    pub(super) hostname: String,
    /// Seconds since it was ready.
    pub(super) uptime_s: u64,
    /// How far the clock was set since the start, in milliseconds.
    pub(super) clock_jumped_ms: i64,
    /// False: nothing is done to mail, all is a dry run.
    pub(super) enforce: bool,
    /// `null` where nothing is paused.
    pub(super) paused: Option<PauseReport>,
    /// What the log says.
    pub(super) log: LogStatus,
    /// How many follow an address now.
    pub(super) taps: usize,
    /// The lists and the rules made from them.
    #[schema(value_type = Object)]
    pub(super) rules: Arc<refresh::Status>,
    /// The kernel filter.
    pub(super) xdp: XdpStatus,
    /// What the SMTP front counted; `null` where there is no listener.
    #[schema(value_type = Option<Object>)]
    pub(super) smtp: Option<Counted<smtp::Counters>>,
    /// The same of the milter.
    #[schema(value_type = Option<Object>)]
    pub(super) milter: Option<Counted<milter::Counters>>,
    /// The same of the policy service for Postfix.
    #[schema(value_type = Option<Object>)]
    pub(super) postfix_policy: Option<Counted<postfix_policy::Counters>>,
    /// Empty where there is no listener.
    #[schema(value_type = Vec<Object>)]
    pub(super) next_hops: Vec<NextHopStatus>,
    /// Decisions since the start, by verdict and action.
    pub(super) decisions: Vec<Decisions>,
    /// Each zone.
    pub(super) zones: Vec<ZoneStatus>,
    /// What the greylist remembers.
    #[schema(value_type = Object)]
    pub(super) senders: SenderCounts,
    /// How full it is.
    pub(super) quarantine: QuarantineStatus,
    /// How the audit trail is written.
    pub(super) audit: WriterStatus,
    /// What this process may do.
    #[schema(value_type = Object)]
    pub(super) rights: rights::Report,
    /// What is wrong now.
    pub(super) alarms: Vec<Alarm>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogStatus {
    /// What all components say that are not raised.
    #[schema(value_type = String)]
    pub(super) level: Level,
    /// The others.
    pub(super) raised: Vec<ComponentReport>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct XdpStatus {
    /// The weakest mode of all interfaces.
    pub(super) mode: &'static str,
    /// Why it is not native.
    pub(super) reason: Option<String>,
    /// Where it is attached.
    #[schema(value_type = Vec<Object>)]
    pub(super) interfaces: Vec<Attachment>,
    /// `null` where there is no filter.
    #[schema(value_type = Option<Object>)]
    pub(super) counters: Option<Counters>,
}

/// How many decisions had one verdict and one action.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decisions {
    /// The verdict for people.
    #[schema(value_type = String)]
    pub(super) verdict: Verdict,
    /// The verdict for machines.
    pub(super) code: &'static str,
    /// What was done.
    #[schema(value_type = String)]
    pub(super) action: Action,
    /// How many.
    pub(super) count: u64,
}

impl Sources {
    /// Asks all of them.
    pub fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            hostname: self.config.load().hostname.clone(),
            uptime_s: self.started.elapsed().as_secs(),
            clock_jumped_ms: self.clock.jumped_ms(),
            enforce: self.engine.enforces(),
            paused: self.paused(),
            log: self.log(),
            taps: self.engine.taps().count(),
            rules: self.rules.load_full(),
            xdp: self.xdp(),
            smtp: self.fronts.smtp.as_ref().map(|front| front.counters()),
            milter: self.fronts.milter.as_ref().map(|front| front.counters()),
            postfix_policy: self.fronts.postfix_policy.as_ref().map(|front| front.counters()),
            next_hops: self.fronts.smtp.iter().flat_map(|front| front.next_hops()).collect(),
            decisions: self.decisions(),
            zones: self.zones.status(),
            senders: self.senders(),
            quarantine: self.quarantine.status(),
            audit: self.engine.audit().status(),
            rights: self.rights.clone(),
            alarms: self.alarms.list(),
        }
    }

    /// A zone from one table of a configuration.
    pub(super) fn zone_of(&self, spec: &str) -> Result<Zone, String> {
        self.config.load().zone_of(spec)
    }

    fn log(&self) -> LogStatus {
        let report = self.levels.report();
        let raised = report.components.into_iter().filter(|component| component.raised.is_some());
        LogStatus { level: report.level, raised: raised.collect() }
    }

    fn senders(&self) -> SenderCounts {
        self.engine.asks().senders.as_ref().map(|store| store.counts()).unwrap_or_default()
    }

    /// Until when everything passes.
    pub(super) fn paused(&self) -> Option<PauseReport> {
        self.engine.pause().as_deref().map(PauseReport::from)
    }

    fn xdp(&self) -> XdpStatus {
        let interfaces = self.attachments.load().to_vec();
        let weakest = interfaces.iter().max_by_key(|attachment| attachment.mode);
        XdpStatus {
            mode: weakest.map_or("off", |attachment| attachment.mode.name()),
            reason: weakest.and_then(|attachment| attachment.reason.clone()),
            counters: xdp::read_counters(&self.xdp).ok(),
            interfaces,
        }
    }

    fn decisions(&self) -> Vec<Decisions> {
        let counters = self.engine.decisions();
        let slots = Verdict::ALL
            .into_iter()
            .flat_map(|verdict| Action::ALL.map(|action| (verdict, action)));
        let counted = slots.map(|(verdict, action)| Decisions {
            verdict,
            code: verdict.code(),
            action,
            count: counters.get(verdict, action),
        });
        counted.filter(|decisions| decisions.count > 0).collect()
    }
}
