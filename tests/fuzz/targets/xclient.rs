//! Any arguments of XCLIENT: what is taken from them is an address, a port and a name that is one safe word.

use gateway::smtp::{CommandError, Named, Xclient};

use super::single_line;

pub(crate) fn run(octets: &[u8]) {
    let Ok(arguments) = str::from_utf8(octets) else { return };
    match Xclient::parse(arguments) {
        Ok(said) => {
            if let Some(hello) = &said.hello {
                single_line(hello.as_str());
                assert!(!hello.as_str().contains(char::is_whitespace), "{hello:?}");
                assert!((1..=255).contains(&hello.as_str().len()), "{hello:?}");
            }
            if let Named::As(address) = said.address {
                assert_eq!(address, address.to_canonical());
            }
        }
        Err(error) => assert_eq!(error, CommandError::Arguments, "{arguments:?}"),
    }
}
