//! `/api/v1/slider`: which thresholds count; others are tried, set, reset.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::author::{Asked, Said};
use super::changes::{ask, refused};
use super::queried::Queried;
use super::{Fault, Sources, shapes};
use crate::clock::{Clock, Timestamp};
use crate::policy::{Phase, SetThresholds, Tally, Thresholds};
use crate::refresh::{Request, SliderChange};
use crate::slider::{Meaning, Standing, TriedAnswer, Wanted, WantedError};

/// The most hours to look back.
const MOST_HOURS: i64 = 24;

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default().routes(routes!(show, set, reset)).routes(routes!(replay))
}

/// Thresholds that are wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WantedSlider {
    /// Who asks.
    author: String,
    /// Percent of the scale above 500 that is let in.
    #[schema(minimum = 0, maximum = 100)]
    allow: Option<u16>,
    /// Percent that is delayed.
    #[schema(minimum = 0, maximum = 100)]
    delay: Option<u16>,
    /// Percent that is refused.
    #[schema(minimum = 0, maximum = 100)]
    reject: Option<u16>,
    /// The first score that is delayed.
    #[schema(minimum = 0, maximum = 1000)]
    delay_from: Option<u16>,
    /// The last score that is delayed.
    #[schema(minimum = 0, maximum = 1000)]
    reject_above: Option<u16>,
}

/// What is to be tried.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedReplay {
    /// Percent of the scale above 500 that is let in.
    #[param(minimum = 0, maximum = 100)]
    allow: Option<u16>,
    /// Percent that is delayed.
    #[param(minimum = 0, maximum = 100)]
    delay: Option<u16>,
    /// Percent that is refused.
    #[param(minimum = 0, maximum = 100)]
    reject: Option<u16>,
    /// The first score that is delayed.
    #[param(minimum = 0, maximum = 1000)]
    delay_from: Option<u16>,
    /// The last score that is delayed.
    #[param(minimum = 0, maximum = 1000)]
    reject_above: Option<u16>,
    /// How many hours to look back.
    #[param(minimum = 1, maximum = 24, default = 24)]
    hours: Option<i64>,
    /// Which decisions: `connect`, `recipient` or `message`.
    #[param(default = "connect")]
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

/// Tells which thresholds of the score count, what they mean, and where they come from.
#[utoipa::path(
    get, path = "/api/v1/slider", tag = "slider", operation_id = "showSlider",
    responses(
        (status = 200, body = shapes::Slider, description = "The thresholds in force"),
    )
)]
async fn show(State(sources): State<Arc<Sources>>) -> Json<Answer> {
    let set = sources.engine.slider().map(Arc::unwrap_or_clone);
    answer(standing(&sources, set))
}

/// Sets thresholds in place of those of the configuration, as raw scores or in percent.
#[utoipa::path(
    put, path = "/api/v1/slider", tag = "slider", operation_id = "setSlider",
    request_body = WantedSlider,
    responses(
        (status = 200, body = shapes::Slider, description = "The thresholds in force now"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
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

/// Has the thresholds of the configuration count again.
#[utoipa::path(
    delete, path = "/api/v1/slider", tag = "slider", operation_id = "resetSlider",
    request_body = Said,
    responses(
        (status = 200, body = shapes::Slider, description = "The thresholds in force now"),
        (status = 422, description = "What is asked for cannot be done, or cannot be read"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
async fn reset(
    State(sources): State<Arc<Sources>>,
    Asked(Said { author }): Asked<Said>,
) -> Result<Json<Answer>, Fault> {
    change(&sources, SliderChange { author, thresholds: None }).await
}

/// Judges the decisions of the last hours by other thresholds; changes nothing.
///
/// Without thresholds it judges by those in force. At most 16 MiB of the end of the trail are read.
#[utoipa::path(
    get, path = "/api/v1/slider/replay", tag = "slider", operation_id = "replaySlider",
    params(WantedReplay),
    responses(
        (status = 200, body = shapes::Replay, description = "What would have been decided otherwise"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
    )
)]
async fn replay(
    State(sources): State<Arc<Sources>>,
    Queried(wanted): Queried<WantedReplay>,
) -> Result<Json<TriedAnswer>, Fault> {
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
    let phase =
        Tally::PHASES.into_iter().find(|phase| phase.name() == wanted).ok_or_else(|| {
            let known = Tally::PHASES.map(Phase::name).join(", ");
            Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "that is no phase with scores")
                .detail(format_args!("phase={wanted}, expected one of {known}"))
        })?;
    let until = Clock::System.now();
    let since = until.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN);
    Ok(Json(TriedAnswer::new(&sources.engine.tally(), thresholds, phase, since, until)))
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
