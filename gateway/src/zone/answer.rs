//! What a zone's answer means: a listing, none, or an error that says what to do about it.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Meaning, Zone};

/// What a zone answered about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It lists the address, in a way that the filters have.
    Listed(Vec<Hit>),
    /// It does not.
    NotListed,
    /// It says that it does not answer, or something that no DNS list says.
    Fault(AnswerFault),
}

/// As the log has it.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(hits) => {
                f.write_str("listed")?;
                hits.iter().try_for_each(|hit| write!(f, " answer={}", hit.code))
            }
            Self::NotListed => f.write_str("not listed"),
            Self::Fault(fault) => write!(f, "no answer: {fault}"),
        }
    }
}

/// One filter that an answer matched; it counts once, however many records match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The first answer that it matched.
    pub code: Ipv4Addr,
    /// What that says about the address.
    pub meaning: Meaning,
    /// What it adds to the score; 0 where the zone does not score.
    pub weight: i32,
}

/// A listing of an address by a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The zone.
    pub zone: Arc<Zone>,
    /// The filters that its answer matched.
    pub hits: Vec<Hit>,
    /// The text of the zone for the address; `None` where it has none, or gave none in time.
    pub text: Option<Arc<str>>,
}

impl Listing {
    /// What all hits add to the score, -1000 to 1000.
    pub fn weight(&self) -> i32 {
        let sum: i32 = self.hits.iter().map(|hit| hit.weight).sum();
        sum.clamp(-1000, 1000)
    }

    /// What is said about the address: that it is dynamic only where nothing worse is.
    pub fn meaning(&self) -> Meaning {
        self.hits.iter().map(|hit| hit.meaning).min().unwrap_or_default()
    }

    /// The answers, as records show them.
    pub fn codes(&self) -> String {
        let codes: Vec<_> = self.hits.iter().map(|hit| hit.code.to_string()).collect();
        codes.join(",")
    }
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerFault {
    /// 127.255.255.252: the name of the zone is mistyped.
    Typo,
    /// 127.255.255.254: asked through an open resolver.
    OpenResolver,
    /// 127.255.255.255 and its like: too many questions.
    Volume,
    /// Another one in 127.255.255.0/24.
    Other(Ipv4Addr),
    /// An address that no DNS list answers: somebody rewrites answers, or the zone is gone and its name sold.
    Foreign(Ipv4Addr),
    /// No data that could be read.
    Malformed,
    /// The resolver said that it failed (SERVFAIL), or that it does not answer us (REFUSED).
    ServerFailure,
    /// Nothing came in time.
    Timeout,
    /// Too many questions were open already, so this one was not asked.
    Overload,
}

impl AnswerFault {
    /// The word that records and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Typo => "typo",
            Self::OpenResolver => "open-resolver",
            Self::Volume => "volume",
            Self::Other(_) => "error-code",
            Self::Foreign(_) => "foreign-answer",
            Self::Malformed => "malformed",
            Self::ServerFailure => "servfail",
            Self::Timeout => "timeout",
            Self::Overload => "overload",
        }
    }

    /// Whether the zone itself says that asking again will not help.
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Typo | Self::OpenResolver | Self::Volume | Self::Other(_) | Self::Foreign(_)
        )
    }

    /// What an operator does about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Typo => {
                "correct `domain` of the zone: its operator says that the name is mistyped"
            }
            Self::OpenResolver => {
                "ask through a resolver of your own (`[dns] resolvers`): the zone does not answer public ones"
            }
            Self::Volume => {
                "this resolver asks too much for free use: get an access key from the zone's operator (`key_file`), or a copy of its data"
            }
            Self::Other(_) => "look up the code in the documentation of the zone's operator",
            Self::Foreign(_) => {
                "use a resolver that does not rewrite answers, and see whether the zone still exists"
            }
            Self::Malformed | Self::ServerFailure => {
                "look at the resolver, and whether the zone still exists"
            }
            Self::Timeout => "look at the resolver and the way to it",
            Self::Overload => {
                "more addresses come than the resolver answers for: nearer resolvers help"
            }
        }
    }
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typo => f.write_str("it answers 127.255.255.252 (mistyped name)"),
            Self::OpenResolver => f.write_str("it answers 127.255.255.254 (open resolver)"),
            Self::Volume => f.write_str("it answers 127.255.255.255 (too many questions)"),
            Self::Other(code) => write!(f, "it answers {code} (an error code)"),
            Self::Foreign(code) => write!(f, "it answers {code}, expected one in 127.0.0.0/8"),
            Self::Malformed => f.write_str("its answer cannot be read"),
            Self::ServerFailure => f.write_str("the resolver fails (SERVFAIL or REFUSED)"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Overload => f.write_str("too many questions were open"),
        }
    }
}

impl Serialize for AnswerFault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Zone {
    /// What the `addresses` of an answer mean; none is "not listed". An error code makes all of it an error, never a listing.
    pub fn read(&self, addresses: &[Ipv4Addr]) -> Answer {
        if let Some(fault) = addresses.iter().find_map(|code| fault(*code)) {
            return Answer::Fault(fault);
        }
        let hits = self.filters.iter().filter_map(|filter| {
            let code = addresses.iter().copied().find(|code| filter.matches(*code))?;
            let weight = self.weight(filter).value();
            Some(Hit { code, meaning: filter.meaning, weight })
        });
        let hits: Vec<_> = hits.collect();
        if hits.is_empty() { Answer::NotListed } else { Answer::Listed(hits) }
    }
}

fn fault(code: Ipv4Addr) -> Option<AnswerFault> {
    match code.octets() {
        [127, 255, 255, 252] => Some(AnswerFault::Typo),
        [127, 255, 255, 254] => Some(AnswerFault::OpenResolver),
        [127, 255, 255, 255] => Some(AnswerFault::Volume),
        [127, 255, 255, _] => Some(AnswerFault::Other(code)),
        [127, ..] => None,
        _ => Some(AnswerFault::Foreign(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Domain, ZoneClass};
    use super::*;
    use crate::list::{ListAction, Weight};

    fn zone(filters: &[&str]) -> Zone {
        let action = ListAction::Score(Weight::new(100).unwrap());
        let domain = Domain::new("zen.example.org", None).unwrap();
        let filters = filters.iter().map(|filter| filter.parse().unwrap()).collect();
        Zone { filters, ..Zone::new("zen", domain, ZoneClass::ThirdPartyBad, action) }
    }

    #[test]
    fn answers() {
        let zone = zone(&["127.0.0.[2..9]*600", "127.0.0.[10..11]*dynamic", "127.0.1.1*-50"]);
        for (answers, expected) in [
            (&[][..], "not listed"),
            (&["127.0.0.1"], "not listed"),
            (&["127.0.0.2"], "listed 600 listed 127.0.0.2"),
            (&["127.0.0.4", "127.0.0.5"], "listed 600 listed 127.0.0.4"),
            (&["127.0.0.10"], "dynamic 100 dynamic 127.0.0.10"),
            (&["127.0.0.10", "127.0.0.3"], "listed 700 listed 127.0.0.3,127.0.0.10"),
            (&["127.0.1.1"], "listed -50 listed 127.0.1.1"),
            (&["127.0.0.2", "127.255.255.254"], "open-resolver"),
            (&["127.255.255.252"], "typo"),
            (&["127.255.255.255"], "volume"),
            (&["127.255.255.1"], "error-code"),
            (&["127.0.0.2", "192.0.2.80"], "foreign-answer"),
        ] {
            let answers: Vec<_> = answers.iter().map(|answer| answer.parse().unwrap()).collect();
            let found = match zone.read(&answers) {
                Answer::NotListed => "not listed".to_owned(),
                Answer::Fault(fault) => fault.name().to_owned(),
                Answer::Listed(hits) => {
                    let listing = Listing { zone: Arc::new(zone.clone()), hits, text: None };
                    let (weight, codes) = (listing.weight(), listing.codes());
                    format!("{0} {weight} {0} {codes}", listing.meaning())
                }
            };
            assert_eq!(found, expected, "{answers:?}");
        }
    }

    #[test]
    fn a_zone_that_does_not_score_weighs_nothing() {
        let zone = Zone { action: ListAction::Reject, ..zone(&["127.0.0.2*600"]) };
        let Answer::Listed(hits) = zone.read(&[Ipv4Addr::new(127, 0, 0, 2)]) else {
            panic!("not listed")
        };
        assert_eq!(hits.first().unwrap().weight, 0);
    }
}
