//! Resolvers that fail in every way: no mail is refused for that, and none waits longer than the budget.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use harness::deadline::Deadline;
use harness::dns_server::{Behaviour, DnsServer};
use harness::needs;
use harness::site::Site;
use harness::smtp_client::Reply;
use harness::stage::Stage;

const CLEAN: &str = "Subject: hello\nFrom: <a@example.com>\n\nNothing is wrong with me.\n";
const ZONES: [&str; 2] = ["zen.example", "white.example"];
const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What one connection waits for DNS; the test allows a second more.
const BUDGET: Duration = Duration::from_secs(1);
const ALLOWED: Duration = Duration::from_secs(2);

/// The faults that do not pass by themselves.
const LASTING: [&str; 3] = ["rewritten NXDOMAIN", "open resolver", "lists the world"];

/// How a resolver fails.
fn faults() -> Vec<(&'static str, Behaviour)> {
    let usual = || Box::new(Behaviour::Usual);
    vec![
        ("SERVFAIL", Behaviour::ServFail),
        ("REFUSED", Behaviour::Refused),
        ("silence", Behaviour::Silent),
        ("20 s late", Behaviour::Delay(Duration::from_secs(20), usual())),
        ("garbage", Behaviour::Garbage),
        ("wrong ids", Behaviour::WrongId(Box::new(Behaviour::Wildcard(LISTED)))),
        ("wrong questions", Behaviour::WrongQuestion(Box::new(Behaviour::Wildcard(LISTED)))),
        ("rewritten NXDOMAIN", Behaviour::Wildcard(Ipv4Addr::new(192, 0, 2, 80))),
        ("open resolver", Behaviour::Wildcard(Ipv4Addr::new(127, 255, 255, 254))),
        ("lists the world", Behaviour::Wildcard(LISTED)),
        ("truncated, nothing over TCP", Behaviour::Truncated(Box::new(Behaviour::ServFail))),
    ]
}

fn stage(on_dns_error: &str, clients: &[String]) -> (Stage, DnsServer) {
    let zone = |name: &str, class: &str| {
        format!(
            "[[zone]]\nname = \"{name}\"\ndomain = \"{name}.example\"\nclass = \"{class}\"\non_dns_error = \"{on_dns_error}\"\n"
        )
    };
    let site = Site::without_kernel()
        .tables("[dns]\nresolvers = [\"127.0.0.1\"]\nbudget = \"1s\"")
        .tables(&zone("zen", "third-party-bad"))
        .tables(&zone("white", "third-party-good"));
    let clients: Vec<_> = clients.iter().map(String::as_str).collect();
    let stage = site.stage(&clients).unwrap();
    let server = stage.edge.run(|| DnsServer::start(([127, 0, 0, 1], 53).into())).unwrap().unwrap();
    for zone in ZONES {
        server.test_points(zone);
    }
    (stage, server)
}

/// Clients that nobody lists, each in a network of its own.
fn clients(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("198.18.{number}.1")).collect()
}

/// What `client` is told when it connects, and how long that takes.
fn greeting(stage: &Stage, client: &str) -> (Reply, Duration) {
    let began = Deadline::after(Duration::from_secs(30));
    let mut session = stage.connect(client.parse().unwrap()).unwrap();
    let reply = session.reply().unwrap();
    let took = began.elapsed();
    session.send_line("QUIT").unwrap();
    (reply, took)
}

/// Has `client` be greeted in time, and deliver a message.
fn delivers(what: &str, stage: &Stage, client: &str) {
    let (reply, took) = greeting(stage, client);
    assert_eq!(reply.code, 220, "{what}: {reply}");
    assert!(took < ALLOWED, "{what}: greeted after {took:?} with a budget of {BUDGET:?}");
    let mut session = stage.greeted(client).unwrap();
    let reply = session.deliver("a@example.com", &["b@example.org"], CLEAN).unwrap();
    assert!(reply.is_positive(), "{what}: {reply}");
}

/// Each fault comes over zones that are well, and then over a daemon that has just been started.
#[test]
fn s1_3_no_fault_of_a_resolver_refuses_mail_or_holds_it_up() {
    if !needs::root() {
        return;
    }
    let faults = faults();
    let clients = clients(2 * faults.len());
    let (stage, server) = stage("open", &clients);
    let count = clients.len();
    for ((what, fault), clients) in faults.into_iter().zip(clients.chunks(2)) {
        let [first, second] = clients else { continue };
        server.recover("");
        let daemon = stage.start().unwrap();
        server.outage("", fault);
        delivers(what, &stage, first);
        daemon.kill().unwrap();
        let daemon = stage.start().unwrap();
        delivers(&format!("{what}, from the start"), &stage, second);
        daemon.kill().unwrap();
    }
    assert_eq!(stage.next_hop.delivered().len(), count);
    let refused = |record: &serde_json::Value| {
        record.get("reply").and_then(|reply| reply.as_str()).is_some_and(|it| it.starts_with('5'))
    };
    assert!(!stage.home.audit().unwrap().iter().any(refused));
}

/// A zone that is closed often lists the whole world from one moment to the next. A listing is believed only where the zone was
/// seen not to list what no zone lists, a few seconds before at most.
#[test]
fn s1_3_a_zone_that_lists_the_world_never_blocks_mail() {
    if !needs::root() {
        return;
    }
    let clients = clients(3);
    let (stage, server) = stage("open", &clients);
    let [listed, first, second] = clients.as_slice() else { return };
    server.list_zone("zen.example", &[(listed.parse().unwrap(), LISTED, None)]);
    let daemon = stage.start().unwrap();
    assert_eq!(greeting(&stage, listed).0.code, 554);
    server.outage("zen.example", Behaviour::Wildcard(LISTED));
    // For so long the listing before proves that the zone is well.
    std::thread::sleep(Duration::from_secs(11));
    for client in [first, second, listed] {
        delivers("the world is listed", &stage, client);
    }
    let alarm = stage.wait_for_alarm("zone:zen", "it lists everything").unwrap();
    assert!(alarm.contains("take it out of the configuration"), "{alarm}");
    let zones = stage.home.cli_json(&["zones", "--json"]).unwrap();
    let found = ["state", "ipv4/illness"].map(|key| zones.pointer(&format!("/0/{key}")).unwrap());
    assert_eq!(found, ["ill", "lists-everything"]);
    assert!(zones.pointer("/0/remedy").unwrap().is_string());
    daemon.terminate().unwrap();
}

/// Where the operator would rather wait than let in: 4xx, and the record says that it was DNS. Trouble that does not pass by
/// itself holds nothing up: who turns us away, rewrites answers or lists the world may do so for years.
#[test]
fn s1_3_with_defer_a_fault_of_a_resolver_is_421_and_never_5xx() {
    if !needs::root() {
        return;
    }
    let faults = faults();
    let clients = clients(2 * faults.len());
    let (stage, server) = stage("defer", &clients);
    for ((what, fault), clients) in faults.into_iter().zip(clients.chunks(2)) {
        let [first, second] = clients else { continue };
        server.recover("");
        let daemon = stage.start().unwrap();
        server.outage("", fault);
        let passes_by_itself = !LASTING.contains(&what);
        let deferred = |what: &str, client: &str| {
            let (reply, took) = greeting(&stage, client);
            if !passes_by_itself {
                assert_eq!(reply.code, 220, "{what}: {reply}");
                return;
            }
            assert_eq!(reply.code, 421, "{what}: {reply}");
            assert!(reply.text().starts_with("4.4.3 Unable to connect to DNS"), "{what}: {reply}");
            assert!(took < ALLOWED, "{what}: {took:?}");
            let record = stage.records(client, "connect", 1).unwrap().remove(0);
            assert_eq!(record.get("code").unwrap(), "dns-tempfail", "{what}: {record:#}");
            assert!(record.get("zone").unwrap().is_string(), "{what}: {record:#}");
        };
        deferred(what, first);
        daemon.kill().unwrap();
        let daemon = stage.start().unwrap();
        deferred(&format!("{what}, from the start"), second);
        daemon.kill().unwrap();
    }
}

/// An answer without room is asked for again over TCP, and then it counts.
#[test]
fn s1_3_a_listing_that_comes_over_tcp_counts() {
    if !needs::root() {
        return;
    }
    let clients = clients(2);
    let (stage, server) = stage("open", &clients);
    let [listed, clean] = clients.as_slice() else { return };
    let address: IpAddr = listed.parse().unwrap();
    server.list_zone("zen.example", &[(address, LISTED, Some("over TCP"))]);
    server.outage("", Behaviour::Truncated(Box::new(Behaviour::Usual)));
    let daemon = stage.start().unwrap();
    let (reply, took) = greeting(&stage, listed);
    assert_eq!(reply.code, 554, "{reply}");
    assert!(took < ALLOWED, "{took:?}");
    let record = stage.records(listed, "connect", 1).unwrap().remove(0);
    assert_eq!(record.get("zone_text").unwrap(), "over TCP");
    assert!(server.all_queries().iter().any(|query| query.over_tcp));
    delivers("truncated", &stage, clean);
    daemon.terminate().unwrap();
}
