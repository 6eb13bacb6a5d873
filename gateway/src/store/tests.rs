//! What the store promises: to keep what it is told, to bound it, and to say what it cannot do.

use std::fs;
use std::time::Duration;

use rusqlite::{Connection, params_from_iter};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn open(folder: &TempDir) -> Store {
    let opened = Store::open(folder.path(), at(0)).unwrap();
    assert_eq!(opened.damaged, None);
    opened.store
}

fn prefixes(texts: &[&str]) -> Vec<Prefix> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn entry(list: &str, prefix: &str, kind: Kind, expires: Option<i64>) -> ManualEntry {
    ManualEntry {
        list: list.into(),
        prefix: prefix.parse().unwrap(),
        kind,
        reason: Some("spam since Monday".into()),
        author: "anna".into(),
        added: at(0),
        expires: expires.map(|second| Expiry::at(at(second))),
    }
}

/// Records a change at a second, made by `fetch SECOND`.
fn record(store: &Store, list: &str, second: i64, added: &[&str], removed: &[&str]) {
    let change = Change {
        list,
        at: at(second),
        by: &format!("fetch {second}"),
        entries: 7,
        added: &prefixes(added),
        removed: &prefixes(removed),
        untold: 0,
    };
    store.record(&change).unwrap();
}

/// `list +prefix second` for each event, then `list = second` for each baseline.
fn history(store: &Store, list: Option<&str>, address: &str) -> Vec<String> {
    let history = store.history(list, address.parse().unwrap()).unwrap();
    let second = |time: Timestamp| time.as_second() - at(0).as_second();
    let events = history.events.iter().map(|event| {
        assert_eq!(*event.by, *format!("fetch {}", second(event.at)));
        let sign = if event.added { '+' } else { '-' };
        format!("{} {sign}{} {}", event.list, event.prefix, second(event.at))
    });
    let baselines = history.baselines.iter().map(|it| format!("{} = {}", it.list, second(it.at)));
    events.chain(baselines).collect()
}

/// The second of the baseline, and `prefix second` for each addition after it.
fn additions(store: &Store, list: &str) -> (Option<i64>, Vec<String>) {
    let second = |time: Timestamp| time.as_second() - at(0).as_second();
    let additions = store.additions(list).unwrap();
    let since = additions.since.iter().map(|(prefix, time)| format!("{prefix} {}", second(*time)));
    (additions.baseline.map(second), since.collect())
}

#[test]
fn manual_entries_replace_each_other_by_list_prefix_and_kind() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let first = entry("bad", "192.0.2.0/24", Kind::Listed, Some(60));
    let longer = ManualEntry { reason: None, ..entry("bad", "192.0.2.0/24", Kind::Listed, None) };
    let others = [
        entry("bad", "192.0.2.0/24", Kind::Excepted, None),
        entry("bad", "192.0.2.0/25", Kind::Listed, None),
        entry("bad", "2001:db8::/32", Kind::Listed, None),
        entry("good", "192.0.2.0/24", Kind::Listed, None),
    ];
    assert_eq!(store.add(&first).unwrap(), None);
    for other in &others {
        assert_eq!(store.add(other).unwrap(), None, "{other:?}");
    }
    assert_eq!(store.add(&longer).unwrap(), Some(first));
    let [excepted, half, v6, good] = others;
    let all = [longer.clone(), excepted, half, v6, good];
    assert_eq!(store.manual(at(0)).unwrap(), all);
    let prefix = longer.prefix;
    assert_eq!(store.remove("bad", prefix, Kind::Listed).unwrap(), Some(longer));
    assert_eq!(store.remove("bad", prefix, Kind::Listed).unwrap(), None);
    assert_eq!(store.remove("other", prefix, Kind::Excepted).unwrap(), None);
    assert_eq!(store.manual(at(0)).unwrap(), all[1..]);
}

#[test]
fn an_entry_counts_to_the_end_of_its_second_and_is_forgotten_after_it() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let brief = entry("bad", "192.0.2.1", Kind::Listed, Some(60));
    let lasting = entry("bad", "192.0.2.2", Kind::Listed, None);
    store.add(&brief).unwrap();
    store.add(&lasting).unwrap();
    for (second, counts) in [(0, 2), (59, 2), (60, 1), (61, 1)] {
        assert_eq!(store.manual(at(second)).unwrap().len(), counts, "{second}");
    }
    assert_eq!(store.forget_expired(at(59)).unwrap(), []);
    assert_eq!(store.forget_expired(at(60)).unwrap(), [brief]);
    assert_eq!(store.forget_expired(at(60)).unwrap(), []);
    assert_eq!(store.manual(at(0)).unwrap(), [lasting]);
}

#[test]
fn all_of_it_survives_a_restart() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let kept = entry("bad", "2001:db8::1", Kind::Excepted, Some(60));
    store.add(&kept).unwrap();
    store.set_enabled("bad", true, "anna", at(1)).unwrap();
    store.set_enabled("bad", false, "bert", at(2)).unwrap();
    record(&store, "bad", 1, &[], &[]);
    record(&store, "bad", 2, &["192.0.2.0/24"], &[]);
    drop(store);
    for store in [open(&folder), Store::open_read_only(folder.path()).unwrap().unwrap()] {
        assert_eq!(store.manual(at(0)).unwrap(), [&kept].map(Clone::clone));
        let off = Switch { list: "bad".into(), enabled: false, author: "bert".into(), at: at(2) };
        assert_eq!(store.switches().unwrap(), [off]);
        assert_eq!(additions(&store, "bad"), (Some(1), vec!["192.0.2.0/24 2".to_owned()]));
    }
}

#[test]
fn what_is_written_waits_for_the_disk_and_readers_wait_for_nobody() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let pragma = |name: &str| {
        let read = |transaction: &Transaction<'_>| {
            transaction
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        store.read("read a setting", read).unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
    assert_eq!(pragma("synchronous"), 2.into(), "full");
}

#[test]
fn a_reader_sees_what_is_written_and_writes_nothing() {
    let folder = TempDir::new().unwrap();
    assert!(Store::open_read_only(folder.path()).unwrap().is_none());
    let store = open(&folder);
    let reader = Store::open_read_only(folder.path()).unwrap().unwrap();
    let one = entry("bad", "192.0.2.1", Kind::Listed, None);
    store.add(&one).unwrap();
    assert_eq!(reader.manual(at(0)).unwrap(), [one]);
    let error = reader.set_enabled("bad", false, "anna", at(0)).unwrap_err();
    assert!(error.to_string().ends_with("attempt to write a readonly database"), "{error}");
    assert!(error.hint().unwrap().contains("`state_dir` a folder that can be written"));
    let reading = store.read("hold a moment", |transaction| {
        transaction.query_row("SELECT count(*) FROM manual", [], |_row| Ok(()))?;
        // A reader in the midst of its work keeps nobody from writing.
        let mut writer = Connection::open(folder.path().join(FILE))?;
        writer.transaction()?.execute("DELETE FROM manual", [])
    });
    assert_eq!(reading.unwrap(), 1);
}

#[test]
fn a_damaged_file_is_put_aside_and_a_new_one_begun() {
    let whole = {
        let folder = TempDir::new().unwrap();
        let store = open(&folder);
        let many: Vec<_> =
            (0..500).map(|host| format!("10.0.{}.{}", host / 250, host % 250)).collect();
        record(&store, "bad", 1, &[], &[]);
        record(&store, "bad", 2, &many.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
        drop(store);
        fs::read(folder.path().join(FILE)).unwrap()
    };
    let foreign = {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(FILE);
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE songs (name)").unwrap();
        fs::read(path).unwrap()
    };
    let mut overwritten = whole.clone();
    let last_page = overwritten.len() - 4096;
    overwritten[last_page..].fill(0xa5);
    for (name, octets, reason) in [
        ("a word", b"hello".to_vec(), "file is not a database"),
        ("no database", vec![b'x'; 20_000], "file is not a database"),
        ("cut", whole[..whole.len() / 2].to_vec(), "malformed"),
        ("overwritten", overwritten, "Tree"),
        ("foreign", foreign, "it is the database of another program"),
    ] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(FILE), &octets).unwrap();
        let opened = Store::open(folder.path(), at(0)).unwrap();
        let damaged = opened.damaged.unwrap_or_else(|| panic!("{name} is taken"));
        assert!(damaged.reason.contains(reason), "{name}: {}", damaged.reason);
        assert_eq!(damaged.aside, folder.path().join("portcullis.db.damaged-20260921T141320Z"));
        assert_eq!(fs::read(&damaged.aside).unwrap(), octets, "{name}: as it was");
        record(&opened.store, "bad", 1, &[], &[]);
        drop(opened.store);
        assert_eq!(additions(&open(&folder), "bad"), (Some(1), vec![]), "{name}");
    }
}

#[test]
fn a_newer_schema_is_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    let path = folder.path().join(FILE);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let said = format!("{} has schema version 2, expected at most 1", path.display());
    for error in [
        Store::open(folder.path(), at(0)).unwrap_err(),
        Store::open_read_only(folder.path()).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), said);
        assert!(error.hint().unwrap().starts_with("run the version that wrote it"));
    }
    assert!(path.is_file(), "it is not put aside");
}

#[test]
fn a_folder_that_is_not_there_is_said() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    let error = Store::open(&missing, at(0)).unwrap_err();
    let said = format!("{}: No such file or directory (os error 2)", missing.join(FILE).display());
    assert_eq!(error.to_string(), said);
    assert!(Store::open_read_only(&missing).unwrap().is_none());
}

#[test]
fn without_room_nothing_is_written_and_all_can_be_read() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    record(&store, "bad", 1, &[], &[]);
    record(&store, "bad", 2, &["192.0.2.1"], &[]);
    let limited = store.read("limit the file", |transaction| {
        let pages: i64 = transaction.pragma_query_value(None, "page_count", |row| row.get(0))?;
        transaction
            .pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
    });
    limited.unwrap();
    let added: Vec<_> =
        (0..5000_u32).map(|host| Prefix::host(std::net::Ipv4Addr::from(host).into())).collect();
    let change = Change {
        list: "bad",
        at: at(3),
        by: "fetch 3",
        entries: 1,
        added: &added,
        removed: &[],
        untold: 0,
    };
    let error = store.record(&change).unwrap_err();
    let said = "cannot record a change: database or disk is full";
    assert!(error.to_string().ends_with(said), "{error}");
    assert!(error.hint().unwrap().starts_with("make room"));
    assert_eq!(additions(&store, "bad"), (Some(1), vec!["192.0.2.1 2".to_owned()]));
    record(&store, "bad", 4, &["192.0.2.2"], &[]);
}

#[test]
fn a_change_too_large_to_be_told_begins_the_journal_anew() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    record(&store, "bad", 1, &[], &[]);
    record(&store, "bad", 2, &["192.0.2.1"], &[]);
    let (at, by) = (at(3), "fetch 3");
    let change =
        Change { list: "bad", at, by, entries: 9, added: &[], removed: &[], untold: 2_000_000 };
    store.record(&change).unwrap();
    assert_eq!(additions(&store, "bad"), (Some(3), Vec::new()));
    record(&store, "bad", 4, &["192.0.2.2"], &[]);
    assert_eq!(additions(&store, "bad"), (Some(3), vec!["192.0.2.2 4".to_owned()]));
}

#[test]
fn long_texts_are_refused_and_long_origins_cut() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let fine = ManualEntry {
        reason: Some("ä".repeat(500).into()),
        author: "ä".repeat(100).into(),
        ..entry("bad", "192.0.2.1", Kind::Listed, None)
    };
    store.add(&fine).unwrap();
    for (wrong, said) in [
        (
            ManualEntry { reason: Some("ä".repeat(501).into()), ..fine.clone() },
            "the reason has 501 characters, expected at most 500",
        ),
        (
            ManualEntry { author: "ä".repeat(101).into(), ..fine.clone() },
            "the author has 101 characters, expected at most 100",
        ),
        (
            ManualEntry { list: "l".repeat(201).into(), ..fine.clone() },
            "the name of the list has 201 characters, expected at most 200",
        ),
    ] {
        assert_eq!(store.add(&wrong).unwrap_err().to_string(), said);
    }
    assert_eq!(store.manual(at(0)).unwrap(), [fine]);
    let by = "ä".repeat(600);
    let change =
        Change { list: "bad", at: at(1), by: &by, entries: 0, added: &[], removed: &[], untold: 0 };
    store.record(&change).unwrap();
    let history = store.history(None, [192, 0, 2, 1].into()).unwrap();
    assert_eq!(*history.baselines[0].by, *"ä".repeat(500));
}

#[test]
fn the_journal_says_since_when_an_entry_is_there() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    assert_eq!(additions(&store, "bad"), (None, vec![]));
    record(&store, "bad", 1, &["192.0.2.1", "192.0.2.2"], &[]);
    assert_eq!(additions(&store, "bad"), (Some(1), vec![]), "the first load is the baseline");
    record(&store, "bad", 2, &["192.0.2.3", "192.0.2.4", "2001:db8::/32"], &["192.0.2.1"]);
    record(&store, "bad", 3, &["192.0.2.1"], &["192.0.2.3"]);
    record(&store, "bad", 4, &[], &[]);
    record(&store, "bad", 5, &["192.0.2.3"], &["192.0.2.2"]);
    record(&store, "bad", 6, &["192.0.2.4"], &["192.0.2.4"]);
    record(&store, "good", 7, &[], &[]);
    let since = ["192.0.2.1 3", "192.0.2.3 5", "192.0.2.4 6", "2001:db8::/32 2"];
    assert_eq!(additions(&store, "bad"), (Some(1), since.map(str::to_owned).to_vec()));
    assert_eq!(additions(&store, "good"), (Some(7), vec![]));
}

#[test]
fn the_history_of_an_address_has_every_prefix_that_covers_it() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    record(&store, "bad", 1, &[], &[]);
    record(&store, "other", 1, &[], &[]);
    record(&store, "bad", 2, &["192.0.2.0/24", "192.0.2.7", "192.0.2.8", "2001:db8::/32"], &[]);
    record(&store, "other", 3, &["0.0.0.0/0", "2001:db8::7", "::/0"], &[]);
    record(&store, "bad", 4, &["192.0.0.0/16"], &["192.0.2.7"]);
    for (list, address, expected) in [
        (
            None,
            "192.0.2.7",
            vec![
                "bad -192.0.2.7 4",
                "bad +192.0.0.0/16 4",
                "other +0.0.0.0/0 3",
                "bad +192.0.2.7 2",
                "bad +192.0.2.0/24 2",
                "bad = 1",
                "other = 1",
            ],
        ),
        (Some("other"), "::ffff:192.0.2.7", vec!["other +0.0.0.0/0 3", "other = 1"]),
        (Some("bad"), "192.0.3.1", vec!["bad +192.0.0.0/16 4", "bad = 1"]),
        (Some("missing"), "192.0.2.7", vec![]),
        (
            None,
            "2001:db8::7",
            vec![
                "other +2001:db8::7 3",
                "other +::/0 3",
                "bad +2001:db8::/32 2",
                "bad = 1",
                "other = 1",
            ],
        ),
        (Some("bad"), "2001:db9::", vec!["bad = 1"]),
    ] {
        assert_eq!(history(&store, list, address), expected, "{list:?} {address}");
    }
}

#[test]
fn a_history_takes_no_scan_of_the_journal() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    for (address, probes) in [("192.0.2.7", 33), ("2001:db8::7", 129)] {
        let covering = journal::covering(address.parse().unwrap());
        assert_eq!(covering.len(), probes);
        let plan = store.read("explain", |transaction| {
            let question = format!("EXPLAIN QUERY PLAN {}", journal::question(probes));
            let mut statement = transaction.prepare(&question)?;
            let values = params_from_iter(vec![None::<i64>; probes + 2]);
            let steps = statement.query_map(values, |row| row.get::<_, String>(3))?;
            steps.collect::<rusqlite::Result<Vec<_>>>()
        });
        let plan = plan.unwrap();
        let probe = "SEARCH journal USING PRIMARY KEY (list=? AND prefix=?)";
        assert!(plan.iter().any(|step| step == probe), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("SCAN journal")), "{plan:?}");
    }
}

#[test]
fn the_oldest_changes_go_and_the_baseline_follows_them() {
    let folder = TempDir::new().unwrap();
    // Each change below weighs 12.
    let store =
        Store { bounds: Bounds { list: 60, all: 100, ..Bounds::default() }, ..open(&folder) };
    let two = |second: i64| [format!("10.0.0.{second}"), format!("10.0.1.{second}")];
    let fill = |list: &str, second: i64| {
        record(&store, list, second, &two(second).each_ref().map(String::as_str), &[]);
    };
    let kept = |list: &str| {
        let (baseline, since) = additions(&store, list);
        (baseline.unwrap(), since.len() / 2)
    };
    record(&store, "a", 0, &[], &[]);
    record(&store, "b", 0, &[], &[]);
    for second in 1..=5 {
        fill("a", second);
    }
    assert_eq!(kept("a"), (0, 5), "full to the brim");
    fill("a", 6);
    // 72 must become 54 or less.
    assert_eq!(kept("a"), (2, 4));
    assert_eq!(history(&store, Some("a"), "10.0.0.2"), ["a = 2"]);
    assert_eq!(history(&store, Some("a"), "10.0.0.3"), ["a +10.0.0.3 3", "a = 2"]);
    for second in 7..=10 {
        fill("b", second);
    }
    assert_eq!((kept("a"), kept("b")), ((2, 4), (0, 4)));
    fill("b", 11);
    // 108 in all must become 90 or less: the oldest are those of `a`.
    assert_eq!((kept("a"), kept("b")), ((4, 2), (0, 5)));
    let rows = store.read("count", |transaction| {
        transaction.query_row("SELECT count(*) FROM journal", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(rows.unwrap(), 14);
    let huge: Vec<_> = (0..100).map(|host| format!("10.1.0.{host}")).collect();
    record(&store, "b", 12, &huge.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    assert_eq!(kept("b"), (12, 0), "what is too much for the journal becomes the baseline");
    assert_eq!(kept("a"), (4, 2), "and costs the others nothing");
}

#[test]
fn the_history_of_a_list_counts_each_change_and_names_the_newest_prefixes() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    assert_eq!(store.list_history("bad", 10).unwrap(), ListHistory::default());
    record(&store, "bad", 0, &[], &[]);
    record(&store, "other", 1, &[], &[]);
    record(&store, "bad", 2, &["192.0.2.1", "192.0.2.2"], &[]);
    record(&store, "other", 3, &["192.0.2.9"], &[]);
    record(&store, "bad", 4, &["192.0.2.3"], &["192.0.2.1", "192.0.2.2"]);
    for (limit, changes, events) in [
        (
            10,
            &["fetch 4 +1 -2", "fetch 2 +2 -0"][..],
            &["-192.0.2.1", "-192.0.2.2", "+192.0.2.3", "+192.0.2.1", "+192.0.2.2"][..],
        ),
        (1, &["fetch 4 +1 -2"], &["-192.0.2.1"]),
    ] {
        let found = store.list_history("bad", limit).unwrap();
        let told =
            found.changes.iter().map(|it| format!("{} +{} -{}", it.by, it.added, it.removed));
        assert_eq!(told.collect::<Vec<_>>(), changes, "{limit}");
        let sign = |added| if added { '+' } else { '-' };
        let told = found.events.iter().map(|it| format!("{}{}", sign(it.added), it.prefix));
        assert_eq!(told.collect::<Vec<_>>(), events, "{limit}");
        assert_eq!(found.baseline.unwrap().at, at(0));
    }
}

#[test]
fn a_history_ends_after_the_newest_events() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    record(&store, "bad", 0, &[], &[]);
    for second in 1..=1002 {
        let flapping = ["192.0.2.7"];
        let (added, removed): (&[_], &[_]) =
            if second % 2 == 1 { (&flapping, &[]) } else { (&[], &flapping) };
        record(&store, "bad", second, added, removed);
    }
    let events = history(&store, None, "192.0.2.7");
    assert_eq!(events.len(), MOST_EVENTS + 1, "and the baseline");
    assert_eq!(events.first().unwrap(), "bad -192.0.2.7 1002");
    assert_eq!(events[MOST_EVENTS - 1], "bad +192.0.2.7 3");
}

#[test]
fn a_hundred_thousand_prefixes_are_recorded_at_once() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    record(&store, "bad", 0, &[], &[]);
    // Scattered, and not in order.
    let scattered = |number: u32| {
        let bits = number.wrapping_mul(0x9e37_79b1);
        Prefix::host(std::net::Ipv4Addr::from(bits).into())
    };
    let added: Vec<_> = (0..100_000).map(scattered).collect();
    let change = Change {
        list: "bad",
        at: at(1),
        by: "fetch 1",
        entries: 9,
        added: &added,
        removed: &[],
        untold: 0,
    };
    let start = Instant::now();
    store.record(&change).unwrap();
    let taken = start.elapsed();
    assert_eq!(store.additions("bad").unwrap().since.len(), 100_000);
    assert!(taken < Duration::from_secs(2), "{taken:?}");
}
