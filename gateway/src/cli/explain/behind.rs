//! Finds the decision behind a bounce: by its reference, or by the address that it names.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::super::output;
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
pub(super) enum FoundBy {
    /// Its reference stands in the text: it is that very decision.
    Reference,
    /// It is the last one that turned the address away.
    Address,
}

/// The decision behind a bounce, in the words of the audit record.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Behind {
    pub(super) reference: String,
    pub(super) found_by: FoundBy,
    /// `daemon` or `kernel`.
    pub(super) decided_by: &'static str,
    pub(super) time: Option<String>,
    pub(super) phase: Option<String>,
    pub(super) verdict: Option<String>,
    pub(super) code: Option<String>,
    pub(super) action: Option<String>,
    pub(super) enforced: Option<bool>,
    /// Who connected.
    pub(super) client: Option<IpAddr>,
    /// The address that decided, and where it was seen.
    pub(super) offending: Option<IpAddr>,
    pub(super) hop: Option<String>,
    pub(super) list: Option<String>,
    pub(super) entry: Option<String>,
    pub(super) entry_origin: Option<String>,
    pub(super) entry_added: Option<String>,
    pub(super) entry_reason: Option<String>,
    /// When and by what the entry was removed since; `null` while it is there.
    pub(super) entry_removed: Option<Event>,
    pub(super) zone: Option<String>,
    pub(super) score: Option<i64>,
    pub(super) sender: Option<String>,
    pub(super) recipients: Vec<String>,
    pub(super) reply: Option<String>,
    /// What its record says; `None` for a reference of the kernel's that has none.
    #[serde(skip)]
    pub(super) told: Option<Told>,
}

/// The decision behind `bounce`, as far as this host knows it.
pub(super) fn behind(config: &Config, bounce: &Bounce) -> Option<Behind> {
    let mut trail = Trail::new(config);
    let found = find(config, &mut trail, bounce);
    trail.into_warnings().iter().for_each(output::warn);
    found
}

fn find(config: &Config, trail: &mut Trail<'_>, bounce: &Bounce) -> Option<Behind> {
    let references = bounce.references.iter().take(LOOKED_FOR);
    for found in references.clone() {
        if let Some(record) = trail.decision(&found.reference) {
            return Some(of_record(trail, &record, FoundBy::Reference));
        }
    }
    // Of words that only look like a reference, some would pass for one of the kernel's.
    let mut named = references.filter(|found| found.named);
    let of_kernel = keys(config).and_then(|keys| {
        named.find_map(|found| of_kernel(config, &keys, &found.reference, bounce.client))
    });
    of_kernel.or_else(|| {
        let record = trail.last_refusal(bounce.client?)?;
        Some(of_record(trail, &record, FoundBy::Address))
    })
}

fn keys(config: &Config) -> Option<References> {
    match References::load(config.xdp.references.as_deref()) {
        Ok(keys) => Some(keys),
        Err(error) => {
            output::warn(format_args!("references of the kernel filter cannot be read: {error}"));
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
