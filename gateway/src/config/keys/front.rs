//! The keys of listeners, next hops and what is written into mail on its way.

use super::IfAbsent::{Required, Value, Words};
use super::{TableKeys, key};

pub(super) const LISTENER: TableKeys = TableKeys {
    name: "listener",
    heading: "[[listener]]",
    text: "An address on which mail is taken; there may be many. `portcullis run` needs one of them, or [milter], or [postfix_policy].",
    keys: &[
        key("address", Required, "\"192.0.2.1:25\"", "IP address and port."),
        key(
            "direction",
            Value("\"auto\""),
            "\"inbound\"",
            "`inbound`, `outbound`, or `auto`: told from the client by the lists of [[acceptance]]. A fixed one asks no DNS for it.",
        ),
        key(
            "bare_newline",
            Value("\"reject\""),
            "\"normalise\"",
            "A CR, LF or NUL that stands alone in a message: `reject` it, or `normalise` it (CRLF; a NUL vanishes), which breaks signatures.",
        ),
        key(
            "tls",
            Value("\"off\""),
            "\"starttls\"",
            "`starttls` offers it, with the certificate of [tls]; `implicit` speaks it from the first octet on; `off`.",
        ),
        key(
            "auth",
            Value("\"off\""),
            "\"pass\"",
            "`pass`: under TLS, AUTH is offered as the next hop offers it, and goes through to it. Who has logged in there may send to anybody, and neither score nor greylist stops him. Over a wire the next hop needs `tls = \"required\"`.",
        ),
        key(
            "proxy_from",
            Value("[]"),
            "[\"192.0.2.10\"]",
            "Load balancers that begin each connection with a PROXY header, version 1 or 2, in which the client is named. From others that header is answered with a 421. At the widest /8 for IPv4, /16 for IPv6.",
        ),
        key(
            "xclient_from",
            Value("[]"),
            "[\"192.0.2.11\"]",
            "Hosts that may name the client with XCLIENT; nobody else is offered it.",
        ),
        key(
            "greet_wait",
            Words("none"),
            "\"6s\"",
            "How long strangers wait between the first line of the greeting and its last, 1s to 30s. Who speaks meanwhile is no mail server, and is refused. Who passed is not asked again for a day.",
        ),
    ],
};

pub(super) const TLS: TableKeys = TableKeys {
    name: "tls",
    heading: "[tls]",
    text: "The certificate of this host, for listeners with TLS. New files are in force within ten seconds; where they cannot be read, the old ones stay and an alarm says so.",
    keys: &[
        key(
            "certificate",
            Words("none"),
            "\"mx1.pem\"",
            "The file with the chain in PEM, our own first. Relative to the folder of the main configuration file.",
        ),
        key(
            "key",
            Words("in the file of `certificate`"),
            "\"mx1.key\"",
            "The file with its private key, in PEM.",
        ),
        key(
            "min_version",
            Value("\"1.2\""),
            "\"1.3\"",
            "The oldest version of TLS that is spoken: `1.2` or `1.3`.",
        ),
    ],
};

pub(super) const NEXT_HOP: TableKeys = TableKeys {
    name: "next_hop",
    heading: "[next_hop]",
    text: "The mail server behind this one; a daemon with a listener needs it.",
    keys: &[
        key(
            "address",
            Required,
            "[\"192.0.2.20:25\", \"192.0.2.21:25\"]",
            "IP address and port, or several of hosts that do the same: mail goes to the first one that answers, and one that does not is left alone for a while.",
        ),
        key(
            "client",
            Value("\"xclient\""),
            "\"proxy\"",
            "How it learns who the client is: `xclient`, `proxy` (PROXY protocol, version 1), `proxy-v2`, or `none`. With `none` it sees every client as this host, so `recipient_domains` must be set, and a listener that is fixed to `outbound` needs an acceptance list.",
        ),
        key(
            "idle_connections",
            Value("32"),
            "0",
            "How many connections to each may wait for another client, two seconds at most, with `xclient` and `none`; at many mail servers each is a process. `0`: none.",
        ),
        key(
            "tls",
            Words("`off` on loopback, else `opportunistic`"),
            "\"required\"",
            "Whether STARTTLS is used: `off`, `opportunistic` (where it is offered and works), `required` (mail waits otherwise).",
        ),
        key(
            "tls_verify",
            Words("`true` with `required`, else `false`"),
            "false",
            "Whether its certificate must be one for `tls_name`, of an authority that is believed.",
        ),
        key(
            "tls_name",
            Words("its address"),
            "\"mail.example.org\"",
            "The name in its certificate.",
        ),
        key(
            "tls_ca_file",
            Words("the system's"),
            "\"our-ca.pem\"",
            "The authorities that are believed, in PEM.",
        ),
    ],
};

pub(super) const HEADER: TableKeys = TableKeys {
    name: "header",
    heading: "[header]",
    text: "What is written into the header of mail that goes on. Fields under the same names that a sender wrote to deceive are removed.",
    keys: &[
        key(
            "received",
            Value("true"),
            "false",
            "A Received field that says from whom, when and how the message came here.",
        ),
        key(
            "authentication_results",
            Value("false"),
            "true",
            "An Authentication-Results field in the name of `hostname`: the verdict, the score, and what reverse DNS says of the client.",
        ),
        key(
            "subject_prefix",
            Words("none"),
            "\"[SUSPECT] \"",
            "What goes before the subject of a message that is tagged.",
        ),
    ],
};
