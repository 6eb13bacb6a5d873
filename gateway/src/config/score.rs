//! The table `[score]`: the bands, what is evidence, where the score is used, who is exempt.

use std::path::Path;
use std::time::Duration;

use super::ScoreConfig;
use super::acceptance::NeedsPtr;
use super::exempt::exempt_domains;
use super::reader::Reader;
use super::values::{Parsed, Wrong, boolean, choice, integer, time_in};
use crate::policy::{EvidenceWeights, Thresholds};
use crate::sender::HistorySettings;

/// Reads `[score]`; with it, what the past adds, and where evidence needs reverse names.
pub(super) fn score(
    mut reader: Reader<'_>,
    folder: &Path,
) -> (ScoreConfig, HistorySettings, NeedsPtr) {
    let enabled = reader.or("enabled", true, boolean);
    let modes = choice(&[("static", false), ("greylist", true)]);
    let greylist = reader.or("delay_mode", true, modes);
    let connect = reader.or("connect", true, boolean);
    let message = reader.or("message", true, boolean);
    if enabled && !connect && !message {
        let text =
            "connect and message are false: the score is computed, and nothing is done about it";
        reader.notice("connect", reader.place().clone(), text);
    }
    let thresholds = bands(&mut reader);
    let exempt_domains = exempt_domains(&mut reader, folder);
    let (evidence, history, needs_ptr) = evidence(reader.table("evidence"));
    reader.finish();
    let needs_ptr = needs_ptr.filter(|_needed| enabled);
    let score =
        ScoreConfig { enabled, thresholds, greylist, connect, message, exempt_domains, evidence };
    (score, history, needs_ptr)
}

/// Reads `[score.evidence]`.
fn evidence(mut reader: Reader<'_>) -> (EvidenceWeights, HistorySettings, NeedsPtr) {
    let (client, past) = (EvidenceWeights::default(), HistorySettings::default());
    let mut needs_ptr = None;
    let mut ptr = |key: &'static str, default| {
        let Some(at) = reader.optional(key, weight) else { return default };
        if at.value != 0 {
            needs_ptr.get_or_insert((key, at.place));
        }
        at.value
    };
    let [ptr_missing, ptr_unconfirmed, ptr_generic] = [
        ptr("ptr_missing", client.ptr_missing),
        ptr("ptr_unconfirmed", client.ptr_unconfirmed),
        ptr("ptr_generic", client.ptr_generic),
    ];
    let mut of = |key: &'static str, default| reader.or(key, default, weight);
    let client = EvidenceWeights {
        ptr_missing,
        ptr_unconfirmed,
        ptr_generic,
        helo_invalid: of("helo_invalid", client.helo_invalid),
        helo_forged: of("helo_forged", client.helo_forged),
    };
    let past = HistorySettings {
        refused: of("refused", past.refused),
        refused_most: of("refused_most", past.refused_most),
        network_refused: of("network_refused", past.network_refused),
        network_refused_most: of("network_refused_most", past.network_refused_most),
        early_talking: of("early_talking", past.early_talking),
        delivered: of("delivered", past.delivered),
        delivered_most: of("delivered_most", past.delivered_most),
        half_life: {
            let range = Duration::from_mins(1)..=Duration::from_hours(30 * 24);
            let half_life = time_in(range, "like \"30m\" or \"6h\", from 1m to 30d");
            reader.or("half_life", past.half_life, half_life)
        },
    };
    reader.finish();
    (client, past, needs_ptr)
}

fn weight(value: &super::tree::Value) -> Parsed<i32> {
    integer(-1000..=1000)(value)
}

/// Where the bands are.
fn bands(reader: &mut Reader<'_>) -> Thresholds {
    let percent = ["allow", "delay", "reject"].map(|key| reader.optional(key, integer(0..=100)));
    let scores = ["delay_from", "reject_above"].map(|key| reader.optional(key, integer(0..=1000)));
    let written = scores.iter().chain(&percent).flatten().next().cloned();
    thresholds(
        percent.map(|part| part.map(|at| at.value)),
        scores.map(|score| score.map(|at| at.value)),
    )
    .unwrap_or_else(|wrong| {
        // The defaults fit, so one of the keys is there.
        if let Some(at) = written {
            reader.wrong_at(&at, wrong);
        }
        Thresholds::default()
    })
}

fn thresholds(percent: [Option<u16>; 3], scores: [Option<u16>; 2]) -> Parsed<Thresholds> {
    match (percent, scores) {
        ([allow, delay, reject], [None, None]) => {
            let (allow, delay) = (allow.unwrap_or(0), delay.unwrap_or(20));
            Thresholds::from_percent(allow, delay, reject.unwrap_or(80)).map_err(Wrong::new)
        }
        ([None, None, None], [Some(delay_from), Some(reject_above)]) => {
            Thresholds::from_scores(delay_from, reject_above).map_err(Wrong::new)
        }
        ([None, None, None], _) => {
            Err(Wrong::new("one raw score alone, expected both delay_from and reject_above"))
        }
        _ => Err(Wrong::new("percent and raw scores, expected one kind of them")),
    }
}
