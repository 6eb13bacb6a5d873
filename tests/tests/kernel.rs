//! What the kernel does with real connections: refuses, drops, counts or passes them, with and without its daemon.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::io::{Write as _, stdout};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use harness::deadline::{Deadline, wait_for};
use harness::needs;
use harness::netns::{NetNs, run, veth};
use harness::site::Site;
use harness::smtp_client::{Attempt, SmtpClient};
use harness::smtp_server::{Options, SmtpServer};
use harness::stage::{EDGE_V4, Stage};
use serde_json::{Value, json};

const SHORT: Duration = Duration::from_millis(700);
const LONG: Duration = Duration::from_secs(10);

/// What a client at `address` meets at port 25: `refused`, `silence`, or the first line that it is told.
fn meets(stage: &Stage, address: &str) -> String {
    seen(stage.attempt(address.parse().unwrap(), SHORT).unwrap())
}

fn seen(attempt: Attempt) -> String {
    match attempt {
        Attempt::Refused => "refused".to_owned(),
        Attempt::TimedOut => "silence".to_owned(),
        Attempt::Unreachable(errno) => format!("unreachable: {errno}"),
        Attempt::Connected(mut client) => client.reply().unwrap().code.to_string(),
    }
}

/// What `status` says at a JSON pointer.
fn status(stage: &Stage, pointer: &str) -> Value {
    let status = stage.status().unwrap();
    status.pointer(pointer).cloned().unwrap_or_else(|| panic!("no {pointer} in {status:#}"))
}

fn packets(stage: &Stage, counter: &str) -> u64 {
    stage.status_number(&format!("/xdp/counters/{counter}/packets")).unwrap()
}

/// Tells a measured number to whoever looks at the output.
fn say(text: &str) {
    writeln!(stdout(), "{text}").unwrap_or_default();
}

#[test]
fn each_sender_meets_what_its_lists_say() {
    if !needs::root() {
        return;
    }
    let rows = [
        ("198.51.100.66", "refused"),
        ("203.0.113.77", "refused"),
        ("203.0.113.10", "220"),
        ("198.19.7.7", "silence"),
        ("198.18.3.3", "554"),
        ("198.18.4.4", "220"),
        ("198.18.5.5", "554"),
        ("198.18.6.6", "421"),
        ("198.18.1.2", "220"),
        ("2001:db8:bad::66", "refused"),
        ("2001:db8:bad::10", "220"),
        ("2001:db8:feed::1", "220"),
    ];
    let site = Site::with_kernel()
        .list("good", "local-good", "", "203.0.113.10\n2001:db8:bad::10\n")
        .list("bad", "local-bad", "", "198.51.100.66\n203.0.113.0/24\n2001:db8:bad::/48\n")
        .list("drop", "global-bad", "kernel = \"drop\"", "198.19.0.0/16\n")
        .list("count", "global-bad", "kernel = \"count\"", "198.18.3.0/24\n")
        .list("dry", "global-bad", "enforce = false", "198.18.4.0/24\n")
        .list("off", "global-bad", "kernel = \"off\"", "198.18.5.0/24\n")
        .list("defer", "global-bad", "action = \"defer\"", "198.18.6.0/24\n");
    let stage = site.stage(&rows.map(|(address, _)| address)).unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(status(&stage, "/xdp/mode"), "native");
    assert_eq!(status(&stage, "/xdp/reason"), Value::Null);
    for (address, expected) in rows {
        assert_eq!(meets(&stage, address), expected, "{address}");
    }
    let lists = status(&stage, "/xdp/counters/lists");
    for (list, action, expected) in
        [("bad", "reset", 3), ("count", "count", 1), ("dry", "count", 1), ("good", "off", 2)]
    {
        assert_eq!(lists[list][action]["packets"], expected, "{list} {action} in {lists:#}");
    }
    // A dropped SYN is sent again after a second.
    assert!(lists["drop"]["drop"]["packets"].as_u64().unwrap() >= 1, "{lists:#}");
    assert_eq!(packets(&stage, "reset"), 3);
    // What the kernel did not answer the daemon did, by the same lists.
    for (client, code, enforced) in [
        ("198.18.3.3", "global-deny-ip", true),
        ("198.18.4.4", "global-deny-ip", false),
        ("198.18.5.5", "global-deny-ip", true),
        ("203.0.113.10", "sys-allow-ip", true),
        ("2001:db8:bad::10", "sys-allow-ip", true),
        ("2001:db8:feed::1", "accept", true),
    ] {
        let record = &stage.records(client, "connect", 1).unwrap()[0];
        assert_eq!((&record["code"], &record["enforced"]), (&json!(code), &json!(enforced)));
    }
    for client in ["198.51.100.66", "198.19.7.7", "2001:db8:bad::66"] {
        stage.records(client, "connect", 0).unwrap();
    }
}

#[test]
fn every_packet_of_the_cable_is_in_one_counter() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&["198.51.100.66", "198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    let counted = || {
        let counters = status(&stage, "/xdp/counters");
        let sum = |counts: &Value| {
            let all = counts.as_object().unwrap().values();
            all.map(|count| count["packets"].as_u64().unwrap()).sum::<u64>()
        };
        let total = sum(&counters["outcomes"]);
        let by_action = ["refused", "refused_dialogue", "dropped", "reset", "passed"];
        let by_action = by_action.map(|action| counters[action]["packets"].as_u64().unwrap());
        assert_eq!(by_action.iter().sum::<u64>(), total, "{counters:#}");
        total
    };
    let sent = || {
        let output = run(stage.sender.command("ip").args(["-s", "-j", "link", "show", "eth0"]));
        let links = serde_json::from_slice::<Value>(&output.unwrap().stdout).unwrap();
        links[0]["stats64"]["tx"]["packets"].as_u64().unwrap()
    };
    // The two numbers are read one after the other, and hosts chatter: they agree in a quiet moment.
    let distance = || {
        let (before, counted, after) = (sent(), counted(), sent());
        Ok((before == after).then(|| after - counted))
    };
    let at_start = wait_for("a quiet moment", LONG, distance).unwrap();
    for _ in 0..5 {
        assert_eq!(meets(&stage, "198.51.100.66"), "refused");
        let mut client = stage.greeted("198.18.1.2").unwrap();
        let message = format!(
            "Subject: x\n\n{}",
            "a line of sixty-four letters or so, to fill packets\n".repeat(300)
        );
        assert_eq!(
            client.deliver("a@example.com", &["b@example.org"], &message).unwrap().code,
            250
        );
    }
    let now =
        wait_for("the same distance", LONG, || Ok(distance()?.filter(|now| *now == at_start)));
    now.unwrap();
    assert_eq!(packets(&stage, "reset"), 5);
}

#[test]
fn other_ports_and_traffic_that_only_passes_through_are_left_alone() {
    if !needs::root() {
        return;
    }
    let listed = "198.51.100.66";
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&[listed]).unwrap();
    let behind = NetNs::new("behind").unwrap();
    veth(&stage.edge, "eth1", &behind, "eth0").unwrap();
    stage.edge.addresses("eth1", &["198.18.200.1/24"]).unwrap();
    behind.addresses("eth0", &["198.18.200.2/24"]).unwrap();
    behind.ip("route add default via 198.18.200.1").unwrap();
    stage.sender.ip("route add 198.18.200.0/24 via 192.0.2.1").unwrap();
    run(stage.edge.command("sysctl").args(["-qw", "net.ipv4.ip_forward=1"])).unwrap();
    let serve = |netns: &NetNs, address: &str| {
        let address = address.parse().unwrap();
        netns.run(|| SmtpServer::start(address, Options::default()).unwrap()).unwrap()
    };
    let _mail_behind = serve(&behind, "198.18.200.2:25");
    let _submission = serve(&stage.edge, "192.0.2.1:587");
    let _daemon = stage.start().unwrap();
    let attempt = |to: &str| {
        let (from, to) = (listed.parse().unwrap(), to.parse::<SocketAddr>().unwrap());
        seen(stage.sender.run(|| SmtpClient::attempt(Some(from), to, SHORT).unwrap()).unwrap())
    };
    assert_eq!(attempt("192.0.2.1:25"), "refused");
    assert_eq!(attempt("192.0.2.1:587"), "220");
    assert_eq!(attempt("198.18.200.2:25"), "220");
    // The other address of the edge host is its own as well.
    assert_eq!(attempt("198.18.200.1:25"), "refused");
    assert_eq!(packets(&stage, "reset"), 2);
    assert!(packets(&stage, "outcomes/not-own") > 0);
    assert!(packets(&stage, "outcomes/other-port") > 0);
}

#[test]
fn a_changed_list_is_in_force_within_a_second_or_so() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel()
        .list("good", "local-good", "", "# nobody\n")
        .list("bad", "local-bad", "", "203.0.113.1\n")
        .list("doubtful", "local-bad", "action = \"defer\"", "203.0.113.2\n");
    let stage = site.stage(&["203.0.113.77", "198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    let in_force = |what: &str, file: &str, text: &str, address: &str, expected: &str| {
        stage.home.write(file, text).unwrap();
        let deadline = Deadline::after(LONG);
        wait_for(what, LONG, || Ok((meets(&stage, address) == expected).then_some(()))).unwrap();
        let took = deadline.elapsed();
        say(&format!("{what}: in force after {took:?}"));
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
    };
    let listed = "203.0.113.1\n203.0.113.0/24\n";
    let (kernel, daemon) = ("203.0.113.77", "198.18.1.2");
    in_force("added, kernel", "bad.txt", listed, kernel, "refused");
    in_force("good added, kernel", "good.txt", "203.0.113.77\n", kernel, "220");
    in_force("good removed, kernel", "good.txt", "192.0.2.99\n", kernel, "refused");
    in_force("removed, kernel", "bad.txt", "203.0.113.1\n", kernel, "220");
    in_force("added, daemon", "doubtful.txt", "203.0.113.2\n198.18.0.0/16\n", daemon, "421");
    in_force("good added, daemon", "good.txt", "198.18.1.0/24\n", daemon, "220");
    in_force("good removed, daemon", "good.txt", "192.0.2.99\n", daemon, "421");
    in_force("removed, daemon", "doubtful.txt", "203.0.113.2\n", daemon, "220");
}

/// The plan: a listed sender connects without a pause in one thread. Meanwhile the daemon is killed and started again,
/// several times. Not one of the connections may be completed, nor may the kernel's counters ever go back.
#[test]
fn the_filter_outlives_its_daemon_and_is_taken_over_without_a_gap() {
    if !needs::root() {
        return;
    }
    let listed: IpAddr = "198.51.100.66".parse().unwrap();
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&["198.51.100.66", "198.18.1.2"]).unwrap();
    let mut daemon = Some(stage.start().unwrap());
    assert_eq!(status(&stage, "/xdp/interfaces/0/adopted"), false);
    let link = link_id(&stage);
    let stop = AtomicBool::new(false);
    let (mut attempts, mut resets) = (0, 0);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let attempts = stage.sender.run(|| {
                let mut attempts = 0_u64;
                while !stop.load(Ordering::SeqCst) {
                    let attempt =
                        SmtpClient::attempt(Some(listed), SocketAddr::new(EDGE_V4, 25), SHORT);
                    let attempt = attempt.unwrap();
                    assert!(matches!(attempt, Attempt::Refused), "attempt {attempts}: {attempt:?}");
                    attempts += 1;
                }
                attempts
            });
            attempts.unwrap()
        });
        let mut work = || -> anyhow::Result<()> {
            for round in 0..4 {
                let earlier = daemon.take().unwrap();
                if round % 2 == 0 {
                    earlier.kill()?;
                } else {
                    assert!(earlier.terminate()?.success());
                }
                // Nobody is at home: an unlisted sender is refused by the host itself, the listed one by the kernel filter.
                assert_eq!(meets(&stage, "198.18.1.2"), "refused");
                daemon = Some(stage.start()?);
                assert_eq!(status(&stage, "/xdp/interfaces/0/adopted"), true);
                assert_eq!(status(&stage, "/xdp/interfaces/0/mode"), "native");
                assert_eq!(link_id(&stage), link);
                assert_eq!(meets(&stage, "198.18.1.2"), "220");
                let now = packets(&stage, "reset");
                assert!(now > resets, "{now} after {resets}");
                resets = now;
            }
            Ok(())
        };
        let worked = work();
        stop.store(true, Ordering::SeqCst);
        attempts = sender.join().unwrap();
        worked.unwrap();
    });
    // Every attempt was counted, those at times without a daemon too.
    say(&format!("{attempts} attempts, none completed"));
    assert_eq!(packets(&stage, "reset"), attempts);
    stage.records("198.51.100.66", "connect", 0).unwrap();
}

/// The number of the link on the edge's cable, as the kernel has it.
fn link_id(stage: &Stage) -> u64 {
    let output = run(stage.edge.command("ip").args(["-j", "-d", "link", "show", "eth0"])).unwrap();
    let links = serde_json::from_slice::<Value>(&output.stdout).unwrap();
    // The program is another one after a restart, the link is not: it is pinned, so its inode stays.
    assert!(links[0]["xdp"]["prog"]["id"].is_u64(), "{links:#}");
    let mut find = stage.edge.command("find");
    let found = run(find.arg(stage.pin_dir()).args(["-name", "*eth0*", "-printf", "%i"]));
    String::from_utf8(found.unwrap().stdout).unwrap().parse().unwrap()
}

#[test]
fn where_the_kernel_is_off_the_daemon_decides_the_same() {
    if !needs::root() {
        return;
    }
    let site = Site::without_kernel().list("good", "local-good", "", "203.0.113.10\n").list(
        "bad",
        "local-bad",
        "",
        "203.0.113.0/24\n2001:db8:bad::/48\n",
    );
    let stage = site.stage(&["203.0.113.10", "203.0.113.77", "2001:db8:bad::66"]).unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(status(&stage, "/xdp/mode"), "off");
    assert_eq!(status(&stage, "/xdp/counters"), Value::Null);
    for (address, expected) in
        [("203.0.113.77", "554"), ("2001:db8:bad::66", "554"), ("203.0.113.10", "220")]
    {
        assert_eq!(meets(&stage, address), expected, "{address}");
    }
}

#[test]
fn interfaces_that_cannot_do_it_are_alarms_and_the_others_go_on() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel()
        .xdp("interfaces = [\"eth0\", \"lo\", \"eth1\", \"nowhere0\"]\naction = \"drop\"\n")
        .list("bad", "local-bad", "", "198.51.100.66\n198.51.100.67\n");
    let stage = site.stage(&["198.51.100.66"]).unwrap();
    let other = NetNs::new("other").unwrap();
    veth(&stage.edge, "eth1", &other, "eth0").unwrap();
    stage.edge.addresses("eth1", &["198.18.200.1/24"]).unwrap();
    other.addresses("eth0", &["198.18.200.2/24", "198.51.100.67/32"]).unwrap();
    stage.edge.ip("route add 198.51.100.67 via 198.18.200.2").unwrap();
    let daemon = stage.start().unwrap();
    let interfaces = status(&stage, "/xdp/interfaces");
    for (index, name, mode, reason) in [
        (0, "eth0", "native", None),
        (1, "lo", "generic", Some("native: ")),
        (2, "eth1", "native", None),
        (3, "nowhere0", "off", Some("no such interface")),
    ] {
        let found = &interfaces[index];
        assert_eq!((&found["interface"], &found["mode"]), (&json!(name), &json!(mode)));
        match reason {
            None => assert_eq!(found["reason"], Value::Null),
            Some(reason) => {
                assert!(found["reason"].as_str().unwrap().contains(reason), "{found:#}");
                stage.wait_for_alarm(&format!("xdp:{name}"), reason).unwrap();
            }
        }
    }
    assert_eq!(status(&stage, "/xdp/mode"), "off");
    assert!(daemon.log().contains("raise about=xdp:nowhere0"));
    assert_eq!(meets(&stage, "198.51.100.66"), "silence");
    let from = Some("198.51.100.67".parse().unwrap());
    let to = "198.18.200.1:25".parse().unwrap();
    let attempt = other.run(|| SmtpClient::attempt(from, to, SHORT).unwrap()).unwrap();
    assert_eq!(seen(attempt), "silence");
    assert!(packets(&stage, "dropped") >= 2);
}

#[test]
fn generic_mode_is_enough_where_nothing_better_is_to_be_had() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel()
        .xdp("interfaces = [\"eth0\"]\nmode = \"generic\"\naction = \"reset\"\n")
        .list("bad", "local-bad", "", "198.51.100.66\n2001:db8:bad::66\n");
    let stage = site.stage(&["198.51.100.66", "2001:db8:bad::66", "198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    assert_eq!(status(&stage, "/xdp/mode"), "generic");
    for (address, expected) in
        [("198.51.100.66", "refused"), ("2001:db8:bad::66", "refused"), ("198.18.1.2", "220")]
    {
        assert_eq!(meets(&stage, address), expected, "{address}");
    }
}

#[test]
fn a_dry_run_of_everything_refuses_nobody_and_records_all() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel()
        .top("enforce = false")
        .list("good", "local-good", "", "203.0.113.10\n")
        .list("bad", "local-bad", "", "198.51.100.66\n203.0.113.0/24\n")
        .list("score", "global-bad", "action = \"score\"\nweight = 900", "198.18.1.2\n");
    let stage = site.stage(&["198.51.100.66", "203.0.113.10", "198.18.1.2"]).unwrap();
    let _daemon = stage.start().unwrap();
    for (client, code, action) in [
        ("198.51.100.66", "sys-deny-ip", "reject"),
        ("203.0.113.10", "sys-allow-ip", "accept"),
        ("198.18.1.2", "iprep-reject", "reject"),
    ] {
        assert_eq!(meets(&stage, client), "220");
        let record = &stage.records(client, "connect", 1).unwrap()[0];
        assert_eq!((&record["code"], &record["action"]), (&json!(code), &json!(action)));
        assert_eq!(record["enforced"], action == "accept");
    }
    assert_eq!(status(&stage, "/xdp/counters/lists/bad/count/packets"), 1);
    assert_eq!(packets(&stage, "reset"), 0);
}

/// What the sender at `address` meets, once it is what is expected.
fn wait_until_met(stage: &Stage, address: &str, expected: &str) {
    wait_for(&format!("{expected} for {address}"), LONG, || {
        Ok((meets(stage, address) == expected).then_some(()))
    })
    .unwrap();
}

#[test]
fn switched_off_it_leaves_no_earlier_filter_behind() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&["198.51.100.66"]).unwrap();
    stage.start().unwrap().terminate().unwrap();
    assert_eq!(meets(&stage, "198.51.100.66"), "refused", "protection outlives the daemon");
    let off = Site::without_kernel().list("bad", "local-bad", "", "");
    stage.configure(&off.config().unwrap()).unwrap();
    let daemon = stage.start().unwrap();
    assert_eq!(status(&stage, "/xdp/mode"), json!("off"));
    assert_eq!(meets(&stage, "198.51.100.66"), "554", "the daemon decides by the same list");
    daemon.terminate().unwrap();
}

#[test]
fn a_command_takes_the_filter_off() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&["198.51.100.66"]).unwrap();
    stage.start().unwrap().kill().unwrap();
    assert_eq!(meets(&stage, "198.51.100.66"), "refused");
    for expected in ["is removed", "there was no kernel filter"] {
        let output = stage.home.cli(&["xdp", "detach"]).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains(expected), "{output:?}");
    }
    let daemon = stage.start().unwrap();
    assert_eq!(status(&stage, "/xdp/interfaces/0/adopted"), json!(false));
    assert!(stage.home.cli(&["xdp", "detach"]).unwrap().status.success());
    // It does not try again and again: a card loses packets each time that a program comes or goes.
    stage.wait_for_alarm("xdp:eth0", "its pins are gone").unwrap();
    daemon.terminate().unwrap();
}

#[test]
fn an_interface_that_comes_back_is_filtered_again() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().list("bad", "local-bad", "", "198.51.100.66\n");
    let stage = site.stage(&["198.51.100.66"]).unwrap();
    let daemon = stage.start().unwrap();
    assert_eq!(meets(&stage, "198.51.100.66"), "refused");
    stage.edge.ip("link delete eth0").unwrap();
    stage.wait_for_alarm("xdp:eth0", "no such interface").unwrap();
    stage.join().unwrap();
    wait_until_met(&stage, "198.51.100.66", "refused");
    stage.wait_for_no_alarm("xdp:eth0").unwrap();
    assert_eq!(status(&stage, "/xdp/mode"), json!("native"));
    daemon.terminate().unwrap();
}

#[test]
fn without_a_default_route_what_runs_goes_on() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().xdp("action = \"reset\"\n").list(
        "bad",
        "local-bad",
        "",
        "192.0.2.66\n",
    );
    let stage = site.stage(&["192.0.2.66"]).unwrap();
    stage.start().unwrap().terminate().unwrap();
    assert_eq!(meets(&stage, "192.0.2.66"), "refused");
    stage.edge.ip("route del default").unwrap();
    stage.edge.ip("-6 route del default").unwrap();
    let daemon = stage.start().unwrap();
    stage.wait_for_alarm("xdp", "there is no default route").unwrap();
    assert_eq!(meets(&stage, "192.0.2.66"), "refused", "the filter of the earlier daemon");
    stage.edge.ip("route add default via 192.0.2.2").unwrap();
    stage.wait_for_no_alarm("xdp").unwrap();
    assert_eq!(status(&stage, "/xdp/interfaces/0/mode"), json!("native"));
    daemon.terminate().unwrap();
}
