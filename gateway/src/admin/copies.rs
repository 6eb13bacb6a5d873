//! `/api/v1/lists/{list}`: what another copy would change, one that is sent and one that is held back.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State};
use axum::http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::changes::{LONGEST_LIST, refused};
use super::lists::standing;
use super::{Fault, Sources, shapes};
use crate::clock::Clock;
use crate::refresh::{ChangeError, HeldBackCopies, Preview};

/// Whole lists are read one at a time: each may have millions of entries.
static TURN: Semaphore = Semaphore::const_new(1);
/// So many wait for that at most, with what they sent in memory.
static QUEUE: Semaphore = Semaphore::const_new(4);

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default()
        .routes(routes!(preview).layer(DefaultBodyLimit::max(LONGEST_LIST)))
        .routes(routes!(held_back))
}

/// Tells what a copy of a list would change if it were put; changes nothing.
#[utoipa::path(
    post, path = "/api/v1/lists/{list}/preview", tag = "lists", operation_id = "previewList",
    params(("list" = String, Path, description = "The name of the list")),
    request_body(content = String, content_type = "text/plain", description = "A list in any format that lists may have, at most 256 MiB"),
    responses(
        (status = 200, body = shapes::Preview, description = "What would come, go and stay"),
        (status = 404, description = "There is no list of that name"),
        (status = 413, description = "The list is longer than 256 MiB"),
        (status = 422, description = "The copy cannot be read, or the list has its entries from a source"),
        (status = 503, description = "Too many lists are being compared, or the part of the daemon that changes things has ended"),
    )
)]
async fn preview(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
    request: Request,
) -> Result<Json<Preview>, Fault> {
    let _place = place()?;
    let body = Bytes::from_request(request, &()).await.map_err(|error| {
        Fault::new(error.status(), "the list cannot be read").detail(error.body_text())
    })?;
    let standing = standing(&sources, &list).await?;
    let read = read(move || standing.preview(body.into(), Clock::System.now())).await?;
    read.map(Json).map_err(|error| refused(&error))
}

/// Tells what the copies of a list that are held back would change if they were accepted; changes nothing.
#[utoipa::path(
    get, path = "/api/v1/lists/{list}/held-back", tag = "lists", operation_id = "showHeldBack",
    params(("list" = String, Path, description = "The name of the list")),
    responses(
        (status = 200, body = shapes::HeldBackCopies, description = "What would come, go and stay, copy by copy"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "Nothing of the list is held back"),
        (status = 503, description = "Too many lists are being compared, or the part of the daemon that changes things has ended"),
    )
)]
async fn held_back(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
) -> Result<Json<HeldBackCopies>, Fault> {
    let _place = place()?;
    let standing = standing(&sources, &list).await?;
    let found = read(move || standing.held_back()).await?;
    found.map(Json).ok_or_else(|| refused(&ChangeError::NothingToAccept { list }))
}

/// A place among those that wait.
fn place() -> Result<SemaphorePermit<'static>, Fault> {
    QUEUE.try_acquire().map_err(|_full| {
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many lists are being compared")
            .hint("try again in a moment")
    })
}

/// Reads a whole list, off the threads that carry mail.
async fn read<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    let turn = TURN.acquire().await.map_err(|_closed| Fault::died())?;
    let read = spawn_blocking(move || {
        let read = work();
        // Also where nobody waits for it any more.
        drop(turn);
        read
    });
    read.await.map_err(|_panicked| Fault::died())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use axum::http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::admin::testing::Site;
    use crate::admin::{changes, lists};

    const LISTS: &str = "[[list]]\nname = \"bad\"\nclass = \"local-bad\"\nmax_growth = 100\nmax_shrink = 50\n\
        [[list]]\nname = \"file\"\nclass = \"global-bad\"\nfile = \"{dir}/file.txt\"";

    fn router() -> OpenApiRouter<Arc<Sources>> {
        routes().merge(lists::routes()).merge(changes::routes())
    }

    async fn put(site: &Site, text: &str) -> (u16, Value) {
        site.ask(&router(), Method::PUT, "/api/v1/lists/bad/entries?author=me", text.to_owned())
            .await
    }

    /// A list of so many hosts.
    fn hosts(range: std::ops::Range<u8>) -> String {
        range.fold(String::new(), |mut text, host| {
            writeln!(text, "192.0.2.{host}").unwrap();
            text
        })
    }

    fn counts(change: &Value) -> [i64; 3] {
        ["come", "go", "stay"].map(|side| change[side]["count"].as_i64().unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_preview_says_what_a_copy_would_change_and_changes_nothing() {
        let site = Site::new(LISTS);
        put(&site, &hosts(0..120)).await;
        let excepted = json!({"prefix": "192.0.2.7", "author": "me"});
        let entries = "/api/v1/lists/bad/entries";
        let (status, _) = site.ask_for(&router(), Method::DELETE, entries, &excepted).await;
        assert_eq!(status, 200);
        let preview = async |text: String| {
            site.ask(&router(), Method::POST, "/api/v1/lists/bad/preview", text).await
        };
        for (text, come, go, stay, doubt) in [
            (hosts(0..120), 0, 0, 119, None),
            // One of those that go is excepted already.
            (hosts(10..121), 1, 9, 110, None),
            (hosts(0..20), 0, 100, 19, Some("more than the 50 % loss")),
            (String::new(), 0, 119, 0, Some("has no entries")),
            ("<html>".to_owned(), 0, 119, 0, Some("is a web page")),
        ] {
            let (status, answer) = preview(text.clone()).await;
            assert_eq!(status, 200, "{text}: {answer:#}");
            assert_eq!(counts(&answer), [come, go, stay], "{text}");
            let found = answer["doubt"].as_str();
            assert_eq!(found.is_some(), doubt.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(doubt.unwrap_or_default()), "{found:?}");
        }
        let (_, answer) = preview(hosts(0..120) + "nonsense\n").await;
        assert_eq!(answer["stay"]["first"].as_array().unwrap().len(), 50);
        assert_eq!(answer["rejected_lines"][0]["line"], 121);
        let (_, now) = site.get(&router(), "/api/v1/lists/bad/entries?limit=1").await;
        assert_eq!(now["matching"], 119);
        let (_, lists) = site.get(&router(), "/api/v1/lists").await;
        assert_eq!(lists["lists"][0]["fault"], Value::Null);
        // What is put is what was told.
        let (status, _) = put(&site, &hosts(0..20)).await;
        assert_eq!(status, 422);
        let (_, lists) = site.get(&router(), "/api/v1/lists").await;
        let held_back = &lists["lists"][0]["sources"][0]["held_back"];
        assert!(held_back["why"].as_str().unwrap().contains("50 % loss"), "{held_back:#}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_held_back_is_looked_at_and_then_accepted() {
        let site = Site::new(LISTS);
        let path = "/api/v1/lists/bad/held-back";
        put(&site, &hosts(0..120)).await;
        let (status, fault) = site.get(&router(), path).await;
        assert_eq!((status, &fault["title"]), (422, &json!("nothing of bad was refused")));
        assert_eq!(put(&site, &(hosts(110..130) + "nonsense\n")).await.0, 422);
        let (status, answer) = site.get(&router(), path).await;
        assert_eq!((status, &answer["count"]), (200, &json!(1)), "{answer:#}");
        let copy = &answer["copies"][0];
        assert_eq!((counts(copy), &copy["where"]), ([10, 110, 10], &json!("list put")));
        assert_eq!(
            (&copy["come"]["first"][0], &copy["rejected"]),
            (&json!("192.0.2.120"), &json!(1))
        );
        assert!(copy["why"].as_str().unwrap().contains("50 % loss"), "{copy:#}");
        // Another one comes after somebody looked.
        put(&site, &hosts(110..131)).await;
        let accept = async |wanted: Value| {
            site.ask_for(&router(), Method::POST, "/api/v1/lists/bad/accept", &wanted).await
        };
        let (status, fault) = accept(json!({"author": "me", "sha256": copy["sha256"]})).await;
        assert!(
            status == 422 && fault["title"].as_str().unwrap().contains("held back no more"),
            "{fault:#}"
        );
        let (_, answer) = site.get(&router(), path).await;
        let seen = &answer["copies"][0]["sha256"];
        let (status, changed) = accept(json!({"author": "me", "sha256": seen})).await;
        assert_eq!((status, &changed["entries"]), (200, &json!(21)), "{changed:#}");
        assert_eq!(site.get(&router(), path).await.0, 422);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_compared_is_told() {
        let site = Site::new(LISTS);
        for (method, path, status, text) in [
            (Method::POST, "other/preview", 404, "`other` is no list"),
            (Method::GET, "other/held-back", 404, "`other` is no list"),
            (Method::POST, "file/preview", 422, "has its entries from"),
            (Method::GET, "file/held-back", 422, "nothing of file was refused"),
        ] {
            let path = format!("/api/v1/lists/{path}");
            let (found, fault) = site.ask(&router(), method, &path, "").await;
            assert_eq!(found, status, "{path}: {fault:#}");
            assert!(fault.to_string().contains(text), "{path}: {fault:#}");
        }
    }
}
