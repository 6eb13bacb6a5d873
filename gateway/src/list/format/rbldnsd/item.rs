//! Reads the addresses at the beginning of a line: whole ones, their first numbers, prefixes, ranges.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::LineFault;
use super::super::sink::shown;
use super::{BLANK, COMMENT};
use crate::net::{Prefix, PrefixError};

/// Reads an IPv4 prefix; what it covers, and what follows it.
pub(super) fn v4_prefix(text: &str, most: u32) -> Result<(Vec<Prefix>, &str), LineFault> {
    let (address, length, rest) = v4_length(text).ok_or_else(|| no_address(text))?;
    Ok((vec![v4(text, address, length, most)?], rest))
}

/// Reads the same, or an IPv4 range.
pub(super) fn v4_range(text: &str, most: u32) -> Result<(Vec<Prefix>, &str), LineFault> {
    let (first, length, after) = v4_numbers(text).ok_or_else(|| no_address(text))?;
    let Some(after) = after.strip_prefix('-') else {
        return v4_prefix(text, most);
    };
    let (last, last_length, rest) = v4_numbers(after).ok_or_else(|| no_address(after))?;
    let last = match last_length {
        // `127.0.0.1-9`: one number alone replaces the last number of the first address.
        8 => (last >> (length - 8)) | (first & mask(length - 8)),
        _ if last_length == length => last,
        _ => return Err(LineFault::found(word(text), "as many numbers on both sides of the dash")),
    };
    let last = last | !mask(length);
    within(last.wrapping_sub(first), most, text)?;
    let (first, last) = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
    Ok((Prefix::cover(first.into()..=last.into())?, rest))
}

/// Reads an IPv6 prefix.
pub(super) fn v6_prefix(text: &str) -> Result<(Vec<Prefix>, &str), LineFault> {
    let (address, length, rest) = v6_length(text).ok_or_else(|| no_address(text))?;
    let prefix = Prefix::new(address.into(), length)?;
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    if address.to_bits() & !mask != 0 {
        return Err(LineFault::HostBits { found: shown(word(text)), prefix });
    }
    Ok((vec![prefix], rest))
}

/// Reads one to four numbers as the first ones of an address: the address, the bits that are set by them, what follows.
pub(super) fn v4_numbers(text: &str) -> Option<(u32, u8, &str)> {
    let (mut address, mut length, mut rest) = (0, 0, text);
    loop {
        let (octet, after) = number(rest, 255)?;
        length += 8;
        address |= octet << (32 - length);
        match after.strip_prefix('.').filter(|_more| length < 32) {
            Some(more) => rest = more,
            None => return Some((address, u8::try_from(length).ok()?, after)),
        }
    }
}

/// Reads such numbers, and the length after a slash.
fn v4_length(text: &str) -> Option<(u32, u8, &str)> {
    let (address, length, rest) = v4_numbers(text)?;
    match rest.strip_prefix('/') {
        Some(length) => {
            let (length, rest) = number(length, 32)?;
            Some((address, u8::try_from(length).ok()?, rest))
        }
        // One number alone is more likely a mistake.
        None => (length > 8).then_some((address, length, rest)),
    }
}

fn v6_length(text: &str) -> Option<(Ipv6Addr, u8, &str)> {
    let (address, length, rest) = v6_numbers(text)?;
    match rest.strip_prefix('/') {
        Some(length) => {
            let (length, rest) = number(length, 128)?;
            Some((address, u8::try_from(length).ok()?, rest))
        }
        None => (length > 16).then_some((address, length, rest)),
    }
}

/// Reads an address of IPv6, or its first numbers.
fn v6_numbers(text: &str) -> Option<(Ipv6Addr, u8, &str)> {
    let (mut head, mut tail): (Vec<u16>, Option<Vec<u16>>) = (Vec::new(), None);
    let mut rest = text;
    if let Some(after) = rest.strip_prefix("::") {
        (tail, rest) = (Some(Vec::new()), after);
    }
    let mut is_whole = false;
    while !is_whole {
        let end = rest.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at_checked(end)?;
        if digits.is_empty() {
            break;
        }
        let digits = digits.trim_start_matches('0');
        let number = if digits.is_empty() { 0 } else { u16::from_str_radix(digits, 16).ok()? };
        tail.as_mut().unwrap_or(&mut head).push(number);
        let count = head.len() + tail.as_ref().map_or(0, Vec::len);
        rest = after;
        match rest.strip_prefix(':').filter(|_more| count < 8) {
            Some(more) => rest = more,
            None => is_whole = true,
        }
        if let Some(more) = rest.strip_prefix(':').filter(|_more| !is_whole && tail.is_none()) {
            (tail, rest) = (Some(Vec::new()), more);
        }
    }
    let mut numbers = [0; 8];
    let length = match &tail {
        Some(tail) if head.len() + tail.len() < 8 => 128,
        None if is_whole => u8::try_from(head.len() * 16).ok()?,
        _ => return None,
    };
    for (number, found) in numbers.iter_mut().zip(&head) {
        *number = *found;
    }
    for (number, found) in numbers.iter_mut().rev().zip(tail.iter().flatten().rev()) {
        *number = *found;
    }
    Some((numbers.into(), length, rest))
}

fn v4(text: &str, address: u32, length: u8, most: u32) -> Result<Prefix, LineFault> {
    let prefix = Prefix::new(Ipv4Addr::from_bits(address).into(), length)?;
    if address & !mask(length) != 0 {
        return Err(LineFault::HostBits { found: shown(word(text)), prefix });
    }
    within(!mask(length), most, text)?;
    Ok(prefix)
}

fn within(size: u32, most: u32, text: &str) -> Result<(), LineFault> {
    if size > most {
        return Err(LineFault::found(word(text), "at most as many addresses as `$MAXRANGE4` says"));
    }
    Ok(())
}

/// The bits of a prefix of this length.
fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

/// Reads a number of any length that is at most `most`; what follows it.
fn number(text: &str, most: u32) -> Option<(u32, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let significant = digits.trim_start_matches('0');
    let number = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    (!digits.is_empty() && number <= most).then_some((number, rest))
}

fn no_address(text: &str) -> LineFault {
    PrefixError::address(word(text)).into()
}

/// The first word of a line, short enough to be shown.
fn word(text: &str) -> &str {
    let word = text.split([BLANK[0], BLANK[1], COMMENT[0], COMMENT[1]]).next().unwrap_or(text);
    word.get(..word.floor_char_boundary(60)).unwrap_or(word)
}
