//! What a policy service answers: answers into lines (access(5) of Postfix).

use crate::policy::Reply;

/// What a policy service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing against it; what else Postfix was told to look at decides.
    Dunno,
    /// The client is told this, a 4xx or a 5xx.
    Reply(Reply),
    /// The message gets this field, written with its name.
    Prepend(String),
    /// The message goes into the hold queue, for this reason.
    Hold(String),
    /// The message is accepted and deleted.
    Discard(String),
}

impl Answer {
    /// The lines that say it.
    pub fn wire(&self) -> String {
        let action = match self {
            Self::Dunno => "DUNNO".to_owned(),
            Self::Reply(reply) => reply.to_string(),
            Self::Prepend(field) => format!("PREPEND {field}"),
            Self::Hold(reason) => format!("HOLD {reason}"),
            Self::Discard(reason) => format!("DISCARD {reason}"),
        };
        format!("action={}\n\n", action.replace(char::is_control, "?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_one_action() {
        for (answer, expected) in [
            (Answer::Dunno, "action=DUNNO\n\n"),
            (Answer::Reply(Reply::new(421, 7, 1, "later\n")), "action=421 4.7.1 later?\n\n"),
            (Answer::Prepend("X-A: b\n\nc".to_owned()), "action=PREPEND X-A: b??c\n\n"),
            (Answer::Hold("listed".to_owned()), "action=HOLD listed\n\n"),
            (Answer::Discard("listed".to_owned()), "action=DISCARD listed\n\n"),
        ] {
            assert_eq!(answer.wire(), expected);
        }
    }
}
