//! The paths of the HTTP API that change something; each is asked for by JSON and answers with what is so now.

mod feeds;
mod hits;
mod lists;
mod pause;
mod reviews;
mod senders;
mod still_hit;
mod zones;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};
use jiff::SignedDuration;
use tokio::sync::oneshot;

use super::author::{Asked, Said};
use super::{Fault, Sources};
use crate::clock::{Clock, Timestamp};
use crate::refresh::{ChangeError, Request};

/// The longest list that can be put, in octets.
pub(in crate::admin) const LONGEST_LIST: usize = 256 << 20;

/// All of them.
pub(super) fn routes() -> Router<Arc<Sources>> {
    // What is put may be as long as a list can be.
    let put = put(lists::put).layer(DefaultBodyLimit::max(LONGEST_LIST));
    Router::new()
        .route("/api/v1/pause", get(pause::show).post(pause::begin).delete(pause::end))
        .route("/api/v1/lists/{list}/entries", post(lists::add).delete(lists::remove).merge(put))
        .route("/api/v1/feeds", get(feeds::show))
        .route("/api/v1/feeds/{list}/fetch", post(feeds::fetch))
        .route("/api/v1/lists/{list}/enable", post(lists::enable))
        .route("/api/v1/lists/{list}/disable", post(lists::disable))
        .route("/api/v1/lists/{list}/accept", post(lists::accept))
        .route("/api/v1/reviews", get(reviews::list).post(reviews::request))
        .route("/api/v1/reviews/{id}", get(reviews::show))
        .route("/api/v1/reviews/{id}/hits", get(reviews::against))
        .route("/api/v1/reviews/{id}/resolve", post(reviews::resolve))
        .route("/api/v1/reviews/{id}/letter", get(reviews::letter))
        .route("/api/v1/zones", get(zones::show).post(zones::add))
        .route("/api/v1/zones/{zone}", delete(zones::remove))
        .route("/api/v1/zones/{zone}/test", post(zones::test))
        .route("/api/v1/zones/{zone}/enable", post(zones::enable))
        .route("/api/v1/zones/{zone}/disable", post(zones::disable))
        .route("/api/v1/senders", get(senders::show).post(senders::pass).delete(senders::forget))
}

/// Asks the part of the daemon that changes things, and waits for its answer.
pub(in crate::admin) async fn ask<T>(
    sources: &Sources,
    request: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Result<T, Fault> {
    let (done, answer) = oneshot::channel();
    // Where nobody takes the request, nobody answers it.
    drop(sources.requests.send(request(done)));
    answer.await.map_err(|_gone| Fault::gone())
}

/// The moment `for_s` seconds from now; `None` for ever.
fn end(for_s: Option<u64>) -> Result<Option<Timestamp>, Fault> {
    let Some(seconds) = for_s else { return Ok(None) };
    let time = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    Clock::System.now().checked_add(time).map(Some).map_err(|error| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is too long").detail(error)
    })
}

/// Why a change is not made, as an answer.
pub(in crate::admin) fn refused(error: &ChangeError) -> Fault {
    let status = match error {
        ChangeError::UnknownList { .. } | ChangeError::UnknownZone { .. } => StatusCode::NOT_FOUND,
        _ if error.is_of_request() => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Fault::new(status, error).hint_if(error.hint())
}
