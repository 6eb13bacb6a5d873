//! One entry of a list, one match of an address with it.

use std::sync::Arc;

use serde::Serialize;

use super::{Class, List};
use crate::net::Prefix;

/// One prefix of a list, with where it was written and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The prefix listed.
    pub prefix: Prefix,
    /// The line of the file, from 1.
    pub line: u32,
    /// The text after the prefix, `None` when there is none.
    pub reason: Option<Box<str>>,
}

/// An entry that covers an address, with the list that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The list.
    pub list: Arc<List>,
    /// The entry.
    pub entry: Arc<Entry>,
}

impl Match {
    /// The class of its list.
    pub fn class(&self) -> Class {
        self.list.class
    }
}
