//! Who types a command that changes something: what the record of the change says.

use std::env;

use rustix::process::getuid;

/// The name of the user, of the one behind `sudo` where there is one; what is known of one without a name.
pub(super) fn author() -> String {
    let named = ["SUDO_USER", "USER"].into_iter().filter_map(|name| env::var(name).ok());
    let mut named = named.filter(|name| !name.trim().is_empty());
    named.next().unwrap_or_else(|| match getuid() {
        uid if uid.is_root() => "root".to_owned(),
        uid => format!("user {}", uid.as_raw()),
    })
}
