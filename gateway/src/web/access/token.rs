//! The token: whoever can read its file may do everything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE32_DNSSEC;
use sha2::{Digest as _, Sha256};

use crate::file;

/// The name of the file in the state folder.
const FILE: &str = "web.token";
/// Octets of a token, and of the name of a session: nobody guesses them.
const RANDOM: usize = 20;

/// The token, of which only the digest is kept.
#[derive(Debug)]
pub struct Token([u8; 32]);

impl Token {
    /// Reads the token in `state_dir`.
    pub fn read(state_dir: &Path) -> io::Result<Self> {
        let token = fs::read_to_string(Self::path(state_dir))?;
        let token = token.trim();
        if token.len() < RANDOM {
            let text = "it holds no token: remove the file, and restart";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Self(digest(token)))
    }

    /// Makes the token where there is none, for its owner alone to read; says whether it is new.
    pub fn make(state_dir: &Path) -> io::Result<bool> {
        let path = Self::path(state_dir);
        if path.try_exists()? {
            return Ok(false);
        }
        let token =
            random().ok_or_else(|| io::Error::other("the system gives no random octets"))?;
        file::make(&path, 0o600, format!("{token}\n").as_bytes())?;
        Ok(true)
    }

    /// The file that it is in.
    pub fn path(state_dir: &Path) -> PathBuf {
        state_dir.join(FILE)
    }

    pub(super) fn is(&self, said: &str) -> bool {
        // Of two digests the time of the comparison tells nothing of use.
        digest(said) == self.0
    }
}

/// A text that nobody guesses; `None` where the system gives no random octets.
pub(super) fn random() -> Option<String> {
    let mut octets = [0; RANDOM];
    getrandom::fill(&mut octets).ok()?;
    Some(BASE32_DNSSEC.encode(&octets))
}

pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_read_by_its_owner_alone() {
        let folder = TempDir::new().unwrap();
        assert!(Token::make(folder.path()).unwrap());
        let path = Token::path(folder.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let said = fs::read_to_string(&path).unwrap();
        assert!(!Token::make(folder.path()).unwrap());
        let token = Token::read(folder.path()).unwrap();
        assert!(token.is(said.trim()));
        assert!(!token.is("") && !token.is(&said.to_uppercase()));
        fs::write(&path, "\n").unwrap();
        let fault = Token::read(folder.path()).unwrap_err().to_string();
        assert!(fault.contains("holds no token"), "{fault}");
    }
}
