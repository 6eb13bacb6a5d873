//! Configurations with what becomes of them.

mod audit;
mod documents;
mod faults;
mod quarantine;
mod reputation;

use std::time::Duration;

use gateway_ebpf::abi::KernelAction;
use gateway_ebpf::limit::FloodAction;
use proptest::prelude::*;

use super::fault::Findings;
use super::keys::TABLES;
use super::*;
use crate::direction::Direction;
use crate::front::{Endpoint, PassClient};
use crate::list::{HopScope, ListAction, Source, Weight};

const FILE: &str = "/etc/portcullis/portcullis.toml";

/// The host that the tests run on must not matter.
const HOSTNAME: &str = "hostname = \"mx1.example.org\"\n";

fn read(text: &str) -> Result<(Config, Vec<Notice>), Faults> {
    read_for(text, false)
}

fn read_for(text: &str, for_daemon: bool) -> Result<(Config, Vec<Notice>), Faults> {
    let findings = Findings::default();
    let root = tree::parse(&Path::new(FILE).into(), text, &findings);
    resolve::resolve(Path::new(FILE), root, for_daemon, findings)
}

/// Reads `text` after a line that names the host, so that its first line is line 2.
fn read_hosted(text: &str) -> Result<(Config, Vec<Notice>), Faults> {
    read(&format!("{HOSTNAME}{text}"))
}

fn config(text: &str) -> Config {
    match read_hosted(text) {
        Ok((config, _)) => config,
        Err(faults) => panic!("{text}\n{faults}"),
    }
}

/// The faults of `text`, one in a line, each with its line, key and text but without the file; hints in brackets.
#[track_caller]
fn check_faults(text: &str, expected: &[&str]) {
    let faults = match read_hosted(text) {
        Ok(_) => Vec::new(),
        Err(Faults(faults)) => faults,
    };
    let told: Vec<_> = faults
        .iter()
        .map(|fault| fault.to_string().replace(&format!("{FILE}:"), "").replace('\n', " "))
        .collect();
    assert_eq!(told, expected, "{text}");
}

#[track_caller]
fn check_notices(text: &str, expected: &[&str]) {
    let (_, notices) = read_hosted(text).unwrap();
    let told: Vec<_> =
        notices.iter().map(|notice| notice.to_string().replace(&format!("{FILE}:"), "")).collect();
    assert_eq!(told, expected, "{text}");
}

fn list(keys: &str) -> String {
    format!("[[list]]\nname = \"a\"\nfile = \"a.txt\"\n{keys}\n")
}

#[test]
fn what_holds_when_nothing_is_said() {
    let config = config("");
    assert_eq!(config.hostname, "mx1.example.org");
    assert_eq!(config.admin_socket, Path::new("/run/portcullis/admin.sock"));
    assert_eq!(config.audit.file, Path::new("/var/lib/portcullis/audit.jsonl"));
    assert_eq!(config.limits, Limits::default());
    let references = Some("/var/lib/portcullis/reference-keys".into());
    assert_eq!(config.xdp, xdp::Config { references, ..xdp::Config::default() });
    assert_eq!(config.score.thresholds, Thresholds::default());
    assert_eq!(config.reply_style, ReplyStyle::default());
    assert_eq!(config.next_hop, None);
    assert!(config.enforce && config.score.enabled);
}

#[test]
fn the_name_of_the_host_is_the_systems() {
    let system = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    match read("") {
        Ok((config, _)) => assert_eq!(config.hostname, system.trim().to_ascii_lowercase()),
        Err(faults) => assert_eq!(faults.0[0].key, "hostname"),
    }
}

#[test]
fn all_keys_resolve() {
    let config = config(
        r#"
state_dir = "state"
trusted_relays = ["192.0.2.10", "2001:db8::/64"]
recipient_domains = ["Example.org", ".example.org"]
[xdp]
interfaces = ["eth0"]
mode = "off"
ports = [25, 2525]
action = "drop"
pin_dir = "/sys/fs/bpf/x"
answers_per_network = 0
[xdp.flood]
action = "drop"
engage_above = 0
per_network = 1
burst = 2
network_v4 = 32
network_v6 = 56
known_for = "7d"
[[listener]]
address = "[::]:25"
direction = "outbound"
bare_newline = "normalise"
[next_hop]
address = "127.0.0.1:10025"
client = "none"
[[acceptance]]
name = "office"
direction = "outbound"
addresses = ["192.0.2.0/28"]
[score]
enabled = false
delay_from = 700
reject_above = 900
[reply]
bare = true
[limits]
message = "1M"
header = 1024
command_timeout = "30s"
[scan]
headers = ["X-Originating-IP"]
good_client_skips_headers = true
[log]
level = "debug"
format = "json"
"#,
    );
    assert_eq!(config.state_dir, Path::new("/etc/portcullis/state"));
    assert_eq!(config.audit.file, Path::new("/etc/portcullis/state/audit.jsonl"));
    assert_eq!(config.trusted_relays.len(), 2);
    assert_eq!(config.recipient_domains, ["example.org", ".example.org"]);
    assert_eq!(config.xdp.mode, xdp::Mode::Off);
    assert_eq!(config.xdp.ports, [25, 2525]);
    let flood = xdp::Flood {
        action: FloodAction::Drop,
        engage_above: 0,
        per_network: 1,
        burst: 2,
        network_v4: 32,
        network_v6: 56,
        known_for: Duration::from_hours(7 * 24),
    };
    assert_eq!(config.xdp.limits, xdp::Limits { answers_per_network: 0, flood });
    assert_eq!(config.listeners[0].address, "[::]:25".parse().unwrap());
    assert_eq!(config.next_hop.unwrap().client, PassClient::None);
    assert_eq!(config.score.thresholds, Thresholds::from_scores(700, 900).unwrap());
    assert!(
        !config.reply_style.address && !config.reply_style.label && !config.reply_style.reference
    );
    assert_eq!(config.limits.message, 1 << 20);
    assert_eq!(config.limits.header, 1024);
    assert_eq!(config.limits.command_timeout, Duration::from_secs(30));
    assert_eq!(config.scan.headers, ["X-Originating-IP".into()]);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn what_a_list_does_follows_from_its_class() {
    use HopScope::{All, Connect};
    use KernelAction::{Count, Drop, Off, Refuse, Reset};
    let score = ListAction::Score(Weight::new(-50).unwrap());
    for (keys, action, hops, kernel) in [
        ("class = \"local-good\"", ListAction::Accept, All, Off),
        ("class = \"local-bad\"", ListAction::Reject, Connect, Refuse),
        ("class = \"local-bad\"\nkernel = \"reset\"", ListAction::Reject, Connect, Reset),
        ("class = \"local-bad\"\nkernel = \"drop\"", ListAction::Reject, Connect, Drop),
        ("class = \"local-bad\"\nkernel = \"refuse\"", ListAction::Reject, Connect, Refuse),
        ("class = \"local-bad\"\nkernel = \"off\"", ListAction::Reject, Connect, Off),
        ("class = \"local-bad\"\nenforce = false", ListAction::Reject, Connect, Count),
        (
            "class = \"local-bad\"\nenforce = false\nkernel = \"off\"",
            ListAction::Reject,
            Connect,
            Off,
        ),
        ("class = \"open-proxy\"\naction = \"defer\"", ListAction::Defer, Connect, Off),
        ("class = \"global-bad\"\naction = \"score\"\nweight = -50", score, Connect, Off),
        ("class = \"global-bad\"\naction = \"tag\"", ListAction::Tag, All, Off),
        ("class = \"open-proxy\"\naction = \"quarantine\"", ListAction::Quarantine, All, Off),
        (
            "class = \"global-bad\"\naction = \"tag\"\nhops = \"connect\"",
            ListAction::Tag,
            Connect,
            Off,
        ),
        ("class = \"global-bad\"\naction = \"tag\"\nkernel = \"off\"", ListAction::Tag, All, Off),
    ] {
        let config = config(&list(keys));
        let list = &config.lists[0];
        assert_eq!((list.action, list.hops, list.kernel), (action, hops, kernel), "{keys}");
        assert_eq!(list.source, Source::File("/etc/portcullis/a.txt".into()));
        assert_eq!((&*list.name, &*list.label), ("a", "a"));
    }
    let kernel =
        |top: &str| config(&format!("{top}\n{}", list("class = \"open-proxy\""))).lists[0].kernel;
    assert_eq!(kernel("[xdp]\naction = \"drop\""), Drop);
    assert_eq!(kernel("[xdp]\naction = \"off\""), Off);
    assert_eq!(kernel("enforce = false"), Count);
    // What the list would do stays known, for the record of the dry run.
    assert!(
        config(&format!("enforce = false\n{}", list("class = \"open-proxy\""))).lists[0].enforce
    );
}

#[test]
fn a_dry_run_drops_no_flood() {
    use FloodAction::{Drop, Observe, Off};
    for (text, action) in [
        ("", Observe),
        ("xdp.flood.action = \"drop\"", Drop),
        ("xdp.flood.action = \"off\"", Off),
        ("enforce = false\nxdp.flood.action = \"drop\"", Observe),
        ("enforce = false\nxdp.flood.action = \"off\"", Off),
    ] {
        assert_eq!(config(text).xdp.limits.flood.action, action, "{text}");
    }
}

#[test]
fn limits_of_networks_can_change_while_the_filter_runs() {
    let running = config("");
    let needed = |text: &str| config(text).needs_restart(&running);
    assert_eq!(needed("[xdp]\nanswers_per_network = 7\n[xdp.flood]\naction = \"drop\""), None);
    assert_eq!(needed("[xdp]\nanswers_per_second = 7").as_deref(), Some("[xdp]"));
}

#[test]
fn notices() {
    check_notices(
        &format!(
            "score = {{ enabled = false }}\n{}",
            list("class = \"open-proxy\"\naction = \"score\"\nweight = 1")
        ),
        &["7:list.action: \"score\" has no effect, since [score] is not enabled"],
    );
    check_notices(&list("class = \"open-proxy\""), &[]);
}

#[test]
fn drop_ins_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let main = folder.path().join("main.toml");
    let load = || {
        Config::load(&main).map_err(|faults| {
            faults.to_string().replace(&format!("{}/", folder.path().display()), "")
        })
    };
    assert_eq!(
        load().unwrap_err(),
        "main.toml: No such file or directory (os error 2), expected a readable file of TOML\n\
         hint: give another file with --config; the README has a first one"
    );
    write(
        "main.toml",
        "hostname = \"a.example\"\ntrusted_relays = [\"192.0.2.1\"]\n[xdp]\nmode = \"off\"\n",
    );
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    write("conf.d/20.toml", &list("class = \"open-proxy\"").replace("\"a\"", "\"second\""));
    write(
        "conf.d/10.toml",
        &format!(
            "trusted_relays = [\"192.0.2.2\"]\n[xdp]\naction = \"drop\"\n{}",
            list("class = \"open-proxy\"")
        ),
    );
    write("conf.d/.hidden.toml", "bogus = 1");
    write("conf.d/notes.txt", "bogus = 1");
    let (config, notices) = load().unwrap();
    assert_eq!(notices, []);
    assert_eq!(config.trusted_relays.len(), 2);
    let lists: Vec<_> = config.lists.iter().map(|list| (&*list.name, list.kernel)).collect();
    assert_eq!(lists, [("a", KernelAction::Drop), ("second", KernelAction::Drop)]);
    assert_eq!(config.lists[0].source, Source::File(folder.path().join("a.txt")));
    write("conf.d/30.toml", "[xdp]\nmode = \"auto\"\n");
    write("conf.d/40.toml", "xdp = 1\nfoo = 1\n");
    assert_eq!(
        load().unwrap_err(),
        format!(
            "conf.d/30.toml:2:xdp.mode: \"auto\" here, \"off\" at main.toml:4, expected one of them\n\
             conf.d/40.toml:1:xdp: 1 here, a table at main.toml:3, expected one of them\n\
             conf.d/40.toml:2:foo: unknown key, expected one of the tables or keys at the top: {}",
            TABLES[0].names()
        )
    );
}

#[test]
fn the_daemon_needs_a_front() {
    const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:25\"\n";
    const NEXT_HOP: &str = "[next_hop]\naddress = \"127.0.0.1:26\"\n";
    const MILTER: &str = "[milter]\naddress = \"127.0.0.1:27\"\n";
    const POLICY: &str = "[postfix_policy]\naddress = \"unix:/run/p\"\n";
    for (text, expected) in [
        (String::new(), &["listener"][..]),
        (NEXT_HOP.to_owned(), &["listener"]),
        (LISTENER.to_owned(), &["next_hop"]),
        (format!("{LISTENER}{MILTER}"), &["next_hop"]),
        (format!("{LISTENER}{NEXT_HOP}"), &[]),
        (MILTER.to_owned(), &[]),
        (POLICY.to_owned(), &[]),
        (format!("{MILTER}{POLICY}{NEXT_HOP}"), &[]),
        // All faults at once: what is missing beside what is wrong.
        (LISTENER.replace("127.0.0.1:25", "x"), &["next_hop", "listener.address"]),
    ] {
        let faults = match read_for(&format!("{HOSTNAME}{text}"), true) {
            Ok(_) => Vec::new(),
            Err(Faults(faults)) => faults,
        };
        let keys: Vec<_> = faults.into_iter().map(|fault| fault.key).collect();
        assert_eq!(keys, expected, "{text}");
    }
}

#[test]
fn services_are_read() {
    let config = config(
        "[milter]\naddress = \"unix:run/milter.sock\"\nsocket_mode = \"0666\"\ndirection = \"inbound\"\n\
         [postfix_policy]\naddress = \"[::1]:8892\"\nconnections = 7",
    );
    let path = "/etc/portcullis/run/milter.sock".into();
    assert_eq!(
        config.milter,
        Some(Service {
            endpoint: Endpoint::Unix { path, mode: 0o666 },
            direction: Some(Direction::Inbound),
            connections: 1000,
        })
    );
    let endpoint = Endpoint::Tcp("[::1]:8892".parse().unwrap());
    assert_eq!(config.postfix_policy, Some(Service { endpoint, direction: None, connections: 7 }));
    assert_eq!(config.connections(), 1007);
    assert!(!config.milter_settings().unwrap().needs_body);
    let restarts = |change: &str| {
        let text = format!("[milter]\naddress = \"127.0.0.1:1\"\n{change}");
        self::config(&text).needs_restart(&self::config("[milter]\naddress = \"127.0.0.1:1\""))
    };
    assert_eq!(restarts("connections = 3\ndirection = \"inbound\""), None);
    assert_eq!(
        restarts("[postfix_policy]\naddress = \"127.0.0.1:2\"").as_deref(),
        Some("[postfix_policy]")
    );
    for (score, needs_body) in [
        ("exempt_domains = [\"example.com\"]", true),
        ("exempt_domains = [\"example.com\"]\nmessage = false", false),
        ("exempt_domains = [\"example.com\"]\nenabled = false", false),
        ("", false),
    ] {
        let text = format!("[milter]\naddress = \"127.0.0.1:1\"\n[score]\n{score}");
        let settings = self::config(&text).milter_settings().unwrap();
        assert_eq!(settings.needs_body, needs_body, "{score}");
    }
}

proptest! {
    #[test]
    fn text_never_panics(text: String) {
        drop(read(&text));
    }

    #[test]
    fn toml_never_panics(lines in proptest::collection::vec((
        prop::sample::select(TABLES.iter().flat_map(|table| table.keys).collect::<Vec<_>>()),
        prop::sample::select(vec!["", "[xdp]", "[[list]]", "[score]", "[[zone]]", "[dns]", "[score.evidence]", "[greylist]", "[promotion]", "[[acceptance]]", "[limits]", "[[listener]]", "[next_hop]", "[milter]", "[postfix_policy]", "[list]", "[[xdp]]"]),
        prop::sample::select(vec!["1", "-1", "\"\"", "\"é\"", "[]", "[[]]", "{}", "true", "1.5", "2024-01-01", "99999999999999999999", "[\"x\", 1]", "\"1K\"", "'''x\n'''", "=", "[{ a = 1 }]"]),
    ), 0..12)) {
        let lines: Vec<_> = lines.iter().map(|(key, heading, value)| format!("{heading}\n{} = {value}\n", key.name)).collect();
        let text = lines.concat();
        if let Err(faults) = read(&text) {
            prop_assert!(!faults.to_string().is_empty());
        }
    }
}
