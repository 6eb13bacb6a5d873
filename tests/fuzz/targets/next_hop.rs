//! Any lines for the next hop's replies: bounded, safe to pass on, and the same when read again.

use gateway::smtp::{Capabilities, LineBuffer, Offer, ReplyParser, xclient_command};

use super::single_line;

/// The longest text of a line that goes to a client.
const MOST_TEXT: usize = 400;
/// The most lines of a reply.
const MOST_LINES: usize = 100;

pub(crate) fn run(octets: &[u8]) {
    let mut buffer = LineBuffer::new(512);
    buffer.space(octets.len()).extend_from_slice(octets);
    let mut parser = ReplyParser::default();
    while let Some(line) = buffer.next_line() {
        let Ok(line) = line else {
            return;
        };
        let reply = match parser.line(&line) {
            Ok(Some(reply)) => reply,
            Ok(None) => {
                assert!(!parser.is_idle(), "a reply is half read");
                continue;
            }
            Err(fault) => return single_line(&fault.to_string()),
        };
        assert!(parser.is_idle(), "a whole reply leaves nothing");
        assert!((200..600).contains(&reply.code), "{reply:?}");
        assert_eq!(reply.is_positive(), reply.code < 300);
        assert!(reply.texts().count() <= MOST_LINES, "{reply:?}");
        single_line(&reply.summary());

        let wire = reply.wire();
        let mut again = ReplyParser::default();
        let mut last = Ok(None);
        for line in wire.split_terminator("\r\n") {
            single_line(line);
            assert!(line.is_ascii() && line.len() <= 4 + MOST_TEXT, "{line:?}");
            last = again.line(line.as_bytes());
        }
        assert_eq!(last, Ok(Some(reply.clone())), "{wire:?}");

        // What it offers becomes what we say to clients and to it.
        let capabilities = Capabilities::from_reply(&reply);
        let ours = Offer { size: 1000, recipients: 100, starttls: true, auth: true, xclient: true };
        for offered in capabilities.offered(ours) {
            single_line(&offered);
            assert!(offered.is_ascii() && offered.len() < 8 + MOST_TEXT, "{offered:?}");
        }
        assert!((1..=100).contains(&capabilities.recipients(100)));
        assert!(capabilities.size(1000) <= 1000);
        let hello = String::from_utf8_lossy(&line);
        let client = ([192, 0, 2, 7], 4711).into();
        let command = xclient_command(&capabilities.xclient, client, &hello, true);
        assert_eq!(command.is_some(), capabilities.xclient.has_address());
        let command = command.unwrap_or_default();
        assert!(command.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{command:?}");
        assert!(command.matches(" ADDR=").count() <= 1, "{command:?}");
    }
}
