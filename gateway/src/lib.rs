//! Portcullis, the daemon's side: lists in, decisions out, and one reason for each that everything prints.
//!
//! Modules in the order in which they may use each other (each only what stands above it; `cargo xtask tidy` checks):
//!
//! | layer | modules |
//! |---|---|
//! | contract | `gateway_ebpf`, shared with the XDP program |
//! | ground | [`net`], [`clock`], [`alarm`], [`pause`], [`password`], [`file`], [`levels`], [`tls`], [`json`], [`sqlite`] |
//! | pure core (no sockets, no files, no clock) | [`list`], [`zone`], [`sender`], [`direction`], [`policy`], [`review`], [`scan`], [`bounce`], [`smtp`], [`milter`], [`postfix_policy`], [`story`] |
//! | adapters (one outside thing each) | [`feed`], [`host`], [`xdp`], [`audit`], [`store`], [`quarantine`], [`dns`], [`auth`], [`rights`], [`tap`] |
//! | flow | [`engine`], [`refresh`], [`sight`] |
//! | fronts | [`front`] |
//! | application | [`config`], [`records`], [`why`], [`explain`], [`slider`], [`doctor`], [`admin`], [`web`], [`app`], [`cli`] |

pub mod admin;
pub mod alarm;
pub mod app;
pub mod audit;
pub mod auth;
pub mod bounce;
pub mod cli;
pub mod clock;
pub mod config;
pub mod direction;
pub mod dns;
pub mod doctor;
pub mod engine;
pub mod explain;
pub mod feed;
pub mod file;
pub mod front;
pub mod host;
pub mod json;
pub mod levels;
pub mod list;
pub mod milter;
pub mod net;
pub mod password;
pub mod pause;
pub mod policy;
pub mod postfix_policy;
pub mod quarantine;
pub mod records;
pub mod refresh;
pub mod review;
pub mod rights;
pub mod scan;
pub mod sender;
pub mod sight;
pub mod slider;
pub mod smtp;
pub mod sqlite;
pub mod store;
pub mod story;
pub mod tap;
pub mod tls;
pub mod web;
pub mod why;
pub mod xdp;
pub mod zone;

/// That the page of that name in `docs` says what the source says; `cargo xtask docs` has it written anew (`UPDATE_DOCS`).
#[cfg(test)]
fn assert_page(name: &str, text: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{} is out of date: run `cargo xtask docs`", file.display());
}
