//! The words of this gateway, and of the older one that said the same, and what they mean.

use std::fmt;

use serde::{Serialize, Serializer};

/// Words that somebody may have got from this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Refused at connect.
    NotAllowed,
    /// On a list or in a zone.
    DeniedIp,
    /// An open proxy or a zombie.
    OpenProxy,
    /// The same, as the older gateway said it.
    OldOpenProxy,
    /// The score was too high, for now.
    ReputationTempfail,
    /// The score was too high.
    ReputationReject,
    /// The score was too high; which way is not said.
    Reputation,
    /// DNS did not tell what mattered.
    NoDns,
    /// A stranger has to come again.
    Greylisted,
    /// An address of the message decided, of the client or of a hop.
    RefusedHop,
}

/// Each with its words in small letters, as people know them, and their meaning. Of two that begin alike the longer stands first.
const ALL: [(Words, &str, &str, &str); 10] = [
    (
        Words::NotAllowed,
        "you are not allowed to connect",
        "you are not allowed to connect",
        "the connecting address was refused before any mail, by a list, a zone or its score",
    ),
    (
        Words::DeniedIp,
        "system denied ip",
        "System denied IP",
        "the address is on a list of bad senders, or a third party lists it",
    ),
    (
        Words::OldOpenProxy,
        "open proxy sender violation",
        "Open Proxy sender violation",
        "the older name of the verdict Open proxy: the address is an open proxy or a zombie",
    ),
    (
        Words::OpenProxy,
        "open proxy",
        "Open proxy",
        "the address is on a list of open proxies and zombies",
    ),
    (
        Words::ReputationTempfail,
        "ip reputation tempfail",
        "IP reputation tempfail",
        "the reputation score of the address is in the delay band: it may try again",
    ),
    (
        Words::ReputationReject,
        "ip reputation reject",
        "IP reputation reject",
        "the reputation score of the address is in the reject band",
    ),
    (
        Words::Reputation,
        "ip reputation",
        "IP reputation",
        "the reputation score of the address was too high",
    ),
    (
        Words::NoDns,
        "unable to connect to dns",
        "Unable to connect to DNS",
        "DNS gave no answer where one was needed; nothing is held against the address, it may try again",
    ),
    (
        Words::Greylisted,
        "greylisted, try again in",
        "greylisted, try again",
        "strangers have to come again after a wait; a mail server does so by itself",
    ),
    (
        Words::RefusedHop,
        "message refused because of",
        "message refused because of",
        "the message was refused for the address that is named: of the client (`connect`), or of a hop in its header",
    ),
];

impl Words {
    /// The words themselves.
    pub const fn text(self) -> &'static str {
        self.row().2
    }

    /// What they mean.
    pub const fn meaning(self) -> &'static str {
        self.row().3
    }

    #[expect(clippy::indexing_slicing, reason = "a test says that the rows are in this order")]
    const fn row(self) -> &'static (Self, &'static str, &'static str, &'static str) {
        &ALL[match self {
            Self::NotAllowed => 0,
            Self::DeniedIp => 1,
            Self::OldOpenProxy => 2,
            Self::OpenProxy => 3,
            Self::ReputationTempfail => 4,
            Self::ReputationReject => 5,
            Self::Reputation => 6,
            Self::NoDns => 7,
            Self::Greylisted => 8,
            Self::RefusedHop => 9,
        }]
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

/// Which of them stand in `lower`, a text in small letters.
pub(super) fn words(lower: &str) -> Vec<Words> {
    let mut found: Vec<Words> = Vec::new();
    for (words, needle, ..) in ALL {
        // What is only the beginning of longer words is not there by itself.
        let longer = || ALL.iter().filter(|(_, other, ..)| other.len() > needle.len());
        let mut places = lower.match_indices(needle);
        let is_there = places.any(|(at, _)| {
            let here = lower.get(at..).unwrap_or_default();
            longer().all(|(_, other, ..)| !other.starts_with(needle) || !here.starts_with(other))
        });
        if is_there {
            found.push(words);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_row() {
        for row in &ALL {
            assert_eq!(row.0.row(), row);
            assert!(row.2.to_lowercase().starts_with(row.1.trim_end_matches(" in")), "{row:?}");
        }
    }

    #[test]
    fn the_words_of_the_articles() {
        for (text, expected) in [
            ("554 5.7.1 you are not allowed to connect", "you are not allowed to connect"),
            ("verdict: System denied IP", "System denied IP"),
            ("Open Proxy sender violation", "Open Proxy sender violation"),
            ("Open proxy, Open Proxy sender violation", "Open Proxy sender violation, Open proxy"),
            ("IP reputation reject: x", "IP reputation reject"),
            ("421 4.4.0 Unable to connect to DNS - try again later", "Unable to connect to DNS"),
            ("451 4.7.1 greylisted, try again in 299 s", "greylisted, try again"),
            ("a proxy that is open", ""),
        ] {
            let found: Vec<_> =
                words(&text.to_lowercase()).iter().map(ToString::to_string).collect();
            assert_eq!(found.join(", "), expected, "{text}");
        }
    }
}
