//! `/api/v1/tap`: what happens to an address, line by line while it happens, until the time is over or the client hangs up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::info;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::author::Asked;
use super::{Fault, Sources};
use crate::audit;
use crate::clock::Clock;
use crate::net::Prefix;
use crate::tap::{EventKind, LONGEST, Next, Tap, TapEvent};
use crate::xdp;

/// The most letters in the name of whoever follows.
const MOST_AUTHOR: usize = 100;

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(follow))
}

/// Who is to be followed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedTap)]
struct Wanted {
    /// An address or a prefix.
    #[schema(example = "2001:db8::/48")]
    prefix: String,
    /// For how many seconds.
    #[schema(minimum = 1, maximum = 86400)]
    for_s: u64,
    /// Who asks, one line of at most 100 characters.
    author: String,
}

/// Somebody who follows; when the connection goes, so does this, and the record of its end is written.
struct Session {
    tap: Tap,
    prefix: Prefix,
    author: Box<str>,
    for_s: u64,
    audit: audit::Writer,
    begun: Instant,
    lines: u64,
    /// The line that comes before all others.
    first: Option<Value>,
    is_over: bool,
}

/// Tells what happens to an address or network while it happens.
///
/// The answer goes on until the time is over or the client hangs up: one JSON object in each line, with `event`. The first
/// is `begin`; `lost` says how many lines had no place; the last is `end`.
#[utoipa::path(
    post, path = "/api/v1/tap", tag = "tap", operation_id = "followAddress",
    request_body = Wanted,
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson", description = "Lines of JSON"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 429, description = "Too many are followed already"),
    )
)]
async fn follow(
    State(sources): State<Arc<Sources>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Fault> {
    let Wanted { prefix, for_s, author } = wanted;
    let prefix: Prefix = prefix.parse().map_err(|fault| {
        refused(&fault).hint("an address or a prefix, such as 192.0.2.1 or 2001:db8::/48")
    })?;
    let time = Duration::from_secs(for_s);
    if time > LONGEST || time.is_zero() {
        return Err(refused(&format!("for {for_s} s, expected 1 s to 24 h")));
    }
    let is_line = !author.trim().is_empty() && !author.chars().any(char::is_control);
    if !is_line || author.chars().count() > MOST_AUTHOR {
        return Err(refused(&"the author is not one line of at most 100 letters"));
    }
    let tap = sources.engine.taps().follow(prefix, time).map_err(|fault| {
        Fault::new(StatusCode::TOO_MANY_REQUESTS, fault)
            .hint("end one with Ctrl-C, or wait until its time is over")
    })?;
    let session = Session {
        tap,
        prefix,
        author: author.into(),
        for_s,
        audit: sources.engine.audit().clone(),
        begun: Instant::now(),
        lines: 0,
        first: Some(first_line(prefix, for_s, &sources.xdp)),
        is_over: false,
    };
    session.begin();
    let lines = unfold(session, async |mut session| {
        let line = session.next().await?;
        Some((Ok::<_, Infallible>(line), session))
    });
    let head = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((head, Body::from_stream(lines)).into_response())
}

/// What is followed, and how far the kernel tells of it.
fn first_line(prefix: Prefix, for_s: u64, xdp: &xdp::Config) -> Value {
    json!({
        "event": "begin",
        "prefix": prefix,
        "for_s": for_s,
        "kernel": {
            "filter": xdp.mode != xdp::Mode::Off,
            "events_per_second": xdp.events_per_second,
        },
    })
}

fn refused(detail: &impl ToString) -> Fault {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "nobody is followed").detail(detail.to_string())
}

impl Session {
    fn begin(&self) {
        let Self { prefix, author, for_s, .. } = self;
        info!(target: "tap", "begun prefix={prefix} for={for_s} s by {author}");
        self.audit.write(&TapEvent::begun(Clock::System.now(), *prefix, author, *for_s));
    }

    /// The next line with its end; `None` when all is said.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(format!("{first}\n"));
        }
        if self.is_over {
            return None;
        }
        Some(match self.tap.next().await {
            Next::Line(line) => {
                self.lines += 1;
                format!("{line}\n")
            }
            Next::Lost(lines) => format!("{}\n", json!({"event": "lost", "lines": lines})),
            Next::End => {
                self.is_over = true;
                let (lines, lost) = (self.lines, self.tap.lost());
                format!("{}\n", json!({"event": "end", "lines": lines, "lost": lost}))
            }
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (lines, lost) = (self.lines, self.tap.lost());
        let lasted = self.begun.elapsed().as_secs();
        let (prefix, author) = (self.prefix, &*self.author);
        info!(target: "tap", "ended prefix={prefix} after={lasted} s lines={lines} lost={lost}");
        let event = TapEvent::begun(Clock::System.now(), prefix, author, self.for_s);
        let lasted_s = Some(lasted);
        let (lines, lost) = (Some(lines), Some(lost));
        self.audit.write(&TapEvent { event: EventKind::Ended, lasted_s, lines, lost, ..event });
    }
}
