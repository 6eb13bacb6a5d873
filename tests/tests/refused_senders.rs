//! Clients that the kernel refuses, over a cable: what they hear, in native and generic mode, however they behave.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::fs;
use std::time::Duration;

use harness::deadline::wait_for;
use harness::needs;
use harness::netns::NetNs;
use harness::site::Site;
use harness::smtp_client::End;
use harness::stage::Stage;

/// How long something may take on a busy machine.
const LONG: Duration = Duration::from_secs(20);

const REFUSED: [&str; 2] = ["198.51.100.66", "2001:db8:bad::66"];
const WRITTEN: [&str; 2] = ["198.51.100.66", "2001:0db8:0bad:0000:0000:0000:0000:0066"];
const CLEAN: &str = "198.18.0.1";

fn stage(mode: &str) -> Stage {
    let xdp = format!("interfaces = [\"eth0\"]\nmode = \"{mode}\"\n");
    let site = Site::with_kernel().xdp(&xdp).list("bad", "local-bad", "", &REFUSED.join("\n"));
    site.stage(&[REFUSED[0], REFUSED[1], CLEAN]).unwrap()
}

/// How many RSTs a host has sent: one for each segment of a connection that it knows nothing of.
fn resets(host: &NetNs) -> u64 {
    let text = host.run(|| fs::read_to_string("/proc/thread-self/net/snmp")).unwrap().unwrap();
    let mut tcp = text.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (tcp.next().unwrap(), tcp.next().unwrap());
    let mut pairs = names.split(' ').zip(values.split(' '));
    pairs.find(|(name, _)| *name == "OutRsts").unwrap().1.parse().unwrap()
}

#[test]
fn every_kind_of_client_hears_the_554_and_no_rst() {
    if !needs::root() {
        return;
    }
    for mode in ["native", "generic"] {
        let stage = stage(mode);
        let daemon = stage.start().unwrap();
        let before = resets(&stage.edge);
        for (client, written) in REFUSED.into_iter().zip(WRITTEN) {
            let connect = || stage.connect(client.parse().unwrap()).unwrap();
            let told = client;
            let words = format!("you are not allowed to connect [{written}] ref ");

            let mut polite = connect();
            let greeting = polite.expect(554).unwrap().text();
            assert!(greeting.contains(&words), "{mode}: {greeting}");
            let reference = greeting.rsplit(' ').next().unwrap();
            let why = stage.home.cli_json(&["why", "--json", "--client", told, reference]).unwrap();
            assert_eq!((&why["list"], &why["client"]), (&"bad".into(), &true.into()), "{why}");
            polite.send_line("EHLO client.example.com").unwrap();
            polite.expect(503).unwrap();
            polite.send_line("quit").unwrap();
            polite.expect(221).unwrap();
            assert_eq!(polite.ended().unwrap(), End::Closed, "{mode}");

            let mut silent = connect();
            silent.expect(554).unwrap();
            assert_eq!(silent.finish().unwrap(), End::Closed, "{mode}");

            // It does not even wait for the 554, and closes with it unread.
            drop(connect());

            let mut early = connect();
            early.send_line("EHLO client.example.com").unwrap();
            early.expect(554).unwrap();
            early.send_line("QUIT").unwrap();
            // Whether its EHLO is answered, too, depends on which was on the way first, EHLO or 554.
            let reply = early.reply().unwrap();
            if reply.code == 503 {
                early.expect(221).unwrap();
            } else {
                assert_eq!(reply.code, 221, "{mode}");
            }
            assert_eq!(early.ended().unwrap(), End::Closed, "{mode}");

            let mut talker = connect();
            talker.expect(554).unwrap();
            for _ in 0..8 {
                assert_eq!(talker.command("NOOP").unwrap().code, 503);
            }
            assert_eq!(talker.command("NOOP").unwrap().code, 221);
            assert_eq!(talker.ended().unwrap(), End::Closed, "{mode}");
        }
        let number = |name| stage.status_number(&format!("/xdp/counters/{name}/packets")).unwrap();
        assert_eq!((number("refused"), number("dropped"), number("reset")), (10, 0, 0), "{mode}");
        assert_eq!(resets(&stage.edge), before, "{mode}: nothing of it reached the host");
        let mut records = stage.home.audit().unwrap();
        records.retain(|record| record["phase"] != "kernel");
        assert!(records.is_empty(), "{mode}: the daemon saw somebody: {records:?}");
        daemon.terminate().unwrap();
    }
}

#[test]
fn a_connection_of_an_address_that_becomes_listed_goes_on() {
    if !needs::root() {
        return;
    }
    let stage = stage("native");
    let daemon = stage.start().unwrap();
    let mut client = stage.connect(CLEAN.parse().unwrap()).unwrap();
    client.greet("client.example.com").unwrap();
    stage.home.write("bad.txt", &format!("{}\n{CLEAN}", REFUSED.join("\n"))).unwrap();
    wait_for("the kernel to refuse it", LONG, || {
        let mut next = stage.connect(CLEAN.parse().unwrap())?;
        let greeting = next.reply()?.code;
        next.send_line("QUIT")?;
        Ok((greeting == 554 && stage.status_number("/xdp/counters/refused/packets")? > 0)
            .then_some(()))
    })
    .unwrap();
    // Its judgement at the end of the data is the daemon's, by the new rules; the connection is whole.
    let long = format!("Subject: long\n\n{}\n", "x".repeat(60).repeat(50));
    let reply = client.deliver("a@example.com", &["b@example.org"], &long).unwrap();
    assert!(reply.code >= 250, "{reply}");
    client.send_line("QUIT").unwrap();
    assert_eq!(client.ended().unwrap(), End::Closed);
    daemon.terminate().unwrap();
}
