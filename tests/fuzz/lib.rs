//! The fuzz targets: each takes any octets and panics when a promise about hostile input is broken.
//!
//! `cargo xtask fuzz` searches for such octets with coverage guidance and keeps in `corpus/TARGET` the few inputs that
//! reach everything that was ever reached; the test `fuzz_corpus` replays those in an ordinary build.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a target says that a promise is broken by panicking"
)]

mod input;
mod targets;

use targets::{
    bounce, build, command, config, dialogue, formats, header, line, list, milter, next_hop, parse,
    pieces, policy, proxy_header, received, reference, reply, stream, table, xclient,
};

/// Something that takes hostile octets, and what it promises about them.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// Runs it once; panics when the promise is broken.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 23] = [
    Target { name: "bounce", run: bounce::run },
    Target { name: "build-v4", run: build::v4 },
    Target { name: "build-v6", run: build::v6 },
    Target { name: "command", run: command::run },
    Target { name: "config", run: config::run },
    Target { name: "dialogue", run: dialogue::run },
    Target { name: "formats", run: formats::run },
    Target { name: "header", run: header::run },
    Target { name: "line", run: line::run },
    Target { name: "list", run: list::run },
    Target { name: "milter", run: milter::run },
    Target { name: "next-hop", run: next_hop::run },
    Target { name: "parse", run: parse::run },
    Target { name: "pieces", run: pieces::run },
    Target { name: "policy", run: policy::run },
    Target { name: "proxy-header", run: proxy_header::run },
    Target { name: "received", run: received::run },
    Target { name: "reference", run: reference::run },
    Target { name: "reply", run: reply::run },
    Target { name: "stream", run: stream::run },
    Target { name: "table-v4", run: table::v4 },
    Target { name: "table-v6", run: table::v6 },
    Target { name: "xclient", run: xclient::run },
];

/// The target called `name`.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
