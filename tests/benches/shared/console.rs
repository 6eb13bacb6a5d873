//! Tells whoever watches a benchmark how it goes.

use std::io::{Write as _, stdout};

/// Tells one line.
pub(crate) fn say(line: &str) {
    writeln!(stdout().lock(), "{line}").unwrap_or_default();
}
