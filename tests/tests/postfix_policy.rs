//! Postfix asks the policy service: what its clients hear, what is recorded.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use harness::clients::{
    BAD, CLEAN, CLIENTS, DISCARDED, KEPT, PROXY, PUT_OFF, SUSPECT, TAGGED, asked,
};
use harness::needs;
use harness::postfix::{Options, POSTFIX, Postfix};
use harness::smtp_client::SmtpClient;
use harness::stage::Stage;
use serde_json::Value;

const LONG: Duration = Duration::from_secs(20);

/// A daemon that is a policy service and nothing else, on the edge host.
fn stage() -> Stage {
    asked("[postfix_policy]\naddress = \"127.0.0.1:8892\"").stage(&CLIENTS).unwrap()
}

/// A Postfix at port 25 of the edge host, which asks about each recipient.
fn asking(stage: &Stage, packages: &std::path::Path) -> Postfix {
    let options = Options {
        listen: Some("192.0.2.1:25".parse().unwrap()),
        settings: vec![
            "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:8892".to_owned(),
            "smtpd_error_sleep_time = 0".to_owned(),
        ],
        ..Options::default()
    };
    Postfix::start(packages, Some(&stage.edge), &options).unwrap()
}

fn greeted(stage: &Stage, client: &str) -> SmtpClient {
    stage.greeted(client).unwrap()
}

/// What `client` hears, when it sends a message to these recipients.
fn deliver(stage: &Stage, client: &str, recipients: &[&str]) -> String {
    let mut client = greeted(stage, client);
    client.deliver("a@example.com", recipients, "Subject: a\n\nbody\n").unwrap().to_string()
}

const ONE: &[&str] = &["b@example.org"];

/// The one record about `client` in `phase`.
fn record(stage: &Stage, client: &str, phase: &str) -> Value {
    stage.records(client, phase, 1).unwrap().remove(0)
}

#[test]
fn clients_hear_what_is_decided_in_postfix_s_frame() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = stage();
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    for (client, phase, start, words) in [
        (
            BAD,
            "connect",
            "554 5.7.1 <b@example.org>: Recipient address rejected: ",
            "you are not allowed to connect; client [198.51.100.66]; System denied IP: Our own list; reference ",
        ),
        (
            PUT_OFF,
            "connect",
            "421 4.7.1 <b@example.org>: Recipient address rejected: ",
            "try again later; client [198.51.100.77]; System denied IP: put-off; reference ",
        ),
        (
            PROXY,
            "message",
            "550 5.7.1 <b@example.org>: Recipient address rejected: ",
            "message refused because of connect; client [198.18.99.1]; Open proxy: proxies; reference ",
        ),
        (
            SUSPECT,
            "recipient",
            "451 4.7.1 <b@example.org>: Recipient address rejected: ",
            "greylisted, try again in 300 s; client [198.18.0.50]; Greylisted; reference ",
        ),
    ] {
        let reply = deliver(&stage, client, ONE);
        assert!(reply.starts_with(&format!("{start}{words}")), "{client}: {reply}");
        let found = record(&stage, client, phase);
        assert_eq!(found["front"], "postfix_policy");
        assert_eq!(found["local"], "192.0.2.1:25");
        assert!(reply.ends_with(found["reference"].as_str().unwrap()), "{found:#}");
        postfix.wait_for_log(&["NOQUEUE: reject: RCPT", client, words], LONG).unwrap();
    }
    assert_eq!(postfix.delivered().unwrap().len(), 0);
    for (index, client) in [CLEAN, DISCARDED, TAGGED].into_iter().enumerate() {
        let reply = deliver(&stage, client, ONE);
        assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{client}: {reply}");
        // The second one is never there.
        postfix.wait_for_delivered(if index == 2 { 2 } else { 1 }, LONG).unwrap();
    }
    let delivered = postfix.wait_for_delivered(2, LONG).unwrap();
    assert!(delivered.iter().any(|message| message.contains("X-Portcullis-Verdict: System denied IP; code=global-deny-ip; address=198.18.50.1; hop=connect; list=\"tagged\"")), "{delivered:?}");
    let reply = deliver(&stage, KEPT, ONE);
    assert!(reply.starts_with("250 2.0.0 Ok: queued as"), "{reply}");
    postfix.wait_for_log(&["NOQUEUE: hold: RCPT", KEPT], LONG).unwrap();
    assert_eq!(postfix.held().unwrap(), 1);
    assert_eq!(record(&stage, KEPT, "message")["action"], "quarantine");
    assert_eq!(record(&stage, DISCARDED, "message")["action"], "discard");
    assert_eq!(record(&stage, TAGGED, "message")["action"], "tag");
    // Of a message that goes on, whoever sees its header has the record.
    assert_eq!(record(&stage, CLEAN, "connect")["code"], "accept");
    stage.records(CLEAN, "message", 0).unwrap();
}

#[test]
fn one_session_is_judged_once() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = stage();
    let _daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    let recipients = ["b@example.org", "c@example.org", "d@example.org"];
    let mut client = greeted(&stage, TAGGED);
    for count in 1..=2 {
        let reply = client.deliver("a@example.com", &recipients, "Subject: a\n\nbody\n").unwrap();
        assert!(reply.is_positive(), "{reply}");
        for message in postfix.wait_for_delivered(count * 3, LONG).unwrap() {
            assert_eq!(message.matches("X-Portcullis-Verdict").count(), 1, "{message}");
        }
    }
    record(&stage, TAGGED, "connect");
    stage.records(TAGGED, "message", 2).unwrap();
    let mut client = greeted(&stage, PROXY);
    client.command("MAIL FROM:<a@example.com>").unwrap();
    for recipient in recipients {
        let reply = client.command(&format!("RCPT TO:<{recipient}>")).unwrap();
        assert_eq!(reply.code, 550, "{reply}");
    }
    record(&stage, PROXY, "message");
    let mut client = greeted(&stage, BAD);
    for _twice in 0..2 {
        client.command("MAIL FROM:<a@example.com>").unwrap();
        assert_eq!(client.command("RCPT TO:<b@example.org>").unwrap().code, 554);
        client.command("RSET").unwrap();
    }
    record(&stage, BAD, "connect");
    // A session of its own is judged on its own.
    deliver(&stage, BAD, ONE);
    stage.records(BAD, "connect", 2).unwrap();
}

#[test]
fn who_has_logged_in_is_outbound() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = stage();
    let _daemon = stage.start().unwrap();
    let _postfix = asking(&stage, &packages);
    let mut client = greeted(&stage, CLEAN);
    client.command(&format!("XCLIENT ADDR={BAD} LOGIN=user@example.org")).unwrap();
    client.command("EHLO user.example.org").unwrap();
    let reply = client.deliver("a@example.com", ONE, "Subject: a\n\nbody\n").unwrap();
    assert!(reply.is_positive(), "{reply}");
    assert_eq!(record(&stage, BAD, "connect")["route"]["reason"], "authenticated");
}

#[test]
fn without_the_daemon_mail_waits() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let stage = stage();
    let daemon = stage.start().unwrap();
    let postfix = asking(&stage, &packages);
    assert!(deliver(&stage, CLEAN, ONE).starts_with("250 "));
    daemon.kill().unwrap();
    let reply = deliver(&stage, CLEAN, ONE);
    assert!(reply.starts_with("451 4.3.5"), "{reply}");
    let _daemon = stage.start().unwrap();
    assert!(deliver(&stage, CLEAN, ONE).starts_with("250 "));
    postfix.wait_for_delivered(2, LONG).unwrap();
}

#[test]
fn hostile_requests_end_their_connection_alone() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let _daemon = stage.start().unwrap();
    let ask = |request: &[u8]| {
        stage
            .edge
            .run(|| {
                let mut stream = TcpStream::connect("127.0.0.1:8892").unwrap();
                stream.set_read_timeout(Some(LONG)).unwrap();
                stream.write_all(request).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut answer = String::new();
                // It may have closed with some of the request unread.
                stream.read_to_string(&mut answer).unwrap_or_default();
                answer
            })
            .unwrap()
    };
    let request = format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address={BAD}\nclient_port=7\ninstance=1\n\n"
    );
    let refused = ask(request.as_bytes());
    assert!(refused.starts_with("action=554 5.7.1 you are not allowed to connect"), "{refused}");
    for (request, expected) in [
        (b"\n\n".to_vec(), ""),
        (b"GET / HTTP/1.0\r\n\r\n".to_vec(), ""),
        (b"x=".repeat(200_000), ""),
        (request.replace("RCPT", "LUNCH").into_bytes(), ""),
        (request.replace(BAD, "unknown").into_bytes(), "action=DUNNO\n\n"),
        (request.replace(BAD, "\u{1}=\0").into_bytes(), "action=DUNNO\n\n"),
        (request.replace(BAD, CLEAN).repeat(2).into_bytes(), "action=DUNNO\n\naction=DUNNO\n\n"),
    ] {
        assert_eq!(
            ask(&request),
            expected,
            "{}",
            request.escape_ascii().to_string().get(..100).unwrap_or_default()
        );
    }
    assert_eq!(stage.status_number("/postfix_policy/protocol_errors").unwrap(), 3);
    assert_eq!(stage.status_number("/postfix_policy/unjudged").unwrap(), 2);
}
