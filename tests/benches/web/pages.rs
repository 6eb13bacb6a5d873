//! Every page as an operator asks for it, each time about something else, and what programs ask for.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::Plan;
use crate::client::Client;
use crate::console::say;
use crate::field::{Field, LIST};
use crate::figures::{Spread, milliseconds, percentile, rounded, text};
use crate::records;

/// Samples of a graph that is full.
const SAMPLES: usize = 300;
/// Where the host is looked at, and how long an answer counts there.
const DOCTOR: &str = "/system/doctor";
const KEPT: Duration = Duration::from_secs(11);

/// What an answer is, as different things may take differently long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Page,
    /// A page for which the trail is read.
    Searching,
    /// For programs, to scrape.
    Scrape,
    /// For the graphs of a page.
    Data,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Searching => "page that searches",
            Self::Scrape => "scrape",
            Self::Data => "data",
        }
    }
}

/// Something to ask for: what is asked when the record of that number is meant, and a word that a good answer has.
struct Asked<'a> {
    name: &'static str,
    kind: Kind,
    path: &'a dyn Fn(u32) -> String,
    has: &'static str,
}

/// Waits until the graphs have all the samples that they can have.
pub(crate) async fn wait_for_graphs(client: &mut Client) -> Result<()> {
    say("the graphs fill for ten minutes");
    loop {
        let recent: Value = serde_json::from_str(&client.get("/api/v1/live/recent").await?.text)?;
        if recent.as_array().context("no samples")?.len() >= SAMPLES {
            return Ok(());
        }
        sleep(Duration::from_secs(2)).await;
    }
}

/// The octets of what a page takes along when nothing is kept of it yet.
pub(crate) async fn files(client: &mut Client) -> Result<Value> {
    let page = client.get("/").await?.text;
    let mut files = Map::new();
    for piece in page.split('"').filter(|piece| piece.starts_with("/static/")) {
        let name = piece.rsplit('/').next().unwrap_or_default().to_owned();
        files.insert(name, client.get(piece).await?.text.len().into());
    }
    ensure!(files.len() == 3, "expected a style, a script and an icon: {files:?}");
    Ok(files.into())
}

/// Asks for each of them again and again.
pub(crate) async fn measure(client: &mut Client, field: &Field, plan: &Plan) -> Result<Vec<Value>> {
    let fixed = |path: &'static str| move |_number: u32| path.to_owned();
    let lookup = |about: &dyn ToString| format!("/lookup?about={}", about.to_string());
    let search = |query: &str| format!("/messages?{query}");
    // Only messages have a sender.
    let message = |number: u32| number - number % 3;
    let asked = [
        Asked { name: "/", kind: Kind::Page, path: &fixed("/"), has: "Protection" },
        Asked {
            name: "/lookup, a listed address",
            kind: Kind::Searching,
            path: &|number| lookup(&field.listed(number)),
            has: "local-bad",
        },
        Asked {
            name: "/lookup, an unlisted address",
            kind: Kind::Searching,
            path: &|number| lookup(&field.unlisted(number)),
            has: "Last decisions",
        },
        Asked {
            name: "/lookup, a network",
            kind: Kind::Page,
            path: &|number| {
                let [a, b, c, _] = field.entry(number).octets();
                lookup(&format!("{a}.{b}.{c}.0/24"))
            },
            has: "Lists that have a part of it",
        },
        Asked {
            name: "/messages",
            kind: Kind::Searching,
            path: &fixed("/messages"),
            has: "/messages/",
        },
        Asked {
            name: "/messages, by address",
            kind: Kind::Searching,
            path: &|number| search(&format!("address={}", records::client(number))),
            has: "/messages/",
        },
        Asked {
            name: "/messages, by sender",
            kind: Kind::Searching,
            path: &|number| search(&format!("sender={}", records::sender(message(number)))),
            has: "/messages/",
        },
        Asked {
            name: "/messages, by reference",
            kind: Kind::Searching,
            path: &|number| search(&format!("reference={}", records::reference(number))),
            has: "/messages/",
        },
        Asked {
            name: "/messages, by verdict",
            kind: Kind::Searching,
            path: &|number| search(&format!("code={}", records::verdict(number).code())),
            has: "/messages/",
        },
        Asked {
            name: "/messages, by time",
            kind: Kind::Searching,
            path: &|number| {
                let (since, until) =
                    (field.time(number.saturating_sub(10_000)), field.time(number + 1));
                search(&format!("since={since}&until={until}"))
            },
            has: "/messages/",
        },
        Asked {
            name: "/messages/REFERENCE",
            kind: Kind::Searching,
            path: &|number| format!("/messages/{}", records::reference(number)),
            has: "The record as JSON",
        },
        Asked { name: "/lists", kind: Kind::Page, path: &fixed("/lists"), has: LIST },
        Asked {
            name: "/lists/LIST, its first page",
            kind: Kind::Page,
            path: &|_number| format!("/lists/{LIST}"),
            has: "How it is",
        },
        Asked {
            name: "/lists/LIST, a page inside",
            kind: Kind::Page,
            path: &|number| format!("/lists/{LIST}?after={}-1", field.entry(number)),
            has: "The first entries",
        },
        Asked {
            name: "/lists/LIST, by prefix",
            kind: Kind::Page,
            path: &|number| {
                let [a, b, _, _] = field.entry(number).octets();
                format!("/lists/{LIST}?search={a}.{b}.0.0/16")
            },
            has: "All entries",
        },
        Asked { name: "/zones", kind: Kind::Page, path: &fixed("/zones"), has: "zen" },
        Asked {
            name: "/reputation, with its replay",
            kind: Kind::Page,
            path: &fixed("/reputation"),
            has: "decided by their score",
        },
        Asked { name: "/reviews", kind: Kind::Page, path: &fixed("/reviews"), has: "cleaned" },
        Asked {
            name: "/quarantine",
            kind: Kind::Page,
            path: &fixed("/quarantine"),
            has: "@example.com",
        },
        Asked {
            name: "/system",
            kind: Kind::Page,
            path: &fixed("/system"),
            has: "Files out of reach",
        },
        Asked {
            name: "/system/log",
            kind: Kind::Page,
            path: &fixed("/system/log"),
            has: "ready version",
        },
        Asked { name: DOCTOR, kind: Kind::Page, path: &fixed(DOCTOR), has: "May be better" },
        Asked {
            name: "/metrics",
            kind: Kind::Scrape,
            path: &fixed("/metrics"),
            has: "portcullis_",
        },
        Asked {
            name: "/api/v1/live/recent",
            kind: Kind::Data,
            path: &fixed("/api/v1/live/recent"),
            has: "decisions",
        },
    ];
    let mut rows = Vec::new();
    for what in &asked {
        let row = times(client, what, plan).await.with_context(|| what.name)?;
        say(&line(&row));
        rows.push(row);
    }
    Ok(rows)
}

async fn times(client: &mut Client, what: &Asked<'_>, plan: &Plan) -> Result<Value> {
    let is_doctor = what.name == DOCTOR;
    let tries = if is_doctor { plan.looks } else { plan.tries };
    let (mut times, mut octets) = (Vec::new(), Vec::new());
    for number in 0..tries {
        let number = 1 + records::mixed(number) % (plan.records - 1);
        let path = (what.path)(number);
        if is_doctor {
            sleep(KEPT).await;
        }
        let answer = client.get(&path).await?;
        ensure!(answer.text.contains(what.has), "{path}: no `{}` in {}", what.has, answer.text);
        times.push(milliseconds(answer.took));
        octets.push(answer.text.len() as f64);
    }
    let p99 = percentile(&mut times, 0.99).map(rounded);
    Ok(json!({
        "what": what.name,
        "kind": what.kind.name(),
        "tries": tries,
        "ms": Spread::of(times).map(Spread::json),
        "p99_ms": p99,
        "octets": Spread::of(octets).map(Spread::json),
    }))
}

/// A row for whoever watches.
fn line(row: &Value) -> String {
    format!(
        "{:<30} p50 {:>8} ms, p99 {:>8} ms, most {:>8} ms, {:>8} octets",
        text(row, "/what"),
        text(row, "/ms/median"),
        text(row, "/p99_ms"),
        text(row, "/ms/max"),
        text(row, "/octets/max"),
    )
}
