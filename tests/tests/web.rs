//! The control centre in a real browser, over the real daemon with real traffic.
//!
//! - Who is not logged in sees nothing; viewers change nothing; requests of other sites change nothing; guessing takes longer.
//! - What an operator does on pages is so in the kernel and in the daemon at once, and stands in the record with his name.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

#[path = "web/browser.rs"]
mod browser;
#[path = "web/http.rs"]
mod http;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::daemon::Daemon;
use harness::deadline::{Deadline, wait_for};
use harness::feed_server::{self, FeedServer, Request};
use harness::needs;
use harness::site::Site;
use harness::stage::Stage;
use serde_json::{Value, json};
use thirtyfour::Key;

use browser::{Browser, PROGRAMS};
use http::Http;

const LONG: Duration = Duration::from_secs(30);
const LISTED: &str = "198.18.1.3";
const CLIENT: &str = "198.18.1.2";
/// Has a score that the slider delays, unless it is moved.
const DOUBTED: &str = "198.18.1.4";
const AT: &str = "http://127.0.0.1:8025";
const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8025);

/// A filter that answers with 554.
const REFUSES: &str = "interfaces = [\"eth0\"]\nanswers_per_network = 0\n";

fn needs_browser() -> bool {
    needs::root() && PROGRAMS.iter().all(|program| needs::program(program))
}

/// Where pictures of the pages are kept.
fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("pages")
}

/// Whether the pictures of the README are taken anew.
fn updates_docs() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// A picture for the README, which `UPDATE_DOCS=1` takes anew, down to the end of what `css` finds.
fn picture_for_readme(browser: &Browser, css: &str, name: &str) {
    browser.picture_down_to(css, &pictures().join(name)).unwrap();
    if updates_docs() {
        let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../gateway/docs/pictures");
        browser.picture_down_to(css, &docs.join(name)).unwrap();
    }
}

fn token(stage: &Stage) -> String {
    let output = stage.home.cli(&["web", "token"]).unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn logged_in(stage: &Stage, next: &str) -> Browser {
    let browser = Browser::start(&stage.edge).unwrap();
    browser.open(&format!("{AT}{next}")).unwrap();
    browser.type_into("#password", &token(stage)).unwrap();
    browser.click("main button[type=submit]").unwrap();
    browser
}

/// A user who may look, with the password `look`.
fn viewer() -> String {
    let hash = gateway::password::PasswordHash::of("look").unwrap();
    format!("[[web_user]]\nname = \"vera\"\nrole = \"viewer\"\npassword = \"{hash}\"\n")
}

fn site() -> Site {
    Site::without_kernel().tables(&format!("[web]\n{}", viewer()))
}

#[test]
fn strangers_see_nothing_and_viewers_change_nothing() {
    if !needs::root() {
        return;
    }
    let stage = site().list("bad", "local-bad", "", "198.18.1.3\n").stage(&[CLIENT]).unwrap();
    let daemon = stage.start().unwrap();
    daemon.wait_for_log("control centre at http://127.0.0.1:8025/", LONG).unwrap();
    let http = Http::new(&stage.edge, SERVER);
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        http.say(method, path, headers, body).unwrap()
    };
    // Nobody.
    for (path, code) in [
        ("/", 303),
        ("/lists", 303),
        ("/no-such-page", 303),
        ("/api/v1/status", 401),
        ("/api/v1/none", 401),
        ("/login", 200),
    ] {
        let said = ask("GET", path, &[], "");
        assert_eq!(said.code, code, "{path}: {said:?}");
        let policy = said.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert_eq!(said.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    assert!(
        ask("GET", "/lists?x=1", &[], "").header("location").unwrap().ends_with("%2Flists%3Fx%3D1")
    );
    let pause = r#"{"for_s": 60, "author": "mallory"}"#;
    assert_eq!(ask("POST", "/api/v1/pause", &[], pause).code, 401);
    // The token, as programs have it: the author is whoever has it, whatever the request says.
    let bearer = format!("Bearer {}", token(&stage));
    let with_token = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(ask("GET", "/api/v1/status", &with_token, "").code, 200);
    let said = ask("POST", "/api/v1/pause", &with_token, pause);
    assert!(said.code == 200 && said.text.contains("\"author\":\"token\""), "{said:?}");
    assert_eq!(ask("DELETE", "/api/v1/pause", &with_token, "").code, 200);
    // Fields as an array would have a name of whoever asks.
    let forged = ask("POST", "/api/v1/pause", &with_token, r#"[60, "mallory", null]"#);
    assert!(forged.code == 422 && forged.text.contains("named fields"), "{forged:?}");
    // Nobody learns what would help to guess.
    let config = ask("GET", "/api/v1/config", &with_token, "");
    assert!(config.code == 200 && !config.text.contains("argon2id"), "{config:?}");
    assert_eq!(ask("GET", "/api/v1/status", &[("authorization", "Bearer x")], "").code, 401);
    // A viewer, as browsers have it.
    let form = ("content-type", "application/x-www-form-urlencoded");
    let wrong = ask("POST", "/login", &[form], "name=vera&password=wrong");
    assert!(wrong.code == 403 && wrong.header("set-cookie").is_none(), "{wrong:?}");
    let elsewhere = [form, ("sec-fetch-site", "cross-site")];
    assert_eq!(ask("POST", "/login", &elsewhere, "name=vera&password=look").code, 403);
    let said = ask("POST", "/login", &[form], "name=vera&password=look&next=/lists");
    assert_eq!((said.code, said.header("location")), (303, Some("/lists")), "{said:?}");
    let cookie = said.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let vera = [("cookie", cookie), form];
    let page = ask("GET", "/", &vera, "");
    assert!(page.code == 200 && page.text.contains(">vera<"), "{page:?}");
    let csrf = page.text.split("name=\"csrf\" content=\"").nth(1).unwrap();
    let csrf = csrf.split('"').next().unwrap();
    let body = format!("csrf={csrf}");
    let said = ask("POST", "/lists/bad/disable", &vera, &body);
    assert!(said.code == 403 && said.text.contains("a viewer changes nothing"), "{said:?}");
    let said = ask(
        "POST",
        "/api/v1/lists/bad/disable",
        &[("cookie", cookie), ("x-csrf-token", csrf)],
        "{}",
    );
    assert_eq!((said.code, said.header("content-type")), (403, Some("application/problem+json")));
    // What is only looked at, she may send, as long as our pages sent it.
    let said = ask("POST", "/messages/explain", &vera, &format!("{body}&text=good+morning"));
    assert!(said.code == 200 && said.text.contains("It cannot be told"), "{said:?}");
    for (path, code) in [
        ("explain", 200),
        ("scan?client=198.18.1.3", 200),
        ("lists/bad/preview", 422),
        ("pause", 403),
    ] {
        let path = format!("/api/v1/{path}");
        let said = ask("POST", &path, &[("cookie", cookie), ("x-csrf-token", csrf)], "x");
        assert_eq!(said.code, code, "{path}: {said:?}");
        assert_eq!(ask("POST", &path, &[("cookie", cookie)], "x").code, 403, "{path}");
    }
    let preview = "/lists/bad/preview/file";
    let file = ("content-type", "application/octet-stream");
    let said = ask("POST", preview, &[("cookie", cookie), ("x-csrf-token", csrf), file], "x");
    assert_eq!(said.code, 422, "{said:?}");
    assert_eq!(ask("POST", preview, &[("cookie", cookie), file], "x").code, 403);
    // The same browser, sent by another site, or without what our pages know.
    for headers in [vec![], vec![("sec-fetch-site", "cross-site")]] {
        let headers = [&vera[..], &headers].concat();
        let body = if headers.len() > 2 { body.as_str() } else { "csrf=x" };
        let said = ask("POST", "/logout", &headers, body);
        assert!(said.code == 403 && said.text.contains("no request of a page of ours"), "{said:?}");
    }
    // What was done is told by the page that comes next, and by no link that somebody made.
    let crafted = ask("GET", "/lists?done=You+have+won&warned=You+have+won", &vera, "");
    assert!(crafted.code == 200 && !crafted.text.contains("have won"), "{crafted:?}");
    // A stream ends with the session, and looks like no whole answer.
    let mut stream = http.connect().unwrap();
    let head = format!("GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut streamed = vec![0; 12];
    stream.read_exact(&mut streamed).unwrap();
    assert_eq!(streamed, b"HTTP/1.1 200");
    assert_eq!(ask("POST", "/logout", &vera, &body).code, 303);
    stream.read_to_end(&mut streamed).unwrap();
    let streamed = String::from_utf8(streamed).unwrap();
    assert!(streamed.contains("data:") && !streamed.ends_with("0\r\n\r\n"), "{streamed}");
    assert_eq!(ask("GET", "/", &vera, "").code, 303);
    // Who guesses.
    let guess = || ask("POST", "/login", &[form], "name=vera&password=guess").code;
    let guesses: Vec<_> = std::iter::repeat_with(guess).take_while(|code| *code == 403).collect();
    assert!((3..10).contains(&guesses.len()), "{guesses:?}");
    let late = ask("POST", "/login", &[form], "name=vera&password=look");
    assert_eq!(late.code, 429, "{late:?}");
    // All of it is on record.
    let is_refused = |record: &&Value| record["event"] == "login-refused";
    let refused_all = || {
        let refused = stage.home.audit()?.iter().filter(is_refused).count();
        Ok((refused > guesses.len()).then_some(()))
    };
    wait_for("all records", LONG, refused_all).unwrap();
    let records = stage.home.audit().unwrap();
    let of =
        |event: &str| records.iter().filter(|record| record["event"] == event).collect::<Vec<_>>();
    assert!(of("login").iter().any(|record| record["author"] == "vera"), "{records:?}");
    assert!(of("login-refused").len() >= 5 && of("logout").len() == 1, "{records:?}");
    let change = &of("change")[0];
    assert_eq!((&change["author"], &change["path"]), (&"token".into(), &"/api/v1/pause".into()));
    assert_eq!(change["asked"], json!({"for_s": "60"}), "without whom the request names");
    // What was not allowed is, too.
    let changes = of("change");
    let of_vera: Vec<_> = changes.iter().filter(|record| record["author"] == "vera").collect();
    assert!(!of_vera.is_empty(), "{records:?}");
    assert!(of_vera.iter().all(|record| record["status"] == 403), "{of_vera:?}");
    assert!(of_vera.iter().all(|record| record["asked"].is_null()), "{of_vera:?}");
}

#[test]
fn without_a_token_whoever_has_a_password_still_comes_in() {
    if !needs::root() {
        return;
    }
    let stage = site().stage(&[CLIENT]).unwrap();
    let state = stage.home.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("web.token"), "\n").unwrap();
    let daemon = stage.start().unwrap();
    daemon.wait_for_log("nobody logs in with the token", LONG).unwrap();
    let http = Http::new(&stage.edge, SERVER);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let log_in = |said: &str| http.say("POST", "/login", &form, said).unwrap();
    assert_eq!(log_in("name=vera&password=look").code, 303);
    assert_eq!(log_in("password=").code, 403);
    let empty = http.say("GET", "/api/v1/status", &[("authorization", "Bearer ")], "").unwrap();
    assert_eq!(empty.code, 401);
    let alarms = &stage.status().unwrap()["alarms"];
    assert!(alarms.to_string().contains("remove the file, and restart"), "{alarms}");
}

/// What the server of the feed says; it does not lose half of its entries at once.
fn feed_entries() -> String {
    let lines: Vec<_> = (0..200).map(|host| format!("203.0.113.{host}\n")).collect();
    lines.concat()
}

/// An edge host with all that there are pages for, and a server on it that gives a feed.
struct Edge {
    stage: Stage,
    feed: Arc<Mutex<String>>,
    server: FeedServer,
}

impl Edge {
    fn new() -> Self {
        let stage = edge().stage(&[CLIENT, LISTED, DOUBTED]).unwrap();
        let feed = Arc::new(Mutex::new(feed_entries()));
        let given = Arc::clone(&feed);
        let serve = move |_request: &Request| feed_server::text(given.lock().unwrap().as_str());
        let server = stage.edge.run(|| FeedServer::new(serve).unwrap()).unwrap();
        let list = format!(
            "[[list]]\nname = \"feed\"\nclass = \"global-bad\"\nurl = \"{}\"\nmax_shrink = 50\n",
            server.url("/feed.txt")
        );
        stage.configure(&edge().tables(&list).config().unwrap()).unwrap();
        Self { stage, feed, server }
    }

    /// Starts the daemon, and waits until it has the feed.
    fn start(&self) -> Daemon {
        let daemon = self.stage.start().unwrap();
        wait_for("the feed", LONG, || {
            let found = self.stage.home.cli_json(&["list", "find", "203.0.113.7", "--json"])?;
            Ok(found.to_string().contains("/feed.txt").then_some(()))
        })
        .unwrap();
        daemon
    }

    /// From now on the server gives a single entry.
    fn shrink(&self) {
        "203.0.113.5\n".clone_into(&mut self.feed.lock().unwrap());
    }
}

/// All of it but the feed, whose address only the server knows.
fn edge() -> Site {
    let zone =
        "[[zone]]\nname = \"zen\"\ndomain = \"zen.example.org\"\nclass = \"third-party-bad\"\n";
    let dns = "[dns]\nresolvers = [\"127.0.0.1\"]\nbudget = \"1s\"\n";
    let web = "[web]\n[public_lookup]\naddress = \"127.0.0.1:8080\"\n";
    let site = lists(Site::with_kernel().xdp(REFUSES).tables(&[web, zone, dns].concat()));
    let doubted = format!("{DOUBTED}\n");
    site.list("doubted", "local-bad", "action = \"score\"\nweight = 550", &doubted).list(
        "held",
        "open-proxy",
        "action = \"quarantine\"",
        "198.18.6.0/24\n",
    )
}

/// The same with listed senders, one that may, and open proxies.
fn lists(site: Site) -> Site {
    site.list("bad", "local-bad", "", "198.18.1.3 # sends spam\n198.18.9.0/24 # botnet\n")
        .list("good", "local-good", "", "198.18.1.9\n")
        .list("proxies", "open-proxy", "action = \"reject-message\"", "198.18.7.0/24\n")
}

/// A message that an open proxy handed to somebody else before it came here.
const THROUGH_A_PROXY: &str =
    "Received: from relay.example ([198.18.8.8]) by c.example; Sun, 29 Nov 2026 20:00:00 +0000\r
Received: from proxy.example ([198.18.7.7]) by relay.example; Sun, 29 Nov 2026 19:59:00 +0000\r
Message-ID: <one@example.com>\r
Subject: <script>alert(1)</script>\r
\r
hello\r
";

/// Lets the message be refused; its reference.
fn refused_through_a_proxy(stage: &Stage) -> String {
    let mut client = stage.greeted(CLIENT).unwrap();
    let reply = client.deliver("a@example.com", &["b@example.org"], THROUGH_A_PROXY).unwrap();
    assert_eq!(reply.code, 550, "{reply}");
    let is_it = |record: &Value| record["code"] == "open-proxy" && record["phase"] == "message";
    let record = stage.home.wait_for_audit("the message", LONG, is_it).unwrap();
    record.get("reference").and_then(Value::as_str).unwrap().to_owned()
}

fn is_greeted(stage: &Stage, client: &str) -> bool {
    stage.greeted(client).is_ok()
}

/// Where the slider of the page stands, in scores and in percent; all that shows it agrees, what it would have done as well.
fn assert_slider(browser: &Browser, scores: [u16; 2], percent: [u16; 3]) {
    let of_scores = ["delay_from", "reject_above"].into_iter().zip(scores);
    for (name, expected) in of_scores {
        let expected = expected.to_string();
        for field in [format!("#{name}"), format!("[data-handle={name}]")] {
            assert_eq!(browser.value_of(&field).unwrap(), expected, "{field}");
        }
        assert_eq!(browser.text_of(&format!("[data-score={name}]")).unwrap(), expected, "{name}");
    }
    for (name, expected) in ["allow", "delay", "reject"].into_iter().zip(percent) {
        let expected = expected.to_string();
        assert_eq!(browser.value_of(&format!("#{name}")).unwrap(), expected, "{name}");
        assert_eq!(browser.text_of(&format!("[data-percent={name}]")).unwrap(), expected, "{name}");
    }
    let [from, above] = scores;
    let words = [format!("delayed from {from}"), format!("rejected above {above}")];
    wait_for("what it would have done", LONG, || {
        let shown = browser.text_of("[data-replay]")?;
        Ok(words.iter().all(|words| shown.contains(words)).then_some(()))
    })
    .unwrap();
}

#[test]
fn an_operator_does_a_days_work() {
    if !needs_browser() {
        return;
    }
    let edge = Edge::new();
    let (stage, daemon) = (&edge.stage, edge.start());
    let browser = logged_in(stage, &format!("/lookup?about={LISTED}"));
    // A listed address, its kernel rule, and an hour of grace for it.
    browser.wait_for_text("sends spam").unwrap();
    assert!(!is_greeted(stage, LISTED));
    browser.choose("#add-list", "good").unwrap();
    browser.type_into("#add-reason", "they cleaned up").unwrap();
    browser.choose("#add-for", "3600").unwrap();
    browser.click("form[action='/lookup/entries'] button").unwrap();
    browser.wait_for_text("they cleaned up").unwrap();
    assert!(is_greeted(stage, LISTED), "{}", daemon.log());
    let entry = &stage.home.cli_json(&["list", "find", LISTED, "--json"]).unwrap();
    assert!(entry.to_string().contains("they cleaned up"), "{entry:#}");
    // The slider, first by its handles: what they mean is shown at once, and nothing counts before it is saved.
    assert!(is_greeted(stage, DOUBTED), "{}", daemon.log());
    let is_it = |record: &Value| record["client"] == DOUBTED && record["phase"] == "connect";
    stage.home.wait_for_audit("a score", LONG, is_it).unwrap();
    browser.open(&format!("{AT}/reputation")).unwrap();
    let in_force = || -> anyhow::Result<_> {
        let slider = stage.home.cli_json(&["slider", "--json"])?;
        Ok((slider["delay_from"].as_u64(), slider["reject_above"].as_u64()))
    };
    let before = in_force().unwrap();
    assert_eq!(before, (Some(500), Some(600)));
    browser.press("[data-handle=delay_from]", Key::Right, 10).unwrap();
    assert_slider(&browser, [510, 600], [2, 18, 80]);
    // A handle pushes the other one.
    browser.press("[data-handle=delay_from]", Key::End, 1).unwrap();
    assert_slider(&browser, [1000, 1000], [100, 0, 0]);
    browser.press("[data-handle=reject_above]", Key::Home, 1).unwrap();
    assert_slider(&browser, [500, 500], [0, 0, 100]);
    browser.wait_for_text("not in force yet").unwrap();
    browser.wait_for_text("1 from delay to reject").unwrap();
    assert_eq!(in_force().unwrap(), before);
    // Then by its numbers.
    browser.type_into("#delay_from", "700").unwrap();
    browser.type_into("#reject_above", "800").unwrap();
    assert_slider(&browser, [700, 800], [40, 20, 40]);
    assert_eq!(in_force().unwrap(), before);
    browser.click("form[action='/reputation/set'] button").unwrap();
    browser.agree().unwrap();
    browser.wait_for_text("token").unwrap();
    wait_for(
        "other thresholds",
        LONG,
        || Ok((in_force()? == (Some(700), Some(800))).then_some(())),
    )
    .unwrap();
    browser.picture(&pictures().join("reputation.png")).unwrap();
    // A feed that lost nearly all: what was fetched is held back.
    edge.shrink();
    let before = edge.server.requests().len();
    browser.open(&format!("{AT}/lists/feed")).unwrap();
    browser.click("form[action='/lists/feed/fetch'] button").unwrap();
    stage.wait_for_alarm("list:feed", "max_shrink").unwrap();
    assert!(edge.server.requests().len() > before);
    // The alarm comes a moment before the page says so.
    wait_for("what is held back", LONG, || {
        browser.open(&format!("{AT}/lists/feed"))?;
        Ok(browser.text()?.contains("See what it would change").then_some(()))
    })
    .unwrap();
    browser.wait_for_text("max_shrink").unwrap();
    browser.picture(&pictures().join("list.png")).unwrap();
    browser.click("a[href='/lists/feed/held-back']").unwrap();
    browser.wait_for_text("Would go 199").unwrap();
    browser.wait_for_text(&edge.server.url("/feed.txt")).unwrap();
    browser.picture(&pictures().join("held-back.png")).unwrap();
    browser.click("form[action='/lists/feed/held-back'] button").unwrap();
    browser.agree().unwrap();
    browser.wait_for_text("feed: accepted what was refused").unwrap();
    stage.wait_for_no_alarm("list:feed").unwrap();
    let entries = stage.home.cli_json(&["list", "show", "feed", "--json"]).unwrap();
    assert_eq!(entries.as_array().map(Vec::len), Some(1), "{entries:#}");
    // A message that an open proxy was part of.
    let reference = &refused_through_a_proxy(stage);
    browser.open(&format!("{AT}/messages")).unwrap();
    browser.type_into("#by-address", "198.18.7.7").unwrap();
    browser.click("main form button[type=submit]").unwrap();
    browser.wait_for_text(reference).unwrap();
    browser.picture(&pictures().join("messages.png")).unwrap();
    browser.click(&format!("a[href='/messages/{reference}']")).unwrap();
    browser.wait_for_text("this address decided").unwrap();
    let offending = browser.text_of(".chain li.offending").unwrap();
    assert!(offending.contains("198.18.7.7"), "{offending}");
    picture_for_readme(&browser, ".chain", "message.png");
    // What its sender sees, and what comes of it.
    browser.open(&format!("http://127.0.0.1:8080/?reference={reference}")).unwrap();
    browser.wait_for_text("Your mail was refused").unwrap();
    let shown = browser.text().unwrap();
    assert!(!shown.contains("b@example.org") && !shown.contains("198.18.8.8"), "{shown}");
    assert!(shown.contains("Open proxy") && shown.contains("Ask whoever runs it"), "{shown}");
    browser.picture(&pictures().join("public.png")).unwrap();
    browser.type_into("#note", "The proxy is gone").unwrap();
    browser.click("form[action='/review'] button").unwrap();
    browser.wait_for_text("Somebody will look at it again").unwrap();
    browser.open(&format!("{AT}/reviews")).unwrap();
    browser.wait_for_text("The proxy is gone").unwrap();
    // All of it has an author.
    let records = stage.home.audit().unwrap();
    for path in ["/lookup/entries", "/reputation/set", "/lists/feed/fetch", "/lists/feed/held-back"]
    {
        let is_it = |record: &&Value| record["phase"] == "web" && record["path"] == path;
        let found = records.iter().find(is_it).unwrap_or_else(|| panic!("{path}: {records:?}"));
        assert_eq!(found["author"], "token");
        let asked = match path {
            "/lookup/entries" => {
                json!({"prefix": LISTED, "list": "good", "reason": "they cleaned up", "for": "3600"})
            }
            "/reputation/set" => json!({"delay_from": "700", "reject_above": "800"}),
            _ => continue,
        };
        for (name, said) in asked.as_object().unwrap() {
            assert_eq!(&found["asked"][name], said, "{name}: {found}");
        }
        assert!(found["asked"]["csrf"].is_null(), "{found}");
    }
}

/// The pages, each with words that it has. `{refused}` and `{held}` stand for the messages of that fate.
const PAGES: [(&str, &str, &str); 25] = [
    ("overview", "/", "Protection"),
    ("lookup", "/lookup?about=198.18.1.3", "sends spam"),
    ("lookup-network", "/lookup?about=198.18.9.0/24", "botnet"),
    ("messages", "/messages", "Messages"),
    ("message", "/messages/{refused}", "this address decided"),
    ("message-none", "/messages/AAAAAAAAAAAAA", "AAAAAAAAAAAAA"),
    ("lists", "/lists", "proxies"),
    ("list", "/lists/bad", "Exceptions"),
    ("held-back", "/lists/feed/held-back", "Would go"),
    ("zones", "/zones", "zen"),
    ("reputation", "/reputation", "Chart of scores"),
    ("reviews", "/reviews", "Reviews"),
    ("review", "/reviews/1", "They say that they cleaned up"),
    ("letter", "/reviews/1/letter", "To whoever runs"),
    ("quarantine", "/quarantine", "Quarantine"),
    ("quarantined", "/quarantine/{held}", "Why it is here"),
    ("system", "/system", "Files out of reach"),
    ("config", "/system/config", "With all defaults"),
    ("config-all", "/system/config?all=1", "Only what is said"),
    ("senders", "/system/senders", "d@example.com"),
    ("doctor", "/system/doctor", "May be better"),
    ("log", "/system/log", "The last lines"),
    ("none", "/no-such-page", "nothing"),
    ("public", "http://127.0.0.1:8080/", "Why was my mail refused"),
    ("public-told", "http://127.0.0.1:8080/?reference={refused}", "Your mail was refused"),
];

/// What the pages tell of. The references of the message that was refused, and of the one that is in quarantine.
fn live_a_day(edge: &Edge) -> [String; 2] {
    let stage = &edge.stage;
    let cli =
        |arguments: &[&str]| drop(stage.home.cli_json(&[arguments, &["--json"]].concat()).unwrap());
    cli(&["list", "remove", "bad", "198.18.9.9"]);
    cli(&["slider", "set", "--delay-from", "510", "--reject-above", "600"]);
    cli(&["senders", "pass", "@example.net", "--reason", "a customer"]);
    edge.shrink();
    cli(&["feeds", "fetch", "feed"]);
    stage.wait_for_alarm("list:feed", "max_shrink").unwrap();
    let refused = refused_through_a_proxy(stage);
    let note = ["--note", "They say that they cleaned up", "--contact", "ann@example.com"];
    cli(&[&["review", "request", &refused], &note[..]].concat());
    let mut client = stage.greeted(CLIENT).unwrap();
    let message = THROUGH_A_PROXY.replace("198.18.7.7", "198.18.6.6");
    let reply = client.deliver("a@example.com", &["b@example.org", "c@example.org"], &message);
    let reply = reply.unwrap().text();
    let (_, held) = reply.split_once("reference ").unwrap();
    // Whom the slider lets wait.
    let mut client = stage.greeted(DOUBTED).unwrap();
    let reply = client.deliver("d@example.com", &["b@example.org"], "Subject: hello\n\nhello\n");
    assert_eq!(reply.unwrap().code / 100, 4);
    [refused, held.to_owned()]
}

#[test]
fn each_page_is_small_and_for_everybody() {
    if !needs_browser() || !needs::axe() {
        return;
    }
    let edge = Edge::new();
    let (stage, _daemon) = (&edge.stage, edge.start());
    let axe = std::fs::read_to_string(harness::axe::script()).unwrap();
    let browser = logged_in(stage, "/");
    browser.wait_for_text("Overview").unwrap();
    let [refused, held] = live_a_day(&edge);
    for (name, path, words) in PAGES {
        let path = path.replace("{refused}", &refused).replace("{held}", &held);
        let address = if path.starts_with('/') { format!("{AT}{path}") } else { path };
        assert_small_and_for_everybody(&browser, &axe, name, &address, words);
    }
    browser.open(&format!("{AT}/")).unwrap();
    browser.click("form[action='/logout'] button").unwrap();
    assert_small_and_for_everybody(&browser, &axe, "login", &format!("{AT}/lists"), "Password");
}

/// In light, in dark and on a telephone; takes pictures.
fn assert_small_and_for_everybody(
    browser: &Browser,
    axe: &str,
    name: &str,
    address: &str,
    words: &str,
) {
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 400)] {
        browser.set_dark(scheme == "dark").unwrap();
        browser.resize(width, 1100).unwrap();
        browser.open(address).unwrap();
        browser.wait_for_text(words).unwrap();
        let file = format!("{name}-{scheme}-{width}.png");
        browser.picture(&pictures().join("all").join(file)).unwrap();
        let too_wide = browser
            .script("return document.documentElement.scrollWidth - window.innerWidth")
            .unwrap();
        assert!(too_wide.as_i64().unwrap() <= 0, "{name} at {width}: {too_wide} too wide");
        // Scripts of a driver are not bound by what the page says of scripts.
        let found = browser
            .script_later(&format!(
                "{axe}; let done = arguments[arguments.length - 1];
                axe.run().then(r => done(r.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html)])))"
            ))
            .unwrap();
        let grave: Vec<_> = found
            .as_array()
            .unwrap()
            .iter()
            .filter(|violation| violation[0] == "serious" || violation[0] == "critical")
            .collect();
        assert!(grave.is_empty(), "{name} ({scheme}, {width}): {grave:#?}");
    }
    let octets = browser
        .script(
            "let all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
            return all.reduce((sum, entry) => sum + entry.decodedBodySize, 0)",
        )
        .unwrap();
    assert!(octets.as_u64().unwrap() <= 150 * 1024, "{name}: {octets} octets");
}

#[test]
fn under_tls_it_may_be_reached_from_elsewhere() {
    if !needs::root() || !needs::program("python3") {
        return;
    }
    let made = rcgen::generate_simple_self_signed(["mx1.example.org".to_owned()]).unwrap();
    let both = [made.cert.pem(), made.signing_key.serialize_pem()].concat();
    let web = "[tls]\ncertificate = \"mx1.pem\"\n[web]\naddress = \"192.0.2.1:8025\"\ntls = true\n";
    let stage = Site::without_kernel().tables(web).stage(&[CLIENT]).unwrap();
    stage.home.write("mx1.pem", &both).unwrap();
    let _daemon = stage.start().unwrap();
    let ask = "import ssl, sys, urllib.request
context = ssl._create_unverified_context()
request = urllib.request.Request(sys.argv[1], headers={'Authorization': 'Bearer ' + sys.argv[2]})
answer = urllib.request.urlopen(request, context=context, timeout=20)
print(answer.headers['Strict-Transport-Security'], answer.read().decode())";
    let mut python = stage.sender.command("python3");
    let address = "https://192.0.2.1:8025/api/v1/status";
    let output = python.args(["-c", ask, address, &token(&stage)]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.starts_with("max-age=31536000 {") && said.contains("mx1.example.org"),
        "{output:?}"
    );
    // In the clear it is no configuration.
    let clear = Site::without_kernel().tables("[web]\naddress = \"192.0.2.1:8025\"\n");
    stage.configure(&clear.config().unwrap()).unwrap();
    let checked = stage.home.cli(&["check"]).unwrap();
    let fault = String::from_utf8_lossy(&checked.stderr);
    assert!(fault.contains("without TLS, expected an address of loopback"), "{checked:?}");
}

/// For minutes, at a pace that swells and ebbs: senders that are refused in the kernel, mail that is taken, and now and then some
/// that is not.
fn let_traffic_go(stage: &Stage) {
    const TIME: Duration = Duration::from_mins(3);
    const PLAIN: &str = "Subject: hello\r\n\r\nhello\r\n";
    let end = Deadline::after(TIME);
    let mut noise = 1_u32;
    let mut at_most = |most: u32| {
        // Noise of which each run has the same.
        noise = noise.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (noise >> 16) % (most + 1)
    };
    let swell = |step: u32, length: u32| (step % length).min(length - step % length);
    for step in 0.. {
        if end.passed() {
            return;
        }
        for _ in 0..swell(step, 37) / 2 + at_most(2 + swell(step, 23) / 2) {
            drop(stage.attempt(LISTED.parse().unwrap(), LONG).unwrap());
        }
        for _ in 0..swell(step, 29) / 6 + at_most(2) {
            let mut client = stage.greeted(CLIENT).unwrap();
            let message = if at_most(4) == 0 { THROUGH_A_PROXY } else { PLAIN };
            client.deliver("a@example.com", &["b@example.org"], message).unwrap();
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

#[test]
fn an_operator_looks_around() {
    if !needs_browser() {
        return;
    }
    let site = lists(Site::with_kernel().xdp(REFUSES).tables("[web]\n"));
    let site = site.list("feed", "global-bad", "", &feed_entries());
    let stage = site.stage(&[CLIENT, LISTED]).unwrap();
    let _daemon = stage.start().unwrap();
    let browser = logged_in(&stage, "/");
    browser.wait_for_text("Overview").unwrap();
    browser.wait_for_text("native").unwrap();
    let refused = "[data-graph=kernel] [data-rate='/kernel/refused']";
    assert_eq!(browser.text_of(refused).unwrap(), "0.0");
    wait_for("the graph to move", LONG, || {
        drop(stage.attempt(LISTED.parse()?, Duration::from_secs(5))?);
        // Not so many that all that follows looks small beside it.
        std::thread::sleep(Duration::from_millis(200));
        Ok((browser.text_of(refused)? != "0.0").then_some(()))
    })
    .unwrap();
    refused_through_a_proxy(&stage);
    if updates_docs() {
        let_traffic_go(&stage);
    }
    browser.open(&format!("{AT}/")).unwrap();
    browser.wait_for_text("Open proxy").unwrap();
    picture_for_readme(&browser, "main", "overview.png");
}
