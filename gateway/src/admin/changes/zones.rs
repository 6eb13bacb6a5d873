//! `/api/v1/zones`: how zones are, which are asked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::{Asked, Said, ask, refused};
use crate::admin::{Fault, Sources};
use crate::dns::{ZoneStatus, ZoneTest};
use crate::refresh::{Request, ZoneChange, ZoneChanged, ZoneWhat};

/// A zone that is wanted: a table of the configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedZone {
    author: String,
    spec: String,
}

type Answer = Result<Json<ZoneChanged>, Fault>;

/// How each zone is.
pub(super) async fn show(State(sources): State<Arc<Sources>>) -> Json<Vec<ZoneStatus>> {
    Json(sources.zones.status())
}

/// Asks for the test entries of a zone now.
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

/// Removes a zone that was added.
pub(super) async fn remove(
    State(sources): State<Arc<Sources>>,
    Path(zone): Path<String>,
    Asked(Said { author }): Asked<Said>,
) -> Answer {
    change(&sources, ZoneChange { zone, author, what: ZoneWhat::Remove }).await
}

/// Switches a zone on.
pub(super) async fn enable(
    State(sources): State<Arc<Sources>>,
    Path(zone): Path<String>,
    Asked(Said { author }): Asked<Said>,
) -> Answer {
    change(&sources, ZoneChange { zone, author, what: ZoneWhat::Enable }).await
}

/// Switches a zone off.
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
