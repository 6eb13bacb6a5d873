//! What is written into the header of mail that goes on: the table `[header]`.

use super::reader::Reader;
use super::tree::Value;
use super::values::{Parsed, Wrong, boolean, text};
use crate::front::HeaderConfig;

/// Reads `[header]`.
pub(super) fn header(mut reader: Reader<'_>) -> HeaderConfig {
    let default = HeaderConfig::default();
    let config = HeaderConfig {
        received: reader.or("received", default.received, boolean),
        authentication_results: reader.or(
            "authentication_results",
            default.authentication_results,
            boolean,
        ),
        subject_prefix: reader.optional("subject_prefix", subject_prefix).map(|at| at.value),
    };
    reader.finish();
    config
}

/// It stands in a header field as it is.
fn subject_prefix(value: &Value) -> Parsed<String> {
    let prefix = text(value)?;
    let is_safe = prefix.len() <= 100 && prefix.bytes().all(|octet| (b' '..=b'~').contains(&octet));
    is_safe
        .then_some(prefix)
        .ok_or_else(|| Wrong::expected(value, "at most 100 printable ASCII letters"))
}
