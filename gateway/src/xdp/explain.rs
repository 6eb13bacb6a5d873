//! How the kernel finds its answer for an address: which map, which entry, step by step.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use gateway_ebpf::abi::{KernelAction, MapShape, RuleValue, map};
use gateway_ebpf::dated::{self, HOLE, NOTHING};
use gateway_ebpf::table::{Step, v4, v6};
use serde::Serialize;

use super::control::ControlMap;
use super::delta::place;
use super::pins::Pins;
use super::slots::Slots;
use super::tables::Tables;
use super::{Config, KernelRule, XdpError};
use crate::clock::Timestamp;
use crate::net::{Prefix, fold};

/// How the kernel finds its answer for an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The address, IPv4-mapped ones folded.
    pub ip: IpAddr,
    /// What was looked at, in order.
    pub steps: Vec<Explained>,
    /// The bad rule; `null` where there is none.
    pub bad: Option<KernelRule>,
    /// The good rule, which is asked for only when there is a bad one.
    pub good: Option<KernelRule>,
    /// What is done with a SYN: a kernel action, or `pass`.
    pub decision: &'static str,
    /// The list that decided; `null` where none did.
    pub list: Option<Arc<str>>,
    /// Until when everything passes, so that a SYN is only counted; `null` where nothing is paused.
    pub paused_until: Option<Timestamp>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The map.
    pub map: &'static str,
    /// The part of the table; `trie` for a map that is no table.
    pub part: &'static str,
    /// The line of the table; `null` for a map that is none.
    pub line: Option<u32>,
    /// What was looked for.
    pub looked_for: String,
    /// What was there.
    pub found: String,
}

/// Asks the pinned maps, line by line, as the program does.
pub fn explain(config: &Config, address: IpAddr) -> Result<Explanation, XdpError> {
    let pins = Pins::new(config);
    if !pins.exist()? {
        return Err(XdpError::NothingPinned { path: config.pin_dir.clone() });
    }
    let tables = Tables::open(&pins)?;
    let slots = tables.counting.slots()?;
    let ip = fold(address);
    let explainer = Explainer { ip, slots: &slots };
    let (delta, good_map) = match ip {
        IpAddr::V4(_) => (map::DELTA_V4, map::GOOD_V4),
        IpAddr::V6(_) => (map::DELTA_V6, map::GOOD_V6),
    };
    // As in `Tables::decide`, and in the program.
    let is_gated = tables.delta.is_gated(ip)?;
    let mut steps = vec![explainer.delta_gate(is_gated)];
    let changed = if is_gated { tables.delta.covering(ip)? } else { NOTHING };
    if is_gated {
        steps.push(explainer.trie(delta, changed));
    }
    let bad = if changed == NOTHING {
        let mut trace: Vec<Step> = Vec::new();
        let bad = tables.bad.walk(ip, &mut trace)?;
        steps.extend(trace.iter().map(|step| explainer.step(step)));
        bad
    } else {
        dated::rule(changed)
    };
    let mut good = None;
    if bad.is_some() {
        let found = tables.good.covering(ip)?;
        steps.push(explainer.trie(good_map, found));
        good = dated::rule(found);
    }
    let decided = good.or(bad);
    let action = decided.and_then(RuleValue::action).unwrap_or(KernelAction::Off);
    let paused_until = ControlMap::open(&pins)?.paused_until()?;
    Ok(Explanation {
        ip,
        steps,
        bad: explainer.rule(bad),
        good: explainer.rule(good),
        decision: match action {
            _ if good.is_some() => "pass",
            KernelAction::Off => "pass",
            _ if paused_until.is_some() => KernelAction::Count.name(),
            action => action.name(),
        },
        list: decided.and_then(|rule| slots.name(rule.list())).map(Arc::clone),
        paused_until,
    })
}

struct Explainer<'a> {
    ip: IpAddr,
    slots: &'a Slots,
}

impl Explainer<'_> {
    fn step(&self, step: &Step) -> Explained {
        let (map, gate, gate_says): (_, _, fn(u8) -> String) = match self.ip {
            IpAddr::V4(_) => (map::BAD_V4, 24, |bits| v4::cell_name(bits).to_owned()),
            IpAddr::V6(_) => (map::BAD_V6, 32, v6_gate),
        };
        let (part, line, looked_for, found) = match *step {
            Step::Gate { line, bits } => ("gate", line, self.prefix(gate), gate_says(bits)),
            Step::Wide { line, class } => ("wide", line, self.prefix(16), found(class)),
            Step::HostGate { line, open } => {
                let says = if open { "there may be hosts" } else { "no hosts" };
                ("host-gate", line, self.prefix(64), says.to_owned())
            }
            Step::Bucket { line, length, class, second } => {
                let part = match self.ip {
                    IpAddr::V4(_) if second => "spill",
                    IpAddr::V6(_) if second => "other-bucket",
                    _ => "bucket",
                };
                (part, line, self.prefix(length), found(class))
            }
            Step::Leftovers { generation, class, length } => {
                let mut found = found(class);
                if class != 0 {
                    write!(found, " of {}", self.prefix(length)).unwrap_or_default();
                }
                return Explained {
                    map: map::LEFT_V6.name,
                    part: "trie",
                    line: None,
                    looked_for: format!("{} of generation {generation}", self.ip),
                    found,
                };
            }
            Step::Row { line, class, rule } => {
                ("row", line, format!("class {class}"), self.words(rule))
            }
        };
        Explained { map: map.name, part, line: Some(line), looked_for, found }
    }

    fn delta_gate(&self, is_gated: bool) -> Explained {
        let found =
            if is_gated { "open: the delta is asked" } else { "shut: the delta is not asked" };
        Explained {
            map: map::GATE.name,
            part: "gate",
            line: Some(place(self.ip).line),
            looked_for: self.ip.to_string(),
            found: found.to_owned(),
        }
    }

    /// What a trie with dated rules says.
    fn trie(&self, map: MapShape, found: u32) -> Explained {
        let found = match found {
            NOTHING => "nothing".to_owned(),
            HOLE => "that no rule is there any more".to_owned(),
            number => dated::rule(number).map_or_else(String::new, |rule| self.words(rule)),
        };
        Explained {
            map: map.name,
            part: "trie",
            line: None,
            looked_for: self.ip.to_string(),
            found,
        }
    }

    fn rule(&self, rule: Option<RuleValue>) -> Option<KernelRule> {
        let rule = rule?;
        let list = self.slots.name(rule.list()).map(Arc::clone)?;
        Some(KernelRule { list, action: rule.action()? })
    }

    fn words(&self, rule: RuleValue) -> String {
        let list = self.slots.name(rule.list()).map_or("without a name", |name| name);
        let action = rule.action().map_or("an unknown action", KernelAction::name);
        format!("list {list}, {action}")
    }

    /// The prefix of that length that the address is in.
    fn prefix(&self, length: u8) -> String {
        Prefix::new(self.ip, length)
            .map_or_else(|_longer| self.ip.to_string(), |net| net.to_string())
    }
}

fn found(class: u8) -> String {
    if class == 0 { "nothing".to_owned() } else { format!("class {class}") }
}

fn v6_gate(bits: u8) -> String {
    let names: Vec<_> = v6::byte_names(bits).collect();
    if names.is_empty() { "nothing".to_owned() } else { format!("entries: {}", names.join(", ")) }
}
