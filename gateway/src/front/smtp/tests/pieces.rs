//! Messages that come in pieces (BDAT), to a next hop that knows nothing of it.

use super::peer::{Peer, Script};
use super::site::{Client, Site, of_messages};
use crate::front::BareNewline;
use crate::list::ListAction;

fn next_hop() -> Script {
    Script { offers: vec!["XCLIENT NAME ADDR PORT PROTO HELO"], ..Script::default() }
}

async fn up_to_mail(client: &mut Client) {
    client
        .dialogue(
            "S: 220
             C: HELO client.example
             S: 250
             C: MAIL FROM:<a@client.example>
             S: 250
             C: RCPT TO:<b@ours.example>
             S: 250",
        )
        .await;
}

fn piece(octets: &str, last: bool) -> Vec<u8> {
    format!("BDAT {}{}\r\n{octets}", octets.len(), if last { " LAST" } else { "" }).into_bytes()
}

#[tokio::test]
async fn pieces_become_one_message() {
    for (name, pieces, expected) in [
        ("one", &["Subject: x\r\n\r\nbody\r\n"][..], "Subject: x\r\n\r\nbody\r\n"),
        (
            "many, cut anywhere",
            &["Subj", "ect: x\r", "\n\r\n.", "\r\n..\r\n", ""],
            "Subject: x\r\n\r\n..\r\n...\r\n",
        ),
        ("no line end at the end", &["A: b\r\n\r\n", "c"], "A: b\r\n\r\nc\r\n"),
        (
            "a command among the octets",
            &["A: b\r\n\r\n.\r\nQUIT\r\n"],
            "A: b\r\n\r\n..\r\nQUIT\r\n",
        ),
        ("nothing at all", &[""], ""),
    ] {
        let peer = Peer::start(next_hop()).await;
        let site = Site::start(&peer, |_, _| ()).await;
        let mut client = site.client().await;
        up_to_mail(&mut client).await;
        let (last, others) = pieces.split_last().unwrap();
        let all: Vec<_> = others.iter().flat_map(|octets| piece(octets, false)).collect();
        client.send(&[all, piece(last, true)].concat()).await;
        for octets in others {
            client.expect(&format!("250 2.0.0 {} octets taken", octets.len())).await;
        }
        client.expect("250 2.0.0 queued").await;
        client.leave().await;
        assert_eq!(peer.messages(), [expected], "{name}");
        let records = site.finish().await;
        assert_eq!(of_messages(&records)[0]["code"], "accept", "{name}");
    }
}

#[tokio::test]
async fn what_is_refused_is_over_and_its_pieces_are_thrown_away() {
    for (name, first, reply, code) in [
        (
            "a hop",
            "Received: from a (a [198.51.100.2]) by b; c\r\n\r\n",
            "550 5.7.1 message refused",
            "sys-deny-ip",
        ),
        ("a bare LF", "A: b\r\n\r\nc\nd\r\n", "550 5.6.11", "protocol"),
        ("a NUL", "A: b\r\n\r\nc\0d\r\n", "550 5.6.0", "protocol"),
    ] {
        let peer = Peer::start(next_hop()).await;
        let site = Site::start(&peer, |_, _| ()).await;
        let mut client = site.client().await;
        up_to_mail(&mut client).await;
        client.send(&[piece(first, false), piece("QUIT\r\n", true)].concat()).await;
        client.expect(reply).await;
        client.expect("503 5.5.1 send MAIL").await;
        client.dialogue("C: NOOP\nS: 250\nC: MAIL FROM:<>\nS: 250").await;
        client.leave().await;
        assert_eq!(peer.messages(), [""; 0], "{name}");
        let records = site.finish().await;
        let messages = of_messages(&records);
        assert_eq!((messages.len(), &messages[0]["code"]), (1, &code.into()), "{name}");
    }
}

#[tokio::test]
async fn a_listener_that_normalises_does_so_in_pieces_too() {
    let peer = Peer::start(next_hop()).await;
    let normalise = |_: &mut _, listener: &mut crate::front::Listener| {
        listener.bare_newline = BareNewline::Normalise;
    };
    let site = Site::start(&peer, normalise).await;
    let mut client = site.client().await;
    up_to_mail(&mut client).await;
    client.send(&piece("A: b\r\n\r\nc\n.\rd\0e\r", true)).await;
    client.expect("250 2.0.0 queued").await;
    client.leave().await;
    assert_eq!(peer.messages(), ["A: b\r\n\r\nc\r\n..\r\nde\r\n"]);
    site.finish().await;
}

#[tokio::test]
async fn between_pieces_only_some_commands_make_sense() {
    let peer = Peer::start(next_hop()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let mut client = site.client().await;
    up_to_mail(&mut client).await;
    client.send(&piece("A: b\r\n", false)).await;
    client
        .dialogue(
            "S: 250 2.0.0 6 octets taken
             C: NOOP
             S: 250
             C: DATA
             S: 503 5.5.1 send BDAT
             C: RSET
             S: 250
             C: RCPT TO:<b@ours.example>
             S: 503 5.5.1 send MAIL
             C: MAIL FROM:<a@client.example>
             S: 250
             C: RCPT TO:<b@ours.example>
             S: 250
             C: BDAT 0
             S: 250
             C: QUIT
             S: 221
             S: EOF",
        )
        .await;
    assert_eq!(peer.messages(), [""; 0]);
    let torn = peer.mail().into_iter().filter(|heard| heard.torn.is_some()).count();
    assert_eq!(torn, 1, "the next hop saw no end of the one that had begun");
    let records = site.finish().await;
    assert_eq!(of_messages(&records).len(), 2);
}

#[tokio::test]
async fn a_piece_without_a_transaction_is_no_command() {
    let peer = Peer::start(next_hop()).await;
    let site = Site::start(&peer, |settings, _| settings.limits.message = 1000).await;
    let mut client = site.client().await;
    client.dialogue("S: 220\nC: HELO client.example\nS: 250").await;
    client.send(&piece("MAIL FROM:<x@evil.example>\r\n", true)).await;
    client.dialogue("S: 503 5.5.1 send MAIL\nC: NOOP\nS: 250").await;
    client.dialogue("C: MAIL FROM:<a@client.example>\nS: 250").await;
    client.send(&piece("x\r\n", true)).await;
    client.dialogue("S: 554 5.5.1 no valid\nC: RCPT TO:<b@ours.example>\nS: 250").await;
    client.send(&piece(&"x".repeat(900), false)).await;
    client.expect("250").await;
    client.send(&piece(&"x".repeat(900), false)).await;
    client.expect("552 5.3.4 message too big").await;
    client.dialogue("C: BDAT 99999999999 LAST\nS: 503\nS: EOF").await;
    assert_eq!(peer.messages(), [""; 0]);
    site.finish().await;
}

#[tokio::test]
async fn rules_that_change_between_pieces_count() {
    let peer = Peer::start(next_hop()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let mut client = site.client().await;
    up_to_mail(&mut client).await;
    let header = "Received: from a (a [203.0.113.9]) by b; c\r\n\r\n";
    client.send(&piece(header, false)).await;
    client.expect("250").await;
    site.set_lists(&[("203.0.113.9", ListAction::RejectMessage)], 2);
    client.send(&piece("body\r\n", true)).await;
    client.expect("550 5.7.1 message refused").await;
    client.leave().await;
    assert_eq!(peer.messages(), [""; 0]);
    site.finish().await;
}
