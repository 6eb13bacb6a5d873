//! Proves the scripted DNS server: each behaviour as a client sees it, over UDP and TCP.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use harness::deadline::Deadline;
use harness::dns_server::{Behaviour, Data, DnsServer, Kind, Query, Record};
use harness::dns_wire::{
    Message, NO_ERROR, NO_SUCH_NAME, RECURSION_AVAILABLE, RECURSION_DESIRED, REFUSED, RESPONSE,
    SERVER_FAILURE, TRUNCATED,
};
use harness::dns_zones::ptr_name;
use harness::needs;
use harness::netns::NetNs;
use harness::rbldnsd::{Listing, RBLDNSD, Rbldnsd, Zone};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(10);
const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn server() -> DnsServer {
    DnsServer::start("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// A socket that asks `server` alone, and waits for an answer for `patience`.
fn client(server: &DnsServer, patience: Duration) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address()).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket
}

/// The octets of the next answer; nothing where none comes.
fn received(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut octets = [0; 4096];
    let length = socket.recv(&mut octets).ok()?;
    Some(octets.get(..length).unwrap().to_vec())
}

fn asked_raw(server: &DnsServer, name: &str, kind: Kind, patience: Duration) -> Option<Vec<u8>> {
    let socket = client(server, patience);
    socket.send(&Message::question(7, name, kind).write()).unwrap();
    received(&socket)
}

fn asked(server: &DnsServer, name: &str, kind: Kind) -> Message {
    Message::read(&asked_raw(server, name, kind, LONG).unwrap()).unwrap()
}

fn asked_over_tcp(stream: &mut TcpStream, name: &str, kind: Kind) -> Message {
    let question = Message::question(7, name, kind).write();
    let length = u16::try_from(question.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, question.as_slice()].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut octets = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut octets).unwrap();
    Message::read(&octets).unwrap()
}

fn listed() -> Behaviour {
    Behaviour::Records(vec![Record::address(LISTED), Record::txt("listed")])
}

#[test]
fn every_answer_is_as_it_was_told() {
    let server = server();
    let every = |other| Behaviour::Flaky { every: 2, usual: Box::new(listed()), other };
    for (name, behaviour) in [
        ("listed.example", listed()),
        ("*.rewritten.example", Behaviour::Wildcard(LISTED)),
        ("alias.example", Behaviour::Cname("listed.example".to_owned())),
        ("away.example", Behaviour::Cname("gone.example".to_owned())),
        ("circle.example", Behaviour::Cname("circle.example".to_owned())),
        ("empty.example", Behaviour::NoData),
        ("failed.example", Behaviour::ServFail),
        ("refused.example", Behaviour::Refused),
        ("flaky.example", every(Box::new(Behaviour::ServFail))),
    ] {
        server.set(name, behaviour);
    }
    let (a, alias) = (Data::A(LISTED), |name: &str| Data::Cname(name.to_owned()));
    for (name, kind, code, data) in [
        ("Listed.Example", Kind::A, NO_ERROR, vec![a.clone()]),
        ("listed.example", Kind::TXT, NO_ERROR, vec![Data::Txt("listed".to_owned())]),
        ("listed.example", Kind::AAAA, NO_ERROR, vec![]),
        ("below.listed.example", Kind::A, NO_SUCH_NAME, vec![]),
        ("a.b.rewritten.example", Kind::A, NO_ERROR, vec![a.clone()]),
        ("a.b.rewritten.example", Kind::TXT, NO_ERROR, vec![]),
        ("rewritten.example", Kind::A, NO_SUCH_NAME, vec![]),
        ("alias.example", Kind::A, NO_ERROR, vec![alias("listed.example"), a.clone()]),
        ("away.example", Kind::A, NO_SUCH_NAME, vec![alias("gone.example")]),
        ("circle.example", Kind::A, SERVER_FAILURE, vec![]),
        ("empty.example", Kind::A, NO_ERROR, vec![]),
        ("failed.example", Kind::A, SERVER_FAILURE, vec![]),
        ("refused.example", Kind::A, REFUSED, vec![]),
        ("flaky.example", Kind::A, NO_ERROR, vec![a.clone()]),
        ("flaky.example", Kind::A, SERVER_FAILURE, vec![]),
        ("flaky.example", Kind::A, NO_ERROR, vec![a]),
        ("unknown.example", Kind::A, NO_SUCH_NAME, vec![]),
    ] {
        let answer = asked(&server, name, kind);
        assert_eq!((answer.id, answer.name.as_str(), answer.kind), (7, name, kind));
        assert_eq!(answer.flags, RESPONSE | RECURSION_DESIRED | RECURSION_AVAILABLE | code);
        assert_eq!(answer.data(), data.iter().collect::<Vec<_>>(), "{name}");
        // Where there is nothing, it is said for how long.
        let found = data.iter().any(|data| !matches!(data, Data::Cname(_)));
        let is_negative = !found && [NO_ERROR, NO_SUCH_NAME].contains(&code);
        assert_eq!(answer.authority.len(), usize::from(is_negative), "{name}");
    }
    server.set_negative_ttl(None);
    assert_eq!(asked(&server, "unknown.example", Kind::A).authority, []);
}

#[test]
fn what_is_told_later_counts_and_the_longest_pattern() {
    let server = server();
    server.set("*", Behaviour::Refused);
    server.set("*.example.org", Behaviour::ServFail);
    server.set("*.bl.example.org", Behaviour::NoData);
    server.set("a.bl.example.org.", listed());
    for (name, code, records) in [
        ("example.net", REFUSED, 0),
        ("example.org", REFUSED, 0),
        ("xbl.example.org", SERVER_FAILURE, 0),
        ("b.bl.example.org", NO_ERROR, 0),
        ("a.bl.example.org", NO_ERROR, 1),
    ] {
        let answer = asked(&server, name, Kind::A);
        assert_eq!((answer.code(), answer.answers.len()), (code, records), "{name}");
    }
    server.set("*.bl.example.org", Behaviour::NxDomain);
    assert_eq!(asked(&server, "b.bl.example.org", Kind::A).code(), NO_SUCH_NAME);
    server.remove("*.bl.example.org");
    assert_eq!(asked(&server, "b.bl.example.org", Kind::A).code(), SERVER_FAILURE);
}

#[test]
fn an_outage_is_stronger_than_every_pattern_until_it_ends() {
    let server = server();
    server.set("a.bl.example.org", listed());
    let code = |name| asked(&server, name, Kind::A).code();
    server.outage("bl.example.org", Behaviour::ServFail);
    server.outage("", Behaviour::Refused);
    assert_eq!(code("a.bl.example.org"), SERVER_FAILURE);
    assert_eq!(code("bl.example.org"), SERVER_FAILURE);
    assert_eq!(code("xbl.example.org"), REFUSED);
    server.outage("bl.example.org", Behaviour::Delay(SHORT, Box::new(Behaviour::Usual)));
    let started = Deadline::after(LONG);
    assert_eq!(code("a.bl.example.org"), NO_ERROR);
    assert!(started.elapsed() >= SHORT);
    assert_eq!(code("b.bl.example.org"), NO_SUCH_NAME);
    server.recover("bl.example.org");
    assert_eq!(code("a.bl.example.org"), REFUSED);
    server.recover("");
    assert_eq!(code("a.bl.example.org"), NO_ERROR);
}

#[test]
fn who_waits_for_a_late_answer_waits_alone() {
    let server = server();
    let late = |millis, address| {
        let record = Record::address(Ipv4Addr::from_bits(address));
        Behaviour::Delay(Duration::from_millis(millis), Box::new(Behaviour::Records(vec![record])))
    };
    server.set("last.example", late(600, 3));
    server.set("first.example", late(300, 2));
    server.set("now.example", late(0, 1));
    server.set("never.example", Behaviour::Silent);
    let socket = client(&server, LONG);
    for name in ["never.example", "last.example", "first.example", "now.example"] {
        socket.send(&Message::question(7, name, Kind::A).write()).unwrap();
    }
    for name in ["now.example", "first.example", "last.example"] {
        assert_eq!(Message::read(&received(&socket).unwrap()).unwrap().name, name);
    }
    assert_eq!(asked_raw(&server, "never.example", Kind::A, SHORT), None);
    // The end of the server does not wait either.
    server.set("after.example", Behaviour::Delay(LONG, Box::new(listed())));
    socket.send(&Message::question(7, "after.example", Kind::A).write()).unwrap();
    let started = Deadline::after(LONG);
    drop(server);
    assert!(started.elapsed() < LONG / 2);
}

#[test]
fn what_has_no_room_over_udp_comes_over_tcp() {
    let server = server();
    server.set("cut.example", Behaviour::Truncated(Box::new(listed())));
    let text = "x".repeat(700);
    server.add("long.example", Record::txt(text.clone()));
    for (name, kind) in [("cut.example", Kind::A), ("long.example", Kind::TXT)] {
        let answer = asked(&server, name, kind);
        assert_eq!((answer.flags & TRUNCATED, answer.answers.len()), (TRUNCATED, 0), "{name}");
    }
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    for (name, kind, data) in [
        ("cut.example", Kind::A, Data::A(LISTED)),
        ("long.example", Kind::TXT, Data::Txt(text.clone())),
    ] {
        let answer = asked_over_tcp(&mut stream, name, kind);
        assert_eq!((answer.flags & TRUNCATED, answer.data()), (0, vec![&data]));
    }
    // Who says that there is room for more gets it.
    let socket = client(&server, LONG);
    let question = Message::question(7, "long.example", Kind::TXT);
    socket.send(&Message { payload: Some(4096), ..question }.write()).unwrap();
    let answer = Message::read(&received(&socket).unwrap()).unwrap();
    assert_eq!((answer.data(), answer.payload.is_some()), (vec![&Data::Txt(text)], true));
    let queries = server.all_queries();
    assert_eq!(queries.iter().filter(|query| query.over_tcp).count(), 2);
}

#[test]
fn answers_that_nobody_should_believe() {
    let server = server();
    server.set("garbage.example", Behaviour::Garbage);
    server.set("id.example", Behaviour::WrongId(Box::new(listed())));
    server.set("name.example", Behaviour::WrongQuestion(Box::new(listed())));
    let garbage = asked_raw(&server, "garbage.example", Kind::A, LONG).unwrap();
    assert!(Message::read(&garbage).is_err());
    let answer = asked(&server, "id.example", Kind::A);
    assert_eq!((answer.id, answer.data()), (!7, vec![&Data::A(LISTED)]));
    let answer = asked(&server, "name.example", Kind::A);
    assert_eq!((answer.id, answer.name.as_str()), (7, "not.asked.for.example"));
}

#[test]
fn questions_are_counted_whoever_asks_and_however_they_are_written() {
    let server = server();
    for (name, kind) in [
        ("a.bl.example", Kind::A),
        ("A.BL.Example", Kind::A),
        ("a.bl.example", Kind::TXT),
        ("a.xbl.example", Kind::A),
    ] {
        asked(&server, name, kind);
    }
    // What is no question is not counted, and ends nothing.
    client(&server, SHORT).send(b"no question").unwrap();
    assert_eq!(server.queries("a.bl.example", Kind::A), 2);
    assert_eq!(server.queries("a.bl.example", Kind::AAAA), 0);
    let below = ["bl.example", "a.bl.example.", "example", ""].map(|it| server.queries_below(it));
    assert_eq!(below, [3, 3, 4, 4]);
    let query = Query { name: "a.bl.example".to_owned(), kind: Kind::A, over_tcp: false };
    assert_eq!(server.all_queries()[..2], [query.clone(), query]);
    server.forget_queries();
    assert_eq!(server.all_queries(), []);
    assert_eq!(asked(&server, "a.bl.example", Kind::A).code(), NO_SUCH_NAME);
}

#[test]
fn zones_are_filled_with_what_real_ones_hold() {
    let server = server();
    let (v4, v6) = (Ipv4Addr::new(192, 0, 2, 7), "2001:db8::7".parse::<Ipv6Addr>().unwrap());
    let other = Ipv4Addr::new(127, 0, 0, 10);
    server.list_zone(
        "bl.example",
        &[(v4.into(), LISTED, Some("spam")), (v4.into(), other, None), (v6.into(), other, None)],
    );
    server.test_points("bl.example");
    server.ptr(v4, "mail.example");
    server.ptr(v6, "mail.example");
    server.host("mail.example", v4);
    server.host("mail.example", v6);
    server.spf("mail.example", "v=spf1 a -all");
    let v6_name = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
    let mapped = |last: u8| format!("{last}.0.0.0.0.0.f.7.f.f.f.f{}.bl.example", ".0".repeat(20));
    for (name, kind, data) in [
        ("7.2.0.192.bl.example".to_owned(), Kind::A, vec![Data::A(LISTED), Data::A(other)]),
        ("7.2.0.192.bl.example".to_owned(), Kind::TXT, vec![Data::Txt("spam".to_owned())]),
        (format!("{v6_name}.bl.example"), Kind::A, vec![Data::A(other)]),
        ("2.0.0.127.bl.example".to_owned(), Kind::A, vec![Data::A(LISTED)]),
        ("1.0.0.127.bl.example".to_owned(), Kind::A, vec![]),
        (mapped(2), Kind::A, vec![Data::A(LISTED)]),
        (mapped(1), Kind::A, vec![]),
        (ptr_name(v4.into()), Kind::PTR, vec![Data::Ptr("mail.example".to_owned())]),
        (format!("{v6_name}.ip6.arpa"), Kind::PTR, vec![Data::Ptr("mail.example".to_owned())]),
        ("mail.example".to_owned(), Kind::A, vec![Data::A(v4)]),
        ("mail.example".to_owned(), Kind::AAAA, vec![Data::Aaaa(v6)]),
        ("mail.example".to_owned(), Kind::TXT, vec![Data::Txt("v=spf1 a -all".to_owned())]),
    ] {
        let answer = asked(&server, &name, kind);
        assert_eq!(answer.data(), data.iter().collect::<Vec<_>>(), "{name}");
    }
    server.unlist("bl.example", v4.into());
    assert_eq!(asked(&server, "7.2.0.192.bl.example", Kind::A).code(), NO_SUCH_NAME);
}

/// The address is in the namespace alone; both families, and a real server of lists beside ours.
#[test]
fn servers_listen_in_the_namespace_in_which_they_are_started() {
    if !needs::root() {
        return;
    }
    let host = NetNs::new("dns").unwrap();
    host.addresses("lo", &["192.0.2.53/32", "192.0.2.54/32", "2001:db8::53/128"]).unwrap();
    for listen in ["192.0.2.53:53", "[2001:db8::53]:53"] {
        let address = listen.parse::<SocketAddr>().unwrap();
        let server = host.run(|| DnsServer::start(address).unwrap()).unwrap();
        assert_eq!(server.address(), address);
        server.set("listed.example", listed());
        let any: IpAddr =
            if address.is_ipv4() { [0; 4].into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = host.run(|| UdpSocket::bind((any, 0)).unwrap()).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.connect(address).unwrap();
        socket.send(&Message::question(7, "listed.example", Kind::A).write()).unwrap();
        let answer = Message::read(&received(&socket).unwrap()).unwrap();
        assert_eq!(answer.data(), [&Data::A(LISTED)]);
        let mut stream = host.run(|| TcpStream::connect(address).unwrap()).unwrap();
        let answer = asked_over_tcp(&mut stream, "listed.example", Kind::A);
        assert_eq!(answer.data(), [&Data::A(LISTED)]);
    }
    let Some(packages) = needs::mail_server(&RBLDNSD) else { return };
    let zone = Zone {
        name: "bl.example.org".to_owned(),
        dataset: "ip4set",
        text: "192.0.2.7 :2:spam\n".to_owned(),
    };
    let address = "192.0.2.54:53".parse().unwrap();
    let start = || Rbldnsd::start_at(&packages, &[zone], address).unwrap();
    let server = host.run(start).unwrap();
    assert_eq!(server.address(), address);
    let listing = server.ask("bl.example.org", Ipv4Addr::new(192, 0, 2, 7).into()).unwrap();
    let expected = Listing { values: [LISTED].into(), texts: ["spam".to_owned()].into() };
    assert_eq!(listing, expected);
    let listing = server.ask("bl.example.org", Ipv4Addr::new(192, 0, 2, 8).into()).unwrap();
    assert_eq!(listing, Listing::default());
}
