//! One entry of a list, one match of an address with it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;

use super::{Class, List, Origin};
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

/// One prefix of a list, with where it was written and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The prefix listed.
    pub prefix: Prefix,
    /// The line of its source, from 1; 0 where the source has no lines.
    pub line: u32,
    /// What a DNS list made of the source would answer; `None` in formats without it.
    pub value: Option<Ipv4Addr>,
    /// The text beside the prefix, `None` when there is none.
    pub reason: Option<Box<str>>,
    /// Who added it by hand; `None` for what a source lists.
    pub author: Option<Box<str>>,
    /// Since when the list is known to have it, to the second.
    pub added: Option<Timestamp>,
    /// When it ends by itself, `None` for never.
    pub expires: Option<Expiry>,
}

/// An entry that covers an address, with the list that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The list.
    pub list: Arc<List>,
    /// Where the list has it from.
    pub origin: Arc<Origin>,
    /// The entry.
    pub entry: Arc<Entry>,
}

impl Match {
    /// The class of its list.
    pub fn class(&self) -> Class {
        self.list.class
    }

    /// Where the entry was written: `FILE:LINE`, `URL:LINE`, or the person who added it.
    pub fn place(&self) -> String {
        self.origin.place(&self.entry)
    }
}
