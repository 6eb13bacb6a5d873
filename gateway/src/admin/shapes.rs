//! The shapes of answers that the core makes, which knows nothing of the API's document; the tests compare them with real answers.
#![expect(dead_code, reason = "they describe what others make, and are never made")]

use serde_json::Value;
use utoipa::ToSchema;

use crate::clock::Timestamp;

/// An address or prefix about which somebody asks to be looked at again.
#[derive(ToSchema)]
pub(super) struct Review {
    /// Its number, which no other review ever gets.
    id: u64,
    /// `open` or `resolved`.
    state: String,
    /// The address or prefix that it is about.
    prefix: String,
    /// The records that it is linked to, by their references.
    references: Vec<String>,
    /// How often it was asked for.
    requests: u64,
    /// Who asked, the first one first, up to a bound.
    asks: Vec<ReviewAsk>,
    /// What came of it; `null` while it is open.
    resolution: Option<ReviewResolution>,
}

/// Somebody who asked for a review.
#[derive(ToSchema)]
struct ReviewAsk {
    /// When, to the microsecond.
    at: Timestamp,
    /// Who asked.
    author: String,
    /// The record that it is about; `null` where none was named.
    reference: Option<String>,
    /// Why.
    note: Option<String>,
    /// Whom to answer.
    contact: Option<String>,
}

/// What came of a review.
#[derive(ToSchema)]
struct ReviewResolution {
    /// `good-listed`, `removed` or `refused`.
    result: String,
    /// Why.
    note: String,
    /// Who decided.
    author: String,
    /// When, to the microsecond.
    at: Timestamp,
    /// Until when the good entry counts; `null` for ever, and for other results.
    until: Option<Timestamp>,
    /// What was changed, list by list.
    done: Vec<String>,
}

/// Reviews, a page at a time.
#[derive(ToSchema)]
pub(super) struct Reviews {
    /// The newest first.
    rows: Vec<Review>,
    /// All that are open.
    open: u64,
    /// All that are resolved and still known.
    resolved: u64,
}

/// What a copy of a list would change if it were put.
#[derive(ToSchema)]
pub(super) struct Preview {
    /// The name of the list.
    list: String,
    #[serde(flatten)]
    change: CopyChange,
    /// Why `PUT` would refuse the copy and hold it back; `null` where it would not.
    doubt: Option<String>,
}

/// What a copy of a list would change.
#[derive(ToSchema)]
struct CopyChange {
    /// What the copy was read as.
    format: String,
    /// The entries of the copy.
    entries: usize,
    /// What was not there before.
    come: Prefixes,
    /// What would be there no more.
    go: Prefixes,
    /// What is there before and after.
    stay: Prefixes,
    /// How many lines are no entries.
    rejected: usize,
    /// The first of them.
    rejected_lines: Vec<RejectedLine>,
    /// What a careful reader would notice.
    notices: Vec<String>,
}

/// The copies of a list that are held back, and what each would change.
#[derive(ToSchema)]
pub(super) struct HeldBackCopies {
    /// The name of the list.
    list: String,
    /// How many there are: one, or of a folder one for each file.
    count: usize,
    /// The first 20 of them.
    copies: Vec<HeldBackCopy>,
}

/// A copy that is held back, and what it would change.
#[derive(ToSchema)]
struct HeldBackCopy {
    /// Where it is from.
    r#where: String,
    /// What speaks against it.
    why: String,
    /// How long it is.
    octets: usize,
    /// When it was written or fetched.
    as_of: Timestamp,
    /// What it hashes to; `accept` takes it, so that nothing else is accepted than was looked at.
    sha256: String,
    #[serde(flatten)]
    change: CopyChange,
}

/// Some prefixes.
#[derive(ToSchema)]
struct Prefixes {
    /// How many there are.
    count: usize,
    /// The first 50, in order.
    first: Vec<String>,
}

/// A line that is no entry.
#[derive(ToSchema)]
struct RejectedLine {
    /// Its number, from 1.
    line: u32,
    /// What it says.
    text: String,
    /// Why it is none.
    why: String,
}

/// The configuration in force.
#[derive(ToSchema)]
pub(super) struct Configuration {
    /// The main file.
    file: String,
    /// The top of the file, then each table that there is.
    tables: Vec<ConfigurationTable>,
    /// What commands said otherwise.
    overrides: Vec<Override>,
    /// Why it is not known what they said; `null` where it is.
    fault: Option<String>,
}

/// A table of the configuration.
#[derive(ToSchema)]
struct ConfigurationTable {
    /// Its name, with those of the tables around it; empty for the top of the file.
    table: String,
    /// Its beginning as it is written.
    #[schema(example = "[[list]]")]
    heading: String,
    /// The file and line where it is said; `null` where it is not.
    place: Option<String>,
    /// Its keys, in the order of the reference.
    keys: Vec<ConfigurationKey>,
}

/// A key of the configuration.
#[derive(ToSchema)]
struct ConfigurationKey {
    /// Its name.
    key: String,
    /// What holds; `null` where no value says it.
    value: Value,
    /// The same in words, where it follows from something else.
    words: Option<String>,
    /// Whether it is said in a file; otherwise it is the default.
    said: bool,
    /// Whether something of it is not shown.
    masked: bool,
    /// The file and line where it is said.
    place: Option<String>,
}

/// One thing of which files and commands say something different.
#[derive(ToSchema)]
struct Override {
    /// `slider`, `list NAME` or `zone NAME`.
    about: String,
    /// What the files say.
    file: String,
    /// What was set.
    set: String,
    /// By whom.
    author: String,
    /// When.
    at: Timestamp,
    /// Which of the two counts: `file` or `set`.
    wins: String,
}

/// The thresholds in force.
#[derive(ToSchema)]
pub(super) struct Slider {
    /// The three bands in percent of the scale above 500.
    percent: Parts,
    /// The first score that is delayed.
    delay_from: u16,
    /// The last score that is delayed.
    reject_above: u16,
    /// The band of the score in question; here `null`.
    band: Option<String>,
    /// The score in question; here `null`.
    point: Option<ChartPoint>,
    /// Scores beside percent.
    chart: Vec<ChartRow>,
    /// Whether there is a score at all.
    enabled: bool,
    /// Whose thresholds count: `configured` or `set`.
    in_force: String,
    /// Those of the configuration.
    configured: Named,
    /// Those that somebody set by hand; `null` where nobody did.
    set: Option<SetByHand>,
}

/// The three bands in percent.
#[derive(ToSchema)]
struct Parts {
    /// What is let in.
    allow: f64,
    /// What is delayed.
    delay: f64,
    /// What is refused.
    reject: f64,
}

/// A score in three ways of writing it.
#[derive(ToSchema)]
struct ChartPoint {
    /// The score as it is, 0 to 1000.
    score: u16,
    /// What is above 500; `null` below.
    normalised: Option<u16>,
    /// The same in percent of the scale.
    percent: Option<f64>,
    /// `allow`, `delay` or `reject`.
    band: String,
}

/// One row of the chart.
#[derive(ToSchema)]
struct ChartRow {
    #[schema(inline)]
    #[serde(flatten)]
    point: ChartPoint,
    /// Whether it is the threshold from which on nobody is allowed.
    is_delay_from: bool,
    /// Whether it is the threshold above which everybody is refused.
    is_reject_above: bool,
}

/// Thresholds in both ways of writing them.
#[derive(ToSchema)]
struct Named {
    /// The first score that is delayed.
    delay_from: u16,
    /// The last score that is delayed.
    reject_above: u16,
    /// The same in percent.
    percent: Parts,
}

/// Thresholds that somebody set by hand.
#[derive(ToSchema)]
struct SetByHand {
    /// The first score that is delayed.
    delay_from: u16,
    /// The last score that is delayed.
    reject_above: u16,
    /// The same in percent.
    percent: Parts,
    /// Who set them.
    author: String,
    /// When, to the microsecond.
    at: Timestamp,
}

/// What other thresholds would have done.
#[derive(ToSchema)]
pub(super) struct Replay {
    /// Where the time that was counted begins: with an hour, or when counting began.
    since: Timestamp,
    /// Where it ends.
    until: Timestamp,
    /// False: counting began later than was asked for.
    complete: bool,
    /// The decisions that are judged.
    phase: String,
    /// How many decisions there are of each phase.
    phases: Vec<PhaseCount>,
    /// The first score of the delay band in the dry run.
    delay_from: u16,
    /// The last one.
    reject_above: u16,
    /// All decisions.
    decisions: u64,
    /// Those that had no score.
    not_scored: u64,
    /// Those that were decided by something else, whatever the score.
    decided_otherwise: u64,
    /// Those that the score decided: what follows is about them.
    scored: u64,
    /// Their bands as recorded.
    recorded: ByBand,
    /// Their bands by the thresholds of the dry run.
    now: ByBand,
    /// How many would go to another band.
    changed: u64,
    /// From where to where.
    changes: Vec<BandChange>,
    /// The thresholds that were in force, in the order in which they came; at most 16.
    recorded_thresholds: Vec<RecordedThresholds>,
    /// All scores from 0 to 1000, in steps of 50.
    histogram: Vec<Bar>,
}

/// Decisions of one phase.
#[derive(ToSchema)]
struct PhaseCount {
    /// The phase.
    phase: String,
    /// All of them.
    decisions: u64,
    /// Those that were decided by their scores.
    scored: u64,
}

/// How many there are in each band.
#[derive(ToSchema)]
struct ByBand {
    /// Let in.
    allow: u64,
    /// Answered with a 4xx.
    delay: u64,
    /// Refused with a 5xx.
    reject: u64,
}

/// Decisions that would go from one band to another.
#[derive(ToSchema)]
struct BandChange {
    /// The band as recorded.
    from: String,
    /// The band by the thresholds of the dry run.
    to: String,
    /// How many decisions.
    count: u64,
}

/// Thresholds that were in force.
#[derive(ToSchema)]
struct RecordedThresholds {
    /// The first score of their delay band.
    delay_from: u16,
    /// The last one.
    reject_above: u16,
    /// How many scores were judged by them.
    count: u64,
}

/// Scores of one part of the scale.
#[derive(ToSchema)]
struct Bar {
    /// The lowest score that it counts.
    from: u16,
    /// The highest.
    to: u16,
    /// How many there are.
    count: u64,
    /// Let in by the thresholds of the dry run.
    allow: u64,
    /// Delayed by them.
    delay: u64,
    /// Refused by them.
    reject: u64,
}
