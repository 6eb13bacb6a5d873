//! `/api/v1/explain`: what a bounce or a pasted error means, whether it was this host, and what to do about it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::queried::Queried;
use super::{Fault, LookupAnswer, Sources};
use crate::explain::{Answer, Found};
use crate::why::Trail;

/// The longest text, in octets.
pub(super) const LONGEST: usize = 1 << 20;

/// How many are looked for at once: each may read the whole file of records.
static TURNS: Semaphore = Semaphore::const_new(2);

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(explain).layer(DefaultBodyLimit::max(LONGEST)))
}

/// Nothing is asked beside the text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What the text means.
#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    answer: Answer,
    /// What could not be read or asked, so that something may be missing.
    warnings: Vec<String>,
}

/// Says what a bounce, a pasted error or a log line means, and whether it was this host; changes nothing.
#[utoipa::path(
    post, path = "/api/v1/explain", tag = "decisions", operation_id = "explainText",
    request_body(content = String, content_type = "text/plain", description = "A bounce, an error, a log line or a message, at most 1 MiB"),
    responses(
        (status = 200, body = Object, description = "As `portcullis explain --json` has it, with `warnings` of what could not be read"),
        (status = 413, description = "The text is longer than 1 MiB"),
        (status = 422, description = "There is a parameter, and none is known"),
    )
)]
async fn explain(
    State(sources): State<Arc<Sources>>,
    Queried(Nothing {}): Queried<Nothing>,
    text: Result<Bytes, BytesRejection>,
) -> Result<Json<Explained>, Fault> {
    let text = text.map_err(|fault| unread(&fault))?;
    let config = sources.config.load_full();
    let mut found = {
        let _turn = TURNS.acquire().await.map_err(|_closed| Fault::died())?;
        let config = Arc::clone(&config);
        // Reads files, so it stays off the threads that carry mail.
        let found = spawn_blocking(move || {
            Found::find(&config, Trail::new(&config).in_short(), &text, false)
        })
        .await;
        found.map_err(|_panicked| Fault::died())?
    };
    found.ask_dns(&config).await;
    let Sources { engine, xdp, memory, .. } = &*sources;
    let now = match found.address() {
        Some(address) => Some(LookupAnswer::about(engine, xdp, memory, address).await),
        None => None,
    };
    let warnings = found.warnings().to_vec();
    Ok(Json(Explained { answer: found.tell(&config, now), warnings }))
}

/// Why a text is not looked at.
pub(super) fn unread(fault: &BytesRejection) -> Fault {
    Fault::new(fault.status(), "what was sent cannot be read")
        .detail(fault.body_text())
        .hint(format!("send at most {LONGEST} octets: what comes first tells the most"))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::admin::testing::Site;

    const PATH: &str = "/api/v1/explain";
    const REFERENCE: &str = "3Y15F2JPVHMW4";

    fn site() -> Site {
        let record = json!({
            "schema": 1, "time": "2026-11-20T08:00:01Z", "reference": REFERENCE, "phase": "connect",
            "code": "sys-deny-ip", "verdict": "System denied IP", "action": "reject", "enforced": true,
            "client": "198.51.100.66", "logical_client": "198.51.100.66", "list": "bad",
            "entry": "198.51.100.66",
        });
        Site::with_records("[[list]]\nname = \"bad\"\nclass = \"local-bad\"", &[record])
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whose_bounce_it_was_and_what_is_behind_it_are_told() {
        let site = site();
        let ours = "554 5.7.1 you are not allowed to connect";
        for (text, whose, found_by, address) in [
            (
                format!("{ours}; reference {REFERENCE}"),
                "us",
                json!("reference"),
                json!("198.51.100.66"),
            ),
            (
                format!("host mx1.example.org[192.0.2.1] said: {ours}; reference AAAAAAAAAAAAA"),
                "us",
                Value::Null,
                Value::Null,
            ),
            (
                format!("host a.example[203.0.113.1] said: {ours}; reference AAAAAAAAAAAAA"),
                "somebody-else",
                Value::Null,
                Value::Null,
            ),
            ("good morning".to_owned(), "unknown", Value::Null, Value::Null),
            ("\0\u{1b}[2J".to_owned(), "unknown", Value::Null, Value::Null),
            (String::new(), "unknown", Value::Null, Value::Null),
        ] {
            let (status, answer) = site.ask(&routes(), Method::POST, PATH, text.clone()).await;
            assert_eq!(status, 200, "{text}: {answer:#}");
            assert_eq!(
                (&answer["whose"], &answer["decision"]["found_by"], &answer["address"]),
                (&json!(whose), &found_by, &address),
                "{text}: {answer:#}"
            );
            assert_eq!(answer["now"]["ip"], address, "{text}");
            assert_eq!(answer["story"].is_null(), found_by.is_null(), "{text}");
            assert!(!answer["next"].as_array().unwrap().is_empty(), "{text}");
            assert_eq!((&answer["cut"], &answer["warnings"]), (&json!(false), &json!([])));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_too_long_or_asked_otherwise_is_told() {
        let site = site();
        for (path, length, status, text) in [
            (PATH.to_owned(), LONGEST + 1, 413, "at most 1048576 octets"),
            (format!("{PATH}?dns=no"), 1, 422, "unknown field `dns`"),
        ] {
            let (found, fault) = site.ask(&routes(), Method::POST, &path, "x".repeat(length)).await;
            assert_eq!((found, fault.to_string().contains(text)), (status, true), "{fault:#}");
        }
    }
}
