//! One listener for both ways of mail: who may relay, what that is known from, what is said when DNS does not tell.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::net::IpAddr;
use std::time::Duration;

use harness::daemon::Home;
use harness::deadline::wait_for;
use harness::dns_server::{Behaviour, DnsServer, Kind, Record};
use harness::dns_zones::ptr_name;
use harness::needs;
use harness::site::Site;
use harness::smtp_client::{Attempt, Reply, SmtpClient};
use harness::stage::Stage;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

/// Recipients here, and anywhere else.
const HERE: &str = "b@example.org";
const AWAY: &str = "b@example.net";

const BY_ADDRESS: &str = "198.51.100.7";
const BY_PREFIX: &str = "2001:db8:ff1::7";
const BY_HOST: &str = "198.18.1.25";
const BY_DOMAIN: &str = "198.18.2.25";
const STRANGER: &str = "203.0.113.9";

const OFFICE: &str = "[[acceptance]]\nname = \"office\"\ndirection = \"outbound\"\n";

/// One that takes mail for `example.org`, from its own senders for all the world.
fn site(tables: &str) -> Site {
    Site::without_kernel()
        .top("recipient_domains = [\"example.org\"]")
        .tables("[log]\nlevel = \"debug\"\n[dns]\nresolvers = [\"127.0.0.1:53\"]\nbudget = \"1s\"")
        .tables(tables)
}

/// The resolver of the edge host, which knows nothing at first.
fn resolver(stage: &Stage) -> DnsServer {
    stage.edge.run(|| DnsServer::start("127.0.0.1:53".parse().unwrap())).unwrap().unwrap()
}

fn mail(session: &mut SmtpClient) {
    session.greet("sender.example.com").unwrap();
    assert_eq!(session.command("MAIL FROM:<a@example.com>").unwrap().code, 250);
}

/// What `client` hears when it names `recipient`.
fn rcpt(stage: &Stage, client: &str, recipient: &str) -> Reply {
    let mut session = stage.connect(client.parse().unwrap()).unwrap();
    mail(&mut session);
    session.command(&format!("RCPT TO:<{recipient}>")).unwrap()
}

/// Sends one message; its record.
fn record_of(stage: &Stage, client: &str, recipient: &str) -> Value {
    let mut session = stage.greeted(client).unwrap();
    let reply = session.deliver("a@example.com", &[recipient], "Subject: x\n\ny\n").unwrap();
    assert_eq!(reply.code, 250, "{client} {recipient}: {reply}");
    stage.records(client, "message", 1).unwrap().remove(0)
}

fn route(direction: &str, reason: &str, ptr: &str) -> Value {
    json!({"direction": direction, "reason": reason, "ptr": ptr})
}

/// Hears that it may not relay, and is not refused otherwise.
fn is_inbound(stage: &Stage, client: &str) {
    let reply = rcpt(stage, client, AWAY).to_string();
    assert_eq!(reply, "550 5.7.1 relaying denied", "{client}");
    assert_eq!(rcpt(stage, client, HERE).code, 250, "{client}");
}

/// S4.1, S4.3, S4.5: by address, prefix, host or name; and the record and the log say which.
#[test]
fn acceptance_lists_tell_who_may_relay() {
    if !needs::root() {
        return;
    }
    let lists = format!(
        "{OFFICE}addresses = [\"198.51.100.7\", \"2001:db8:ff1::/48\"]\nhosts = [\"mail.example.com\"]\ndomains = [\".office.example\"]\n\
        [[acceptance]]\nname = \"guests\"\ndirection = \"inbound\"\naddresses = [\"2001:db8:ff1:bad::/64\"]"
    );
    let (forger, guest) = ("198.18.3.25", "2001:db8:ff1:bad::1");
    let clients = [BY_ADDRESS, BY_PREFIX, BY_HOST, BY_DOMAIN, STRANGER, forger, guest];
    let stage = site(&lists).stage(&clients).unwrap();
    let dns = resolver(&stage);
    dns.host("mail.example.com", BY_HOST.parse::<IpAddr>().unwrap());
    dns.ptr(BY_DOMAIN.parse::<IpAddr>().unwrap(), "a.office.example");
    dns.host("a.office.example", BY_DOMAIN.parse::<IpAddr>().unwrap());
    // Whoever has the reverse zone writes into it what he likes.
    dns.ptr(forger.parse::<IpAddr>().unwrap(), "a.office.example");
    let daemon = stage.start().unwrap();
    wait_for("the host's address", LONG, || {
        Ok((rcpt(&stage, BY_HOST, AWAY).code == 250).then_some(()))
    })
    .unwrap();
    for (client, expected) in [
        (BY_ADDRESS, route("outbound", "acceptance:office/198.51.100.7", "not-asked")),
        (BY_PREFIX, route("outbound", "acceptance:office/2001:db8:ff1::/48", "not-asked")),
        (BY_HOST, route("outbound", "acceptance:office/mail.example.com", "not-asked")),
        (
            BY_DOMAIN,
            route("outbound", "acceptance:office/.office.example", "a.office.example(confirmed)"),
        ),
    ] {
        let record = record_of(&stage, client, AWAY);
        assert_eq!(record["route"], expected, "{client}");
        assert_eq!(record["code"], "outbound", "{client}");
        assert_eq!(record["verdict"], "Outbound", "{client}");
        let line = format!(
            "direction={} reason={} ptr={}",
            expected["direction"].as_str().unwrap(),
            expected["reason"].as_str().unwrap(),
            expected["ptr"].as_str().unwrap()
        );
        daemon.wait_for_log(&line, LONG).unwrap();
    }
    for (client, expected) in [
        (STRANGER, route("inbound", "no-match", "none")),
        (forger, route("inbound", "no-match", "a.office.example(unconfirmed)")),
        (guest, route("inbound", "acceptance:guests/2001:db8:ff1:bad::/64", "not-asked")),
    ] {
        is_inbound(&stage, client);
        let record = record_of(&stage, client, HERE);
        assert_eq!((&record["route"], &record["code"]), (&expected, &json!("accept")), "{client}");
    }
    let answer = &stage.home.cli_json(&["lookup", BY_ADDRESS, "--json"]).unwrap()[0];
    assert_eq!(answer["route"]["reason"], "acceptance:office/198.51.100.7");
}

/// S4.4: what DNS does not tell is inbound; only who wants to relay is put off, with the right words.
#[test]
fn broken_reverse_dns_defers_relaying_alone() {
    if !needs::root() {
        return;
    }
    let (silent, nameless) = ("198.18.4.25", "198.18.5.25");
    let lists = format!("{OFFICE}domains = [\".office.example\"]");
    let stage = site(&lists).stage(&[STRANGER, silent, nameless]).unwrap();
    let dns = resolver(&stage);
    dns.set(&ptr_name(STRANGER.parse().unwrap()), Behaviour::ServFail);
    dns.set(&ptr_name(silent.parse().unwrap()), Behaviour::Silent);
    let daemon = stage.start().unwrap();
    for (client, fault) in [(STRANGER, "servfail"), (silent, "timeout")] {
        let mut session = stage.connect(client.parse().unwrap()).unwrap();
        mail(&mut session);
        // A recipient here is taken, and goes on being so.
        assert_eq!(session.command(&format!("RCPT TO:<{HERE}>")).unwrap().code, 250);
        let reply = session.command(&format!("RCPT TO:<{AWAY}>")).unwrap().to_string();
        assert_eq!(reply, "421 4.4.3 Unable to connect to DNS - try again later", "{client}");
        let expected = route("inbound", "dns-fault", fault);
        let record = &stage.records(client, "recipient", 1).unwrap()[0];
        assert_eq!(
            (&record["code"], &record["verdict"], &record["action"], &record["route"]),
            (&json!("dns-tempfail"), &json!("DNS unavailable"), &json!("defer"), &expected)
        );
        assert_eq!(record["reply"], json!(reply));
        daemon
            .wait_for_log(&format!("direction=inbound reason=dns-fault ptr={fault}"), LONG)
            .unwrap();
        let record = record_of(&stage, client, HERE);
        assert_eq!((&record["code"], &record["route"]), (&json!("accept"), &expected));
    }
    // A client that has no name is no fault of DNS.
    is_inbound(&stage, nameless);
    // As soon as DNS tells, it may.
    dns.set(&ptr_name(STRANGER.parse().unwrap()), Behaviour::NxDomain);
    dns.remove(&ptr_name(STRANGER.parse().unwrap()));
    dns.ptr(STRANGER.parse::<IpAddr>().unwrap(), "b.office.example");
    dns.host("b.office.example", STRANGER.parse::<IpAddr>().unwrap());
    wait_for("an answer that is not kept", Duration::from_secs(30), || {
        Ok((rcpt(&stage, STRANGER, AWAY).code == 250).then_some(()))
    })
    .unwrap();
}

/// S4.1, S4.2: listeners that are fixed, and lists without names, need no DNS and ask none.
#[test]
fn nothing_is_asked_where_no_name_makes_it_necessary() {
    if !needs::root() {
        return;
    }
    let listener = |port: u16, direction: &str| {
        format!("[[listener]]\naddress = \"192.0.2.1:{port}\"\ndirection = \"{direction}\"\n")
    };
    let fixed = listener(587, "outbound") + &listener(26, "inbound");
    let with_name = format!("{OFFICE}domains = [\".office.example\"]");
    let with_address = format!("{OFFICE}addresses = [\"198.51.100.0/24\"]");
    for (lists, asks) in [(&with_name, true), (&with_address, false)] {
        let stage = site(&format!("{fixed}{lists}")).stage(&[STRANGER, BY_ADDRESS]).unwrap();
        let dns = resolver(&stage);
        let _daemon = stage.start().unwrap();
        for (port, expected, direction) in [(587, 250, "outbound"), (26, 550, "inbound")] {
            let mut session = stage
                .sender
                .run(|| {
                    let edge = format!("192.0.2.1:{port}").parse().unwrap();
                    SmtpClient::connect(Some(STRANGER.parse().unwrap()), edge)
                })
                .unwrap()
                .unwrap();
            mail(&mut session);
            assert_eq!(session.command(&format!("RCPT TO:<{AWAY}>")).unwrap().code, expected);
            let local = format!("192.0.2.1:{port}");
            let is_ours = |record: &Value| record["local"] == local.as_str();
            let record = stage.home.wait_for_audit("the record", LONG, is_ours).unwrap();
            assert_eq!(record["route"], route(direction, "listener", "not-asked"));
        }
        assert_eq!(dns.all_queries(), [], "{lists}");
        is_inbound(&stage, STRANGER);
        assert_eq!(!dns.all_queries().is_empty(), asks, "{lists}");
    }
}

/// S4.2: who wants no reverse lookups cannot have a list that needs them, and reads why.
#[test]
fn check_refuses_lists_of_names_without_reverse_lookups() {
    let config = |list: &str| {
        let site = site(list).next_hop_at("127.0.0.1:10025");
        site.config().unwrap().replace("[dns]\n", "[dns]\nptr = false\n")
    };
    for (list, expected) in [
        ("domains = [\".office.example\"]", false),
        ("hosts = [\"mail.example.com\"]", true),
        ("addresses = [\"198.51.100.0/24\"]", true),
    ] {
        let home = Home::new(&config(&format!("{OFFICE}{list}")), None).unwrap();
        let output = home.cli(&["check"]).unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.success(), expected, "{list}: {said}");
        if !expected {
            let reason = "ptr: false with `domains` of [[acceptance]] at ";
            assert!(said.contains(reason), "{said}");
            assert!(said.contains("only a reverse lookup tells"), "{said}");
        }
    }
}

/// S4.3: a host's last good address holds while the resolver fails.
#[test]
fn the_last_good_address_of_a_host_is_kept() {
    if !needs::root() {
        return;
    }
    let stage = site(&format!("{OFFICE}hosts = [\"mail.example.com\"]")).stage(&[BY_HOST]).unwrap();
    let dns = resolver(&stage);
    let address = Record::address(BY_HOST.parse::<IpAddr>().unwrap()).with_ttl(1);
    dns.add("mail.example.com", address);
    let _daemon = stage.start().unwrap();
    wait_for("the host's address", LONG, || {
        Ok((rcpt(&stage, BY_HOST, AWAY).code == 250).then_some(()))
    })
    .unwrap();
    // Nobody waits for it: the connection asks nothing.
    dns.forget_queries();
    assert_eq!(rcpt(&stage, BY_HOST, AWAY).code, 250);
    assert_eq!(dns.all_queries(), []);
    dns.outage("example.com", Behaviour::ServFail);
    // It is asked for again after a minute at the earliest.
    wait_for("the alarm about the name", Duration::from_secs(90), || {
        let alarm = stage.alarm("name:mail.example.com")?;
        Ok(alarm.filter(|alarm| alarm.contains("its last addresses hold")))
    })
    .unwrap();
    assert!(dns.queries("mail.example.com", Kind::A) > 0);
    assert_eq!(rcpt(&stage, BY_HOST, AWAY).code, 250);
}

/// S4.1: our own clients are accepted although a list refuses them, in the kernel too.
#[test]
fn an_outbound_client_on_a_bad_list_is_accepted() {
    if !needs::root() {
        return;
    }
    let lists = format!(
        "[dns]\nresolvers = [\"127.0.0.1:53\"]\n{OFFICE}addresses = [\"198.51.100.0/28\"]\nhosts = [\"mail.example.com\"]"
    );
    let site = Site::with_kernel()
        .top("recipient_domains = [\"example.org\"]")
        .tables(&lists)
        .list("bad", "local-bad", "", "198.51.100.0/24\n198.18.1.25\n");
    let neighbour = "198.51.100.99";
    let stage = site.stage(&[BY_ADDRESS, BY_HOST, neighbour]).unwrap();
    let dns = resolver(&stage);
    dns.host("mail.example.com", BY_HOST.parse::<IpAddr>().unwrap());
    let _daemon = stage.start().unwrap();
    let attempt = |client: &str| stage.attempt(client.parse().unwrap(), LONG).unwrap();
    assert!(matches!(attempt(neighbour), Attempt::Refused));
    wait_for("a way in for the host", LONG, || {
        Ok(matches!(attempt(BY_HOST), Attempt::Connected(_)).then_some(()))
    })
    .unwrap();
    for client in [BY_ADDRESS, BY_HOST] {
        let record = record_of(&stage, client, AWAY);
        assert_eq!((&record["code"], &record["action"]), (&json!("outbound"), &json!("accept")));
        let answer = &stage.home.cli_json(&["lookup", client, "--json"]).unwrap()[0];
        assert_eq!((&answer["code"], &answer["action"]), (&json!("outbound"), &json!("accept")));
    }
    assert!(matches!(attempt(neighbour), Attempt::Refused));
}
