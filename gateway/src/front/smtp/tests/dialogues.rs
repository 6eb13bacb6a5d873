//! What clients see, from the greeting to the end, and what the next hop and the audit trail see of it.

use std::time::Duration;

use tokio::time::Instant;

use super::peer::{Peer, Script};
use super::site::{Site, of_messages, until};
use crate::front::PassClient;
use crate::list::ListAction;
use crate::smtp::{Limits, RecipientDomains};

fn postfix() -> Script {
    Script {
        offers: vec![
            "PIPELINING",
            "SIZE 5000",
            "XCLIENT NAME ADDR PORT PROTO HELO",
            "8BITMIME",
            "DSN",
        ],
        ..Script::default()
    }
}

#[tokio::test]
async fn clean_mail_arrives_as_it_was_sent() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    site.dialogue(
        "S: 220 mx.example ESMTP
         C: EHLO client.example
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250-SIZE 5000
         S: 250-CHUNKING
         S: 250-LIMITS RCPTMAX=1000
         S: 250-8BITMIME
         S: 250 DSN
         C: MAIL FROM:<a@client.example> SIZE=100 BODY=8BITMIME
         S: 250 2.0.0 ok
         C: RCPT TO:<b@ours.example> NOTIFY=NEVER
         S: 250 2.0.0 ok
         C: DATA
         S: 354
         C: Subject: hello
         C:
         C: ..one dot
         C: bye
         C: .
         S: 250 2.0.0 queued as 1
         C: MAIL FROM:<>
         S: 250
         C: RCPT TO:<c@ours.example>
         S: 250
         C: DATA
         S: 354
         C: .
         S: 250 2.0.0 queued as 1
         C: QUIT
         S: 221 2.0.0
         S: EOF",
    )
    .await;
    let heard = peer.mail();
    assert_eq!(heard.len(), 1, "both transactions share a connection");
    let commands = &heard[0].commands;
    assert_eq!(commands[0], "EHLO mx.example");
    assert!(commands[1].starts_with("XCLIENT NAME=[UNAVAILABLE] ADDR=127.0.0.1 PORT="));
    assert!(commands[1].ends_with(" PROTO=ESMTP HELO=client.example"));
    assert_eq!(
        commands[2..],
        [
            "EHLO client.example",
            "MAIL FROM:<a@client.example> SIZE=100 BODY=8BITMIME",
            "RCPT TO:<b@ours.example> NOTIFY=NEVER",
            "DATA",
            "MAIL FROM:<>",
            "RCPT TO:<c@ours.example>",
            "DATA",
        ]
    );
    assert_eq!(heard[0].messages, ["Subject: hello\r\n\r\n..one dot\r\nbye\r\n", ""]);
    assert_eq!(site.front.counters().counts.messages_relayed.get(), 2);

    let records = site.finish().await;
    assert_eq!(records.len(), 3);
    assert_eq!(records[0]["phase"], "connect");
    assert_eq!(records[1]["envelope"]["recipients"][0], "b@ours.example");
    assert_eq!(records[1]["code"], "accept");
    assert_eq!(records[1]["next_hop"], "250 2.0.0 queued as 1");
    assert_eq!(records[1]["rules_at_end"], 1);
}

#[tokio::test]
async fn a_large_message_arrives_octet_for_octet() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let mut client = site.client().await;
    client.up_to_data().await;
    let mut data = "Subject: x\r\n\r\n".to_owned();
    for line in 0..60_000 {
        // Every 37th line begins with a dot, every 41st is empty.
        let text = if line % 37 == 0 { ".." } else { "" };
        let fill = if line % 41 == 0 { 0 } else { line % 90 };
        data.push_str(text);
        data.extend(std::iter::repeat_n('x', fill));
        data.push_str("\r\n");
    }
    for piece in data.as_bytes().chunks(4093) {
        client.send(piece).await;
    }
    client.send(b".\r\n").await;
    client.expect("250 2.0.0 queued").await;
    client.leave().await;
    assert!(peer.messages()[0] == data, "not what was sent");
    let stuffed = data.matches("\r\n..").count();
    let records = site.finish().await;
    assert_eq!(of_messages(&records)[0]["octets"], data.len() - stuffed);
}

#[tokio::test]
async fn refused_clients_may_only_quit() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    site.client_from("127.0.0.66")
        .await
        .dialogue(
            "S: 554 5.7.1 you are not allowed to connect; client [127.0.0.66]
             C: EHLO client.example
             S: 503 5.5.1
             C: MAIL FROM:<a@client.example>
             S: 503 5.5.1
             C: QUIT
             S: 221
             S: EOF",
        )
        .await;
    site.client_from("127.0.0.77").await.dialogue("S: 421 4.7.1\nS: EOF").await;
    let mut stubborn = site.client_from("127.0.0.66").await;
    stubborn.expect("554").await;
    stubborn.send(&b"NOOP\r\n".repeat(30)).await;
    for _ in 0..10 {
        stubborn.expect("503").await;
    }
    stubborn.expect("EOF").await;
    drop(stubborn);
    let counters = site.front.counters().counts;
    assert_eq!((counters.refused.get(), counters.deferred.get()), (2, 1));
    let records = site.finish().await;
    assert_eq!(records.len(), 3);
    assert_eq!(records[0]["code"], "sys-deny-ip");
    assert_eq!(records[1]["action"], "defer");
    assert!(peer.connections().is_empty());
}

#[tokio::test]
async fn a_silent_refused_client_is_left() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |settings, _| {
        settings.limits.refused_timeout = Duration::from_millis(50);
    })
    .await;
    site.client_from("127.0.0.66").await.dialogue("S: 554\nS: EOF").await;
    site.finish().await;
}

#[tokio::test]
async fn commands_out_of_order() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |settings, _| settings.limits.message = 1000).await;
    site.dialogue(
        "S: 220
         C: MAIL FROM:<a@client.example>
         S: 503 5.5.1 send HELO
         C: NOOP
         S: 250
         C: HELO client.example
         S: 250 mx.example
         C: RCPT TO:<b@ours.example>
         S: 503 5.5.1 send MAIL
         C: DATA
         S: 503 5.5.1 send MAIL
         C: MAIL FROM:<a@client.example> SIZE=1001
         S: 552 5.3.4
         C: MAIL FROM:<a@client.example> SMTPUTF8
         S: 555 5.5.4
         C: MAIL FROM:<a@client.example>
         S: 250
         C: MAIL FROM:<a@client.example>
         S: 503 5.5.1 a transaction is open
         C: DATA
         S: 554 5.5.1 no valid recipients
         C: RSET
         S: 250
         C: RCPT TO:<b@ours.example>
         S: 503 5.5.1
         C: STARTTLS
         S: 502 5.5.1
         C: AUTH PLAIN
         S: 502 5.5.1
         C: BDAT 3 LAST
         S: 503 5.5.1 send MAIL
         C: X
         C: XCLIENT ADDR=192.0.2.7
         S: 502 5.5.1
         C: VRFY b
         S: 252
         C: EXPN b
         S: 502
         C: HELP
         S: 214
         C: WHAT
         S: 500 5.5.2
         C: QUIT
         S: 221",
    )
    .await;
    let records = site.finish().await;
    assert!(of_messages(&records).is_empty());
}

#[tokio::test]
async fn too_many_mistakes_end_the_session() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |settings, _| settings.limits.errors = 2).await;
    site.dialogue("S: 220\nC: X\nS: 500\nC: X\nS: 500\nC: X\nS: 500\nS: 421 4.7.0\nS: EOF").await;
    let records = site.finish().await;
    assert_eq!(records[1]["code"], "protocol");
}

#[tokio::test]
async fn what_the_header_says_decides() {
    let received = "Received: from x ([198.51.100.N]) by y; Mon, 1 Jan 2024 00:00:00 +0000";
    for (n, reply, code, delivered) in [
        ("9", "250 2.0.0 queued", "accept", true),
        ("1", "250 2.0.0 queued", "sys-deny-ip", true),
        ("2", "550 5.7.1", "sys-deny-ip", false),
        ("3", "250 2.0.0 ok", "sys-deny-ip", false),
    ] {
        let peer = Peer::start(postfix()).await;
        let site = Site::start(&peer, |_, _| ()).await;
        let mut client = site.client().await;
        client.up_to_data().await;
        let field = received.replace('N', n);
        let forged = "x-portcullis-verdict : Safe\r\n\tand sound\r\n";
        client.send(format!("{field}\r\n{forged}Subject: x\r\n\r\nbody\r\n.\r\n").as_bytes()).await;
        client.expect(reply).await;
        client.leave().await;
        let heard = peer.mail();
        let plain = format!("{field}\r\nSubject: x\r\n\r\nbody\r\n");
        match (n, delivered) {
            ("1", _) => {
                let (tag, rest) = heard[0].messages[0].split_once("\r\n").unwrap();
                assert!(
                    tag.starts_with("X-Portcullis-Verdict: System denied IP; code=sys-deny-ip;")
                );
                assert_eq!(rest, plain);
            }
            (_, true) => assert_eq!(heard[0].messages, [plain]),
            (_, false) => {
                assert!(heard[0].messages.is_empty());
                assert_eq!(heard[0].commands.last().unwrap(), "DATA", "aborted without a word");
            }
        }
        let records = site.finish().await;
        let messages = of_messages(&records);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0]["code"], code);
        assert!(messages[0]["reply"].as_str().unwrap().starts_with(reply), "{}", messages[0]);
    }
}

#[tokio::test]
async fn rules_that_change_in_the_meantime_count() {
    let late = "198.51.100.9";
    for (first, change, reply) in [
        ("198.51.100.8", None, "250 2.0.0 queued"),
        (late, Some(ListAction::RejectMessage), "550 5.7.1"),
        (late, Some(ListAction::Tag), "451 4.7.1"),
        (late, Some(ListAction::Discard), "250 2.0.0 ok"),
    ] {
        let peer = Peer::start(postfix()).await;
        let site = Site::start(&peer, |_, _| ()).await;
        let mut client = site.client().await;
        client.up_to_data().await;
        client
            .send(format!("Received: from x ([{first}]) by y; x\r\n\r\nbody\r\n").as_bytes())
            .await;
        // More than is held back, so that the header is under way when the rules change.
        client
            .send(
                &b"0123456789012345678901234567890123456789012345678901234567890\r\n".repeat(1000),
            )
            .await;
        until("the header is under way", || peer.mail()[0].octets > 0).await;
        let more: Vec<_> = change.map(|action| (late, action)).into_iter().collect();
        site.set_lists(&more, 2);
        client.send(b".\r\n").await;
        client.expect(reply).await;
        let heard = peer.mail();
        assert_eq!(heard[0].messages.len(), usize::from(reply.contains("queued")));
        drop(client);
        let records = site.finish().await;
        let messages = of_messages(&records);
        assert_eq!((&messages[0]["rules"], &messages[0]["rules_at_end"]), (&1.into(), &2.into()));
    }
}

#[tokio::test]
async fn what_was_refused_and_is_no_longer_listed_may_come_again() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    site.set_lists(&[("198.51.100.9", ListAction::Discard)], 1);
    let mut client = site.client().await;
    client.up_to_data().await;
    client.send(b"Received: from x ([198.51.100.9]) by y; x\r\n\r\nbody\r\n").await;
    // The next hop is dropped as soon as the header is judged.
    until("the abort", || peer.mail().iter().any(|heard| heard.torn.is_some())).await;
    site.set_lists(&[], 2);
    client.send(b".\r\n").await;
    client.expect("451 4.7.1").await;
    client.leave().await;
    let records = site.finish().await;
    assert_eq!(of_messages(&records)[0]["action"], "defer");
}

#[tokio::test]
async fn recipients_elsewhere_are_refused_where_domains_are_enforced() {
    for client in [PassClient::None, PassClient::Xclient] {
        let peer = Peer::start(postfix()).await;
        let site = Site::start(&peer, |settings, _| {
            settings.next_hop.client = client;
            settings.recipient_domains = Some(RecipientDomains::new(["ours.example"]));
        })
        .await;
        site.dialogue(
            "S: 220
             C: HELO client.example
             S: 250
             C: MAIL FROM:<a@client.example>
             S: 250
             C: RCPT TO:<b@elsewhere.example>
             S: 550 5.7.1 relaying denied
             C: RCPT TO:<b%elsewhere.example@ours.example>
             S: 550 5.7.1 relaying denied
             C: RCPT TO:<\"b@elsewhere.example\"@ours.example>
             S: 550 5.7.1 relaying denied
             C: RCPT TO:<@ours.example:b@elsewhere.example>
             S: 550 5.7.1
             C: RCPT TO:<postmaster>
             S: 250
             C: RCPT TO:<b@OURS.example>
             S: 250
             C: QUIT
             S: 221",
        )
        .await;
        let said: Vec<_> = peer.mail()[0].commands.clone();
        assert_eq!(said.iter().filter(|line| line.starts_with("RCPT")).count(), 2);
        assert_eq!(
            said.iter().any(|line| line.starts_with("XCLIENT")),
            client == PassClient::Xclient
        );
        site.finish().await;
    }
}

#[tokio::test]
async fn without_a_client_and_without_domains_nothing_is_relayed() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |settings, _| settings.next_hop.client = PassClient::None).await;
    site.dialogue(
        "S: 220
         C: HELO x
         S: 250
         C: MAIL FROM:<>
         S: 250
         C: RCPT TO:<b@ours.example>
         S: 550 5.7.1",
    )
    .await;
    site.finish().await;
}

#[tokio::test]
async fn there_is_room_for_so_many_and_no_more() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |settings, _| {
        settings.limits = Limits { connections: 2, connections_per_client: 1, ..Limits::default() };
    })
    .await;
    let mut first = site.client_from("127.0.0.1").await;
    first.expect("220").await;
    let mut again = site.client_from("127.0.0.1").await;
    again.dialogue("S: 421 4.7.0\nS: EOF").await;
    let mut second = site.client_from("127.0.0.2").await;
    second.expect("220").await;
    site.client_from("127.0.0.3").await.dialogue("S: 421 4.3.2\nS: EOF").await;
    first.dialogue("C: QUIT\nS: 221\nS: EOF").await;
    drop(first);
    until("the place is free", || site.front.counters().connections_active == 1).await;
    site.client_from("127.0.0.3").await.expect("220").await;
    drop(second);
    let records = site.finish().await;
    assert_eq!(records.iter().filter(|record| record["code"] == "capacity").count(), 2);
}

#[tokio::test]
async fn a_stop_waits_for_mail_in_hand_only() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let mut idle = site.client().await;
    idle.expect("220").await;
    let mut busy = site.client().await;
    busy.up_to_data().await;
    site.stop.send_replace(Some(Instant::now() + Duration::from_secs(5)));
    idle.dialogue("S: 421 4.3.2\nS: EOF").await;
    drop(idle);
    busy.send(b"Subject: x\r\n\r\nbody\r\n.\r\n").await;
    busy.dialogue("S: 250 2.0.0 queued\nS: 421 4.3.2\nS: EOF").await;
    drop(busy);
    site.finish().await;
    assert_eq!(peer.messages().len(), 1);
}

#[tokio::test]
async fn a_stop_has_a_deadline() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let mut client = site.client().await;
    client.up_to_data().await;
    client.send(b"Subject: x\r\n").await;
    site.stop.send_replace(Some(Instant::now() + Duration::from_millis(100)));
    client.dialogue("S: 421 4.4.2\nS: EOF").await;
    drop(client);
    until("the abort", || peer.mail().iter().any(|heard| heard.torn.is_some())).await;
    let server = site.finish().await;
    assert_eq!(of_messages(&server).len(), 1);
}

#[tokio::test]
async fn silence_is_answered() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |settings, _| {
        settings.limits.command_timeout = Duration::from_millis(80);
        settings.limits.data_timeout = Duration::from_millis(80);
    })
    .await;
    site.dialogue("S: 220\nS: 421 4.4.2\nS: EOF").await;
    let mut client = site.client().await;
    client.up_to_data().await;
    client.send(b"Subject: x\r\n\r\nbody\r\n").await;
    client.dialogue("S: 421 4.4.2\nS: EOF").await;
    drop(client);
    assert!(peer.messages().is_empty());
    let records = site.finish().await;
    assert_eq!(of_messages(&records)[0]["code"], "protocol");
}
