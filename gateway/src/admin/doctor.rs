//! `/api/v1/doctor`: what is well on this host, as far as the daemon sees it with its own rights.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Fault, Sources};
use crate::doctor::{self, Daemon, Subject};

/// How long a look may take; with what comes before and after it, an answer takes five seconds at most.
const WITHIN: Duration = Duration::from_secs(4);

/// How long an answer counts.
const KEPT: Duration = Duration::from_secs(10);

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    let desk = Desk { last: Mutex::default(), at_work: Arc::new(Semaphore::new(1)) };
    OpenApiRouter::default().routes(routes!(show)).layer(Extension(Arc::new(desk)))
}

/// Where one look is taken at a time.
#[derive(Debug)]
struct Desk {
    /// The last answer; locked while the next one is found.
    last: Mutex<Option<(Instant, Value)>>,
    /// Whoever looks at kernel and files: what takes too long there cannot be broken off.
    at_work: Arc<Semaphore>,
}

/// Tells what is well on this host, and what is not, as far as the daemon sees it with its own rights.
#[utoipa::path(
    get, path = "/api/v1/doctor", tag = "status", operation_id = "examineHost",
    description = "It takes five seconds at most; an answer counts for ten seconds.",
    responses(
        (status = 200, body = doctor::Answer, description = "What was found"),
        (status = 503, description = "An earlier look has not ended yet"),
    )
)]
async fn show(
    State(sources): State<Arc<Sources>>,
    Extension(desk): Extension<Arc<Desk>>,
) -> Result<Json<Value>, Fault> {
    // Goes on where whoever asked hangs up: the next one has its answer.
    let found = tokio::spawn(async move { desk.answer(sources).await }).await;
    found.map_err(|_panicked| failed())?.map(Json)
}

impl Desk {
    async fn answer(&self, sources: Arc<Sources>) -> Result<Value, Fault> {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < KEPT
        {
            return Ok(answer.clone());
        }
        let at_work = Arc::clone(&self.at_work).try_acquire_owned().map_err(|_at_work| {
            Fault::new(StatusCode::SERVICE_UNAVAILABLE, "an earlier look has not ended yet")
                .hint("ask again in some seconds, or type `portcullis doctor`")
        })?;
        // Counters of the kernel and files are read, so it stays off the threads that carry mail.
        let subject = spawn_blocking(move || {
            let status = serde_json::to_value(sources.status()).unwrap_or_default();
            let feeds = serde_json::to_value(sources.fetching.status()).unwrap_or_default();
            Subject::of_daemon(sources.config.load_full(), Daemon::this(status, feeds))
        });
        let subject = subject.await.map_err(|_panicked| failed())?;
        let answer = serde_json::to_value(subject.look(WITHIN, at_work).await);
        let answer = answer.map_err(|_no_json| failed())?;
        *last = Some((Instant::now(), answer.clone()));
        Ok(answer)
    }
}

fn failed() -> Fault {
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the look at this host failed")
        .hint("type `portcullis doctor`, as root")
}
