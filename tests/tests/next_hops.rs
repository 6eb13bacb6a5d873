//! The same dialogues before Postfix, Exim and OpenSMTPD, in the clear and under TLS.
//!
//! - Each server stands behind the daemon in the way that it can: XCLIENT, PROXY version 2, or nothing but our word.
//! - Each dialogue is played as text; what arrives is compared with what was sent.
//! - One server that is away, and one that comes back: mail waits, and goes to the other one meanwhile.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::net::SocketAddr;
use std::time::Duration;

use harness::deadline::wait_for;
use harness::dialogue::play;
use harness::exim::{EXIM, EximServer};
use harness::needs;
use harness::opensmtpd::{OPENSMTPD, OpenSmtpd};
use harness::postfix::{Options, POSTFIX, Postfix};
use harness::site::Site;
use harness::smtp_server::{Options as Recording, SmtpServer};
use harness::stage::{EDGE_V4, Stage};

const LONG: Duration = Duration::from_secs(20);
const CLIENT: &str = "198.18.1.2";
const BEHIND: &str = "127.0.0.1:10030";
/// Where OpenSMTPD sends what it takes.
const ONWARD: &str = "127.0.0.1:10040";

/// From the greeting on; what EHLO offers is looked at elsewhere.
const START: &str = "
    S: 220 mx1.example.org ESMTP
    C: HELO client.example.com
    S: 250 mx1.example.org";

/// Each with a name, and with what has to be in the message that arrives; all of them go on in one session.
const DIALOGUES: [(&str, &str, &str); 4] = [
    (
        "dots, and the small commands",
        "
        C: NOOP
        S: 250
        C: VRFY b
        S: 252
        C: HELP
        S: 214
        C: MAIL FROM:<a@example.com>
        S: 250
        C: RSET
        S: 250
        C: MAIL FROM:<a@example.com>
        S: 250
        C: RCPT TO:<b@example.org>
        S: 250
        C: DATA
        S: 354
        R: Subject: dots\\r\\n\\r\\n..\\r\\n...two\\r\\n.\\r\\n
        S: 250",
        "\n.\n..two\n",
    ),
    (
        "pieces",
        "
        C: MAIL FROM:<>
        S: 250
        C: RCPT TO:<b@example.org>
        S: 250
        R: BDAT 17\\r\\nSubject: pieces\\r\\nBDAT 9 LAST\\r\\n\\r\\n.\\r\\nend\\n
        S: 250 2.0.0 17 octets taken
        S: 550 5.6.11
        C: MAIL FROM:<>
        S: 250
        C: RCPT TO:<b@example.org>
        S: 250
        R: BDAT 17\\r\\nSubject: pieces\\r\\nBDAT 10 LAST\\r\\n\\r\\n.\\r\\nend\\r\\n
        S: 250 2.0.0 17 octets taken
        S: 250",
        "\n\n.\nend\n",
    ),
    (
        "smuggling",
        "
        C: MAIL FROM:<a@example.com>
        S: 250
        C: RCPT TO:<b@example.org>
        S: 250
        C: DATA
        S: 354
        R: Subject: x\\r\\n\\r\\na\\n.\\nMAIL FROM:<evil@example.net>\\r\\n.\\r\\n
        S: 550 5.6.11
        C: MAIL FROM:<a@example.com>
        S: 250
        C: RCPT TO:<b@example.org>
        S: 250
        C: DATA
        S: 354
        R: Subject: x\\r\\n\\r\\na\\r\\n.\\rMAIL FROM:<evil@example.net>\\r\\n.\\r\\n
        S: 550 5.6.11
        C: MAIL FROM:<a@example.com>
        S: 250
        C: RCPT TO:<b@example.org>
        S: 250
        C: DATA
        S: 354
        R: Subject: x\\r\\n\\r\\na\\0b\\r\\n.\\r\\n
        S: 550 5.6.0
        C: NOOP
        S: 250",
        "",
    ),
    (
        "two recipients, all commands at once",
        "
        R: MAIL FROM:<a@example.com>\\r\\nRCPT TO:<b@example.org>\\r\\nRCPT TO:<x>\\r\\nRCPT TO:<c@example.org>\\r\\nDATA\\r\\n
        S: 250
        S: 250
        S: 501 5.1.3
        S: 250
        S: 354
        R: Subject: two\\r\\n\\r\\nfor two\\r\\n.\\r\\n
        S: 250
        C: QUIT
        S: 221
        S: EOF",
        "\nfor two\n",
    ),
];

/// The stage of `site`, with the certificate that clients are shown.
fn stage(site: &Site) -> Stage {
    let stage = site.stage(&[CLIENT]).unwrap();
    let key = rcgen::generate_simple_self_signed(["mx1.example.org".to_owned()]).unwrap();
    let pem = key.cert.pem() + &key.signing_key.serialize_pem();
    stage.home.write("mx1.pem", &pem).unwrap();
    stage
}

/// A site whose next hop listens at [`BEHIND`].
fn site(means: &'static str) -> Site {
    let site = Site::without_kernel()
        .next_hop_at(BEHIND)
        .listener("tls = \"starttls\"")
        .passes_client_by(means)
        .tables("[tls]\ncertificate = \"mx1.pem\"");
    if means == "none" { site.top("recipient_domains = [\"example.org\"]") } else { site }
}

/// Plays all dialogues in one session, in the clear or under TLS.
fn play_all(stage: &Stage, tls: bool) {
    let edge = SocketAddr::new(EDGE_V4, 25);
    let mut script = START.to_owned();
    if tls {
        // What is said in the clear behind STARTTLS is nobody's word.
        script.push_str(
            "
            R: STARTTLS\\r\\nMAIL FROM:<injected@example.net>\\r\\n
            S: 220 2.0.0
            TLS:
            C: MAIL FROM:<a@example.com>
            S: 503 5.5.1 send HELO
            C: HELO client.example.com
            S: 250 mx1.example.org",
        );
    }
    for (_name, dialogue, _arrives) in DIALOGUES {
        script.push_str(dialogue);
    }
    play(&stage.sender, CLIENT.parse().unwrap(), edge, &script)
        .unwrap_or_else(|error| panic!("tls {tls}: {error}\n{script}"));
}

/// Both ways, then what has arrived: each message twice, and nothing else.
fn check(stage: &Stage, arrived: impl Fn() -> String) {
    for tls in [false, true] {
        play_all(stage, tls);
    }
    for (name, _dialogue, arrives) in DIALOGUES.iter().filter(|(.., arrives)| !arrives.is_empty()) {
        wait_for(name, LONG, || {
            let count = arrived().matches(arrives).count();
            Ok((count >= 2).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{name}: {error}\n{}", arrived()));
    }
    let all = arrived();
    assert!(!all.contains("evil") && !all.contains("injected"), "{all}");
    let ours = format!("Received: from client.example.com (unknown [{CLIENT}])");
    assert!(all.contains(&ours), "{all}");
    assert!(all.contains("by mx1.example.org (Portcullis) with SMTP id "), "{all}");
}

#[test]
fn before_postfix() {
    let Some(packages) = needs::root_with(&POSTFIX, &["python3"]) else { return };
    let stage = stage(&site("xclient"));
    let options = Options { listen: Some(BEHIND.parse().unwrap()), ..Options::default() };
    let behind = Postfix::start(&packages, Some(&stage.edge), &options).unwrap();
    let _daemon = stage.start().unwrap();
    check(&stage, || behind.delivered().unwrap().join("\n"));
}

#[test]
fn before_exim() {
    let Some(packages) = needs::root_with(&EXIM, &["python3"]) else { return };
    let stage = stage(&site("none"));
    let behind = EximServer::start(&packages, &stage.edge, BEHIND.parse().unwrap()).unwrap();
    let _daemon = stage.start().unwrap();
    check(&stage, || behind.delivered());
}

#[test]
fn before_opensmtpd() {
    let Some(packages) = needs::root_with(&OPENSMTPD, &["python3"]) else { return };
    let stage = stage(&site("proxy-v2"));
    let onward: SocketAddr = ONWARD.parse().unwrap();
    let recording = Recording::default().without("XCLIENT").without("SMTPUTF8");
    let onward_server = stage.edge.run(|| SmtpServer::start(onward, recording)).unwrap().unwrap();
    let own = "127.0.0.1".parse().unwrap();
    let listen = BEHIND.parse().unwrap();
    let _behind =
        OpenSmtpd::start_behind_proxy(&packages, &stage.edge, listen, own, onward).unwrap();
    let _daemon = stage.start().unwrap();
    check(&stage, || {
        let taken = onward_server.transactions();
        let texts = taken.iter().map(|transaction| transaction.message().replace("\r\n", "\n"));
        texts.collect::<Vec<_>>().join("\n")
    });
}

#[test]
fn mail_goes_to_the_next_hop_that_answers() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel();
    let stage = site.stage(&[CLIENT]).unwrap();
    let two = "[\"127.0.0.1:10050\", \"127.0.0.1:10025\"]";
    let config = site.config().unwrap().replace("\"{next_hop}\"", two);
    stage.configure(&config).unwrap();
    let _daemon = stage.start().unwrap();
    let send = |subject: &str| {
        let mut client = stage.greeted(CLIENT).unwrap();
        let message = format!("Subject: {subject}\n\nx\n");
        client.deliver("a@example.com", &["b@example.org"], &message).unwrap()
    };
    assert!(send("one").is_positive());
    stage.next_hop.wait_for_transactions(1, LONG).unwrap();
    stage.wait_for_alarm("next-hop", "127.0.0.1:10050").unwrap();
    let first: SocketAddr = "127.0.0.1:10050".parse().unwrap();
    let better =
        stage.edge.run(|| SmtpServer::start(first, Recording::default())).unwrap().unwrap();
    stage.wait_for_no_alarm("next-hop").unwrap();
    assert!(send("two").is_positive());
    better.wait_for_transactions(1, LONG).unwrap();
    let status = stage.status().unwrap();
    let up = status.pointer("/next_hops/0/up").cloned();
    assert_eq!(up, Some(true.into()), "{status:#}");
}
