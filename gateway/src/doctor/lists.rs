//! Lists: can they be read, and is what was fetched as new as it should be?

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use super::check::Check;
use super::{AS_ROOT, Daemon};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::feed::{LastGood, copy_path};
use crate::json::items;
use crate::list::{List, Origin, Source};
use crate::refresh::{ListStatus, OnDisk};

const AREA: &str = "lists";

/// Each list.
pub(super) fn checks(config: &Config, daemon: &Daemon) -> Vec<Check> {
    let now = Clock::System.now();
    let (on_disk, unknown) = OnDisk::open(&config.state_dir, config.list_copies(), now);
    let of_one = |list: &Arc<List>| {
        let name = &list.name;
        let read = if daemon.is_this { in_force(daemon, name) } else { None };
        let read = read.unwrap_or_else(|| {
            let (_entries, status) = on_disk.load(list, now);
            let ListStatus { entries, rejected, fault, .. } = status;
            Read { entries, rejected, fault }
        });
        let Read { entries, rejected, fault } = read;
        if let Some(fault) = &fault {
            return Check::bad(AREA, name, fault, format_args!("portcullis list check {name}"));
        }
        if rejected > 0 {
            let found = format!("{entries} entries, {rejected} lines are none");
            return Check::doubtful(
                AREA,
                name,
                found,
                format_args!("portcullis list check {name}"),
            );
        }
        let age = match &list.source {
            Source::Url(download) => {
                let fault = feed_fault(daemon, name);
                let age = copy_age(config, list, now);
                return fetched(name, entries, age, download.interval, fault.as_deref());
            }
            Source::File(path) | Source::Folder(path) => {
                let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
                changed.and_then(|changed| changed.elapsed().ok())
            }
            Source::Put => None,
        };
        let age = age.map(|age| format!(", changed {} ago", shown(age)));
        Check::ok(AREA, name, format_args!("{entries} entries{}", age.unwrap_or_default()))
    };
    let checks = config.lists.iter().map(of_one);
    let unknown = unknown.map(|fault| Check::unseen(AREA, "entries made by hand", fault, AS_ROOT));
    checks.chain(unknown).collect()
}

/// How reading a list went.
#[derive(Debug, Deserialize)]
struct Read {
    entries: usize,
    rejected: usize,
    fault: Option<String>,
}

/// The same for the list as the daemon has it: nobody reads a million entries again to count them.
fn in_force(daemon: &Daemon, name: &str) -> Option<Read> {
    let mut lists = items(daemon.status()?.pointer("/rules/lists")?);
    let list = lists.find(|list| list["name"] == name)?;
    Read::deserialize(list).ok()
}

/// How old the last good copy of a list is.
fn copy_age(config: &Config, list: &List, now: Timestamp) -> Option<Duration> {
    let Source::Url(download) = &list.source else { return None };
    let origin = Origin::Url(download.url.clone());
    let path = copy_path(list, &origin, &config.list_copies());
    LastGood::new(path, origin.identity()).age(now)
}

/// What was wrong when the daemon last fetched a list.
fn feed_fault(daemon: &Daemon, name: &str) -> Option<String> {
    let feed = items(&daemon.feeds).find(|feed| feed["list"] == name)?;
    feed["last_fault"].as_str().map(ToOwned::to_owned)
}

/// A list that is fetched every `interval`.
fn fetched(
    name: &str,
    entries: usize,
    age: Option<Duration>,
    interval: Duration,
    fault: Option<&str>,
) -> Check {
    let remedy = format!("portcullis feeds fetch {name}");
    let fault = fault.map(|fault| format!("; {fault}")).unwrap_or_default();
    let Some(age) = age else {
        let found = format!("it was never fetched{fault}");
        return Check::bad(AREA, name, found, remedy);
    };
    let every = shown(interval);
    let found = format!("{entries} entries, {} old, fetched every {every}{fault}", shown(age));
    // A fetch may come a tenth later, and one that fails is tried again soon.
    if age > interval.saturating_mul(3) {
        Check::bad(AREA, name, found, remedy)
    } else if age > interval.saturating_mul(2) || !fault.is_empty() {
        Check::doubtful(AREA, name, found, remedy)
    } else {
        Check::ok(AREA, name, found)
    }
}

/// A length of time in its largest units.
fn shown(time: Duration) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    #[test]
    fn the_age_of_what_is_fetched_is_judged_by_its_interval() {
        let hours = |hours| Some(Duration::from_hours(hours));
        for (age, fault, expected) in [
            (hours(1), None, State::Ok),
            (hours(2), None, State::Ok),
            (hours(3), None, State::Doubtful),
            (hours(1), Some("it answers 404"), State::Doubtful),
            (hours(4), None, State::Bad),
            (hours(4), Some("it answers 404"), State::Bad),
            (None, None, State::Bad),
        ] {
            let check = fetched("drop", 7, age, Duration::from_hours(1), fault);
            assert_eq!(check.state, expected, "{check:?}");
            assert_eq!(check.found.contains("404"), fault.is_some(), "{check:?}");
        }
    }
}
