//! Which answers of a zone are listings: patterns in the grammar of postscreen, each with a weight and a meaning.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::list::Weight;

/// The most parts of one octet, `[1;3..5]` having two.
const MOST_PARTS: usize = 64;

/// A pattern for answers, with what a match means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    octets: [Vec<RangeInclusive<u8>>; 4],
    /// What a match adds to the score; `None` for what the zone says.
    pub weight: Option<Weight>,
    /// What a match says about the address.
    pub meaning: Meaning,
}

/// What an answer says about an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// It sends what nobody wants.
    #[default]
    Listed,
    /// It is given to one customer today and to another tomorrow, and should not send mail by itself (PBL and its like).
    Dynamic,
}

impl Meaning {
    /// The word that configuration and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Dynamic => "dynamic",
        }
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Default for Filter {
    /// `127.0.0.[2..254]`: 127.0.0.1 is the test entry that must not be listed, 127.0.0.255 an error where it is anything.
    fn default() -> Self {
        let exactly = |octet| vec![octet..=octet];
        Self {
            octets: [exactly(127), exactly(0), exactly(0), vec![2..=254]],
            weight: None,
            meaning: Meaning::Listed,
        }
    }
}

impl Filter {
    /// Whether the pattern has `answer`.
    pub fn matches(&self, answer: Ipv4Addr) -> bool {
        let mut octets = self.octets.iter().zip(answer.octets());
        octets.all(|(parts, octet)| parts.iter().any(|part| part.contains(&octet)))
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    /// Reads `[=]D.D.D.D[*WEIGHT][*MEANING]`; each D a number or `[A;B..C]`, as `postscreen_dnsbl_sites` has them.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let wrong = |what| FilterError { text: text.chars().take(80).collect(), what };
        let mut parts = text.split('*').map(str::trim);
        let pattern = parts.next().unwrap_or_default();
        let pattern = pattern.strip_prefix('=').unwrap_or(pattern);
        let octets = octets(pattern).ok_or_else(|| wrong(What::Pattern))?;
        let mut filter = Self { octets, weight: None, meaning: Meaning::Listed };
        let mut has_meaning = false;
        for part in parts {
            let is_number = part.starts_with(|it: char| it.is_ascii_digit() || it == '-');
            if is_number && filter.weight.is_none() {
                let weight = part.parse().ok().and_then(Weight::new);
                filter.weight = Some(weight.ok_or_else(|| wrong(What::Weight))?);
            } else if !has_meaning && !is_number {
                let all = [Meaning::Listed, Meaning::Dynamic];
                let meaning = all.into_iter().find(|meaning| meaning.name() == part);
                filter.meaning = meaning.ok_or_else(|| wrong(What::Meaning))?;
                has_meaning = true;
            } else {
                return Err(wrong(What::Twice));
            }
        }
        Ok(filter)
    }
}

fn octets(pattern: &str) -> Option<[Vec<RangeInclusive<u8>>; 4]> {
    let mut rest = pattern;
    let mut octets: [Vec<_>; 4] = Default::default();
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('.')?;
        }
        let (parts, after) = match rest.strip_prefix('[') {
            Some(inside) => inside.split_once(']')?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        rest = after;
        for part in parts.split(';') {
            octet.push(range(part.trim())?);
        }
        if octet.len() > MOST_PARTS {
            return None;
        }
    }
    rest.is_empty().then_some(octets)
}

fn range(part: &str) -> Option<RangeInclusive<u8>> {
    let number = |text: &str| {
        let is_digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        is_digits.then(|| text.parse::<u8>().ok())?
    };
    let (first, last) = match part.split_once("..") {
        Some((first, last)) => (number(first.trim())?, number(last.trim())?),
        None => (number(part)?, number(part)?),
    };
    (first <= last).then_some(first..=last)
}

/// As it is read.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, parts) in self.octets.iter().enumerate() {
            let part = |part: &RangeInclusive<u8>| match (part.start(), part.end()) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first}..{last}"),
            };
            let all: Vec<_> = parts.iter().map(part).collect();
            let text = all.join(";");
            let dot = if index > 0 { "." } else { "" };
            let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
            if is_number { write!(f, "{dot}{text}")? } else { write!(f, "{dot}[{text}]")? }
        }
        if let Some(weight) = self.weight {
            write!(f, "*{}", weight.value())?;
        }
        if self.meaning != Meaning::Listed {
            write!(f, "*{}", self.meaning)?;
        }
        Ok(())
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {what}")]
pub struct FilterError {
    text: String,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum What {
    #[error("expected a pattern like 127.0.0.2, 127.0.0.[2..11] or 127.0.[0;2].[1..9]")]
    Pattern,
    #[error("expected a weight from -1000 to 1000 after the `*`")]
    Weight,
    #[error("expected `listed` or `dynamic` after the `*`")]
    Meaning,
    #[error("expected at most one weight and one meaning")]
    Twice,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_postscreen() {
        for (text, yes, no) in [
            ("127.0.0.2", &["127.0.0.2"][..], &["127.0.0.3", "127.0.1.2"][..]),
            ("=127.0.0.[2..11]", &["127.0.0.2", "127.0.0.11"], &["127.0.0.1", "127.0.0.12"]),
            ("127.0.[0;2..3].[1;4]", &["127.0.0.4", "127.0.3.1"], &["127.0.1.1", "127.0.2.2"]),
            ("127.0.0.[10..11]*-3*dynamic", &["127.0.0.10"], &["127.0.0.9"]),
        ] {
            let filter: Filter = text.parse().unwrap();
            for answer in yes {
                assert!(filter.matches(answer.parse().unwrap()), "{text} {answer}");
            }
            for answer in no {
                assert!(!filter.matches(answer.parse().unwrap()), "{text} {answer}");
            }
            assert_eq!(filter.to_string(), text.trim_start_matches('='));
        }
        let filter: Filter = "127.0.0.2*dynamic*600".parse().unwrap();
        assert_eq!((filter.weight.unwrap().value(), filter.meaning), (600, Meaning::Dynamic));
        assert_eq!(Filter::default().to_string(), "127.0.0.[2..254]");
    }

    #[test]
    fn what_is_no_pattern_says_so() {
        for (text, expected) in [
            ("", "expected a pattern"),
            ("127.0.0", "expected a pattern"),
            ("127.0.0.256", "expected a pattern"),
            ("127.0.0.[9..2]", "expected a pattern"),
            ("127.0.0.[2", "expected a pattern"),
            ("127.0.0.2.", "expected a pattern"),
            ("127.0.0.2*1001", "expected a weight"),
            ("127.0.0.2*worse", "expected `listed` or `dynamic`"),
            ("127.0.0.2*1*2", "at most one"),
            ("127.0.0.2*listed*dynamic", "at most one"),
        ] {
            let found = text.parse::<Filter>().unwrap_err().to_string();
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
