//! By which front mail reached the engine.

use serde::{Serialize, Serializer};

/// By which front mail reached the engine; the words are those of the configuration's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// The SMTP proxy.
    Smtp,
    /// The milter, asked by a mail server.
    Milter,
    /// The policy service, asked by Postfix.
    PostfixPolicy,
}

impl Front {
    /// The word that records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Milter => "milter",
            Self::PostfixPolicy => "postfix_policy",
        }
    }
}

impl Serialize for Front {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
