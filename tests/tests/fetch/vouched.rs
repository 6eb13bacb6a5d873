//! Lists that somebody vouches for, by a hash in the configuration or by a signature beside them.
//!
//! The signatures were made by minisign itself: `minisign -S -s key.sec -m signed.txt`, `-l` for the older form.

use std::fs;
use std::path::Path;

use gateway::list::{Download, Signature};
use harness::feed_server::{FeedServer, answer, text};
use minisign_verify::PublicKey;

use super::{LIST, LIST_SHA256, always, digest, download, gzip, told, url};

/// As `sha256sum` says.
const SIGNED_SHA256: &str = "140bee41ca92f4dbd64ff6b15498724651b5ea9b19d20d3b2e2cd93189cc382f";
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/feed");

#[test]
fn a_pinned_list_is_that_list() {
    let list = fs::read(Path::new(DATA).join("signed.txt")).unwrap();
    for (name, body, expected) in [
        ("as it is", list.clone(), None),
        ("compressed", gzip(&list), None),
        ("another", LIST.into(), Some(format!("sha256 {LIST_SHA256}, expected {SIGNED_SHA256}"))),
    ] {
        let server = always(text(body));
        let pinned = Download { sha256: Some(digest(SIGNED_SHA256)), ..download(&server.url("/")) };
        let expected = expected.unwrap_or_else(|| String::from_utf8(list.clone()).unwrap());
        assert_eq!(told(&pinned), expected, "{name}");
    }
}

#[test]
fn a_signed_list_is_signed() {
    let file = |name: &str| fs::read(Path::new(DATA).join(name)).unwrap();
    let key = String::from_utf8(file("key.pub")).unwrap();
    let ours = key.lines().nth(1).unwrap();
    let other = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let (plain, packed) = ("signed.txt", "signed.txt.gz");
    let list = String::from_utf8(file(plain)).unwrap();
    let wrong = ", expected one of the list with the configured key";
    for (name, body, signature, key, expected) in [
        ("signed", file(plain), file("signed.txt.minisig"), ours, Ok(())),
        ("in the older form", file(plain), file("signed.txt.legacy.minisig"), ours, Ok(())),
        ("the compressed file", file(packed), file("signed.txt.gz.minisig"), ours, Ok(())),
        (
            "what is compressed is not what was signed",
            file(packed),
            file("signed.txt.minisig"),
            ours,
            Err(format!("The signature verification failed{wrong}")),
        ),
        (
            "one octet more",
            [file(plain), b"\n".to_vec()].concat(),
            file("signed.txt.minisig"),
            ours,
            Err(format!("The signature verification failed{wrong}")),
        ),
        (
            "another key",
            file(plain),
            file("signed.txt.minisig"),
            other,
            Err(format!(
                "The signature was created with a different key than the one provided{wrong}"
            )),
        ),
        (
            "no signature",
            file(plain),
            b"sorry\n".to_vec(),
            ours,
            Err(format!("Invalid encoding in minisign data{wrong}")),
        ),
        (
            "no text",
            file(plain),
            b"\xff\xfe".to_vec(),
            ours,
            Err("no text, expected a signature of minisign".to_owned()),
        ),
        (
            "far too long",
            file(plain),
            vec![b'x'; 9000],
            ours,
            Err("9000 octets, expected at most 8192".to_owned()),
        ),
        ("missing", file(plain), vec![], ours, Err("404 Not Found, expected 200 OK".to_owned())),
    ] {
        let server = FeedServer::new(move |request| match &*request.target {
            "/list" => text(&body),
            "/sig" if signature.is_empty() => answer("404 Not Found", "", ""),
            "/sig" => text(&signature),
            target => panic!("{target}"),
        })
        .unwrap();
        let signature = Signature {
            url: url(&server.url("/sig")),
            public_key: PublicKey::from_base64(key).unwrap(),
        };
        let signed = Download { signature: Some(signature), ..download(&server.url("/list")) };
        let expected = match expected {
            Ok(()) => list.clone(),
            Err(error) => format!("signature {}: {error}", server.url("/sig")),
        };
        assert_eq!(told(&signed), expected, "{name}");
        // What is signed is the file, not what a server makes of it on the way.
        assert_eq!(server.requests()[0].field("accept-encoding"), Some("identity"), "{name}");
    }
}
