//! The contract between the XDP program and the daemon, with all of the program's logic that needs no kernel.
//!
//! | file | question |
//! |---|---|
//! | [`abi`] | what must both sides agree on? |
//! | [`frame`] | how is a packet touched without leaving it? |
//! | [`parse`] | is this an attempt to connect to one of our ports, or may it belong to a refusal? |
//! | [`action`] | what follows from the rules that cover its source? |
//! | [`cookie`] | which sequence number proves a handshake that nobody remembers? |
//! | [`dialogue`] | what is said next to a refused client? |
//! | [`line`](mod@line), [`reference`] | what does the 554 say? |
//! | [`rate`] | may another answer be given? |
//! | [`event`] | what is told about single packets? |
//! | [`limit`] | does a network open too many connections, or get too many answers? |
//! | [`reply`], [`checksum`] | what does the answer look like? |
//! | [`table`] | which rule covers an address? |
#![no_std]
#![expect(
    clippy::cast_possible_truncation,
    reason = "a conversion that can fail would be a branch in the program; these are of constants, or meant to cut"
)]

#[cfg(any(test, feature = "alloc"))]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
pub mod action;
#[cfg(feature = "bench-keys")]
pub mod bench_flood;
#[cfg(feature = "bench-keys")]
pub mod bench_keys;
pub mod checksum;
pub mod cookie;
pub mod dated;
pub mod dialogue;
pub mod event;
pub mod frame;
pub mod gate;
pub mod glance;
pub mod limit;
pub mod line;
pub mod parse;
pub mod rate;
pub mod reference;
#[cfg(feature = "bench-keys")]
pub mod repeat;
pub mod reply;
pub mod table;
pub mod tcp;
