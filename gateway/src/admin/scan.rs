//! `/api/v1/scan`: what would be decided about a message, and by which hop.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::explain::{LONGEST, unread};
use super::queried::Queried;
use super::{Fault, Sources};
use crate::engine::{Client, Engine, MessageHead};
use crate::net::fold;
use crate::policy::{
    Action, AddressRecord, Band, Decision, Envelope, Evidence, Offending, Phase, Reply, Verdict,
};
use crate::smtp::{self, Limits};

/// What would be decided about a message.
#[derive(Debug)]
pub struct Scanned {
    client: IpAddr,
    decision: Decision,
}

/// The same, as it is shown.
#[derive(Debug, Serialize)]
pub struct ScanAnswer<'a> {
    /// Who hands the message over.
    pub client: IpAddr,
    /// Who handed it to our own relays.
    pub logical_client: Option<IpAddr>,
    /// All hops, the client first.
    pub addresses: Vec<AddressRecord<'a>>,
    /// What would be decided.
    pub verdict: Verdict,
    /// The same as a code.
    pub code: &'static str,
    /// What would be done.
    pub action: Action,
    /// Whether it would be done, and not only told.
    pub enforced: bool,
    /// The address that decides.
    pub offending: Option<&'a Offending>,
    /// The score.
    pub score: Option<u16>,
    /// What the score comes to.
    pub band: Option<Band>,
    /// What the score is made of.
    pub evidence: &'a [Evidence],
    /// What the client would be told.
    pub reply: Option<&'a Reply>,
}

impl Scanned {
    /// Judges the message that begins with `octets` as the proxy does: its limits first, then the addresses. Nothing is recorded.
    pub async fn of(engine: &Engine, limits: &Limits, client: IpAddr, octets: &[u8]) -> Self {
        let (ip, header) = (fold(client), header(octets, limits.header));
        let client = Client::new(SocketAddr::new(ip, 0), SocketAddr::from(([0, 0, 0, 0], 25)));
        if let Some(reply) = smtp::header_fault(header, limits) {
            let (phase, verdict) = (Phase::Message, Verdict::Protocol);
            let decision = engine.own(&client, phase, verdict, Action::RejectMessage, reply);
            return Self { client: ip, decision };
        }
        let envelope = Envelope::default();
        let (route, proved) = (None, None);
        let head = MessageHead { client: &client, route, envelope: &envelope, header, proved };
        Self { client: ip, decision: engine.look_at_message(head).await }
    }

    /// Whether the message would be refused or deferred.
    pub fn refuses(&self) -> bool {
        self.decision.effective().refuses()
    }

    /// What is shown.
    pub fn answer(&self) -> ScanAnswer<'_> {
        let Self { client, decision } = self;
        let score = decision.score.as_ref();
        ScanAnswer {
            client: *client,
            logical_client: decision.logical_client,
            addresses: decision.addresses.iter().map(AddressRecord::new).collect(),
            verdict: decision.verdict,
            code: decision.verdict.code(),
            action: decision.action,
            enforced: decision.enforced,
            offending: decision.offending.as_ref(),
            score: score.map(|score| score.value),
            band: score.map(|score| score.band),
            evidence: score.map_or(&[], |score| &score.evidence),
            reply: decision.reply.as_ref(),
        }
    }
}

/// The header of a message with the empty line, and of one that has none within `limit` one octet more than that.
fn header(octets: &[u8], limit: usize) -> &[u8] {
    let octets = octets.get(..=limit).unwrap_or(octets);
    let ends = [b"\n\n".as_slice(), b"\n\r\n"].map(|end| {
        octets.windows(end.len()).position(|window| window == end).map(|start| start + end.len())
    });
    let end = ends.into_iter().flatten().min();
    end.and_then(|end| octets.get(..end)).unwrap_or(octets)
}

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(scan).layer(DefaultBodyLimit::max(LONGEST)))
}

/// Who hands the message over.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The address of the client.
    #[param(value_type = String)]
    client: IpAddr,
}

/// Says what would be decided about a message that a client hands over; changes and records nothing.
#[utoipa::path(
    post, path = "/api/v1/scan", tag = "decisions", operation_id = "scanMessage",
    params(Wanted),
    request_body(content = String, content_type = "text/plain", description = "A message or its header, at most 1 MiB"),
    responses(
        (status = 200, body = Object, description = "As `portcullis scan --json` has it"),
        (status = 413, description = "The message is longer than 1 MiB"),
        (status = 422, description = "`client` is no address"),
    )
)]
async fn scan(
    State(sources): State<Arc<Sources>>,
    Queried(Wanted { client }): Queried<Wanted>,
    message: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Fault> {
    let message = message.map_err(|fault| unread(&fault))?;
    let limits = sources.config.load().limits.clone();
    let scanned = Scanned::of(&sources.engine, &limits, client, &message).await;
    Ok(Json(serde_json::to_value(scanned.answer()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use super::*;
    use crate::admin::changes;
    use crate::admin::testing::Site;

    const LISTS: &str =
        "[[list]]\nname = \"bad\"\nclass = \"open-proxy\"\naction = \"reject-message\"";

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hop_that_is_listed_decides_and_nothing_is_counted() {
        let site = Site::new(LISTS);
        let router = routes().merge(changes::routes());
        let path = "/api/v1/lists/bad/entries?author=me";
        let (status, answer) = site.ask(&router, Method::PUT, path, "198.51.100.66\n").await;
        assert_eq!(status, 200, "{answer:#}");
        let hop = "Received: from a (a [198.51.100.66]) by b\r\n\r\nhello\r\n";
        let loops = "Received: x\n".repeat(1000);
        for (client, message, code, offending) in [
            ("192.0.2.1", hop, "open-proxy", json!("198.51.100.66")),
            ("::ffff:192.0.2.1", hop, "open-proxy", json!("198.51.100.66")),
            (
                "192.0.2.1",
                "Subject: x\n\nReceived: from a [198.51.100.66]\n",
                "accept",
                Value::Null,
            ),
            ("192.0.2.1", &loops, "protocol", Value::Null),
            ("192.0.2.1", "", "accept", Value::Null),
        ] {
            let path = format!("/api/v1/scan?client={client}");
            let (status, answer) =
                site.ask(&routes(), Method::POST, &path, message.to_owned()).await;
            assert_eq!(status, 200, "{answer:#}");
            assert_eq!(answer["client"], "192.0.2.1");
            assert_eq!(answer["offending"]["ip"], offending, "{answer:#}");
            assert_eq!(answer["code"], code, "{answer:#}");
        }
        let took = site.sources.engine.times().took();
        let counted: u64 = took.iter().flat_map(|took| &took.buckets).map(|it| it.1).sum();
        assert_eq!(counted, 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_scanned_is_told() {
        let site = Site::new("");
        for (query, length, status, text) in [
            ("", 1, 422, "missing field `client`"),
            ("?client=mars", 1, 422, "invalid IP address"),
            ("?client=192.0.2.1", LONGEST + 1, 413, "at most 1048576 octets"),
        ] {
            let path = format!("/api/v1/scan{query}");
            let message = "x".repeat(length);
            let (found, fault) = site.ask(&routes(), Method::POST, &path, message).await;
            assert_eq!((found, fault.to_string().contains(text)), (status, true), "{fault:#}");
        }
    }
}
