//! `/api/v1/senders`: who waits on the greylist and who passes, by look and by word.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::{Asked, end, refused};
use crate::admin::queried::Queried;
use crate::admin::{Fault, Sources};
use crate::clock::{Clock, Timestamp};
use crate::list::on_one_line;
use crate::sender::{Greylist, Manual, Pool, Selection};
use crate::store::{SenderList, SenderStore, StoreError};

/// The most rows of each kind in one answer.
const MOST: usize = 10_000;

/// Which senders are asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedSenders {
    /// An address, a prefix, `@DOMAIN`, or a part of a sender or recipient; all where it is missing.
    #[serde(default)]
    which: Option<String>,
    /// The most senders of each kind; more are as good as 10,000.
    #[serde(default)]
    #[param(maximum = 10000, default = 100)]
    limit: Option<usize>,
}

/// A pool that shall pass.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedPass {
    /// An address, a network or `@DOMAIN`.
    pool: String,
    /// Who asks.
    author: String,
    /// Why.
    #[serde(default)]
    reason: Option<String>,
    /// For how many seconds; for ever where it is missing.
    #[serde(default)]
    for_s: Option<u64>,
}

/// Senders that shall be forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedForget {
    /// An address, a prefix, `@DOMAIN`, or a part of a sender or recipient.
    which: String,
    /// Nobody else is told.
    #[serde(default, rename = "author")]
    _author: Option<String>,
}

/// The senders that are remembered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Senders {
    /// Tries that wait, the newest first.
    waiting: Vec<WaitingSender>,
    /// Pools whose mail passes, the newest first.
    passed: Vec<PassedSender>,
    /// Rows of both kinds in all.
    total: Total,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SenderCounts)]
struct Total {
    /// Rows of tries that wait, of which a first try has two: for its pool, and for all pools.
    waiting: usize,
    /// Pools whose mail passes.
    passed: usize,
}

#[derive(Debug, Serialize, ToSchema)]
struct WaitingSender {
    /// The addresses or the domain that it counts for.
    #[schema(value_type = String)]
    pool: Pool,
    /// The address of MAIL FROM.
    sender: Box<str>,
    /// The address of RCPT TO.
    recipient: Box<str>,
    /// When it tried first.
    first: Timestamp,
    /// How often it tried.
    tries: u32,
}

#[derive(Debug, Serialize, ToSchema)]
struct PassedSender {
    /// The addresses or the domain whose mail passes.
    #[schema(value_type = String)]
    pool: Pool,
    /// Since when.
    since: Timestamp,
    /// When mail of it came last.
    used: Timestamp,
    /// `null` for ever.
    until: Option<Timestamp>,
    /// `null` where it passed by itself.
    author: Option<Box<str>>,
    /// Why, where somebody said so.
    reason: Option<Box<str>>,
}

/// What was forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Forgotten {
    /// Tries that waited.
    waiting: usize,
    /// Pools that passed.
    passed: usize,
}

/// A pool that passes now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Passing {
    /// The addresses or the domain.
    #[schema(value_type = String)]
    pool: Pool,
    /// Until when; `null` for ever.
    until: Option<Timestamp>,
}

/// Tells who waits on the greylist and who passes.
#[utoipa::path(
    get, path = "/api/v1/senders", tag = "senders", operation_id = "listSenders",
    params(WantedSenders),
    responses(
        (status = 200, body = Senders, description = "The senders, the newest first"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
    )
)]
pub(super) async fn show(
    State(sources): State<Arc<Sources>>,
    Queried(wanted): Queried<WantedSenders>,
) -> Result<Json<Senders>, Fault> {
    let selection = selection(wanted.which.as_deref());
    let limit = wanted.limit.unwrap_or(100).min(MOST);
    let (greylist, now) = (sources.engine.greylist_settings(), Clock::System.now());
    let asked = with_store(&sources, move |store| {
        Ok((store.list(&selection, limit, &greylist, now)?, store.counts()))
    });
    let (list, counts) = asked.await?;
    Ok(Json(Senders {
        total: Total { waiting: counts.waiting, passed: counts.passed },
        ..Senders::new(list, &greylist)
    }))
}

/// Lets a pool of addresses pass the greylist.
#[utoipa::path(
    post, path = "/api/v1/senders", tag = "senders", operation_id = "passSender",
    request_body = WantedPass,
    responses(
        (status = 200, body = Passing, description = "The pool that passes now"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn pass(
    State(sources): State<Arc<Sources>>,
    Asked(wanted): Asked<WantedPass>,
) -> Result<Json<Passing>, Fault> {
    let greylist = sources.engine.greylist_settings();
    let pool = Pool::meant(&wanted.pool, &greylist).map_err(|error| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is no sender").detail(error)
    })?;
    let (now, until) = (Clock::System.now(), end(wanted.for_s)?);
    let manual = Manual {
        author: on_one_line(&wanted.author).into(),
        reason: wanted.reason.map(|reason| on_one_line(&reason).into()),
        until,
    };
    let passing = pool.clone();
    with_store(&sources, move |store| store.pass(&passing, &manual, now)).await?;
    Ok(Json(Passing { pool, until }))
}

/// Forgets senders; they begin anew.
#[utoipa::path(
    delete, path = "/api/v1/senders", tag = "senders", operation_id = "forgetSenders",
    request_body = WantedForget,
    responses(
        (status = 200, body = Forgotten, description = "How many were forgotten"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn forget(
    State(sources): State<Arc<Sources>>,
    Asked(wanted): Asked<WantedForget>,
) -> Result<Json<Forgotten>, Fault> {
    if wanted.which.trim().is_empty() {
        let fault = Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that names no sender");
        return Err(fault.hint("give an address, a prefix, @DOMAIN, or a part of a name"));
    }
    let selection = selection(Some(&wanted.which));
    let counts = with_store(&sources, move |store| store.forget(&selection)).await?;
    Ok(Json(Forgotten { waiting: counts.waiting, passed: counts.passed }))
}

fn selection(which: Option<&str>) -> Selection {
    let Some(which) = which else { return Selection::All };
    which.parse().unwrap_or(Selection::All)
}

async fn with_store<T: Send + 'static>(
    sources: &Sources,
    work: impl FnOnce(&dyn SenderStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Fault> {
    let Some(senders) = sources.engine.asks().senders.clone() else { return Err(Fault::gone()) };
    let done = spawn_blocking(move || work(&*senders)).await.map_err(|_panicked| Fault::gone())?;
    done.map_err(|error| refused(&error.into()))
}

impl Senders {
    fn new(list: SenderList, greylist: &Greylist) -> Self {
        let waiting = list.waiting.into_iter().map(|row| WaitingSender {
            pool: row.pool,
            sender: row.sender,
            recipient: row.recipient,
            first: row.waiting.first,
            tries: row.tries,
        });
        let passed = list.passed.into_iter().map(|row| {
            let until = row.passed.until(greylist);
            let (author, reason) =
                row.passed.manual.map(|manual| (manual.author, manual.reason)).unzip();
            PassedSender {
                pool: row.pool,
                since: row.passed.since,
                used: row.passed.used,
                until,
                author,
                reason: reason.flatten(),
            }
        });
        let total = Total { waiting: 0, passed: 0 };
        Self { waiting: waiting.collect(), passed: passed.collect(), total }
    }
}
