//! What is written, that it is named as others expect, and that dashboard and alerts name nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::status::{Decisions, LogStatus, Status, XdpStatus};
use super::accept::Format;
use super::process::Process;
use super::seen::{Seen, Store};
use super::table::{GROUPS, Kind, Metric};
use super::text;
use crate::alarm::Alarms;
use crate::audit::WriterStatus;
use crate::clock::Timestamp;
use crate::engine::Times;
use crate::front::{Counted, milter, postfix_policy, smtp};
use crate::levels::Level;
use crate::list::Class;
use crate::policy::{Action, Verdict};
use crate::quarantine::QuarantineStatus;
use crate::refresh::{self, ListStatus};
use crate::rights;
use crate::store::SenderCounts;
use crate::xdp::{Attachment, Count, Counters, RunsIn};

/// Everything there is, with `lists` lists.
fn seen(lists: usize) -> Seen {
    let names: Vec<Arc<str>> =
        (0..lists).map(|number| format!("list-{number:04}").into()).collect();
    let list = |name: &Arc<str>| ListStatus {
        name: Arc::clone(name),
        class: Class::GlobalBad,
        action: "reject",
        kernel: "drop",
        enforce: true,
        enabled: true,
        switch: None,
        source: "/etc/portcullis/bad.txt".to_owned(),
        format: Some("plain"),
        entries: 7,
        manual: 1,
        exceptions: 0,
        rejected: 0,
        fault: None,
        can_accept: false,
        loaded: at(90),
        sources: Vec::new(),
    };
    let actions = || {
        let count = Count { packets: 3, bytes: 180 };
        ["off", "count", "refuse", "reset", "drop"].map(|action| (action, count)).into()
    };
    let of_list = |name: &Arc<str>| {
        (Arc::clone(name), ["ipv4", "ipv6"].map(|family| (family, actions())).into())
    };
    let alarms = Alarms::default();
    for about in ["audit-output:/var/log/a:b", "audit-output:syslog", "tls", "tls:x"] {
        alarms.raise(about, "text");
    }
    let attachment = Attachment {
        interface: "eth0".to_owned(),
        mode: RunsIn::Generic,
        adopted: false,
        replies: true,
        reason: None,
    };
    let status = Status {
        version: "0.1.0",
        pid: 1,
        hostname: "mx1.example.org".to_owned(),
        uptime_s: 100,
        clock_jumped_ms: -1500,
        enforce: true,
        paused: None,
        log: LogStatus { level: Level::Info, raised: Vec::new() },
        taps: 0,
        rules: Arc::new(refresh::Status {
            version: 1_790_000_000_250,
            lists: names.iter().map(list).collect(),
            ..refresh::Status::default()
        }),
        xdp: XdpStatus {
            mode: "generic",
            reason: None,
            interfaces: vec![attachment],
            counters: Some(Counters {
                outcomes: [("dropped", Count { packets: 9, bytes: 540 })].into(),
                families: names.iter().map(of_list).collect(),
                ..Counters::default()
            }),
        },
        smtp: Some(Counted { connections_active: 2, counts: smtp::Counters::default() }),
        milter: Some(Counted { connections_active: 0, counts: milter::Counters::default() }),
        postfix_policy: Some(Counted {
            connections_active: 1,
            counts: postfix_policy::Counters::default(),
        }),
        next_hops: Vec::new(),
        decisions: vec![Decisions {
            verdict: Verdict::GlobalBad,
            code: Verdict::GlobalBad.code(),
            action: Action::Reject,
            count: 12,
        }],
        zones: Vec::new(),
        senders: SenderCounts::default(),
        quarantine: QuarantineStatus {
            folder: "/var/lib/portcullis/quarantine".into(),
            messages: 1,
            max_messages: 10,
            octets: 100,
            max_size: 1000,
            oldest: Some(at(50)),
            kept: 1,
            not_kept: 0,
            removed: 0,
            expired: 0,
        },
        audit: WriterStatus::default(),
        rights: rights::Report {
            user: None,
            uid: 99,
            gid: 99,
            capabilities: Vec::new(),
            landlock: "full",
            landlock_reason: None,
        },
        alarms: alarms.list(),
    };
    Seen {
        status,
        began: at(0),
        now: at(100),
        is_ready: true,
        wants_filter: true,
        feeds: Vec::new(),
        took: Times::default().took(),
        store: Some(Store { octets: Some(4096), most: 1 << 30 }),
        process: Process::now(),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn metrics() -> impl Iterator<Item = &'static Metric> {
    GROUPS.iter().flat_map(|group| group.metrics)
}

#[test]
fn both_formats_say_the_same_with_the_names_of_the_table() {
    let plain = text(seen(2), Format::Prometheus).unwrap();
    let open = text(seen(2), Format::OpenMetrics).unwrap();
    for line in [
        "portcullis_build_info{version=\"0.1.0\"} 1",
        "portcullis_alarms{about=\"audit-output\"} 2",
        "portcullis_alarms{about=\"tls\"} 2",
        "portcullis_clock_jump_seconds -1.5",
        "portcullis_start_time_seconds 1790000000.0",
        "portcullis_rules_timestamp_seconds 1790000000.25",
        "portcullis_xdp_mode{interface=\"eth0\",mode=\"native\"} 0",
        "portcullis_xdp_mode{interface=\"eth0\",mode=\"generic\"} 1",
        "portcullis_xdp_packets_total{outcome=\"dropped\"} 9",
        "portcullis_xdp_list_packets_total{list=\"list-0001\",family=\"ipv6\",action=\"drop\"} 3",
        "portcullis_list_entries{list=\"list-0000\"} 7",
        "portcullis_list_age_seconds{list=\"list-0000\"} 10.0",
        "portcullis_decisions_total{verdict=\"global-deny-ip\",action=\"reject\"} 12",
        "portcullis_decision_seconds_bucket{phase=\"connect\",le=\"+Inf\"} 0",
        "portcullis_front_active_connections{front=\"postfix_policy\"} 1",
        "portcullis_audit_store_bytes 4096",
    ] {
        let number = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            // Which labels come first is for the format to say, and how a number is written.
            let mut labels: Vec<_> = name.split(['{', ',', '}']).map(ToOwned::to_owned).collect();
            labels.sort();
            (labels, value.parse::<f64>().unwrap().to_bits())
        };
        for text in [&plain, &open] {
            let values = text.lines().filter(|line| !line.starts_with('#')).map(number);
            assert!(values.into_iter().any(|found| found == number(line)), "{line}\n{text}");
        }
    }
    for metric in metrics() {
        let Metric { name, help, .. } = metric;
        assert!(plain.contains(&format!("# HELP {name} {help}\n")), "{name}");
        assert!(open.contains(&format!("# HELP {} {help}\n", metric.family())), "{name}");
    }
    assert!(open.ends_with("\n# EOF\n"));
}

#[test]
fn every_metric_is_named_by_the_conventions_once_with_help_and_known_labels() {
    const LABELS: [&str; 19] = [
        "about",
        "action",
        "event",
        "family",
        "front",
        "handling",
        "interface",
        "kind",
        "landlock",
        "list",
        "mode",
        "outcome",
        "phase",
        "result",
        "state",
        "uid",
        "verdict",
        "version",
        "zone",
    ];
    let mut families = BTreeSet::new();
    for metric in metrics() {
        let Metric { name, kind, labels, help, .. } = metric;
        assert!(families.insert(metric.family()), "{name} is there twice");
        assert!(name.starts_with("portcullis_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert_eq!(name.ends_with("_info"), *kind == Kind::Info, "{name}");
        assert!(help.ends_with('.') && help.len() > 10 && !help.contains(['\n', '|']), "{name}");
        assert!(labels.iter().all(|label| LABELS.contains(label)), "{name}: {labels:?}");
    }
}

/// The names of metrics in what somebody else reads.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    let ours = words.filter(|word| word.starts_with("portcullis_") || word.starts_with("process_"));
    ours.map(ToOwned::to_owned).collect()
}

fn dist(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(name)).unwrap()
}

#[test]
fn dashboard_and_alerts_name_metrics_that_there_are() {
    let mut known: BTreeSet<String> = metrics().map(|metric| metric.name.to_owned()).collect();
    for metric in metrics().filter(|metric| metric.kind == Kind::Histogram) {
        known
            .extend(["_bucket", "_sum", "_count"].map(|ending| format!("{}{ending}", metric.name)));
    }
    for (file, least) in [("grafana-dashboard.json", 30), ("prometheus-alerts.yml", 15)] {
        let named = named(&dist(file));
        assert!(named.len() >= least, "{file} names {} metrics", named.len());
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

/// Metrics that nobody needs to watch, each with the reason.
const UNWATCHED: [(&str, &str); 4] = [
    (
        "portcullis_pause_end_timestamp_seconds",
        "there only during a pause, of which there is an alert",
    ),
    ("portcullis_log_raised_components", "somebody looks into something, and it ends by itself"),
    ("portcullis_taps", "somebody looks on, which changes nothing"),
    ("portcullis_protected_prefixes", "it follows from the configuration, which `check` shows"),
];

#[test]
fn every_metric_is_on_the_dashboard_or_in_an_alert_or_has_a_reason_not_to_be() {
    let mut watched = named(&dist("grafana-dashboard.json"));
    watched.extend(named(&dist("prometheus-alerts.yml")));
    for metric in metrics() {
        let endings: &[&str] = match metric.kind {
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            Kind::Counter | Kind::Gauge | Kind::Info => &[""],
        };
        let is_watched =
            endings.iter().any(|ending| watched.contains(&format!("{}{ending}", metric.name)));
        let has_reason = UNWATCHED.iter().any(|(name, _reason)| *name == metric.name);
        assert!(is_watched || has_reason, "{} is on no panel and in no alert", metric.name);
        assert!(!(is_watched && has_reason), "{} is watched, and needs no reason", metric.name);
    }
    for (name, _reason) in UNWATCHED {
        assert!(metrics().any(|metric| metric.name == name), "there is no {name}");
    }
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_type() {
    let text = dist("prometheus-alerts.yml");
    for alert in text.split("- alert: ").skip(1) {
        for part in ["expr:", "severity:", "summary:", "description:", "command: 'portcullis "] {
            assert!(alert.contains(part), "no {part} in {alert}");
        }
    }
}

#[test]
fn every_panel_has_a_place_of_its_own_and_asks_the_data_source_of_the_variable() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&dist("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    for (panel, id) in panels.iter().zip(1..) {
        assert_eq!(panel["id"], id, "{panel:#}");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel:#}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{panel:#}");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{panel:#}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel:#}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel:#}");
            assert!(!named(target["expr"].as_str().unwrap()).is_empty(), "{panel:#}");
        }
    }
}

#[test]
fn a_thousand_lists_are_written_within_milliseconds() {
    let times = (0..5).map(|_| {
        let seen = seen(1000);
        let begun = Instant::now();
        let text = text(seen, Format::OpenMetrics).unwrap();
        (begun.elapsed(), text.len())
    });
    let (took, octets) = times.min().unwrap();
    // Without optimisation it takes 21 ms, and other tests run beside it.
    assert!(took.as_millis() < 500, "{octets} octets in {took:?}");
}
