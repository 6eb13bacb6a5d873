//! What to do next about a bounce: commands that can be typed, and what no command does.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::behind::{Behind, FoundBy};
use super::origin::{Belongs, Origin};
use super::whose::Whose;
use crate::bounce::{Bounce, Words};
use crate::config::Config;
use crate::json::items;
use crate::list::Class;
use crate::policy::Action;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What can be typed; `null` where somebody has to be asked.
    pub command: Option<String>,
    /// What for.
    pub why: String,
}

/// All that is known of a bounce.
pub(super) struct Known<'a> {
    pub(super) config: &'a Config,
    pub(super) bounce: &'a Bounce,
    pub(super) whose: Whose,
    pub(super) behind: Option<&'a Behind>,
    /// The address that decided.
    pub(super) address: Option<IpAddr>,
    /// What `lookup` says about it now.
    pub(super) now: Option<&'a Value>,
    pub(super) origin: Option<&'a Origin>,
}

/// What to do next, the first first.
pub(super) fn steps(known: &Known<'_>) -> Vec<Step> {
    let mut steps = Steps::default();
    match known.whose {
        Whose::Us | Whose::PerhapsUs => ours(known, &mut steps),
        Whose::SomebodyElse => {
            let host = known.bounce.servers.first().map(ToString::to_string).unwrap_or_default();
            steps.say(format!("ask the postmaster of {host}; nothing on this host can change it"));
        }
        Whose::Unknown => {
            if let Some(address) = known.address {
                steps.run(format!("lookup {address}"), "what this host would do with the address");
            }
            steps.say("give the whole bounce with its header: it names who turned the mail away");
        }
    }
    if let Some(Origin { domain, address, belongs: Belongs::No | Belongs::Unsaid, .. }) =
        known.origin
    {
        steps.say(format!(
            "ask the sender which mail server sends for {domain}, and why the mail came from {address}"
        ));
    }
    steps.0
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn run(&mut self, command: impl AsRef<str>, why: impl Into<String>) {
        let command = format!("portcullis {}", command.as_ref());
        self.0.push(Step { command: Some(command), why: why.into() });
    }

    fn say(&mut self, what: impl Into<String>) {
        self.0.push(Step { command: None, why: what.into() });
    }
}

fn ours(known: &Known<'_>, steps: &mut Steps) {
    if let Some(behind) = known.behind {
        let why = match behind.found_by {
            FoundBy::Reference => "all that is known of the decision",
            FoundBy::Address => "the last time that the address was turned away",
        };
        steps.run(format!("why {}", behind.reference), why);
    }
    let Some(address) = known.address else {
        steps.say("ask the sender for the whole bounce: the address of its mail server decides");
        return;
    };
    steps.run(
        format!("lookup {address}"),
        "where the address is listed now, and what would be decided",
    );
    let comes_again = known.bounce.replies.first().is_some_and(|said| said.code < 500);
    if comes_again {
        steps.say("the reply says to try again later, and a mail server does so by itself");
    }
    if known.bounce.words.contains(&Words::NoDns) {
        steps.run("zones", "whether DNS answers this host");
    }
    match known.now {
        Some(now) if turns_away(now, known.bounce.is_about_header()) => {
            let_in(known.config, address, now, steps);
        }
        Some(_) => steps.say(format!("{address} would be let in now: the sender can send again")),
        None => {}
    }
}

/// Whether the address of this answer of `lookup` would be refused or deferred, or a message that has it in its header.
pub fn turns_away(now: &Value, in_header: bool) -> bool {
    // The entry that decides stands first; that a good one speaks for the client alone, `lookup` knows itself.
    let first = items(&now["matches"]).next().filter(|_| in_header);
    let refuses = first.is_some_and(|found| {
        let action = found["action"].as_str().unwrap_or_default();
        let is_good = found["class"].as_str().is_some_and(|class| class.ends_with("-good"));
        found["enforce"] == true && !is_good && action == "reject-message"
    });
    self::refuses(now) || refuses
}

/// Whether the address of this answer of `lookup` would be refused or deferred.
pub fn refuses(now: &Value) -> bool {
    now["enforced"] == true && now["action"].as_str().is_some_and(Action::word_refuses)
}

/// How an address that is turned away is let in, if it should be.
fn let_in(config: &Config, address: IpAddr, now: &Value, steps: &mut Steps) {
    if items(&now["matches"]).next().is_some() {
        steps.run(format!("list find {address}"), "which lists have it, and since when");
    }
    let good = config.lists.iter().find(|list| list.class == Class::LocalGood);
    match good {
        Some(list) => steps.run(
            format!("list add {} {address} --reason \"asked for by its sender\"", list.name),
            "let the address in, if its mail is wanted",
        ),
        None => steps.say(format!(
            "to let {address} in, add a [[list]] with `class = \"local-good\"` to {}, and the address to it",
            config.file.display()
        )),
    }
}
