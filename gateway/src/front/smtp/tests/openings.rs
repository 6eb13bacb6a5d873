//! How sessions begin: behind load balancers and relays, for strangers, in the tarpit, where there is no room.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::peer::{Peer, Script};
use super::site::{Client, Site};
use crate::front::Listener;
use crate::smtp::{Limits, proxy_header, proxy_header_v2};

/// Clients of which lists know something; see the lists of every test.
const REFUSED: &str = "127.0.0.66:4711";
const GOOD: &str = "127.0.0.88:4711";
const CLEAN: &str = "203.0.113.9:4711";
const LOCAL: &str = "192.0.2.1:25";

fn proxied(listener: &mut Listener) {
    listener.proxy_from = vec!["127.0.0.10".parse().unwrap()];
}

fn ends(client: &str) -> (SocketAddr, SocketAddr) {
    (client.parse().unwrap(), LOCAL.parse().unwrap())
}

#[tokio::test]
async fn a_load_balancer_names_the_client() {
    let peer = Peer::start(Script::default()).await;
    let site = Site::start(&peer, |_, listener| proxied(listener)).await;
    for (name, header, expected) in [
        ("version 1", proxy_header(ends(CLEAN).0, ends(CLEAN).1).into_bytes(), "S: 220 mx"),
        ("version 2", proxy_header_v2(ends(CLEAN).0, ends(CLEAN).1), "S: 220 mx"),
        (
            "a refused one",
            proxy_header_v2(ends(REFUSED).0, ends(REFUSED).1),
            "S: 554 5.7.1 you are not allowed to connect; client [127.0.0.66]",
        ),
        ("unknown", b"PROXY UNKNOWN\r\n".to_vec(), "S: 220 mx"),
        (
            "a health check",
            [&proxy_header_v2(ends(CLEAN).0, ends(CLEAN).1)[..12], &[0x20, 0, 0, 0]].concat(),
            "S: 220 mx",
        ),
        ("no header", b"EHLO x\r\n".to_vec(), "S: 421 4.3.5 mail system not configured"),
        ("a broken one", b"PROXY TCP4 x\r\n".to_vec(), "S: 421 4.3.5"),
    ] {
        let mut client = site.client_from("127.0.0.10").await;
        client.send(&header).await;
        client.dialogue(expected).await;
        assert!(!name.is_empty());
    }
    let alarms = site.alarms.list();
    assert_eq!(alarms.len(), 1);
    assert!(alarms[0].text.contains("[127.0.0.10]"), "{}", alarms[0].text);
    let records = site.finish().await;
    let of = |client: &str| records.iter().filter(|record| record["client"] == client).count();
    assert_eq!((of("203.0.113.9"), of("127.0.0.66"), of("127.0.0.10")), (2, 1, 4));
    let refused = records.iter().find(|record| record["client"] == "127.0.0.66").unwrap();
    assert_eq!(refused["offending"]["hop"], "proxy");
    assert_eq!((&refused["peer"], &refused["local"]), (&"127.0.0.10".into(), &LOCAL.into()));
}

#[tokio::test]
async fn nobody_else_names_a_client() {
    let peer = Peer::start(Script::default()).await;
    let site = Site::start(&peer, |_, listener| proxied(listener)).await;
    for header in [
        proxy_header(ends(GOOD).0, ends(GOOD).1).into_bytes(),
        proxy_header_v2(ends(GOOD).0, ends(GOOD).1),
    ] {
        let mut client = site.client_from("127.0.0.5").await;
        client.send(&header).await;
        client.dialogue("S: 421 4.3.5 PROXY header from an address that is not to send one").await;
        client.dialogue("S: EOF").await;
    }
    // The load balancer's own header does not make the client behind it one.
    let mut client = site.client_from("127.0.0.10").await;
    let twice = [
        proxy_header_v2(ends(CLEAN).0, ends(CLEAN).1),
        proxy_header_v2(ends(GOOD).0, ends(GOOD).1),
    ];
    client.send(&twice.concat()).await;
    client.dialogue("S: 421 4.3.5 PROXY header").await;
    // And a plain client is served as ever.
    site.client_from("127.0.0.5").await.dialogue("S: 220 mx").await;
    site.finish().await;
}

#[tokio::test]
async fn a_listed_peer_names_the_client_with_xclient() {
    let peer = Peer::start(Script {
        offers: vec!["XCLIENT NAME ADDR PORT PROTO HELO"],
        ..Script::default()
    })
    .await;
    let site = Site::start(&peer, |_, listener| {
        listener.xclient_from = vec!["127.0.0.10".parse().unwrap()];
    })
    .await;
    site.client_from("127.0.0.10")
        .await
        .dialogue(
            "S: 220 mx.example ESMTP
             C: EHLO relay.example
             S: 250-mx.example
             S: 250-PIPELINING
             S: 250-SIZE
             S: 250-CHUNKING
             S: 250-LIMITS
             S: 250 XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT
             C: XCLIENT ADDR=x
             S: 501 5.5.4
             C: XCLIENT ADDR=203.0.113.9 PORT=4711 HELO=client.example
             S: 220 mx.example ESMTP
             C: MAIL FROM:<a@client.example>
             S: 503 5.5.1 send HELO
             C: EHLO relay.example
             S: 250-mx.example
             S: 250-PIPELINING
             S: 250-SIZE
             S: 250-CHUNKING
             S: 250-LIMITS
             S: 250 XCLIENT
             C: MAIL FROM:<a@client.example>
             S: 250
             C: XCLIENT ADDR=203.0.113.10
             S: 503 5.5.1
             C: RSET
             S: 250
             C: XCLIENT ADDR=127.0.0.66
             S: 554 5.7.1 you are not allowed to connect; client [127.0.0.66]
             C: QUIT
             S: 221
             S: EOF",
        )
        .await;
    // Who has no name for its client is no client itself, nor is the one before.
    site.client_from("127.0.0.10")
        .await
        .dialogue(
            "S: 220 mx.example ESMTP
             C: XCLIENT ADDR=203.0.113.9
             S: 220 mx.example ESMTP
             C: XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]
             S: 421 4.3.5
             S: EOF",
        )
        .await;
    assert!(site.alarms.list()[0].text.contains("XCLIENT without"), "{:?}", site.alarms.list());
    // Others are not offered it.
    site.client_from("127.0.0.5")
        .await
        .dialogue("S: 220\nC: XCLIENT ADDR=127.0.0.88\nS: 502 5.5.1")
        .await;
    let heard = peer.mail();
    let xclient = heard[0].commands.iter().find(|line| line.starts_with("XCLIENT")).unwrap();
    assert!(xclient.contains("ADDR=203.0.113.9 PORT=4711"), "{xclient}");
    assert!(xclient.contains("HELO=client.example"), "{xclient}");
    let records = site.finish().await;
    let refused = records.iter().find(|record| record["client"] == "127.0.0.66").unwrap();
    let deferred = records.iter().find(|record| record["action"] == "defer").unwrap();
    assert_eq!(
        (&deferred["verdict"], &deferred["client"]),
        (&"Protocol".into(), &"127.0.0.10".into())
    );
    assert_eq!(
        (&refused["offending"]["hop"], &refused["peer"]),
        (&"xclient".into(), &"127.0.0.10".into())
    );
}

#[tokio::test]
async fn strangers_wait_for_the_greeting_once() {
    let wait = Duration::from_millis(300);
    let peer = Peer::start(Script::default()).await;
    let site = Site::start(&peer, |_, listener| listener.greet_wait = Some(wait)).await;
    let greeted = |client: Client| async {
        let (mut client, started) = (client, Instant::now());
        let mut lines = vec![client.line().await];
        if lines[0].starts_with("220-") {
            lines.push(client.line().await);
        }
        (lines, started.elapsed() >= wait)
    };
    let stranger = greeted(site.client_from("127.0.0.5").await).await;
    assert_eq!(
        stranger,
        (vec!["220-mx.example ESMTP".into(), "220 mx.example ESMTP".into()], true)
    );
    let again = greeted(site.client_from("127.0.0.5").await).await;
    assert_eq!(again, (vec!["220 mx.example ESMTP".into()], false), "it has shown that it can");
    let good = greeted(site.client_from("127.0.0.88").await).await;
    assert_eq!(good, (vec!["220 mx.example ESMTP".into()], false), "somebody vouches for it");
    let mut hasty = site.client_from("127.0.0.6").await;
    hasty.dialogue("S: 220-mx.example").await;
    hasty.send(b"EHLO x\r\n").await;
    hasty.dialogue("S: 554 5.5.1 you spoke before the greeting").await;
    hasty.leave_refused().await;
    drop(site.client_from("127.0.0.7").await);
    let records = site.finish().await;
    let early = records.iter().filter(|record| record["code"] == "early-talker").count();
    assert_eq!(early, 1);
}

#[tokio::test]
async fn refused_clients_wait_in_the_tarpit_a_few_at_a_time() {
    let delay = Duration::from_millis(300);
    let peer = Peer::start(Script::default()).await;
    let site = Site::start(&peer, |settings, _| {
        let limits = Limits { tarpit: Some(delay), tarpit_connections: 1, ..Limits::default() };
        settings.limits = limits;
    })
    .await;
    let mut stuck = site.client_from("127.0.0.66").await;
    let started = Instant::now();
    tokio::time::sleep(delay / 3).await;
    let mut lucky = site.client_from("127.0.0.66").await;
    lucky.dialogue("S: 554").await;
    assert!(started.elapsed() < delay, "there is room for one");
    stuck.dialogue("S: 554").await;
    assert!(started.elapsed() >= delay);
    stuck.dialogue("C: QUIT\nS: 221\nS: EOF").await;
    assert!(started.elapsed() >= delay * 2);
    let started = Instant::now();
    site.client_from("127.0.0.5").await.dialogue("S: 220").await;
    assert!(started.elapsed() < delay);
    site.finish().await;
}

#[tokio::test]
async fn strangers_leave_room_for_those_who_are_known() {
    let peer = Peer::start(Script::default()).await;
    let site = Site::start(&peer, |settings, _| {
        settings.limits = Limits {
            connections: 3,
            unknown_connections: 1,
            connections_per_network: 2,
            ..Limits::default()
        };
    })
    .await;
    let mut stranger = site.client_from("127.0.0.5").await;
    stranger.dialogue("S: 220").await;
    site.client_from("127.0.0.6").await.dialogue("S: 421 4.3.2 all connections\nS: EOF").await;
    let mut good = site.client_from("127.0.0.88").await;
    good.dialogue("S: 220").await;
    site.client_from("127.0.0.88")
        .await
        .dialogue("S: 421 4.7.0 too many connections from your network\nS: EOF")
        .await;
    stranger.leave().await;
    good.leave().await;
    site.client_from("127.0.0.6").await.dialogue("S: 220").await;
    let records = site.finish().await;
    assert_eq!(records.iter().filter(|record| record["code"] == "capacity").count(), 2);
}
