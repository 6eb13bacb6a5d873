//! What a milter answers: answers into frames.

use super::Terms;
use crate::policy::Reply;

/// What a milter answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What is agreed on.
    Terms(Terms),
    /// Nothing against it so far; to the end of a message: it may pass.
    Continue,
    /// No more of the body is needed.
    Skip,
    /// The client is told this, a 4xx or a 5xx.
    Reply(Reply),
    /// The message is accepted and deleted.
    Discard,
    /// The message goes into the mail server's quarantine, for this reason; to the end of a message, before its last answer.
    Quarantine(String),
    /// The field of that name with this number, from 1, goes away; to the end of a message, before its last answer.
    DeleteField {
        /// Its name.
        name: &'static str,
        /// Which of those with the name.
        number: u32,
    },
    /// The field of that name with this number, from 1, gets another value; as above.
    ChangeField {
        /// Its name.
        name: &'static str,
        /// Which of those with the name.
        number: u32,
        /// Its value, lines ended by CRLF where there are several.
        value: Vec<u8>,
    },
    /// A field is added; as above.
    AddField {
        /// Its name.
        name: &'static str,
        /// Its value, lines ended by CRLF where there are several.
        value: Vec<u8>,
    },
}

impl Answer {
    /// Appends the frame that says it, under the terms that were agreed on.
    pub fn write(&self, terms: Option<Terms>, wire: &mut Vec<u8>) {
        let keeps_space = terms.is_some_and(Terms::keeps_leading_space);
        match self {
            Self::Terms(agreed) => frame(b'O', &[&agreed.wire()], wire),
            Self::Continue => frame(b'c', &[], wire),
            Self::Skip => frame(b's', &[], wire),
            Self::Discard => frame(b'd', &[], wire),
            // Mail servers read it as a format.
            Self::Reply(reply) => {
                let text = reply.to_string().replace('%', "%%");
                frame(b'y', &[text.as_bytes(), b"\0"], wire);
            }
            Self::Quarantine(reason) => frame(b'q', &[safe(reason).as_bytes(), b"\0"], wire),
            Self::DeleteField { name, number } => {
                frame(b'm', &[&number.to_be_bytes(), name.as_bytes(), b"\0\0"], wire);
            }
            Self::ChangeField { name, number, value } => {
                let value = folded(value, keeps_space);
                let field = [&number.to_be_bytes(), name.as_bytes(), b"\0", &value, b"\0"];
                frame(b'm', &field, wire);
            }
            Self::AddField { name, value } => {
                let value = folded(value, keeps_space);
                let field = [name.as_bytes(), b"\0", &value, b"\0"];
                // Below the mail server's own Received field, above all that the sender wrote.
                let place = 1_u32.to_be_bytes();
                if terms.is_some_and(Terms::can_insert) {
                    frame(b'i', &[&[&place[..]], &field[..]].concat(), wire);
                } else {
                    frame(b'h', &field, wire);
                }
            }
        }
    }
}

/// A value as mail servers take it: lines divided by LF alone, each but the first begun by a blank; nothing that could end it.
fn folded(value: &[u8], keeps_space: bool) -> Vec<u8> {
    let mut folded = if keeps_space { vec![b' '] } else { Vec::new() };
    for (index, line) in value.split(|&octet| octet == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if index > 0 {
            folded.push(b'\n');
            if !matches!(line.first(), Some(b' ' | b'\t')) {
                folded.push(b'\t');
            }
        }
        let is_control = |octet: u8| octet != b'\t' && octet.is_ascii_control();
        folded.extend(line.iter().map(|&octet| if is_control(octet) { b'?' } else { octet }));
    }
    folded
}

fn frame(code: u8, data: &[&[u8]], wire: &mut Vec<u8>) {
    let length = data.iter().map(|part| part.len()).sum::<usize>() + 1;
    // What is said here is short.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    wire.extend_from_slice(&length.to_be_bytes());
    wire.push(code);
    wire.extend(data.iter().copied().flatten());
}

/// One line without a NUL.
fn safe(text: &str) -> String {
    text.replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::super::Offer;
    use super::*;

    #[test]
    fn each_answer_is_one_frame() {
        let newest = Offer { version: 6, actions: 0x1ff, steps: 0x1f_ffff };
        let newest = Terms::agree(newest, false).unwrap();
        let oldest = Terms::agree(Offer { version: 2, actions: 0x3f, steps: 0x7f }, false).unwrap();
        let field = || Answer::AddField { name: "X-A", value: b"b\0\r\nc".to_vec() };
        for (answer, terms, expected) in [
            (Answer::Continue, newest, "\\x00\\x00\\x00\\x01c"),
            (Answer::Skip, newest, "\\x00\\x00\\x00\\x01s"),
            (Answer::Discard, newest, "\\x00\\x00\\x00\\x01d"),
            (
                Answer::Reply(Reply::new(554, 7, 1, "no, 100%")),
                newest,
                "\\x00\\x00\\x00\\x15y554 5.7.1 no, 100%%\\x00",
            ),
            (Answer::Quarantine("a\0b".to_owned()), newest, "\\x00\\x00\\x00\\x05qa?b\\x00"),
            (
                Answer::DeleteField { name: "X-A", number: 2 },
                newest,
                "\\x00\\x00\\x00\\nm\\x00\\x00\\x00\\x02X-A\\x00\\x00",
            ),
            (field(), newest, "\\x00\\x00\\x00\\x10i\\x00\\x00\\x00\\x01X-A\\x00 b?\\n\\tc\\x00"),
            (
                Answer::ChangeField { name: "X-A", number: 3, value: b"b".to_vec() },
                newest,
                "\\x00\\x00\\x00\\x0cm\\x00\\x00\\x00\\x03X-A\\x00 b\\x00",
            ),
            (field(), oldest, "\\x00\\x00\\x00\\x0bhX-A\\x00b?\\n\\tc\\x00"),
            (
                Answer::Terms(oldest),
                oldest,
                "\\x00\\x00\\x00\\rO\\x00\\x00\\x00\\x02\\x00\\x00\\x001\\x00\\x00\\x00\\x10",
            ),
        ] {
            let mut wire = Vec::new();
            answer.write(Some(terms), &mut wire);
            assert_eq!(wire.escape_ascii().to_string(), expected, "{answer:?}");
            let length = u32::from_be_bytes(*wire.first_chunk().unwrap());
            assert_eq!(usize::try_from(length).unwrap(), wire.len() - 4, "{answer:?}");
        }
    }
}
