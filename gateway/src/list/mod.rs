//! Lists: named sets of prefixes with a class and an action, where an address is listed, and the rules made from them.

mod class;
mod difference;
mod entries;
mod entry;
mod export;
mod feed_url;
mod format;
mod guard;
mod import;
mod in_force;
mod membership;
mod origin;
mod page;
mod rules;
mod source;
mod spec;

pub use class::{AUTO, Class};
pub use difference::{Difference, Prefixes};
pub use entries::{Changes, Entries, EntriesBuilder, Listed, Remark};
pub use entry::{Entry, Match};
pub use export::{ExportFormat, export};
pub use feed_url::{FeedUrl, UrlFault};
pub use format::{
    Format, LineError, LineFault, Parsed, Reading, Rejected, WIDEST_REFUSED, on_one_line, parse,
    parse_with,
};
pub use guard::{Doubt, doubt_entries, doubt_text};
pub use import::{ImportError, Imported, LeftOut, Taken, WhyLeftOut, import};
pub use membership::{Loaded, Membership, Part};
pub use origin::Origin;
pub use page::{EntriesPage, PageOf, Place, PlaceError};
pub use rules::{Rule, Rules};
pub use source::{Download, Guard, Signature, Source};
pub use spec::{HopScope, List, ListAction, Weight, is_list_name};
