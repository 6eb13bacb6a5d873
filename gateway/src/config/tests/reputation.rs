//! Configurations of zones, DNS, the score, the greylist, acceptance lists, with what becomes of them.

use std::time::Duration;

use gateway_ebpf::abi::KernelAction;

use super::{HOSTNAME, check_faults, check_notices, config};
use crate::config::Config;
use crate::direction::Direction;
use crate::list::{HopScope, ListAction, Weight};
use crate::policy::EvidenceWeights;
use crate::sender::{Greylist, HistorySettings, PromotionSettings};
use crate::zone::{OnDnsError, ZoneClass};

fn zone(keys: &str) -> String {
    format!("[[zone]]\nname = \"zen.example.org\"\n{keys}\n")
}

const BAD: &str = "class = \"third-party-bad\"";
const GOOD: &str = "class = \"third-party-good\"";

#[test]
fn what_a_zone_does_follows_from_its_class() {
    let score = |weight| ListAction::Score(Weight::new(weight).unwrap());
    for (keys, action, hops) in [
        (BAD.to_owned(), ListAction::Reject, HopScope::Connect),
        (GOOD.to_owned(), ListAction::Accept, HopScope::All),
        (format!("{GOOD}\naction = \"score\"\nweight = -300"), score(-300), HopScope::Connect),
        (format!("{BAD}\naction = \"tag\""), ListAction::Tag, HopScope::All),
        (format!("{BAD}\naction = \"quarantine\""), ListAction::Quarantine, HopScope::All),
        (
            format!("{BAD}\naction = \"score\"\nmatch = [\"127.0.0.2*600\"]"),
            score(0),
            HopScope::Connect,
        ),
        (format!("{BAD}\nhops = \"all\""), ListAction::Reject, HopScope::All),
    ] {
        let zone = &config(&zone(&keys)).zones[0];
        assert_eq!((zone.action, zone.hops), (action, hops), "{keys}");
        assert_eq!((&*zone.name, &*zone.label), ("zen.example.org", "zen.example.org"));
        assert_eq!(zone.domain.public(), "zen.example.org");
    }
}

#[test]
fn all_keys_of_a_zone_resolve() {
    let config = config(
        "[[zone]]\nname = \"zen\"\ndomain = \"Zen.Example.org\"\nlabel = \"Example Zen\"\nclass = \"open-proxy\"\n\
         match = [\"127.0.0.[2..9]*600\", \"=127.0.0.10*dynamic\"]\naction = \"score\"\nweight = 100\nhops = \"all\"\n\
         on_dns_error = \"defer\"\nfamilies = [\"ipv6\"]\ntest_points = false\nenforce = false\n\
         [[zone]]\nname = \"zen-2\"\ndomain = \"zen.example.org\"\nclass = \"third-party-bad\"\n",
    );
    let zone = &config.zones[0];
    assert_eq!((&*zone.name, &*zone.label), ("zen", "Example Zen"));
    assert_eq!(zone.domain.public(), "zen.example.org");
    assert_eq!(zone.class, ZoneClass::OpenProxy);
    let filters: Vec<_> = zone.filters.iter().map(ToString::to_string).collect();
    assert_eq!(filters, ["127.0.0.[2..9]*600", "127.0.0.10*dynamic"]);
    assert_eq!(zone.action, ListAction::Score(Weight::new(100).unwrap()));
    assert_eq!((zone.hops, zone.on_dns_error), (HopScope::All, OnDnsError::Defer));
    assert!(!zone.families.ipv4 && zone.families.ipv6 && !zone.test_points && !zone.enforce);
    assert_eq!(config.zones.len(), 2);
}

#[test]
fn faults_of_zones() {
    check_faults(
        "[[zone]]",
        &[
            "2:zone.name: missing, expected the name of the zone",
            "2:zone.class: missing, expected one of third-party-good, open-proxy, third-party-bad",
        ],
    );
    check_faults(
        "[[zone]]\nname = \"a b\"\ndomain = \"a..b\"\nclass = \"bad\"\nmatch = [\"127.0.0\"]\nfamilies = []\non_dns_error = \"reject\"",
        &[
            "2:zone.families: missing, expected ipv4, ipv6 or both",
            "3:zone.name: \"a b\", expected a domain, or a name of at most 64 letters, digits, hyphens, dots and underscores",
            "4:zone.domain: \"a..b\", expected a domain name like \"zen.example.org\"",
            "5:zone.class: \"bad\", expected one of third-party-good, open-proxy, third-party-bad",
            "6:zone.match: \"127.0.0\": expected a pattern like 127.0.0.2, 127.0.0.[2..11] or 127.0.[0;2].[1..9]",
            "8:zone.on_dns_error: \"reject\", expected one of open, defer",
        ],
    );
    for (keys, expected) in [
        (
            format!("{GOOD}\naction = \"reject\""),
            "5:zone.action: \"reject\", expected one of accept, score for class \"third-party-good\"",
        ),
        (
            format!("{BAD}\naction = \"score\"\nmatch = [\"127.0.0.2*600\", \"127.0.0.3\"]"),
            "5:zone.action: \"score\" without weight, expected weight, -1000 to 1000",
        ),
        (
            format!("{BAD}\nmatch = [\"127.0.0.2*600\"]"),
            "5:zone.match: \"127.0.0.2*600\" with action \"reject\", expected a weight with action \"score\" only",
        ),
        (
            format!("{BAD}\nweight = 5"),
            "5:zone.weight: 5 with action \"reject\", expected a weight with action \"score\" only",
        ),
    ] {
        check_faults(&zone(&keys), &[expected]);
    }
    check_faults(
        &zone(BAD).repeat(2),
        &["6:zone.name: \"zen.example.org\", the name of the zone at 3, expected another"],
    );
    let one = |number: u8| format!("[[zone]]\nname = \"z{number}\"\n{BAD}\n");
    let many: String = (0..33).map(one).collect();
    check_faults(&many, &["99:zone.name: \"z32\", zone number 33, expected at most 32 zones"]);
}

#[test]
fn ended_zones_are_told() {
    check_notices(
        &format!("[[zone]]\nname = \"old\"\ndomain = \"dul.dnsbl.sorbs.net\"\n{BAD}\n"),
        &["4:zone.domain: dul.dnsbl.sorbs.net: it ended in June 2024"],
    );
}

/// The faults or notices of `text` in a folder with the file `key`, which other users may read where `mode` says so.
fn with_file(text: &str, content: &str, mode: u32) -> Result<(Config, Vec<String>), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let main = folder.path().join("main.toml");
    std::fs::write(&main, format!("{HOSTNAME}{text}")).unwrap();
    let short = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    match Config::load(&main) {
        Ok((config, notices)) => {
            Ok((config, notices.iter().map(|notice| short(notice.to_string())).collect()))
        }
        Err(faults) => Err(short(faults.to_string())),
    }
}

#[test]
fn an_access_key_is_asked_and_never_shown() {
    let text = zone(&format!("key_file = \"key\"\n{BAD}"));
    let (config, notices) = with_file(&text, " S3cret \nmore\n", 0o640).unwrap();
    let domain = &config.zones[0].domain;
    assert_eq!(domain.test_question(true, false), "2.0.0.127.s3cret.zen.example.org.");
    assert!(!format!("{config:?}").contains("s3cret"));
    assert!(notices.is_empty(), "{notices:?}");
    let (_, notices) = with_file(&text, "s3cret", 0o644).unwrap();
    assert_eq!(
        notices,
        [
            "main.toml:4:zone.key_file: every user of this host may read the access key: chmod o= takes that away"
        ]
    );
    let long = "x".repeat(64);
    for (content, keys, expected) in [
        ("", "", "4:zone.key_file: an empty first line, expected the access key in it"),
        ("\ns3cret", "", "4:zone.key_file: an empty first line, expected the access key in it"),
        (
            "s3cret key",
            "",
            "4:zone.key_file: an access key that can be no part of a name, expected",
        ),
        (&long, "", "4:zone.key_file: an access key that can be no part of a name, expected"),
        (
            "s3cret",
            "label = \"Zone of S3cret\"",
            "6:zone.label: a text that holds the access key, expected one without it",
        ),
        (
            "s3cret",
            "domain = \"s3cret.example.org\"",
            "6:zone.domain: a text that holds the access key, expected one without it",
        ),
    ] {
        let fault = with_file(&format!("{text}{keys}"), content, 0o600).unwrap_err();
        assert!(fault.starts_with(&format!("main.toml:{expected}")), "{fault}");
        assert!(!fault.to_ascii_lowercase().contains("s3cret") && fault.lines().count() == 1);
    }
    check_faults(
        &text.replace("\"key\"", "\"n0ne\""),
        &[
            "4:zone.key_file: No such file or directory (os error 2), expected a readable file with the access key in its first line",
        ],
    );
}

#[test]
fn dns_resolves() {
    let dns = |text: &str| config(text).dns;
    let default = dns("");
    assert!(default.resolvers.is_empty() && default.ptr);
    let dns = dns(
        "[dns]\nresolvers = [\"192.0.2.53\", \"[2001:db8::53]:5353\", \"2001:db8::53\"]\nbudget = \"500ms\"\nptr = false",
    );
    let resolvers: Vec<_> = dns.resolvers.iter().map(ToString::to_string).collect();
    assert_eq!(resolvers, ["192.0.2.53:53", "[2001:db8::53]:5353", "[2001:db8::53]:53"]);
    assert_eq!((dns.budget, dns.ptr), (Duration::from_millis(500), false));
    let running = config("");
    assert_eq!(config("dns.ptr = false").needs_restart(&running).as_deref(), Some("[dns]"));
    let others = format!("score.connect = false\ngreylist.wait = \"1m\"\n{}", zone(BAD));
    assert_eq!(config(&others).needs_restart(&running), None);
    check_faults(
        "[dns]\nresolvers = [\"dns.example\", \"0.0.0.0\"]\nbudget = \"31s\"\nptr = \"no\"",
        &[
            "3:dns.resolvers: \"dns.example\", expected the IP address of a resolver, or one with a port, like \"192.0.2.53\" or \"[2001:db8::53]:53\"",
            "3:dns.resolvers: \"0.0.0.0\", expected the IP address of a resolver, or one with a port, like \"192.0.2.53\" or \"[2001:db8::53]:53\"",
            "4:dns.budget: \"31s\", expected a time like \"500ms\" or \"2s\", from 100ms to 30s",
            "5:dns.ptr: \"no\", expected true or false",
        ],
    );
}

/// S4.2
#[test]
fn reverse_names_are_not_switched_off_where_something_needs_them() {
    let domains =
        "[[acceptance]]\nname = \"a\"\ndirection = \"inbound\"\ndomains = [\".example.org\"]\n";
    let evidence = "score.evidence.ptr_generic = 5\n";
    let hint =
        "hint: who has such a name, only a reverse lookup tells; take that away, or ptr = false";
    let off = "dns.ptr = false\n";
    check_faults(
        &format!("{off}{evidence}{domains}"),
        &[
            &format!(
                "2:dns.ptr: false with `domains` of [[acceptance]] at 7, expected true {hint}"
            ),
            &format!("2:dns.ptr: false with ptr_generic at 3, expected true {hint}"),
        ],
    );
    check_faults(&format!("{evidence}{domains}"), &[]);
    check_faults(
        &format!("{off}{}", domains.replace("domains", "hosts").replace(".ex", "ex")),
        &[],
    );
    check_faults(&format!("{off}score.evidence.ptr_generic = 0"), &[]);
    check_faults(&format!("{off}{evidence}score.enabled = false"), &[]);
}

#[test]
fn acceptance_lists() {
    let text = "[[acceptance]]\nname = \"office\"\ndirection = \"outbound\"\naddresses = [\"192.0.2.0/28\"]\nhosts = [\"Mail.example.org\"]\ndomains = [\".Example.org\"]\n";
    let list = &config(text).acceptance[0];
    assert_eq!((&*list.name, list.direction), ("office", Direction::Outbound));
    assert_eq!(list.addresses, ["192.0.2.0/28".parse().unwrap()]);
    assert_eq!((&*list.hosts[0], &*list.domains[0]), ("mail.example.org", ".example.org"));
    check_faults(
        &text.repeat(2),
        &["9:acceptance.name: \"office\", the name of the acceptance list at 3, expected another"],
    );
    check_faults(
        "[[acceptance]]\nhosts = []\n[[acceptance]]\nname = \"a\"\ndirection = \"auto\"\naddresses = [\"10.0.0.0/7\"]\nhosts = [\".a\"]\ndomains = [\"*.a\"]",
        &[
            "2:acceptance.name: missing, expected the name of the list",
            "2:acceptance.direction: missing, expected inbound or outbound",
            "2:acceptance.addresses: missing, expected an entry of addresses, hosts or domains",
            "6:acceptance.direction: \"auto\", expected one of inbound, outbound",
            "7:acceptance.addresses: \"10.0.0.0/7\", expected at the widest /8 for IPv4 hint: an outbound list says who may send to anybody; name your own hosts only",
            "8:acceptance.hosts: \".a\", expected a domain name like \"example.org\"",
            "9:acceptance.domains: \"*.a\", expected a domain name like \"example.org\"",
        ],
    );
}

/// B0: behind a listener that takes everybody for our own, somebody must look who he is.
#[test]
fn an_outbound_listener_is_no_open_relay() {
    let text = |list: &str| {
        format!(
            "recipient_domains = [\"example.org\"]\n[[listener]]\naddress = \"10.0.0.1:25\"\ndirection = \"outbound\"\n[next_hop]\naddress = \"127.0.0.1:10025\"\nclient = \"none\"\n{list}"
        )
    };
    let list = |direction, entry| {
        format!("[[acceptance]]\nname = \"a\"\ndirection = \"{direction}\"\n{entry}\n")
    };
    let fault = "8:next_hop.client: \"none\" with the outbound listener at 5, expected an outbound [[acceptance]] list with addresses or hosts \
        hint: it would be an open relay for all who reach that listener, since the next hop sees every client as this host; \
        say who may send, or let the next hop see the client";
    for (list, is_open) in [
        (String::new(), true),
        (list("inbound", "addresses = [\"10.0.0.0/8\"]"), true),
        (list("outbound", "domains = [\"example.org\"]"), true),
        (list("outbound", "addresses = [\"10.0.0.0/8\"]"), false),
        (list("outbound", "hosts = [\"example.org\"]"), false),
    ] {
        let expected: &[&str] = if is_open { &[fault] } else { &[] };
        check_faults(&text(&list), expected);
        check_faults(&text(&list).replace("none", "proxy"), &[]);
        check_faults(&text(&list).replace("\"outbound\"\n[next", "\"inbound\"\n[next"), &[]);
    }
}

#[test]
fn an_outbound_listener_that_strangers_may_reach_is_told() {
    for (address, is_open) in [
        ("0.0.0.0:25", true),
        ("[::]:25", true),
        ("192.0.2.1:25", true),
        ("10.0.0.1:25", false),
        ("127.0.0.1:25", false),
        ("[fd00::1]:25", false),
    ] {
        let notice = format!(
            "4:listener.direction: \"outbound\" on {address}, which strangers may reach: let a firewall, or an address inside, keep them away"
        );
        let expected: &[&str] = if is_open { &[&notice] } else { &[] };
        let text = |direction: &str| {
            format!("[[listener]]\naddress = \"{address}\"\ndirection = \"{direction}\"")
        };
        check_notices(&text("outbound"), expected);
        check_notices(&text("auto"), &[]);
    }
}

#[test]
fn the_score_resolves() {
    let default = config("");
    assert!(default.score.greylist && default.score.connect && default.score.message);
    assert_eq!(default.score.evidence, EvidenceWeights::default());
    assert_eq!(default.history, HistorySettings::default());
    let config = config(
        "[score]\ndelay_mode = \"static\"\nconnect = false\nexempt_domains = [\"Example.org\", \".example.org\"]\n\
         [score.evidence]\nptr_missing = 5\nearly_talking = 0\nrefused = 1\nhalf_life = \"1d\"",
    );
    assert!(!config.score.greylist && !config.score.connect && config.score.message);
    assert_eq!(config.score.exempt_domains, [".example.org", "example.org"]);
    let evidence = EvidenceWeights { ptr_missing: 5, ..EvidenceWeights::default() };
    assert_eq!(config.score.evidence, evidence);
    assert!(evidence.needs_ptr() && !EvidenceWeights::default().needs_ptr());
    let history = HistorySettings {
        early_talking: 0,
        refused: 1,
        half_life: Duration::from_hours(24),
        ..HistorySettings::default()
    };
    assert_eq!(config.history, history);
    check_faults(
        "[score.evidence]\nhelo_forged = 1001\nhelo_invalid = -1001\nhalf_life = \"5s\"\nptr = 1",
        &[
            "3:score.evidence.helo_forged: 1001, expected a number from -1000 to 1000",
            "4:score.evidence.helo_invalid: -1001, expected a number from -1000 to 1000",
            "5:score.evidence.half_life: \"5s\", expected a time like \"30m\" or \"6h\", from 1m to 30d",
            "6:score.evidence.ptr: unknown key, expected one of ptr_missing, ptr_unconfirmed, ptr_generic, helo_invalid, helo_forged, early_talking, refused, refused_most, network_refused, network_refused_most, delivered, delivered_most, half_life hint: `ptr` belongs to [dns]",
        ],
    );
    check_notices(
        "[score]\nconnect = false\nmessage = false",
        &[
            "2:score.connect: connect and message are false: the score is computed, and nothing is done about it",
        ],
    );
}

#[test]
fn exempt_domains_come_from_a_file_too() {
    let text = "[score]\nexempt_domains = [\"b.example\"]\nexempt_file = \"key\"";
    let (config, _) =
        with_file(text, "# ours\nB.example\n\n.c.example # below\na.example\r\n", 0o644).unwrap();
    assert_eq!(config.score.exempt_domains, [".c.example", "a.example", "b.example"]);
    assert_eq!(
        with_file(text, "a.example\na b\n*.c.example\n", 0o644).unwrap_err(),
        "key:2:score.exempt_file: \"a b\", expected a domain name like \"example.org\"\n\
         key:3:score.exempt_file: \"*.c.example\", expected a domain name like \"example.org\""
    );
    let many = with_file(text, &"*\n".repeat(1000), 0o644).unwrap_err();
    assert!(many.starts_with("key:score.exempt_file: 980 more wrong lines"), "{many}");
    assert_eq!(many.lines().count(), 21);
    assert_eq!(
        with_file(&text.replace("key", "none"), "", 0o644).unwrap_err(),
        "main.toml:4:score.exempt_file: \"none\": No such file or directory (os error 2), expected a readable file with one domain in a line"
    );
}

#[test]
fn the_greylist_and_promotion_resolve() {
    let default = config("");
    assert_eq!(default.greylist, Greylist::default());
    assert_eq!(default.promotion.settings, PromotionSettings::default());
    assert_eq!(default.promotion.kernel, KernelAction::Refuse);
    let config = config(
        "enforce = false\n[greylist]\nwait = \"1m\"\nretry_within = \"2m\"\npass_for = \"365d\"\nnetwork_v4 = 32\nnetwork_v6 = 128\nmost = 1000\n\
         [promotion]\nrefusals = 20\nwindow = \"1h\"\nduration = \"1d\"\nmost = 10\nkernel = \"drop\"",
    );
    let greylist = Greylist {
        wait: Duration::from_mins(1),
        retry_within: Duration::from_mins(2),
        pass_for: Duration::from_hours(365 * 24),
        network_v4: 32,
        network_v6: 128,
        most: 1000,
    };
    assert_eq!(config.greylist, greylist);
    let promotion = PromotionSettings {
        refusals: 20,
        window: Duration::from_hours(1),
        duration: Duration::from_hours(24),
        most: 10,
    };
    assert_eq!(config.promotion.settings, promotion);
    assert_eq!(config.promotion.kernel, KernelAction::Count);
    check_faults(
        "[greylist]\nwait = \"2h\"\nretry_within = \"1h\"\nnetwork_v4 = 7\nnetwork_v6 = 15\nmost = 999\n[promotion]\nrefusals = 101\nmost = 100001\nkernel = \"deny\"",
        &[
            "4:greylist.retry_within: 3600s with wait = 7200s, expected more than the wait, else nobody ever passes",
            "5:greylist.network_v4: 7, expected a number from 8 to 32",
            "6:greylist.network_v6: 15, expected a number from 16 to 128",
            "7:greylist.most: 999, expected a number from 1000 to 10000000",
            "9:promotion.refusals: 101, expected a number from 0 to 100",
            "10:promotion.most: 100001, expected a number from 1 to 100000",
            "11:promotion.kernel: \"deny\", expected one of refuse, reset, drop, count, off",
        ],
    );
}
