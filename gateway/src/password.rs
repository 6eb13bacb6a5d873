//! Passwords of people: kept as hashes that cost whoever guesses.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params};

/// The longest password, in octets.
const LONGEST: usize = 1024;
/// The most memory that a hash may ask for, in KiB: one from a configuration must not take the host with it.
const MOST_MEMORY: u32 = 1 << 20;

/// The hash of a password, by Argon2id (RFC 9106), in the form `$argon2id$v=19$m=...`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// Why a text is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// It has another form.
    #[error("no hash of a password")]
    NoHash,
    /// It is by another algorithm, or asks for too much.
    #[error("a hash by another algorithm than argon2id, or for more than 1 GiB of memory")]
    Unsupported,
    /// It is too long, or empty.
    #[error("a password of 1 to 1024 octets is expected")]
    Length,
}

impl fmt::Debug for PasswordHash {
    /// Shows nothing: even a hash helps whoever guesses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PasswordHash {
    type Err = PasswordFault;

    fn from_str(text: &str) -> Result<Self, PasswordFault> {
        let hash = Phc::new(text).map_err(|_other| PasswordFault::NoHash)?;
        let is_ours = hash.algorithm.as_str() == Algorithm::Argon2id.as_str();
        let params = Params::try_from(&hash).map_err(|_other| PasswordFault::Unsupported)?;
        if !is_ours || params.m_cost() > MOST_MEMORY || hash.hash.is_none() {
            return Err(PasswordFault::Unsupported);
        }
        Ok(Self(text.to_owned()))
    }
}

impl PasswordHash {
    /// Hashes a password with a new salt. It takes some 20 MiB and some ten milliseconds.
    pub fn of(password: &str) -> Result<Self, PasswordFault> {
        if password.is_empty() || password.len() > LONGEST {
            return Err(PasswordFault::Length);
        }
        let hash = Argon2::default().hash_password(password.as_bytes());
        hash.map(|hash| Self(hash.to_string())).map_err(|_none| PasswordFault::NoHash)
    }

    /// Whether it is that of `password`; this takes as long as hashing.
    pub fn is_of(&self, password: &str) -> bool {
        if password.len() > LONGEST {
            return false;
        }
        Phc::new(&self.0)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let hash = PasswordHash::of("correct horse").unwrap();
        assert_ne!(hash, PasswordHash::of("correct horse").unwrap(), "each has a salt of its own");
        let read: PasswordHash = hash.to_string().parse().unwrap();
        assert!(read.is_of("correct horse"));
        for wrong in ["", "correct horse ", "Correct horse", &"x".repeat(LONGEST + 1)] {
            assert!(!read.is_of(wrong), "{wrong}");
        }
        assert_eq!(format!("{read:?}"), "PasswordHash(..)");
        assert_eq!(PasswordHash::of(""), Err(PasswordFault::Length));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let hash = PasswordHash::of("x").unwrap().to_string();
        for (text, fault) in [
            ("", PasswordFault::NoHash),
            ("secret", PasswordFault::NoHash),
            (&hash.replace("m=19456", "m=99999999"), PasswordFault::Unsupported),
            (&hash.replace("argon2id", "argon2i"), PasswordFault::Unsupported),
        ] {
            assert_eq!(text.parse::<PasswordHash>(), Err(fault), "{text}");
        }
    }
}
