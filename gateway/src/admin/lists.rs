//! `/api/v1/lists`: how each list is, its entries and exceptions a page at a time, what came and went.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::changes::{ask, refused};
use super::queried::{Queried, limit};
use super::{Fault, Sources};
use crate::clock::{Clock, Expiry, Timestamp};
use crate::feed::FeedStatus;
use crate::list::{Entry, Loaded, Origin, PageOf, Place};
use crate::net::Prefix;
use crate::refresh::{self, ChangeError, ListStatus, Request, SourceStatus, Standing};
use crate::store::ListHistory;

/// Entries or events in an answer where nothing else is asked for, and the most.
const PAGE: usize = 100;
const MOST: usize = 1000;

/// All paths.
pub(super) fn routes() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::default()
        .routes(routes!(all))
        .routes(routes!(entries))
        .routes(routes!(history))
        .routes(routes!(exceptions))
}

/// All lists.
#[derive(Debug, Serialize, ToSchema)]
struct Lists {
    /// The version of the rules that they are in force as.
    rules: u64,
    /// Each list.
    lists: Vec<ListReport>,
}

/// How one list is.
#[derive(Debug, Serialize, ToSchema)]
struct ListReport {
    #[serde(flatten)]
    status: ListStatus,
    /// Whether the kernel filter knows its entries.
    in_kernel: bool,
    /// Where its entries come from; of a folder the first files.
    sources: Vec<SourceReport>,
}

/// How one source of a list is.
#[derive(Debug, Serialize, ToSchema)]
struct SourceReport {
    #[serde(flatten)]
    status: SourceStatus,
    /// How old what is in force is; `null` where nothing is.
    age_s: Option<u64>,
    /// How fetching it goes; `null` of what is not fetched.
    fetch: Option<FeedStatus>,
}

/// Tells how each list is, with its sources.
#[utoipa::path(
    get, path = "/api/v1/lists", tag = "lists", operation_id = "showLists",
    responses(
        (status = 200, body = Lists, description = "All lists"),
    )
)]
async fn all(State(sources): State<Arc<Sources>>) -> Json<Lists> {
    let (status, feeds) = (sources.rules.load_full(), sources.fetching.status());
    let (has_filter, now) = (!sources.attachments.load().is_empty(), Clock::System.now());
    let report = |list: &ListStatus| {
        let mut status = list.clone();
        let is_good = status.class.is_good() && status.enforce;
        let in_kernel = has_filter && status.enabled && (status.kernel != "off" || is_good);
        let feed = feeds.iter().find(|feed| feed.list == status.name);
        let source = |status: SourceStatus| SourceReport {
            age_s: status.as_of.map(|as_of| age(as_of, now)),
            fetch: feed.filter(|_feed| status.kind == "url").cloned(),
            status,
        };
        let sources = std::mem::take(&mut status.sources).into_iter().map(source).collect();
        ListReport { status, in_kernel, sources }
    };
    Json(Lists { rules: status.version, lists: status.lists.iter().map(report).collect() })
}

/// What is from the future is of a clock that was set back: it is as good as new.
fn age(as_of: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(as_of).as_secs()).unwrap_or(0)
}

/// Which entries are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedEntries {
    /// An address or a prefix: the entries that cover it, are it, or lie inside it.
    #[serde(default)]
    #[param(example = "192.0.2.0/24")]
    prefix: Option<String>,
    /// The `next` of the answer before.
    #[serde(default)]
    after: Option<String>,
    /// The most entries in one answer.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// A page of the entries of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entries)]
struct Page {
    /// The name of the list.
    list: Arc<str>,
    /// How many there are on all pages.
    matching: usize,
    /// The entries, in the order of prefixes.
    entries: Vec<ShownEntry>,
    /// What `after` has to be for more; `null` where there is no more.
    next: Option<String>,
}

/// One entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entry)]
struct ShownEntry {
    /// The prefix.
    #[schema(value_type = String)]
    prefix: Prefix,
    /// Why.
    reason: Option<Box<str>>,
    /// Who wrote it.
    author: Option<Box<str>>,
    /// Since when the list is known to have it.
    since: Option<Timestamp>,
    /// When it ends by itself.
    #[schema(value_type = Option<Timestamp>)]
    until: Option<Expiry>,
    /// Where it was written.
    origin: String,
    /// What that is: `file`, `url`, `put`, `manual`, `exception`.
    kind: &'static str,
}

impl ShownEntry {
    fn new((origin, entry): (Arc<Origin>, Entry)) -> Self {
        let place = origin.place(&entry);
        let Entry { prefix, reason, author, added, expires, .. } = entry;
        let (since, until) = (added, expires);
        Self { prefix, reason, author, since, until, origin: place, kind: origin.kind() }
    }
}

/// Tells the entries of a list in the order of prefixes, a page at a time.
#[utoipa::path(
    get, path = "/api/v1/lists/{list}/entries", tag = "lists", operation_id = "listEntries",
    params(("list" = String, Path, description = "The name of the list"), WantedEntries),
    responses(
        (status = 200, body = Page, description = "A page of entries"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
async fn entries(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Queried(wanted): Queried<WantedEntries>,
) -> Result<Json<Page>, Fault> {
    page(loaded(&sources, &name).await?, wanted).await
}

/// Tells what was taken out of a list by hand in the order of prefixes, a page at a time.
#[utoipa::path(
    get, path = "/api/v1/lists/{list}/exceptions", tag = "lists", operation_id = "listExceptions",
    params(("list" = String, Path, description = "The name of the list"), WantedEntries),
    responses(
        (status = 200, body = Page, description = "A page of exceptions, in the form of entries"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
        (status = 503, description = "The part of the daemon that changes things has ended"),
    )
)]
async fn exceptions(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    Queried(wanted): Queried<WantedEntries>,
) -> Result<Json<Page>, Fault> {
    page(standing(&sources, &name).await?.exceptions(), wanted).await
}

async fn page(loaded: Loaded, wanted: WantedEntries) -> Result<Json<Page>, Fault> {
    let limit = limit(wanted.limit, PAGE, MOST)?;
    let after = wanted.after.map(|place| place.parse::<Place>().map_err(|fault| unread(&fault)));
    let prefix = wanted.prefix.map(|text| {
        text.parse::<Prefix>()
            .map_err(|fault| unread(&fault).hint("an address or a prefix, such as 192.0.2.0/24"))
    });
    let page_of = PageOf { prefix: prefix.transpose()?, after: after.transpose()?, limit };
    // Where most entries have ended it looks at many, so it stays off the threads that carry mail.
    let page = spawn_blocking(move || {
        let page = loaded.page(&page_of, Clock::System.now());
        (Arc::clone(&loaded.list.name), page)
    });
    let (list, page) = page.await.map_err(|_panicked| Fault::died())?;
    Ok(Json(Page {
        list,
        matching: page.matching,
        entries: page.entries.into_iter().map(ShownEntry::new).collect(),
        next: page.next.map(|next| next.to_string()),
    }))
}

/// The entries of a list. Those of one that is switched off only the refresher has, which may be busy.
pub(super) async fn loaded(sources: &Sources, name: &str) -> Result<Loaded, Fault> {
    let status = sources.rules.load();
    let is_on = status.lists.iter().any(|list| *list.name == *name && list.enabled);
    let membership = sources.engine.membership();
    let found = membership.loaded().iter().find(|loaded| *loaded.list.name == *name);
    match found.filter(|_loaded| is_on) {
        Some(loaded) => Ok(loaded.clone()),
        None => standing(sources, name).await.map(|standing| standing.loaded),
    }
}

/// What a list has, as the refresher knows it.
pub(super) async fn standing(sources: &Sources, name: &str) -> Result<Standing, Fault> {
    let shown = ask(sources, |done| Request::Show(name.to_owned(), done)).await?;
    shown.map_err(|error| refused(&error))
}

/// How much of a history is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedHistory {
    /// The most changes, and the most prefixes, in the answer.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
}

/// What came to a list and went from it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListHistoryAnswer)]
struct History {
    /// The name of the list.
    list: String,
    #[serde(flatten)]
    history: ListHistory,
}

/// Tells what came to a list and went from it.
#[utoipa::path(
    get, path = "/api/v1/lists/{list}/history", tag = "lists", operation_id = "showListHistory",
    params(("list" = String, Path, description = "The name of the list"), WantedHistory),
    responses(
        (status = 200, body = History, description = "The newest changes and the prefixes in them"),
        (status = 404, description = "There is no list of that name"),
        (status = 422, description = "A parameter is unknown or has a bad value"),
    )
)]
async fn history(
    State(sources): State<Arc<Sources>>,
    Path(list): Path<String>,
    Queried(WantedHistory { limit: wanted }): Queried<WantedHistory>,
) -> Result<Json<History>, Fault> {
    let limit = limit(wanted, PAGE, MOST)?;
    // What is kept of a list that is there no more counts nowhere.
    known(&sources, &list)?;
    let state_dir = sources.memory.state_dir().to_owned();
    let read = spawn_blocking(move || {
        let history = refresh::list_history(&state_dir, &list, limit)?.unwrap_or_default();
        Ok(Json(History { list, history }))
    });
    let read = read.await.map_err(|_panicked| Fault::died())?;
    read.map_err(|error| refused(&ChangeError::Store(error)))
}

fn known(sources: &Sources, name: &str) -> Result<(), Fault> {
    let status = sources.rules.load();
    if status.lists.iter().any(|list| *list.name == *name) {
        return Ok(());
    }
    Err(refused(&ChangeError::UnknownList {
        name: name.chars().take(120).collect(),
        known: status.lists.iter().map(|list| list.name.to_string()).collect(),
    }))
}

pub(super) fn unread(fault: &impl ToString) -> Fault {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "the parameters cannot be read")
        .detail(fault.to_string())
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::admin::changes;
    use crate::admin::testing::Site;

    const LISTS: &str = "[[list]]\nname = \"bad\"\nclass = \"local-bad\"\nmax_growth = 100\nmax_shrink = 50\n\
        [[list]]\nname = \"good\"\nclass = \"local-good\"\nenforce = false\n\
        [[list]]\nname = \"file\"\nclass = \"global-bad\"\nfile = \"{dir}/file.txt\"\n\
        [[list]]\nname = \"feed\"\nclass = \"global-bad\"\nurl = \"https://127.0.0.1:9/feed.txt\"";

    fn router() -> OpenApiRouter<Arc<Sources>> {
        routes().merge(changes::routes())
    }

    async fn change(site: &Site, method: Method, path: &str, body: &Value) -> Value {
        let (status, answer) = site.ask_for(&router(), method, path, body).await;
        assert_eq!(status, 200, "{path}: {answer:#}");
        answer
    }

    async fn put(site: &Site, text: &str) -> (u16, Value) {
        site.ask(&router(), Method::PUT, "/api/v1/lists/bad/entries?author=me", text.to_owned())
            .await
    }

    fn prefixes(entries: &Value) -> Vec<&str> {
        let all = entries.as_array().unwrap();
        all.iter().map(|it| it["prefix"].as_str().or(it.as_str()).unwrap()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_list_is_told_with_its_sources() {
        let site = Site::new(LISTS);
        put(&site, "192.0.2.1\nnonsense\n").await;
        change(&site, Method::POST, "/api/v1/lists/good/disable", &json!({"author": "me"})).await;
        let (status, answer) = site.get(&router(), "/api/v1/lists").await;
        assert_eq!(status, 200);
        let lists = answer["lists"].as_array().unwrap();
        let shown: Vec<_> = lists
            .iter()
            .map(|list| {
                let kinds: Vec<_> =
                    list["sources"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
                json!([
                    list["name"],
                    list["class"],
                    list["enabled"],
                    list["entries"],
                    list["in_kernel"],
                    kinds
                ])
            })
            .collect();
        assert_eq!(
            shown,
            [
                json!(["bad", "local-bad", true, 1, false, ["put"]]),
                json!(["good", "local-good", false, 0, false, ["put"]]),
                json!(["file", "global-bad", true, 0, false, ["file"]]),
                json!(["feed", "global-bad", true, 0, false, ["url"]]),
            ]
        );
        let source = &lists[0]["sources"][0];
        assert_eq!((&source["format"], &source["rejected"]), (&json!("plain"), &json!(1)));
        assert!(source["age_s"].as_u64().unwrap() < 60, "{source:#}");
        assert_eq!((&source["fetch"], &source["held_back"]), (&Value::Null, &Value::Null));
        assert_eq!(
            (&lists[1]["switch"]["author"], &lists[1]["enforce"]),
            (&json!("me"), &json!(false))
        );
        assert!(lists[2]["sources"][0]["fault"].as_str().unwrap().contains("No such file"));
        assert_eq!(lists[3]["sources"][0]["fetch"]["list"], "feed");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn entries_come_in_pages_also_of_a_list_that_is_off() {
        let site = Site::new(LISTS);
        put(&site, "192.0.2.0/24 a network\n192.0.2.7 a host\n198.51.100.1\n2001:db8::/32\n").await;
        let by_hand =
            json!({"prefix": "192.0.2.9", "author": "me", "reason": "why", "for_s": 3600});
        change(&site, Method::POST, "/api/v1/lists/bad/entries", &by_hand).await;
        let all = ["192.0.2.0/24", "192.0.2.7", "192.0.2.9", "198.51.100.1", "2001:db8::/32"];
        for is_off in [false, true] {
            if is_off {
                change(&site, Method::POST, "/api/v1/lists/bad/disable", &json!({"author": "me"}))
                    .await;
            }
            for (query, expected) in [
                ("", &all[..]),
                ("limit=2", &all[..2]),
                ("limit=2&after=192.0.2.7-1", &all[2..4]),
                ("prefix=192.0.2.7", &all[..2]),
                ("prefix=192.0.2.0/28", &all[..3]),
                ("prefix=2001:db8::1", &all[4..]),
                ("prefix=203.0.113.0/24", &[]),
            ] {
                let path = format!("/api/v1/lists/bad/entries?{query}");
                let (status, answer) = site.get(&router(), &path).await;
                assert_eq!(status, 200, "{query}: {answer:#}");
                assert_eq!(prefixes(&answer["entries"]), expected, "{query} {is_off}");
            }
        }
        let (_, answer) = site.get(&router(), "/api/v1/lists/bad/entries?limit=3").await;
        assert_eq!((&answer["next"], &answer["matching"]), (&json!("192.0.2.9-1"), &json!(5)));
        let (host, manual) = (&answer["entries"][1], &answer["entries"][2]);
        assert_eq!(
            json!([host["reason"], host["author"], host["origin"], host["kind"], host["until"]]),
            json!(["a host", null, "list put:2", "put", null])
        );
        assert_eq!(
            json!([manual["reason"], manual["author"], manual["origin"], manual["kind"]]),
            json!(["why", "me", "added by me", "manual"])
        );
        assert!(manual["since"].is_string() && manual["until"].is_string(), "{manual:#}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_came_and_went_is_told_by_change_and_by_prefix() {
        let site = Site::new(LISTS);
        put(&site, "192.0.2.1\n").await;
        put(&site, "192.0.2.2\n192.0.2.3\n").await;
        let (status, answer) = site.get(&router(), "/api/v1/lists/bad/history?limit=10").await;
        assert_eq!(status, 200, "{answer:#}");
        let newest = &answer["changes"][0];
        assert_eq!(
            json!([newest["by"], newest["entries"], newest["added"], newest["removed"]]),
            json!(["me, list put", 2, 2, 1])
        );
        let events = answer["events"].as_array().unwrap();
        assert_eq!(prefixes(&answer["events"])[..3], ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        assert_eq!((&events[0]["added"], &events[1]["added"]), (&json!(false), &json!(true)));
        let (_, one) = site.get(&router(), "/api/v1/lists/bad/history?limit=1").await;
        assert_eq!(prefixes(&one["events"]), ["192.0.2.1"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_exception_is_shown_until_it_ends() {
        let site = Site::new(LISTS);
        put(&site, "192.0.2.0/24\n").await;
        let entries = "/api/v1/lists/bad/entries";
        for (method, wanted) in [
            (Method::DELETE, json!({"prefix": "192.0.2.7", "author": "me", "reason": "ours"})),
            (Method::DELETE, json!({"prefix": "192.0.2.9", "author": "you", "for_s": 3600})),
        ] {
            change(&site, method, entries, &wanted).await;
        }
        let path = "/api/v1/lists/bad/exceptions";
        let (status, answer) = site.get(&router(), &format!("{path}?limit=1")).await;
        assert_eq!(status, 200, "{answer:#}");
        assert_eq!((&answer["matching"], &answer["next"]), (&json!(2), &json!("192.0.2.7-1")));
        let first = &answer["entries"][0];
        assert_eq!(
            json!([first["prefix"], first["reason"], first["author"], first["until"]]),
            json!(["192.0.2.7", "ours", "me", null])
        );
        assert!(first["since"].is_string(), "{first:#}");
        let (_, found) = site.get(&router(), &format!("{path}?prefix=192.0.2.9")).await;
        assert!(found["entries"][0]["until"].is_string(), "{found:#}");
        let end = json!({"prefix": "192.0.2.7", "author": "me"});
        // Whatever another exception takes out as well stays out, and neither comes nor goes.
        let wider = json!({"prefix": "192.0.2.0/28", "author": "me"});
        change(&site, Method::DELETE, entries, &wider).await;
        let restored = change(&site, Method::DELETE, path, &end).await;
        assert!(
            restored["warnings"][0].as_str().unwrap().contains("another exception"),
            "{restored:#}"
        );
        change(&site, Method::DELETE, path, &wider).await;
        let wanted = json!({"prefix": "192.0.2.8", "author": "me"});
        change(&site, Method::DELETE, entries, &wanted).await;
        let restored = change(&site, Method::DELETE, path, &wanted).await;
        assert_eq!(restored["warnings"], json!([]), "{restored:#}");
        let (_, history) = site.get(&router(), "/api/v1/lists/bad/history?limit=2").await;
        let events = history["events"].as_array().unwrap().iter();
        let events: Vec<_> = events.map(|it| (it["prefix"].clone(), it["added"].clone())).collect();
        let of_8 = |added: bool| (json!("192.0.2.8"), json!(added));
        assert_eq!(events, [of_8(true), of_8(false)]);
        let (_, left) = site.get(&router(), path).await;
        assert_eq!(prefixes(&left["entries"]), ["192.0.2.9"]);
        let (_, counts) = site.get(&router(), &format!("{entries}?prefix=192.0.2.7")).await;
        assert_eq!(counts["matching"], 1, "what the source has counts again");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_shown_is_told() {
        let site = Site::new(LISTS);
        for (method, path, status, text) in [
            (Method::GET, "other/entries", 404, "`other` is no list, expected one of: bad, good"),
            (Method::GET, "other/history", 404, "`other` is no list"),
            (Method::GET, "other/exceptions", 404, "`other` is no list"),
            (Method::GET, "bad/entries?prefix=mars", 422, "mars"),
            (Method::GET, "bad/entries?after=mars", 422, "expected the `next`"),
            (Method::GET, "bad/entries?limit=1001", 422, "expected 1 to 1000"),
            (Method::GET, "bad/entries?page=2", 422, "unknown field `page`"),
            (Method::GET, "bad/history?limit=none", 422, "invalid digit"),
        ] {
            let path = format!("/api/v1/lists/{path}");
            let (found, fault) = site.ask(&router(), method, &path, "").await;
            assert_eq!(found, status, "{path}: {fault:#}");
            assert!(fault.to_string().contains(text), "{path}: {fault:#}");
        }
    }
}
