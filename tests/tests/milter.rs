//! Postfix asks the milter: what it hears, what it does about it, what is recorded.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::clients::{BAD, CLEAN, CLIENTS, DISCARDED, KEPT, PUT_OFF, SUSPECT, TAGGED, asked};
use harness::dns_server::{DnsServer, Record};
use harness::needs;
use harness::postfix::{Options, POSTFIX, Postfix};
use harness::site::Site;
use harness::smtp_client::SmtpClient;
use harness::stage::Stage;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;
use serde_json::Value;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(20);

/// Its score is too high, unless somebody vouches for its message.
const SPAMMER: &str = "198.18.80.1";

/// A daemon that is a milter and nothing else.
fn site(milter: &str) -> Site {
    let keys = "action = \"score\"\nweight = 700";
    let entries = format!("{SPAMMER}\n");
    asked(&format!("[milter]\n{milter}")).list("spammers", "global-bad", keys, &entries)
}

/// The hosts of `site`, with all the clients.
fn staged(site: &Site) -> Stage {
    site.stage(&[&CLIENTS[..], &[SPAMMER]].concat()).unwrap()
}

/// A socket in a folder of its own: Postfix runs as users who may not enter the daemon's folder.
struct Socket {
    folder: TempDir,
}

impl Socket {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("milter.sock")
    }

    fn address(&self) -> String {
        format!("unix:{}", self.path().display())
    }
}

/// The hosts of a daemon that is asked over such a socket.
fn over_a_socket() -> (Stage, Socket) {
    let socket = Socket::new();
    let milter = format!("address = \"{}\"\nsocket_mode = \"0666\"", socket.address());
    (staged(&site(&milter)), socket)
}

const TCP: &str = "address = \"127.0.0.1:8891\"";

/// A Postfix at port 25 of the edge host, which asks the milter at `address`.
fn postfix(stage: &Stage, packages: &std::path::Path, address: &str) -> Postfix {
    let options = Options {
        listen: Some("192.0.2.1:25".parse().unwrap()),
        settings: vec![
            format!("smtpd_milters = {address}"),
            "milter_default_action = tempfail".to_owned(),
        ],
        ..Options::default()
    };
    Postfix::start(packages, Some(&stage.edge), &options).unwrap()
}

fn asking(stage: &Stage, packages: &std::path::Path) -> Postfix {
    postfix(stage, packages, "inet:127.0.0.1:8891")
}

fn greeted(stage: &Stage, client: &str) -> SmtpClient {
    stage.greeted(client).unwrap()
}

fn deliver(client: &mut SmtpClient, message: &str) -> String {
    client.deliver("a@example.com", &["b@example.org"], message).unwrap().to_string()
}

/// The one record about `client` in `phase`.
fn record(stage: &Stage, client: &str, phase: &str) -> Value {
    stage.records(client, phase, 1).unwrap().remove(0)
}

#[test]
fn a_refused_client_reads_why_when_it_begins_a_message() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = staged(&site(TCP));
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    let mut client = greeted(&stage, BAD);
    let port = client.local().unwrap().port();
    let refused = "554 5.7.1 you are not allowed to connect; client [198.51.100.66]; System denied IP: Our own list; reference ";
    for _twice in 0..2 {
        let reply = client.command("MAIL FROM:<a@example.com>").unwrap().to_string();
        assert!(reply.starts_with(refused), "{reply}");
        let found = record(&stage, BAD, "connect");
        assert!(reply.ends_with(found["reference"].as_str().unwrap()), "{found:#}");
        assert_eq!(found["front"], "milter");
        assert_eq!(found["client_port"], port);
        assert_eq!(found["local"], "192.0.2.1:25");
        assert_eq!(found["reply"], *reply);
        assert_eq!(found["envelope"]["sender"], "a@example.com");
    }
    postfix
        .wait_for_log(&["milter-reject: MAIL from unknown[198.51.100.66]", refused], LONG)
        .unwrap();
    let mut client = greeted(&stage, PUT_OFF);
    let reply = client.command("MAIL FROM:<a@example.com>").unwrap().to_string();
    assert!(reply.starts_with("421 4.7.1 try again later; client [198.51.100.77]"), "{reply}");
    client.ended().unwrap();
    // One that leaves before it begins a message is recorded, without words that nobody said.
    greeted(&stage, BAD).finish().unwrap();
    let unsaid = stage.records(BAD, "connect", 2).unwrap().remove(1);
    assert_eq!((&unsaid["action"], &unsaid["reply"]), (&"reject".into(), &Value::Null));
    assert_eq!(stage.status_number("/milter/refused").unwrap(), 2);
    assert_eq!(stage.status_number("/milter/deferred").unwrap(), 1);
    assert_eq!(stage.status().unwrap()["smtp"], Value::Null);
}

#[test]
fn messages_are_refused_tagged_and_freed_of_forged_fields() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = staged(&site(TCP));
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    let mut client = greeted(&stage, CLEAN);
    let relayed = "Received: from a (a [198.18.99.1])\r\n by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n";
    let reply = deliver(&mut client, &format!("{relayed}Subject: relayed\n\nbody\n"));
    assert!(
        reply.starts_with("550 5.7.1 message refused because of received[0]; client [198.18.99.1]; Open proxy: proxies; reference "),
        "{reply}"
    );
    let found = record(&stage, CLEAN, "message");
    assert_eq!(found["reply"], *reply);
    assert_eq!(found["next_hop"], Value::Null);
    assert_eq!(found["envelope"]["recipients"][0], "b@example.org");
    postfix
        .wait_for_log(&[found["queue_id"].as_str().unwrap(), "milter-reject: END-OF-MESSAGE"], LONG)
        .unwrap();
    // The same connection goes on, and what a message forges is gone from it.
    let forged = "X-Portcullis-Verdict: forged one\nSubject: a\nx-portcullis-verdict : forged two\nTo: b\nX-PORTCULLIS-VERDICT:\n forged three\n\nclean body\n";
    let reply = deliver(&mut client, forged);
    assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply}");
    let clean = postfix.wait_for_delivered(1, LONG).unwrap().remove(0);
    assert!(!clean.to_lowercase().contains("forged"), "{clean}");
    assert!(!clean.to_lowercase().contains("x-portcullis"), "{clean}");
    assert!(clean.contains("\nSubject: a\n") && clean.ends_with("\nclean body\n"), "{clean}");
    let mut client = greeted(&stage, TAGGED);
    for count in 2..=3 {
        let reply = deliver(&mut client, forged);
        assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply}");
        let all = postfix.wait_for_delivered(count, LONG).unwrap();
        let all: Vec<_> = all.iter().filter(|message| message.contains("X-Portcullis")).collect();
        assert_eq!(all.len(), count - 1, "{all:?}");
        for tagged in all {
            assert!(!tagged.contains("forged"), "{tagged}");
            let (received, rest) = tagged.split_once("X-Portcullis-Verdict: System denied IP; code=global-deny-ip; address=198.18.50.1; hop=connect; list=\"tagged\"; reference=").unwrap();
            // Below the field of the server that took it from the client, above what the client wrote.
            assert!(received.contains("Received: from sender.example.com"), "{tagged}");
            assert!(rest.contains("\nSubject: a\n"), "{tagged}");
        }
    }
    let found = stage.records(TAGGED, "message", 2).unwrap().remove(0);
    assert_eq!((&found["action"], &found["reply"]), (&"tag".into(), &Value::Null));
    assert_eq!(stage.status_number("/milter/messages_passed").unwrap(), 3);
    assert_eq!(stage.status_number("/milter/messages_refused").unwrap(), 1);
}

#[test]
fn a_doubtful_sender_waits_and_a_discarded_message_is_gone() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = staged(&site(TCP).tables("[greylist]\nwait = \"1s\""));
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    let mut client = greeted(&stage, SUSPECT);
    let reply = deliver(&mut client, "Subject: a\n\nbody\n");
    assert!(
        reply.starts_with("451 4.7.1 greylisted, try again in 1 s; client [198.18.0.50]"),
        "{reply}"
    );
    let found = record(&stage, SUSPECT, "recipient");
    assert_eq!((&found["front"], &found["code"]), (&"milter".into(), &"greylist".into()));
    std::thread::sleep(Duration::from_millis(1100));
    client.command("RSET").unwrap();
    let reply = deliver(&mut client, "Subject: a\n\nbody\n");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply}");
    postfix.wait_for_delivered(1, LONG).unwrap();
    let mut client = greeted(&stage, DISCARDED);
    let reply = deliver(&mut client, "Subject: gone\n\nbody\n");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply}");
    let found = record(&stage, DISCARDED, "message");
    assert_eq!(found["action"], "discard");
    postfix.wait_for_log(&[found["queue_id"].as_str().unwrap(), "milter-discard"], LONG).unwrap();
    // A third one shows that the second would have been there by now.
    deliver(&mut greeted(&stage, CLEAN), "Subject: third\n\nbody\n");
    let all = postfix.wait_for_delivered(2, LONG).unwrap();
    assert!(!all.iter().any(|message| message.contains("Subject: gone")), "{all:?}");
}

#[test]
fn a_dry_run_refuses_nobody_and_records_all() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = staged(&site(TCP).top("enforce = false"));
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    for (index, client) in [BAD, PUT_OFF, SUSPECT, DISCARDED, TAGGED].into_iter().enumerate() {
        let reply = deliver(&mut greeted(&stage, client), "Subject: a\n\nbody\n");
        assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{client}: {reply}");
        postfix.wait_for_delivered(index + 1, LONG).unwrap();
    }
    for (client, phase, action) in [
        (BAD, "connect", "reject"),
        (PUT_OFF, "connect", "defer"),
        (SUSPECT, "recipient", "defer"),
        (DISCARDED, "message", "discard"),
        (TAGGED, "message", "tag"),
    ] {
        let found = record(&stage, client, phase);
        assert_eq!((&found["action"], &found["enforced"]), (&action.into(), &false.into()));
    }
}

#[test]
fn without_the_daemon_mail_waits() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let (stage, socket) = over_a_socket();
    let daemon = stage.start().unwrap();
    let postfix = postfix(&stage, &packages, &socket.address());
    let mut client = greeted(&stage, CLEAN);
    assert!(client.command("MAIL FROM:<a@example.com>").unwrap().is_positive());
    assert!(client.command("RCPT TO:<b@example.org>").unwrap().is_positive());
    daemon.kill().unwrap();
    client.command("DATA").unwrap();
    client.send_raw(b"Subject: a\r\n\r\nbody\r\n.\r\n").unwrap();
    let reply = client.reply().unwrap().to_string();
    assert!(reply.starts_with("451 4.7.1 Service unavailable - try again later"), "{reply}");
    let reply = deliver(&mut greeted(&stage, CLEAN), "Subject: b\n\nbody\n");
    assert!(reply.starts_with("451 4.7.1 Service unavailable - try again later"), "{reply}");
    // The name that the killed one left behind is in nobody's way.
    assert!(socket.path().exists());
    let daemon = stage.start().unwrap();
    let reply = deliver(&mut greeted(&stage, CLEAN), "Subject: c\n\nbody\n");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply}");
    let delivered = postfix.wait_for_delivered(1, LONG).unwrap();
    assert!(delivered[0].contains("Subject: c"), "{delivered:?}");
    // A session that stands idle does not keep it from stopping.
    let _idle = greeted(&stage, CLEAN);
    daemon.terminate().unwrap();
    assert!(!socket.path().exists());
}

#[test]
fn a_reload_counts_for_connections_from_then_on() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = staged(&site(TCP));
    let daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    let mail = |expected: &str| {
        let reply = greeted(&stage, BAD).command("MAIL FROM:<a@example.com>").unwrap().to_string();
        assert!(reply.starts_with(expected), "{reply}");
    };
    mail("554 5.7.1 you are not allowed to connect");
    let file = stage.home.path().join("portcullis.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    stage.home.configure(&text.replace(TCP, &format!("{TCP}\ndirection = \"outbound\""))).unwrap();
    daemon.hang_up().unwrap();
    daemon.wait_for_log("INFO reload: done", LONG).unwrap();
    assert_eq!(stage.alarm("restart").unwrap(), None);
    mail("250 2.1.0 Ok");
    // Another address is only for the next start.
    stage.home.configure(&text.replace("8891", "8899")).unwrap();
    daemon.hang_up().unwrap();
    stage.wait_for_alarm("restart", "changes of [milter] need a restart").unwrap();
    mail("554 5.7.1 you are not allowed to connect");
    drop(postfix);
}

/// A daemon that takes over has the socket of the earlier one, which takes nothing away when it goes.
#[test]
fn a_socket_is_handed_over() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let (stage, socket) = over_a_socket();
    let mut earlier = stage.start().unwrap();
    let postfix = postfix(&stage, &packages, &socket.address());
    let mut busy = greeted(&stage, CLEAN);
    assert!(busy.command("MAIL FROM:<a@example.com>").unwrap().is_positive());
    let later = stage.take_over().unwrap();
    earlier.wait_for_notification("STOPPING=1", LONG).unwrap();
    assert_eq!(stage.status_number("/pid").unwrap(), u64::from(later.id()));
    // What the earlier one has in hand it finishes.
    assert!(busy.command("RCPT TO:<b@example.org>").unwrap().is_positive());
    busy.command("DATA").unwrap();
    busy.send_raw(b"Subject: a\r\n\r\nbody\r\n.\r\n").unwrap();
    assert!(busy.reply().unwrap().is_positive());
    assert!(earlier.wait(LONG).unwrap().success(), "{}", earlier.log());
    assert!(socket.path().exists());
    let reply = deliver(&mut greeted(&stage, CLEAN), "Subject: b\n\nbody\n");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply}");
    postfix.wait_for_delivered(2, LONG).unwrap();
}

#[test]
fn who_has_logged_in_is_outbound() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = staged(&site(TCP));
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    for (login, expected) in [
        (" LOGIN=user@example.org", "250 2.0.0 Ok: queued as"),
        ("", "554 5.7.1 you are not allowed to connect"),
    ] {
        let mut client = greeted(&stage, CLEAN);
        client.command(&format!("XCLIENT ADDR={BAD}{login}")).unwrap();
        client.command("EHLO user.example.org").unwrap();
        let relayed = "Received: from a (a [198.18.99.1])\nSubject: a\n\nbody\n";
        let reply = deliver(&mut client, relayed);
        assert!(reply.starts_with(expected), "{login}: {reply}");
    }
    postfix.wait_for_delivered(1, LONG).unwrap();
    let [outbound, refused] = &stage.records(BAD, "connect", 2).unwrap()[..] else { panic!() };
    assert_eq!(outbound["route"]["reason"], "authenticated");
    assert_eq!(outbound["code"], "outbound");
    assert_eq!(refused["code"], "sys-deny-ip");
    assert_eq!(record(&stage, BAD, "message")["code"], "outbound");
}

#[test]
fn too_long_a_header_is_refused_whole() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = staged(&site(TCP).tables("[limits]\nheader = \"16K\""));
    let _daemon = stage.start().unwrap();
    let _postfix = asking(&stage, &packages);
    let mut client = greeted(&stage, CLEAN);
    let fields = "X-Long: 0123456789012345678901234567890123456789\n".repeat(500);
    let reply = deliver(&mut client, &format!("{fields}\nbody\n"));
    assert!(reply.starts_with("552 5.3.4 header too long"), "{reply}");
    // One field that is larger than all of the header may be.
    let field = format!("X-Long: {}", "0123456789\n ".repeat(8000));
    let reply = deliver(&mut client, &format!("{}\n\nbody\n", field.trim_end()));
    assert!(reply.starts_with("552 5.3.4 header too long"), "{reply}");
    let forged = "X-Portcullis-Verdict: x\n".repeat(101);
    let reply = deliver(&mut client, &format!("{forged}\nbody\n"));
    assert!(reply.starts_with("550 5.6.0 101 header fields that only we may write"), "{reply}");
    let found = stage.records(CLEAN, "message", 3).unwrap();
    assert!(found.iter().all(|record| record["code"] == "protocol"), "{found:#?}");
    assert_eq!(stage.status_number("/milter/protocol_errors").unwrap(), 3);
}

#[test]
fn a_message_is_kept_where_the_mail_server_keeps_such() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = staged(&site(TCP));
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    let reply = deliver(&mut greeted(&stage, KEPT), "Subject: kept\n\nbody\n");
    assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply}");
    let found = record(&stage, KEPT, "message");
    assert_eq!((&found["action"], &found["reply"]), (&"quarantine".into(), &Value::Null));
    let queue_id = found["queue_id"].as_str().unwrap();
    postfix.wait_for_log(&[queue_id, "milter-hold: END-OF-MESSAGE"], LONG).unwrap();
    assert_eq!(postfix.held().unwrap(), 1);
    deliver(&mut greeted(&stage, CLEAN), "Subject: other\n\nbody\n");
    let delivered = postfix.wait_for_delivered(1, LONG).unwrap();
    assert!(delivered[0].contains("Subject: other"), "{delivered:?}");
    assert_eq!(stage.status_number("/milter/messages_quarantined").unwrap(), 1);
}

#[test]
fn what_the_configuration_writes_into_headers() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let header = "[header]\nauthentication_results = true\nsubject_prefix = \"[SUSPECT] \"";
    let stage = staged(&site(TCP).tables(header));
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    let forged = "Authentication-Results: mx1.example.org; forged=pass\nAuthentication-Results: other.example; spf=pass\nSubject: hello\n world\nTo: b\n\nbody\n";
    deliver(&mut greeted(&stage, TAGGED), forged);
    let tagged = postfix.wait_for_delivered(1, LONG).unwrap().remove(0);
    let expected = "\nAuthentication-Results: mx1.example.org;\n\tx-portcullis=fail policy.code=global-deny-ip policy.ip=198.18.50.1";
    let at = |text: &str| tagged.find(text).unwrap_or_else(|| panic!("`{text}` in {tagged}"));
    assert!(at("Received: from sender.example.com") < at(expected), "{tagged}");
    assert!(at(expected) < at("\nX-Portcullis-Verdict: "), "{tagged}");
    assert!(
        at("\nX-Portcullis-Verdict: ") < at("\nAuthentication-Results: other.example"),
        "{tagged}"
    );
    assert!(tagged.contains("\nSubject: [SUSPECT] hello\n world\nTo: b\n"), "{tagged}");
    assert!(!tagged.contains("forged"), "{tagged}");
    deliver(&mut greeted(&stage, TAGGED), "To: b\n\nbody\n");
    let both = postfix.wait_for_delivered(2, LONG).unwrap();
    assert!(both.iter().any(|message| message.contains("\nSubject: [SUSPECT]\n")), "{both:?}");
}

/// `MESSAGE` with a signature of `example.com`, and the record of its key.
fn signed() -> (String, Record) {
    let key = Ed25519Key::from_pkcs8_der(&Ed25519Key::generate_pkcs8().unwrap()).unwrap();
    let record = format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key()));
    let signature = DkimSigner::from_key(key)
        .domain("example.com")
        .selector("key")
        .headers(["From", "To", "Subject"])
        .sign(MESSAGE.as_bytes())
        .unwrap();
    (format!("{}{MESSAGE}", signature.to_header()), Record::txt(record))
}

const MESSAGE: &str =
    "From: a@example.com\r\nTo: b@example.org\r\nSubject:  c\r\n\td\r\n\r\nbody\r\n\r\n.dot\r\n";

/// S3.7: header and body come from the mail server just as they were signed.
#[test]
fn a_signature_exempts_from_the_score() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let top = "[dns]\nresolvers = [\"127.0.0.1:53\"]\nbudget = \"1s\"\n[score]\nconnect = false\nexempt_domains = [\"example.com\"]";
    let stage = staged(&site(TCP).tables(top));
    let dns = stage.edge.run(|| DnsServer::start("127.0.0.1:53".parse().unwrap()));
    let dns = dns.unwrap().unwrap();
    let (proved, key) = signed();
    dns.add("key._domainkey.example.com", key);
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    let mut client = greeted(&stage, SPAMMER);
    for (name, message, expected) in [
        ("signed", proved.clone(), "250 2.0.0 Ok: queued as"),
        ("not signed", MESSAGE.to_owned(), "554 5.7.1 you are not allowed to connect"),
        ("altered", proved.replace("body", "other"), "554 5.7.1 you are not allowed to connect"),
        ("too long", proved.replace("body\r\n", &"0123456789\r\n".repeat(100_000)), "554 5.7.1"),
        ("signed again", proved, "250 2.0.0 Ok: queued as"),
    ] {
        let reply = deliver(&mut client, &message);
        assert!(reply.starts_with(expected), "{name}: {reply}");
    }
    postfix.wait_for_delivered(2, LONG).unwrap();
    let found = stage.records(SPAMMER, "message", 5).unwrap().remove(0);
    assert_eq!((&found["code"], &found["exempt"]), (&"exempt".into(), &"example.com".into()));
}
