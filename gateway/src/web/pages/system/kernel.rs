//! The kernel filter in detail: where it is attached, what became of each packet, what each list did.

use maud::{Markup, html};
use serde_json::Value;

use crate::web::parts::{action, count, filter_mode, number, octets, rows, text};

/// Lists that are shown.
const LISTS: usize = 100;

pub(super) fn section(xdp: &Value) -> Markup {
    let counters = &xdp["counters"];
    html! {
        section.card aria-labelledby="kernel" {
            h2 id="kernel" { "Kernel filter " (filter_mode(text(&xdp["mode"]))) }
            @if let Some(reason) = xdp["reason"].as_str() { div.notice.doubtful { p { (reason) } } }
            @let interfaces = rows(&xdp["interfaces"]);
            @if interfaces.is_empty() { p.hint { "It is attached nowhere." } }
            @else { (attached(interfaces)) }
            @if !counters.is_null() {
                div.columns { (outcomes(&counters["outcomes"])) (lists(counters)) }
            }
        }
    }
}

fn attached(interfaces: &[Value]) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            caption { "Interfaces" }
            thead { tr { th scope="col" { "Interface" } th scope="col" { "Mode" } th scope="col" { "Answers" }
                th scope="col" { "From an earlier daemon" } th scope="col" { "Why" } } }
            tbody { @for interface in interfaces { tr {
                th scope="row" { (text(&interface["interface"])) }
                td { (filter_mode(text(&interface["mode"]))) }
                td { (yes(&interface["replies"])) }
                td { (yes(&interface["adopted"])) }
                td { (text(&interface["reason"])) }
            } } }
        } }
    }
}

fn yes(value: &Value) -> &'static str {
    match value.as_bool() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "–",
    }
}

/// Each packet under its one outcome; those that never came are left out.
fn outcomes(outcomes: &Value) -> Markup {
    let came = outcomes.as_object().into_iter().flatten();
    let came: Vec<_> = came.filter(|(_name, count)| count["packets"] != 0).collect();
    html! {
        div.scroll tabindex="0" { table {
            caption { "What became of packets" }
            thead { tr { th scope="col" { "Outcome" } th.number scope="col" { "Packets" } th.number scope="col" { "Size" } } }
            tbody {
                @for (name, counted) in &came { tr {
                    th scope="row" { (name) }
                    td.number { (count(&counted["packets"])) }
                    td.number { (octets(counted["bytes"].as_u64().unwrap_or(0))) }
                } }
                @if came.is_empty() { tr { td colspan="3" { "None came yet." } } }
            }
        } }
    }
}

/// By list, action and family.
fn lists(counters: &Value) -> Markup {
    let lists = counters["families"].as_object().into_iter().flatten();
    let lines: Vec<_> = lists
        .flat_map(|(list, families)| {
            let families = families.as_object().into_iter().flatten();
            families.flat_map(move |(family, actions)| {
                let actions = actions.as_object().into_iter().flatten();
                actions.map(move |(action, count)| {
                    (list, family, action, count["packets"].as_u64().unwrap_or(0))
                })
            })
        })
        .filter(|(.., packets)| *packets > 0)
        .collect();
    html! {
        div.scroll tabindex="0" { table {
            caption { "By list" }
            thead { tr { th scope="col" { "List" } th scope="col" { "Family" } th scope="col" { "Action" }
                th.number scope="col" { "Packets" } } }
            tbody {
                @for (list, family, done, packets) in lines.iter().take(LISTS) { tr {
                    th scope="row" { (list) } td { (family) }
                    td { @if *done == "off" { "passed" } @else { (action(done)) } }
                    td.number { (number(*packets)) }
                } }
                @if lines.is_empty() { tr { td colspan="4" { "No list was hit." } } }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::HOSTILE;
    use super::*;

    #[test]
    fn the_filter_is_told_in_each_state() {
        for (xdp, expected, absent) in [
            (
                json!({"mode": "off", "interfaces": [], "counters": null}),
                "attached nowhere",
                "By list",
            ),
            (
                json!({"mode": "generic", "reason": HOSTILE, "interfaces": [{"interface": HOSTILE, "mode": "generic"}, null],
                    "counters": {"outcomes": {"passed": {"packets": 3, "bytes": 2048}, "never": {"packets": 0}},
                        "families": {HOSTILE: {"ipv4": {"refuse": {"packets": 7}, "drop": {"packets": 0}}}}}}),
                "2.0 KiB",
                "never",
            ),
            (json!({"mode": "native", "counters": {}}), "No list was hit", "notice"),
        ] {
            let shown = section(&xdp).into_string();
            assert!(shown.contains(expected) && !shown.contains(absent), "{expected} in {shown}");
            assert!(!shown.contains("<script"), "{shown}");
        }
    }
}
