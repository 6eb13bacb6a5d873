//! Feeds that are fetched again and again: when, in which company, and what is known of them meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::clock::{Clock, Timestamp};
use gateway::feed::{Delivery, FeedStatus, Fetched, Fetching, Head, LastGood};
use gateway::list::Download;
use harness::deadline::wait_for;
use harness::feed_server::{FeedServer, Step, answer, text};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{LIST, LIST_SHA256, always, digest, download};

const PATIENCE: Duration = Duration::from_secs(10);

/// Feeds in the course of being fetched, with what they bring and the folder for their copies.
struct Feeds {
    fetching: Fetching,
    folder: TempDir,
    deliveries: Receiver<Delivery>,
    _runtime: Runtime,
}

impl Feeds {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let (sender, deliveries) = channel();
        let sender = Mutex::new(sender);
        let deliver = move |delivery| drop(sender.lock().unwrap().send(delivery));
        let fetching = Fetching::new(runtime.handle().clone(), Clock::System, deliver);
        Self { fetching, folder: TempDir::new().unwrap(), deliveries, _runtime: runtime }
    }

    fn set(&self, feeds: &[(&str, &Arc<Download>)]) {
        let feeds = feeds
            .iter()
            .map(|&(list, download)| (list.into(), Arc::clone(download), self.copy(list)));
        self.fetching.set(feeds.collect());
    }

    fn copy(&self, list: &str) -> LastGood {
        LastGood::new(self.folder.path().join(list), "somewhere".to_owned())
    }

    /// Believes what was handed over: it is the last good copy now.
    fn believe(&self, list: &str) {
        let copy = self.copy(list);
        let head = Head {
            origin: copy.origin().to_owned(),
            as_of: Timestamp::UNIX_EPOCH,
            etag: Some("\"one\"".to_owned()),
            last_modified: None,
            sha256: LIST_SHA256.to_owned(),
        };
        copy.write(&head, LIST.as_bytes()).unwrap();
    }

    /// The next delivery: its list, and what came.
    fn next(&self) -> (String, String) {
        let Delivery { list, result, .. } = self.deliveries.recv_timeout(PATIENCE).unwrap();
        let what = match result {
            Ok(Fetched::NotModified) => "not modified".to_owned(),
            Ok(Fetched::Content(content)) => String::from_utf8(content.octets).unwrap(),
            Err(error) => error.to_string(),
        };
        (list.to_string(), what)
    }

    /// Waits until the first feed has nothing to do.
    fn wait_for_rest(&self) {
        let rests = || Ok(self.status().next_try.map(drop));
        wait_for("a time for the next try", PATIENCE, rests).unwrap();
    }

    fn status(&self) -> FeedStatus {
        self.fetching.status().remove(0)
    }
}

/// A server whose list has a name, and which knows it again.
fn named() -> FeedServer {
    FeedServer::new(|request| match request.field("if-none-match") {
        Some(_) => answer("304 Not Modified", "", ""),
        None => answer("200 OK", "ETag: \"one\"\r\n", LIST),
    })
    .unwrap()
}

fn pair(list: &str, what: &str) -> (String, String) {
    (list.to_owned(), what.to_owned())
}

#[test]
fn at_once_without_a_copy_then_when_asked() {
    let server = named();
    let feed = Arc::new(download(&server.url("/?key=s3cret")));
    let feeds = Feeds::new();
    feeds.set(&[("a", &feed)]);
    assert_eq!(feeds.next(), pair("a", LIST));
    feeds.wait_for_rest();
    let status = feeds.status();
    assert!(!status.fetching && status.faults == 0 && status.last_fault.is_none(), "{status:?}");
    let wait = status.next_try.unwrap().as_second() - status.last_success.unwrap().as_second();
    assert!((3600..=3961).contains(&wait), "{wait}");
    let shown = serde_json::to_value(&status).unwrap();
    assert_eq!(shown["url"], server.url("/?…"));

    // What was not believed comes whole again.
    assert!(feeds.fetching.now("a"));
    assert_eq!(feeds.next(), pair("a", LIST));
    feeds.believe("a");
    assert!(feeds.fetching.now("a"));
    assert_eq!(feeds.next(), pair("a", "not modified"));
    assert!(!feeds.fetching.now("b"));
    // The same again changes nothing, and asks nobody.
    feeds.set(&[("a", &Arc::new((*feed).clone()))]);
    assert!(feeds.status().last_success.is_some());
    assert_eq!(server.requests().len(), 3);
    feeds.set(&[]);
    assert!(feeds.fetching.status().is_empty() && !feeds.fetching.now("a"));
}

#[test]
fn with_a_copy_it_waits_its_turn_and_asks_what_is_new() {
    let server = named();
    let feed = Arc::new(download(&server.url("/")));
    let feeds = Feeds::new();
    feeds.believe("a");
    feeds.set(&[("a", &feed)]);
    feeds.wait_for_rest();
    let status = feeds.status();
    assert!(status.last_try.is_none() && server.requests().is_empty(), "{status:?}");
    feeds.fetching.now("a");
    assert_eq!(feeds.next(), pair("a", "not modified"));
}

#[test]
fn who_starts_again_and_again_asks_no_more_often() {
    let server = named();
    let feed = Arc::new(download(&server.url("/")));
    let feeds = Feeds::new();
    feeds.believe("a");
    let hour = 3600;
    let now = Timestamp::now().as_second();
    let aged = |second| feeds.copy("a").touch(Timestamp::from_second(second).unwrap()).unwrap();
    for (age, least) in [(0, hour), (hour / 2, hour / 2), (hour - 60, 60)] {
        aged(now - age);
        feeds.set(&[("a", &feed)]);
        feeds.wait_for_rest();
        let wait = feeds.status().next_try.unwrap().as_second() - now;
        // A spread of 30 seconds, and the time that the test takes.
        assert!((least - 1..=least + 40).contains(&wait), "{age}: {wait}");
        feeds.set(&[]);
    }
    // That nothing has changed is as good as a new copy.
    aged(now - hour);
    feeds.set(&[("a", &feed)]);
    feeds.fetching.now("a");
    assert_eq!(feeds.next(), pair("a", "not modified"));
    let age = feeds.copy("a").age(Timestamp::now()).unwrap();
    assert!(age < Duration::from_mins(1), "{age:?}");
    // A damaged copy protects nobody.
    feeds.set(&[]);
    std::fs::write(feeds.copy("a").path(), "192.0.2.0/24\n").unwrap();
    feeds.set(&[("a", &feed)]);
    assert_eq!(feeds.next(), pair("a", LIST));
}

#[test]
fn another_pin_is_looked_at_even_if_nothing_has_changed() {
    let server = named();
    let feed = download(&server.url("/"));
    let right = Arc::new(Download { sha256: Some(digest(LIST_SHA256)), ..feed.clone() });
    let wrong = Arc::new(Download { sha256: Some([7; 32]), ..feed });
    let feeds = Feeds::new();
    // What the copy on disk was held against is not known.
    feeds.believe("a");
    feeds.set(&[("a", &right)]);
    feeds.fetching.now("a");
    assert_eq!(feeds.next(), pair("a", LIST));
    feeds.fetching.now("a");
    assert_eq!(feeds.next(), pair("a", "not modified"));
    feeds.set(&[("a", &wrong)]);
    feeds.fetching.now("a");
    let (_, fault) = feeds.next();
    assert!(fault.starts_with(&format!("sha256 {LIST_SHA256}, expected 0707")), "{fault}");
}

#[test]
fn a_fault_is_told_and_the_next_try_is_soon() {
    let server = always(answer("429 Too Many Requests", "Retry-After: 600\r\n", ""));
    let feeds = Feeds::new();
    feeds.set(&[("a", &Arc::new(download(&server.url("/"))))]);
    let fault = "429 Too Many Requests, expected 200 OK (again in 600 s)";
    assert_eq!(feeds.next(), pair("a", fault));
    feeds.wait_for_rest();
    let status = feeds.status();
    let wait = status.next_try.unwrap().as_second() - status.last_try.unwrap().as_second();
    assert!((600..=605).contains(&wait), "{wait}");
    assert_eq!(status.faults, 1);
    assert_eq!(status.last_fault.unwrap(), format!("{fault}; raise `interval`"));
    assert!(status.last_success.is_none());
}

#[test]
fn no_more_than_four_at_once() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (here, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = FeedServer::new(move |request| match &*request.target {
        "/" => {
            peak.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(200));
            here.fetch_sub(1, Ordering::SeqCst);
            text(LIST)
        }
        _ => vec![Step::Wait(Duration::from_secs(30))],
    })
    .unwrap();
    let feed = Arc::new(download(&server.url("/")));
    let feeds = Feeds::new();
    let names: Vec<_> = (0..9).map(|number| number.to_string()).collect();
    feeds.set(&names.iter().map(|name| (&**name, &feed)).collect::<Vec<_>>());
    let mut came: Vec<_> = names.iter().map(|_| feeds.next().0).collect();
    came.sort_unstable();
    assert_eq!(came, names);
    assert_eq!(most.load(Ordering::SeqCst), 4);

    // A feed that is taken away in the middle leaves its place to others.
    let stuck = Arc::new(download(&server.url("/stuck")));
    feeds.set(&names.iter().map(|name| (&**name, &stuck)).collect::<Vec<_>>());
    let four = || Ok((server.requests().len() == 9 + 4).then_some(()));
    wait_for("four requests", PATIENCE, four).unwrap();
    feeds.set(&[("a", &feed)]);
    assert_eq!(feeds.next(), pair("a", LIST));
}
