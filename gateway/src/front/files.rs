//! How many files the fronts may have open.

/// Files beside connections: listeners, maps of the kernel filter, logs, lists.
const OTHERS: u64 = 256;

/// How many open files so many connections may need, each with one to its next hop.
pub fn files_needed(connections: usize) -> u64 {
    u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(OTHERS)
}
