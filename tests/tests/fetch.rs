//! Feeds are fetched from a server that lies, dawdles, breaks off and sends astray: what comes of it, and what is said.
//!
//! The signatures beside the signed list were made by minisign itself: `minisign -S -s key.sec -m signed.txt`, `-l` for the
//! older form.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

#[path = "fetch/again.rs"]
mod again;
#[path = "fetch/tls.rs"]
mod tls;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use gateway::feed::{Content, FetchError, Fetched, Fetcher, Head};
use gateway::list::{Download, FeedUrl, Signature};
use harness::deadline::Deadline;
use harness::feed_server::{FeedServer, Step, answer, redirect, text};
use harness::needs;
use harness::netns::NetNs;

const LIST: &str = "192.0.2.0/24\n";
/// As `sha256sum` says.
const LIST_SHA256: &str = "7c05f476485b46ce90b613f8e594ed25245cacfc0337ffb25c47b4771807f6a4";
const SIGNED_SHA256: &str = "140bee41ca92f4dbd64ff6b15498724651b5ea9b19d20d3b2e2cd93189cc382f";
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/feed");

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
    let octet = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    std::array::from_fn(|at| octet(pairs.get(at).unwrap()))
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
    let head = Head { origin: String::new(), as_of: content.as_of, etag, last_modified };
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
fn redirects_are_followed_so_far() {
    let server = FeedServer::new(|request| match &*request.target {
        "/moved/a" => redirect("b?c=d"),
        "/moved/b?c=d" => redirect("/list"),
        "/list" => text(LIST),
        "/circle" => redirect("/circle"),
        "/nowhere" => answer("302 Found", "", ""),
        "/ftp" => redirect("ftp://127.0.0.1/list"),
        "/file" => redirect("file:///etc/passwd"),
        target => panic!("{target}"),
    })
    .unwrap();
    for (path, requests, expected) in [
        ("/moved/a", 3, LIST.to_owned()),
        ("/circle", 6, format!("redirect to {}: one more after 5, expected a list by then", server.url("/circle"))),
        ("/nowhere", 1, "redirect to nowhere: no Location, expected a URL".to_owned()),
        ("/ftp", 1, "redirect to nowhere: \"ftp:\", expected a URL that begins with https:// or http://, expected a URL".to_owned()),
        ("/file", 1, "redirect to nowhere: \"file:\", expected a URL that begins with https:// or http://, expected a URL".to_owned()),
    ] {
        let before = server.requests().len();
        assert_eq!(told(&download(&server.url(path))), expected, "{path}");
        assert_eq!(server.requests().len() - before, requests, "{path}");
    }
}

/// In a namespace of its own the test can have a server at a public address.
#[test]
fn a_feed_in_the_world_cannot_send_us_inside() {
    if !needs::root() {
        return;
    }
    let host = NetNs::new("feed").unwrap();
    host.addresses("lo", &["192.0.2.1/32", "192.0.2.2/32", "10.9.9.9/32"]).unwrap();
    host.run(|| {
        let serve = |address: &str, location: &str| {
            let location = location.to_owned();
            let listener = TcpListener::bind(address).unwrap();
            let wrap = |stream| Ok(Box::new(stream) as Box<dyn harness::feed_server::Wire>);
            FeedServer::over(listener, wrap, move |request| match &*request.target {
                "/list" => text(LIST),
                "/moved" => redirect(&location),
                target => redirect(target.trim_start_matches('/')),
            })
            .unwrap()
        };
        let world = serve("192.0.2.1:80", "");
        let other = serve("192.0.2.2:80", "http://127.0.0.1/list");
        let inside = [serve("127.0.0.1:80", ""), serve("10.9.9.9:80", "")];
        for (first, expected) in [
            ("http://192.0.2.1/http://192.0.2.2/list", LIST),
            ("http://127.0.0.1/list", LIST),
            // The operator's own server may use the operator's own names.
            ("http://127.0.0.1/http://10.9.9.9/list", LIST),
            (
                "http://192.0.2.1/http://127.0.0.1/list",
                "redirect to http://127.0.0.1/list: 127.0.0.1 is loopback, expected a public",
            ),
            (
                "http://192.0.2.1/http://localhost/list",
                "redirect to http://localhost/list: 127.0.0.1 is loopback, expected",
            ),
            (
                "http://192.0.2.1/http://2130706433/list",
                "redirect to http://127.0.0.1/list: 127.0.0.1 is loopback, expected",
            ),
            (
                "http://192.0.2.1/http://[::ffff:10.9.9.9]/list",
                "redirect to http://[::ffff:a09:909]/list: ::ffff:10.9.9.9 is private",
            ),
            (
                "http://192.0.2.1/http://0.0.0.0/list",
                "redirect to http://0.0.0.0/list: 0.0.0.0 is unroutable",
            ),
            (
                "http://192.0.2.1/http://10.9.9.9/list",
                "redirect to http://10.9.9.9/list: 10.9.9.9 is private",
            ),
            (
                "http://192.0.2.1/http://192.0.2.2/moved",
                "redirect to http://127.0.0.1/list: 127.0.0.1 is loopback",
            ),
            // Whoever was outside once does not come in by a detour.
            (
                "http://127.0.0.1/http://192.0.2.2/moved",
                "redirect to http://127.0.0.1/list: 127.0.0.1 is loopback",
            ),
        ] {
            let found = told(&download(first));
            let found = found.replace("::1 is loopback", "127.0.0.1 is loopback");
            assert!(found.starts_with(expected), "{first}: {found}");
        }
        // What was refused was never connected to: two lists, and two redirects of our own.
        let asked: Vec<_> =
            inside.iter().flat_map(FeedServer::requests).map(|it| it.target).collect();
        assert_eq!(asked, ["/list", "/http://10.9.9.9/list", "/http://192.0.2.2/moved", "/list"]);
        drop((world, other));
    })
    .unwrap();
}

#[test]
fn passwords_go_to_their_server_and_nowhere_else() {
    let other = always(text(LIST));
    let location = other.url("/list?key=s3cret");
    let server = FeedServer::new(move |request| match &*request.target {
        "/moved?key=s3cret" => redirect(&location),
        "/list?key=s3cret" => answer("403 Forbidden", "", ""),
        target => panic!("{target}"),
    })
    .unwrap();
    let with = |path: &str| server.url(path).replace("http://", "http://joe:s3cret%3A@");
    assert_eq!(told(&download(&with("/moved?key=s3cret"))), LIST);
    let basic = Some("Basic am9lOnMzY3JldDo=");
    assert_eq!(server.requests()[0].field("authorization"), basic);
    assert_eq!(server.requests()[0].field("host"), Some(&*server.address().to_string()));
    assert_eq!(other.requests()[0].field("authorization"), None);

    let refused = download(&with("/list?key=s3cret"));
    let error = fetch(&refused).unwrap_err();
    assert_eq!(error.hint(), Some("look at the access key in `url`"));
    let words = format!("{error} {error:?} {refused:?} {}", refused.url);
    assert!(!words.contains("s3cret"), "{words}");
}

#[test]
fn a_proxy_is_told_the_whole_url() {
    let proxy = FeedServer::new(|request| match &*request.target {
        "http://lists.example.org/bad.txt" => text(LIST),
        "http://lists.example.org:8080/moved" => redirect("http://127.0.0.1:1/inside"),
        target => panic!("{target}"),
    })
    .unwrap();
    let through = |text: &str, proxy: &str| Download { proxy: Some(url(proxy)), ..download(text) };
    let with_password = proxy.url("/").replace("http://", "http://joe:s3cret@");
    let found = told(&through("http://lists.example.org/bad.txt", &with_password));
    assert_eq!(found, LIST);
    let request = &proxy.requests()[0];
    assert_eq!(request.field("host"), Some("lists.example.org"));
    assert_eq!(request.field("proxy-authorization"), Some("Basic am9lOnMzY3JldA=="));
    assert_eq!(request.field("authorization"), None);
    // The proxy itself is inside, and what is behind it is not.
    let found = told(&through("http://lists.example.org:8080/moved", &proxy.url("/")));
    assert_eq!(
        found,
        "redirect to http://127.0.0.1:1/inside: 127.0.0.1, expected a public address as that of the feed"
    );
}

#[test]
fn nobody_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = told(&download(&format!("http://{port}/")));
    assert_eq!(found, format!("{port}: no connection: {port}: Connection refused (os error 111)"));
    let found = told(&download("http://nowhere.invalid/"));
    assert!(found.starts_with("nowhere.invalid: the name does not resolve: "), "{found}");
}

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
            public_key: minisign_verify::PublicKey::from_base64(key).unwrap(),
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
