//! `slider --dry-run`: what thresholds would have said, as people see it.

use super::super::bar::{self, Ink};
use super::super::{Failure, output};
use crate::policy::{AddressCounts, ByBand, Replayed};
use crate::slider::{PhaseCount, ReplayAnswer};

/// Cells of the longest bar.
const WIDTH: u64 = 40;

/// Prints it for people.
pub(super) fn show(answer: &ReplayAnswer) -> Result<(), Failure> {
    let ReplayAnswer { phase, since, until, replayed, .. } = answer;
    let Replayed { delay_from, reject_above, .. } = replayed;
    output::headline(format_args!("Dry run of {delay_from}/{reject_above}, phase {phase}"))?;
    output::field("trail", answer.trail.display())?;
    output::field("time", format_args!("{since:.0} to {until:.0}"))?;
    if let Some(begins) = answer.trail_begins.filter(|begins| begins > since) {
        output::field("", format_args!("the file begins at {begins:.0} only"))?;
    }
    if !answer.complete {
        output::field("", "a part of that time lies in earlier files")?;
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
    let Some(AddressCounts { addresses, addresses_changed, addresses_complete }) =
        replayed.addresses
    else {
        return Ok(());
    };
    let more = if addresses_complete { "" } else { " at least" };
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
