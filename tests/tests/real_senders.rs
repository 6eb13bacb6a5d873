//! Real mail servers and programs that the kernel refuses: their logs show our words, and what they do then.
//!
//! Each of them tries native mode in IPv4 and, if it can, IPv6, generic mode, and the loopback.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use gateway::list::{Rule, Rules};
use gateway::xdp::{Config, Filter, Mode};
use gateway_ebpf::abi::KernelAction;
use harness::exim::{EXIM, Exim};
use harness::needs;
use harness::netns::NetNs;
use harness::opensmtpd::{OPENSMTPD, OpenSmtpd};
use harness::postfix::{self, POSTFIX, Postfix};
use harness::site::Site;
use harness::smtp_client::SmtpClient;
use harness::stage::{EDGE_V4, EDGE_V6, Stage};
use serde_json::Value;

/// How long something may take on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// The mode, the refused client, and how the 554 writes it.
const WAYS: [(&str, &str, &str); 3] = [
    ("native", "198.51.100.66", "198.51.100.66"),
    ("native", "2001:db8:bad::66", "2001:0db8:0bad:0000:0000:0000:0000:0066"),
    ("generic", "198.51.100.66", "198.51.100.66"),
];
/// The refused client of the loopback.
const LOCAL: &str = "127.66.1.2";
/// Where mail servers take the mail that they shall send; nobody else listens there.
const SUBMISSION: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2527);
const MESSAGE: &str = "Subject: x\n\nx\n";

/// From where a sender tries to deliver to whom.
struct Way<'a> {
    host: &'a NetNs,
    client: IpAddr,
    edge: SocketAddr,
    /// What the sender's log has to show, up to the reference.
    words: String,
}

#[test]
fn exim_bounces_at_once() {
    let Some(packages) = needs::root_with(&EXIM, &[]) else { return };
    over_ways(&WAYS, |way| {
        let sender = Exim::send(&packages, way.host, way.client, way.edge, MESSAGE).unwrap();
        // The line that begins with `**` is the failure for good.
        let line = sender.wait_for_log(&["** b@example.org", &way.words], LONG).unwrap();
        let bounce = sender.wait_for_bounce(LONG).unwrap();
        assert!(bounce.contains(&format!("Diagnostic-Code: smtp; {}", way.words)), "{bounce}");
        line
    });
}

#[test]
fn opensmtpd_gives_the_route_up_and_keeps_the_mail() {
    let Some(packages) = needs::root_with(&OPENSMTPD, &[]) else { return };
    over_ways(&WAYS, |way| {
        let sender =
            OpenSmtpd::start(&packages, way.host, SUBMISSION, way.client, way.edge).unwrap();
        submit(way.host);
        let rejected = ["mta error reason=BANNER rejected", &way.words];
        let line = sender.wait_for_log(&rejected, LONG).unwrap();
        sender.wait_for_log(&["Disabling route"], LONG).unwrap();
        assert_eq!(sender.queued().unwrap(), 1, "{}", sender.log());
        assert!(!sender.log().contains("result=PermFail"), "{}", sender.log());
        sender.stop().unwrap();
        line
    });
}

/// It goes to the next MX, of which there is none.
#[test]
fn postfix_as_installed_keeps_the_mail() {
    postfix("yes", "status=deferred");
}

#[test]
fn postfix_bounces_at_once_where_told_to() {
    postfix("no", "status=bounced");
}

fn postfix(skip_5xx_greeting: &str, status: &str) {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    over_ways(&WAYS, |way| {
        let bind = if way.client.is_ipv4() { "" } else { "6" };
        let options = postfix::Options {
            listen: Some(SUBMISSION),
            relay_to: Some(way.edge),
            settings: vec![
                format!("smtp_skip_5xx_greeting = {skip_5xx_greeting}"),
                format!("smtp_bind_address{bind} = {}", way.client),
                // On the loopback it would take the edge for itself.
                format!("inet_interfaces = {}", way.client),
            ],
            ..postfix::Options::default()
        };
        let sender = Postfix::start(&packages, Some(way.host), &options).unwrap();
        submit(way.host);
        let line = sender.wait_for_log(&["to=<b@example.org>", status, &way.words], LONG).unwrap();
        sender.stop().unwrap();
        line
    });
}

#[test]
fn python_raises_the_words() {
    const SCRIPT: &str = "
import smtplib, sys
client, edge = sys.argv[1:]
try:
    smtplib.SMTP(edge, source_address=(client, 0), timeout=20)
except smtplib.SMTPConnectError as error:
    print(error.smtp_code, error.smtp_error.decode())
";
    if !needs::root() || !needs::program("python3") {
        return;
    }
    over_ways(&WAYS, |way| {
        let mut python = way.host.command("python3");
        python.args(["-c", SCRIPT, &way.client.to_string(), &way.edge.ip().to_string()]);
        let output = python.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    });
}

#[test]
fn swaks_shows_the_words_and_says_quit() {
    if !needs::root() || !needs::program("swaks") {
        return;
    }
    // Debian's does not depend on the module that it would need for IPv6.
    over_ways(&[WAYS[0], WAYS[2]], |way| {
        let mut swaks = way.host.command("swaks");
        swaks.args(["--server", &way.edge.ip().to_string()]);
        swaks.args(["--local-interface", &way.client.to_string()]);
        swaks.args(["--from", "a@example.com", "--to", "b@example.org"]);
        let said = String::from_utf8(swaks.output().unwrap().stdout).unwrap();
        for part in [" -> QUIT", "221 2.0.0 Bye"] {
            assert!(said.contains(part), "no `{part}` in {said}");
        }
        said.lines().find(|line| line.starts_with("<** ")).unwrap().to_owned()
    });
}

/// Over each of `ways`, and over the loopback; `deliver` answers with what the sender showed of the 554.
fn over_ways(ways: &[(&str, &str, &str)], deliver: impl Fn(&Way<'_>) -> String) {
    for (mode, client, written) in ways {
        let stage = stage(mode);
        let daemon = stage.start().unwrap();
        let address = client.parse::<IpAddr>().unwrap();
        let edge = SocketAddr::new(if address.is_ipv4() { EDGE_V4 } else { EDGE_V6 }, 25);
        let way = Way { host: &stage.sender, client: address, edge, words: words(written) };
        let reference = reference(&deliver(&way), &way);
        let why = stage.home.cli_json(&["why", "--json", "--client", client, &reference]).unwrap();
        let (list, given) = (why.get("list"), why.get("client"));
        assert_eq!((list, given), (Some(&"bad".into()), Some(&true.into())), "{why}");
        let only_the_kernel = |record: &Value| record.get("phase") == Some(&"kernel".into());
        assert!(
            stage.home.audit().unwrap().iter().all(only_the_kernel),
            "{mode}: the daemon saw somebody"
        );
        daemon.terminate().unwrap();
    }
    over_loopback(deliver);
}

/// The loopback has one host, no daemon, and generic mode only.
fn over_loopback(deliver: impl Fn(&Way<'_>) -> String) {
    let host = NetNs::new("loopback").unwrap();
    host.addresses("lo", &[format!("{LOCAL}/32")]).unwrap();
    let config = Config {
        interfaces: vec!["lo".to_owned()],
        mode: Mode::Generic,
        pin_dir: PathBuf::from("/sys/fs/bpf").join(host.name()),
        ..Config::default()
    };
    let rule = Rule {
        prefix: "127.66.0.0/16".parse().unwrap(),
        list: 0,
        action: KernelAction::Refuse,
        expires: None,
    };
    let rules = Rules { version: 1, lists: vec!["bad".into()], good: Vec::new(), bad: vec![rule] };
    let edge = SocketAddr::from((Ipv4Addr::LOCALHOST, 25));
    let filter = host
        .run(|| {
            let mut filter = Filter::open(&config).unwrap();
            filter.sync(&rules, &[edge.ip()]).unwrap();
            filter.attach().unwrap();
            filter
        })
        .unwrap();
    let way = Way { host: &host, client: LOCAL.parse().unwrap(), edge, words: words(LOCAL) };
    reference(&deliver(&way), &way);
    assert!(filter.counters().unwrap().refused.packets > 0);
    host.run(|| filter.detach().unwrap()).unwrap();
}

fn stage(mode: &str) -> Stage {
    let clients = [WAYS[0].1, WAYS[1].1];
    let xdp = format!("interfaces = [\"eth0\"]\nmode = \"{mode}\"\n");
    let site = Site::with_kernel().xdp(&xdp).list("bad", "local-bad", "", &clients.join("\n"));
    site.stage(&clients).unwrap()
}

fn words(client: &str) -> String {
    format!("554 5.7.1 you are not allowed to connect [{client}] ref ")
}

/// The reference that follows the words: thirteen letters and digits.
fn reference(shown: &str, way: &Way<'_>) -> String {
    assert!(shown.contains(&way.words), "{shown}");
    let (_, rest) = shown.split_once(&way.words).unwrap();
    let reference = rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    assert_eq!(reference.len(), 13, "{shown}");
    reference
}

/// Hands one message to the sending mail server.
fn submit(host: &NetNs) {
    let submit = || {
        let mut client = SmtpClient::connect(None, SUBMISSION).unwrap();
        client.greet("client.example.com").unwrap();
        let reply = client.deliver("a@example.com", &["b@example.org"], MESSAGE).unwrap();
        assert!(reply.is_positive(), "{reply}");
        client.send_line("QUIT").unwrap();
        client.expect(221).unwrap();
    };
    host.run(submit).unwrap();
}
