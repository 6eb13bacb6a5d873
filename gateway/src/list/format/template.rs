//! Texts that are made for the address that was asked about: `$` in them is that address, `$$` a dollar sign.

use std::borrow::Cow;
use std::net::IpAddr;

use super::super::Entry;

impl Entry {
    /// The text of the entry for whoever asks about `address`.
    ///
    /// Only what a DNS list would answer with has a place for the address; other texts are what they are.
    pub fn text_for(&self, address: IpAddr) -> Option<String> {
        let text = self.reason.as_deref()?;
        if self.value.is_none() || !text.contains('$') {
            return Some(text.to_owned());
        }
        let parts: Vec<_> = text.split("$$").collect();
        let filled: Vec<_> =
            parts.iter().map(|part| part.replace('$', &address.to_string())).collect();
        Some(filled.join("$"))
    }
}

/// `text` as such a text that says just that, whoever asks.
pub(in super::super) fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains('$') { text.replace('$', "$$").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_address_is_put_where_it_belongs() {
        let entry = |text: &str, value| Entry {
            prefix: "192.0.2.0/24".parse().unwrap(),
            line: 1,
            value,
            reason: Some(text.into()),
            author: None,
            added: None,
            expires: None,
        };
        let asked = "192.0.2.7".parse().unwrap();
        for (text, expected) in [
            ("see $", "see 192.0.2.7"),
            ("$$", "$"),
            ("$$$", "$192.0.2.7"),
            ("$ pays $$5", "192.0.2.7 pays $5"),
        ] {
            let found = entry(text, Some(Ipv4Addr::new(127, 0, 0, 2))).text_for(asked);
            assert_eq!(found.as_deref(), Some(expected), "{text}");
            assert_eq!(entry(text, None).text_for(asked).as_deref(), Some(text));
            let escaped = entry(&escaped(text), Some(Ipv4Addr::LOCALHOST)).text_for(asked);
            assert_eq!(escaped.as_deref(), Some(text));
        }
    }
}
