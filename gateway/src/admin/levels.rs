//! `/api/v1/log`: what each component says, its last lines, and more of them for a while.

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
use super::queried::{Queried, limit};
use super::{Fault, Sources};
use crate::audit;
use crate::clock::Clock;
use crate::levels::{self, LevelEvent, LevelFault, LevelsReport, Line, OTHER, Raise, component};
use crate::policy::SCHEMA;

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(show, set, reset)).routes(routes!(lines))
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

/// Which lines are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedLines {
    /// Of one component; `other` for libraries.
    #[serde(default)]
    component: Option<String>,
    /// Of this level and graver ones: `error`, `warn`, `info`, `debug` or `trace`.
    #[serde(default)]
    level: Option<String>,
    /// The most lines in the answer.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// The last lines of the log.
#[derive(Debug, Serialize, ToSchema)]
struct LogLines {
    /// The newest first; of each component the last 200 are kept, and none of decisions, which are records.
    lines: Vec<Line>,
}

/// Tells the last lines of the log.
#[utoipa::path(
    get, path = "/api/v1/log/lines", tag = "log", operation_id = "showLogLines",
    params(WantedLines),
    responses(
        (status = 200, body = LogLines, description = "The newest lines, the newest first"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
    )
)]
async fn lines(
    State(sources): State<Arc<Sources>>,
    Queried(wanted): Queried<WantedLines>,
) -> Result<Json<LogLines>, Fault> {
    let unread = |fault: LevelFault| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "the parameters cannot be read")
            .detail(&fault)
            .hint("`portcullis log` shows all components; what libraries say is `other`")
    };
    let component = |name: &str| if name == OTHER { Ok(OTHER) } else { component(name) };
    let wanted = levels::Wanted {
        component: wanted.component.as_deref().map(component).transpose().map_err(unread)?,
        level: wanted.level.map(|level| level.parse()).transpose().map_err(unread)?,
        limit: limit(wanted.limit, 100, 1000)?,
    };
    Ok(Json(LogLines { lines: sources.levels.lines().last(&wanted) }))
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
    let found = back.components.iter().map(|name| component(name));
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|fault| refused(&fault))?;
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
