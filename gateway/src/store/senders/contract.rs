//! What every store of senders promises, in memory and on a disk.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::sender::PassedBy;
use crate::store::Opened;

/// A store that may be closed and opened again between two calls.
trait Stage {
    fn store(&mut self) -> Box<dyn SenderStore + '_>;
}

struct InMemory(Arc<MemorySenders>);

impl Stage for InMemory {
    fn store(&mut self) -> Box<dyn SenderStore + '_> {
        Box::new(Shared(Arc::clone(&self.0)))
    }
}

/// Opened anew for each call: nothing may be known that is not in the file.
struct Reopened(TempDir);

impl Stage for Reopened {
    fn store(&mut self) -> Box<dyn SenderStore + '_> {
        Box::new(open(&self.0))
    }
}

struct OnDisk(Arc<SqliteSenders>, #[expect(dead_code, reason = "it lives as long")] TempDir);

impl Stage for OnDisk {
    fn store(&mut self) -> Box<dyn SenderStore + '_> {
        Box::new(Shared(Arc::clone(&self.0)))
    }
}

#[derive(Debug)]
struct Shared<T>(Arc<T>);

impl<T: SenderStore> SenderStore for Shared<T> {
    fn greylist(
        &self,
        attempt: &Attempt,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<GreylistAnswer, StoreError> {
        self.0.greylist(attempt, settings, now)
    }

    fn passed(
        &self,
        pool: &Pool,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<Option<Passed>, StoreError> {
        self.0.passed(pool, settings, now)
    }

    fn list(
        &self,
        selection: &Selection,
        limit: usize,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<SenderList, StoreError> {
        self.0.list(selection, limit, settings, now)
    }

    fn pass(&self, pool: &Pool, manual: &Manual, now: Timestamp) -> Result<(), StoreError> {
        self.0.pass(pool, manual, now)
    }

    fn forget(&self, selection: &Selection) -> Result<SenderCounts, StoreError> {
        self.0.forget(selection)
    }

    fn expire(&self, settings: &Greylist, now: Timestamp) -> Result<SenderCounts, StoreError> {
        self.0.expire(settings, now)
    }

    fn counts(&self) -> SenderCounts {
        self.0.counts()
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.0.flush()
    }
}

fn open(folder: &TempDir) -> SqliteSenders {
    let Opened { store, damaged } = SqliteSenders::open(folder.path(), at(0)).unwrap();
    assert_eq!(damaged, None);
    store
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + 60 * minute).unwrap()
}

const DAY: i64 = 24 * 60;

fn pool(text: &str) -> Pool {
    text.parse().unwrap()
}

fn attempt(from: &str, sender: &str, recipient: &str) -> Attempt {
    Attempt::new(pool(from), sender, recipient)
}

/// `wait TRIES SECONDS`, or `retry`, `pair`, `known` with the minute since when.
fn greylist(stage: &mut dyn Stage, who: &str, settings: &Greylist, minute: i64) -> String {
    let mut words = who.split(' ').map(|word| if word == "<>" { "" } else { word });
    let [from, sender, recipient] = [(); 3].map(|()| words.next().unwrap());
    let attempt = attempt(from, sender, recipient);
    match stage.store().greylist(&attempt, settings, at(minute)).unwrap() {
        GreylistAnswer::Wait { seconds_left, tries, .. } => format!("wait {tries} {seconds_left}"),
        GreylistAnswer::Passed { how, since } => {
            let how = match how {
                PassedBy::KnownPool => "known",
                PassedBy::Retry => "retry",
                PassedBy::Pair => "pair",
            };
            format!("{how} {}", (since.as_second() - at(0).as_second()) / 60)
        }
    }
}

fn counts(waiting: usize, passed: usize) -> SenderCounts {
    SenderCounts { waiting, passed }
}

/// `waiting SENDER RECIPIENT POOL TRIES` and `passed POOL AUTHOR`, sorted.
fn listed(stage: &mut dyn Stage, text: &str, limit: usize, minute: i64) -> Vec<String> {
    let Ok(selection) = text.parse();
    let selection = if text == "*" { Selection::All } else { selection };
    let list = stage.store().list(&selection, limit, &Greylist::default(), at(minute)).unwrap();
    let waiting = list.waiting.iter().map(|row| {
        let WaitingRow { pool, sender, recipient, tries, waiting } = row;
        assert_eq!(waiting.tries, 1, "the second passes");
        format!("waiting {sender} {recipient} {pool} {tries}")
    });
    let passed = list.passed.iter().map(|row| {
        let author = row.passed.manual.as_ref().map_or("-", |it| &*it.author);
        format!("passed {} {author}", row.pool)
    });
    let mut rows: Vec<_> = waiting.chain(passed).collect();
    rows.sort();
    rows
}

fn manual(until: Option<i64>) -> Manual {
    Manual { author: "anna".into(), reason: Some("a customer".into()), until: until.map(at) }
}

/// All that is promised.
fn contract(mut new: impl FnMut() -> Box<dyn Stage>) {
    remembers_pools(&mut *new());
    follows_pairs(&mut *new());
    obeys_people(&mut *new());
    lists_and_forgets(&mut *new());
    expires(&mut *new());
    is_bounded(&mut *new());
    survives_odd_texts(&mut *new());
}

fn remembers_pools(stage: &mut dyn Stage) {
    let settings = Greylist::default();
    let end = 6 + 36 * DAY;
    for (minute, who, expected) in [
        (0, "192.0.2.0/24 a@x b@y", "wait 1 300"),
        (1, "192.0.2.0/24 A@X B@y", "wait 1 240"),
        (2, "192.0.2.0/24 a@x c@y", "wait 1 300"),
        (2, "192.0.2.0/24 <> c@y", "wait 1 300"),
        (3, "198.51.100.0/24 a@z b@y", "wait 1 300"),
        (5, "192.0.2.0/24 a@x b@y", "retry 0"),
        (6, "192.0.2.0/24 new@x b@y", "known 5"),
        (6, "192.0.2.0/24 <> b@y", "known 5"),
        (6, "@example.org a@x b@y", "wait 1 300"),
        (11, "@example.org a@x b@y", "retry 6"),
        (11, "@example.org d@x b@y", "known 11"),
        (11, "@example.com d@x b@y", "wait 1 300"),
        // Too late for a retry.
        (4 + DAY, "198.51.100.0/24 a@z b@y", "wait 1 300"),
        (9 + DAY, "198.51.100.0/24 a@z b@y", "retry 1444"),
        // Each use counts for 36 days.
        (end - 2, "192.0.2.0/24 e@x b@y", "known 5"),
        (end + 20 * DAY, "192.0.2.0/24 f@x b@y", "known 5"),
        (end + 57 * DAY, "192.0.2.0/24 f@x b@y", "wait 1 300"),
    ] {
        assert_eq!(greylist(stage, who, &settings, minute), expected, "{minute} {who}");
    }
    let store = stage.store();
    let passed = store.passed(&pool("@example.org"), &settings, at(12)).unwrap().unwrap();
    assert_eq!((passed.since, passed.used, passed.manual), (at(11), at(11), None));
    assert_eq!(store.passed(&pool("@example.com"), &settings, at(12)).unwrap(), None);
}

fn follows_pairs(stage: &mut dyn Stage) {
    let settings = Greylist::default();
    for (minute, who, expected) in [
        (0, "10.0.1.0/24 a@x b@y", "wait 1 300"),
        (1, "10.0.2.0/24 a@x b@y", "wait 1 300"),
        (5, "10.0.3.0/24 a@x b@y", "wait 2 300"),
        (7, "10.0.4.0/24 a@x b@y", "wait 2 180"),
        (7, "10.0.4.0/24 other@x b@y", "wait 1 300"),
        (10, "10.0.5.0/24 a@x b@y", "pair 0"),
        (10, "10.0.5.0/24 c@x d@y", "known 10"),
        // The next message of the pair begins anew where the pool is not known.
        (11, "10.0.6.0/24 a@x b@y", "wait 1 300"),
        // The clock is set back by an hour.
        (-49, "10.0.7.0/24 a@x b@y", "wait 1 300"),
        (-45, "10.0.7.0/24 a@x b@y", "wait 1 60"),
        (-44, "10.0.7.0/24 a@x b@y", "retry -49"),
    ] {
        assert_eq!(greylist(stage, who, &settings, minute), expected, "{minute} {who}");
    }
}

fn obeys_people(stage: &mut dyn Stage) {
    let settings = Greylist { pass_for: Duration::from_hours(1), most: 10, ..Greylist::default() };
    stage.store().pass(&pool("10.0.1.0/24"), &manual(None), at(0)).unwrap();
    stage.store().pass(&pool("10.0.2.0/24"), &manual(Some(100)), at(0)).unwrap();
    for (minute, who, expected) in [
        (1, "10.0.1.0/24 a@x b@y", "known 0"),
        (99, "10.0.2.0/24 a@x b@y", "known 0"),
        (100, "10.0.2.0/24 a@x b@y", "wait 1 300"),
        (105, "10.0.2.0/24 a@x b@y", "retry 100"),
        (106, "10.0.2.0/24 a@x b@y", "known 105"),
    ] {
        assert_eq!(greylist(stage, who, &settings, minute), expected, "{minute} {who}");
    }
    for network in 0..50 {
        for minute in [200, 205] {
            greylist(stage, &format!("10.1.{network}.0/24 a@x b@y{network}"), &settings, minute);
        }
    }
    assert!(stage.store().counts().passed <= 11, "the most, and one by hand");
    assert_eq!(greylist(stage, "10.0.1.0/24 a@x b@y", &settings, DAY), "known 0");
    assert_eq!(greylist(stage, "10.0.2.0/24 a@x b@y", &settings, 205), "wait 1 300");
    let too_long = Manual { author: "ä".repeat(101).into(), ..manual(None) };
    let error = stage.store().pass(&pool("10.0.3.0/24"), &too_long, at(0)).unwrap_err();
    assert_eq!(error.to_string(), "the author has 101 characters, expected at most 100");
    let passed = stage.store().passed(&pool("10.0.1.0/24"), &settings, at(9)).unwrap().unwrap();
    assert_eq!(passed.manual, Some(manual(None)));
}

fn lists_and_forgets(stage: &mut dyn Stage) {
    let settings = Greylist::default();
    for (minute, who) in [
        (0, "10.0.1.0/24 a@x b@y"),
        (6, "10.0.2.0/24 a@x b@y"),
        (6, "10.0.2.0/24 c@x b@y"),
        (6, "2001:db8::/64 <> b@z"),
        (0, "10.0.3.0/24 e@x b@y"),
        (6, "10.0.3.0/24 e@x b@y"),
    ] {
        greylist(stage, who, &settings, minute);
    }
    stage.store().pass(&pool("@example.org"), &manual(None), at(7)).unwrap();
    let all = [
        "passed 10.0.3.0/24 -",
        "passed @example.org anna",
        "waiting  b@z 2001:db8::/64 1",
        "waiting a@x b@y 10.0.1.0/24 2",
        "waiting a@x b@y 10.0.2.0/24 2",
        "waiting c@x b@y 10.0.2.0/24 1",
    ];
    let some = |indices: &[usize]| indices.iter().map(|it| all[*it]).collect::<Vec<_>>();
    for (text, limit, minute, expected) in [
        ("*", 10, 7, &[0, 1, 2, 3, 4, 5][..]),
        // The newest: `@example.org`, and of the tries that of IPv6, the last that begins.
        ("*", 1, 7, &[1, 2]),
        ("*", 0, 7, &[]),
        ("*", 10, DAY + 1, &[0, 1, 2, 4, 5]),
        ("10.0.0.0/22", 10, 7, &[0, 3, 4, 5]),
        ("10.0.2.7", 10, 7, &[4, 5]),
        ("10.0.3.0/24", 10, 7, &[0]),
        ("@example.org", 10, 7, &[1]),
        ("Example", 10, 7, &[1]),
        ("a@X", 10, 7, &[3, 4]),
        ("b@z", 10, 7, &[2]),
        ("nobody", 10, 7, &[]),
    ] {
        assert_eq!(listed(stage, text, limit, minute), some(expected), "{text} {limit} {minute}");
    }
    assert_eq!(stage.store().counts(), counts(7, 2), "four tries of three pairs");
    for (text, removed, left) in [
        ("nobody", counts(0, 0), counts(7, 2)),
        ("10.0.2.7", counts(4, 0), counts(3, 2)),
        ("10.0.3.0/24", counts(0, 1), counts(3, 1)),
        ("b@z", counts(2, 0), counts(1, 1)),
        ("@example.org", counts(0, 1), counts(1, 0)),
    ] {
        let Ok(selection) = text.parse();
        assert_eq!(stage.store().forget(&selection).unwrap(), removed, "{text}");
        assert_eq!(stage.store().counts(), left, "{text}");
    }
    // The tries of the pair are forgotten, the one from the other pool is not.
    assert_eq!(greylist(stage, "10.0.9.0/24 a@x b@y", &settings, 12), "wait 1 300");
    assert_eq!(greylist(stage, "10.0.1.0/24 a@x b@y", &settings, 12), "retry 0");
    assert_eq!(greylist(stage, "10.0.3.0/24 a@x b@y", &settings, 12), "wait 1 300");
    let counted = stage.store().counts();
    assert_eq!(stage.store().forget(&Selection::All).unwrap(), counted);
    assert_eq!(stage.store().counts(), counts(0, 0));
}

fn expires(stage: &mut dyn Stage) {
    let settings = Greylist { pass_for: Duration::from_hours(48), ..Greylist::default() };
    for number in 0..1500 {
        let who = Attempt::new(pool("10.0.1.0/24"), &format!("{number}@x"), "b@y");
        // One store for all, since there are many.
        stage.store().greylist(&who, &settings, at(0)).unwrap();
    }
    greylist(stage, "10.0.2.0/24 a@x b@y", &settings, 10);
    greylist(stage, "10.0.2.0/24 a@x b@y", &settings, 15);
    greylist(stage, "10.0.3.0/24 a@x b@y", &settings, 20);
    stage.store().pass(&pool("10.0.4.0/24"), &manual(Some(30)), at(0)).unwrap();
    stage.store().pass(&pool("10.0.5.0/24"), &manual(None), at(0)).unwrap();
    for (minute, removed, left) in [
        (DAY, counts(0, 1), counts(3002, 2)),
        (DAY + 1, counts(3000, 0), counts(2, 2)),
        (DAY + 20, counts(0, 0), counts(2, 2)),
        (2 * DAY + 14, counts(2, 0), counts(0, 2)),
        (2 * DAY + 15, counts(0, 1), counts(0, 1)),
        (9999 * DAY, counts(0, 0), counts(0, 1)),
    ] {
        assert_eq!(stage.store().expire(&settings, at(minute)).unwrap(), removed, "{minute}");
        assert_eq!(stage.store().counts(), left, "{minute}");
    }
    // What a clock in the future has left goes when the clock is right again.
    greylist(stage, "10.0.2.0/24 a@x b@y", &settings, 99 * DAY);
    assert_eq!(stage.store().expire(&settings, at(0)).unwrap(), counts(2, 0));
}

fn is_bounded(stage: &mut dyn Stage) {
    let settings = Greylist { most: 100, ..Greylist::default() };
    for minute in [0, 5] {
        greylist(stage, "192.0.2.0/24 a@x b@y", &settings, minute);
    }
    for number in 0..200 {
        let who = format!("10.0.{number}.0/24 {number}@x b@y");
        assert_eq!(greylist(stage, &who, &settings, 6), "wait 1 300", "{number}");
        assert!(stage.store().counts().waiting <= 100);
    }
    assert_eq!(stage.store().counts(), counts(100, 1));
    assert_eq!(
        greylist(stage, "192.0.2.0/24 c@x d@y", &settings, 7),
        "known 5",
        "nothing pushes it out"
    );
    for (number, expected) in
        [(199, "retry 6"), (150, "retry 6"), (149, "wait 1 300"), (0, "wait 1 300")]
    {
        let who = format!("10.0.{number}.0/24 {number}@x b@y");
        assert_eq!(greylist(stage, &who, &settings, 11), expected, "{number}");
    }
    let none = Greylist { most: 0, ..settings };
    greylist(stage, "10.9.0.0/24 a@x b@y", &none, 12);
    assert_eq!(stage.store().counts(), counts(0, 0));
}

fn survives_odd_texts(stage: &mut dyn Stage) {
    let settings = Greylist::default();
    let long = "x".repeat(100_000);
    let texts =
        ["", "'; DROP TABLE waiting; --", "\0", "a\0b", "ä\u{202e}\u{1b}[2J", &long, "%", "_"];
    for (minute, expected) in [(0, "Wait"), (5, "Passed")] {
        for (network, text) in texts.into_iter().enumerate() {
            let who = attempt(&format!("10.0.{network}.0/24"), text, text);
            let answer = stage.store().greylist(&who, &settings, at(minute)).unwrap();
            assert!(format!("{answer:?}").starts_with(expected), "{text:?} {answer:?}");
        }
    }
    assert_eq!(stage.store().counts(), counts(0, texts.len()));
}

#[test]
fn senders_in_memory_keep_the_contract() {
    contract(|| Box::new(InMemory(Arc::default())));
}

#[test]
fn senders_on_a_disk_keep_the_contract() {
    contract(|| {
        let folder = TempDir::new().unwrap();
        Box::new(OnDisk(open(&folder).into(), folder))
    });
}

#[test]
fn a_restart_after_each_call_changes_nothing() {
    for promise in
        [remembers_pools, follows_pairs, obeys_people, lists_and_forgets, survives_odd_texts]
    {
        promise(&mut Reopened(TempDir::new().unwrap()));
    }
}

/// 40 addresses, each in a network of its own, take turns in trying one message again every 1 to 10 minutes.
#[test]
fn s3_6_a_pool_of_forty_addresses_passes_within_three_tries_that_count() {
    let settings = Greylist::default();
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    for round in 0..50 {
        let senders = MemorySenders::default();
        let (mut minute, mut last, mut counted) = (0, None, None);
        let mut counting = 0;
        let how = loop {
            let address = loop {
                let address = roll(40);
                if last != Some(address) {
                    break address;
                }
            };
            last = Some(address);
            if counted.is_none_or(|counted| minute - counted >= 5) {
                (counted, counting) = (Some(minute), counting + 1);
            }
            let from = Pool::network([10, 0, u8::try_from(address).unwrap(), 7].into(), &settings);
            let who = Attempt::new(from.clone(), "news@example.org", "anna@example.com");
            match senders.greylist(&who, &settings, at(minute)).unwrap() {
                GreylistAnswer::Passed { how, .. } => {
                    assert!(senders.passed(&from, &settings, at(minute)).unwrap().is_some());
                    break how;
                }
                GreylistAnswer::Wait { tries, .. } => assert_eq!(tries, counting, "{round}"),
            }
            minute += 1 + i64::try_from(roll(10)).unwrap();
        };
        assert!(counting <= 3, "{round}: {counting} tries count");
        assert_ne!(how, PassedBy::KnownPool);
    }
}

#[test]
fn s3_6_bots_that_try_once_each_never_pass() {
    let settings = Greylist::default();
    let senders = MemorySenders::default();
    for bot in 0..2000_u32 {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + bot * 256);
        let from = Pool::network(address.into(), &settings);
        let who = Attempt::new(from, &format!("{bot}@example.org"), "anna@example.com");
        let answer = senders.greylist(&who, &settings, at(bot.into())).unwrap();
        assert!(matches!(answer, GreylistAnswer::Wait { tries: 1, .. }), "{bot}: {answer:?}");
    }
    assert_eq!(senders.counts().passed, 0);
}

#[test]
fn a_reader_sees_senders_beside_the_daemon_and_writes_nothing() {
    let folder = TempDir::new().unwrap();
    assert!(SqliteSenders::open_read_only(folder.path()).unwrap().is_none());
    let store = open(&folder);
    let reader = SqliteSenders::open_read_only(folder.path()).unwrap().unwrap();
    let who = attempt("10.0.1.0/24", "a@x", "b@y");
    store.greylist(&who, &Greylist::default(), at(0)).unwrap();
    store.flush().unwrap();
    let list = |store: &SqliteSenders| {
        store.list(&Selection::All, 10, &Greylist::default(), at(0)).unwrap()
    };
    assert_eq!(list(&reader), list(&store));
    assert_eq!(list(&reader).waiting.len(), 1);
    let error = reader.forget(&Selection::All).unwrap_err();
    assert!(error.to_string().contains("attempt to write a readonly database"), "{error}");
    assert!(error.hint().is_some());
    let error = reader.greylist(&who, &Greylist::default(), at(9)).unwrap_err();
    assert!(error.to_string().contains("readonly"), "{error}");
}

#[test]
fn a_damaged_file_of_senders_is_put_aside() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(SENDERS_FILE), "hello").unwrap();
    let Opened { store, damaged } = SqliteSenders::open(folder.path(), at(0)).unwrap();
    let aside = damaged.unwrap().aside;
    assert!(aside.display().to_string().contains("senders.db.damaged-2026"), "{aside:?}");
    assert_eq!(fs::read(aside).unwrap(), b"hello");
    assert_eq!(store.counts(), counts(0, 0));
}

#[test]
fn a_newer_file_of_senders_is_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    let path = folder.path().join(SENDERS_FILE);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let error = SqliteSenders::open(folder.path(), at(0)).unwrap_err();
    assert!(error.to_string().ends_with("has schema version 2, expected at most 1"), "{error}");
    assert!(path.is_file());
}

#[test]
fn without_room_a_try_fails_and_what_is_known_still_passes() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let settings = Greylist::default();
    let known = attempt("192.0.2.0/24", "a@x", "b@y");
    store.pass(&known.pool, &manual(None), at(0)).unwrap();
    store.fill();
    let error = (0..100_000).find_map(|number| {
        let who = attempt("10.0.1.0/24", &format!("{number}@x"), "b@y");
        store.greylist(&who, &settings, at(0)).err()
    });
    let error = error.unwrap();
    let said = "cannot remember a try: database or disk is full";
    assert!(error.to_string().ends_with(said), "{error}");
    assert!(error.hint().unwrap().starts_with("make room"));
    let left = store.counts();
    let reader = SqliteSenders::open_read_only(folder.path()).unwrap().unwrap();
    assert_eq!(reader.counts(), left, "what is counted is what is there");
    drop(reader);
    assert!(matches!(
        store.greylist(&known, &settings, at(1)).unwrap(),
        GreylistAnswer::Passed { how: PassedBy::KnownPool, .. }
    ));
    assert_eq!(store.forget(&Selection::All).unwrap(), left, "and there is room again");
    store.greylist(&attempt("10.0.1.0/24", "a@x", "b@y"), &settings, at(0)).unwrap();
}

/// A copy of the files is what a process leaves that is killed.
#[test]
fn a_killed_process_leaves_a_whole_file_with_all_that_was_flushed() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    for number in 0..5000 {
        let who = attempt("10.0.1.0/24", &format!("{number}@x"), "b@y");
        store.greylist(&who, &Greylist::default(), at(0)).unwrap();
        if number == 2999 {
            store.flush().unwrap();
        }
        if number % 1000 == 999 {
            let left = TempDir::new().unwrap();
            for suffix in ["", "-wal"] {
                let name = format!("{SENDERS_FILE}{suffix}");
                fs::copy(folder.path().join(&name), left.path().join(&name)).unwrap();
            }
            let found = open(&left).counts().waiting;
            let flushed = if number >= 2999 { 6000 } else { 0 };
            assert!((flushed..=2 * (number + 1)).contains(&found), "{number}: {found}");
            assert_eq!(found % 2, 0, "half a try");
        }
    }
}

#[test]
fn threads_share_a_store() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..100 {
                    let from = format!("10.{thread}.{number}.0/24");
                    let who = attempt(&from, "a@x", &format!("{thread}-{number}@y"));
                    store.greylist(&who, &Greylist::default(), at(0)).unwrap();
                    store.greylist(&who, &Greylist::default(), at(5)).unwrap();
                }
            });
        }
    });
    assert_eq!(store.counts(), counts(0, 400));
}
