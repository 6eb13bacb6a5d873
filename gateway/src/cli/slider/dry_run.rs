//! `slider --dry-run`: what thresholds would have said of the scores in the audit trail.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::super::bar::{self, Ink};
use super::super::progress::Progress;
use super::super::{Failure, output};
use crate::audit::JudgedTrail;
use crate::clock::{Clock, Timestamp};
use crate::policy::{ByBand, Judged, Replay, Replayed, Thresholds};

/// The phases in which there are scores.
pub(super) const PHASES: [&str; 3] = ["connect", "recipient", "message"];

/// Cells of the longest bar.
const WIDTH: u64 = 40;

/// What the trail says, and what the thresholds would say.
#[derive(Serialize)]
pub(super) struct Answer {
    trail: PathBuf,
    /// The time of the first record that is still in the file.
    trail_begins: Option<Timestamp>,
    since: Timestamp,
    until: Timestamp,
    phase: String,
    phases: Vec<PhaseCount>,
    broken_lines: u64,
    #[serde(flatten)]
    replayed: Replayed,
}

/// How many decisions a phase has.
#[derive(Serialize)]
struct PhaseCount {
    phase: &'static str,
    decisions: u64,
    scored: u64,
}

/// Replays the decisions of `phase` in the time that ends now.
pub(super) fn replay(
    trail: &Path,
    thresholds: Thresholds,
    last: Duration,
    phase: &str,
) -> Result<Answer, Failure> {
    let until = Clock::System.now();
    let since = until.checked_sub(last).unwrap_or(Timestamp::MIN);
    let progress = Progress::reading(trail);
    let unreadable = |error| unreadable(trail, &error);
    let mut records = JudgedTrail::open(trail, since).map_err(unreadable)?;
    let mut phases = PHASES.map(|phase| PhaseCount { phase, decisions: 0, scored: 0 });
    let mut replay = Replay::new(thresholds);
    for record in records.by_ref() {
        let record = record.map_err(unreadable)?;
        if let Some(count) = phases.iter_mut().find(|count| *count.phase == *record.phase) {
            count.decisions += 1;
            count.scored += u64::from(matches!(record.judged, Judged::Scored { .. }));
        }
        if record.phase == phase {
            replay.add(record.address, record.judged);
        }
    }
    drop(progress);
    Ok(Answer {
        trail: trail.to_owned(),
        trail_begins: records.begins(),
        since,
        until,
        phase: phase.to_owned(),
        phases: phases.into(),
        broken_lines: records.broken(),
        replayed: replay.finish(),
    })
}

fn unreadable(trail: &Path, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            "the daemon writes it with its first decision; `[audit] file` and `--config` say where it is"
        }
        io::ErrorKind::PermissionDenied => {
            "run as root, or as a member of the group that the file belongs to"
        }
        _ => "`[audit] file` of the configuration says which file it is",
    };
    Failure::Unavailable {
        text: format!("cannot read the audit trail {}: {error}", trail.display()),
        hint: hint.to_owned(),
    }
}

/// Prints it for people.
pub(super) fn show(answer: &Answer) -> Result<(), Failure> {
    let Answer { phase, since, until, replayed, .. } = answer;
    let Replayed { delay_from, reject_above, .. } = replayed;
    output::headline(format_args!("Dry run of {delay_from}/{reject_above}, phase {phase}"))?;
    output::field("trail", answer.trail.display())?;
    output::field("time", format_args!("{since:.0} to {until:.0}"))?;
    if let Some(begins) = answer.trail_begins.filter(|begins| begins > since) {
        output::field("", format_args!("the file begins at {begins:.0} only"))?;
    }
    for PhaseCount { phase, decisions, scored } in &answer.phases {
        output::field(phase, format_args!("{decisions} decisions, {scored} by their scores"))?;
    }
    output::field("not scored", replayed.not_scored)?;
    output::field(
        "otherwise",
        format_args!(
            "{} decided by lists and the like, whatever the score",
            replayed.decided_otherwise
        ),
    )?;
    if answer.broken_lines > 0 {
        output::field("broken lines", answer.broken_lines)?;
    }
    if replayed.scored == 0 {
        return output::line(format_args!("  no score of phase {phase} was recorded in that time"));
    }
    show_bands(replayed)?;
    show_histogram(replayed)
}

fn show_bands(replayed: &Replayed) -> Result<(), Failure> {
    let in_force = replayed.recorded_thresholds.iter();
    let in_force: Vec<_> =
        in_force.map(|known| format!("{}/{}", known.delay_from, known.reject_above)).collect();
    output::headline("        recorded         now")?;
    let ByBand { allow, delay, reject } = replayed.recorded;
    let now = replayed.now;
    for (name, then, now, meaning) in [
        ("allow", allow, now.allow, output::Meaning::Good),
        ("delay", delay, now.delay, output::Meaning::Doubtful),
        ("reject", reject, now.reject, output::Meaning::Bad),
    ] {
        let name = output::coloured(format!("{name:<6}"), meaning);
        output::line(format_args!("  {name}  {then:>8}    {now:>8}"))?;
    }
    output::field("recorded under", in_force.join(", "))?;
    let Replayed { changed, scored, .. } = replayed;
    output::field("changed", format_args!("{changed} of {scored}"))?;
    for change in &replayed.changes {
        let from = output::coloured(change.from, bar::meaning(change.from));
        let to = output::coloured(change.to, bar::meaning(change.to));
        output::field("", format_args!("{} from {from} to {to}", change.count))?;
    }
    let more = if replayed.addresses_complete { "" } else { " at least" };
    let Replayed { addresses, addresses_changed, .. } = replayed;
    output::field("addresses", format_args!("{addresses}{more}, changed: {addresses_changed}"))
}

fn show_histogram(replayed: &Replayed) -> Result<(), Failure> {
    output::headline("scores")?;
    let ink = Ink::of_output();
    let most = replayed.histogram.iter().map(|bar| bar.count).max().unwrap_or(0);
    for bar in &replayed.histogram {
        let length = u128::from(bar.count) * u128::from(WIDTH);
        let length = length.div_ceil(u128::from(most.max(1)));
        let ByBand { allow, delay, reject } = bar.bands;
        let drawn = ink.bar([allow, delay, reject], u64::try_from(length).unwrap_or(WIDTH));
        let line = format!("  {:>4} to {:>4}  {:>8}  {drawn}", bar.from, bar.to, bar.count);
        output::line(line.trim_end())?;
    }
    Ok(())
}
