//! `/api/v1/log`: what each component says, and more of it for a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::author::Asked;
use super::{Fault, Sources};
use crate::audit;
use crate::clock::Clock;
use crate::levels::{COMPONENTS, LevelEvent, LevelFault, LevelsReport, Raise};
use crate::policy::SCHEMA;

/// All paths.
pub(super) fn routes() -> Router<Arc<Sources>> {
    Router::new().route("/api/v1/log", get(show).post(set).delete(reset))
}

/// What is to be raised.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    levels: BTreeMap<String, String>,
    for_s: u64,
    author: String,
}

/// What is to fall back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Back {
    author: String,
    /// Empty: all.
    #[serde(default)]
    components: Vec<String>,
}

async fn show(State(sources): State<Arc<Sources>>) -> Json<LevelsReport> {
    Json(sources.levels.report())
}

/// Raises all that is wanted, or nothing; what is raised already is raised anew.
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
