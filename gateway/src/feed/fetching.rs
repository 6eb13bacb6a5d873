//! Fetches all feeds again and again, each in a task of its own, and hands over what comes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use utoipa::ToSchema;

use super::{FetchError, Fetched, Fetcher, Head, LastGood, Schedule};
use crate::clock::{Clock, Timestamp};
use crate::list::{Download, FeedUrl};

/// So many feeds are fetched at once; the others wait.
const AT_ONCE: usize = 4;

/// All feeds in the course of being fetched; dropping it ends that.
#[derive(Debug)]
pub struct Fetching {
    runtime: Handle,
    common: Arc<Common>,
    feeds: Mutex<BTreeMap<Arc<str>, Feed>>,
}

/// What one fetch brought.
#[derive(Debug)]
pub struct Delivery {
    /// The list that it is for.
    pub list: Arc<str>,
    /// What was fetched: after a reload it may not be what the list has any more.
    pub download: Arc<Download>,
    /// What came. After `NotModified` all holds that was said about what was handed over last.
    pub result: Result<Fetched, FetchError>,
}

/// What is known of one feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FeedStatus {
    /// The list that it is for.
    pub list: Arc<str>,
    /// Where it is fetched, without what is secret in it.
    #[schema(value_type = String)]
    pub url: FeedUrl,
    /// Whether it is being fetched, or waits for others that are.
    pub fetching: bool,
    /// When it was last tried; `null` before the first time.
    pub last_try: Option<Timestamp>,
    /// When the server last gave it, or said that it has not changed.
    pub last_success: Option<Timestamp>,
    /// What was wrong the last time, with what to do about it; `null` where nothing was.
    pub last_fault: Option<String>,
    /// How often it failed since it last did not.
    pub faults: u32,
    /// When it is tried next.
    pub next_try: Option<Timestamp>,
    /// The time between two fetches, in seconds.
    pub interval_s: u64,
    /// How often the server gave something since the daemon knows the feed, and so with the other two.
    pub fetched: u64,
    /// How often it said that nothing has changed.
    pub unchanged: u64,
    /// How often nothing came of it.
    pub failed: u64,
}

/// What the tasks share.
struct Common {
    fetcher: Fetcher,
    clock: Clock,
    places: Semaphore,
    deliver: Box<dyn Fn(Delivery) + Send + Sync>,
}

/// One feed; its task ends with it.
#[derive(Debug)]
struct Feed {
    download: Arc<Download>,
    copy: LastGood,
    now: Arc<Notify>,
    status: Arc<Mutex<FeedStatus>>,
    task: AbortHandle,
}

impl Fetching {
    /// Nothing yet. Tasks run on `runtime`; each calls `deliver`, which should do no more than pass on what it gets.
    pub fn new(
        runtime: Handle,
        clock: Clock,
        deliver: impl Fn(Delivery) + Send + Sync + 'static,
    ) -> Self {
        let (fetcher, places) = (Fetcher::new(clock), Semaphore::new(AT_ONCE));
        let common = Common { fetcher, clock, places, deliver: Box::new(deliver) };
        Self { runtime, common: Arc::new(common), feeds: Mutex::default() }
    }

    /// Makes the feeds those of `wanted`, each with the name of its list and its last good copy.
    ///
    /// A feed that is fetched already in the same way, with the same copy, goes on as if nothing had been said. What a server is asked for are
    /// the changes since the copy as it is then: what was handed over and not believed comes whole again the next time, and
    /// may be believed under another configuration.
    pub fn set(&self, wanted: Vec<(Arc<str>, Arc<Download>, LastGood)>) {
        let mut feeds = locked(&self.feeds);
        let mut before = std::mem::take(&mut *feeds);
        for (list, download, copy) in wanted {
            let feed = match before.remove(&list) {
                Some(feed) if feed.download == download && feed.copy == copy => feed,
                _ => self.start(&list, download, copy),
            };
            feeds.insert(list, feed);
        }
    }

    /// Fetches the feed of `list` at once, whatever its schedule says; false where it has none.
    pub fn now(&self, list: &str) -> bool {
        let feeds = locked(&self.feeds);
        let feed = feeds.get(list);
        feed.inspect(|feed| feed.now.notify_one()).is_some()
    }

    /// What is known of each feed, by the names of the lists.
    pub fn status(&self) -> Vec<FeedStatus> {
        locked(&self.feeds).values().map(|feed| locked(&feed.status).clone()).collect()
    }

    fn start(&self, list: &Arc<str>, download: Arc<Download>, copy: LastGood) -> Feed {
        let status = Arc::new(Mutex::new(FeedStatus {
            list: Arc::clone(list),
            url: download.url.clone(),
            fetching: false,
            last_try: None,
            last_success: None,
            last_fault: None,
            faults: 0,
            next_try: None,
            interval_s: download.interval.as_secs(),
            fetched: 0,
            unchanged: 0,
            failed: 0,
        }));
        let now = Arc::new(Notify::new());
        let round = Round {
            common: Arc::clone(&self.common),
            list: Arc::clone(list),
            download: Arc::clone(&download),
            copy: copy.clone(),
            status: Arc::clone(&status),
            now: Arc::clone(&now),
        };
        let task = self.runtime.spawn(round.run()).abort_handle();
        Feed { download, copy, now, status, task }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common").field("places", &self.places).finish_non_exhaustive()
    }
}

/// The life of one feed.
struct Round {
    common: Arc<Common>,
    list: Arc<str>,
    download: Arc<Download>,
    copy: LastGood,
    status: Arc<Mutex<FeedStatus>>,
    now: Arc<Notify>,
}

impl Round {
    #[expect(clippy::infinite_loop, reason = "its task is ended with its feed")]
    async fn run(self) {
        let mut schedule = Schedule::new(self.download.interval);
        let now = self.common.clock.now();
        let mut wait = schedule.first(self.of_copy(move |copy| copy.age(now)).await, random());
        let mut checked = None;
        loop {
            self.wait(wait).await;
            // Nobody knows against which pin an earlier daemon checked its copy, so that it is fetched once more.
            let is_checked =
                |head: &Head| !self.download.is_pinned() || checked == Some(names(head));
            let earlier = self.of_copy(LastGood::head).await.filter(is_checked);
            let result = self.fetch(earlier.as_ref()).await;
            wait = match &result {
                Ok(_) => schedule.after_success(random()),
                Err(error) => schedule.after_fault(error.retry_after(), random()),
            };
            match &result {
                Ok(Fetched::Content(content)) => {
                    checked = Some((content.etag.clone(), content.last_modified.clone()));
                }
                // A copy that cannot be touched only looks older, and the server is asked sooner after a start.
                Ok(Fetched::NotModified) => {
                    self.copy.touch(self.common.clock.now()).unwrap_or_default();
                }
                Err(_) => (),
            }
            self.note(&result, schedule.faults());
            let (list, download) = (Arc::clone(&self.list), Arc::clone(&self.download));
            (self.common.deliver)(Delivery { list, download, result });
        }
    }

    /// What `look` finds of the copy, which it reads to its end: a gigabyte takes seconds.
    async fn of_copy<T: Send + 'static>(
        &self,
        look: impl FnOnce(&LastGood) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let copy = self.copy.clone();
        tokio::task::spawn_blocking(move || look(&copy)).await.ok().flatten()
    }

    async fn wait(&self, time: Duration) {
        locked(&self.status).next_try = self.common.clock.now().checked_add(time).ok();
        tokio::select! {
            () = tokio::time::sleep(time) => (),
            () = self.now.notified() => (),
        }
    }

    async fn fetch(&self, earlier: Option<&Head>) -> Result<Fetched, FetchError> {
        {
            let mut status = locked(&self.status);
            status.fetching = true;
            status.next_try = None;
        }
        // Nobody closes it, so that waiting cannot fail.
        let _place = self.common.places.acquire().await;
        locked(&self.status).last_try = Some(self.common.clock.now());
        self.common.fetcher.fetch(&self.download, earlier).await
    }

    fn note(&self, result: &Result<Fetched, FetchError>, faults: u32) {
        let mut status = locked(&self.status);
        status.fetching = false;
        status.faults = faults;
        let count = match result {
            Ok(Fetched::Content(_)) => &mut status.fetched,
            Ok(Fetched::NotModified) => &mut status.unchanged,
            Err(_) => &mut status.failed,
        };
        *count += 1;
        status.last_fault = match result {
            Ok(_) => {
                status.last_success = Some(self.common.clock.now());
                None
            }
            Err(error) => {
                let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
                Some(format!("{error}{hint}"))
            }
        };
    }
}

/// What the server calls this state of its list.
fn names(head: &Head) -> (Option<String>, Option<String>) {
    (head.etag.clone(), head.last_modified.clone())
}

/// Without randomness all wait the longest, which is no worse than having no jitter.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

/// Nothing that holds one of these locks can panic half-way through a change.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
