//! Any octets of a mail server that asks the milter, in any pieces: the same dialogue, bounded, and answers of one frame each.

use gateway::milter::{
    Answer, Command, Dialogue, Event, FrameBuffer, OwnFields, Terms, edits, forged,
};
use gateway::policy::Reply;

use crate::input::Input;

/// The longest frame, and the longest header, small enough for a fuzzer to pass them.
const FRAME_LIMIT: usize = 64;
const HEADER_LIMIT: usize = 96;
/// The most recipients that are kept.
const RECIPIENTS: usize = 2;
/// Octets of a frame's length.
const LENGTH: usize = 4;

const NAME: &str = "Subject";

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let size = usize::from(input.octet() % 32) + 1;
    let needs_body = input.octet() & 1 != 0;
    let sent = input.rest();
    let whole = dialogue(sent, sent.len().max(1), needs_body);
    assert_eq!(whole, dialogue(sent, size, needs_body), "pieces of {size}");
}

/// What became of `sent`, in a form that can be compared.
fn dialogue(sent: &[u8], size: usize, needs_body: bool) -> Vec<String> {
    let mut buffer = FrameBuffer::new(FRAME_LIMIT);
    let mut dialogue = Dialogue::new(HEADER_LIMIT, RECIPIENTS, needs_body);
    let mut told = Vec::new();
    for piece in sent.chunks(size) {
        buffer.space(piece.len()).extend_from_slice(piece);
        while let Some(frame) = buffer.next_frame() {
            assert!(frame.data.len() < FRAME_LIMIT, "{} octets", frame.data.len());
            let event = Command::parse(frame).map_err(|fault| fault.to_string());
            let event = event.and_then(|it| dialogue.take(it).map_err(|fault| fault.to_string()));
            match event {
                Err(fault) => {
                    super::single_line(&fault);
                    told.push(fault);
                    return told;
                }
                Ok(event) => {
                    told.push(format!("{event:?}"));
                    answer(&mut dialogue, event);
                    told.extend(dialogue.message().map(|message| format!("{message:?}")));
                }
            }
        }
        assert!(buffer.waiting() < LENGTH + FRAME_LIMIT, "{} are kept", buffer.waiting());
    }
    told
}

/// Answers as the front does, with the words of the mail server in every place that takes some.
fn answer(dialogue: &mut Dialogue, event: Event) {
    let terms = dialogue.terms();
    let text = String::from_utf8_lossy(match &event {
        Event::Body(piece) | Event::Ended(piece) => piece,
        Event::Recipient(recipient) => recipient.as_bytes(),
        _ => b"",
    })
    .into_owned();
    match event {
        Event::Negotiated(agreed) => frame(&Answer::Terms(agreed), terms),
        Event::Recipient(recipient) => dialogue.accept_recipient(recipient),
        Event::Ended(_) | Event::Aborted => drop(dialogue.end_message()),
        _ => {}
    }
    for answer in [
        Answer::Continue,
        Answer::Reply(Reply::new(550, 7, 1, &text)),
        Answer::Quarantine(text.clone()),
        Answer::AddField { name: NAME, value: text.clone().into() },
        Answer::ChangeField { name: NAME, number: 1, value: text.into() },
        Answer::DeleteField { name: NAME, number: 1 },
    ] {
        frame(&answer, terms);
    }
    let Some(message) = dialogue.message() else { return };
    let header = message.header();
    assert!(header.len() <= HEADER_LIMIT, "{} octets of a header", header.len());
    assert!(!message.is_header_too_long() || header.is_empty(), "a part of a header");
    assert!(message.envelope.recipients.len() <= RECIPIENTS);
    let lines = header.split_inclusive(|octet| *octet == b'\n');
    assert!(lines.into_iter().all(|line| line.ends_with(b"\r\n")), "{}", header.escape_ascii());
    let own = OwnFields { subject_prefix: Some("[x] "), ..OwnFields::default() };
    for edit in edits(header, forged(header, Some("mx.example")), own) {
        frame(&edit, terms);
    }
}

/// Whatever is said in it, an answer is one frame, whose texts end where they should.
fn frame(answer: &Answer, terms: Option<Terms>) {
    let mut wire = Vec::new();
    answer.write(terms, &mut wire);
    let (length, data) = wire.split_first_chunk::<LENGTH>().expect("a length");
    let length = usize::try_from(u32::from_be_bytes(*length)).expect("a length of 32 bits");
    assert_eq!(length, data.len(), "{}", wire.escape_ascii());
    let (code, data) = data.split_first().expect("a code");
    let texts = match code {
        b'y' | b'q' => Some((1, data)),
        b'h' => Some((2, data)),
        b'i' | b'm' => Some((2, &data[4..])),
        _ => None,
    };
    if let Some((count, data)) = texts {
        let ends = data.split(|octet| *octet == 0).count() - 1;
        assert_eq!(ends, count, "{}", data.escape_ascii());
        assert!(data.ends_with(b"\0"));
        // A field may have several lines, each begun by a blank.
        let mut lines = data.split(|octet| *octet == b'\n').skip(1);
        let is_folded = lines.all(|line| matches!(line.first(), Some(b' ' | b'\t')));
        assert!(is_folded && !data.contains(&b'\r'), "{}", data.escape_ascii());
    }
}
