//! The lists: random hosts and small networks, some with a reason, in the formats that operators have.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use gateway::list::Format;
use gateway::net::{Prefix, reserved};
use gateway_ebpf::bench_keys::{entry_v4, entry_v6};

/// A kind of list file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// One prefix a line, in no order.
    Plain,
    /// The same, in order, as most publishers have it.
    Sorted,
    /// Objects of JSON, as Spamhaus publishes DROP, in order.
    DropJson,
    /// Columns, as CrowdSec exports decisions, in no order.
    Csv,
    /// A zone file of rbldnsd, in order.
    Zone,
    /// IPv6, one prefix a line, in no order.
    Ipv6,
}

impl Case {
    /// All of them, the one that the aims are about first.
    pub(crate) const ALL: [Self; 6] =
        [Self::Plain, Self::Sorted, Self::DropJson, Self::Csv, Self::Zone, Self::Ipv6];

    /// The name of its row.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sorted => "plain-sorted",
            Self::DropJson => "drop-json",
            Self::Csv => "csv",
            Self::Zone => "rbldnsd-ip4trie",
            Self::Ipv6 => "plain-ipv6",
        }
    }

    /// How it is read.
    pub(crate) const fn format(self) -> Format {
        match self {
            Self::Plain | Self::Sorted | Self::Ipv6 => Format::Plain,
            Self::DropJson => Format::DropJson,
            Self::Csv => Format::Csv,
            Self::Zone => Format::RbldnsdIp4Trie,
        }
    }

    /// The text of a list of these prefixes.
    pub(crate) fn text(self, items: &[Item]) -> Result<String> {
        let mut items = items.to_vec();
        if matches!(self, Self::Sorted | Self::DropJson | Self::Zone) {
            items.sort_by_key(|item| item.prefix);
        }
        let mut text = String::new();
        match self {
            Self::Csv => text.push_str("value,scope,type,duration,reason\n"),
            Self::Zone => text.push_str(":127.0.0.2:listed\n"),
            Self::Plain | Self::Sorted | Self::DropJson | Self::Ipv6 => {}
        }
        for item in &items {
            self.write(&mut text, *item)?;
        }
        if self == Self::DropJson {
            let records = items.len();
            writeln!(text, r#"{{"type":"metadata","timestamp":1700000000,"records":{records}}}"#)?;
        }
        Ok(text)
    }

    fn write(self, text: &mut String, Item { prefix, reason }: Item) -> std::fmt::Result {
        match (self, reason) {
            (Self::DropJson, reason) => {
                let net = prefix.net();
                let number = reason.unwrap_or_default();
                writeln!(text, r#"{{"cidr":"{net}","sblid":"SBL{number}","rir":"ripencc"}}"#)
            }
            (Self::Csv, reason) => {
                let scope = if prefix.length() == 32 { "ip" } else { "range" };
                let reason = if reason.is_some() { "ssh-bf" } else { "http-probing" };
                writeln!(text, "{prefix},{scope},ban,,crowdsecurity/{reason}")
            }
            (_, None) => writeln!(text, "{prefix}"),
            (Self::Zone, Some(number)) => writeln!(text, "{prefix} :127.0.0.4:case {number}"),
            (_, Some(number)) => writeln!(text, "{prefix} # sends spam, case {number}"),
        }
    }
}

/// One entry of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) prefix: Prefix,
    /// The number of a case that is its reason, where it has one.
    reason: Option<u32>,
}

/// A list, one that shares no entry with it, and that one with one entry in a hundred exchanged.
pub(crate) struct Lists {
    pub(crate) first: Vec<Item>,
    pub(crate) second: Vec<Item>,
    pub(crate) changed: Vec<Item>,
}

impl Lists {
    /// Lists with `entries` entries.
    pub(crate) fn new(case: Case, entries: u32) -> Self {
        let mut known = HashSet::new();
        let items = (0..).filter_map(|number| {
            if case == Case::Ipv6 { Some(item_v6(number)) } else { item_v4(number) }
        });
        // A zone file must not have a prefix twice.
        let mut items = items.filter(|item| known.insert(item.prefix));
        let count = entries as usize;
        let mut take = |count: usize| -> Vec<Item> { items.by_ref().take(count).collect() };
        let (first, second, others) = (take(count), take(count), take(count / 100));
        let mut changed = second.clone();
        for (item, other) in changed.iter_mut().step_by(100).zip(others) {
            *item = other;
        }
        Self { first, second, changed }
    }
}

/// Of twenty entries sixteen are hosts, three whole /24s, one something between; every tenth has a reason.
fn item_v4(number: u32) -> Option<Item> {
    let address = Ipv4Addr::from_bits(entry_v4(number)).into();
    let length = match number % 20 {
        0..3 => 24,
        3 => 25 + u8::try_from(number / 20 % 7).unwrap_or(0),
        _ => 32,
    };
    let prefix = Prefix::new(address, length).ok()?;
    reserved(address).is_none().then_some(Item { prefix, reason: reason(number) })
}

fn item_v6(number: u32) -> Item {
    let ([a, b, c, d], length) = entry_v6(number);
    let bits = [a, b, c, d].iter().fold(0, |bits, word| bits << 32 | u128::from(*word));
    let address = Ipv6Addr::from_bits(bits).into();
    let prefix = Prefix::new(address, length).unwrap_or_else(|_too_long| Prefix::host(address));
    Item { prefix, reason: reason(number) }
}

fn reason(number: u32) -> Option<u32> {
    (number % 10 == 7).then_some(number)
}
