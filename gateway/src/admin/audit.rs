//! `/api/v1/audit`: records searched a page at a time, counted, and followed as they come.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{iter, unfold};
use futures_util::{Stream, StreamExt as _};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::queried::{Queried, limit};
use super::{Fault, Sources};
use crate::audit::{Archive, AuditError, Query, Veil};
use crate::clock::{Clock, Timestamp, moment};
use crate::records::{self, Counted, Counts, Wanted};

/// Records in a page where nothing else is asked for, and the most.
const PAGE: usize = 100;
const MOST: usize = 1000;
/// As long ago as counting begins when nobody says otherwise.
const SPAN: SignedDuration = SignedDuration::from_hours(1);
/// The most records that are counted: a second or two.
const COUNTED: u64 = 200_000;

/// Between two looks for records that have come.
const LOOK: Duration = Duration::from_millis(500);
/// Records that one look tells.
const AT_ONCE: usize = 500;
/// Each of those who follow reads all that is written.
static FOLLOWERS: Semaphore = Semaphore::const_new(8);

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(search)).routes(routes!(stats)).routes(routes!(follow))
}

/// A page of records.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Records)]
struct Page {
    /// The records, as the audit trail has them; see `audit.md`.
    #[schema(value_type = Vec<Object>, example = json!([{"reference": "3Y15F2JPVHMW4"}]))]
    records: Vec<Value>,
    /// What `after` has to be for more; `null` where there is no more.
    next: Option<String>,
    /// What could not be read, so that records may be missing.
    faults: Vec<String>,
}

/// Finds records of decisions, a page at a time; all that is said has to be so.
#[utoipa::path(
    get, path = "/api/v1/audit/search", tag = "records", operation_id = "searchRecords",
    params(Wanted),
    responses(
        (status = 200, body = Page, description = "A page of records, the newest first unless `oldest_first`"),
        (status = 404, description = "No records are kept where they can be searched"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
    )
)]
async fn search(
    State(sources): State<Arc<Sources>>,
    Queried(wanted): Queried<Wanted>,
) -> Result<Json<Page>, Fault> {
    let limit = limit(wanted.limit, PAGE, MOST)?;
    read(&sources, move |archive, veil| {
        let found = archive.search(&wanted.query(veil), limit)?;
        let next = found.next().map(|next| next.to_string());
        let records = found.records.into_iter().map(|found| found.record).collect();
        Ok((Page { records, next, faults: Vec::new() }, found.faults))
    })
    .await
    .map(|(page, faults)| Json(Page { faults, ..page }))
}

/// The time that is counted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Span {
    /// From when on: a time such as 2026-11-20T08:00:00Z or `2026-11-20 08:00` (UTC), or how long ago, such as 2d. An hour before `until` where it is missing.
    #[serde(default, deserialize_with = "moment::deserialize")]
    #[param(value_type = String)]
    since: Option<Timestamp>,
    /// Before that; now where it is missing.
    #[serde(default, deserialize_with = "moment::deserialize")]
    #[param(value_type = String)]
    until: Option<Timestamp>,
}

/// Records counted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Statistics)]
struct Stats {
    #[serde(flatten)]
    counts: Counts,
    /// False: there are more than are counted at once, and the newest were counted.
    complete: bool,
    /// From when on all are counted.
    counted_since: Timestamp,
    /// What could not be read, so that records may be missing.
    faults: Vec<String>,
}

/// Counts records by verdict, action, list and hour.
///
/// At most the 200,000 newest records of the time are counted; where there are more, `complete` is false.
#[utoipa::path(
    get, path = "/api/v1/audit/stats", tag = "records", operation_id = "countRecords",
    params(Span),
    responses(
        (status = 200, body = Stats, description = "The numbers"),
        (status = 404, description = "No records are kept where they can be searched"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
    )
)]
async fn stats(
    State(sources): State<Arc<Sources>>,
    Queried(Span { since, until }): Queried<Span>,
) -> Result<Json<Stats>, Fault> {
    count(&sources, since, until, COUNTED).await.map(Json)
}

/// Tells records of decisions as they come, as server-sent events; all that is said has to be so.
///
/// The `data` of an event `record` is one record. Of more than 500 in half a second the rest is only counted, by an event `left-out`. `limit`,
/// `after` and `oldest_first` say nothing here.
#[utoipa::path(
    get, path = "/api/v1/audit/follow", tag = "records", operation_id = "followRecords",
    params(Wanted),
    responses(
        (status = 200, body = String, content_type = "text/event-stream", description = "A stream without end"),
        (status = 404, description = "No records are kept where they can be searched"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
        (status = 503, description = "Eight follow already"),
    )
)]
async fn follow(
    State(sources): State<Arc<Sources>>,
    Queried(wanted): Queried<Wanted>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    let place = FOLLOWERS.try_acquire().map_err(|_full| {
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, "eight follow the records already")
            .hint("end one of them, or search again and again: `/api/v1/audit/search?since=10s`")
    })?;
    let (following, _faults) = read(&sources, move |archive, veil| {
        let query = Query { newest_first: false, ..wanted.query(veil) };
        Ok(((archive.follow()?, query), Vec::new()))
    })
    .await?;
    let looks = unfold((following, place), |((mut follower, query), place)| async move {
        sleep(LOOK).await;
        // Reads files, so it stays off the threads that carry mail.
        let looked = spawn_blocking(move || {
            let (mut lines, mut left_out) = (Vec::new(), 0_u64);
            let seen = follower.next(&query, |seen| {
                if lines.len() < AT_ONCE {
                    lines.push(seen.line.to_owned());
                } else {
                    left_out += 1;
                }
            });
            // A store that cannot be read ends the stream; whoever follows begins anew.
            seen.is_ok().then_some(((follower, query), lines, left_out))
        });
        let (following, lines, left_out) = looked.await.ok()??;
        let records = lines.into_iter().map(|line| Event::default().event("record").data(line));
        let left_out =
            (left_out > 0).then(|| Event::default().event("left-out").data(left_out.to_string()));
        let events: Vec<_> = records.chain(left_out).map(Ok).collect();
        Some((iter(events), (following, place)))
    });
    Ok(Sse::new(looks.flatten()).keep_alive(KeepAlive::default()))
}

async fn count(
    sources: &Sources,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    most: u64,
) -> Result<Stats, Fault> {
    let until = until.unwrap_or_else(|| Clock::System.now());
    let since = since.unwrap_or_else(|| until.checked_sub(SPAN).unwrap_or(until));
    let newest_first = Query { newest_first: true, ..Query::default() };
    let (counted, faults) = read(sources, move |archive, _veil| {
        let mut counted = Counts::of(archive, &newest_first, (since, until), most)?;
        let faults = std::mem::take(&mut counted.faults);
        Ok((counted, faults))
    })
    .await?;
    let Counted { counts, cut_at, .. } = counted;
    Ok(Stats { counts, complete: cut_at.is_none(), counted_since: cut_at.unwrap_or(since), faults })
}

/// Has `look` read the store, and tells what of it could not be read.
async fn read<T: Send + 'static>(
    sources: &Sources,
    look: impl FnOnce(&Archive, &Veil) -> Result<(T, Vec<AuditError>), AuditError> + Send + 'static,
) -> Result<(T, Vec<String>), Fault> {
    let config = sources.config.load_full();
    // Reads files, so it stays off the threads that carry mail.
    let read = spawn_blocking(move || {
        let archive = records::archive(&config).map_err(|fault| {
            Fault::new(StatusCode::NOT_FOUND, "no records can be searched")
                .detail(&fault)
                .hint(fault.hint())
        })?;
        let (veil, warning) = records::veil(&config.audit.privacy);
        let (found, faults) = look(&archive, &veil).map_err(|error| {
            Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the store of records cannot be read")
                .detail(&error)
                .hint_if(error.hint())
        })?;
        let faults = faults.iter().map(ToString::to_string);
        Ok((found, warning.into_iter().chain(faults).collect()))
    });
    read.await.map_err(|_panicked| Fault::died())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admin::testing::Site;

    /// Twenty records, one each minute, to recipients who are not written down.
    fn site() -> Site {
        let records: Vec<_> = (0..20)
            .map(|number| {
                json!({
                    "schema": 1, "time": format!("2026-11-20T08:{number:02}:00Z"),
                    "reference": format!("R{number:012}"), "phase": "connect",
                    "code": if number % 2 == 0 { "sys-deny-ip" } else { "accept" },
                    "action": if number % 2 == 0 { "reject" } else { "accept" },
                    "list": "bad", "client": format!("192.0.2.{number}"),
                    "sender": format!("a{number}@example.com"), "recipients": ["b@example.org"],
                })
            })
            .collect();
        Site::with_records("[audit.privacy]\nrecipients = \"hash\"", &records)
    }

    fn references(answer: &Value) -> Vec<&str> {
        let records = answer["records"].as_array().unwrap();
        records.iter().map(|record| record["reference"].as_str().unwrap()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn records_are_found_by_every_word_a_page_at_a_time() {
        let site = site();
        for (query, count) in [
            ("", 20),
            ("code=sys-deny-ip", 10),
            ("action=accept&list=bad&phase=connect", 10),
            ("address=192.0.2.0/29", 8),
            ("address=192.0.2.7", 1),
            ("reference=r000000000003", 1),
            ("sender=%3CA3@EXAMPLE.com%3E", 1),
            ("sender_domain=example.com", 20),
            // Veiled in the trail, and found all the same.
            ("recipient=b@example.org", 20),
            ("recipient=c@example.org", 0),
            ("recipient_domain=example.org", 20),
            ("since=2026-11-20T08:10:00Z", 10),
            ("since=2026-11-20T08:10:00Z&until=2026-11-20%2008:12", 2),
            ("zone=none", 0),
            ("message_id=none", 0),
            ("queue_id=none", 0),
        ] {
            let (status, answer) =
                site.get(&routes(), &format!("/api/v1/audit/search?{query}")).await;
            assert_eq!(status, 200, "{query}: {answer:#}");
            assert_eq!(references(&answer).len(), count, "{query}");
            assert_eq!((&answer["next"], &answer["faults"]), (&Value::Null, &json!([])));
        }
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/api/v1/audit/search?limit=7&oldest_first=true{after}");
            let (_, answer) = site.get(&routes(), &path).await;
            seen.extend(references(&answer).into_iter().map(ToOwned::to_owned));
            let Some(next) = answer["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(seen, (0..20).map(|number| format!("R{number:012}")).collect::<Vec<_>>());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_search_is_told() {
        let site = site();
        for (query, detail) in [
            ("code=a&colour=red", "unknown field `colour`"),
            ("address=mars", "mars"),
            ("since=soon", "`soon`, expected a time"),
            ("limit=0", "0, expected 1 to 1000"),
            ("limit=1001", "1001, expected 1 to 1000"),
            ("limit=many", "invalid digit"),
            ("after=here", "\"here\", expected the `next`"),
        ] {
            let (status, fault) =
                site.get(&routes(), &format!("/api/v1/audit/search?{query}")).await;
            assert_eq!(status, 422, "{query}: {fault:#}");
            assert!(fault["detail"].as_str().unwrap().contains(detail), "{query}: {fault:#}");
        }
        let off = Site::new("").without_store();
        for path in ["/api/v1/audit/search", "/api/v1/audit/stats"] {
            let (status, fault) = off.get(&routes(), path).await;
            assert_eq!((status, fault["hint"].is_string()), (404, true), "{fault:#}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn records_are_counted_up_to_a_bound_the_newest_first() {
        let site = site();
        let path = "/api/v1/audit/stats?since=2026-11-20&until=2026-11-21";
        let (status, answer) = site.get(&routes(), path).await;
        assert_eq!((status, &answer["complete"]), (200, &json!(true)), "{answer:#}");
        assert_eq!(answer["codes"], json!({"accept": 10, "sys-deny-ip": 10}));
        assert_eq!(answer["hours"], json!({"2026-11-20T08Z": 20}));
        assert_eq!(answer["counted_since"], "2026-11-20T00:00:00Z");
        assert_eq!(answer["store"]["records"], 20);
        // The last hour, in which nothing was.
        let (_, now) = site.get(&routes(), "/api/v1/audit/stats").await;
        assert_eq!((&now["records"], &now["complete"]), (&json!(0), &json!(true)));
        let [since, until] = ["2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"];
        let few = count(&site.sources, since.parse().ok(), until.parse().ok(), 5).await.unwrap();
        assert_eq!((few.counts.records, few.complete), (5, false));
        assert_eq!(few.counted_since.to_string(), "2026-11-20T08:14:00Z");
    }
}
