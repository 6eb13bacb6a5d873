//! The cases of the demo: who tries what, and who should decide it how.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use harness::dns_server::{Behaviour, DnsServer};
use harness::stage::Stage;

/// The /16 from which the burst comes.
pub(super) const FLOOD_NETWORK: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 0);

/// One sender that tries something.
#[derive(Debug)]
pub(super) struct Case {
    /// The stable name.
    pub(super) name: &'static str,
    /// The address from which it connects.
    pub(super) client: IpAddr,
    /// What it is and does, for people.
    pub(super) story: &'static str,
    /// What somebody types before it comes: the arguments of `portcullis`.
    pub(super) typed: &'static [&'static str],
    /// How long it waits before it comes.
    pub(super) after: Duration,
    /// The recipient of its message.
    pub(super) recipient: &'static str,
    /// The message that it sends when it is let in.
    pub(super) message: &'static str,
    /// Who should decide.
    pub(super) decided_by: DecidedBy,
    /// The code of the verdict.
    pub(super) code: &'static str,
    /// What should be done.
    pub(super) action: &'static str,
    /// The first digits of the last reply; `None` where there should be none.
    pub(super) reply: Option<&'static str>,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DecidedBy {
    /// The XDP program, before there was a connection.
    Kernel,
    /// The daemon, in the dialogue.
    Daemon,
}

const CONFIG: &str = r#"
hostname = "mx1.example.org"
recipient_domains = ["example.org"]
state_dir = "{dir}/state"
trusted_relays = ["198.51.100.25"]

[xdp]
interfaces = ["eth0"]
mode = "auto"
action = "refuse"
pin_dir = "{pins}"

[admin]
socket = "{dir}/admin.sock"

[audit]
file = "{dir}/audit.jsonl"

[[listener]]
address = "[::]:25"

[next_hop]
address = "{next_hop}"
client = "xclient"

[dns]
resolvers = ["127.0.0.1:53"]

[[zone]]
name = "bl.example.net"
label = "Example Blocklist"
class = "third-party-bad"
match = ["127.0.0.[2..9]", "127.0.0.[10..11]*dynamic"]

[[zone]]
name = "dead.example.net"
class = "third-party-bad"

[[acceptance]]
name = "office"
direction = "outbound"
addresses = ["198.18.3.0/24"]

[score]
allow = 0
delay = 20
reject = 80

[greylist]
wait = "2s"
"#;

/// Name, class, further keys and entries of each list.
const LISTS: [(&str, &str, &str, &str); 9] = [
    ("office-good", "local-good", "", "203.0.113.10  # our partner inside a bad network"),
    (
        "office-bad",
        "local-bad",
        "",
        "198.51.100.66  # sent a virus\n2001:db8:bad::/48  # a bad hoster",
    ),
    ("world-bad", "global-bad", "", "203.0.113.0/24 ; SBL-EXAMPLE"),
    ("rude", "global-bad", "kernel = \"reset\"", "198.18.66.0/24"),
    ("flood", "global-bad", "kernel = \"drop\"", "198.19.0.0/16"),
    ("suspects", "global-bad", "action = \"score\"\nweight = 550", "198.18.0.50\n198.18.0.75"),
    ("residential", "global-bad", "action = \"score\"\nweight = 200", "198.18.0.75"),
    ("careless", "global-bad", "", "198.18.3.0/24"),
    ("open-proxies", "open-proxy", "action = \"reject-message\"", "198.18.99.0/24"),
];

/// The zone that lists some of the senders.
const ZONE: &str = "bl.example.net";
/// The zone that does not answer, and must not matter.
const DEAD_ZONE: &str = "dead.example.net";

/// A recipient of ours.
const OURS: &str = "b@example.org";

const CLEAN: &str =
    "Subject: hello\nFrom: <a@example.com>\nTo: <b@example.org>\n\nNothing is wrong with me.\n";

const THROUGH_PROXY: &str = "Received: from relay.example.com (relay.example.com [198.18.1.3]) by out.example.com; Mon, 1 Jan 2024 12:00:02 +0000
Received: from lan.example.com (lan.example.com [10.1.2.3]) by relay.example.com; Mon, 1 Jan 2024 12:00:01 +0000
Received: from zombie (unknown [198.18.99.7]) by lan.example.com; Mon, 1 Jan 2024 12:00:00 +0000
Subject: cheap watches

Buy now.
";

const THROUGH_OUR_RELAY: &str = "Received: from bad.example.net (bad.example.net [203.0.113.200]) by backup-mx.example.org; Mon, 1 Jan 2024 12:00:00 +0000
Subject: round the back

I came in through your backup MX.
";

/// All cases, in the order in which they are played.
pub(super) fn cases() -> Vec<Case> {
    let kernel = |name, client: [u8; 4], story, code, action| Case {
        name,
        client: client.into(),
        story,
        typed: &[],
        after: Duration::ZERO,
        recipient: OURS,
        message: CLEAN,
        decided_by: DecidedBy::Kernel,
        code,
        action,
        reply: None,
    };
    let refused = |case| Case { reply: Some("554"), ..case };
    let daemon = |name, client: [u8; 4], story, message, code, action, reply| Case {
        name,
        client: client.into(),
        story,
        typed: &[],
        after: Duration::ZERO,
        recipient: OURS,
        message,
        decided_by: DecidedBy::Daemon,
        code,
        action,
        reply: Some(reply),
    };
    vec![
        refused(kernel(
            "listed-host",
            [198, 51, 100, 66],
            "is on our own list",
            "sys-deny-ip",
            "refuse",
        )),
        refused(kernel(
            "listed-prefix",
            [203, 0, 113, 77],
            "sits in a listed /24",
            "global-deny-ip",
            "refuse",
        )),
        daemon(
            "allowed-host-in-listed-prefix",
            [203, 0, 113, 10],
            "sits in the same /24, but is on our good list",
            CLEAN,
            "sys-allow-ip",
            "accept",
            "250",
        ),
        Case {
            client: IpAddr::from([0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0x66]),
            ..refused(kernel(
                "listed-ipv6",
                [0; 4],
                "comes over IPv6 from a listed /48",
                "sys-deny-ip",
                "refuse",
            ))
        },
        kernel(
            "reset-prefix",
            [198, 18, 66, 6],
            "is on a list that the kernel resets",
            "global-deny-ip",
            "reset",
        ),
        kernel(
            "dropped-prefix",
            [198, 19, 7, 7],
            "is on a list that the kernel drops",
            "global-deny-ip",
            "drop",
        ),
        daemon(
            "greylisted",
            [198, 18, 0, 50],
            "scores 550: doubtful, and nobody knows it",
            CLEAN,
            "greylist",
            "defer",
            "451",
        ),
        Case {
            after: Duration::from_millis(2100),
            ..daemon(
                "greylist-retry",
                [198, 18, 0, 50],
                "comes again two seconds later, as mail servers do",
                CLEAN,
                "accept",
                "accept",
                "250",
            )
        },
        daemon(
            "score-reject",
            [198, 18, 0, 75],
            "scores 750: too much",
            CLEAN,
            "iprep-reject",
            "reject",
            "554",
        ),
        daemon(
            "open-proxy-in-received",
            [198, 18, 1, 2],
            "is clean, but received[2] of its message is an open proxy",
            THROUGH_PROXY,
            "open-proxy",
            "reject-message",
            "550",
        ),
        daemon(
            "listed-behind-relay",
            [198, 51, 100, 25],
            "is our own relay; the host before it is listed",
            THROUGH_OUR_RELAY,
            "global-deny-ip",
            "reject",
            "554",
        ),
        daemon(
            "listed-by-a-zone",
            [198, 18, 2, 20],
            "is listed by a DNS zone",
            CLEAN,
            "dns-deny",
            "reject",
            "554",
        ),
        daemon(
            "dynamic-by-a-zone",
            [198, 18, 2, 21],
            "is a dynamic address, says the zone",
            CLEAN,
            "dns-deny",
            "reject",
            "554",
        ),
        Case {
            recipient: "somebody@elsewhere.example",
            ..daemon(
                "outbound",
                [198, 18, 3, 3],
                "is one of our own, on a bad list, and writes to somebody elsewhere",
                CLEAN,
                "outbound",
                "accept",
                "250",
            )
        },
        daemon("clean", [198, 18, 1, 2], "sends clean mail", CLEAN, "accept", "accept", "250"),
        Case {
            typed: &[
                "list",
                "add",
                "office-bad",
                "198.18.1.2",
                "--reason",
                "changed its mind",
                "--for",
                "1h",
            ],
            ..refused(kernel(
                "added-by-hand",
                [198, 18, 1, 2],
                "has been added by hand a moment ago",
                "sys-deny-ip",
                "refuse",
            ))
        },
        Case {
            typed: &["list", "remove", "office-bad", "198.18.1.2"],
            ..daemon(
                "removed-by-hand",
                [198, 18, 1, 2],
                "has been taken out again",
                CLEAN,
                "accept",
                "accept",
                "250",
            )
        },
    ]
}

/// The hosts, the lists, the zones and the configuration for all cases.
pub(super) fn stage() -> Result<(Stage, DnsServer)> {
    let mut config = CONFIG.to_owned();
    for (name, class, keys, _entries) in LISTS {
        writeln!(
            config,
            "\n[[list]]\nname = \"{name}\"\nclass = \"{class}\"\nfile = \"{name}.txt\"\n{keys}"
        )?;
    }
    let mut senders: Vec<_> = cases().iter().map(|case| case.client).collect();
    senders.sort_unstable();
    senders.dedup();
    let stage = Stage::new(&config, &senders)?;
    for (name, _class, _keys, entries) in LISTS {
        stage.home.write(&format!("{name}.txt"), &format!("{entries}\n"))?;
    }
    let dns = stage.edge.run(|| DnsServer::start(SocketAddr::from(([127, 0, 0, 1], 53))))??;
    let listed = |last, code| (IpAddr::from([198, 18, 2, last]), Ipv4Addr::new(127, 0, 0, code));
    let entries = [listed(20, 2), listed(21, 10)].map(|(ip, code)| (ip, code, None));
    dns.list_zone(ZONE, &entries);
    dns.test_points(ZONE);
    dns.outage(DEAD_ZONE, Behaviour::ServFail);
    Ok((stage, dns))
}
