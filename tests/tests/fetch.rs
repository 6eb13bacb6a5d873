//! Feeds are fetched from a server that lies, dawdles, breaks off and sends astray: what comes of it, and what is said.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

#[path = "fetch/again.rs"]
mod again;
#[path = "fetch/astray.rs"]
mod astray;
#[path = "fetch/tls.rs"]
mod tls;
#[path = "fetch/vouched.rs"]
mod vouched;

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use gateway::feed::{Content, FetchError, Fetched, Fetcher, Head};
use gateway::list::{Download, FeedUrl};
use harness::deadline::Deadline;
use harness::feed_server::{FeedServer, Step, answer, text};

const LIST: &str = "192.0.2.0/24\n";
/// As `sha256sum` says.
const LIST_SHA256: &str = "7c05f476485b46ce90b613f8e594ed25245cacfc0337ffb25c47b4771807f6a4";

fn url(text: &str) -> FeedUrl {
    FeedUrl::parse(text).unwrap()
}

/// A download as short as the tests need it.
fn download(text: &str) -> Download {
    Download {
        url: url(text),
        interval: Duration::from_hours(1),
        timeout: Duration::from_secs(10),
        max_size: 64 << 10,
        proxy: None,
        ca_file: None,
        sha256: None,
        signature: None,
    }
}

fn fetch_since(download: &Download, earlier: Option<&Head>) -> Result<Fetched, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Fetcher::default().fetch(download, earlier))
}

fn fetch(download: &Download) -> Result<Content, FetchError> {
    match fetch_since(download, None)? {
        Fetched::Content(content) => Ok(content),
        Fetched::NotModified => panic!("not modified since never"),
    }
}

/// The list, or what is wrong in words.
fn told(download: &Download) -> String {
    match fetch(download) {
        Ok(content) => String::from_utf8(content.octets).unwrap(),
        Err(error) => error.to_string(),
    }
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn digest(hex: &str) -> [u8; 32] {
    let (pairs, _rest) = hex.as_bytes().as_chunks::<2>();
    let octet = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(octet).collect::<Vec<_>>().try_into().unwrap()
}

/// A server that answers everything with the same steps.
fn always(steps: Vec<Step>) -> FeedServer {
    FeedServer::new(move |_request| steps.clone()).unwrap()
}

fn raw(octets: impl AsRef<[u8]>) -> Vec<Step> {
    vec![Step::Send(octets.as_ref().to_vec())]
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let server = FeedServer::new(|request| match request.field("if-none-match") {
        Some("\"one\"") => raw("HTTP/1.1 304 Not Modified\r\n\r\n"),
        _ => answer(
            "200 OK",
            "ETag: \"one\"\r\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n",
            LIST,
        ),
    })
    .unwrap();
    let download = download(&server.url("/bad.txt?a=b"));
    let content = fetch(&download).unwrap();
    assert_eq!(content.octets, LIST.as_bytes());
    let (etag, last_modified) = (content.etag, content.last_modified);
    assert_eq!(etag.as_deref(), Some("\"one\""));
    let (origin, sha256) = (String::new(), LIST_SHA256.to_owned());
    let head = Head { origin, as_of: content.as_of, etag, last_modified, sha256 };
    assert!(matches!(fetch_since(&download, Some(&head)), Ok(Fetched::NotModified)));

    let requests = server.requests();
    let field = |index: usize, name| requests[index].field(name);
    assert_eq!(requests.len(), 2);
    assert_eq!((&*requests[0].method, &*requests[0].target), ("GET", "/bad.txt?a=b"));
    assert_eq!(field(0, "host"), Some(&*server.address().to_string()));
    assert_eq!(field(0, "if-none-match"), None);
    assert!(field(0, "user-agent").unwrap().starts_with("portcullis/"));
    assert_eq!(field(1, "if-none-match"), Some("\"one\""));
    assert_eq!(field(1, "if-modified-since"), Some("Sat, 21 Nov 2026 10:00:00 GMT"));
}

#[test]
fn every_lie_of_a_server_has_its_words() {
    let large = "192.0.2.1 # as long as a line of a list may be\n".repeat(2000);
    let bomb = gzip(&vec![b'#'; 64 << 20]);
    assert!(bomb.len() < 64 << 10, "it passes the limit before decompression");
    let half = gzip(large.as_bytes());
    let half = &half[..half.len() / 2];
    let coded = "Content-Encoding: gzip\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (name, steps, expected) in [
        ("gone", answer("404 Not Found", "", ""), "404 Not Found, expected 200 OK"),
        ("broken", answer("500 Internal Server Error", "", "x"), "500 Internal Server Error, exp"),
        ("empty", raw("HTTP/1.1 204 No Content\r\n\r\n"), "204 No Content, expected 200 OK"),
        ("a part", answer("206 Partial Content", "", LIST), "206 Partial Content, expected 200 OK"),
        ("unasked", raw("HTTP/1.1 304 Not Modified\r\n\r\n"), "304 Not Modified, expected 200 OK"),
        (
            "a page",
            answer("200 OK", "Content-Type: text/html; charset=utf-8\r\n", LIST),
            "a web page of type \"text/html; charset=utf-8\", expected a list",
        ),
        (
            "a strict page",
            answer("200 OK", "Content-Type: Application/XHTML+xml\r\n", LIST),
            "a web page of type",
        ),
        (
            "cut off",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n192.0.2.0/24\n"),
            "13 octets, then the connection ended, expected 40",
        ),
        (
            "cut off in a chunk",
            raw(format!("{chunked}20\r\n192.0.2.0/24\n")),
            "13 octets, then the connection ended, expected the end of the list",
        ),
        (
            "cut off between chunks",
            raw(format!("{chunked}d\r\n{LIST}\r\n")),
            "13 octets, then the connection ended, expected the end of the list",
        ),
        (
            "too large, and says so",
            answer("200 OK", "", &large),
            "94000 octets, expected at most 65536",
        ),
        (
            "says to be endless",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n"),
            "no answer in HTTP: ",
        ),
        (
            "too large in silence",
            raw(format!("HTTP/1.1 200 OK\r\n\r\n{large}")),
            "more octets, expected at most 65536",
        ),
        (
            "a bomb on the way",
            answer("200 OK", coded, &bomb),
            "more octets, expected at most 65536",
        ),
        ("a bomb as a file", text(&bomb), "more octets, expected at most 65536"),
        (
            "a bomb in a bomb",
            answer("200 OK", coded, gzip(&bomb)),
            "more octets, expected at most 65536",
        ),
        (
            "no gzip",
            answer("200 OK", coded, LIST),
            "broken gzip: it begins with something else, expected a whole file",
        ),
        ("half a gzip", text(half), "broken gzip: "),
        ("half a gzip on the way", answer("200 OK", coded, half), "broken gzip: "),
        (
            "another coding",
            answer("200 OK", "Content-Encoding: br\r\n", LIST),
            "\"br\" as its coding, expected gzip or none",
        ),
        ("SMTP", raw("220 mx1.example.org ESMTP\r\n"), "no answer in HTTP: "),
        ("silence", vec![], "no answer in HTTP: "),
        (
            "a field without end",
            raw(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20))),
            "no answer in HTTP: ",
        ),
    ] {
        let server = always(steps);
        let found = told(&download(&server.url("/")));
        assert!(found.starts_with(expected), "{name}: {found}");
    }
}

#[test]
fn gzip_is_undone_however_it_comes() {
    let (once, twice) = (gzip(LIST.as_bytes()), gzip(&gzip(LIST.as_bytes())));
    let in_two = [gzip(b"192.0.2.0"), gzip(b"/24\n")].concat();
    for (name, fields, body) in [
        ("plain", "", LIST.as_bytes()),
        ("on the way", "Content-Encoding: gzip\r\n", &once),
        ("on the way, by its old name", "Content-Encoding: X-GZip\r\n", &once),
        ("as a file", "Content-Type: application/gzip\r\n", &once),
        ("as a file of two members", "", &in_two),
        ("as a file and on the way", "Content-Encoding: gzip\r\n", &twice),
    ] {
        let server = always(answer("200 OK", fields, body));
        assert_eq!(told(&download(&server.url("/"))), LIST, "{name}");
        assert_eq!(server.requests()[0].field("accept-encoding"), Some("gzip"));
    }
}

#[test]
fn whoever_dawdles_is_left() {
    let wait = Step::Wait(Duration::from_secs(5));
    let drip = |octet: u8| [Step::Send(vec![octet]), Step::Wait(Duration::from_millis(50))];
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let head_and_drip = [Step::Send(head.to_vec())]
        .into_iter()
        .chain(LIST.bytes().cycle().take(200).flat_map(drip));
    for (name, steps) in [
        ("says nothing", vec![wait.clone()]),
        (
            "says half",
            [&raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1")[..], &[wait]].concat(),
        ),
        ("drips", head_and_drip.collect()),
        ("drips its head", head.iter().cycle().take(200).copied().flat_map(drip).collect()),
    ] {
        let server = always(steps);
        let limited =
            Download { timeout: Duration::from_millis(500), ..download(&server.url("/")) };
        let begun = Deadline::after(Duration::from_secs(2));
        assert_eq!(told(&limited), "no whole answer after 0.5 s, expected it by then", "{name}");
        assert!(!begun.passed(), "{name}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_server_may_ask_for_patience() {
    for (status, asked, least, most) in [
        ("429 Too Many Requests", "120", 120, 120),
        ("503 Service Unavailable", "120", 120, 120),
        // Later than the clock of this machine, whatever it is.
        ("429 Too Many Requests", "Fri, 31 Dec 2100 23:59:59 GMT", 1_000_000, u64::MAX),
        ("429 Too Many Requests", "18446744073709551615", u64::MAX, u64::MAX),
        ("429 Too Many Requests", "Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
        ("429 Too Many Requests", "soon", 0, 0),
        ("429 Too Many Requests", "-1", 0, 0),
        ("500 Internal Server Error", "120", 0, 0),
    ] {
        let server = always(answer(status, &format!("Retry-After: {asked}\r\n"), ""));
        let error = fetch(&download(&server.url("/"))).unwrap_err();
        let found = error.retry_after().unwrap_or_default().as_secs();
        assert!((least..=most).contains(&found), "{status} {asked}: {found}");
        assert!(error.to_string().starts_with(status), "{error}");
    }
}

#[test]
fn nobody_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = told(&download(&format!("http://{port}/")));
    assert_eq!(found, format!("{port}: no connection: {port}: Connection refused (os error 111)"));
    let found = told(&download("http://nowhere.invalid/"));
    assert!(found.starts_with("nowhere.invalid: the name does not resolve: "), "{found}");
}
