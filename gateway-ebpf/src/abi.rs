//! What both sides must agree on: actions, map names, keys, values, their sizes and the schema version.

/// The number of ports that can be filtered; they are constants of the loaded program.
pub const MAX_PORTS: usize = 8;

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
    /// Answer the SYN with a RST.
    Reset = 2,
    /// Drop the SYN without an answer.
    Drop = 3,
}

impl KernelAction {
    /// All actions, by number.
    pub const ALL: [Self; 4] = [Self::Off, Self::Count, Self::Reset, Self::Drop];

    /// The word that configuration, metrics and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Count => "count",
            Self::Reset => "reset",
            Self::Drop => "drop",
        }
    }

    /// The action with the number that a rule holds; `None` for a number that no action has.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Off),
            1 => Some(Self::Count),
            2 => Some(Self::Reset),
            3 => Some(Self::Drop),
            _ => None,
        }
    }
}
