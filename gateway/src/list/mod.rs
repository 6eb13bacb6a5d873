//! Lists: named sets of prefixes with a class and an action, where an address is listed, and the rules made from them.

mod class;
mod entry;
mod line;
mod membership;
mod rules;
mod spec;

pub use class::Class;
pub use entry::{Entry, Match};
pub use line::{LineError, LineFault, Parsed, Rejected, parse, parse_with};
pub use membership::{Loaded, Membership};
pub use rules::{Rule, Rules};
pub use spec::{HopScope, List, ListAction, Weight};
