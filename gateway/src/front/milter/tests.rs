//! The milter as a mail server sees it, frame by frame.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::super::testing::Judge;
use super::super::{HeaderConfig, ServiceSocket, UnixSocket};
use super::{Milter, Settings};
use crate::alarm::Alarms;
use crate::list::ListAction;
use crate::smtp::Limits;

const WAIT: Duration = Duration::from_secs(10);

/// What Postfix 3.7 offers, and what a mail server of 2004 does.
const NEWEST: &[u8] = b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff";
const OLDEST: &[u8] = b"\0\0\0\x02\0\0\0\x3f\0\0\0\x7f";

const CLIENT: &[u8] = b"host.example\x004\x12\x67198.51.100.7\0";
const OTHER: &[u8] = b"other.example\x006\x12\x67IPv6:2001:db8::7\0";

const REJECT: ListAction = ListAction::Reject;
const MESSAGE: ListAction = ListAction::RejectMessage;
const TAG: ListAction = ListAction::Tag;
const QUARANTINE: ListAction = ListAction::Quarantine;
const DISCARD: ListAction = ListAction::Discard;

/// A milter that is served, with its engine.
struct Site {
    judge: Judge,
    milter: Arc<Milter>,
    stop: watch::Sender<Option<Instant>>,
    server: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Site {
    fn start(connections: usize) -> Self {
        let judge = Judge::new();
        let settings = Settings {
            direction: None,
            connections,
            hostname: "mx.example".to_owned(),
            header: HeaderConfig { authentication_results: true, ..HeaderConfig::default() },
            limits: Limits::default(),
            needs_body: false,
        };
        let milter = Milter::new(settings, Arc::clone(&judge.engine), Alarms::default());
        let milter = Arc::new(milter);
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixSocket::bind(&folder.path().join("m"), 0o600).unwrap();
        let (stop, stopped) = watch::channel(None);
        let serve = Arc::clone(&milter).serve(ServiceSocket::unix(socket).unwrap(), stopped);
        Self { judge, milter, stop, server: tokio::spawn(serve), folder }
    }

    async fn connect(&self) -> MailServer {
        MailServer(UnixStream::connect(self.folder.path().join("m")).await.unwrap())
    }

    /// A mail server that has agreed on everything.
    async fn agreed(&self, offer: &[u8]) -> MailServer {
        let mut server = self.connect().await;
        server.say(b'O', offer).await;
        assert_eq!(server.hear().await.0, b'O');
        server
    }

    /// One that is about to send the header of a message of `client`.
    async fn up_to_header(&self, client: &[u8]) -> MailServer {
        let mut server = self.agreed(NEWEST).await;
        server.dialogue(&[(b'C', client, "c"), (b'H', b"mail.example\0", "")]).await;
        server.up_to_header().await;
        server
    }
}

/// A mail server that asks.
struct MailServer(UnixStream);

impl MailServer {
    async fn say(&mut self, code: u8, data: &[u8]) {
        let length = u32::try_from(data.len() + 1).unwrap().to_be_bytes();
        let frame = [&length[..], &[code], data].concat();
        timeout(WAIT, self.0.write_all(&frame)).await.expect("taken in time").unwrap();
    }

    /// The next frame.
    async fn hear(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let mut data = vec![0; usize::try_from(self.0.read_u32().await.unwrap()).unwrap()];
            self.0.read_exact(&mut data).await.unwrap();
            (data.remove(0), data)
        };
        timeout(WAIT, read).await.expect("an answer in time")
    }

    /// Says each command and hears an answer for each letter behind it.
    async fn dialogue(&mut self, lines: &[(u8, &[u8], &str)]) {
        for (code, data, answers) in lines {
            self.say(*code, data).await;
            for answer in answers.bytes() {
                let heard = self.hear().await;
                let (said, heard_code) = (char::from(*code), char::from(heard.0));
                assert_eq!(heard.0, answer, "{said}: {heard_code} {}", heard.1.escape_ascii());
            }
        }
    }

    async fn up_to_header(&mut self) {
        self.dialogue(&[(b'M', b"<a@example.com>\0", "c"), (b'R', b"<b@example.org>\0", "c")])
            .await;
    }

    /// Whether the milter has closed the connection, with nothing more said.
    async fn is_left(&mut self) -> bool {
        let mut octet = [0; 1];
        matches!(
            timeout(WAIT, self.0.read(&mut octet)).await.expect("an end in time"),
            Ok(0) | Err(_)
        )
    }
}

/// S0.6: what is in force at the end of the message decides, and the record names both versions.
#[tokio::test]
async fn rules_that_change_while_a_message_comes_in() {
    for (first, second, expected) in [
        (vec![], vec![], "ic"),
        (vec![], vec![("198.51.100.7", MESSAGE)], "y"),
        (vec![], vec![("198.51.100.7", REJECT)], "y"),
        (vec![], vec![("192.0.2.99", TAG)], "iic"),
        (vec![("192.0.2.99", TAG)], vec![], "ic"),
        (vec![("192.0.2.99", TAG)], vec![("192.0.2.99", DISCARD)], "d"),
        (vec![("192.0.2.99", DISCARD)], vec![("192.0.2.99", TAG)], "iic"),
        (vec![], vec![("192.0.2.99", QUARANTINE)], "iqc"),
    ] {
        let site = Site::start(10);
        site.judge.set_lists(&first, 1);
        let mut server = site.up_to_header(CLIENT).await;
        let received = b"Received\0 from x ([192.0.2.99])\n by y; date\0";
        server.dialogue(&[(b'L', received, ""), (b'N', b"", "c")]).await;
        site.judge.set_lists(&second, 2);
        server.dialogue(&[(b'E', b"", expected), (b'Q', b"", "")]).await;
        assert!(server.is_left().await);
        let records = site.judge.records();
        let record = records.iter().find(|record| record["phase"] == "message").unwrap();
        assert_eq!(
            (&record["rules"], &record["rules_at_end"]),
            (&1.into(), &2.into()),
            "{expected}"
        );
    }
}

#[tokio::test]
async fn forged_fields_go_from_the_last_to_the_first() {
    let site = Site::start(10);
    site.judge.set_lists(&[("198.51.100.7", TAG)], 1);
    let mut server = site.up_to_header(CLIENT).await;
    let lines: &[(u8, &[u8], &str)] = &[
        (b'L', b"X-Portcullis-Verdict\0 one\0", ""),
        (b'L', b"Authentication-Results\0 other.example; a=pass\0", ""),
        (b'L', b"Authentication-Results\0 mx.example; a=pass\0", ""),
        (b'L', b"x-portcullis-verdict\0 two\0", ""),
        (b'N', b"", "c"),
    ];
    server.dialogue(lines).await;
    server.say(b'E', b"").await;
    for (number, name) in [
        (2, &b"X-Portcullis-Verdict"[..]),
        (2, b"Authentication-Results"),
        (1, b"X-Portcullis-Verdict"),
    ] {
        let expected = [&[0, 0, 0, number], name, b"\0\0"].concat();
        assert_eq!(server.hear().await, (b'm', expected));
    }
    let (code, data) = server.hear().await;
    let data = data.escape_ascii().to_string();
    assert_eq!(code, b'i');
    assert!(
        data.starts_with("\\x00\\x00\\x00\\x01X-Portcullis-Verdict\\x00 System denied IP; code=sys-deny-ip; address=198.51.100.7; hop=connect;"),
        "{data}"
    );
    let (code, data) = server.hear().await;
    let data = data.escape_ascii().to_string();
    assert_eq!(code, b'i');
    assert!(
        data.starts_with("\\x00\\x00\\x00\\x01Authentication-Results\\x00 mx.example;\\n\\tx-portcullis=fail policy.code=sys-deny-ip"),
        "{data}"
    );
    assert_eq!(server.hear().await, (b'c', Vec::new()));
}

#[tokio::test]
async fn a_mail_server_of_2004_is_served_as_well() {
    let site = Site::start(10);
    site.judge.set_lists(&[("198.51.100.7", TAG)], 1);
    let mut server = site.agreed(OLDEST).await;
    let lines: &[(u8, &[u8], &str)] = &[
        (b'C', CLIENT, "c"),
        (b'H', b"mail.example\0", "c"),
        (b'M', b"<a@example.com>\0", "c"),
        (b'R', b"<b@example.org>\0", "c"),
        (b'L', b"X-Portcullis-Verdict\0forged\0", "c"),
        (b'N', b"", "c"),
        (b'E', b"", "mhhc"),
        (b'Q', b"", ""),
    ];
    server.dialogue(lines).await;
    assert!(server.is_left().await);
}

#[tokio::test]
async fn one_connection_serves_many_messages_and_clients() {
    let site = Site::start(10);
    site.judge.set_lists(&[("2001:db8::7", REJECT), ("192.0.2.99", MESSAGE)], 1);
    let mut server = site.up_to_header(CLIENT).await;
    let received = b"Received\0 from x ([192.0.2.99]) by y; date\0";
    // Refused by its header; the connection goes on, and what is told of no message is none.
    server.dialogue(&[(b'L', received, ""), (b'N', b"", "y"), (b'A', b"", "")]).await;
    server.up_to_header().await;
    server.dialogue(&[(b'L', b"A\0b\0", ""), (b'A', b"", "")]).await;
    server.up_to_header().await;
    server.dialogue(&[(b'N', b"", "c"), (b'E', b"", "ic"), (b'K', b"", "")]).await;
    let lines: &[(u8, &[u8], &str)] = &[
        (b'C', OTHER, "c"),
        (b'M', b"<a@example.com>\0", "y"),
        (b'M', b"<a@example.com>\0", "y"),
        (b'K', b"", ""),
        (b'C', OTHER, "c"),
        (b'Q', b"", ""),
    ];
    server.dialogue(lines).await;
    assert!(server.is_left().await);
    let counters = site.milter.counters().counts;
    assert_eq!((counters.messages_passed.get(), counters.messages_refused.get()), (1, 1));
    assert_eq!((counters.messages_aborted.get(), counters.refused.get()), (1, 2));
    let records = site.judge.records();
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            let text = |key: &str| record[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("phase"), text("client"), text("action"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "connect 198.51.100.7 accept",
            "message 198.51.100.7 reject-message",
            "message 198.51.100.7 accept",
            "connect 2001:db8::7 reject",
            "connect 2001:db8::7 reject",
        ]
    );
    // The last one left before it was told.
    assert!(records[3]["reply"].is_string() && records[4]["reply"].is_null());
}

#[tokio::test]
async fn what_is_no_dialogue_ends_it() {
    let site = Site::start(10);
    for (agreed, octets) in [
        (false, &b"GET / HTTP/1.0\r\n\r\n"[..]),
        (false, b"\0\0\0\0"),
        (false, b"\0\0\0\x01Z"),
        (false, b"\0\0\0\x01N"),
        (false, b"\0\0\0\x0dO\0\0\0\x01\0\0\x01\xff\0\x1f\xff\xff"),
        (true, b"\0\0\0\x01E"),
        (true, b"\0\0\0\x01C"),
        (true, b"\0\0\0\x02L\0"),
    ] {
        let mut server = if agreed { site.agreed(NEWEST).await } else { site.connect().await };
        server.0.write_all(octets).await.unwrap();
        server.0.shutdown().await.unwrap();
        assert!(server.is_left().await, "{}", octets.escape_ascii());
    }
    // A length that is not meant is waited for no longer than the mail server is there; the others are faults.
    assert_eq!(site.milter.counters().counts.protocol_errors.get(), 7);
    assert!(site.judge.records().is_empty());
}

#[tokio::test]
async fn without_room_a_connection_is_closed() {
    let site = Site::start(1);
    let mut first = site.agreed(NEWEST).await;
    let mut second = site.connect().await;
    assert!(second.is_left().await);
    assert_eq!(site.milter.counters().counts.capacity.get(), 1);
    assert_eq!(site.milter.counters().connections_active, 1);
    first.say(b'Q', b"").await;
    assert!(first.is_left().await);
    site.agreed(NEWEST).await;
}

#[tokio::test]
async fn a_stop_waits_for_messages_and_for_nothing_else() {
    let site = Site::start(10);
    let mut idle = site.agreed(NEWEST).await;
    let mut busy = site.up_to_header(CLIENT).await;
    site.stop.send_replace(Some(Instant::now() + WAIT));
    assert!(idle.is_left().await);
    busy.dialogue(&[(b'N', b"", "c"), (b'E', b"", "ic")]).await;
    assert!(busy.is_left().await);
    timeout(WAIT, site.server).await.expect("an end in time").unwrap();
    assert!(!site.folder.path().join("m").exists());
}
