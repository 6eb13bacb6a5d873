//! Raises the limit on open files, since every connection needs one here and one to the next hop.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::alarm::Alarms;

/// Files beside connections: listeners, maps of the kernel filter, logs, lists.
const OTHERS: u64 = 256;

/// How many open files so many connections may need, each with one to its next hop.
pub fn files_needed(connections: usize) -> u64 {
    u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(OTHERS)
}

/// Raises the soft limit to the hard one; an alarm says when that is not enough for `connections`.
pub(super) fn raise_limit(connections: usize, alarms: &Alarms) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let most = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_refused) => limit.current,
    };
    let needed = files_needed(connections);
    // No limit at all is `None`.
    if let Some(most) = most.filter(|most| *most < needed) {
        let text = format!(
            "{most} open files are allowed, {connections} connections may need {needed}; raise LimitNOFILE or lower `[limits] connections`"
        );
        alarms.raise("open-files", &text);
    }
}
