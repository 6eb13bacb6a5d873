//! `/api/v1/quarantine`: what lies there, by look; released and deleted by word.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::author::{Asked, Said};
use super::queried::Queried;
use super::{Fault, Sources};
use crate::clock::{Clock, Timestamp};
use crate::front::smtp::{ReleaseError, Released};
use crate::list::on_one_line;
use crate::quarantine::{
    Event, EventKind, HeldMessage, Id, Listing, Quarantine, QuarantineError, QuarantineStatus,
    Selection,
};
use crate::smtp::header_end;

/// The most messages in one answer.
const MOST: usize = 10_000;
/// Octets of a message that are looked at for its header.
const HEADER: u64 = 256 << 10;
/// Octets of a message that go out at once.
const PIECE: usize = 64 << 10;

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(show, delete))
        .routes(routes!(message))
        .routes(routes!(release))
}

/// Which messages are asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// A part of the sender.
    #[serde(default)]
    from: Option<String>,
    /// A part of a recipient.
    #[serde(default)]
    to: Option<String>,
    /// The client that sent it.
    #[serde(default)]
    #[param(value_type = String, example = "192.0.2.1")]
    client: Option<IpAddr>,
    /// They came then or later.
    #[serde(default)]
    #[param(value_type = String, format = DateTime)]
    since: Option<Timestamp>,
    /// They came before that: the next page.
    #[serde(default)]
    #[param(value_type = String, format = DateTime)]
    before: Option<Timestamp>,
    /// The most messages in the answer; more are as good as 10,000.
    #[serde(default)]
    #[param(maximum = 10000, default = 100)]
    limit: Option<usize>,
}

/// The messages that were found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuarantineList)]
struct Found {
    #[serde(flatten)]
    listing: Listing,
    /// How full it is.
    quarantine: QuarantineStatus,
}

/// One message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuarantinedMessage)]
struct Shown {
    #[serde(flatten)]
    message: HeldMessage,
    /// Its header, whatever is no UTF-8 replaced.
    header: String,
}

/// Who is to have a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseAsked {
    /// Who asks.
    author: String,
    /// The recipients that are to have it, as the record has them; all where none is named.
    #[serde(default)]
    to: Vec<String>,
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
struct Deleted {
    /// Its name.
    #[schema(value_type = String)]
    id: Id,
}

/// Tells which messages are in quarantine, the newest first.
#[utoipa::path(
    get, path = "/api/v1/quarantine", tag = "quarantine", operation_id = "listQuarantine",
    params(Wanted),
    responses(
        (status = 200, body = Found, description = "The messages, and how full the quarantine is"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
    )
)]
async fn list(
    State(sources): State<Arc<Sources>>,
    Queried(wanted): Queried<Wanted>,
) -> Result<Json<Found>, Fault> {
    let Wanted { from, to, client, since, before, limit } = wanted;
    let selection = Selection { from, to, client, since, before };
    let limit = limit.unwrap_or(100).min(MOST);
    let found = with(&sources, move |quarantine| {
        let listing = quarantine.list(&selection, limit);
        Ok(Found { listing, quarantine: quarantine.status() })
    });
    found.await.map(Json)
}

/// Tells what is known of a message in quarantine, with its header.
#[utoipa::path(
    get, path = "/api/v1/quarantine/{id}", tag = "quarantine", operation_id = "showMessage",
    params(("id" = String, Path, description = "The name of the message: 13 letters and digits, the reference in the reply")),
    responses(
        (status = 200, body = Shown, description = "The message without its body"),
        (status = 404, description = "There is no message of that name"),
        (status = 409, description = "Somebody else releases or deletes it now"),
        (status = 422, description = "That is no name of a message"),
    )
)]
async fn show(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Fault> {
    let id = meant(&id)?;
    let shown = with(&sources, move |quarantine| {
        let message = quarantine.record(&id)?;
        let mut octets = Vec::new();
        let file = quarantine.open_message(&id)?;
        // What cannot be read is not shown; the record is there all the same.
        drop(file.take(HEADER).read_to_end(&mut octets));
        octets.truncate(header_end(&octets, 0).unwrap_or(octets.len()));
        Ok(Shown { message, header: String::from_utf8_lossy(&octets).into_owned() })
    });
    shown.await.map(Json)
}

/// Gives the octets of a message in quarantine as they are kept.
#[utoipa::path(
    get, path = "/api/v1/quarantine/{id}/message", tag = "quarantine", operation_id = "readMessage",
    params(("id" = String, Path, description = "The name of the message: 13 letters and digits, the reference in the reply")),
    responses(
        (status = 200, body = String, content_type = "message/rfc822", description = "The message as it came"),
        (status = 404, description = "There is no message of that name"),
        (status = 409, description = "Somebody else releases or deletes it now"),
        (status = 422, description = "That is no name of a message"),
    )
)]
async fn message(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let id = meant(&id)?;
    // No browser shows it in a page of ours.
    let kept = format!("attachment; filename=\"{id}.eml\"");
    let file = with(&sources, move |quarantine| quarantine.open_message(&id)).await?;
    let pieces = stream::try_unfold(file, |file| async move {
        let read = spawn_blocking(move || read_piece(file)).await;
        read.unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
    });
    let kind =
        [(header::CONTENT_TYPE, "message/rfc822".to_owned()), (header::CONTENT_DISPOSITION, kept)];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

/// The next piece with the file to go on with; `None` at the end.
fn read_piece(mut file: File) -> io::Result<Option<(Bytes, File)>> {
    let mut piece = vec![0; PIECE];
    let length = file.read(&mut piece)?;
    piece.truncate(length);
    Ok((length > 0).then(|| (Bytes::from(piece), file)))
}

/// Gives a message in quarantine to the next hop, for some recipients or all, and deletes it when all have it.
#[utoipa::path(
    post, path = "/api/v1/quarantine/{id}/release", tag = "quarantine", operation_id = "releaseMessage",
    params(("id" = String, Path, description = "The name of the message: 13 letters and digits, the reference in the reply")),
    request_body = ReleaseAsked,
    responses(
        (status = 200, body = Released, description = "What the next hop said"),
        (status = 404, description = "There is no message of that name"),
        (status = 409, description = "Somebody else releases or deletes it now, or there is no next hop"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 502, description = "The next hop did not take it; it stays in quarantine"),
    )
)]
async fn release(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
    Asked(asked): Asked<ReleaseAsked>,
) -> Result<Json<Released>, Fault> {
    let id = meant(&id)?;
    let author = on_one_line(&asked.author);
    let Some(front) = &sources.fronts.smtp else {
        let hint = "add a [[listener]] with its [next_hop], and restart the daemon";
        return Err(Fault::new(StatusCode::CONFLICT, "there is no next hop").hint(hint));
    };
    let released = front.release(&id, asked.to, &author).await;
    released.map(Json).map_err(|error| match error {
        ReleaseError::Quarantine(error) => refused(&error),
        ReleaseError::NoRecipient { .. } => Fault::new(StatusCode::UNPROCESSABLE_ENTITY, error),
        ReleaseError::NextHop(_) => Fault::new(StatusCode::BAD_GATEWAY, error)
            .hint("nothing is lost: the message stays in quarantine; try again when the next hop takes it"),
        ReleaseError::Unanswered(_) => Fault::new(StatusCode::BAD_GATEWAY, error)
            .hint("the message stays in quarantine; look in the log of the next hop whether it has it before you try again"),
    })
}

/// Deletes a message in quarantine for good.
#[utoipa::path(
    delete, path = "/api/v1/quarantine/{id}", tag = "quarantine", operation_id = "deleteMessage",
    params(("id" = String, Path, description = "The name of the message: 13 letters and digits, the reference in the reply")),
    request_body = Said,
    responses(
        (status = 200, body = Deleted, description = "It is deleted"),
        (status = 404, description = "There is no message of that name"),
        (status = 409, description = "Somebody else releases or deletes it now"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
    )
)]
async fn delete(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
    Asked(said): Asked<Said>,
) -> Result<Json<Deleted>, Fault> {
    let id = meant(&id)?;
    let author = on_one_line(&said.author).to_string();
    let audit = sources.engine.audit().clone();
    let deleted = with(&sources, move |quarantine| {
        let taken = quarantine.take(&id)?;
        let message = taken.record().ok();
        taken.remove()?;
        let event = Event::new(Clock::System.now(), EventKind::Deleted, &id, message.as_ref());
        audit.write(&Event { author: Some(&author), ..event });
        Ok(Deleted { id })
    });
    deleted.await.map(Json)
}

fn meant(id: &str) -> Result<Id, Fault> {
    id.parse().map_err(|error| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is no message")
            .detail(error)
            .hint("`portcullis quarantine list` shows what is there")
    })
}

/// Asks the quarantine, off the threads that carry mail.
async fn with<T: Send + 'static>(
    sources: &Sources,
    work: impl FnOnce(&Arc<Quarantine>) -> Result<T, QuarantineError> + Send + 'static,
) -> Result<T, Fault> {
    let quarantine = Arc::clone(&sources.quarantine);
    let done = spawn_blocking(move || work(&quarantine)).await;
    done.unwrap_or(Err(QuarantineError::Died)).map_err(|error| refused(&error))
}

/// Why something is not done, as an answer.
fn refused(error: &QuarantineError) -> Fault {
    let status = match error {
        QuarantineError::Unknown(_) => StatusCode::NOT_FOUND,
        QuarantineError::Taken(_) => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Fault::new(status, error).hint_if(error.hint())
}
