//! Every metric: its name, its labels, what it means and where it is read; the page about them is written from this table.
//!
//! The value of a label comes from the configuration or from this program, never from a client, a message or a feed.

use gateway_ebpf::abi::{MAX_BAD, MAX_GOOD};

use super::collector::{Points, Value};
use super::seen::Seen;
use crate::audit::MOST_WAITING;
use crate::dns::ZoneStatus;
use crate::feed::FeedStatus;
use crate::front::{Counter as Count, milter, postfix_policy, smtp};
use crate::policy::Front;
use crate::refresh::ListStatus;
use crate::xdp::{Counters, RunsIn};
use crate::zone::State;

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows, until that which counts begins anew.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Times in buckets.
    Histogram,
    /// Always 1: what it says is in its labels.
    Info,
}

/// One metric.
pub(super) struct Metric {
    /// As it stands in a query; a histogram has three names that begin like this.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    /// One sentence or more.
    pub(super) help: &'static str,
    pub(super) read: fn(&Seen, &mut Points<'_>),
}

impl Metric {
    /// Its name without the ending that the formats give by its kind.
    pub(super) fn family(&self) -> &'static str {
        let ending = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.name.strip_suffix(ending).unwrap_or(self.name)
    }
}

/// Metrics about one thing.
pub(super) struct Group {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a heading of the page, which a test writes")
    )]
    pub(super) about: &'static str,
    pub(super) metrics: &'static [Metric],
}

type Read = fn(&Seen, &mut Points<'_>);
type Names = &'static [&'static str];

const fn counter(name: &'static str, labels: Names, help: &'static str, read: Read) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help, read }
}

const fn gauge(name: &'static str, labels: Names, help: &'static str, read: Read) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help, read }
}

const fn info(name: &'static str, labels: Names, help: &'static str, read: Read) -> Metric {
    Metric { name, kind: Kind::Info, labels, help, read }
}

/// All of them.
pub(super) const GROUPS: [Group; 9] = [
    Group { about: "The daemon", metrics: DAEMON },
    Group { about: "The kernel filter", metrics: KERNEL },
    Group { about: "Rules and lists", metrics: LISTS },
    Group { about: "Decisions", metrics: DECISIONS },
    Group { about: "Fronts and next hops", metrics: FRONTS },
    Group { about: "Zones", metrics: ZONES },
    Group { about: "Greylist and quarantine", metrics: WAITING },
    Group { about: "The record", metrics: RECORD },
    Group { about: "The process", metrics: PROCESS },
];

const DAEMON: &[Metric] = &[
    info("portcullis_build_info", &["version"], "The version of the daemon.", |seen, points| {
        points.put(&[seen.status.version], true);
    }),
    gauge(
        "portcullis_start_time_seconds",
        &[],
        "When the daemon was ready, in seconds since 1970 by the clock of then.",
        |seen, points| points.put(&[], seen.began.as_duration().as_secs_f64()),
    ),
    gauge(
        "portcullis_ready",
        &[],
        "1 where this host should be sent mail, as /readyz says: rules are loaded, the fronts listen, the filter runs where it is to run.",
        |seen, points| points.put(&[], seen.is_ready),
    ),
    gauge(
        "portcullis_enforce",
        &[],
        "0 in a dry run of everything, and in a pause.",
        |seen, points| points.put(&[], seen.status.enforce),
    ),
    gauge(
        "portcullis_paused",
        &[],
        "1 while everything passes because somebody asked for a pause.",
        |seen, points| points.put(&[], seen.status.paused.is_some()),
    ),
    gauge(
        "portcullis_pause_end_timestamp_seconds",
        &[],
        "When the pause is over; not there without one.",
        |seen, points| {
            let paused = seen.status.paused.as_ref();
            points.put_if(&[], paused.map(|pause| pause.until.as_duration().as_secs_f64()));
        },
    ),
    gauge(
        "portcullis_alarms",
        &["about"],
        "Alarms that are raised now, by what they are about, up to the first colon; `portcullis status` says the rest. Not there without one.",
        |seen, points| {
            // They are sorted by what they are about.
            let alarms = &seen.status.alarms;
            for alike in alarms.chunk_by(|a, b| kind_of(&a.about) == kind_of(&b.about)) {
                if let Some(first) = alike.first() {
                    points.put(&[kind_of(&first.about)], alike.len());
                }
            }
        },
    ),
    gauge(
        "portcullis_clock_jump_seconds",
        &[],
        "How far the clock was set since the start, in seconds; negative: back.",
        |seen, points| points.put(&[], milliseconds(seen.status.clock_jumped_ms)),
    ),
    gauge(
        "portcullis_log_raised_components",
        &[],
        "Components that say more in the log than usual, for a while.",
        |seen, points| points.put(&[], seen.status.log.raised.len()),
    ),
    gauge("portcullis_taps", &[], "How many follow an address now.", |seen, points| {
        points.put(&[], seen.status.taps);
    }),
    info(
        "portcullis_rights_info",
        &["uid", "landlock"],
        "Which user the daemon is, and how far files are out of its reach: full, partial, none or off.",
        |seen, points| {
            let rights = &seen.status.rights;
            points.put(&[&rights.uid.to_string(), rights.landlock], true);
        },
    ),
];

const KERNEL: &[Metric] = &[
    gauge(
        "portcullis_xdp_wanted",
        &[],
        "1 where the configuration asks for a kernel filter.",
        |seen, points| points.put(&[], seen.wants_filter),
    ),
    gauge(
        "portcullis_xdp_attached",
        &[],
        "1 while the filter runs on every interface that it is to run on, and there is one.",
        |seen, points| {
            let interfaces = &seen.status.xdp.interfaces;
            let runs = interfaces.iter().all(|it| it.mode != RunsIn::Off);
            points.put(&[], runs && !interfaces.is_empty());
        },
    ),
    gauge(
        "portcullis_xdp_mode",
        &["interface", "mode"],
        "1 for the mode in which the filter runs there, 0 for the others; native is fast, generic is not, off is nowhere.",
        |seen, points| {
            for attachment in &seen.status.xdp.interfaces {
                for mode in [RunsIn::Native, RunsIn::Generic, RunsIn::Off] {
                    points.put(&[&attachment.interface, mode.name()], mode == attachment.mode);
                }
            }
        },
    ),
    gauge(
        "portcullis_xdp_answers",
        &["interface"],
        "1 where the filter can answer, 0 where VLAN tags are taken off before it sees a frame: there it drops.",
        |seen, points| {
            for attachment in &seen.status.xdp.interfaces {
                points.put(&[&attachment.interface], attachment.replies);
            }
        },
    ),
    counter(
        "portcullis_xdp_packets_total",
        &["outcome"],
        "Packets that the filter saw, each under its one outcome; that of the flood limiter is flood-observed or flood-dropped, and over-network-cap that of the cap on answers to a network.",
        |seen, points| {
            for (outcome, count) in kernel(seen).flat_map(|it| &it.outcomes) {
                points.put(&[outcome], count.packets);
            }
        },
    ),
    counter(
        "portcullis_xdp_bytes_total",
        &["outcome"],
        "Their octets, Ethernet header included.",
        |seen, points| {
            for (outcome, count) in kernel(seen).flat_map(|it| &it.outcomes) {
                points.put(&[outcome], count.bytes);
            }
        },
    ),
    counter(
        "portcullis_xdp_handled_packets_total",
        &["handling"],
        "The same packets by what was done: refused (SYNs that get a 554), refused-dialogue (what follows these), dropped, reset, passed.",
        |seen, points| {
            for counters in kernel(seen) {
                for (handling, count) in [
                    ("refused", counters.refused),
                    ("refused-dialogue", counters.refused_dialogue),
                    ("dropped", counters.dropped),
                    ("reset", counters.reset),
                    ("passed", counters.passed),
                ] {
                    points.put(&[handling], count.packets);
                }
            }
        },
    ),
    counter(
        "portcullis_xdp_list_packets_total",
        &["list", "family", "action"],
        "SYNs that a rule decided, by its list and by what was done; off of a good list: it saved a listed address.",
        |seen, points| {
            for (list, families) in kernel(seen).flat_map(|it| &it.families) {
                for (family, actions) in families {
                    for (action, count) in actions {
                        points.put(&[list, family, action], count.packets);
                    }
                }
            }
        },
    ),
    counter(
        "portcullis_xdp_events_total",
        &[],
        "Single packets that the filter told the daemon of, a sample.",
        |seen, points| points.put_if(&[], kernel(seen).next().map(|it| it.taps.events)),
    ),
    counter(
        "portcullis_xdp_events_lost_total",
        &[],
        "Those that it could not tell of, since the daemon was too slow.",
        |seen, points| points.put_if(&[], kernel(seen).next().map(|it| it.taps.events_lost)),
    ),
    counter(
        "portcullis_xdp_copies_total",
        &[],
        "Packets copied for `portcullis xdp capture`.",
        |seen, points| points.put_if(&[], kernel(seen).next().map(|it| it.taps.copies)),
    ),
    counter(
        "portcullis_xdp_copies_lost_total",
        &[],
        "Packets that no copy could be made of.",
        |seen, points| points.put_if(&[], kernel(seen).next().map(|it| it.taps.copies_lost)),
    ),
    counter(
        "portcullis_xdp_known_lost_total",
        &[],
        "Clients with a completed handshake of which the flood limiter did not learn, since too many came at once.",
        |seen, points| {
            points.put_if(&[], seen.status.smtp.as_ref().map(|it| it.counts.known_lost.get()));
        },
    ),
];

const LISTS: &[Metric] = &[
    gauge(
        "portcullis_rules_timestamp_seconds",
        &[],
        "When the rules in force were made: their version.",
        |seen, points| {
            let version = i64::try_from(seen.status.rules.version).unwrap_or(i64::MAX);
            points.put(&[], milliseconds(version));
        },
    ),
    gauge(
        "portcullis_rules_prefixes",
        &["kind"],
        "Prefixes in the rules: bad, and good with the protected hosts.",
        |seen, points| {
            points.put(&["bad"], seen.status.rules.bad);
            points.put(&["good"], seen.status.rules.good);
        },
    ),
    gauge(
        "portcullis_rules_prefixes_max",
        &["kind"],
        "How many the kernel filter has room for; good ones of one family.",
        |_seen, points| {
            points.put(&["bad"], MAX_BAD);
            points.put(&["good"], MAX_GOOD);
        },
    ),
    gauge(
        "portcullis_protected_prefixes",
        &[],
        "Hosts and networks that no list can hit.",
        |seen, points| points.put(&[], seen.status.rules.protected.len()),
    ),
    gauge(
        "portcullis_list_entries",
        &["list"],
        "Entries of the list, those added by hand among them.",
        |seen, points| of_lists(seen, points, |list| list.entries),
    ),
    gauge("portcullis_list_manual_entries", &["list"], "Entries added by hand.", |seen, points| {
        of_lists(seen, points, |list| list.manual);
    }),
    gauge(
        "portcullis_list_exceptions",
        &["list"],
        "Prefixes taken out by hand.",
        |seen, points| of_lists(seen, points, |list| list.exceptions),
    ),
    gauge(
        "portcullis_list_rejected_lines",
        &["list"],
        "Lines of the source that are no entries.",
        |seen, points| of_lists(seen, points, |list| list.rejected),
    ),
    gauge(
        "portcullis_list_age_seconds",
        &["list"],
        "Time since the entries in force were read; of a list that is fetched, since its server last gave it or said that nothing has changed.",
        |seen, points| {
            for list in &seen.status.rules.lists {
                let confirmed = seen.feed(&list.name).and_then(|feed| feed.last_success);
                points.put(&[&list.name], seen.age(confirmed.unwrap_or(list.loaded)));
            }
        },
    ),
    gauge(
        "portcullis_list_enabled",
        &["list"],
        "0 where it was switched off by `portcullis list disable`.",
        |seen, points| of_lists(seen, points, |list| list.enabled),
    ),
    gauge("portcullis_list_enforced", &["list"], "0 for a dry run.", |seen, points| {
        of_lists(seen, points, |list| list.enforce);
    }),
    gauge(
        "portcullis_list_faulty",
        &["list"],
        "1 where the source as it is now is not in force, or could not be fetched; the last good entries are.",
        |seen, points| of_lists(seen, points, |list| list.fault.is_some()),
    ),
    gauge(
        "portcullis_list_held_back",
        &["list"],
        "1 where a new copy is held back as doubtful, until `portcullis list accept`.",
        |seen, points| of_lists(seen, points, |list| list.can_accept),
    ),
    counter(
        "portcullis_feed_fetches_total",
        &["list", "outcome"],
        "Fetches of a list: fetched (the server gave something), unchanged, failed.",
        |seen, points| {
            for feed in &seen.feeds {
                points.put(&[&feed.list, "fetched"], feed.fetched);
                points.put(&[&feed.list, "unchanged"], feed.unchanged);
                points.put(&[&feed.list, "failed"], feed.failed);
            }
        },
    ),
    gauge(
        "portcullis_feed_consecutive_failures",
        &["list"],
        "Fetches that failed since the last that did not.",
        |seen, points| of_feeds(seen, points, |feed| feed.faults),
    ),
    gauge(
        "portcullis_feed_last_success_timestamp_seconds",
        &["list"],
        "When the server last gave it, or said that nothing has changed; not there before the first time.",
        |seen, points| {
            for feed in &seen.feeds {
                let success = feed.last_success;
                let success = success.map(|it| it.as_duration().as_secs_f64());
                points.put_if(&[&feed.list], success);
            }
        },
    ),
    gauge(
        "portcullis_feed_interval_seconds",
        &["list"],
        "Time between two fetches, as the configuration says.",
        |seen, points| of_feeds(seen, points, |feed| feed.interval_s),
    ),
];

const DECISIONS: &[Metric] = &[
    counter(
        "portcullis_decisions_total",
        &["verdict", "action"],
        "Decisions of the daemon, by the code of the verdict and by what was done; those of which there was none yet are not there.",
        |seen, points| {
            for decisions in &seen.status.decisions {
                points.put(&[decisions.code, decisions.action.name()], decisions.count);
            }
        },
    ),
    Metric {
        name: "portcullis_decision_seconds",
        kind: Kind::Histogram,
        labels: &["phase"],
        help: "How long the daemon took to decide, DNS and greylist included: at connect, about a recipient, about a message.",
        read: |seen, points| {
            for took in &seen.took {
                points.times(&[took.phase.name()], took);
            }
        },
    },
];

const FRONTS: &[Metric] = &[
    gauge(
        "portcullis_front_active_connections",
        &["front"],
        "Connections of now: of clients (smtp), of mail servers that ask (milter, postfix_policy).",
        |seen, points| {
            let status = &seen.status;
            let active = [
                (Front::Smtp, status.smtp.as_ref().map(|it| it.connections_active)),
                (Front::Milter, status.milter.as_ref().map(|it| it.connections_active)),
                (
                    Front::PostfixPolicy,
                    status.postfix_policy.as_ref().map(|it| it.connections_active),
                ),
            ];
            for (front, active) in active {
                points.put_if(&[front.name()], active);
            }
        },
    ),
    counter(
        "portcullis_front_connections_total",
        &["front"],
        "Connections that were accepted from the system.",
        |seen, points| {
            of_fronts(
                seen,
                points,
                (|it| &it.connections, |it| &it.connections, |it| &it.connections),
            );
        },
    ),
    counter(
        "portcullis_front_no_room_total",
        &["front"],
        "Connections that found no room.",
        |seen, points| {
            of_fronts(seen, points, (|it| &it.capacity, |it| &it.capacity, |it| &it.capacity));
        },
    ),
    counter(
        "portcullis_front_protocol_errors_total",
        &["front"],
        "Commands and messages that broke the protocol or a limit.",
        |seen, points| {
            of_fronts(
                seen,
                points,
                (|it| &it.protocol_errors, |it| &it.protocol_errors, |it| &it.protocol_errors),
            );
        },
    ),
    counter(
        "portcullis_front_refused_total",
        &["front"],
        "What was refused with a 5xx: connections (smtp), clients and recipients (milter), requests (postfix_policy).",
        |seen, points| {
            of_fronts(seen, points, (|it| &it.refused, |it| &it.refused, |it| &it.refused));
        },
    ),
    counter(
        "portcullis_front_deferred_total",
        &["front"],
        "The same, deferred with a 4xx.",
        |seen, points| {
            of_fronts(seen, points, (|it| &it.deferred, |it| &it.deferred, |it| &it.deferred));
        },
    ),
    counter(
        "portcullis_front_messages_total",
        &["front", "result"],
        "Messages: relayed (the next hop took it), passed (nothing was against it), tagged, refused (also: not taken by the next hop), quarantined, discarded, aborted.",
        messages,
    ),
    counter(
        "portcullis_smtp_early_talkers_total",
        &[],
        "Clients that spoke before the greeting.",
        |seen, points| of_smtp(seen, points, |it| &it.early_talkers),
    ),
    counter(
        "portcullis_smtp_tls_failures_total",
        &[],
        "Handshakes of clients that came to nothing.",
        |seen, points| of_smtp(seen, points, |it| &it.tls_failures),
    ),
    counter(
        "portcullis_smtp_next_hop_failures_total",
        &[],
        "Times that a next hop could not be reached, or was lost.",
        |seen, points| of_smtp(seen, points, |it| &it.next_hop_failures),
    ),
    gauge(
        "portcullis_smtp_next_hops",
        &["state"],
        "Next hops that answered when last asked (up), that did not (down), that were not asked yet (unknown).",
        |seen, points| {
            if seen.status.smtp.is_none() {
                return;
            }
            for (state, up) in [("up", Some(true)), ("down", Some(false)), ("unknown", None)] {
                let hops = seen.status.next_hops.iter();
                points.put(&[state], hops.filter(|hop| hop.up == up).count());
            }
        },
    ),
    counter(
        "portcullis_policy_requests_total",
        &[],
        "Requests of Postfix that were answered.",
        |seen, points| of_policy(seen, points, |it| &it.requests),
    ),
    counter(
        "portcullis_policy_unjudged_total",
        &[],
        "Those about a client without an address.",
        |seen, points| of_policy(seen, points, |it| &it.unjudged),
    ),
];

const ZONES: &[Metric] = &[
    gauge(
        "portcullis_zone_up",
        &["zone"],
        "1 where the zone is healthy and so believed; not there where it is switched off.",
        |seen, points| {
            for zone in seen.status.zones.iter().filter(|zone| zone.enabled) {
                points.put(&[&zone.name], zone.state == State::Healthy.name());
            }
        },
    ),
    gauge(
        "portcullis_zone_enabled",
        &["zone"],
        "0 where it was switched off by a command.",
        |seen, points| of_zones(seen, points, |zone| zone.enabled),
    ),
    gauge("portcullis_zone_enforced", &["zone"], "0 for a dry run.", |seen, points| {
        of_zones(seen, points, |zone| zone.enforce);
    }),
    counter(
        "portcullis_zone_queries_total",
        &["zone", "result"],
        "Questions by what came of them: listed, not-listed, or the fault (timeout, servfail, volume, open-resolver, ...).",
        |seen, points| {
            for zone in &seen.status.zones {
                points.put(&[&zone.name, "listed"], zone.counts.listed);
                points.put(&[&zone.name, "not-listed"], zone.counts.not_listed);
                for (fault, count) in &zone.counts.faults {
                    points.put(&[&zone.name, fault], *count);
                }
            }
        },
    ),
    counter(
        "portcullis_zone_cache_hits_total",
        &["zone"],
        "Lookups that needed no question.",
        |seen, points| of_zones(seen, points, |zone| zone.counts.cache_hits),
    ),
    counter(
        "portcullis_zone_late_answers_total",
        &["zone"],
        "Answers that nobody waited for any more.",
        |seen, points| of_zones(seen, points, |zone| zone.counts.late),
    ),
    counter(
        "portcullis_zone_answers_total",
        &["zone"],
        "Questions that were answered, or given up: what the time is divided by.",
        |seen, points| of_zones(seen, points, |zone| zone.counts.queries),
    ),
    counter(
        "portcullis_zone_answer_seconds_total",
        &["zone"],
        "What these took together.",
        |seen, points| of_zones(seen, points, |zone| microseconds(zone.counts.latency_sum)),
    ),
    gauge(
        "portcullis_zone_slowest_answer_seconds",
        &["zone"],
        "What the slowest one took since the start.",
        |seen, points| of_zones(seen, points, |zone| microseconds(zone.counts.latency_most)),
    ),
];

const WAITING: &[Metric] = &[
    gauge(
        "portcullis_senders",
        &["state"],
        "What the greylist remembers: rows of tries that wait, of which a first try has two (waiting), networks and domains that pass (passing).",
        |seen, points| {
            points.put(&["waiting"], seen.status.senders.waiting);
            points.put(&["passing"], seen.status.senders.passed);
        },
    ),
    gauge("portcullis_quarantine_messages", &[], "Messages that are held back.", |seen, points| {
        points.put(&[], seen.status.quarantine.messages);
    }),
    gauge("portcullis_quarantine_messages_max", &[], "How many there may be.", |seen, points| {
        points.put(&[], seen.status.quarantine.max_messages);
    }),
    gauge("portcullis_quarantine_bytes", &[], "Their octets.", |seen, points| {
        points.put(&[], seen.status.quarantine.octets);
    }),
    gauge("portcullis_quarantine_bytes_max", &[], "How many these may be.", |seen, points| {
        points.put(&[], seen.status.quarantine.max_size);
    }),
    gauge(
        "portcullis_quarantine_oldest_timestamp_seconds",
        &[],
        "When the oldest came; not there where there is none.",
        |seen, points| {
            let oldest = seen.status.quarantine.oldest;
            points.put_if(&[], oldest.map(|it| it.as_duration().as_secs_f64()));
        },
    ),
    counter(
        "portcullis_quarantine_events_total",
        &["event"],
        "Messages that came (kept), that could not be kept and were deferred (not-kept), that people released or deleted (removed), whose time was over (expired).",
        |seen, points| {
            let quarantine = &seen.status.quarantine;
            points.put(&["kept"], quarantine.kept);
            points.put(&["not-kept"], quarantine.not_kept);
            points.put(&["removed"], quarantine.removed);
            points.put(&["expired"], quarantine.expired);
        },
    ),
];

const RECORD: &[Metric] = &[
    counter("portcullis_audit_written_total", &[], "Records that were written.", |seen, points| {
        points.put(&[], seen.status.audit.written);
    }),
    counter(
        "portcullis_audit_lost_total",
        &[],
        "Records that found no place in the queue, or that one of the file and the store did not get.",
        |seen, points| points.put(&[], seen.status.audit.lost),
    ),
    counter(
        "portcullis_audit_without_details_total",
        &[],
        "Records that were written without what did not decide, since too much was to be written.",
        |seen, points| points.put(&[], seen.status.audit.without_details),
    ),
    counter(
        "portcullis_audit_sampled_out_total",
        &[],
        "Accepts that were left out so that refusals find room.",
        |seen, points| points.put(&[], seen.status.audit.sampled_out),
    ),
    counter(
        "portcullis_audit_outputs_lost_total",
        &[],
        "Records that an output beside the file and the store did not take.",
        |seen, points| points.put(&[], seen.status.audit.outputs_lost),
    ),
    gauge(
        "portcullis_audit_queue_records",
        &[],
        "Records that wait to be written.",
        |seen, points| points.put(&[], seen.status.audit.waiting),
    ),
    gauge(
        "portcullis_audit_queue_records_max",
        &[],
        "How many may wait; their octets are bounded, too.",
        |_seen, points| points.put(&[], MOST_WAITING),
    ),
    gauge(
        "portcullis_audit_store_bytes",
        &[],
        "Octets of the store of records; not there without one.",
        |seen, points| points.put_if(&[], seen.store.and_then(|store| store.octets)),
    ),
    gauge(
        "portcullis_audit_store_bytes_max",
        &[],
        "How many these may be, until the oldest records go.",
        |seen, points| points.put_if(&[], seen.store.map(|store| store.most)),
    ),
];

const PROCESS: &[Metric] = &[
    counter("process_cpu_seconds_total", &[], "Processor time of all threads.", |seen, points| {
        points.put(&[], seen.process.cpu_seconds);
    }),
    gauge(
        "process_resident_memory_bytes",
        &[],
        "Memory that is the daemon's own; the kernel filter's maps are not in it.",
        |seen, points| points.put_if(&[], seen.process.resident),
    ),
    gauge("process_open_fds", &[], "Files and connections that are open.", |seen, points| {
        points.put_if(&[], seen.process.open_files);
    }),
    gauge(
        "process_max_fds",
        &[],
        "How many there may be; not there without a limit.",
        |seen, points| points.put_if(&[], seen.process.most_files),
    ),
];

/// What the kernel counted, where there is a filter.
fn kernel(seen: &Seen) -> impl Iterator<Item = &Counters> {
    seen.status.xdp.counters.iter()
}

/// The part of an alarm's subject that is a word of ours; behind it a path or a name may follow.
fn kind_of(about: &str) -> &str {
    about.split(':').next().unwrap_or(about)
}

/// In seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to the year 287,000")]
fn milliseconds(time: i64) -> f64 {
    time as f64 / 1000.0
}

/// In seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
fn microseconds(time: u64) -> f64 {
    time as f64 / 1e6
}

/// A value of each list.
fn of_lists<V: Into<Value>>(
    seen: &Seen,
    points: &mut Points<'_>,
    value: impl Fn(&ListStatus) -> V,
) {
    for list in &seen.status.rules.lists {
        points.put(&[&list.name], value(list));
    }
}

/// A value of each list that is fetched.
fn of_feeds<V: Into<Value>>(
    seen: &Seen,
    points: &mut Points<'_>,
    value: impl Fn(&FeedStatus) -> V,
) {
    for feed in &seen.feeds {
        points.put(&[&feed.list], value(feed));
    }
}

/// A value of each zone.
fn of_zones<V: Into<Value>>(
    seen: &Seen,
    points: &mut Points<'_>,
    value: impl Fn(&ZoneStatus) -> V,
) {
    for zone in &seen.status.zones {
        points.put(&[&zone.name], value(zone));
    }
}

type OfSmtp = fn(&smtp::Counters) -> &Count;
type OfMilter = fn(&milter::Counters) -> &Count;
type OfPolicy = fn(&postfix_policy::Counters) -> &Count;
type Of = (OfSmtp, OfMilter, OfPolicy);

/// A counter that all fronts have.
fn of_fronts(seen: &Seen, points: &mut Points<'_>, (smtp, milter, policy): Of) {
    let status = &seen.status;
    let counts = [
        (Front::Smtp, status.smtp.as_ref().map(|it| smtp(&it.counts))),
        (Front::Milter, status.milter.as_ref().map(|it| milter(&it.counts))),
        (Front::PostfixPolicy, status.postfix_policy.as_ref().map(|it| policy(&it.counts))),
    ];
    for (front, count) in counts {
        points.put_if(&[front.name()], count.map(Count::get));
    }
}

fn of_smtp(seen: &Seen, points: &mut Points<'_>, counter: OfSmtp) {
    points.put_if(&[], seen.status.smtp.as_ref().map(|it| counter(&it.counts).get()));
}

fn of_policy(seen: &Seen, points: &mut Points<'_>, counter: OfPolicy) {
    points.put_if(&[], seen.status.postfix_policy.as_ref().map(|it| counter(&it.counts).get()));
}

/// What became of messages, at each front there is.
fn messages(seen: &Seen, points: &mut Points<'_>) {
    let mut put = |front: Front, results: &[(&str, &Count)]| {
        for (result, count) in results {
            points.put(&[front.name(), result], count.get());
        }
    };
    if let Some(smtp) = &seen.status.smtp {
        let it = &smtp.counts;
        put(
            Front::Smtp,
            &[
                ("relayed", &it.messages_relayed),
                ("refused", &it.messages_refused),
                ("quarantined", &it.messages_quarantined),
            ],
        );
    }
    if let Some(milter) = &seen.status.milter {
        let it = &milter.counts;
        put(
            Front::Milter,
            &[
                ("passed", &it.messages_passed),
                ("refused", &it.messages_refused),
                ("quarantined", &it.messages_quarantined),
                ("discarded", &it.messages_discarded),
                ("aborted", &it.messages_aborted),
            ],
        );
    }
    if let Some(policy) = &seen.status.postfix_policy {
        let it = &policy.counts;
        put(
            Front::PostfixPolicy,
            &[
                ("tagged", &it.tagged),
                ("quarantined", &it.quarantined),
                ("discarded", &it.discarded),
            ],
        );
    }
}
