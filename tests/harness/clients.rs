//! Clients of a mail server that asks the daemon about them, and the lists that say what becomes of each.

use crate::site::Site;

/// On no list.
pub const CLEAN: &str = "198.18.1.2";
/// Refused at connect.
pub const BAD: &str = "198.51.100.66";
/// Deferred at connect.
pub const PUT_OFF: &str = "198.51.100.77";
/// An open proxy: its messages are refused.
pub const PROXY: &str = "198.18.99.1";
/// Its messages are tagged.
pub const TAGGED: &str = "198.18.50.1";
/// Its messages are taken and thrown away.
pub const DISCARDED: &str = "198.18.60.1";
/// Its messages are taken and kept from the recipients.
pub const KEPT: &str = "198.18.70.1";
/// Its score is doubtful, so that it is greylisted.
pub const SUSPECT: &str = "198.18.0.50";

/// All of them.
pub const CLIENTS: [&str; 8] = [CLEAN, BAD, PUT_OFF, PROXY, TAGGED, DISCARDED, KEPT, SUSPECT];

/// Name, class, further keys and entries of each list.
const LISTS: [(&str, &str, &str, &str); 7] = [
    ("bad", "local-bad", "label = \"Our own list\"", BAD),
    ("put-off", "global-bad", "action = \"defer\"", PUT_OFF),
    ("proxies", "open-proxy", "action = \"reject-message\"", "198.18.99.0/24"),
    ("tagged", "global-bad", "action = \"tag\"", "198.18.50.0/24"),
    ("gone", "global-bad", "action = \"discard\"", "198.18.60.0/24"),
    ("kept", "global-bad", "action = \"quarantine\"", "198.18.70.0/24"),
    ("suspects", "global-bad", "action = \"score\"\nweight = 550", SUSPECT),
];

/// A daemon that only answers the mail server which asks it, by `service`, a table of the configuration; with the lists above.
pub fn asked(service: &str) -> Site {
    let site = Site::without_kernel().without_listener().tables(service);
    LISTS.into_iter().fold(site, |site, (name, class, keys, entries)| {
        site.list(name, class, keys, &format!("{entries}\n"))
    })
}
