//! What the maps are to hold: the rules with the numbers of the kernel's lists and clock.

use std::sync::Arc;

use gateway_ebpf::abi::{Family, MAX_GOOD, RuleValue};
use gateway_ebpf::dated::DatedRule;

use super::XdpError;
use super::boot::Boot;
use super::changes::{self, Until};
use super::plan::Entries;
use crate::clock::uptime;
use crate::list::{Rule, Rules};

/// What the maps are to hold.
pub(super) struct Wanted {
    pub(super) good: Entries<DatedRule>,
    /// The bad ones that do not expire.
    pub(super) lasting: Arc<Entries>,
    /// The bad ones that do.
    pub(super) expiring: Entries<Until>,
}

impl Wanted {
    /// What `rules` say of lists in these `slots`; what has expired is left out.
    pub(super) fn new(rules: &Rules, slots: &[u16], boot: Boot) -> Result<Self, XdpError> {
        let (lasting, expiring) = split(&rules.good, slots, boot)?;
        let good = changes::dated(&lasting, &expiring);
        refuse_too_many_good(&good)?;
        let (lasting, expiring) = split(&rules.bad, slots, boot)?;
        Ok(Self { good, lasting: Arc::new(lasting), expiring })
    }
}

fn refuse_too_many_good(good: &Entries<DatedRule>) -> Result<(), XdpError> {
    let v4 = good.partition_point(|(prefix, _)| prefix.address().is_ipv4());
    let families = [("good IPv4 rules", v4), ("good IPv6 rules", good.len() - v4)];
    match families.into_iter().find(|(_, found)| *found > MAX_GOOD) {
        Some((what, found)) => Err(XdpError::DoesNotFit { what, found, most: MAX_GOOD }),
        None => Ok(()),
    }
}

/// Rules as the kernel holds them: those that last, and those that expire.
fn split(rules: &[Rule], slots: &[u16], boot: Boot) -> Result<(Entries, Entries<Until>), XdpError> {
    let (mut lasting, mut expiring) = (Vec::with_capacity(rules.len()), Vec::new());
    for rule in rules {
        let value = value(rule, slots)?;
        match rule.expires {
            None => lasting.push((rule.prefix, value)),
            Some(expires) => {
                let until = boot.second(expires);
                expiring.extend((until > uptime()).then_some((rule.prefix, (value, until))));
            }
        }
    }
    Ok((in_order(lasting), in_order(expiring)))
}

fn value(rule: &Rule, slots: &[u16]) -> Result<RuleValue, XdpError> {
    let slot = slots.get(usize::from(rule.list)).ok_or(XdpError::ListNumber {
        prefix: rule.prefix,
        list: rule.list,
        lists: slots.len(),
    })?;
    let family = if rule.prefix.address().is_ipv4() { Family::V4 } else { Family::V6 };
    Ok(RuleValue::new(*slot, rule.action).of(family))
}

/// Sorted, the first of several of one prefix.
fn in_order<Value>(mut entries: Entries<Value>) -> Entries<Value> {
    entries.sort_by_key(|(prefix, _)| *prefix);
    entries.dedup_by_key(|(prefix, _)| *prefix);
    entries
}
