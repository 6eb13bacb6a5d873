//! Mail under a flood of SYNs with forged sources: who gets through, and that forging a good sender's address shuts nobody out.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::io::{Write as _, stdout};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use harness::daemon::Daemon;
use harness::deadline::{Deadline, wait_for};
use harness::needs;
use harness::netns::run;
use harness::site::Site;
use harness::smtp_client::SmtpClient;
use harness::stage::Stage;
use harness::syn_burst::{Burst, syns_from};

const LONG: Duration = Duration::from_secs(10);
const EDGE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 25);

/// A sender of mail, and two of whom nobody has heard: one in a quiet network, one in a network of the flood.
const REGULAR: &str = "203.0.113.7";
const NEWCOMER: &str = "100.64.9.7";
const SENDERS: [&str; 2] = [REGULAR, NEWCOMER];

/// Forged sources: every second one in the network of [`REGULAR`], the others in 198.18.0.0/20, each of its networks in turn.
fn forged(number: u32) -> Ipv4Addr {
    let host = number.wrapping_mul(40_503);
    if number.is_multiple_of(2) {
        neighbour([203, 0, 113, 7], host)
    } else {
        Ipv4Addr::from_bits(u32::from_be_bytes([198, 18, 0, 0]) | host >> 1 & 0x0fff)
    }
}

/// Another address of the same /24, above those that are used here.
fn neighbour([a, b, c, _]: [u8; 4], number: u32) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, 8 + u8::try_from(number % 240).unwrap())
}

fn stage(flood: &str) -> (Stage, Daemon) {
    let site = Site::with_kernel().tables(flood);
    let stage = site.stage(&SENDERS).unwrap();
    // What the flood fills up; the default depends on the memory of the machine.
    run(stage.edge.command("sysctl").args(["-qw", "net.ipv4.tcp_max_syn_backlog=128"])).unwrap();
    let daemon = stage.start().unwrap();
    (stage, daemon)
}

fn flood_table(action: &str, rest: &str) -> String {
    format!("[xdp.flood]\naction = \"{action}\"\nper_network = 2\nburst = 10\n{rest}")
}

/// A client that was greeted, as soon as one is. What answers a SYN cookie is sent once, and a server that never got it says
/// nothing, so a sender that hears nothing for a second connects again, as mail servers do after minutes.
fn greeted(stage: &Stage, address: &str) -> SmtpClient {
    let mut client = wait_for("a greeting", LONG, || {
        let mut client = stage.connect(address.parse()?)?;
        client.set_patience(Duration::from_secs(1));
        Ok(client.greet("sender.example.com").is_ok().then_some(client))
    })
    .unwrap();
    client.set_patience(LONG);
    client
}

/// Delivers a message; how long all of that took, from the SYN on.
fn deliver(stage: &Stage, client: &str) -> Duration {
    let begun = Deadline::after(LONG);
    let mut client = greeted(stage, client);
    let reply = client.deliver("a@example.com", &["b@example.org"], "Subject: x\n\nx\n").unwrap();
    assert_eq!(reply.code, 250, "{}", reply.text());
    client.command("QUIT").unwrap();
    begun.elapsed()
}

/// What `work` comes to during a flood.
fn during_flood<T>(stage: &Stage, work: impl FnOnce() -> T) -> (T, Burst) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let begun = Deadline::after(LONG);
            let sources = (0..).take_while(|_| !stop.load(Ordering::Relaxed)).map(forged);
            let sent = stage.sender.run(|| syns_from(EDGE, sources).unwrap()).unwrap();
            Burst { sent, elapsed: begun.elapsed() }
        });
        let stopper = Stopper(&stop);
        let result = work();
        drop(stopper);
        (result, sender.join().unwrap())
    })
}

/// Stops the flood when the work is done, or has failed.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn packets(stage: &Stage, outcome: &str) -> u64 {
    stage.status_number(&format!("/xdp/counters/outcomes/{outcome}/packets")).unwrap()
}

/// Sends SYNs from forged neighbours of `client`; how many of them were dropped as part of a flood.
fn dropped_of(stage: &Stage, client: [u8; 4], count: u32) -> u64 {
    let before = packets(stage, "flood-dropped");
    let sources = (0..count).map(|number| neighbour(client, number));
    stage.sender.run(|| syns_from(EDGE, sources).unwrap()).unwrap();
    packets(stage, "flood-dropped") - before
}

/// How many SYN cookies the edge host has sent.
fn cookies(stage: &Stage) -> u64 {
    let output = run(stage.edge.command("cat").arg("/proc/net/netstat")).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let mut fields = || lines.next().unwrap().split_whitespace();
    let (names, numbers) = (fields(), fields());
    let mut found = names.zip(numbers).filter(|(name, _)| *name == "SyncookiesSent");
    found.next().unwrap().1.parse().unwrap()
}

#[test]
fn under_a_flood_of_forged_sources_mail_goes_on() {
    if !needs::root() {
        return;
    }
    for action in ["drop", "observe"] {
        let (stage, daemon) = stage(&flood_table(action, "engage_above = 100"));
        let quiet = deliver(&stage, REGULAR);
        assert_eq!(packets(&stage, "flood-dropped") + packets(&stage, "flood-observed"), 0);
        let before = cookies(&stage);
        let (mut times, burst) = during_flood(&stage, || {
            thread::sleep(Duration::from_secs(1));
            let rounds = 0..5;
            rounds.flat_map(|_| SENDERS.map(|client| deliver(&stage, client))).collect::<Vec<_>>()
        });
        times.sort();
        let [dropped, observed] =
            ["flood-dropped", "flood-observed"].map(|outcome| packets(&stage, outcome));
        let rate = u128::from(burst.sent) * 1000 / burst.elapsed.as_millis().max(1);
        say(&format!(
            "{action}: {} SYNs, {rate} a second; {dropped} dropped, {observed} observed, {} cookies; mail took {:?} before, {:?} to {:?} during it",
            burst.sent,
            cookies(&stage) - before,
            quiet,
            times.first().unwrap(),
            times.last().unwrap(),
        ));
        // Half of them are of 198.18.0.0/20, whose 16 networks have a burst of ten each, and two a second after that.
        let (beyond, other) =
            if action == "drop" { (dropped, observed) } else { (observed, dropped) };
        assert_eq!(other, 0, "{action}");
        assert!(beyond > burst.sent / 10, "{action}: {beyond} of {}", burst.sent);
        assert!(cookies(&stage) > before, "{action}: what passes is the host's to defend");
        daemon.terminate().unwrap();
    }
}

/// The plan: everybody is limited, all the time. Forged neighbours of a sender are dropped, until it has delivered mail; from then on
/// they are not, also after a restart. Nobody else becomes known by that.
#[test]
fn a_network_is_known_from_its_first_accepted_connection_on() {
    if !needs::root() {
        return;
    }
    let (stage, daemon) = stage(&flood_table("drop", "engage_above = 0"));
    let (regular, stranger) = ([203, 0, 113, 7], [198, 51, 100, 7]);
    assert!(dropped_of(&stage, regular, 100) >= 80);
    assert!(dropped_of(&stage, stranger, 100) >= 80);
    // Two tokens come back in a second.
    wait_for("a delivery", LONG, || {
        let mut client = stage.greeted(REGULAR)?;
        Ok(client.command("QUIT").ok())
    })
    .unwrap();
    wait_for("a known network", LONG, || Ok((dropped_of(&stage, regular, 50) == 0).then_some(())))
        .unwrap();
    assert!(dropped_of(&stage, stranger, 100) >= 80);
    assert_eq!(stage.status_number("/smtp/known_lost").unwrap(), 0);

    daemon.kill().unwrap();
    let daemon = stage.start().unwrap();
    assert_eq!(dropped_of(&stage, regular, 100), 0, "after a restart");
    assert!(dropped_of(&stage, stranger, 100) >= 80);

    // A reload puts other limits in force at once.
    let site = Site::with_kernel().tables(&flood_table("observe", "engage_above = 0"));
    stage.configure(&site.config().unwrap()).unwrap();
    daemon.hang_up().unwrap();
    wait_for("the end of the reload", LONG, || Ok(daemon.log().contains("done").then_some(())))
        .unwrap();
    assert_eq!(dropped_of(&stage, stranger, 100), 0);
    assert!(packets(&stage, "flood-observed") >= 80);
    assert_eq!(stage.alarm("restart").unwrap(), None);
    daemon.terminate().unwrap();
}

/// Tells a measured number to whoever looks at the output.
fn say(text: &str) {
    writeln!(stdout(), "{text}").unwrap_or_default();
}
