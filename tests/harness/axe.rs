//! axe-core, which finds what people with a screen reader, or without a mouse, cannot use on a page.

use std::path::PathBuf;

use crate::mail_server::cache;

/// The version that is fetched.
pub const VERSION: &str = "4.10.3";

/// Where `cargo xtask test` puts its script.
pub fn script() -> PathBuf {
    cache().join(format!("axe-core-{VERSION}.min.js"))
}
