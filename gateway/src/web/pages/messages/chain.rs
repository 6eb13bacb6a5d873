//! The way of a message as it was looked at: the client first, then each hop of the header, the one that decided marked.

use maud::{Markup, html};
use serde_json::Value;

use crate::web::parts::{action_of, badge, lookup, rows, segment, strange, text};

/// Hops that are drawn.
const HOPS: usize = 40;
/// Entries and listings of an address that are named.
const NAMED: usize = 2;
/// Letters of a reason or a text.
const LETTERS: usize = 120;

/// All hops of a record.
pub(super) fn content(record: &Value) -> Markup {
    let (addresses, offending) = (rows(&record["addresses"]), &record["offending"]);
    let hops = by_hop(addresses);
    let total = record["addresses_total"].as_u64().unwrap_or(0);
    let left_out = total.saturating_sub(addresses.len() as u64);
    html! {
        @if hops.is_empty() { p.hint { "No address is recorded." } }
        ol.chain { @for hop in hops.iter().take(HOPS) { (one(hop, offending)) } }
        @if hops.len() > HOPS { p.hint { "And " (hops.len() - HOPS) " more hops." } }
        @if left_out > 0 { p.hint { (left_out) " addresses that no list has were looked at and not recorded." } }
    }
}

/// Addresses that were seen at the same hop stand together.
fn by_hop(addresses: &[Value]) -> Vec<Vec<&Value>> {
    let mut hops: Vec<Vec<&Value>> = Vec::new();
    for address in addresses {
        match hops
            .iter_mut()
            .find(|hop| hop.first().is_some_and(|first| first["hop"] == address["hop"]))
        {
            Some(hop) => hop.push(address),
            None => hops.push(vec![address]),
        }
    }
    hops
}

fn one(addresses: &[&Value], offending: &Value) -> Markup {
    let name = addresses.first().map_or("–", |first| text(&first["hop"]));
    let decided = !offending.is_null() && offending["hop"] == name;
    html! {
        li class=[decided.then_some("offending")] {
            strong { (title(name)) } " " code.hint { (strange(name, LETTERS)) }
            @if decided { " " (badge("decided here", "bad")) }
            ul { @for address in addresses.iter().take(HOPS) { (of_address(address, decided, offending)) } }
        }
    }
}

/// A hop in words.
fn title(hop: &str) -> String {
    match hop {
        "connect" => "The client that connected".to_owned(),
        "proxy" => "The client, named by a load balancer".to_owned(),
        "xclient" => "The client, named by our own host".to_owned(),
        hop => {
            let place = |before| hop.strip_prefix(before)?.strip_suffix(']');
            let number = place("received[").and_then(|number| number.parse::<u16>().ok());
            match number {
                Some(0) => "The top Received field".to_owned(),
                Some(number) => format!("Received field {}", u32::from(number) + 1),
                None if place("header[").is_some() => "A header field".to_owned(),
                None => "Somewhere else".to_owned(),
            }
        }
    }
}

fn of_address(address: &Value, decided: bool, offending: &Value) -> Markup {
    let (matches, listings) = (rows(&address["matches"]), rows(&address["listings"]));
    let more = matches.len().saturating_sub(NAMED) + listings.len().saturating_sub(NAMED);
    html! {
        li {
            (lookup(text(&address["ip"])))
            @if decided && offending["ip"] == address["ip"] { " " strong { "this address decided" } }
            @if address["authenticated"] == true { " " (badge("logged in", "plain")) }
            @if let Some(skipped) = address["skipped"].as_str() { " " (badge(skipped, "plain")) }
            @if matches.is_empty() && listings.is_empty() && address["skipped"].is_null() {
                " " span.hint { "nothing against it" } }
            @for found in matches.iter().take(NAMED) {
                br; "list " a href={ "/lists/" (segment(text(&found["list"]))) } { (strange(text(&found["list"]), LETTERS)) }
                " has " (strange(text(&found["entry"]), LETTERS)) " " (action_of(found))
                @if let Some(reason) = found["reason"].as_str() { " " (strange(reason, LETTERS)) }
            }
            @for found in listings.iter().take(NAMED) {
                br; "zone " (strange(text(&found["zone"]), LETTERS)) " lists it " (action_of(found))
                @if let Some(text) = found["text"].as_str() { " " (strange(text, LETTERS)) }
            }
            @if more > 0 { br; span.hint { "and " (more) " more" } }
            @for fault in rows(&address["unanswered"]).iter().take(NAMED) {
                br; (badge("no answer", "doubtful")) " " (strange(text(&fault["zone"]), LETTERS)) ": " (text(&fault["reason"]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hop_that_decided_is_marked_by_class_and_by_word() {
        let record = json!({
            "addresses": [
                {"ip": "203.0.113.7", "hop": "connect", "matches": []},
                {"ip": "203.0.113.8", "hop": "received[0]", "skipped": "own-relay"},
                {"ip": "203.0.113.99", "hop": "received[1]", "matches": [{"list": "proxies", "entry": "203.0.113.99",
                    "action": "reject", "reason": "<script>"}]},
                {"ip": "192.168.1.4", "hop": "received[1]"},
            ],
            "offending": {"ip": "203.0.113.99", "hop": "received[1]"},
            "addresses_total": 6,
        });
        let shown = content(&record).into_string();
        assert_eq!(shown.matches("class=\"offending\"").count(), 1, "{shown}");
        let (before, after) = shown.split_once("class=\"offending\"").unwrap();
        assert!(before.contains("The client that connected") && before.contains("own-relay"));
        for part in [
            "Received field 2",
            "decided here",
            "this address decided",
            "192.168.1.4",
            "&lt;script&gt;",
            "2 addresses that no list has",
        ] {
            assert!(after.contains(part), "{part}: {shown}");
        }
        assert_eq!(after.matches("this address decided").count(), 1);
    }

    #[test]
    fn the_longest_chain_is_bounded() {
        let long = "\"<".repeat(5000);
        let found =
            json!({"list": long, "entry": long, "reason": long, "zone": long, "text": long});
        let address = |number: usize| {
            json!({"ip": "192.0.2.1", "hop": format!("received[{number}]"),
            "matches": vec![&found; 16], "listings": vec![&found; 16]})
        };
        let record = json!({"addresses": (0..64).map(address).collect::<Vec<_>>()});
        let shown = content(&record).into_string();
        assert!(shown.contains("And 24 more hops") && shown.contains("and 28 more"));
        assert!(!shown.contains("\"<"));
        for (record, expected) in
            [(Value::Null, "No address"), (json!({"addresses": [{}]}), "Somewhere else")]
        {
            assert!(content(&record).into_string().contains(expected), "{record}");
        }
    }

    #[test]
    fn hops_have_words() {
        for (hop, expected) in [
            ("proxy", "The client, named by a load balancer"),
            ("received[0]", "The top Received field"),
            ("received[65535]", "Received field 65536"),
            ("received[x]", "Somewhere else"),
            ("header[X-Originating-IP]", "A header field"),
        ] {
            assert_eq!(title(hop), expected, "{hop}");
        }
    }
}
