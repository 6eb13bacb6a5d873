//! The milter protocol without sockets: frames, commands, answers, what both sides agree on, the order of it all.
//!
//! There is no RFC; the protocol is what libmilter of Sendmail 8.14 and later does (versions 2 to 6), and Postfix since 2.6.

mod answer;
mod command;
mod dialogue;
mod edits;
mod frame;
mod macros;
mod message;
mod terms;

pub use answer::Answer;
pub use command::{Command, CommandFault};
pub use dialogue::{ClientSaid, Dialogue, DialogueFault, Event};
pub use edits::{Forged, OwnFields, edits, forged};
pub use frame::{Frame, FrameBuffer};
pub use macros::Macros;
pub use message::Message;
pub use terms::{Offer, Terms, TermsFault};
