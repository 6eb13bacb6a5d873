//! Portcullis between mail programs of the world: Postfix behind it, Postfix and swaks in front of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use harness::needs;
use harness::postfix::{Options, POSTFIX, Postfix};
use harness::site::Site;
use harness::smtp_client::SmtpClient;
use harness::stage::{EDGE_V4, Stage};

const LONG: Duration = Duration::from_secs(20);
const BEHIND: &str = "127.0.0.1:10030";
const MESSAGE: &str = "Subject: through the gate\nFrom: <a@example.com>\n\n.a dot\nbody\n";

/// The stage of a site whose next hop is the Postfix behind it.
fn stage(site: Site, senders: &[&str]) -> Stage {
    site.next_hop_at(BEHIND).stage(senders).unwrap()
}

/// swaks on the sender host, from `client`.
fn swaks(stage: &Stage, client: &str, more: &[&str]) -> Output {
    let mut command = stage.sender.command("swaks");
    command.args(["--server", "192.0.2.1", "--local-interface", client]);
    command.args(["--helo", "swaks.example.com"]);
    command.args(["--from", "a@example.com", "--to", "b@example.org", "--timeout", "10"]);
    command.args(more).output().unwrap()
}

/// A Postfix on the sender host that sends all mail through the edge host, from `client`.
fn sending(stage: &Stage, packages: &std::path::Path, client: &str, settings: &[&str]) -> Postfix {
    let settings = settings.iter().map(ToString::to_string);
    let options = Options {
        listen: Some("127.0.0.1:2525".parse().unwrap()),
        relay_to: Some(SocketAddr::new(EDGE_V4, 25)),
        settings: [format!("smtp_bind_address = {client}")].into_iter().chain(settings).collect(),
        ..Options::default()
    };
    let postfix = Postfix::start(packages, Some(&stage.sender), &options).unwrap();
    let submission = "127.0.0.1:2525".parse().unwrap();
    stage
        .sender
        .run(|| {
            let mut client = SmtpClient::connect(None, submission).unwrap();
            client.greet("user.example.com").unwrap();
            let reply = client.deliver("a@example.com", &["b@example.org"], MESSAGE).unwrap();
            assert!(reply.is_positive(), "{reply}");
        })
        .unwrap();
    postfix
}

#[test]
fn postfix_behind_knows_the_client_by_xclient_and_by_proxy() {
    let Some(packages) = needs::root_with(&POSTFIX, &["swaks"]) else { return };
    let listen = Some(BEHIND.parse().unwrap());
    for means in ["xclient", "proxy"] {
        let site = Site::without_kernel().passes_client_by(means);
        let stage = stage(site, &["198.18.1.2", "2001:db8:feed::1"]);
        let options = match means {
            "proxy" => Options { listen_proxy: listen, ..Options::default() },
            _ => Options { listen, ..Options::default() },
        };
        let behind = Postfix::start(&packages, Some(&stage.edge), &options).unwrap();
        let _daemon = stage.start().unwrap();
        for (index, client) in ["198.18.1.2", "2001:db8:feed::1"].into_iter().enumerate() {
            // swaks speaks IPv6 only where a further Perl module is installed.
            if client.contains(':') {
                let mut session = stage.connect(client.parse().unwrap()).unwrap();
                session.greet("swaks.example.com").unwrap();
                let reply = session.deliver("a@example.com", &["b@example.org"], "\n.dot\n");
                assert!(reply.unwrap().is_positive());
            } else {
                let output = swaks(&stage, client, &["--body", ".dot"]);
                assert!(output.status.success(), "{means}: {output:?}");
            }
            let client_is = format!("client=unknown[{client}]");
            behind.wait_for_log(&["smtpd", &client_is], LONG).unwrap();
            let delivered = behind.wait_for_delivered(index + 1, LONG).unwrap();
            let written =
                if client.contains(':') { format!("IPv6:{client}") } else { client.into() };
            let from = format!("from swaks.example.com (unknown [{written}])");
            assert!(
                delivered.iter().any(|message| message.contains(&from)),
                "{means}: {delivered:#?}"
            );
            assert!(delivered.iter().all(|message| message.contains("\n.dot\n")), "{delivered:#?}");
            let record = stage.records(client, "message", 1).unwrap().remove(0);
            assert!(record["next_hop"].as_str().unwrap().contains("queued as"), "{record:#}");
        }
    }
}

#[test]
fn postfix_behind_refuses_in_its_own_words() {
    let Some(packages) = needs::root_with(&POSTFIX, &["swaks"]) else { return };
    let stage = stage(Site::without_kernel(), &["198.18.1.2"]);
    let options = Options {
        listen: Some(BEHIND.parse().unwrap()),
        settings: vec![
            "smtpd_recipient_restrictions = check_recipient_access inline:{nobody@example.org=REJECT}".to_owned(),
            "smtpd_client_restrictions =".to_owned(),
            "message_size_limit = 20000".to_owned(),
        ],
        ..Options::default()
    };
    let behind = Postfix::start(&packages, Some(&stage.edge), &options).unwrap();
    let _daemon = stage.start().unwrap();
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let output = swaks(&stage, "198.18.1.2", &["--to", "nobody@example.org"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("<** 554 5.7.1 <nobody@example.org>"), "{}", said(&output));
    behind.wait_for_log(&["NOQUEUE: reject", "unknown[198.18.1.2]"], LONG).unwrap();
    // Postfix's own limit is announced here as well.
    assert!(said(&output).contains("250-SIZE 20000"), "{}", said(&output));
    let large = "x".repeat(60) + "\\n";
    let output = swaks(&stage, "198.18.1.2", &["--body", &large.repeat(500)]);
    assert!(!output.status.success());
    assert!(said(&output).contains("<** 552 5.3.4"), "{}", said(&output));
    assert_eq!(behind.delivered().unwrap().len(), 0);
}

#[test]
fn postfix_in_front_sends_through_the_gate() {
    let Some(packages) = needs::root_with(&POSTFIX, &["swaks"]) else { return };
    let site = Site::with_kernel().list(
        "proxies",
        "open-proxy",
        "action = \"tag\"",
        "127.0.0.0/8\n198.18.1.2\n",
    );
    let stage = stage(site, &["198.18.1.2"]);
    let options = Options { listen: Some(BEHIND.parse().unwrap()), ..Options::default() };
    let behind = Postfix::start(&packages, Some(&stage.edge), &options).unwrap();
    let _daemon = stage.start().unwrap();
    let sender = sending(&stage, &packages, "198.18.1.2", &[]);
    sender.wait_for_log(&["status=sent", "250 2.0.0 Ok: queued as"], LONG).unwrap();
    let delivered = behind.wait_for_delivered(1, LONG).unwrap().remove(0);
    behind.wait_for_log(&["smtpd", "client=unknown[198.18.1.2]"], LONG).unwrap();
    assert!(delivered.contains("\n.a dot\nbody\n"), "{delivered}");
    assert!(
        delivered.contains(
            "X-Portcullis-Verdict: Open proxy; code=open-proxy; address=198.18.1.2; hop=connect;"
        ),
        "{delivered}"
    );
}

#[test]
fn a_sender_that_is_refused_or_delayed_has_our_words_in_its_log() {
    let Some(packages) = needs::root_with(&POSTFIX, &["swaks"]) else { return };
    let site = Site::without_kernel()
        .list("bad", "local-bad", "label = \"Our own list\"", "198.51.100.66\n")
        .list("proxies", "open-proxy", "action = \"reject-message\"", "198.18.99.0/24\n")
        .list("suspects", "global-bad", "action = \"score\"\nweight = 550", "198.18.0.50\n");
    let stage = site.stage(&["198.51.100.66", "198.18.0.50", "198.18.99.1"]).unwrap();
    let _daemon = stage.start().unwrap();
    let refused = "554 5.7.1 you are not allowed to connect; client [198.51.100.66]; System denied IP: Our own list; reference ";
    // Postfix takes a 5xx greeting for a fault of the host and tries again, unless told otherwise.
    for (client, settings, status, words) in [
        ("198.51.100.66", &[][..], "status=deferred", refused),
        ("198.51.100.66", &["smtp_skip_5xx_greeting = no"], "status=bounced", refused),
        (
            "198.18.0.50",
            &[],
            "status=deferred",
            "451 4.7.1 greylisted, try again in 300 s; client [198.18.0.50]; Greylisted; reference ",
        ),
        (
            "198.18.99.1",
            &[],
            "status=bounced",
            "550 5.7.1 message refused because of connect; client [198.18.99.1]; Open proxy: proxies; reference ",
        ),
    ] {
        let sender = sending(&stage, &packages, client, settings);
        let line = sender.wait_for_log(&[status, words], LONG).unwrap();
        let reference = line.split("reference ").nth(1).unwrap().get(..13).unwrap().to_owned();
        stage
            .home
            .wait_for_audit(&reference, LONG, |record| record["reference"] == reference.as_str())
            .unwrap();
    }
    for (client, code) in [("198.51.100.66", "<** 554 5.7.1"), ("198.18.0.50", "<** 451 4.7.1")] {
        let output = swaks(&stage, client, &[]);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains(code), "{output:?}");
    }
    assert_eq!(stage.next_hop.delivered().len(), 0);
}
