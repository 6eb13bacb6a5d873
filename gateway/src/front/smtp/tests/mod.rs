//! The proxy between real sockets: dialogues as text, a next hop that does as it is told, what the audit trail says.

mod attacks;
mod dialogues;
mod next_hop;
mod openings;
mod peer;
mod pieces;
mod quarantine;
mod site;
