//! `/api/v1/live`: what moves, every two seconds, as events of a stream; for graphs.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{iter, unfold};
use futures_util::{Stream, StreamExt as _};
use gateway_ebpf::abi::Outcome;
use serde::Serialize;
use tokio::sync::broadcast::{Receiver, Sender, channel, error::RecvError};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Sources;
use crate::clock::{Clock, Timestamp};
use crate::engine::Took;
use crate::policy::{Action, Verdict};
use crate::xdp::{self, Count};

/// Between two samples.
const EVERY: Duration = Duration::from_secs(2);
/// Samples that are kept: ten minutes.
const KEPT: usize = 300;
/// Samples that a slow viewer may lie behind.
const BEHIND: usize = 16;

/// What becomes of a SYN that is let through.
const PASSED: [&str; 6] = [
    Outcome::Unlisted.name(),
    Outcome::Good.name(),
    Outcome::Off.name(),
    Outcome::Counted.name(),
    Outcome::FloodObserved.name(),
    Outcome::ReplyFailed.name(),
];

/// What moved in the last ten minutes, and who looks on.
#[derive(Debug)]
pub struct Live {
    recent: Mutex<VecDeque<Arc<str>>>,
    viewers: Sender<Arc<str>>,
}

impl Default for Live {
    fn default() -> Self {
        Self { recent: Mutex::default(), viewers: channel(BEHIND).0 }
    }
}

/// What had been counted at one moment. All numbers only grow, but those of now.
#[derive(Debug, Serialize, ToSchema)]
struct Sample {
    /// When.
    time: Timestamp,
    /// SYNs to filtered ports by what the kernel did with them; `null` without a filter.
    kernel: Option<Kernel>,
    /// Decisions of the daemon by action.
    decisions: BTreeMap<&'static str, u64>,
    /// The same by the code of the verdict and by action, as far as there were any.
    verdicts: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// What the daemon took to decide, in all phases.
    decided: Decided,
    /// Client connections of now.
    connections: usize,
    /// Messages that the next hop took.
    messages: u64,
    /// Alarms of now.
    alarms: usize,
}

/// What deciding took.
#[derive(Debug, Serialize, ToSchema)]
struct Decided {
    /// Decisions.
    count: u64,
    /// What all of them took together.
    seconds: f64,
    /// How many took at most so many seconds and more than the pair before says, as far as there were any; longer ones are in no pair.
    #[schema(value_type = Vec<Vec<f64>>)]
    within: Vec<(f64, u64)>,
}

impl Decided {
    fn of(took: &[Took]) -> Self {
        // All phases have the same ends.
        let mut within: Vec<(f64, u64)> = Vec::new();
        for (place, (end, count)) in took.iter().flat_map(|took| took.buckets.iter().enumerate()) {
            match within.get_mut(place) {
                Some((_end, sum)) => *sum += count,
                None => within.push((*end, *count)),
            }
        }
        Self {
            count: within.iter().map(|(_end, count)| count).sum(),
            seconds: took.iter().map(|took| took.seconds).sum(),
            within: within
                .into_iter()
                .filter(|(end, count)| end.is_finite() && *count > 0)
                .collect(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KernelSample)]
struct Kernel {
    /// Let through.
    passed: u64,
    /// Answered with a refusal.
    refused: u64,
    /// Reset.
    reset: u64,
    /// Dropped.
    dropped: u64,
    /// Packets that each list decided.
    lists: BTreeMap<Arc<str>, u64>,
}

impl Sample {
    fn take(sources: &Sources) -> Self {
        let kernel = xdp::read_counters(&sources.xdp).ok().map(|counters| Kernel {
            passed: PASSED
                .iter()
                .filter_map(|name| counters.outcomes.get(name))
                .map(|count| count.packets)
                .sum(),
            refused: counters.refused.packets,
            reset: counters.reset.packets,
            dropped: counters.dropped.packets,
            lists: counters
                .lists
                .into_iter()
                .map(|(list, actions)| {
                    (list, actions.values().map(|Count { packets, .. }| packets).sum())
                })
                .collect(),
        });
        let counted = sources.engine.decisions();
        let of = |action| Verdict::ALL.iter().map(|&verdict| counted.get(verdict, action)).sum();
        let of_verdict = |verdict: &Verdict| {
            let counts = Action::ALL.map(|action| (action.name(), counted.get(*verdict, action)));
            let counts: BTreeMap<_, _> =
                counts.into_iter().filter(|(_, count)| *count > 0).collect();
            (!counts.is_empty()).then_some((verdict.code(), counts))
        };
        let decided = Decided::of(&sources.engine.times().took());
        let smtp = sources.fronts.smtp.as_ref().map(|front| front.counters());
        Self {
            time: Clock::System.now(),
            kernel,
            decisions: Action::ALL.map(|action| (action.name(), of(action))).into(),
            verdicts: Verdict::ALL.iter().filter_map(of_verdict).collect(),
            decided,
            connections: smtp.as_ref().map_or(0, |smtp| smtp.connections_active),
            messages: smtp.map_or(0, |smtp| smtp.counts.messages_relayed.get()),
            alarms: sources.alarms.list().len(),
        }
    }
}

impl Live {
    /// The samples of the last ten minutes as a JSON array, the oldest first.
    pub fn recent(&self) -> String {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        format!("[{}]", recent.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(","))
    }

    fn take(&self, sample: &Sample) {
        let Ok(line) = serde_json::to_string(sample) else { return };
        let line: Arc<str> = line.into();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&line));
        drop(recent);
        // Where nobody looks on, nobody needs it.
        drop(self.viewers.send(line));
    }
}

/// Takes samples until the task is aborted.
#[expect(clippy::infinite_loop, reason = "it ends with its task")]
pub async fn take_samples(sources: Arc<Sources>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let from = Arc::clone(&sources);
        // Reading the kernel's counters asks the kernel, so it stays off the threads that carry mail.
        if let Ok(sample) = spawn_blocking(move || Sample::take(&from)).await {
            sources.live.take(&sample);
        }
    }
}

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(follow)).routes(routes!(recent))
}

/// Tells what had been counted every two seconds of the last ten minutes.
#[utoipa::path(
    get, path = "/api/v1/live/recent", tag = "live", operation_id = "showRecentCounters",
    responses(
        (status = 200, body = Vec<Sample>, description = "The samples, the oldest first"),
    )
)]
async fn recent(State(sources): State<Arc<Sources>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], sources.live.recent()).into_response()
}

/// Tells every two seconds what had been counted, as server-sent events for graphs.
///
/// The `data` of each event is one sample, as `/api/v1/live/recent` has them; who reads too slowly misses some.
#[utoipa::path(
    get, path = "/api/v1/live", tag = "live", operation_id = "followCounters",
    responses(
        (status = 200, body = String, content_type = "text/event-stream", description = "A stream without end; the first event is the newest sample"),
    )
)]
async fn follow(
    State(sources): State<Arc<Sources>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let viewer = sources.live.viewers.subscribe();
    let last = sources.live.recent.lock().unwrap_or_else(PoisonError::into_inner).back().cloned();
    let coming = unfold(viewer, async |mut viewer| Some((next(&mut viewer).await?, viewer)));
    let events = iter(last).chain(coming).map(|line| Ok(Event::default().data(&*line)));
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// The next sample; who is too slow misses some.
async fn next(viewer: &mut Receiver<Arc<str>>) -> Option<Arc<str>> {
    loop {
        match viewer.recv().await {
            Ok(line) => return Some(line),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
