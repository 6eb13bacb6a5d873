//! Where a fetch may be sent by redirects and proxies, and what it tells on the way.

use std::net::{TcpListener, TcpStream};

use gateway::list::Download;
use harness::feed_server::{FeedServer, Wire, answer, redirect, text};
use harness::needs;
use harness::netns::NetNs;

use super::{LIST, always, download, fetch, told, url};

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
            let wrap = |stream: TcpStream| Ok(Box::new(stream) as Box<dyn Wire>);
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
