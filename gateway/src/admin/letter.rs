//! `/api/v1/lookup/IP/letter`: a letter to the administrator of an open proxy, from what is known of it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::past::Memory;
use super::{Fault, Sources, lookup};
use crate::audit::{SeenDecision, Veil};
use crate::engine::Engine;
use crate::list::Class;
use crate::net::fold;
use crate::policy::Verdict;
use crate::review::{Letter, Sighting, whom_to_ask};

/// The most decisions that a letter counts.
const DECISIONS: usize = 1000;

/// A letter, ready to be sent by a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Letter)]
pub struct LetterAnswer {
    /// The address.
    #[schema(value_type = String)]
    ip: IpAddr,
    /// The letter, plain text.
    letter: String,
    /// Where to find out whom to write to; nobody was asked.
    whom_to_ask: Vec<String>,
}

impl LetterAnswer {
    /// The letter about `address`; `None` where neither a list nor a decision says that it is an open proxy.
    pub async fn about(
        engine: &Engine,
        hostname: &str,
        memory: &Memory,
        address: IpAddr,
        review: Option<u64>,
    ) -> Option<Value> {
        let address = fold(address);
        let memory = memory.clone();
        // Reads files, so it stays off the threads that carry mail.
        let decisions = spawn_blocking(move || memory.decisions(address, DECISIONS)).await;
        let decisions = decisions.ok()?.unwrap_or_default();
        let judged = engine.judge_address(address);
        let matches = judged.addresses.iter().flat_map(|facts| &facts.matches);
        let lists = matches.filter(|found| found.class() == Class::OpenProxy);
        let lists: Vec<_> = lists.map(|found| (&*found.list.label, found.entry.added)).collect();
        let sightings: Vec<_> = decisions.iter().filter_map(sighting).collect();
        if lists.is_empty() && sightings.is_empty() {
            return None;
        }
        let letter = Letter { hostname, address, lists, sightings, review };
        let (letter, whom_to_ask) = (letter.text(), whom_to_ask(address));
        serde_json::to_value(Self { ip: address, letter, whom_to_ask }).ok()
    }
}

/// What the letter tells of a decision, if that was about an open proxy.
fn sighting(seen: &SeenDecision) -> Option<Sighting<'_>> {
    let is_one = seen.decided && seen.code == Verdict::OpenProxy.code();
    is_one.then(|| Sighting {
        time: seen.time,
        hop: &seen.hop,
        client: seen.client,
        // A name that the trail does not keep says nothing.
        helo: seen.helo.as_deref().filter(|helo| !Veil::hides(helo)),
        action: if seen.enforced { &seen.action } else { "observe" },
        reference: &seen.reference,
    })
}

/// Writes a letter to whoever runs the open proxy at an address.
#[utoipa::path(
    get, path = "/api/v1/lookup/{ip}/letter", tag = "decisions", operation_id = "writeLetter",
    params(("ip" = String, Path, description = "An IPv4 or IPv6 address", example = "192.0.2.1")),
    responses(
        (status = 200, body = LetterAnswer, description = "The letter, to be sent by a person"),
        (status = 422, description = "That is no address, or nothing says that it is an open proxy"),
    )
)]
pub(super) async fn show(
    State(sources): State<Arc<Sources>>,
    Path(ip): Path<String>,
) -> Result<Json<Value>, Fault> {
    of_daemon(&sources, lookup::address(&ip)?, None).await.map(Json)
}

/// The letter by what the daemon knows.
pub(super) async fn of_daemon(
    sources: &Sources,
    address: IpAddr,
    review: Option<u64>,
) -> Result<Value, Fault> {
    let hostname = sources.config.load().hostname.clone();
    let engine = &sources.engine;
    let letter = LetterAnswer::about(engine, &hostname, &sources.memory, address, review).await;
    letter.ok_or_else(|| {
        let title = format!("nothing says that {address} is an open proxy");
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, title).hint(NO_LETTER)
    })
}

/// Why there is no letter, as a hint.
pub const NO_LETTER: &str = "neither a list of class open-proxy has it, nor does a recent decision say so; `portcullis lookup` shows what is known";
