//! Every key that a configuration can have: for suggestions, for the reference, for the tests that hold both true.

mod front;
mod reputation;
mod services;
mod web;

use strsim::damerau_levenshtein;

use self::IfAbsent::{Required, Value, Words};

/// The keys of one table.
#[derive(Debug)]
pub(super) struct TableKeys {
    /// The table's name; empty for the top of the file.
    pub(super) name: &'static str,
    /// How its beginning is written.
    pub(super) heading: &'static str,
    /// What it is about.
    pub(super) text: &'static str,
    /// Its keys, in the order of the reference.
    pub(super) keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// What holds when it is absent.
    pub(super) default: IfAbsent,
    /// A value that it can have, as TOML.
    pub(super) example: &'static str,
    /// What it does.
    pub(super) text: &'static str,
}

/// What holds when a key is absent.
#[derive(Clone, Copy, Debug)]
pub(super) enum IfAbsent {
    /// This value, as TOML.
    Value(&'static str),
    /// Something that no value says.
    Words(&'static str),
    /// The key cannot be absent.
    Required,
}

impl TableKeys {
    /// Whether the table has this key.
    pub(super) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// The names of all keys.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.keys.iter().map(|key| key.name).collect();
        names.join(", ")
    }

    /// What the writer of an unknown key may have meant: a key of another table, or a name much like it.
    pub(super) fn suggestion(&self, unknown: &str) -> Option<String> {
        let nearest = self
            .keys
            .iter()
            .map(|key| (damerau_levenshtein(key.name, unknown), key.name))
            .min()
            .filter(|(distance, name)| *distance <= 2 && *distance < name.len() / 2);
        if let Some((_, name)) = nearest {
            return Some(format!("did you mean `{name}`?"));
        }
        let homes: Vec<_> = TABLES
            .iter()
            .filter(|table| table.has(unknown))
            .map(|table| match table.heading {
                "" => "the top of the file",
                heading => heading,
            })
            .collect();
        (!homes.is_empty()).then(|| format!("`{unknown}` belongs to {}", homes.join(" or ")))
    }
}

const fn key(
    name: &'static str,
    default: IfAbsent,
    example: &'static str,
    text: &'static str,
) -> Key {
    Key { name, default, example, text }
}

/// All tables, the top of the file first.
pub(super) static TABLES: [TableKeys; 29] = [
    TableKeys {
        name: "",
        heading: "",
        text: "Before the first table header.",
        keys: &[
            key(
                "hostname",
                Words("the system's"),
                "\"mx1.example.org\"",
                "The name in the greeting, and for the next hop.",
            ),
            key(
                "state_dir",
                Value("\"/var/lib/portcullis\""),
                "\"/var/lib/portcullis\"",
                "Where the daemon keeps what must outlive it.",
            ),
            key(
                "user",
                Words("the one that starts it"),
                "\"portcullis\"",
                "The user that the daemon becomes once its ports are bound and its folders are made; only root can become another. `state_dir` and the pins are given to it. See [rights](rights.md).",
            ),
            key("group", Words("the user's"), "\"mail\"", "The group that it becomes with `user`."),
            key(
                "landlock",
                Value("true"),
                "false",
                "Whether files that the daemon does not need are put out of its reach, where the kernel can (Landlock, Linux 5.13).",
            ),
            key(
                "drain",
                Value("\"30s\""),
                "\"1m\"",
                "How long connections may take to finish when the daemon stops, or hands its sockets over.",
            ),
            key(
                "trusted_relays",
                Value("[]"),
                "[\"192.0.2.10\", \"2001:db8:1::/64\"]",
                "Hosts whose Received fields are believed: behind them the logical client is looked for. At the widest /8 for IPv4, /16 for IPv6.",
            ),
            key(
                "enforce",
                Value("true"),
                "false",
                "`false` is the dry run: lists and score refuse nothing, and every record says what they would have done. Limits and the protocol hold all the same.",
            ),
            key(
                "recipient_domains",
                Value("[]"),
                "[\"example.org\", \".example.org\"]",
                "The domains for which mail is taken; `.example.org` means the subdomains of `example.org` without itself. Empty: the next hop decides.",
            ),
            key("xdp", Words("as below"), "{ ports = [25] }", "See [xdp]."),
            key("listener", Words("none"), "[{ address = \"192.0.2.1:25\" }]", "See [[listener]]."),
            key("tls", Words("none"), "{ certificate = \"mx1.pem\" }", "See [tls]."),
            key("next_hop", Words("none"), "{ address = \"127.0.0.1:10025\" }", "See [next_hop]."),
            key("header", Words("as below"), "{ received = true }", "See [header]."),
            key("milter", Words("none"), "{ address = \"127.0.0.1:8891\" }", "See [milter]."),
            key(
                "postfix_policy",
                Words("none"),
                "{ address = \"unix:/run/portcullis/policy.sock\" }",
                "See [postfix_policy].",
            ),
            key("list", Words("none"), "[]", "See [[list]]."),
            key("acceptance", Words("none"), "[]", "See [[acceptance]]."),
            key("dns", Words("as below"), "{ budget = \"2s\" }", "See [dns]."),
            key("zone", Words("none"), "[]", "See [[zone]]."),
            key("score", Words("as below"), "{ delay = 20 }", "See [score]."),
            key("greylist", Words("as below"), "{ wait = \"5m\" }", "See [greylist]."),
            key("promotion", Words("as below"), "{ refusals = 20 }", "See [promotion]."),
            key("reply", Words("as below"), "{ address = true }", "See [reply]."),
            key("limits", Words("as below"), "{ errors = 20 }", "See [limits]."),
            key("quarantine", Words("as below"), "{ keep_for = \"14d\" }", "See [quarantine]."),
            key("scan", Words("as below"), "{ headers = [] }", "See [scan]."),
            key(
                "admin",
                Words("as below"),
                "{ socket = \"/run/portcullis/admin.sock\" }",
                "See [admin].",
            ),
            key("web", Words("none"), "{ address = \"127.0.0.1:8025\" }", "See [web]."),
            key("web_user", Words("none"), "[]", "See [[web_user]]."),
            key(
                "public_lookup",
                Words("none"),
                "{ address = \"0.0.0.0:8080\" }",
                "See [public_lookup].",
            ),
            key(
                "audit",
                Words("as below"),
                "{ file = \"/var/lib/portcullis/audit.jsonl\" }",
                "See [audit].",
            ),
            key(
                "output",
                Words("none"),
                "[{ format = \"postfix\", to = \"syslog\" }]",
                "See [[output]].",
            ),
            key("log", Words("as below"), "{ level = \"info\" }", "See [log]."),
        ],
    },
    TableKeys {
        name: "xdp",
        heading: "[xdp]",
        text: "The filter in the kernel.",
        keys: &[
            key(
                "interfaces",
                Value("[]"),
                "[\"eth0\"]",
                "Where SYNs are filtered. Empty: on the interface of the default route.",
            ),
            key(
                "mode",
                Value("\"auto\""),
                "\"native\"",
                "`auto` (native where the driver can, else generic, with an alarm), `native`, `generic`, or `off`: the daemon alone decides, and a filter that an earlier one left in the kernel is removed.",
            ),
            key("ports", Value("[25]"), "[25, 587]", "The TCP ports that are filtered, at most 8."),
            key(
                "action",
                Value("\"refuse\""),
                "\"drop\"",
                "What the kernel does with a SYN that a `reject` list hits: `refuse` (complete the handshake, answer with a 554), `reset` (answer with a RST), `drop` (say nothing), `count` (count it, leave it to the daemon), `off`.",
            ),
            key(
                "refuse_text",
                Value("\"you are not allowed to connect\""),
                "\"you are not allowed to connect, see https://example.org/blocked\"",
                "The words of `refuse`, at most 80 letters; the client's address and a reference follow.",
            ),
            key(
                "answers_per_second",
                Value("100000"),
                "0",
                "How many answers of `refuse` and `reset` one processor gives in a second; beyond that it drops. `0` is no limit.",
            ),
            key(
                "answers_per_network",
                Value("200"),
                "0",
                "How many SYNs from one network (as in [xdp.flood]) are answered in a second, in all; beyond that they are dropped, since the address may be forged. `0` is no limit.",
            ),
            key("flood", Words("as below"), "{ action = \"off\" }", "See [xdp.flood]."),
            key(
                "events_per_second",
                Value("100"),
                "0",
                "How many of the packets that a rule decides each processor tells the daemon of in a second, for records and `xdp top`; at most 100000, the others are counted. `0` is none.",
            ),
            key(
                "pin_dir",
                Value("\"/sys/fs/bpf/portcullis\""),
                "\"/sys/fs/bpf/portcullis\"",
                "The folder of a BPF file system that keeps the filter while the daemon is away.",
            ),
            key(
                "filter_proxied_ports",
                Value("false"),
                "true",
                "Whether lists and the flood limiter may act in the kernel on the port of a listener with `proxy_from`, which is refused otherwise: the SYNs there carry the address of the load balancer. See [behind a load balancer](fronts/load-balancer.md).",
            ),
        ],
    },
    TableKeys {
        name: "xdp.flood",
        heading: "[xdp.flood]",
        text: "Too many SYNs from networks that are on no list; see [floods](flood.md). Changes are in force after a reload.",
        keys: &[
            key(
                "action",
                Value("\"observe\""),
                "\"drop\"",
                "What is done about a SYN beyond the limit of its network: `observe` (count it, pass it on), `drop`, `off`.",
            ),
            key(
                "engage_above",
                Value("10000"),
                "10000",
                "Networks are looked at only while more SYNs than this come in a second from sources that are on no bad list. `0` is always.",
            ),
            key(
                "per_network",
                Value("20"),
                "20",
                "How many connections one network may then open in a second.",
            ),
            key("burst", Value("100"), "100", "How many it may open at once."),
            key(
                "network_v4",
                Value("24"),
                "24",
                "How many bits of an IPv4 address are its network, 8 to 32.",
            ),
            key(
                "network_v6",
                Value("64"),
                "56",
                "How many bits of an IPv6 address are its network, 16 to 64.",
            ),
            key(
                "known_for",
                Value("\"1d\""),
                "\"12h\"",
                "How long a network is exempt after one of its hosts completed a handshake.",
            ),
        ],
    },
    front::LISTENER,
    front::TLS,
    front::NEXT_HOP,
    front::HEADER,
    services::MILTER,
    services::POSTFIX_POLICY,
    reputation::ACCEPTANCE,
    TableKeys {
        name: "list",
        heading: "[[list]]",
        text: "A named list of addresses; there may be many. Good beats bad, whatever the prefix lengths.",
        keys: &[
            key(
                "name",
                Required,
                "\"office-bad\"",
                "The name in records, metrics and commands; no two lists share one.",
            ),
            key(
                "class",
                Required,
                "\"local-bad\"",
                "What it says about its addresses: `local-good`, `global-good`, `local-bad`, `global-bad`, `open-proxy`; the order is that of precedence.",
            ),
            key(
                "file",
                Words("none"),
                "\"bad.txt\"",
                "The file with the addresses, perhaps compressed with gzip; read again when it changes. Relative to the folder of the main configuration file. A list has a `file`, a `folder`, a `url`, or none of them: then it holds what `portcullis list put` and `list add` give it, and `list add` works with every list.",
            ),
            key(
                "folder",
                Words("none"),
                "\"bad.d\"",
                "A folder instead: all of its files whose names do not begin with a dot.",
            ),
            key(
                "url",
                Words("none"),
                "\"https://lists.example.org/bad.txt\"",
                "A download instead, `https` or `http`; gzip is understood. A name and password in it are sent as Basic; they and what follows a `?` are never shown. A feed in the world is not followed to an address that only this site can reach.",
            ),
            key(
                "interval",
                Value("\"1h\""),
                "\"12h\"",
                "The least time between two downloads, at least 5m; up to a tenth is added, so that not all hosts ask at once. After a fault it is tried again after 1m, then twice as long each time.",
            ),
            key("timeout", Value("\"60s\""), "\"5m\"", "How long one download may take in all."),
            key(
                "max_size",
                Value("\"64M\""),
                "\"256M\"",
                "The most octets of a download, before and after decompression; at most 1G.",
            ),
            key(
                "proxy",
                Words("none"),
                "\"http://192.0.2.3:3128\"",
                "The HTTP proxy for the download. `http_proxy` and its like in the environment are ignored: what a service is started with differs from what a shell has, and a feed must not come another way after a restart. A proxy asks DNS itself; where a redirect leads is then checked by its name alone.",
            ),
            key(
                "ca_file",
                Words("none"),
                "\"our-ca.pem\"",
                "Certificates of authorities, in PEM, that are believed beside those of the system.",
            ),
            key(
                "sha256",
                Words("none"),
                "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
                "What the list, decompressed, must hash to: for one that never changes.",
            ),
            key(
                "signature",
                Words("none"),
                "\"https://lists.example.org/bad.txt.minisig\"",
                "Where the detached minisign signature of the download is fetched. It is one of the file as the server has it, compressed or not.",
            ),
            key(
                "public_key",
                Words("none"),
                "\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"",
                "The key of the signature, the second line of a minisign public key file.",
            ),
            key(
                "max_growth",
                Words("`100` with `url`, else `\"off\"`"),
                "200",
                "How much larger a new copy may be than the last, in percent (100 is twice as many entries), from 0 to 10000; else it is refused until `portcullis list accept`. `\"off\"`: as it likes. Lists with fewer than 100 entries are free.",
            ),
            key(
                "max_shrink",
                Words("`50` with `url`, else `\"off\"`"),
                "30",
                "How much smaller, in percent.",
            ),
            key(
                "format",
                Value("\"auto\""),
                "\"plain\"",
                "The format of the source; `auto` tells it by the first lines.",
            ),
            key(
                "action",
                Words("`reject` for bad classes, `accept` for good ones"),
                "\"tag\"",
                "Good lists `accept`. Bad ones act at connect (`reject`: 5xx, `defer`: 4xx, `score`: add `weight`) or at the message (`observe`: record, `tag`: add a header field, `quarantine`: accept and keep here, `reject-message`: 5xx after the data, `discard`: accept and delete).",
            ),
            key(
                "weight",
                Words("none"),
                "600",
                "What a match adds to the score, -1000 to 1000; with `action = \"score\"` only.",
            ),
            key(
                "hops",
                Words("`connect` for `reject`, `defer`, `score`; else `all`"),
                "\"unauthenticated\"",
                "Which addresses are looked up: the connecting client (`connect`), also those in the header of a message (`all`), or of these only the ones whose Received field names no authenticated sender (`unauthenticated`).",
            ),
            key(
                "label",
                Words("the name"),
                "\"Our own list\"",
                "The name that refused senders read.",
            ),
            key(
                "enforce",
                Value("true"),
                "false",
                "`false`: matches are recorded, nothing is done about them.",
            ),
            key(
                "kernel",
                Words("`action` of [xdp] for `reject` lists, else `off`"),
                "\"off\"",
                "What the kernel does with SYNs from its addresses; the words of `action` in [xdp].",
            ),
        ],
    },
    reputation::DNS,
    reputation::ZONE,
    reputation::SCORE,
    reputation::EVIDENCE,
    reputation::GREYLIST,
    reputation::PROMOTION,
    TableKeys {
        name: "reply",
        heading: "[reply]",
        text: "What a refused sender is told beyond the fixed words.",
        keys: &[
            key("address", Value("true"), "true", "The address that was seen."),
            key("label", Value("true"), "true", "The verdict, and the label of the list."),
            key(
                "reference",
                Value("true"),
                "true",
                "The reference under which the decision is recorded.",
            ),
            key("bare", Value("false"), "false", "`true`: nothing of all that."),
        ],
    },
    TableKeys {
        name: "limits",
        heading: "[limits]",
        text: "How much of everything a peer may use. Sizes are octets, as a number or a text with `K`, `M`, `G`; times a text like `\"10s\"` or `\"5m\"`.",
        keys: &[
            key("connections", Value("5000"), "10000", "Connections at the same time."),
            key(
                "connections_per_client",
                Value("50"),
                "50",
                "Connections at the same time from one address.",
            ),
            key(
                "connections_per_network",
                Value("200"),
                "200",
                "Connections at the same time from one /24 of IPv4, or /48 of IPv6.",
            ),
            key(
                "unknown_connections",
                Words("four fifths of `connections`"),
                "1000",
                "Connections at the same time of clients of which nothing good is known: neither ours, nor on a good list, nor with mail that was delivered of late. However many strangers come, and however slow they are, the rest is left to the others.",
            ),
            key(
                "tarpit",
                Words("none"),
                "\"10s\"",
                "How long a client that a list, a zone or the score refuses waits for each reply, at most 30s.",
            ),
            key(
                "tarpit_connections",
                Value("100"),
                "100",
                "How many clients are kept waiting so at the same time; the others are refused at once.",
            ),
            key("command_line", Value("2048"), "\"2K\"", "Size of a command line."),
            key("commands", Value("10000"), "10000", "Commands in one session."),
            key(
                "errors",
                Value("20"),
                "20",
                "Commands of one session answered with a 5xx before it is closed.",
            ),
            key("recipients", Value("1000"), "1000", "Recipients of one message."),
            key(
                "header",
                Value("\"256K\""),
                "\"256K\"",
                "Size of a header block; a larger one is refused, never passed unscanned.",
            ),
            key("data_line", Value("\"64K\""), "\"64K\"", "Size of a line in a message."),
            key("message", Value("\"100M\""), "\"100M\"", "Size of a message."),
            key("received", Value("100"), "100", "Received fields of a message; more mean a loop."),
            key("command_timeout", Value("\"5m\""), "\"5m\"", "Wait for the next command."),
            key("data_timeout", Value("\"3m\""), "\"3m\"", "Wait for the next piece of a message."),
            key("session_timeout", Value("\"1h\""), "\"1h\"", "Length of a session."),
            key(
                "refused_timeout",
                Value("\"10s\""),
                "\"10s\"",
                "Wait for the QUIT of a refused client.",
            ),
            key(
                "next_hop_connect_timeout",
                Value("\"10s\""),
                "\"10s\"",
                "Wait for the next hop's connection and greeting.",
            ),
            key(
                "next_hop_timeout",
                Value("\"5m\""),
                "\"5m\"",
                "Wait for the next hop's answer to a command.",
            ),
            key(
                "next_hop_final_timeout",
                Value("\"10m\""),
                "\"10m\"",
                "Wait for the next hop's answer to the end of the data.",
            ),
        ],
    },
    TableKeys {
        name: "quarantine",
        heading: "[quarantine]",
        text: "Messages that a list or zone with `action = \"quarantine\"` holds back; see [quarantine](fronts/quarantine.md). Where a bound is reached, or the disk refuses, such messages are answered with a 4xx and come again.",
        keys: &[
            key(
                "folder",
                Words("`quarantine` in `state_dir`"),
                "\"/var/spool/portcullis\"",
                "Where they lie. Another one needs a restart; what is in the former one is not moved.",
            ),
            key(
                "max_size",
                Value("\"1G\""),
                "\"20G\"",
                "Octets of all of them, as a number or a text with `K`, `M`, `G`; at least `[limits] message`, since a longer message could never come in.",
            ),
            key("max_messages", Value("10000"), "50000", "How many there may be."),
            key(
                "keep_for",
                Value("\"30d\""),
                "\"14d\"",
                "How long each stays; then it is deleted, which is recorded.",
            ),
        ],
    },
    TableKeys {
        name: "scan",
        heading: "[scan]",
        text: "Addresses in the header of a message.",
        keys: &[
            key(
                "headers",
                Value("[]"),
                "[\"X-Originating-IP\"]",
                "Fields that are scanned beside Received, every address in them.",
            ),
            key(
                "good_client_skips_headers",
                Value("false"),
                "false",
                "`true`: a client on a good list clears the addresses in its messages, too.",
            ),
        ],
    },
    TableKeys {
        name: "admin",
        heading: "[admin]",
        text: "How the commands reach the daemon.",
        keys: &[key(
            "socket",
            Value("\"/run/portcullis/admin.sock\""),
            "\"/run/portcullis/admin.sock\"",
            "The Unix socket on which it answers.",
        )],
    },
    web::WEB,
    web::WEB_USER,
    web::PUBLIC_LOOKUP,
    TableKeys {
        name: "audit",
        heading: "[audit]",
        text: "The record of decisions; see [audit](audit.md). What is changed here needs a restart.",
        keys: &[
            key(
                "file",
                Words("`audit.jsonl` in `state_dir`"),
                "\"/var/lib/portcullis/audit.jsonl\"",
                "One JSON line for each decision is appended here.",
            ),
            key(
                "rotate_size",
                Value("\"1G\""),
                "\"256M\"",
                "The file is renamed to `.1`, and begun anew, when it has so many octets. 0: never, since another program does it.",
            ),
            key(
                "rotate_keep",
                Value("4"),
                "9",
                "How many earlier files stay, `.1` being the newest.",
            ),
            key(
                "store",
                Value("true"),
                "false",
                "Whether records are also kept in `audit` in `state_dir`, where `portcullis audit` finds them.",
            ),
            key("keep", Value("\"30d\""), "\"90d\"", "How long a record stays in the store."),
            key(
                "max_size",
                Value("\"4G\""),
                "\"20G\"",
                "Octets of the store; beyond them the oldest records go.",
            ),
            key("privacy", Words("as below"), "{ subject = \"drop\" }", "See [audit.privacy]."),
        ],
    },
    TableKeys {
        name: "audit.privacy",
        heading: "[audit.privacy]",
        text: "What records keep of an envelope and a header: `keep` the text, `hash` a pseudonym (the domain of a mailbox stays), `drop` nothing. See [audit](audit.md#privacy). What is changed here needs a restart.",
        keys: &[
            key("helo", Value("\"keep\""), "\"drop\"", "The name of HELO or EHLO."),
            key("sender", Value("\"keep\""), "\"hash\"", "The address of MAIL FROM."),
            key("recipients", Value("\"keep\""), "\"hash\"", "The addresses of RCPT TO."),
            key("message_id", Value("\"keep\""), "\"hash\"", "The Message-ID field."),
            key("subject", Value("\"keep\""), "\"drop\"", "The Subject field."),
        ],
    },
    TableKeys {
        name: "output",
        heading: "[[output]]",
        text: "Where records go beside the file and the store, line by line; see [audit](audit.md#outputs). What is changed here needs a restart.",
        keys: &[
            key(
                "format",
                Required,
                "\"postfix\"",
                "`json`: each record. `postfix`: a line for each client that was refused, as fail2ban and CrowdSec look for it.",
            ),
            key(
                "to",
                Required,
                "\"syslog\"",
                "`stdout`, `syslog`, `journald`, or a file; `syslog:/PATH` and `journald:/PATH` for a socket elsewhere.",
            ),
        ],
    },
    TableKeys {
        name: "log",
        heading: "[log]",
        text: "What the daemon says on standard error.",
        keys: &[
            key(
                "level",
                Value("\"info\""),
                "\"debug\"",
                "`error`, `warn`, `info`, `debug` or `trace`; SIGHUP puts another one in force. `portcullis log` lets single components say more for a while.",
            ),
            key("format", Value("\"text\""), "\"json\"", "`text` for people, `json` for machines."),
        ],
    },
];
