//! The address of a feed, which shows itself without what is secret in it.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use url::{ParseError, Url};

/// An `http` or `https` address. However it is printed, the name, the password and the query in it are not shown, since
/// feeds take access keys there; a key in the path is, since nobody can tell it from a folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedUrl(Arc<Url>);

/// What is wrong with the address of a feed. Its text is repeated as far as nothing in it can be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It is no URL at all.
    #[error("{0}, expected a URL like \"https://lists.example.org/bad.txt\"")]
    NoUrl(ParseError),
    /// It has another scheme.
    #[error("\"{0}:\", expected a URL that begins with https:// or http://")]
    Scheme(String),
}

impl FeedUrl {
    /// Reads a URL; its fragment, which no server is ever sent, is dropped.
    pub fn parse(text: &str) -> Result<Self, UrlFault> {
        Url::parse(text).map_err(UrlFault::NoUrl)?.try_into()
    }

    /// The whole address, secrets included.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The shown address, with a digest of the whole where something is not shown: another key may stand for another list.
    pub fn identity(&self) -> String {
        let shown = self.to_string();
        if shown == self.0.as_str() {
            return shown;
        }
        let digest = Sha256::digest(self.0.as_str());
        digest.iter().take(8).fold(shown + " ", |mut text, octet| {
            // Writing to a `String` cannot fail.
            let _infallible = write!(text, "{octet:02x}");
            text
        })
    }
}

impl TryFrom<Url> for FeedUrl {
    type Error = UrlFault;

    fn try_from(mut url: Url) -> Result<Self, UrlFault> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlFault::Scheme(url.scheme().to_owned()));
        }
        url.set_fragment(None);
        Ok(Self(Arc::new(url)))
    }
}

impl fmt::Display for FeedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())?;
        if self.0.query().is_some() { f.write_str("?…") } else { Ok(()) }
    }
}

impl fmt::Debug for FeedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeedUrl({self})")
    }
}

impl Serialize for FeedUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (text, expected) in [
            ("https://lists.example.org/bad.txt", "https://lists.example.org/bad.txt"),
            ("HTTP://Lists.Example.ORG:8080/", "http://lists.example.org:8080/"),
            ("https://example.org:443", "https://example.org/"),
            ("https://joe:s3cret@example.org/a", "https://example.org/a"),
            ("https://s3cret@example.org/a", "https://example.org/a"),
            ("https://example.org/a?key=s3cret#s3cret", "https://example.org/a?…"),
            ("http://[2001:db8::1]:81/a", "http://[2001:db8::1]:81/a"),
            ("http://2130706433/", "http://127.0.0.1/"),
            ("ftp://joe:s3cret@example.org/", "\"ftp:\", expected a URL that begins with"),
            ("file:///etc/passwd", "\"file:\", expected a URL that begins with"),
            ("bad.txt", "relative URL without a base, expected a URL like"),
            ("https://", "empty host, expected a URL like"),
        ] {
            let url = FeedUrl::parse(text);
            let shown = url.as_ref().map_or_else(ToString::to_string, ToString::to_string);
            assert!(shown.starts_with(expected), "{text}: {shown}");
            assert!(!format!("{url:?} {shown}").contains("s3cret"), "{text}: {url:?} {shown}");
        }
    }

    #[test]
    fn another_key_is_another_identity() {
        let identity = |text| FeedUrl::parse(text).unwrap().identity();
        assert_eq!(identity("https://example.org/a#part"), "https://example.org/a");
        let keyed = identity("https://example.org/a?key=1");
        assert!(keyed.starts_with("https://example.org/a?… "), "{keyed}");
        assert_ne!(keyed, identity("https://example.org/a?key=2"));
        assert_ne!(identity("https://a@example.org/"), identity("https://b@example.org/"));
    }
}
