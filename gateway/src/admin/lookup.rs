//! `/api/v1/lookup/IP`: what would be decided about an address that connects now, why, and what is remembered of it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::{Fault, Memory, Past, Sources};
use crate::direction::Route;
use crate::engine::Engine;
use crate::net::fold;
use crate::pause::PauseReport;
use crate::policy::{
    Action, AddressFacts, Band, Decision, Evidence, ListingRecord, MatchRecord, Skipped,
    UnansweredRecord, Verdict,
};
use crate::xdp::{self, KernelRule, XdpError};

/// What would be decided about an address, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lookup)]
pub struct LookupAnswer<'a> {
    /// The address.
    #[schema(value_type = String)]
    ip: IpAddr,
    /// The verdict for people.
    #[schema(value_type = String)]
    verdict: Verdict,
    /// The verdict for machines, such as `sys-deny-ip`.
    code: &'static str,
    /// What would be done, such as `reject`.
    #[schema(value_type = String)]
    action: Action,
    /// False: a dry run.
    enforced: bool,
    /// Until when everything passes; `null` where nothing is paused.
    paused: Option<PauseReport>,
    /// Why nothing was looked at; `null` where it was.
    #[schema(value_type = Option<String>)]
    skipped: Option<Skipped>,
    /// The way that mail takes from there; `null` where it is not known.
    #[schema(value_type = Option<Object>)]
    route: Option<&'a Route>,
    /// The score, 0 to 1000; `null` where there is none.
    score: Option<u16>,
    /// `allow`, `delay` or `reject`.
    #[schema(value_type = Option<String>)]
    band: Option<Band>,
    /// The first score that is delayed.
    delay_from: Option<u16>,
    /// The last score that is delayed.
    reject_above: Option<u16>,
    /// What the score is made of.
    #[schema(value_type = Vec<Object>)]
    evidence: &'a [Evidence],
    /// The entries of lists that have it.
    #[schema(value_type = Vec<Object>)]
    matches: Vec<MatchRecord<'a>>,
    /// The zones that list it.
    #[schema(value_type = Vec<Object>)]
    listings: Vec<ListingRecord<'a>>,
    /// The zones that gave no answer.
    #[schema(value_type = Vec<Object>)]
    unanswered: Vec<UnansweredRecord<'a>>,
    /// The rule in the kernel, `null` where there is none.
    #[schema(value_type = Option<Object>)]
    kernel: Option<KernelRule>,
    /// Why nothing is known of the kernel; `null` where it could be asked.
    kernel_fault: Option<String>,
    #[serde(flatten)]
    past: Past,
}

impl<'a> LookupAnswer<'a> {
    /// Has `engine` judge `address`, reads the kernel's rule for it and what `memory` has; nothing is recorded.
    pub async fn about(
        engine: &Engine,
        filter: &xdp::Config,
        memory: &Memory,
        address: IpAddr,
    ) -> Value {
        let address = fold(address);
        let past = memory.of(address).await;
        let decision = engine.look_up(address).await;
        let filter = filter.clone();
        let kernel = spawn_blocking(move || xdp::read_pinned(&filter, address)).await;
        let paused = engine.pause().as_deref().map(PauseReport::from);
        let kernel = kernel.unwrap_or(Ok(None));
        let answer = LookupAnswer { paused, past, ..LookupAnswer::new(address, &decision, kernel) };
        serde_json::to_value(answer).unwrap_or_default()
    }

    fn new(
        ip: IpAddr,
        decision: &'a Decision,
        kernel: Result<Option<KernelRule>, XdpError>,
    ) -> Self {
        let facts = decision.addresses.first();
        let score = decision.score.as_ref();
        let of = |facts: &'a AddressFacts| {
            let matches = facts.matches.iter().map(MatchRecord::new).collect();
            let listings = facts.listings.iter().map(ListingRecord::new).collect();
            let unanswered = facts.unanswered.iter().map(UnansweredRecord::new).collect();
            (matches, listings, unanswered)
        };
        let (matches, listings, unanswered) = facts.map(of).unwrap_or_default();
        Self {
            ip,
            verdict: decision.verdict,
            code: decision.verdict.code(),
            action: decision.action,
            enforced: decision.enforced,
            paused: None,
            skipped: facts.and_then(|facts| facts.skipped),
            route: decision.route.as_ref(),
            score: score.map(|score| score.value),
            band: score.map(|score| score.band),
            delay_from: score.map(|score| score.thresholds.delay_from()),
            reject_above: score.map(|score| score.thresholds.reject_above()),
            evidence: score.map_or(&[], |score| &score.evidence),
            matches,
            listings,
            unanswered,
            kernel_fault: kernel.as_ref().err().map(ToString::to_string),
            kernel: kernel.ok().flatten(),
            past: Past::default(),
        }
    }
}

/// Tells what would be decided about an address that connects now, why, and what is remembered of it.
///
/// Zones are asked for it; nothing is recorded.
#[utoipa::path(
    get, path = "/api/v1/lookup/{ip}", tag = "decisions", operation_id = "lookUp",
    params(("ip" = String, Path, description = "An IPv4 or IPv6 address", example = "192.0.2.1")),
    responses(
        (status = 200, body = LookupAnswer<'_>, description = "What would be decided, with all that was looked at"),
        (status = 422, description = "That is no address"),
    )
)]
pub(super) async fn show(
    State(sources): State<Arc<Sources>>,
    Path(ip): Path<String>,
) -> Result<Json<Value>, Fault> {
    let address = address(&ip)?;
    let Sources { engine, xdp, memory, .. } = &*sources;
    Ok(Json(LookupAnswer::about(engine, xdp, memory, address).await))
}

/// The address that a part of a path names.
pub(super) fn address(text: &str) -> Result<IpAddr, Fault> {
    text.parse().map_err(|error| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is no address")
            .detail(error)
            .hint("such as 192.0.2.1 or 2001:db8::1")
    })
}
