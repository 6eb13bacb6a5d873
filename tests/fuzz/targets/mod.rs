//! One file per kind of hostile input.

pub(crate) mod bounce;
pub(crate) mod build;
pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod dialogue;
pub(crate) mod formats;
pub(crate) mod header;
pub(crate) mod line;
pub(crate) mod list;
pub(crate) mod milter;
pub(crate) mod next_hop;
pub(crate) mod parse;
pub(crate) mod pieces;
pub(crate) mod policy;
pub(crate) mod proxy_header;
pub(crate) mod received;
pub(crate) mod reference;
pub(crate) mod reply;
pub(crate) mod stream;
pub(crate) mod table;
pub(crate) mod xclient;

/// Whatever a peer sent, this goes over the wire as one line.
fn single_line(text: &str) {
    assert!(!text.contains(['\r', '\n', '\0']), "{text:?}");
}
