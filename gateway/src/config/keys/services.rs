//! The keys of the services that mail servers ask.

use super::IfAbsent::{Required, Value};
use super::{Key, TableKeys, key};

const ADDRESS: &str = "IP address and port, or `unix:` with the path of a socket. Whoever reaches it is believed, so it belongs on loopback or behind a firewall.";

const SOCKET_MODE: Key = key(
    "socket_mode",
    Value("\"0660\""),
    "\"0666\"",
    "Who may connect to a Unix socket, as the permissions of a file.",
);

const DIRECTION: Key = key(
    "direction",
    Value("\"auto\""),
    "\"inbound\"",
    "`inbound`, `outbound`, or `auto`: told from the client by the lists of [[acceptance]]; a client whose user has logged in is outbound.",
);

const CONNECTIONS: Key = key(
    "connections",
    Value("1000"),
    "200",
    "Connections of mail servers at the same time; more are closed, and the mail server then answers 4xx.",
);

pub(super) const MILTER: TableKeys = TableKeys {
    name: "milter",
    heading: "[milter]",
    text: "The milter, for Postfix and Sendmail; see [inside a mail server](fronts/milter.md). It needs neither a listener nor a next hop.",
    keys: &[
        key("address", Required, "\"127.0.0.1:8891\"", ADDRESS),
        SOCKET_MODE,
        DIRECTION,
        CONNECTIONS,
    ],
};

pub(super) const POSTFIX_POLICY: TableKeys = TableKeys {
    name: "postfix_policy",
    heading: "[postfix_policy]",
    text: "The policy service, for `check_policy_service` of Postfix; see [policy service](fronts/policy.md). It needs neither a listener nor a next hop.",
    keys: &[
        key("address", Required, "\"unix:/run/portcullis/policy.sock\"", ADDRESS),
        SOCKET_MODE,
        DIRECTION,
        CONNECTIONS,
    ],
};
