//! The keys of the pages.

use super::IfAbsent::{Required, Value};
use super::{Key, TableKeys, key};

const TLS: Key = key(
    "tls",
    Value("false"),
    "true",
    "Whether TLS is spoken, with the certificate of [tls], which is read again when it changes.",
);

pub(super) const WEB: TableKeys = TableKeys {
    name: "web",
    heading: "[web]",
    text: "The control centre: pages, the HTTP API and metrics; see [control centre](web.md). It is there where this table, or a [[web_user]], is.",
    keys: &[
        key(
            "address",
            Value("\"127.0.0.1:8025\""),
            "\"127.0.0.1:8025\"",
            "IP address and port. One that is not on loopback needs `tls = true`.",
        ),
        TLS,
        key(
            "session",
            Value("\"12h\""),
            "\"1h\"",
            "How long somebody who does nothing stays logged in.",
        ),
        key(
            "metrics_from",
            Value("[\"127.0.0.1\", \"::1\"]"),
            "[\"192.0.2.9\"]",
            "Who reads `/metrics` without logging in.",
        ),
    ],
};

pub(super) const WEB_USER: TableKeys = TableKeys {
    name: "web_user",
    heading: "[[web_user]]",
    text: "Somebody who may log in to the control centre, beside whoever has the token in `web.token` in `state_dir`.",
    keys: &[
        key("name", Required, "\"ann\"", "The name; changes are recorded with it."),
        key(
            "role",
            Required,
            "\"viewer\"",
            "`viewer` sees everything, `operator` changes it, too.",
        ),
        key(
            "password",
            Required,
            "\"$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IGhlcmU$PHN3s7e3ccLF5ZDyxmvEvs0wyV9phODi0gsvhSi3fEw\"",
            "The hash of the password, as `portcullis web password` prints it.",
        ),
    ],
};

pub(super) const PUBLIC_LOOKUP: TableKeys = TableKeys {
    name: "public_lookup",
    heading: "[public_lookup]",
    text: "A page for blocked senders, on a port of its own: the reference from the bounce, why, and a request to look again; see [public lookup](web.md#the-public-page).",
    keys: &[key("address", Required, "\"0.0.0.0:8080\"", "IP address and port."), TLS],
};
