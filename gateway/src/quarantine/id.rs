//! The name of a message in quarantine: the reference of the decision that put it there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::policy::Reference;

/// Letters of a reference.
const LENGTH: usize = 13;

/// The name of a message in quarantine; also that of its folder, so there is nothing in it but letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Id(Box<str>);

impl Id {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Reference> for Id {
    fn from(reference: &Reference) -> Self {
        Self(reference.to_string().into())
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_id = text.len() == LENGTH && text.bytes().all(|octet| octet.is_ascii_alphanumeric());
        if !is_id {
            return Err(IdError(text.chars().take(40).collect()));
        }
        Ok(Self(text.to_ascii_uppercase().into()))
    }
}

impl TryFrom<String> for Id {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text is no name of a message in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}, expected the {LENGTH} letters and digits of a reference")]
pub struct IdError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_folder() {
        for (text, expected) in [
            ("0123456789ABC", Some("0123456789ABC")),
            ("0123456789abc", Some("0123456789ABC")),
            ("", None),
            ("0123456789AB", None),
            ("0123456789ABCD", None),
            ("../../../etc/", None),
            ("0123456789AB/", None),
            ("0123456789AB\0", None),
            ("0123456789A\u{e9}", None),
        ] {
            let id: Result<Id, IdError> = text.parse();
            assert_eq!(id.ok().as_ref().map(Id::as_str), expected, "{text:?}");
        }
        assert_eq!(Id::from(&Reference::new(7)), "0000000000007".parse().unwrap());
    }
}
