//! Every scenario of the articles from the packet to the record to `why`: the stories that operators read are kept as golden texts.
//!
//! One host has a list, a zone or a threshold for each of the articles (S0 to S4). A row says what a client does and hears; its
//! story is what `why` says of the reference, with what differs from run to run replaced.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::deadline::wait_for;
use harness::dns_server::{Behaviour, DnsServer};
use harness::needs;
use harness::site::Site;
use harness::stage::Stage;
use serde_json::Value;

const LONG: Duration = Duration::from_secs(10);

/// What a client does.
#[derive(Clone, Copy)]
enum Does {
    /// Connects, and reads the greeting.
    Connects,
    /// Sends a message to the recipient of the host, with further header fields.
    Sends(&'static str),
    /// Names a recipient that is not of the host.
    Relays,
    /// Sends a message, and is put on a list when half of it is there.
    SendsAndIsListed,
    /// Is put on a list, connects, and is taken from the list.
    ConnectsAndIsTakenOff,
}

/// One scenario.
struct Row {
    /// The requirement, which is the name of the golden text.
    name: &'static str,
    client: &'static str,
    does: Does,
    /// The phase of the record, and its code.
    expected: (&'static str, &'static str),
}

const ROWS: &[Row] = &[
    Row {
        name: "s0-1-listed-at-connect",
        client: "198.51.100.66",
        does: Does::Connects,
        expected: ("connect", "sys-deny-ip"),
    },
    Row {
        name: "s0-3-observed-hop",
        client: "198.18.0.2",
        does: Does::Sends(
            "Received: from a ([203.0.113.9]) by b.example; Sun, 29 Nov 2026 20:00:00 +0000\n",
        ),
        expected: ("message", "global-deny-ip"),
    },
    Row {
        name: "s0-5-behind-a-relay",
        client: "198.18.0.3",
        does: Does::Sends(
            "Received: from a ([198.51.100.66]) by relay.example; Sun, 29 Nov 2026 20:00:00 +0000\n",
        ),
        expected: ("message", "sys-deny-ip"),
    },
    Row {
        name: "s0-6-listed-while-it-sends",
        client: "198.19.0.10",
        does: Does::SendsAndIsListed,
        expected: ("message", "sys-deny-ip"),
    },
    Row {
        name: "s0-7-taken-off-the-list",
        client: "198.19.1.11",
        does: Does::ConnectsAndIsTakenOff,
        expected: ("connect", "sys-deny-ip"),
    },
    Row {
        name: "s1-1-zone-at-connect",
        client: "198.18.0.4",
        does: Does::Connects,
        expected: ("connect", "dns-deny"),
    },
    Row {
        name: "s1-6-dynamic-range",
        client: "198.18.0.5",
        does: Does::Connects,
        expected: ("connect", "dns-deny"),
    },
    Row {
        name: "s2-3-open-proxy-at-connect",
        client: "198.18.7.7",
        does: Does::Connects,
        expected: ("connect", "open-proxy"),
    },
    Row {
        name: "s2-5-open-proxy-in-a-hop-of-a-good-client",
        client: "198.18.0.6",
        does: Does::Sends(
            "Received: from a ([198.18.0.6]) by b.example; Sun, 29 Nov 2026 20:00:00 +0000\n\
             Received: from b ([198.18.8.8]) by c.example; Sun, 29 Nov 2026 19:00:00 +0000\n",
        ),
        expected: ("message", "open-proxy"),
    },
    Row {
        name: "s3-5-delayed-by-score",
        client: "198.18.5.5",
        does: Does::Connects,
        expected: ("connect", "iprep-delay"),
    },
    Row {
        name: "s3-3-rejected-by-score",
        client: "198.18.6.6",
        does: Does::Connects,
        expected: ("connect", "iprep-reject"),
    },
    Row {
        name: "s4-1-outbound",
        client: "198.18.0.7",
        does: Does::Sends(""),
        expected: ("message", "outbound"),
    },
    Row {
        name: "s4-4-dns-does-not-tell",
        client: "198.18.0.8",
        does: Does::Relays,
        expected: ("recipient", "dns-tempfail"),
    },
    Row {
        name: "nothing-against-it",
        client: "198.18.0.9",
        does: Does::Sends(""),
        expected: ("message", "accept"),
    },
];

fn site() -> Site {
    let received = "hops = \"all\"";
    Site::without_kernel()
        .top("trusted_relays = [\"198.18.0.3\"]\nrecipient_domains = [\"example.org\"]")
        .tables("[dns]\nresolvers = [\"127.0.0.1:53\"]\nbudget = \"1s\"\n[score]\ndelay_mode = \"static\"")
        .tables("[[zone]]\nname = \"zen\"\ndomain = \"zen.example\"\nlabel = \"Example Zen\"\nclass = \"third-party-bad\"\naction = \"reject\"\nmatch = [\"127.0.0.[2..9]\", \"127.0.0.[10..11]*dynamic\"]")
        .tables("[[acceptance]]\nname = \"office\"\ndirection = \"outbound\"\naddresses = [\"198.18.0.7\"]\ndomains = [\".office.example\"]")
        .list("office-bad", "local-bad", "action = \"reject\"", "198.51.100.0/24 sends spam\n")
        .list("seen", "global-bad", &format!("action = \"observe\"\n{received}"), "203.0.113.0/24\n")
        .list("proxies", "open-proxy", "action = \"reject\"", "198.18.7.0/24\n")
        .list("proxy-hops", "open-proxy", &format!("action = \"reject-message\"\n{received}"), "198.18.8.0/24\n")
        .list("partners", "local-good", "", "198.18.0.6 a partner\n")
        .list("suspects", "global-bad", "action = \"score\"\nweight = 550", "198.18.5.0/24\n")
        .list("spammers", "global-bad", "action = \"score\"\nweight = 700", "198.18.6.0/24\n")
}

fn resolver(stage: &Stage) -> DnsServer {
    let server =
        stage.edge.run(|| DnsServer::start("127.0.0.1:53".parse().unwrap())).unwrap().unwrap();
    server.test_points("zen.example");
    let list = |address: &str, code: [u8; 4], text| {
        server.list_zone("zen.example", &[(address.parse().unwrap(), code.into(), Some(text))]);
    };
    list("198.18.0.4", [127, 0, 0, 4], "see the page");
    list("198.18.0.5", [127, 0, 0, 10], "a dynamic range");
    let name = harness::dns_zones::ptr_name("198.18.0.8".parse::<IpAddr>().unwrap());
    server.set(&name, Behaviour::ServFail);
    server
}

/// Does what the row says.
fn act(stage: &Stage, row: &Row) {
    let client: IpAddr = row.client.parse().unwrap();
    match row.does {
        Does::Connects => {
            let mut session = stage.connect(client).unwrap();
            session.reply().unwrap();
            session.send_line("QUIT").unwrap();
        }
        Does::Sends(fields) => {
            let mut session = stage.greeted(row.client).unwrap();
            let message = format!("{fields}Message-ID: <one@example.com>\nSubject: hello\n\nx\n");
            session.deliver("a@example.com", &["b@example.org"], &message).unwrap();
        }
        Does::Relays => {
            let mut session = stage.greeted(row.client).unwrap();
            session.command("MAIL FROM:<a@example.com>").unwrap();
            session.command("RCPT TO:<b@example.net>").unwrap();
        }
        Does::SendsAndIsListed => {
            let mut session = stage.greeted(row.client).unwrap();
            for line in ["MAIL FROM:<a@example.com>", "RCPT TO:<b@example.org>", "DATA"] {
                assert!(session.command(line).unwrap().is_positive(), "{line}");
            }
            session.send_raw(b"Subject: hello\r\n\r\nx\r\n").unwrap();
            list(stage, "add", row.client);
            session.send_raw(b"y\r\n.\r\n").unwrap();
            assert!(!session.reply().unwrap().is_positive());
            list(stage, "remove", row.client);
        }
        Does::ConnectsAndIsTakenOff => {
            list(stage, "add", row.client);
            stage.connect(client).unwrap().expect(554).unwrap();
            list(stage, "remove", row.client);
        }
    }
}

/// Changes the list of the site by hand, and waits until that is in force.
fn list(stage: &Stage, what: &str, address: &str) {
    let before = stage.status_number("/rules/version").unwrap();
    let reason: &[&str] = if what == "add" { &["--reason", "asked for by hand"] } else { &[] };
    let all = [&["list", what, "office-bad", address], reason].concat();
    let output = stage.home.cli(&all).unwrap();
    assert!(output.status.success(), "{all:?}: {output:?}");
    stage.wait_for_rules_after(before).unwrap();
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/stories").join(format!("{name}.txt"))
}

/// A story with what differs from run to run replaced.
fn settled(stage: &Stage, story: &str, reference: &str) -> String {
    let story = story.replace(reference, "REFERENCE");
    let story = story.replace(&stage.home.path().display().to_string(), "DIR");
    let is_time = |word: &str| word.len() >= 5 && word.as_bytes()[2] == b':';
    let lines = story.lines().map(|line| {
        let words: Vec<_> = line
            .split(' ')
            .map(|word| match word {
                word if is_time(word) => "TIME",
                word if word.len() == 5 && word.as_bytes()[2] == b'-' => "DAY",
                word if word.len() == 10 && word.as_bytes()[4] == b'-' => "DAY",
                word if word.len() > 10 && word.parse::<u64>().is_ok() => "VERSION",
                word if word.len() > 10
                    && word.strip_suffix(',').is_some_and(|it| it.parse::<u64>().is_ok()) =>
                {
                    "VERSION,"
                }
                word => word,
            })
            .collect();
        words.join(" ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn every_scenario_of_the_articles_has_its_story() {
    if !needs::root() {
        return;
    }
    let clients: Vec<_> = ROWS.iter().map(|row| row.client).collect();
    let stage = site().stage(&clients).unwrap();
    let _dns = resolver(&stage);
    let daemon = stage.start().unwrap();
    wait_for("the zone", LONG, || {
        let zones = stage.home.cli_json(&["zones", "--json"])?;
        Ok((zones[0]["state"] == "healthy").then_some(()))
    })
    .unwrap();
    let mut different = Vec::new();
    for row in ROWS {
        act(&stage, row);
        let (phase, code) = row.expected;
        let record: Value = stage.records(row.client, phase, 1).unwrap().remove(0);
        assert_eq!(record["code"], code, "{}: {record:#}", row.name);
        let reference = record["reference"].as_str().unwrap();
        let output = stage.home.cli(&["why", reference]).unwrap();
        assert!(output.status.success(), "{}: {output:?}", row.name);
        let story = settled(&stage, str::from_utf8(&output.stdout).unwrap(), reference);
        let file = golden(row.name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&file, &story).unwrap();
        }
        if fs::read_to_string(&file).unwrap_or_default() != story {
            different.push(format!("{}:\n{story}", row.name));
        }
    }
    daemon.terminate().unwrap();
    assert!(
        different.is_empty(),
        "read them, and write them with UPDATE_DOCS=1 if they are good:\n{}",
        different.join("\n")
    );
}

/// S0.7, S1.4: the kernel's refusals have no record each, but a reference that says list and minute; and the entry is told when it is
/// gone.
#[test]
fn a_refusal_in_the_kernel_is_told_from_reference_and_address_also_when_the_entry_is_gone() {
    const REFUSED: &str = "198.51.100.66";
    if !needs::root() {
        return;
    }
    let stage = Site::with_kernel()
        .xdp("interfaces = [\"eth0\"]\nmode = \"native\"\n")
        .list("bad", "local-bad", "", &format!("{REFUSED} sends spam\n"))
        .stage(&[REFUSED])
        .unwrap();
    let daemon = stage.start().unwrap();
    let mut client = stage.connect(REFUSED.parse().unwrap()).unwrap();
    let greeting = client.expect(554).unwrap().text();
    let reference = greeting.rsplit(' ').next().unwrap().to_owned();
    let why = |arguments: &[&str]| {
        let output = stage.home.cli(&[&["why"], arguments].concat()).unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let by_reference = why(&[&reference, "--client", REFUSED]);
    for line in ["refused in the kernel", "mx1.example.org", "bad", "given to this address"] {
        assert!(by_reference.contains(line), "{line} in\n{by_reference}");
    }
    stage.records(REFUSED, "kernel", 1).unwrap();
    let by_address = why(&[REFUSED]);
    for line in [
        "now: System denied IP (sys-deny-ip), reject",
        "the kernel filter: refuse by list bad",
        "now: list bad has 198.51.100.66",
        "Refused in the kernel, before there was a connection",
    ] {
        assert!(by_address.contains(line), "{line} in\n{by_address}");
    }
    let answer = stage.home.cli_json(&["why", "--json", REFUSED]).unwrap();
    let then = answer["stories"][0]["time"].as_str().unwrap().to_owned();
    stage.home.cli(&["list", "remove", "bad", REFUSED]).unwrap();
    let now = why(&[REFUSED]);
    for line in ["no list has 198.51.100.66", "198.51.100.66 was removed from list bad by", "no:"] {
        assert!(now.contains(line), "{line} in\n{now}");
    }
    let before = why(&[REFUSED, "--at", &then]);
    assert!(before.contains(&format!("at {then}: list bad has 198.51.100.66")), "{before}");
    assert!(before.contains(", until "), "{before}");
    daemon.terminate().unwrap();
}
