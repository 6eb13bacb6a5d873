//! What can be done about an address or a network: an entry added, taken out or excepted, a review asked for.

use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::admin::Fault;
use crate::web::frame::Frame;
use crate::web::parts::{LASTING, choice, field, rows, segment, text};
use crate::web::said::Said;

/// The forms about an address or a network, with what was said in them.
pub(super) fn all(about: &str, lists: &Value, said: &Said, frame: &Frame) -> Markup {
    html! {
        div.columns {
            section.card aria-labelledby="add" {
                h2 id="add" { "Put it on a list" }
                (addition(about, lists, said, frame))
            }
            section.card aria-labelledby="ask" {
                h2 id="ask" { "Ask for a review" }
                (review(about, said, frame))
            }
        }
    }
}

fn addition(about: &str, lists: &Value, said: &Said, frame: &Frame) -> Markup {
    let named = rows(lists).iter().filter_map(|list| Some((list["name"].as_str()?, list)));
    let named: Vec<_> = named
        .map(|(name, list)| {
            let off = if list["enabled"] == false { ", off" } else { "" };
            (name, format!("{name} ({}, {}{off})", text(&list["class"]), text(&list["action"])))
        })
        .collect();
    let options: Vec<_> = named.iter().map(|(name, shown)| (*name, shown.as_str())).collect();
    html! {
        @if options.is_empty() { p.hint { "There is no list; each " code { "[[list]]" } " of the configuration is one." } }
        @else {
            form method="post" action="/lookup/entries" {
                (frame.csrf())
                input type="hidden" name="about" value=(about);
                div.fields {
                    (field("add-prefix", "prefix", "Address or network", said.given("prefix").unwrap_or(about)))
                    (choice("add-list", "list", "List", &options, said.text("list")))
                    (field("add-reason", "reason", "Reason", said.text("reason")))
                    (choice("add-for", "for", "Until", &LASTING, said.text("for")))
                    div { button type="submit" { "Add" } }
                }
            }
        }
    }
}

fn review(about: &str, said: &Said, frame: &Frame) -> Markup {
    html! {
        form method="post" action="/lookup/review" {
            (frame.csrf())
            input type="hidden" name="about" value=(about);
            div.fields {
                (field("ask-reference", "reference", "Reference, where one was given", said.text("reference")))
                (field("ask-contact", "contact", "Who asked, and how to answer", said.text("contact")))
                (field("ask-note", "note", "Note", said.text("note")))
                div { button type="submit" { "Ask" } }
            }
        }
    }
}

/// What takes an entry that covers `about` away: one made by hand goes, of one from a source `about` is excepted.
pub(super) fn undo(found: &Value, about: &str, frame: &Frame) -> Markup {
    let (list, entry) = (text(&found["list"]), text(&found["entry"]));
    let by_hand = found["origin"].as_str().is_some_and(|origin| origin.starts_with("added by "));
    let (prefix, label) = if by_hand { (entry, "Remove") } else { (about, "Except") };
    let question = if by_hand {
        format!("Remove {entry} from {list}?")
    } else {
        format!("{list} keeps {entry}, but no longer has {about} in it. Make that exception?")
    };
    html! {
        form.inline method="post" action="/lookup/entries/remove" data-ask=(question) {
            (frame.csrf())
            input type="hidden" name="about" value=(about);
            input type="hidden" name="list" value=(list);
            input type="hidden" name="prefix" value=(prefix);
            button.quiet type="submit" { (label) span.visually-hidden { " " (prefix) " in " (list) } }
        }
    }
}

/// The path and the JSON of a change of an entry that a form asks for.
pub(super) fn entry(said: &Said) -> Result<(String, Value), Fault> {
    let wrong = |title| Fault::new(StatusCode::UNPROCESSABLE_ENTITY, title);
    let Some(list) = said.given("list") else {
        return Err(wrong("no list is chosen").hint("choose one of the lists"));
    };
    let for_s = said.number("for");
    if for_s.is_none() && said.given("for").is_some() {
        return Err(wrong("that is no time")
            .detail(said.text("for"))
            .hint("choose until when it counts"));
    }
    let prefix = said.given("prefix").unwrap_or_else(|| said.text("about"));
    let wanted = json!({"prefix": prefix, "reason": said.given("reason"), "for_s": for_s});
    Ok((format!("/api/v1/lists/{}/entries", segment(list)), wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    #[test]
    fn a_form_becomes_a_change() {
        for (query, expected) in [
            (
                "about=192.0.2.1&list=bad&for=",
                Ok(json!({"prefix": "192.0.2.1", "reason": null, "for_s": null})),
            ),
            (
                "list=bad&prefix=192.0.2.0/24&reason=so&for=172800",
                Ok(json!({"prefix": "192.0.2.0/24", "reason": "so", "for_s": 172_800})),
            ),
            ("list=bad&prefix=x", Ok(json!({"prefix": "x", "reason": null, "for_s": null}))),
            ("prefix=192.0.2.1", Err("no list is chosen")),
            ("list=bad&for=soon", Err("that is no time: soon")),
        ] {
            match (entry(&Said::of(query)), expected) {
                (Ok((path, wanted)), Ok(expected)) => {
                    assert_eq!((path.as_str(), wanted), ("/api/v1/lists/bad/entries", expected));
                }
                (Err(fault), Err(expected)) => {
                    assert!(fault.to_string().contains(expected), "{fault}");
                }
                (found, expected) => panic!("{query}: {found:?}, expected {expected:?}"),
            }
        }
        assert_eq!(entry(&Said::of("list=a/b")).unwrap().0, "/api/v1/lists/a%2Fb/entries");
    }

    #[test]
    fn what_was_typed_is_kept_and_stays_text() {
        let lists = json!([{"name": "bad", "class": "local-bad", "action": "reject"},
            {"name": "<b>", "enabled": false}, {}]);
        let said = Said::of("reason=%22%3E%3Cscript%3E&list=bad&for=86400&contact=ann");
        let shown = all("192.0.2.1", &lists, &said, &Frame::of(Role::Operator)).into_string();
        for part in [
            "&quot;&gt;&lt;script&gt;",
            "value=\"bad\" selected",
            "value=\"86400\" selected",
            "value=\"ann\"",
            "name=\"csrf\" value=\"t0ken\"",
            "&lt;b&gt; (–, –, off)",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let none = all("192.0.2.1", &Value::Null, &Said::default(), &Frame::of(Role::Operator))
            .into_string();
        assert!(none.contains("There is no list"), "{none}");
    }

    #[test]
    fn an_entry_by_hand_is_removed_and_one_of_a_source_excepted() {
        for (origin, prefix, label) in [
            ("added by ann", "192.0.2.0/24", "Remove"),
            ("/lists/bad.txt:7", "192.0.2.1", "Except"),
        ] {
            let found = json!({"list": "bad", "entry": "192.0.2.0/24", "origin": origin});
            let shown = undo(&found, "192.0.2.1", &Frame::of(Role::Operator)).into_string();
            assert!(shown.contains(&format!("name=\"prefix\" value=\"{prefix}\"")), "{shown}");
            assert!(shown.contains(label) && shown.contains("data-ask"), "{shown}");
        }
    }
}
