//! The keys of `[[list]]` for a list that is downloaded, and how far any new copy of a list is believed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use minisign_verify::PublicKey;

use super::reader::{At, Reader};
use super::tree::Value;
use super::values::{Parsed, Wrong, duration, integer, long_duration, size, text};
use crate::feed::SIZE_LIMIT;
use crate::list::{Download, FeedUrl, Guard, Signature, Source};

/// The keys that say nothing about a list without `url`.
const KEYS: [&str; 8] =
    ["interval", "timeout", "max_size", "proxy", "ca_file", "sha256", "signature", "public_key"];

/// Those who ask a feed more often than this are banned by most of them.
const LEAST_INTERVAL: Duration = Duration::from_mins(5);

const INTERVAL: Duration = Duration::from_hours(1);
const TIMEOUT: Duration = Duration::from_mins(1);
const MAX_SIZE: u64 = 64 << 20;

/// The download of a list; `None` where it has no `url`, or a wrong one.
pub(super) fn download(reader: &mut Reader<'_>, folder: &Path) -> Option<Arc<Download>> {
    if !reader.has("url") {
        for key in KEYS {
            if let Some(node) = reader.take(key) {
                let wrong = Wrong::expected(&format!("`{key}` without `url`"), "both or neither");
                reader.wrong(key, node.place, wrong);
            }
        }
        return None;
    }
    let url = reader.optional("url", url);
    let interval = reader.or("interval", INTERVAL, interval);
    let timeout = reader.or("timeout", TIMEOUT, duration);
    let max_size = reader.or("max_size", MAX_SIZE, size(1..=SIZE_LIMIT));
    let proxy = reader.optional("proxy", proxy).map(|at| at.value);
    let ca_file = reader.file("ca_file", folder).map(|at| at.value);
    let sha256 = reader.optional("sha256", sha256).map(|at| at.value);
    let signature = signature(reader);
    let url = url?.value;
    Some(Arc::new(Download { url, interval, timeout, max_size, proxy, ca_file, sha256, signature }))
}

/// How much a new copy of `source` may differ from the last: an operator may do with a file what he likes.
pub(super) fn guard(reader: &mut Reader<'_>, source: &Source) -> Guard {
    let default = match source {
        Source::Url(_) => Guard { max_growth: Some(100), max_shrink: Some(50) },
        Source::File(_) | Source::Folder(_) | Source::Put => Guard::default(),
    };
    Guard {
        max_growth: reader.or("max_growth", default.max_growth, percent),
        max_shrink: reader.or("max_shrink", default.max_shrink, percent),
    }
}

/// What is wrong with a URL says nothing of its text, in which a password may stand.
fn url(value: &Value) -> Parsed<FeedUrl> {
    FeedUrl::parse(&text(value)?).map_err(Wrong::new)
}

fn interval(value: &Value) -> Parsed<Duration> {
    let interval = long_duration(value)?;
    if interval < LEAST_INTERVAL {
        return Err(Wrong::expected(value, "a time from 5m to 365d")
            .hint("feeds ban those who ask more often; `portcullis feeds fetch` asks at once"));
    }
    Ok(interval)
}

fn proxy(value: &Value) -> Parsed<FeedUrl> {
    let proxy = url(value)?;
    let url = proxy.as_url();
    if url.scheme() != "http" || url.path() != "/" || url.query().is_some() {
        return Err(Wrong::expected(&proxy, "\"http://HOST:PORT\""));
    }
    Ok(proxy)
}

fn sha256(value: &Value) -> Parsed<[u8; 32]> {
    let digest = match value {
        Value::Text(text) if text.len() == 64 => digest(text),
        _ => None,
    };
    digest.ok_or_else(|| Wrong::expected(value, "64 hexadecimal digits, as sha256sum prints them"))
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let (pairs, _rest) = text.as_bytes().as_chunks::<2>();
    let mut digest = [0; 32];
    for (octet, [high, low]) in digest.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *octet = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    }
    Some(digest)
}

fn signature(reader: &mut Reader<'_>) -> Option<Signature> {
    let has = |key| reader.has(key);
    let lonely = match (has("signature"), has("public_key")) {
        (true, false) => Some(("signature", "`signature` without `public_key`")),
        (false, true) => Some(("public_key", "`public_key` without `signature`")),
        _ => None,
    };
    let url = reader.optional("signature", url);
    let public_key = reader.optional("public_key", public_key);
    if let Some((key, found)) = lonely {
        let places = [url.as_ref().map(place), public_key.as_ref().map(place)];
        let place = places.into_iter().flatten().next();
        let place = place.unwrap_or_else(|| reader.place().clone());
        reader.wrong(key, place, Wrong::expected(&found, "both or neither"));
    }
    Some(Signature { url: url?.value, public_key: public_key?.value })
}

fn place<T>(at: &At<T>) -> super::Place {
    at.place.clone()
}

fn public_key(value: &Value) -> Parsed<PublicKey> {
    PublicKey::from_base64(&text(value)?).map_err(|error| {
        let text = format_args!("the second line of a minisign public key file ({error})");
        Wrong::expected(value, text)
    })
}

/// A share in percent; `None` is without limit.
fn percent(value: &Value) -> Parsed<Option<u32>> {
    match value {
        Value::Text(text) if text == "off" => Ok(None),
        _ => integer(0..=10_000_u32)(value).map(Some).map_err(|_other| {
            Wrong::expected(value, "a number of percent from 0 to 10000, or \"off\"")
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    fn read(text: &str) -> (Option<Arc<Download>>, Guard, Vec<String>) {
        use crate::config::fault::{Faults, Findings, Place};
        use crate::config::reader::table_keys;

        let file: Arc<Path> = Path::new("a.toml").into();
        let findings = Findings::default();
        let root = crate::config::tree::parse(&file, text, &findings);
        let mut reader = Reader::new(table_keys("list"), Place { file, line: 0 }, root, &findings);
        let download = download(&mut reader, Path::new("/etc/portcullis"));
        let source = download.clone().map_or(Source::Put, Source::Url);
        let guard = guard(&mut reader, &source);
        reader.finish();
        let faults = findings.finish().err().map_or_else(Vec::new, |Faults(faults)| faults);
        (download, guard, faults.iter().map(|fault| fault.to_string().replace('\n', " ")).collect())
    }

    #[test]
    fn what_holds_when_nothing_but_the_url_is_said() {
        let (download, guard, faults) = read("url = \"https://lists.example.org/bad.txt\"");
        let download = download.unwrap();
        assert_eq!(faults, [""; 0]);
        assert_eq!(download.url.to_string(), "https://lists.example.org/bad.txt");
        assert_eq!(download.interval, Duration::from_hours(1));
        assert_eq!(download.timeout, Duration::from_mins(1));
        assert_eq!(download.max_size, 64 << 20);
        assert_eq!(guard, Guard { max_growth: Some(100), max_shrink: Some(50) });
        assert!(download.proxy.is_none() && download.ca_file.is_none() && !download.is_pinned());
        assert_eq!(read("").1, Guard::default());
    }

    #[test]
    fn all_that_can_be_said() {
        let text = format!(
            "url = \"http://joe:s3cret@a.example/\"\ninterval = \"12h\"\ntimeout = \"10s\"\nmax_size = \"1G\"\n\
             proxy = \"http://192.0.2.1:3128\"\nca_file = \"ca.pem\"\nsha256 = \"{}\"\n\
             signature = \"http://a.example/sig\"\npublic_key = \"{KEY}\"\nmax_growth = \"off\"\nmax_shrink = 0\n",
            "0aFf".repeat(16)
        );
        let (download, guard, faults) = read(&text);
        let download = download.unwrap();
        assert_eq!(faults, [""; 0]);
        assert_eq!(download.url.as_url().password(), Some("s3cret"));
        assert!(!format!("{download:?}").contains("s3cret"), "{download:?}");
        assert_eq!(download.interval, Duration::from_hours(12));
        assert_eq!(download.proxy.as_ref().unwrap().to_string(), "http://192.0.2.1:3128/");
        assert_eq!(download.ca_file, Some(PathBuf::from("/etc/portcullis/ca.pem")));
        assert_eq!(download.sha256.unwrap()[..4], [0x0a, 0xff, 0x0a, 0xff]);
        assert!(download.is_pinned() && download.signature.is_some());
        assert_eq!(guard, Guard { max_growth: None, max_shrink: Some(0) });
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, expected) in [
            (
                "interval = \"1h\"",
                "a.toml:1:list.interval: `interval` without `url`, expected both or neither",
            ),
            ("url = \"https://s3cret@\"", "a.toml:1:list.url: empty host, expected a URL like"),
            (
                "url = \"bad.txt\"",
                "a.toml:1:list.url: relative URL without a base, expected a URL like",
            ),
            (
                "url = \"ftp://joe:s3cret@a\"",
                "a.toml:1:list.url: \"ftp:\", expected a URL that begins with",
            ),
            (
                "interval = \"4m\"",
                "a.toml:2:list.interval: \"4m\", expected a time from 5m to 365d hint: feeds ban",
            ),
            ("interval = \"400d\"", "a.toml:2:list.interval: \"400d\", expected a time like"),
            ("timeout = \"0s\"", "a.toml:2:list.timeout: \"0s\", expected a time like"),
            ("max_size = \"2G\"", "a.toml:2:list.max_size: \"2G\", expected a size like"),
            (
                "proxy = \"https://p:3128\"",
                "a.toml:2:list.proxy: https://p:3128/, expected \"http://HOST:PORT\"",
            ),
            (
                "proxy = \"http://joe:s3cret@p/x\"",
                "a.toml:2:list.proxy: http://p/x, expected \"http://HOST",
            ),
            ("sha256 = \"00\"", "a.toml:2:list.sha256: \"00\", expected 64 hexadecimal digits"),
            (&format!("sha256 = \"{}\"", "é".repeat(32)), "a.toml:2:list.sha256: \"é"),
            (&format!("sha256 = \"{}\"", "+f".repeat(32)), "a.toml:2:list.sha256: \"+f"),
            (
                "signature = \"http://a/sig\"",
                "a.toml:2:list.signature: `signature` without `public_key`, expected both",
            ),
            (
                &format!("public_key = \"{KEY}\""),
                "a.toml:2:list.public_key: `public_key` without `signature`, expected",
            ),
            (
                "signature = \"http://a\"\npublic_key = \"x\"",
                "a.toml:3:list.public_key: \"x\", expected the second line of",
            ),
            (
                "max_growth = 10001",
                "a.toml:2:list.max_growth: 10001, expected a number of percent from 0 to 10000",
            ),
            (
                "max_shrink = \"none\"",
                "a.toml:2:list.max_shrink: \"none\", expected a number of percent from 0",
            ),
        ] {
            let is_whole = text.starts_with("url") || text.starts_with("interval = \"1h\"");
            let whole =
                if is_whole { text.to_owned() } else { format!("url = \"http://a/\"\n{text}") };
            let (_, _, faults) = read(&whole);
            assert_eq!(faults.len(), 1, "{whole}: {faults:#?}");
            assert!(faults[0].starts_with(expected), "{whole}: {}", faults[0]);
            assert!(!faults[0].contains("s3cret"), "{}", faults[0]);
        }
    }
}
