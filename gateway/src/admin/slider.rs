//! `/api/v1/slider`: which thresholds count; others are tried, set, reset.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::author::{Asked, Said};
use super::changes::{ask, refused};
use super::queried::Queried;
use super::{Fault, Sources};
use crate::policy::{SetThresholds, Thresholds};
use crate::refresh::{Request, SliderChange};
use crate::slider::{Meaning, PHASES, ReplayAnswer, Replaying, Standing, Wanted, WantedError};

/// The most octets of the end of the trail that one answer reads: some ten thousand decisions, in a tenth of a second.
const MOST: u64 = 16 << 20;

/// The most hours to look back: a year.
const MOST_HOURS: u64 = 366 * 24;

/// All paths.
pub(super) fn routes() -> Router<Arc<Sources>> {
    Router::new()
        .route("/api/v1/slider", get(show).put(set).delete(reset))
        .route("/api/v1/slider/replay", get(replay))
}

/// Thresholds that are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedSlider {
    author: String,
    allow: Option<u16>,
    delay: Option<u16>,
    reject: Option<u16>,
    delay_from: Option<u16>,
    reject_above: Option<u16>,
}

/// What is to be tried.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedReplay {
    allow: Option<u16>,
    delay: Option<u16>,
    reject: Option<u16>,
    delay_from: Option<u16>,
    reject_above: Option<u16>,
    hours: Option<u64>,
    phase: Option<String>,
}

/// The thresholds in force, what they mean, and where they come from.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    meaning: Meaning,
    #[serde(flatten)]
    standing: Standing,
}

async fn show(State(sources): State<Arc<Sources>>) -> Json<Answer> {
    let set = sources.engine.slider().map(Arc::unwrap_or_clone);
    answer(standing(&sources, set))
}

async fn set(
    State(sources): State<Arc<Sources>>,
    Asked(wanted): Asked<WantedSlider>,
) -> Result<Json<Answer>, Fault> {
    let WantedSlider { author, allow, delay, reject, delay_from, reject_above } = wanted;
    let wanted = Wanted { allow, delay, reject, delay_from, reject_above };
    let thresholds = wanted.thresholds().map_err(|error| no_slider(&error))?;
    let thresholds = thresholds.ok_or_else(|| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "no thresholds are named").hint(HINT)
    })?;
    change(&sources, SliderChange { author, thresholds: Some(thresholds) }).await
}

async fn reset(
    State(sources): State<Arc<Sources>>,
    Asked(Said { author }): Asked<Said>,
) -> Result<Json<Answer>, Fault> {
    change(&sources, SliderChange { author, thresholds: None }).await
}

async fn replay(
    State(sources): State<Arc<Sources>>,
    Queried(wanted): Queried<WantedReplay>,
) -> Result<Json<ReplayAnswer>, Fault> {
    let WantedReplay { allow, delay, reject, delay_from, reject_above, hours, phase } = wanted;
    let wanted = Wanted { allow, delay, reject, delay_from, reject_above };
    let thresholds = wanted.thresholds().map_err(|error| no_slider(&error))?;
    let thresholds = thresholds.unwrap_or_else(|| in_force(&sources));
    let hours = hours.unwrap_or(24);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is no time to look back")
            .detail(format_args!("hours={hours}, expected 1 to {MOST_HOURS}")));
    }
    let wanted = phase.as_deref().unwrap_or("connect");
    let phase = PHASES.into_iter().find(|phase| *phase == wanted).ok_or_else(|| {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is no phase with scores")
            .detail(format_args!("phase={wanted}, expected one of {}", PHASES.join(", ")))
    })?;
    let trail = sources.memory.audit.clone();
    let trail =
        trail.ok_or_else(|| Fault::new(StatusCode::NOT_FOUND, "there is no audit trail"))?;
    // Reads a part of the trail, so it stays off the threads that carry mail.
    let replayed = spawn_blocking(move || {
        let last = Duration::from_hours(hours);
        Replaying { trail: &trail, most: MOST, thresholds, last, phase }.run()
    });
    let replayed = replayed.await.map_err(|_panicked| Fault::gone())?;
    replayed.map(Json).map_err(|error| {
        let hint = error.hint();
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, error).hint(hint)
    })
}

/// How thresholds are written.
const HINT: &str = "delay_from and reject_above, or allow, delay and reject in percent";

fn no_slider(error: &WantedError) -> Fault {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "the slider cannot stand there")
        .detail(error)
        .hint(HINT)
}

async fn change(sources: &Sources, change: SliderChange) -> Result<Json<Answer>, Fault> {
    let set = ask(sources, |done| Request::Slider(change, done)).await?;
    let set = set.map_err(|error| refused(&error))?;
    Ok(answer(standing(sources, set)))
}

fn standing(sources: &Sources, set: Option<SetThresholds>) -> Standing {
    Standing::new(&sources.config.load().score, set)
}

fn in_force(sources: &Sources) -> Thresholds {
    let set = sources.engine.slider().map(Arc::unwrap_or_clone);
    standing(sources, set).thresholds()
}

fn answer(standing: Standing) -> Json<Answer> {
    Json(Answer { meaning: Meaning::of(standing.thresholds(), None), standing })
}
