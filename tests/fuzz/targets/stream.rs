//! Any octets of a session, in any pieces: cut into the same lines, with one possible end of the data.

use gateway::smtp::{DataDecoder, DataEncoder, DataFault, LineBuffer, LineFault};

use crate::input::Input;

/// The longest line of a command, small enough for a fuzzer to pass it.
const LINE_LIMIT: usize = 32;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let (kind, size) = (input.octet(), usize::from(input.octet() % 16) + 1);
    let sent = input.rest();
    let whole = lines(sent, sent.len().max(1));
    assert_eq!(whole, lines(sent, size), "pieces of {size}");

    let normalise = kind & 1 != 0;
    let whole = decoded(sent, sent.len().max(1), normalise);
    assert_eq!(whole, decoded(sent, size, normalise), "pieces of {size}");
    assert!(!whole.content.contains(&0), "a NUL");
    // Whatever another mailer takes for a newline, what goes on has only one kind of them, and one end.
    let text = whole.content.split(|octet| *octet == b'\n');
    let mut text = text.collect::<Vec<_>>();
    let rest = text.pop().unwrap_or_default();
    assert!(text.iter().all(|line| line.ends_with(b"\r")), "bare LF");
    let bare = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).contains(&b'\r');
    assert!(!text.into_iter().any(bare) && !rest.contains(&b'\r'), "bare CR");
    // The start of the data counts as the start of a line.
    let padded = [b"\r\n", sent].concat();
    let end = padded.windows(5).position(|five| five == b"\r\n.\r\n").map(|at| at + 3);
    assert_eq!(whole.end, end.is_some(), "another end");
    assert_eq!(whole.rest, sent[end.unwrap_or(sent.len())..], "commands or data");

    let mut encoder = DataEncoder::default();
    let mut wire = Vec::new();
    for piece in whole.content.chunks(size) {
        encoder.encode(piece, &mut wire);
    }
    encoder.finish(&mut wire);
    let body = wire.strip_suffix(b".\r\n").expect("an end");
    let lenient = body.split(|octet| *octet == b'\r' || *octet == b'\n');
    assert!(lenient.into_iter().all(|line| line != b"."), "a second end");
    let again = decoded(&wire, size, false);
    assert!(again.end && again.rest.is_empty() && again.fault != Some(DataFault::BareLf));
    let mut content = whole.content;
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        content.extend_from_slice(b"\r\n");
    }
    assert_eq!(again.content, content);
}

/// The lines in `sent`, and what waits for its end.
fn lines(sent: &[u8], size: usize) -> (Vec<Result<Vec<u8>, LineFault>>, Vec<u8>) {
    let mut buffer = LineBuffer::new(LINE_LIMIT);
    let mut found = Vec::new();
    for piece in sent.chunks(size) {
        buffer.space(piece.len()).extend_from_slice(piece);
        while let Some(line) = buffer.next_line() {
            if let Ok(line) = &line {
                assert!(line.len() <= LINE_LIMIT - 2, "{} octets", line.len());
                assert!(!line.iter().any(|octet| b"\r\n\0".contains(octet)), "an end inside");
            }
            found.push(line);
        }
        assert!(buffer.unread().len() <= LINE_LIMIT, "{} are kept", buffer.unread().len());
    }
    (found, buffer.unread().to_vec())
}

#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    content: Vec<u8>,
    rest: Vec<u8>,
    end: bool,
    fault: Option<DataFault>,
}

fn decoded(sent: &[u8], size: usize, normalise: bool) -> Decoded {
    let mut decoder = DataDecoder::new(normalise, LINE_LIMIT);
    let (mut content, mut rest, mut end) = (Vec::new(), Vec::new(), false);
    for piece in sent.chunks(size) {
        let fed = decoder.feed(piece, &mut content);
        rest.extend_from_slice(&piece[fed.consumed..]);
        end = fed.end;
    }
    Decoded { content, rest, end, fault: decoder.fault() }
}
