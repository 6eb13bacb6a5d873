//! The refusal as a dialogue without memory: what is said next follows from what the client has acknowledged.
//!
//! The sequence number of our SYN-ACK is a cookie, so the distance of an acknowledgement from it tells how much the
//! client has heard: nothing, the 554, some 503 after it, or our FIN.
//!
//! ```text
//! said  0             nothing yet          anything        554
//!       line          the 554              QUIT            221, FIN
//!       line + n * 28 n times 503          other command   503, or 221 and FIN after the last
//!       ... + 1       our FIN              FIN             FIN (the client hangs up first)
//!       ... + 15 + 1  our 221 and FIN      FIN             ACK
//! ```

/// The answer to any command but QUIT.
pub const ONLY_QUIT: [u32; 7] = words(b"503 5.5.1 only QUIT please\r\n");

/// The length of [`ONLY_QUIT`].
pub const ONLY_QUIT_LENGTH: u32 = 4 * ONLY_QUIT.len() as u32;

/// The answer to QUIT, filled up to whole words.
pub const GOODBYE: [u32; 4] = words(b"221 2.0.0 Bye\r\n\0");

/// The length of [`GOODBYE`] without what fills it up.
pub const GOODBYE_LENGTH: u32 = 15;

/// How many commands are answered with a 503; the next one is answered as if it were QUIT.
pub const MOST_COMMANDS: u32 = 8;

/// The window that we announce, so the most that one segment of a refused client carries.
pub const WINDOW: u32 = 1024;

/// What we do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// The 554, with our FIN when the client has ended already.
    Refuse,
    /// The 503.
    OnlyQuit,
    /// The 221 and our FIN.
    Goodbye,
    /// Our FIN.
    Finish,
    /// We have heard it.
    Acknowledge,
    /// Nothing.
    Silence,
}

impl Step {
    /// All steps, by number.
    pub const ALL: [Self; 6] = [
        Self::Refuse,
        Self::OnlyQuit,
        Self::Goodbye,
        Self::Finish,
        Self::Acknowledge,
        Self::Silence,
    ];

    /// The step with this number; `None` for a number that no step has.
    #[inline(always)]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Refuse),
            1 => Some(Self::OnlyQuit),
            2 => Some(Self::Goodbye),
            3 => Some(Self::Finish),
            4 => Some(Self::Acknowledge),
            5 => Some(Self::Silence),
            _ => None,
        }
    }

    /// Whether it has words.
    #[inline(always)]
    pub const fn speaks(self) -> bool {
        matches!(self, Self::Refuse | Self::OnlyQuit | Self::Goodbye)
    }

    /// Whether we end our side with it, when the client has ended its own (`ends`), or not.
    #[inline(always)]
    pub const fn ends(self, ends: bool) -> bool {
        matches!((self, ends), (Self::Goodbye | Self::Finish, _) | (Self::Refuse, true))
    }
}

/// What a segment of the client brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Whether there is data.
    pub data: bool,
    /// Whether the data begins with QUIT.
    pub quit: bool,
    /// Whether the client ends its side.
    pub ends: bool,
}

/// What we do about a segment that acknowledges the octet `offset` behind the cookie, when the 554 has `line` octets.
///
/// `None` when we never say that much: the segment belongs to a real connection.
#[inline(always)]
pub const fn step(offset: u32, line: u32, heard: Heard) -> Option<Step> {
    // The SYN itself takes one number.
    let said = offset.wrapping_sub(1);
    if said > line + MOST_COMMANDS * ONLY_QUIT_LENGTH + GOODBYE_LENGTH + 1 {
        return None;
    }
    if said == 0 {
        return Some(Step::Refuse);
    }
    if said < line {
        // Half of the 554; the client takes the rest from what it has or not at all.
        return Some(Step::Silence);
    }
    let (commands, rest) = ((said - line) / ONLY_QUIT_LENGTH, (said - line) % ONLY_QUIT_LENGTH);
    Some(match (rest, heard) {
        (0, Heard { data: true, quit, ends }) => {
            if quit || ends || commands == MOST_COMMANDS {
                Step::Goodbye
            } else {
                Step::OnlyQuit
            }
        }
        (0, Heard { ends: true, .. }) => Step::Finish,
        (FINISHED | PARTED, Heard { data: true, .. } | Heard { ends: true, .. }) => {
            Step::Acknowledge
        }
        _ => Step::Silence,
    })
}

/// Whether the first word of a client's data is QUIT, in either case.
#[inline(always)]
pub const fn is_quit(word: u32) -> bool {
    const UPPER_CASE: u32 = 0xdfdf_dfdf;
    word & UPPER_CASE == u32::from_be_bytes(*b"QUIT")
}

/// A text in words of the host's order.
#[expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only called for constants, so it fails the build"
)]
const fn words<const N: usize>(text: &[u8]) -> [u32; N] {
    let (chunks, []) = text.as_chunks::<4>() else {
        panic!("a text in words has a multiple of four octets")
    };
    let mut words = [0; N];
    let mut at = 0;
    while at < N {
        words[at] = u32::from_be_bytes(chunks[at]);
        at += 1;
    }
    words
}

/// Our FIN behind the last line.
const FINISHED: u32 = 1;

/// The 221 and our FIN behind it.
const PARTED: u32 = GOODBYE_LENGTH + 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTHING: Heard = Heard { data: false, quit: false, ends: false };
    const COMMAND: Heard = Heard { data: true, ..NOTHING };
    const QUIT: Heard = Heard { quit: true, ..COMMAND };
    const FIN: Heard = Heard { ends: true, ..NOTHING };

    #[test]
    fn each_stage_has_its_answers() {
        use Step::{Acknowledge, Finish, Goodbye, OnlyQuit, Refuse, Silence};
        let line = 80;
        // What the client has heard; the answers to nothing, a command, QUIT, FIN, a command with FIN.
        for (said, answers) in [
            (0, [Refuse; 5]),
            (1, [Silence; 5]),
            (line - 1, [Silence; 5]),
            (line, [Silence, OnlyQuit, Goodbye, Finish, Goodbye]),
            (line + 1, [Silence, Acknowledge, Acknowledge, Acknowledge, Acknowledge]),
            (line + 2, [Silence; 5]),
            (line + 15, [Silence; 5]),
            (line + 16, [Silence, Acknowledge, Acknowledge, Acknowledge, Acknowledge]),
            (line + 28, [Silence, OnlyQuit, Goodbye, Finish, Goodbye]),
            (line + 7 * 28, [Silence, OnlyQuit, Goodbye, Finish, Goodbye]),
            (line + 8 * 28, [Silence, Goodbye, Goodbye, Finish, Goodbye]),
            (line + 8 * 28 + 16, [Silence, Acknowledge, Acknowledge, Acknowledge, Acknowledge]),
        ] {
            let heard = [NOTHING, COMMAND, QUIT, FIN, Heard { ends: true, ..COMMAND }];
            for (heard, answer) in heard.into_iter().zip(answers) {
                assert_eq!(step(said + 1, line, heard), Some(answer), "{said} {heard:?}");
            }
        }
        for offset in [0, line + 8 * 28 + 18, 1 << 31, u32::MAX] {
            assert_eq!(step(offset, line, QUIT), None, "{offset}");
        }
    }

    #[test]
    fn numbers_name_what_they_are() {
        for (number, step) in (0..).zip(Step::ALL) {
            assert_eq!((step as u32, Step::from_number(number)), (number, Some(step)));
        }
        assert_eq!(Step::from_number(6), None);
    }

    #[test]
    fn quit_is_told_from_other_commands() {
        for (command, expected) in
            [(b"QUIT", true), (b"quit", true), (b"QuIt", true), (b"EHLO", false), (b"QUI\r", false)]
        {
            assert_eq!(is_quit(u32::from_be_bytes(*command)), expected, "{command:?}");
        }
    }

    proptest! {
        /// Whatever a client sends, the dialogue ends, and each answer leads to a stage that we know again.
        #[test]
        fn every_dialogue_ends(
            line in 44_u32..153,
            heard in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 1..40),
        ) {
            let mut offset = 1;
            let mut answers = 0;
            for (data, quit, ends) in heard {
                let heard = Heard { data, quit: data && quit, ends };
                let answer = step(offset, line, heard).unwrap();
                offset += match answer {
                    Step::Refuse => line,
                    Step::OnlyQuit => 28,
                    Step::Goodbye => GOODBYE_LENGTH,
                    Step::Finish | Step::Acknowledge | Step::Silence => 0,
                } + u32::from(answer.ends(ends));
                answers += u32::from(!matches!(answer, Step::Acknowledge | Step::Silence));
                prop_assert!(answers <= 2 + MOST_COMMANDS);
                prop_assert!(step(offset, line, COMMAND).is_some());
                prop_assert!(step(offset, line, COMMAND) != Some(Step::Silence));
            }
        }
    }
}
