//! The table `[dns]`: who is asked, how long that may take, and whether reverse names are.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::acceptance::NeedsPtr;
use super::reader::Reader;
use super::resolve::values;
use super::tree::Value;
use super::values::{Parsed, Wrong, boolean, text, time_in};
use crate::dns::Settings;

/// More would only make the wait for the last of them longer.
const MOST: usize = 8;

/// The port of DNS (RFC 1035 section 4.2).
const PORT: u16 = 53;

/// Reads `[dns]`; `needs_ptr` is what needs reverse names.
pub(super) fn dns(mut reader: Reader<'_>, needs_ptr: &[NeedsPtr]) -> Settings {
    let default = Settings::default();
    let resolvers = reader.each("resolvers", resolver);
    if let Some(beyond) = resolvers.as_ref().and_then(|all| all.get(MOST)) {
        let found = format!("resolver number {}", MOST.saturating_add(1));
        reader.wrong_at(beyond, Wrong::expected(&found, format!("at most {MOST}")));
    }
    let range = Duration::from_millis(100)..=Duration::from_secs(30);
    let budget = time_in(range, "like \"500ms\" or \"2s\", from 100ms to 30s");
    let budget = reader.or("budget", default.budget, budget);
    let ptr = reader.optional("ptr", boolean);
    if let Some(ptr) = ptr.as_ref().filter(|ptr| !ptr.value) {
        for (what, place) in needs_ptr.iter().flatten() {
            let found = format!("false with {what} at {place}");
            let hint =
                "who has such a name, only a reverse lookup tells; take that away, or ptr = false";
            reader.wrong_at(ptr, Wrong::expected(&found, "true").hint(hint));
        }
    }
    reader.finish();
    Settings { resolvers: values(resolvers), budget, ptr: ptr.map_or(default.ptr, |ptr| ptr.value) }
}

fn resolver(value: &Value) -> Parsed<SocketAddr> {
    let written = text(value)?;
    let address = written.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    let address = address.or_else(|_no_ip| written.parse::<SocketAddr>()).ok();
    let is_host = |address: &SocketAddr| address.port() != 0 && !address.ip().is_unspecified();
    address.filter(is_host).ok_or_else(|| {
        let expected = "the IP address of a resolver, or one with a port, like \"192.0.2.53\" or \"[2001:db8::53]:53\"";
        Wrong::expected(value, expected)
    })
}
