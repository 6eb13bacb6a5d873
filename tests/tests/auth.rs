//! SPF and DKIM: what is proved, and what is not, by a resolver that answers, fails, or says nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway::auth::{Authenticator, Spf};
use harness::dns_server::{Behaviour, DnsServer, Kind, Record};
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;

const LONG: Duration = Duration::from_secs(20);
const MESSAGE: &str = "From: a@example.org\r\nTo: b@example.net\r\nSubject: c\r\n\r\nbody\r\n";

fn server() -> (DnsServer, Authenticator) {
    let server = DnsServer::start("127.0.0.1:0".parse().unwrap()).unwrap();
    let authenticator = Authenticator::new(&[server.address()], Duration::from_secs(5)).unwrap();
    (server, authenticator)
}

/// `message` with a signature of `domain` over `fields`, and the record of its key.
fn signed(message: &str, domain: &str, fields: &[&str], expires_in: u64) -> (String, Record) {
    let key = Ed25519Key::from_pkcs8_der(&Ed25519Key::generate_pkcs8().unwrap()).unwrap();
    let record = format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key()));
    let signature = DkimSigner::from_key(key)
        .domain(domain)
        .selector("key")
        .headers(fields.iter().copied())
        .expiration(expires_in)
        .sign(message.as_bytes())
        .unwrap();
    (format!("{}{message}", signature.to_header()), Record::txt(record))
}

#[tokio::test]
async fn spf_proves_the_domain_of_the_sender_or_of_helo() {
    let (server, authenticator) = server();
    server.add("example.org", Record::txt("v=spf1 ip4:192.0.2.0/28 include:more.example.org -all"));
    server.add("more.example.org", Record::txt("v=spf1 ip6:2001:db8::/32 a:host.example.org ~all"));
    server.add("host.example.org", Record::address([192, 0, 2, 99]));
    server.add("helo.example.org", Record::txt("v=spf1 ip4:192.0.2.7 ?all"));
    server.add("loop.example", Record::txt("v=spf1 include:loop.example -all"));
    server.set("fails.example", Behaviour::ServFail);
    for (client, sender, expected) in [
        ("192.0.2.1", "a@Example.org", Spf::Pass("example.org".into())),
        ("::ffff:192.0.2.1", "a@example.org", Spf::Pass("example.org".into())),
        ("2001:db8::1", "a@example.org", Spf::Pass("example.org".into())),
        ("192.0.2.99", "a@example.org", Spf::Pass("example.org".into())),
        ("192.0.2.98", "a@example.org", Spf::NotPass("fail")),
        ("192.0.2.7", "", Spf::Pass("helo.example.org".into())),
        ("192.0.2.8", "", Spf::NotPass("neutral")),
        ("192.0.2.1", "a@nothing.example", Spf::NotPass("none")),
        ("192.0.2.1", "a@localhost", Spf::NotPass("none")),
        ("192.0.2.1", "a@loop.example", Spf::NotPass("permerror")),
        ("192.0.2.1", "a@fails.example", Spf::Fault),
    ] {
        let client: IpAddr = client.parse().unwrap();
        let spf =
            authenticator.spf(client, "helo.example.org", sender, "mx.example.net", LONG).await;
        assert_eq!(spf, expected, "{client} {sender}");
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_allowed() {
    let (server, authenticator) = server();
    server.set("*", Behaviour::Silent);
    let within = Duration::from_millis(300);
    let client = "192.0.2.1".parse().unwrap();
    let began = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let spf = authenticator.spf(client, "x.example", "a@example.org", "mx.example.net", within);
    assert_eq!(spf.await, Spf::Fault);
    let (message, _) = signed(MESSAGE, "example.org", &["From"], 0);
    let dkim = authenticator.dkim(message.into_bytes(), within).await;
    assert!(dkim.domains.is_empty() && dkim.is_uncertain, "{dkim:?}");
    let took = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().saturating_sub(began);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn dkim_proves_the_domain_that_signed_all_of_the_message() {
    let (server, authenticator) = server();
    let fields = ["From", "To", "Subject"];
    let (good, key) = signed(MESSAGE, "example.org", &fields, 0);
    server.add("key._domainkey.example.org", key);
    let (without_from, key) = signed(MESSAGE, "nofrom.example", &["To"], 0);
    server.add("key._domainkey.nofrom.example", key);
    let (lasting, key) = signed(MESSAGE, "lasting.example", &fields, 3600);
    server.add("key._domainkey.lasting.example", key);
    let (brief, key) = signed(MESSAGE, "brief.example", &fields, 1);
    server.add("key._domainkey.brief.example", key);
    let (keyless, _) = signed(MESSAGE, "keyless.example", &fields, 0);
    let (failing, _) = signed(MESSAGE, "failing.example", &fields, 0);
    server.set("key._domainkey.failing.example", Behaviour::ServFail);
    let (second, key) = signed(&good, "second.example", &fields, 0);
    server.add("key._domainkey.second.example", key);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    for (message, expected) in [
        (good.clone(), &["example.org"][..]),
        (second, &["example.org", "second.example"]),
        (lasting, &["lasting.example"]),
        (format!("Received: from x by y; z\r\n{good}"), &["example.org"]),
        (good.replace("body", "other"), &[]),
        (format!("{good}more\r\n"), &[]),
        (good.replace("From: a", "From: b"), &[]),
        (good.replace("Subject: c", "Subject: d"), &[]),
        (good.replace("d=example.org", "d=second.example"), &[]),
        (without_from, &[]),
        (brief, &[]),
        (keyless, &[]),
        (failing, &[]),
        (MESSAGE.into(), &[]),
        (String::new(), &[]),
    ] {
        let proved = authenticator.dkim(message.clone().into_bytes(), LONG).await.domains;
        assert_eq!(proved, expected, "{message}");
    }
}

#[tokio::test]
async fn of_very_many_signatures_few_are_looked_at() {
    let (server, authenticator) = server();
    let mut message = MESSAGE.to_owned();
    for number in 0..30 {
        message = signed(&message, &format!("d{number}.example"), &["From"], 0).0;
    }
    assert!(authenticator.dkim(message.into_bytes(), LONG).await.domains.is_empty());
    let keys = server.all_queries().iter().filter(|query| query.kind == Kind::TXT).count();
    assert!((10..=20).contains(&keys), "{keys}");
}
