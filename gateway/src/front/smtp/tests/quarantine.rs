//! Messages that go into quarantine and out of it again, with a next hop that answers by its script.

use std::io::Read as _;

use serde_json::Value;

use super::peer::{Peer, Script};
use super::site::{Site, of_messages, until};
use crate::front::smtp::ReleaseError;
use crate::list::ListAction;
use crate::quarantine::{HeldMessage, Id, QuarantineError, Selection};

/// An address that sends a message into quarantine.
const BAD: &str = "198.51.100.4";

fn postfix() -> Script {
    Script {
        offers: vec![
            "PIPELINING",
            "SIZE 1000000",
            "8BITMIME",
            "DSN",
            "SMTPUTF8",
            "XCLIENT ADDR HELO PROTO",
        ],
        ..Script::default()
    }
}

fn held(site: &Site) -> Vec<HeldMessage> {
    let rows = site.quarantine.list(&Selection::default(), 10).rows;
    rows.into_iter().map(|row| row.message.unwrap()).collect()
}

fn octets(site: &Site, id: &Id) -> String {
    let mut text = String::new();
    site.quarantine.open_message(id).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// A message with two recipients and everything that is needed to release it, in quarantine.
async fn one_in_quarantine(site: &Site) -> HeldMessage {
    let mut client = site.client().await;
    client.dialogue("S: 220\nC: EHLO client.example").await;
    while !client.line().await.starts_with("250 ") {}
    client
        .dialogue(
            "C: MAIL FROM:<a@client.example> SIZE=400 BODY=8BITMIME RET=HDRS ENVID=e1
             S: 250
             C: RCPT TO:<b@ours.example> NOTIFY=FAILURE ORCPT=rfc822;b@ours.example
             S: 250
             C: RCPT TO:<c@ours.example>
             S: 250
             C: DATA
             S: 354",
        )
        .await;
    let header = format!(
        "Received: from x ([{BAD}]) by y; x\r\nX-Portcullis-Verdict: forged\r\nSubject: hello\r\n\r\n"
    );
    client.send(format!("{header}..dot\r\n.\r\n").as_bytes()).await;
    client.expect("250 2.0.0 accepted, reference ").await;
    client.leave().await;
    held(site).remove(0)
}

#[tokio::test]
async fn what_is_quarantined_is_kept_as_it_was_said() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let message = one_in_quarantine(&site).await;
    assert_eq!(
        octets(&site, &message.id),
        format!("Received: from x ([{BAD}]) by y; x\r\nSubject: hello\r\n\r\n.dot\r\n")
    );
    assert_eq!(
        message.mail,
        "MAIL FROM:<a@client.example> SIZE=400 BODY=8BITMIME RET=HDRS ENVID=e1"
    );
    let commands: Vec<_> = message.recipients.iter().map(|it| it.rcpt.as_str()).collect();
    assert_eq!(
        commands,
        [
            "RCPT TO:<b@ours.example> NOTIFY=FAILURE ORCPT=rfc822;b@ours.example",
            "RCPT TO:<c@ours.example>"
        ]
    );
    assert_eq!(message.subject.as_deref(), Some("hello"));
    assert_eq!((message.helo.as_str(), message.extended), ("client.example", true));
    assert_eq!(message.why.address, Some(BAD.parse().unwrap()));
    assert_eq!(message.why.hop.as_deref(), Some("received[0]"));
    // The next hop was dropped without a word, and has nothing.
    assert_eq!(
        (peer.messages().len(), peer.mail()[0].commands.last().unwrap().as_str()),
        (0, "DATA")
    );
    let counters = site.front.counters().counts;
    assert_eq!((counters.messages_quarantined.get(), counters.messages_relayed.get()), (1, 0));
    let records = site.finish().await;
    let record = of_messages(&records)[0];
    assert_eq!(
        (&record["action"], &record["quarantine"]),
        (&"quarantine".into(), &record["reference"])
    );
    assert_eq!(record["reference"], message.id.as_str());
    assert_eq!(record["next_hop"], Value::Null);
}

#[tokio::test]
async fn rules_that_change_in_the_meantime_count() {
    use ListAction::{Discard, Quarantine, RejectMessage, Tag};
    let late = "198.51.100.9";
    for (name, first, then, reply, kept) in [
        ("stays", Some(Quarantine), Some(Quarantine), "250 2.0.0 accepted", 1),
        ("is off the list", Some(Quarantine), None, "451 4.7.1 rules changed", 0),
        ("is only tagged now", Some(Quarantine), Some(Tag), "451 4.7.1 rules changed", 0),
        ("is refused now", Some(Quarantine), Some(RejectMessage), "550 5.7.1", 0),
        ("is discarded now", Some(Quarantine), Some(Discard), "250 2.0.0 ok", 0),
        ("was under way", None, Some(Quarantine), "451 4.7.1 rules changed", 0),
        ("was refused", Some(RejectMessage), Some(Quarantine), "451 4.7.1 rules changed", 0),
    ] {
        let peer = Peer::start(postfix()).await;
        let site = Site::start(&peer, |_, _| ()).await;
        let set = |action: Option<ListAction>, version| {
            let more: Vec<_> = action.map(|action| (late, action)).into_iter().collect();
            site.set_lists(&more, version);
        };
        set(first, 1);
        let mut client = site.client().await;
        client.up_to_data().await;
        client
            .send(format!("Received: from x ([{late}]) by y; x\r\n\r\nbody\r\n").as_bytes())
            .await;
        client
            .send(
                &b"0123456789012345678901234567890123456789012345678901234567890\r\n".repeat(4000),
            )
            .await;
        match first {
            None => until("the header is under way", || peer.mail()[0].octets > 0).await,
            Some(_) => {
                until("the abort", || peer.mail().iter().any(|heard| heard.torn.is_some())).await;
            }
        }
        set(then, 2);
        client.send(b".\r\n").await;
        client.expect(reply).await;
        client.leave().await;
        assert_eq!((held(&site).len(), peer.messages().len()), (kept, 0), "{name}");
        assert_eq!(site.quarantine.status().octets > 0, kept > 0, "{name}");
        let records = site.finish().await;
        let record = of_messages(&records)[0];
        assert_eq!((&record["rules"], &record["rules_at_end"]), (&1.into(), &2.into()), "{name}");
        assert_eq!(record["quarantine"].is_string(), kept > 0, "{name}");
    }
}

#[tokio::test]
async fn what_breaks_off_leaves_nothing() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |settings, _| settings.limits.message = 100_000).await;
    let header = format!("Received: from x ([{BAD}]) by y; x\r\n\r\n");
    for end in ["", "too long"] {
        let mut client = site.client().await;
        client.up_to_data().await;
        client.send(header.as_bytes()).await;
        until("the abort", || peer.mail().iter().all(|heard| heard.torn.is_some())).await;
        if end.is_empty() {
            drop(client);
        } else {
            client.send(&b"012345678901234567890123456789\r\n".repeat(4000)).await;
            client.send(b".\r\n").await;
            client.expect("552 5.3.4").await;
            client.leave().await;
        }
    }
    let folder = site.quarantine.status().folder;
    until("the end of what was written", || std::fs::read_dir(&folder).unwrap().next().is_none())
        .await;
    assert_eq!(held(&site), []);
}

#[tokio::test]
async fn where_nothing_can_be_kept_the_message_may_come_again() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let folder = site.quarantine.status().folder;
    std::fs::write(&folder, "in the way").unwrap();
    let mut client = site.client().await;
    for _try in 1..=2 {
        client
            .dialogue(&format!(
                "S: 220
                 C: HELO client.example
                 S: 250
                 C: MAIL FROM:<a@client.example>
                 S: 250
                 C: RCPT TO:<b@ours.example>
                 S: 250
                 C: DATA
                 S: 354
                 C: Received: from x ([{BAD}]) by y; x
                 C:
                 C: .
                 S: 451 4.3.1"
            ))
            .await;
        client.leave().await;
        client = site.client().await;
    }
    drop(client);
    assert!(site.alarms.list().iter().any(|alarm| alarm.about == "quarantine"));
    assert_eq!(site.quarantine.status().not_kept, 2);
    std::fs::remove_file(&folder).unwrap();
    site.quarantine.check().unwrap();
    one_in_quarantine(&site).await;
    let records = site.finish().await;
    let records = of_messages(&records);
    assert_eq!((&records[0]["code"], &records[0]["action"]), (&"capacity".into(), &"defer".into()));
    assert_eq!(records.iter().filter(|record| record["quarantine"].is_string()).count(), 1);
}

#[tokio::test]
async fn what_is_released_goes_on_as_it_came() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let message = one_in_quarantine(&site).await;
    let (one, other) = tokio::join!(
        site.front.release(&message.id, Vec::new(), "ops"),
        site.front.release(&message.id, Vec::new(), "others")
    );
    let released = match (one, other) {
        (Ok(released), Err(error)) | (Err(error), Ok(released)) => {
            let ReleaseError::Quarantine(error) = error else { panic!("{error}") };
            assert!(error.is_of_request(), "{error}");
            released
        }
        both => panic!("{both:?}"),
    };
    assert_eq!((released.left, released.fault, released.recipients.len()), (0, None, 2));
    assert!(released.recipients.iter().all(|it| it.released), "{:?}", released.recipients);
    assert_eq!(held(&site), []);
    let heard = peer.mail().pop().unwrap();
    assert_eq!(
        heard.messages,
        [format!("Received: from x ([{BAD}]) by y; x\r\nSubject: hello\r\n\r\n..dot\r\n")]
    );
    let commands = heard.commands.join("\n");
    for said in [
        "XCLIENT ADDR=127.0.0.1 PROTO=ESMTP HELO=client.example",
        "EHLO client.example",
        "MAIL FROM:<a@client.example> SIZE=400 BODY=8BITMIME RET=HDRS ENVID=e1",
        "RCPT TO:<b@ours.example> NOTIFY=FAILURE ORCPT=rfc822;b@ours.example",
        "RCPT TO:<c@ours.example>",
    ] {
        assert!(commands.contains(said), "{said} in\n{commands}");
    }
    let again = site.front.release(&message.id, Vec::new(), "ops").await;
    assert!(matches!(again, Err(ReleaseError::Quarantine(QuarantineError::Unknown(_)))));
    let records = site.finish().await;
    let event = records.iter().find(|record| record["phase"] == "quarantine").unwrap();
    assert_eq!(
        (&event["event"], &event["reference"]),
        (&"released".into(), &message.id.as_str().into())
    );
    assert!(event["author"] == "ops" || event["author"] == "others");
    assert_eq!(event["recipients"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_the_next_hop_does_not_take_stays() {
    for (name, replies, taken, expected, left, events) in [
        (
            "a recipient",
            vec![("RCPT TO:<c@", "550 5.1.1 no such user")],
            None,
            Some(1),
            1,
            "partly-released",
        ),
        ("a message", vec![], Some("554 5.7.1 spam"), Some(0), 2, "not-released"),
        ("no recipient", vec![("RCPT", "450 4.2.0 later")], None, Some(0), 2, "not-released"),
        ("its sender", vec![("MAIL", "450 4.1.8 later")], None, None, 2, "not-released"),
        ("its connection", vec![("EHLO", "")], None, None, 2, "not-released"),
        ("DATA", vec![("DATA", "451 4.3.0 later")], None, Some(0), 2, "not-released"),
        ("an end", vec![], Some(""), None, 2, "not-released"),
    ] {
        let peer = Peer::start(postfix()).await;
        // The peer answers by the script that it had when a connection began, so each release needs one of its own.
        let site = Site::start(&peer, |settings, _| settings.next_hop.idle_connections = 0).await;
        let message = one_in_quarantine(&site).await;
        peer.set(Script { replies, taken, ..postfix() });
        let released = site.front.release(&message.id, Vec::new(), "ops").await;
        let count = released.as_ref().ok().map(|released| {
            assert_eq!(released.left, left, "{name}");
            released.recipients.iter().filter(|outcome| outcome.released).count()
        });
        assert_eq!(count, expected, "{name}: {released:?}");
        let rest = held(&site).remove(0);
        assert_eq!(rest.recipients.len(), left, "{name}");
        // What nobody knows is written down; all else is as it was.
        assert_eq!(rest.release_begun.is_some(), name == "an end", "{name}");
        assert_eq!(octets(&site, &rest.id).len(), octets(&site, &message.id).len());
        peer.set(postfix());
        let released = site.front.release(&message.id, Vec::new(), "ops").await.unwrap();
        assert_eq!((released.recipients.len(), held(&site).len()), (left, 0), "{name}");
        let records = site.finish().await;
        let event = records.iter().find(|record| record["phase"] == "quarantine").unwrap();
        assert_eq!(event["event"], events, "{name}");
    }
}

/// Whoever may have the message already is told apart until the next hop has said of him.
#[tokio::test]
async fn a_doubt_outlasts_a_failure_and_a_release_to_others() {
    let peer = Peer::start(postfix()).await;
    let site = Site::start(&peer, |settings, _| settings.next_hop.idle_connections = 0).await;
    let message = one_in_quarantine(&site).await;
    let (b, c) = ("b@ours.example".to_owned(), "c@ours.example".to_owned());
    let doubt = || held(&site).remove(0).release_begun.map(|begun| begun.to);
    let unanswered = Script { taken: Some(""), ..postfix() };
    let down = Script { replies: vec![("EHLO", "")], ..postfix() };
    for (name, script, to, is_taken, expected) in [
        (
            "to one, without an end",
            unanswered.clone(),
            vec![c.clone()],
            false,
            Some(vec![c.clone()]),
        ),
        ("a failure", down, vec![], false, Some(vec![c.clone()])),
        ("to all, without an end", unanswered, vec![], false, Some(vec![])),
        ("to the other", postfix(), vec![b], true, Some(vec![])),
        (
            "to nobody it waits for",
            postfix(),
            vec!["d@ours.example".to_owned()],
            false,
            Some(vec![]),
        ),
    ] {
        peer.set(script);
        let released = site.front.release(&message.id, to, "ops").await;
        assert_eq!(released.is_ok(), is_taken, "{name}: {released:?}");
        assert_eq!(doubt(), expected, "{name}");
    }
    assert_eq!(held(&site).remove(0).recipients.len(), 1);
    site.front.release(&message.id, vec![c], "ops").await.unwrap();
    assert_eq!(held(&site), []);
    site.finish().await;
}
