//! `/api/v1/zones`: how zones are, which are asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Asked, Said, ask, refused};
use crate::admin::{Fault, Sources};
use crate::dns::{ZoneStatus, ZoneTest};
use crate::refresh::{Request, ZoneChange, ZoneChanged, ZoneWhat};

/// A zone that is wanted: a table of the configuration.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedZone {
    /// Who asks.
    author: String,
    /// The zone as a `[[zone]]` table of the configuration, in TOML.
    spec: String,
}

type Answer = Result<Json<ZoneChanged>, Fault>;

/// Tells how each DNS zone is.
#[utoipa::path(
    get, path = "/api/v1/zones", tag = "zones", operation_id = "showZones",
    responses(
        (status = 200, body = Vec<ZoneStatus>, description = "Each zone"),
    )
)]
pub(super) async fn show(State(sources): State<Arc<Sources>>) -> Json<Vec<ZoneStatus>> {
    Json(sources.zones.status())
}

/// Asks for the test entries of a zone now.
#[utoipa::path(
    post, path = "/api/v1/zones/{zone}/test", tag = "zones", operation_id = "testZone",
    params(("zone" = String, Path, description = "The name of the zone")),
    responses(
        (status = 200, body = ZoneTest, description = "What it answered"),
        (status = 404, description = "There is no zone of that name"),
    )
)]
pub(super) async fn test(
    State(sources): State<Arc<Sources>>,
    Path(zone): Path<String>,
) -> Result<Json<ZoneTest>, Fault> {
    sources.zones.test(&zone).await.map(Json).ok_or_else(|| {
        Fault::new(StatusCode::NOT_FOUND, "there is no zone of that name")
            .hint("`portcullis zones` names the zones")
    })
}

/// Adds a zone.
#[utoipa::path(
    post, path = "/api/v1/zones", tag = "zones", operation_id = "addZone",
    request_body = WantedZone,
    responses(
        (status = 200, body = ZoneChanged, description = "What was done"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn add(
    State(sources): State<Arc<Sources>>,
    Asked(WantedZone { author, spec }): Asked<WantedZone>,
) -> Answer {
    let zone = sources.zone_of(&spec).map_err(|fault| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is no zone").detail(fault)
    })?;
    let name = zone.name.to_string();
    let what = ZoneWhat::Add { zone: Arc::new(zone), spec };
    change(&sources, ZoneChange { zone: name, author, what }).await
}

/// Removes a zone that was added by a command.
#[utoipa::path(
    delete, path = "/api/v1/zones/{zone}", tag = "zones", operation_id = "removeZone",
    params(("zone" = String, Path, description = "The name of the zone")),
    request_body = Said,
    responses(
        (status = 200, body = ZoneChanged, description = "What was done"),
        (status = 404, description = "There is no zone of that name"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn remove(
    State(sources): State<Arc<Sources>>,
    Path(zone): Path<String>,
    Asked(Said { author }): Asked<Said>,
) -> Answer {
    change(&sources, ZoneChange { zone, author, what: ZoneWhat::Remove }).await
}

/// Switches a zone on.
#[utoipa::path(
    post, path = "/api/v1/zones/{zone}/enable", tag = "zones", operation_id = "enableZone",
    params(("zone" = String, Path, description = "The name of the zone")),
    request_body = Said,
    responses(
        (status = 200, body = ZoneChanged, description = "What was done"),
        (status = 404, description = "There is no zone of that name"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn enable(
    State(sources): State<Arc<Sources>>,
    Path(zone): Path<String>,
    Asked(Said { author }): Asked<Said>,
) -> Answer {
    change(&sources, ZoneChange { zone, author, what: ZoneWhat::Enable }).await
}

/// Switches a zone off.
#[utoipa::path(
    post, path = "/api/v1/zones/{zone}/disable", tag = "zones", operation_id = "disableZone",
    params(("zone" = String, Path, description = "The name of the zone")),
    request_body = Said,
    responses(
        (status = 200, body = ZoneChanged, description = "What was done"),
        (status = 404, description = "There is no zone of that name"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
pub(super) async fn disable(
    State(sources): State<Arc<Sources>>,
    Path(zone): Path<String>,
    Asked(Said { author }): Asked<Said>,
) -> Answer {
    change(&sources, ZoneChange { zone, author, what: ZoneWhat::Disable }).await
}

async fn change(sources: &Sources, change: ZoneChange) -> Answer {
    let changed = ask(sources, |done| Request::Zone(change, done)).await?;
    changed.map(Json).map_err(|error| refused(&error))
}
