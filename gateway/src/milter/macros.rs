//! What a mail server tells beside its commands: macros, of which a few matter here.

use std::net::IpAddr;

use super::command::{CommandFault, address, strings};
use crate::policy::Envelope;

/// The macros of one step that matter here; where one is not told, nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Macros {
    /// The command that they go with.
    pub of: u8,
    /// `i`: the name of the message in the mail server's queue.
    pub queue_id: Option<String>,
    /// `{auth_authen}`: the user who has logged in.
    pub user: Option<String>,
    /// `{daemon_addr}`: the address of the mail server that the client reached.
    pub local_address: Option<IpAddr>,
    /// `{daemon_port}`: its port.
    pub local_port: Option<u16>,
}

impl Macros {
    /// Reads the data of `SMFIC_MACRO`: the command that they go with, then names and values in turn.
    pub(super) fn parse(data: &[u8]) -> Result<Self, CommandFault> {
        let (of, rest) = data.split_first().ok_or(CommandFault::Malformed("macros"))?;
        let mut macros = Self { of: *of, ..Self::default() };
        // A last value without its NUL, or a name without a value, is what some mail servers send; it says nothing.
        let texts: Vec<_> = strings(rest).collect();
        for pair in texts.chunks_exact(2) {
            let [name, value] = pair else { continue };
            let name =
                name.strip_prefix(b"{").and_then(|name| name.strip_suffix(b"}")).unwrap_or(name);
            if value.is_empty() {
                continue;
            }
            match name {
                b"i" => {
                    macros.queue_id = Some(Envelope::capped(value)).filter(|id| id != "NOQUEUE");
                }
                b"auth_authen" => macros.user = Some(Envelope::capped(value)),
                b"daemon_addr" => macros.local_address = address(value),
                b"daemon_port" => macros.local_port = Envelope::capped(value).parse().ok(),
                _ => {}
            }
        }
        Ok(macros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_taken() {
        for (data, expected) in [
            (&b"C"[..], Macros { of: b'C', ..Macros::default() }),
            (
                b"Cj\0mx.example\0{daemon_addr}\x00192.0.2.1\0{daemon_port}\x0025\0v\0Postfix\0",
                Macros {
                    of: b'C',
                    local_address: Some("192.0.2.1".parse().unwrap()),
                    local_port: Some(25),
                    ..Macros::default()
                },
            ),
            (
                b"Mi\0NOQUEUE\0{auth_authen}\0user@example.org\0",
                Macros { of: b'M', user: Some("user@example.org".to_owned()), ..Macros::default() },
            ),
            (
                b"E{i}\x004F2xyz\0",
                Macros { of: b'E', queue_id: Some("4F2xyz".to_owned()), ..Macros::default() },
            ),
            (b"M{auth_authen}\0\0", Macros { of: b'M', ..Macros::default() }),
            (b"M{auth_authen}\0", Macros { of: b'M', ..Macros::default() }),
            (b"C{daemon_port}\0no\0\0\0\0", Macros { of: b'C', ..Macros::default() }),
        ] {
            assert_eq!(Macros::parse(data), Ok(expected), "{}", data.escape_ascii());
        }
        assert_eq!(Macros::parse(b""), Err(CommandFault::Malformed("macros")));
    }
}
