//! TLS with clients and next hops of the world: Python, swaks, openssl, Postfix, Exim.
//!
//! - Clients: STARTTLS and implicit TLS, an old version refused, a new certificate without a restart.
//! - The next hop: TLS used where it is offered, needed where it is required, verified against an authority.
//! - Logins go through under TLS alone, to an Exim that knows one user.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use harness::deadline::wait_for;
use harness::dialogue::play;
use harness::exim::{EXIM, EximServer};
use harness::needs;
use harness::postfix::{Options, POSTFIX, Postfix};
use harness::site::Site;
use harness::stage::{EDGE_V4, Stage};

const LONG: Duration = Duration::from_secs(30);
const CLIENT: &str = "198.18.1.2";
const BEHIND: &str = "127.0.0.1:10030";
const EDGE: SocketAddr = SocketAddr::new(EDGE_V4, 25);

/// A certificate of its own authority for `name`, with its key: certificate alone, then both in one text.
fn certificate(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let both = made.cert.pem() + &made.signing_key.serialize_pem();
    (made.cert.pem(), both)
}

fn site(listener: &str) -> Site {
    Site::without_kernel().listener(listener).tables("[tls]\ncertificate = \"mx1.pem\"")
}

fn stage(site: &Site) -> Stage {
    let stage = site.stage(&[CLIENT]).unwrap();
    stage.home.write("mx1.pem", &certificate("mx1.example.org").1).unwrap();
    stage
}

/// What `openssl s_client` says of the server's certificate and session.
fn openssl(stage: &Stage, more: &[&str]) -> String {
    let mut command = stage.sender.command("openssl");
    command.args(["s_client", "-connect", "192.0.2.1:25", "-showcerts"]).args(more);
    let output = command.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn clients_speak_tls_with_starttls() {
    if !needs::root() || !needs::program("swaks") || !needs::program("openssl") {
        return;
    }
    let stage = stage(&site("tls = \"starttls\""));
    let daemon = stage.start().unwrap();
    let mut swaks = stage.sender.command("swaks");
    swaks.args(["--server", "192.0.2.1", "--local-interface", CLIENT, "--tls"]);
    swaks.args(["--from", "a@example.com", "--to", "b@example.org", "--helo", "c.example.com"]);
    let output = swaks.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let message = stage.next_hop.wait_for_transactions(1, LONG).unwrap().remove(0).message();
    let received = "Received: from c.example.com (unknown [198.18.1.2])";
    assert!(message.starts_with(received) && message.contains(" with ESMTPS id "), "{message}");
    for (version, expected) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = openssl(&stage, &["-starttls", "smtp", version]);
        assert!(said.contains(&format!("New, {expected}")), "{said}");
    }
    let old = openssl(&stage, &["-starttls", "smtp", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    assert!(!old.contains("New, TLSv1.1"), "{old}");

    // Another certificate takes the place of the first one: at once when asked for, by itself a little later.
    for reload in [true, false] {
        let (fresh, both) = certificate("mx1.example.org");
        stage.home.write("mx1.pem", &both).unwrap();
        if reload {
            daemon.hang_up().unwrap();
        }
        let fresh = fresh.replace("\r\n", "\n");
        wait_for("the new certificate", LONG, || {
            let said = openssl(&stage, &["-starttls", "smtp"]);
            Ok(said.contains(fresh.trim()).then_some(()))
        })
        .unwrap();
    }
    // One that cannot be read leaves the last one in force.
    stage.home.write("mx1.pem", "nonsense").unwrap();
    daemon.hang_up().unwrap();
    stage.wait_for_alarm("tls", "no certificate").unwrap();
    assert!(openssl(&stage, &["-starttls", "smtp"]).contains("New, TLSv1.3"));
}

#[test]
fn clients_speak_tls_from_the_first_octet_on() {
    if !needs::root() || !needs::program("python3") {
        return;
    }
    let site = site("tls = \"implicit\"").list("bad", "local-bad", "", "198.18.1.3\n");
    let stage = site.stage(&[CLIENT, "198.18.1.3"]).unwrap();
    stage.home.write("mx1.pem", &certificate("mx1.example.org").1).unwrap();
    let _daemon = stage.start().unwrap();
    let good = "TLS:\nS: 220\nC: STARTTLS\nS: 503 5.5.1 TLS\nC: QUIT\nS: 221\nS: EOF";
    play(&stage.sender, CLIENT.parse().unwrap(), EDGE, good).unwrap();
    let refused = "TLS:\nS: 554 5.7.1 you are not allowed\nC: QUIT\nS: 221\nS: EOF";
    play(&stage.sender, "198.18.1.3".parse().unwrap(), EDGE, refused).unwrap();
    // Whoever speaks in the clear is left, and counted.
    play(&stage.sender, CLIENT.parse().unwrap(), EDGE, "C: EHLO x\nC:\nDROP:").unwrap();
    wait_for("the failed handshake", LONG, || {
        Ok((stage.status_number("/smtp/tls_failures")? == 1).then_some(()))
    })
    .unwrap();
}

/// What a client says to a listener with implicit TLS behind a load balancer, whose header and the first octets of the handshake come in
/// one piece.
const BALANCED: &str = r#"
import socket, ssl, sys, time
cut = int(sys.argv[1])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(heard, said)

def step(action):
    while True:
        try:
            return action()
        except ssl.SSLWantReadError:
            peer.sendall(said.read())
            heard.write(peer.recv(65536))

try:
    tls.do_handshake()
except ssl.SSLWantReadError:
    hello = said.read()
peer = socket.create_connection(("192.0.2.1", 25), 10, ("198.18.1.2", 0))
peer.sendall(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\r\n" + hello[:cut])
time.sleep(0.3)
peer.sendall(hello[cut:])
step(tls.do_handshake)
print(step(lambda: tls.read(4096)))
"#;

#[test]
fn a_handshake_may_come_with_the_header_of_a_load_balancer() {
    if !needs::root() || !needs::program("python3") {
        return;
    }
    let site = site("tls = \"implicit\"\nproxy_from = [\"198.18.1.2\"]");
    let stage = stage(&site.list("bad", "local-bad", "", "203.0.113.9\n"));
    let _daemon = stage.start().unwrap();
    for cut in ["0", "1", "20", "9999"] {
        let mut python = stage.sender.command("python3");
        let output = python.args(["-c", BALANCED, cut]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("554 5.7.1 you are not allowed"), "{cut}: {output:?}");
    }
}

#[test]
fn the_next_hop_is_spoken_to_under_tls() {
    let Some(packages) = needs::root_with(&POSTFIX, &[]) else { return };
    let (authority, both) = certificate("mail.example.org");
    let verified = "tls = \"required\"\ntls_ca_file = \"ca.pem\"\ntls_name = ";
    for (name, keys, offers, code) in [
        ("opportunistic", "tls = \"opportunistic\"".to_owned(), true, 250),
        ("opportunistic without", "tls = \"opportunistic\"".to_owned(), false, 250),
        ("required", "tls = \"required\"\ntls_verify = false".to_owned(), true, 250),
        ("required without", "tls = \"required\"\ntls_verify = false".to_owned(), false, 451),
        ("verified", format!("{verified}\"mail.example.org\""), true, 250),
        ("another name", format!("{verified}\"other.example.org\""), true, 451),
        (
            "an authority of others",
            "tls = \"required\"\ntls_name = \"mail.example.org\"".to_owned(),
            true,
            451,
        ),
    ] {
        let site = Site::without_kernel().next_hop_at(BEHIND);
        let stage = site.stage(&[CLIENT]).unwrap();
        let config =
            site.config().unwrap().replace("[next_hop]\n", &format!("[next_hop]\n{keys}\n"));
        stage.configure(&config).unwrap();
        stage.home.write("ca.pem", &authority).unwrap();
        let key = stage.home.write("mail.pem", &both).unwrap();
        let mut settings = vec!["smtpd_tls_loglevel = 1".to_owned()];
        if offers {
            settings.push("smtpd_tls_security_level = may".to_owned());
            settings.push(format!("smtpd_tls_cert_file = {}", key.display()));
            settings.push(format!("smtpd_tls_key_file = {}", key.display()));
        }
        let listen = Some(BEHIND.parse().unwrap());
        let options = Options { listen, settings, ..Options::default() };
        let behind = Postfix::start(&packages, Some(&stage.edge), &options).unwrap();
        let daemon = stage.start().unwrap();
        let mut client = stage.connect(CLIENT.parse().unwrap()).unwrap();
        client.expect(220).unwrap();
        assert_eq!(client.command("HELO c.example.com").unwrap().code, 250);
        let reply = client.command("MAIL FROM:<a@example.com>").unwrap();
        assert_eq!(reply.code, code, "{name}: {reply}\n{}\n{}", daemon.log(), behind.log());
        let is_secured = behind.log().contains("TLS connection established from");
        assert_eq!(is_secured, offers && code == 250, "{name}: {}", behind.log());
        if code == 451 {
            stage.wait_for_alarm("next-hop", "mail is deferred").unwrap();
        }
    }
}

#[test]
fn logins_go_through_under_tls_alone() {
    let Some(packages) = needs::root_with(&EXIM, &["python3"]) else { return };
    let site = site("tls = \"starttls\"\nauth = \"pass\"")
        .next_hop_at(BEHIND)
        .passes_client_by("none")
        .top("recipient_domains = [\"example.org\"]");
    let stage = stage(&site);
    let behind = EximServer::start(&packages, &stage.edge, BEHIND.parse().unwrap()).unwrap();
    let _daemon = stage.start().unwrap();
    let dialogue = "
        S: 220
        C: HELO c.example.com
        S: 250 mx1
        C: AUTH PLAIN AGEAYg==
        S: 502 5.5.1
        C: STARTTLS
        S: 220
        TLS:
        C: EHLO c.example.com
        S: 250-mx1
        S: 250-PIPELINING
        S: 250-SIZE
        S: 250-CHUNKING
        S: 250-LIMITS
        S: 250-AUTH PLAIN
        L: 250
        C: MAIL FROM:<a@example.com>
        S: 250
        C: RCPT TO:<b@elsewhere.example>
        S: 550 5.7.1 relaying denied
        C: AUTH PLAIN AGEAYg==
        S: 503
        C: RSET
        S: 250
        C: AUTH PLAIN AGEAYw==
        S: 535
        C: AUTH PLAIN
        S: 334
        C: AGEAYg==
        S: 235
        C: AUTH PLAIN AGEAYg==
        S: 50
        C: MAIL FROM:<a@example.com>
        S: 250
        C: RCPT TO:<b@elsewhere.example>
        S: 250
        C: DATA
        S: 354
        C: Subject: x
        C:
        C: x
        C: .
        S: 250
        C: EHLO c.example.com
        L: 250
        C: MAIL FROM:<a@example.com>
        S: 250
        C: RCPT TO:<b@elsewhere.example>
        S: 550 5.7.1 relaying denied
        C: QUIT
        S: 221";
    play(&stage.sender, CLIENT.parse().unwrap(), EDGE, dialogue)
        .unwrap_or_else(|error| panic!("{error}"));
    wait_for("the message", LONG, || Ok(behind.delivered().contains("Subject: x").then_some(())))
        .unwrap();
    assert!(behind.delivered().contains(" with ESMTPSA id "), "{}", behind.delivered());
    let record = stage.records(CLIENT, "message", 1).unwrap().remove(0);
    let reason = record.pointer("/route/reason").cloned();
    assert_eq!(reason, Some("authenticated".into()), "{record:#}");
    let log = std::fs::read_to_string(stage.home.path().join("audit.jsonl")).unwrap();
    assert!(!log.contains("AGEAYg"), "a password in the record");
}

#[test]
fn without_its_certificate_the_daemon_does_not_start() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel()
        .listener("tls = \"starttls\"")
        .tables("[tls]\ncertificate = \"no.pem\"");
    let stage = site.stage(&[CLIENT]).unwrap();
    let output = stage.home.run_in_vain(LONG).unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no.pem") && said.contains("hint:"), "{said}");
}
