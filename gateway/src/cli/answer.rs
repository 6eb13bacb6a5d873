//! Reads what the daemon answered. It may be of another version, so nothing in an answer is taken for granted.

pub(super) use crate::json::{items, items_at, plain, plain_at};
