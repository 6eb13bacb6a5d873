//! Waits for what the daemon answers a command.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::Failure;
use crate::admin::ClientError;

/// The answer, on a runtime of its own: a command asks once and is over.
pub(super) fn wait_for(
    answer: impl Future<Output = Result<Value, ClientError>>,
) -> Result<Value, Failure> {
    Ok(block_on(answer)??)
}

/// The same for what is asked of others.
pub(super) fn block_on<T>(asked: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(asked))
}

/// What is said of the parameters of a query, each with an `&` before it.
pub(super) fn parameters(said: &[(&str, Option<String>)]) -> String {
    let said = said.iter().filter_map(|(name, value)| {
        Some(format!("&{name}={}", utf8_percent_encode(value.as_ref()?, NON_ALPHANUMERIC)))
    });
    said.collect()
}
