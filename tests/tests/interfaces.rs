//! Interfaces and addresses that come, go and flap while the daemon runs: filtered at once, without a leak.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

use std::net::SocketAddr;
use std::time::Duration;
use std::{fs, thread};

use aya::programs::loaded_links;
use gateway::host::Watch;
use harness::daemon::Daemon;
use harness::deadline::wait_for;
use harness::needs;
use harness::netns::{NetNs, run, veth};
use harness::site::Site;
use harness::smtp_client::{Attempt, SmtpClient};
use harness::stage::Stage;
use serde_json::Value;

/// Within what a change must be in force: half of what it takes without the kernel's notices.
const AT_ONCE: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(10);

const BAD: &str = "198.51.100.66";
/// The edge's address on its second cable.
const SECOND: &str = "192.0.3.1:25";

fn stage() -> Stage {
    let interfaces = "interfaces = [\"eth0\", \"eth1\"]\naction = \"reset\"\n";
    let site = Site::with_kernel().xdp(interfaces).list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&[BAD]).unwrap();
    join_second(&stage);
    stage
}

/// Lays a second cable, which the sender uses for the edge's address on it.
fn join_second(stage: &Stage) {
    veth(&stage.edge, "eth1", &stage.sender, "eth1").unwrap();
    stage.edge.addresses("eth1", &["192.0.3.1/24"]).unwrap();
    stage.sender.addresses("eth1", &["192.0.3.2/24"]).unwrap();
    stage.sender.attach_pass_program("eth1").unwrap();
}

/// Whether the kernel of the edge resets a connection from the bad sender to `edge`; the daemon would answer it.
fn is_filtered(stage: &Stage, edge: &str) -> bool {
    let edge: SocketAddr = edge.parse().unwrap();
    let attempt = || SmtpClient::attempt(Some(BAD.parse().unwrap()), edge, AT_ONCE).unwrap();
    matches!(stage.sender.run(attempt).unwrap(), Attempt::Refused)
}

fn wait_until_filtered(stage: &Stage, edge: &str) {
    let look = || Ok(is_filtered(stage, edge).then_some(()));
    wait_for("a reset by the kernel", AT_ONCE, look).unwrap();
}

#[test]
fn changes_of_interfaces_and_addresses_are_heard() {
    if !needs::root() {
        return;
    }
    let host = NetNs::new("host").unwrap();
    let watch = host.run(|| Watch::open().unwrap()).unwrap();
    for command in [
        "link add eth0 type veth peer name peer0",
        "link set eth0 up",
        "address add 192.0.2.1/24 dev eth0",
        "address add 2001:db8::1/64 dev eth0 nodad",
        "address del 192.0.2.1/24 dev eth0",
        "link set eth0 down",
        "link set eth0 mtu 1400",
        "link set eth0 name eth1",
        "link delete eth1",
    ] {
        host.ip(command).unwrap();
        let told = || Ok(watch.has_changed().then_some(()));
        wait_for(command, LONG, told).unwrap();
        // The kernel may tell of IPv6 addresses a little later.
        wait_for("quiet", LONG, || {
            thread::sleep(Duration::from_millis(50));
            Ok((!watch.has_changed()).then_some(()))
        })
        .unwrap();
    }
    host.ip("route add blackhole 198.51.100.0/24").unwrap();
    assert!(!watch.has_changed(), "routes are not listened to");
    // More than the kernel keeps for a listener that does not listen.
    host.ip("link add eth0 type veth peer name peer0").unwrap();
    let changes = "link set eth0 mtu 1300\nlink set eth0 mtu 1400\n".repeat(1000);
    let batch = std::env::temp_dir().join(host.name());
    fs::write(&batch, changes).unwrap();
    let done = host.ip(&format!("-batch {}", batch.display()));
    fs::remove_file(&batch).unwrap();
    done.unwrap();
    assert!(watch.has_changed(), "though some were lost");
    assert!(!watch.has_changed(), "all of them are one change");
    host.ip("link set eth0 up").unwrap();
    assert!(watch.has_changed(), "listens on");
}

#[test]
fn an_interface_made_anew_is_filtered_at_once_and_the_others_go_on() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    for _round in 0..4 {
        assert!(is_filtered(&stage, "192.0.2.1:25") && is_filtered(&stage, SECOND));
        stage.edge.ip("link delete eth1").unwrap();
        stage.wait_for_alarm("xdp:eth1", "no such interface").unwrap();
        assert!(is_filtered(&stage, "192.0.2.1:25"));
        join_second(&stage);
        wait_until_filtered(&stage, SECOND);
        stage.wait_for_no_alarm("xdp:eth1").unwrap();
    }
    assert_eq!(links_of(&stage, "eth0").len(), 2, "one for each interface");
    daemon.terminate().unwrap();
}

#[test]
fn an_address_that_the_host_gets_later_is_filtered_at_once() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    for number in 10..14 {
        let address = format!("192.0.2.{number}");
        stage.edge.addresses("eth0", &[format!("{address}/24")]).unwrap();
        wait_until_filtered(&stage, &format!("{address}:25"));
    }
    daemon.terminate().unwrap();
}

#[test]
fn flapping_leaves_one_link_and_no_leak() {
    if !needs::root() {
        return;
    }
    let stage = stage();
    let daemon = stage.start().unwrap();
    assert!(is_filtered(&stage, SECOND));
    let before = (links_of(&stage, "eth0"), files_of(&daemon));
    for round in 0..60 {
        stage.edge.ip("link set eth1 down").unwrap();
        stage.edge.ip("link set eth1 up").unwrap();
        if round % 10 == 0 {
            thread::sleep(Duration::from_millis(250));
        }
    }
    wait_until_filtered(&stage, SECOND);
    assert_eq!(before.0, links_of(&stage, "eth0"), "the program never left the interface");
    // Whole life cycles of the interface, some of them between two looks of the daemon.
    for round in 0..12 {
        stage.edge.ip("link delete eth1").unwrap();
        join_second(&stage);
        thread::sleep(Duration::from_millis(40 * (round % 4)));
    }
    wait_until_filtered(&stage, SECOND);
    assert!(is_filtered(&stage, "192.0.2.1:25"));
    stage.wait_for_no_alarm("xdp:eth1").unwrap();
    assert_eq!(links_of(&stage, "eth0").len(), 2);
    let files = || Ok((files_of(&daemon) <= before.1).then_some(()));
    wait_for("no more open files than before", LONG, files).unwrap();
    daemon.terminate().unwrap();
}

/// The numbers of all links of the program that runs on `interface` of the edge.
fn links_of(stage: &Stage, interface: &str) -> Vec<u32> {
    let mut command = stage.edge.command("ip");
    let shown = run(command.args(["-json", "link", "show", interface])).unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let program = shown[0]["xdp"]["prog"]["id"].as_u64().unwrap();
    let ours = loaded_links()
        // Links of others may go while they are looked at.
        .filter_map(Result::ok)
        .filter(|link| u64::from(link.program_id()) == program);
    let mut links: Vec<u32> = ours.map(|link| link.id()).collect();
    links.sort_unstable();
    links
}

fn files_of(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().count()
}
