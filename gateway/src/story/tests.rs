//! Stories of records, as people read them.

use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;

/// A story as text: the headline, the steps, whether it stands, what to type.
fn text(story: &Story) -> String {
    let mut lines = vec![format!("{} {}", story.reference, story.headline)];
    for Step { time, text } in &story.steps {
        let time = time.map(|time| time.strftime("%H:%M:%S").to_string()).unwrap_or_default();
        lines.push(format!("{time:<8}  {text}"));
    }
    let stands = match story.stands.stands {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    lines.push(format!("still so: {stands}: {}", story.stands.text));
    lines.extend(story.next.iter().map(|remedy| format!("{}: {}", remedy.what, remedy.command)));
    lines.join("\n")
}

/// The record of a refusal by a list, with other fields in it.
fn record(fields: Value) -> Told {
    let mut record = json!({
        "schema": 1, "time": "2026-11-29T22:10:03Z", "reference": "4M3C9D7V0R2KX", "front": "smtp",
        "phase": "connect", "verdict": "System denied IP", "code": "sys-deny-ip",
        "action": "reject", "enforced": true, "client": "198.51.100.7", "client_port": 4711,
        "peer": null, "local": "192.0.2.25:25", "logical_client": "198.51.100.7",
        "offending": {"ip": "198.51.100.7", "hop": "connect"},
        "list": "office-bad", "entry": "198.51.100.0/24", "entry_origin": "bad.txt:12",
        "entry_added": "2026-11-02T09:11:40Z", "entry_reason": "open relay", "zone": null,
        "rules": 7, "rules_at_end": null, "score": null, "evidence": [], "addresses_total": 1,
        "reply": "554 5.7.1 you are not allowed to connect", "next_hop": null,
    });
    let known = record.as_object_mut().unwrap();
    known.extend(fields.as_object().unwrap().clone());
    Told::read(&record)
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn now(code: &str, action: &str, by: Option<&str>) -> AddressNow {
    AddressNow {
        ip: "198.51.100.7".parse().unwrap(),
        verdict: "Verdict".to_owned(),
        code: code.to_owned(),
        action: action.to_owned(),
        enforced: true,
        by: by.map(ToOwned::to_owned),
    }
}

#[test]
fn a_list_that_refuses_messages_lets_the_connection_in() {
    let record = record(json!({"phase": "message", "action": "reject-message"}));
    for (entry, stands, text) in [
        (
            EntryNow::There,
            Some(true),
            "198.51.100.0/24 is still in list office-bad; each message from it is judged anew",
        ),
        (
            EntryNow::Gone,
            Some(false),
            "198.51.100.0/24 is no longer in list office-bad; each message from it is judged anew",
        ),
    ] {
        let now = Some(now("accept", "accept", None));
        let since = Since { entry: Some(entry), now, ..Since::default() };
        assert_eq!(since.stands(&record), Stands { stands, text: text.to_owned() });
    }
}

#[test]
fn a_refusal_by_a_list_tells_entry_and_remedy() {
    let entry = Some(EntryNow::There);
    let now = Some(now("sys-deny-ip", "reject", Some("list office-bad")));
    let since = Since { entry, now, good_list: Some("friends"), ..Since::default() };
    assert_eq!(
        text(&Story::new(&record(json!({})), &since)),
        "4M3C9D7V0R2KX Refused at connect: System denied IP (sys-deny-ip)\n\
         22:10:03  198.51.100.7 connected to 192.0.2.25:25\n\
         \x20         list office-bad has 198.51.100.0/24, bad.txt:12, since 2026-11-02 09:11 UTC, \"open relay\"\n\
         \x20         by rules 7\n\
         \x20         the client was told: 554 5.7.1 you are not allowed to connect\n\
         still so: yes: 198.51.100.0/24 is still in list office-bad; 198.51.100.7 would be refused if it connected now: \
         Verdict (sys-deny-ip), by list office-bad\n\
         to take the entry out: portcullis list remove office-bad 198.51.100.0/24\n\
         to let the address in whatever lists say: portcullis list add friends 198.51.100.7 --reason WHY --for 30d\n\
         to see all that is known of the address: portcullis lookup 198.51.100.7"
    );
}

#[test]
fn an_entry_that_went_is_told_with_its_end() {
    let removed = EntryNow::Removed { at: at("2026-12-01T08:00:00Z"), by: "ops".to_owned() };
    let since = Since {
        entry: Some(removed),
        now: Some(now("accept", "accept", None)),
        ..Since::default()
    };
    let story = Story::new(&record(json!({})), &since);
    let text = text(&story);
    for line in [
        "08:00:00  198.51.100.0/24 was removed from list office-bad by ops",
        "still so: no: 198.51.100.0/24 left list office-bad at 2026-12-01 08:00 UTC; 198.51.100.7 would be let in if it \
         connected now: Verdict (accept)",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains("list add"), "it is let in already:\n{text}");
}

#[test]
fn every_kind_of_decision_says_what_decided() {
    let message = json!({
        "helo": "mail.example", "sender": "a@client.example", "recipients": ["b@ours.example", "c@ours.example"]
    });
    for (name, fields, lines) in [
        (
            "a hop of a message",
            json!({"phase": "message", "action": "reject-message", "offending": {"ip": "203.0.113.9", "hop": "received[2]"},
                   "addresses_total": 4, "envelope": message, "octets": 4711, "message_id": "<x@y>", "rules_at_end": 9}),
            vec![
                "Refused after its header: System denied IP (sys-deny-ip)",
                "greeted as mail.example, mail from <a@client.example>, to <b@ours.example>, <c@ours.example>, 4711 octets",
                "the message is <x@y>",
                "the address that decided is 203.0.113.9 in received[2], one of 4 addresses looked at",
                "by rules 7, decided again by rules 9 when the data ended",
            ],
        ),
        (
            "a score",
            json!({"verdict": "IP reputation tempfail", "code": "iprep-delay", "action": "defer", "list": null, "entry": null,
                   "score": 550, "band": "delay", "delay_from": 500, "reject_above": 600,
                   "evidence": [{"name": "zone:zen", "weight": 600}, {"name": "history:good", "weight": -50}]}),
            vec![
                "Told to come again at connect: IP reputation tempfail (iprep-delay)",
                "score 550 = zone:zen +600, history:good -50: delay (delay from 500, reject above 600)",
                "to see what other thresholds would do",
            ],
        ),
        (
            "a zone",
            json!({"code": "dns-deny", "list": null, "entry": null, "zone": "Example Zen", "zone_codes": "127.0.0.4",
                   "zone_meaning": "dynamic", "zone_text": "see\u{1b}[2J"}),
            vec![
                "zone Example Zen says dynamic: 127.0.0.4, \"see\\u{1b}[2J\"",
                "portcullis zones test Example Zen",
            ],
        ),
        (
            "the greylist",
            json!({"phase": "recipient", "verdict": "Greylisted", "code": "greylist", "action": "defer", "list": null,
                   "greylisted": {"pool": "198.51.100.0/24", "seconds_left": 50, "tries": 2, "first": "2026-11-29T22:00:00Z"}}),
            vec![
                "Told to come again at a recipient: Greylisted (greylist)",
                "198.51.100.0/24 is not known yet: try 2, passes in 50 s",
                "portcullis senders pass 198.51.100.0/24",
            ],
        ),
        (
            "a packet",
            json!({"phase": "kernel", "front": null, "reply": null, "kernel": {"outcome": "refused-syn", "packets": 20}}),
            vec![
                "Refused in the kernel, before there was a connection",
                "a packet from 198.51.100.7 to 192.0.2.25:25 was refused-syn; it stands for 20 packets",
            ],
        ),
        (
            "a fault of the next hop",
            json!({"phase": "message", "verdict": "Next hop unavailable", "code": "next-hop", "action": "defer", "list": null,
                   "offending": null, "next_hop": "timed out"}),
            vec![
                "the next hop said: timed out",
                "still so: -: it was about this one connection, not about the address",
            ],
        ),
        (
            "a dry run",
            json!({"enforced": false}),
            vec![
                "Refused at connect: System denied IP (sys-deny-ip), but only in a dry run: nothing was done",
            ],
        ),
        (
            "direction",
            json!({"route": {"direction": "inbound", "reason": "dns-fault", "ptr": "servfail"}}),
            vec!["direction=inbound reason=dns-fault ptr=servfail"],
        ),
        (
            "mail let in",
            json!({"verdict": "Accepted", "code": "accept", "action": "accept", "list": null, "offending": null,
                   "reply": "250 2.0.0 Ok", "next_hop": "250 2.0.0 Ok"}),
            vec!["Let in: Accepted (accept)", "the client was told: 250 2.0.0 Ok"],
        ),
    ] {
        let text = text(&Story::new(&record(fields), &Since::default()));
        for line in lines {
            assert!(text.contains(line), "{name}: {line} in\n{text}");
        }
    }
}

#[test]
fn what_was_done_in_quarantine_belongs_to_the_story() {
    let told =
        record(json!({"action": "quarantine", "phase": "message", "quarantine": "4M3C9D7V0R2KX"}));
    let kept = text(&Story::new(&told, &Since::default()));
    assert!(kept.contains("portcullis quarantine release 4M3C9D7V0R2KX"), "{kept}");
    let released = Told::read(&json!({
        "time": "2026-11-30T07:00:00Z", "phase": "quarantine", "event": "released", "reference": "4M3C9D7V0R2KX",
        "author": "ops", "recipients": ["b@ours.example"], "next_hop": "250 ok",
    }));
    let story = Story::new(&told, &Since { events: &[released], ..Since::default() });
    let text = text(&story);
    let line =
        "07:00:00  in quarantine: released by ops for b@ours.example; the next hop said: 250 ok";
    assert!(text.contains(line) && !text.contains("quarantine release"), "{text}");
}

#[test]
fn nothing_in_a_record_is_taken_for_granted() {
    for value in [
        json!({}),
        json!([]),
        json!(null),
        json!({"time": 1, "client": [], "envelope": "x", "evidence": {}}),
    ] {
        let story = Story::new(&Told::read(&value), &Since::default());
        assert!(!story.refused && !story.steps.is_empty(), "{value}");
    }
}
