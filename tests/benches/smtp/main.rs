//! Measures the SMTP proxy beside the direct path and beside Postfix in its place: `cargo xtask bench smtp`.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures have three digits that mean something"
)]

#[path = "../shared/console.rs"]
mod console;
mod field;
#[path = "../shared/figures.rs"]
mod figures;
mod floor;
mod idle;
mod latency;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/options.rs"]
mod options;
mod postfix_spent;
mod refused;
mod relayed;
#[path = "../shared/spent.rs"]
mod spent;

use anyhow::Result;
use serde_json::{Value, json};

use crate::console::say;
use crate::field::Field;
use crate::figures::text;
use crate::options::Options;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Repetitions of each case.
    runs: usize,
    /// What one run of messages should take, in seconds.
    run_seconds: f64,
    /// Transactions whose times are taken, on each path.
    transactions: usize,
    /// Connections that say nothing.
    idle: usize,
    /// Refused connections in one run.
    refused: usize,
    /// Clients that are slow on purpose.
    slow: usize,
}

const WHOLE: Plan = Plan {
    runs: 3,
    run_seconds: 1.5,
    transactions: 1000,
    idle: 10_000,
    refused: 20_000,
    slow: 500,
};
const QUICK: Plan =
    Plan { runs: 1, run_seconds: 0.3, transactions: 100, idle: 1000, refused: 2000, slow: 100 };

fn main() -> Result<()> {
    if let Some(served) = floor::serve() {
        return served;
    }
    let options = Options::of_command_line()?;
    let machine = machine::describe()?;
    let plan = if options.quick { QUICK } else { WHOLE };
    say(&format!("{} runs of each; medians, least and most", plan.runs));
    let mut field = Field::new(&plan)?;
    let wants = |part| options.wants(part);
    let relayed = if wants("relayed") { relayed::measure(&field, &plan)? } else { Vec::new() };
    let part = |name, measure: &dyn Fn() -> Result<Value>| {
        if wants(name) { measure() } else { Ok(Value::Null) }
    };
    let latency = part("latency", &|| latency::measure(&field, &plan))?;
    let slow = part("slow", &|| latency::beside_slow_clients(&field, &plan))?;
    let refused = part("refused", &|| refused::measure(&field, &plan))?;
    let idle = if wants("idle") { idle::measure(&mut field, &plan)? } else { Value::Null };
    let aims = aims(&relayed, &latency, &slow, &refused, &idle);
    for aim in &aims {
        say(&format!(
            "aim: {:<52} {:>10} (aim {} {})",
            text(aim, "/what"),
            text(aim, "/found"),
            text(aim, "/is"),
            text(aim, "/aim")
        ));
    }
    options.write(&json!({
        "runs": plan.runs,
        "quick": options.quick,
        "paths": field::PATHS,
        "relayed": relayed,
        "latency": latency,
        "slow_clients": slow,
        "refused": refused,
        "idle": idle,
        "aims": aims,
        "machine": machine,
        "load_after": machine::describe()?.get("load_before"),
    }))
}

/// What the figures should be, beside what they are; `null` where something was not measured.
fn aims(
    relayed: &[Value],
    latency: &Value,
    slow: &Value,
    refused: &Value,
    idle: &Value,
) -> Vec<Value> {
    let case = |path: &str| {
        relayed.iter().find(|row| {
            (&row["path"], &row["octets"], &row["sessions"], &row["reused"])
                == (&path.into(), &4096.into(), &20.into(), &false.into())
        })
    };
    let of = |path: &str, pointer: &str| case(path)?.pointer(pointer)?.as_f64();
    let share = of("portcullis", "/per_second/median")
        .zip(of("direct", "/per_second/median"))
        .map(|(ours, direct)| figures::rounded(ours / direct));
    let number = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_f64);
    [
        ("relayed, of the direct path (4 KiB, 20 sessions)", share, ">=", 0.7),
        ("CPU of a 4 KiB message, us", of("portcullis", "/cpu_us_per_message/median"), "<=", 350.0),
        (
            "memory of an idle connection, KiB",
            number(idle, "/kib_per_connection/median"),
            "<=",
            8.0,
        ),
        ("CPU of a refused sender, us", number(refused, "/portcullis/cpu_us/median"), "<=", 45.0),
        ("added to a transaction, p99, ms", number(latency, "/added_ms/p99"), "<=", 2.0),
        ("added by slow clients, p99, ms", number(slow, "/added_ms/p99"), "<=", 50.0),
    ]
    .into_iter()
    .map(|(what, found, is, aim)| json!({"what": what, "found": found, "is": is, "aim": aim}))
    .collect()
}
