//! The quarantine on a real file system: what is held survives, what is half written does not, nothing goes over the bounds.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::policy::Reference;

const START: &str = "2026-11-29T12:00:00Z";

fn id(number: u64) -> Id {
    Id::from(&Reference::new(number))
}

fn open(folder: &Path, settings: Settings, now: &str) -> Arc<Quarantine> {
    let clock = Clock::Fixed(now.parse().unwrap());
    Quarantine::open(&folder.join("q"), settings, Alarms::default(), clock)
}

fn record(number: u64, sender: &str, recipients: &[&str], time: &str) -> HeldMessage {
    let client = SocketAddr::from(([192, 0, 2, 1], 40_000));
    HeldMessage {
        schema: SCHEMA,
        id: id(number),
        time: time.parse().unwrap(),
        client,
        local: client,
        helo: "client.example".to_owned(),
        extended: true,
        sender: sender.to_owned(),
        mail: format!("MAIL FROM:<{sender}>"),
        recipients: recipients
            .iter()
            .map(|address| HeldRecipient {
                address: (*address).to_owned(),
                rcpt: format!("RCPT TO:<{address}>"),
                refused: None,
            })
            .collect(),
        subject: None,
        message_id: Some("1@client.example".to_owned()),
        octets: 4,
        why: Why::default(),
        release_begun: None,
    }
}

/// Holds a message of four octets.
fn hold(quarantine: &Arc<Quarantine>, number: u64, time: &str) -> Result<(), QuarantineError> {
    let mut incoming = quarantine.begin(&id(number))?;
    incoming.write(b"ab\r\n")?;
    incoming.hold(&record(number, "a@one.example", &["b@ours.example"], time))
}

fn ids(listing: &Listing) -> Vec<Id> {
    listing.rows.iter().map(|row| row.id.clone()).collect()
}

fn on_their_way(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains('.')).collect()
}

#[test]
fn what_is_held_is_there_for_the_next_daemon_and_for_nobody_else() {
    let folder = TempDir::new().unwrap();
    let quarantine = open(folder.path(), Settings::default(), START);
    hold(&quarantine, 1, START).unwrap();
    let status = quarantine.status();
    for quarantine in [quarantine, open(folder.path(), Settings::default(), START)] {
        let expected = record(1, "a@one.example", &["b@ours.example"], START);
        assert_eq!(quarantine.record(&id(1)).unwrap(), expected);
        let mut octets = Vec::new();
        quarantine.open_message(&id(1)).unwrap().read_to_end(&mut octets).unwrap();
        assert_eq!(octets, b"ab\r\n");
        let again = quarantine.status();
        assert_eq!((again.messages, again.octets), (status.messages, status.octets));
        assert_eq!(again.oldest, Some(START.parse().unwrap()));
    }
    let held = folder.path().join("q").join(id(1).as_str());
    for (path, mode) in [
        (held.clone(), 0o700),
        (held.join("message.eml"), 0o600),
        (held.join("record.json"), 0o600),
        (folder.path().join("q"), 0o700),
    ] {
        let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}", path.display());
    }
    assert_eq!(on_their_way(&folder.path().join("q")), [] as [&str; 0]);
}

#[test]
fn what_is_half_written_goes_with_its_writer() {
    let folder = TempDir::new().unwrap();
    let quarantine = open(folder.path(), Settings::default(), START);
    let tmp = folder.path().join("q");
    let mut incoming = quarantine.begin(&id(1)).unwrap();
    incoming.write(b"ab").unwrap();
    // Another daemon starts, and this one still writes.
    open(folder.path(), Settings::default(), START).look_again().unwrap();
    assert_eq!(on_their_way(&tmp), [format!("{}.coming", id(1))]);
    incoming.write(b"\r\n").unwrap();
    incoming.hold(&record(1, "a@one.example", &[], START)).unwrap();
    // What a killed one leaves behind: nobody has it locked.
    let left = tmp.join(format!("{}.coming", id(2)));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("message.eml"), "half").unwrap();
    // And one that may have been made just now.
    fs::create_dir(tmp.join(format!("{}.coming", id(3)))).unwrap();
    let quarantine = open(folder.path(), Settings::default(), START);
    assert_eq!(on_their_way(&tmp), [format!("{}.coming", id(3))]);
    assert_eq!(quarantine.status().messages, 1);
    drop(quarantine.begin(&id(4)).unwrap());
    assert_eq!(on_their_way(&tmp), [format!("{}.coming", id(3))]);
}

#[test]
fn nothing_goes_over_the_bounds() {
    let folder = TempDir::new().unwrap();
    let settings = Settings { max_messages: 2, max_size: 4000, ..Settings::default() };
    let quarantine = open(folder.path(), settings, START);
    let first = quarantine.begin(&id(1)).unwrap();
    let mut second = quarantine.begin(&id(2)).unwrap();
    let error = quarantine.begin(&id(3)).unwrap_err().to_string();
    assert_eq!(error, "the quarantine holds 2 messages, expected at most max_messages = 2");
    let alarms = quarantine.alarms.list();
    assert!(alarms[0].text.contains("raise the bound"), "{alarms:?}");
    assert!(quarantine.is_ill() && quarantine.check().is_err());
    // The record of the other one has its room, too, once it is there.
    second.write(&[b'x'; 3000]).unwrap();
    let error = second.write(&[b'x'; 1001]).unwrap_err().to_string();
    assert_eq!(error, "the quarantine holds 4001 octets, expected at most max_size = 4000");
    drop((first, second));
    quarantine.check().unwrap();
    assert_eq!(quarantine.alarms.list(), []);
    hold(&quarantine, 4, START).unwrap();
    hold(&quarantine, 5, START).unwrap();
    assert!(hold(&quarantine, 6, START).is_err());
    let status = quarantine.status();
    assert_eq!((status.messages, status.kept, status.not_kept), (2, 2, 3));
    // What is deleted makes room.
    quarantine.take(&id(4)).unwrap().remove().unwrap();
    hold(&quarantine, 6, START).unwrap();
}

#[test]
fn one_name_is_one_message() {
    let folder = TempDir::new().unwrap();
    let quarantine = open(folder.path(), Settings::default(), START);
    hold(&quarantine, 1, START).unwrap();
    assert!(matches!(hold(&quarantine, 1, START), Err(QuarantineError::Io { .. })));
    assert_eq!((quarantine.status().messages, quarantine.record(&id(1)).is_ok()), (1, true));
    assert_eq!(on_their_way(&folder.path().join("q")), [] as [&str; 0]);
}

#[test]
fn who_comes_second_does_not_get_it() {
    let folder = TempDir::new().unwrap();
    let quarantine = open(folder.path(), Settings::default(), START);
    hold(&quarantine, 1, START).unwrap();
    let taken = quarantine.take(&id(1)).unwrap();
    assert!(matches!(quarantine.take(&id(1)), Err(QuarantineError::Taken(_))));
    let rest = HeldMessage { recipients: Vec::new(), ..taken.record().unwrap() };
    taken.update(&rest).unwrap();
    drop(taken);
    let taken = quarantine.take(&id(1)).unwrap();
    assert_eq!(taken.record().unwrap().recipients, []);
    taken.remove().unwrap();
    assert!(matches!(quarantine.take(&id(1)), Err(QuarantineError::Unknown(_))));
    assert!(matches!(quarantine.record(&id(1)), Err(QuarantineError::Unknown(_))));
    let status = quarantine.status();
    assert_eq!((status.messages, status.octets, status.removed), (0, 0, 1));
}

/// People move folders by hand, and two daemons share one while the one takes over from the other.
#[test]
fn what_others_did_is_seen() {
    let folder = TempDir::new().unwrap();
    let ours = open(folder.path(), Settings::default(), START);
    let theirs = open(folder.path(), Settings::default(), START);
    hold(&theirs, 1, START).unwrap();
    hold(&theirs, 2, START).unwrap();
    drop(ours.take(&id(1)).unwrap());
    ours.look_again().unwrap();
    assert_eq!((ours.status().messages, ours.status().octets), (2, theirs.status().octets));
    fs::remove_dir_all(folder.path().join("q").join(id(2).as_str())).unwrap();
    ours.look_again().unwrap();
    assert_eq!(ours.status().messages, 1);
}

#[test]
fn a_damaged_record_is_shown_and_costs_no_message() {
    let folder = TempDir::new().unwrap();
    let quarantine = open(folder.path(), Settings::default(), START);
    for number in 1..=4 {
        hold(&quarantine, number, START).unwrap();
    }
    let file = |number| folder.path().join("q").join(id(number).as_str()).join("record.json");
    fs::write(file(1), "{").unwrap();
    fs::remove_file(file(2)).unwrap();
    fs::copy(file(4), file(3)).unwrap();
    let quarantine = open(folder.path(), Settings::default(), START);
    let rows = quarantine.list(&Selection::default(), 10).rows;
    let whole: Vec<_> = rows.iter().filter(|row| row.message.is_ok()).map(|row| &row.id).collect();
    assert_eq!((rows.len(), whole), (4, vec![&id(4)]));
    for number in 1..=3 {
        assert!(matches!(quarantine.record(&id(number)), Err(QuarantineError::Damaged { .. })));
        assert!(quarantine.open_message(&id(number)).is_ok());
        quarantine.take(&id(number)).unwrap().remove().unwrap();
    }
    assert_eq!(ids(&quarantine.list(&Selection::default(), 10)), [id(4)]);
}

#[test]
fn which_messages_are_meant() {
    let folder = TempDir::new().unwrap();
    let quarantine = open(folder.path(), Settings::default(), START);
    for (number, sender, recipients, time) in [
        (1, "a@one.example", &["x@ours.example"][..], "2026-11-01T00:00:00Z"),
        (2, "b@Two.example", &["x@ours.example", "y@ours.example"], "2026-11-03T00:00:00Z"),
        (3, "", &["y@ours.example"], "2026-11-02T00:00:00Z"),
    ] {
        let incoming = quarantine.begin(&id(number)).unwrap();
        incoming.hold(&record(number, sender, recipients, time)).unwrap();
    }
    let all = Selection::default();
    for (selection, limit, expected) in [
        (all.clone(), 10, &[2, 3, 1][..]),
        (all.clone(), 2, &[2, 3]),
        (Selection { from: Some("two.".to_owned()), ..all.clone() }, 10, &[2]),
        (Selection { to: Some("Y@".to_owned()), ..all.clone() }, 10, &[2, 3]),
        (Selection { since: "2026-11-02T00:00:00Z".parse().ok(), ..all.clone() }, 10, &[2, 3]),
        (Selection { before: "2026-11-02T00:00:00Z".parse().ok(), ..all.clone() }, 10, &[1]),
        (Selection { client: "192.0.2.2".parse().ok(), ..all.clone() }, 10, &[]),
        (Selection { client: "192.0.2.1".parse().ok(), ..all }, 1, &[2]),
    ] {
        let listing = quarantine.list(&selection, limit);
        let expected: Vec<_> = expected.iter().map(|number| id(*number)).collect();
        assert_eq!(ids(&listing), expected, "{selection:?}");
        assert_eq!(listing.has_more, limit < 3, "{selection:?}");
    }
}

#[test]
fn what_was_there_for_too_long_goes() {
    let folder = TempDir::new().unwrap();
    let settings = Settings { keep_for: Duration::from_hours(24), ..Settings::default() };
    let quarantine = open(folder.path(), settings, "2026-11-03T00:00:00Z");
    hold(&quarantine, 1, "2026-11-01T00:00:00Z").unwrap();
    hold(&quarantine, 2, "2026-11-02T00:00:00Z").unwrap();
    hold(&quarantine, 3, "2026-11-02T00:00:01Z").unwrap();
    // Who is being released has not expired.
    let taken = quarantine.take(&id(1)).unwrap();
    let gone: Vec<_> = quarantine.expire().into_iter().map(|expired| expired.id).collect();
    assert_eq!(gone, [id(2)]);
    drop(taken);
    let gone = quarantine.expire();
    assert_eq!(gone[0].message.as_ref().unwrap().sender, "a@one.example");
    let status = quarantine.status();
    assert_eq!((status.messages, status.expired, status.removed), (1, 2, 0));
}

#[test]
fn a_folder_that_cannot_be_is_an_alarm_and_is_tried_again() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("q");
    fs::write(&file, "in the way").unwrap();
    let quarantine = open(folder.path(), Settings::default(), START);
    assert!(hold(&quarantine, 1, START).is_err());
    assert_eq!(quarantine.alarms.list().len(), 1);
    fs::remove_file(&file).unwrap();
    quarantine.check().unwrap();
    assert_eq!((quarantine.alarms.list(), quarantine.is_ill()), (Vec::new(), false));
    hold(&quarantine, 1, START).unwrap();
}
