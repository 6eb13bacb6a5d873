//! `/api/v1/reviews`: asked for, shown, ended.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::hits::{Hit, Now, hits};
use super::{Asked, ask, end, still_hit};
use crate::admin::queried::Queried;
use crate::admin::{Fault, LetterAnswer, Sources, letter, shapes};
use crate::audit::SeenDecision;
use crate::clock::{Clock, Expiry};
use crate::net::Prefix;
use crate::refresh::{
    self, ChangeError, Request, Resolve, ReviewChange, ReviewChanged, ReviewError,
};
use crate::review::{About, Ask, Outcome, Review, State as Stand, reference};
use crate::store::{Page, Reviews, StoreError};
use crate::xdp::References;

/// The most reviews in one answer.
const MOST: usize = 10_000;

/// A review that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedReview)]
pub(super) struct Wanted {
    /// An address, a prefix or a reference.
    about: String,
    /// Who asks.
    author: String,
    /// The record that it is about, where `about` is none.
    #[serde(default)]
    reference: Option<String>,
    /// Why, at most 500 characters.
    #[serde(default)]
    note: Option<String>,
    /// Whom to answer, at most 254 characters.
    #[serde(default)]
    contact: Option<String>,
}

/// Which reviews are asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedPage {
    /// `open` or `resolved`; both where it is missing.
    #[serde(default)]
    #[param(value_type = String, example = "open")]
    state: Option<Stand>,
    /// Those with a lower number.
    #[serde(default)]
    before: Option<u64>,
    /// The most reviews in the answer; more are as good as 10,000.
    #[serde(default)]
    #[param(maximum = 10000, default = 100)]
    limit: Option<usize>,
}

/// What is decided about a review.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedEnd {
    /// `good-listed`, `removed` or `refused`.
    #[schema(value_type = String, example = "good-listed")]
    result: Outcome,
    /// Who asks.
    author: String,
    /// Why, at most 500 characters.
    note: String,
    /// For how many seconds a good entry counts; for ever where it is missing.
    #[serde(default)]
    for_s: Option<u64>,
    /// The good list; the first one for hand-made entries where it is missing.
    #[serde(default)]
    list: Option<String>,
}

/// What came of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewRequested)]
pub(super) struct Answer {
    /// The review.
    #[schema(value_type = shapes::Review)]
    review: Review,
    /// Whether it was open already.
    joined: bool,
    /// What whoever asked should know.
    warnings: Vec<String>,
}

/// What is against the address of a review.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewHits)]
pub(super) struct Against {
    /// What hits the address now; of a prefix, what covers all of it.
    still: Vec<Hit>,
    /// What would be decided about the address now; `null` of a prefix.
    now: Option<Now>,
}

/// What came of a decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewEnded)]
pub(super) struct Ended {
    /// The review.
    #[schema(value_type = shapes::Review)]
    review: Review,
    /// What whoever asked should know.
    warnings: Vec<String>,
    #[serde(flatten)]
    against: Against,
}

/// Asks for a review of an address, a prefix or the record with a reference.
#[utoipa::path(
    post, path = "/api/v1/reviews", tag = "reviews", operation_id = "requestReview",
    request_body = Wanted,
    responses(
        (status = 200, body = Answer, description = "The review, new or open already"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 429, description = "Too many reviews are open"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn request(
    State(sources): State<Arc<Sources>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Answer>, Fault> {
    let about: About = wanted.about.parse().map_err(|error| no_review(&error))?;
    let named = wanted.reference.as_deref().map(|text| {
        reference(text).ok_or_else(|| {
            Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is no reference")
                .hint("it is the 13 letters and digits at the end of the reply")
        })
    });
    let (given, reference) = match about {
        About::Prefix(prefix) => (Some(prefix), named.transpose()?),
        About::Reference(reference) => (None, Some(reference)),
    };
    let mut warnings = Vec::new();
    let prefix = match (given, &reference) {
        (Some(prefix), None) => prefix,
        (given, Some(reference)) => linked(&sources, given, reference, &mut warnings).await?,
        (None, None) => return Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "of what?")),
    };
    let ask = Ask {
        at: Clock::System.now(),
        author: wanted.author.into(),
        reference,
        note: wanted.note.map(Into::into),
        contact: wanted.contact.map(Into::into),
    };
    let ReviewChanged { review, joined, .. } =
        change(&sources, ReviewChange::Request { prefix, ask }).await?;
    Ok(Json(Answer { review, joined, warnings }))
}

/// The prefix of a review that is linked to a record: the one `given`, or the address that the record is about.
async fn linked(
    sources: &Arc<Sources>,
    given: Option<Prefix>,
    reference: &str,
    warnings: &mut Vec<String>,
) -> Result<Prefix, Fault> {
    let (memory, asked) = (sources.memory.clone(), reference.to_owned());
    let found = spawn_blocking(move || memory.decision(&asked)).await;
    let found = found.unwrap_or(Ok(None)).unwrap_or_else(|error| {
        warnings.push(format!("the audit trail cannot be read: {error}"));
        None
    });
    let other = || {
        let title = format!("{reference} was given to another address");
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, title)
            .hint(format!("`portcullis why {reference}` shows what it stands for"))
    };
    match (found, given) {
        (Some(found), None) => Ok(Prefix::host(found.address)),
        (Some(found), Some(prefix)) if is_about(&found, prefix) => Ok(prefix),
        (Some(_), Some(_)) => Err(other()),
        (None, given) => {
            let references = References::load(sources.xdp.references.as_deref()).ok();
            let of_kernel = references.and_then(|references| references.read(reference));
            match (of_kernel, given) {
                (Some(found), Some(prefix)) if found.is_of(prefix.address()) => Ok(prefix),
                (Some(_), Some(_)) => Err(other()),
                (None, Some(prefix)) => {
                    warnings.push(format!("{reference} is not in the newest part of the audit trail, so nobody knows whether it is about {prefix}"));
                    Ok(prefix)
                }
                (is_known, None) => Err(no_address(reference, is_known.is_some())),
            }
        }
    }
}

fn is_about(found: &SeenDecision, prefix: Prefix) -> bool {
    let addresses: [Option<IpAddr>; 2] = [Some(found.address), found.client];
    addresses.into_iter().flatten().any(|address| prefix.contains(address))
}

/// A reference alone does not lead to an address.
fn no_address(reference: &str, is_of_kernel: bool) -> Fault {
    let title = if is_of_kernel {
        "the kernel gave that reference, and no address can be read from it"
    } else {
        "that reference is not in the newest part of the audit trail"
    };
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, title)
        .detail(reference)
        .hint(format!("give the address: `portcullis review request IP --reference {reference}`"))
}

/// Tells reviews, the newest first.
#[utoipa::path(
    get, path = "/api/v1/reviews", tag = "reviews", operation_id = "listReviews",
    params(WantedPage),
    responses(
        (status = 200, body = shapes::Reviews, description = "Reviews, and how many there are"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
    )
)]
pub(super) async fn list(
    State(sources): State<Arc<Sources>>,
    Queried(wanted): Queried<WantedPage>,
) -> Result<Json<Reviews>, Fault> {
    let WantedPage { state, before, limit } = wanted;
    let page = Page { state, before, limit: limit.unwrap_or(100).min(MOST) };
    let memory = sources.memory.clone();
    read(move || refresh::reviews(memory.state_dir(), &page)).await.map(Json)
}

/// Tells one review.
#[utoipa::path(
    get, path = "/api/v1/reviews/{id}", tag = "reviews", operation_id = "showReview",
    params(("id" = u64, Path, minimum = 1, description = "The number of the review")),
    responses(
        (status = 200, body = shapes::Review, description = "The review"),
        (status = 404, description = "There is no review of that number"),
        (status = 422, description = "That is no number"),
    )
)]
pub(super) async fn show(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<Json<Review>, Fault> {
    known(&sources, number(&id)?).await.map(Json)
}

/// Tells what is against the address of a review now; zones are asked.
#[utoipa::path(
    get, path = "/api/v1/reviews/{id}/hits", tag = "reviews", operation_id = "showReviewHits",
    params(("id" = u64, Path, minimum = 1, description = "The number of the review")),
    responses(
        (status = 200, body = Against, description = "What is against it, and what would be decided"),
        (status = 404, description = "There is no review of that number"),
        (status = 422, description = "That is no number"),
    )
)]
pub(super) async fn against(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<Json<Against>, Fault> {
    let prefix = known(&sources, number(&id)?).await?.prefix;
    let (still, now) = hits(&sources.engine, prefix).await;
    Ok(Json(Against { still, now }))
}

/// Writes a letter to whoever runs the open proxy that a review is about.
#[utoipa::path(
    get, path = "/api/v1/reviews/{id}/letter", tag = "reviews", operation_id = "writeReviewLetter",
    params(("id" = u64, Path, minimum = 1, description = "The number of the review")),
    responses(
        (status = 200, body = LetterAnswer, description = "The letter, to be sent by a person"),
        (status = 404, description = "There is no review of that number"),
        (status = 422, description = "The review is of no single address, or nothing says that it is an open proxy"),
    )
)]
pub(super) async fn letter(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Fault> {
    let review = known(&sources, number(&id)?).await?;
    let address = review.prefix.address();
    if Prefix::host(address) != review.prefix {
        let title = format!("review {} is about {}", review.id, review.prefix);
        return Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, title)
            .hint("a letter is about one address: `portcullis lookup IP --letter`"));
    }
    letter::of_daemon(&sources, address, Some(review.id)).await.map(Json)
}

/// Ends a review.
#[utoipa::path(
    post, path = "/api/v1/reviews/{id}/resolve", tag = "reviews", operation_id = "resolveReview",
    params(("id" = u64, Path, minimum = 1, description = "The number of the review")),
    request_body = WantedEnd,
    responses(
        (status = 200, body = Ended, description = "The review, and what still speaks against the address"),
        (status = 404, description = "There is no review of that number"),
        (status = 409, description = "It is ended already, or there is nothing to remove"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn resolve(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
    Asked(wanted): Asked<WantedEnd>,
) -> Result<Json<Ended>, Fault> {
    let id = number(&id)?;
    let prefix = known(&sources, id).await?.prefix;
    let (before, _now) = hits(&sources.engine, prefix).await;
    let what = match wanted.result {
        Outcome::GoodListed => {
            let expires = end(wanted.for_s)?.map(Expiry::at);
            Resolve::GoodListed { list: wanted.list, expires }
        }
        _ if wanted.for_s.is_some() || wanted.list.is_some() => {
            let title = "only a good entry has a list and an end";
            return Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, title));
        }
        Outcome::Removed => Resolve::Removed { is_hit: !before.is_empty() },
        Outcome::Refused => Resolve::Refused,
    };
    let resolve = ReviewChange::Resolve { id, author: wanted.author, note: wanted.note, what };
    let changed = ask(&sources, |done| Request::Review(resolve, done)).await?;
    let ReviewChanged { review, mut warnings, .. } = changed.map_err(|error| match error {
        ReviewError::NothingToRemove { .. } => nothing_to_remove(id, &error, &before),
        error => refused(&error),
    })?;
    if wanted.result == Outcome::GoodListed {
        let engine = Arc::clone(&sources.engine);
        let still = spawn_blocking(move || still_hit::warnings(&engine, prefix)).await;
        warnings.extend(still.unwrap_or_default());
    }
    let (still, now) = hits(&sources.engine, prefix).await;
    Ok(Json(Ended { review, warnings, against: Against { still, now } }))
}

/// Who has it instead, and what to do about each.
fn nothing_to_remove(id: u64, error: &ReviewError, hits: &[Hit]) -> Fault {
    let who: Vec<_> = hits.iter().map(Hit::told).collect();
    let mut what: Vec<_> = hits.iter().map(|hit| hit.what_to_do.clone()).collect();
    what.dedup();
    what.push(format!(
        "`portcullis review resolve {id} good-listed --note TEXT` lets it pass whatever others say"
    ));
    Fault::new(StatusCode::CONFLICT, error).detail(who.join("; ")).hint(what.join("; or "))
}

async fn known(sources: &Sources, id: u64) -> Result<Review, Fault> {
    let memory = sources.memory.clone();
    let found = read(move || refresh::review(memory.state_dir(), id)).await?;
    found.ok_or_else(|| refused(&ReviewError::Unknown(id)))
}

async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Fault> {
    let done = spawn_blocking(work).await.map_err(|_panicked| Fault::gone())?;
    done.map_err(|error| super::refused(&ChangeError::from(error)))
}

async fn change(sources: &Sources, change: ReviewChange) -> Result<ReviewChanged, Fault> {
    let changed = ask(sources, |done| Request::Review(change, done)).await?;
    changed.map_err(|error| refused(&error))
}

fn number(id: &str) -> Result<u64, Fault> {
    id.parse().map_err(|error| no_review(&error))
}

fn no_review(error: &impl ToString) -> Fault {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is nothing to be reviewed")
        .detail(error.to_string())
}

/// Why nothing is done, as an answer.
fn refused(error: &ReviewError) -> Fault {
    let status = match error {
        ReviewError::Unknown(_) => StatusCode::NOT_FOUND,
        ReviewError::Resolved { .. } | ReviewError::NothingToRemove { .. } => StatusCode::CONFLICT,
        ReviewError::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
        ReviewError::NoGoodList | ReviewError::NotGood(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ReviewError::Change { error: change, .. } if change.is_of_request() => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ReviewError::Change { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Fault::new(status, error).hint_if(error.hint())
}
