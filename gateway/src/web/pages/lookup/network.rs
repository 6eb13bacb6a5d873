//! A network: which lists have all or a part of it, who of it waits or passes, which reviews and records are about it.

use futures_util::future::join_all;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{forms, past};
use crate::admin::Fault;
use crate::net::Prefix;
use crate::web::facts;
use crate::web::frame::Frame;
use crate::web::parts::{at, lookup, query, rows, segment, text};
use crate::web::said::Said;
use crate::web::site::Site;

/// Lists that are asked, and entries of each that are shown.
const LISTS: usize = 100;
const ENTRIES: usize = 10;
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
    let of_senders = format!("/api/v1/senders?which={}&limit=20", query(&about));
    let of_reviews = format!("/api/v1/reviews?limit={REVIEWS}");
    let (senders, reviews, status) = tokio::join!(
        site.api.get(&of_senders),
        site.api.get(&of_reviews),
        site.api.get("/api/v1/status"),
    );
    let [senders, reviews] = [senders, reviews].map(Result::unwrap_or_default);
    let status = status?;
    let lists = at(&status, "/rules/lists");
    let entries = rows(lists).iter().take(LISTS).map(async |list| {
        let list_path = segment(text(&list["name"]));
        let path =
            format!("/api/v1/lists/{list_path}/entries?prefix={}&limit={ENTRIES}", query(&about));
        // A list that is gone by now has nothing.
        (list, site.api.get(&path).await.unwrap_or_default())
    });
    let entries = join_all(entries).await;
    let known = Known { entries: &entries, senders: &senders, reviews: &reviews };
    Ok(html! {
        (known.show(network, frame))
        @if frame.may_change() { (forms::all(&about, lists, said, frame)) }
    })
}

/// What the API says of a network.
struct Known<'a> {
    /// Each list with its entries that cover the network or lie in it.
    entries: &'a [(&'a Value, Value)],
    senders: &'a Value,
    reviews: &'a Value,
}

impl Known<'_> {
    fn show(&self, network: Prefix, frame: &Frame) -> Markup {
        let about = network.to_string();
        let all = self.entries.iter().flat_map(|(list, page)| {
            rows(&page["entries"]).iter().map(|entry| as_match(list, entry))
        });
        let (covering, inside): (Vec<_>, Vec<_>) = all.partition(|found| covers(found, network));
        let more = self.entries.iter().filter(|(_list, page)| !page["next"].is_null());
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
                h3 { "Lists that have all of it" }
                @if covering.is_empty() { p.hint { "None." } }
                @else { (facts::matches(&covering, undo)) }
                h3 { "Lists that have a part of it" }
                @if inside.is_empty() { p.hint { "None." } }
                @else { (facts::matches(&inside, None)) }
                @for (list, _page) in more {
                    @let name = text(&list["name"]);
                    p { a href={ "/lists/" (segment(name)) "?search=" (query(&about)) } { "All entries of " (name) } }
                }
                p { a href={ "/messages?address=" (query(&about)) } { "All records about addresses in it" } }
            }
            div.columns { (past::greylist(self.senders)) (past::reviews(&reviews)) }
        }
    }
}

/// An entry of a list in the words of a lookup.
fn as_match(list: &Value, entry: &Value) -> Value {
    json!({
        "list": list["name"], "class": list["class"], "action": list["action"], "enforce": list["enforce"],
        "entry": entry["prefix"], "origin": entry["origin"], "added": entry["since"], "expires": entry["until"],
        "reason": entry["reason"],
    })
}

fn covers(found: &Value, network: Prefix) -> bool {
    text(&found["entry"]).parse::<Prefix>().is_ok_and(|entry| entry.covers(network))
}

/// Whether a review is about a part of a network, or about more than it.
fn touches(review: &Value, network: Prefix) -> bool {
    let about = text(&review["prefix"]).parse::<Prefix>();
    about.is_ok_and(|about| about.covers(network) || network.covers(about))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    #[test]
    fn what_has_all_of_a_network_is_told_from_what_has_a_part() {
        let list = |name: &str| json!({"name": name, "class": "local-bad", "action": "reject"});
        let (wide, part) = (list("wide"), list("part"));
        let page = |prefix: &str, next: Value| json!({"entries": [{"prefix": prefix, "origin": "x:1", "reason": "<script>"}], "next": next});
        let entries = [
            (&wide, page("192.0.0.0/16", Value::Null)),
            (&part, page("192.0.2.0/25", json!("192.0.2.0/25"))),
        ];
        let reviews = json!({"rows": [
            {"id": 1, "prefix": "192.0.2.7", "state": "open"}, {"id": 2, "prefix": "198.51.100.0/24"},
            {"id": 3, "prefix": "192.0.0.0/16"}, {"id": 4},
        ]});
        let known = Known { entries: &entries, senders: &Value::Null, reviews: &reviews };
        let network = "192.0.2.0/24".parse().unwrap();
        let shown = known.show(network, &Frame::of(Role::Operator)).into_string();
        let (covering, inside) = shown.split_once("have a part of it").unwrap();
        assert!(covering.contains("/lists/wide\"") && !covering.contains("/lists/part"), "{shown}");
        assert!(inside.contains("/lists/part\"") && !inside.contains("/lists/wide"), "{shown}");
        assert!(inside.contains("/lists/part?search=192.0.2.0%2F24"), "{shown}");
        assert!(!shown.contains("<script"), "{shown}");
        for (id, expected) in [(1, true), (2, false), (3, true), (4, false)] {
            assert_eq!(shown.contains(&format!("/reviews/{id}\"")), expected, "{id}: {shown}");
        }
        let known = Known { entries: &[], senders: &Value::Null, reviews: &Value::Null };
        let shown = known.show(network, &Frame::of(Role::Viewer)).into_string();
        assert_eq!(shown.matches("None.").count(), 2, "{shown}");
        assert!(!shown.contains("<form"), "{shown}");
    }
}
