//! Finds the decision behind a bounce: by its reference, or by the address that it names.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use crate::bounce::Bounce;
use crate::config::Config;
use crate::policy::Verdict;
use crate::store::Event;
use crate::story::Told;
use crate::why::Trail;
use crate::xdp::{self, References};

/// How many references of one text are looked for: each that the store does not have costs a look at the whole audit file.
const LOOKED_FOR: usize = 8;

/// How a decision was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundBy {
    /// Its reference stands in the text: it is that very decision.
    Reference,
    /// It is the last one that turned the address away.
    Address,
}

/// The decision behind a bounce, in the words of the audit record.
#[derive(Clone, Debug, Serialize)]
pub struct Behind {
    /// Its reference.
    pub reference: String,
    /// How it was found.
    pub found_by: FoundBy,
    /// `daemon` or `kernel`.
    pub decided_by: &'static str,
    /// When it was.
    pub time: Option<String>,
    /// When in a connection it was; `kernel` for one of the kernel's.
    pub phase: Option<String>,
    /// What was decided, in words.
    pub verdict: Option<String>,
    /// The same as a code.
    pub code: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// Whether it was done, and not only told.
    pub enforced: Option<bool>,
    /// Who connected.
    pub client: Option<IpAddr>,
    /// The address that decided.
    pub offending: Option<IpAddr>,
    /// Where the address that decided was seen.
    pub hop: Option<String>,
    /// The list that decided.
    pub list: Option<String>,
    /// Its entry.
    pub entry: Option<String>,
    /// Where that was written.
    pub entry_origin: Option<String>,
    /// Since when the list had it.
    pub entry_added: Option<String>,
    /// Why the list had it.
    pub entry_reason: Option<String>,
    /// When and by what the entry was removed since; `null` while it is there.
    pub entry_removed: Option<Event>,
    /// The zone that decided.
    pub zone: Option<String>,
    /// The score.
    pub score: Option<i64>,
    /// The sender of the envelope.
    pub sender: Option<String>,
    /// The recipients of the envelope.
    pub recipients: Vec<String>,
    /// What the client was told.
    pub reply: Option<String>,
    /// What its record says; `None` for a reference of the kernel's that has none.
    #[serde(skip)]
    pub told: Option<Told>,
}

/// The decision behind `bounce`, as far as this host knows it.
pub(super) fn behind(
    config: &Config,
    mut trail: Trail<'_>,
    bounce: &Bounce,
    warnings: &mut Vec<String>,
) -> Option<Behind> {
    let found = find(config, &mut trail, bounce, warnings);
    warnings.extend(trail.into_warnings());
    found
}

fn find(
    config: &Config,
    trail: &mut Trail<'_>,
    bounce: &Bounce,
    warnings: &mut Vec<String>,
) -> Option<Behind> {
    let references = bounce.references.iter().take(LOOKED_FOR);
    for found in references.clone() {
        if let Some(record) = trail.decision(&found.reference) {
            return Some(of_record(trail, &record, FoundBy::Reference));
        }
    }
    // Of words that only look like a reference, some would pass for one of the kernel's.
    let mut named = references.filter(|found| found.named);
    let of_kernel = keys(config, warnings).and_then(|keys| {
        named.find_map(|found| of_kernel(config, &keys, &found.reference, bounce.client))
    });
    of_kernel.or_else(|| {
        let record = trail.last_refusal(bounce.client?)?;
        Some(of_record(trail, &record, FoundBy::Address))
    })
}

fn keys(config: &Config, warnings: &mut Vec<String>) -> Option<References> {
    match References::load(config.xdp.references.as_deref()) {
        Ok(keys) => Some(keys),
        Err(error) => {
            warnings.push(format!("references of the kernel filter cannot be read: {error}"));
            None
        }
    }
}

fn of_kernel(
    config: &Config,
    keys: &References,
    reference: &str,
    client: Option<IpAddr>,
) -> Option<Behind> {
    let found = keys.read(reference)?;
    // What was given to another address is no reference to what this text tells.
    if client.is_some_and(|client| !found.is_of(client)) {
        return None;
    }
    let list = xdp::pinned_list(&config.xdp, found.slot).ok().flatten();
    let class = list.as_ref().and_then(|name| {
        config.lists.iter().find(|list| list.name == *name).map(|list| list.class)
    });
    let verdict = class.map(Verdict::from);
    Some(Behind {
        decided_by: "kernel",
        time: Some(found.at.to_string()),
        phase: Some("kernel".to_owned()),
        verdict: verdict.map(|verdict| verdict.to_string()),
        code: verdict.map(|verdict| verdict.code().to_owned()),
        action: Some("reject".to_owned()),
        enforced: Some(true),
        client,
        offending: client,
        hop: Some("connect".to_owned()),
        list: list.map(|list| list.to_string()),
        ..nothing(reference, FoundBy::Reference)
    })
}

fn nothing(reference: &str, found_by: FoundBy) -> Behind {
    Behind {
        reference: reference.to_owned(),
        found_by,
        decided_by: "daemon",
        time: None,
        phase: None,
        verdict: None,
        code: None,
        action: None,
        enforced: None,
        client: None,
        offending: None,
        hop: None,
        list: None,
        entry: None,
        entry_origin: None,
        entry_added: None,
        entry_reason: None,
        entry_removed: None,
        zone: None,
        score: None,
        sender: None,
        recipients: Vec::new(),
        reply: None,
        told: None,
    }
}

fn of_record(trail: &mut Trail<'_>, record: &Value, found_by: FoundBy) -> Behind {
    let told = Told::read(record);
    let whole = told.clone();
    let entry_removed = trail.removed(&told);
    let (offending, hop) = told.offending.map(|it| (it.ip, it.hop)).unzip();
    Behind {
        decided_by: if told.phase == "kernel" { "kernel" } else { "daemon" },
        time: told.time.map(|time| time.to_string()),
        phase: Some(told.phase),
        verdict: Some(told.verdict),
        code: Some(told.code),
        action: Some(told.action),
        enforced: Some(told.enforced),
        client: told.client,
        offending,
        hop,
        list: told.list,
        entry: told.entry.map(|entry| entry.to_string()),
        entry_origin: told.entry_origin,
        entry_added: told.entry_added.map(|added| added.to_string()),
        entry_reason: told.entry_reason,
        entry_removed,
        zone: told.zone,
        score: told.score,
        sender: told.sender,
        recipients: told.recipients,
        reply: told.reply,
        told: Some(whole),
        ..nothing(&told.reference, found_by)
    }
}
