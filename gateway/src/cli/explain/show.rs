//! Shows an explanation to people. All that strangers wrote is made safe on its way to the terminal.

use super::super::output::{self, Meaning};
use super::super::safe::safe;
use super::super::{Failure, why};
use crate::bounce::Bounce;
use crate::explain::{Answer, Behind, Belongs, FoundBy, Origin, Whose, refuses, turns_away};

pub(super) fn show(answer: &Answer) -> Result<(), Failure> {
    let Answer { bounce, whose, because, decision, story, now, origin, next, .. } = answer;
    show_bounce(bounce)?;
    let (headline, meaning) = match whose {
        Whose::Us => ("It was this host", Meaning::Bad),
        Whose::PerhapsUs => ("It may have been this host", Meaning::Doubtful),
        Whose::SomebodyElse => ("It was somebody else", Meaning::Good),
        Whose::Unknown => ("It cannot be told who it was", Meaning::Doubtful),
    };
    output::headline(output::coloured(headline, meaning))?;
    output::field("because", safe(because))?;
    if let Some(behind) = decision {
        show_decision(behind)?;
    }
    if let Some(story) = story {
        why::show_steps(story)?;
    }
    if let Some(now) = now {
        let (text, meaning) = if refuses(now) {
            ("would be turned away again", Meaning::Bad)
        } else if turns_away(now, bounce.is_about_header()) {
            ("would be let in, but not messages with it in their header", Meaning::Bad)
        } else {
            ("would be let in", Meaning::Good)
        };
        let verdict = now["verdict"].as_str().unwrap_or_default();
        let ip = now["ip"].as_str().unwrap_or_default();
        let told = format!("{}: {}", output::coloured(text, meaning), safe(verdict));
        output::field("now", format_args!("{} {told}", safe(ip)))?;
    }
    if let Some(origin) = origin {
        show_origin(origin)?;
    }
    output::headline("What to do")?;
    for step in next {
        match &step.command {
            Some(command) => {
                output::line(format_args!("  {}\n      {}", safe(command), safe(&step.why)))?;
            }
            None => output::line(format_args!("  {}", safe(&step.why)))?,
        }
    }
    Ok(())
}

fn show_bounce(bounce: &Bounce) -> Result<(), Failure> {
    output::headline(format_args!("This is {}", bounce.form))?;
    let was_changed = bounce.original_recipients != bounce.recipients;
    let first_to = joined(&bounce.original_recipients).filter(|_| was_changed);
    let fields = [
        ("from", bounce.sender.clone()),
        ("to", joined(&bounce.recipients)),
        ("first to", first_to),
        ("message", bounce.message_id.clone()),
        ("told by", bounce.reporter.clone()),
        ("said by", bounce.servers.first().map(ToString::to_string)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            output::field(name, safe(&value))?;
        }
    }
    for said in &bounce.replies {
        let enhanced = said.enhanced.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
        output::field("reply", safe(&format!("{}{enhanced} {}", said.code, said.text)))?;
    }
    for words in &bounce.words {
        output::field("meaning", format_args!("`{words}`: {}", words.meaning()))?;
    }
    for found in bounce.references.iter().filter(|found| found.named) {
        output::field("reference", &found.reference)?;
    }
    for seen in &bounce.addresses {
        output::field("address", format_args!("{} ({})", seen.ip, seen.place))?;
    }
    Ok(())
}

fn joined(values: &[String]) -> Option<String> {
    (!values.is_empty()).then(|| values.join(", "))
}

fn show_decision(behind: &Behind) -> Result<(), Failure> {
    let text = |value: &Option<String>| safe(value.as_deref().unwrap_or("-"));
    let which = match behind.found_by {
        FoundBy::Reference => "",
        FoundBy::Address => ", the last one about that address",
    };
    let dry = if behind.enforced == Some(false) { ", dry run" } else { "" };
    output::field(
        "decision",
        format_args!(
            "{} ({}), {}{dry}, by the {}{which}",
            text(&behind.verdict),
            text(&behind.code),
            text(&behind.action),
            behind.decided_by
        ),
    )?;
    if behind.told.is_some() {
        return Ok(());
    }
    output::field("time", text(&behind.time))?;
    if let Some(client) = behind.client {
        output::field("client", client)?;
    }
    if behind.list.is_some() {
        output::field("list", text(&behind.list))?;
    }
    Ok(())
}

fn show_origin(origin: &Origin) -> Result<(), Failure> {
    output::headline(safe(&format!("{} and {}", origin.address, origin.domain)))?;
    for host in &origin.exchangers {
        let addresses: Vec<_> = host.addresses.iter().map(ToString::to_string).collect();
        let addresses =
            if addresses.is_empty() { "no address".to_owned() } else { addresses.join(", ") };
        output::field("exchanger", safe(&format!("{} ({addresses})", host.name)))?;
    }
    if let Some(spf) = origin.spf {
        output::field("spf", spf)?;
    }
    for fault in &origin.faults {
        output::field("dns", output::coloured(safe(fault), Meaning::Doubtful))?;
    }
    let meaning = match origin.belongs {
        Belongs::Yes => Meaning::Good,
        Belongs::No => Meaning::Bad,
        Belongs::Unsaid | Belongs::Untold => Meaning::Doubtful,
    };
    output::field("so", output::coloured(safe(&origin.meaning), meaning))
}
