//! `/api/v1/lists`: entries come and go, lists are switched on and off.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::{Asked, Said, ask, end, refused, still_hit};
use crate::admin::{Fault, Sources};
use crate::clock::Expiry;
use crate::net::Prefix;
use crate::refresh::{Changed, ListChange, Request, What};

/// An entry that is wanted, or wanted no longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedEntry {
    /// An address or a prefix.
    #[schema(example = "192.0.2.0/24")]
    prefix: String,
    /// Who asks.
    author: String,
    /// Why; it stands beside the entry, and in replies.
    #[serde(default)]
    reason: Option<String>,
    /// For how many seconds; for ever where it is missing.
    #[serde(default)]
    for_s: Option<u64>,
}

/// An exception that is to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Excepted {
    /// The address or prefix, as it was taken out.
    #[schema(example = "192.0.2.7")]
    prefix: String,
    /// Who asks.
    author: String,
}

/// Which copy is accepted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Accepted {
    /// Who asks.
    author: String,
    /// What it hashes to, as `held-back` tells it; where it is missing, whatever is held back is accepted.
    #[serde(default)]
    sha256: Option<String>,
}

type Answer = Result<Json<Changed>, Fault>;

/// Adds an entry to a list by hand.
#[utoipa::path(
    post, path = "/api/v1/lists/{list}/entries", tag = "lists", operation_id = "addEntry",
    params(("list" = String, Path, description = "The name of the list")),
    request_body = WantedEntry,
    responses(
        (status = 200, body = Changed, description = "The list as it is now"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn add(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
    Asked(wanted): Asked<WantedEntry>,
) -> Answer {
    let (prefix, expires) = (wanted.prefix()?, wanted.expires()?);
    let what = What::Add { prefix, reason: wanted.reason, expires };
    let Json(mut changed) =
        change(&sources, ListChange { list, author: wanted.author, what }).await?;
    let is_good = sources.engine.list(&changed.list).is_some_and(|list| list.class.is_good());
    if is_good {
        // Reads a part of the trail, so it stays off the threads that carry mail.
        let still = spawn_blocking(move || still_hit::warnings(&sources.engine, prefix)).await;
        changed.warnings.extend(still.unwrap_or_default());
    }
    Ok(Json(changed))
}

/// Takes an entry out of a list by hand; its source cannot bring it back.
#[utoipa::path(
    delete, path = "/api/v1/lists/{list}/entries", tag = "lists", operation_id = "removeEntry",
    params(("list" = String, Path, description = "The name of the list")),
    request_body = WantedEntry,
    responses(
        (status = 200, body = Changed, description = "The list as it is now"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn remove(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
    Asked(wanted): Asked<WantedEntry>,
) -> Answer {
    let (prefix, expires) = (wanted.prefix()?, wanted.expires()?);
    let what = What::Remove { prefix, reason: wanted.reason, expires };
    change(&sources, ListChange { list, author: wanted.author, what }).await
}

/// Replaces all entries of a list without a source; the body is a list in any format.
#[utoipa::path(
    put, path = "/api/v1/lists/{list}/entries", tag = "lists", operation_id = "putList",
    params(("list" = String, Path, description = "The name of the list"), Said),
    request_body(content = String, content_type = "text/plain", description = "A list in any format that lists may have, at most 256 MiB"),
    responses(
        (status = 200, body = Changed, description = "The list as it is now"),
        (status = 404, description = "There is no list of that name"),
        (status = 413, description = "The list is longer than 256 MiB"),
        (status = 422, description = "The copy cannot be read, is doubtful and held back, or the list has its entries from a source"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn put(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
    said: Said,
    body: Bytes,
) -> Answer {
    let what = What::Put { octets: body.to_vec() };
    change(&sources, ListChange { list, author: said.author, what }).await
}

/// Switches a list on.
#[utoipa::path(
    post, path = "/api/v1/lists/{list}/enable", tag = "lists", operation_id = "enableList",
    params(("list" = String, Path, description = "The name of the list")),
    request_body = Said,
    responses(
        (status = 200, body = Changed, description = "The list as it is now"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn enable(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
    Asked(Said { author }): Asked<Said>,
) -> Answer {
    change(&sources, ListChange { list, author, what: What::Enable }).await
}

/// Switches a list off; its entries stay.
#[utoipa::path(
    post, path = "/api/v1/lists/{list}/disable", tag = "lists", operation_id = "disableList",
    params(("list" = String, Path, description = "The name of the list")),
    request_body = Said,
    responses(
        (status = 200, body = Changed, description = "The list as it is now"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn disable(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
    Asked(Said { author }): Asked<Said>,
) -> Answer {
    change(&sources, ListChange { list, author, what: What::Disable }).await
}

/// Ends the exception of a prefix: what it took out of the list counts again.
#[utoipa::path(
    delete, path = "/api/v1/lists/{list}/exceptions", tag = "lists", operation_id = "endException",
    params(("list" = String, Path, description = "The name of the list")),
    request_body = Excepted,
    responses(
        (status = 200, body = Changed, description = "The list as it is now"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "There is no such exception, or what is asked for cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn restore(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
    Asked(Excepted { prefix, author }): Asked<Excepted>,
) -> Answer {
    let what = What::Restore { prefix: read(&prefix)? };
    change(&sources, ListChange { list, author, what }).await
}

/// Puts in force the copy of a list that was held back.
#[utoipa::path(
    post, path = "/api/v1/lists/{list}/accept", tag = "lists", operation_id = "acceptList",
    params(("list" = String, Path, description = "The name of the list")),
    request_body = Accepted,
    responses(
        (status = 200, body = Changed, description = "The list as it is now"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read; nothing is held back, or not what was looked at"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn accept(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
    Asked(Accepted { author, sha256: seen }): Asked<Accepted>,
) -> Answer {
    change(&sources, ListChange { list, author, what: What::Accept { seen } }).await
}

fn read(prefix: &str) -> Result<Prefix, Fault> {
    prefix.parse().map_err(|error| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is no prefix").detail(error)
    })
}

impl WantedEntry {
    fn prefix(&self) -> Result<Prefix, Fault> {
        read(&self.prefix)
    }

    fn expires(&self) -> Result<Option<Expiry>, Fault> {
        Ok(end(self.for_s)?.map(Expiry::at))
    }
}

async fn change(sources: &Sources, change: ListChange) -> Answer {
    let changed = ask(sources, |done| Request::Change(change, done)).await?;
    changed.map(Json).map_err(|error| refused(&error))
}
