//! The keys of what judges a client beyond lists: DNS, zones, the score, waiting, promotion, direction.

use super::IfAbsent::{Required, Value, Words};
use super::{TableKeys, key};

pub(super) const ACCEPTANCE: TableKeys = TableKeys {
    name: "acceptance",
    heading: "[[acceptance]]",
    text: "Clients whose mail goes one way, for listeners with `direction = \"auto\"`; there may be many. A client that is on none, or of which DNS proves nothing, is inbound. A list needs `addresses`, `hosts` or `domains`.",
    keys: &[
        key(
            "name",
            Required,
            "\"office\"",
            "The name in records; no two of these lists share one.",
        ),
        key(
            "direction",
            Required,
            "\"outbound\"",
            "`outbound`: mail of our own senders, for anybody. `inbound`: mail for our own recipients.",
        ),
        key(
            "addresses",
            Value("[]"),
            "[\"192.0.2.0/28\"]",
            "Clients by address; no DNS is asked. At the widest /8 for IPv4, /16 for IPv6.",
        ),
        key(
            "hosts",
            Value("[]"),
            "[\"mail.example.org\"]",
            "Clients by the addresses of these names, which are asked for in the background; the last good answer is kept.",
        ),
        key(
            "domains",
            Value("[]"),
            "[\".example.org\"]",
            "Clients by their reverse name, if its addresses hold the client's; `.example.org` means the subdomains of `example.org` without itself. `hosts` is better where the names are known: nobody waits for it.",
        ),
    ],
};

pub(super) const DNS: TableKeys = TableKeys {
    name: "dns",
    heading: "[dns]",
    text: "How DNS is asked. A restart puts changes in force.",
    keys: &[
        key(
            "resolvers",
            Words("those of `/etc/resolv.conf`"),
            "[\"192.0.2.53\", \"[2001:db8::53]:5353\"]",
            "The resolvers, at most 8, each an IP address or one with a port. Most zones do not answer public ones.",
        ),
        key(
            "budget",
            Value("\"2s\""),
            "\"500ms\"",
            "What a connection waits for DNS, from 100ms to 30s; then what is known decides. A message waits as long for each of: the addresses in its header, whether its sender is exempt, whose mail it is for the greylist.",
        ),
        key(
            "ptr",
            Value("true"),
            "false",
            "`false`: reverse names are never asked for; refused where something needs them.",
        ),
    ],
};

pub(super) const ZONE: TableKeys = TableKeys {
    name: "zone",
    heading: "[[zone]]",
    text: "A DNS list that others run; at most 32. Lists of this host go before all zones.",
    keys: &[
        key(
            "name",
            Required,
            "\"zen.example.org\"",
            "The name in records, metrics and commands; no two zones share one. A domain, or a name as lists have.",
        ),
        key(
            "domain",
            Words("the name"),
            "\"zen.example.org\"",
            "What is asked, without an access key. Several zones may share one, for answers that mean different things.",
        ),
        key(
            "key_file",
            Words("none"),
            "\"zen.key\"",
            "A file with an access key in its first line, which is put before the domain and never shown. It is read with the configuration; keep it from other users.",
        ),
        key("label", Words("the name"), "\"Example Zen\"", "The name that refused senders read."),
        key(
            "class",
            Required,
            "\"third-party-bad\"",
            "What a listing says: `third-party-good`, `open-proxy`, `third-party-bad`; the order is that of precedence.",
        ),
        key(
            "match",
            Value("[\"127.0.0.[2..254]\"]"),
            "[\"127.0.0.[2..9]\", \"127.0.0.[10;11]*dynamic\"]",
            "Which answers are listings, as postscreen writes them, each perhaps with a weight of its own (`*600`, with `action = \"score\"` only) and with `*dynamic`: given to one customer today and to another tomorrow.",
        ),
        key(
            "action",
            Words("`reject` for bad classes, `accept` for good ones"),
            "\"observe\"",
            "As for lists; good zones `accept` or `score`.",
        ),
        key(
            "weight",
            Words("none"),
            "600",
            "What a listing adds to the score, -1000 to 1000, for patterns without a weight of their own; with `action = \"score\"` only.",
        ),
        key(
            "hops",
            Words("`connect` for `reject`, `defer`, `score`; else `all`"),
            "\"unauthenticated\"",
            "Which addresses are asked about, as for lists.",
        ),
        key(
            "on_dns_error",
            Value("\"open\""),
            "\"defer\"",
            "When it does not answer: `open` (what else is known decides) or `defer` (4xx). Never a 5xx.",
        ),
        key(
            "families",
            Value("[\"ipv4\", \"ipv6\"]"),
            "[\"ipv4\"]",
            "The kinds of addresses that it is asked about.",
        ),
        key(
            "test_points",
            Value("true"),
            "false",
            "`false`: it lacks the entries of RFC 5782 by which its health is told, as private zones do.",
        ),
        key(
            "enforce",
            Value("true"),
            "false",
            "`false`: listings are recorded, nothing is done about them.",
        ),
    ],
};

pub(super) const SCORE: TableKeys = TableKeys {
    name: "score",
    heading: "[score]",
    text: "The slider of the reputation score, in percent of the scale from 500 to 1000, or as raw scores; where it is used.",
    keys: &[
        key("enabled", Value("true"), "false", "`false`: the score is neither computed nor used."),
        key("allow", Value("0"), "0", "Percent that are let in; the three parts add up to 100."),
        key("delay", Value("20"), "20", "Percent that are answered with a 4xx."),
        key("reject", Value("80"), "80", "Percent that are refused with a 5xx."),
        key(
            "delay_from",
            Words("from the percent"),
            "500",
            "The first score that is not let in; with `reject_above`, instead of the percent.",
        ),
        key(
            "reject_above",
            Words("from the percent"),
            "600",
            "The last score that is delayed; with `delay_from`, instead of the percent.",
        ),
        key(
            "delay_mode",
            Value("\"greylist\""),
            "\"static\"",
            "`greylist`: a retry after the wait passes, see [greylist]. `static`: each try is scored anew, and answered when the client connects.",
        ),
        key("connect", Value("true"), "false", "Whether it is used when a client connects."),
        key("message", Value("true"), "false", "Whether it is used when a message is there."),
        key(
            "exempt_domains",
            Value("[]"),
            "[\"example.org\", \".example.org\"]",
            "Sender domains whose messages the score does not stop, when SPF or DKIM passes for them; lists and zones still do. It has no effect when a client connects. `.example.org` means the subdomains of `example.org` without itself.",
        ),
        key(
            "exempt_file",
            Words("none"),
            "\"domains.txt\"",
            "More of them, one in a line, `#` before comments; other programs may read the same file.",
        ),
        key("evidence", Words("as below"), "{ ptr_missing = 50 }", "See [score.evidence]."),
    ],
};

pub(super) const EVIDENCE: TableKeys = TableKeys {
    name: "score.evidence",
    heading: "[score.evidence]",
    text: "What each fact adds to the score, -1000 to 1000, beside the weights of lists and zones. `0` is off: what only DNS knows is then not asked.",
    keys: &[
        key("ptr_missing", Value("0"), "50", "The client has no reverse name."),
        key(
            "ptr_unconfirmed",
            Value("0"),
            "50",
            "It has one whose addresses do not hold the client's.",
        ),
        key(
            "ptr_generic",
            Value("0"),
            "100",
            "Its reverse name is made of its address, or says that it is dynamic.",
        ),
        key("helo_invalid", Value("50"), "0", "Its HELO is neither a name nor its own address."),
        key(
            "helo_forged",
            Value("150"),
            "0",
            "Its HELO is a name or an address of this host, or the address of another.",
        ),
        key("early_talking", Value("200"), "0", "It spoke before it was greeted."),
        key("refused", Value("40"), "0", "Each time that it was refused lately."),
        key("refused_most", Value("200"), "400", "The most that comes of `refused`."),
        key("network_refused", Value("10"), "0", "Each time that its network was."),
        key(
            "network_refused_most",
            Value("100"),
            "50",
            "The most that comes of `network_refused`.",
        ),
        key("delivered", Value("-10"), "0", "Each message of it that was delivered lately."),
        key("delivered_most", Value("-100"), "-200", "The most that comes of `delivered`."),
        key(
            "half_life",
            Value("\"6h\""),
            "\"1d\"",
            "After this time half of what it did is forgotten, from 1m to 30d.",
        ),
    ],
};

pub(super) const GREYLIST: TableKeys = TableKeys {
    name: "greylist",
    heading: "[greylist]",
    text: "How senders in the delay band wait. What is remembered is the sender, the recipient, and where they come from: the network, or the domain of the sender where SPF passes for it. What passed so passes with all mail. A third try with a wait between passes from anywhere, so that nobody is starved who sends from many networks. See [the greylist](reputation/greylist.md).",
    keys: &[
        key("wait", Value("\"5m\""), "\"1m\"", "How long before a retry passes, from 1s to 1d."),
        key(
            "retry_within",
            Value("\"1d\""),
            "\"2d\"",
            "How long after the first try a retry still counts, up to 30d; more than `wait`.",
        ),
        key(
            "pass_for",
            Value("\"36d\""),
            "\"90d\"",
            "How long a network, or a domain, passes after its last message, up to 365d.",
        ),
        key(
            "network_v4",
            Value("24"),
            "28",
            "How many bits of an IPv4 address are its network, 8 to 32.",
        ),
        key(
            "network_v6",
            Value("64"),
            "56",
            "How many bits of an IPv6 address are its network, 16 to 128.",
        ),
        key(
            "most",
            Value("1000000"),
            "100000",
            "The most that is remembered, 1000 to 10000000; then the oldest goes.",
        ),
    ],
};

pub(super) const PROMOTION: TableKeys = TableKeys {
    name: "promotion",
    heading: "[promotion]",
    text: "Hosts that are refused again and again go into the list `auto`, and so into the kernel. Only refusals of the connecting client by a list, a zone or the score count; good and passed networks are left out.",
    keys: &[
        key(
            "refusals",
            Value("0"),
            "20",
            "How many refusals within the window it takes, up to 100. `0` is off.",
        ),
        key("window", Value("\"10m\""), "\"1h\"", "The window, from 1s to 1d."),
        key("duration", Value("\"1h\""), "\"1d\"", "How long a host stays there, up to 365d."),
        key("most", Value("10000"), "1000", "The most hosts there at once, 1 to 100000."),
        key(
            "kernel",
            Value("\"refuse\""),
            "\"drop\"",
            "What the kernel does with their SYNs; the words of `action` in [xdp].",
        ),
    ],
};
