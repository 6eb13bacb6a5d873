//! Raises the limit on open files, since every connection needs one here and one to the next hop.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::alarm::Alarms;
use crate::front::files_needed;

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
