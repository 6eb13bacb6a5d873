//! Proves the harness: what the other tests take for granted about hosts, mail peers and programs on a cable.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use harness::daemon::Home;
use harness::needs;
use harness::netns::{NetNs, run, veth};
use harness::postfix::{self, POSTFIX, Postfix};
use harness::smtp_client::{Attempt, End, SmtpClient};
use harness::smtp_server::{Answer, Ended, Options, SmtpServer, Stage};
use harness::xdp_return::Returns;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);

/// Two hosts joined by a cable, with an IPv4 and an IPv6 address each.
fn two_hosts() -> (NetNs, NetNs) {
    let (edge, sender) = (NetNs::new("edge").unwrap(), NetNs::new("sender").unwrap());
    veth(&edge, "eth0", &sender, "eth0").unwrap();
    edge.addresses("eth0", &["192.0.2.1/24", "2001:db8::1/64"]).unwrap();
    sender.addresses("eth0", &["192.0.2.2/24", "192.0.2.3/24", "2001:db8::2/64"]).unwrap();
    (edge, sender)
}

fn local_server(options: Options) -> SmtpServer {
    SmtpServer::start("127.0.0.1:0".parse().unwrap(), options).unwrap()
}

fn connect(server: &SmtpServer) -> SmtpClient {
    SmtpClient::connect(None, server.address()).unwrap()
}

#[test]
fn mail_goes_from_one_host_to_the_other_from_the_address_asked_for() {
    if !needs::root() {
        return;
    }
    let (edge, sender) = two_hosts();
    for (listen, from) in [("192.0.2.1:25", "192.0.2.3"), ("[2001:db8::1]:25", "2001:db8::2")] {
        let listen = listen.parse::<SocketAddr>().unwrap();
        let server = edge.run(|| SmtpServer::start(listen, Options::default()).unwrap()).unwrap();
        let mut client = sender
            .run(|| SmtpClient::connect(Some(from.parse().unwrap()), listen).unwrap())
            .unwrap();
        client.greet("sender.example.org").unwrap();
        let reply =
            client.deliver("a@example.org", &["b@example.net"], "Subject: x\n\n.dot\n").unwrap();
        assert!(reply.is_positive(), "{reply}");
        let connections = server.connections();
        assert_eq!(connections[0].peer.ip().to_string(), from);
        assert_eq!(connections[0].faults, Vec::<String>::new());
        let delivered = server.delivered();
        assert_eq!(delivered[0].message(), "Subject: x\r\n\r\n.dot\r\n");
        assert_eq!(delivered[0].wire, b"Subject: x\r\n\r\n..dot\r\n");
    }
}

#[test]
fn a_namespace_is_gone_when_it_is_dropped() {
    if !needs::root() {
        return;
    }
    let netns = NetNs::new("gone").unwrap();
    let path = netns.path();
    assert!(path.exists());
    let inside = run(netns.command("ip").args(["-o", "link"])).unwrap();
    let inside = String::from_utf8(inside.stdout).unwrap();
    assert_eq!(inside.lines().count(), inside.matches("link/").count());
    assert!(!inside.contains("eth"), "{inside}");
    drop(netns);
    assert!(!path.exists());
}

/// The peer of a veth device must have an XDP program to get what `XDP_TX` sends; the control has none.
#[test]
fn frames_sent_back_by_xdp_arrive_where_the_pass_program_is() {
    if !needs::root() {
        return;
    }
    for pass_program in [false, true] {
        let (edge, sender) = (NetNs::new("edge").unwrap(), NetNs::new("sender").unwrap());
        veth(&edge, "eth0", &sender, "eth0").unwrap();
        // Without IPv6 neither of the two says anything by itself.
        edge.ip("link set eth0 addrgenmode none").unwrap();
        sender.ip("link set eth0 addrgenmode none").unwrap();
        edge.addresses("eth0", &["192.0.2.1/24"]).unwrap();
        sender.addresses("eth0", &["192.0.2.2/24"]).unwrap();
        edge.attach_xdp("eth0", Returns::Tx).unwrap();
        if pass_program {
            sender.attach_pass_program("eth0").unwrap();
        }
        assert_eq!(received(&sender), 0);
        // The ARP requests of this come back as they are.
        let attempt = sender
            .run(|| SmtpClient::attempt(None, "192.0.2.1:25".parse().unwrap(), SHORT).unwrap())
            .unwrap();
        assert!(!matches!(attempt, Attempt::Connected(_)), "{attempt:?}");
        assert_eq!(received(&sender) > 0, pass_program);
    }
}

/// The number of frames that the device `eth0` of `host` has received.
fn received(host: &NetNs) -> u64 {
    let table = run(host.command("cat").arg("/proc/net/dev")).unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    let device = table.lines().find(|line| line.contains("eth0:")).unwrap();
    device.split_whitespace().nth(2).unwrap().parse().unwrap()
}

#[test]
fn a_refused_connection_is_told_from_one_that_nobody_answers() {
    if !needs::root() {
        return;
    }
    let (edge, sender) = two_hosts();
    let closed = "192.0.2.1:25".parse().unwrap();
    let attempt_within =
        |to, patience| sender.run(|| SmtpClient::attempt(None, to, patience).unwrap()).unwrap();
    let attempt = |to| attempt_within(to, SHORT);
    // The first packet waits for the cable and the neighbour, on a busy machine for longer than the others.
    assert!(matches!(attempt_within(closed, LONG), Attempt::Refused));
    // A neighbour that is known, and that has no such address.
    sender.ip("neighbour add 192.0.2.9 lladdr 02:00:00:00:00:09 dev eth0").unwrap();
    assert!(matches!(attempt("192.0.2.9:25".parse().unwrap()), Attempt::TimedOut));
    assert!(matches!(attempt("198.51.100.1:25".parse().unwrap()), Attempt::Unreachable(_)));
    drop(edge);
}

#[test]
fn the_server_answers_as_it_was_told_to() {
    let server = local_server(Options::default());
    server.answer(Stage::Rcpt, "<bad@", Answer::Reply("550 5.1.1 nobody".to_owned()));
    server.answer(Stage::Message, "later", Answer::Reply("451 4.3.0 later".to_owned()));
    for (recipient, message, code) in [
        ("bad@example.net", "now\n", 550),
        ("good@example.net", "later\n", 451),
        ("good@example.net", "now\n", 250),
    ] {
        let mut client = connect(&server);
        client.greet("sender.example.org").unwrap();
        let reply = client.deliver("a@example.org", &[recipient], message).unwrap();
        assert_eq!(reply.code, code, "{reply}");
        assert_eq!(client.command("QUIT").unwrap().code, 221);
        assert_eq!(client.finish().unwrap(), End::Closed);
    }
    let transactions = server.wait_for_transactions(3, LONG).unwrap();
    let ends = transactions.iter().map(|it| (it.ended, it.is_delivered())).collect::<Vec<_>>();
    assert_eq!(ends, [(Ended::Aborted, false), (Ended::Dot, false), (Ended::Dot, true)]);
}

#[test]
fn messages_of_one_connection_have_numbers_of_their_own() {
    let server = local_server(Options::default());
    let mut client = connect(&server);
    client.greet("sender.example.org").unwrap();
    for number in ["0001", "0002"] {
        let reply = client.deliver("a@example.org", &["b@example.net"], "x\n").unwrap();
        assert_eq!(reply.to_string(), format!("250 2.0.0 queued as {number}"));
    }
}

#[test]
fn a_connection_that_ends_without_the_dot_leaves_a_record() {
    let server = local_server(Options::default());
    let mut client = connect(&server);
    client.greet("sender.example.org").unwrap();
    for (line, code) in [("MAIL FROM:<>", 250), ("RCPT TO:<b@example.net>", 250), ("DATA", 354)] {
        assert_eq!(client.command(line).unwrap().code, code);
    }
    client.send_raw(b"Subject: half\r\n").unwrap();
    drop(client);
    let transactions = server.wait_for_transactions(1, LONG).unwrap();
    assert_eq!(transactions[0].ended, Ended::Disconnected);
    assert_eq!(transactions[0].wire, b"Subject: half\r\n");
    assert_eq!(server.delivered().len(), 0);
}

#[test]
fn silence_and_hanging_up_are_answers_too() {
    let server = local_server(Options::default());
    server.answer(Stage::Mail, "", Answer::Hang);
    let mut client = connect(&server);
    client.greet("sender.example.org").unwrap();
    client.set_patience(SHORT);
    assert!(client.command("MAIL FROM:<>").is_err());
    server.answer(Stage::Greeting, "", Answer::Close);
    assert!(connect(&server).expect(220).is_err());
    server.answer_normally();
    connect(&server).expect(220).unwrap();
}

#[test]
fn only_crlf_dot_crlf_ends_a_message_and_everything_else_is_noticed() {
    let server = local_server(Options::default());
    let mut client = connect(&server);
    client.greet("sender.example.org").unwrap();
    client.send_raw(b"MAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n").unwrap();
    for code in [250, 250, 354] {
        client.expect(code).unwrap();
    }
    client.send_raw(b"a\n.\nb\r\n.\nc\r.\r\n\r\n.\r\n").unwrap();
    client.expect(250).unwrap();
    client.send_raw(b"NOOP\n").unwrap();
    client.expect(500).unwrap();
    let transaction = &server.transactions()[0];
    assert_eq!(transaction.wire, b"a\n.\nb\r\n.\nc\r.\r\n\r\n");
    let faults = &server.connections()[0].faults;
    for fault in ["bare LF in a message", "bare CR in a message", "in a command"] {
        assert!(faults.iter().any(|it| it.contains(fault)), "{fault}: {faults:?}");
    }
}

#[test]
fn the_client_of_a_gateway_is_known_by_xclient_and_by_proxy() {
    let by_xclient = local_server(Options::default());
    let mut client = connect(&by_xclient);
    assert!(client.greet("gateway.example.org").unwrap().announces("XCLIENT"));
    assert_eq!(client.command("XCLIENT ADDR=IPV6:2001:db8::7 PORT=4711").unwrap().code, 220);
    assert_eq!(client.command("MAIL FROM:<>").unwrap().code, 503, "EHLO is due again");
    assert_eq!(client.command("EHLO sender.example.org").unwrap().code, 250);
    client.deliver("", &["b@example.net"], "x\n").unwrap();

    let by_proxy = local_server(Options { proxy: true, ..Options::default() });
    let mut client = connect(&by_proxy);
    client.send_raw(b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n").unwrap();
    client.greet("sender.example.org").unwrap();
    client.deliver("", &["b@example.net"], "x\n").unwrap();

    for server in [by_xclient, by_proxy] {
        let delivered = server.delivered();
        assert_eq!(delivered[0].client(), Some("2001:db8::7".parse().unwrap()));
        assert_eq!(delivered[0].helo, "sender.example.org");
    }
    let without = local_server(Options::default().without("XCLIENT"));
    let mut client = connect(&without);
    assert!(!client.greet("gateway.example.org").unwrap().announces("XCLIENT"));
    assert_eq!(client.command("XCLIENT ADDR=192.0.2.7").unwrap().code, 500);
}

/// Postfix takes a message from swaks, over XCLIENT and over a PROXY header, and delivers it; another one sends.
#[test]
fn a_real_postfix_takes_and_sends_mail() {
    let Some(packages) = needs::root_with(&POSTFIX, &["swaks"]) else { return };
    let host = NetNs::new("postfix").unwrap();
    let address = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
    let start = |options| Postfix::start(&packages, Some(&host), &options).unwrap();
    let next_hop = start(postfix::Options {
        listen: address("127.0.0.1:2525"),
        listen_proxy: address("127.0.0.1:2526"),
        ..postfix::Options::default()
    });
    let sender = start(postfix::Options {
        listen: address("127.0.0.1:2527"),
        relay_to: address("127.0.0.1:2525"),
        ..postfix::Options::default()
    });
    let message =
        ["--from", "a@example.org", "--to", "b@example.com", "--helo", "sender.example.org"];
    for arguments in [
        ["--port", "2525", "--xclient", "ADDR=192.0.2.7 NAME=xclient.example.org"].as_slice(),
        ["--port", "2526", "--proxy", "TCP4 192.0.2.8 198.51.100.1 4711 25"].as_slice(),
        ["--port", "2527"].as_slice(),
    ] {
        let mut swaks = host.command("swaks");
        run(swaks.args(["--server", "127.0.0.1"]).args(message).args(arguments)).unwrap();
    }
    let delivered = next_hop.wait_for_delivered(3, LONG).unwrap().concat();
    for seen in ["xclient.example.org [192.0.2.7]", "[192.0.2.8]", "[127.0.0.1]"] {
        assert!(delivered.contains(seen), "{seen}: {delivered}");
    }
    sender.wait_for_log(&["to=<b@example.com>", "status=sent"], LONG).unwrap();
    sender.stop().unwrap();
    next_hop.stop().unwrap();
}

/// A program in place of the daemon: what the harness says about it is what it would say about the daemon.
fn home_of(program: &str, config: &str) -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let (text, file) = (folder.path().join("text"), folder.path().join("program"));
    fs::write(&text, program).unwrap();
    // By another process: a file that this one has just written may be busy in a child of another test.
    run(Command::new("install").arg("-m755").args([&text, &file])).unwrap();
    let home = Home::with_binary(file, config, None).unwrap();
    (folder, home)
}

#[test]
fn a_daemon_that_gives_up_is_not_waited_for() {
    let (_program, home) = home_of("#!/bin/sh\necho the key is wrong >&2\nexit 78\n", "");
    let error = format!("{:#}", home.start().unwrap_err());
    assert!(error.contains("78") && error.contains("the key is wrong"), "{error}");
}

#[test]
fn a_daemon_is_started_signalled_and_killed() {
    if !needs::program("perl") {
        return;
    }
    // Says READY, writes an audit record on SIGHUP, exits with 3 on SIGTERM.
    let (_program, home) = home_of(
        r#"#!/usr/bin/perl
use IO::Socket::UNIX;
open(my $config, '<', $ARGV[2]) or die; my $audit = <$config>; chomp $audit;
$SIG{HUP} = sub { open(my $out, '>>', $audit) or die; print $out "{\"action\":\"accept\"}\n{\"half"; };
$SIG{TERM} = sub { exit 3 };
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $ENV{NOTIFY_SOCKET}) or die;
$socket->send("STATUS=here\nREADY=1");
sleep 1 while 1;
"#,
        "{dir}/audit.jsonl\n",
    );
    let daemon = home.start().unwrap();
    assert!(home.audit().unwrap().is_empty());
    daemon.hang_up().unwrap();
    let record = home.wait_for_audit("a record", LONG, |record| record["action"] == "accept");
    assert_eq!(record.unwrap()["action"], "accept");
    assert_eq!(home.audit().unwrap().len(), 1, "half a line is none");
    assert_eq!(daemon.terminate().unwrap().code(), Some(3));
    let daemon = home.start().unwrap();
    assert_eq!(daemon.kill().unwrap().code(), None);
}
