//! Senders that are scored: who waits on the greylist, who is exempt, who is refused so often that the kernel does it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

use std::thread::sleep;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::deadline::wait_for;
use harness::dns_server::{DnsServer, Record};
use harness::needs;
use harness::site::Site;
use harness::smtp_client::{Attempt, Reply};
use harness::smtp_server::{Answer, Stage as At};
use harness::stage::Stage;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

/// A bit more than `WAITS` says.
const WAIT: Duration = Duration::from_millis(2200);
const WAITS: &str =
    "[dns]\nresolvers = [\"127.0.0.1:53\"]\nbudget = \"1s\"\n[greylist]\nwait = \"2s\"\n";

const SUSPECT: &str = "198.51.100.7";
const NEIGHBOUR: &str = "198.51.100.200";
const OTHER: &str = "203.0.113.9";
const SPAMMER: &str = "198.18.0.66";

const SENDER: &str = "a@example.com";
const RECIPIENT: &str = "b@example.org";
const MESSAGE: &str = "From: a@example.com\r\nTo: b@example.org\r\nSubject: c\r\n\r\nbody\r\n";

/// Whom the list `suspects` makes wait, and whom `spammers` has refused.
fn scored(keys: &str) -> Site {
    Site::without_kernel()
        .tables(WAITS)
        .tables(&format!("[score]\n{keys}"))
        .list(
            "suspects",
            "global-bad",
            "action = \"score\"\nweight = 550",
            "198.51.100.0/24\n203.0.113.0/24\n2001:db8:5ca1::/48\n",
        )
        .list("spammers", "global-bad", "action = \"score\"\nweight = 700", "198.18.0.0/24\n")
}

/// The resolver of the edge host, which knows nothing at first.
fn resolver(stage: &Stage) -> DnsServer {
    stage.edge.run(|| DnsServer::start("127.0.0.1:53".parse().unwrap())).unwrap().unwrap()
}

/// What `client` hears when it names each recipient in a connection of its own.
fn tries(stage: &Stage, client: &str, sender: &str, recipients: &[&str]) -> Vec<Reply> {
    let mut session = stage.greeted(client).unwrap();
    assert_eq!(session.command(&format!("MAIL FROM:<{sender}>")).unwrap().code, 250);
    let mut named = |to: &&str| session.command(&format!("RCPT TO:<{to}>")).unwrap();
    let replies = recipients.iter().map(&mut named).collect();
    session.send_line("QUIT").unwrap();
    session.expect(221).unwrap();
    replies
}

fn codes(replies: &[Reply]) -> Vec<u16> {
    replies.iter().map(|reply| reply.code).collect()
}

fn send(stage: &Stage, client: &str, sender: &str, message: &str) -> Reply {
    let mut session = stage.greeted(client).unwrap();
    let reply = session.deliver(sender, &[RECIPIENT], message).unwrap();
    session.send_line("QUIT").unwrap();
    session.expect(221).unwrap();
    reply
}

fn json(stage: &Stage, arguments: &[&str]) -> Value {
    stage.home.cli_json(&[arguments, &["--json"]].concat()).unwrap()
}

fn plain(stage: &Stage, arguments: &[&str]) -> String {
    let output = stage.home.cli(arguments).unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The line of the log about the decision in `record`.
fn log_line(log: &str, record: &Value) -> String {
    let reference = format!("ref={}", record["reference"].as_str().unwrap());
    let line = log.lines().find(|line| line.contains(&reference));
    line.unwrap_or_default().to_owned()
}

/// S3.4, S3.5, S3.6: greeted, put off with a 4xx at RCPT until the wait has passed, then delivered; log, reply and record agree.
#[test]
fn a_suspect_waits_and_passes_with_its_whole_network() {
    if !needs::root() {
        return;
    }
    let stage = scored("").stage(&[SUSPECT, NEIGHBOUR, OTHER]).unwrap();
    let _dns = resolver(&stage);
    let daemon = stage.start().unwrap();
    // Before its time it hears the same again.
    let [first, early] = [(); 2].map(|()| tries(&stage, SUSPECT, SENDER, &[RECIPIENT]).remove(0));
    let early = early.to_string();
    assert!(early.starts_with("451 4.7.1 greylisted, try again in "), "{early}");
    let record = &stage.records(SUSPECT, "recipient", 2).unwrap()[0];
    let reference = record["reference"].as_str().unwrap();
    let expected = format!(
        "451 4.7.1 greylisted, try again in 2 s; client [{SUSPECT}]; Greylisted; reference {reference}"
    );
    assert_eq!(first.to_string(), expected);
    assert_eq!(record["reply"], json!(expected));
    assert_eq!(
        (&record["verdict"], &record["code"], &record["action"]),
        (&json!("Greylisted"), &json!("greylist"), &json!("defer"))
    );
    assert_eq!((&record["score"], &record["band"]), (&json!(550), &json!("delay")));
    assert_eq!((&record["delay_from"], &record["reject_above"]), (&json!(500), &json!(600)));
    assert_eq!(record["evidence"], json!([{"name": "list:suspects", "weight": 550}]));
    assert_eq!(record["envelope"]["recipients"], json!([RECIPIENT]));
    let greylisted = &record["greylisted"];
    assert_eq!(
        (&greylisted["pool"], &greylisted["tries"], &greylisted["seconds_left"]),
        (&json!("198.51.100.0/24"), &json!(1), &json!(2))
    );
    let line = log_line(&daemon.log(), record);
    for part in [
        "recipient verdict=\"Greylisted\" code=greylist action=defer",
        "score=550 band=delay delay_from=500 reject_above=600 evidence=list:suspects:550",
        "pool=198.51.100.0/24 tries=1 seconds_left=2",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }

    let records = stage.records(SUSPECT, "recipient", 2).unwrap();
    assert_eq!(records[1]["greylisted"]["tries"], 1, "the second came too early to count");
    assert!(stage.next_hop.delivered().is_empty());

    sleep(WAIT);
    assert_eq!(send(&stage, SUSPECT, SENDER, MESSAGE).code, 250);
    assert_eq!(stage.next_hop.delivered().len(), 1);
    // Its network is known now, whoever sends to whomever, a bounce included.
    assert_eq!(send(&stage, NEIGHBOUR, "", MESSAGE).code, 250);
    assert_eq!(codes(&tries(&stage, NEIGHBOUR, "x@example.net", &["y@example.org"])), [250]);
    // Another one is not.
    assert_eq!(codes(&tries(&stage, OTHER, SENDER, &["y@example.org"])), [451]);

    // What it learned is there after a kill.
    daemon.kill().unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(codes(&tries(&stage, NEIGHBOUR, "z@example.net", &["z@example.org"])), [250]);
    sleep(WAIT);
    assert_eq!(codes(&tries(&stage, OTHER, SENDER, &["y@example.org"])), [250]);
}

/// S3.6: each recipient is answered for itself; who bounces, waits and passes like all others.
#[test]
fn each_recipient_has_its_own_wait() {
    if !needs::root() {
        return;
    }
    let stage = scored("").stage(&["2001:db8:5ca1::1", "2001:db8:5ca1::2", SUSPECT]).unwrap();
    let _dns = resolver(&stage);
    let _daemon = stage.start().unwrap();
    let client = "2001:db8:5ca1::1";
    assert_eq!(codes(&tries(&stage, client, SENDER, &["b@example.org"])), [451]);
    sleep(WAIT);
    let all = ["c@example.org", "b@example.org", "c@example.org", "d@example.org"];
    assert_eq!(codes(&tries(&stage, "2001:db8:5ca1::2", SENDER, &all)), [451, 250, 250, 250]);
    // A bounce.
    assert_eq!(codes(&tries(&stage, SUSPECT, "", &["b@example.org"])), [451]);
    sleep(WAIT);
    // Another sender to the same recipient has not waited.
    assert_eq!(codes(&tries(&stage, SUSPECT, SENDER, &["b@example.org"])), [451]);
    assert_eq!(send(&stage, SUSPECT, "", MESSAGE).code, 250);
    let record = &stage.records(SUSPECT, "recipient", 2).unwrap()[0];
    assert_eq!(record["envelope"]["sender"], "");
}

/// S3.5: `static` puts off at connect with a 421, each time; what is above the limit is a 5xx in both modes.
#[test]
fn static_scores_each_try_anew_and_reject_is_a_5xx() {
    if !needs::root() {
        return;
    }
    for mode in ["static", "greylist"] {
        let stage = scored(&format!("delay_mode = \"{mode}\"")).stage(&[SUSPECT, SPAMMER]).unwrap();
        let _dns = resolver(&stage);
        let daemon = stage.start().unwrap();
        let hears = |client: &str| {
            stage.connect(client.parse().unwrap()).unwrap().reply().unwrap().to_string()
        };
        if mode == "static" {
            for _ in 0..2 {
                let reply = hears(SUSPECT);
                assert!(reply.starts_with("421 4.7.1 try again later; "), "{reply}");
            }
            sleep(WAIT);
            assert!(hears(SUSPECT).starts_with("421 4.7.1 "));
            for record in stage.records(SUSPECT, "connect", 3).unwrap() {
                let found = (&record["verdict"], &record["code"], &record["action"]);
                assert_eq!(
                    found,
                    (&json!("IP reputation tempfail"), &json!("iprep-delay"), &json!("defer"))
                );
                assert_eq!(record["greylisted"], Value::Null);
                let line = log_line(&daemon.log(), &record);
                assert!(line.contains("code=iprep-delay action=defer"), "{line}");
            }
        }
        let reply = hears(SPAMMER);
        assert!(reply.starts_with("554 5.7.1 you are not allowed to connect; "), "{reply}");
        let record = &stage.records(SPAMMER, "connect", 1).unwrap()[0];
        let found = (&record["code"], &record["action"], &record["band"], &record["reply"]);
        assert_eq!(
            found,
            (&json!("iprep-reject"), &json!("reject"), &json!("reject"), &json!(reply))
        );
        let line = log_line(&daemon.log(), record);
        let score =
            "score=700 band=reject delay_from=500 reject_above=600 evidence=list:spammers:700";
        assert!(line.contains("code=iprep-reject action=reject") && line.contains(score), "{line}");
    }
}

/// S3.4: each piece of evidence has its name and weight, in `lookup` too; a forged HELO is known at RCPT only.
#[test]
fn evidence_of_helo_adds_to_the_score_of_the_connection() {
    if !needs::root() {
        return;
    }
    let site =
        scored("").list("more", "global-bad", "action = \"score\"\nweight = 10", "198.51.100.7\n");
    let stage = site.stage(&[SUSPECT]).unwrap();
    let _dns = resolver(&stage);
    let daemon = stage.start().unwrap();
    let evidence =
        json!([{"name": "list:suspects", "weight": 550}, {"name": "list:more", "weight": 10}]);
    let answer = &json(&stage, &["lookup", SUSPECT])[0];
    assert_eq!(
        (&answer["score"], &answer["band"], &answer["evidence"]),
        (&json!(560), &json!("delay"), &evidence)
    );
    assert_eq!((&answer["delay_from"], &answer["reject_above"]), (&json!(500), &json!(600)));
    let output = stage.home.cli(&["lookup", SUSPECT]).unwrap();
    assert_eq!(output.status.code(), Some(1), "it would wait: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("560, delay (delay from 500, reject above 600)"), "{text}");
    assert!(text.contains("list:suspects +550") && text.contains("list:more +10"), "{text}");

    let mut session = stage.connect(SUSPECT.parse().unwrap()).unwrap();
    session.greet("mx1.example.org").unwrap();
    assert_eq!(session.command("MAIL FROM:<a@example.com>").unwrap().code, 250);
    let reply = session.command("RCPT TO:<b@example.org>").unwrap().to_string();
    assert!(reply.starts_with("554 5.7.1 "), "{reply}");
    let record = &stage.records(SUSPECT, "recipient", 1).unwrap()[0];
    assert_eq!((&record["code"], &record["score"]), (&json!("iprep-reject"), &json!(710)));
    assert_eq!(record["evidence"][2], json!({"name": "helo:forged", "weight": 150}));
    let line = log_line(&daemon.log(), record);
    let expected = "score=710 band=reject delay_from=500 reject_above=600 evidence=list:suspects:550 evidence=list:more:10 evidence=helo:forged:150";
    assert!(line.contains(expected), "{line}");
}

/// What a mail provider has: addresses in 40 networks, of which each try takes another.
fn pool() -> Vec<String> {
    (0..40).map(|number| format!("198.19.{number}.5")).collect()
}

/// The try that passes, of tries that come with the wait between them.
fn passing_try(policy: Option<&str>) -> usize {
    let pool = pool();
    let site = scored("").list(
        "providers",
        "global-bad",
        "action = \"score\"\nweight = 550",
        "198.19.0.0/16\n",
    );
    let senders: Vec<_> = pool.iter().map(String::as_str).collect();
    let stage = site.stage(&senders).unwrap();
    let dns = resolver(&stage);
    if let Some(policy) = policy {
        dns.spf("example.com", policy);
    }
    let _daemon = stage.start().unwrap();
    for number in 1..=5 {
        let client = &pool[number * 17 % 40];
        if send(&stage, client, SENDER, MESSAGE).code == 250 {
            assert_eq!(stage.next_hop.delivered().len(), 1);
            return number;
        }
        sleep(WAIT);
    }
    0
}

/// S3.6: a pool of 40 addresses in 40 networks is not starved.
#[test]
fn a_pool_passes_by_its_third_try_and_with_spf_by_its_second() {
    if !needs::root() {
        return;
    }
    assert_eq!(passing_try(None), 3);
    assert_eq!(passing_try(Some("v=spf1 ip4:198.19.0.0/16 -all")), 2);
    // A policy that does not have these addresses proves nothing.
    assert_eq!(passing_try(Some("v=spf1 ip4:192.0.2.0/24 -all")), 3);
}

/// S3.6: who waits and who passes can be seen, and be told.
#[test]
fn senders_are_shown_let_pass_and_forgotten() {
    if !needs::root() {
        return;
    }
    let stage = scored("").stage(&[SUSPECT, NEIGHBOUR, OTHER]).unwrap();
    let _dns = resolver(&stage);
    let _daemon = stage.start().unwrap();
    assert_eq!(codes(&tries(&stage, SUSPECT, SENDER, &[RECIPIENT])), [451]);
    assert_eq!(codes(&tries(&stage, OTHER, SENDER, &[RECIPIENT])), [451]);
    let shown = json(&stage, &["senders", "show", SUSPECT]);
    assert_eq!(shown["waiting"].as_array().unwrap().len(), 1, "{shown:#}");
    let row = &shown["waiting"][0];
    assert_eq!(
        (&row["pool"], &row["sender"], &row["recipient"]),
        (&json!("198.51.100.0/24"), &json!(SENDER), &json!(RECIPIENT))
    );
    assert_eq!(json(&stage, &["senders", "show", "192.0.2.1"])["waiting"], json!([]));
    let text = plain(&stage, &["senders"]);
    for part in ["198.51.100.0/24", "203.0.113.0/24", "<a@example.com> to <b@example.org>, tries 1"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }

    let passing = json(&stage, &["senders", "pass", SUSPECT, "--reason", "a partner"]);
    assert_eq!(passing, json!({"pool": "198.51.100.0/24", "until": null}));
    assert_eq!(codes(&tries(&stage, NEIGHBOUR, "x@example.net", &[RECIPIENT])), [250]);
    let text = plain(&stage, &["senders", "pass", OTHER, "--for", "1d"]);
    assert!(text.starts_with("203.0.113.0/24 passes until "), "{text}");
    assert_eq!(codes(&tries(&stage, OTHER, SENDER, &[RECIPIENT])), [250]);
    let passed = &json(&stage, &["senders", "show", SUSPECT])["passed"][0];
    assert_eq!(
        (&passed["pool"], &passed["reason"], &passed["until"]),
        (&json!("198.51.100.0/24"), &json!("a partner"), &Value::Null)
    );
    assert!(passed["author"].is_string(), "{passed}");
    assert!(plain(&stage, &["senders", "show", SUSPECT]).contains("for ever, by "));

    let forgotten = json(&stage, &["senders", "forget", SUSPECT]);
    assert_eq!(forgotten["passed"], 1, "{forgotten}");
    assert_eq!(codes(&tries(&stage, NEIGHBOUR, "x@example.net", &[RECIPIENT])), [451]);
    let text = plain(&stage, &["senders", "forget", OTHER]);
    assert!(text.starts_with("forgotten: ") && text.contains("1 that passed"), "{text}");
    assert_eq!(codes(&tries(&stage, OTHER, "x@example.net", &[RECIPIENT])), [451]);
}

fn auto(stage: &Stage) -> Vec<String> {
    let shown = json(stage, &["list", "show", "auto"]);
    let entries = shown.as_array().unwrap();
    entries.iter().map(|entry| entry["prefix"].as_str().unwrap().to_owned()).collect()
}

fn wait_for_auto(stage: &Stage, expected: &[&str]) {
    let what = format!("{expected:?} in the list auto");
    wait_for(&what, Duration::from_secs(30), || Ok((auto(stage) == expected).then_some(())))
        .unwrap();
}

fn refuse(stage: &Stage, client: &str, times: usize) {
    for _ in 0..times {
        let mut session = stage.connect(client.parse().unwrap()).unwrap();
        assert_eq!(session.expect(554).unwrap().code, 554);
        session.send_line("QUIT").unwrap();
        session.expect(221).unwrap();
    }
}

/// S3.5: what the score refuses only the daemon can; who is refused three times is refused by the kernel, for a while.
#[test]
fn who_is_refused_again_and_again_goes_into_the_kernel() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel()
        .tables(WAITS)
        .tables(
            "[promotion]\nrefusals = 3\nwindow = \"1m\"\nduration = \"10s\"\nmost = 1\nkernel = \"reset\"",
        )
        .list("spammers", "global-bad", "action = \"score\"\nweight = 700", "198.18.0.0/24\n");
    let stage = site.stage(&[SPAMMER, "198.18.0.67"]).unwrap();
    let _dns = resolver(&stage);
    let daemon = stage.start().unwrap();
    let is_reset =
        || matches!(stage.attempt(SPAMMER.parse().unwrap(), LONG).unwrap(), Attempt::Refused);
    refuse(&stage, SPAMMER, 2);
    assert_eq!(auto(&stage), [] as [&str; 0]);
    refuse(&stage, SPAMMER, 1);
    wait_for_auto(&stage, &[SPAMMER]);
    wait_for("the kernel", LONG, || Ok(is_reset().then_some(()))).unwrap();
    let answer = &json(&stage, &["lookup", SPAMMER])[0];
    assert_eq!((&answer["code"], &answer["action"]), (&json!("auto-deny-ip"), &json!("reject")));
    assert_eq!(answer["kernel"]["list"], "auto", "{answer:#}");

    let removed = json(&stage, &["list", "remove", "auto", SPAMMER]);
    assert_eq!(removed["done"], json!(format!("removed {SPAMMER}")));
    assert!(!is_reset());
    refuse(&stage, SPAMMER, 3);
    wait_for_auto(&stage, &[SPAMMER]);
    // There is room for one.
    refuse(&stage, "198.18.0.67", 3);
    stage.wait_for_alarm("promotion", "the list auto is full with 1 entries").unwrap();
    // It goes by itself.
    wait_for_auto(&stage, &[]);
    wait_for("the end in the kernel", LONG, || Ok((!is_reset()).then_some(()))).unwrap();
    daemon.terminate().unwrap();
}

/// Waits, hops of messages, the next hop's own no, and networks that are known say nothing about an address.
#[test]
fn nobody_is_promoted_for_anything_else() {
    if !needs::root() {
        return;
    }
    let site = scored("").tables("[promotion]\nrefusals = 2\n").list(
        "hops",
        "open-proxy",
        "action = \"reject-message\"",
        "198.18.99.0/24\n",
    );
    let clean = "198.18.7.7";
    let stage = site.stage(&[SUSPECT, SPAMMER, clean]).unwrap();
    let _dns = resolver(&stage);
    let _daemon = stage.start().unwrap();
    let received =
        "Received: from x (x [198.18.99.7]) by mx.example.net; Mon, 1 Jan 2024 12:00:00 +0000\r\n";
    for number in 0..3 {
        let sender = format!("a{number}@example.com");
        assert_eq!(codes(&tries(&stage, SUSPECT, &sender, &[RECIPIENT])), [451]);
        let by_hop = send(&stage, clean, SENDER, &format!("{received}{MESSAGE}"));
        assert_eq!(by_hop.code, 550, "{by_hop}");
    }
    stage.next_hop.answer(At::Message, "", Answer::Reply("550 5.6.0 not here".to_owned()));
    for _ in 0..3 {
        assert_eq!(send(&stage, clean, SENDER, MESSAGE).code, 550);
    }
    json(&stage, &["senders", "pass", SPAMMER]);
    refuse(&stage, SPAMMER, 3);
    sleep(Duration::from_secs(1));
    assert_eq!(auto(&stage), [] as [&str; 0]);
    // Without that word it is.
    json(&stage, &["senders", "forget", SPAMMER]);
    refuse(&stage, SPAMMER, 2);
    wait_for_auto(&stage, &[SPAMMER]);
}

/// `MESSAGE` with a signature of `example.com`, and the record of its key.
fn signed() -> (String, Record) {
    let key = Ed25519Key::from_pkcs8_der(&Ed25519Key::generate_pkcs8().unwrap()).unwrap();
    let record = format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key()));
    let signature = DkimSigner::from_key(key)
        .domain("example.com")
        .selector("key")
        .headers(["From", "To", "Subject"])
        .sign(MESSAGE.as_bytes())
        .unwrap();
    (format!("{}{MESSAGE}", signature.to_header()), Record::txt(record))
}

/// S3.7, S3.8: the score stops no mail of an exempt domain that SPF or DKIM proves, at the message alone, and nothing else does.
#[test]
fn the_score_does_not_stop_who_is_exempt_and_proves_it() {
    if !needs::root() {
        return;
    }
    let (allowed, forger, listed) = (SPAMMER, "198.18.0.99", "198.18.5.5");
    for keys in ["exempt_domains = [\"example.com\"]", "exempt_file = \"exempt.txt\""] {
        let site = scored(&format!("connect = false\n{keys}"))
            .list("bad", "local-bad", "", "198.18.5.0/24\n")
            .list("hops", "open-proxy", "action = \"reject-message\"", "198.18.99.0/24\n");
        let stage = site.stage(&[allowed, forger, listed]).unwrap();
        // Shared with whoever else has such a list.
        stage.home.write("exempt.txt", "# partners\nexample.com\n").unwrap();
        let dns = resolver(&stage);
        dns.spf("example.com", &format!("v=spf1 ip4:{allowed} ip4:{listed} -all"));
        let (proved, key) = signed();
        dns.add("key._domainkey.example.com", key);
        let _daemon = stage.start().unwrap();
        assert_eq!(send(&stage, allowed, SENDER, MESSAGE).code, 250);
        let record = &stage.records(allowed, "message", 1).unwrap()[0];
        assert_eq!(
            (&record["verdict"], &record["code"], &record["exempt"], &record["score"]),
            (&json!("Exempt"), &json!("exempt"), &json!("example.com"), &json!(700))
        );
        for (name, client, sender, message, expected) in [
            ("SPF fails", forger, SENDER, MESSAGE.to_owned(), 554),
            (
                "a forged author",
                allowed,
                SENDER,
                MESSAGE.replace("From: a@example.com", "From: a@example.net"),
                554,
            ),
            ("another sender", allowed, "a@example.net", MESSAGE.to_owned(), 554),
            ("a broken signature", forger, SENDER, proved.replace("body", "other"), 554),
            (
                "a hop that a list refuses",
                allowed,
                SENDER,
                format!(
                    "Received: from x (x [198.18.99.7]) by mx.example.net; Mon, 1 Jan 2024 12:00:00 +0000\r\n{MESSAGE}"
                ),
                550,
            ),
            ("a signature", forger, SENDER, proved.clone(), 250),
        ] {
            let reply = send(&stage, client, sender, &message);
            assert_eq!(reply.code, expected, "{name}: {reply}");
        }
        // S3.7: only against the score.
        refuse(&stage, listed, 1);
        let delivered = stage.next_hop.delivered();
        assert_eq!(delivered.len(), 2);
        let message = delivered.last().unwrap().message();
        assert!(message.ends_with(&proved), "it comes as it was, behind our own field: {message}");
        let exempt = wait_for("the record", LONG, || {
            let mut records = stage.home.audit()?.into_iter();
            Ok(records.rfind(|it| it["client"] == forger && it["code"] == "exempt"))
        });
        assert_eq!(exempt.unwrap()["exempt"], "example.com");
    }
}

/// S3.7: each of the two points of use is switched by itself.
#[test]
fn each_point_of_use_is_switched_by_itself() {
    if !needs::root() {
        return;
    }
    for (connect, message) in [(true, false), (false, true), (false, false)] {
        let keys = format!("connect = {connect}\nmessage = {message}");
        let stage = scored(&keys).stage(&[SPAMMER]).unwrap();
        let _dns = resolver(&stage);
        let _daemon = stage.start().unwrap();
        if connect {
            refuse(&stage, SPAMMER, 1);
        } else {
            let expected = if message { 554 } else { 250 };
            assert_eq!(send(&stage, SPAMMER, SENDER, MESSAGE).code, expected);
        }
    }
}
