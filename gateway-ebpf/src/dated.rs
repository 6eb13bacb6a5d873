//! Rules of single prefixes in the kernel's tries: each may expire, and what has expired is as if it were not there.

use crate::abi::RuleValue;

/// How many expired prefixes round an address are looked past. The daemon removes what has expired; this many stay in the
/// way only when it does not run, and then none behind them is found.
pub const MOST_EXPIRED: usize = 4;

/// What a trie holds for a prefix: what it says until it expires, and what after that.
///
/// Each is a rule as a number, or [`HOLE`], or [`NOTHING`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct DatedRule {
    rule: u32,
    /// Seconds since the host started (`CLOCK_BOOTTIME`), from which on `after` counts; 0 is never.
    expires: u32,
    after: u32,
    /// The length of the prefix, which a trie does not tell who asks.
    length: u8,
    reserved: [u8; 3],
}

/// The bytes of a value.
pub const DATED_BYTES: usize = size_of::<DatedRule>();

/// No prefix covers the address. No list has this number, and no action.
pub const NOTHING: u32 = u32::from_ne_bytes([0xff, 0xff, 0xff, 0xfe]);

/// A prefix covers the address, and says that no rule does: not that of a wider prefix, either.
pub const HOLE: u32 = u32::from_ne_bytes([0xff; 4]);

impl DatedRule {
    /// What a prefix of `length` bits says for ever; without a rule it is a hole.
    pub const fn lasting(rule: Option<RuleValue>, length: u8) -> Self {
        let rule = match rule {
            Some(rule) => number(rule),
            None => HOLE,
        };
        Self { rule, expires: 0, after: NOTHING, length, reserved: [0; 3] }
    }

    /// What the same prefix says until `expires`, in seconds since the host started, which is not 0.
    #[must_use]
    pub const fn after(self, rule: RuleValue, expires: u32) -> Self {
        Self { rule: number(rule), expires, after: self.rule, ..self }
    }

    /// What a prefix of `length` bits says until `expires`; then it is as if it were not there.
    pub const fn expiring(rule: RuleValue, length: u8, expires: u32) -> Self {
        Self { rule: number(rule), expires, after: NOTHING, length, reserved: [0; 3] }
    }

    /// The rule until it expires; `None` in a hole.
    pub const fn rule(self) -> Option<RuleValue> {
        rule(self.rule)
    }

    /// When it expires, in seconds since the host started; 0 is never.
    pub const fn expires(self) -> u32 {
        self.expires
    }

    /// As it lies in the kernel's map.
    pub const fn to_bytes(self) -> [u8; DATED_BYTES] {
        let [r0, r1, r2, r3] = self.rule.to_ne_bytes();
        let [e0, e1, e2, e3] = self.expires.to_ne_bytes();
        let [a0, a1, a2, a3] = self.after.to_ne_bytes();
        [r0, r1, r2, r3, e0, e1, e2, e3, a0, a1, a2, a3, self.length, 0, 0, 0]
    }

    /// From what lies in the kernel's map.
    pub const fn from_bytes(
        [r0, r1, r2, r3, e0, e1, e2, e3, a0, a1, a2, a3, length, ..]: [u8; DATED_BYTES],
    ) -> Self {
        Self {
            rule: u32::from_ne_bytes([r0, r1, r2, r3]),
            expires: u32::from_ne_bytes([e0, e1, e2, e3]),
            after: u32::from_ne_bytes([a0, a1, a2, a3]),
            length,
            reserved: [0; 3],
        }
    }
}

/// What the longest prefix says that covers an address and has something to say: a rule as a number, [`HOLE`], or
/// [`NOTHING`]. Numbers, since the verifier wants all of a value to be known.
///
/// `longest` gives what a trie holds for the longest prefix of at most so many bits; `now` tells the time.
#[inline(always)]
pub fn find(
    bits: u32,
    mut longest: impl FnMut(u32) -> Option<DatedRule>,
    now: impl Fn() -> u32,
) -> u32 {
    let mut bits = bits;
    for _ in 0..=MOST_EXPIRED {
        let Some(found) = longest(bits) else { return NOTHING };
        if found.expires == 0 || now() < found.expires {
            return found.rule;
        }
        if found.after != NOTHING {
            return found.after;
        }
        let Some(shorter) = u32::from(found.length).checked_sub(1) else { return NOTHING };
        bits = shorter;
    }
    NOTHING
}

/// The rule of a number that [`find`] gives.
#[inline(always)]
pub const fn rule(number: u32) -> Option<RuleValue> {
    match number {
        NOTHING | HOLE => None,
        number => Some(RuleValue::from_bytes(number.to_ne_bytes())),
    }
}

/// The number of a rule.
#[inline(always)]
pub const fn number(rule: RuleValue) -> u32 {
    u32::from_ne_bytes(rule.to_bytes())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::abi::KernelAction;

    fn a_rule(list: u16) -> RuleValue {
        RuleValue::new(list, KernelAction::Drop)
    }

    #[test]
    fn a_value_survives_the_way_through_the_kernel() {
        let lasting = DatedRule::lasting(Some(a_rule(0x1234)), 32);
        let hole = DatedRule::lasting(None, 0);
        for (value, rule, expires) in [
            (lasting, Some(a_rule(0x1234)), 0),
            (hole, None, 0),
            (hole.after(a_rule(2), 9), Some(a_rule(2)), 9),
            (DatedRule::expiring(a_rule(3), 128, u32::MAX), Some(a_rule(3)), u32::MAX),
        ] {
            assert_eq!(DatedRule::from_bytes(value.to_bytes()), value);
            assert_eq!((value.rule(), value.expires()), (rule, expires));
        }
    }

    /// What is there for a prefix: a lasting part, which may be a hole, and one that expires.
    type Held = (Option<Option<u16>>, Option<(u16, u32)>);

    fn held(length: u8, (lasting, expiring): Held) -> Option<DatedRule> {
        let lasting = lasting.map(|list| DatedRule::lasting(list.map(a_rule), length));
        match (lasting, expiring) {
            (Some(lasting), Some((list, expires))) => Some(lasting.after(a_rule(list), expires)),
            (None, Some((list, expires))) => {
                Some(DatedRule::expiring(a_rule(list), length, expires))
            }
            (lasting, None) => lasting,
        }
    }

    proptest! {
        /// Prefixes round one address, by length.
        #[test]
        fn the_longest_that_has_something_to_say_counts(
            prefixes in prop::collection::btree_map(0_u8..=32, any::<Held>(), 0..9),
            now in 0_u32..4,
        ) {
            let held: Vec<DatedRule> = prefixes
                .iter()
                .filter_map(|(length, (lasting, expiring))| {
                    let expiring = expiring.map(|(list, expires)| (list, expires % 4 + 1));
                    held(*length, (*lasting, expiring))
                })
                .collect();
            let longest = |bits: u32| {
                held.iter().rev().find(|held| u32::from(held.length) <= bits).copied()
            };
            let says = |held: &DatedRule| {
                if held.expires == 0 || now < held.expires { held.rule } else { held.after }
            };
            let silent = held.iter().rev().take_while(|held| says(held) == NOTHING).count();
            let expected = held.iter().rev().map(says).find(|said| *said != NOTHING);
            let expected = expected.filter(|_| silent <= MOST_EXPIRED).unwrap_or(NOTHING);
            prop_assert_eq!(find(32, longest, || now), expected);
        }
    }
}
