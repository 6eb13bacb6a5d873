//! A network: which lists have all of it, who of it waits or passes, which reviews and records are about it.

use std::net::IpAddr;

use maud::{Markup, html};
use serde_json::Value;

use super::{forms, past};
use crate::admin::Fault;
use crate::net::Prefix;
use crate::web::facts;
use crate::web::frame::Frame;
use crate::web::parts::{at, lookup, query, rows, text};
use crate::web::said::Said;
use crate::web::site::Site;

/// Reviews that are looked through for those about a part of it.
const REVIEWS: usize = 1000;

/// The page about a network.
pub(super) async fn content(
    site: &Site,
    network: Prefix,
    said: &Said,
    frame: &Frame,
) -> Result<Markup, Fault> {
    let about = network.to_string();
    let of_first = format!("/api/v1/lookup/{}", network.address());
    let of_senders = format!("/api/v1/senders?which={}&limit=20", query(&about));
    let of_reviews = format!("/api/v1/reviews?limit={REVIEWS}");
    let (first, senders, reviews, status) = tokio::join!(
        site.api.get(&of_first),
        site.api.get(&of_senders),
        site.api.get(&of_reviews),
        site.api.get("/api/v1/status"),
    );
    let [senders, reviews, status] = [senders, reviews, status].map(Result::unwrap_or_default);
    let known = Known { first: &first?, senders: &senders, reviews: &reviews };
    Ok(html! {
        (known.show(network, frame))
        @if frame.may_change() { (forms::all(&about, at(&status, "/rules/lists"), said, frame)) }
    })
}

/// What the API says of a network.
struct Known<'a> {
    /// The lookup of its first address.
    first: &'a Value,
    senders: &'a Value,
    reviews: &'a Value,
}

impl Known<'_> {
    fn show(&self, network: Prefix, frame: &Frame) -> Markup {
        let about = network.to_string();
        let matches = rows(&self.first["matches"]);
        let covering: Vec<_> =
            matches.iter().filter(|found| covers(found, network)).cloned().collect();
        let inside: Vec<_> =
            matches.iter().filter(|found| !covers(found, network)).cloned().collect();
        let reviews = rows(&self.reviews["rows"]).iter();
        let reviews: Vec<_> = reviews.filter(|review| touches(review, network)).cloned().collect();
        let undo = |found: &Value| forms::undo(found, &about, frame);
        let undo: Option<&dyn Fn(&Value) -> Markup> =
            if frame.may_change() { Some(&undo) } else { None };
        html! {
            section.card aria-labelledby="network" {
                h2 id="network" { (about) }
                p.hint { "A network has no verdict of its own: each of its addresses has one, such as "
                    (lookup(&network.address().to_string())) "." }
                @if covering.is_empty() { p { "No list has all of it." } }
                @else { (facts::matches(&covering, undo)) }
                @if !inside.is_empty() {
                    h3 { "Lists that have a part of it, by its first address" }
                    (facts::matches(&inside, None))
                }
                p { a href={ "/messages?address=" (query(&about)) } { "All records about addresses in it" } }
            }
            div.columns { (past::greylist(self.senders)) (past::reviews(&reviews)) }
        }
    }
}

fn covers(found: &Value, network: Prefix) -> bool {
    text(&found["entry"]).parse::<Prefix>().is_ok_and(|entry| entry.covers(network))
}

/// Whether a review is about a part of a network, or about more than it.
fn touches(review: &Value, network: Prefix) -> bool {
    let about = text(&review["prefix"]);
    let host = about.parse::<IpAddr>().map(Prefix::host).ok();
    let about = host.or_else(|| about.parse::<Prefix>().ok());
    about.is_some_and(|about| about.covers(network) || network.covers(about))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Role;

    #[test]
    fn what_has_all_of_a_network_is_told_from_what_has_a_part() {
        let entry =
            |list: &str, entry: &str| json!({"list": list, "entry": entry, "origin": "x:1"});
        let first =
            json!({"matches": [entry("wide", "192.0.0.0/16"), entry("part", "192.0.2.0/25")]});
        let reviews = json!({"rows": [
            {"id": 1, "prefix": "192.0.2.7", "state": "open"}, {"id": 2, "prefix": "198.51.100.0/24"},
            {"id": 3, "prefix": "192.0.0.0/16"}, {"id": 4},
        ]});
        let known = Known { first: &first, senders: &Value::Null, reviews: &reviews };
        let network = "192.0.2.0/24".parse().unwrap();
        let shown = known.show(network, &Frame::of(Role::Operator)).into_string();
        let (covering, inside) = shown.split_once("have a part of it").unwrap();
        assert!(covering.contains("/lists/wide") && !covering.contains("/lists/part"), "{shown}");
        assert!(inside.contains("/lists/part") && !inside.contains("/lists/wide"), "{shown}");
        for (id, expected) in [(1, true), (2, false), (3, true), (4, false)] {
            assert_eq!(shown.contains(&format!("/reviews/{id}")), expected, "{id}: {shown}");
        }
        let nothing = json!({});
        let known = Known { first: &nothing, senders: &nothing, reviews: &nothing };
        let shown = known.show(network, &Frame::of(Role::Viewer)).into_string();
        assert!(shown.contains("No list has all of it") && !shown.contains("<form"), "{shown}");
    }
}
