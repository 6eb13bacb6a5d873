//! The domain of a message's author, where there is one author only.

use mail_parser::parsers::MessageStream;
use mail_parser::{Address, HeaderValue};

use super::header::HeaderBlock;

/// The domain of the From field, in lower case; `None` unless there is one such field with one address.
///
/// With two of them, programs differ in which one they show and which one they believe.
pub fn from_domain(header: &[u8]) -> Option<String> {
    let mut fields = HeaderBlock::new(header).fields().filter(|field| field.is("From"));
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    let value = [field.value, b"\r\n"].concat();
    let HeaderValue::Address(Address::List(addresses)) = MessageStream::new(&value).parse_address()
    else {
        return None;
    };
    let [author] = addresses.as_slice() else { return None };
    let (local, domain) = author.address.as_deref()?.rsplit_once('@')?;
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte) || byte >= 0x80;
    // What the parser let through of a damaged field may be a second address to another parser.
    let is_one = !local.is_empty() && !local.contains(['@', '<', '>', ',', ';']);
    let is_one = is_one && field.value.split(|&octet| octet == b'<').nth(2).is_none();
    (is_one && !domain.is_empty() && domain.bytes().all(is_plain)).then(|| domain.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_author_or_none() {
        for (block, expected) in [
            ("From: a@example.org\r\n", Some("example.org")),
            ("From: a@Example.ORG", Some("example.org")),
            ("from : A B <a@example.org>\r\n", Some("example.org")),
            ("From:\r\n \"B, A\" <a@example.org>\r\n", Some("example.org")),
            ("From: \"a@evil.example\" <a@example.org>\r\n", Some("example.org")),
            ("From: a@example.org (a@evil.example)\r\n", Some("example.org")),
            ("From: =?utf-8?q?a=40evil.example?= <a@example.org>\r\n", Some("example.org")),
            ("To: b@example.net\r\n", None),
            ("From:\r\n", None),
            ("From: <>\r\n", None),
            ("From: a\r\n", None),
            ("From: a@\r\n", None),
            ("From: @example.org\r\n", None),
            ("From: a@example.org, b@evil.example\r\n", None),
            ("From: a@example.org\r\nFrom: b@evil.example\r\n", None),
            ("From: a@example.org\r\nfrom : a@example.org\r\n", None),
            ("From: <a@example.org> <b@evil.example>\r\n", None),
            ("From: group: a@example.org;\r\n", None),
            ("From: a@evil.example@example.org\r\n", None),
            ("From: a@[192.0.2.1]\r\n", None),
            ("From: a@exa mple.org\r\n", None),
            ("From: a@example.org\r\n\r\nFrom: b@example.net\r\n", Some("example.org")),
        ] {
            assert_eq!(from_domain(block.as_bytes()).as_deref(), expected, "{block:?}");
        }
    }
}
