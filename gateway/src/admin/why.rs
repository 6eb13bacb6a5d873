//! `/api/v1/why/WHAT`: why mail was refused, put off or let in, by reference, address, Message-ID or the name in a queue.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::join_all;
use serde::Deserialize;
use tokio::task::spawn_blocking;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::queried::Queried;
use super::{Fault, LookupAnswer, Sources};
use crate::clock::{Timestamp, moment};
use crate::why::{Answer, Found, Question, Trail};

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(show))
}

/// What is asked beside the name.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// What was so at this time, such as 2026-11-20T08:00:00Z, `2026-11-20 08:00` (UTC), or how long ago, such as 2d.
    #[serde(default, deserialize_with = "moment::deserialize")]
    #[param(value_type = String)]
    at: Option<Timestamp>,
    /// Whether a reference of the kernel's was given to this address.
    #[serde(default)]
    #[param(value_type = String, example = "192.0.2.1")]
    client: Option<IpAddr>,
}

/// Tells why mail was refused, put off or let in.
#[utoipa::path(
    get, path = "/api/v1/why/{what}", tag = "decisions", operation_id = "explain",
    params(
        ("what" = String, Path, description = "A reference, an address, a Message-ID or the name in a mail server's queue, percent-encoded"),
        Wanted,
    ),
    responses(
        (status = 200, body = Answer, description = "The decisions that were found, told in words; `kind` is `nothing` where there are none"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
    )
)]
async fn show(
    State(sources): State<Arc<Sources>>,
    Path(what): Path<String>,
    Queried(Wanted { at, client }): Queried<Wanted>,
) -> Result<Json<Answer>, Fault> {
    let config = sources.config.load_full();
    let question = Question { what, at, client };
    let found = {
        let config = Arc::clone(&config);
        // Reads files, so it stays off the threads that carry mail.
        spawn_blocking(move || Found::find(&config, Trail::new(&config).in_short(), question)).await
    };
    let found = found.map_err(|_panicked| Fault::died())?;
    let Sources { engine, xdp, memory, .. } = &*sources;
    let now = found
        .addresses()
        .into_iter()
        .map(async |address| (address, LookupAnswer::about(engine, xdp, memory, address).await));
    // Each may ask DNS, and has its time for that: all at once take no longer than one.
    let now = join_all(now).await.into_iter().collect();
    Ok(Json(found.tell(&config, &now)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::admin::testing::Site;

    const REFERENCE: &str = "3Y15F2JPVHMW4";

    fn record(second: u32, client: &str) -> Value {
        json!({
            "schema": 1, "time": format!("2026-11-20T08:00:{second:02}Z"), "reference": REFERENCE, "phase": "connect",
            "code": "sys-deny-ip", "verdict": "System denied IP", "action": "reject", "enforced": true,
            "client": client, "logical_client": client, "list": "bad", "entry": "198.51.100.66",
            "message_id": "<one@example.com>", "queue_id": "4Abc",
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_kind_of_name_is_told_in_one_shape() {
        let site = Site::with_records(
            "[[list]]\nname = \"bad\"\nclass = \"local-bad\"",
            &[record(1, "198.51.100.66")],
        );
        let router = routes();
        for (what, kind, stories, address) in [
            (REFERENCE, "records", 1, Value::Null),
            ("3y15f2jpvhmw4", "records", 1, Value::Null),
            ("%3Cone@example.com%3E", "records", 1, Value::Null),
            ("4Abc", "records", 1, Value::Null),
            ("198.51.100.66", "address", 1, json!("198.51.100.66")),
            ("198.51.100.66?at=2026-11-20%2008:00", "address", 1, json!("198.51.100.66")),
            ("198.51.100.66?at=2026-11-21", "address", 0, json!("198.51.100.66")),
            ("192.0.2.1", "address", 0, json!("192.0.2.1")),
            ("nobody@example.com", "nothing", 0, Value::Null),
            ("AAAAAAAAAAAAA?client=192.0.2.1", "nothing", 0, Value::Null),
        ] {
            let (status, answer) = site.get(&router, &format!("/api/v1/why/{what}")).await;
            assert_eq!(status, 200, "{what}: {answer:#}");
            let found = (&answer["kind"], answer["stories"].as_array().unwrap().len());
            assert_eq!(found, (&json!(kind), stories), "{what}: {answer:#}");
            assert_eq!(answer["address"]["ip"], address, "{what}");
            assert_eq!((&answer["warnings"], &answer["kernel"]), (&json!([]), &Value::Null));
        }
        let (_, answer) = site.get(&router, &format!("/api/v1/why/{REFERENCE}")).await;
        let told = &answer["stories"][0];
        assert_eq!(
            (&told["client"], &told["entry_removed"]),
            (&json!("198.51.100.66"), &Value::Null)
        );
        // What would be decided now comes from the engine: no list has it any more.
        assert_eq!(told["story"]["stands"]["stands"], false, "{told:#}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_read_is_no_question() {
        let site = Site::new("");
        for (query, detail) in [
            ("at=yesterday", "`yesterday`, expected a time"),
            ("client=nobody", "invalid IP address"),
            ("clint=192.0.2.1", "unknown field `clint`"),
        ] {
            let path = format!("/api/v1/why/{REFERENCE}?{query}");
            let (status, fault) = site.get(&routes(), &path).await;
            assert_eq!(status, 422, "{query}");
            assert!(fault["detail"].as_str().unwrap().contains(detail), "{query}: {fault:#}");
            assert!(fault["hint"].is_string());
        }
    }
}
