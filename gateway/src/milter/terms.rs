//! What milter and mail server agree on before anything else: version, changes to messages, which steps are told.

/// The newest version that is spoken here.
const NEWEST: u32 = 6;
/// The oldest one, that of Sendmail 8.13 and Postfix 2.3.
const OLDEST: u32 = 2;

/// What a milter may change (`SMFIF_*` in libmilter's mfapi.h).
mod action {
    pub(super) const ADD_HEADERS: u32 = 0x01;
    pub(super) const CHANGE_HEADERS: u32 = 0x10;
    pub(super) const QUARANTINE: u32 = 0x20;
    pub(super) const CHOOSE_MACROS: u32 = 0x100;
}

/// Which steps are left out, and how (`SMFIP_*` in libmilter's mfdef.h).
mod step {
    pub(super) const NO_BODY: u32 = 0x10;
    pub(super) const NO_ANSWER_TO_HEADER: u32 = 0x80;
    pub(super) const NO_UNKNOWN: u32 = 0x100;
    pub(super) const NO_DATA: u32 = 0x200;
    pub(super) const SKIP: u32 = 0x400;
    pub(super) const NO_ANSWER_TO_HELO: u32 = 0x2000;
    pub(super) const LEADING_SPACE: u32 = 0x0010_0000;
}

/// The macros that are asked for, by the step at which they come (`SMFIM_*`): at connect, at MAIL, at the end of the message.
const MACROS: [(u32, &str); 3] =
    [(0, "{daemon_addr} {daemon_port}"), (2, "i {auth_authen}"), (5, "i")];

/// What a mail server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its version of the protocol.
    pub version: u32,
    /// What a milter may change.
    pub actions: u32,
    /// Which steps can be left out.
    pub steps: u32,
}

/// What both agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    version: u32,
    actions: u32,
    steps: u32,
}

/// Why nothing can be agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsFault {
    /// A version of before 2004.
    #[error("milter protocol version {0}, expected 2 to 6")]
    Version(u32),
    /// Messages could not be tagged, nor freed of forged tags.
    #[error(
        "a mail server that lets nobody change header fields, expected SMFIF_ADDHDRS and SMFIF_CHGHDRS"
    )]
    Headers,
}

impl Terms {
    /// The least that is needed of what is offered.
    pub fn agree(offer: Offer, needs_body: bool) -> Result<Self, TermsFault> {
        const HEADERS: u32 = action::ADD_HEADERS | action::CHANGE_HEADERS;
        if offer.version < OLDEST {
            return Err(TermsFault::Version(offer.version));
        }
        if offer.actions & HEADERS != HEADERS {
            return Err(TermsFault::Headers);
        }
        let version = offer.version.min(NEWEST);
        let mut steps = step::NO_ANSWER_TO_HEADER
            | step::NO_UNKNOWN
            | step::NO_DATA
            | step::SKIP
            | step::NO_ANSWER_TO_HELO
            | step::LEADING_SPACE;
        if !needs_body {
            steps |= step::NO_BODY;
        }
        let actions = HEADERS | action::QUARANTINE | action::CHOOSE_MACROS;
        Ok(Self { version, actions: actions & offer.actions, steps: steps & offer.steps })
    }

    /// The data of the answer, macros included where they may be chosen.
    pub(super) fn wire(self) -> Vec<u8> {
        let numbers = [self.version, self.actions, self.steps].map(u32::to_be_bytes);
        let mut data = numbers.concat();
        if self.actions & action::CHOOSE_MACROS != 0 {
            for (stage, names) in MACROS {
                data.extend_from_slice(&stage.to_be_bytes());
                data.extend_from_slice(names.as_bytes());
                data.push(0);
            }
        }
        data
    }

    /// Whether the mail server sends bodies.
    pub const fn has_body(self) -> bool {
        self.steps & step::NO_BODY == 0
    }

    /// Whether it can be told that no more of a body is needed.
    pub const fn can_skip(self) -> bool {
        self.steps & step::SKIP != 0
    }

    /// Whether a message can be put into its quarantine.
    pub const fn can_quarantine(self) -> bool {
        self.actions & action::QUARANTINE != 0
    }

    /// Whether a field can be put at the top of the header.
    pub const fn can_insert(self) -> bool {
        self.version > OLDEST
    }

    /// Whether the blank after a field's colon is part of its value, in both directions.
    pub const fn keeps_leading_space(self) -> bool {
        self.steps & step::LEADING_SPACE != 0
    }

    pub(super) const fn answers_header(self) -> bool {
        self.steps & step::NO_ANSWER_TO_HEADER == 0
    }

    pub(super) const fn answers_helo(self) -> bool {
        self.steps & step::NO_ANSWER_TO_HELO == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Postfix 3.7 offers.
    const POSTFIX: Offer = Offer { version: 6, actions: 0x1ff, steps: 0x001f_ffff };

    #[test]
    fn the_least_is_agreed_on() {
        for (offer, needs_body, expected) in [
            (POSTFIX, false, Ok((6, 0x131, 0x0010_2790))),
            (POSTFIX, true, Ok((6, 0x131, 0x0010_2780))),
            (Offer { version: 7, ..POSTFIX }, true, Ok((6, 0x131, 0x0010_2780))),
            (Offer { version: 2, actions: 0x3f, steps: 0x7f }, false, Ok((2, 0x31, 0x10))),
            (Offer { version: 2, actions: 0x1f, steps: 0 }, false, Ok((2, 0x11, 0))),
            (Offer { version: 1, ..POSTFIX }, false, Err(TermsFault::Version(1))),
            (Offer { actions: 0x01, ..POSTFIX }, false, Err(TermsFault::Headers)),
        ] {
            let agreed = Terms::agree(offer, needs_body);
            let agreed = agreed.map(|terms| (terms.version, terms.actions, terms.steps));
            assert_eq!(agreed, expected, "{offer:?}");
        }
    }

    #[test]
    fn macros_are_asked_for_where_they_may_be() {
        let newest = Terms::agree(POSTFIX, false).unwrap();
        assert_eq!(
            newest.wire().escape_ascii().to_string(),
            "\\x00\\x00\\x00\\x06\\x00\\x00\\x011\\x00\\x10\\'\\x90\
             \\x00\\x00\\x00\\x00{daemon_addr} {daemon_port}\\x00\
             \\x00\\x00\\x00\\x02i {auth_authen}\\x00\\x00\\x00\\x00\\x05i\\x00"
        );
        let oldest = Terms::agree(Offer { version: 2, actions: 0x3f, steps: 0x7f }, false).unwrap();
        assert_eq!(oldest.wire().len(), 12);
        assert!(!oldest.can_insert() && !oldest.can_skip() && oldest.can_quarantine());
    }
}
