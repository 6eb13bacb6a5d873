//! Zones: DNS lists of others, what they are asked, what their answers mean, how well they are.

mod answer;
mod breaker;
mod ended;
mod filter;
mod health;
mod illness;
mod lookup;
mod name;
mod rate;
mod spec;
mod text;

pub use answer::{Answer, AnswerFault, Hit, Listing};
pub use ended::ended;
pub use filter::{Filter, FilterError, Meaning};
pub use health::{Family, Health, Outcome, PROBE_EVERY, Pair, Probe, State, Transition};
pub use illness::Illness;
pub use lookup::{Lookup, Silence};
pub use name::{Domain, DomainError, reverse_question, test_point};
pub use spec::{Families, MOST_ZONES, OnDnsError, Zone, ZoneClass};
pub use text::text;
