//! DNS lists in front of real mail: what they refuse, how they are told, how they are switched, how often they are asked.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use harness::deadline::{Deadline, wait_for};
use harness::dns_record::name_in;
use harness::dns_server::{Behaviour, DnsServer, Kind};
use harness::needs;
use harness::rbldnsd::{RBLDNSD, Rbldnsd, Zone};
use harness::site::Site;
use harness::smtp_client::Reply;
use harness::stage::Stage;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);
const CLEAN: &str = "Subject: hello\nFrom: <a@example.com>\n\nNothing is wrong with me.\n";

/// Who is listed nowhere.
const CLEAN_CLIENT: &str = "198.18.1.2";

fn site(zones: &str) -> Site {
    Site::without_kernel()
        .tables("[dns]\nresolvers = [\"127.0.0.1\"]\nbudget = \"2s\"")
        .tables(zones)
}

/// A zone that asks `NAME.example`, with further keys, one a line.
fn zone(name: &str, class: &str, keys: &str) -> String {
    format!(
        "[[zone]]\nname = \"{name}\"\ndomain = \"{name}.example\"\nclass = \"{class}\"\n{keys}\n\n"
    )
}

/// The resolver of the edge host, with the test entries of `zones`.
fn resolver(stage: &Stage, zones: &[&str]) -> DnsServer {
    let server = stage.edge.run(|| DnsServer::start(([127, 0, 0, 1], 53).into())).unwrap().unwrap();
    for zone in zones {
        server.test_points(zone);
    }
    server
}

fn list(server: &DnsServer, zone: &str, address: &str, code: [u8; 4], text: Option<&str>) {
    server.list_zone(zone, &[(address.parse().unwrap(), code.into(), text)]);
}

/// What `client` is told when it connects.
fn greeting(stage: &Stage, client: &str) -> Reply {
    let mut session = stage.connect(client.parse().unwrap()).unwrap();
    let reply = session.reply().unwrap();
    session.send_line("QUIT").unwrap();
    reply
}

/// The last reply to a message from `client`.
fn deliver(stage: &Stage, client: &str, message: &str) -> Reply {
    let mut session = stage.greeted(client).unwrap();
    session.deliver("a@example.com", &["b@example.org"], message).unwrap()
}

fn record(stage: &Stage, client: &str, phase: &str) -> Value {
    stage.records(client, phase, 1).unwrap().remove(0)
}

/// How the zone `name` is, by `zones --json`.
fn status(stage: &Stage, name: &str) -> Value {
    let zones = stage.home.cli_json(&["zones", "--json"]).unwrap();
    let zone = zones.as_array().unwrap().iter().find(|zone| zone["name"] == name);
    zone.cloned().unwrap_or(Value::Null)
}

/// The exit code of a command, and all that it said.
fn said(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String) {
    let output = stage.home.cli(arguments).unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// S1.1, S1.2, S1.6, S2.1: each class of zone with its verdict, the label that is told, the record that is kept; the access key is
/// told nowhere.
#[test]
fn s1_1_and_s1_6_who_is_listed_reads_the_label_and_the_record_has_the_rest() {
    const KEY: &str = "s3cretkey";
    if !needs::root() {
        return;
    }
    let zones = [
        zone(
            "zen",
            "third-party-bad",
            "key_file = \"zen.key\"\nlabel = \"Example Zen\"\nmatch = [\"127.0.0.[2..9]\", \"127.0.0.[10..11]*dynamic\"]",
        ),
        zone("white", "third-party-good", ""),
        zone("proxies", "open-proxy", ""),
    ]
    .concat();
    let good_and_bad = ["198.51.100.8", "198.51.100.9"];
    let rows = [
        (
            "198.51.100.66",
            "dns-deny",
            "554 5.7.1",
            "System denied IP: Example Zen",
            "zen",
            "listed",
            "127.0.0.4",
        ),
        (
            "2001:db8:bad::66",
            "dns-deny",
            "554 5.7.1",
            "System denied IP: Example Zen",
            "zen",
            "listed",
            "127.0.0.4",
        ),
        (
            "198.51.100.10",
            "dns-deny",
            "554 5.7.1",
            "Example Zen, a dynamic address: send through the mail server of your provider",
            "zen",
            "dynamic",
            "127.0.0.10",
        ),
        (
            "198.51.100.11",
            "dns-deny",
            "554 5.7.1",
            "System denied IP: Example Zen",
            "zen",
            "listed",
            "127.0.0.3,127.0.0.10",
        ),
        (
            "198.51.100.12",
            "open-proxy",
            "554 5.7.1",
            "Open proxy: proxies",
            "proxies",
            "listed",
            "127.0.0.2",
        ),
    ];
    let clients: Vec<_> =
        rows.iter().map(|row| row.0).chain(good_and_bad).chain([CLEAN_CLIENT]).collect();
    let site = site(&zones).list("own", "local-bad", "", "198.51.100.9\n");
    let stage = site.stage(&clients).unwrap();
    stage.home.write("zen.key", &format!("{KEY}\n")).unwrap();
    let keyed = format!("{KEY}.zen.example");
    let server = resolver(&stage, &[&keyed, "white.example", "proxies.example"]);
    for (client, _, _, _, zone, _, codes) in rows {
        let zone = if zone == "zen" { keyed.clone() } else { format!("{zone}.example") };
        let address: IpAddr = client.parse().unwrap();
        let text = format!("see https://{zone}/?ip={client}");
        let entries = codes.split(',').map(|code| (address, code.parse().unwrap(), Some(&*text)));
        server.list_zone(&zone, &entries.collect::<Vec<_>>());
    }
    for client in good_and_bad {
        list(&server, &keyed, client, [127, 0, 0, 2], None);
        list(&server, "white.example", client, [127, 0, 0, 2], Some("a fine sender"));
    }
    let daemon = stage.start().unwrap();
    let mut told = String::new();
    for (client, code, reply, label, zone, meaning, codes) in rows {
        let found = greeting(&stage, client);
        let record = record(&stage, client, "connect");
        let reference = record["reference"].as_str().unwrap();
        assert_eq!(
            found.to_string(),
            format!(
                "{reply} you are not allowed to connect; client [{client}]; {label}; reference {reference}"
            )
            .replace("; Example Zen, a dynamic", "; System denied IP: Example Zen, a dynamic"),
        );
        assert_eq!(record["code"], code, "{record:#}");
        assert_eq!(
            [&record["zone"], &record["zone_codes"], &record["zone_meaning"]],
            [&json!(zone), &json!(codes), &json!(meaning)],
            "{record:#}"
        );
        // A text that tells the key is not kept.
        let text = (zone != "zen").then(|| format!("see https://{zone}.example/?ip={client}"));
        assert_eq!(record["zone_text"], json!(text), "{record:#}");
        told += &found.to_string();
    }
    // A good zone clears what zones list, and never what a list of the site has.
    assert!(deliver(&stage, "198.51.100.8", CLEAN).is_positive());
    let vouched = record(&stage, "198.51.100.8", "message");
    assert_eq!((&vouched["code"], &vouched["zone"]), (&json!("dns-allow"), &json!("white")));
    assert_eq!(greeting(&stage, "198.51.100.9").code, 554);
    assert_eq!(record(&stage, "198.51.100.9", "connect")["code"], "sys-deny-ip");
    assert!(deliver(&stage, CLEAN_CLIENT, CLEAN).is_positive());

    assert_eq!(server.queries(&name_in(&keyed, rows[0].0.parse().unwrap()), Kind::A), 1);
    for arguments in [
        &["zones"][..],
        &["zones", "--json"],
        &["zones", "test"],
        &["zones", "test", "zen", "--json"],
        &["lookup", rows[0].0],
        &["lookup", rows[0].0, "--json"],
        &["status"],
        &["status", "--json"],
        &["check"],
    ] {
        let (_, text) = said(&stage, arguments);
        assert!(!text.is_empty(), "{arguments:?}");
        told += &text;
    }
    server.outage(&keyed, Behaviour::ServFail);
    assert_eq!(said(&stage, &["zones", "test", "zen"]).0, Some(1));
    told += &said(&stage, &["zones", "test", "zen"]).1;
    told += &stage.status().unwrap().to_string();
    let audit = fs::read_to_string(stage.home.path().join("audit.jsonl")).unwrap();
    told += &audit;
    told += &daemon.log();
    assert!(told.contains("zen.example"));
    let at = told.to_ascii_lowercase().find(KEY);
    assert_eq!(at, None, "{:?}", at.and_then(|at| told.get(at.saturating_sub(200)..at + 40)));
    daemon.terminate().unwrap();
}

/// S3.3, S3.5, S3.6: the score of zones decides by its bands, 421 at connect where the delay is static.
#[test]
fn s3_5_a_zone_that_scores_delays_with_4xx_and_refuses_with_5xx() {
    if !needs::root() {
        return;
    }
    let keys = "action = \"score\"\nmatch = [\"127.0.0.2*499\", \"127.0.0.3*500\", \"127.0.0.4*600\", \"127.0.0.5*601\"]";
    let more = zone("more", "third-party-bad", "action = \"score\"\nweight = 102");
    let zones = zone("sums", "third-party-bad", keys) + &more;
    let rows = [
        ("198.18.2.1", 2, false, 220, "accept", 499),
        ("198.18.3.1", 3, false, 421, "iprep-delay", 500),
        ("198.18.4.1", 4, false, 421, "iprep-delay", 600),
        ("198.18.5.1", 5, false, 554, "iprep-reject", 601),
        ("198.18.6.1", 2, true, 554, "iprep-reject", 601),
    ];
    for mode in ["static", "greylist"] {
        let site = site(&zones).tables(&format!("[score]\ndelay_mode = \"{mode}\""));
        let stage = site.stage(&rows.map(|row| row.0)).unwrap();
        let server = resolver(&stage, &["sums.example", "more.example"]);
        for (client, last, in_both, ..) in rows {
            list(&server, "sums.example", client, [127, 0, 0, last], None);
            if in_both {
                list(&server, "more.example", client, [127, 0, 0, 2], None);
            }
        }
        let daemon = stage.start().unwrap();
        for (client, _, in_both, reply, code, score) in rows {
            let is_later = mode == "greylist" && reply == 421;
            let mut session = stage.connect(client.parse().unwrap()).unwrap();
            let found = session.reply().unwrap();
            let (phase, code) = if is_later {
                assert_eq!(found.code, 220, "{client}");
                session.send_line("EHLO sender.example.com").unwrap();
                session.expect(250).unwrap();
                let found = session.deliver("a@example.com", &["b@example.org"], CLEAN).unwrap();
                assert_eq!(found.code, 451, "{found}");
                assert!(found.text().contains("greylisted"), "{found}");
                ("recipient", "greylist")
            } else {
                assert_eq!(found.code, reply, "{client} {found}");
                if reply == 220 {
                    session.send_line("EHLO sender.example.com").unwrap();
                    session.expect(250).unwrap();
                    let found = session.deliver("a@example.com", &["b@example.org"], CLEAN);
                    assert!(found.unwrap().is_positive());
                    ("message", code)
                } else {
                    ("connect", code)
                }
            };
            let record = record(&stage, client, phase);
            assert_eq!(record["code"], code, "{record:#}");
            let score = if in_both { 601 } else { score };
            assert_eq!(record["score"], score, "{record:#}");
            let evidence = record["evidence"].as_array().unwrap();
            assert!(evidence.iter().any(|item| item["name"] == "zone:sums"), "{record:#}");
        }
        daemon.terminate().unwrap();
    }
}

/// S2.4: a zone that looks at all hops finds one in the header, whatever its number; of very many few are asked about.
#[test]
fn s2_4_a_zone_for_all_hops_finds_the_one_that_is_listed() {
    if !needs::root() {
        return;
    }
    let zones = [
        zone("hops", "open-proxy", "hops = \"all\"\naction = \"reject-message\""),
        zone("marks", "third-party-bad", "hops = \"all\"\naction = \"tag\""),
    ]
    .concat();
    let clients = ["198.18.1.2", "198.18.1.3", "198.18.1.4"];
    let stage = site(&zones).stage(&clients).unwrap();
    let server = resolver(&stage, &["hops.example", "marks.example"]);
    list(&server, "hops.example", "203.0.113.9", [127, 0, 0, 2], Some("an open proxy"));
    list(&server, "marks.example", "2001:db8:99::7", [127, 0, 0, 2], None);
    let daemon = stage.start().unwrap();
    let through = |hops: &[String]| {
        let mut message = String::new();
        for hop in hops {
            writeln!(
                message,
                "Received: from h.example.net (h.example.net [{hop}]) by mx.example.net; Mon, 1 Jan 2024 12:00:00 +0000"
            )
            .unwrap();
        }
        message + CLEAN
    };
    let strings = |hops: &[&str]| hops.iter().map(|hop| (*hop).to_owned()).collect::<Vec<_>>();

    let refused = deliver(
        &stage,
        clients[0],
        &through(&strings(&["203.0.113.1", "203.0.113.9", "10.0.0.1"])),
    );
    assert_eq!(refused.code, 550, "{refused}");
    let found = record(&stage, clients[0], "message");
    assert_eq!(
        [&found["code"], &found["zone"], &found["zone_text"], &found["offending"]["ip"]],
        [&json!("open-proxy"), &json!("hops"), &json!("an open proxy"), &json!("203.0.113.9")],
        "{found:#}"
    );
    assert_eq!(server.queries_below("10.hops.example"), 0, "nobody lists a private address");

    let tagged = deliver(&stage, clients[1], &through(&strings(&["IPv6:2001:db8:99::7"])));
    assert!(tagged.is_positive(), "{tagged}");
    let arrived = stage.next_hop.wait_for_transactions(2, LONG).unwrap();
    let message = arrived.iter().find(|it| it.is_delivered()).unwrap().message();
    assert!(message.contains("X-Portcullis-Verdict: "), "{message}");
    assert!(message.contains("address=2001:db8:99::7; hop=received[0]"), "{message}");

    server.forget_queries();
    let many: Vec<_> = (1..=99).map(|last| format!("192.0.2.{}", 100 + last)).collect();
    assert!(deliver(&stage, clients[2], &through(&many)).is_positive());
    let queries = server.all_queries();
    let names: BTreeSet<_> =
        queries.iter().filter(|it| it.name.ends_with("hops.example")).map(|it| &it.name).collect();
    assert!((60..=64).contains(&names.len()), "{} are asked about", names.len());
    daemon.terminate().unwrap();
}

/// S1.3: a zone is believed when its test entries are right, and comes back by itself; meanwhile nobody is refused for it.
#[test]
fn s1_3_an_ill_zone_is_not_believed_and_the_operator_is_told_what_to_do() {
    if !needs::root() {
        return;
    }
    let zones =
        [zone("dead", "third-party-bad", ""), zone("closed", "third-party-bad", "")].concat();
    let clients = ["198.18.1.2", "198.18.1.3", "198.18.1.4", "198.18.1.5", "198.18.1.6"];
    let stage = site(&zones).stage(&clients).unwrap();
    let server = resolver(&stage, &["closed.example"]);
    for zone in ["dead.example", "closed.example"] {
        list(&server, zone, clients[0], [127, 0, 0, 2], None);
        list(&server, zone, clients[4], [127, 0, 0, 2], None);
    }
    list(&server, "dead.example", clients[1], [127, 0, 0, 2], None);
    let daemon = stage.start().unwrap();
    let dead = status(&stage, "dead");
    assert_eq!(
        (&dead["state"], &dead["ipv4"]["illness"]),
        (&json!("ill"), &json!("lists-nothing"))
    );
    assert!(dead["remedy"].as_str().unwrap().contains("`domain`"), "{dead:#}");
    assert_eq!(status(&stage, "closed")["state"], "healthy");
    stage.wait_for_alarm("zone:dead", "dead.example is not asked").unwrap();
    assert_eq!(greeting(&stage, clients[1]).code, 220, "the dead zone lists it");

    // The other one answers errors from now on: at once it is not believed any more.
    server.outage("closed.example", Behaviour::Wildcard(Ipv4Addr::new(127, 255, 255, 254)));
    assert_eq!(greeting(&stage, clients[2]).code, 220);
    let closed = status(&stage, "closed");
    assert_eq!(
        (&closed["state"], &closed["ipv4"]["illness"]),
        (&json!("ill"), &json!("open-resolver"))
    );
    assert!(closed["remedy"].as_str().unwrap().contains("resolver of your own"), "{closed:#}");
    stage.wait_for_alarm("zone:closed", "127.255.255.254").unwrap();
    assert_eq!(greeting(&stage, clients[0]).code, 220, "listed by a zone that answers errors");
    for (zone, reason) in [("dead", "127.0.0.2"), ("closed", "127.255.255.254")] {
        let is_ours = |record: &Value| {
            let is_zone = record["phase"] == "zone" && record["zone"] == zone;
            is_zone && record["to"] == "ill" && record["family"] == "ipv4"
        };
        let record = stage.home.wait_for_audit("a record about the zone", LONG, is_ours).unwrap();
        assert!(record["reason"].as_str().unwrap().contains(reason), "{record:#}");
        assert!(record["remedy"].is_string(), "{record:#}");
    }

    server.test_points("dead.example");
    server.recover("closed.example");
    for zone in ["dead", "closed"] {
        let is_well = || Ok((status(&stage, zone)["state"] == "healthy").then_some(()));
        wait_for("a zone that is well", Duration::from_secs(50), is_well).unwrap();
        stage.wait_for_no_alarm(&format!("zone:{zone}")).unwrap();
    }
    assert_eq!(greeting(&stage, clients[4]).code, 554);
    daemon.terminate().unwrap();
}

/// S1.5: zones are switched, added and removed at run time, which survives the end of the daemon, however that comes.
#[test]
fn s1_5_zones_are_switched_within_a_second_and_stay_so() {
    const LISTED_CLIENT: &str = "198.51.100.66";
    if !needs::root() {
        return;
    }
    let stage = site(&zone("zen", "third-party-bad", "")).stage(&[LISTED_CLIENT]).unwrap();
    let server = resolver(&stage, &["zen.example", "more.example"]);
    list(&server, "zen.example", LISTED_CLIENT, [127, 0, 0, 2], None);
    list(&server, "more.example", LISTED_CLIENT, [127, 0, 0, 2], None);
    let daemon = stage.start().unwrap();
    let is_refused = |expected: bool| {
        let within = Duration::from_secs(1);
        let code = if expected { 554 } else { 220 };
        wait_for("the switch to be in force", within, || {
            Ok((greeting(&stage, LISTED_CLIENT).code == code).then_some(()))
        })
        .unwrap();
    };
    let run = |arguments: &[&str]| {
        let (code, text) = said(&stage, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
    };
    is_refused(true);
    run(&["zones", "test"]);
    run(&["zones", "disable", "zen"]);
    is_refused(false);
    assert_eq!(status(&stage, "zen")["state"], "off");
    server.forget_queries();
    assert_eq!(greeting(&stage, LISTED_CLIENT).code, 220);
    assert_eq!(server.queries_below("zen.example"), 0, "what is switched off is not asked");
    daemon.kill().unwrap();
    let daemon = stage.start().unwrap();
    is_refused(false);
    run(&["zones", "enable", "zen"]);
    is_refused(true);
    run(&["zones", "disable", "zen"]);

    run(&["zones", "add", "more", "--domain", "more.example", "--label", "More of it"]);
    is_refused(true);
    assert!(greeting(&stage, LISTED_CLIENT).text().contains("More of it"));
    daemon.kill().unwrap();
    let daemon = stage.start().unwrap();
    is_refused(true);
    daemon.terminate().unwrap();
    let daemon = stage.start().unwrap();
    is_refused(true);
    run(&["zones", "remove", "more"]);
    is_refused(false);
    assert_eq!(status(&stage, "more"), Value::Null);
    daemon.kill().unwrap();
    let daemon = stage.start().unwrap();
    is_refused(false);

    server.outage("zen.example", Behaviour::ServFail);
    for (arguments, code, says) in [
        (&["zones", "test", "zen"][..], 1, "SERVFAIL"),
        (&["zones", "test", "nobody"], 2, "no zone of that name"),
        (&["zones", "disable", "nobody"], 2, "nobody"),
        (&["zones", "remove", "zen"], 2, "configuration"),
        (&["zones", "add", "zen"], 2, "zen"),
        (&["zones", "add", "bad..name"], 2, "bad..name"),
        (&["zones", "enable", "../lists"], 2, "no name of a zone"),
    ] {
        let (found, text) = said(&stage, arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
    daemon.terminate().unwrap();
}

/// One question for all who wait for it, none while its answer is kept; a text is asked for only where somebody is listed.
#[test]
fn s1_3_many_connections_at_once_ask_each_zone_once() {
    const LISTED_CLIENT: &str = "198.51.100.66";
    const AT_ONCE: usize = 60;
    if !needs::root() {
        return;
    }
    let zones = [zone("zen", "third-party-bad", ""), zone("more", "open-proxy", "")].concat();
    let site = site(&zones).tables("[limits]\nconnections_per_client = 100");
    let stage = site.stage(&[LISTED_CLIENT, CLEAN_CLIENT]).unwrap();
    let server = resolver(&stage, &["zen.example", "more.example"]);
    list(&server, "zen.example", LISTED_CLIENT, [127, 0, 0, 2], Some("spam"));
    let daemon = stage.start().unwrap();
    for zone in ["zen.example", "more.example"] {
        server
            .outage(zone, Behaviour::Delay(Duration::from_millis(200), Box::new(Behaviour::Usual)));
    }
    for (client, code, texts) in [(LISTED_CLIENT, 554, 1), (CLEAN_CLIENT, 220, 0)] {
        let names =
            ["zen.example", "more.example"].map(|zone| name_in(zone, client.parse().unwrap()));
        let asked = || {
            let count = |kind| names.each_ref().map(|name| server.queries(name, kind));
            (count(Kind::A), count(Kind::TXT))
        };
        thread::scope(|scope| {
            let all: Vec<_> =
                (0..AT_ONCE).map(|_| scope.spawn(|| greeting(&stage, client).code)).collect();
            for connection in all {
                assert_eq!(connection.join().unwrap(), code);
            }
        });
        assert_eq!(asked(), ([1, 1], [texts, 0]), "{client}");
        assert_eq!(greeting(&stage, client).code, code);
        assert_eq!(asked(), ([1, 1], [texts, 0]), "{client}, once more");
    }
    daemon.terminate().unwrap();
}

/// An answer for which nobody waits any more is kept for the next one.
#[test]
fn s1_3_a_late_answer_lets_the_first_one_in_and_counts_for_the_next() {
    const LISTED_CLIENT: &str = "198.51.100.66";
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel()
        .tables("[dns]\nresolvers = [\"127.0.0.1\"]\nbudget = \"1s\"")
        .tables(&zone("zen", "third-party-bad", ""));
    let stage = site.stage(&[LISTED_CLIENT]).unwrap();
    let server = resolver(&stage, &["zen.example"]);
    list(&server, "zen.example", LISTED_CLIENT, [127, 0, 0, 2], None);
    let daemon = stage.start().unwrap();
    server.outage(
        "zen.example",
        Behaviour::Delay(Duration::from_secs(3), Box::new(Behaviour::Usual)),
    );
    let began = Deadline::after(LONG);
    assert_eq!(greeting(&stage, LISTED_CLIENT).code, 220);
    let took = began.elapsed();
    let expected = Duration::from_millis(900)..Duration::from_secs(2);
    assert!(expected.contains(&took), "greeted after {took:?}");
    thread::sleep(Duration::from_secs(4));
    server.recover("zen.example");
    assert_eq!(greeting(&stage, LISTED_CLIENT).code, 554);
    let address = LISTED_CLIENT.parse().unwrap();
    let counts = status(&stage, "zen")["counts"].clone();
    assert_eq!(counts["listed"], 1, "{counts}");
    assert_eq!(counts["queries"], 1, "{counts}");
    // A datagram may be lost, so it is sent again, up to three times.
    assert!(server.queries(&name_in("zen.example", address), Kind::A) <= 4);
    daemon.terminate().unwrap();
}

/// A server of DNS lists that many sites run: what it lists is refused, what it does not is let in.
#[test]
fn s1_1_what_rbldnsd_lists_is_refused_and_nothing_else() {
    if !needs::root() {
        return;
    }
    let Some(packages) = needs::mail_server(&RBLDNSD) else { return };
    let zones = [
        zone("four", "third-party-bad", "families = [\"ipv4\"]"),
        zone("six", "third-party-bad", "families = [\"ipv6\"]"),
    ]
    .concat();
    let rows = [
        ("198.51.100.66", Some(("four", "127.0.0.2", "spam from 198.51.100.66"))),
        ("198.51.100.67", None),
        ("203.0.113.0", Some(("four", "127.0.0.4", "a bad network"))),
        ("203.0.113.255", Some(("four", "127.0.0.4", "a bad network"))),
        ("203.0.113.7", None),
        ("2001:db8:bad::66", Some(("six", "127.0.0.2", "bad"))),
        ("2001:db8:bad:1::66", None),
    ];
    let stage = site(&zones).stage(&rows.map(|row| row.0)).unwrap();
    let served = [
        Zone {
            name: "four.example".to_owned(),
            dataset: "ip4set",
            text: "127.0.0.2 :127.0.0.2:test\n198.51.100.66 :127.0.0.2:spam from $\n203.0.113.0/24 :127.0.0.4:a bad network\n!203.0.113.7\n".to_owned(),
        },
        Zone {
            name: "six.example".to_owned(),
            dataset: "ip6trie",
            text: "::FFFF:7F00:2 :127.0.0.2:test\n2001:db8:bad::/64 :127.0.0.2:bad\n".to_owned(),
        },
    ];
    let start = || Rbldnsd::start_at(&packages, &served, ([127, 0, 0, 1], 53).into());
    let server = stage.edge.run(start).unwrap().unwrap();
    let daemon = stage.start().unwrap();
    for name in ["four", "six"] {
        assert_eq!(status(&stage, name)["state"], "healthy", "{}", server.log());
    }
    for (client, expected) in rows {
        let found = greeting(&stage, client);
        assert_eq!(found.code, if expected.is_some() { 554 } else { 220 }, "{client}: {found}");
        if let Some((zone, codes, text)) = expected {
            let record = record(&stage, client, "connect");
            assert_eq!(
                [&record["zone"], &record["zone_codes"], &record["zone_text"]],
                [zone, codes, text],
                "{record:#}"
            );
        }
    }
    daemon.terminate().unwrap();
}
