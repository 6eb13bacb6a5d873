//! The lines of `tap` for people: one for each event of the kernel, some for each decision.

use serde_json::Value;

use crate::cli::answer::{items, plain, plain_at};
use crate::cli::safe::safe;

/// What the kernel filter did with a packet.
pub(super) fn kernel(record: &Value) -> String {
    let text = |pointer: &str| safe(&plain_at(record, pointer));
    let packets = match record.pointer("/kernel/packets").and_then(Value::as_u64) {
        None | Some(1) => String::new(),
        Some(packets) => format!(", for {packets} packets"),
    };
    format!(
        "{} kernel    {} {}:{} by list {}, {}{packets}",
        time(record),
        text("/kernel/outcome"),
        text("/client"),
        text("/client_port"),
        text("/list"),
        text("/kernel/action"),
    )
}

/// What the daemon decided, and what became of it: the decision, its hops, what was said.
pub(super) fn decision(record: &Value) -> Vec<String> {
    let text = |pointer: &str| safe(&plain_at(record, pointer));
    let dry = if record["enforced"] == false { ", dry run" } else { "" };
    let mut lines = vec![format!(
        "{} {:<9} {} ({}), {}{dry}: {}:{}, reference {}",
        time(record),
        text("/phase"),
        text("/verdict"),
        text("/code"),
        text("/action"),
        text("/client"),
        text("/client_port"),
        text("/reference"),
    )];
    let mut add = |name: &str, words: String| lines.push(format!("    {name:<9} {words}"));
    for (key, entry) in [("list", "entry"), ("zone", "zone_codes")] {
        if record[key].is_string() {
            add(key, format!("{} {}", text(&format!("/{key}")), text(&format!("/{entry}"))));
        }
    }
    if !record["score"].is_null() {
        let evidence = items(&record["evidence"]).map(|item| {
            let weight = item["weight"].as_i64().unwrap_or(0);
            format!(" {}:{weight:+}", safe(&plain(&item["name"])))
        });
        add(
            "score",
            format!(
                "{} {}{}",
                text("/score"),
                text("/band"),
                evidence.collect::<Vec<_>>().concat()
            ),
        );
    }
    for hop in items(&record["addresses"]) {
        add(
            "hop",
            format!("{} {}{}", safe(&plain(&hop["ip"])), safe(&plain(&hop["hop"])), found(hop)),
        );
    }
    if let Some(envelope) = record.get("envelope").filter(|it| it.is_object()) {
        let recipients = envelope.get("recipients").unwrap_or(&Value::Null);
        let recipients: Vec<_> = items(recipients).map(|it| safe(&plain(it))).collect();
        let (helo, sender) = (text("/envelope/helo"), text("/envelope/sender"));
        add("envelope", format!("{helo}, from <{sender}> to <{}>", recipients.join(">, <")));
    }
    for (key, name) in [("reply", "reply"), ("next_hop", "next hop"), ("quarantine", "held as")] {
        if record[key].is_string() {
            add(name, text(&format!("/{key}")));
        }
    }
    lines
}

/// Which lists and zones have a hop, and why nothing was decided from it.
fn found(hop: &Value) -> String {
    let names = |key: &str, name: &'static str| {
        let found = items(&hop[key]).map(move |it| format!(", {name} {}", safe(&plain(&it[name]))));
        found.collect::<Vec<_>>().concat()
    };
    let skipped = if hop["skipped"].is_null() {
        String::new()
    } else {
        format!(", skipped: {}", safe(&plain(&hop["skipped"])))
    };
    format!("{}{}{skipped}", names("matches", "list"), names("listings", "zone"))
}

/// The time of the day, to the millisecond.
fn time(record: &Value) -> String {
    let time = plain_at(record, "/time").parse::<crate::clock::Timestamp>();
    time.map_or_else(|_no_time| "-".to_owned(), |time| time.strftime("%H:%M:%S%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_of_the_kernel_is_a_line() {
        let record = |packets: u32| {
            json!({
                "time": "2026-11-22T10:20:30.123456Z", "client": "198.19.7.7", "client_port": 4711, "list": "proxies",
                "kernel": {"outcome": "dropped", "action": "drop", "interface": 2, "packets": packets, "octets": 74},
            })
        };
        let line = "10:20:30.123 kernel    dropped 198.19.7.7:4711 by list proxies, drop";
        assert_eq!(kernel(&record(1)), line);
        assert_eq!(kernel(&record(3)), format!("{line}, for 3 packets"));
        assert_eq!(kernel(&Value::Null), "- kernel    - -:- by list -, -");
    }

    #[test]
    fn a_decision_is_shown_with_all_that_is_known_and_a_terminal_obeys_nothing() {
        let record = json!({
            "time": "2026-11-22T10:20:30Z", "phase": "message", "verdict": "Accept", "code": "accept", "action": "accept",
            "enforced": false, "client": "192.0.2.9", "client_port": 25, "reference": "abc",
            "list": null, "score": 120, "band": "allow", "evidence": [{"name": "helo", "weight": 20}],
            "addresses": [
                {"ip": "192.0.2.9", "hop": "connect", "matches": [], "listings": [{"zone": "zen"}], "skipped": null},
                {"ip": "10.0.0.1", "hop": "received[1]", "matches": [{"list": "bad"}], "listings": [], "skipped": "reserved"},
            ],
            "envelope": {"helo": "a\u{1b}[2J", "sender": "", "recipients": ["b@example.org", "c@example.org"]},
            "reply": "250 2.0.0 Ok", "next_hop": "250 2.0.0 queued", "quarantine": null,
        });
        let expected = [
            "10:20:30.000 message   Accept (accept), accept, dry run: 192.0.2.9:25, reference abc",
            "    score     120 allow helo:+20",
            "    hop       192.0.2.9 connect, zone zen",
            "    hop       10.0.0.1 received[1], list bad, skipped: reserved",
            "    envelope  a\\u{1b}[2J, from <> to <b@example.org>, <c@example.org>",
            "    reply     250 2.0.0 Ok",
            "    next hop  250 2.0.0 queued",
        ];
        assert_eq!(decision(&record), expected);
    }
}
