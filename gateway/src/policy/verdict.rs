//! The human names of outcomes with their stable machine names.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::list::Class;
use crate::zone::ZoneClass;

/// The outcome of a decision, as people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Nothing against it.
    Accept,
    /// It was refused so often that it went into the list `auto`.
    Auto,
    /// One of our own limits is reached.
    Capacity,
    /// DNS failed where it decides.
    DnsTempfail,
    /// The client spoke before the greeting.
    EarlyTalker,
    /// Mail of its sender domain is exempt from the score.
    Exempt,
    /// Its network opens more connections than it may; of the kernel filter alone.
    Flood,
    /// A global list vouches for it.
    GlobalGood,
    /// A global list has it as bad.
    GlobalBad,
    /// Its sender is not known yet, and has to come again.
    Greylist,
    /// The score lies in the delay band.
    ReputationDelay,
    /// The score lies in the reject band.
    ReputationReject,
    /// A list of this site vouches for it.
    LocalGood,
    /// A list of this site has it as bad.
    LocalBad,
    /// The next hop does not take mail now.
    NextHop,
    /// An open proxy or a zombie.
    OpenProxy,
    /// A client of our own, by an acceptance list or a listener.
    Outbound,
    /// The client broke the protocol.
    Protocol,
    /// A zone of a third party vouches for it.
    ThirdPartyGood,
    /// A zone of a third party has it as bad.
    ThirdPartyBad,
}

impl Verdict {
    /// All verdicts, for counters that must have a slot for each.
    pub const ALL: [Self; 20] = [
        Self::Accept,
        Self::Auto,
        Self::Capacity,
        Self::DnsTempfail,
        Self::EarlyTalker,
        Self::Exempt,
        Self::Flood,
        Self::GlobalGood,
        Self::GlobalBad,
        Self::Greylist,
        Self::ReputationDelay,
        Self::ReputationReject,
        Self::LocalGood,
        Self::LocalBad,
        Self::NextHop,
        Self::OpenProxy,
        Self::Outbound,
        Self::Protocol,
        Self::ThirdPartyGood,
        Self::ThirdPartyBad,
    ];

    /// The name in log, reply, record and pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "Accepted",
            Self::Capacity => "Capacity",
            Self::EarlyTalker => "Early talker",
            Self::Flood => "Connection flood",
            Self::GlobalGood => "Safe",
            Self::Auto | Self::GlobalBad | Self::LocalBad | Self::ThirdPartyBad => {
                "System denied IP"
            }
            Self::DnsTempfail => "DNS unavailable",
            Self::Exempt => "Exempt",
            Self::Greylist => "Greylisted",
            Self::Outbound => "Outbound",
            Self::ThirdPartyGood => "Third party good sender",
            Self::ReputationDelay => "IP reputation tempfail",
            Self::ReputationReject => "IP reputation reject",
            Self::LocalGood => "System allowed IP",
            Self::NextHop => "Next hop unavailable",
            Self::OpenProxy => "Open proxy",
            Self::Protocol => "Protocol",
        }
    }

    /// The stable name for machines.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Auto => "auto-deny-ip",
            Self::Capacity => "capacity",
            Self::DnsTempfail => "dns-tempfail",
            Self::EarlyTalker => "early-talker",
            Self::Exempt => "exempt",
            Self::Flood => "flood",
            Self::GlobalGood => "safe",
            Self::GlobalBad => "global-deny-ip",
            Self::Greylist => "greylist",
            Self::ReputationDelay => "iprep-delay",
            Self::ReputationReject => "iprep-reject",
            Self::LocalGood => "sys-allow-ip",
            Self::LocalBad => "sys-deny-ip",
            Self::NextHop => "next-hop",
            Self::OpenProxy => "open-proxy",
            Self::Outbound => "outbound",
            Self::Protocol => "protocol",
            Self::ThirdPartyGood => "dns-allow",
            Self::ThirdPartyBad => "dns-deny",
        }
    }
}

impl From<Class> for Verdict {
    fn from(class: Class) -> Self {
        match class {
            Class::LocalGood => Self::LocalGood,
            Class::GlobalGood => Self::GlobalGood,
            Class::LocalBad => Self::LocalBad,
            Class::GlobalBad => Self::GlobalBad,
            Class::OpenProxy => Self::OpenProxy,
            Class::Auto => Self::Auto,
        }
    }
}

impl From<ZoneClass> for Verdict {
    fn from(class: ZoneClass) -> Self {
        match class {
            ZoneClass::ThirdPartyGood => Self::ThirdPartyGood,
            ZoneClass::OpenProxy => Self::OpenProxy,
            ZoneClass::ThirdPartyBad => Self::ThirdPartyBad,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Verdict {
    /// The human name; the code has a field of its own wherever a verdict is written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_verdict_has_a_code_of_its_own() {
        let codes: BTreeSet<_> = Verdict::ALL.iter().map(|verdict| verdict.code()).collect();
        assert_eq!(codes.len(), Verdict::ALL.len());
    }
}
