//! A client that acknowledges and says what it likes: the dialogue knows its own numbers, ends, and is never long.

use gateway_ebpf::dialogue::{
    GOODBYE_LENGTH, Heard, MOST_COMMANDS, ONLY_QUIT_LENGTH, Step, is_quit, step,
};

use crate::input::Input;

/// The shortest and the longest 554.
const LINES: (u32, u32) = (40, 152);

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let line = LINES.0 + u32::from(input.octet()) % (LINES.1 - LINES.0 + 1);
    let last = line + MOST_COMMANDS * ONLY_QUIT_LENGTH + GOODBYE_LENGTH + 1;
    // What we have said, the SYN among it.
    let (mut said, mut answers) = (1, 0);
    while !input.is_empty() {
        let flags = input.octet();
        let command = input.word();
        let data = flags & 1 != 0;
        let heard = Heard { data, quit: data && is_quit(command), ends: flags & 2 != 0 };
        let quits = command.to_be_bytes().eq_ignore_ascii_case(b"QUIT");
        assert_eq!(is_quit(command), quits, "{command:08x}");
        let offset = match flags >> 2 & 3 {
            0 => input.word(),
            1 => said.min(u32::from(input.short())),
            _ => said,
        };
        let next = step(offset, line, heard);
        assert_eq!(next.is_some(), (1..=last + 1).contains(&offset), "{offset} of {said}");
        let Some(next) = next else {
            continue;
        };
        assert_eq!(Step::from_number(u32::from(next as u8)), Some(next));
        assert_eq!(next == Step::Refuse, offset == 1, "the 554 at {offset}");
        if offset != said {
            continue;
        }
        // The client has heard all of it, so this is the answer that takes the dialogue on.
        let words = match next {
            Step::Refuse => line,
            Step::OnlyQuit => ONLY_QUIT_LENGTH,
            Step::Goodbye => GOODBYE_LENGTH,
            Step::Finish | Step::Acknowledge | Step::Silence => 0,
        };
        assert_eq!(next.speaks(), words > 0);
        let fin = u32::from(next.ends(heard.ends));
        answers += u32::from(words + fin > 0);
        said += words + fin;
        assert!(said <= last + 1, "said {said} of at most {last}");
        assert!(answers <= 2 + MOST_COMMANDS, "{answers} answers");
    }
}
