//! What a DNS list answers for an entry: an address and a text.

use std::net::Ipv4Addr;

use super::super::LineFault;
use super::{BLANK, item};

/// An address, and a text that is not yet filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    pub(super) value: Ipv4Addr,
    /// Empty for none.
    pub(super) text: &'a str,
}

impl<'a> Answer<'a> {
    /// What is answered when nothing else is said.
    pub(super) const USUAL: Self = Self { value: Ipv4Addr::new(127, 0, 0, 2), text: "" };

    /// Reads `TEXT`, `:VALUE` or `:VALUE:TEXT`; what is not there is that of `default`.
    pub(super) fn read(text: &'a str, default: Self) -> Result<Self, LineFault> {
        let Some(value) = text.strip_prefix(':') else {
            return Ok(Self { text, ..default });
        };
        let fault = || LineFault::found(text, "an answer like :127.0.0.2:TEXT or :2:TEXT");
        let (value, rest) = read_value(value).ok_or_else(fault)?;
        let rest = rest.trim_start_matches(BLANK);
        match rest.strip_prefix(':') {
            Some(text) => Ok(Self { value, text: text.trim_start_matches(BLANK) }),
            None if rest.is_empty() => Ok(Self { value, ..default }),
            None => Err(fault()),
        }
    }
}

/// Reads an address, or the last number of one in 127.0.0.0/24.
fn read_value(text: &str) -> Option<(Ipv4Addr, &str)> {
    let (address, length, rest) = item::v4_numbers(text)?;
    let [a, b, c, d] = address.to_be_bytes();
    // As in other programs of that age, the last number given is the last number meant.
    let value = match length {
        8 => Ipv4Addr::new(0, 0, 0, a),
        16 => Ipv4Addr::new(a, 0, 0, b),
        24 => Ipv4Addr::new(a, b, 0, c),
        _ => Ipv4Addr::new(a, b, c, d),
    };
    let value = if length == 8 { Ipv4Addr::new(127, 0, 0, a) } else { value };
    (address != 0).then_some((value, rest))
}
