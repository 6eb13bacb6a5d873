//! What programs that watch the daemon are told: metrics that Prometheus' own tools accept, and whether mail should come.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::deadline::wait_for;
use harness::dns_server::DnsServer;
use harness::needs;
use harness::prometheus::{PROMETHEUS, check_metrics, check_rules};
use harness::site::Site;
use harness::smtp_client::Attempt;
use harness::stage::Stage;
use rustix::process::Signal;
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);
const CLEAN: &str = "198.18.1.2";
const LISTED: &str = "198.51.100.66";
const BY_ZONE: &str = "198.18.2.20";

/// What the daemon answers on its socket: code, content type, body.
fn ask(stage: &Stage, path: &str, accept: &str) -> (u16, String, String) {
    let accept = format!("Accept: {accept}\r\n");
    let [head, body] = stage.request("GET", path, &accept, "").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    (code, kind.unwrap_or_default().to_owned(), body)
}

fn metrics(stage: &Stage) -> String {
    let (code, kind, text) = ask(stage, "/metrics", "text/plain");
    assert_eq!((code, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    text
}

/// The whole number of one series, written as in a query but with all labels in their order.
fn value(metrics: &str, series: &str) -> u64 {
    let found = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let found = found.unwrap_or_else(|| panic!("no {series} in {metrics}"));
    found.parse().unwrap_or_else(|_real| panic!("{series} is {found}"))
}

fn readiness(stage: &Stage) -> (u16, Value) {
    let (code, _kind, body) = ask(stage, "/readyz", "*/*");
    (code, serde_json::from_str(&body).unwrap())
}

fn site() -> Site {
    Site::with_kernel()
        .tables("[milter]\naddress = \"unix:{dir}/milter.sock\"\n[postfix_policy]\naddress = \"unix:{dir}/policy.sock\"")
        .tables("[[zone]]\nname = \"zen\"\ndomain = \"zen.example\"\nclass = \"third-party-bad\"\naction = \"reject\"\n[dns]\nresolvers = [\"127.0.0.1:53\"]")
        .tables("[[list]]\nname = \"fetched\"\nclass = \"global-bad\"\nurl = \"http://127.0.0.1:9/bad.txt\"")
        .list("bad", "local-bad", "", &format!("{LISTED}\n"))
}

fn resolver(stage: &Stage) -> DnsServer {
    let server =
        stage.edge.run(|| DnsServer::start("127.0.0.1:53".parse().unwrap())).unwrap().unwrap();
    server.test_points("zen.example");
    server.list_zone("zen.example", &[(BY_ZONE.parse().unwrap(), [127, 0, 0, 2].into(), None)]);
    server
}

#[test]
fn counts_move_with_traffic_survive_the_daemon_and_hold_nothing_that_strangers_say() {
    if !needs::root() {
        return;
    }
    let stage = site().stage(&[CLEAN, LISTED, BY_ZONE]).unwrap();
    let _dns = resolver(&stage);
    let daemon = stage.start().unwrap();
    wait_for("the zone", LONG, || {
        Ok((value(&metrics(&stage), "portcullis_zone_up{zone=\"zen\"}") > 0).then_some(()))
    })
    .unwrap();
    let before = metrics(&stage);
    let mut client = stage.connect(CLEAN.parse().unwrap()).unwrap();
    client.greet("stranger-helo.example").unwrap();
    let said = client
        .deliver(
            "stranger-sender@example.com",
            &["stranger-recipient@example.org"],
            "Subject: stranger-subject\nX-Stranger: stranger-field\n\nstranger-body\n",
        )
        .unwrap();
    assert_eq!(said.code, 250);
    client.finish().unwrap();
    for _ in 0..3 {
        let attempt = stage.attempt(LISTED.parse().unwrap(), LONG).unwrap();
        assert!(matches!(attempt, Attempt::Refused), "{attempt:?}");
    }
    assert_eq!(stage.connect(BY_ZONE.parse().unwrap()).unwrap().reply().unwrap().code, 554);
    stage.records(BY_ZONE, "connect", 1).unwrap();
    stage.records(CLEAN, "message", 1).unwrap();
    let after = metrics(&stage);
    for (series, grown) in [
        ("portcullis_xdp_packets_total{outcome=\"reset\"}", 3),
        ("portcullis_xdp_handled_packets_total{handling=\"reset\"}", 3),
        ("portcullis_xdp_list_packets_total{list=\"bad\",family=\"ipv4\",action=\"reset\"}", 3),
        ("portcullis_front_connections_total{front=\"smtp\"}", 2),
        ("portcullis_front_refused_total{front=\"smtp\"}", 1),
        ("portcullis_front_messages_total{front=\"smtp\",result=\"relayed\"}", 1),
        ("portcullis_decision_seconds_count{phase=\"connect\"}", 2),
        ("portcullis_decision_seconds_count{phase=\"recipient\"}", 1),
        ("portcullis_zone_queries_total{zone=\"zen\",result=\"listed\"}", 1),
        ("portcullis_zone_queries_total{zone=\"zen\",result=\"not-listed\"}", 1),
    ] {
        let (before, after) = (value(&before, series), value(&after, series));
        assert_eq!(after - before, grown, "{series}: {before}, {after}");
    }
    for (series, expected) in [
        ("portcullis_decisions_total{verdict=\"dns-deny\",action=\"reject\"}", 1),
        ("portcullis_ready", 1),
        ("portcullis_xdp_attached", 1),
        ("portcullis_xdp_mode{interface=\"eth0\",mode=\"native\"}", 1),
        ("portcullis_list_entries{list=\"bad\"}", 1),
        ("portcullis_list_faulty{list=\"fetched\"}", 1),
        ("portcullis_alarms{about=\"list\"}", 1),
    ] {
        assert_eq!(value(&after, series), expected, "{series}");
    }
    assert!(
        value(&after, "portcullis_feed_fetches_total{list=\"fetched\",outcome=\"failed\"}") > 0
    );
    assert!(value(&after, "process_resident_memory_bytes") > 1_000_000);
    for stranger in ["stranger", CLEAN, LISTED, BY_ZONE, "127.0.0.1", "127.0.0.2"] {
        assert!(!after.contains(stranger), "{stranger} in {after}");
    }
    if let Some(packages) = needs::mail_server(&PROMETHEUS) {
        assert_eq!(check_metrics(&packages, &after).unwrap(), "");
    }
    let (_code, kind, open) =
        ask(&stage, "/metrics", "application/openmetrics-text, text/plain;q=0.5");
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with("\n# EOF\n"), "{open}");
    assert_eq!(ask(&stage, "/healthz", "*/*").2, "ok\n");
    assert_eq!(readiness(&stage), (200, json!({"ready": true, "reasons": []})));
    every_number_of_status_has_its_metric(&stage, &after);

    daemon.kill().unwrap();
    // The kernel counts on while nobody is there.
    let attempt = stage.attempt(LISTED.parse().unwrap(), LONG).unwrap();
    assert!(matches!(attempt, Attempt::Refused), "{attempt:?}");
    let _daemon = stage.start().unwrap();
    let again = metrics(&stage);
    let kernel = |metrics: &str| -> Vec<(String, u64)> {
        let is_kernel =
            |line: &&str| line.starts_with("portcullis_xdp_") && line.contains("packets_total{");
        let series = metrics.lines().filter(is_kernel).map(|line| line.rsplit_once(' ').unwrap());
        series.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
    };
    let earlier = kernel(&after);
    assert!(earlier.len() > 40, "{earlier:?}");
    for (series, before) in earlier {
        assert!(value(&again, &series) >= before, "{series} went back from {before}");
    }
    let reset = "portcullis_xdp_packets_total{outcome=\"reset\"}";
    assert_eq!(value(&again, reset), value(&after, reset) + 1);
    let started = |metrics: &str| {
        let line = metrics.lines().find(|line| line.starts_with("portcullis_start_time_seconds "));
        line.unwrap().to_owned()
    };
    assert!(started(&again) > started(&after));
    let connections = "portcullis_front_connections_total{front=\"smtp\"}";
    assert_eq!(value(&again, connections), 0);
}

/// Numbers and switches of `status` that are nothing to watch: names, and what another number has in it.
const UNWATCHED: [&str; 9] = [
    "/pid",
    "/rights/gid",
    "/log/raised/*/raised/seconds_left",
    "/xdp/interfaces/*/adopted",
    "/rules/entries",
    "/xdp/counters/lists/*/*/packets",
    "/xdp/counters/lists/*/*/bytes",
    "/xdp/counters/families/*/*/*/bytes",
    "/xdp/counters/*/bytes",
];

/// The others, each with its metric; a `*` is any part of a path.
const WATCHED: [(&str, &str); 66] = [
    ("/uptime_s", "portcullis_start_time_seconds"),
    ("/clock_jumped_ms", "portcullis_clock_jump_seconds"),
    ("/enforce", "portcullis_enforce"),
    ("/taps", "portcullis_taps"),
    ("/rules/version", "portcullis_rules_timestamp_seconds"),
    ("/rules/bad", "portcullis_rules_prefixes"),
    ("/rules/good", "portcullis_rules_prefixes"),
    ("/rules/lists/*/enforce", "portcullis_list_enforced"),
    ("/rules/lists/*/enabled", "portcullis_list_enabled"),
    ("/rules/lists/*/switch/enabled", "portcullis_list_enabled"),
    ("/rules/lists/*/entries", "portcullis_list_entries"),
    ("/rules/lists/*/manual", "portcullis_list_manual_entries"),
    ("/rules/lists/*/exceptions", "portcullis_list_exceptions"),
    ("/rules/lists/*/rejected", "portcullis_list_rejected_lines"),
    ("/rules/lists/*/can_accept", "portcullis_list_held_back"),
    ("/xdp/interfaces/*/replies", "portcullis_xdp_answers"),
    ("/xdp/counters/outcomes/*/packets", "portcullis_xdp_packets_total"),
    ("/xdp/counters/outcomes/*/bytes", "portcullis_xdp_bytes_total"),
    ("/xdp/counters/families/*/*/*/packets", "portcullis_xdp_list_packets_total"),
    ("/xdp/counters/taps/events", "portcullis_xdp_events_total"),
    ("/xdp/counters/taps/events_lost", "portcullis_xdp_events_lost_total"),
    ("/xdp/counters/taps/copies", "portcullis_xdp_copies_total"),
    ("/xdp/counters/taps/copies_lost", "portcullis_xdp_copies_lost_total"),
    ("/xdp/counters/*/packets", "portcullis_xdp_handled_packets_total"),
    ("/*/connections_active", "portcullis_front_active_connections"),
    ("/*/connections", "portcullis_front_connections_total"),
    ("/*/capacity", "portcullis_front_no_room_total"),
    ("/*/protocol_errors", "portcullis_front_protocol_errors_total"),
    ("/*/refused", "portcullis_front_refused_total"),
    ("/*/deferred", "portcullis_front_deferred_total"),
    ("/smtp/known_lost", "portcullis_xdp_known_lost_total"),
    ("/smtp/early_talkers", "portcullis_smtp_early_talkers_total"),
    ("/smtp/messages_relayed", "portcullis_front_messages_total"),
    ("/smtp/next_hop_failures", "portcullis_smtp_next_hop_failures_total"),
    ("/smtp/tls_failures", "portcullis_smtp_tls_failures_total"),
    ("/milter/messages_passed", "portcullis_front_messages_total"),
    ("/milter/messages_discarded", "portcullis_front_messages_total"),
    ("/milter/messages_aborted", "portcullis_front_messages_total"),
    ("/*/messages_refused", "portcullis_front_messages_total"),
    ("/*/messages_quarantined", "portcullis_front_messages_total"),
    ("/postfix_policy/requests", "portcullis_policy_requests_total"),
    ("/postfix_policy/unjudged", "portcullis_policy_unjudged_total"),
    ("/postfix_policy/tagged", "portcullis_front_messages_total"),
    ("/postfix_policy/quarantined", "portcullis_front_messages_total"),
    ("/postfix_policy/discarded", "portcullis_front_messages_total"),
    ("/next_hops/*/up", "portcullis_smtp_next_hops"),
    ("/decisions/*/count", "portcullis_decisions_total"),
    ("/zones/*/enforce", "portcullis_zone_enforced"),
    ("/zones/*/enabled", "portcullis_zone_enabled"),
    ("/zones/*/counts/queries", "portcullis_zone_answers_total"),
    ("/zones/*/counts/listed", "portcullis_zone_queries_total"),
    ("/zones/*/counts/not_listed", "portcullis_zone_queries_total"),
    ("/zones/*/counts/faults/*", "portcullis_zone_queries_total"),
    ("/zones/*/counts/cache_hits", "portcullis_zone_cache_hits_total"),
    ("/zones/*/counts/late", "portcullis_zone_late_answers_total"),
    ("/zones/*/counts/latency_sum", "portcullis_zone_answer_seconds_total"),
    ("/zones/*/counts/latency_most", "portcullis_zone_slowest_answer_seconds"),
    ("/senders/*", "portcullis_senders"),
    ("/quarantine/messages", "portcullis_quarantine_messages"),
    ("/quarantine/max_messages", "portcullis_quarantine_messages_max"),
    ("/quarantine/octets", "portcullis_quarantine_bytes"),
    ("/quarantine/max_size", "portcullis_quarantine_bytes_max"),
    ("/quarantine/*", "portcullis_quarantine_events_total"),
    ("/audit/waiting", "portcullis_audit_queue_records"),
    ("/audit/*", "portcullis_audit_*_total"),
    ("/rights/uid", "portcullis_rights_info"),
];

fn every_number_of_status_has_its_metric(stage: &Stage, metrics: &str) {
    let mut found = BTreeSet::new();
    leaves(&stage.status().unwrap(), "", &mut found);
    let is_like = |path: &str, pattern: &str| {
        let (path, pattern): (Vec<_>, Vec<_>) =
            (path.split('/').collect(), pattern.split('/').collect());
        let mut both = path.iter().zip(&pattern);
        path.len() == pattern.len() && both.all(|(part, wanted)| *wanted == "*" || part == wanted)
    };
    assert!(found.len() > 100, "{found:?}");
    for path in found {
        let watched = WATCHED.iter().find(|(pattern, _metric)| is_like(&path, pattern));
        let Some((_pattern, metric)) = watched else {
            let is_known = UNWATCHED.iter().any(|pattern| is_like(&path, pattern));
            assert!(is_known, "{path} of `status` has no metric: give it one, or say why not");
            continue;
        };
        let metric = metric.replace('*', path.rsplit('/').next().unwrap());
        assert!(metrics.contains(&format!("\n# TYPE {metric} ")), "{path}: no {metric}");
    }
}

/// The paths of all numbers and switches.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Number(_) | Value::Bool(_) => {
            found.insert(path.to_owned());
        }
        Value::Array(items) => {
            for item in items {
                leaves(item, &format!("{path}/*"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                leaves(field, &format!("{path}/{name}"), found);
            }
        }
        Value::Null | Value::String(_) => {}
    }
}

#[test]
fn a_host_is_not_ready_without_its_filter_and_while_it_stops() {
    if !needs::root() {
        return;
    }
    let site = Site::with_kernel().xdp("interfaces = [\"eth0\", \"eth9\"]");
    let stage = site.stage(&[CLEAN]).unwrap();
    let daemon = stage.start().unwrap();
    let (code, found) = readiness(&stage);
    assert_eq!(
        (code, &found["ready"], &found["reasons"][0]["about"]),
        (503, &json!(false), &json!("xdp"))
    );
    assert!(found["reasons"][0]["text"].as_str().unwrap().starts_with("eth9: "), "{found:#}");
    let text = metrics(&stage);
    for (series, expected) in [
        ("portcullis_ready", 0),
        ("portcullis_xdp_wanted", 1),
        ("portcullis_xdp_attached", 0),
        ("portcullis_xdp_mode{interface=\"eth9\",mode=\"off\"}", 1),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    daemon.terminate().unwrap();
    stage.configure(&Site::without_kernel().config().unwrap()).unwrap();
    let mut daemon = stage.start().unwrap();
    assert_eq!(readiness(&stage).0, 200);
    // Somebody in the middle of a message keeps the daemon from its end.
    let mut busy = stage.greeted(CLEAN).unwrap();
    for (command, code) in
        [("MAIL FROM:<a@example.com>", 250), ("RCPT TO:<b@example.org>", 250), ("DATA", 354)]
    {
        busy.send_line(command).unwrap();
        busy.expect(code).unwrap();
    }
    daemon.signal(Signal::TERM).unwrap();
    daemon.wait_for_notification("STOPPING=1", LONG).unwrap();
    let (code, found) = wait_for("the stop", LONG, || {
        let (code, found) = readiness(&stage);
        Ok((code != 200).then_some((code, found)))
    })
    .unwrap();
    assert_eq!((code, &found["reasons"][0]["about"]), (503, &json!("daemon")), "{found:#}");
    assert_eq!(ask(&stage, "/healthz", "*/*").0, 200);
    busy.send_raw(b"Subject: x\r\n\r\nbody\r\n.\r\n").unwrap();
    busy.expect(250).unwrap();
    assert!(daemon.wait(LONG).unwrap().success());
}

#[test]
fn prometheus_takes_the_alerts_and_every_question_of_the_dashboard() {
    let Some(packages) = needs::mail_server(&PROMETHEUS) else { return };
    let dist = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/dist");
        fs::read_to_string(folder.join(name)).unwrap()
    };
    assert_eq!(check_rules(&packages, &dist("prometheus-alerts.yml")).unwrap(), "");
    let dashboard: Value = serde_json::from_str(&dist("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let questions = targets.map(|target| target["expr"].as_str().unwrap());
    let rule = |(number, question): (usize, &str)| {
        // What Grafana puts in.
        let question = question.replace("$__rate_interval", "1m");
        json!({"record": format!("question:{number}"), "expr": question})
    };
    let rules: Vec<_> = questions.enumerate().map(rule).collect();
    assert!(rules.len() > 50, "{}", rules.len());
    // All JSON is YAML.
    let rules = json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string();
    assert_eq!(check_rules(&packages, &rules).unwrap(), "");
}
