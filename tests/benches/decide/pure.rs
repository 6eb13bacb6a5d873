//! The decision alone, from facts that are there.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use gateway::direction::{Direction, Route, RouteReason};
use gateway::list::{Entry, Match, Origin};
use gateway::net::{Hop, Prefix, Ptr};
use gateway::policy::{
    AddressFacts, ClientFacts, Decision, Evidence, Policy, Reference, Verdict, decide_connect,
};
use gateway::zone::{Hit, Listing, Meaning};
use serde_json::Value;

use crate::meter::{Meter, Spent, times};
use crate::site;

/// Facts that are copied before each piece of a run, so that copying is not measured and all of them fit near the processor.
const PIECE: usize = 256;

/// One client, and what is to come out.
struct Case {
    name: &'static str,
    client: AddressFacts,
    about: ClientFacts,
    verdict: Verdict,
}

/// What a decision takes over.
type Facts = (AddressFacts, ClientFacts, Reference);

/// Measures each case in `runs` runs of `calls` decisions.
pub(crate) fn measure(runs: usize, calls: usize) -> Result<Vec<Value>> {
    let policy = site::policy();
    let mut rows = Vec::new();
    for case in cases()? {
        let facts = || (case.client.clone(), case.about.clone(), Reference::new(7));
        let found = decide(&policy, facts()).verdict;
        ensure!(found == case.verdict, "{}: {found:?}", case.name);
        let pieces = calls.div_ceil(PIECE);
        let piece = || -> Vec<Facts> { (0..PIECE).map(|_| facts()).collect() };
        let mut meter = Meter::default();
        for _ in 0..runs {
            let mut spent = Spent::default();
            for _ in 0..pieces {
                let piece = piece();
                spent.during(|| {
                    for facts in piece {
                        drop(black_box(decide(&policy, facts)));
                    }
                });
            }
            meter.add(pieces * PIECE, spent);
            let mut all = Vec::with_capacity(pieces * PIECE);
            for _ in 0..pieces {
                all.extend(times(piece(), |facts| drop(black_box(decide(&policy, facts)))));
            }
            meter.add_times(&all);
        }
        rows.push(meter.row("pure", case.name));
    }
    Ok(rows)
}

fn decide(policy: &Policy, (client, about, reference): Facts) -> Decision {
    decide_connect(policy, client, about, 7, reference)
}

fn cases() -> Result<[Case; 3]> {
    let address: IpAddr = [192, 0, 2, 99].into();
    let facts = || AddressFacts::new(address, Hop::Connect);
    let about = |ptr, evidence| {
        let (direction, reason) = (Direction::Inbound, RouteReason::NoMatch);
        ClientFacts { route: Some(Route { direction, reason, ptr }), evidence }
    };
    let evidence = [
        ("ptr:missing", 100),
        ("history:early-talking", 200),
        ("history:refused", 120),
        ("history:network-refused", 40),
    ];
    let evidence = evidence.into_iter().filter_map(|(name, weight)| Evidence::new(name, weight));
    let hit = Hit { code: [127, 0, 0, 2].into(), meaning: Meaning::Listed, weight: 400 };
    let zone = site::zones()?.swap_remove(0);
    let text = Some("listed, see https://zen.example/".into());
    let listing = Listing { zone, hits: vec![hit], text };
    let entry = Entry {
        prefix: Prefix::host(address),
        line: 7,
        value: None,
        reason: Some("sends spam".into()),
        author: None,
        added: None,
        expires: None,
    };
    let found = Match { list: site::list(), origin: Arc::new(Origin::Put), entry: Arc::new(entry) };
    Ok([
        Case {
            name: "clean, five zones say nothing",
            client: facts(),
            about: about(Ptr::Confirmed("mail.example.net".into()), Vec::new()),
            verdict: Verdict::Accept,
        },
        Case {
            name: "refused by the score: a zone and four items",
            client: AddressFacts { listings: vec![listing], ..facts() },
            about: about(Ptr::None, evidence.collect()),
            verdict: Verdict::ReputationReject,
        },
        Case {
            name: "refused by a list",
            client: AddressFacts { matches: vec![found], ..facts() },
            about: about(Ptr::NotAsked, Vec::new()),
            verdict: Verdict::LocalBad,
        },
    ])
}
