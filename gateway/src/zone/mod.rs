//! Zones: DNS lists of others, what they are asked, what their answers mean, how well they are.

mod answer;
mod ended;
mod filter;
mod name;
mod spec;

pub use answer::{Answer, AnswerFault, Hit, Listing};
pub use ended::ended;
pub use filter::{Filter, FilterError, Meaning};
pub use name::{Domain, DomainError, test_point};
pub use spec::{Families, OnDnsError, Zone, ZoneClass};
