//! `/api/v1/log`: what each component says, and more of it for a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::author::Asked;
use super::{Fault, Sources};
use crate::audit;
use crate::clock::Clock;
use crate::levels::{COMPONENTS, LevelEvent, LevelFault, LevelsReport, Raise};
use crate::policy::SCHEMA;

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(show, set, reset))
}

/// What is to be raised.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedLevels)]
struct Wanted {
    /// The level of each component: `error`, `warn`, `info`, `debug` or `trace`.
    #[schema(example = json!({"lists": "debug"}))]
    levels: BTreeMap<String, String>,
    /// For how many seconds.
    #[schema(minimum = 1, maximum = 86400)]
    for_s: u64,
    /// Who asks.
    author: String,
}

/// What is to fall back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedReset)]
struct Back {
    /// Who asks.
    author: String,
    /// Which; all where none is named.
    #[serde(default)]
    components: Vec<String>,
}

/// Tells what each component of the daemon says in the log.
#[utoipa::path(
    get, path = "/api/v1/log", tag = "log", operation_id = "showLevels",
    responses(
        (status = 200, body = LevelsReport, description = "The level of each component"),
    )
)]
async fn show(State(sources): State<Arc<Sources>>) -> Json<LevelsReport> {
    Json(sources.levels.report())
}

/// Has components say more for a while: all that are named, or none; what is raised already is raised anew.
#[utoipa::path(
    post, path = "/api/v1/log", tag = "log", operation_id = "raiseLevels",
    request_body = Wanted,
    responses(
        (status = 200, body = LevelsReport, description = "The level of each component now"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
    )
)]
async fn set(
    State(sources): State<Arc<Sources>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<LevelsReport>, Fault> {
    let Wanted { levels, for_s, author } = wanted;
    let time = Duration::from_secs(for_s);
    if levels.is_empty() {
        return Err(refused(&LevelFault::Nothing));
    }
    let raises = levels.iter().map(|(name, level)| Raise::lasting(name, level, time, &author));
    let raises = raises.collect::<Result<Vec<_>, _>>().map_err(|fault| refused(&fault))?;
    let events = sources.levels.raise(raises, Clock::System.now());
    record(&sources, &events.map_err(|fault| refused(&fault))?);
    Ok(Json(sources.levels.report()))
}

/// Has components say again what the configuration says.
#[utoipa::path(
    delete, path = "/api/v1/log", tag = "log", operation_id = "resetLevels",
    request_body = Back,
    responses(
        (status = 200, body = LevelsReport, description = "The level of each component now"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
    )
)]
async fn reset(
    State(sources): State<Arc<Sources>>,
    Asked(back): Asked<Back>,
) -> Result<Json<LevelsReport>, Fault> {
    let known = |name: &String| COMPONENTS.iter().find(|component| component.name == name);
    let found = back.components.iter().map(|name| {
        known(name)
            .map(|component| component.name)
            .ok_or_else(|| refused(&LevelFault::Component { name: name.as_str().into() }))
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let now = Clock::System.now();
    if found.is_empty() {
        record(&sources, &sources.levels.reset(None, &back.author, now));
    }
    for component in found {
        record(&sources, &sources.levels.reset(Some(component), &back.author, now));
    }
    Ok(Json(sources.levels.report()))
}

/// A level event in the form of all records.
#[derive(Serialize)]
struct Recorded<'a> {
    schema: u8,
    #[serde(flatten)]
    event: &'a LevelEvent,
}

/// Writes down what happened to levels.
pub fn record_levels(audit: &audit::Writer, events: &[LevelEvent]) {
    for event in events {
        audit.write(&Recorded { schema: SCHEMA, event });
    }
}

fn record(sources: &Sources, events: &[LevelEvent]) {
    record_levels(sources.engine.audit(), events);
}

fn refused(fault: &LevelFault) -> Fault {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing is raised")
        .detail(fault)
        .hint(fault.hint())
}
