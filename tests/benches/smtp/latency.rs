//! How long one whole transaction takes on each path, alone and beside clients that are slow on purpose.

use std::io::Write as _;
use std::net::{IpAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::smtp_client::SmtpClient;
use serde_json::{Map, Value, json};

use crate::Plan;
use crate::console::say;
use crate::field::{Field, Way, idle_client, idle_hosts};
use crate::figures::{milliseconds, now, percentile, rounded};
use crate::idle::connect;

/// How often a slow client sends an octet.
const DRIP: Duration = Duration::from_secs(1);

/// A message of 4 KiB.
fn message() -> String {
    format!("Subject: one\n\n{}", format!("{}\n", "x".repeat(63)).repeat(64))
}

/// Times of transactions, from the connection to the answer to QUIT, one after the other on all paths in turn.
pub(crate) fn measure(field: &Field, plan: &Plan) -> Result<Value> {
    let mut times: [Vec<f64>; Way::RELAYS.len()] = Default::default();
    let message = message();
    for _ in 0..plan.transactions {
        for (way, times) in Way::RELAYS.into_iter().zip(&mut times) {
            times.push(transaction(field, way, &message)?);
        }
    }
    let mut answer = Map::new();
    for (way, times) in Way::RELAYS.into_iter().zip(&mut times) {
        answer.insert(way.name().to_owned(), summary(times));
    }
    let of = |path: &str, share: &str| answer.get(path)?.get(share)?.as_f64();
    let added = |share: &str| {
        let (ours, direct) = of("portcullis", share).zip(of("direct", share))?;
        Some(rounded(ours - direct))
    };
    let added = json!({"p50": added("p50"), "p99": added("p99")});
    answer.insert("added_ms".to_owned(), added);
    let answer = Value::from(answer);
    say(&format!("latency, ms: {answer}"));
    Ok(answer)
}

/// The same through the daemon, with slow clients and without.
pub(crate) fn beside_slow_clients(field: &Field, plan: &Plan) -> Result<Value> {
    let message = message();
    let times = || -> Result<Vec<f64>> {
        (0..plan.transactions).map(|_| transaction(field, Way::Portcullis, &message)).collect()
    };
    let mut alone = times()?;
    let mut slow = slow_clients(field, plan)?;
    let is_over = AtomicBool::new(false);
    let mut beside = thread::scope(|scope| {
        let dripping = scope.spawn(|| drip(&mut slow, &is_over));
        let measured = times();
        is_over.store(true, Ordering::Relaxed);
        dripping.join().map_err(|_panic| anyhow::anyhow!("the slow clients panicked"))?;
        measured
    })?;
    let (alone, beside) = (summary(&mut alone), summary(&mut beside));
    let added = |share: &str| {
        let of = |times: &Value| times.get(share)?.as_f64();
        Some(rounded(of(&beside)? - of(&alone)?))
    };
    let answer = json!({
        "clients": plan.slow,
        "alone": alone,
        "beside": beside,
        "added_ms": {"p50": added("p50"), "p99": added("p99")},
    });
    say(&format!("beside {} slow clients, ms: {answer}", plan.slow));
    Ok(answer)
}

/// One transaction, in milliseconds.
fn transaction(field: &Field, way: Way, message: &str) -> Result<f64> {
    let started = now();
    let mut client: SmtpClient = field.connect(way)?;
    client.greet("bench.example.com")?;
    let reply = client.deliver("a@example.com", &["b@example.org"], message)?;
    ensure!(reply.is_positive(), "{}: {reply}", way.name());
    client.command("QUIT")?;
    Ok(milliseconds(started.elapsed()))
}

fn summary(times: &mut [f64]) -> Value {
    let mut of = |share| percentile(times, share).map(rounded);
    json!({"p50": of(0.5), "p99": of(0.99), "most": of(1.0)})
}

/// Clients that are in the middle of their data.
fn slow_clients(field: &Field, plan: &Plan) -> Result<Vec<TcpStream>> {
    let hosts = idle_hosts(plan);
    let clients: Vec<IpAddr> = (0..plan.slow).map(|number| idle_client(number % hosts)).collect();
    let begin = || -> Result<Vec<TcpStream>> {
        let mut all = Vec::new();
        for client in clients {
            let (mut stream, mut said) = connect(client, Way::Portcullis.address())?;
            for line in [
                "EHLO slow.example.com",
                "MAIL FROM:<a@example.com>",
                "RCPT TO:<b@example.org>",
                "DATA",
            ] {
                said.ask(&mut stream, line)?;
            }
            all.push(stream);
        }
        Ok(all)
    };
    field.stage.sender.run(begin)?.context("slow clients")
}

/// An octet from each, again and again.
fn drip(slow: &mut [TcpStream], is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        for stream in slow.iter_mut() {
            // One that was hung up on is no longer slow.
            stream.write_all(b"x").unwrap_or_default();
        }
        let until = now() + DRIP;
        while now() < until && !is_over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
