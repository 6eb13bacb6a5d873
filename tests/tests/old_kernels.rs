//! Kernels and hosts that lack something: `doctor` says what, the daemon says what follows from it, and mail goes on.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use harness::daemon::{Home, binary};
use harness::needs;
use harness::netns::run;
use harness::old_kernel::{NO_BPF, NO_LINKS, OldKernel};
use harness::site::Site;
use harness::stage::Stage;
use harness::xdp_return::Returns;
use serde_json::{Value, json};

const BAD: &str = "198.51.100.66";

fn stage(xdp: &str) -> Stage {
    let site = Site::with_kernel().xdp(xdp).list("bad", "local-bad", "", "198.51.100.66\n");
    site.stage(&[BAD]).unwrap()
}

/// What `doctor` says and its exit code.
fn doctor(home: &Home) -> (Value, Option<i32>) {
    let output = home.cli(&["doctor", "--json"]).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
}

/// What was found under `name`, on the host or on the one interface.
fn finding<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let of_interfaces = answer["interfaces"].as_array().unwrap().iter();
    let of_interfaces = of_interfaces.flat_map(|one| one["findings"].as_array().unwrap());
    let mut all = answer["features"].as_array().unwrap().iter().chain(of_interfaces);
    all.find(|finding| finding["name"].as_str().unwrap().starts_with(name))
        .unwrap_or_else(|| panic!("no {name} in {answer:#}"))
}

/// What a client at the bad address is told by the daemon, since no kernel speaks for it.
fn greeting(stage: &Stage) -> u16 {
    stage.connect(BAD.parse().unwrap()).unwrap().reply().unwrap().code
}

#[test]
fn a_host_that_has_all_is_well() {
    if !needs::root() {
        return;
    }
    let stage = stage("interfaces = [\"eth0\"]\n");
    let (answer, code) = doctor(&stage.home);
    assert_eq!((&answer["ok"], code), (&json!(true), Some(0)), "{answer:#}");
    for name in ["rights", "links", "the verifier", "native mode", "no other", "VLAN tags"] {
        assert_eq!(finding(&answer, name)["works"], true, "{name}");
    }
    assert_eq!(answer["interfaces"][0]["interface"], "eth0");
    // It looks, and leaves nothing.
    let shown = run(stage.edge.command("ip").args(["link", "show", "eth0"])).unwrap();
    assert!(!String::from_utf8(shown.stdout).unwrap().contains("xdp"));
    // With the filter on it, too.
    let _daemon = stage.start().unwrap();
    let (answer, code) = doctor(&stage.home);
    assert_eq!(code, Some(0), "{answer:#}");
    let found = finding(&answer, "no other")["found"].as_str().unwrap();
    assert!(found.starts_with("the filter runs there, program "), "{found}");
    // For people: a line for each, coloured on a terminal only.
    let output = stage.home.cli(&["doctor"]).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("  ok        ring buffer, Linux 5.8\n"), "{text}");
    assert!(text.contains("\nInterface eth0\n") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn what_is_wrong_with_an_interface_is_said() {
    if !needs::root() {
        return;
    }
    let stage = stage("interfaces = [\"eth0\", \"lo\", \"no-such-if\"]\n");
    stage.edge.attach_xdp("eth0", Returns::Pass).unwrap();
    let (answer, code) = doctor(&stage.home);
    assert_eq!((&answer["ok"], code), (&json!(false), Some(1)));
    let found = |interface: usize, name: &str| {
        let findings = answer["interfaces"][interface]["findings"].as_array().unwrap();
        let found = findings.iter().find(|one| one["name"] == name).unwrap();
        (found["works"].clone(), found["found"].as_str().unwrap_or_default().to_owned())
    };
    let (works, words) = found(0, "no other XDP program");
    assert_eq!(works, false);
    assert!(words.starts_with("another XDP program runs there already: `only`"), "{words}");
    let expected = (json!(false), "the driver runs no XDP programs".to_owned());
    assert_eq!(found(1, "native mode"), expected);
    assert_eq!(found(1, "generic mode").0, true);
    assert!(found(2, "native mode").1.starts_with("no such interface"));
    let text = String::from_utf8(stage.home.cli(&["doctor"]).unwrap().stdout).unwrap();
    assert!(text.contains("what to do: `ip link set dev eth0 xdp off`"), "{text}");
}

#[test]
fn without_links_nothing_is_left_on_the_interface_and_the_daemon_decides() {
    if !needs::root() || !needs::program("python3") {
        return;
    }
    for (xdp, mode) in [
        ("interfaces = [\"eth0\"]\n", "native"),
        ("interfaces = [\"eth0\"]\nmode = \"generic\"\n", "generic"),
    ] {
        let mut stage = stage(xdp);
        let old = old_kernel(&mut stage, NO_LINKS, xdp);
        let (answer, code) = doctor(&stage.home);
        assert_eq!(code, Some(1));
        assert_eq!(finding(&answer, "links")["works"], false);
        assert_eq!(finding(&answer, "the verifier")["works"], true);
        let daemon = stage.start().unwrap();
        let words = format!("{mode}: the kernel gives no link to the interface");
        let alarm = stage.wait_for_alarm("xdp:eth0", &words).unwrap();
        assert!(!alarm.contains("left on the interface"), "{alarm}");
        assert_eq!(stage.status().unwrap()["xdp"]["mode"], "off");
        assert_eq!(greeting(&stage), 554);
        let shown = run(stage.edge.command("ip").args(["link", "show", "eth0"])).unwrap();
        assert!(!String::from_utf8(shown.stdout).unwrap().contains("xdp"), "{mode}");
        // A program of others is not replaced, as such a kernel would without a word.
        stage.edge.attach_xdp("eth0", Returns::Pass).unwrap();
        stage.wait_for_alarm("xdp:eth0", "another XDP program runs there already: `only`").unwrap();
        daemon.terminate().unwrap();
        drop(old);
    }
}

#[test]
fn without_bpf_the_daemon_decides_everything_and_says_what_is_missing() {
    if !needs::root() || !needs::program("python3") {
        return;
    }
    let xdp = "interfaces = [\"eth0\"]\n";
    let mut stage = stage(xdp);
    let _old = old_kernel(&mut stage, NO_BPF, xdp);
    let (answer, code) = doctor(&stage.home);
    assert_eq!(code, Some(1));
    assert_eq!(finding(&answer, "BPF system call")["works"], false);
    assert_eq!(finding(&answer, "ring buffer")["works"], Value::Null);
    let remedy = finding(&answer, "BPF system call")["remedy"].as_str().unwrap();
    assert!(remedy.contains("no sandbox"), "{remedy}");
    let daemon = stage.start().unwrap();
    let words = "this host has not: BPF system call (Linux 3.18), see `portcullis doctor`; the daemon decides";
    stage.wait_for_alarm("xdp", words).unwrap();
    assert_eq!(greeting(&stage), 554);
    daemon.terminate().unwrap();
}

/// Lets the daemon of `stage` run on a kernel with `refusals`.
fn old_kernel(stage: &mut Stage, refusals: &str, xdp: &str) -> OldKernel {
    let old = OldKernel::new(refusals, &binary().unwrap()).unwrap();
    stage.home = Home::with_binary(old.starter(), "", Some(&stage.edge)).unwrap();
    stage.home.write("bad.txt", "198.51.100.66\n").unwrap();
    let site = Site::with_kernel().xdp(xdp).list("bad", "local-bad", "", "");
    stage.configure(&site.config().unwrap()).unwrap();
    old
}

/// On a real interface; there are no VLANs on the kernel of the tests, so no tag is hidden.
#[test]
fn the_flag_of_vlan_offload_is_read() {
    if !needs::root() || !needs::program("ethtool") {
        return;
    }
    let stage = stage("interfaces = [\"eth0\"]\n");
    let _daemon = stage.start().unwrap();
    for (state, is_on) in [("on", true), ("off", false), ("on", true)] {
        run(stage.edge.command("ethtool").args(["-K", "eth0", "rxvlan", state])).unwrap();
        let (answer, _code) = doctor(&stage.home);
        let tags = finding(&answer, "VLAN tags");
        assert_eq!(tags["works"], true, "{state}");
        let found = tags["found"].as_str().unwrap_or_default();
        assert_eq!(found.starts_with("`rx-vlan-offload` is on"), is_on, "{state}");
        assert_eq!(stage.status().unwrap()["xdp"]["interfaces"][0]["replies"], true, "{state}");
    }
}
