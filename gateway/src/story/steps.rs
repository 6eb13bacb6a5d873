//! What happened, from a record alone: the headline, then one line for each fact in the order of time.

use std::fmt::Display;

use super::{Step, Told};
use crate::clock::Timestamp;

/// The outcome in one line.
pub(super) fn headline(record: &Told) -> String {
    let Told { verdict, code, .. } = record;
    if let Some(event) = &record.event {
        return format!("{}: {event}", record.phase);
    }
    let dry = if record.enforced { "" } else { ", but only in a dry run: nothing was done" };
    format!("{}: {verdict} ({code}){dry}", outcome(record))
}

/// What was done, and when, as people say it.
fn outcome(record: &Told) -> String {
    let place = match record.phase.as_str() {
        "kernel" => " in the kernel, before there was a connection",
        "connect" => " at connect",
        "recipient" => " at a recipient",
        "message" => " after its header",
        _ => "",
    };
    if record.is_refused_by_next_hop() {
        return "Let in, and refused by the next hop".to_owned();
    }
    let done = match record.action.as_str() {
        "accept" => return "Let in".to_owned(),
        "observe" => return "Let in, and recorded".to_owned(),
        "tag" => return "Let in with a header field that says why".to_owned(),
        "quarantine" => return "Accepted, and kept in quarantine".to_owned(),
        "discard" => return "Accepted, and deleted as the configuration says".to_owned(),
        "defer" => "Told to come again",
        "reject" | "reject-message" => "Refused",
        other => other,
    };
    format!("{done}{place}")
}

/// The facts of a record.
pub(super) fn of(record: &Told) -> Vec<Step> {
    if record.event.is_some() {
        return vec![Step { time: record.time, text: event(record) }];
    }
    let mut steps = vec![Step { time: record.time, text: arrival(record) }];
    let mut say = |text: Option<String>| {
        steps.extend(text.map(|text| Step { time: None, text }));
    };
    say(envelope(record));
    say(record.message_id.as_ref().map(|id| format!("the message is {id}")));
    say(record.queue_id.as_ref().map(|id| format!("the mail server that asked calls it {id}")));
    say(record.route.clone());
    say(offender(record));
    say(listing(record));
    say(zone(record));
    say(score(record));
    say(record.exempt.as_ref().map(|domain| {
        format!("the score does not stop mail of {domain}, for which SPF or DKIM passed")
    }));
    say(greylist(record));
    say(rules(record));
    say(record.reply.as_ref().map(|reply| format!("the client was told: {reply}")));
    say(next_hop(record));
    say(record.quarantine.as_ref().map(|id| format!("the message lies in quarantine as {id}")));
    steps
}

/// What was done with a message in quarantine.
pub(super) fn event(record: &Told) -> String {
    let event = record.event.as_deref().unwrap_or_default();
    let author = record.author.as_deref().unwrap_or("the daemon");
    let whom = if record.recipients.is_empty() {
        String::new()
    } else {
        format!(" for {}", record.recipients.join(", "))
    };
    let said = record.next_hop.as_ref().map(|said| format!("; the next hop said: {said}"));
    let place = if record.phase == "quarantine" { "in quarantine" } else { &record.phase };
    format!("{place}: {event} by {author}{whom}{}", said.unwrap_or_default())
}

fn arrival(record: &Told) -> String {
    let client = or_nobody(record.client.as_ref());
    let local = record.local.map(|local| format!(" to {local}")).unwrap_or_default();
    let named = record.peer.map(|peer| format!(", named by {peer}")).unwrap_or_default();
    match (record.phase.as_str(), record.front.as_deref()) {
        ("kernel", _) => {
            let outcome = record.kernel_outcome.as_deref().unwrap_or("counted");
            let packets = match record.packets {
                Some(packets) if packets > 1 => {
                    format!("; it stands for {packets} packets, the others not told one by one")
                }
                _ => String::new(),
            };
            format!("a packet from {client}{local} was {outcome}{packets}")
        }
        (_, Some("milter")) => format!("a mail server asked about {client} (milter){named}"),
        (_, Some("postfix-policy" | "postfix_policy" | "policy")) => {
            format!("a mail server asked about {client} (policy service){named}")
        }
        _ => format!("{client} connected{local}{named}"),
    }
}

fn envelope(record: &Told) -> Option<String> {
    let helo = record.helo.as_ref().map(|helo| format!("greeted as {helo}"));
    let sender = record.sender.as_ref().map(|sender| format!("mail from <{sender}>"));
    let recipients = record.recipients.iter().map(|recipient| format!("<{recipient}>"));
    let recipients: Vec<_> = recipients.collect();
    let recipients = (!recipients.is_empty()).then(|| format!("to {}", recipients.join(", ")));
    let octets = record.octets.map(|octets| format!("{octets} octets"));
    let parts: Vec<_> = [helo, sender, recipients, octets].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Which address decided, where it is not plainly the client.
fn offender(record: &Told) -> Option<String> {
    let offending = record.offending.as_ref()?;
    if Some(offending.ip) == record.client && offending.hop == "connect" {
        return None;
    }
    let of = record.addresses_total;
    let among = if of > 1 { format!(", one of {of} addresses looked at") } else { String::new() };
    Some(format!("the address that decided is {} in {}{among}", offending.ip, offending.hop))
}

fn listing(record: &Told) -> Option<String> {
    let list = record.list.as_ref()?;
    let Some(entry) = record.entry else { return Some(format!("list {list} has it")) };
    let origin = record.entry_origin.as_ref().map(|origin| format!(", {origin}"));
    let added = record.entry_added.map(|added| format!(", since {}", minute(added)));
    let reason = record.entry_reason.as_ref().map(|reason| format!(", {reason:?}"));
    let parts = [origin, added, reason].into_iter().flatten().collect::<String>();
    Some(format!("list {list} has {entry}{parts}"))
}

fn zone(record: &Told) -> Option<String> {
    let zone = record.zone.as_ref()?;
    let Some(codes) = &record.zone_codes else {
        return Some(format!("zone {zone} gave no answer, and decides here"));
    };
    let meaning = record.zone_meaning.as_deref().unwrap_or("listed");
    let text = record.zone_text.as_ref().map(|text| format!(", {text:?}")).unwrap_or_default();
    Some(format!("zone {zone} says {meaning}: {codes}{text}"))
}

fn score(record: &Told) -> Option<String> {
    let score = record.score?;
    let band = record.band.as_deref().unwrap_or("-");
    let (from, above) = (or_nobody(record.delay_from), or_nobody(record.reject_above));
    let items = record.evidence.iter().map(|item| format!("{} {:+}", item.name, item.weight));
    let items: Vec<_> = items.collect();
    let made = if items.is_empty() { String::new() } else { format!(" = {}", items.join(", ")) };
    let bands = format!("{band} (delay from {from}, reject above {above})");
    Some(format!("score {score}{made}: {bands}"))
}

fn greylist(record: &Told) -> Option<String> {
    let seconds = record.greylist_seconds?;
    let pool = record.greylist_pool.as_deref().unwrap_or("-");
    let tries = record.greylist_tries.unwrap_or(1);
    Some(format!("{pool} is not known yet: try {tries}, passes in {seconds} s"))
}

fn rules(record: &Told) -> Option<String> {
    let (rules, end) = (record.rules?, record.rules_at_end);
    Some(match end.filter(|end| *end != rules) {
        Some(end) => format!("by rules {rules}, decided again by rules {end} when the data ended"),
        None => format!("by rules {rules}"),
    })
}

fn next_hop(record: &Told) -> Option<String> {
    let said = record.next_hop.as_ref()?;
    // Where the client heard the next hop's own words, they are told once.
    (record.reply.as_ref() != Some(said)).then(|| format!("the next hop said: {said}"))
}

/// A value, or a dash.
fn or_nobody(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A time as people write it.
pub(super) fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
