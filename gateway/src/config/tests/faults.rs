//! Configurations with what is wrong with them.

use super::{FILE, TABLES, check_faults, check_notices, list, read, read_hosted};
use crate::config::Faults;

#[test]
fn faults_of_the_top() {
    check_faults(
        "trusted_relays = [\"10.0.0.0/7\", \"2001::/15\", \"x\"]",
        &[
            "2:trusted_relays: \"10.0.0.0/7\", expected at the widest /8 for IPv4 hint: the Received fields of a trusted relay are believed; name your own hosts only",
            "2:trusted_relays: \"2001::/15\", expected at the widest /16 for IPv6 hint: the Received fields of a trusted relay are believed; name your own hosts only",
            "2:trusted_relays: `x` is no IP address, expected one like 192.0.2.7 or 2001:db8::7",
        ],
    );
    check_faults(
        "enforce = \"no\"\nstate_dir = 5\nrecipient_domains = \"a\"",
        &[
            "2:enforce: \"no\", expected true or false",
            "3:state_dir: 5, expected a text in quotes",
            "4:recipient_domains: \"a\", expected an array",
        ],
    );
    check_faults(
        "xdp = 1\nlistener = 2\nscore = [3]\nlist = [4]",
        &[
            "2:xdp: 1, expected a table [xdp]",
            "3:listener: 2, expected tables [[listener]] hint: write two brackets: [[listener]]",
            "4:score: an array, expected a table [score]",
            "5:list: 4, expected tables [[list]]",
        ],
    );
    check_faults(
        "state_dir = 1.5\nrecipient_domains = [\"a\", \"A\"]",
        &[
            "2:state_dir: 1.5, expected a text in quotes",
            "3:recipient_domains: \"A\" again, first at 3, expected it once",
        ],
    );
    let hostname = read("hostname = \"a b\"").unwrap_err().to_string();
    assert_eq!(
        hostname,
        format!("{FILE}:1:hostname: \"a b\", expected a domain name like \"example.org\"")
    );
}

#[test]
fn faults_of_unknown_keys() {
    check_faults(
        "recipient_domain = []",
        &[&format!(
            "2:recipient_domain: unknown key, expected one of the tables or keys at the top: {} hint: did you mean `recipient_domains`?",
            TABLES[0].names()
        )],
    );
    check_faults(
        "[xdp]\nmodes = 1\nenforce = false\nfoo = 1",
        &[
            "3:xdp.modes: unknown key, expected one of interfaces, mode, ports, action, refuse_text, answers_per_second, answers_per_network, flood, events_per_second, pin_dir, filter_proxied_ports hint: did you mean `mode`?",
            "4:xdp.enforce: unknown key, expected one of interfaces, mode, ports, action, refuse_text, answers_per_second, answers_per_network, flood, events_per_second, pin_dir, filter_proxied_ports hint: `enforce` belongs to the top of the file or [[list]] or [[zone]]",
            "5:xdp.foo: unknown key, expected one of interfaces, mode, ports, action, refuse_text, answers_per_second, answers_per_network, flood, events_per_second, pin_dir, filter_proxied_ports",
        ],
    );
}

#[test]
fn faults_of_services() {
    let address =
        "an IP address with a port, or a Unix socket like \"unix:/run/portcullis/milter.sock\"";
    check_faults("[milter]", &[&format!("2:milter.address: missing, expected {address}")]);
    check_faults(
        "[milter]\naddress = \"/run/m\"\nsocket_mode = \"9\"\ndirection = \"up\"\nconnections = 0\nport = 1",
        &[
            "3:milter.address: \"/run/m\", expected an IP address with a port, or a Unix socket hint: write \"unix:/run/m\"",
            "4:milter.socket_mode: \"9\", expected the permissions of a file like \"0660\", with 6 for its owner",
            "5:milter.direction: \"up\", expected one of auto, inbound, outbound",
            "6:milter.connections: 0, expected a number from 1 to 1000000",
            "7:milter.port: unknown key, expected one of address, socket_mode, direction, connections",
        ],
    );
    let long = format!("unix:/{}", "x".repeat(107));
    check_faults(
        &format!(
            "[milter]\naddress = \"{long}\"\n[postfix_policy]\naddress = \"unix:\"\nsocket_mode = \"0060\""
        ),
        &[
            &format!(
                "3:milter.address: \"unix:/{}\"…, expected a path of at most 107 octets, for a Unix socket",
                "x".repeat(74)
            ),
            "5:postfix_policy.address: \"unix:\", expected a path of at most 107 octets, for a Unix socket",
            "6:postfix_policy.socket_mode: \"0060\", expected the permissions of a file like \"0660\", with 6 for its owner",
        ],
    );
    check_faults(
        "[[listener]]\naddress = \"127.0.0.1:25\"\n[milter]\naddress = \"127.0.0.1:25\"\n[postfix_policy]\naddress = \"127.0.0.1:25\"",
        &[
            "5:milter.address: \"127.0.0.1:25\" again, expected an address of its own for each front",
            "7:postfix_policy.address: \"127.0.0.1:25\" again, expected an address of its own for each front",
        ],
    );
}

#[test]
fn faults_of_the_filter() {
    check_faults(
        "[xdp]\ninterfaces = [\"eth 0\"]\nmode = \"fast\"\naction = \"deny\"\nports = [0, 25, 25, \"smtp\", 65536]",
        &[
            "3:xdp.interfaces: \"eth 0\", expected the name of a network interface like \"eth0\", at most 15 letters",
            "4:xdp.mode: \"fast\", expected one of auto, native, generic, off",
            "5:xdp.action: \"deny\", expected one of refuse, reset, drop, count, off",
            "6:xdp.ports: 0, expected a number from 1 to 65535",
            "6:xdp.ports: 25 again, first at 6, expected it once",
            "6:xdp.ports: \"smtp\", expected a number from 1 to 65535",
            "6:xdp.ports: 65536, expected a number from 1 to 65535",
        ],
    );
    check_faults(
        "[xdp]\nports = [1,2,3,4,5,6,7,8,\n9]",
        &["4:xdp.ports: 9 ports, expected 1 to 8 ports"],
    );
    check_faults(
        "[xdp]\nrefuse_text = \"a\\nb\"\nanswers_per_second = -1\nevents_per_second = 100001",
        &[
            "3:xdp.refuse_text: \"a\\nb\", expected at most 80 printable ASCII letters",
            "4:xdp.answers_per_second: -1, expected a number from 0 to 4294967295",
            "5:xdp.events_per_second: 100001, expected a number from 0 to 100000",
        ],
    );
    check_faults(
        "[xdp]\nanswers_per_network = \"all\"\nflood = \"drop\"",
        &[
            "3:xdp.answers_per_network: \"all\", expected a number from 0 to 4294967295",
            "4:xdp.flood: \"drop\", expected a table [xdp.flood]",
        ],
    );
    check_faults(
        "[xdp.flood]\naction = \"refuse\"\nengage_above = -1\nper_network = 0\nburst = 0\nnetwork_v4 = 7\nnetwork_v6 = 65\nknown_for = \"2y\"\nbursts = 1",
        &[
            "3:xdp.flood.action: \"refuse\", expected one of off, observe, drop",
            "4:xdp.flood.engage_above: -1, expected a number from 0 to 4294967295",
            "5:xdp.flood.per_network: 0, expected a number from 1 to 10000000",
            "6:xdp.flood.burst: 0, expected a number from 1 to 10000000",
            "7:xdp.flood.network_v4: 7, expected a number from 8 to 32",
            "8:xdp.flood.network_v6: 65, expected a number from 16 to 64",
            "9:xdp.flood.known_for: \"2y\", expected a time like \"30m\", \"12h\" or \"7d\", from 1s to 365d",
            "10:xdp.flood.bursts: unknown key, expected one of action, engage_above, per_network, burst, network_v4, network_v6, known_for hint: did you mean `burst`?",
        ],
    );
    for (keys, fault) in [
        (
            "per_network = 1000\nburst = 9",
            "4:xdp.flood.burst: 9 with per_network = 1000, expected at least 10, what comes back in one tick of the clock",
        ),
        (
            "per_network = 1000000",
            "2:xdp.flood.burst: 100 with per_network = 1000000, expected at least 10000, what comes back in one tick of the clock",
        ),
    ] {
        check_faults(&format!("[xdp.flood]\n{keys}"), &[fault]);
    }
    check_faults(
        "[xdp]\nports = []",
        &[
            "2:xdp.ports: no port, expected 1 to 8 ports hint: mode = \"off\" switches the filter off",
        ],
    );
}

#[test]
fn faults_of_listeners_and_the_next_hop() {
    check_faults(
        "[[listener]]\naddress = \"127.0.0.1:25\"\n[[listener]]\naddress = \"127.0.0.1:25\"\n[[listener]]\ndirection = \"in\"",
        &[
            "5:listener.address: \"127.0.0.1:25\" again, expected an address of its own for each listener",
            "6:listener.address: missing, expected an IP address with a port, like \"0.0.0.0:25\"",
            "7:listener.direction: \"in\", expected one of auto, inbound, outbound",
        ],
    );
    check_faults(
        "[next_hop]",
        &[
            "2:next_hop.address: missing, expected the IP address and port of the mail server behind",
        ],
    );
    let expected =
        "expected an IP address with a port, like \"192.0.2.1:25\" or \"[2001:db8::1]:25\"";
    for (address, expected) in [
        (
            "localhost:25",
            format!("{expected} hint: host names come with a later version; write the address"),
        ),
        ("192.0.2.1", format!("{expected} hint: the port is missing")),
        ("2001:db8::1", format!("{expected} hint: the port is missing")),
        ("192.0.2.1:x", expected.to_owned()),
        ("0.0.0.0:25", "expected the address and port of one host".to_owned()),
        ("192.0.2.1:0", "expected the address and port of one host".to_owned()),
    ] {
        check_faults(
            &format!("next_hop.address = \"{address}\""),
            &[&format!("2:next_hop.address: \"{address}\", {expected}")],
        );
    }
    for (listener, next_hop, is_loop) in [
        ("192.0.2.1:25", "192.0.2.1:25", true),
        ("0.0.0.0:25", "127.0.0.1:25", true),
        ("[::]:25", "127.0.0.1:25", true),
        ("[::]:25", "[::1]:25", true),
        ("0.0.0.0:25", "[::1]:25", false),
        ("0.0.0.0:25", "127.0.0.1:26", false),
        ("0.0.0.0:25", "192.0.2.9:25", false),
    ] {
        let fault = format!(
            "3:next_hop.address: \"{next_hop}\", expected another address than those of the listeners hint: mail would go round in a loop"
        );
        let faults = [fault.as_str()];
        let expected = if is_loop { &faults[..] } else { &[] };
        check_faults(
            &format!(
                "listener = [{{ address = \"{listener}\" }}]\nnext_hop = {{ address = \"{next_hop}\" }}"
            ),
            expected,
        );
    }
}

/// B0: hiding the client from a next hop that trusts by address makes an open relay.
#[test]
fn no_open_relay() {
    let next_hop = "[next_hop]\naddress = \"127.0.0.1:10025\"\nclient = \"none\"\n";
    check_faults(
        next_hop,
        &[
            "4:next_hop.client: \"none\" without recipient_domains, expected \"xclient\", \"proxy\" or recipient_domains \
         hint: the next hop would see every client as this host and relay for the whole world; \
         set recipient_domains = [\"example.org\"] at the top of the file, or let it see the client",
        ],
    );
    check_faults(&format!("recipient_domains = [\"example.org\"]\n{next_hop}"), &[]);
    check_faults(&next_hop.replace("none", "proxy"), &[]);
}

#[test]
fn faults_of_lists() {
    check_faults(
        "[[list]]",
        &[
            "2:list.name: missing, expected the name of the list",
            "2:list.class: missing, expected one of local-good, global-good, local-bad, global-bad, open-proxy",
        ],
    );
    for (keys, expected) in [
        (
            "class = \"bad\"",
            "\"bad\", expected one of local-good, global-good, local-bad, global-bad, open-proxy",
        ),
        (
            "class = \"local-good\"\naction = \"reject\"",
            "\"reject\", expected one of accept for class \"local-good\"",
        ),
        (
            "class = \"local-bad\"\naction = \"accept\"",
            "\"accept\", expected one of reject, defer, score, observe, tag, quarantine, reject-message, discard for class \"local-bad\"",
        ),
        (
            "class = \"local-good\"\naction = \"quarantine\"",
            "\"quarantine\", expected one of accept for class \"local-good\"",
        ),
        (
            "class = \"local-bad\"\naction = \"score\"",
            "\"score\" without weight, expected weight, -1000 to 1000",
        ),
        (
            "class = \"local-bad\"\naction = \"score\"\nweight = 1001",
            "1001, expected a number from -1000 to 1000",
        ),
        (
            "class = \"local-bad\"\nweight = 5",
            "5 with action \"reject\", expected a weight with action \"score\" only",
        ),
        (
            "class = \"local-bad\"\nhops = \"some\"",
            "\"some\", expected one of connect, unauthenticated, all",
        ),
        (
            "class = \"local-bad\"\nformat = \"xml\"",
            "\"xml\", expected one of auto, plain, drop-json, rbldnsd-ip4set, rbldnsd-ip4trie, rbldnsd-ip6trie, csv, p2p",
        ),
        (
            "class = \"local-bad\"\nlabel = \"a\\nb\"",
            "\"a\\nb\", expected at most 100 printable ASCII letters, since it stands in SMTP replies",
        ),
        (
            "class = \"local-bad\"\nkernel = \"deny\"",
            "\"deny\", expected one of refuse, reset, drop, count, off",
        ),
        (
            "class = \"local-bad\"\naction = \"tag\"\nkernel = \"drop\"",
            "\"drop\" with action \"tag\", expected a kernel action with action \"reject\" only",
        ),
        (
            "class = \"local-good\"\nkernel = \"drop\"",
            "\"drop\" with action \"accept\", expected a kernel action with action \"reject\" only",
        ),
        ("class = \"local-bad\"\nfolder = \"x.d\"", "`folder` beside `file`, expected one of them"),
    ] {
        let Err(Faults(faults)) = read_hosted(&list(keys)) else { panic!("{keys}") };
        let told: Vec<_> = faults
            .iter()
            .map(|fault| match &fault.hint {
                Some(hint) => format!("{} hint: {hint}", fault.text),
                None => fault.text.clone(),
            })
            .collect();
        assert_eq!(told, [expected], "{keys}");
    }
    check_faults(
        &list("class = \"local-bad\"").repeat(2),
        &["7:list.name: \"a\", the name of the list at 3, expected another"],
    );
}

#[test]
fn faults_of_the_score() {
    for (keys, expected) in [
        (
            "delay = 30",
            "3:score.delay: allow 0 + delay 30 + reject 80 is 110 percent, expected 100",
        ),
        ("allow = 101", "3:score.allow: 101, expected a number from 0 to 100"),
        (
            "delay_from = 600",
            "3:score.delay_from: one raw score alone, expected both delay_from and reject_above",
        ),
        (
            "delay_from = 600\nreject_above = 500",
            "3:score.delay_from: delay_from 600 and reject_above 500 do not fit, expected 500 <= delay_from <= reject_above <= 1000",
        ),
        (
            "delay_from = 600\nreject_above = 700\nallow = 0",
            "3:score.delay_from: percent and raw scores, expected one kind of them",
        ),
        ("delay_mode = \"slow\"", "3:score.delay_mode: \"slow\", expected one of static, greylist"),
    ] {
        check_faults(&format!("[score]\n{keys}"), &[expected]);
    }
}

#[test]
fn faults_of_the_small_tables() {
    check_faults(
        "[reply]\nbare = true\nlabel = true\naddress = false",
        &["4:reply.label: true with bare = true, expected one of them"],
    );
    check_faults(
        "[scan]\nheaders = [\"received\", \"X-IP\", \"x-ip\", \"a b\"]",
        &[
            "3:scan.headers: \"received\", expected another field hint: Received fields are always scanned, their `from` clause only",
            "3:scan.headers: \"a b\", expected the name of a header field like \"X-Originating-IP\"",
            "3:scan.headers: \"x-ip\", the same field as \"X-IP\", expected it once",
        ],
    );
    check_faults(
        "[limits]\nheader = \"64\"\nmessage = \"1T\"\nerrors = 0\ncommand_timeout = 5",
        &[
            "3:limits.header: \"64\", expected a size like 65536, \"64K\" or \"1M\", from 1024 to 16777216 octets",
            "4:limits.message: \"1T\", expected a size like 65536, \"64K\" or \"1M\", from 1024 to 1099511627776 octets",
            "5:limits.errors: 0, expected a number from 1 to 1000000",
            "6:limits.command_timeout: 5, expected a time like \"10s\", \"5m\" or \"1h\", from 1s to 24h",
        ],
    );
    check_faults(
        "[log]\nlevel = \"loud\"\nformat = \"xml\"",
        &[
            "3:log.level: \"loud\", expected one of error, warn, info, debug, trace",
            "4:log.format: \"xml\", expected one of text, json",
        ],
    );
    let socket = format!("/{}", "x".repeat(107));
    check_faults(
        &format!("[admin]\nsocket = \"{socket}\""),
        &[&format!(
            "3:admin.socket: {socket} with 108 octets, expected a path of at most 107, for a Unix socket"
        )],
    );
}

#[test]
fn text_that_is_no_toml_is_told_with_the_rest() {
    check_faults(
        "enforce = maybe\n[xdp]\nmode = \"fast\"\nmode = \"auto\"\n[[list\n",
        &[
            "2: string values must be quoted, expected literal string",
            "4:xdp.mode: \"fast\", expected one of auto, native, generic, off",
            "5: duplicate key",
            "6: unclosed array table, expected `]]`",
        ],
    );
}

#[test]
fn more_lists_than_the_kernel_can_count() {
    let one = |number: usize| {
        format!("[[list]]\nname = \"l{number}\"\nclass = \"local-bad\"\nfile = \"l.txt\"\n")
    };
    let all = |count: usize| (0..count).map(one).collect::<String>();
    assert!(read_hosted(&all(254)).is_ok());
    check_faults(
        &all(255),
        &["1019:list.name: \"l254\", list number 255, expected at most 254 lists"],
    );
}

/// O12: behind a load balancer the kernel sees one address alone.
#[test]
fn the_kernel_does_not_act_where_a_load_balancer_hides_its_clients() {
    let listener = "[[listener]]\naddress = \"[::]:25\"\nproxy_from = [\"192.0.2.1\"]\n";
    let reject = "[[list]]\nname = \"a\"\nclass = \"local-bad\"\nfile = \"a.txt\"\n";
    let fault = |what: &str| {
        format!(
            "4:listener.proxy_from: port 25 is filtered in the kernel, where a load balancer hides its clients ({what}), \
             expected kernel = \"off\" or \"count\" for them, or [xdp] ports without 25 \
             hint: the daemon judges the clients by the same lists; filter_proxied_ports = true in [xdp] filters all the \
             same, for those who come past the load balancer"
        )
    };
    let drop = "[xdp.flood]\naction = \"drop\"\n";
    for (text, expected) in [
        (reject.to_owned(), Some("list a")),
        (format!("{reject}kernel = \"count\"\n"), None),
        (format!("{reject}action = \"tag\"\n"), None),
        (format!("{reject}enforce = false\n"), None),
        (drop.to_owned(), Some("[xdp.flood] action = \"drop\"")),
        (format!("{reject}{drop}"), Some("list a, [xdp.flood] action = \"drop\"")),
        (format!("{reject}[xdp]\nports = [26]\n"), None),
        (format!("{reject}[xdp]\nmode = \"off\"\n"), None),
        (format!("{reject}[xdp]\nfilter_proxied_ports = true\n"), None),
        (String::new(), None),
    ] {
        let expected: Vec<_> = expected.iter().map(|what| fault(what)).collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check_faults(&format!("{listener}{text}"), &expected);
    }
    let direct = listener.replace("proxy_from", "xclient_from");
    check_faults(&format!("{direct}{reject}"), &[]);
}

#[test]
fn faults_of_rights() {
    check_faults(
        "user = \"a b\"\ngroup = \"1000\"\nlandlock = 1\ndrain = \"0s\"",
        &[
            "2:user: \"a b\", expected the name of a user or group, like \"portcullis\"",
            "3:group: \"1000\", expected the name of a user or group, like \"portcullis\"",
            "4:landlock: 1, expected true or false",
            "5:drain: \"0s\", expected a time like \"10s\", \"5m\" or \"1h\", from 1s to 24h",
        ],
    );
    check_notices("group = \"mail\"", &["2:group: without `user` the group is left as it is"]);
}
