//! How many senders are refused at connect in a second, and what each costs who refuses: the kernel filter is off.

use std::io::Write as _;
use std::net::IpAddr;
use std::thread;

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use crate::Plan;
use crate::console::say;
use crate::field::{Field, REFUSED, Way, refused_client};
use crate::figures::{Spread, now, rounded};
use crate::idle::open_socket;

/// Clients that connect at the same time from each address.
const AT_ONCE: usize = 4;

/// Clients that read the refusal, say QUIT where they are waited for, read the 221 and close.
pub(crate) fn measure(field: &Field, plan: &Plan) -> Result<Value> {
    let each = plan.refused / (usize::from(REFUSED) * AT_ONCE);
    let count = (each * usize::from(REFUSED) * AT_ONCE) as f64;
    let mut measured: [(Vec<f64>, Vec<f64>); Way::REFUSERS.len()] = Default::default();
    // The first one warms up.
    for run in 0..=plan.runs {
        for (way, (rates, costs)) in Way::REFUSERS.into_iter().zip(&mut measured) {
            let (before, started) = (field.spent(way)?, now());
            field.stage.sender.run(|| all(way, each))??;
            let elapsed = started.elapsed().as_secs_f64();
            let spent = field.spent(way)?.since(before);
            if run > 0 {
                rates.push((count / elapsed).round());
                costs.push(rounded(spent * 1e6 / count));
            }
        }
    }
    let mut answer = Map::new();
    answer.insert("connections".to_owned(), json!(count));
    answer.insert("clients".to_owned(), json!(usize::from(REFUSED) * AT_ONCE));
    for (way, (rates, costs)) in Way::REFUSERS.into_iter().zip(measured) {
        let row = json!({
            "per_second": Spread::of(rates).map(Spread::json),
            "cpu_us": Spread::of(costs).map(Spread::json),
        });
        say(&format!("refused at connect by {}: {row}", way.name()));
        answer.insert(way.name().to_owned(), row);
    }
    Ok(answer.into())
}

/// All clients at once, `count` connections each. They are threads of this one, so they are in its namespace.
fn all(way: Way, count: usize) -> Result<()> {
    thread::scope(|scope| {
        #[expect(clippy::needless_collect, reason = "all of them run at the same time")]
        let clients: Vec<_> = (0..REFUSED)
            .flat_map(|host| (0..AT_ONCE).map(move |_again| refused_client(host)))
            .map(|client| scope.spawn(move || one(way, client, count)))
            .collect();
        clients.into_iter().try_for_each(|client| {
            client.join().map_err(|_panic| anyhow::anyhow!("a client panicked"))?
        })
    })
}

fn one(way: Way, client: IpAddr, count: usize) -> Result<()> {
    for _ in 0..count {
        let (mut stream, mut said) = open_socket(client, way.address())?;
        let code = said.reply(&mut stream)?;
        if way == Way::Postscreen {
            // It does not wait for QUIT.
            ensure!(code == 521, "{code} for a listed client");
            continue;
        }
        ensure!(code == 554, "{code} for a listed client");
        stream.write_all(b"QUIT\r\n")?;
        let code = said.reply(&mut stream)?;
        ensure!(code == 221, "{code} for QUIT");
    }
    Ok(())
}
