//! Takes a message apart as far as a bounce goes: headers, texts, the report for programs, what was sent back.

use std::borrow::Cow;

use mail_parser::HeaderValue;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::parsers::MessageStream;

use super::plain::cleaned;
use crate::scan::HeaderBlock;

/// The most parts that are read.
const PARTS: usize = 64;

/// How deep parts may lie in each other; a bounce that was forwarded twice has seven levels.
const DEEPEST: usize = 8;

/// Fields of which a message has two at least.
const USUAL: [&str; 11] = [
    "Received",
    "Return-Path",
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Auto-Submitted",
    "Delivered-To",
];

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The header of the message in hand, or of one that is attached to it.
    Header,
    /// Words for people.
    Text,
    /// Fields for programs (RFC 3464).
    Report,
    /// The header of the message that came back.
    Returned,
}

/// A part of a message, or a text that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: Kind,
    /// Without quoting, markup and controls.
    pub(super) text: String,
}

/// A header and what follows it, still to be taken apart.
struct Entity {
    octets: Vec<u8>,
    depth: usize,
    /// Whether it is a message, and not only a part of one.
    is_message: bool,
    /// Whether it lies in a delivery report: a message there is the one that came back.
    in_report: bool,
}

/// All parts that say something, in order; a text that is no message is one part.
pub(super) fn parts(octets: &[u8]) -> Vec<Part> {
    let octets = octets.trim_ascii_start();
    if !is_message(octets) {
        let text = cleaned(&String::from_utf8_lossy(octets), false);
        return vec![Part { kind: Kind::Text, text }];
    }
    let top = Entity { octets: octets.to_vec(), depth: 0, is_message: true, in_report: false };
    let (mut open, mut found) = (vec![top], Vec::new());
    while let Some(entity) = open.pop() {
        if found.len() >= PARTS {
            break;
        }
        take_apart(&entity, &mut open, &mut found);
    }
    found
}

/// Whether `octets` begin with the header of a message.
pub(super) fn is_message(octets: &[u8]) -> bool {
    let is_usual = |name: &str| USUAL.iter().any(|usual| usual.eq_ignore_ascii_case(name));
    HeaderBlock::new(octets).fields().filter(|field| is_usual(field.name)).take(2).count() == 2
}

fn take_apart(entity: &Entity, open: &mut Vec<Entity>, found: &mut Vec<Part>) {
    let (header, body) = split(&entity.octets);
    let mut tell = |kind, octets: &[u8], is_html| {
        let text = cleaned(&String::from_utf8_lossy(octets), is_html);
        found.push(Part { kind, text });
    };
    if entity.is_message {
        tell(if entity.in_report { Kind::Returned } else { Kind::Header }, header, false);
        if entity.in_report {
            return;
        }
    }
    let Content { group, subtype, boundary, charset } = Content::of(header);
    let in_report = entity.in_report || subtype == "report";
    match (group.as_str(), subtype.as_str()) {
        ("multipart", _) if entity.depth < DEEPEST => {
            let inner = split_at_boundaries(body, boundary.as_bytes());
            open.extend(inner.into_iter().rev().map(|octets| Entity {
                octets: octets.to_vec(),
                depth: entity.depth + 1,
                is_message: false,
                in_report,
            }));
        }
        ("message", "rfc822" | "global") if entity.depth < DEEPEST => open.push(Entity {
            octets: decoded(header, body).into_owned(),
            depth: entity.depth + 1,
            is_message: true,
            in_report,
        }),
        ("text", "rfc822-headers") => tell(Kind::Returned, &decoded(header, body), false),
        ("message", _) => tell(Kind::Report, &decoded(header, body), false),
        ("text" | "multipart", _) => {
            let octets = decoded(header, body);
            match charset_decoder(charset.as_bytes()) {
                Some(decode) => tell(Kind::Text, decode(&octets).as_bytes(), subtype == "html"),
                None => tell(Kind::Text, &octets, subtype == "html"),
            }
        }
        _ => {}
    }
}

/// The header and what follows the empty line behind it.
fn split(octets: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0_usize;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        let begin = end;
        end = end.saturating_add(line.len());
        if matches!(line, b"\n" | b"\r\n") {
            let header = octets.get(..begin).unwrap_or_default();
            return (header, octets.get(end..).unwrap_or_default());
        }
    }
    (octets, b"")
}

fn value(header: &[u8], name: &str) -> Option<Vec<u8>> {
    let field = HeaderBlock::new(header).fields().find(|field| field.is(name))?;
    Some([field.value, b"\r\n"].concat())
}

/// What a part says that it is.
#[derive(Default)]
struct Content {
    /// In small letters.
    group: String,
    /// In small letters.
    subtype: String,
    boundary: String,
    charset: String,
}

impl Content {
    /// A text where nothing is said.
    fn of(header: &[u8]) -> Self {
        let value = value(header, "Content-Type").unwrap_or_default();
        let parsed = MessageStream::new(&value).parse_content_type();
        let HeaderValue::ContentType(content) = parsed else {
            let [group, subtype] = ["text", "plain"].map(ToOwned::to_owned);
            return Self { group, subtype, ..Self::default() };
        };
        let attribute = |name| content.attribute(name).unwrap_or_default().to_owned();
        Self {
            group: content.ctype().to_ascii_lowercase(),
            subtype: content.subtype().unwrap_or_default().to_ascii_lowercase(),
            boundary: attribute("boundary"),
            charset: attribute("charset"),
        }
    }
}

/// What was encoded for the way; as it stands where it cannot be decoded.
fn decoded<'x>(header: &[u8], body: &'x [u8]) -> Cow<'x, [u8]> {
    let encoding = value(header, "Content-Transfer-Encoding").unwrap_or_default();
    let decoded = match encoding.trim_ascii().to_ascii_lowercase().as_slice() {
        b"base64" => base64_decode(body),
        b"quoted-printable" => quoted_printable_decode(body),
        _ => None,
    };
    decoded.map_or(Cow::Borrowed(body), Cow::Owned)
}

/// What lies between the lines that say `boundary`; what comes before the first is for programs that do not know of parts.
fn split_at_boundaries<'x>(body: &'x [u8], boundary: &[u8]) -> Vec<&'x [u8]> {
    let (mut all, mut begin, mut at) = (Vec::new(), None, 0_usize);
    for line in body.split_inclusive(|octet| *octet == b'\n') {
        let after = at.saturating_add(line.len());
        let mark = line.trim_ascii_end().strip_prefix(b"--".as_slice());
        if let Some(rest) = mark.and_then(|mark| mark.strip_prefix(boundary))
            && matches!(rest, b"" | b"--")
        {
            all.extend(begin.and_then(|begin| body.get(begin..at)));
            begin = rest.is_empty().then_some(after);
        }
        at = after;
        if all.len() >= PARTS {
            return all;
        }
    }
    all.extend(begin.and_then(|begin| body.get(begin..)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let shown =
            |part: Part| format!("{:?}: {}", part.kind, part.text.trim().replace('\n', "/"));
        parts(text.as_bytes()).into_iter().map(shown).collect()
    }

    #[test]
    fn a_report_has_words_fields_and_what_came_back() {
        let report = "From: MAILER-DAEMON@example.com\nSubject: failed\n\
            Content-Type: multipart/report; report-type=delivery-status;\n boundary=\"B/1\"\n\n\
            for old programs\n--B/1\nContent-Type: text/plain; charset=iso-8859-1\n\
            Content-Transfer-Encoding: quoted-printable\n\ncaf=E9 wrap=\nped\n\
            --B/1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a\n\nStatus: 5.7.1\n\
            --B/1\nContent-Type: message/rfc822\n\nFrom: a@example.com\nTo: b\n\nbody\n--B/1--\nend\n";
        let expected = [
            "Header: From: MAILER-DAEMON@example.com/Subject: failed/Content-Type: multipart/report; report-type=delivery-status;/ boundary=\"B/1\"",
            "Text: caf\u{e9} wrapped",
            "Report: Reporting-MTA: dns; a//Status: 5.7.1",
            "Returned: From: a@example.com/To: b",
        ];
        assert_eq!(told(report), expected);
        assert_eq!(told(&report.replace('\n', "\r\n")), expected);
        // Somebody forwards it as an attachment.
        let forwarded = format!(
            "From: a@example.com\nTo: b\nContent-Type: multipart/mixed; boundary=C\n\n--C\n\nhelp\n--C\n\
             Content-Type: message/rfc822\n\n{report}\n--C--\n"
        );
        let found = told(&forwarded);
        assert_eq!((found.len(), found[1].as_str()), (6, "Text: help"));
        assert_eq!(found[2..], expected);
    }

    #[test]
    fn other_texts_are_one_part() {
        for (text, expected) in [
            ("", "Text: "),
            ("554 5.7.1 no", "Text: 554 5.7.1 no"),
            ("From: only one field\n\nx", "Text: From: only one field//x"),
            ("> From: a\n> To: b\n", "Text: From: a/To: b"),
        ] {
            assert_eq!(told(text), [expected], "{text:?}");
        }
    }

    #[test]
    fn hostile_nesting_ends() {
        let nested = "From: a\nTo: b\nContent-Type: message/rfc822\n\n".repeat(20_000);
        assert!(parts(nested.as_bytes()).len() <= DEEPEST + 2);
        let many = "--B\n\nx\n".repeat(100_000);
        let many = format!("From: a\nTo: b\nContent-Type: multipart/mixed; boundary=B\n\n{many}");
        assert_eq!(parts(many.as_bytes()).len(), PARTS);
        let recursive = "--B\nContent-Type: multipart/mixed; boundary=B\n\n".repeat(20_000);
        let recursive =
            format!("From: a\nTo: b\nContent-Type: multipart/mixed; boundary=B\n\n{recursive}");
        assert!(parts(recursive.as_bytes()).len() <= PARTS);
    }
}
