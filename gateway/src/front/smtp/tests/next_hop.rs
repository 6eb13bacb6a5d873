//! Next hops that are down, change their mind, or break.

use std::sync::Arc;
use std::time::Duration;

use super::peer::{Peer, Script};
use super::site::{Site, of_messages, until};
use crate::front::PassClient;

fn good() -> Script {
    Script { offers: vec!["XCLIENT ADDR HELO"], ..Script::default() }
}

#[tokio::test]
async fn its_refusals_reach_the_client_and_its_troubles_do_not() {
    let usual = [("MAIL", "250"), ("RCPT", "250"), ("DATA", "354"), (".", "250")];
    for (at, answer, expected) in [
        ("MAIL", "550-5.7.1 not\r\n550 5.7.1 you", &["550-5.7.1 not", "550 5.7.1 you"][..]),
        ("MAIL", "452 4.3.1 disk full", &["452 4.3.1 disk full"]),
        ("MAIL", "421 4.3.2 bye", &["451 4.4.2"]),
        ("MAIL", "", &["451 4.4.2"]),
        ("MAIL", "garbage", &["451 4.4.2"]),
        ("MAIL", "354 what", &["451 4.4.2"]),
        ("MAIL", "250-a\r\n550 b", &["451 4.4.2"]),
        ("MAIL", "250 a\0b\rc", &["451 4.4.2"]),
        ("RCPT", "550 5.1.1 unknown", &["550 5.1.1 unknown"]),
        ("RCPT", "421 4.3.2 bye", &["451 4.4.2"]),
        ("DATA", "550 5.7.1 no", &["550 5.7.1 no"]),
        ("DATA", "250 sure", &["451 4.4.2"]),
        ("DATA", "", &["451 4.4.2"]),
        (".", "554 5.7.1 spam", &["554 5.7.1 spam"]),
        (".", "451 4.3.0 later", &["451 4.3.0 later"]),
        (".", "421 4.3.2 bye", &["451 4.4.2"]),
        (".", "354 what", &["451 4.4.2"]),
        (".", "", &["451 4.4.2"]),
    ] {
        let mut script = good();
        if at == "." {
            script.taken = Some(answer);
        } else {
            script.replies.push((at, answer));
        }
        let peer = Peer::start(script).await;
        let site = Site::start(&peer, |_, _| ()).await;
        let mut client = site.client().await;
        client.dialogue("S: 220\nC: HELO x\nS: 250").await;
        for (step, reply) in usual {
            let line = match step {
                "MAIL" => "MAIL FROM:<a@x.example>",
                "RCPT" => "RCPT TO:<b@ours.example>",
                "DATA" => "DATA",
                _ => "Subject: x\r\n\r\nbody\r\n.",
            };
            client.send(format!("{line}\r\n").as_bytes()).await;
            if step == at {
                for line in expected {
                    client.expect(line).await;
                }
                break;
            }
            client.expect(reply).await;
        }
        client.dialogue("C: RSET\nS: 250").await;
        client.leave().await;
        let trouble = expected[0].starts_with("451 4.4.2");
        let records = site.finish().await;
        let messages = of_messages(&records);
        assert_eq!(messages.len(), usize::from(trouble || at == "."), "{at} {answer}");
        if trouble {
            assert_eq!(
                (&messages[0]["code"], &messages[0]["action"]),
                (&"next-hop".into(), &"defer".into())
            );
            // Whoever it was lost over is known.
            let named = messages[0]["envelope"]["recipients"].as_array().unwrap().len();
            assert_eq!(named, usize::from(at != "MAIL"), "{at} {answer}");
        }
    }
}

#[tokio::test]
async fn a_lost_transaction_stays_lost() {
    let script = Script { replies: vec![("RCPT TO:<c", "421 4.3.2 bye")], ..good() };
    let peer = Peer::start(script).await;
    let site = Site::start(&peer, |_, _| ()).await;
    site.dialogue(
        "S: 220
         C: HELO x
         S: 250
         C: MAIL FROM:<a@x.example>
         S: 250
         C: RCPT TO:<b@ours.example>
         S: 250
         C: RCPT TO:<c@ours.example>
         S: 451 4.4.2
         C: RCPT TO:<d@ours.example>
         S: 451 4.4.2
         C: DATA
         S: 451 4.4.2
         C: MAIL FROM:<a@x.example>
         S: 250
         C: RCPT TO:<b@ours.example>
         S: 250
         C: DATA
         S: 354
         C: .
         S: 250
         C: QUIT
         S: 221",
    )
    .await;
    assert_eq!(peer.messages().len(), 1);
    let records = site.finish().await;
    assert_eq!(of_messages(&records).len(), 2, "the lost one is recorded once");
}

#[tokio::test]
async fn a_connection_that_grew_stale_is_made_anew() {
    let peer = Peer::start(Script { replies: vec![("MAIL FROM:<2", "421 idle")], ..good() }).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let mut client = site.client().await;
    client
        .dialogue(
            "S: 220
             C: HELO x
             S: 250
             C: MAIL FROM:<1@x.example>
             S: 250
             C: RSET
             S: 250",
        )
        .await;
    // Only connections from now on take the second sender.
    peer.set(good());
    client.dialogue("C: MAIL FROM:<2@x.example>\nS: 250").await;
    client.leave().await;
    assert_eq!(peer.mail().len(), 2);
    site.finish().await;
}

#[tokio::test]
async fn early_answers_during_the_data() {
    for (answer, expected, code) in [
        ("552 5.3.4 too big for me", "552 5.3.4 too big for me", "accept"),
        ("421 4.3.2 going down", "451 4.4.2", "next-hop"),
        ("250 fine", "451 4.4.2", "next-hop"),
    ] {
        let peer = Peer::start(Script { early: Some((20_000, answer)), ..good() }).await;
        let site = Site::start(&peer, |_, _| ()).await;
        let mut client = site.client().await;
        client.up_to_data().await;
        client.send(b"Subject: x\r\n\r\n").await;
        client.send(&b"0123456789\r\n".repeat(500_000)).await;
        client.send(b".\r\n").await;
        client.expect(expected).await;
        client.dialogue("C: NOOP\nS: 250").await;
        drop(client);
        let records = site.finish().await;
        let messages = of_messages(&records);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0]["code"], code);
        assert!(messages[0]["next_hop"].as_str().unwrap().starts_with(answer.get(..3).unwrap()));
    }
}

#[tokio::test]
async fn a_slow_next_hop_slows_the_client_down() {
    let peer = Peer::start(Script { slow: Some(Duration::from_mins(1)), ..good() }).await;
    let site = Site::start(&peer, |settings, _| {
        settings.limits.next_hop_timeout = Duration::from_millis(300);
    })
    .await;
    let mut client = site.client().await;
    client.up_to_data().await;
    client.send(b"Subject: x\r\n\r\n").await;
    // More than all sockets on the way can hold: it is not kept here, so it cannot all be taken.
    client.send(&b"0123456789\r\n".repeat(2_000_000)).await;
    client.send(b".\r\n").await;
    client.expect("451 4.4.2").await;
    drop(client);
    site.finish().await;
}

#[tokio::test]
async fn without_xclient_nothing_is_relayed() {
    let peer = Peer::start(Script { offers: vec!["XCLIENT NAME HELO"], ..Script::default() }).await;
    let site = Site::start(&peer, |_, _| ()).await;
    site.dialogue("S: 220\nC: EHLO x\nS: 421 4.3.2\nS: EOF").await;
    site.dialogue(
        "S: 220
         C: HELO x
         S: 250
         C: MAIL FROM:<a@x.example>
         S: 451 4.3.5
         C: QUIT
         S: 221",
    )
    .await;
    assert!(peer.mail().is_empty());
    assert_eq!(site.alarms.list()[0].about, "next-hop");
    assert!(site.alarms.list()[0].text.contains("XCLIENT with ADDR not offered"));
    assert_eq!(site.front.next_hops()[0].up, Some(false));
    site.finish().await;
}

#[tokio::test]
async fn an_unused_port_defers_and_recovers() {
    let peer = Peer::start(good()).await;
    let site = Site::start(&peer, |settings, _| {
        // Nothing listens on port 1 of a loopback address of our own.
        settings.next_hop.addresses = vec!["127.0.0.123:1".parse().unwrap()];
    })
    .await;
    site.dialogue("S: 220\nC: EHLO x\nS: 421 4.3.2\nS: EOF").await;
    site.dialogue("S: 220\nC: HELO x\nS: 250\nC: MAIL FROM:<>\nS: 451 4.4.1").await;
    assert_eq!(site.alarms.list().len(), 1);
    assert_eq!(site.front.next_hops()[0].up, Some(false));

    let mut settings = (*site.front.settings.load_full()).clone();
    settings.next_hop.addresses = vec![peer.address];
    site.front.set_settings(settings).unwrap();
    let watch = tokio::spawn(Arc::clone(&site.front).watch_next_hops(site.stop.subscribe()));
    until("the next hop is up", || site.front.next_hops()[0].up == Some(true)).await;
    assert!(site.alarms.list().is_empty());
    site.dialogue(
        "S: 220
         C: EHLO x
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250-SIZE
         S: 250-CHUNKING
         S: 250 LIMITS
         C: MAIL FROM:<>
         S: 250",
    )
    .await;
    let records = site.finish().await;
    watch.await.unwrap();
    assert_eq!(of_messages(&records).len(), 1);
    assert_eq!(records.iter().filter(|record| record["code"] == "next-hop").count(), 2);
}

#[tokio::test]
async fn the_proxy_protocol_goes_first() {
    let peer =
        Peer::start(Script { replies: vec![("PROXY", "220 next.example")], ..Script::default() })
            .await;
    let site = Site::start(&peer, |settings, _| settings.next_hop.client = PassClient::Proxy).await;
    let mut client = site.client_from("127.0.0.9").await;
    client.dialogue("S: 220\nC: HELO x\nS: 250\nC: MAIL FROM:<>\nS: 250").await;
    client.leave().await;
    let said = &peer.mail()[0].commands;
    assert!(said[0].starts_with("PROXY TCP4 127.0.0.9 127.0.0.1 "), "{}", said[0]);
    assert_eq!(said[1..3], ["EHLO x", "MAIL FROM:<>"]);
    site.finish().await;
}

#[tokio::test]
async fn its_greeting_and_its_hello_count() {
    for (at, answer, expected) in [
        ("GREETING", "554 no", "451 4.4.1"),
        ("GREETING", "421 busy", "451 4.4.1"),
        ("XCLIENT", "550 no", "451 4.3.5"),
        ("EHLO mx.example", "554 no", "451 4.4.1"),
        ("EHLO x", "501 5.5.2 bad name", "501 5.5.2 bad name"),
        ("EHLO x", "502 what", "451 4.4.1"),
    ] {
        let peer = Peer::start(Script { replies: vec![(at, answer)], ..good() }).await;
        let site = Site::start(&peer, |_, _| ()).await;
        site.dialogue(&format!("S: 220\nC: HELO x\nS: 250\nC: MAIL FROM:<>\nS: {expected}")).await;
        site.finish().await;
    }
}

#[tokio::test]
async fn what_it_says_unasked_is_no_answer_to_the_end_of_the_data() {
    let early = vec![("DATA", "354 go\r\n250 2.0.0 early")];
    let taken = Some("552 5.2.2 mailbox full");
    let peer = Peer::start(Script { replies: early, taken, ..good() }).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let mut client = site.client().await;
    client.dialogue("S: 220\nC: HELO x\nS: 250").await;
    client
        .dialogue("C: MAIL FROM:<a@x.example>\nS: 250\nC: RCPT TO:<b@ours.example>\nS: 250")
        .await;
    client.send(b"DATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n").await;
    client.expect("354").await;
    client.expect("451 4.4.2").await;
}
