//! The page about metrics, written from their table.

use std::fmt::Write as _;

use super::table::{GROUPS, Kind};

const INTRODUCTION: &str = "# Metrics

For Prometheus and whatever else reads its formats. Three paths, on the socket of `[admin]` like all others, and at the address of the [control centre](web.md):

| path | what it says |
|---|---|
| `/metrics` | all of the below: OpenMetrics 1.0.0, or the older text format where `Accept` likes `text/plain` better |
| `/healthz` | 200 and `ok` while the process serves |
| `/readyz` | 200 where this host should be sent mail: rules are loaded, the fronts listen, the kernel filter runs on each interface where it is to run; else 503. `reasons` says why not, each with `about` (`daemon`, `rules`, `front`, `xdp`) and `text` |

```sh
curl --unix-socket /run/portcullis/admin.sock http://localhost/metrics
curl --unix-socket /run/portcullis/admin.sock http://localhost/readyz
```

Beside the unit files in `gateway/dist` are `grafana-dashboard.json`, to be imported into Grafana as it is, and
`prometheus-alerts.yml`, to be named under `rule_files` of Prometheus. Each alert says what to type. Every metric below is on the
dashboard or in an alert, but for a few that nobody needs to watch; `cargo xtask docs --check` says where that is not so.

## What a label may be

The name of a list, a zone or an interface, as the configuration has it; otherwise a word of this program: verdict, action,
phase, front, family, outcome. No address, and nothing that a client, a message, a feed or a DNS server says, so nobody outside
can make series. Next hops are counted by their state, alarms by what they are about up to the first colon.

## What begins anew, and when

| what | begins at 0 with |
|---|---|
| `portcullis_xdp_..._total`, but `portcullis_xdp_known_lost_total` | the maps of the kernel filter: `portcullis xdp detach`, `[xdp] mode = \"off\"`, a start of the host, a version of the filter with other maps. Neither a restart, a crash, an upgrade nor a reload of the daemon changes them; without a daemon they count on |
| `portcullis_xdp_list_packets_total` of one list | the same, and a list that gets the place of one that is gone |
| `portcullis_feed_..._total` of one list | the daemon, and a reload that changes how the list is fetched |
| `portcullis_zone_..._total` of one zone | the daemon, and a reload that changes its `domain`, `families` or `test_points` |
| all others | the daemon: `portcullis_start_time_seconds` says when |

`rate()` and `increase()` see a counter that begins anew. Kernel counters are there while the filter is pinned, whoever put it
there.

An answer takes 5 ms with 250 lists (254 are the most), and is 330 kB long; nearly all of that time is the kernel's, which is asked about
each list by family and action. Every 15 seconds is often enough.
";

const END: &str = "
This page is generated from the source; a test keeps it so.
";

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in &GROUPS {
        write!(
            page,
            "\n## {}\n\n| name | type | labels | meaning |\n|---|---|---|---|\n",
            group.about
        )
        .unwrap();
        for metric in group.metrics {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
                Kind::Info => "info",
            };
            let (name, labels, help) = (metric.name, labels.join(", "), metric.help);
            writeln!(page, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
        }
    }
    page + END
}

#[test]
fn the_page_is_up_to_date() {
    crate::assert_page("metrics.md", &page());
}
