//! What both sides must agree on: actions, map names, keys, values, their sizes and the schema version.

use crate::limit::Limits;
use crate::line::Head;
use crate::reference;

/// The version of all that this file says. Pins of another version are never adopted.
pub const SCHEMA: u32 = 4;

/// The name of the program in the object file and in the kernel.
pub const PROGRAM: &str = "portcullis";

/// The name of the program's constant that holds its ports, [`MAX_PORTS`] of 16 bits; the first 0 ends them.
pub const PORTS: &str = "PORTS";

/// The number of ports that can be filtered; they are constants of the loaded program.
pub const MAX_PORTS: usize = 8;

/// The number of lists that can be told apart in the kernel.
pub const MAX_LISTS: usize = 256;

/// The number of good rules for one family.
pub const MAX_GOOD: usize = 1 << 22;

/// The number of bad rules for one family.
pub const MAX_BAD: usize = 1 << 24;

/// The number of bad IPv6 prefixes that may be left over by the table.
pub const MAX_LEFTOVERS: usize = 1 << 20;

/// The number of bad rules for one family that may have changed since its table was made, or that expire.
pub const MAX_DELTA: usize = 1 << 20;

/// The number of own addresses of one family.
pub const MAX_OWN: usize = 1 << 12;

/// The number of networks whose connection attempts are counted while there are too many.
pub const MAX_COUNTED: usize = 1 << 16;

/// The number of networks of one family that can be known by a completed handshake.
pub const MAX_KNOWN: usize = 1 << 17;

/// The number of interfaces on which nothing may be answered.
pub const MAX_MUTE: usize = 1 << 10;

/// The longest name of a list in bytes; one byte more in the kernel holds its length.
pub const MAX_LIST_NAME: usize = 127;

/// What the kernel does with a connection attempt from an address that a rule names.
///
/// The numbers are what rules in the kernel's maps hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KernelAction {
    /// Leave it to the daemon, uncounted; a rule with it is a hole in a wider rule.
    Off = 0,
    /// Count it, pass it on.
    Count = 1,
    /// Answer the SYN, and say a 554 to whoever completes the handshake.
    Refuse = 2,
    /// Answer the SYN with a RST.
    Reset = 3,
    /// Drop the SYN without an answer.
    Drop = 4,
}

impl KernelAction {
    /// All actions, by number.
    pub const ALL: [Self; 5] = [Self::Off, Self::Count, Self::Refuse, Self::Reset, Self::Drop];

    /// The word that configuration, metrics and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Count => "count",
            Self::Refuse => "refuse",
            Self::Reset => "reset",
            Self::Drop => "drop",
        }
    }

    /// The action with the number that a rule holds; `None` for a number that no action has.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Off),
            1 => Some(Self::Count),
            2 => Some(Self::Refuse),
            3 => Some(Self::Reset),
            4 => Some(Self::Drop),
            _ => None,
        }
    }
}

/// What became of one packet; each packet that the program sees counts under exactly one of these.
///
/// The numbers are indexes into the map [`map::OUTCOMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// The frame ends inside the Ethernet header.
    TruncatedEthernet,
    /// The frame ends inside a VLAN tag.
    TruncatedVlan,
    /// More than two VLAN tags.
    TooManyVlanTags,
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// The frame ends inside the IPv4 header.
    TruncatedIpv4,
    /// An IPv4 header that contradicts itself.
    BadIpv4,
    /// The frame ends inside the IPv6 header.
    TruncatedIpv6,
    /// An IPv6 header that contradicts itself, or a jumbogram.
    BadIpv6,
    /// The frame ends inside an IPv6 extension header, or the packet does.
    TruncatedExtension,
    /// More IPv6 extension headers than are looked through.
    TooManyExtensions,
    /// A fragment that is not the first, so it has no ports.
    LaterFragment,
    /// Another protocol than TCP.
    NotTcp,
    /// The frame ends inside the TCP header, or the packet does.
    TruncatedTcp,
    /// A connection to a port that is not filtered.
    OtherPort,
    /// A TCP header whose length is impossible.
    BadTcp,
    /// No connection attempt: a segment of a real connection, or a flag combination that opens none.
    NotSyn,
    /// The frame ends before the packet does.
    TruncatedPayload,
    /// Addressed to another host; it passes through.
    NotOwn,
    /// No bad rule covers the source.
    Unlisted,
    /// A bad rule covers the source, and so does a good one.
    Good,
    /// A bad rule leaves it to the daemon.
    Off,
    /// A bad rule counted it; it passed.
    Counted,
    /// Dropped without an answer.
    Dropped,
    /// A SYN that was answered with the first half of a refusal.
    RefusedSyn,
    /// Answered with the 554.
    Refused554,
    /// Answered with a 503: a refused client said something else than QUIT.
    Refused503,
    /// Answered with the 221 and our FIN.
    Refused221,
    /// A refused client hung up; answered with our FIN or an ACK.
    RefusedClose,
    /// Part of a refusal to which nothing is to be said; dropped.
    RefusedAck,
    /// Answered with a RST.
    Reset,
    /// It should have been answered, but enough was answered in this second; dropped.
    OverCap,
    /// It should have been answered, but the answer could not be made; it passed.
    ReplyFailed,
    /// The rule holds a number that no action has; it passed.
    BadRule,
    /// No bad rule covers the source, but its network opened more connections than it may; it passed all the same.
    FloodObserved,
    /// No bad rule covers the source, but its network opened more connections than it may; dropped.
    FloodDropped,
    /// It should have been answered, but its network got enough answers in this second; dropped.
    OverNetworkCap,
    /// It should have been answered, but its interface hides the VLAN that it came from; dropped.
    Mute,
}

impl Outcome {
    /// All outcomes, by number.
    pub const ALL: [Self; 37] = [
        Self::TruncatedEthernet,
        Self::TruncatedVlan,
        Self::TooManyVlanTags,
        Self::NotIp,
        Self::TruncatedIpv4,
        Self::BadIpv4,
        Self::TruncatedIpv6,
        Self::BadIpv6,
        Self::TruncatedExtension,
        Self::TooManyExtensions,
        Self::LaterFragment,
        Self::NotTcp,
        Self::TruncatedTcp,
        Self::OtherPort,
        Self::BadTcp,
        Self::NotSyn,
        Self::TruncatedPayload,
        Self::NotOwn,
        Self::Unlisted,
        Self::Good,
        Self::Off,
        Self::Counted,
        Self::Dropped,
        Self::RefusedSyn,
        Self::Refused554,
        Self::Refused503,
        Self::Refused221,
        Self::RefusedClose,
        Self::RefusedAck,
        Self::Reset,
        Self::OverCap,
        Self::ReplyFailed,
        Self::BadRule,
        Self::FloodObserved,
        Self::FloodDropped,
        Self::OverNetworkCap,
        Self::Mute,
    ];

    /// The word that metrics and `status` use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TruncatedEthernet => "truncated-ethernet",
            Self::TruncatedVlan => "truncated-vlan",
            Self::TooManyVlanTags => "too-many-vlan-tags",
            Self::NotIp => "not-ip",
            Self::TruncatedIpv4 => "truncated-ipv4",
            Self::BadIpv4 => "bad-ipv4",
            Self::TruncatedIpv6 => "truncated-ipv6",
            Self::BadIpv6 => "bad-ipv6",
            Self::TruncatedExtension => "truncated-extension",
            Self::TooManyExtensions => "too-many-extensions",
            Self::LaterFragment => "later-fragment",
            Self::NotTcp => "not-tcp",
            Self::TruncatedTcp => "truncated-tcp",
            Self::OtherPort => "other-port",
            Self::BadTcp => "bad-tcp",
            Self::NotSyn => "not-syn",
            Self::TruncatedPayload => "truncated-payload",
            Self::NotOwn => "not-own",
            Self::Unlisted => "unlisted",
            Self::Good => "good",
            Self::Off => "off",
            Self::Counted => "counted",
            Self::Dropped => "dropped",
            Self::RefusedSyn => "refused-syn",
            Self::Refused554 => "refused-554",
            Self::Refused503 => "refused-503",
            Self::Refused221 => "refused-221",
            Self::RefusedClose => "refused-close",
            Self::RefusedAck => "refused-ack",
            Self::Reset => "reset",
            Self::OverCap => "over-cap",
            Self::ReplyFailed => "reply-failed",
            Self::BadRule => "bad-rule",
            Self::FloodObserved => "flood-observed",
            Self::FloodDropped => "flood-dropped",
            Self::OverNetworkCap => "over-network-cap",
            Self::Mute => "mute",
        }
    }

    /// Where it is counted in [`map::OUTCOMES`].
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self as u32
    }
}

/// The families of addresses; each list counts them apart.
///
/// The numbers are what rules in the kernel's maps hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// IPv4.
    V4 = 0,
    /// IPv6.
    V6 = 1,
}

impl Family {
    /// Both, by number.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The word that metrics and `stats` use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// What a rule map holds for a prefix.
///
/// The family is in it so that the program need not find out once more whose counter it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RuleValue {
    list: u16,
    action: u8,
    family: u8,
}

impl RuleValue {
    /// The rule of the list in slot `list`, for an IPv4 prefix.
    pub const fn new(list: u16, action: KernelAction) -> Self {
        Self { list, action: action as u8, family: Family::V4 as u8 }
    }

    /// The same rule for a prefix of another family.
    #[must_use]
    pub const fn of(self, family: Family) -> Self {
        Self { family: family as u8, ..self }
    }

    /// The slot of the list that decides.
    #[inline(always)]
    pub const fn list(self) -> u16 {
        self.list
    }

    /// What is done; `None` when the number is none that an action has.
    #[inline(always)]
    pub const fn action(self) -> Option<KernelAction> {
        KernelAction::from_number(self.action)
    }

    /// The family of its prefix.
    #[inline(always)]
    pub const fn family(self) -> Family {
        if self.family == Family::V6 as u8 { Family::V6 } else { Family::V4 }
    }

    /// As it lies in the kernel's map.
    pub const fn to_bytes(self) -> [u8; 4] {
        let [low, high] = self.list.to_ne_bytes();
        [low, high, self.action, self.family]
    }

    /// From what lies in the kernel's map.
    pub const fn from_bytes([low, high, action, family]: [u8; 4]) -> Self {
        Self { list: u16::from_ne_bytes([low, high]), action, family }
    }
}

/// What a counter holds, for each processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Their bytes, Ethernet header included.
    pub bytes: u64,
}

/// All that the program needs to refuse a connection.
///
/// There are two of them, see [`Control`]: a new one is written beside the one in force, which stays good for the
/// connections that it has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Refusal {
    /// The key of the cookies; another one in each refusal.
    pub cookie_key: [u64; 2],
    /// What is added to the kernel's clock (`bpf_ktime_get_coarse_ns`) to get nanoseconds since
    /// [`reference::FIRST_SECOND`](crate::reference::FIRST_SECOND).
    pub clock: u64,
    /// When it was made, by the kernel's clock; for people, not for the program.
    pub made: u64,
    /// The key of the references.
    pub reference_key: reference::Key,
    /// The number of that key, of which references hold 8 bits.
    pub epoch: u32,
    /// The beginning of the 554.
    pub head: Head,
    /// How many answers a processor gives in a second; 0 is no limit.
    pub answers_per_second: u32,
}

/// What the program asks first: which refusal is in force, and what need not be asked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Control {
    /// Its index in [`map::REFUSALS`]; the other one is the former.
    pub current: u32,
    /// Whether any rule refuses: 1, or 0 and the program looks at nothing but SYNs.
    pub refuses: u32,
    /// Whether [`map::MUTE`] names any interface: 1 or 0.
    pub mutes: u32,
    /// Whether the delta holds anything: 1 or 0.
    pub changes: u32,
    /// Whether a good prefix overlaps a bad one: 1 or 0.
    pub goods: u32,
    /// Whether there are own addresses that are only in their maps: 1 or 0.
    pub more_own: u32,
    /// The second since the host started (`CLOCK_BOOTTIME`) until which everything passes; 0, or one that is over, for none.
    pub paused_until: u32,
    /// Own addresses, IPv4; [`NO_ADDRESS`] where there are fewer.
    pub own_v4: [u32; 4],
    /// Own addresses, IPv6; [`NO_ADDRESS`] in each word where there are fewer.
    pub own_v6: [[u32; 4]; 2],
}

/// The broadcast address, which no connection is opened to; four of it are no unicast address either.
pub const NO_ADDRESS: u32 = u32::MAX;

impl Default for Control {
    fn default() -> Self {
        Self {
            current: 0,
            refuses: 0,
            mutes: 0,
            changes: 0,
            goods: 0,
            more_own: 0,
            paused_until: 0,
            own_v4: [NO_ADDRESS; 4],
            own_v6: [[NO_ADDRESS; 4]; 2],
        }
    }
}

/// Where the list in slot `list` counts what was done by `action` to one family in [`map::LISTS`].
#[inline(always)]
pub const fn list_index(list: u16, action: KernelAction, family: Family) -> u32 {
    let row = list as u32 * Family::ALL.len() as u32 + family as u32;
    row * KernelAction::ALL.len() as u32 + action as u32
}

/// The map of one name: what the kernel must say about a pinned one before it is adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// Its name in the object file, and that of its pin.
    pub name: &'static str,
    /// Its type.
    pub kind: MapKind,
    /// The size of a key in bytes.
    pub key: u32,
    /// The size of a value in bytes.
    pub value: u32,
    /// How many entries fit.
    pub entries: u32,
}

/// The types of maps that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// Values by index.
    Array,
    /// Tables by index, each a map of its own.
    ArrayOfMaps,
    /// Values by key.
    Hash,
    /// Values by longest prefix.
    LpmTrie,
    /// Values by key; the one that was not used for longest makes room.
    LruHash,
    /// Values by index, one per processor.
    PerCpuArray,
    /// Records in the order in which they were written; its entries are bytes.
    RingBuffer,
}

/// The maps and their shapes.
pub mod map {
    use super::{
        Control, Counter, Family, KernelAction, MAX_COUNTED, MAX_DELTA, MAX_GOOD, MAX_KNOWN,
        MAX_LEFTOVERS, MAX_LIST_NAME, MAX_LISTS, MAX_MUTE, MAX_OWN, MapKind, MapShape, Outcome,
        Refusal,
    };
    use crate::dated::DATED_BYTES;
    use crate::event::{Capturing, Sampler, Tap};
    use crate::gate;
    use crate::limit::{Bucket, CELLS, Limits, Window};
    use crate::parse::Segment;
    use crate::rate::Answers;
    use crate::table::Line;

    /// The table of the prefixes of bad lists, IPv4, as the only one of an array, so that it is replaced in one step.
    pub const BAD_V4: MapShape = table("BAD_V4");
    /// The table of the prefixes of bad lists, IPv6.
    pub const BAD_V6: MapShape = table("BAD_V6");
    /// Prefixes of bad lists that the table for IPv6 has no place for, each behind the generation of its table. The
    /// value is a class, a length and two bytes of 0.
    pub const LEFT_V6: MapShape = trie("LEFT_V6", 4 + 16, 4, MAX_LEFTOVERS);
    /// What was added, changed or removed since the table was made, and what expires, IPv4. Where this knows an address, the
    /// table is not asked.
    pub const DELTA_V4: MapShape = dated("DELTA_V4", 4, MAX_DELTA);
    /// What was added, changed or removed since the table was made, and what expires, IPv6.
    pub const DELTA_V6: MapShape = dated("DELTA_V6", 16, MAX_DELTA);
    /// For which addresses the delta is asked at all.
    pub const GATE: MapShape =
        array("GATE", MapKind::Array, size_of::<Line>(), gate::ALL_LINES as usize);
    /// Prefixes of good lists that overlap bad ones, IPv4; asked only after a bad hit.
    pub const GOOD_V4: MapShape = dated("GOOD_V4", 4, MAX_GOOD);
    /// Prefixes of good lists that overlap bad ones, IPv6; asked only after a bad hit.
    pub const GOOD_V6: MapShape = dated("GOOD_V6", 16, MAX_GOOD);
    /// All prefixes of good lists, IPv4; asked only in a flood.
    pub const ALL_GOOD_V4: MapShape = dated("ALL_GOOD_V4", 4, MAX_GOOD);
    /// All prefixes of good lists, IPv6; asked only in a flood.
    pub const ALL_GOOD_V6: MapShape = dated("ALL_GOOD_V6", 16, MAX_GOOD);
    /// Own addresses, IPv4.
    pub const OWN_V4: MapShape = own("OWN_V4", 4);
    /// Own addresses, IPv6.
    pub const OWN_V6: MapShape = own("OWN_V6", 16);
    /// The numbers of the interfaces on which nothing may be answered, since they hide the VLAN that an answer must go to.
    pub const MUTE: MapShape = set("MUTE", 4, MAX_MUTE);
    /// A counter per outcome.
    pub const OUTCOMES: MapShape = counters("OUTCOMES", Outcome::ALL.len());
    /// A counter per list, family and action.
    pub const LISTS: MapShape =
        counters("LISTS", MAX_LISTS * Family::ALL.len() * KernelAction::ALL.len());
    /// The name of the list in each slot: its length in one byte, then its bytes. The program does not read it.
    pub const NAMES: MapShape = MapShape {
        name: "NAMES",
        kind: MapKind::Array,
        key: 4,
        value: 1 + MAX_LIST_NAME as u32,
        entries: MAX_LISTS as u32,
    };

    /// Which refusal is in force, one [`Control`].
    pub const CONTROL: MapShape = array("CONTROL", MapKind::Array, size_of::<Control>(), 1);
    /// The refusal in force and the one before.
    pub const REFUSALS: MapShape = array("REFUSALS", MapKind::Array, size_of::<Refusal>(), 2);
    /// What each processor has answered lately.
    pub const ANSWERS: MapShape = array("ANSWERS", MapKind::PerCpuArray, size_of::<Answers>(), 1);

    /// The segment that each processor is answering.
    pub const SEGMENT: MapShape = array("SEGMENT", MapKind::PerCpuArray, size_of::<Segment>(), 1);

    /// Sampled events for the daemon.
    pub const EVENTS: MapShape = ring("EVENTS", 1 << 20);
    /// Which events each processor may still tell.
    pub const SAMPLERS: MapShape = array("SAMPLERS", MapKind::PerCpuArray, size_of::<Sampler>(), 1);
    /// Copies of packets for `xdp capture`.
    pub const CAPTURE: MapShape = ring("CAPTURE", 1 << 22);
    /// What is copied there now, one [`Capturing`].
    pub const CAPTURING: MapShape = array("CAPTURING", MapKind::Array, size_of::<Capturing>(), 1);
    /// How many events and copies were written and lost, by [`Tap`].
    pub const TAPS: MapShape =
        array("TAPS", MapKind::PerCpuArray, size_of::<u64>(), Tap::ALL.len());

    /// How many connections networks may open, and how many answers they get, one [`Limits`].
    pub const LIMITS: MapShape = array("LIMITS", MapKind::Array, size_of::<Limits>(), 1);
    /// The SYNs of unlisted sources that each processor has seen lately.
    pub const WINDOW: MapShape = array("WINDOW", MapKind::PerCpuArray, size_of::<Window>(), 1);
    /// What is left to networks that open connections while there are too many.
    pub const BUCKETS: MapShape = networks("BUCKETS", size_of::<Bucket>(), MAX_COUNTED);
    /// When a host of an IPv4 network last completed a handshake; written by the daemon alone.
    pub const KNOWN_V4: MapShape = networks("KNOWN_V4", size_of::<u64>(), MAX_KNOWN);
    /// When a host of an IPv6 network last completed a handshake; written by the daemon alone.
    pub const KNOWN_V6: MapShape = networks("KNOWN_V6", size_of::<u64>(), MAX_KNOWN);
    /// How many answers networks got from each processor lately.
    pub const ANSWERED: MapShape =
        array("ANSWERED", MapKind::PerCpuArray, size_of::<Answers>(), CELLS);

    /// All of them.
    pub const ALL: [MapShape; 31] = [
        BAD_V4,
        BAD_V6,
        LEFT_V6,
        DELTA_V4,
        DELTA_V6,
        GATE,
        GOOD_V4,
        GOOD_V6,
        ALL_GOOD_V4,
        ALL_GOOD_V6,
        OWN_V4,
        OWN_V6,
        MUTE,
        OUTCOMES,
        LISTS,
        NAMES,
        CONTROL,
        REFUSALS,
        ANSWERS,
        SEGMENT,
        LIMITS,
        WINDOW,
        BUCKETS,
        KNOWN_V4,
        KNOWN_V6,
        ANSWERED,
        EVENTS,
        SAMPLERS,
        CAPTURE,
        CAPTURING,
        TAPS,
    ];

    const fn table(name: &'static str) -> MapShape {
        MapShape { name, kind: MapKind::ArrayOfMaps, key: 4, value: 4, entries: 1 }
    }

    const fn dated(name: &'static str, address: u32, entries: usize) -> MapShape {
        trie(name, address, DATED_BYTES, entries)
    }

    /// An update adds before it removes, so old and new must fit side by side. Room that is not used costs nothing.
    const fn trie(name: &'static str, key: u32, value: usize, entries: usize) -> MapShape {
        MapShape {
            name,
            kind: MapKind::LpmTrie,
            key: 4 + key,
            value: value as u32,
            entries: 2 * entries as u32,
        }
    }

    const fn own(name: &'static str, address: u32) -> MapShape {
        set(name, address, MAX_OWN)
    }

    const fn set(name: &'static str, key: u32, entries: usize) -> MapShape {
        MapShape { name, kind: MapKind::Hash, key, value: 1, entries: entries as u32 }
    }

    const fn networks(name: &'static str, value: usize, entries: usize) -> MapShape {
        let (value, entries) = (value as u32, entries as u32);
        MapShape { name, kind: MapKind::LruHash, key: 8, value, entries }
    }

    const fn counters(name: &'static str, entries: usize) -> MapShape {
        array(name, MapKind::PerCpuArray, size_of::<Counter>(), entries)
    }

    /// The kernel wants a power of two, in whole pages.
    const fn ring(name: &'static str, bytes: u32) -> MapShape {
        assert!(bytes.is_power_of_two() && bytes >= 1 << 16);
        MapShape { name, kind: MapKind::RingBuffer, key: 0, value: 0, entries: bytes }
    }

    const fn array(name: &'static str, kind: MapKind, value: usize, entries: usize) -> MapShape {
        MapShape { name, kind, key: 4, value: value as u32, entries: entries as u32 }
    }
}

const _: () = assert!(size_of::<RuleValue>() == 4 && align_of::<RuleValue>() == 2);
const _: () = assert!(size_of::<Counter>() == 16 && align_of::<Counter>() == 8);
const _: () = assert!(size_of::<Refusal>() == 248 && align_of::<Refusal>() == 8);
const _: () = assert!(size_of::<Control>() == 76 && align_of::<Control>() == 4);
const _: () = assert!(size_of::<Limits>() == 56 && align_of::<Limits>() == 8);
// A reference has 8 bits for the list.
const _: () = assert!(MAX_LISTS <= 1 << 8 && MAX_LIST_NAME <= 255);

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn numbers_name_what_they_are() {
        for (number, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.index() as usize, number, "{}", outcome.name());
        }
        for (number, action) in (0..).zip(KernelAction::ALL) {
            assert_eq!(KernelAction::from_number(number), Some(action));
        }
        assert_eq!(KernelAction::from_number(5), None);
    }

    #[test]
    fn a_rule_survives_the_way_through_the_kernel() {
        let rule = RuleValue::new(0x1234, KernelAction::Drop);
        assert_eq!(RuleValue::from_bytes(rule.to_bytes()), rule);
        assert_eq!((rule.list(), rule.action()), (0x1234, Some(KernelAction::Drop)));
        let of_v6 = rule.of(Family::V6);
        assert_eq!(RuleValue::from_bytes(of_v6.to_bytes()), of_v6);
        assert_eq!((rule.family(), of_v6.family()), (Family::V4, Family::V6));
        assert_eq!(RuleValue::from_bytes([0, 0, 9, 0]).action(), None);
    }

    #[test]
    fn lists_do_not_share_counters() {
        let last = list_index(MAX_LISTS as u16 - 1, KernelAction::Drop, Family::V6);
        assert_eq!(last + 1, map::LISTS.entries);
        let mut places: Vec<u32> = (0..MAX_LISTS as u16)
            .flat_map(|list| Family::ALL.map(|family| (list, family)))
            .flat_map(|(list, family)| KernelAction::ALL.map(|done| list_index(list, done, family)))
            .collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..map::LISTS.entries));
    }
}
