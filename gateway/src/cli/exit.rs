//! How a command ends: its exit code, and what it says on standard error.

use std::process::ExitCode;

use super::{Failure, output};

/// How a command ended that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: all is well.
    Done,
    /// 1: the address or message would be refused or deferred, or lines of a list were rejected.
    Refused,
    /// 1: the next hop did not take a message for all of its recipients.
    Left,
    /// 1: this host has not all that the kernel filter needs.
    Missing,
}

/// Says on standard error what went wrong, and gives the exit code.
pub(super) fn code(done: Result<Exit, Failure>) -> ExitCode {
    match done {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Refused | Exit::Left | Exit::Missing) => ExitCode::from(1),
        Err(failure) => {
            if !matches!(failure, Failure::BrokenPipe) {
                output::complain(&failure.to_string(), failure.hint());
            }
            ExitCode::from(failure.code())
        }
    }
}
