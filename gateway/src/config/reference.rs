//! The reference of all keys, written from the table that the reader itself uses.

use std::fmt::Write as _;

use super::keys::{IfAbsent, Key, TABLES, TableKeys};
use super::tree::joined;

/// The reference of all keys, in Markdown.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for table in &TABLES {
        page.push('\n');
        page.push_str(&section(table));
    }
    page
}

const INTRODUCTION: &str = r#"# Configuration

Portcullis reads `/etc/portcullis/portcullis.toml` (or the file after `--config`), then every `*.toml` in the folder `conf.d`
beside it, in the order of their names. Tables of the same name are merged and arrays appended; any other key may be written
once. Relative paths begin in the folder of the main file. `portcullis check` prints every fault at once, each with file, line,
key, value and what was expected; a configuration with a fault starts nothing (exit code 78).

`portcullis check --show` prints every key with what holds and where it was said; with `--json`, and as `GET /api/v1/config` from the
daemon, `tables` with `keys`, each with `value` (or `words` where it follows from something else), `said`, `place` and `masked`. Names and
passwords in addresses, what follows a `?` in them, and `key_file` are not shown. What commands set in the place of the files ([the
slider](reputation/score.md), lists and zones switched off, zones added) is in `overrides`, and a line each of `portcullis check`: what the
file says, what was set by whom and when, which counts. Commands never write the files.

This page is generated from the source; a test keeps it so.

The least that `portcullis run` needs, with one list:

```toml
[[listener]]
address = "0.0.0.0:25"

[next_hop]
address = "127.0.0.1:10025"

[[list]]
name = "office-bad"
class = "local-bad"
file = "bad.txt"
```

Inside a mail server that asks, the least is ([milter](fronts/milter.md)):

```toml
[milter]
address = "127.0.0.1:8891"

[[list]]
name = "office-bad"
class = "local-bad"
file = "bad.txt"
```

An edge host in front of a Postfix that accepts XCLIENT from it:

```toml
hostname = "mx1.example.org"
trusted_relays = ["192.0.2.10"]

[xdp]
interfaces = ["eth0"]
action = "drop"

[[listener]]
address = "0.0.0.0:25"
direction = "inbound"

[[listener]]
address = "[2001:db8::25]:25"

[next_hop]
address = "127.0.0.1:10025"
client = "xclient"

[[list]]
name = "partners"
class = "local-good"
file = "partners.txt"

[[list]]
name = "office-bad"
label = "Blocked by example.org"
class = "local-bad"
file = "bad.txt"

[[list]]
name = "proxies"
class = "open-proxy"
file = "proxies.txt"
action = "reject-message"
hops = "unauthenticated"

[[list]]
name = "doubtful"
class = "global-bad"
file = "doubtful.txt"
action = "score"
weight = 550

[dns]
resolvers = ["127.0.0.1"]

[[zone]]
name = "zen"
domain = "zen.example.org"
label = "Example Zen"
class = "third-party-bad"
match = ["127.0.0.[2..9]*600", "127.0.0.[10..11]*200*dynamic"]
action = "score"

[[zone]]
name = "good.example.net"
class = "third-party-good"

[score]
allow = 0
delay = 20
reject = 80
exempt_domains = ["example.com"]

[score.evidence]
ptr_missing = 50
ptr_generic = 100

[greylist]
wait = "5m"

[promotion]
refusals = 20

[[acceptance]]
name = "office"
direction = "outbound"
addresses = ["192.0.2.64/28"]
hosts = ["app.example.org"]

[scan]
headers = ["X-Originating-IP"]

[limits]
message = "50M"
command_timeout = "5m"
```

The dry run beside a next hop that must not learn the client's address:

```toml
enforce = false
recipient_domains = ["example.org", ".example.org"]

[xdp]
mode = "off"

[[listener]]
address = "192.0.2.1:25"

[next_hop]
address = "192.0.2.2:25"
client = "none"
```
"#;

fn section(table: &TableKeys) -> String {
    let heading = match table.heading {
        "" => "Top of the file".to_owned(),
        heading => format!("`{heading}`"),
    };
    let mut section = format!("## {heading}\n\n{}\n", table.text);
    if !table.keys.is_empty() {
        section.push_str("\n| key | default | example | meaning |\n|---|---|---|---|\n");
    }
    // Among the keys stand tables, too; each has a section of its own.
    for key in table.keys.iter().filter(|key| !is_table(table, key)) {
        section.push_str(&row(key));
    }
    section
}

/// Whether a key is a table, which has a section of its own.
pub(super) fn is_table(table: &TableKeys, key: &Key) -> bool {
    let path = joined(table.name, key.name);
    TABLES.iter().any(|table| table.name == path)
}

fn row(key: &Key) -> String {
    let mut row = format!("| `{}` |", key.name);
    // Writing to a `String` cannot fail.
    let _infallible = match key.default {
        IfAbsent::Value(value) => write!(row, " `{value}` |"),
        IfAbsent::Words(words) => write!(row, " {words} |"),
        IfAbsent::Required => write!(row, " required |"),
    };
    row + &format!(" `{}` | {} |\n", key.example, key.text)
}
