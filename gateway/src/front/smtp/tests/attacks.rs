//! Clients that break the protocol on purpose.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::peer::{Peer, Script};
use super::site::{Site, of_messages, until};
use crate::front::BareNewline;

fn next_hop() -> Script {
    Script { offers: vec!["XCLIENT ADDR HELO"], ..Script::default() }
}

/// What follows a smuggled end of data.
const SECOND: &str =
    "MAIL FROM:<evil@x.example>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\nevil\r\n.\r\n";

#[tokio::test]
async fn nothing_but_the_end_ends_a_message() {
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r\n",
        "\r\n.\r",
        "\r.\r",
        "\r\r\n.\r\r\n",
        "\r\n.\r\r\n",
    ] {
        for whole in [true, false] {
            let data = format!("Subject: x\r\n\r\nbody{end}{SECOND}");

            let peer = Peer::start(next_hop()).await;
            let site = Site::start(&peer, |_, _| ()).await;
            let mut client = site.client().await;
            client.up_to_data().await;
            send(&mut client, data.as_bytes(), whole).await;
            client.expect("550 5.6.11 bare").await;
            client.leave().await;
            assert!(peer.messages().is_empty(), "{}", end.escape_debug());
            let records = site.finish().await;
            assert_eq!(of_messages(&records).len(), 1);

            let peer = Peer::start(next_hop()).await;
            let site = Site::start(&peer, |_, listener| {
                listener.bare_newline = BareNewline::Normalise;
            })
            .await;
            let mut client = site.client().await;
            client.up_to_data().await;
            send(&mut client, data.as_bytes(), whole).await;
            client.expect("250 2.0.0 queued").await;
            client.leave().await;
            let messages = peer.messages();
            assert_eq!(messages.len(), 1, "{}", end.escape_debug());
            assert!(
                messages[0].contains("MAIL FROM:<evil@x.example>\r\n"),
                "one message holds all"
            );
            site.finish().await;
        }
    }
}

async fn send(client: &mut super::site::Client, octets: &[u8], whole: bool) {
    if whole {
        return client.send(octets).await;
    }
    for octet in octets.chunks(3) {
        client.send(octet).await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn everything_in_one_packet() {
    let peer = Peer::start(next_hop()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let mut client = site.client().await;
    client.expect("220").await;
    let one = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@ours.example>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n";
    client.send(format!("EHLO x\r\n{one}{one}NOOP\r\nQUIT\r\n").as_bytes()).await;
    client
        .dialogue(
            "S: 250-mx.example
             S: 250-PIPELINING
             S: 250-SIZE
             S: 250-CHUNKING
             S: 250 LIMITS
             S: 250 2.0.0 ok
             S: 250 2.0.0 ok
             S: 354
             S: 250 2.0.0 queued
             S: 250 2.0.0 ok
             S: 250 2.0.0 ok
             S: 354
             S: 250 2.0.0 queued
             S: 250 2.0.0 ok
             S: 221
             S: EOF",
        )
        .await;
    drop(client);
    assert_eq!(peer.messages().len(), 2);
    site.finish().await;
}

#[tokio::test]
async fn lines_that_are_no_lines() {
    let peer = Peer::start(next_hop()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    let mut client = site.client().await;
    client.expect("220").await;
    client.send(b"NOOP\0\r\nNO\rOP\r\n").await;
    client.dialogue("S: 500 5.5.2 NUL\nS: 500 5.5.2 bare CR").await;
    client.send("x".repeat(1 << 20).as_bytes()).await;
    client.send(b"\r\nNOOP\r\n").await;
    client.dialogue("S: 500 5.5.2 line too long\nS: 250").await;
    client.send(b"NOOP\nMAIL FROM:<a@x.example>\r\n").await;
    client.dialogue("S: 554 5.5.2 bare LF\nS: EOF").await;
    drop(client);
    site.client().await.dialogue("S: 220\nC: POST / HTTP/1.1\nS: 554 5.5.1\nS: EOF").await;
    let records = site.finish().await;
    assert_eq!(records.iter().filter(|record| record["code"] == "protocol").count(), 2);
    assert!(peer.connections().is_empty());
}

#[tokio::test]
async fn speaking_before_the_greeting() {
    let peer = Peer::start(next_hop()).await;
    let site = Site::start(&peer, |_, _| ()).await;
    for (address, expected) in [("127.0.0.1", "554 5.5.1 you spoke"), ("127.0.0.88", "220")] {
        // Nothing is accepted while this task does not wait.
        let socket = std::net::TcpStream::connect(site.address);
        drop(socket);
        let mut client = early_client(&site, address);
        client.expect(expected).await;
        drop(client);
    }
    assert_eq!(site.front.counters().counts.early_talkers.get(), 1);
    let records = site.finish().await;
    let early: Vec<_> = records.iter().filter(|record| record["code"] == "early-talker").collect();
    assert_eq!(early.len(), 1);
    assert_eq!(early[0]["action"], "reject");
}

/// Connects and speaks without giving the proxy, which runs on the same thread, a chance to accept in between.
fn early_client(site: &Site, address: &str) -> super::site::Client {
    use std::io::Write;
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    let from = std::net::SocketAddr::new(address.parse().unwrap(), 0);
    rustix::net::bind(&socket, &from).unwrap();
    rustix::net::connect(&socket, &site.address).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    stream.write_all(b"EHLO early.example\r\n").unwrap();
    stream.set_nonblocking(true).unwrap();
    super::site::Client::new(tokio::net::TcpStream::from_std(stream).unwrap())
}

#[tokio::test]
async fn messages_over_a_limit() {
    let field = "Received: by x; y\r\n";
    for (what, data, expected) in [
        ("header", format!("X: {}\r\n\r\n", "h".repeat(3000)), "552 5.3.4 header too long"),
        ("endless header", "X: y\r\n".repeat(1000), "552 5.3.4 header too long"),
        ("message", format!("\r\n{}", "0123456789\r\n".repeat(900)), "552 5.3.4 message too big"),
        ("line", format!("\r\n{}\r\n", "l".repeat(1001)), "550 5.6.0 line too long"),
        ("loop", format!("{}\r\n", field.repeat(11)), "554 5.4.6 mail loop: 11"),
        ("no loop", format!("{}\r\n", field.repeat(10)), "250 2.0.0 queued"),
        ("NUL", "X: \0\r\n\r\n".to_owned(), "550 5.6.0 NUL"),
    ] {
        let peer = Peer::start(next_hop()).await;
        let site = Site::start(&peer, |settings, _| {
            settings.limits.header = 2000;
            settings.limits.message = 10_000;
            settings.limits.data_line = if what == "line" { 1000 } else { 10_000 };
            settings.limits.received = 10;
        })
        .await;
        let mut client = site.client().await;
        client.up_to_data().await;
        client.send(data.as_bytes()).await;
        client.send(b".\r\n").await;
        client.expect(expected).await;
        client.dialogue("C: NOOP\nS: 250").await;
        client.leave().await;
        assert_eq!(peer.messages().is_empty(), !expected.starts_with("250"), "{what}");
        let records = site.finish().await;
        let messages = of_messages(&records);
        assert_eq!(messages.len(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_message_without_an_end_is_cut_off() {
    let peer = Peer::start(next_hop()).await;
    let site = Site::start(&peer, |settings, _| settings.limits.message = 10_000).await;
    let mut client = site.client().await;
    client.up_to_data().await;
    client.send(b"\r\n").await;
    client.send(&b"0123456789\r\n".repeat(3000)).await;
    client.dialogue("S: 552 5.3.4\nS: EOF").await;
    drop(client);
    assert!(peer.messages().is_empty());
    site.finish().await;
}

#[tokio::test]
async fn an_octet_at_a_time_does_not_stretch_the_wait() {
    let peer = Peer::start(next_hop()).await;
    let site = Site::start(&peer, |settings, _| {
        settings.limits.command_timeout = Duration::from_millis(200);
    })
    .await;
    let start = Instant::now();
    let mut client = site.client().await;
    client.expect("220").await;
    let (mut reader, mut writer) = client.stream.into_split();
    let drip = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while writer.write_all(b"N").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut said).await.unwrap_or(0);
    assert!(said.starts_with("421 4.4.2"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(5));
    drip.abort();
    site.finish().await;
}

#[tokio::test]
async fn a_client_may_vanish_anywhere() {
    let steps: [&[u8]; 8] = [
        b"",
        b"EHLO x\r\n",
        b"MAIL FROM:<a@x.example>\r\n",
        b"RCPT TO:<b@ours.example>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n",
        b"\r\nbody\r\n",
        b".\r",
    ];
    for stage in 0..=steps.len() {
        let peer = Peer::start(next_hop()).await;
        let site = Site::start(&peer, |_, _| ()).await;
        let mut client = site.client().await;
        client.expect("220").await;
        for step in steps.iter().take(stage) {
            client.send(step).await;
            sleep(Duration::from_millis(5)).await;
        }
        drop(client);
        until("the session ended", || site.front.counters().connections_active == 0).await;
        until("the next hop noticed", || {
            peer.mail().iter().all(|heard| stage < 5 || heard.torn.is_some())
        })
        .await;
        assert!(peer.messages().is_empty());
        let talked = peer.mail();
        assert!(talked.iter().all(|heard| !heard.commands.contains(&"QUIT".to_owned())), "{stage}");
        let records = site.finish().await;
        assert_eq!(of_messages(&records).len(), usize::from(stage >= 5), "{stage}");
    }
}
