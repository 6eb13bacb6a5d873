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

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use jiff::SignedDuration;
use tokio::sync::oneshot;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::author::{Asked, Said};
use super::{Fault, Sources};
use crate::clock::{Clock, Timestamp};
use crate::refresh::{ChangeError, Request};

/// The longest list that can be put, in octets.
pub(in crate::admin) const LONGEST_LIST: usize = 256 << 20;

/// All of them.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    // What is put may be as long as a list can be.
    let put = routes!(lists::put).layer(DefaultBodyLimit::max(LONGEST_LIST));
    OpenApiRouter::default()
        .routes(routes!(pause::show, pause::begin, pause::end))
        .routes(routes!(lists::add, lists::remove))
        .routes(put)
        .routes(routes!(lists::enable))
        .routes(routes!(lists::disable))
        .routes(routes!(lists::accept))
        .routes(routes!(lists::restore))
        .routes(routes!(feeds::show))
        .routes(routes!(feeds::fetch))
        .routes(routes!(reviews::list, reviews::request))
        .routes(routes!(reviews::show))
        .routes(routes!(reviews::against))
        .routes(routes!(reviews::resolve))
        .routes(routes!(reviews::letter))
        .routes(routes!(zones::show, zones::add))
        .routes(routes!(zones::remove))
        .routes(routes!(zones::test))
        .routes(routes!(zones::enable))
        .routes(routes!(zones::disable))
        .routes(routes!(senders::show, senders::pass, senders::forget))
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
