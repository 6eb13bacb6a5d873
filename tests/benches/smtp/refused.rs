//! How many senders the daemon refuses at connect in a second, and what each costs it: the kernel filter is off.

use std::io::Write as _;
use std::net::IpAddr;
use std::thread;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::Plan;
use crate::console::say;
use crate::field::{Field, REFUSED, Way, refused_client};
use crate::figures::{Spread, now, rounded};
use crate::idle::open_socket;

/// Clients that read the 554, say QUIT, read the 221 and close.
pub(crate) fn measure(field: &Field, plan: &Plan) -> Result<Value> {
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    // The first one warms up.
    for run in 0..=plan.runs {
        let (before, started) = (field.spent(Way::Portcullis)?, now());
        field.stage.sender.run(|| all(plan.refused / usize::from(REFUSED)))??;
        let elapsed = started.elapsed().as_secs_f64();
        let count = (plan.refused / usize::from(REFUSED) * usize::from(REFUSED)) as f64;
        let spent = field.spent(Way::Portcullis)?.since(before);
        if run > 0 {
            rates.push((count / elapsed).round());
            costs.push(rounded(spent * 1e6 / count));
        }
    }
    let answer = json!({
        "connections": plan.refused,
        "clients": REFUSED,
        "per_second": Spread::of(rates).map(Spread::json),
        "cpu_us": Spread::of(costs).map(Spread::json),
    });
    say(&format!("refused at connect: {answer}"));
    Ok(answer)
}

/// All clients at once, `count` connections each. They are threads of this one, so they are in its namespace.
fn all(count: usize) -> Result<()> {
    thread::scope(|scope| {
        #[expect(clippy::needless_collect, reason = "all of them run at the same time")]
        let clients: Vec<_> = (0..REFUSED)
            .map(|host| scope.spawn(move || one(refused_client(host), count)))
            .collect();
        clients.into_iter().try_for_each(|client| {
            client.join().map_err(|_panic| anyhow::anyhow!("a client panicked"))?
        })
    })
}

fn one(client: IpAddr, count: usize) -> Result<()> {
    for _ in 0..count {
        let (mut stream, mut said) = open_socket(client, Way::Portcullis.address())?;
        let code = said.reply(&mut stream)?;
        ensure!(code == 554, "{code} for a listed client");
        stream.write_all(b"QUIT\r\n")?;
        let code = said.reply(&mut stream)?;
        ensure!(code == 221, "{code} for QUIT");
    }
    Ok(())
}
