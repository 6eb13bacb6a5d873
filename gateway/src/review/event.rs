//! What people do with reviews, as the audit trail keeps it.

use serde::Serialize;

use super::{Outcome, Review};
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

/// What happened to a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Somebody asked for it.
    Requested,
    /// Somebody asked for what was asked already.
    Joined,
    /// Somebody decided.
    Resolved,
}

impl EventKind {
    /// The word that records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Joined => "joined",
            Self::Resolved => "resolved",
        }
    }
}

/// One record of phase `review`.
///
/// It has no `reference` of its own, which would make it the record that the reference stands for.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// The version of these fields, which is that of all records.
    pub schema: u8,
    /// When it happened.
    pub time: Timestamp,
    /// Always `review`.
    pub phase: &'static str,
    /// What happened.
    pub event: EventKind,
    /// The number of the review.
    pub review: u64,
    /// What the review is about.
    pub prefix: Prefix,
    /// Who did it.
    pub author: &'a str,
    /// The records that the review is linked to.
    pub references: &'a [Box<str>],
    /// What was said with it.
    pub note: Option<&'a str>,
    /// Whom to answer; `null` where it was resolved.
    pub contact: Option<&'a str>,
    /// What was decided; `null` before that.
    pub result: Option<Outcome>,
    /// Until when a good entry counts.
    pub until: Option<Expiry>,
    /// What was changed, list by list.
    pub done: &'a [String],
}

impl<'a> Event<'a> {
    /// That somebody asked for `review` at `time`; a request that is only counted is told without its words.
    pub fn asked(event: EventKind, time: Timestamp, review: &'a Review, author: &'a str) -> Self {
        let ask = review.asks.iter().rev().find(|ask| ask.at == time);
        Self {
            schema: crate::policy::SCHEMA,
            time,
            phase: "review",
            event,
            review: review.id,
            prefix: review.prefix,
            author,
            references: &review.references,
            note: ask.and_then(|ask| ask.note.as_deref()),
            contact: ask.and_then(|ask| ask.contact.as_deref()),
            result: None,
            until: None,
            done: &[],
        }
    }

    /// That somebody resolved `review`; `None` while it is open.
    pub fn resolved(review: &'a Review) -> Option<Self> {
        let resolution = review.resolution.as_ref()?;
        Some(Self {
            note: Some(&resolution.note),
            contact: None,
            result: Some(resolution.result),
            until: resolution.until,
            done: &resolution.done,
            ..Self::asked(EventKind::Resolved, resolution.at, review, &resolution.author)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ask, Resolution, State};
    use super::*;

    #[test]
    fn a_record_has_every_field_and_no_reference_of_its_own() {
        let at = Timestamp::from_second(1_790_000_000).unwrap();
        let ask = Ask {
            at,
            author: "anna".into(),
            reference: Some("0Z7K5N3QW8RTA".into()),
            note: None,
            contact: Some("post@example.com".into()),
        };
        let mut review = Review {
            id: 7,
            state: State::Open,
            prefix: "192.0.2.7".parse().unwrap(),
            references: vec!["0Z7K5N3QW8RTA".into()],
            requests: 1,
            asks: vec![ask],
            resolution: None,
        };
        assert!(Event::resolved(&review).is_none());
        let asked = serde_json::to_string(&Event::asked(EventKind::Requested, at, &review, "anna"));
        let head = "{\"schema\":1,\"time\":\"2026-09-21T14:13:20Z\",\"phase\":\"review\",";
        let start = "\"review\":7,\"prefix\":\"192.0.2.7\",\"author\":";
        let refers = "\"references\":[\"0Z7K5N3QW8RTA\"],";
        assert_eq!(
            asked.unwrap(),
            format!(
                "{head}\"event\":\"requested\",{start}\"anna\",{refers}\"note\":null,\
                 \"contact\":\"post@example.com\",\"result\":null,\"until\":null,\"done\":[]}}"
            )
        );
        review.resolution = Some(Resolution {
            result: Outcome::GoodListed,
            note: "our partner".into(),
            author: "bert".into(),
            at,
            until: Some(Expiry::at(at)),
            done: vec!["good: added 192.0.2.7".to_owned()],
        });
        let resolved = serde_json::to_string(&Event::resolved(&review).unwrap()).unwrap();
        assert_eq!(
            resolved,
            format!(
                "{head}\"event\":\"resolved\",{start}\"bert\",{refers}\"note\":\"our partner\",\
                 \"contact\":null,\"result\":\"good-listed\",\"until\":\"2026-09-21T14:13:20Z\",\
                 \"done\":[\"good: added 192.0.2.7\"]}}"
            )
        );
    }
}
