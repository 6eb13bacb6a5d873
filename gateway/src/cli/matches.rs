//! One entry that covers an address, as a line for people.

use super::{Failure, output};
use crate::policy::MatchRecord;

/// Prints which list has the address, by which entry, since when, until when, why.
pub(super) fn show(found: &MatchRecord<'_>) -> Result<(), Failure> {
    let MatchRecord { list, class, action, entry, origin, .. } = found;
    let dry = if found.enforce { "" } else { ", dry run" };
    let added = found.added.map(|added| format!(", since {added}")).unwrap_or_default();
    let until = found.expires.map(|end| format!(", until {}", end.timestamp())).unwrap_or_default();
    let reason = found.reason.map(|reason| format!(", {reason}")).unwrap_or_default();
    let class = class.name();
    output::field(
        "listed",
        format_args!("{list} ({class}, {action}{dry}): {entry}, {origin}{added}{until}{reason}"),
    )
}
