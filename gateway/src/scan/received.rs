//! One Received field: the addresses of its `from` clause, and whether the sender had authenticated.

use std::net::IpAddr;

use mail_parser::parsers::MessageStream;
use mail_parser::{HeaderValue, Host, Protocol};

use super::literal::literals;
use crate::net::fold;

/// What one Received field says about the host that handed the message over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// Every address of the `from` clause and its comments; one address may be there more than once.
    pub(super) addresses: Vec<IpAddr>,
    /// The address that the writer of the field saw at its socket, as far as its form tells; the rest is hearsay.
    pub(super) peer: Option<IpAddr>,
    /// Whether the `with` clause names a protocol with authentication (RFC 3848, RFC 6531).
    pub(super) authenticated: bool,
}

impl Received {
    /// Reads the value of a Received field; one that is cut off or damaged says what is left of it.
    ///
    /// The parser reads the structure; since it keeps one address of each kind and gives up where a field is damaged, the
    /// text of the clause is searched too.
    pub(super) fn new(value: &[u8]) -> Self {
        let clauses = Clauses::new(value);
        let mut received = Self::default();
        // The protocol first: an odd parenthesis in the sender's name could hide it from the parser.
        let structured = [clauses.with.as_slice(), b" ", &clauses.from].concat();
        if let HeaderValue::Received(parsed) = MessageStream::new(&structured).parse_received() {
            received.addresses.extend(
                [
                    parsed.from.as_ref().and_then(host_address),
                    parsed.helo.as_ref().and_then(host_address),
                    parsed.from_ip,
                ]
                .into_iter()
                .flatten()
                .map(fold),
            );
            received.authenticated = parsed.with.is_some_and(is_authenticated);
        }
        received.addresses.extend(literals(&clauses.from));
        received.peer = peer(&clauses.from).or_else(|| received.addresses.first().copied());
        received
    }
}

/// The address that the writer of the field saw at its socket, told from what the sender said in HELO.
///
/// Exim writes a peer without a name first, and all else as `key=` in a comment: `[192.0.2.1] (helo=foo)`. Everybody else
/// writes the HELO name first, and the peer in the comment after it; qmail has a comment for the name, too:
/// `unknown (HELO foo) (192.0.2.1)`. What comes later (TLS, logins) is no address of a peer.
fn peer(from: &[u8]) -> Option<IpAddr> {
    let (word, comments) = word_and_comments(from);
    let first = comments.first().copied().unwrap_or_default();
    let key = first.iter().position(|octet| !octet.is_ascii_alphanumeric());
    let is_exim =
        first.is_empty() || key.is_some_and(|end| end > 0 && first.get(end) == Some(&b'='));
    let by_word = literals(word).next();
    if is_exim && by_word.is_some() {
        return by_word;
    }
    let is_name =
        |comment: &[u8]| comment.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"HELO "));
    let comment = comments.into_iter().find(|comment| !is_name(comment)).unwrap_or_default();
    let seen = find(comment, b"helo=").and_then(|at| comment.get(..at)).unwrap_or(comment);
    literals(seen).next().or(by_word)
}

/// The first word after `from`, and the comments at the outermost level, without their parentheses.
fn word_and_comments(from: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let mut comments = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, octet) in from.iter().enumerate() {
        match octet {
            b'(' => {
                depth += 1;
                if depth == 1 {
                    start = at + 1;
                }
            }
            b')' if depth == 1 => {
                depth = 0;
                comments.extend(from.get(start..at));
            }
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let outside = from.split(|&octet| octet == b'(').next().unwrap_or_default();
    let mut words = outside.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    (words.nth(1).unwrap_or_default(), comments)
}

/// Where `wanted` stands in `text`, in any case.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted))
}

fn host_address(host: &Host<'_>) -> Option<IpAddr> {
    match host {
        Host::IpAddr(address) => Some(*address),
        Host::Name(_) => None,
    }
}

const fn is_authenticated(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::ESMTPA
            | Protocol::ESMTPSA
            | Protocol::LMTPA
            | Protocol::LMTPSA
            | Protocol::UTF8SMTPA
            | Protocol::UTF8SMTPSA
            | Protocol::UTF8LMTPA
            | Protocol::UTF8LMTPSA
    )
}

/// The text of the two clauses that count, each with its keyword; `by`, `via`, `id` and `for` are left out.
#[derive(Debug, Default)]
struct Clauses {
    from: Vec<u8>,
    with: Vec<u8>,
    other: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clause {
    From,
    With,
    Other,
}

impl Clauses {
    /// Divides `value` at the keywords that stand outside comments.
    ///
    /// What stands before the first keyword counts as `from`: there the keyword itself was damaged. The word after `from`
    /// is a name that the sender chose, never a keyword, so that `HELO by` hides nothing.
    fn new(value: &[u8]) -> Self {
        let parentheses = matched_parentheses(value);
        let before_date = date_separator(value, &parentheses).unwrap_or(value.len());
        let mut clauses = Self::default();
        let mut clause = Clause::From;
        let mut name_follows = false;
        let mut depth = 0_usize;
        let mut word = Vec::new();
        let undated = value.iter().zip(&parentheses).take(before_date);
        // A space at the end completes the last word.
        for (&octet, &is_matched) in undated.chain([(&b' ', &false)]) {
            // The parser would take what follows a semicolon for a date; its arithmetic overflows on hostile ones.
            let octet = if octet == b';' { b' ' } else { octet };
            let opens = is_matched && octet == b'(';
            if depth == 0 && (opens || octet.is_ascii_whitespace()) {
                if !word.is_empty() {
                    let keyword = keyword(&word).filter(|_| !name_follows);
                    name_follows = keyword == Some(Clause::From);
                    clause = keyword.unwrap_or(clause);
                    clauses.text(clause).append(&mut word);
                }
                name_follows &= !opens;
                clauses.text(clause).push(octet);
            } else if depth == 0 {
                word.push(octet);
            } else {
                clauses.text(clause).push(octet);
            }
            if is_matched {
                depth = if opens { depth.saturating_add(1) } else { depth.saturating_sub(1) };
            }
        }
        clauses
    }

    fn text(&mut self, clause: Clause) -> &mut Vec<u8> {
        match clause {
            Clause::From => &mut self.from,
            Clause::With => &mut self.with,
            Clause::Other => &mut self.other,
        }
    }
}

/// The clause that `word` begins (RFC 5321 section 4.4).
fn keyword(word: &[u8]) -> Option<Clause> {
    let is = |keyword: &[u8]| word.eq_ignore_ascii_case(keyword);
    if is(b"from") {
        Some(Clause::From)
    } else if is(b"with") {
        Some(Clause::With)
    } else if [b"by".as_slice(), b"via", b"id", b"for"].into_iter().any(is) {
        Some(Clause::Other)
    } else {
        None
    }
}

/// For each octet, whether it is a parenthesis that has its counterpart.
///
/// A parenthesis without one is a letter like any other: somebody put it into his name, or the field was cut off.
fn matched_parentheses(value: &[u8]) -> Vec<bool> {
    let mut matched = vec![false; value.len()];
    let mut open = Vec::new();
    for (index, &octet) in value.iter().enumerate() {
        match octet {
            b'(' => open.push(index),
            b')' => {
                for index in open.pop().into_iter().flat_map(|opening| [opening, index]) {
                    if let Some(mark) = matched.get_mut(index) {
                        *mark = true;
                    }
                }
            }
            _ => (),
        }
    }
    matched
}

/// The last semicolon outside comments; an earlier one can only be part of a name.
fn date_separator(value: &[u8], parentheses: &[bool]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut separator = None;
    for (index, (&octet, &is_matched)) in value.iter().zip(parentheses).enumerate() {
        match octet {
            b'(' if is_matched => depth = depth.saturating_add(1),
            b')' if is_matched => depth = depth.saturating_sub(1),
            b';' if depth == 0 => separator = Some(index),
            _ => (),
        }
    }
    separator
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        let received = Received::new(value.as_bytes());
        let mut found: Vec<_> = received.addresses.iter().map(ToString::to_string).collect();
        found.sort();
        found.dedup();
        assert_eq!(found.join(" "), expected, "{value}");
    }

    #[test]
    fn only_the_from_clause_counts() {
        check("from a ([192.0.2.1]) by b ([192.0.2.2]) for <u@[192.0.2.3]>", "192.0.2.1");
        check("from a ([192.0.2.1]) via [192.0.2.2] with x id 192.0.2.3", "192.0.2.1");
        check("by b ([192.0.2.2]) with SMTP id 192.0.2.3; Mon", "");
        check("by b (Postfix, from userid 0) id 192.0.2.3; Mon", "");
        check("by b with HTTP from [192.0.2.1]; Mon", "192.0.2.1");
        check("FROM a ([192.0.2.1]) BY b ([192.0.2.2])", "192.0.2.1");
        check("from a ([192.0.2.1]) by b; 192.0.2.2", "192.0.2.1");
        check("from a (by [192.0.2.1] with (x) [192.0.2.2]) by [192.0.2.3]", "192.0.2.1 192.0.2.2");
    }

    #[test]
    fn a_name_that_the_sender_chose_hides_nothing() {
        check("from by ([192.0.2.1]) by [192.0.2.9]; Mon", "192.0.2.1");
        check("from with (x [192.0.2.1]) by [192.0.2.9]; Mon", "192.0.2.1");
        check("from a( ([192.0.2.1]) by [192.0.2.9] (Postfix); Mon", "192.0.2.1");
        check("from a(by ([192.0.2.1]) by [192.0.2.9] (Postfix); Mon", "192.0.2.1");
        check("from a) ([192.0.2.1]) by [192.0.2.9] (Postfix); Mon", "192.0.2.1");
        check("from \" ([192.0.2.1]) by [192.0.2.9] for <\"u\"@x>; Mon", "192.0.2.1");
        check("from a;b ([192.0.2.1]) by [192.0.2.9]; Mon", "192.0.2.1");
        check("from \\( ([192.0.2.1]) by [192.0.2.9]; Mon", "192.0.2.1");
        check("from =?utf-8?q?by?= (=?x?q?[192.0.2.1]?=) by [192.0.2.9]", "192.0.2.1");
    }

    #[test]
    fn damage_leaves_the_addresses() {
        check("", "");
        check("from", "");
        check("from a ([192.0.2.1", "192.0.2.1");
        check("from a (b (c [192.0.2.1]) by [192.0.2.9]", "192.0.2.1");
        check("fro a ([192.0.2.1]) by [192.0.2.9]", "192.0.2.1");
        check("a ([192.0.2.1]) by [192.0.2.9]", "192.0.2.1");
        check("from a\r\n\t([192.0.2.1])\r\n\tby [192.0.2.9]", "192.0.2.1");
        check("from a\r\n([192.0.2.1]) by [192.0.2.9]", "192.0.2.1");
        check("from a; 1 1 1 1 1 1 -9223372036854775808 ([192.0.2.1]) by b; Mon", "192.0.2.1");
    }

    #[test]
    fn who_had_authenticated() {
        for (value, expected) in [
            ("from a by b with ESMTPA id 1; Mon", true),
            ("from a by b with esmtpsa (TLS1.3) id 1; Mon", true),
            ("from a by b with LMTPSA; Mon", true),
            ("from a by b with UTF8SMTPA; Mon", true),
            ("from a by b with UTF8LMTPSA; Mon", true),
            ("from a( ([192.0.2.1]) by b with ESMTPSA; Mon", true),
            ("from a by b with ESMTPS id 1; Mon", false),
            ("from a by b with Microsoft SMTP Server (x) id 1", false),
            ("from a by b with HTTP; Mon", false),
            ("from a (with ESMTPA) by b with ESMTP; Mon", false),
            ("from a by b (with ESMTPA) with ESMTP; Mon", false),
            ("from a by b id ESMTPA; Mon", false),
            ("from a by b; with ESMTPA", false),
        ] {
            assert_eq!(Received::new(value.as_bytes()).authenticated, expected, "{value}");
        }
    }
}
