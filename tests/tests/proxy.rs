//! What clients and the next hop see of mail on its way through, and what the audit trail keeps of it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use harness::deadline::wait_for;
use harness::needs;
use harness::site::Site;
use harness::smtp_client::{End, Reply, SmtpClient};
use harness::smtp_server::{Answer, Ended, Options, SmtpServer, Stage as At, Transaction};
use harness::stage::Stage;
use rustix::process::Signal;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);
const CLEAN: &str = "Subject: hello\nFrom: <a@example.com>\n\nNothing is wrong with me.\n";
const FROM: &str = "a@example.com";
const TO: &[&str] = &["b@example.org"];

/// A message with one Received field for each of `hops`, the topmost first.
fn message_through(hops: &[&str]) -> String {
    let mut message = String::new();
    for hop in hops {
        writeln!(
            message,
            "Received: from host.example.net (host.example.net [{hop}]) by mx.example.net; Mon, 1 Jan 2024 12:00:00 +0000"
        )
        .unwrap();
    }
    message + CLEAN
}

/// Sends one message from `client` and leaves; the last reply.
fn send(stage: &Stage, client: &str, message: &str) -> Reply {
    let mut session = stage.greeted(client).unwrap();
    let reply = session.deliver(FROM, TO, message).unwrap();
    session.send_line("QUIT").unwrap();
    session.expect(221).unwrap();
    assert_eq!(session.finish().unwrap(), End::Closed);
    reply
}

/// A session that has got as far as the 354.
fn in_data(stage: &Stage, client: &str) -> SmtpClient {
    let mut session = stage.greeted(client).unwrap();
    for command in ["MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>"] {
        session.send_line(command).unwrap();
        session.expect(250).unwrap();
    }
    session.send_line("DATA").unwrap();
    session.expect(354).unwrap();
    session
}

/// The record about the one message of `client`.
fn message_record(stage: &Stage, client: &str) -> Value {
    stage.records(client, "message", 1).unwrap().remove(0)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text {pointer} in {value:#}"))
}

/// What came to the next hop, when all sessions there are over.
fn at_next_hop(stage: &Stage, count: usize) -> Vec<Transaction> {
    stage.next_hop.wait_for_transactions(count, LONG).unwrap()
}

/// No connection at the next hop heard `what`.
fn next_hop_never_heard(stage: &Stage, what: &str) {
    for connection in stage.next_hop.connections() {
        let heard = connection.transcript.iter().any(|line| line.starts_with(what));
        assert!(!heard, "{:#?}", connection.transcript);
    }
}

#[test]
fn who_is_refused_at_connect_reads_why_and_may_only_quit() {
    if !needs::root() {
        return;
    }
    let rows = [
        (
            "198.51.100.66",
            554,
            "you are not allowed to connect",
            "sys-deny-ip",
            "System denied IP: Our own list",
        ),
        (
            "2001:db8:bad::66",
            554,
            "you are not allowed to connect",
            "sys-deny-ip",
            "System denied IP: Our own list",
        ),
        (
            "203.0.113.5",
            554,
            "you are not allowed to connect",
            "global-deny-ip",
            "System denied IP: world",
        ),
        ("203.0.113.7", 554, "you are not allowed to connect", "open-proxy", "Open proxy: proxies"),
        (
            "198.18.0.75",
            554,
            "you are not allowed to connect",
            "iprep-reject",
            "IP reputation reject",
        ),
        ("198.18.0.50", 421, "try again later", "iprep-delay", "IP reputation tempfail"),
        ("198.18.0.60", 421, "try again later", "sys-deny-ip", "System denied IP: later"),
    ];
    let site = Site::without_kernel()
        .tables("[limits]\nrefused_timeout = \"1s\"\n\n[score]\ndelay_mode = \"static\"")
        .list(
            "bad",
            "local-bad",
            "label = \"Our own list\"",
            "198.51.100.66 # a virus\n2001:db8:bad::/48\n",
        )
        .list("world", "global-bad", "", "203.0.113.5\n")
        .list("proxies", "open-proxy", "", "203.0.113.0/24\n")
        .list("later", "local-bad", "action = \"defer\"", "198.18.0.60\n")
        .list(
            "suspects",
            "global-bad",
            "action = \"score\"\nweight = 550",
            "198.18.0.50\n198.18.0.75\n",
        )
        .list("homes", "global-bad", "action = \"score\"\nweight = 200", "198.18.0.75\n");
    let stage = site.stage(&rows.map(|row| row.0)).unwrap();
    let _daemon = stage.start().unwrap();
    for (client, code, words, verdict_code, label) in rows {
        let address = client.parse::<IpAddr>().unwrap();
        let mut session = stage.connect(address).unwrap();
        let reply = session.expect(code).unwrap();
        let enhanced = if code == 554 { "5.7.1" } else { "4.7.1" };
        let record = &stage.records(client, "connect", 1).unwrap()[0];
        let reference = text(record, "/reference");
        let expected =
            format!("{enhanced} {words}; client [{address}]; {label}; reference {reference}");
        assert_eq!(reply.text(), expected);
        assert_eq!(text(record, "/reply"), format!("{code} {expected}"));
        assert_eq!((text(record, "/code"), text(record, "/client")), (verdict_code, client));
        assert_eq!(record["offending"], json!({"ip": client, "hop": "connect"}));
        if code == 554 {
            for command in ["EHLO x.example.com", "MAIL FROM:<a@example.com>"] {
                assert_eq!(session.command(command).unwrap().code, 503);
            }
            assert_eq!(session.command("QUIT").unwrap().code, 221);
        }
        assert_eq!(session.ended().unwrap(), End::Closed, "{client}");
    }
    let record = &stage.records("198.51.100.66", "connect", 1).unwrap()[0];
    assert_eq!((text(record, "/list"), text(record, "/entry")), ("bad", "198.51.100.66"));
    assert!(text(record, "/entry_origin").ends_with("bad.txt:1"), "{record:#}");
    assert_eq!(text(record, "/entry_reason"), "a virus");
    let record = &stage.records("198.18.0.75", "connect", 1).unwrap()[0];
    assert_eq!((&record["score"], &record["band"]), (&json!(750), &json!("reject")));
    assert_eq!((&record["delay_from"], &record["reject_above"]), (&json!(500), &json!(600)));
    let evidence =
        json!([{"name": "list:suspects", "weight": 550}, {"name": "list:homes", "weight": 200}]);
    assert_eq!(record["evidence"], evidence);
    // One that says nothing is left in the end.
    let mut silent = stage.connect("198.51.100.66".parse().unwrap()).unwrap();
    silent.expect(554).unwrap();
    assert_eq!(silent.ended().unwrap(), End::Closed);
    assert!(at_next_hop(&stage, 0).is_empty());
}

#[test]
fn the_bare_historical_words_can_be_had() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().tables("[reply]\nbare = true").list(
        "bad",
        "local-bad",
        "",
        "198.51.100.66\n",
    );
    let stage = site.stage(&["198.51.100.66"]).unwrap();
    let _daemon = stage.start().unwrap();
    let mut client = stage.connect("198.51.100.66".parse().unwrap()).unwrap();
    let reply = client.expect(554).unwrap().to_string();
    assert_eq!(reply, "554 5.7.1 you are not allowed to connect");
}

#[test]
fn a_dialogue_is_relayed_and_the_next_hop_knows_the_client() {
    if !needs::root() {
        return;
    }
    let mut next_hop = Options::default();
    next_hop.capabilities.extend(["STARTTLS", "CHUNKING", "AUTH PLAIN"].map(ToOwned::to_owned));
    let clients = ["198.18.1.2", "2001:db8:feed::1"];
    let stage = Site::without_kernel().next_hop(next_hop).stage(&clients).unwrap();
    let _daemon = stage.start().unwrap();
    for (index, client) in clients.into_iter().enumerate() {
        let mut session = stage.connect(client.parse().unwrap()).unwrap();
        let offered = session.greet("sender.example.com").unwrap();
        for keyword in [
            "PIPELINING",
            "SIZE",
            "CHUNKING",
            "LIMITS",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
        ] {
            assert!(offered.announces(keyword), "{keyword} in {offered}");
        }
        // What is not understood here is not offered, whatever the next hop can do.
        for keyword in ["STARTTLS", "AUTH", "XCLIENT"] {
            assert!(!offered.announces(keyword), "{keyword} in {offered}");
        }
        let before = session.command("XCLIENT ADDR=192.0.2.99").unwrap();
        assert!((500..=504).contains(&before.code), "{before}");
        assert_eq!(session.command("MAIL FROM:<a@example.com> SIZE=99999999").unwrap().code, 552);
        // Everything at once, twice, with a QUIT at the end.
        let one = "MAIL FROM:<a@example.com> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org> NOTIFY=NEVER\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n";
        session.send_raw(format!("{one}NOOP\r\n{one}QUIT\r\n").as_bytes()).unwrap();
        for expected in [250, 250, 250, 354, 250, 250, 250, 250, 250, 354, 250, 221] {
            session.expect(expected).unwrap();
        }
        let port = session.local().unwrap().port();
        assert_eq!(session.ended().unwrap(), End::Closed);
        let all = at_next_hop(&stage, 2 * (index + 1));
        assert_eq!(all.len(), 2 * (index + 1));
        for transaction in &all[2 * index..] {
            assert!(transaction.is_delivered());
            let known = transaction.handed_over.as_ref().unwrap();
            assert_eq!((known.address, known.port), (Some(client.parse().unwrap()), Some(port)));
            assert_eq!(known.helo.as_deref(), Some("sender.example.com"));
            assert_eq!(known.protocol.as_deref(), Some("ESMTP"));
            assert_eq!(transaction.helo, "sender.example.com");
            assert_eq!(transaction.mail, "<a@example.com> SIZE=100 BODY=8BITMIME");
            assert_eq!(transaction.recipients, ["<b@example.org>", "<c@example.org> NOTIFY=NEVER"]);
            let wire = String::from_utf8_lossy(&transaction.wire);
            let ours = "Received: from sender.example.com (unknown [";
            assert!(wire.starts_with(ours) && wire.contains("with ESMTP id"), "{wire}");
            assert!(wire.ends_with("\r\nSubject: x\r\n\r\n..dot\r\n"), "{wire}");
        }
        let said = session.transcript().iter().any(|line| line.contains("queued as"));
        assert!(said, "the next hop's own words are passed on");
        assert_eq!(stage.records(client, "connect", 1).unwrap()[0]["code"], "accept");
        for record in stage.records(client, "message", 2).unwrap() {
            assert_eq!((text(&record, "/code"), text(&record, "/action")), ("accept", "accept"));
            assert_eq!(record["reply"], record["next_hop"]);
            let envelope = json!({
                "helo": "sender.example.com",
                "sender": "a@example.com",
                "recipients": ["b@example.org", "c@example.org"],
            });
            assert_eq!(record["envelope"], envelope);
        }
    }
    for connection in stage.next_hop.connections() {
        assert_eq!(connection.faults, Vec::<String>::new());
    }
}

#[test]
fn a_record_has_every_field_and_absent_is_null() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().list(
        "proxies",
        "open-proxy",
        "action = \"reject-message\"",
        "198.18.99.0/24 ; seen by us\n",
    );
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    let reply = send(&stage, "198.18.1.2", &message_through(&["10.1.2.3", "198.18.99.7"]));
    assert_eq!(reply.code, 550);
    let expected = [
        "action",
        "addresses",
        "addresses_total",
        "band",
        "client",
        "client_port",
        "code",
        "delay_from",
        "details",
        "enforced",
        "entry",
        "entry_added",
        "entry_origin",
        "entry_reason",
        "envelope",
        "evidence",
        "exempt",
        "front",
        "greylisted",
        "kernel",
        "list",
        "local",
        "logical_client",
        "message_id",
        "next_hop",
        "octets",
        "offending",
        "peer",
        "phase",
        "quarantine",
        "queue_id",
        "reference",
        "reject_above",
        "reply",
        "route",
        "rules",
        "rules_at_end",
        "schema",
        "score",
        "subject",
        "time",
        "tls",
        "verdict",
        "zone",
        "zone_codes",
        "zone_meaning",
        "zone_text",
    ];
    let connect = &stage.records("198.18.1.2", "connect", 1).unwrap()[0];
    let message = &message_record(&stage, "198.18.1.2");
    for record in [connect, message] {
        let keys = record.as_object().unwrap().keys().map(String::as_str).collect::<BTreeSet<_>>();
        assert_eq!(keys, BTreeSet::from(expected));
    }
    for absent in
        ["kernel", "offending", "list", "entry", "envelope", "octets", "next_hop", "rules_at_end"]
    {
        assert_eq!(connect[absent], Value::Null, "{absent}");
    }
    assert_eq!(text(message, "/verdict"), "Open proxy");
    assert_eq!(text(message, "/action"), "reject-message");
    assert_eq!(message["offending"], json!({"ip": "198.18.99.7", "hop": "received[1]"}));
    assert_eq!(message["addresses"][1]["skipped"], "private");
    assert_eq!(message["addresses"][2]["matches"][0]["entry"], "198.18.99.0/24");
    assert_eq!(text(message, "/entry_reason"), "seen by us");
    assert_eq!(message["next_hop"], Value::Null);
    assert_eq!(message["rules"], message["rules_at_end"]);
    assert_eq!(text(message, "/reply"), reply.to_string());
    assert!(reply.text().ends_with(&format!("reference {}", text(message, "/reference"))));
    assert!(
        reply.text().contains("received[1]; client [198.18.99.7]; Open proxy: proxies"),
        "{reply}"
    );
}

#[test]
fn without_a_client_passed_on_only_the_listed_domains_get_mail() {
    if !needs::root() {
        return;
    }
    let next_hop = || Options::default().without("XCLIENT");
    let open = Site::without_kernel().passes_client_by("none").next_hop(next_hop());
    let stage = open.stage(&["198.18.1.2"]).unwrap();
    let output = stage.home.run_in_vain(LONG).unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("recipient_domains"), "{said}");
    assert!(!said.contains("listening"), "{said}");

    let closed = open.top("recipient_domains = [\"example.org\"]");
    stage.configure(&closed.config().unwrap()).unwrap();
    let _daemon = stage.start().unwrap();
    let mut client = stage.greeted("198.18.1.2").unwrap();
    client.send_line("MAIL FROM:<a@example.com>").unwrap();
    client.expect(250).unwrap();
    for (recipient, code) in [
        ("b@example.net", 550),
        ("b@sub.example.org", 550),
        ("b@example.org.example.net", 550),
        ("b%example.net@example.net", 550),
        ("\"b@example.org\"@example.net", 550),
        ("@example.org:b@example.net", 550),
        ("B@EXAMPLE.ORG", 250),
    ] {
        let reply = client.command(&format!("RCPT TO:<{recipient}>")).unwrap();
        assert_eq!(reply.code, code, "{recipient}: {reply}");
    }
    client.send_raw(b"DATA\r\n\r\n.\r\nQUIT\r\n").unwrap();
    for code in [354, 250, 221] {
        client.expect(code).unwrap();
    }
    assert_eq!(at_next_hop(&stage, 1)[0].recipients, ["<B@EXAMPLE.ORG>"]);
}

#[test]
fn the_proxy_protocol_passes_the_client_on() {
    if !needs::root() {
        return;
    }
    let next_hop = Options::default().without("XCLIENT");
    let clients = ["198.18.1.2", "2001:db8:feed::1"];
    let site = Site::without_kernel().next_hop(next_hop).passes_client_by("proxy");
    let stage = site.stage(&clients).unwrap();
    let _daemon = stage.start().unwrap();
    for (index, client) in clients.into_iter().enumerate() {
        assert_eq!(send(&stage, client, CLEAN).code, 250);
        let transaction = &at_next_hop(&stage, index + 1)[index];
        let known = transaction.handed_over.as_ref().unwrap();
        let edge = if client.contains(':') { "2001:db8:25::1" } else { "192.0.2.1" };
        assert_eq!(known.address, Some(client.parse().unwrap()));
        assert_eq!(known.destination, Some(edge.parse().unwrap()));
        assert_eq!(known.destination_port, Some(25));
    }
}

#[test]
fn when_xclient_vanishes_mail_waits() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().idle_connections(0).stage(&["198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(send(&stage, "198.18.1.2", CLEAN).code, 250);
    let without = "250-next-hop.example.org\r\n250 PIPELINING";
    stage.next_hop.answer(At::Hello, "", Answer::Reply(without.to_owned()));
    let reply = send(&stage, "198.18.1.2", CLEAN);
    assert!((400..500).contains(&reply.code), "{reply}");
    stage.wait_for_alarm("next-hop", "XCLIENT").unwrap();
    assert_eq!(stage.next_hop.transactions().len(), 1, "nothing was relayed");
    // With XCLIENT but without ADDR it is as if it were not there.
    let without = "250-next-hop.example.org\r\n250 XCLIENT NAME PORT";
    stage.next_hop.answer(At::Hello, "", Answer::Reply(without.to_owned()));
    assert!((400..500).contains(&send(&stage, "198.18.1.2", CLEAN).code));
    // A refusal of XCLIENT is our trouble, not the client's.
    stage.next_hop.answer_normally();
    stage.next_hop.answer(At::Xclient, "", Answer::Reply("550 5.7.1 not you".to_owned()));
    assert!((400..500).contains(&send(&stage, "198.18.1.2", CLEAN).code));
    assert_eq!(stage.next_hop.transactions().len(), 1, "nothing was relayed");
    stage.next_hop.answer_normally();
    assert_eq!(send(&stage, "198.18.1.2", CLEAN).code, 250);
    stage.wait_for_no_alarm("next-hop").unwrap();
}

#[test]
fn while_the_next_hop_is_down_mail_waits_and_flows_when_it_is_back() {
    if !needs::root() {
        return;
    }
    let mut stage = Site::without_kernel().stage(&["198.18.1.2"]).unwrap();
    let daemon = stage.start().unwrap();
    assert_eq!(send(&stage, "198.18.1.2", CLEAN).code, 250);
    let address = stage.next_hop.address();
    let start = |stage: &Stage, at| {
        stage.edge.run(|| SmtpServer::start(at, Options::default()).unwrap()).unwrap()
    };
    let elsewhere = start(&stage, "127.0.0.1:0".parse().unwrap());
    drop(std::mem::replace(&mut stage.next_hop, elsewhere));
    let mut client = stage.greeted("198.18.1.2").unwrap();
    let reply = client.deliver(FROM, TO, CLEAN).unwrap();
    assert!((400..500).contains(&reply.code), "{reply}");
    stage.wait_for_alarm("next-hop", "cannot connect").unwrap();
    assert_eq!(stage.status().unwrap()["next_hops"][0]["up"], false);
    stage.next_hop = start(&stage, address);
    // The very session that met the trouble delivers.
    let reply = client.deliver(FROM, TO, CLEAN).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    stage.wait_for_no_alarm("next-hop").unwrap();
    let records = stage.records("198.18.1.2", "message", 3).unwrap();
    assert_eq!((text(&records[1], "/code"), text(&records[1], "/action")), ("next-hop", "defer"));
    drop(daemon);

    // A daemon that starts while it is down greets, and defers.
    let elsewhere = start(&stage, "127.0.0.1:0".parse().unwrap());
    drop(std::mem::replace(&mut stage.next_hop, elsewhere));
    let _daemon = stage.start().unwrap();
    let mut client = stage.connect("198.18.1.2".parse().unwrap()).unwrap();
    client.expect(220).unwrap();
    let reply = client.command("EHLO sender.example.com").unwrap();
    assert_eq!(reply.code, 421, "{reply}");
    stage.next_hop = start(&stage, address);
    let flows = || {
        let mut client = stage.connect("198.18.1.2".parse()?)?;
        client.expect(220)?;
        Ok((client.command("EHLO sender.example.com")?.code == 250).then_some(()))
    };
    wait_for("the next hop to be found again", LONG, flows).unwrap();
    assert_eq!(send(&stage, "198.18.1.2", CLEAN).code, 250);
}

#[test]
fn what_the_next_hop_refuses_is_passed_on_in_its_own_words() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&["198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    let mut session = stage.greeted("198.18.1.2").unwrap();
    let mut records = 0;
    for at in [At::Mail, At::Rcpt, At::Data, At::Message] {
        for words in ["550 5.7.1 not with me", "451 4.7.1 not now"] {
            stage.next_hop.answer(at, "", Answer::Reply(words.to_owned()));
            let reply = session.deliver(FROM, TO, CLEAN).unwrap();
            assert_eq!(reply.to_string(), words, "{at:?}");
            assert_eq!(session.command("RSET").unwrap().code, 250);
            if at == At::Message {
                records += 1;
                let all = stage.records("198.18.1.2", "message", records).unwrap();
                assert_eq!(text(&all[records - 1], "/reply"), words);
                assert_eq!(text(&all[records - 1], "/next_hop"), words);
            }
            stage.next_hop.answer_normally();
        }
    }
    // A reply of several lines stays one.
    let words = "550-5.7.1 first\r\n550 5.7.1 second";
    stage.next_hop.answer(At::Message, "", Answer::Reply(words.to_owned()));
    assert_eq!(session.deliver(FROM, TO, CLEAN).unwrap().lines, ["5.7.1 first", "5.7.1 second"]);
    stage.next_hop.answer_normally();
    assert_eq!(session.deliver(FROM, TO, CLEAN).unwrap().code, 250);
    // Its refusal of the name that the client gave itself is the client's; its refusal of us is not.
    drop(session);
    let no = |words: &str| Answer::Reply(words.to_owned());
    stage.next_hop.answer(At::Hello, "sender.example.com", no("550 5.7.1 bad name"));
    assert_eq!(send(&stage, "198.18.1.2", CLEAN).to_string(), "550 5.7.1 bad name");
    stage.next_hop.answer(At::Hello, "mx1.example.org", no("550 5.7.1 not you"));
    assert!((400..500).contains(&send(&stage, "198.18.1.2", CLEAN).code));
    stage.next_hop.answer(At::Greeting, "", no("554 5.7.1 not you"));
    assert!((400..500).contains(&send(&stage, "198.18.1.2", CLEAN).code));
}

#[test]
fn a_next_hop_that_dies_or_hangs_means_try_again_and_never_250() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel()
        .idle_connections(0)
        .tables("[limits]\nnext_hop_timeout = \"1s\"\nnext_hop_final_timeout = \"1s\"\nnext_hop_connect_timeout = \"1s\"");
    let mut stage = site.stage(&["198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(send(&stage, "198.18.1.2", CLEAN).code, 250);
    let goodbye = Answer::ReplyAndClose("421 4.3.2 going down".to_owned());
    let strange = Answer::Reply("354 what?".to_owned());
    for at in [At::Greeting, At::Hello, At::Xclient, At::Mail, At::Rcpt, At::Data, At::Message] {
        for answer in [Answer::Close, Answer::Hang, goodbye.clone()] {
            stage.next_hop.answer(at, "", answer.clone());
            let reply = send(&stage, "198.18.1.2", CLEAN);
            assert!((400..500).contains(&reply.code), "{at:?} {answer:?}: {reply}");
            stage.next_hop.answer_normally();
        }
    }
    stage.next_hop.answer(At::Message, "", strange);
    assert!((400..500).contains(&send(&stage, "198.18.1.2", CLEAN).code));
    stage.next_hop.answer_normally();
    assert_eq!(send(&stage, "198.18.1.2", CLEAN).code, 250);

    // It dies while half of a long message is there already.
    let mut session = in_data(&stage, "198.18.1.2");
    session.send_raw(b"Subject: long\r\n\r\n").unwrap();
    let line = [b'x'; 70];
    let piece = [line.as_slice(), b"\r\n"].concat().repeat(2000);
    session.send_raw(&piece).unwrap();
    let elsewhere = stage
        .edge
        .run(|| SmtpServer::start("127.0.0.1:0".parse().unwrap(), Options::default()).unwrap());
    drop(std::mem::replace(&mut stage.next_hop, elsewhere.unwrap()));
    session.send_raw(&piece).unwrap();
    session.send_raw(b".\r\n").unwrap();
    let reply = session.reply().unwrap();
    assert!((400..500).contains(&reply.code), "{reply}");
}

#[test]
fn a_message_refused_after_its_data_was_never_ended_at_the_next_hop() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().list(
        "proxies",
        "open-proxy",
        "action = \"reject-message\"",
        "198.18.99.0/24\n",
    );
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    let body = "x".repeat(70) + "\n";
    let message = message_through(&["198.18.99.7"]) + &body.repeat(2000);
    assert_eq!(send(&stage, "198.18.1.2", &message).code, 550);
    let transaction = at_next_hop(&stage, 1).remove(0);
    assert_eq!((transaction.ended, transaction.reply), (Ended::Disconnected, None));
    assert!(transaction.wire.is_empty(), "not a word of it was passed on");
    let of_mail = stage.next_hop.connections().into_iter().nth(transaction.connection).unwrap();
    assert!(!of_mail.transcript.iter().any(|line| line == "C: QUIT" || line == "C: RSET"));
    assert_eq!(stage.next_hop.delivered().len(), 0);
}

/// Client, Received fields from the top, then reply, code, and the offending address with its hop.
type HopRow = (
    &'static str,
    &'static [&'static str],
    u16,
    &'static str,
    Option<(&'static str, &'static str)>,
);

#[test]
fn every_hop_is_judged_by_the_lists_that_look_at_it() {
    if !needs::root() {
        return;
    }
    let relay = "198.51.100.25";
    let rows: [HopRow; 17] = [
        (
            "198.18.1.1",
            &["198.18.1.3", "10.1.2.3", "198.18.99.7"],
            550,
            "open-proxy",
            Some(("198.18.99.7", "received[2]")),
        ),
        ("198.18.1.2", &["198.18.1.3", "10.1.2.3"], 250, "accept", None),
        // A reject list looks at the client only.
        ("198.18.1.3", &["203.0.113.200"], 250, "accept", None),
        // Unless it is told to look at all hops; the connection is accepted long since, so the message is refused.
        (
            "198.18.1.4",
            &["198.18.88.1"],
            550,
            "global-deny-ip",
            Some(("198.18.88.1", "received[0]")),
        ),
        // A good client clears its own hop only, a good hop itself.
        ("198.18.77.1", &["198.18.99.7"], 550, "open-proxy", Some(("198.18.99.7", "received[0]"))),
        ("198.18.1.5", &["198.18.99.77"], 250, "accept", None),
        // Private addresses are looked up by no list, our own hosts are holes in each.
        ("198.18.1.6", &["10.66.66.66", "192.0.2.1", "127.0.0.1"], 250, "accept", None),
        // Behind our own relay the logical client is judged as if it had come itself.
        (
            relay,
            &["203.0.113.200", "198.18.1.3"],
            554,
            "global-deny-ip",
            Some(("203.0.113.200", "received[0]")),
        ),
        (relay, &["198.18.1.3", "203.0.113.200"], 250, "accept", None),
        (
            relay,
            &["198.51.100.26", "203.0.113.200"],
            554,
            "global-deny-ip",
            Some(("203.0.113.200", "received[1]")),
        ),
        (
            relay,
            &["127.0.0.1", "203.0.113.200"],
            554,
            "global-deny-ip",
            Some(("203.0.113.200", "received[1]")),
        ),
        (relay, &["198.18.0.50"], 451, "greylist", Some(("198.18.0.50", "received[0]"))),
        (relay, &["198.18.0.75"], 554, "iprep-reject", Some(("198.18.0.75", "received[0]"))),
        (
            relay,
            &["198.18.77.1", "198.18.99.7"],
            550,
            "open-proxy",
            Some(("198.18.99.7", "received[1]")),
        ),
        (relay, &[], 250, "accept", None),
        // A client that only claims to be behind our relay is judged as itself.
        ("198.18.1.7", &["198.51.100.25", "203.0.113.200"], 250, "accept", None),
        (
            "2001:db8:feed::1",
            &["IPv6:2001:db8:bad::1"],
            550,
            "open-proxy",
            Some(("2001:db8:bad::1", "received[0]")),
        ),
    ];
    let site = Site::without_kernel()
        .top("trusted_relays = [\"198.51.100.25\", \"198.51.100.26\"]")
        .list("good", "local-good", "", "198.18.77.0/24\n198.18.99.77\n")
        .list("world", "global-bad", "", "203.0.113.0/24\n198.51.100.25\n")
        .list("deep", "global-bad", "hops = \"all\"", "198.18.88.0/24\n")
        .list(
            "proxies",
            "open-proxy",
            "action = \"reject-message\"",
            "198.18.99.0/24\n10.0.0.0/8\n192.0.2.0/24\n127.0.0.0/8\n2001:db8:bad::/48\n",
        )
        .list(
            "suspects",
            "global-bad",
            "action = \"score\"\nweight = 550",
            "198.18.0.50\n198.18.0.75\n",
        )
        .list("homes", "global-bad", "action = \"score\"\nweight = 200", "198.18.0.75\n");
    let mut clients = rows.map(|row| row.0).to_vec();
    clients.sort_unstable();
    clients.dedup();
    let stage = site.stage(&clients).unwrap();
    let _daemon = stage.start().unwrap();
    let mut by_client = std::collections::BTreeMap::new();
    for (client, hops, code, verdict, offending) in rows {
        let reply = send(&stage, client, &message_through(hops));
        assert_eq!(reply.code, code, "{client} {hops:?}: {reply}");
        let count = by_client.entry(client).or_insert(0);
        *count += 1;
        let record = stage.records(client, "message", *count).unwrap().pop().unwrap();
        assert_eq!(text(&record, "/code"), verdict, "{client} {hops:?}");
        let expected = offending.map_or(Value::Null, |(ip, hop)| json!({"ip": ip, "hop": hop}));
        assert_eq!(record["offending"], expected, "{client} {hops:?}");
        if client == relay && reply.code == 554 {
            assert_eq!(record["logical_client"], record["offending"]["ip"]);
            assert!(reply.text().contains("you are not allowed to connect"), "{reply}");
        }
    }
    assert_eq!(stage.next_hop.delivered().len(), rows.iter().filter(|row| row.2 == 250).count());
}

#[test]
fn a_good_client_clears_the_other_hops_where_that_is_switched_on() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel()
        .tables("[scan]\ngood_client_skips_headers = true\nheaders = [\"X-Originating-IP\"]")
        .list("good", "local-good", "", "198.18.77.0/24\n")
        .list("proxies", "open-proxy", "action = \"reject-message\"", "198.18.99.0/24\n");
    let stage = site.stage(&["198.18.77.1", "198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    let message = message_through(&["198.18.99.7"]);
    assert_eq!(send(&stage, "198.18.77.1", &message).code, 250);
    let record = message_record(&stage, "198.18.77.1");
    assert_eq!(record["addresses"][1]["skipped"], "good-client");
    let message = format!("X-Originating-IP: [198.18.99.8]\n{CLEAN}");
    assert_eq!(send(&stage, "198.18.1.2", &message).code, 550);
    let record = message_record(&stage, "198.18.1.2");
    assert_eq!(text(&record, "/offending/hop"), "header[X-Originating-IP]");
}

#[test]
fn a_tag_is_ours_alone() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel()
        .list("proxies", "open-proxy", "action = \"tag\"", "198.18.99.0/24\n")
        .list("watched", "local-bad", "action = \"observe\"", "198.18.1.3\n");
    let stage = site.stage(&["198.18.1.2", "198.18.1.3"]).unwrap();
    let _daemon = stage.start().unwrap();
    let forged = "X-Portcullis-Verdict: Safe;\n code=safe\nx-portcullis-verdict : Safe\n";
    let message = format!("{forged}{}", message_through(&["198.18.99.7"]));
    assert_eq!(send(&stage, "198.18.1.2", &message).code, 250);
    assert_eq!(send(&stage, "198.18.1.3", &format!("{forged}{CLEAN}")).code, 250);
    let all = at_next_hop(&stage, 2);
    let record = message_record(&stage, "198.18.1.2");
    let expected = format!(
        "X-Portcullis-Verdict: Open proxy; code=open-proxy; address=198.18.99.7; hop=received[0]; list=\"proxies\"; reference={}\r\n",
        text(&record, "/reference")
    );
    let tagged = all[0].message();
    let (received, tag) = tagged.split_once("X-Portcullis-Verdict").unwrap();
    assert!(
        received.starts_with("Received: from sender.example.com (unknown [198.18.1.2])"),
        "{tagged}"
    );
    assert!(format!("X-Portcullis-Verdict{tag}").starts_with(&expected), "{tagged}");
    assert_eq!(tagged.to_lowercase().matches("x-portcullis-verdict").count(), 1, "{tagged}");
    assert!(all[1].message().ends_with(&CLEAN.replace('\n', "\r\n")), "{}", all[1].message());
    let record = message_record(&stage, "198.18.1.3");
    assert_eq!((text(&record, "/code"), text(&record, "/action")), ("sys-deny-ip", "observe"));
}

#[test]
fn mail_is_thrown_away_only_where_the_configuration_says_so() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().list(
        "proxies",
        "open-proxy",
        "action = \"discard\"",
        "198.18.99.0/24\n",
    );
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(send(&stage, "198.18.1.2", &message_through(&["198.18.99.7"])).code, 250);
    let record = message_record(&stage, "198.18.1.2");
    assert_eq!((text(&record, "/action"), text(&record, "/code")), ("discard", "open-proxy"));
    assert_eq!(at_next_hop(&stage, 1)[0].ended, Ended::Disconnected);
    assert_eq!(stage.next_hop.delivered().len(), 0);
}

/// S0.6. The plan: half of a long message is sent, the list changes, the other half is sent when the change is in force.
#[test]
fn the_rules_at_the_end_of_the_data_decide() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel()
        .top("trusted_relays = [\"198.51.100.25\"]")
        .list("proxies", "open-proxy", "action = \"reject-message\"", "198.18.99.1\n")
        .list("world", "global-bad", "", "203.0.113.1\n");
    let clients = ["198.18.1.2", "198.18.1.3", "198.51.100.25"];
    let stage = site.stage(&clients).unwrap();
    let _daemon = stage.start().unwrap();
    let body = ("x".repeat(70) + "\r\n").repeat(1000);
    for (client, hop, list, before, after, code, verdict) in [
        // What became bad is stopped.
        (
            "198.18.1.2",
            "198.18.99.7",
            "proxies.txt",
            "198.18.99.1\n",
            "198.18.99.0/24\n",
            550,
            "open-proxy",
        ),
        // What is bad no longer may come again: the next hop does not have it.
        (
            "198.18.1.3",
            "198.18.99.7",
            "proxies.txt",
            "198.18.99.0/24\n",
            "198.18.99.1\n",
            451,
            "accept",
        ),
        // The client behind our own relay became bad.
        (
            "198.51.100.25",
            "203.0.113.7",
            "world.txt",
            "203.0.113.1\n",
            "203.0.113.0/24\n",
            554,
            "global-deny-ip",
        ),
    ] {
        let first = put_in_force(&stage, list, before);
        let mut session = in_data(&stage, client);
        let head = message_through(&[hop]).replace('\n', "\r\n");
        session.send_raw(format!("{head}{body}").as_bytes()).unwrap();
        // The header must have been judged before the list changes: the body waits at the next hop then, or nothing does.
        wait_for("half of the message to be taken in", LONG, || {
            Ok(queued(&stage, session.local()?.port())?.then_some(()))
        })
        .unwrap();
        let second = put_in_force(&stage, list, after);
        session.send_raw(format!("{body}.\r\n").as_bytes()).unwrap();
        let reply = session.reply().unwrap();
        assert_eq!(reply.code, code, "{client}: {reply}");
        let record = message_record(&stage, client);
        assert_eq!(text(&record, "/code"), verdict, "{record:#}");
        assert_eq!((&record["rules"], &record["rules_at_end"]), (&json!(first), &json!(second)));
        assert_eq!(text(&record, "/reply"), reply.to_string());
    }
    assert_eq!(stage.next_hop.delivered().len(), 0);
    assert!(at_next_hop(&stage, 3).iter().all(|it| it.ended == Ended::Disconnected));
}

/// Writes a list and waits for the rules that follow from it; their version.
fn put_in_force(stage: &Stage, list: &str, entries: &str) -> u64 {
    let version = stage.status_number("/rules/version").unwrap();
    // Only a list that changes makes new rules, so each has an entry of its own.
    stage.home.write(list, &format!("{entries}2001:db8:{:x}::1\n", version & 0xffff)).unwrap();
    stage.wait_for_rules_after(version).unwrap()
}

/// Whether the daemon has read everything that the client at `port` has sent.
fn queued(stage: &Stage, port: u16) -> anyhow::Result<bool> {
    let output = stage.edge.command("ss").args(["-Htn", "sport", "=", ":25"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find(|line| line.trim_end().ends_with(&format!(":{port}")));
    Ok(line.is_some_and(|line| line.split_whitespace().nth(1) == Some("0")))
}

#[test]
fn what_is_over_a_limit_is_refused_and_the_session_goes_on() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel()
        .tables("[limits]\nheader = 2000\ndata_line = 1000\nmessage = 20000\nreceived = 3\nrecipients = 2\nerrors = 100");
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    let long_header = format!("X-Long: {}\n\nbody\n", "x".repeat(900)).repeat(1);
    let folded =
        "X-Long: a\n".to_owned() + &" folded folded folded folded\n".repeat(100) + "\nbody\n";
    let fits = "X-Long: a\n".to_owned() + &" folded folded folded folded\n".repeat(60) + "\nbody\n";
    let rows = [
        ("a header over the limit", folded.clone(), 552, "5.3.4"),
        ("a header without end", folded.replace("\n\n", "\n"), 552, "5.3.4"),
        ("a header at the limit", fits, 250, ""),
        ("a long field", long_header, 250, ""),
        ("a loop", message_through(&["198.18.1.3"; 4]), 554, "5.4.6"),
        ("almost a loop", message_through(&["198.18.1.3"; 3]), 250, ""),
        ("a line over the limit", format!("{CLEAN}{}\n", "x".repeat(1100)), 550, "5.6.0"),
        (
            "a message over the limit",
            CLEAN.to_owned() + &"twenty octets.......\n".repeat(1200),
            552,
            "5.3.4",
        ),
        ("NUL in the header", format!("Subject: \0\n{CLEAN}"), 550, "5.6.0"),
        ("nothing at all", String::new(), 250, ""),
        ("no header", "\nbody\n".to_owned(), 250, ""),
    ];
    let mut session = stage.greeted("198.18.1.2").unwrap();
    let mut delivered = 0;
    for (name, message, code, enhanced) in rows {
        let reply = session.deliver(FROM, TO, &message).unwrap();
        assert_eq!(reply.code, code, "{name}: {reply}");
        assert!(reply.text().starts_with(enhanced), "{name}: {reply}");
        delivered += usize::from(code == 250);
        assert_eq!(stage.next_hop.delivered().len(), delivered, "{name}");
    }
    session.send_line("MAIL FROM:<a@example.com>").unwrap();
    session.expect(250).unwrap();
    for code in [250, 250, 452] {
        session.send_line("RCPT TO:<b@example.org>").unwrap();
        session.expect(code).unwrap();
    }
}

#[test]
fn lines_that_are_no_commands_are_answered_or_end_the_session() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().tables(
        "[limits]\ncommand_line = 600\nerrors = 3\ncommands = 50\ncommand_timeout = \"1s\"",
    );
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let daemon = stage.start().unwrap();
    let long = [b"NOOP ".to_vec(), vec![b'x'; 100_000], b"\r\n".to_vec()].concat();
    // What is sent, the code of the reply, and whether the session goes on.
    let rows: [(&str, &[u8], u16, bool); 8] = [
        ("too long", &long, 500, true),
        ("NUL", b"NOOP \0\r\n", 500, true),
        ("bare CR", b"NOOP \rRSET\r\n", 500, true),
        ("unknown", b"BDATA 10 LAST\r\n", 500, true),
        ("STARTTLS", b"STARTTLS\r\n", 500, true),
        ("8 bit", b"MAIL FROM:<\xff\xfe@example.com>\r\n", 500, true),
        ("bare LF", b"NOOP\nRSET\r\n", 554, false),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", 500, false),
    ];
    for (name, octets, code, goes_on) in rows {
        let mut session = stage.greeted("198.18.1.2").unwrap();
        session.send_raw(octets).unwrap();
        let reply = session.reply().unwrap();
        assert_eq!(reply.code / 100, code / 100, "{name}: {reply}");
        if goes_on {
            assert_eq!(session.command("NOOP").unwrap().code, 250, "{name}");
        } else {
            assert_eq!(session.ended().unwrap(), End::Closed, "{name}");
        }
    }
    let mut session = stage.greeted("198.18.1.2").unwrap();
    for _ in 0..4 {
        assert!(session.command("NONSENSE").unwrap().code >= 500);
    }
    session.expect(421).unwrap();
    assert_eq!(session.ended().unwrap(), End::Closed);
    let mut session = stage.greeted("198.18.1.2").unwrap();
    session.send_raw(b"NOOP\r\n".repeat(60).as_slice()).unwrap();
    for _ in 0..49 {
        session.expect(250).unwrap();
    }
    session.expect(421).unwrap();
    // One that says nothing.
    let mut silent = stage.greeted("198.18.1.2").unwrap();
    silent.expect(421).unwrap();
    assert_eq!(silent.ended().unwrap(), End::Closed);
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
    wait_for("all places to be free", LONG, || {
        Ok((stage.status_number("/smtp/connections_active")? == 0).then_some(()))
    })
    .unwrap();
}

const SMUGGLED: &str = "MAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n";
/// What is no end of the data, whatever some mailer may think.
const FALSE_ENDS: [&str; 9] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\n.\r",
    "\r\n.\r\r\n",
    "\r\n\0.\r\n",
];

#[test]
fn nothing_is_smuggled_past_a_strict_listener() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&["198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    for end in FALSE_ENDS {
        let before = stage.next_hop.delivered().len();
        let mut session = in_data(&stage, "198.18.1.2");
        session.send_raw(format!("Subject: outer\r\n\r\nouter{end}{SMUGGLED}").as_bytes()).unwrap();
        let reply = session.reply().unwrap();
        session.send_line("QUIT").unwrap();
        session.expect(221).unwrap();
        let delivered = stage.next_hop.delivered();
        let fresh = &delivered[before..];
        if reply.code == 250 {
            // No newline of its own: this one is content to everybody.
            assert_eq!((end, fresh.len()), ("\r\n\0.\r\n", 1));
        } else {
            assert_eq!((reply.code, fresh.len()), (550, 0), "{end:?}: {reply}");
        }
    }
    next_hop_never_heard(&stage, "C: MAIL FROM:<evil");
}

#[test]
fn a_listener_that_normalises_passes_one_message_on() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().listener("bare_newline = \"normalise\"");
    let stage = site.stage(&["198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    for (count, end) in FALSE_ENDS.into_iter().enumerate() {
        let mut session = in_data(&stage, "198.18.1.2");
        session.send_raw(format!("Subject: outer\r\n\r\nouter{end}{SMUGGLED}").as_bytes()).unwrap();
        session.expect(250).unwrap();
        session.send_line("QUIT").unwrap();
        session.expect(221).unwrap();
        let delivered = stage.next_hop.delivered();
        assert_eq!(delivered.len(), count + 1, "{end:?}");
        let message = delivered[count].message();
        assert!(message.contains("Subject: smuggled"), "{end:?}: {message:?}");
    }
    next_hop_never_heard(&stage, "C: MAIL FROM:<evil");
    for connection in stage.next_hop.connections() {
        connection.faults.iter().for_each(|fault| assert_eq!(fault, "NUL in a message"));
    }
}

/// The plan: the daemon is held still while the client connects and speaks, so that it is early for certain.
#[test]
fn who_speaks_before_the_greeting_is_refused() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().list("good", "local-good", "", "198.18.77.1\n");
    let stage = site.stage(&["198.18.1.2", "198.18.77.1"]).unwrap();
    let daemon = stage.start().unwrap();
    for (client, code) in [("198.18.1.2", 554), ("198.18.77.1", 220)] {
        daemon.hold_still().unwrap();
        let mut early = stage.connect(client.parse().unwrap()).unwrap();
        early.send_line("EHLO early.example.com").unwrap();
        daemon.signal(Signal::CONT).unwrap();
        early.expect(code).unwrap();
    }
    let record = &stage.records("198.18.1.2", "connect", 1).unwrap()[0];
    assert_eq!((text(record, "/code"), text(record, "/action")), ("early-talker", "reject"));
    assert_eq!(stage.status_number("/smtp/early_talkers").unwrap(), 1);
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    if !needs::root() {
        return;
    }
    let site =
        Site::without_kernel().tables("[limits]\nconnections = 3\nconnections_per_client = 2");
    let stage = site.stage(&["198.18.1.2", "198.18.1.3", "198.18.1.4"]).unwrap();
    let _daemon = stage.start().unwrap();
    let first = stage.greeted("198.18.1.2").unwrap();
    let _second = stage.greeted("198.18.1.2").unwrap();
    let mut full = stage.connect("198.18.1.2".parse().unwrap()).unwrap();
    full.expect(421).unwrap();
    assert_eq!(full.ended().unwrap(), End::Closed);
    let _third = stage.greeted("198.18.1.3").unwrap();
    let mut full = stage.connect("198.18.1.4".parse().unwrap()).unwrap();
    full.expect(421).unwrap();
    let record = &stage.records("198.18.1.4", "connect", 1).unwrap()[0];
    assert_eq!((text(record, "/code"), text(record, "/action")), ("capacity", "defer"));
    assert_eq!(stage.status_number("/smtp/capacity").unwrap(), 2);
    drop(first);
    wait_for("a free place", LONG, || {
        let mut client = stage.connect("198.18.1.4".parse()?)?;
        Ok((client.reply()?.code == 220).then_some(()))
    })
    .unwrap();
}

#[test]
fn a_client_may_vanish_anywhere_and_nothing_is_delivered() {
    if !needs::root() {
        return;
    }
    let stage = Site::without_kernel().stage(&["198.18.1.2"]).unwrap();
    let daemon = stage.start().unwrap();
    drop(stage.connect("198.18.1.2".parse().unwrap()).unwrap());
    drop(stage.greeted("198.18.1.2").unwrap());
    let whole = format!("Subject: x\r\n\r\n{}", ("x".repeat(70) + "\r\n").repeat(1000));
    for length in [0, 5, 14, 40, 20_000, whole.len()] {
        let mut session = in_data(&stage, "198.18.1.2");
        session.send_raw(&whole.as_bytes()[..length]).unwrap();
        drop(session);
    }
    // A half of the final dot is no dot.
    let mut session = in_data(&stage, "198.18.1.2");
    session.send_raw(format!("{whole}.\r").as_bytes()).unwrap();
    drop(session);
    let all = at_next_hop(&stage, 7);
    assert!(all.iter().all(|transaction| transaction.ended == Ended::Disconnected), "{all:#?}");
    for record in stage.records("198.18.1.2", "message", 7).unwrap() {
        assert_eq!((text(&record, "/code"), text(&record, "/action")), ("protocol", "defer"));
    }
    wait_for("all places to be free", LONG, || {
        Ok((stage.status_number("/smtp/connections_active")? == 0).then_some(()))
    })
    .unwrap();
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
}
