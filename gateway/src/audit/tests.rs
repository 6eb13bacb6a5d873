//! The store from the writer to the search: sealed or not, restarted, damaged, too old, without room.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::alarm::Alarms;
use crate::clock::{Clock, Timestamp};

/// A second of 2026-11-20 from which records count.
const START: i64 = 1_795_161_600;

/// A trail under test, with small segments.
struct Trail {
    folder: TempDir,
    retention: Retention,
    clock: Clock,
    alarms: Alarms,
}

impl Trail {
    fn new() -> Self {
        let now = Timestamp::from_second(START + 3600).unwrap();
        let retention = Retention::DEFAULT;
        let folder = TempDir::new().unwrap();
        Self { folder, retention, clock: Clock::Fixed(now), alarms: Alarms::default() }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn lines(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn writer(&self) -> Writer {
        let store = StoreSettings {
            folder: self.store(),
            retention: self.retention,
            segment: 100,
            settled: Duration::ZERO,
        };
        let settings = Settings { store: Some(store), ..Settings::lines(self.lines()) };
        Writer::start(settings, self.alarms.clone(), self.clock).unwrap()
    }

    /// Has records written by a daemon that then ends.
    fn write(&self, numbers: std::ops::Range<u32>) {
        let writer = self.writer();
        write(&writer, numbers);
        writer.close();
    }

    fn archive(&self) -> Archive {
        Archive::new(&self.store())
    }

    fn count(&self, query: &Query) -> usize {
        let found = self.archive().search(query, usize::MAX).unwrap();
        assert!(found.faults.is_empty(), "{:?}", found.faults);
        found.records.len()
    }

    /// The segments that are there, as their numbers and endings.
    fn files(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.store()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let endings = ["db", "sealed"];
        let is_segment = |name: &String| {
            name.rsplit_once('.').is_some_and(|(_number, ending)| endings.contains(&ending))
        };
        names.filter(is_segment).collect()
    }

    fn wait_for_files(&self, expected: &[&str]) {
        wait(
            || self.files() == expected.iter().map(|name| (*name).to_owned()).collect(),
            || format!("{:?}, expected {expected:?}", self.files()),
        );
    }
}

fn wait(mut is_so: impl FnMut() -> bool, otherwise: impl Fn() -> String) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{}", otherwise());
}

fn write(writer: &Writer, numbers: std::ops::Range<u32>) {
    let before = writer.status().written;
    let count = u64::from(numbers.end - numbers.start);
    numbers.for_each(|number| writer.write(&record(number)));
    wait(|| writer.status().written == before + count, || format!("{:?}", writer.status()));
}

/// A record of the second `number`: every tenth is refused, and each has words of its own.
fn record(number: u32) -> Value {
    let (code, action) =
        if number.is_multiple_of(10) { ("sys-deny-ip", "reject") } else { ("accept", "accept") };
    json!({
        "time": Timestamp::from_second(START + i64::from(number)).unwrap().to_string(),
        "reference": format!("R{number}"),
        "phase": "message",
        "code": code,
        "action": action,
        "client": format!("198.51.{}.{}", number / 250, number % 250),
        "envelope": {
            "sender": format!("\u{1b}[2J\"'\n\0{number}@Example.COM"),
            "recipients": ["a@x.org", format!("r{number}@x.org"), "x".repeat(500)],
        },
        "message_id": format!("m{number}@x"),
        "addresses": [{"ip": "2001:db8::7"}],
    })
}

fn with(kind: Kind, value: &str) -> Query {
    Query::default().with(kind, value)
}

fn inside(network: &str) -> Query {
    Query { network: Some(network.parse().unwrap()), ..Query::default() }
}

fn between(since: i64, until: i64) -> Query {
    let at = |second| Timestamp::from_second(START + second).ok();
    Query { since: at(since), until: at(until), ..Query::default() }
}

#[test]
fn records_are_found_in_segments_of_both_forms() {
    let trail = Trail::new();
    let writer = trail.writer();
    write(&writer, 0..250);
    trail.wait_for_files(&["00000001.sealed", "00000002.sealed", "00000003.db"]);
    for (query, count) in [
        (Query::default(), 250),
        (with(Kind::Code, "accept"), 225),
        (with(Kind::Action, "reject"), 25),
        (with(Kind::Action, "reject").with(Kind::Reference, "r20"), 1),
        (with(Kind::Action, "reject").with(Kind::Reference, "r21"), 0),
        (with(Kind::Reference, "R7"), 1),
        (with(Kind::Reference, "R249"), 1),
        (with(Kind::Reference, "R250"), 0),
        (with(Kind::MessageId, "<m101@x>"), 1),
        (with(Kind::Recipient, "A@X.ORG"), 250),
        (with(Kind::Recipient, "r205@x.org"), 1),
        (with(Kind::RecipientDomain, "x.org"), 250),
        (with(Kind::Sender, "\u{1b}[2J\"'\n\u{0}3@example.com"), 1),
        (with(Kind::SenderDomain, "example.com"), 250),
        (with(Kind::List, "bad"), 0),
        (inside("198.51.0.7"), 1),
        (inside("198.51.0.0/29"), 8),
        (inside("0.0.0.0/0"), 250),
        (inside("2001:db8::/64"), 250),
        (inside("2001:db9::/64"), 0),
        (between(0, 250), 250),
        (between(95, 105), 10),
        (between(199, 201), 2),
        (between(300, 400), 0),
        (Query { network: "198.51.0.0/24".parse().ok(), ..between(90, 110) }, 20),
        (between(95, 111).with(Kind::Action, "reject"), 2),
    ] {
        assert_eq!(trail.count(&query), count, "{query:?}");
        let backwards = Query { newest_first: true, ..query };
        assert_eq!(trail.count(&backwards), count, "{backwards:?}");
    }
    let found = trail.archive().search(&with(Kind::Reference, "R42"), 10).unwrap();
    assert_eq!(found.records[0].record, record(42), "nothing of it is changed");
    let text = fs::read_to_string(trail.lines()).unwrap();
    assert_eq!(text.lines().count(), 250, "the lines are written as well");
    writer.close();
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    let trail = Trail::new();
    trail.write(0..230);
    for newest_first in [false, true] {
        let mut query = Query { newest_first, ..with(Kind::Code, "accept") };
        let mut seen = Vec::new();
        loop {
            let found = trail.archive().search(&query, 7).unwrap();
            seen.extend(found.records.iter().map(|found| found.record["reference"].clone()));
            query.after = found.next();
            if query.after.is_none() {
                break;
            }
        }
        let mut expected: Vec<_> =
            (0..230).filter(|number| number % 10 != 0).map(|it| json!(format!("R{it}"))).collect();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

#[test]
fn a_restart_goes_on_in_the_same_segment() {
    let trail = Trail::new();
    trail.write(0..30);
    trail.write(30..60);
    trail.wait_for_files(&["00000001.db"]);
    trail.write(60..110);
    assert_eq!(trail.count(&Query::default()), 110);
    let (segments, _) = trail.archive().segments().unwrap();
    assert_eq!(segments.iter().map(|it| it.records).collect::<Vec<_>>(), [100, 10]);
}

#[test]
fn two_daemons_write_side_by_side() {
    let trail = Trail::new();
    let (first, second) = (trail.writer(), trail.writer());
    let mut follower = trail.archive().follow().unwrap();
    write(&first, 0..10);
    write(&second, 10..20);
    write(&first, 20..30);
    trail.wait_for_files(&["00000001.db", "00000002.db"]);
    let mut seen = 0;
    follower.next(&Query::default(), |_seen| seen += 1).unwrap();
    write(&second, 30..40);
    follower.next(&with(Kind::Action, "accept"), |_seen| seen += 1).unwrap();
    assert_eq!(seen, 30 + 9);
    first.close();
    second.close();
    assert_eq!(trail.count(&Query::default()), 40);
}

#[test]
fn who_follows_sees_each_record_once_over_all_segments() {
    let trail = Trail::new();
    trail.write(0..50);
    let mut follower = trail.archive().follow().unwrap();
    assert!(follower.has_seen(Cursor { segment: 1, record: 50 }));
    let writer = trail.writer();
    let mut seen = Vec::new();
    for start in (50..450).step_by(50) {
        write(&writer, start..start + 50);
        follower.next(&Query::default(), |found| seen.push(found.line.to_owned())).unwrap();
    }
    let expected: Vec<_> = (50..450).map(|number| record(number).to_string()).collect();
    assert_eq!(seen, expected);
    writer.close();
}

#[test]
fn records_with_the_same_key_are_told_apart() {
    let trail = Trail::new();
    trail.write(0..3);
    let database = Connection::open(trail.store().join("00000001.db")).unwrap();
    let keys = with(Kind::List, "collides").keys()[0].to_be_bytes();
    database
        .execute("UPDATE terms SET keys = CAST(keys || ?1 AS BLOB)", [keys.as_slice()])
        .unwrap();
    drop(database);
    assert_eq!(trail.count(&with(Kind::List, "collides")), 0);
    assert_eq!(trail.count(&with(Kind::Reference, "R1")), 1);
}

#[test]
fn what_is_too_old_or_too_much_goes() {
    let mut trail = Trail::new();
    trail.clock = Clock::Fixed(Timestamp::from_second(START + 40 * 86_400).unwrap());
    trail.write(0..10);
    trail.write(10..210);
    // The age of a segment is that of its last record: all are too old but what still grows.
    let writer = trail.writer();
    write(&writer, 210..320);
    wait(
        || !trail.files().iter().any(|name| name.ends_with(".sealed")),
        || format!("{:?}", trail.files()),
    );
    writer.close();
    let mut trail = Trail::new();
    trail.retention.max_size = 400 << 10;
    let writer = trail.writer();
    write(&writer, 0..3000);
    let octets = || {
        let (segments, _) = trail.archive().segments().unwrap();
        segments.iter().filter(|it| it.sealed).map(|it| it.octets).sum::<u64>()
    };
    wait(|| octets() <= 375 << 10, || format!("{} octets", octets()));
    assert_eq!(trail.count(&with(Kind::Reference, "R2999")), 1);
    assert_eq!(trail.count(&with(Kind::Reference, "R0")), 0);
    writer.close();
}

/// Spoils the middle of a file.
fn damage(path: &Path) {
    let mut octets = fs::read(path).unwrap();
    let length = octets.len();
    octets[100..length].fill(0x5a);
    fs::write(path, octets).unwrap();
}

#[test]
fn a_damaged_segment_costs_its_own_records() {
    let trail = Trail::new();
    let writer = trail.writer();
    write(&writer, 0..250);
    trail.wait_for_files(&["00000001.sealed", "00000002.sealed", "00000003.db"]);
    writer.close();
    damage(&trail.store().join("00000002.sealed"));
    let found = trail.archive().search(&with(Kind::RecipientDomain, "x.org"), 1000).unwrap();
    assert_eq!((found.records.len(), found.faults.len()), (150, 1));
    assert!(found.faults[0].to_string().contains("00000002.sealed is damaged"), "{found:?}");
    damage(&trail.store().join("00000003.db"));
    trail.write(250..260);
    let aside: Vec<_> = fs::read_dir(trail.store())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains(".damaged-"))
        .collect();
    assert!(!aside.is_empty());
    trail.wait_for_files(&["00000001.sealed", "00000002.sealed", "00000004.db"]);
    let found = trail.archive().search(&with(Kind::RecipientDomain, "x.org"), 1000).unwrap();
    assert_eq!((found.records.len(), found.faults.len()), (110, 1));
}

#[test]
fn a_segment_of_a_later_version_is_left_alone() {
    let trail = Trail::new();
    trail.write(0..5);
    let path = trail.store().join("00000001.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    trail.write(5..10);
    trail.wait_for_files(&["00000001.db", "00000002.db"]);
    let found = trail.archive().search(&Query::default(), 100).unwrap();
    assert_eq!(found.records.len(), 5);
    assert!(matches!(found.faults[..], [AuditError::Newer { found: 99, .. }]), "{found:?}");
}

#[test]
fn records_wait_until_the_store_has_room() {
    let trail = Trail::new();
    fs::write(trail.store(), "in the way").unwrap();
    let writer = trail.writer();
    (0..20).for_each(|number| writer.write(&record(number)));
    wait(|| trail.alarms.list().len() == 1, || format!("{:?}", trail.alarms.list()));
    assert_eq!(trail.alarms.list()[0].about, "audit-store");
    let lines = || fs::read_to_string(trail.lines()).unwrap().lines().count();
    wait(|| lines() == 20, || "the lines do not wait".to_owned());
    assert_eq!((writer.status().waiting, writer.status().written), (20, 0));
    fs::remove_file(trail.store()).unwrap();
    writer.write(&record(20));
    wait(|| writer.status().written == 21, || format!("{:?}", writer.status()));
    wait(|| trail.alarms.list().is_empty(), || format!("{:?}", trail.alarms.list()));
    writer.close();
    assert_eq!(writer.status().lost, 0);
    assert_eq!(trail.count(&Query::default()), 21);
    assert_eq!(lines(), 21, "each line is there once");
}

#[test]
fn a_store_that_is_not_there_has_no_records() {
    let trail = Trail::new();
    assert_eq!(trail.count(&Query::default()), 0);
    trail.write(0..5);
    fs::remove_dir_all(trail.store()).unwrap();
    assert_eq!(trail.count(&Query::default()), 0);
}
